//! What grows: how far, with which configuration and requests, and what is known of its cost.

use std::fmt::Write as _;

use clap::ValueEnum;

/// Something that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Dimension {
    /// Routes without a plugin.
    Routes,
    /// Routes under one plugin.
    ProtectedRoutes,
    /// Services without a plugin, each with a route.
    Services,
    /// Bearer tokens that are remembered.
    Tokens,
    /// Issuers, each with a route and a plugin of its own.
    Issuers,
    /// Keys of one issuer, with tokens that are remembered.
    Keys,
    /// Keys of one issuer, with tokens that are verified each time.
    KeysVerified,
    /// Open connections.
    Connections,
}

/// What requests of a size are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) services: u32,
    pub(crate) routes: u32,
    pub(crate) tokens: u32,
    pub(crate) issuers: u32,
    pub(crate) keys: u32,
    pub(crate) connections: u32,
}

/// Connections where it is not they that grow.
const CONNECTIONS: u32 = 32;

/// Tokens where it is issuers or keys that grow: every size has as many.
const TOKENS: u32 = 1_000;

impl Dimension {
    /// All, in the order of the report.
    pub(crate) const ALL: &[Self] = &[
        Self::Routes,
        Self::ProtectedRoutes,
        Self::Services,
        Self::Tokens,
        Self::Issuers,
        Self::Keys,
        Self::KeysVerified,
        Self::Connections,
    ];

