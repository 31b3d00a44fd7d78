//! What looking for credentials costs each request.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use token_extractors::{BodyFormat, Extractor, ExtractorConfig, Place};

fn extract(criterion: &mut Criterion) {
    let places = vec![Place::Body, Place::Header, Place::Query];
    let mut config = ExtractorConfig::default();
    config.bearer = Some(places.clone());
    config.refresh_token = Some(("refresh_token".to_owned(), places.clone()));
    config.password = Some(places.clone());
    config.client_credentials = Some(places);
    config.client_arg = Some("client_id".to_owned());
    let extractor = Extractor::compile(config).expect("header names");
    let token = "eyJhbGciOiJIUzUxMiJ9.".repeat(40);
    let json = format!("{{\"a\":\"{}\",\"b\":[1,2,3]}}", "x".repeat(1024));
    let form = format!("a={}&b=1", "x".repeat(1024));
    let cases = [
        ("nothing", None, None),
        ("header", Some(("refresh-token", token.as_str())), None),
        ("basic", Some(("authorization", "Basic am9objpkb2U=")), None),
        ("form", None, Some((BodyFormat::Form, form.as_bytes()))),
        ("json", None, Some((BodyFormat::Json, json.as_bytes()))),
    ];
    for (name, header, body) in cases {
        let mut request = Request::post("/path?a=1&b=2&c=3").header("accept", "*/*");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        criterion.bench_function(&format!("extract/{name}"), |bencher| {
            bencher.iter(|| extractor.extract(black_box(&head), black_box(body)));
        });
    }
}

criterion_group!(benches, extract);
criterion_main!(benches);
