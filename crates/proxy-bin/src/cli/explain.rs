//! `oidc-proxy explain`: what would become of one request, numbered as in the sequence diagram of
//! the refresh token workflow. No secret is shown, and no token is burned unless `--run` is given.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use oidc_broker::{Dry, Found};
use oidc_core::client::{ChosenBy, Client};
use oidc_core::grant::{Grant, Granted};
use oidc_core::provider::{Endpoint, shown};
use oidc_core::{CredentialKind, Denial, Reason};
use token_extractors::{BodyFormat, Extraction};

use super::{fail, runtime};
use crate::app::{App, PreparedRoute, Unrouted};
use crate::authenticate::Plugin;
use crate::config;
use crate::framing;
use crate::routes::{Asked, BadTarget, normalise, upstream_path};
use crate::telemetry::Metrics;

mod advice;
mod caller;

#[derive(Debug, Args)]
pub(super) struct Question {
    /// The configuration: YAML, JSON or TOML.
    #[arg(short, long, value_name = "FILE", env = "OIDC_PROXY_CONFIG")]
    config: PathBuf,
    /// The URL that the client asks for.
    #[arg(long, default_value = "http://localhost:8000/")]
    url: String,
    /// The method.
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// A header line, as for curl: `Refresh-Token: eyJ…`. `@FILE` reads lines from a file, so that
    /// no secret stands on the command line. Can be given several times.
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    headers: Vec<String>,
    /// A user name and a password for `Authorization: Basic`, as for curl.
    #[arg(short, long, value_name = "NAME:PASSWORD")]
    user: Option<String>,
    /// The body of the request; a form, unless a header says otherwise.
    #[arg(short, long, value_name = "BODY")]
    data: Option<String>,
    /// Calls the token endpoint for real. With rotation on, this uses the refresh token up.
    #[arg(long)]
    run: bool,
}

pub(super) fn run(question: &Question) -> ExitCode {
    let gateway = match config::load(&question.config, std::env::vars()) {
        Ok(gateway) => gateway,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    let asked = match request(question) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("oidc-proxy: {error}");
            return ExitCode::from(2);
        }
    };
    let app = match App::prepare(gateway, &Arc::new(Metrics::new()), None) {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let explanation = Explanation {
        app: &app,
        request: asked,
        run: question.run,
    };
    match runtime.block_on(explanation.tell()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused) => ExitCode::FAILURE,
    }
}

/// The request that is asked about.
fn request(question: &Question) -> Result<AskedFor, String> {
    let uri: Uri = question
        .url
        .parse()
        .map_err(|_| format!("--url {:?} is not a URL", question.url))?;
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let authority = uri
        .authority()
        .ok_or_else(|| format!("--url {:?} has no host", question.url))?
        .as_str()
        .to_owned();
    let method = Method::from_bytes(question.method.as_bytes())
        .map_err(|_| format!("--method {:?} is not a method", question.method))?;
    let mut request = Request::builder().method(method).uri(uri);
    let mut lines = Vec::new();
    for line in &question.headers {
        match line.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("--header @{file}: {error}"))?;
                lines.extend(
                    text.lines()
                        .map(str::to_owned)
                        .filter(|line| !line.is_empty()),
                );
            }
            None => lines.push(line.clone()),
        }
    }
    for line in &lines {
        // The line itself may hold a secret: only its number of characters is told.
        let malformed = || "a --header is not of the form \"Name: value\"".to_owned();
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| malformed())?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| malformed())?;
        request = request.header(name, value);
    }
    if let Some(user) = &question.user {
        let basic = format!("Basic {}", STANDARD.encode(user));
        request = request.header(header::AUTHORIZATION, basic);
    }
    let body = question.data.clone().unwrap_or_default().into_bytes();
    let has = |request: &http::request::Builder, name| {
        request
            .headers_ref()
            .is_some_and(|headers| headers.contains_key(name))
    };
    if !has(&request, header::HOST) {
        request = request.header(header::HOST, authority);
    }
    if question.data.is_some() && !has(&request, header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let (mut parts, ()) = request
        .body(())
        .map_err(|_| "the request is malformed".to_owned())?
        .into_parts();
    // What the gateway is sent names a path alone.
    parts.uri = framing::with_path(parts.uri.path(), parts.uri.query())
        .ok_or_else(|| "the --url is too long".to_owned())?;
    Ok(AskedFor { parts, body, https })
}

