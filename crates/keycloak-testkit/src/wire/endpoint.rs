//! The endpoints of a realm, told apart by their paths.

/// An endpoint of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The metadata (OpenID Connect Discovery §4).
    Discovery,
    /// The provider's public keys (RFC 7517).
    Jwks,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// Token introspection (RFC 7662).
    Introspection,
    /// The user's claims (OpenID Connect Core §5.3).
    Userinfo,
    /// Token revocation (RFC 7009).
    Revocation,
    /// The end of a session.
    Logout,
    /// Everything else.
    Other,
}

impl Endpoint {
    /// The endpoint at this path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.ends_with("/.well-known/openid-configuration")
            || path.contains("/.well-known/oauth-authorization-server")
        {
            return Self::Discovery;
        }
        let Some((_, below)) = path.split_once("/protocol/openid-connect/") else {
            return Self::Other;
        };
        match below {
            "certs" => Self::Jwks,
            "token" => Self::Token,
            "token/introspect" => Self::Introspection,
            "userinfo" => Self::Userinfo,
            "revoke" => Self::Revocation,
            "logout" => Self::Logout,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn tells_endpoints_apart_by_path() {
        let base = "/realms/kong/protocol/openid-connect";
        let cases = [
            (
                "/realms/kong/.well-known/openid-configuration".to_owned(),
                Endpoint::Discovery,
            ),
            (format!("{base}/certs"), Endpoint::Jwks),
            (format!("{base}/token"), Endpoint::Token),
            (format!("{base}/token/introspect"), Endpoint::Introspection),
            (format!("{base}/userinfo"), Endpoint::Userinfo),
            (format!("{base}/revoke"), Endpoint::Revocation),
            (format!("{base}/logout"), Endpoint::Logout),
            (format!("{base}/auth"), Endpoint::Other),
            ("/token".to_owned(), Endpoint::Other),
        ];
        for (path, expected) in cases {
            assert_eq!(Endpoint::of(&path), expected, "{path}");
        }
    }
}