    /// As files and options name it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::ProtectedRoutes => "protected-routes",
            Self::Services => "services",
            Self::Tokens => "tokens",
            Self::Issuers => "issuers",
            Self::Keys => "keys",
            Self::KeysVerified => "keys-verified",
            Self::Connections => "connections",
        }
    }

    /// As people read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes without a plugin",
            Self::ProtectedRoutes => "routes under one plugin",
            Self::Services => "services without a plugin",
            Self::Tokens => "cached tokens",
            Self::Issuers => "issuers",
            Self::Keys => "keys of an issuer, tokens remembered",
            Self::KeysVerified => "keys of an issuer, tokens verified each time",
            Self::Connections => "open connections",
        }
    }

    /// One of it.
    pub(crate) const fn one(self) -> &'static str {
        match self {
            Self::Routes | Self::ProtectedRoutes => "route",
            Self::Services => "service",
            Self::Tokens => "cached token",
            Self::Issuers => "issuer",
            Self::Keys | Self::KeysVerified => "key",
            Self::Connections => "connection",
        }
    }

    /// Some of it.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Routes | Self::ProtectedRoutes => "routes",
            Self::Services => "services",
            Self::Tokens => "cached tokens",
            Self::Issuers => "issuers",
            Self::Keys | Self::KeysVerified => "keys",
            Self::Connections => "connections",
        }
    }

    /// Why the cost is what it is.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Routes => {
                "A path is found on one walk along it through a tree of all prefixes; routes that \
                 do not begin as it does are not looked at. A start reads and checks the whole file, \
                 and takes as long as that."
            }
            Self::ProtectedRoutes => {
                "The route is found as above. What came of a token is kept at hand for some 8 000 \
                 pairs of route and token. What gives way there is found again in the memory of \
                 tokens, by an HMAC of the token, and its headers are made anew: one step where there \
                 are more pairs than that, and no slope before or after it."
            }
            Self::Services => {
                "A service has connections of its own to its upstream, since its settings of time and \
                 TLS are its own. The same load on more services finds each connection colder, and \
                 more of them are open: memory for each service that was asked."
            }
            Self::Tokens => {
                "One step, and then the processor's caches. What came of a token is kept at hand for \
                 some 8 000 pairs of route and token; with 10 000 tokens some, with 100 000 nearly all \
                 are found in the memory behind it instead, by an HMAC of the token, and their \
                 headers are made anew. That memory is a table of hashes: a hundred times as many \
                 tokens are found in the same steps, of which each meets memory that is in no cache. \
                 It is bounded by `gateway.limits.cached_tokens`, 100 000 if nothing is said. A token \
                 takes several times its own length there: its claims are kept as they were read, \
                 which is half of it; the rest is its text, the grant, and three indexes."
            }
            Self::Issuers => {
                "Metadata and keys are found by a hash of their address, and what was found of a token \
                 holds without asking for them again. The first request of each issuer waits for its \
                 discovery and its keys, over connections of their own."
            }
            Self::Keys => "What was found of a token holds for as long as the key is in the set.",
            Self::KeysVerified => {
                "A set is read once, and each of its keys prepared. The one that a token names is \
                 picked among them by its `kid`, which is nothing beside a signature. A set has at \
                 most `gateway.jwks.max_keys`, 100 if nothing is said."
            }
            Self::Connections => {
                "With one connection there is one request at a time, and the gateway goes to sleep \
                 and is woken for each; with more, there is more to do when it wakes. All are asked in \
                 turn, 32 at a time. A connection that waits holds a task and the system's socket; its \
                 memory stays what it is once it has been asked."
            }
        }
    }

    /// How many of it are measured, the fewest first.
    pub(crate) fn sizes(self, quick: bool) -> Vec<u32> {
        let (all, quick_max): (&[u32], u32) = match self {
            Self::Routes | Self::ProtectedRoutes => (&[1, 10, 100, 1_000, 10_000], 1_000),
            Self::Tokens => (&[1, 100, 10_000, 100_000, 1_000_000], 10_000),
            Self::Services | Self::Issuers => (&[1, 10, 100, 1_000], 100),
            Self::Keys | Self::KeysVerified => (&[1, 10, 100], 100),
            Self::Connections => (&[1, 10, 100, 1_000, 10_000], 1_000),
        };
        let most = if quick { quick_max } else { u32::MAX };
        all.iter().copied().filter(|size| *size <= most).collect()
    }

    /// What requests are made of where there are so many of it.
    pub(crate) const fn shape(self, size: u32) -> Shape {
        let mut shape = Shape {
            services: 1,
            routes: 1,
            tokens: 1,
            issuers: 1,
            keys: 1,
            connections: CONNECTIONS,
        };
        match self {
            Self::Routes => {
                shape.routes = size;
                shape.tokens = 0;
            }
            Self::ProtectedRoutes => shape.routes = size,
            Self::Services => {
                shape.services = size;
                shape.routes = size;
                shape.tokens = 0;
            }
            Self::Tokens => shape.tokens = size,
            Self::Issuers => {
                shape.routes = size;
                shape.issuers = size;
                shape.tokens = TOKENS;
            }
            Self::Keys | Self::KeysVerified => {
                shape.keys = size;
                shape.tokens = TOKENS;
            }
            Self::Connections => shape.connections = size,
        }
        shape
    }

    /// Whether requests need a token.
    pub(crate) const fn is_protected(self) -> bool {
        !matches!(self, Self::Routes | Self::Services)
    }

    /// The services of a configuration; `issuer` gives the URL of each issuer.
    pub(crate) fn services(
        self,
        size: u32,
        upstream: &str,
        issuer: impl Fn(u32) -> String,
    ) -> String {
        let shape = self.shape(size);
        let each = shape.routes / shape.services;
        let mut text = "services:\n".to_owned();
        for number in 0..shape.services {
            let _ = write!(
                text,
                "  - name: s{number}\n    url: http://{upstream}\n    routes:\n"
            );
            for route in number * each..(number + 1) * each {
                let own = match self {
                    Self::Issuers => format!(", plugins: [{}]", self.plugin(&issuer(route))),
                    _ => String::new(),
                };
                let _ = writeln!(
                    text,
                    "      - {{name: r{route:05}, paths: [/r{route:05}]{own}}}"
                );
            }
            if self.is_protected() && self != Self::Issuers {
                let _ = writeln!(text, "    plugins: [{}]", self.plugin(&issuer(number)));
            }
        }
        text
    }

    fn plugin(self, issuer: &str) -> String {
        let more = match self {
            Self::KeysVerified => ", cache_tokens: false",
            _ => "",
        };
        format!(
            "{{name: openid-connect, config: {{issuer: \"{issuer}\", client_id: [service], \
             client_secret: [bench], auth_methods: [bearer]{more}}}}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Dimension;

    #[test]
    fn sizes_grow_from_one() {
        for dimension in Dimension::ALL {
            for quick in [false, true] {
                let sizes = dimension.sizes(quick);
                assert_eq!(sizes[0], 1, "{dimension:?}");
                assert!(sizes.len() > 2 && sizes.is_sorted(), "{dimension:?}");
            }
        }
    }

    #[test]
    fn there_are_as_many_services_routes_and_plugins_as_it_takes() {
        for (dimension, services, routes, plugins) in [
            (Dimension::Routes, 1, 3, 0),
            (Dimension::ProtectedRoutes, 1, 3, 1),
            (Dimension::Services, 3, 3, 0),
            (Dimension::Issuers, 1, 3, 3),
            (Dimension::Tokens, 1, 1, 1),
        ] {
            let text = dimension.services(3, "127.0.0.1:9", |number| format!("http://i{number}"));
            for (part, count) in [
                ("- name: s", services),
                ("- {name: r", routes),
                ("issuer: \"http://i", plugins),
            ] {
                assert_eq!(text.matches(part).count(), count, "{dimension:?}: {text}");
            }
        }
    }
}
