//! Typed reading of the tree: each misfit becomes a problem with its place, and reading goes on.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use oidc_core::Secret;

use super::certificates::{Authorities, Certificates};
use super::document::{Node, Tree, Written};
use super::entities::Entities;
use super::problems::{Place, Problem, Problems};
use super::references::{self, Resolved};

/// What reading needs everywhere.
pub(super) struct Context<'a> {
    file: &'a str,
    environment: &'a [(String, String)],
    problems: RefCell<Problems>,
    /// Read before anything that refers to them.
    pub(super) certificates: OnceCell<Certificates>,
    pub(super) authorities: OnceCell<Authorities>,
    /// The same.
    pub(super) entities: OnceCell<Entities>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        file: &'a str,
        environment: &'a [(String, String)],
        problems: Problems,
    ) -> Self {
        Self {
            file,
            environment,
            problems: RefCell::new(problems),
            certificates: OnceCell::new(),
            authorities: OnceCell::new(),
            entities: OnceCell::new(),
        }
    }

    pub(super) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    fn place(&self, at: &Written) -> Place {
        match at {
            Written::Line(line) => Place::File {
                file: self.file.to_owned(),
                line: *line,
            },
            Written::Variable(name) => Place::Environment { name: name.clone() },
        }
    }

    fn problem(&self, at: &Written, key: &str, message: impl Into<String>) {
        self.problems
            .borrow_mut()
            .push(Problem::new(self.place(at), key, message));
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One value that is to be read.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub(super) context: &'a Context<'a>,
    node: &'a Node,
    pub(super) path: String,
}

impl<'a> Item<'a> {
    pub(super) fn root(context: &'a Context<'a>, node: &'a Node) -> Self {
        Self {
            context,
            node,
            path: String::new(),
        }
    }

    pub(super) fn tree(&self) -> &'a Tree {
        &self.node.value
    }

    /// Reports a problem with this value.
    pub(super) fn problem<T>(&self, message: impl Into<String>) -> Option<T> {
        self.context.problem(&self.node.at, &self.path, message);
        None
    }

    fn misfit<T>(&self, expected: &str) -> Option<T> {
        let found = match &self.node.value {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a boolean",
            Tree::Integer(_) | Tree::Float(_) => "a number",
            Tree::Text(_) | Tree::Loose(..) => "a text",
            Tree::List(_) => "a list",
            Tree::Table(_) => "a table",
        };
        self.problem(format!("expected {expected}, found {found}"))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node.value, Tree::Null)
    }

    /// The text. It may have come from elsewhere: see [`shown`](Self::shown).
    pub(super) fn text(&self) -> Option<String> {
        let text = match &self.node.value {
            Tree::Text(text) | Tree::Loose(text, _) => text,
            _ => return self.misfit("a text"),
        };
        if text.contains("${{") {
            return self.problem(
                "is a template: render the file first (deck file render), or name the variable as \"{env:NAME}\"",
            );
        }
        match references::resolve(text, self.context.environment) {
            Resolved::Plain => Some(text.clone()),
            Resolved::Elsewhere(text) => Some(text),
            Resolved::Missing(message) => self.problem(message),
        }
    }

    /// What was read here as a problem may show it: in quotes, or not at all if it came from
    /// elsewhere, where secrets are.
    pub(super) fn shown(&self, text: &str) -> String {
        if self.is_from_elsewhere() {
            "what is referred to here".to_owned()
        } else {
            format!("{text:?}")
        }
    }

    fn is_from_elsewhere(&self) -> bool {
        let refers = |node: &Node| match &node.value {
            Tree::Text(text) | Tree::Loose(text, _) => {
                let resolved = references::resolve(text, self.context.environment);
                matches!(resolved, Resolved::Elsewhere(_))
            }
            _ => false,
        };
        // A thing is named by one of its members.
        match &self.node.value {
            Tree::Table(entries) => entries.iter().any(|(_, node)| refers(node)),
            _ => refers(self.node),
        }
    }

    pub(super) fn filled_text(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.problem("must not be empty")
        } else {
            Some(text)
        }
    }

    pub(super) fn secret(&self) -> Option<Secret> {
        let text = self.text()?;
        if text.is_empty() {
            self.problem("must not be empty")
        } else {
            Some(Secret::new(text))
        }
    }

    pub(super) fn bool(&self) -> Option<bool> {
        match &self.node.value {
            Tree::Bool(flag) => Some(*flag),
            Tree::Loose(text, _) if text == "true" => Some(true),
            Tree::Loose(text, _) if text == "false" => Some(false),
            _ => self.misfit("true or false"),
        }
    }

    pub(super) fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let number = match &self.node.value {
            Tree::Integer(number) => u64::try_from(*number).ok(),
            Tree::Loose(text, _) => text.parse().ok(),
            Tree::Float(_) => None,
            _ => return self.misfit(&format!("a whole number from {least} to {most}")),
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => self.problem(format!("expected a whole number from {least} to {most}")),
        }
    }

    /// A duration: a number in this unit, or a text such as `30s` or `1h 30m`.
    pub(super) fn duration(&self, unit: Duration) -> Option<Duration> {
        let count = |number: f64| {
            let seconds = number * unit.as_secs_f64();
            Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|_| number >= 0.0)
        };
        let duration = match &self.node.value {
            #[expect(
                clippy::cast_precision_loss,
                reason = "no duration of use is that long"
            )]
            Tree::Integer(number) => count(*number as f64),
            Tree::Float(number) => count(*number),
            Tree::Text(text) | Tree::Loose(text, _) => match text.trim().parse::<f64>() {
                Ok(number) => count(number),
                Err(_) => humantime::parse_duration(text).ok(),
            },
            _ => return self.misfit("a duration such as 30s"),
        };
        // A century is for ever, and no clock overflows that it is added to.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
        duration
            .map(|duration| duration.min(LONGEST))
            .or_else(|| self.problem("expected a duration such as 500ms, 30s or 1h, not negative"))
    }

    /// A size in bytes: a number, or a text such as `64 KiB`.
    pub(super) fn size(&self) -> Option<u64> {
        let text = match &self.node.value {
            Tree::Integer(number) => {
                return u64::try_from(*number)
                    .ok()
                    .or_else(|| self.problem("expected a size, not negative"));
            }
            Tree::Text(text) | Tree::Loose(text, _) => text.trim(),
            _ => return self.misfit("a size such as 64 KiB"),
        };
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let unit = match text[digits..].trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "kB" | "KB" => Some(1_000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            _ => None,
        };
        let number = text[..digits].parse::<u64>().ok();
        match number
            .zip(unit)
            .and_then(|(number, unit)| number.checked_mul(unit))
        {
            Some(size) => Some(size),
            None => self.problem("expected a size such as 8192, 64 KiB or 1 MiB"),
        }
    }

    /// One of these words.
    pub(super) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let allowed = || {
            words
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (Tree::Text(text) | Tree::Loose(text, _)) = &self.node.value else {
            return self.misfit(&format!("one of {}", allowed()));
        };
        match words.iter().find(|(word, _)| word == text) {
            Some((_, value)) => Some(value.clone()),
            None => self.problem(format!("{text:?} is not allowed; allowed: {}", allowed())),
        }
    }

    pub(super) fn url(&self) -> Option<url::Url> {
        let text = self.text()?;
        // What stands before an @ may be a password.
        let shown = if text.contains('@') {
            String::new()
        } else {
            format!("{} ", self.shown(&text))
        };
        match url::Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => {
                if url.username().is_empty() && url.password().is_none() {
                    Some(url)
                } else {
                    self.problem("a URL here has no user name or password")
                }
            }
            _ => self.problem(format!("{shown}is not an http or https URL")),
        }
    }

    /// The items of a list; a single value counts as a list of one, and text from the environment
    /// is split at commas.
    pub(super) fn list(&self) -> Vec<Item<'a>> {
        match &self.node.value {
            Tree::List(items) | Tree::Loose(_, items) if !items.is_empty() => items
                .iter()
                .enumerate()
                .map(|(index, node)| Self {
                    context: self.context,
                    node,
                    path: format!("{}[{index}]", self.path),
                })
                .collect(),
            Tree::Table(_) => self.misfit("a list").unwrap_or_default(),
            Tree::Null | Tree::List(_) => Vec::new(),
            _ => vec![self.clone()],
        }
    }

    /// Texts of a list.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(Self::filled_text).collect()
    }

    /// The table, with each key once; keys are taken out of it, and what is left is unknown.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let entries = match &self.node.value {
            Tree::Table(entries) => entries,
            Tree::Null => {
                return Some(Section {
                    item: self.clone(),
                    entries: BTreeMap::new(),
                });
            }
            _ => return self.misfit("a table"),
        };
        let mut section = BTreeMap::new();
        for (key, node) in entries {
            let path = self.below(&key.name);
            let item = Self {
                context: self.context,
                node,
                path: path.clone(),
            };
            if section
                .insert(key.name.clone(), (item, key.at.clone()))
                .is_some()
            {
                self.context.problem(&key.at, &path, "the key stands twice");
            }
        }
        Some(Section {
            item: self.clone(),
            entries: section,
        })
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// A table that is being read.
pub(super) struct Section<'a> {
    pub(super) item: Item<'a>,
    entries: BTreeMap<String, (Item<'a>, Written)>,
}

