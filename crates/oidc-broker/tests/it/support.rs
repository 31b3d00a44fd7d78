//! A provider behind the transport's seam, under a paused clock: it answers as it is told, counts,
//! and keeps what it was sent.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use oidc_broker::{
    Broker, BrokerBuilder, Transport, TransportError, TransportFuture, TransportResponse,
};
use oidc_core::client::assertion::SigningKey;
use oidc_core::client::{Client, ClientAuthentication};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::jose::Algorithm;
use oidc_core::provider::Provider;
use oidc_core::{Credential, Denial, Secret, UnixTime};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) const ISSUER: &str = "https://idp.test/realms/kong";
pub(crate) const OTHERS: &str = "https://idp.test/others";

static KEYS: LazyLock<[SigningKey; 2]> =
    LazyLock::new(|| [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa).expect("a key")));

/// What the provider does with one request.
pub(crate) enum Answer {
    /// Answers with this status and body.
    Reply(u16, Value),
    /// Answers with tokens, this refresh token among them.
    Tokens(String),
    /// Cuts the connection.
    Fail(TransportError),
    /// Brings its caller down.
    Panic,
    /// Says nothing.
    Silence,
}

type TokenScript = Box<dyn Fn(&str, usize) -> (Duration, Answer) + Send + Sync>;

#[derive(Default)]
struct Seen {
    calls: HashMap<&'static str, usize>,
    refresh_tokens: Vec<String>,
}

/// The provider.
pub(crate) struct Idp {
    seen: Mutex<Seen>,
    token: TokenScript,
    pub(crate) settings: Mutex<Settings>,
}

/// What may be changed while it runs.
pub(crate) struct Settings {
    pub(crate) keys_down: bool,
    pub(crate) discovery_down: bool,
    /// Which key signs, and is published.
    pub(crate) key: usize,
    /// Whether the published key has the other's name.
    pub(crate) renamed: bool,
    /// Which key is published beside the provider, at [`OTHERS`].
    pub(crate) others: usize,
    pub(crate) life: u64,
    pub(crate) subject: &'static str,
}

impl Idp {
    /// A provider that rotates: the n-th answer brings `rt{n}`.
    pub(crate) fn rotating() -> Arc<Self> {
        Self::answering(|_, n| (Duration::from_millis(50), Answer::Tokens(format!("rt{n}"))))
    }

    /// A provider whose token endpoint does as it is told, by the refresh token that it is given
    /// and the number of the call.
    pub(crate) fn answering(
        token: impl Fn(&str, usize) -> (Duration, Answer) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            token: Box::new(token),
            settings: Mutex::new(Settings {
                keys_down: false,
                discovery_down: false,
                key: 0,
                renamed: false,
                others: 1,
                life: 60,
                subject: "john",
            }),
        })
    }

    pub(crate) fn calls(&self, what: &'static str) -> usize {
        let seen = self.seen.lock().expect("unpoisoned");
        seen.calls.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn refresh_tokens(&self) -> Vec<String> {
        self.seen.lock().expect("unpoisoned").refresh_tokens.clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().expect("unpoisoned"));
    }

    fn count(&self, what: &'static str) -> usize {
        let mut seen = self.seen.lock().expect("unpoisoned");
        let calls = seen.calls.entry(what).or_default();
        *calls += 1;
        *calls
    }

    /// These claims, signed by the key in force.
    pub(crate) fn signed(&self, claims: &Value) -> String {
        let settings = self.settings.lock().expect("unpoisoned");
        let kid = &KEYS[if settings.renamed { 0 } else { settings.key }];
        let header = json!({"alg": "EdDSA", "kid": kid.kid()});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(&header), encode(claims));
        let key = &KEYS[settings.key];
        let signature = key
            .sign(Algorithm::EdDsa, input.as_bytes())
            .expect("signed");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token response.
    pub(crate) fn tokens(&self, refresh_token: &str) -> Value {
        let (now, life, subject) = {
            let settings = self.settings.lock().expect("unpoisoned");
            (clock()(), settings.life, settings.subject)
        };
        let (iat, exp) = (now.as_secs(), now.as_secs() + life);
        let claims =
            json!({"iss": ISSUER, "sub": subject, "iat": iat, "exp": exp, "jti": refresh_token});
        let id = json!({"iss": ISSUER, "sub": subject, "aud": "kong", "iat": iat, "exp": exp});
        json!({
            "access_token": self.signed(&claims),
            "id_token": self.signed(&id),
            "token_type": "Bearer",
            "expires_in": life,
            "refresh_token": refresh_token,
        })
    }

    /// An access token of this name, as a caller presents it.
    pub(crate) fn access_token(&self, name: &str) -> String {
        let tokens = self.tokens(name);
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    async fn answer(&self, path: &str, body: &str) -> Result<TransportResponse, TransportError> {
        if path.ends_with("openid-configuration") {
            self.count("discovery");
            if self.settings.lock().expect("unpoisoned").discovery_down {
                return Err(TransportError::Unreachable);
            }
            return Ok(response(
                200,
                &json!({
                    "issuer": ISSUER,
                    "token_endpoint": "https://idp.test/token",
                    "introspection_endpoint": "https://idp.test/introspect",
                    "jwks_uri": "https://idp.test/certs",
                }),
            ));
        }
        if path == "/certs" || path == "/others" {
            self.count(if path == "/certs" { "jwks" } else { "others" });
            let settings = self.settings.lock().expect("unpoisoned");
            if settings.keys_down {
                return Err(TransportError::Unreachable);
            }
            let published = if path == "/certs" {
                settings.key
            } else {
                settings.others
            };
            let mut key = KEYS[published]
                .public_jwk(Algorithm::EdDsa)
                .expect("public");
            if settings.renamed {
                key["kid"] = KEYS[0].kid().expect("named").into();
            }
            return Ok(response(200, &json!({ "keys": [key] })));
        }
        let (what, param) = match path {
            "/introspect" => ("introspection", "token="),
            _ => ("token", "refresh_token="),
        };
        let token = body.split('&').find_map(|pair| pair.strip_prefix(param));
        let token = token.unwrap_or_default();
        let number = self.count(what);
        if what == "token" {
            let mut seen = self.seen.lock().expect("unpoisoned");
            seen.refresh_tokens.push(token.to_owned());
        }
        let (delay, answer) = (self.token)(token, number);
        tokio::time::sleep(delay).await;
        match answer {
            Answer::Reply(status, body) => Ok(response(status, &body)),
            Answer::Tokens(refresh_token) => Ok(response(200, &self.tokens(&refresh_token))),
            Answer::Fail(error) => Err(error),
            Answer::Panic => panic!("the transport goes down"),
            Answer::Silence => std::future::pending().await,
        }
    }
}

