//! The configuration: what was written → every problem with its place → what runs.
//! Serves the contract's section on configuration.

mod access_tokens;
mod acl;
mod attachments;
mod certificates;
mod clients;
mod document;
mod entities;
mod environment;
mod exchange;
mod gateway;
mod identity;
mod injections;
mod parameters;
mod plugin;
mod possession;
mod problems;
mod reader;
mod reference;
mod references;
mod routes;
mod services;
mod signed_jwt;
mod targets;
mod unsupported;

use std::path::Path;

pub use access_tokens::AccessTokenSettings;
pub use certificates::Certificate;
pub use clients::{ClientAuthMethod, ClientConfig, ClientKey};
pub use exchange::{ExchangeSettings, SubjectSettings};
pub use gateway::{
    ClientCertificates, Limits, Listener, ListenerTls, LogFormat, LogSettings, Settings, Timeouts,
};
pub(crate) use identity::header as identity_header;
pub use injections::{Carried, Injection, Injections};
pub use parameters::{Kind, PARAMETERS, Parameter};
pub use plugin::{OidcPlugin, RequiredClaims};
pub use possession::{CertificateHeader, PossessionSettings};
pub use problems::{Place, Problem, Problems};
pub use reference::reference_markdown;
pub use routes::{Protocol, Route, RoutePath};
pub use services::Service;
pub use signed_jwt::SignedJwtSettings;
pub use targets::HeaderTarget;

/// A configuration without a problem.
#[derive(Debug)]
pub struct Gateway {
    /// This program's own settings.
    pub settings: Settings,
    /// The routes, each with its service and its plugin.
    pub routes: Vec<Route>,
    /// How many services there are, with or without a route.
    pub services: usize,
}

/// Reads a file, lays the environment over it, and resolves everything in it.
///
/// # Errors
/// With every problem that there is, not only the first.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Gateway, Problems> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problems::one(Problem::new(
            Place::File {
                file: file.clone(),
                line: 0,
            },
            "",
            format!("cannot be read: {error}"),
        ))
    })?;
    let format = document::Format::of(path);
    parse(&file, format, &text, environment)
}

fn parse(
    file: &str,
    format: document::Format,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Gateway, Problems> {
    let mut root = document::read(file, format, text)?;
    let environment: Vec<_> = environment.into_iter().collect();
    let mut problems = Problems::new();
    environment::lay_over(&mut root, &environment, &mut problems);
    let context = reader::Context::new(file, &environment, problems);
    let gateway = services::resolve(&context, &root);
    let problems = context.into_problems();
    match gateway {
        Some(gateway) if problems.is_empty() => Ok(gateway),
        _ => Err(problems.sorted()),
    }
}

/// Reads a configuration from memory, as YAML; for tests and embedding.
///
/// # Errors
/// With every problem that there is.
pub fn from_yaml(text: &str) -> Result<Gateway, Problems> {
    parse("(memory)", document::Format::Yaml, text, [])
}
