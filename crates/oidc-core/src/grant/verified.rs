//! From tokens that came, and keys, to a result: the contract's section 3, OIDC Core §12.2,
//! RFC 7662 §2.2, RFC 9701 §5.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::granted::{Granted, UserInfo};
use super::inquiry::{self, Said};
use super::received::Received;
use super::{Grant, GrantPolicy};
use crate::jose::{Claims, CompactJws, JwsError, KeySet};
use crate::provider::{Defect, Endpoint, ProviderMetadata};
use crate::verify::{
    AccessTokenPolicy, AnswerPolicy, IdTokenPolicy, TokenKind, Verified, VerifyError,
    is_of_another_kind, looks_signed, peek, verify_access_token, verify_answer, verify_id_token,
};
use crate::{Credential, CredentialKind, Denial, Reason, UnixTime};

/// Why tokens are not given out.
pub(super) enum Refused {
    /// A token is not acceptable.
    Token(&'static str),
    /// No key verifies it.
    Keyless(JwsError),
    /// The provider's answer says so.
    Presented(Denial),
    /// It is about somebody else.
    Subject,
}

impl Refused {
    /// Whether other keys might verify it.
    pub(super) const fn is_for_want_of_keys(&self) -> bool {
        matches!(self, Self::Keyless(_))
    }
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self::Presented(denial)
    }
}

/// What a result is made of.
pub(super) struct Evidence<'a> {
    pub(super) grant: &'a Grant,
    pub(super) metadata: &'a ProviderMetadata,
    pub(super) received: &'a Received,
    pub(super) keys: &'a KeySet,
    /// Where the keys are from.
    pub(super) key_set: &'a Url,
}

