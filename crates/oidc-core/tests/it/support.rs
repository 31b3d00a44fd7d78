//! What every test here needs: an issuer that signs, a policy, and the states of a grant.
//! The constants hold awkward bytes on purpose, so that an encoding which is forgotten shows.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_core::client::assertion::SigningKey;
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{
    AwaitFlight, AwaitKeys, AwaitReply, AwaitVerification, Ended, Grant, GrantPolicy, Granted,
    Moment, ProviderReply, Step,
};
use oidc_core::jose::{Algorithm, KeySet, KeySetLimits};
use oidc_core::provider::{Provider, ProviderMetadata};
use oidc_core::{Credential, Denial, FingerprintKey, Secret, UnixTime};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://idp.test/realms/kong";
pub(crate) const CLIENT: &str = "client!+ID";
pub(crate) const CLIENT_SECRET: &str = "SECRET?%G:client";
pub(crate) const REFRESH_TOKEN: &str = "r%t+1&=~";

/// The issuer's key; made once, since what it signs is all that matters.
pub(crate) static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).expect("a key"));
static STRANGER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).expect("a key"));

pub(crate) fn keys() -> KeySet {
    set(&KEY)
}

pub(crate) fn a_strangers_keys() -> KeySet {
    set(&STRANGER)
}

fn set(key: &SigningKey) -> KeySet {
    let set = json!({"keys": [key.public_jwk(Algorithm::EdDsa)]}).to_string();
    KeySet::parse(set.as_bytes(), &KeySetLimits::default()).expect("a key set")
}

pub(crate) const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000 + seconds)
}

pub(crate) fn moment(now: UnixTime) -> Moment {
    Moment {
        now,
        random: [7; 16],
    }
}

pub(crate) fn fingerprints() -> FingerprintKey {
    FingerprintKey::new(&[3; 32])
}

pub(crate) fn client(id: &str) -> Client {
    let secret = Secret::new(CLIENT_SECRET);
    Client::new(id, ClientAuthentication::SecretBasic(secret))
}

pub(crate) fn policy() -> GrantPolicy {
    let provider = Provider::new(ISSUER).expect("an issuer");
    GrantPolicy::new(provider, vec![client(CLIENT), client("other")])
}

pub(crate) fn metadata() -> Arc<ProviderMetadata> {
    let document = json!({
        "issuer": ISSUER,
        "token_endpoint": "https://idp.test/token",
        "jwks_uri": "https://idp.test/certs",
    });
    let document = document.to_string();
    Arc::new(ProviderMetadata::parse(document.as_bytes(), ISSUER).expect("metadata"))
}

/// A token that the issuer signed.
pub(crate) fn signed(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = KEY
        .sign(Algorithm::EdDsa, input.as_bytes())
        .expect("signed");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": KEY.kid()})
}

/// An access token that is issued now and good for so long.
pub(crate) fn access_token(now: UnixTime, life: Duration) -> String {
    let (iat, exp) = (now.as_secs(), now.plus(life).as_secs());
    signed(
        &header(),
        &json!({"iss": ISSUER, "sub": "john", "typ": "Bearer", "iat": iat, "exp": exp}),
    )
}

pub(crate) fn id_token(now: UnixTime, subject: &str) -> String {
    let (iat, exp) = (now.as_secs(), now.as_secs() + 60);
    signed(
        &header(),
        &json!({"iss": ISSUER, "sub": subject, "aud": CLIENT, "typ": "ID", "iat": iat, "exp": exp}),
    )
}

/// A successful reply with these members changed; `null` takes one out.
pub(crate) fn tokens(now: UnixTime, changes: &Value) -> ProviderReply {
    let mut body = json!({
        "access_token": access_token(now, Duration::from_secs(60)),
        "token_type": "Bearer",
        "expires_in": 60,
        "refresh_token": "r2",
    });
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let members = body.as_object_mut().expect("an object");
    members.retain(|_, value| !value.is_null());
    reply(200, &body)
}

pub(crate) fn reply(status: u16, body: &Value) -> ProviderReply {
    ProviderReply {
        status,
        content_type: Some("application/json".to_owned()),
        retry_after: None,
        dpop_nonce: None,
        body: Secret::new(body.to_string()),
    }
}

pub(crate) fn refresh() -> Credential {
    Credential::RefreshToken(Secret::new(REFRESH_TOKEN))
}

pub(crate) fn password() -> Credential {
    Credential::Password {
        username: "jöhn".to_owned(),
        password: Secret::new("d&o=e"),
    }
}

pub(crate) fn client_credentials() -> Credential {
    Credential::ClientCredentials {
        client_id: "sérvice".to_owned(),
        client_secret: Secret::new("s:1"),
    }
}

/// The state before the flight.
#[track_caller]
pub(crate) fn flight(policy: &Arc<GrantPolicy>, credential: Credential) -> AwaitFlight {
    let Step::Metadata(state) = Grant::start(Arc::clone(policy), credential, None) else {
        panic!("a grant begins with the provider's metadata");
    };
    let Step::Flight(state) = state.found(metadata(), &fingerprints()) else {
        panic!("metadata lead to a flight");
    };
    state
}

/// The state before a token is verified by the issuer's keys.
#[track_caller]
pub(crate) fn verifying(policy: &Arc<GrantPolicy>, credential: Credential) -> AwaitVerification {
    let Step::Metadata(state) = Grant::start(Arc::clone(policy), credential, None) else {
        panic!("a grant begins with the provider's metadata");
    };
    let Step::Verify(state) = state.found(metadata(), &fingerprints()) else {
        panic!("the keys decide");
    };
    state
}

/// The state in which the token endpoint is asked.
#[track_caller]
pub(crate) fn led(policy: GrantPolicy, credential: Credential) -> AwaitReply {
    token_of(flight(&Arc::new(policy), credential).lead(None, moment(at(0))))
}

#[track_caller]
pub(crate) fn token_of(step: Step) -> AwaitReply {
    match step {
        Step::Call(state) => state,
        other => panic!("no token request: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn keys_of(step: Step) -> AwaitKeys {
    match step {
        Step::Keys(state) => state,
        other => panic!("no keys wanted: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn end_of(step: Step) -> Ended {
    match step {
        Step::Done(ended) => ended,
        other => panic!("not the end: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn granted(step: Step) -> Arc<Granted> {
    end_of(step).result.expect("granted")
}

#[track_caller]
pub(crate) fn denied(step: Step) -> Denial {
    end_of(step).result.expect_err("denied")
}

/// Why it is denied.
#[track_caller]
pub(crate) fn code(step: Step) -> &'static str {
    denied(step).reason().code()
}
