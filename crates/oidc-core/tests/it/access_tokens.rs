//! Access tokens that callers present: whose keys verify them, what the provider says about them,
//! and what follows from it. RFC 6750, RFC 7662, RFC 9701, RFC 8693, OIDC Core §5.3.

use std::sync::Arc;
use std::time::Duration;

use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::flight::{Entered, FlightTable};
use oidc_core::grant::{
    Ended, ExchangeConditions, Grant, GrantPolicy, Granted, ProviderReply, Step, SubjectIssuer,
    TokenExchange,
};
use oidc_core::jose::KeySet;
use oidc_core::provider::ProviderMetadata;
use oidc_core::{Credential, CredentialKind, Reason, Secret};
use serde_json::{Value, json};
use url::Url;

use crate::support::*;

pub(crate) fn taking(words: &str) -> GrantPolicy {
    let mut policy = policy();
    policy.access_tokens.bearer = words.contains("bearer");
    policy.access_tokens.introspection = words.contains("introspection");
    policy.access_tokens.userinfo = words.contains("userinfo");
    policy
}

pub(crate) fn presented(token: &str) -> Credential {
    Credential::Bearer(Secret::new(token))
}

pub(crate) fn good_token() -> String {
    access_token(at(0), Duration::from_secs(60))
}

/// Metadata of a provider that has every endpoint.
fn whole_metadata() -> Arc<ProviderMetadata> {
    let document = json!({
        "issuer": ISSUER,
        "token_endpoint": "https://idp.test/token",
        "jwks_uri": "https://idp.test/certs",
        "introspection_endpoint": "https://idp.test/introspect",
        "userinfo_endpoint": "https://idp.test/userinfo",
        "revocation_endpoint": "https://idp.test/revoke",
    });
    let document = document.to_string();
    Arc::new(ProviderMetadata::parse(document.as_bytes(), ISSUER).expect("metadata"))
}

#[track_caller]
fn entering(policy: &Arc<GrantPolicy>, credential: Credential) -> oidc_core::grant::AwaitFlight {
    let Step::Metadata(state) = Grant::start(Arc::clone(policy), credential, None) else {
        panic!("a grant begins with the provider's metadata");
    };
    match state.found(whole_metadata(), &fingerprints()) {
        Step::Flight(state) => state,
        other => panic!("metadata lead to a flight: {other:?}"),
    }
}

fn said(status: u16, media_type: &str, body: &str) -> ProviderReply {
    ProviderReply {
        content_type: Some(media_type.to_owned()),
        body: Secret::new(body),
        ..reply(status, &json!({}))
    }
}

/// What becomes of an opaque token of which the provider says this.
fn introspected(policy: GrantPolicy, reply: ProviderReply) -> Result<Arc<Granted>, Reason> {
    let policy = Arc::new(policy);
    let state = entering(&policy, presented("opaque"));
    let step = match state.lead(None, moment(at(0))) {
        Step::Call(state) => state.answered(Ok(reply), at(0)),
        step => step,
    };
    let step = match step {
        Step::Keys(state) => state.found(&keys(), at(0)),
        step => step,
    };
    end_of(step).result.map_err(|denial| denial.reason())
}

