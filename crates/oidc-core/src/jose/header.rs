//! The JOSE header of a token: RFC 7515 §4. All tokens that a key has signed begin with the same
//! one, which is read once.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::base64url::decode;
use super::{Algorithm, JwsError, strict_json};

/// What a header says, of what is listened to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JoseHeader {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
}

/// How many a thread keeps, and the longest: some keys of some issuers.
const KEPT: usize = 8;
const LONGEST: usize = 512;

thread_local! {
    /// Those that were understood, as they are encoded, the last one first.
    static KNOWN: RefCell<Vec<(Box<str>, Arc<JoseHeader>)>> = const { RefCell::new(Vec::new()) };
}

impl JoseHeader {
    /// Reads a header, or finds it among those that were read.
    ///
    /// # Errors
    /// If it is not understood in full.
    pub(super) fn of(encoded: &str) -> Result<Arc<Self>, JwsError> {
        KNOWN.with_borrow_mut(|known| {
            if let Some(place) = known.iter().position(|(kept, _)| **kept == *encoded) {
                known[..=place].rotate_right(1);
                return Ok(Arc::clone(&known[0].1));
            }
            let header = Arc::new(Self::read(encoded)?.0);
            if encoded.len() <= LONGEST {
                known.truncate(KEPT - 1);
                known.insert(0, (encoded.into(), Arc::clone(&header)));
            }
            Ok(header)
        })
    }

    /// Reads a header, with all of its members.
    ///
    /// # Errors
    /// If it is not understood in full.
    pub(super) fn read(encoded: &str) -> Result<(Self, Map<String, Value>), JwsError> {
        let header = decode(encoded).ok_or(JwsError::NotCompact)?;
        let header = strict_json::object(&header).map_err(|error| match error {
            strict_json::StrictJsonError::DuplicateMember => JwsError::HeaderDuplicate,
            _ => JwsError::HeaderMalformed,
        })?;
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(JwsError::HeaderMalformed),
        };
        let algorithm = text("alg")?
            .and_then(|name| name.parse().ok())
            .ok_or(JwsError::AlgorithmUnknown)?;
        // `b64` (RFC 7797) is only in force when `crit` names it, and `zip` is for encryption;
        // whoever sends them expects another reading than ours.
        if ["crit", "b64", "zip"]
            .iter()
            .any(|name| header.contains_key(*name))
        {
            return Err(JwsError::CriticalExtension);
        }
        let read = Self {
            algorithm,
            kid: text("kid")?.map(str::to_owned),
            typ: text("typ")?.map(str::to_owned),
        };
        Ok((read, header))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_header_is_read_in_the_same_way_each_time_and_among_any_others() {
        let encode = |kid: usize| {
            let alg = if kid.is_multiple_of(2) {
                "RS256"
            } else {
                "ES256"
            };
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#))
        };
        for round in 0..3 {
            for kid in (0..2 * KEPT).chain([0, 0, 1, 0]) {
                let encoded = encode(kid);
                let found = JoseHeader::of(&encoded).expect("a header");
                let read = JoseHeader::read(&encoded).expect("a header").0;
                assert_eq!(*found, read, "{round} {kid}");
            }
        }
        let long =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(600)));
        for _ in 0..2 {
            let found = JoseHeader::of(&long).expect("a header");
            assert_eq!(found.kid.as_deref().map_or(0, str::len), 600);
            for bad in ["", "e30", "!", &encode(0)[1..]] {
                assert!(JoseHeader::of(bad).is_err(), "{bad}");
            }
        }
    }
}
