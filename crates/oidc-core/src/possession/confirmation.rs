//! What a token is bound to: its claim `cnf` (RFC 7800 §3.1, RFC 8705 §3.1, RFC 9449 §6).

use serde_json::Value;

use super::{CertificateThumbprint, PossessionError};
use crate::jose::KeyThumbprint;

/// The bindings of a token, of the kinds that can be proven here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: the key whose proof is wanted.
    pub key: Option<KeyThumbprint>,
    /// `x5t#S256`: the certificate that is wanted.
    pub certificate: Option<CertificateThumbprint>,
}

impl Confirmation {
    /// Reads the claim `cnf` of a token, or of what introspection says of it. A token without it
    /// is bound to nothing.
    ///
    /// # Errors
    /// If the claim is of a wrong type, or binds the token by other means alone: who issued it
    /// meant it for somebody in particular, and whether this is them cannot be told.
    pub fn parse(cnf: Option<&Value>) -> Result<Self, PossessionError> {
        let malformed = PossessionError::ConfirmationMalformed;
        let members = match cnf {
            None => return Ok(Self::default()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(malformed),
        };
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(malformed),
        };
        let key = text("jkt")?.map(|text| KeyThumbprint::parse(text).ok_or(malformed));
        let certificate =
            text("x5t#S256")?.map(|text| CertificateThumbprint::parse(text).ok_or(malformed));
        if key.is_none() && certificate.is_none() {
            return Err(PossessionError::ConfirmationUnknown);
        }
        Ok(Self {
            key: key.transpose()?,
            certificate: certificate.transpose()?,
        })
    }
}
