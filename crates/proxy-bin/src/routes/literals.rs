//! What a path has to begin with for a regular expression to match it.

use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, Look};

/// Further ones would be a longer way to the same.
const MOST: usize = 16;

/// The beginnings of which any path has one that this expression matches; the empty one if nothing
/// is known.
pub(super) fn beginnings(expression: &str) -> Vec<Vec<u8>> {
    regex_syntax::parse(expression)
        .ok()
        .and_then(|hir| known(&hir))
        .unwrap_or_else(|| vec![Vec::new()])
}

fn known(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    // What a match begins with says nothing of the path if it may stand anywhere in it.
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return None;
    }
    let mut found = Extractor::new().limit_total(MOST).extract(hir);
    found.dedup();
    let literals = found.literals()?;
    let literals = literals.iter().map(|literal| literal.as_bytes().to_vec());
    Some(literals.collect()).filter(|literals: &Vec<_>| literals.len() <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_gives_what_its_matches_begin_with() {
        for (expression, expected) in [
            (r"^(?:/api/\d+$)", &["/api/"][..]),
            ("^(?:/api)", &["/api"]),
            ("^(?:/a|/bc)", &["/a", "/bc"]),
            ("^(?:/a(b|c)d)", &["/abd", "/acd"]),
            ("^(?:/x+)", &["/x"]),
            ("^(?:/x?y)", &["/xy", "/y"]),
            ("^(?:(?i)/a)", &["/A", "/a"]),
            ("^(?:.*)", &[""]),
            ("^(?:)", &[""]),
            // It closes the bracket that anchors it.
            ("^(?:/a)|(?:/b)", &[""]),
            ("/a", &[""]),
            ("(?m)^/a", &[""]),
            ("(", &[""]),
        ] {
            let found = beginnings(expression);
            let found: Vec<_> = found
                .iter()
                .map(|literal| String::from_utf8_lossy(literal).into_owned())
                .collect();
            assert_eq!(found, expected, "{expression}");
        }
    }
}
