//! What holds for any bytes: nothing panics, what is found is what a reference parser finds, and
//! its removal leaves every other byte as it was.

use http::Request;
use http::request::Parts;
use oidc_core::Credential;
use proptest::collection::vec;
use proptest::prelude::*;
use token_extractors::{BodyFormat, Extraction, Extractor, ExtractorConfig, Place};

const ALL: [Place; 4] = [Place::Body, Place::Header, Place::Query, Place::Cookie];

fn everything() -> Extractor {
    let mut config = ExtractorConfig::default();
    config.bearer = Some(ALL.to_vec());
    config.bearer_cookie = Some("at".to_owned());
    config.refresh_token = Some(("refresh_token".to_owned(), ALL.to_vec()));
    config.password = Some(ALL.to_vec());
    config.client_credentials = Some(ALL.to_vec());
    config.client_arg = Some("client_id".to_owned());
    Extractor::compile(config).expect("header names")
}

fn refresh_only() -> Extractor {
    let mut config = ExtractorConfig::default();
    config.refresh_token = Some(("refresh_token".to_owned(), ALL.to_vec()));
    Extractor::compile(config).expect("header names")
}

fn head(query: &str, headers: &[(&str, Vec<u8>)]) -> Option<Parts> {
    let mut request = Request::post(format!("/?{query}"));
    for (name, value) in headers {
        request = request.header(*name, value.as_slice());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// The request as it goes upstream.
fn edited(
    extraction: &Extraction<'_>,
    head: &Parts,
    format: BodyFormat,
    body: &[u8],
) -> (Parts, Vec<u8>) {
    let mut left = head.clone();
    extraction.edits.apply_to_headers(&mut left.headers);
    if let Some(query) = head
        .uri
        .query()
        .and_then(|query| extraction.edits.query(query))
    {
        left.uri = format!("/?{query}").parse().expect("a target");
    }
    let body = extraction.edits.body(format, body);
    (left, body.unwrap_or_default())
}

/// The token that was found.
fn token(extraction: &Extraction<'_>) -> String {
    match extraction.found.as_ref().map(|found| &found.credential) {
        Some(Credential::RefreshToken(token) | Credential::Bearer(token)) => {
            token.expose().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

/// Text that is full of what matters.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("refresh_token".to_owned()),
        Just("access_token".to_owned()),
        Just("username".to_owned()),
        Just("password".to_owned()),
        Just("client_id".to_owned()),
        Just("client_secret".to_owned()),
        Just("at".to_owned()),
        "[\\[\\]{}\":,=&;%+\\\\ a-f0-9]{1,4}",
    ];
    prop_oneof![
        vec(word, 0..12).prop_map(|words| words.concat().into_bytes()),
        vec(any::<u8>(), 0..60),
    ]
}

fn format() -> impl Strategy<Value = BodyFormat> {
    prop_oneof![Just(BodyFormat::Form), Just(BodyFormat::Json)]
}

/// A pair that is none of ours, as anybody may write it.
fn stranger() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-eg-q]{0,6}=[A-Za-z0-9%+._~=-]{0,8}",
        "[a-eg-q]{0,6}",
        Just("refresh_token2=%zz".to_owned()),
        Just("a=refresh_token".to_owned()),
        Just("Refresh_token=x".to_owned()),
    ]
}

/// The same text in one of its encodings.
fn encoded(text: &'static str) -> impl Strategy<Value = String> {
    vec(0..3u8, text.len()).prop_map(move |ways| {
        text.bytes()
            .zip(ways)
            .map(|(byte, way)| match (way, byte) {
                (0, b' ') => "+".to_owned(),
                (0, b'&' | b'=' | b'%' | b'+' | b'#') | (1, _) => format!("%{byte:02x}"),
                (2, _) => format!("%{byte:02X}"),
                (_, byte) => char::from(byte).to_string(),
            })
            .collect()
    })
}

const TOKEN: &str = "r%t +1&=~#";

