//! One test for each edge of the grant machine.

use std::sync::Arc;
use std::time::Duration;

use oidc_core::client::{ChosenBy, Client, ClientAuthentication};
use oidc_core::grant::{Grant, GrantPolicy, Step, Unavailable};
use oidc_core::jose::KeySet;
use oidc_core::provider::DiscoveryError;
use oidc_core::rotation::Successor;
use oidc_core::{Credential, CredentialKind, Denial, Fault, Reason, Secret};
use serde_json::json;

use crate::support::*;

fn start(policy: GrantPolicy, credential: Credential) -> Step {
    Grant::start(Arc::new(policy), credential, None)
}

#[test]
fn without_a_client_nothing_is_begun() {
    let mut policy = policy();
    policy.clients.clear();
    let denial = denied(start(policy, refresh()));
    assert_eq!(denial.reason(), Reason::ClientRefused);
    assert_eq!(denial.kind(), Some(CredentialKind::RefreshToken));
}

#[test]
fn an_access_token_is_not_traded() {
    let bearer = Credential::Bearer(Secret::new("abc"));
    assert_eq!(code(start(policy(), bearer)), "credential.missing");
}

#[test]
fn metadata_that_cannot_be_had_end_the_grant() {
    let state = || match start(policy(), refresh()) {
        Step::Metadata(state) => state,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        state().discovery_url().as_str(),
        "https://idp.test/realms/kong/.well-known/openid-configuration"
    );
    let denial = denied(state().malformed(DiscoveryError::IssuerMismatch));
    assert_eq!(denial.reason().fault(), Fault::Provider);
    let wait = Some(Duration::from_secs(7));
    let denial = denied(state().unavailable(Reason::ProviderBusy, wait));
    assert_eq!(
        (denial.reason().status().as_u16(), denial.retry_after()),
        (503, wait)
    );
}

#[test]
fn a_leader_sends_what_the_grant_asks_for_and_authenticates_in_one_way() {
    let basic = "Basic Y2xpZW50JTIxJTJCSUQ6U0VDUkVUJTNGJTI1RyUzQWNsaWVudA==";
    let callers = "Basic cyVDMyVBOXJ2aWNlOnMlM0Ex";
    for (credential, form, authorization) in [
        (
            refresh(),
            "grant_type=refresh_token&refresh_token=r%25t%2B1%26%3D%7E",
            basic,
        ),
        (
            password(),
            "grant_type=password&username=j%C3%B6hn&password=d%26o%3De&scope=openid+a%26b",
            basic,
        ),
        (
            client_credentials(),
            "grant_type=client_credentials&scope=openid+a%26b",
            callers,
        ),
    ] {
        let mut policy = policy();
        policy.scopes = vec!["openid".to_owned(), "a&b".to_owned()];
        let state = led(policy, credential);
        let request = state.request();
        assert_eq!(request.url().as_str(), "https://idp.test/token");
        assert_eq!(request.body().expect("a form").expose(), form);
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(
            headers,
            [
                ("content-type", "application/x-www-form-urlencoded"),
                ("accept", "application/json"),
                ("authorization", authorization),
            ]
        );
    }
}

#[test]
fn a_secret_in_the_form_is_not_in_a_header_as_well() {
    let mut policy = policy();
    let secret = ClientAuthentication::SecretPost(Secret::new(CLIENT_SECRET));
    policy.clients = vec![Client::new(CLIENT, secret)];
    policy.token_post_args = vec![("resource".to_owned(), Secret::new("a b"))];
    policy.token_headers = vec![("accept".to_owned(), Secret::new("application/jwt"))];
    let state = led(policy, refresh());
    assert!(
        state.request().body().expect("a form").expose().ends_with(
            "&resource=a+b&client_id=client%21%2BID&client_secret=SECRET%3F%25G%3Aclient"
        )
    );
    let headers: Vec<_> = state
        .request()
        .headers()
        .iter()
        .map(|(n, v)| (n.as_str(), v.expose()))
        .collect();
    assert_eq!(headers.len(), 2, "{headers:?}");
    assert!(headers.contains(&("accept", "application/jwt")));
}

