//! What goes wrong on purpose: late, broken, cut or refused answers, an endpoint at a time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Endpoint, Gate};

/// One thing that goes wrong with an answer.
///
/// A fault is made of when the request is taken up (at once, after a delay, when a gate opens),
/// what is answered (the real answer or another), and how it gets to the client (whole, cut,
/// byte by byte).
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) delay: Option<Duration>,
    pub(crate) gate: Option<Gate>,
    pub(crate) answer: Answer,
    pub(crate) delivery: Delivery,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// What the provider says.
    Real,
    /// The provider's answer, after the provider's work, with another body or type.
    Altered(Alteration),
    /// Something else, without asking the provider: a token is not used up.
    Instead {
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
    /// Nothing, without asking the provider.
    Nothing,
}

/// A change to a real answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alteration {
    CutJson,
    ByteOrderMark,
    Utf16,
    ContentType(&'static str),
}

/// How an answer gets to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Not at all: the connection ends before the first byte.
    Lost,
    /// The connection ends in the middle of the body.
    Cut,
    /// A byte at a time.
    Drip(Duration),
}

impl Fault {
    const fn new(answer: Answer) -> Self {
        Self {
            delay: None,
            gate: None,
            answer,
            delivery: Delivery::Whole,
        }
    }

    /// The request is taken up after this time.
    #[must_use]
    pub const fn delay(delay: Duration) -> Self {
        Self::new(Answer::Real).after(delay)
    }

    /// The request is taken up when the gate opens.
    #[must_use]
    pub fn hold(gate: &Gate) -> Self {
        Self::new(Answer::Real).held_by(gate)
    }

    /// This status instead of an answer, with an empty JSON object as its body.
    ///
    /// # Panics
    /// If there is no such status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Self::new(Answer::Instead {
            status: StatusCode::from_u16(status).expect("a status has three digits"),
            headers,
            body: Bytes::from_static(b"{}"),
        })
    }

    /// 429 with a `Retry-After`.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::status(429).header("retry-after", &retry_after.as_secs().to_string())
    }

    /// A redirect to this address, such as 302 or 307.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// A refusal as in RFC 6749 §5.2.
    #[must_use]
    pub fn refusal(status: u16, error: &str, description: &str) -> Self {
        let body = serde_json::json!({"error": error, "error_description": description});
        Self::status(status).body(body.to_string())
    }

    /// An HTML page with status 200.
    #[must_use]
    pub fn html() -> Self {
        Self::status(200)
            .header("content-type", "text/html")
            .body("<!DOCTYPE html><html><body>It works!</body></html>")
    }

    /// A body of so many bytes, which is no JSON, with status 200.
    #[must_use]
    pub fn huge(bytes: usize) -> Self {
        Self::status(200).body(vec![b' '; bytes])
    }

    /// The real answer without its second half.
    #[must_use]
    pub const fn cut_json() -> Self {
        Self::new(Answer::Altered(Alteration::CutJson))
    }

    /// The real answer after a byte order mark (RFC 8259 §8.1 forbids one).
    #[must_use]
    pub const fn byte_order_mark() -> Self {
        Self::new(Answer::Altered(Alteration::ByteOrderMark))
    }

    /// The real answer in UTF-16.
    #[must_use]
    pub const fn utf16() -> Self {
        Self::new(Answer::Altered(Alteration::Utf16))
    }

    /// The real answer under another content type.
    #[must_use]
    pub const fn content_type(content_type: &'static str) -> Self {
        Self::new(Answer::Altered(Alteration::ContentType(content_type)))
    }

    /// The connection ends without an answer, and the provider never sees the request.
    #[must_use]
    pub const fn cut() -> Self {
        Self::new(Answer::Nothing)
    }

    /// The provider does its work, and the connection ends before the first byte of its answer.
    #[must_use]
    pub const fn lose_answer() -> Self {
        let mut fault = Self::new(Answer::Real);
        fault.delivery = Delivery::Lost;
        fault
    }

    /// The provider does its work, and the connection ends in the middle of its answer's body.
    #[must_use]
    pub const fn cut_in_answer() -> Self {
        let mut fault = Self::new(Answer::Real);
        fault.delivery = Delivery::Cut;
        fault
    }

    /// The answer's body comes a byte at a time.
    #[must_use]
    pub const fn drip(interval: Duration) -> Self {
        let mut fault = Self::new(Answer::Real);
        fault.delivery = Delivery::Drip(interval);
        fault
    }

    /// Adds a delay to this fault.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Adds a gate to this fault.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Sets a header of the answer that is given instead of the real one.
    ///
    /// # Panics
    /// If this fault lets the real answer through, or the header is malformed.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let Answer::Instead { headers, .. } = &mut self.answer else {
            panic!("this fault has no answer of its own");
        };
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            HeaderValue::from_str(value).expect("a header value"),
        );
        self
    }

    /// Sets the body of the answer that is given instead of the real one.
    ///
    /// # Panics
    /// If this fault lets the real answer through.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        let Answer::Instead { body, .. } = &mut self.answer else {
            panic!("this fault has no answer of its own");
        };
        *body = bytes.into();
        self
    }
}

/// The faults in force, by endpoint.
#[derive(Debug, Default)]
pub struct Faults {
    active: Mutex<HashMap<Endpoint, Vec<Active>>>,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    /// Calls left; without a number, until cleared.
    left: Option<usize>,
}

impl Faults {
    /// Lets every call to the endpoint go wrong, until cleared.
    pub fn always(&self, endpoint: Endpoint, fault: Fault) {
        self.push(endpoint, fault, None);
    }

    /// Lets the next calls to the endpoint go wrong. Faults set before come first.
    pub fn next(&self, endpoint: Endpoint, calls: usize, fault: Fault) {
        if calls > 0 {
            self.push(endpoint, fault, Some(calls));
        }
    }

    /// Lets one endpoint recover.
    pub fn clear(&self, endpoint: Endpoint) {
        self.active().remove(&endpoint);
    }

    /// Lets everything recover.
    pub fn clear_all(&self) {
        self.active().clear();
    }

    /// The fault for the call that has just come.
    pub(crate) fn take(&self, endpoint: Endpoint) -> Option<Fault> {
        let mut active = self.active();
        let queue = active.get_mut(&endpoint)?;
        let first = queue.first_mut()?;
        let fault = first.fault.clone();
        if let Some(left) = &mut first.left {
            *left -= 1;
            if *left == 0 {
                queue.remove(0);
            }
        }
        Some(fault)
    }

    fn push(&self, endpoint: Endpoint, fault: Fault, left: Option<usize>) {
        let mut active = self.active();
        active
            .entry(endpoint)
            .or_default()
            .push(Active { fault, left });
    }

    fn active(&self) -> MutexGuard<'_, HashMap<Endpoint, Vec<Active>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Fault, Faults};

    #[test]
    fn a_fault_ends_after_its_calls_and_the_next_one_follows() {
        let faults = Faults::default();
        faults.next(Endpoint::Token, 2, Fault::status(500));
        faults.always(Endpoint::Token, Fault::cut());
        let delivered: Vec<bool> = (0..4)
            .map(|_| {
                let fault = faults.take(Endpoint::Token).expect("a fault is set");
                matches!(fault.answer, super::Answer::Nothing)
            })
            .collect();
        assert_eq!(delivered, [false, false, true, true]);
        assert!(faults.take(Endpoint::Jwks).is_none());
        faults.clear(Endpoint::Token);
        assert!(faults.take(Endpoint::Token).is_none());
    }
}