impl Evidence<'_> {
    pub(super) fn granted(self) -> Result<Granted, Refused> {
        match (self.grant.kind(), &self.received.said) {
            (CredentialKind::Introspection, Some(said)) => self.introspected(said),
            (CredentialKind::UserInfo, Some(said)) => self.described(said),
            // Nobody vouches for it.
            (CredentialKind::Introspection, None) => Err(malformed(Endpoint::Introspection)),
            (CredentialKind::UserInfo, None) => Err(malformed(Endpoint::UserInfo)),
            _ => self.issued(),
        }
    }

    fn policy(&self) -> &GrantPolicy {
        &self.grant.policy
    }

    fn issuers(&self) -> &[String] {
        let verification = &self.policy().verification;
        if verification.issuers_allowed.is_empty() {
            std::slice::from_ref(&self.metadata.issuer)
        } else {
            &verification.issuers_allowed
        }
    }

    fn checks_signatures(&self) -> bool {
        let verification = &self.policy().verification;
        verification.checks_signature(self.grant.kind())
    }

    /// Tokens that were issued or presented.
    fn issued(self) -> Result<Granted, Refused> {
        let (grant, received) = (self.grant, self.received);
        let kind = grant.kind();
        let verification = &self.policy().verification;
        let now = received.received_at;
        let issuers = self.issuers();
        let signature = self.checks_signatures();
        let access_token = received.access_token.expose();
        let access_token_claims = if looks_signed(access_token) {
            let policy = AccessTokenPolicy {
                issuers,
                algorithms: verification.algorithms,
                leeway: verification.leeway,
                typ: verification
                    .typ
                    .as_deref()
                    .filter(|_| kind == CredentialKind::Bearer),
                verify_signature: signature,
                verify_claims: verification.claims,
            };
            let verified = verify_access_token(access_token, self.keys, &policy, now)?;
            Some(Arc::new(verified))
        } else {
            None
        };
        let client_id = match &grant.credential {
            Credential::ClientCredentials { client_id, .. } => client_id.clone(),
            _ => grant.client_id().to_owned(),
        };
        let id_token = match &received.id_token {
            None => None,
            Some(token) => {
                let policy = IdTokenPolicy {
                    issuers,
                    client_id: &client_id,
                    algorithms: verification.algorithms,
                    leeway: verification.leeway,
                    nonce: None,
                    access_token: Some(access_token),
                    verify_signature: signature,
                    verify_claims: verification.claims,
                };
                let claims = verify_id_token(token.expose(), self.keys, &policy, now)?;
                Some((token.clone(), Arc::new(claims)))
            }
        };
        let by_claim = access_token_claims
            .as_deref()
            .and_then(|claims| claims.get().expires_at());
        let granted = Granted {
            client_id,
            access_token_claims,
            id_token,
            expires_at: self.ends(received.expires_at, by_claim),
            ..self.bare()
        };
        // OIDC Core §12.2: `iss` and `sub` must be the same as before.
        match (&granted.expected_subject, &granted.id_token) {
            (Some(before), Some(_))
                if kind == CredentialKind::RefreshToken
                    && granted.subject().as_ref() != Some(before) =>
            {
                Err(Refused::Subject)
            }
            _ => Ok(granted),
        }
    }

    /// What the provider says about a token.
    fn introspected(self, said: &Said) -> Result<Granted, Refused> {
        let policy = self.policy();
        let check_active = policy.introspection.check_active;
        let answer = match said {
            Said::Plain(members) => inquiry::introspected(members.clone(), None, check_active)?,
            Said::Signed { jwt, typed } => {
                let verified = self.answer(jwt.expose(), typed.then_some(INTROSPECTION_JWT))?;
                let members = match verified.get().claim(&["token_introspection"]) {
                    Some(Value::Object(members)) => members.clone(),
                    Some(_) => return Err(malformed(Endpoint::Introspection)),
                    None if *typed => return Err(malformed(Endpoint::Introspection)),
                    // A token that speaks for itself: whoever is told its claims is told that it
                    // is active.
                    None => {
                        let mut members = verified.get().members();
                        members.entry("active").or_insert(Value::Bool(true));
                        members
                    }
                };
                inquiry::introspected(members, Some(jwt.clone()), check_active)?
            }
        };
        let claims = answer.claims();
        let verification = &policy.verification;
        let now = self.received.received_at;
        if names_another_kind(claims) || self.presented_is_of_another_kind() {
            return Err(Refused::Token(VerifyError::Type.code()).callers());
        }
        if policy.introspection.check_type && !names_access_token(claims) && !self.is_typed(said) {
            return Err(Refused::Token("introspection.token_type_missing").callers());
        }
        if verification.claims {
            let foreign = |issuer: &str| self.issuers().iter().all(|allowed| allowed != issuer);
            if claims.issuer().is_some_and(foreign) {
                return Err(Refused::Token(VerifyError::Issuer.code()).callers());
            }
            let leeway = verification.leeway;
            if claims
                .expires_at()
                .is_some_and(|end| end.plus(leeway) <= now)
            {
                return Err(Refused::Token(VerifyError::Expired.code()).callers());
            }
            let early = |start: UnixTime| start > now.plus(leeway);
            if claims.not_before().is_some_and(early) {
                return Err(Refused::Token(VerifyError::NotYetValid.code()).callers());
            }
        }
        Ok(Granted {
            expires_at: self.ends(None, claims.expires_at()),
            introspection: Some(Arc::new(answer)),
            ..self.bare()
        })
    }

    /// What the provider says about a user.
    fn described(self, said: &Said) -> Result<Granted, Refused> {
        let answer = match said {
            Said::Plain(members) => inquiry::described(members.clone(), None)?,
            Said::Signed { jwt, .. } => {
                let verified = self.answer(jwt.expose(), None)?;
                inquiry::described(verified.get().members(), Some(jwt.clone()))?
            }
        };
        if self.presented_is_of_another_kind() {
            return Err(Refused::Token(VerifyError::Type.code()).callers());
        }
        // The answer is no better than the token: it only says when itself would have to be asked
        // for again.
        let end = presented(self.received).and_then(|claims| claims.expires_at());
        Ok(Granted {
            expires_at: self.ends(None, end),
            user_info: UserInfo::Known(Arc::new(answer)),
            ..self.bare()
        })
    }

    fn answer(&self, jwt: &str, typ: Option<&'static str>) -> Result<Verified<Claims>, Refused> {
        let verification = &self.policy().verification;
        let policy = AnswerPolicy {
            issuer: &self.metadata.issuer,
            client_id: self.grant.client_id(),
            typ,
            algorithms: verification.algorithms,
            leeway: verification.leeway,
            verify_signature: self.checks_signatures(),
        };
        let now = self.received.received_at;
        Ok(verify_answer(jwt, self.keys, &policy, now)?)
    }

    /// Whether the token is known to be an access token without the provider's saying so.
    fn is_typed(&self, said: &Said) -> bool {
        match peek(self.received.access_token.expose()) {
            // It has been verified as one before it is asked about.
            Ok(TokenKind::Jws { .. }) if self.policy().access_tokens.bearer => true,
            Ok(TokenKind::Jws { .. }) => {
                let token = CompactJws::parse(self.received.access_token.expose());
                let typ = token
                    .ok()
                    .and_then(|jws| jws.typ().map(str::to_ascii_lowercase));
                matches!(typ.as_deref(), Some("at+jwt" | "application/at+jwt"))
            }
            // The answer is the token's own signed twin.
            _ => matches!(said, Said::Signed { typed: false, .. }),
        }
    }

    fn presented_is_of_another_kind(&self) -> bool {
        presented(self.received).is_some_and(|claims| is_of_another_kind(&claims))
    }

    /// When a result ends.
    fn ends(&self, by_response: Option<UnixTime>, by_claim: Option<UnixTime>) -> UnixTime {
        match (by_response, by_claim) {
            (Some(response), Some(claim)) => response.min(claim),
            (Some(end), None) | (None, Some(end)) => end,
            (None, None) => self.received.received_at.plus(self.policy().cache_ttl),
        }
    }

    /// A result in which nothing is said yet.
    fn bare(&self) -> Granted {
        let (grant, received) = (self.grant, self.received);
        let kind = grant.kind();
        let verification = &self.policy().verification;
        let own = self.policy().provider.jwks_uri_of(self.metadata);
        Granted {
            kind,
            client_id: grant.client_id().to_owned(),
            access_token: received.access_token.clone(),
            access_token_claims: None,
            key_set: (kind == CredentialKind::Bearer).then(|| Arc::new(self.key_set.clone())),
            id_token: None,
            refresh_token: received.refresh_token.clone(),
            scope: received.scope.clone(),
            received_at: received.received_at,
            expires_at: received.received_at,
            uncacheable: received.uncacheable,
            issuer: self.metadata.issuer.clone(),
            verified: verification.discriminant(kind, own),
            expected_subject: received.subject.clone(),
            introspection: None,
            user_info: UserInfo::NotAsked,
            presented: None,
        }
    }
}

