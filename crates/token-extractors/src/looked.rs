//! A request as it is looked through for credentials, each part read at most once.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use http::{HeaderMap, HeaderName, header};
use oidc_core::Credential;

use crate::body::BodyFormat;
use crate::extractor::Found;
use crate::json::{self, Member};
use crate::malformed::Malformed;
use crate::pairs;
use crate::places::Place;
use crate::strip::{Edits, cookie_value};

/// A body that was read, and its format.
pub(crate) type Body<'b> = Option<(BodyFormat, &'b [u8])>;

/// A request as it is looked through.
pub(crate) struct Looked<'r> {
    pub(crate) headers: &'r HeaderMap,
    query: &'r [u8],
    body: Body<'r>,
    /// The members of a JSON body, read when the first is asked for.
    members: OnceCell<Vec<Member<'r>>>,
    /// Whether the body turned out not to be what its type says.
    malformed: Cell<bool>,
}

pub(crate) type Values<'r> = Vec<Result<Cow<'r, [u8]>, Malformed>>;

impl<'r> Looked<'r> {
    pub(crate) const fn at(headers: &'r HeaderMap, query: &'r [u8], body: Body<'r>) -> Self {
        Self {
            headers,
            query,
            body,
            members: OnceCell::new(),
            malformed: Cell::new(false),
        }
    }

    /// Whether the body was looked into, and is not what its type says.
    pub(crate) fn body_is_malformed(&self) -> bool {
        self.malformed.get()
    }

    pub(crate) fn values(&self, place: Place, name: &str) -> Values<'r> {
        match (place, self.body) {
            (Place::Query, _) => pairs::values(self.query, name).collect(),
            (Place::Body, Some((BodyFormat::Form, body))) => pairs::values(body, name).collect(),
            (Place::Body, Some((BodyFormat::Json, body))) => self
                .members(body)
                .iter()
                .filter_map(|member| member.value_of(name))
                .map(|value| value.map(bytes))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn members(&self, body: &'r [u8]) -> &[Member<'r>] {
        self.members.get_or_init(|| {
            json::members(body).unwrap_or_else(|_| {
                self.malformed.set(true);
                Vec::new()
            })
        })
    }

    /// The only value; several are refused.
    pub(crate) fn one(&self, place: Place, name: &str) -> Result<Option<Cow<'r, [u8]>>, Malformed> {
        let mut values = self.values(place, name);
        match values.len() {
            0 => Ok(None),
            1 => values.remove(0).map(Some),
            _ => Err(Malformed::Repeated),
        }
    }

    /// Where `Authorization` holds a credential, a second line of it, of whatever scheme, leaves
    /// open who is asking.
    pub(crate) fn only_authorization(&self, name: &HeaderName) -> Result<(), Malformed> {
        let lines = self.headers.get_all(header::AUTHORIZATION).iter().count();
        if *name == header::AUTHORIZATION && lines > 1 {
            return Err(Malformed::Repeated);
        }
        Ok(())
    }

    pub(crate) fn cookies<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = &'r [u8]> + use<'r, 'n> {
        self.headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .filter_map(move |cookie| cookie_value(cookie, name))
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// At most one credential of a kind.
pub(crate) struct One<'e, T> {
    value: Option<(Place, &'e str, T)>,
    pub(crate) edits: Edits<'e>,
}

impl<T> Default for One<'_, T> {
    fn default() -> Self {
        Self {
            value: None,
            edits: Edits::default(),
        }
    }
}

impl<'e, T> One<'e, T> {
    pub(crate) fn put(&mut self, place: Place, name: &'e str, value: T) -> Result<(), Malformed> {
        if self.value.replace((place, name, value)).is_some() {
            return Err(Malformed::Repeated);
        }
        Ok(())
    }

    pub(crate) fn hide(&mut self, place: Place, name: &'e str) {
        match place {
            Place::Query => self.edits.query.push(name),
            Place::Body => self.edits.body.push(name),
            Place::Header | Place::Cookie => {}
        }
    }

    pub(crate) fn into_found(
        self,
        credential: impl FnOnce(T) -> Credential,
    ) -> Option<(Found<'e>, Edits<'e>)> {
        let (place, name, value) = self.value?;
        Some((
            Found {
                credential: credential(value),
                place,
                name,
                by_dpop: false,
            },
            self.edits,
        ))
    }
}
