//! What a reason code means, and what to do about it.

/// The reason in words, and the next thing to try. The most specific entry speaks.
pub(super) fn of(code: &str) -> &'static str {
    ADVICE
        .iter()
        .filter(|(prefix, _)| code.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or("the log says more at level debug", |(_, advice)| advice)
}

const ADVICE: &[(&str, &str)] = &[
    (
        "acl.group_not_allowed",
        "the plugin acl lets none of the caller's groups through, or none is known: check authenticated_groups_claim, the consumer's acls, and allow or deny",
    ),
    (
        "authorization.",
        "the token is good and lacks what *_required asks for: grant it at the provider, or mend the requirement",
    ),
    (
        "authorization.claim_forbidden",
        "the token holds a claim that claims_forbidden names",
    ),
    (
        "authorization.consumer_unknown",
        "no consumer has the value of consumer_claims: add one, or set consumer_optional",
    ),
    (
        "authorization.consumer_group_unknown",
        "no consumer group has the value of consumer_groups_claim: add one, or set consumer_groups_optional",
    ),
    (
        "authorization.claims_unavailable",
        "the access token is opaque, so that a required claim cannot be seen in it",
    ),
    (
        "client.assertion_failed",
        "the gateway could not sign its client assertion: check client_alg and client_jwk",
    ),
    (
        "client.invalid_client",
        "the provider refuses the gateway's own client: check client_id, client_secret and client_auth; for private_key_jwt, that the provider can fetch the gateway's JWKS",
    ),
    (
        "client.invalid_request",
        "the provider calls the gateway's request invalid: check token_post_args and what the client is set to require",
    ),
    (
        "client.invalid_scope",
        "the provider does not know one of scopes for this client",
    ),
    (
        "client.unauthorized_client",
        "the provider does not let this client use this grant, or its secret is wrong: check the client's settings at the provider",
    ),
    (
        "client_credentials.refused",
        "the provider refuses the caller's client id or secret",
    ),
    (
        "credential.",
        "what was sent cannot be a credential; the provider was not asked",
    ),
    (
        "credential.missing",
        "nothing was found where *_param_type and *_param_name say: check the name on the wire and auth_methods",
    ),
    (
        "credential.repeated",
        "the credential is given twice: which one counts would be anybody's guess",
    ),
    (
        "discovery.",
        "the discovery document cannot be used: open the issuer's /.well-known/openid-configuration",
    ),
    (
        "discovery.issuer_mismatch",
        "the discovery document names another issuer: set issuer to the name that it gives, host and port included",
    ),
    (
        "dpop.",
        "the DPoP proof is refused: it has to be new, for this method and URL, of this token, and by the token's key",
    ),
    (
        "dpop.bearer_scheme",
        "the token is bound to a key: present it by the scheme DPoP, with a proof in the header DPoP",
    ),
    (
        "dpop.nonce_",
        "a nonce is asked for: use the one of the answer's header DPoP-Nonce",
    ),
    (
        "dpop.off",
        "the scheme DPoP is not taken here: set proof_of_possession_dpop",
    ),
    (
        "dpop.url_mismatch",
        "the proof is for another URL: behind a load balancer, list it in trusted_ips, so that scheme and host are known as clients see them",
    ),
    (
        "gateway.too_many_flights",
        "the gateway is at its bound of token requests under way",
    ),
    (
        "id_token.",
        "the provider issued an ID token that fails verification",
    ),
    (
        "id_token.subject_changed",
        "the refreshed ID token is about another subject: the answer is not believed",
    ),
    (
        "introspection.inactive",
        "the provider says that the token is not active; Keycloak says so as well if the asking client is not in the token's audience",
    ),
    (
        "introspection.token_type_missing",
        "the provider does not say that this is an access token: it may be a refresh token; if it never says so, set introspection_check_token_type to false",
    ),
    (
        "introspection.unsupported_token_type",
        "the provider does not introspect tokens of this kind: take signed tokens by the method bearer",
    ),
    (
        "introspection_response.",
        "the introspection endpoint's answer is not what RFC 7662 says",
    ),
    (
        "mtls.",
        "the token has to be bound to the client's certificate, and the client has to show that certificate",
    ),
    (
        "mtls.certificate_missing",
        "the client showed no certificate: set client_auth of the listener, or have a proxy in trusted_ips hand it on",
    ),
    (
        "possession.",
        "the token's claim cnf cannot be read, or binds it by means that cannot be checked here",
    ),
    (
        "password.invalid_grant",
        "the provider refuses the user name or the password, or the account is not fully set up",
    ),
    ("provider.", "the provider did not give a usable answer"),
    (
        "provider.keys_unavailable",
        "the provider's keys cannot be fetched: check jwks_uri and the network",
    ),
    (
        "provider.redirected",
        "the provider answers with a redirect, which is never followed: set issuer to the final address",
    ),
    (
        "provider.timeout",
        "the provider did not answer within timeout",
    ),
    (
        "provider.unreachable",
        "no connection to the provider: check issuer, DNS, the network, and whether its certificate is of an authority that the system or gateway.trusted_certificates knows",
    ),
    (
        "refresh_token.client_mismatch",
        "the refresh token was issued to another client: add that client to client_id, with its secret or key at the same place of the other lists",
    ),
    (
        "refresh_token.invalid_grant",
        "the provider refuses the refresh token: expired, revoked, used before, or its session has ended; the client has to sign in again",
    ),
    (
        "refresh_token.invalid_scope",
        "the refresh token's scope is no longer granted",
    ),
    (
        "request.",
        "the request is refused as it stands, before anything is decided on it",
    ),
    (
        "request.needs_https",
        "the route takes https alone: ask by https, or add http to its protocols",
    ),
    (
        "request.no_route",
        "no route fits: check paths, hosts, methods and headers of routes",
    ),
    (
        "request.target_ambiguous",
        "the target means another route to a reader that decodes %2F, %5C or ;parameters",
    ),
    ("token.", "the token fails verification"),
    (
        "token.opaque",
        "the token is not a signed one: add introspection or userinfo to auth_methods, or have the provider issue JWTs",
    ),
    (
        "token.expired",
        "the token has expired: get a new one, compare the clocks, or set leeway",
    ),
    (
        "token.issued_in_future",
        "the provider's clock is ahead: compare the clocks, or set leeway",
    ),
    (
        "token.issuer_mismatch",
        "the token names another issuer than the discovery document: a provider reached by two host names does that; set issuers_allowed",
    ),
    (
        "token_exchange.refused",
        "the provider does not exchange this token: check the client's permissions there, the token's audience, and token_exchange.request",
    ),
    (
        "userinfo.refused",
        "the provider tells nothing about a user with this token: ask for the scope openid",
    ),
    (
        "userinfo_response.",
        "the userinfo endpoint's answer is not what OIDC Core §5.3 says",
    ),
    (
        "token_response.",
        "the token endpoint's answer is not what RFC 6749 says",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_advice_is_given() {
        assert!(of("refresh_token.client_mismatch").contains("client_id"));
        assert_ne!(of("token.expired"), of("token.wrong_type"));
        assert_eq!(of("nothing.known"), "the log says more at level debug");
    }
}
