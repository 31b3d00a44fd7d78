//! When two URLs are the same target: RFC 9449 §4.3 check 9, by the normalisations of
//! RFC 3986 §6.2.2 and §6.2.3.

use std::fmt::Write as _;

use url::Url;

/// Whether the claim `htu` names this target, ignoring query and fragment of both.
pub(super) fn names(htu: &str, target: &Url) -> bool {
    // The reader of URLs is made for what people type: it drops tabs and line ends, and takes a
    // backslash for a slash. None of these can stand in a URI (RFC 3986 §2).
    if !htu.bytes().all(|byte| byte.is_ascii_graphic()) || htu.contains('\\') {
        return false;
    }
    let Ok(claimed) = Url::parse(htu) else {
        return false;
    };
    // It also takes any number of slashes before the host, and none.
    let has_authority = htu
        .get(claimed.scheme().len()..)
        .and_then(|rest| rest.strip_prefix("://"))
        .is_some_and(|rest| !rest.starts_with('/'));
    has_authority
        && matches!(claimed.scheme(), "http" | "https")
        && claimed.username().is_empty()
        && claimed.password().is_none()
        && claimed.scheme() == target.scheme()
        && claimed.host() == target.host()
        && claimed.port_or_known_default() == target.port_or_known_default()
        && normalised(claimed.path()) == normalised(target.path())
}

/// The target without query and fragment, as a proof names it.
pub(super) fn named(target: &Url) -> String {
    let mut target = target.clone();
    target.set_query(None);
    target.set_fragment(None);
    target.into()
}

/// A path whose triplets stand only for what has to be encoded, in upper case. The URL's reader
/// has removed dot segments already, also the encoded ones.
fn normalised(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.get(..2).map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(byte)) if !after.starts_with('+') => {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "%{byte:02X}");
                }
                rest = &after[2..];
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: &str = "https://api.test/a%2Fb/~c/%C3%A9?q=1";

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn each_spelling_of_the_target_names_it_and_its_twin_does_not() {
        for (target, same, other) in [
            (TARGET, TARGET, "https://api.test/a%2Fb/~c/%C3%A8"),
            (
                TARGET,
                "https://api.test/a%2Fb/~c/%C3%A9",
                "https://api.test/a/b/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/a%2fb/~c/%c3%a9",
                "https://api.test/a%2fb/~c/%c3%a9/",
            ),
            (
                TARGET,
                "https://api.test/a%2Fb/%7Ec/%C3%A9",
                "https://api.test/a%2Fb/%257Ec/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/%61%2Fb/~c/%C3%A9",
                "https://api.test/%41%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/x/../a%2Fb/~c/%C3%A9",
                "https://api.test/x/a%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/a%2Fb/./~c/%C3%A9",
                "https://api.test/a%2Fb//~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/a%2Fb/%2e/~c/%C3%A9",
                "https://api.test/A%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "HTTPS://API.Test/a%2Fb/~c/%C3%A9",
                "http://api.test/a%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test:443/a%2Fb/~c/%C3%A9",
                "https://api.test:8443/a%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/a%2Fb/~c/%C3%A9?other",
                "https://api.test.evil/a%2Fb/~c/%C3%A9",
            ),
            (
                TARGET,
                "https://api.test/a%2Fb/~c/%C3%A9#part",
                "https://u@api.test/a%2Fb/~c/%C3%A9",
            ),
            (
                "https://api.test",
                "https://api.test/",
                "https://api.test//",
            ),
            ("https://api.test/", "https://api.test", "https:api.test"),
            (
                "https://api.test/",
                "https://api.test?q",
                "https:///api.test/",
            ),
            (
                "https://api.test/",
                "https://api.test#f",
                "https:\\\\api.test/",
            ),
            (
                "https://api.test/",
                "https://api.test:/",
                "https://api.test/ ",
            ),
            (
                "https://api.test/ab",
                "https://api.test/ab",
                "https://api.test/a\tb",
            ),
            ("https://api.test/", "https://api.test/", "/"),
            ("https://api.test/", "https://api.test/", "//api.test/"),
            (
                "https://api.test/",
                "https://api.test/",
                "https://:p@api.test/",
            ),
            ("https://api.test/", "https://api.test/", ""),
            (
                "http://[::1]:8000/",
                "http://[0:0::1]:8000",
                "http://[::2]:8000",
            ),
            (
                "http://api.test:80/%+1",
                "http://api.test/%+1",
                "http://api.test/%01",
            ),
            (
                "http://api.test:443/%",
                "http://api.test:443/%",
                "https://api.test/%",
            ),
        ] {
            assert!(names(same, &url(target)), "{same} names {target}");
            assert!(
                !names(other, &url(target)),
                "{other} does not name {target}"
            );
        }
    }

    #[test]
    fn a_target_is_named_without_query_and_fragment() {
        assert_eq!(named(&url("https://a.test:443/b?c#d")), "https://a.test/b");
    }

    proptest! {
        #[test]
        fn a_normalised_path_stays_as_it_is(path in "(/|%[0-9a-fA-F]{2}|[a-z.~é]){0,24}") {
            let once = normalised(&path);
            prop_assert_eq!(normalised(&once), once);
        }

        #[test]
        fn a_url_names_itself(path in "[ -~é]{0,24}") {
            let target = url(&format!("https://api.test/{path}"));
            prop_assert!(names(&named(&target), &target), "{}", target);
        }
    }
}
