//! The path that goes upstream, joined from the service's and the request's as Kong joins them
//! (`path_handling: v0`).

use std::borrow::Cow;

use super::target::{BadTarget, climbs};

/// Joins the service's path with the request's, of which `matched` bytes are removed if the route
/// strips its prefix.
///
/// # Errors
/// If the result leads out of the service's path, for a strict reader or for a laxer one: a prefix
/// may end within a segment, so that `/a` leaves `../b` of `/a../b`.
pub(crate) fn upstream_path<'p>(
    base: &'p str,
    path: &'p str,
    matched: usize,
    strip: bool,
) -> Result<Cow<'p, str>, BadTarget> {
    let rest = if strip {
        path.get(matched..).unwrap_or_default()
    } else {
        path
    };
    if climbs(rest) {
        return Err(BadTarget::Ambiguous);
    }
    Ok(joined(base, path, rest, strip))
}

fn joined<'p>(base: &'p str, path: &'p str, rest: &'p str, strip: bool) -> Cow<'p, str> {
    if strip {
        let ends_in_slash = path.len() > 1 && path.ends_with('/');
        return match (base.strip_suffix('/'), rest.strip_prefix('/')) {
            (Some(""), _) if rest.is_empty() => "/".into(),
            (Some(""), Some(_)) => rest.into(),
            (Some(_), _) if rest.is_empty() && ends_in_slash => base.into(),
            (Some(trimmed), _) if rest.is_empty() => trimmed.into(),
            (None, _) if rest.is_empty() && ends_in_slash => format!("{base}/").into(),
            (None, _) if rest.is_empty() => base.into(),
            (Some(_), Some(rest)) => format!("{base}{rest}").into(),
            (Some(_), None) | (None, Some(_)) => format!("{base}{rest}").into(),
            (None, None) => format!("{base}/{rest}").into(),
        };
    }
    match base.strip_suffix('/').unwrap_or(base) {
        "" => path.into(),
        base => format!("{base}{path}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_kong_joins_them() {
        for (base, path, matched, strip, expected) in [
            ("/", "/", 1, true, "/"),
            ("/anything", "/", 1, true, "/anything"),
            ("/anything", "/a", 1, true, "/anything/a"),
            ("/", "/a/b", 2, true, "/b"),
            ("/", "/a", 2, true, "/"),
            ("/s", "/a", 2, true, "/s"),
            ("/s", "/a/", 2, true, "/s/"),
            ("/s/", "/a", 2, true, "/s"),
            ("/s/", "/a/", 2, true, "/s/"),
            ("/s/", "/a/b", 2, true, "/s/b"),
            ("/s", "/ab", 2, true, "/s/b"),
            ("/s/", "/ab", 2, true, "/s/b"),
            ("/", "/ab", 2, true, "/b"),
            ("/", "/a/b", 2, false, "/a/b"),
            ("/s", "/a/b", 2, false, "/s/a/b"),
            ("/s/", "/a/b", 2, false, "/s/a/b"),
        ] {
            assert_eq!(
                upstream_path(base, path, matched, strip).as_deref(),
                Ok(expected),
                "{base} {path} {strip}"
            );
        }
    }

    #[test]
    fn nothing_leads_out_of_the_services_path() {
        for (path, matched, strip, good) in [
            ("/a../b", 2, true, false),
            ("/a..", 2, true, false),
            ("/a./b", 2, true, false),
            ("/a../b", 2, false, true),
            ("/a..%2Fb", 2, true, false),
            ("/a/..%2Fb", 2, true, false),
            ("/a/b..%2Fc", 2, true, true),
            ("/a/b/..%2Fc", 2, true, true),
            ("/a/b/..%2F..%2Fc", 2, true, false),
            ("/..%2Fb", 1, true, false),
            ("/..%5Cb", 1, false, false),
            ("/..;/b", 1, false, false),
            ("/%252e%252e/b", 1, true, false),
            ("/a...", 2, true, true),
        ] {
            let joined = upstream_path("/s", path, matched, strip);
            assert_eq!(joined.is_ok(), good, "{path} {strip}");
        }
    }
}
