//! Parameters that have no effect here: taken at their default, a problem at any other value.

use super::document::{Key, Node, Tree};
use super::parameters::{PARAMETERS, Parameter};
use super::reader::Section;

/// Takes them out of the section, with a problem for each that would have had an effect.
pub(super) fn refuse(section: &mut Section<'_>) {
    for name in section.names() {
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            continue;
        };
        if parameter.implemented {
            continue;
        }
        let Some(item) = section.take(&name) else {
            continue;
        };
        if !is_default(parameter, item.tree()) {
            let default = parameter.default.unwrap_or("null");
            item.problem::<()>(format!(
                "not implemented yet, and never silently ignored: remove it, or leave it at its default ({default})"
            ));
        }
    }
}

fn is_default(parameter: &Parameter, tree: &Tree) -> bool {
    let default = parameter.default.unwrap_or_default();
    match tree {
        Tree::Null => true,
        Tree::Bool(flag) => default == flag.to_string(),
        Tree::Integer(number) => default == number.to_string(),
        Tree::Float(number) => default == number.to_string(),
        Tree::Text(text) | Tree::Loose(text, _) => parameter.default == Some(text),
        Tree::List(items) => {
            let mut have: Vec<&str> = items
                .iter()
                .map(|item| match &item.value {
                    Tree::Text(text) => text.as_str(),
                    _ => "?",
                })
                .collect();
            let mut want: Vec<&str> = default.split(',').filter(|word| !word.is_empty()).collect();
            have.sort_unstable();
            want.sort_unstable();
            have == want
        }
        Tree::Table(entries) => is_inert(parameter.name, entries),
    }
}

/// Exports hold some parameters as tables of Kong's own defaults, which ask for nothing as long as
/// one member does not switch them on.
fn is_inert(name: &str, entries: &[(Key, Node)]) -> bool {
    match name {
        "principals" => entries
            .iter()
            .filter(|(key, _)| key.name == "enabled")
            .all(|(_, node)| matches!(node.value, Tree::Null | Tree::Bool(false))),
        // Nothing is stored in them unless session_storage or cluster_cache_strategy says so.
        "redis" | "cluster_cache_redis" => entries.iter().all(|(_, node)| is_blank(&node.value)),
        _ => entries.is_empty(),
    }
}

/// A member of an exported table that asks for nothing: Kong fills these in by itself.
fn is_blank(tree: &Tree) -> bool {
    match tree {
        Tree::Null | Tree::Bool(_) | Tree::Integer(_) | Tree::Float(_) => true,
        Tree::Text(text) | Tree::Loose(text, _) => {
            matches!(text.as_str(), "" | "127.0.0.1" | "default")
        }
        Tree::List(items) => items.is_empty(),
        Tree::Table(entries) => entries.iter().all(|(_, node)| is_blank(&node.value)),
    }
}
