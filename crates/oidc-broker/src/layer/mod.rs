//! The gateway's decisions as a layer of tower, for services that are asked without a gateway.
//! Serves the contract's section on what a request meets: extract, decide, authorize, answer.

mod extract;
mod refusal;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use oidc_core::grant::{GrantPolicy, Granted};
use oidc_core::possession::{Enforcement, PossessionPolicy, Presented, Scheme};
use oidc_core::{Denial, Fault, Reason};
use tower_layer::Layer;
use tower_service::Service;

pub use extract::{BearerToken, Extract};
use refusal::Refusals;

use crate::Broker;

/// Lets requests through to a service whose credential is good, with what it gave.
///
/// For each request it takes the credential out of the head ([`BearerToken`], or another
/// [`Extract`]), runs [`Broker::grant`] and [`Broker::complete`], and holds the result to
/// [`GrantPolicy::requirements`]. The service finds an `Arc<Granted>` in the request's extensions,
/// and no credential. Any other request is answered here, as the gateway answers it: 400, 401, 403,
/// 502 or 503 with `{"message":"…"}`, a challenge with the issuer's host as its realm, and
/// `Retry-After` where the provider is away. The [`Denial`] is in that response's extensions, for
/// layers around this one that log or count.
///
/// Preflights of CORS carry no credential: a layer that answers them goes around this one. Tokens
/// that are bound to a certificate or to a key are taken without a proof, as by a gateway with
/// `proof_of_possession_mtls` and `proof_of_possession_dpop` off, unless
/// [`refuse_bound_tokens`](Self::refuse_bound_tokens) is called.
///
/// It runs in a runtime of tokio.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Extension, Router, routing::get};
/// use oidc_broker::layer::AuthenticateLayer;
/// use oidc_broker::{Broker, HttpTransport};
/// use oidc_core::grant::{GrantPolicy, Granted};
/// use oidc_core::provider::Provider;
///
/// async fn hello(Extension(granted): Extension<Arc<Granted>>) -> String {
///     let subject = granted.claims().and_then(|claims| claims.subject());
///     format!("hello {}", subject.unwrap_or("somebody"))
/// }
///
/// let mut policy = GrantPolicy::new(Provider::new("https://idp.example/realms/kong")?, vec![]);
/// policy.access_tokens.bearer = true;
/// policy.requirements.scopes.any_of = vec!["things:read".to_owned()];
/// let broker = Broker::builder(Arc::new(HttpTransport::new()?)).build()?;
/// let app: Router = Router::new()
///     .route("/things", get(hello))
///     .layer(AuthenticateLayer::new(broker, policy));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuthenticateLayer {
    gate: Gate,
}

impl AuthenticateLayer {
    /// Takes bearer tokens from `Authorization`, by this policy.
    ///
    /// A policy takes the tokens that [`GrantPolicy::access_tokens`] says, which is none at first.
    /// Layers of one broker share its flights and its memory.
    #[must_use]
    pub fn new(broker: Broker, policy: impl Into<Arc<GrantPolicy>>) -> Self {
        let policy = policy.into();
        Self {
            gate: Gate {
                refusals: Arc::new(Refusals::new(policy.provider.realm())),
                extract: Arc::new(BearerToken::default()),
                refuse_bound: false,
                broker,
                policy,
            },
        }
    }

    /// Takes credentials in another way, such as `BearerToken::kept()` or a closure.
    #[must_use]
    pub fn extract(mut self, extract: impl Extract) -> Self {
        self.gate.extract = Arc::new(extract);
        self
    }

    /// Whether challenges say `error="…"` (RFC 6750 §3.1). Default: they do.
    #[must_use]
    pub fn expose_error_code(mut self, expose: bool) -> Self {
        Arc::make_mut(&mut self.gate.refusals).expose_error_code = expose;
        self
    }

