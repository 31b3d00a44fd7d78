//! The page `docs/configuration.md`, made from the table of parameters so that it cannot lie.

use std::fmt::Write as _;

use super::parameters::{Kind, PARAMETERS};

/// The head of the page: what is not in the table.
const HEAD: &str = include_str!("reference_head.md");

/// The whole page.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n| parameter | type | default | meaning |\n|---|---|---|---|\n");
    for parameter in PARAMETERS.iter().filter(|parameter| parameter.implemented) {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            parameter.name,
            kind(parameter.kind),
            default(parameter.default),
            parameter.meaning
        );
    }
    page.push_str(
        "\n## Parameters that are not implemented yet\n\nAccepted at `null` or at their default, as in \
         Kong's exports; at any other value the configuration is refused.\n\n| parameter | type | default |\n|---|---|---|\n",
    );
    for parameter in PARAMETERS.iter().filter(|parameter| !parameter.implemented) {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            parameter.name,
            kind(parameter.kind),
            default(parameter.default)
        );
    }
    page
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Word => "word",
        Kind::Bool => "boolean",
        Kind::Number => "number",
        Kind::Duration => "duration",
        Kind::List => "list",
        Kind::Table => "table",
    }
}

fn default(default: Option<&str>) -> String {
    match default {
        None => "–".to_owned(),
        Some("") => "`[]`".to_owned(),
        Some(text) => format!("`{}`", text.replace(',', ", ")),
    }
}
