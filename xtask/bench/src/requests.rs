//! Files of requests: a line each, all of one length, so that any of them is found without reading
//! the others. A million tokens are never in memory at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::{Value, json};

use crate::issuers::{Issuer, Key};

/// How long a token is good for: longer than any measurement.
const LIFESPAN_SECONDS: u64 = 24 * 3600;

/// What stands in a line for no token.
const NO_TOKEN: &str = "-";

/// What to write. The n-th request goes to the route n of all routes (and begins again after the
/// last), with the token n of all tokens; tokens take turns with issuers, and then with their keys.
#[derive(Args, Clone)]
pub(crate) struct Requests {
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// Where the issuers are.
    #[arg(long)]
    issuers_at: SocketAddr,
    /// How many routes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    routes: u32,
    /// How many tokens; none to send none.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=2_000_000))]
    tokens: u32,
    /// How many issuers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    issuers: u32,
    /// How many keys each issuer has.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=999))]
    keys: u32,
}

impl Requests {
    /// Writes the file; says how long a token is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self) -> Result<Value> {
        let file = File::create(&self.out).context("the file cannot be written")?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut signers = HashMap::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut length = 0;
        let lines = self.routes.max(self.tokens);
        for line in 0..lines {
            let token = match line.checked_rem(self.tokens) {
                None => NO_TOKEN.to_owned(),
                Some(number) => {
                    let token = self.token(number, now, &mut signers)?;
                    length = token.len();
                    token
                }
            };
            writeln!(file, "{} {token}", path(line % self.routes))?;
        }
        file.flush()?;
        Ok(json!({"requests": lines, "token_bytes": length}))
    }

    fn token(
        &self,
        number: u32,
        now: u64,
        signers: &mut HashMap<(u32, u32), Signer>,
    ) -> Result<String> {
        let issuer = Issuer {
            number: number % self.issuers,
            keys: self.keys,
        };
        let index = number / self.issuers % self.keys;
        let signer = match signers.entry((issuer.number, index)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(Signer::new(issuer.key(index)?))
            }
        };
        Ok(signer.sign(&claims(number, &issuer.url(self.issuers_at), now)))
    }
}

/// The path of a request to a route, whose own path is all but the end of it.
fn path(route: u32) -> String {
    format!("/r{route:05}/small")
}

/// Claims such as Keycloak's access tokens have, in the same length for every number.
fn claims(number: u32, issuer: &str, now: u64) -> String {
    let end = now + LIFESPAN_SECONDS;
    let id = format!("{number:08x}-72b9-4b6e-9d3c-5f0a1c2e4b7d");
    format!(
        "{{\"exp\":{end},\"iat\":{now},\"jti\":\"{id}\",\"iss\":\"{issuer}\",\"aud\":\"account\",\
         \"sub\":\"{id}\",\"typ\":\"Bearer\",\"azp\":\"service\",\"sid\":\"{id}\",\"acr\":\"1\",\
         \"realm_access\":{{\"roles\":[\"offline_access\",\"uma_authorization\"]}},\
         \"scope\":\"openid profile email\",\"email_verified\":true,\
         \"preferred_username\":\"user-{number:08}\"}}"
    )
}

/// A key with the header of what it signs.
struct Signer {
    key: Key,
    header: String,
}

impl Signer {
    fn new(key: Key) -> Self {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": key.id});
        Self {
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            key,
        }
    }

    /// RFC 7515 §7.1, RFC 8037 §3.1.
    fn sign(&self, claims: &str) -> String {
        let mut token = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.pair.sign(token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        token
    }
}

/// A file of requests, to read from.
pub(crate) struct Lines {
    file: File,
    length: usize,
    count: u64,
}

/// A request. Its token is a secret of the measurement: it has no `Debug`.
pub(crate) struct Line {
    text: String,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is none of requests.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).context("the requests cannot be read")?;
        let mut start = vec![0; 8192];
        let read = file.read_at(&mut start, 0)?;
        let end = start[..read].iter().position(|byte| *byte == b'\n');
        let length = end.context("no request, or too long a one")? + 1;
        let bytes = file.metadata()?.len();
        let each = u64::try_from(length)?;
        ensure!(
            bytes.is_multiple_of(each),
            "the requests are not all of one length"
        );
        Ok(Self {
            file,
            length,
            count: bytes / each,
        })
    }

    /// How many there are; at least one.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The request of this number, beginning again after the last.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn line(&self, number: u64) -> Result<Line> {
        let mut bytes = vec![0; self.length];
        let at = number % self.count * u64::try_from(self.length)?;
        self.file.read_exact_at(&mut bytes, at)?;
        bytes.pop();
        Ok(Line {
            text: String::from_utf8(bytes)
                .ok()
                .context("a request is no text")?,
        })
    }
}

impl Line {
    pub(crate) fn path(&self) -> &str {
        self.text.split(' ').next().unwrap_or_default()
    }

    /// `None` for a request without one.
    pub(crate) fn token(&self) -> Option<&str> {
        let (_, token) = self.text.split_once(' ')?;
        (token != NO_TOKEN).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use super::{Lines, Requests};

    fn written(name: &str, routes: u32, tokens: u32, issuers: u32, keys: u32) -> Lines {
        let name = format!("gateway-bench-{}-{name}", std::process::id());
        let out: PathBuf = std::env::temp_dir().join(name);
        let requests = Requests {
            out: out.clone(),
            issuers_at: SocketAddr::from(([127, 0, 0, 1], 9)),
            routes,
            tokens,
            issuers,
            keys,
        };
        requests.write().unwrap();
        let lines = Lines::open(&out);
        std::fs::remove_file(out).unwrap();
        lines.unwrap()
    }

    fn distinct(lines: &Lines, of: impl Fn(&super::Line) -> String) -> usize {
        let all = (0..lines.count()).map(|number| of(&lines.line(number).unwrap()));
        all.collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn requests_are_spread_over_routes_tokens_issuers_and_keys() {
        let lines = written("spread", 3, 12, 3, 2);
        assert_eq!(lines.count(), 12);
        assert_eq!(distinct(&lines, |line| line.path().to_owned()), 3);
        assert_eq!(
            distinct(&lines, |line| line.token().unwrap().to_owned()),
            12
        );
        let header = |line: &super::Line| {
            let token = line.token().unwrap();
            token.split('.').next().unwrap().to_owned()
        };
        assert_eq!(distinct(&lines, header), 6);
        let first = lines.line(0).unwrap();
        assert_eq!(first.path(), "/r00000/small");
        assert_eq!(lines.line(12).unwrap().token(), first.token());
    }

    #[test]
    fn without_tokens_none_is_sent() {
        let lines = written("none", 4, 0, 1, 1);
        assert_eq!(lines.count(), 4);
        assert!(lines.line(3).unwrap().token().is_none());
        assert_eq!(lines.line(3).unwrap().path(), "/r00003/small");
    }
}
