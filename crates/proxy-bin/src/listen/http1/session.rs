//! The requests of one connection, one after the other, from its first byte to its end: RFC 9112
//! §9. It runs in the connection's own task; nothing of it is spawned, queued or copied.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as HttpBody;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Asked, Delimited, Put};
use super::body::Body;
use super::head::{Bounds, Head, Refused};
use super::heads::Heads;
use super::outgoing::Outgoing;
use super::patience::{Patience, Waits};
use super::switch::{Begun, Switch, switch};
use super::wire::{Shared, Stage};
use crate::forward::ClientBody;
use crate::framing::BadRequest;
use crate::http1::keep_fields;

/// Who answers the requests of a connection.
pub(in crate::listen) trait Answerer {
    /// What answers bring.
    type Body: HttpBody<Data = Bytes, Error: Display> + Unpin;

    /// Answers one. `refused` says what is wrong with its bytes, of which it then shows little.
    fn answer(
        &self,
        request: Request<ClientBody>,
        refused: Option<BadRequest>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Whether a body is not an upstream's, who might take what is left of the request.
    fn is_own(body: &Self::Body) -> bool;

    /// Whether an answer that is not ready waits for nothing but other requests of this thread.
    fn gives_way(&self) -> bool;
}

/// What a connection is held to.
#[derive(Clone, Copy, Debug)]
pub(in crate::listen) struct Settings {
    pub(in crate::listen) bounds: Bounds,
    pub(in crate::listen) patience: Patience,
}

/// Serves a connection until it ends, or until it is told to stop: then what is under way is
/// finished first.
pub(in crate::listen) async fn serve<S, A>(
    stream: S,
    settings: Settings,
    stop: CancellationToken,
    answerer: &A,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answerer,
{
    let mut session = Session {
        wire: Shared::new(stream, settings.bounds),
        heads: Heads::new(settings.bounds),
        waits: Waits::new(settings.patience, stop),
        patience: settings.patience,
        is_over: false,
    };
    loop {
        let head = match session.head().await {
            Came::Head(head) => Ok(head),
            Came::Refused(refused) => Err(refused),
            Came::Nothing => break,
        };
        let (request, exchange) = session.begin(head);
        let answer = pin!(answerer.answer(request, exchange.refused));
        let Some(response) = session
            .answered(answer, answerer, exchange.refused.is_none())
            .await
        else {
            return;
        };
        match session.write::<A>(response, exchange).await {
            Ended::Kept => {}
            Ended::Closed => break,
            Ended::Gone => return,
            Ended::Switched(switch) => {
                if let Some((stream, read)) = session.wire.into_parts() {
                    let _ = switch.send(Box::new(Begun::new(read, stream)));
                }
                return;
            }
        }
    }
    session.close().await;
}

struct Session<S> {
    wire: Shared<S>,
    heads: Heads,
    waits: Waits,
    patience: Patience,
    /// Nothing more of the client's is read.
    is_over: bool,
}

/// What a client has come with.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and goes on as it is"
)]
enum Came {
    Head(Head),
    /// A head that is answered all the same, with nothing after it.
    Refused(Refused),
    /// It has come with nothing, and is let go.
    Nothing,
}

/// What of a request matters for its end.
struct Exchange {
    refused: Option<BadRequest>,
    asked: Asked,
    /// The client asked for the connection to end, or did not ask for it to stay.
    last: bool,
    switch: Option<Switch>,
}

/// How an exchange has ended.
enum Ended {
    /// The next may come.
    Kept,
    /// There is no next.
    Closed,
    /// There is nobody to answer, or nothing to answer with.
    Gone,
    /// The connection speaks another protocol.
    Switched(Switch),
}

