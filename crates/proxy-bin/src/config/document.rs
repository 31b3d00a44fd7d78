//! What was written, with its lines: YAML, JSON (which is YAML) or TOML read into one tree.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{ExternalMessageSource, Spanned};

use super::problems::{Place, Problem, Problems};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Tree,
    pub(super) at: Written,
}

/// Where: a line of the file, or a variable.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Line(usize),
    Variable(String),
}

#[derive(Clone, Debug)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// From the environment: takes the type that is expected of it; where that is a list, its
    /// items are the second half.
    Loose(String, Vec<Node>),
    List(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Toml,
}

impl Format {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            _ => Self::Yaml,
        }
    }
}

/// Nodes of one file; far above any real one (10 000 routes with plugins of their own are some
/// 300 000), far below what hurts.
const NODES_MAX: usize = 1_000_000;

pub(super) fn read(file: &str, format: Format, text: &str) -> Result<Node, Problems> {
    let fail = |line, message| {
        let place = Place::File {
            file: file.to_owned(),
            line,
        };
        Problems::one(Problem::new(place, "", message))
    };
    match format {
        Format::Yaml if text.trim().is_empty() => Ok(Node {
            value: Tree::Null,
            at: Written::Line(1),
        }),
        Format::Yaml => {
            let mut options = serde_saphyr::Options::default();
            options.strict_booleans = true;
            // A snippet would print what stands there, secrets and all.
            options.with_snippet = false;
            options.duplicate_keys = serde_saphyr::options::DuplicateKeyPolicy::PassThrough;
            if let Some(budget) = &mut options.budget {
                budget.max_nodes = NODES_MAX;
            }
            serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options)
                .map(Node::from)
                .map_err(|error| {
                    let line = error.location().map_or(0, |location| location.line());
                    let because = reason(&error).map_or_else(String::new, |why| format!(": {why}"));
                    fail(
                        usize::try_from(line).unwrap_or(0),
                        format!("is not well-formed YAML{because}"),
                    )
                })
        }
        Format::Toml => {
            let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
            let line = |offset: usize| ends.partition_point(|end| *end < offset) + 1;
            let table = toml::de::DeTable::parse(text).map_err(|error| {
                let at = error.span().map_or(0, |span| line(span.start));
                fail(at, format!("is not well-formed TOML: {}", error.message()))
            })?;
            let value = toml_table(table.get_ref(), &line);
            Ok(Node {
                value,
                at: Written::Line(1),
            })
        }
    }
}

/// Why a document cannot be read, in words that hold nothing of it: a secret may stand there.
fn reason(error: &serde_saphyr::Error) -> Option<String> {
    use serde_saphyr::Error as E;
    use serde_saphyr::granit_parser::ErrorKind;
    let words = match error.without_snippet() {
        E::ExternalMessage { source, msg, .. } => match &**source {
            ExternalMessageSource::Parser(error) => match error.kind() {
                ErrorKind::UnexpectedCharacter { .. } => {
                    "a text that begins like this needs quotes"
                }
                ErrorKind::Custom(_)
                | ErrorKind::InputIo { .. }
                | ErrorKind::InputDecoding { .. } => return None,
                _ => msg,
            },
            _ => return None,
        },
        E::Eof { .. } => "it ends too early",
        E::MultipleDocuments { .. } => "there is a second document after ---",
        E::UnknownAnchor { .. } => "an alias stands for an anchor that is not there",
        E::Budget { .. } => "it is larger, or nested more deeply, than any configuration",
        E::NullIntoString { .. } => "a key is missing before its colon",
        _ => return None,
    };
    Some(words.to_owned())
}

fn toml_table(table: &toml::de::DeTable<'_>, line: &dyn Fn(usize) -> usize) -> Tree {
    let entries = table.iter().map(|(key, value)| {
        let key = Key {
            name: key.get_ref().to_string(),
            at: Written::Line(line(key.span().start)),
        };
        (key, toml_node(value, line))
    });
    Tree::Table(entries.collect())
}

fn toml_node(value: &toml::Spanned<toml::de::DeValue<'_>>, line: &dyn Fn(usize) -> usize) -> Node {
    use toml::de::DeValue as V;
    let at = Written::Line(line(value.span().start));
    let value = match value.get_ref() {
        V::String(text) => Tree::Text(text.to_string()),
        V::Integer(number) => number
            .as_str()
            .parse()
            .map_or(Tree::Text(number.to_string()), Tree::Integer),
        V::Float(number) => number
            .as_str()
            .parse()
            .map_or(Tree::Text(number.to_string()), Tree::Float),
        V::Boolean(flag) => Tree::Bool(*flag),
        V::Datetime(time) => Tree::Text(time.to_string()),
        V::Array(items) => Tree::List(items.iter().map(|item| toml_node(item, line)).collect()),
        V::Table(table) => toml_table(table, line),
    };
    Node { value, at }
}

impl From<Spanned<Tree>> for Node {
    fn from(spanned: Spanned<Tree>) -> Self {
        let line = usize::try_from(spanned.referenced.line()).unwrap_or(0);
        Self {
            value: spanned.value,
            at: Written::Line(line),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or_else(|_| Tree::Text(value.to_string()), Tree::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Tree>>()? {
            list.push(item.into());
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut table = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            let line = usize::try_from(key.referenced.line()).unwrap_or(0);
            let value = members.next_value::<Spanned<Tree>>()?;
            table.push((
                Key {
                    name: key.value,
                    at: Written::Line(line),
                },
                value.into(),
            ));
        }
        Ok(Tree::Table(table))
    }
}
