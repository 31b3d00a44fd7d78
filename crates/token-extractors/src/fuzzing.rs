//! What holds for any bytes of a request: called by the fuzz targets, and by the tests below with
//! random bytes of the same shapes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Request, header};
use serde_json::{Map, Value};

use crate::strip::{cookie_value, remove_cookies};
use crate::{BodyFormat, Extractor, ExtractorConfig, Place, basic, json};

/// Nothing that was found is found again in what goes upstream.
pub fn extract(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let [query, cookie, authorization, body] = [(); 4].map(|()| parts.next().unwrap_or_default());
    let Ok(target) = std::str::from_utf8(query).map(|query| format!("/?{query}")) else {
        return;
    };
    let request = Request::post(target)
        .header("cookie", cookie)
        .header("authorization", authorization);
    let Ok(request) = request.body(()) else {
        return;
    };
    let (head, ()) = request.into_parts();
    let extractor = everything();
    for format in [BodyFormat::Form, BodyFormat::Json] {
        let Ok(extraction) = extractor.extract(&head, Some((format, body))) else {
            continue;
        };
        let mut left = head.clone();
        extraction.edits.apply_to_headers(&mut left.headers);
        let query = head
            .uri
            .query()
            .and_then(|query| extraction.edits.query(query));
        if let Some(query) = query {
            left.uri = format!("/?{query}").parse().expect("a part of a target");
        }
        let left_body = extraction.edits.body(format, body);
        let left_body = left_body.as_deref().unwrap_or(body);
        if let Ok(again) = extractor.extract(&left, Some((format, left_body))) {
            assert!(again.found.is_none(), "something is left");
        }
    }
}

fn everything() -> Extractor {
    let places = vec![Place::Body, Place::Header, Place::Query, Place::Cookie];
    let config = ExtractorConfig {
        bearer: Some(places.clone()),
        bearer_cookie: Some("at".to_owned()),
        refresh_token: Some(("refresh_token".to_owned(), places.clone())),
        password: Some(places.clone()),
        client_credentials: Some(places),
        client_arg: Some("client_id".to_owned()),
        ..ExtractorConfig::default()
    };
    Extractor::compile(config).expect("header names")
}

/// A member that is removed is gone, and everything else means what it meant.
pub fn json_strip(bytes: &[u8]) {
    let Some(left) = json::without(bytes, &["t"]) else {
        return;
    };
    let read = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes);
    // Numbers too large for a float are JSON, and no value.
    let Ok(mut before) = read(bytes) else {
        return;
    };
    before.remove("t");
    assert_eq!(read(&left).expect("JSON still"), before);
}

/// What is decoded is what was encoded.
pub fn basic(bytes: &[u8]) {
    if let Some(Ok((name, secret))) = basic::parse(bytes) {
        assert!(!name.contains(':'));
        let encoded = STANDARD.encode(format!("{name}:{}", secret.expose()));
        let sent = bytes[b"basic".len()..].trim_ascii();
        assert_eq!(encoded.as_bytes(), sent);
    }
}

/// A cookie that is removed is gone, and the others are there in their order.
pub fn cookies(bytes: &[u8]) {
    let Ok(line) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.append(header::COOKIE, line);
    let others = |headers: &HeaderMap| -> Vec<Vec<u8>> {
        let lines = headers.get_all(header::COOKIE).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .map(|cookie| cookie.trim_ascii().to_vec())
            .filter(|cookie| cookie_value(cookie, "at").is_none() && !cookie.is_empty())
            .collect()
    };
    let before = others(&headers);
    remove_cookies(&mut headers, &["at"]);
    assert_eq!(others(&headers), before);
    let gone = headers.get_all(header::COOKIE).iter().all(|line| {
        let mut cookies = line.as_bytes().split(|byte| *byte == b';');
        cookies.all(|cookie| cookie_value(cookie, "at").is_none())
    });
    assert!(gone);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Bytes that are full of what matters to these parsers.
    fn shaped(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            3 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 1..3),
            1 => "[ -~]{1,3}".prop_map(String::into_bytes),
        ];
        vec(word, 0..14).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn requests(bytes in shaped(&["refresh_token", "access_token", "username", "password", "client_id", "client_secret", "=", "&", "\n", "at=", "; ", "Basic am9objpkb2U=", "{\"", "\":\"", "\"}", "\",\"", "%5f", "+"])) {
            extract(&bytes);
        }

        #[test]
        fn objects(bytes in shaped(&["{", "}", "\"t\"", "\"u\"", "\"\\u0074\"", ":", ",", "1", "[", "]", "\"\\\"\"", " ", "\n"])) {
            json_strip(&bytes);
        }

        #[test]
        fn members(before in vec("(\"t\"|\"a\"|\"\\\\\\\\\"): ?(1|\"t\"|\\{\"t\":2\\}|\\[\\])", 0..5)) {
            json_strip(format!("{{ {} }}", before.join(" , ")).as_bytes());
        }

        #[test]
        fn credentials(bytes in shaped(&["Basic ", "basic", "am9objpkb2U=", "Og==", " "]), name in "[^:]{0,6}", secret in ".{0,6}") {
            basic(&bytes);
            basic(format!("bAsIc {}", STANDARD.encode(format!("{name}:{secret}"))).as_bytes());
        }

        #[test]
        fn cookie_lines(bytes in shaped(&["at=", "at", "=", ";", "; ", " ", "b=1", "\""])) {
            cookies(&bytes);
        }
    }
}
