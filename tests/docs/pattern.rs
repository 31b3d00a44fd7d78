//! What a page says is printed, where `…` stands for anything.

/// Whether a text is what the pattern says, apart from white space at the ends of lines.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (trimmed(pattern), trimmed(text));
    let mut pieces = pattern.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn trimmed(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

#[test]
fn an_ellipsis_stands_for_anything() {
    for (pattern, text, fit) in [
        ("a", "a\n", true),
        ("a\nb\n", "a \r\nb", true),
        ("a", "ab", false),
        ("", "a", false),
        ("a…", "a", true),
        ("a…d", "abcd", true),
        ("…b…", "abc", true),
        ("a…b…c", "a1b2c", true),
        ("a…b…c", "a1c2b", false),
        ("a\n…\nd", "a\nb\nc\nd", true),
        ("ab…bc", "abc", false),
    ] {
        assert_eq!(fits(pattern, text), fit, "{pattern:?} {text:?}");
    }
}
