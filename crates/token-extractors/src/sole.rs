//! Requests whose credential can only stand in one header line: what is found in one of them is
//! found in every other with the same line, without looking for it again.

use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use memchr::memmem;

use crate::extractor::ExtractorConfig;
use crate::places::Place;

/// Everything that an extractor may look at, by where it may stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// Headers that may hold a credential; the first of each name is its place.
    credentials: Vec<HeaderName>,
    /// Headers that decide without being one.
    others: Vec<HeaderName>,
    /// Whether cookies may hold one.
    cookies: bool,
    /// The parameters of a query that are looked at.
    parameters: Vec<String>,
    /// Whether one of these may be written in more than one way without `%`.
    ambiguous: bool,
}

/// The one header line that a request's credential can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sole<'r> {
    /// Which of the extractor's headers it is.
    pub place: usize,
    /// Its value.
    pub value: &'r HeaderValue,
}

impl Looks {
    pub(crate) fn of(
        config: &ExtractorConfig,
        bearer: &[HeaderName],
        refresh: Option<&HeaderName>,
        client: &[HeaderName],
    ) -> Self {
        let mut looks = Self {
            others: client.to_vec(),
            ..Self::default()
        };
        let mut credential = |name: &HeaderName| {
            if !looks.credentials.contains(name) {
                looks.credentials.push(name.clone());
            }
        };
        let places = |places: &Option<Vec<Place>>| places.clone().unwrap_or_default();
        let refresh_places = config
            .refresh_token
            .as_ref()
            .map(|(_, places)| places.clone());
        let kinds: [(Vec<Place>, &[&str]); 4] = [
            (places(&config.bearer), &["access_token"]),
            (refresh_places.unwrap_or_default(), &[]),
            (places(&config.password), &["username", "password"]),
            (
                places(&config.client_credentials),
                &["client_id", "client_secret"],
            ),
        ];
        if kinds[0].0.contains(&Place::Header) {
            bearer.iter().for_each(&mut credential);
        }
        if let Some(name) = refresh.filter(|_| kinds[1].0.contains(&Place::Header)) {
            credential(name);
        }
        if kinds[2..]
            .iter()
            .any(|(places, _)| places.contains(&Place::Header))
        {
            credential(&header::AUTHORIZATION);
        }
        for (places, names) in &kinds {
            looks.cookies |= places.contains(&Place::Cookie);
            if places.contains(&Place::Query) {
                looks
                    .parameters
                    .extend(names.iter().map(|name| (*name).to_owned()));
            }
        }
        if let Some((name, places)) = &config.refresh_token
            && places.contains(&Place::Query)
        {
            looks.parameters.push(name.clone());
        }
        looks.parameters.extend(config.client_arg.clone());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        looks.ambiguous = looks.parameters.iter().any(|name| !name.bytes().all(plain));
        looks
    }

    pub(crate) fn name_of(&self, sole: &Sole<'_>) -> Option<&HeaderName> {
        self.credentials.get(sole.place)
    }

    pub(crate) fn sole<'r>(&self, head: &'r Parts) -> Option<Sole<'r>> {
        let mut sole = None;
        for (name, value) in &head.headers {
            if let Some(place) = self.credentials.iter().position(|have| have == name) {
                if sole.replace(Sole { place, value }).is_some() {
                    return None;
                }
            } else if (self.cookies && *name == header::COOKIE) || self.others.contains(name) {
                return None;
            }
        }
        match head.uri.query() {
            Some(query) if self.may_be_in(query.as_bytes()) => None,
            _ => sole,
        }
    }

    fn may_be_in(&self, query: &[u8]) -> bool {
        if self.parameters.is_empty() || query.is_empty() {
            return false;
        }
        self.ambiguous
            || memchr::memchr(b'%', query).is_some()
            || self
                .parameters
                .iter()
                .any(|name| memmem::find(query, name.as_bytes()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Extractor;
    use http::Request;

    fn extractor() -> Extractor {
        let config = ExtractorConfig {
            bearer: Some(vec![Place::Header, Place::Query, Place::Cookie]),
            bearer_cookie: Some("at".to_owned()),
            refresh_token: Some((
                "refresh_token".to_owned(),
                vec![Place::Header, Place::Query],
            )),
            password: Some(vec![Place::Header]),
            client_arg: Some("client_id".to_owned()),
            ..ExtractorConfig::default()
        };
        Extractor::compile(config).expect("names")
    }

    #[test]
    fn one_line_decides_or_none_does() {
        let bearer = ("authorization", "Bearer abc");
        for (target, headers, expected) in [
            ("/", vec![bearer], Some("Bearer abc")),
            (
                "/",
                vec![("refresh-token", "abc"), ("accept", "*/*")],
                Some("abc"),
            ),
            ("/?page=2&q=access", vec![bearer], Some("Bearer abc")),
            ("/", vec![], None),
            ("/", vec![bearer, bearer], None),
            ("/", vec![bearer, ("refresh-token", "abc")], None),
            ("/", vec![bearer, ("x-access-token", "abc")], None),
            ("/", vec![bearer, ("client-id", "other")], None),
            ("/", vec![bearer, ("x-client-id", "other")], None),
            ("/", vec![bearer, ("cookie", "at=x")], None),
            ("/?access_token=x", vec![bearer], None),
            ("/?client_id=x", vec![bearer], None),
            ("/?%61ccess_token=x", vec![bearer], None),
            ("/?refresh_token=x", vec![bearer], None),
        ] {
            let mut request = Request::get(target);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).expect("a request").into_parts();
            let extractor = extractor();
            let sole = extractor.sole(&head);
            assert_eq!(
                sole.map(|sole| sole.value.to_str().expect("text")),
                expected,
                "{target} {headers:?}"
            );
        }
    }
}
