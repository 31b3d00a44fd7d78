//! What is found in a request, what is refused, and what is left of it: the contract's section on
//! what a request meets. Each refusal stands beside a twin that is accepted.

use http::Request;
use http::request::Parts;
use oidc_core::{Credential, CredentialKind};
use token_extractors::{Extractor, ExtractorConfig, Malformed, Place};

const ALL: [Place; 3] = [Place::Body, Place::Header, Place::Query];

fn extractor() -> Extractor {
    let mut config = ExtractorConfig::default();
    config.bearer = Some(vec![
        Place::Body,
        Place::Header,
        Place::Query,
        Place::Cookie,
    ]);
    config.bearer_cookie = Some("at".to_owned());
    config.refresh_token = Some(("refresh_token".to_owned(), ALL.to_vec()));
    config.password = Some(ALL.to_vec());
    config.client_credentials = Some(ALL.to_vec());
    config.client_arg = Some("client_id".to_owned());
    Extractor::compile(config).expect("header names")
}

fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=UTF-8",
);
const JSON: (&str, &str) = ("content-type", "application/json");

/// The credential as a word, and what is left of target, headers and body.
fn look(extractor: &Extractor, head: &Parts, body: &str) -> Result<(String, String), Malformed> {
    let format = extractor.needs_body(&head.headers);
    let extraction = extractor.extract(head, format.map(|format| (format, body.as_bytes())))?;
    let found = extraction.found.map_or_else(String::new, |found| {
        let value = match found.credential {
            Credential::Bearer(token) | Credential::RefreshToken(token) => {
                token.expose().to_owned()
            }
            Credential::Password { username, password } => {
                format!("{username}:{}", password.expose())
            }
            Credential::ClientCredentials {
                client_id,
                client_secret,
            } => {
                format!("{client_id}:{}", client_secret.expose())
            }
            other => format!("{other:?}"),
        };
        format!("{} {value}", found.place.name())
    });
    let mut headers = head.headers.clone();
    extraction.edits.apply_to_headers(&mut headers);
    headers.remove("content-type");
    let query = head.uri.query().unwrap_or_default();
    let query = extraction
        .edits
        .query(query)
        .unwrap_or_else(|| query.to_owned());
    let body = format
        .and_then(|format| extraction.edits.body(format, body.as_bytes()))
        .map_or_else(
            || body.to_owned(),
            |body| String::from_utf8(body).expect("UTF-8"),
        );
    let lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_str().expect("ASCII")))
        .collect();
    Ok((found, format!("{query}|{}|{body}", lines.join(","))))
}

#[test]
fn each_kind_is_found_in_each_place_and_removed_from_it() {
    for (target, headers, body, found, left) in [
        ("/", &[][..], "", "", "||"),
        (
            "/?a=1",
            &[("refresh-token", "rt")][..],
            "",
            "header rt",
            "a=1||",
        ),
        (
            "/?a=%7e&refresh_token=r%2Bt&b",
            &[],
            "",
            "query r+t",
            "a=%7e&b||",
        ),
        ("/", &[FORM], "a=1&refresh_token=rt", "body rt", "||a=1"),
        (
            "/",
            &[JSON],
            r#"{"a":1,"refresh_token":"rt"}"#,
            "body rt",
            r#"||{"a":1}"#,
        ),
        (
            "/",
            &[("authorization", "Basic am9objpkb2U=")],
            "",
            "header john:doe",
            "||",
        ),
        (
            "/",
            &[("authorization", "bAsIc am9objpkOm9l")],
            "",
            "header john:d:oe",
            "||",
        ),
        (
            "/?username=john&x=1&password=d%26oe",
            &[],
            "",
            "query john:d&oe",
            "x=1||",
        ),
        (
            "/",
            &[("authorization", "Bearer a.b-c==")],
            "",
            "header a.b-c==",
            "||",
        ),
        ("/", &[("x-access-token", "abc")], "", "header abc", "||"),
        (
            "/",
            &[("cookie", "a=1; at=abc; b=2")],
            "",
            "cookie abc",
            "|cookie=a=1; b=2|",
        ),
        // A header with an underscore is not its hyphenated twin.
        (
            "/",
            &[("refresh_token", "rt")],
            "",
            "",
            "|refresh_token=rt|",
        ),
        // Only what is a form or JSON in UTF-8 is read.
        (
            "/",
            &[("content-type", "multipart/form-data; boundary=x")],
            "refresh_token=rt",
            "",
            "||refresh_token=rt",
        ),
        (
            "/",
            &[(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-16",
            )],
            "refresh_token=rt",
            "",
            "||refresh_token=rt",
        ),
        (
            "/",
            &[FORM, ("content-encoding", "gzip")],
            "refresh_token=rt",
            "",
            "|content-encoding=gzip|refresh_token=rt",
        ),
        // The first kind decides, and the others go as well.
        (
            "/?username=john&password=doe",
            &[("refresh-token", "rt")],
            "",
            "header rt",
            "||",
        ),
        // Half a pair is no credential.
        ("/?username=john", &[], "", "", "username=john||"),
        (
            "/",
            &[("authorization", "Negotiate abc")],
            "",
            "",
            "|authorization=Negotiate abc|",
        ),
    ] {
        let (is, left_is) = look(&extractor(), &head(target, headers), body).expect("well-formed");
        assert_eq!(
            (is.as_str(), left_is.as_str()),
            (found, left),
            "{target} {headers:?} {body}"
        );
    }
}

