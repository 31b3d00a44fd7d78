//! What looking for credentials costs a request with the headers of a browser's script.

use std::hint::black_box;

use anyhow::{Result, ensure};
use http::Request;
use http::request::Parts;
use token_extractors::{Extractor, ExtractorConfig, Place};

use crate::inputs::Inputs;

/// What a browser's script sends.
const USUAL: &[(&str, &str)] = &[
    ("host", "api.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    ),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-US,en;q=0.9"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("origin", "https://app.example.com"),
    ("referer", "https://app.example.com/"),
    ("sec-fetch-site", "same-site"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
];

pub(crate) fn nothing(count: u64) -> Result<()> {
    extract(&head(None)?, false, count)
}

pub(crate) fn bearer(inputs: &Inputs, count: u64) -> Result<()> {
    let value = format!("Bearer {}", inputs.rs256);
    extract(&head(Some(("authorization", &value)))?, true, count)
}

pub(crate) fn refresh_token(inputs: &Inputs, count: u64) -> Result<()> {
    let line = ("refresh-token", inputs.refresh_token.as_str());
    extract(&head(Some(line))?, true, count)
}

fn head(more: Option<(&str, &str)>) -> Result<Parts> {
    let mut request = Request::get("/bearer/orders?page=2&size=50");
    for (name, value) in USUAL.iter().copied().chain(more) {
        request = request.header(name, value);
    }
    Ok(request.body(())?.into_parts().0)
}

/// All kinds are looked for that a header or the query may hold.
fn extractor() -> Result<Extractor> {
    let places = vec![Place::Header, Place::Query];
    let mut config = ExtractorConfig::default();
    config.bearer = Some(places.clone());
    config.refresh_token = Some(("refresh_token".to_owned(), vec![Place::Header]));
    config.password = Some(places.clone());
    config.client_credentials = Some(places);
    Ok(Extractor::compile(config)?)
}

fn extract(head: &Parts, is_found: bool, count: u64) -> Result<()> {
    let extractor = extractor()?;
    for _ in 0..count {
        let extraction = extractor.extract(black_box(head), None)?;
        ensure!(extraction.found.is_some() == is_found, "extraction");
        black_box(extraction);
    }
    Ok(())
}

/// The line that a bearer token stands in, by which an answer is recalled.
pub(crate) fn sole(inputs: &Inputs, count: u64) -> Result<()> {
    let value = format!("Bearer {}", inputs.rs256);
    let head = head(Some(("authorization", &value)))?;
    let extractor = extractor()?;
    for _ in 0..count {
        let sole = extractor.sole(black_box(&head));
        ensure!(black_box(sole).is_some(), "it is not the only one");
    }
    Ok(())
}