/// Members of a JSON object that are none of ours, as they are written.
fn member() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[a-eg-z]{1,5}", Just("refresh_tokens".to_owned())];
    let value = prop_oneof![
        Just(r#"{"refresh_token" : "inner"}"#.to_owned()),
        Just(r#"["refresh_token", {"refresh_token":1}]"#.to_owned()),
        Just(r#""\"refresh_token\":\"x\"""#.to_owned()),
        Just(r#""\\""#.to_owned()),
        Just("-1.5e3".to_owned()),
        Just("null".to_owned()),
        "\"[a-z{}\\[\\],:]{0,6}\"",
    ];
    (name, "[ \n\t]{0,2}", value)
        .prop_map(|(name, space, value)| format!("\"{name}\"{space}:{space}{value}"))
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_found_is_left(
        query in any_text(),
        body in any_text(),
        format in format(),
        cookie in any_text(),
        basic in any_text(),
        refresh in any_text(),
    ) {
        let Ok(query) = String::from_utf8(query) else { return Ok(()) };
        let authorization = [b"Basic ".as_slice(), &basic].concat();
        let headers = [("cookie", cookie), ("authorization", authorization), ("refresh-token", refresh)];
        for count in 0..=headers.len() {
            let Some(head) = head(&query, &headers[..count]) else { continue };
            let extractor = everything();
            let Ok(extraction) = extractor.extract(&head, Some((format, &body))) else { continue };
            if extraction.found.is_none() {
                prop_assert!(extraction.edits.is_empty());
                continue;
            }
            let (left, left_body) = edited(&extraction, &head, format, &body);
            let again = extractor.extract(&left, Some((format, &left_body)));
            if let Ok(again) = again {
                prop_assert!(again.found.is_none(), "{:?} is left in {left:?}", again.found);
            }
        }
    }

    #[test]
    fn a_pair_goes_and_the_others_stay_byte_for_byte(
        before in vec(stranger(), 0..4),
        name in encoded("refresh_token"),
        value in encoded(TOKEN),
        after in vec(stranger(), 0..4),
    ) {
        let pair = format!("{name}={value}");
        let text = before.iter().chain([&pair]).chain(&after).cloned().collect::<Vec<_>>().join("&");
        let left = before.iter().chain(&after).cloned().collect::<Vec<_>>().join("&");
        let extractor = refresh_only();
        let Some(head) = head(&text, &[]) else { return Ok(()) };
        let extraction = extractor.extract(&head, None).expect("well-formed");
        prop_assert_eq!(token(&extraction), TOKEN);
        let reference = url::form_urlencoded::parse(text.as_bytes()).find(|(name, _)| name == "refresh_token");
        prop_assert_eq!(reference.expect("there").1, TOKEN);
        prop_assert_eq!(extraction.edits.query(&text), Some(left.clone()));
        // The same in a form.
        let head = self::head("", &[]).expect("a request");
        let extraction = extractor.extract(&head, Some((BodyFormat::Form, text.as_bytes()))).expect("well-formed");
        prop_assert_eq!(token(&extraction), TOKEN);
        prop_assert_eq!(extraction.edits.body(BodyFormat::Form, text.as_bytes()), Some(left.into_bytes()));
    }

    #[test]
    fn a_member_goes_and_the_others_stay_byte_for_byte(
        before in vec(member(), 0..4),
        after in vec(member(), 0..4),
        space in "[ \n\t]{0,2}",
        name in prop_oneof![Just("refresh_token"), Just("refresh\\u005ftoken")],
        written in "[ -~]{1,12}",
    ) {
        let ours = format!("\"{name}\":{space}{}", serde_json::Value::from(written.as_str()));
        let comma = format!("{space},{space}");
        let write = |members: &[&String]| {
            let members: Vec<&str> = members.iter().map(|member| member.as_str()).collect();
            format!("{space}{{{space}{}{space}}}{space}", members.join(&comma))
        };
        let all: Vec<&String> = before.iter().chain([&ours]).chain(&after).collect();
        let text = write(&all);
        let head = head("", &[]).expect("a request");
        let extractor = refresh_only();
        let extraction = extractor.extract(&head, Some((BodyFormat::Json, text.as_bytes()))).expect("well-formed");
        prop_assert_eq!(token(&extraction), written);
        let left = extraction.edits.body(BodyFormat::Json, text.as_bytes()).expect("changed");
        let left = String::from_utf8(left).expect("UTF-8");
        // Every other member is there as it was written, in its order, and the whole is JSON.
        let mut rest = left.as_str();
        for member in before.iter().chain(&after) {
            let at = rest.find(member.as_str());
            prop_assert!(at.is_some(), "{member} is gone from {left}");
            rest = &rest[at.unwrap_or_default() + member.len()..];
        }
        let bare = |text: &str| text.split([' ', '\n', '\t']).collect::<String>();
        let others: Vec<&String> = before.iter().chain(&after).collect();
        prop_assert_eq!(bare(&left), bare(&write(&others)));
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&left).is_ok(), "{left}");
    }

    #[test]
    fn a_cookie_goes_and_the_others_stay(
        before in vec("[b-z]{1,4}=[a-z0-9\"=]{0,5}", 0..4),
        after in vec("[b-z]{1,4}=[a-z0-9\"=]{0,5}", 0..4),
    ) {
        let mut config = ExtractorConfig::default();
        config.bearer = Some(vec![Place::Cookie]);
        config.bearer_cookie = Some("at".to_owned());
        let extractor = Extractor::compile(config).expect("header names");
        let ours = "at=abc".to_owned();
        let line = before.iter().chain([&ours]).chain(&after).cloned().collect::<Vec<_>>().join("; ");
        let left = before.iter().chain(&after).cloned().collect::<Vec<_>>().join("; ");
        let mut head = head("", &[("cookie", line.into_bytes())]).expect("a request");
        let extraction = extractor.extract(&head, None).expect("well-formed");
        prop_assert_eq!(token(&extraction), "abc");
        extraction.edits.apply_to_headers(&mut head.headers);
        let cookie = head.headers.get("cookie").map(|line| line.to_str().expect("ASCII"));
        prop_assert_eq!(cookie.unwrap_or_default(), left);
    }
}