impl<'a> Section<'a> {
    /// Takes a value that is there and not null.
    pub(super) fn take(&mut self, name: &str) -> Option<Item<'a>> {
        self.entries
            .remove(name)
            .map(|(item, _)| item)
            .filter(|item| !item.is_null())
    }

    /// Takes a value that has to be there.
    pub(super) fn required(&mut self, name: &str) -> Option<Item<'a>> {
        let item = self.take(name);
        if item.is_none() {
            self.item.problem::<()>(format!("{name} is required"));
        }
        item
    }

    /// Leaves out what Kong's exports hold and this program has no use for.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.entries.remove(*name);
        }
    }

    /// The names that are left.
    /// Takes a setting that has no effect here: fine where it asks for nothing, or for its default;
    /// a problem otherwise, since ignoring it would change what the file means.
    pub(super) fn only_default(&mut self, name: &str, default: &str) {
        let Some(item) = self.take(name) else { return };
        let asks = match item.tree() {
            Tree::Null => false,
            Tree::List(items) => !items.is_empty(),
            Tree::Table(entries) => !entries.is_empty(),
            Tree::Integer(number) => number.to_string() != default,
            Tree::Text(text) | Tree::Loose(text, _) => text != default,
            Tree::Bool(_) | Tree::Float(_) => true,
        };
        if asks {
            item.problem::<()>("not implemented yet, and never silently ignored: remove it");
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Reports what is left as unknown.
    pub(super) fn finish(self, known: &[&str]) {
        for (name, (item, at)) in self.entries {
            let nearest = nearest(&name, known);
            let message = match nearest {
                Some(nearest) => format!("unknown key; did you mean {nearest}?"),
                None => format!("unknown key; allowed: {}", known.join(", ")),
            };
            item.context.problem(&at, &item.path, message);
        }
    }
}

/// The known name that was probably meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1)
                .min(row[j] + 1)
                .min(diagonal + usize::from(x != y));
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}