#[test]
fn the_provider_is_asked_as_a_client_and_the_token_stands_in_the_form_alone() {
    let mut policy = taking("introspection");
    policy.introspection.post_args = vec![("realm".to_owned(), Secret::new("a&b"))];
    policy.introspection.headers = vec![("x-tenant".to_owned(), Secret::new("t"))];
    let policy = Arc::new(policy);
    let state = entering(&policy, presented("opaque"));
    assert_eq!(state.grant().kind(), CredentialKind::Introspection);
    let Step::Call(state) = state.lead(None, moment(at(0))) else {
        panic!("the provider is asked");
    };
    let request = state.request();
    assert_eq!(request.url().as_str(), "https://idp.test/introspect");
    assert_eq!(
        request.body().expect("a form").expose(),
        "token=opaque&token_type_hint=access_token&realm=a%26b"
    );
    let header = |name: &str| {
        let mut found = request.headers().iter().filter(|(have, _)| have == name);
        let value = found.next().map(|(_, value)| value.expose().to_owned());
        assert!(found.next().is_none(), "{name} stands once");
        value
    };
    assert!(header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(header("x-tenant").as_deref(), Some("t"));
    assert_eq!(header("accept").as_deref(), Some("application/json"));
    assert!(!format!("{state:?}").contains("opaque"));
}

#[test]
fn only_an_active_answer_lets_a_token_pass() {
    let json = "application/json";
    for (status, media_type, body, expected) in [
        (200, json, r#"{"active":true,"token_type":"Bearer"}"#, None),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","exp":1800000060,"iss":"https://idp.test/realms/kong"}"#,
            None,
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","exp":"1800000060"}"#,
            None,
        ),
        (
            200,
            json,
            r#"{"active":false}"#,
            Some(("introspection.inactive", 401)),
        ),
        (
            200,
            json,
            r#"{"active":"true"}"#,
            Some(("introspection_response.malformed", 502)),
        ),
        (
            200,
            json,
            r#"{"active":1}"#,
            Some(("introspection_response.malformed", 502)),
        ),
        (
            200,
            json,
            "{}",
            Some(("introspection_response.malformed", 502)),
        ),
        (
            200,
            json,
            r#"{"active":true,"active":true}"#,
            Some(("introspection_response.duplicate_member", 502)),
        ),
        (
            200,
            json,
            "[true]",
            Some(("introspection_response.not_json", 502)),
        ),
        (
            200,
            "text/html",
            r#"{"active":true,"token_type":"Bearer"}"#,
            Some(("introspection_response.not_json", 502)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","exp":1799999999}"#,
            Some(("token.expired", 401)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","exp":"soon"}"#,
            Some(("introspection_response.malformed", 502)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","exp":[1]}"#,
            Some(("introspection_response.malformed", 502)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","nbf":1800000009}"#,
            Some(("token.not_yet_valid", 401)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","iss":"https://evil.test"}"#,
            Some(("token.issuer_mismatch", 401)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"Bearer","typ":"Refresh"}"#,
            Some(("token.wrong_type", 401)),
        ),
        (
            200,
            json,
            r#"{"active":true,"token_type":"refresh_token"}"#,
            Some(("token.wrong_type", 401)),
        ),
        (200, json, r#"{"active":true,"token_type":"Bearer"}"#, None),
        (
            401,
            json,
            r#"{"error":"invalid_client"}"#,
            Some(("client.invalid_client", 502)),
        ),
        (
            400,
            json,
            r#"{"error":"invalid_request"}"#,
            Some(("client.invalid_request", 502)),
        ),
        (
            403,
            json,
            r#"{"error":"brand_new"}"#,
            Some(("introspection_response.unknown_error", 502)),
        ),
        (
            404,
            "text/html",
            "",
            Some(("introspection_response.error_malformed", 502)),
        ),
        (302, json, "", Some(("provider.redirected", 502))),
        (
            204,
            json,
            "",
            Some(("introspection_response.unexpected_status", 502)),
        ),
        (429, json, "", Some(("provider.too_many_requests", 503))),
        (500, json, "", Some(("provider.server_error", 503))),
    ] {
        let found = introspected(taking("introspection"), said(status, media_type, body));
        let found = found
            .err()
            .map(|reason| (reason.code(), reason.status().as_u16()));
        assert_eq!(found, expected, "{status} {media_type} {body}");
    }
}

#[test]
fn what_an_introspection_says_is_what_the_token_is_held_to() {
    let body = r#"{"active":true,"token_type":"Bearer","scope":"read write","sub":"john","aud":["api"],"exp":1800000060}"#;
    let granted = introspected(taking("introspection"), said(200, "application/json", body));
    let granted = granted.expect("active");
    assert_eq!(granted.access_token().expose(), "opaque");
    assert_eq!(granted.expires_at(), at(60));
    let claims = granted.claims().expect("what was said");
    assert_eq!(claims.subject(), Some("john"));
    let mut requirements = oidc_core::authorize::Requirements::default();
    requirements.scopes.any_of = vec!["write".to_owned()];
    assert!(requirements.check(&granted).is_ok());
    requirements.scopes.any_of = vec!["admin".to_owned()];
    assert!(requirements.check(&granted).is_err());
}

/// RFC 9701 §5: a signed answer is the issuer's, for this client, and of its own type.
#[test]
fn a_signed_introspection_is_verified_like_any_token() {
    let typed = "application/token-introspection+jwt";
    let answer = |header_change: Value, claims_change: Value| {
        let mut header = header();
        header["typ"] = json!("token-introspection+jwt");
        let mut claims = json!({
            "iss": ISSUER, "aud": CLIENT, "iat": at(0).as_secs(),
            "token_introspection": {"active": true, "token_type": "Bearer", "sub": "john"},
        });
        for (value, change) in [(&mut header, header_change), (&mut claims, claims_change)] {
            for (name, to) in change.as_object().expect("an object") {
                value[name] = to.clone();
            }
            let members = value.as_object_mut().expect("an object");
            members.retain(|_, value| !value.is_null());
        }
        signed(&header, &claims)
    };
    let none = json!({});
    for (header, claims, expected) in [
        (none.clone(), none.clone(), None),
        (
            json!({"typ": "application/token-introspection+jwt"}),
            none.clone(),
            None,
        ),
        (
            json!({"typ": "JWT"}),
            none.clone(),
            Some(("token.wrong_type", 502)),
        ),
        (
            json!({"alg": "none"}),
            none.clone(),
            Some(("token.algorithm_unknown", 502)),
        ),
        (
            none.clone(),
            json!({"iss": "https://evil.test"}),
            Some(("token.issuer_mismatch", 502)),
        ),
        (
            none.clone(),
            json!({"aud": "somebody else"}),
            Some(("id_token.audience_mismatch", 502)),
        ),
        (
            none.clone(),
            json!({"token_introspection": null}),
            Some(("introspection_response.malformed", 502)),
        ),
        (
            none.clone(),
            json!({"token_introspection": [1]}),
            Some(("introspection_response.malformed", 502)),
        ),
        (
            none.clone(),
            json!({"token_introspection": {"active": false}}),
            Some(("introspection.inactive", 401)),
        ),
    ] {
        let jwt = answer(header.clone(), claims.clone());
        let found = introspected(taking("introspection"), said(200, typed, &jwt));
        let found = found
            .inspect(|granted| {
                let said = granted.introspection().expect("the answer");
                assert_eq!(said.jwt().map(Secret::expose), Some(jwt.as_str()));
            })
            .err()
            .map(|reason| (reason.code(), reason.status().as_u16()));
        assert_eq!(found, expected, "{header} {claims}");
    }
    // Of the token's own type, the answer speaks for itself.
    let own = signed(
        &header_of("JWT"),
        &json!({"iss": ISSUER, "sub": "john", "exp": at(60).as_secs()}),
    );
    let granted = introspected(taking("introspection"), said(200, "application/jwt", &own));
    assert_eq!(granted.expect("active").expires_at(), at(60));
}

fn header_of(typ: &str) -> Value {
    let mut header = header();
    header["typ"] = json!(typ);
    header
}

/// What becomes of a token with which the provider answers this about its user.
fn described(reply: ProviderReply) -> Result<Arc<Granted>, Reason> {
    let policy = Arc::new(taking("userinfo"));
    let state = entering(&policy, presented("opaque"));
    let Step::Call(state) = state.lead(None, moment(at(0))) else {
        panic!("the provider is asked");
    };
    assert!(state.request().body().is_none(), "by GET");
    let step = match state.answered(Ok(reply), at(0)) {
        Step::Keys(state) => state.found(&keys(), at(0)),
        step => step,
    };
    end_of(step).result.map_err(|denial| denial.reason())
}

#[test]
fn a_user_has_a_subject_or_is_none() {
    let json = "application/json";
    let signed = signed(
        &header(),
        &json!({"iss": ISSUER, "sub": "john", "email": "j"}),
    );
    let foreign = crate::support::signed(
        &header(),
        &json!({"iss": "https://evil.test", "sub": "john"}),
    );
    for (status, media_type, body, expected) in [
        (200, json, r#"{"sub":"john"}"#, None),
        (200, "application/jwt", signed.as_str(), None),
        (
            200,
            "application/jwt",
            foreign.as_str(),
            Some(("token.issuer_mismatch", 502)),
        ),
        (
            200,
            "application/jwt",
            "garbage",
            Some(("token.not_compact", 502)),
        ),
        (
            200,
            json,
            r#"{"sub":""}"#,
            Some(("userinfo_response.malformed", 502)),
        ),
        (
            200,
            json,
            r#"{"sub":7}"#,
            Some(("userinfo_response.malformed", 502)),
        ),
        (200, json, "{}", Some(("userinfo_response.malformed", 502))),
        (401, json, "", Some(("userinfo.refused", 401))),
        (403, json, "", Some(("userinfo.refused", 401))),
        (500, json, "", Some(("provider.server_error", 503))),
    ] {
        let found = described(said(status, media_type, body)).err();
        let found = found.map(|reason| (reason.code(), reason.status().as_u16()));
        assert_eq!(found, expected, "{status} {media_type} {body}");
    }
}

#[test]
fn a_provider_without_the_endpoint_is_told_so() {
    let policy = Arc::new(taking("introspection"));
    let Step::Metadata(state) = Grant::start(Arc::clone(&policy), presented("opaque"), None) else {
        panic!("a grant begins with the provider's metadata");
    };
    let Step::Flight(state) = state.found(metadata(), &fingerprints()) else {
        panic!("metadata lead to a flight");
    };
    let code = code(state.lead(None, moment(at(0))));
    assert_eq!(code, "discovery.no_introspection_endpoint");
}

/// A verified token is remembered, and served while its key is one of the issuer's.
#[test]
fn a_remembered_token_ends_with_its_key_and_with_itself() {
    let policy = Arc::new(taking("bearer"));
    let state = verifying(&policy, presented(&good_token()));
    let key = state.key().expect("it is remembered");
    let plan = state.memory(&fingerprints()).expect("it is remembered");
    let step = keys_of(state.clone().verify(at(0))).found(&keys(), at(0));
    let ended = end_of(step);
    let mut table: FlightTable<()> = FlightTable::new(10);
    let remembered = plan.remember(&ended, at(0)).flight.expect("remembered");
    table.keep(key, remembered, at(0));
    let granted = table.served(&key, at(59)).expect("served");
    // While the key is there, nothing is verified again.
    let waiting = keys_of(state.clone().remembered(Arc::clone(&granted)));
    assert!(waiting.serves_known());
    assert_eq!(waiting.wanted(), [""; 0]);
    let again = end_of(waiting.found(&keys(), at(59)))
        .result
        .expect("served");
    assert!(Arc::ptr_eq(&again, &granted));
    // Withdrawn, it is a token of an unknown key like any other, and newer keys are asked for.
    let waiting = keys_of(state.remembered(granted));
    let waiting = keys_of(waiting.found(&a_strangers_keys(), at(59)));
    let waiting = keys_of(waiting.found(&a_strangers_keys(), at(59)));
    assert!(waiting.wants_newer());
    let denial = denied(waiting.found(&a_strangers_keys(), at(59)));
    assert_eq!(
        denial.reason(),
        Reason::AccessTokenRefused("token.key_unknown")
    );
    // And it never outlives itself.
    assert!(table.served(&key, at(60)).is_none());
    assert!(matches!(
        table.enter(key, at(60), || ()),
        Entered::Lead { .. }
    ));
}

#[test]
fn without_a_cache_each_presentation_is_verified() {
    let mut policy = taking("bearer");
    policy.cache_tokens = false;
    let state = verifying(&Arc::new(policy), presented(&good_token()));
    assert!(state.key().is_none());
    assert!(state.memory(&fingerprints()).is_none());
    let ended = end_of(keys_of(state.verify(at(0))).found(&keys(), at(0)));
    assert!(ended.result.is_ok());
}

#[test]
fn nothing_is_served_that_was_kept_for_longer_elsewhere() {
    let key_of = |change: fn(&mut GrantPolicy)| {
        let mut policy = taking("bearer");
        change(&mut policy);
        verifying(&Arc::new(policy), presented(&good_token())).key()
    };
    let usual = key_of(|_| ());
    assert_eq!(usual, key_of(|_| ()));
    for change in [
        (|policy| policy.cache_tokens = false) as fn(&mut GrantPolicy),
        |policy| policy.cache_ttl_max = Some(Duration::from_secs(5)),
        |policy| policy.cache_salt = Some(Secret::new("salt")),
    ] {
        assert_ne!(usual, key_of(change));
    }
}

/// What else belongs to the token is asked for as that client.
#[test]
fn a_token_is_remembered_for_each_client_that_it_is_presented_for() {
    let mut policy = taking("bearer");
    policy
        .clients
        .push(Client::new("other", ClientAuthentication::None));
    let policy = Arc::new(policy);
    let key_for = |client: Option<&str>| {
        let step = Grant::start(Arc::clone(&policy), presented(&good_token()), client);
        let Step::Metadata(state) = step else {
            panic!("a grant begins with the provider's metadata");
        };
        match state.found(metadata(), &fingerprints()) {
            Step::Verify(state) => state.key().expect("it is remembered"),
            other => panic!("the keys decide: {other:?}"),
        }
    };
    assert_eq!(key_for(None), key_for(Some(policy.clients[0].id())));
    assert_ne!(key_for(None), key_for(Some("other")));
}

#[test]
fn no_key_is_skipped_for_a_bearer_token() {
    let mut policy = taking("bearer");
    policy.verification.ignore_signature = vec![CredentialKind::Bearer];
    let state = verifying(&Arc::new(policy), presented(&good_token()));
    let state = keys_of(keys_of(state.verify(at(0))).found(&a_strangers_keys(), at(0)));
    assert_eq!(
        code(state.found(&a_strangers_keys(), at(0))),
        "token.key_unknown"
    );
}

#[test]
fn an_empty_set_is_no_verdict() {
    let policy = Arc::new(taking("bearer"));
    let state = keys_of(verifying(&policy, presented(&good_token())).verify(at(0)));
    let denial = denied(state.found(&KeySet::default(), at(0)));
    assert_eq!(denial.reason().status().as_u16(), 503);
}

/// The result of a token that was verified.
fn verified(policy: &Arc<GrantPolicy>, token: &str) -> Arc<Granted> {
    granted(keys_of(verifying(policy, presented(token)).verify(at(0))).found(&keys(), at(0)))
}

#[test]
fn what_is_asked_for_further_is_asked_for_once_and_in_its_order() {
    let mut policy = taking("bearer");
    policy.access_tokens.introspect_signed = true;
    policy.user_info.wanted = true;
    let mut exchange = TokenExchange::default();
    exchange.subjects = vec![SubjectIssuer {
        issuer: ISSUER.to_owned(),
        policy: None,
        conditions: ExchangeConditions::default(),
    }];
    policy.exchange = Some(exchange);
    let policy = Arc::new(policy);
    let mut result = Granted::clone(&verified(&policy, &good_token()));
    let mut asked = Vec::new();
    while let Some(credential) = policy.further(&result) {
        asked.push(credential.kind());
        assert!(asked.len() < 9, "it does not end");
        let state = entering(&policy, credential);
        let Step::Call(state) = state.lead(None, moment(at(0))) else {
            panic!("the provider is asked");
        };
        let reply = match state.grant().kind() {
            CredentialKind::Introspection => said(
                200,
                "application/json",
                r#"{"active":true,"token_type":"Bearer"}"#,
            ),
            CredentialKind::UserInfo => said(200, "application/json", r#"{"sub":"john"}"#),
            _ => tokens(at(0), &json!({"refresh_token": null})),
        };
        let step = match state.answered(Ok(reply), at(0)) {
            Step::Keys(state) => state.found(&keys(), at(0)),
            step => step,
        };
        result = result.with(&granted(step)).expect("of the same user");
    }
    assert_eq!(
        asked,
        [
            CredentialKind::Introspection,
            CredentialKind::TokenExchange,
            CredentialKind::UserInfo
        ]
    );
    assert_eq!(result.kind(), CredentialKind::Bearer);
    assert!(result.user_info().is_some());
    assert_eq!(result.presented().access_token().expose(), good_token());
}

#[test]
fn user_information_about_somebody_else_is_refused() {
    let policy = Arc::new(taking("bearer"));
    let result = verified(&policy, &good_token());
    for (body, accepted) in [(r#"{"sub":"john"}"#, true), (r#"{"sub":"jane"}"#, false)] {
        let about = described(said(200, "application/json", body)).expect("described");
        assert_eq!(result.with(&about).is_ok(), accepted, "{body}");
    }
}

#[test]
fn a_token_that_tells_nothing_about_its_user_is_good_all_the_same() {
    let policy = Arc::new(taking("bearer"));
    let result = verified(&policy, &good_token());
    let refused = described(said(403, "application/json", "")).expect_err("refused");
    let kept = result.without(CredentialKind::UserInfo, refused.into());
    assert!(kept.expect("kept").user_info().is_none());
    let away = result.without(CredentialKind::UserInfo, Reason::ProviderTimeout.into());
    assert!(away.is_err());
    let inactive = Reason::AccessTokenRefused("introspection.inactive");
    let inactive = result.without(CredentialKind::Introspection, inactive.into());
    assert!(inactive.is_err());
}

#[test]
fn refusals_of_an_exchange_are_the_callers_and_those_of_the_client_are_not() {
    for (status, error, expected) in [
        (400, "invalid_grant", ("token_exchange.refused", 403)),
        (400, "invalid_target", ("token_exchange.refused", 403)),
        (403, "access_denied", ("token_exchange.refused", 403)),
        (401, "invalid_client", ("client.invalid_client", 502)),
        (
            400,
            "unauthorized_client",
            ("client.unauthorized_client", 502),
        ),
        (
            400,
            "unsupported_grant_type",
            ("client.invalid_request", 502),
        ),
    ] {
        let token = Credential::TokenExchange(Secret::new("t"));
        let state = led(policy(), token);
        assert!(state.request().body().expect("a form").expose().starts_with(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=t"
        ));
        let Ended { result, .. } =
            end_of(state.answered(Ok(reply(status, &json!({"error": error}))), at(0)));
        let reason = result.expect_err("refused").reason();
        assert_eq!(
            (reason.code(), reason.status().as_u16()),
            expected,
            "{error}"
        );
    }
}

/// Two routes of one provider and one client, which differ in the last word of each.
#[test]
fn an_answer_about_a_token_is_met_by_nobody_who_would_ask_or_verify_otherwise() {
    type Change = fn(&mut GrantPolicy);
    let elsewhere = || Url::parse("https://idp.test/stricter").expect("a URL");
    let changes: [Change; 6] = [
        |policy| policy.verification.leeway = Duration::from_secs(5),
        |policy| policy.verification.issuers_allowed = vec!["https://other.test".to_owned()],
        |policy| policy.verification.claims = false,
        |policy| policy.verification.signature = false,
        |policy| policy.verification.typ = Some("at+jwt".to_owned()),
        |policy| policy.provider.jwks_uri = Some(Url::parse("https://keys.test/").expect("a URL")),
    ];
    for method in ["introspection", "userinfo"] {
        let key = |change: &dyn Fn(&mut GrantPolicy)| {
            let mut policy = taking(method);
            change(&mut policy);
            entering(&Arc::new(policy), presented("opaque")).key()
        };
        let same = key(&|_| ());
        assert_eq!(key(&|_| ()), same, "{method}");
        for (place, change) in changes.iter().enumerate() {
            assert_ne!(key(change), same, "{method} {place}");
        }
        let endpoint = key(&|policy| {
            policy.provider.endpoints.introspection = Some(elsewhere());
            policy.provider.endpoints.userinfo = Some(elsewhere());
        });
        assert_ne!(endpoint, same, "{method}");
    }
}

/// oidc-provider calls a refresh token active, and tells it from an access token by no more than
/// that it names no type.
#[test]
fn an_answer_that_names_no_type_lets_nothing_pass_unless_it_is_allowed_to() {
    let json = "application/json";
    let untyped = || {
        said(
            200,
            json,
            r#"{"active":true,"sub":"john","exp":1800000060}"#,
        )
    };
    let refused = introspected(taking("introspection"), untyped()).expect_err("refused");
    assert_eq!(
        (refused.code(), refused.status().as_u16()),
        ("introspection.token_type_missing", 401)
    );
    for typed in [r#""token_type":"DPoP""#, r#""typ":"Bearer""#] {
        let twin = format!(r#"{{"active":true,"sub":"john","exp":1800000060,{typed}}}"#);
        let passed = introspected(taking("introspection"), said(200, json, &twin));
        assert!(passed.is_ok(), "{typed}");
    }
    let mut lenient = taking("introspection");
    lenient.introspection.check_type = false;
    assert!(introspected(lenient, untyped()).is_ok());
}

#[test]
fn what_went_with_a_question_is_not_repeated_in_its_refusal() {
    let mut policy = taking("introspection");
    policy.introspection.post_args = vec![("key".to_owned(), Secret::new("canary-1"))];
    policy.introspection.headers = vec![("x-key".to_owned(), Secret::new("canary-2"))];
    let policy = Arc::new(policy);
    let state = entering(&policy, presented("canary-token"));
    let Step::Call(state) = state.lead(None, moment(at(0))) else {
        panic!("the provider is asked");
    };
    let words = "no: canary-1 canary-2 canary-token";
    let refusal = json!({"error": "invalid_request", "error_description": words});
    let denial = denied(state.answered(Ok(reply(400, &refusal)), at(0)));
    let hint = denial.hint().expect("the provider's words");
    assert!(
        hint.starts_with("no: ") && !hint.contains("canary"),
        "{hint}"
    );
}
