//! The load under which a gateway counts which way it takes: every way of the comparison, over every
//! transport, with what real clients do besides: other fields each time, bodies, and mistakes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinSet;

use crate::bench::client::{Body, Client, field, no_body};
use crate::bench::contender::Contender;
use crate::bench::ground::{Built, Ground};
use crate::bench::peers;
use crate::bench::plan::Transport;
use crate::bench::tools::Tools;
use crate::signals::until_stopped;
use crate::workspace::{cargo, run, target};

/// The gateway's ways.
const WAYS: &[Contender] = &[
    Contender::Gateway,
    Contender::Bearer,
    // Several workers have a scheduler of their own.
    Contender::BearerTwo,
    Contender::Verified,
    Contender::Refresh,
    Contender::Password,
];

/// How many requests each way is sent over which transport. The first weighs most: its code is the
/// gateway's own on both sides, and most requests come so.
const TRANSPORTS: &[(Transport, u64)] = &[
    (Transport::Http1, 8000),
    (Transport::Http2, 2400),
    (Transport::Tls, 1600),
];

/// How many requests are under way at a time.
const AT_A_TIME: u16 = 16;

/// A body that is sent: its length, or that of each of its pieces.
const BODY: usize = 2048;
const PIECES: usize = 3;

/// Trains a gateway. All processes of it have ended then, which is when each writes what it counted.
///
/// # Errors
/// If a request is answered otherwise than it should be, or something does not start or end.
pub(super) fn train(gateway: PathBuf) -> Result<()> {
    // Nothing is measured here, so it is built as this program is, and by one command with it: what
    // both depend on is there already.
    run(cargo()
        .args(["build", "--locked", "--package", "xtask", "--bin", "xtask"])
        .args(["--package", "gateway-bench", "--bin", "gateway-bench"]))?;
    let parts = target().join("debug").join("gateway-bench");
    until_stopped(async {
        // None: the same load on every machine.
        let ground = Ground::lay(Built { gateway, parts }, Tools::none()).await?;
        for &(transport, requests) in TRANSPORTS {
            for &way in WAYS {
                let running = peers::start(&ground, way, transport, AT_A_TIME.into())?;
                let course = Course::new(&ground, way, transport, &running, requests)?;
                let what = || format!("{}, {transport:?}", way.name());
                course.run().await.with_context(what)?;
                running.stop().with_context(what)?;
            }
        }
        Ok(())
    })
}

/// One way over one transport.
struct Course {
    client: Client,
    /// What URLs begin with.
    base: String,
    good: Field,
    /// What has to be refused; empty if nothing is.
    bad: Vec<Bad>,
    next: AtomicU64,
    requests: u64,
}

type Field = (HeaderName, HeaderValue);

/// What has to be refused: what is wrong, and the field, if there is one.
type Bad = (&'static str, Option<Field>);

impl Course {
    fn new(
        ground: &Ground,
        way: Contender,
        transport: Transport,
        running: &peers::Running,
        requests: u64,
    ) -> Result<Arc<Self>> {
        let client = Client::new(ground, transport, AT_A_TIME.into())?;
        let credential = way.credential();
        let bad = ground.credentials.bad(credential)?;
        let bad = bad
            .into_iter()
            .map(|bad| anyhow::Ok((bad.what, bad.header.as_deref().map(field).transpose()?)));
        Ok(Arc::new(Self {
            base: format!("{}://{}", client.scheme(), running.address),
            client,
            good: field(&ground.credentials.good(credential))?,
            bad: bad.collect::<Result<_>>()?,
            next: AtomicU64::new(0),
            requests,
        }))
    }

    /// Sends all requests, and drops the client's connections.
    async fn run(self: Arc<Self>) -> Result<()> {
        let mut lanes = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let course = Arc::clone(&self);
            lanes.spawn(async move { course.lane().await });
        }
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        Ok(())
    }

    /// Sends one request after another while there are some.
    async fn lane(&self) -> Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return Ok(());
            }
            self.ask(number).await?;
        }
    }

    async fn ask(&self, number: u64) -> Result<()> {
        let kind = Kind::of(number);
        let bad = match kind {
            Kind::Bad(which) if !self.bad.is_empty() => {
                let which = usize::try_from(which).unwrap_or(0) % self.bad.len();
                self.bad.get(which)
            }
            _ => None,
        };
        let mut request = kind.request(&self.base)?;
        let fields = request.headers_mut();
        if has_own_field(number) {
            fields.insert("x-sequence", HeaderValue::from(number));
        }
        fields.extend(match bad {
            Some((_, field)) => field.clone(),
            None => Some(self.good.clone()),
        });
        let what = bad.map_or(kind.name(), |(what, _)| what);
        let (status, _) = self.client.send(request).await.context(what)?;
        match bad {
            None => ensure!(status == 200, "answered {status} to {what}"),
            Some(_) if matches!(status, 401 | 403) => {}
            Some(_) => bail!("answered {status} to {what}, which has to be refused"),
        }
        Ok(())
    }
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A small answer.
    Small,
    /// A large one.
    Large,
    /// A body whose length is said before.
    Length,
    /// A body whose length is not.
    Chunked,
    /// A mistake, and which of them. Where none is refused: a small answer.
    Bad(u64),
}

