//! What can go wrong in the kit itself, and what to do about it.

use std::fmt;
use std::io;

/// A failure of the kit or of a server that it talks to; never a verdict about a token.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A listener could not be opened.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address asked for.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A server did not answer.
    #[error("no answer from {url}: {reason}")]
    NoAnswer {
        /// Whom the kit called.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A server answered something else than expected.
    #[error("{doing}: the server answered {status}: {text}")]
    Unexpected {
        /// What the kit was doing.
        doing: String,
        /// The status.
        status: u16,
        /// The server's own words, as far as they are an error message.
        text: String,
    },
    /// Something that the kit needs is not on this machine.
    #[error("{0}")]
    Missing(String),
    /// A program or a file operation failed.
    #[error("{doing}: {reason}")]
    Tool {
        /// What the kit was doing.
        doing: String,
        /// What went wrong.
        reason: String,
    },
    /// The server does not call itself by the address that it is asked at.
    #[error(
        "the server calls itself {found} where {asked} was asked: it has a fixed host name; start \
         it without --hostname and with --hostname-strict=false"
    )]
    FixedHostName {
        /// The issuer in its discovery document.
        found: String,
        /// The issuer expected.
        asked: String,
    },
    /// A test asked for something that the realm does not have.
    #[error("the realm has no {0}")]
    Unknown(String),
}

/// As `Display`: tests show errors by `unwrap`, and what to do is in the text.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