/// A request as a client would send it.
struct AskedFor {
    parts: Parts,
    body: Vec<u8>,
    https: bool,
}

/// The request would be refused, and has been told so.
struct Refused;

struct Explanation<'a> {
    app: &'a App,
    request: AskedFor,
    run: bool,
}

impl Explanation<'_> {
    async fn tell(&self) -> Result<(), Refused> {
        let (route, target) = self.routed()?;
        let Some(plugin) = &route.plugin else {
            step(
                2,
                GATEWAY,
                "no openid-connect on this route: nothing is looked for",
            );
            caller::admitted(route, None)?;
            self.forwarded(route, &target, None);
            return Ok(());
        };
        let extraction = self.extracted(plugin)?;
        let Some(found) = &extraction.found else {
            return if plugin.lets_through(&self.request.parts.method) {
                more("a preflight is let through (run_on_preflight: false)");
                self.forwarded(route, &target, None);
                Ok(())
            } else {
                let denial = Denial::new(Reason::CredentialMissing);
                caller::nobody(route, plugin, &denial)?;
                self.forwarded(route, &target, None);
                Ok(())
            };
        };
        let (credential, client_arg) = (found.credential.clone(), extraction.client_arg.as_deref());
        let dry = plugin
            .dry_run(credential.clone(), client_arg)
            .await
            .map_err(|denial| {
                step(3, TO_IDP, "discovery did not succeed");
                refused(&denial)
            })?;
        planned(plugin, &dry);
        if !self.run {
            let spared = if dry.grant().kind() == CredentialKind::RefreshToken {
                "not asked: --run would, and would use up a rotating refresh token"
            } else {
                "not asked: --run would"
            };
            step(4, IDP, spared);
            step(5, FROM_IDP, "");
            step(
                6,
                GATEWAY,
                &format!("would verify the tokens: {}", checks(plugin)),
            );
            self.forwarded(route, &target, Some(plugin));
            return Ok(());
        }
        let granted = match plugin.authenticate(credential, client_arg).await {
            Ok(granted) => plugin.complete(granted).await,
            Err(denial) => Err(denial),
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(denial) => {
                step(4, IDP, "was asked, or its answer was at hand");
                if let Some(words) = denial.hint() {
                    more(&format!("it says: {words:?}"));
                }
                caller::nobody(route, plugin, &denial)?;
                self.forwarded(route, &target, None);
                return Ok(());
            }
        };
        step(4, IDP, "authenticated the client and took the credential");
        received(&granted);
        let identity = plugin.permit(&granted).map_err(|denial| refused(&denial))?;
        step(
            6,
            GATEWAY,
            &format!("verified the tokens: {}", checks(plugin)),
        );
        caller::told(&identity);
        caller::admitted(route, Some(&identity))?;
        self.forwarded(route, &target, Some(plugin));
        Ok(())
    }

    /// The route, and the path that goes upstream.
    fn routed(&self) -> Result<(&PreparedRoute, String), Refused> {
        let parts = &self.request.parts;
        step(
            1,
            FROM_CLIENT,
            &format!("{} {}", parts.method, parts.uri.path()),
        );
        let no = |status: u16, code: &str| {
            more(&format!(
                "refused with {status} ({code}): {}",
                advice::of(code)
            ));
            Refused
        };
        let host = framing::check(parts, &self.app.settings().limits, None)
            .map_err(|bad| no(bad.status().as_u16(), bad.code()))?;
        let path = normalise(parts.uri.path())
            .map_err(|bad| no(400, bad.code()))?
            .into_owned();
        if path != parts.uri.path() {
            more(&format!("normalised to {path}"));
        }
        let asked = Asked {
            method: &parts.method,
            host: &host,
            path: &path,
            headers: &parts.headers,
            https: self.request.https,
        };
        let (route, matched) = self.app.route(&asked).map_err(|unrouted| match unrouted {
            Unrouted::NoRoute => no(404, "request.no_route"),
            Unrouted::Ambiguous => no(400, BadTarget::Ambiguous.code()),
        })?;
        more(&format!(
            "route {} ({})",
            route.name,
            route.paths.join(", ")
        ));
        if matched.needs_https {
            return Err(no(426, "request.needs_https"));
        }
        let target = upstream_path(
            route.upstream.base_path(),
            &path,
            matched.length,
            route.strip_path,
        )
        .map_err(|bad| no(400, bad.code()))?;
        Ok((route, target))
    }

    fn extracted<'p>(&self, plugin: &'p Plugin) -> Result<Extraction<'p>, Refused> {
        let extractor = plugin.extractor();
        let format = extractor
            .needs_body(&self.request.parts.headers)
            .filter(|_| !self.request.body.is_empty());
        let body = format.map(|format: BodyFormat| (format, &self.request.body[..]));
        let extraction = extractor
            .extract(&self.request.parts, body)
            .map_err(|malformed| {
                step(
                    2,
                    GATEWAY,
                    &format!("a credential cannot be read: {malformed}"),
                );
                refused(&Denial::new(Reason::CredentialMalformed(malformed.code())))
            })?;
        match &extraction.found {
            None => step(2, GATEWAY, "found no credential where one is looked for"),
            Some(found) => {
                let kind = words(found.credential.kind());
                let name = wire_name(found.name, found.place);
                step(
                    2,
                    GATEWAY,
                    &format!("found a {kind} in the {} {name}", found.place.name()),
                );
                let hidden = if extraction.edits.is_empty() {
                    "it stays in the request (hide_credentials: false)"
                } else {
                    "it is removed from what goes upstream"
                };
                more(hidden);
            }
        }
        if let Some(client) = &extraction.client_arg {
            more(&format!("the request asks for the client {client:?}"));
        }
        Ok(extraction)
    }

    fn forwarded(&self, route: &PreparedRoute, to: &str, plugin: Option<&Arc<Plugin>>) {
        let host = route.upstream.host().to_str().unwrap_or_default();
        step(
            7,
            TO_UPSTREAM,
            &format!("{} {to} on {host}", self.request.parts.method),
        );
        if let Some(plugin) = plugin {
            for name in plugin.written_upstream() {
                let name = title_case(name.as_str());
                more(&format!("with {name}: [redacted]"));
            }
        }
        step(8, FROM_UPSTREAM, "not asked");
        step(9, TO_CLIENT, "what the upstream answers");
    }
}