#[test]
fn what_cannot_be_a_credential_is_told_apart_from_its_twin() {
    use Malformed as M;
    for (target, headers, body, expected) in [
        (
            "/",
            &[("refresh-token", "rt"), ("refresh-token", "rt")][..],
            "",
            M::Repeated,
        ),
        (
            "/?refresh_token=rt",
            &[("refresh-token", "rt")][..],
            "",
            M::Repeated,
        ),
        ("/?refresh_token=a&refresh_token=b", &[], "", M::Repeated),
        ("/?refresh_token=a&refresh%5Ftoken=b", &[], "", M::Repeated),
        ("/?refresh_token=a", &[FORM], "refresh_token=a", M::Repeated),
        (
            "/",
            &[JSON],
            r#"{"refresh_token":"a","refresh_token":"a"}"#,
            M::Repeated,
        ),
        ("/?username=a&username=b&password=c", &[], "", M::Repeated),
        (
            "/?username=a&password=b",
            &[("authorization", "Basic am9objpkb2U=")],
            "",
            M::Repeated,
        ),
        (
            "/",
            &[
                ("authorization", "Basic am9objpkb2U="),
                ("authorization", "Negotiate x"),
            ],
            "",
            M::Repeated,
        ),
        (
            "/",
            &[("authorization", "Bearer a"), ("access-token", "a")],
            "",
            M::Repeated,
        ),
        ("/", &[("refresh-token", "")], "", M::Empty),
        ("/?refresh_token=", &[], "", M::Empty),
        ("/", &[("authorization", "Basic ")], "", M::Empty),
        ("/", &[("authorization", "Basic OmRvZQ==")], "", M::Empty),
        ("/?refresh_token=a%0ab", &[], "", M::Bytes),
        ("/?refresh_token=%ff", &[], "", M::Bytes),
        ("/?refresh_token=%4", &[], "", M::PercentEncoding),
        (
            "/",
            &[("authorization", "Basic am9obg==")],
            "",
            M::BasicNoColon,
        ),
        ("/", &[("authorization", "Basic !")], "", M::BasicNotBase64),
        (
            "/",
            &[("authorization", "Basic am9objpkAW9l")],
            "",
            M::Bytes,
        ),
        ("/", &[("authorization", "Bearer a b")], "", M::NotB64Token),
        ("/", &[("authorization", "Bearer a=b")], "", M::NotB64Token),
        ("/", &[JSON], r#"{"refresh_token":["a"]}"#, M::NotText),
        ("/", &[JSON], r#"{"refresh_token":"a""#, M::Body),
    ] {
        let outcome = look(&extractor(), &head(target, headers), body);
        assert_eq!(outcome.err(), Some(expected), "{target} {headers:?} {body}");
    }
}

#[test]
fn nothing_is_looked_for_that_is_not_configured() {
    let mut config = ExtractorConfig::default();
    config.refresh_token = Some(("refresh_token".to_owned(), vec![Place::Header]));
    let extractor = Extractor::compile(config).expect("header names");
    let head = head(
        "/?refresh_token=a&refresh_token=b",
        &[FORM, ("authorization", "Basic !")],
    );
    let (found, left) = look(&extractor, &head, "refresh_token=x").expect("nothing is looked at");
    assert_eq!(found, "");
    assert_eq!(
        left,
        "refresh_token=a&refresh_token=b|authorization=Basic !|refresh_token=x"
    );
    assert_eq!(extractor.needs_body(&head.headers), None);
}

#[test]
fn basic_is_a_clients_secret_where_passwords_are_off() {
    let mut config = ExtractorConfig::default();
    config.client_credentials = Some(vec![Place::Header]);
    let extractor = Extractor::compile(config).expect("header names");
    let head = head("/", &[("authorization", "Basic am9objpkb2U=")]);
    let extraction = extractor.extract(&head, None).expect("well-formed");
    let kind = extraction.found.expect("a credential").credential.kind();
    assert_eq!(kind, CredentialKind::ClientCredentials);
}

#[test]
fn credentials_stay_where_they_are_not_to_be_hidden() {
    let mut config = ExtractorConfig::default();
    config.refresh_token = Some(("refresh_token".to_owned(), ALL.to_vec()));
    config.hide_credentials = false;
    let extractor = Extractor::compile(config).expect("header names");
    let (found, left) =
        look(&extractor, &head("/?refresh_token=rt", &[]), "").expect("well-formed");
    assert_eq!(
        (found.as_str(), left.as_str()),
        ("query rt", "refresh_token=rt||")
    );
}

#[test]
fn the_request_may_name_the_client_to_use() {
    for (target, headers, named) in [
        (
            "/",
            &[("refresh-token", "rt"), ("x-client-id", "service")][..],
            Some("service"),
        ),
        (
            "/?client_id=kong",
            &[("refresh-token", "rt"), ("client-id", "service")],
            Some("service"),
        ),
        ("/?client_id=kong", &[("refresh-token", "rt")], Some("kong")),
        ("/", &[("refresh-token", "rt")], None),
    ] {
        let extractor = extractor();
        let head = head(target, headers);
        let extraction = extractor.extract(&head, None).expect("well-formed");
        assert_eq!(extraction.client_arg.as_deref(), named);
    }
}

#[test]
fn a_malformed_body_matters_only_where_the_credential_may_be_in_it() {
    for (headers, body, expected) in [
        (
            &[JSON, ("refresh-token", "rt")][..],
            "{\"a\":",
            Ok("header rt"),
        ),
        (
            &[JSON, ("refresh-token", "rt")],
            "\u{feff}{}",
            Ok("header rt"),
        ),
        (&[JSON], "{\"a\":", Err(Malformed::Body)),
        (&[JSON], "{\"a\":1}", Ok("")),
    ] {
        let outcome = look(&extractor(), &head("/", headers), body);
        if let Ok((_, left)) = &outcome {
            assert!(left.ends_with(body), "{left}");
        }
        let found = outcome.as_ref().map(|(found, _)| found.as_str());
        assert_eq!(found.map_err(|error| *error), expected, "{body}");
    }
}

#[test]
fn a_second_authorization_line_leaves_open_who_is_asking() {
    let mut config = ExtractorConfig::default();
    config.bearer = Some(ALL.to_vec());
    let extractor = Extractor::compile(config).expect("header names");
    let lines = |second| [("authorization", "Bearer a"), ("authorization", second)];
    for second in ["Bearer a", "Basic am9objpkb2U=", "Negotiate x"] {
        let outcome = look(&extractor, &head("/", &lines(second)), "");
        assert_eq!(outcome.err(), Some(Malformed::Repeated), "{second}");
    }
    // Where nobody presents a token, it is none of ours.
    let headers = [
        ("authorization", "Digest a"),
        ("authorization", "Negotiate x"),
    ];
    assert!(look(&extractor, &head("/", &headers), "").is_ok());
}

#[test]
fn kinds_go_before_places() {
    // Passwords are looked for in the form alone, so that Basic is a client's.
    let mut config = ExtractorConfig::default();
    config.password = Some(vec![Place::Body]);
    config.client_credentials = Some(vec![Place::Header, Place::Body]);
    let extractor = Extractor::compile(config).expect("header names");
    let headers = [FORM, ("authorization", "Basic c2VydmljZTpz")];
    for (body, expected) in [
        ("", Ok(("header service:s", "||"))),
        ("username=john&password=doe&a", Ok(("body john:doe", "||a"))),
        ("client_id=x&client_secret=y", Err(Malformed::Repeated)),
    ] {
        let outcome = look(&extractor, &head("/", &headers), body);
        let outcome = outcome
            .as_ref()
            .map(|(found, left)| (found.as_str(), left.as_str()));
        assert_eq!(outcome.map_err(|error| *error), expected, "{body}");
    }
}

#[test]
fn a_password_is_text_and_a_clients_secret_is_ascii() {
    let utf8 = [("authorization", "Basic asO2aG46ZMWTZQ==")];
    let (found, _) = look(&extractor(), &head("/", &utf8), "").expect("text");
    assert_eq!(found, "header jöhn:dœe");
    let mut config = ExtractorConfig::default();
    config.client_credentials = Some(ALL.to_vec());
    let clients = Extractor::compile(config).expect("header names");
    assert_eq!(
        look(&clients, &head("/", &utf8), "").err(),
        Some(Malformed::Bytes)
    );
}
