//! Where a request's credential is: the seam for what is not `Authorization: Bearer`, and its
//! default. RFC 6750 §2.1; the contract: a credential given twice is 400, never first-wins.

use http::header::AUTHORIZATION;
use http::request::Parts;
use oidc_core::{Credential, CredentialKind, Denial, Reason, Secret};

/// Takes the credential out of a request's head.
///
/// What it takes it removes, so that it does not get to the service. A closure is one, too:
///
/// ```
/// use oidc_broker::layer::Extract;
/// use oidc_core::{Credential, Denial, Reason, Secret};
///
/// fn refresh_token(head: &mut http::request::Parts) -> Result<Option<Credential>, Denial> {
///     let lines = head.headers.get_all("refresh-token").iter().count();
///     let token = head.headers.remove("refresh-token");
///     match token.as_ref().map(|token| token.to_str()) {
///         None => Ok(None),
///         Some(Ok(token)) if lines == 1 => Ok(Some(Credential::RefreshToken(Secret::new(token)))),
///         _ => Err(Denial::new(Reason::CredentialMalformed("credential.malformed_bytes"))),
///     }
/// }
/// # fn is(_: impl Extract) {}
/// is(refresh_token);
/// ```
pub trait Extract: Send + Sync + 'static {
    /// The credential, if there is one.
    ///
    /// # Errors
    /// If there is something that cannot be one, or more than one.
    fn extract(&self, head: &mut Parts) -> Result<Option<Credential>, Denial>;
}

impl<F> Extract for F
where
    F: Fn(&mut Parts) -> Result<Option<Credential>, Denial> + Send + Sync + 'static,
{
    fn extract(&self, head: &mut Parts) -> Result<Option<Credential>, Denial> {
        self(head)
    }
}

/// The token of `Authorization: Bearer`. The header is removed, unless it is [`kept`](Self::kept).
#[derive(Clone, Copy, Debug, Default)]
pub struct BearerToken {
    keep: bool,
}

impl BearerToken {
    /// The same, and the service gets to see the header.
    #[must_use]
    pub const fn kept() -> Self {
        Self { keep: true }
    }
}

impl Extract for BearerToken {
    fn extract(&self, head: &mut Parts) -> Result<Option<Credential>, Denial> {
        let mut lines = head.headers.get_all(AUTHORIZATION).iter();
        let token = match (lines.next(), lines.next()) {
            (None, _) => return Ok(None),
            (Some(_), Some(_)) => return Err(malformed("credential.repeated")),
            (Some(line), None) => match after_scheme(line.as_bytes()) {
                None => return Ok(None),
                Some(token) => b64token(token)?,
            },
        };
        if !self.keep {
            head.headers.remove(AUTHORIZATION);
        }
        Ok(Some(Credential::Bearer(token)))
    }
}

/// What follows the scheme `Bearer`, whose case does not count (RFC 9110 §11.1).
fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked("bearer".len())?;
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    (scheme.eq_ignore_ascii_case(b"bearer") && ends).then(|| rest.trim_ascii())
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn b64token(bytes: &[u8]) -> Result<Secret, Denial> {
    if bytes.is_empty() {
        return Err(malformed("credential.empty"));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) => text,
        _ => return Err(malformed("credential.malformed_bytes")),
    };
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(allowed) {
        return Err(malformed("credential.not_b64token"));
    }
    Ok(Secret::new(text))
}

fn malformed(code: &'static str) -> Denial {
    Denial::new(Reason::CredentialMalformed(code)).for_kind(CredentialKind::Bearer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

    fn head(lines: &[&[u8]]) -> Parts {
        let mut request = Request::new(());
        for line in lines {
            let value = HeaderValue::from_bytes(line).expect("a value");
            request.headers_mut().append(AUTHORIZATION, value);
        }
        request.into_parts().0
    }

    #[test]
    fn a_token_is_found_once_or_not_at_all() {
        for (lines, found) in [
            (&[][..], Ok(None)),
            (
                &[&b"Bearer abc.d-e_f~g+h/i=="[..]],
                Ok(Some("abc.d-e_f~g+h/i==")),
            ),
            (&[b"bEaReR  x "], Ok(Some("x"))),
            (&[b"Basic am9objpkb2U="], Ok(None)),
            (&[b"DPoP x"], Ok(None)),
            (&[b"Bearerx"], Ok(None)),
            (&[b""], Ok(None)),
            (&[b"Bearer"], Err("credential.empty")),
            (&[b"Bearer "], Err("credential.empty")),
            (&[b"Bearer a b"], Err("credential.not_b64token")),
            (&[b"Bearer ="], Err("credential.not_b64token")),
            (&[b"Bearer a,b"], Err("credential.not_b64token")),
            (&[b"Bearer \xc3\xa4"], Err("credential.malformed_bytes")),
            (&[b"Bearer a\tb"], Err("credential.malformed_bytes")),
            (&[b"Bearer x", b"Bearer x"], Err("credential.repeated")),
            (&[b"Basic x", b"Bearer x"], Err("credential.repeated")),
        ] {
            let mut head = head(lines);
            let extracted = BearerToken::default().extract(&mut head);
            let expected = found.map(|token| token.map(|token| Credential::Bearer(token.into())));
            let extracted = extracted.map_err(|denial| denial.reason().code());
            assert_eq!(extracted, expected, "{lines:?}");
            // What is no bearer token is not this one's to remove.
            let removed = matches!(extracted, Ok(Some(_)));
            assert_eq!(head.headers.is_empty(), removed || lines.is_empty());
        }
    }

    #[test]
    fn it_stays_where_that_is_asked_for() {
        let mut head = head(&[b"Bearer x"]);
        let extracted = BearerToken::kept().extract(&mut head);
        assert!(matches!(extracted, Ok(Some(Credential::Bearer(_)))));
        assert_eq!(head.headers[AUTHORIZATION], "Bearer x");
    }
}
