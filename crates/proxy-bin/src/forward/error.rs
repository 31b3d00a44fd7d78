//! Why a request did not reach its upstream, or its answer did not come back.

/// A request that was not answered by the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ForwardError {
    /// No connection: refused, no such host, or TLS failed.
    #[error("the upstream is unreachable")]
    Unreachable,
    /// The connection was not made in time.
    #[error("no connection to the upstream in time")]
    ConnectTimeout,
    /// The connection was cut before there was an answer.
    #[error("the upstream cut the connection")]
    Cut,
    /// The upstream answered with something that is not HTTP.
    #[error("the upstream's answer is malformed")]
    Malformed,
    /// No answer in time.
    #[error("the upstream did not answer in time")]
    ReadTimeout,
    /// The upstream did not take the request's body in time.
    #[error("the upstream did not take the request in time")]
    WriteTimeout,
    /// The client's body is larger than the bound.
    #[error("the request's body is too large")]
    BodyTooLarge,
    /// The client did not send its body in time.
    #[error("the request's body did not come in time")]
    BodyTimeout,
    /// The client went away, or broke the framing of its body.
    #[error("the request's body was cut")]
    BodyCut,
}

impl ForwardError {
    /// The stable reason code.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream.unreachable",
            Self::ConnectTimeout => "upstream.connect_timeout",
            Self::Cut => "upstream.cut",
            Self::Malformed => "upstream.malformed",
            Self::ReadTimeout => "upstream.read_timeout",
            Self::WriteTimeout => "upstream.write_timeout",
            Self::BodyTooLarge => "request.body_too_large",
            Self::BodyTimeout => "request.body_timeout",
            Self::BodyCut => "request.body_cut",
        }
    }

    /// The status of the answer (RFC 9110 §15.6.3 and §15.6.5).
    #[must_use]
    pub(crate) const fn status(self) -> http::StatusCode {
        use http::StatusCode as S;
        match self {
            Self::Unreachable | Self::Cut | Self::Malformed => S::BAD_GATEWAY,
            Self::ConnectTimeout | Self::ReadTimeout | Self::WriteTimeout => S::GATEWAY_TIMEOUT,
            Self::BodyTooLarge => S::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => S::REQUEST_TIMEOUT,
            Self::BodyCut => S::BAD_REQUEST,
        }
    }
}