const FROM_CLIENT: &str = "client → gateway";
const GATEWAY: &str = "gateway";
const TO_IDP: &str = "gateway → IdP";
const IDP: &str = "IdP";
const FROM_IDP: &str = "IdP → gateway";
const TO_UPSTREAM: &str = "gateway → upstream";
const FROM_UPSTREAM: &str = "upstream → gateway";
const TO_CLIENT: &str = "gateway → client";

fn step(number: u8, who: &str, what: &str) {
    println!("{}", format!("{number:>2}  {who:<20}{what}").trim_end());
}

fn more(what: &str) {
    println!("{:24}{what}", "");
}

fn refused(denial: &Denial) -> Refused {
    let reason = denial.reason();
    let code = reason.code();
    step(9, TO_CLIENT, &format!("{} ({code})", reason.status()));
    more(advice::of(code));
    Refused
}

fn planned(plugin: &Plugin, dry: &Dry) {
    let grant: &Grant = dry.grant();
    let client_id = grant.client().map_or("", Client::id);
    let Some((endpoint, url)) = dry.question() else {
        step(3, TO_IDP, "nothing is asked: the issuer's keys decide");
        found(dry);
        return;
    };
    let method = if endpoint == Endpoint::UserInfo {
        "GET"
    } else {
        "POST"
    };
    match url {
        Some(url) => step(3, TO_IDP, &format!("{method} {}", shown(url))),
        None => step(
            3,
            TO_IDP,
            &format!("the provider names no {} endpoint", endpoint.name()),
        ),
    }
    if endpoint == Endpoint::Token {
        more(&format!("grant_type {}", grant.kind()));
    }
    if grant.kind() == CredentialKind::ClientCredentials {
        more("as the caller's own client");
    } else if let Some(client) = grant.client().filter(|_| endpoint != Endpoint::UserInfo) {
        let why = match grant.chosen_by() {
            ChosenBy::Request => "the request asks for it",
            ChosenBy::AuthorizedParty => "the refresh token was issued to it (azp)",
            ChosenBy::Default => "the first of client_id",
        };
        let method = client.authentication_at(endpoint).method();
        more(&format!("client {:?} by {method}: {why}", client.id()));
    }
    if let Some(azp) = grant.hint().and_then(|hint| hint.azp.as_deref())
        && azp != client_id
    {
        more(&format!(
            "beware: the refresh token says that it was issued to {azp:?}; add that client to client_id"
        ));
    }
    let sends_scopes = matches!(
        grant.kind(),
        CredentialKind::Password | CredentialKind::ClientCredentials
    );
    if sends_scopes && !plugin.policy().scopes.is_empty() {
        more(&format!("scope {:?}", plugin.policy().scopes.join(" ")));
    }
    found(dry);
}

