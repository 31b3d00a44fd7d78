//! What is measured, and in which order: parts, their settings, and turns that rotate.

use clap::ValueEnum;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// A body of 1 KiB over HTTP/1.1, at every number of connections.
    Small,
    /// A body of 1 MiB over HTTP/1.1.
    Large,
    /// A body of 1 KiB over HTTP/2 in cleartext, 8 streams a connection.
    Http2,
    /// A body of 1 KiB over HTTP/1.1 and TLS.
    Tls,
    /// A body of 1 KiB over HTTP/1.1, beside a flood of tokens of unknown keys.
    Flood,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http1,
    /// In cleartext, with prior knowledge.
    Http2,
    Tls,
}

/// Connections of every part but the first.
const CONNECTIONS: u32 = 32;

/// Streams of a connection over HTTP/2.
pub(crate) const STREAMS: u32 = 8;

impl Part {
    pub(crate) const ALL: &[Self] = &[
        Self::Small,
        Self::Large,
        Self::Http2,
        Self::Tls,
        Self::Flood,
    ];

    pub(crate) const fn transport(self) -> Transport {
        match self {
            Self::Small | Self::Large | Self::Flood => Transport::Http1,
            Self::Http2 => Transport::Http2,
            Self::Tls => Transport::Tls,
        }
    }

    /// The path asked for: the name of the upstream's file.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Large => "/large",
            _ => "/small",
        }
    }
}

/// One load, to which each contender is put in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setting {
    pub(crate) part: Part,
    pub(crate) connections: u32,
}

impl Setting {
    /// As people read it.
    pub(crate) fn title(self) -> String {
        let connections = match self.connections {
            1 => "1 connection".to_owned(),
            many => format!("{many} connections"),
        };
        match self.part {
            Part::Small => format!("1 KiB, {connections}"),
            Part::Large => format!("1 MiB, {connections}"),
            Part::Http2 => format!("1 KiB over HTTP/2, {connections} of {STREAMS} streams"),
            Part::Tls => format!("1 KiB over TLS, {connections}"),
            Part::Flood => format!("1 KiB beside a flood, {connections}"),
        }
    }

    /// As files name it.
    pub(crate) fn id(self) -> String {
        let part = match self.part {
            Part::Small => "small",
            Part::Large => "large",
            Part::Http2 => "http2",
            Part::Tls => "tls",
            Part::Flood => "flood",
        };
        format!("{part}-{}", self.connections)
    }
}

/// All settings of these parts, the first part's at each of these numbers of connections.
pub(crate) fn settings(parts: &[Part], connections: &[u32]) -> Vec<Setting> {
    let of = |part: Part| match part {
        Part::Small => connections.to_vec(),
        _ => vec![CONNECTIONS],
    };
    Part::ALL
        .iter()
        .filter(|part| parts.contains(part))
        .flat_map(|&part| {
            of(part)
                .into_iter()
                .map(move |connections| Setting { part, connections })
        })
        .collect()
}

/// The order of a round, counted from 1: each begins with another, and every second one goes the
/// other way, so that nobody always comes after the same one.
pub(crate) fn order<T: Copy>(all: &[T], round: u32) -> Vec<T> {
    let mut order = all.to_vec();
    if round.is_multiple_of(2) {
        order.reverse();
    }
    if !order.is_empty() {
        let first = usize::try_from(round.saturating_sub(1)).unwrap_or(0) % order.len();
        order.rotate_left(first);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Part, order, settings};
    use crate::bench::contender::Contender;

    #[test]
    fn the_small_body_is_asked_for_at_every_number_of_connections() {
        let ids = |parts: &[Part]| -> Vec<_> {
            let all = settings(parts, &[1, 128]);
            all.into_iter().map(|setting| setting.id()).collect()
        };
        assert_eq!(ids(&[Part::Small]), ["small-1", "small-128"]);
        assert_eq!(
            ids(&[Part::Tls, Part::Small]),
            ["small-1", "small-128", "tls-32"]
        );
    }

    #[test]
    fn each_round_begins_with_another_and_has_everybody() {
        let all = Contender::ALL;
        let mut firsts = BTreeSet::new();
        for round in 1..=5 {
            let order = order(all, round);
            firsts.insert(order[0]);
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), all.len());
        }
        assert_eq!(firsts.len(), 5);
        assert!(order::<Contender>(&[], 3).is_empty());
    }
}