    /// Whether the body says the reason for which a caller is refused. Default: it does not.
    #[must_use]
    pub fn display_errors(mut self, display: bool) -> Self {
        Arc::make_mut(&mut self.gate.refusals).display_errors = display;
        self
    }

    /// Refuses tokens with a claim `cnf`: who issued one meant it for the holder of a certificate
    /// or of a key (RFC 8705 §3, RFC 9449 §6), and this layer asks nobody for a proof.
    #[must_use]
    pub fn refuse_bound_tokens(mut self) -> Self {
        self.gate.refuse_bound = true;
        self
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate {
            inner,
            gate: self.gate.clone(),
        }
    }
}

impl fmt::Debug for AuthenticateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gate.describe("AuthenticateLayer", f)
    }
}

/// A service behind an [`AuthenticateLayer`].
///
/// It is ready when the service is, and its errors are the service's: a refusal is a response. The
/// body of a refusal is made from [`Bytes`], as axum's `Body` and `http_body_util::Full` can be.
#[derive(Clone)]
pub struct Authenticate<S> {
    inner: S,
    gate: Gate,
}

impl<S, B, R> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = AuthenticateFuture<R, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was ready takes the request; its clone may not be ready yet.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match gate.admit(&mut head).await {
                Ok(granted) => {
                    head.extensions.insert(granted);
                    ready.call(Request::from_parts(head, body)).await
                }
                Err(denial) => Ok(gate.refuse(denial).map(R::from)),
            }
        })
    }
}

impl<S> fmt::Debug for Authenticate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gate.describe("Authenticate", f)
    }
}

/// The answer of an [`Authenticate`]. Cancel safe: a call to the provider that others wait for,
/// or whose answer may hold the only refresh token there is, goes on without it.
pub type AuthenticateFuture<R, E> =
    Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send + 'static>>;

/// Who is let through, prepared.
#[derive(Clone)]
struct Gate {
    broker: Broker,
    policy: Arc<GrantPolicy>,
    extract: Arc<dyn Extract>,
    refusals: Arc<Refusals>,
    refuse_bound: bool,
}

impl Gate {
    async fn admit(&self, head: &mut Parts) -> Result<Arc<Granted>, Denial> {
        let credential = self
            .extract
            .extract(head)?
            .ok_or(Denial::new(Reason::CredentialMissing))?;
        let (broker, deadline) = (&self.broker, self.broker.deadline());
        let granted = broker
            .grant_by(&self.policy, credential, None, deadline)
            .await?;
        if self.refuse_bound {
            unbound(&granted)?;
        }
        let granted = broker.complete_by(&self.policy, granted, deadline).await?;
        self.policy.requirements.check(&granted)?;
        Ok(granted)
    }

    fn refuse(&self, denial: Denial) -> Response<Bytes> {
        let reason = denial.reason();
        if reason.fault() == Fault::Caller {
            tracing::debug!(%reason, provider_says = denial.hint(), "refused");
        } else {
            tracing::warn!(%reason, provider_says = denial.hint(), "refused");
        }
        let mut response = self.refusals.answer(&denial);
        response.extensions_mut().insert(denial);
        response
    }

    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name}({})", self.policy.provider.issuer())
    }
}

/// Holds an access token to being of use to whoever has it.
fn unbound(granted: &Granted) -> Result<(), Denial> {
    const POLICY: PossessionPolicy = PossessionPolicy {
        mtls: Enforcement::Optional,
        dpop: Enforcement::Optional,
    };
    if !granted.kind().is_access_token() {
        return Ok(());
    }
    let presented = Presented {
        scheme: Scheme::Bearer,
        certificate: None,
        proof: None,
    };
    let cnf = granted.claims().and_then(|claims| claims.claim(&["cnf"]));
    match POLICY.decide(cnf, &presented) {
        Ok(_) => Ok(()),
        Err(error) => Err(Denial::new(error.into()).for_kind(granted.kind())),
    }
}
