//! What can go wrong in the kit itself, and what to do about it.

use std::io;

/// A failure of the kit or of a server that it talks to; never a verdict about a token.
#[derive(Debug, thiserror::Error)]
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
    /// A test asked for something that the realm does not have.
    #[error("the realm has no {0}")]
    Unknown(String),
}