impl Transport for Idp {
    fn send(&self, request: http::Request<Secret>) -> TransportFuture<'_> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            self.answer(head.uri.path(), body.expose()).await
        })
    }
}

fn response(status: u16, body: &Value) -> TransportResponse {
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    TransportResponse {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body: body.to_string().into_bytes(),
    }
}

/// The clock of the runtime, which tests pause.
pub(crate) fn clock() -> jwks_cache::Clock {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    // A test whose clock was paused before another began this one: no moment of it comes before.
    const EARLIER: Duration = Duration::from_secs(3600);
    let began = *BEGAN;
    Arc::new(move || {
        let now = Instant::now().into_std() + EARLIER;
        let since = now.saturating_duration_since(began);
        UnixTime::from_secs(1_800_000_000).plus(since)
    })
}

pub(crate) fn builder(idp: &Arc<Idp>) -> BrokerBuilder {
    Broker::builder(Arc::clone(idp) as Arc<dyn Transport>).clock(clock())
}

pub(crate) fn broker(idp: &Arc<Idp>) -> Broker {
    builder(idp).build().expect("randomness")
}

pub(crate) fn policy() -> GrantPolicy {
    let secret = ClientAuthentication::SecretPost(Secret::new("client-secret"));
    let provider = Provider::new(ISSUER).expect("an issuer");
    GrantPolicy::new(provider, vec![Client::new("kong", secret)])
}

/// A policy by which presented access tokens are taken that are signed.
pub(crate) fn bearer_policy() -> GrantPolicy {
    let mut policy = policy();
    policy.access_tokens.bearer = true;
    policy
}

pub(crate) fn refresh(token: &str) -> Credential {
    Credential::RefreshToken(Secret::new(token))
}

pub(crate) fn password() -> Credential {
    Credential::Password {
        username: "john".to_owned(),
        password: Secret::new("doe"),
    }
}

/// A caller who presents this refresh token.
pub(crate) async fn present(broker: &Broker, token: &str) -> Result<Arc<Granted>, Denial> {
    let policy = Arc::new(policy());
    broker.grant(&policy, refresh(token), None).await
}

/// The refresh token that a result brings.
pub(crate) fn newest(result: &Result<Arc<Granted>, Denial>) -> &str {
    let granted = result.as_ref().expect("granted");
    granted.refresh_token().expect("issued").expose()
}

/// The same token, as if signed by this key.
pub(crate) fn forged(token: &str, kid: &str) -> String {
    let (_, rest) = token.split_once('.').expect("three parts");
    let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

/// Why a result is a refusal.
pub(crate) fn code(result: &Result<Arc<Granted>, Denial>) -> &'static str {
    result.as_ref().expect_err("denied").reason().code()
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}