impl Kind {
    /// The kind of the request of this number. Neighbours are of both parities, since every second
    /// request has a field of its own.
    const fn of(number: u64) -> Self {
        match number % 100 {
            7 | 40 => Self::Large,
            12 | 33 | 55 | 78 => Self::Length,
            21 | 66 => Self::Chunked,
            4 | 35 | 61 | 90 => Self::Bad(number / 100 + number % 100),
            _ => Self::Small,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Small | Self::Bad(_) => "a good request",
            Self::Large => "a good request for a large answer",
            Self::Length => "a good request with a body",
            Self::Chunked => "a good request with a body in chunks",
        }
    }

    /// The request, without a credential.
    fn request(self, base: &str) -> Result<Request<Body>> {
        let (method, path, body) = match self {
            Self::Small | Self::Bad(_) => (Method::GET, "small", no_body()),
            Self::Large => (Method::GET, "large", no_body()),
            Self::Length => (Method::POST, "small", Full::new(bytes()).boxed()),
            Self::Chunked => {
                let pieces = Pieces((0..PIECES).map(|_| bytes()).collect());
                (Method::POST, "small", pieces.boxed())
            }
        };
        let url = format!("{base}/{path}");
        Ok(Request::builder().method(method).uri(url).body(body)?)
    }
}

/// Whether a request has a field that no other has, so that its header section is none that came before.
const fn has_own_field(number: u64) -> bool {
    number % 2 == 1
}

fn bytes() -> Bytes {
    Bytes::from_static(&[b'x'; BODY])
}

/// A body in pieces, of a length that it does not tell.
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body::Body as _;

    use super::{Kind, TRANSPORTS, has_own_field};
    use crate::bench::plan::Transport;

    #[test]
    fn most_requests_are_small_and_every_kind_comes_with_and_without_a_field_of_its_own() {
        let count = |is: fn(Kind) -> bool| (0..1000).filter(|&n| is(Kind::of(n))).count();
        assert!(count(|kind| kind == Kind::Small) > 800);
        assert_eq!(count(|kind| matches!(kind, Kind::Bad(_))), 40);
        for kind in [Kind::Small, Kind::Large, Kind::Length, Kind::Chunked] {
            let with: BTreeSet<_> = (0..100)
                .filter(|&number| Kind::of(number) == kind)
                .map(has_own_field)
                .collect();
            assert_eq!(with.len(), 2, "{kind:?}");
        }
    }

    #[test]
    fn every_mistake_comes() {
        let bad = |number| match Kind::of(number) {
            Kind::Bad(which) => Some(which),
            _ => None,
        };
        for mistakes in 1..5 {
            let which: BTreeSet<_> = (0..800).filter_map(bad).map(|n| n % mistakes).collect();
            assert_eq!(which.len(), usize::try_from(mistakes).unwrap());
        }
    }

    #[test]
    fn bodies_tell_their_length_or_do_not() {
        let length = |kind: Kind| {
            let request = kind.request("http://127.0.0.1:1").unwrap();
            request.body().size_hint().exact()
        };
        assert_eq!(length(Kind::Small), Some(0));
        assert_eq!(length(Kind::Length), Some(2048));
        assert_eq!(length(Kind::Chunked), None);
    }

    #[test]
    fn http_1_1_weighs_most() {
        let of = |is_http1: bool| -> u64 {
            let of = TRANSPORTS
                .iter()
                .filter(|(transport, _)| (*transport == Transport::Http1) == is_http1);
            of.map(|(_, requests)| requests).sum()
        };
        assert!(of(true) > of(false));
    }
}
