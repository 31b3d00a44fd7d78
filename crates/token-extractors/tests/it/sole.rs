//! The one line that a credential can stand in: whatever it is said to be, a request is looked
//! through with the same outcome as one that has this line and nothing else.

use http::request::Parts;
use http::{HeaderMap, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use token_extractors::{BodyFormat, Extraction, Extractor, ExtractorConfig, Malformed, Place};

const ALL: [Place; 4] = [Place::Body, Place::Header, Place::Query, Place::Cookie];

fn extractor(change: impl FnOnce(&mut ExtractorConfig)) -> Extractor {
    let mut config = ExtractorConfig::default();
    config.client_arg = Some("client_id".to_owned());
    change(&mut config);
    Extractor::compile(config).expect("header names")
}

fn everywhere() -> Extractor {
    extractor(|config| {
        config.bearer = Some(ALL.to_vec());
        config.bearer_cookie = Some("at".to_owned());
        config.refresh_token = Some(("refresh_token".to_owned(), ALL.to_vec()));
        config.password = Some(ALL.to_vec());
        config.client_credentials = Some(ALL.to_vec());
    })
}

fn head(target: &str, lines: &[(&str, &str)]) -> Option<Parts> {
    let mut request = Request::post(target);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// The sole line, as it would be written.
fn sole(extractor: &Extractor, target: &str, lines: &[(&str, &str)]) -> Option<String> {
    let head = head(target, lines).expect("a request");
    let sole = extractor.sole(&head)?;
    let name = extractor.name_of(&sole).expect("a place of this extractor");
    Some(format!("{name}: {}", sole.value.to_str().expect("text")))
}

const BEARER: (&str, &str) = ("authorization", "Bearer abc");

#[test]
fn whatever_else_may_hold_a_credential_or_decides_leaves_no_line_alone() {
    let extractor = everywhere();
    for alone in [
        BEARER,
        ("authorization", "Basic am9objpkb2U="),
        ("authorization", "Negotiate x"),
        ("access-token", "abc"),
        ("x-access-token", "abc"),
        ("refresh-token", "abc"),
    ] {
        let (name, value) = alone;
        let written = Some(format!("{name}: {value}"));
        let also = [
            alone,
            ("accept", "*/*"),
            ("refresh_token", "x"),
            ("x-authorization", "y"),
        ];
        assert_eq!(
            sole(&extractor, "/?page=2&access=3", &also),
            written,
            "the twin"
        );
        for other in [
            BEARER,
            ("authorization", "Digest x"),
            ("authorization", ""),
            ("access-token", "abc"),
            ("x-access-token", ""),
            ("refresh-token", "abc"),
            ("cookie", "at=abc"),
            ("cookie", "refresh_token=abc"),
            ("cookie", "theme=dark"),
            ("client-id", "other"),
            ("x-client-id", ""),
        ] {
            assert_eq!(
                sole(&extractor, "/", &[alone, other]),
                None,
                "{alone:?} {other:?}"
            );
            assert_eq!(
                sole(&extractor, "/", &[other, alone]),
                None,
                "{alone:?} {other:?}"
            );
        }
        for query in [
            "access_token=x",
            "a=1&refresh_token",
            "username=x&password=y",
            "client_id=x",
            "client_secret=y",
            "%61ccess_token=x",
            "a=%20",
            "xaccess_tokens=1",
        ] {
            let target = format!("/?{query}");
            assert_eq!(
                sole(&extractor, &target, &[alone]),
                None,
                "{alone:?} {query}"
            );
        }
    }
    assert_eq!(sole(&extractor, "/", &[("accept", "*/*")]), None);
}

#[test]
fn what_is_not_looked_at_disturbs_nobody() {
    let bearer = extractor(|config| config.bearer = Some(vec![Place::Header]));
    let refresh = extractor(|config| {
        config.refresh_token = Some(("token".to_owned(), vec![Place::Header]));
    });
    let named = extractor(|config| {
        config.bearer = Some(vec![Place::Header]);
        config.bearer_header = Some("x-jwt".to_owned());
    });
    let busy = [("cookie", "at=abc"), ("refresh-token", "abc")];
    let target = "/?access_token=x&refresh_token=y&a=%20";
    for (extractor, alone) in [
        (&bearer, BEARER),
        (&refresh, ("token", "abc")),
        (&named, ("x-jwt", "abc")),
    ] {
        let lines = [busy[0], alone, busy[1]];
        let plain = sole(extractor, "/?a", &lines);
        assert_eq!(plain, Some(format!("{}: {}", alone.0, alone.1)));
        // The client may be named in any query, and `%` may hide that.
        assert_eq!(sole(extractor, target, &lines), None);
        assert_eq!(sole(extractor, "/?client_id=x", &lines), None);
    }
    // Where a header of its own holds the token, `Authorization` is none of it.
    assert_eq!(
        sole(&named, "/", &[BEARER, BEARER, ("x-jwt", "abc")]),
        Some("x-jwt: abc".to_owned())
    );
    assert_eq!(sole(&named, "/", &[BEARER]), None);
}

#[test]
fn a_name_that_may_be_written_in_several_ways_is_looked_for_in_every_query() {
    for (name, queries) in [
        ("my token", ["my+token=x", "a"]),
        ("jeton\u{e9}", ["a=1", "a"]),
    ] {
        let extractor = extractor(|config| {
            config.bearer = Some(vec![Place::Header]);
            config.refresh_token = Some((name.to_owned(), vec![Place::Query]));
        });
        for query in queries {
            assert_eq!(
                sole(&extractor, &format!("/?{query}"), &[BEARER]),
                None,
                "{query}"
            );
        }
        for target in ["/", "/?"] {
            assert!(sole(&extractor, target, &[BEARER]).is_some(), "{target}");
        }
    }
}

/// A body that may hold a credential is told of apart: by its format, which is to be asked first.
#[test]
fn a_body_that_may_hold_a_credential_is_asked_for() {
    let typed = ("content-type", "application/json");
    let other = ("content-type", "text/plain");
    for (extractor, lines, format) in [
        (everywhere(), [BEARER, typed], Some(BodyFormat::Json)),
        (everywhere(), [BEARER, other], None),
        (
            extractor(|config| config.bearer = Some(vec![Place::Header])),
            [BEARER, typed],
            None,
        ),
    ] {
        let head = head("/", &lines).expect("a request");
        assert_eq!(extractor.needs_body(&head.headers), format);
        assert!(extractor.sole(&head).is_some(), "of the head alone");
    }
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    subsequence(ALL.to_vec(), 0..=ALL.len())
}

fn config() -> impl Strategy<Value = ExtractorConfig> {
    let kinds = (
        proptest::option::of(places()),
        proptest::option::of(places()),
        proptest::option::of(places()),
        proptest::option::of(places()),
    );
    let names = (
        select(vec!["refresh_token", "token", "authorization"]),
        proptest::option::of(select(vec!["x-jwt", "authorization", "refresh-token"])),
        proptest::option::of(select(vec!["client_id", "app", "authorization"])),
    );
    (kinds, names, any::<bool>(), any::<bool>()).prop_map(|(kinds, names, dpop, hides)| {
        let mut config = ExtractorConfig::default();
        config.bearer = kinds.0;
        config.bearer_cookie = Some("at".to_owned());
        config.bearer_header = names.1.map(str::to_owned);
        config.dpop = dpop;
        config.refresh_token = kinds.1.map(|places| (names.0.to_owned(), places));
        config.password = kinds.2;
        config.client_credentials = kinds.3;
        config.client_arg = names.2.map(str::to_owned);
        config.hide_credentials = hides;
        config
    })
}

fn line() -> impl Strategy<Value = (String, String)> {
    let name = select(vec![
        "authorization",
        "Authorization",
        "access-token",
        "x-access-token",
        "refresh-token",
        "token",
        "x-jwt",
        "cookie",
        "client-id",
        "x-client-id",
        "app",
        "x-app",
        "accept",
        "content-type",
    ]);
    let value = prop_oneof![
        select(vec![
            "Bearer abc",
            "bearer  abc",
            "DPoP abc",
            "Basic am9objpkb2U=",
            "Basic !",
            "Negotiate x",
            "abc",
            "Bearer",
            "Bearer a b",
            "",
            "at=abc; refresh_token=x; token=y",
            "application/json",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
    ];
    (name.prop_map(str::to_owned), value)
}

fn query() -> impl Strategy<Value = String> {
    let word = select(vec![
        "access_token",
        "refresh_token",
        "token",
        "username",
        "password",
        "client_id",
        "client_secret",
        "app",
        "authorization",
        "%61pp",
        "=",
        "=",
        "&",
        "&",
        "x",
        "+",
    ]);
    vec(word, 0..7).prop_map(|words| words.concat())
}

type Outcome<'e> = Result<Extraction<'e>, Malformed>;

/// What a request is like that the outcome belongs to, once it is carried out.
fn after(outcome: &Outcome<'_>, head: &Parts) -> Option<(HeaderMap, String)> {
    let edits = &outcome.as_ref().ok()?.edits;
    let mut headers = head.headers.clone();
    edits.apply_to_headers(&mut headers);
    let query = head.uri.query().unwrap_or_default();
    let query = edits.query(query).unwrap_or_else(|| query.to_owned());
    Some((headers, query))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_sole_line_is_all_that_the_outcome_depends_on(
        config in config(),
        lines in vec(line(), 0..4),
        query in query(),
    ) {
        let Ok(extractor) = Extractor::compile(config) else { return Ok(()) };
        let lines: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let Some(whole) = head(&format!("/?{query}"), &lines) else { return Ok(()) };
        if extractor.needs_body(&whole.headers).is_some() {
            return Ok(());
        }
        let Some(sole) = extractor.sole(&whole) else { return Ok(()) };
        let name = extractor.name_of(&sole).expect("a place of this extractor");
        prop_assert_eq!(whole.headers.get_all(name).iter().collect::<Vec<_>>(), [sole.value]);

        let value = sole.value.to_str().expect("text");
        let bare = head("/", &[(name.as_str(), value)]).expect("a request");
        let (outcome, alone) = (extractor.extract(&whole, None), extractor.extract(&bare, None));
        match (&outcome, &alone) {
            (Ok(outcome), Ok(alone)) => {
                prop_assert_eq!(&outcome.found, &alone.found);
                prop_assert_eq!(&outcome.client_arg, &alone.client_arg);
                prop_assert_eq!(outcome.edits.is_empty(), alone.edits.is_empty());
                if let Some(found) = &outcome.found {
                    prop_assert_eq!((found.place, found.name), (Place::Header, name.as_str()));
                }
            }
            (outcome, alone) => prop_assert_eq!(outcome.as_ref().err(), alone.as_ref().err()),
        }
        // Who knows whether the line is hidden can do without the outcome.
        if let Ok(extraction) = &outcome {
            let mut hidden = whole.clone();
            if !extraction.edits.is_empty() {
                hidden.headers.remove(name);
            }
            let untouched = Ok(Extraction::default());
            prop_assert_eq!(after(&outcome, &whole), after(&untouched, &hidden));
        }
    }

    #[test]
    fn the_same_line_elsewhere_is_the_same_place(config in config(), value in "[!-~]{1,8}") {
        let Ok(extractor) = Extractor::compile(config) else { return Ok(()) };
        let mut places = Vec::new();
        for name in ["authorization", "access-token", "x-access-token", "refresh-token", "token", "x-jwt"] {
            for target in ["/", "/elsewhere?a"] {
                let head = head(target, &[(name, &value), ("accept", "*/*")]).expect("a request");
                let Some(sole) = extractor.sole(&head) else { continue };
                let named = extractor.name_of(&sole).expect("a place of this extractor").clone();
                prop_assert_eq!(named.as_str(), name);
                places.push((sole.place, named));
            }
        }
        for (place, name) in &places {
            prop_assert!(places.iter().all(|(other, named)| (place == other) == (name == named)));
        }
    }
}