/// RFC 9701 §5.
const INTROSPECTION_JWT: &str = "token-introspection+jwt";

impl Refused {
    /// The same, of a token that the caller presented.
    fn callers(self) -> Self {
        match self {
            Self::Token(code) => Self::Presented(Reason::AccessTokenRefused(code).into()),
            other => other,
        }
    }
}

fn malformed(endpoint: Endpoint) -> Refused {
    Refused::Presented(endpoint.defect(Defect::Malformed).into())
}

/// Whether an introspection names another kind of token: some providers answer for refresh tokens,
/// too.
fn names_another_kind(claims: &Claims) -> bool {
    is_of_another_kind(claims)
        || claims
            .text("token_type")
            .is_some_and(|kind| !is_access(kind))
}

/// Whether it names a kind at all, by the type that only access tokens have (RFC 7662 §2.2, RFC 6749
/// §7.1).
fn names_access_token(claims: &Claims) -> bool {
    let named = [claims.text("token_type"), claims.text("typ")];
    named.into_iter().flatten().any(is_access)
}

fn is_access(kind: &str) -> bool {
    let kinds = ["bearer", "dpop", "pop", "mac", "access_token", "access"];
    kinds.iter().any(|access| access.eq_ignore_ascii_case(kind))
}

/// What a presented token says of itself; used against it alone.
fn presented(received: &Received) -> Option<Claims> {
    let jws = CompactJws::parse(received.access_token.expose()).ok()?;
    Claims::parse(&jws.payload().ok()?).ok()
}