#[test]
fn a_leader_of_verified_tokens_is_granted_them() {
    let step = led(policy(), refresh()).answered(Ok(tokens(at(0), &json!({}))), at(0));
    let state = keys_of(step);
    assert_eq!(state.jwks_uri().as_str(), "https://idp.test/certs");
    assert_eq!(state.wanted(), [KEY.kid().expect("named")]);
    let granted = granted(state.found(&keys(), at(0)));
    assert_eq!(granted.refresh_token().expect("issued").expose(), "r2");
    assert_eq!(granted.expires_at(), at(60));
    assert_eq!(granted.claims().expect("a JWT").subject(), Some("john"));
}

#[test]
fn without_a_new_refresh_token_the_old_one_stays() {
    let reply = tokens(at(0), &json!({"refresh_token": null}));
    let granted =
        granted(keys_of(led(policy(), refresh()).answered(Ok(reply), at(0))).found(&keys(), at(0)));
    assert_eq!(
        granted.refresh_token().expect("kept").expose(),
        REFRESH_TOKEN
    );
    let reply = tokens(at(0), &json!({"refresh_token": null}));
    let granted = self::granted(
        keys_of(led(policy(), password()).answered(Ok(reply), at(0))).found(&keys(), at(0)),
    );
    assert!(granted.refresh_token().is_none());
}

#[test]
fn an_opaque_token_needs_no_keys() {
    let reply = tokens(at(0), &json!({"access_token": "opaque.with.dots"}));
    let granted = granted(led(policy(), refresh()).answered(Ok(reply), at(0)));
    assert!(granted.claims().is_none());
    assert_eq!(granted.expires_at(), at(60));
}

#[test]
fn what_the_endpoint_says_no_to_is_told_by_kind() {
    let refused = |error: &str| reply(400, &json!({"error": error}));
    for (credential, reply, expected) in [
        (
            refresh(),
            Ok(refused("invalid_grant")),
            "refresh_token.invalid_grant",
        ),
        (
            password(),
            Ok(refused("invalid_grant")),
            "password.invalid_grant",
        ),
        (
            client_credentials(),
            Ok(refused("invalid_client")),
            "client_credentials.refused",
        ),
        (
            password(),
            Ok(refused("invalid_client")),
            "client.invalid_client",
        ),
        (
            refresh(),
            Err(Unavailable::Unreachable),
            "provider.unreachable",
        ),
        (refresh(), Err(Unavailable::Cut), "provider.cut"),
        (refresh(), Err(Unavailable::Timeout), "provider.timeout"),
        (
            refresh(),
            Err(Unavailable::TooLarge),
            "token_response.too_large",
        ),
        (
            refresh(),
            Err(Unavailable::NotUtf8),
            "token_response.not_utf8",
        ),
        (
            refresh(),
            Err(Unavailable::NotHttp),
            "token_response.not_http",
        ),
        (
            refresh(),
            Err(Unavailable::Unsendable),
            "client.invalid_request",
        ),
    ] {
        let kind = credential.kind();
        let denial = denied(led(policy(), credential).answered(reply, at(0)));
        assert_eq!(denial.reason().code(), expected);
        assert_eq!(denial.kind(), Some(kind));
    }
}

#[test]
fn a_refusal_is_a_mismatch_if_the_token_names_another_client() {
    for (azp, expected) in [
        (json!("third"), "refresh_token.client_mismatch"),
        (json!(CLIENT), "refresh_token.invalid_grant"),
        (json!(null), "refresh_token.invalid_grant"),
        (json!(7), "refresh_token.invalid_grant"),
    ] {
        let token = signed(
            &json!({"alg": "HS512"}),
            &json!({"azp": azp, "typ": "Refresh"}),
        );
        for clients in [1, 2] {
            let mut policy = policy();
            policy.clients.truncate(clients);
            let state = led(
                policy,
                Credential::RefreshToken(Secret::new(token.as_str())),
            );
            let no = reply(
                400,
                &json!({"error": "invalid_grant", "error_description": "No"}),
            );
            let denial = denied(state.answered(Ok(no), at(0)));
            assert_eq!(
                (denial.reason().code(), denial.hint()),
                (expected, Some("No"))
            );
        }
    }
}