fn found(dry: &Dry) {
    match &dry.found {
        Found::Nothing => {}
        Found::Result(_) => more("not sent: the result is remembered"),
        Found::Successor => more("a newer refresh token would be sent in its place"),
        Found::Refusal(_) => more("not sent: it was refused moments ago"),
    }
}

fn received(granted: &Granted) {
    step(5, FROM_IDP, "tokens");
    let form = if granted.claims().is_some() {
        "a signed JWT"
    } else {
        "opaque"
    };
    let life = granted.expires_at().since(granted.received_at()).as_secs();
    more(&format!("access token: {form}, good for {life} s"));
    if granted.id_token().is_some() {
        more("ID token");
    }
    if granted.refresh_token().is_some() {
        more("refresh token");
    }
    if let Some(scope) = granted.scope() {
        more(&format!("scope {scope:?}"));
    }
}

/// The checks that tokens are held to, in their order.
fn checks(plugin: &Plugin) -> String {
    let policy = plugin.policy();
    let mut checks = Vec::new();
    if policy.verification.signature {
        checks.push("signature by a key of the issuer");
    }
    if policy.verification.claims {
        checks.extend(["iss", "exp", "nbf", "iat"]);
    }
    checks.push("token type");
    let required = &policy.requirements;
    for (name, requirement) in [
        ("scopes_required", &required.scopes),
        ("audience_required", &required.audience),
        ("roles_required", &required.roles),
        ("groups_required", &required.groups),
    ] {
        if !requirement.any_of.is_empty() {
            checks.push(name);
        }
    }
    if !required.forbidden.is_empty() {
        checks.push("claims_forbidden");
    }
    checks.join(", ")
}

const fn words(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::RefreshToken => "refresh token",
        CredentialKind::Password => "user name and a password",
        CredentialKind::ClientCredentials => "client id and a client secret",
        _ => "access token",
    }
}

fn wire_name(name: &str, place: token_extractors::Place) -> String {
    match place {
        token_extractors::Place::Header => title_case(name),
        _ => format!("{name:?}"),
    }
}

/// `refresh-token` as it stands on the wire: `Refresh-Token`.
fn title_case(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let shown = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            shown
        })
        .collect()
}