/// How long what a client still sends is taken and dropped after its answer: a connection that is
/// closed before would be reset, and the answer lost with it (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// What of an answer is gathered before it is written.
const GATHERED: usize = 64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Session<S> {
    /// Waits for the next head.
    async fn head(&mut self) -> Came {
        let (mut idle_since, mut begun_at) = (None, None);
        poll_fn(|context| {
            let mut wire = self.wire.lock();
            let wire = &mut *wire;
            loop {
                if !wire.read.is_empty() {
                    match self.heads.take(&mut wire.read) {
                        Ok(Some(head)) => return Poll::Ready(Came::Head(head)),
                        Err(refused) => return Poll::Ready(Came::Refused(refused)),
                        Ok(None) => {}
                    }
                }
                match wire.poll_read(context) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Came::Nothing),
                    Poll::Pending => break,
                }
            }
            let has_begun = self.heads.has_begun();
            let (since, patience) = if has_begun {
                (&mut begun_at, self.patience.head)
            } else {
                wire.free();
                (&mut idle_since, self.patience.idle)
            };
            if !has_begun && self.waits.stop.poll(context).is_ready() {
                return Poll::Ready(Came::Nothing);
            }
            let deadline = *since.get_or_insert_with(Instant::now) + patience;
            ready!(self.waits.poll_late(deadline, context));
            // Whoever has begun a request is told; whoever idles is not.
            Poll::Ready(if has_begun {
                Came::Refused(Refused::new(BadRequest::HeadTimeout, &wire.read))
            } else {
                Came::Nothing
            })
        })
        .await
    }

    /// Makes a request of a head.
    fn begin(&mut self, head: Result<Head, Refused>) -> (Request<ClientBody>, Exchange) {
        let mut request = Request::new(ClientBody::empty());
        let mut exchange = Exchange {
            refused: None,
            asked: Asked {
                is_head: false,
                is_old: false,
                takes_trailers: false,
            },
            last: true,
            switch: None,
        };
        match head {
            Ok(head) => {
                let told = head.told;
                exchange.asked.is_old = head.is_old;
                exchange.asked.takes_trailers = told.takes_trailers;
                exchange.last = told.closes || (head.is_old && !told.stays);
                if self.wire.lock().begin(&told, head.is_old) {
                    let body = Body::new(self.wire.clone(), told.length);
                    *request.body_mut() = ClientBody::new(body);
                }
                if told.switches && !head.is_old {
                    let (ours, theirs) = switch();
                    exchange.switch = Some(ours);
                    request.extensions_mut().insert(theirs);
                }
                *request.method_mut() = head.method;
                *request.uri_mut() = head.target;
                *request.headers_mut() = head.headers;
            }
            Err(refused) => {
                self.is_over = true;
                exchange.asked.is_old = refused.is_old;
                exchange.refused = Some(refused.because);
                *request.method_mut() = refused.method;
                *request.uri_mut() = Uri::from_static("/");
            }
        }
        exchange.asked.is_head = *request.method() == Method::HEAD;
        if exchange.asked.is_old {
            *request.version_mut() = Version::HTTP_10;
        }
        (request, exchange)
    }

    /// The answer to a request; `None` if its client leaves before. Nothing more is read behind a
    /// request that was refused, and nobody seen to leave; nor is one that gives way to others.
    async fn answered<A: Answerer>(
        &mut self,
        mut answer: Pin<&mut impl Future<Output = Response<A::Body>>>,
        answerer: &A,
        is_watched: bool,
    ) -> Option<Response<A::Body>> {
        poll_fn(|context| {
            if let Poll::Ready(response) = answer.as_mut().poll(context) {
                return Poll::Ready(Some(response));
            }
            if is_watched && !answerer.gives_way() {
                ready!(self.poll_gone(context));
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Whether a client that waits is gone. While it sends a body, that is told by the body.
    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut wire = self.wire.lock();
        match wire.stage() {
            Stage::Ended => wire.poll_gone(context),
            Stage::Held => {
                wire.wait(context);
                Poll::Pending
            }
            Stage::Left => Poll::Pending,
        }
    }

    /// Writes an answer, and waits for the end of its request.
    async fn write<A: Answerer>(
        &mut self,
        response: Response<A::Body>,
        exchange: Exchange,
    ) -> Ended {
        let (parts, mut body) = response.into_parts();
        let is_switch = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let mut last = exchange.last || exchange.refused.is_some() || self.waits.stop.is_told();
        let mut out = Outgoing::new();
        {
            let mut wire = self.wire.lock();
            if let Some(unsent) = wire.answer() {
                // Its client may never send the body that it waits to be asked for.
                last |= wire.stage() != Stage::Ended;
                out.put(|out| out.extend_from_slice(unsent.begun()));
            }
            if wire.stage() == Stage::Left {
                wire.pass_over();
            }
            // RFC 9112 §9.3: a body that nobody reads would stand where the next request does.
            last |= match wire.stage() {
                Stage::Ended => false,
                Stage::Held => A::is_own(&body),
                Stage::Left => true,
            };
        }
        // A connection that switches ends as this one, and that is not said.
        last &= !is_switch;
        let asked = &exchange.asked;
        let delimited = out.put(|out| answer::put_head(&parts, &body, asked, &mut last, out));
        keep_fields(parts.headers);
        let writing = Writing {
            is_over: delimited == Delimited::Nothing,
            is_cut: false,
            delimited,
            out,
            stalled: None,
        };
        if !self.written(&mut body, writing).await {
            return Ended::Gone;
        }
        drop(body);
        if is_switch {
            let is_whole = self.wire.lock().stage() == Stage::Ended;
            return match exchange.switch.filter(|_| is_whole) {
                Some(switch) => Ended::Switched(switch),
                None => Ended::Closed,
            };
        }
        self.taken().await;
        let mut wire = self.wire.lock();
        if wire.stage() == Stage::Left {
            wire.pass_over();
        }
        if last || self.waits.stop.is_told() || wire.stage() != Stage::Ended {
            return Ended::Closed;
        }
        Ended::Kept
    }

    /// Writes what there is of an answer as it comes. False if it cannot be finished.
    async fn written<B>(&mut self, body: &mut B, mut writing: Writing) -> bool
    where
        B: HttpBody<Data = Bytes, Error: Display> + Unpin,
    {
        poll_fn(|context| {
            loop {
                let waits = writing.gather(body, context);
                let wrote = writing
                    .out
                    .poll_write(&mut self.wire.lock().stream, context);
                match wrote {
                    Poll::Ready(Ok(())) => writing.stalled = None,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        let since = writing.stalled_since();
                        let deadline = since + self.patience.idle;
                        ready!(self.waits.poll_late(deadline, context));
                        return Poll::Ready(false);
                    }
                }
                if writing.is_over {
                    return Poll::Ready(!writing.is_cut);
                }
                if waits {
                    ready!(self.poll_gone(context));
                    return Poll::Ready(false);
                }
            }
        })
        .await
    }

    /// Waits until whoever has the body of an answered request has taken all of it, or left it.
    async fn taken(&mut self) {
        poll_fn(|context| {
            let deadline = {
                let mut wire = self.wire.lock();
                if wire.stage() != Stage::Held {
                    return Poll::Ready(());
                }
                wire.wait(context);
                wire.moved() + self.patience.idle
            };
            self.waits.poll_late(deadline, context)
        })
        .await;
    }

    /// Ends the connection in a way that leaves its last answer readable.
    async fn close(self) {
        let is_unread = {
            let wire = self.wire.lock();
            self.is_over || wire.stage() != Stage::Ended || !wire.read.is_empty()
        };
        let (mut is_shut, mut end) = (false, None);
        poll_fn(|context| {
            let mut wire = self.wire.lock();
            let mut stream = Pin::new(&mut wire.stream);
            if !is_shut {
                match stream.as_mut().poll_shutdown(context) {
                    Poll::Ready(Ok(())) if is_unread => is_shut = true,
                    Poll::Ready(_) => return Poll::Ready(()),
                    // TLS says goodbye, to a client that may take nothing any more.
                    Poll::Pending => {}
                }
            }
            let end = end.get_or_insert_with(|| Box::pin(sleep(LINGER)));
            if end.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !is_shut {
                return Poll::Pending;
            }
            let mut space = [0; 4096];
            loop {
                let mut dropped = ReadBuf::new(&mut space);
                let read = ready!(stream.as_mut().poll_read(context, &mut dropped));
                if read.is_err() || dropped.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}

/// An answer that is being written.
struct Writing {
    delimited: Delimited,
    out: Outgoing,
    /// All of it is in `out`.
    is_over: bool,
    /// It is not all that was to come.
    is_cut: bool,
    /// Since when the client takes nothing more than so much.
    stalled: Option<(Instant, u64)>,
}

impl Writing {
    /// Takes what there is of a body, up to a bound. Tells whether more has to be waited for.
    fn gather<B>(&mut self, body: &mut B, context: &mut Context<'_>) -> bool
    where
        B: HttpBody<Data = Bytes, Error: Display> + Unpin,
    {
        while !self.is_over && self.out.len() < GATHERED {
            let put = match Pin::new(&mut *body).poll_frame(context) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.delimited.end(None, &mut self.out),
                Poll::Ready(Some(Ok(frame))) => {
                    let put = self.delimited.put(frame, &mut self.out);
                    // Whoever gives the body may have something to do at its end.
                    if put == Put::Whole && !body.is_end_stream() {
                        let _ = Pin::new(&mut *body).poll_frame(context);
                    }
                    put
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "an answer was cut");
                    Put::Cut
                }
            };
            self.is_over = put != Put::More;
            self.is_cut = put == Put::Cut;
        }
        false
    }

    /// Since when nothing was taken.
    fn stalled_since(&mut self) -> Instant {
        let taken = self.out.taken();
        match self.stalled {
            Some((since, before)) if before == taken => since,
            _ => {
                let now = Instant::now();
                self.stalled = Some((now, taken));
                now
            }
        }
    }
}

#[cfg(test)]
mod tests;