#[test]
fn the_client_is_chosen_by_the_request_then_by_the_token() {
    let token = signed(&json!({"alg": "HS512"}), &json!({"azp": "other"}));
    let token = Credential::RefreshToken(Secret::new(token));
    for (credential, client_arg, id, by) in [
        (token.clone(), None, "other", ChosenBy::AuthorizedParty),
        (token.clone(), Some(CLIENT), CLIENT, ChosenBy::Request),
        (token, Some("nobody"), "other", ChosenBy::AuthorizedParty),
        (refresh(), None, CLIENT, ChosenBy::Default),
        (refresh(), Some("2"), "other", ChosenBy::Request),
        (client_credentials(), Some("2"), CLIENT, ChosenBy::Default),
    ] {
        match Grant::start(Arc::new(policy()), credential, client_arg) {
            Step::Metadata(state) => {
                assert_eq!(
                    (
                        state.grant().client().map_or("", |client| client.id()),
                        state.grant().chosen_by()
                    ),
                    (id, by)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn keys_that_do_not_verify_are_looked_for_once_more() {
    let begin = || keys_of(led(policy(), refresh()).answered(Ok(tokens(at(0), &json!({}))), at(0)));
    let state = begin();
    assert!(!state.wants_newer());
    let state = keys_of(state.found(&a_strangers_keys(), at(0)));
    assert!(state.wants_newer());
    granted(state.found(&keys(), at(0)));
    let state = keys_of(begin().found(&a_strangers_keys(), at(0)));
    assert_eq!(
        code(state.found(&a_strangers_keys(), at(0))),
        "token.key_unknown"
    );
    assert_eq!(
        code(begin().found(&KeySet::default(), at(0))),
        "provider.keys_unavailable"
    );
    let wait = Some(Duration::from_secs(9));
    let denial = denied(begin().unavailable(Reason::KeysUnavailable, wait));
    assert_eq!(
        (denial.reason().status().as_u16(), denial.retry_after()),
        (503, wait)
    );
}

#[test]
fn a_shared_result_is_verified_again_where_it_is_verified_in_another_way() {
    let done = || {
        let step = led(policy(), refresh()).answered(Ok(tokens(at(0), &json!({}))), at(0));
        granted(keys_of(step).found(&keys(), at(0)))
    };
    let landed = |policy: GrantPolicy| flight(&Arc::new(policy), refresh()).landed(Ok(done()));
    granted(landed(policy()));
    let mut leeway = policy();
    leeway.verification.leeway = Duration::from_secs(5);
    granted(keys_of(landed(leeway)).found(&keys(), at(0)));
    let mut issuers = policy();
    issuers.verification.issuers_allowed = vec!["https://elsewhere.test".to_owned()];
    assert_eq!(
        code(keys_of(landed(issuers)).found(&keys(), at(0))),
        "token.issuer_mismatch"
    );
    let mut elsewhere = policy();
    elsewhere.provider.jwks_uri = Some("https://keys.test/".parse().expect("a URL"));
    assert_eq!(
        keys_of(landed(elsewhere)).jwks_uri().as_str(),
        "https://keys.test/"
    );
    let mut unchecked = policy();
    unchecked.verification.signature = false;
    granted(landed(unchecked));
}

#[test]
fn a_shared_refusal_and_a_full_table_end_the_grant() {
    let state = || flight(&Arc::new(policy()), refresh());
    assert_eq!(code(state().full()), "gateway.too_many_flights");
    let denial = Denial::from(Reason::RefreshTokenRefused);
    assert_eq!(
        code(state().landed(Err(denial))),
        "refresh_token.invalid_grant"
    );
}

#[test]
fn a_successor_is_sent_in_the_presented_ones_place_and_a_ring_of_them_ends() {
    let state = flight(&Arc::new(policy()), refresh());
    let presented = state.key();
    let successor = Successor {
        token: Secret::new("r2"),
        key: fingerprints().fingerprint(&[b"r2"]),
    };
    let Step::Flight(state) = state.follow(successor.clone()) else {
        panic!("a successor is entered with");
    };
    assert_eq!(
        (state.key(), state.presented_key()),
        (successor.key, presented)
    );
    let led = token_of(state.clone().lead(None, moment(at(0))));
    assert!(
        led.request()
            .body()
            .expect("a form")
            .expose()
            .contains("refresh_token=r2")
    );
    let mut step = Step::Flight(state);
    let mut hops = 0;
    while let Step::Flight(state) = step {
        step = state.follow(successor.clone());
        hops += 1;
        assert!(hops < 10_000, "it goes round for ever");
    }
    assert_eq!(code(step), "refresh_token.invalid_grant");
}

#[test]
fn grants_meet_exactly_if_they_ask_the_same_of_the_same_endpoint() {
    type Change = fn(&mut GrantPolicy);
    let cases: [(&str, Change, bool, bool); 10] = [
        ("nothing", |_| (), true, true),
        ("scopes", |p| p.scopes.push("email".to_owned()), true, false),
        (
            "salt",
            |p| p.cache_salt = Some(Secret::new("x")),
            true,
            false,
        ),
        (
            "authentication",
            |p| p.clients = vec![Client::new(CLIENT, ClientAuthentication::None)],
            true,
            true,
        ),
        (
            "a slash",
            |p| {
                p.provider =
                    oidc_core::provider::Provider::new(&format!("{ISSUER}/")).expect("an issuer")
            },
            true,
            true,
        ),
        (
            "leeway",
            |p| p.verification.leeway = Duration::from_secs(9),
            true,
            true,
        ),
        (
            "client",
            |p| p.clients = vec![client("other")],
            false,
            false,
        ),
        (
            "audience",
            |p| p.audience.push("api".to_owned()),
            false,
            false,
        ),
        (
            "arguments",
            |p| p.token_post_args.push(("a".to_owned(), Secret::new("b"))),
            false,
            false,
        ),
        (
            "headers",
            |p| p.token_headers.push(("a".to_owned(), Secret::new("b"))),
            false,
            false,
        ),
    ];
    for (name, change, refresh_meets, password_meets) in cases {
        for (credential, meets) in [(refresh(), refresh_meets), (password(), password_meets)] {
            let mut changed = policy();
            change(&mut changed);
            let one = flight(&Arc::new(policy()), credential.clone()).key();
            let other = flight(&Arc::new(changed), credential).key();
            assert_eq!(one == other, meets, "{name}");
        }
    }
    let keys: Vec<_> = [
        refresh(),
        password(),
        client_credentials(),
        Credential::RefreshToken(Secret::new("r2")),
    ]
    .map(|credential| flight(&Arc::new(policy()), credential).key())
    .into();
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(key));
    }
}

#[test]
fn nothing_that_is_secret_is_in_debug_output() {
    let canaries = [CLIENT_SECRET, REFRESH_TOKEN, "r2", "d&o=e", "jöhn", "eyJ"];
    let state = led(policy(), refresh());
    let mut printed = format!(
        "{state:?} {:?} {:?} {:?}",
        state.request(),
        password(),
        policy()
    );
    let step = state.answered(Ok(tokens(at(0), &json!({}))), at(0));
    printed += &format!("{step:?}");
    let flight = flight(&Arc::new(policy()), refresh());
    printed += &format!("{flight:?} {:?}", flight.memory(&fingerprints()));
    let ended = end_of(keys_of(step).unavailable(Reason::KeysUnavailable, None));
    printed += &format!(
        "{ended:?} {:?}",
        flight.memory(&fingerprints()).remember(&ended, at(0))
    );
    // The key's name is another each time, and may have a short canary in it by chance.
    let printed = printed.replace(KEY.kid().expect("named"), "");
    for canary in canaries {
        assert!(!printed.contains(canary), "{canary}: {printed}");
    }
}
