//! The path that goes upstream, joined from the service's and the request's as Kong joins them
//! (`path_handling: v0`).

/// Joins the service's path with the request's, of which `matched` bytes are removed if the route
/// strips its prefix.
#[must_use]
pub(crate) fn upstream_path(base: &str, path: &str, matched: usize, strip: bool) -> String {
    if strip {
        let rest = path.get(matched..).unwrap_or_default();
        let ends_in_slash = path.len() > 1 && path.ends_with('/');
        return match (base.strip_suffix('/'), rest.strip_prefix('/')) {
            (Some(""), _) if rest.is_empty() => "/".to_owned(),
            (Some(_), _) if rest.is_empty() && ends_in_slash => base.to_owned(),
            (Some(trimmed), _) if rest.is_empty() => trimmed.to_owned(),
            (None, _) if rest.is_empty() && ends_in_slash => format!("{base}/"),
            (None, _) if rest.is_empty() => base.to_owned(),
            (Some(_), Some(rest)) => format!("{base}{rest}"),
            (Some(_), None) | (None, Some(_)) => format!("{base}{rest}"),
            (None, None) => format!("{base}/{rest}"),
        };
    }
    format!("{}{path}", base.strip_suffix('/').unwrap_or(base))
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
                upstream_path(base, path, matched, strip),
                expected,
                "{base} {path} {strip}"
            );
        }
    }
}
