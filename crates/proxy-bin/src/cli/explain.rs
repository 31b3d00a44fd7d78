//! `oidc-proxy explain`: what would become of one request, numbered as in the sequence diagram of
//! the refresh token workflow. No secret is shown, and no token is burned unless `--run` is given.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use oidc_core::{CredentialKind, Denial, Fault, Reason};
use token_extractors::{BodyFormat, Extraction};

use super::{fail, runtime};
use crate::app::{App, PreparedRoute, Unrouted};
use crate::authenticate::{Foreseen, Plugin};
use crate::config;
use crate::framing;
use crate::routes::{Asked, BadTarget, normalise, upstream_path};
use crate::telemetry::Metrics;

mod advice;
mod caller;
mod request;
mod told;

use request::{AskedFor, request};
use told::{checks, further, planned, proofs, received, title_case, wire_name, words};

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
    /// Asks the provider for real, also where that spends something: with rotation on, this uses
    /// the refresh token up.
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
    let runtime = match runtime(Some(1)) {
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
                let not = match denial.reason().fault() {
                    Fault::Caller => "nothing is asked: the token is not taken",
                    _ => "discovery did not succeed",
                };
                step(3, TO_IDP, not);
                refused(&denial)
            })?;
        planned(plugin, &dry);
        // To verify a token costs nobody a token: the keys alone are asked for.
        let by_keys = dry.question().is_none();
        if !self.run && !by_keys {
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
                &format!(
                    "would verify the tokens: {}",
                    checks(plugin, dry.grant().kind())
                ),
            );
            proofs(plugin, dry.grant().kind());
            self.forwarded(route, &target, Some(plugin));
            return Ok(());
        }
        let deadline = plugin.deadline();
        let granted = match plugin.authenticate(credential, client_arg, deadline).await {
            Ok((granted, _)) if self.run => plugin.complete(granted, deadline).await,
            traded => traded.map(|(granted, _)| granted),
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(denial) => {
                let asked = if by_keys && !self.run {
                    "gave its keys, or they were at hand"
                } else {
                    "was asked, or its answer was at hand"
                };
                step(4, IDP, asked);
                if let Some(words) = denial.hint() {
                    more(&format!("it says: {words:?}"));
                }
                caller::nobody(route, plugin, &denial)?;
                self.forwarded(route, &target, None);
                return Ok(());
            }
        };
        step(
            4,
            IDP,
            match dry.grant().kind() {
                CredentialKind::Bearer => "gave its keys, or they were at hand",
                CredentialKind::Introspection => {
                    "authenticated the client and says that it is active"
                }
                CredentialKind::UserInfo => "took the token and told about its user",
                _ => "authenticated the client and took the credential",
            },
        );
        received(&granted);
        if !std::ptr::eq(granted.presented(), &*granted) {
            more("the provider exchanged the token: this is the one that goes upstream");
        }
        if !self.run {
            further(plugin, &granted);
        }
        let identity = plugin.permit(&granted).map_err(|denial| refused(&denial))?;
        step(
            6,
            GATEWAY,
            &format!("verified the tokens: {}", checks(plugin, granted.kind())),
        );
        let parts = &self.request.parts;
        let now = oidc_broker::system_clock()();
        let foreseen = plugin
            .possession()
            .foresee(&granted, found.by_dpop, parts, self.request.https, now)
            .map_err(|denial| refused(&denial))?;
        if foreseen == Foreseen::ByCertificate {
            more(
                "not decided here: the client has to show the certificate that the token is bound to",
            );
        }
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
        let limits = &self.app.settings().limits;
        let host = framing::check_size(parts, limits)
            .and_then(|()| framing::check(parts, None))
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
        .map_err(|bad| no(400, bad.code()))?
        .into_owned();
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
                    &format!("found {kind} in the {} {name}", found.place.name()),
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
