//! The environment laid over the file: `OIDC_PROXY__GATEWAY__LISTEN` is `gateway.listen`.

use figment::value::Value;

use super::document::{Key, Node, Tree, Written};
use super::problems::{Place, Problem, Problems};

const PREFIX: &str = "OIDC_PROXY__";

pub(super) fn lay_over(root: &mut Node, environment: &[(String, String)], problems: &mut Problems) {
    let mut sorted: Vec<_> = environment
        .iter()
        .filter(|(name, _)| is_ours(name))
        .collect();
    sorted.sort();
    for (name, value) in sorted {
        let path: Vec<String> = name[PREFIX.len()..]
            .split("__")
            .map(str::to_lowercase)
            .collect();
        if path.iter().any(String::is_empty) || !set(root, &path, name, value) {
            let place = Place::Environment { name: name.clone() };
            problems.push(Problem::new(
                place,
                path.join("."),
                "does not lead to a setting",
            ));
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// A value as figment reads it from the environment: `[a, b]` is a list, and so, where one is
/// expected, is `a,b`.
fn loose(text: &str, variable: &str) -> Node {
    let at = Written::Variable(variable.to_owned());
    let item = |text: &str| Node {
        value: Tree::Loose(text.to_owned(), Vec::new()),
        at: at.clone(),
    };
    let bracketed = text.trim_start().starts_with('[');
    let items = match text.parse::<Value>() {
        Ok(Value::Array(_, items)) if bracketed => items
            .iter()
            .map(|value| match value {
                Value::String(_, text) => item(text),
                Value::Bool(_, flag) => item(&flag.to_string()),
                value => item(&value.to_u128().map_or_else(String::new, |n| n.to_string())),
            })
            .collect(),
        _ => {
            let words = text.split(',').map(str::trim);
            words.filter(|word| !word.is_empty()).map(item).collect()
        }
    };
    Node {
        // Where no list is expected, the whole text counts: a secret may hold a comma.
        value: Tree::Loose(text.to_owned(), items),
        at,
    }
}

/// Sets the value at this path; makes tables where there are none, never list items.
fn set(node: &mut Node, path: &[String], variable: &str, value: &str) -> bool {
    let Some((first, rest)) = path.split_first() else {
        *node = loose(value, variable);
        return true;
    };
    if matches!(node.value, Tree::Null) {
        node.value = Tree::Table(Vec::new());
    }
    match &mut node.value {
        Tree::List(items) => {
            let index = first.parse::<usize>().ok();
            index
                .and_then(|index| items.get_mut(index))
                .is_some_and(|item| set(item, rest, variable, value))
        }
        Tree::Table(entries) => {
            if let Some((_, child)) = entries.iter_mut().find(|(key, _)| key.name == *first) {
                return set(child, rest, variable, value);
            }
            let at = Written::Variable(variable.to_owned());
            let mut child = Node {
                value: Tree::Null,
                at: at.clone(),
            };
            let done = set(&mut child, rest, variable, value);
            entries.push((
                Key {
                    name: first.clone(),
                    at,
                },
                child,
            ));
            done
        }
        _ => false,
    }
}
