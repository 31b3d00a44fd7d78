//! The client's certificate, by its thumbprint (RFC 8705 §3.1), and out of the header in which a
//! proxy that ended TLS passes it on (Kong's `proof_of_possession_mtls_from_header`, RFC 9440).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::jose::Sha256;

/// The longest value that is looked at. A certificate is some 2 KiB, written as a URL 3 KiB.
const LENGTH_MAX: usize = 16 * 1024;
/// The most certificates in one value: longer chains are not for clients.
const CHAIN_MAX: usize = 8;

/// The SHA-256 hash of a certificate in DER. It is printed in base64url without padding, as
/// `x5t#S256` carries it, and compares in constant time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateThumbprint(Sha256);

impl CertificateThumbprint {
    /// The thumbprint of the certificate that these bytes are, be it from TLS or from a header.
    #[must_use]
    pub fn of_der(der: &[u8]) -> Self {
        Self(Sha256::of(der))
    }

    /// Reads what a claim carries: 32 bytes in base64url without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Sha256::parse(text).map(Self)
    }
}

impl fmt::Display for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateThumbprint({})", self.0)
    }
}

/// How a proxy writes the certificate into its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFormat {
    /// DER in base64, with or without the lines that make it PEM: HAProxy's `ssl_c_der,base64`,
    /// Traefik's `X-Forwarded-Tls-Client-Cert`, Apache's `SSL_CLIENT_CERT`.
    Base64,
    /// PEM, percent-encoded: nginx's `$ssl_client_escaped_cert`, AWS's `X-Amzn-Mtls-Clientcert`.
    /// A `+` is itself, never a space: AWS leaves it as it is.
    UrlEncoded,
    /// The field `Client-Cert` of RFC 9440: DER in base64 between colons.
    ClientCert,
}

/// A value that holds no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is nothing in it.
    #[error("the client certificate's header is empty")]
    Empty,
    /// Longer than the bound.
    #[error("the client certificate's header is longer than 16 KiB")]
    TooLong,
    /// Two values in one: a proxy added its own to one that the client had sent.
    #[error("the client certificate's header holds two values")]
    Repeated,
    /// Not written as its format says.
    #[error("the client certificate's header is not written as its format says")]
    Encoding,
    /// What was written is not a certificate in DER.
    #[error("the client certificate's header holds something else than an X.509 certificate")]
    NotACertificate,
}

impl CertificateError {
    /// The stable reason code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "mtls.certificate_empty",
            Self::TooLong => "mtls.certificate_too_long",
            Self::Repeated => "mtls.certificate_repeated",
            Self::Encoding => "mtls.certificate_encoding",
            Self::NotACertificate => "mtls.certificate_malformed",
        }
    }
}

/// A certificate out of a header. Whether to believe who wrote the header, and whether the
/// certificate is good, is for others to say: this is what was written, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedCertificate {
    leaf: Vec<u8>,
    intermediates: Vec<Vec<u8>>,
}

impl PresentedCertificate {
    /// Reads a header's value. Of several certificates the first is the client's own.
    ///
    /// # Errors
    /// If the value is not written in this format, or what it holds is no X.509 certificate by
    /// its outermost framing.
    pub fn parse(value: &[u8], format: CertificateFormat) -> Result<Self, CertificateError> {
        use CertificateError as E;
        if value.len() > LENGTH_MAX {
            return Err(E::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| E::Encoding)?;
        let text = text.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err(E::Empty);
        }
        // No format has a comma in it: it is what joins two lines of one name (RFC 9110 §5.3).
        if text.contains(',') {
            return Err(E::Repeated);
        }
        let mut chain = match format {
            CertificateFormat::Base64 if text.starts_with('-') => pem(text),
            CertificateFormat::Base64 => base64(text).map(|der| vec![der]),
            CertificateFormat::UrlEncoded => percent_decoded(text).and_then(|text| pem(&text)),
            CertificateFormat::ClientCert => text
                .strip_prefix(':')
                .and_then(|text| text.strip_suffix(':'))
                .filter(|text| !text.contains([' ', '\t']))
                .and_then(base64)
                .map(|der| vec![der]),
        }
        .ok_or(E::Encoding)?
        .into_iter();
        let leaf = chain.next().ok_or(E::Encoding)?;
        let intermediates: Vec<_> = chain.collect();
        if intermediates.len() >= CHAIN_MAX {
            return Err(E::TooLong);
        }
        if !intermediates
            .iter()
            .chain([&leaf])
            .all(|der| is_certificate(der))
        {
            return Err(E::NotACertificate);
        }
        Ok(Self {
            leaf,
            intermediates,
        })
    }

    /// The client's certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.leaf
    }

    /// What came after it, in DER: a proxy may pass on the whole chain.
    #[must_use]
    pub fn intermediates(&self) -> &[Vec<u8>] {
        &self.intermediates
    }

    /// The thumbprint of the client's certificate.
    #[must_use]
    pub fn thumbprint(&self) -> CertificateThumbprint {
        CertificateThumbprint::of_der(&self.leaf)
    }
}

impl fmt::Debug for PresentedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedCertificate")
            .field("thumbprint", &self.thumbprint())
            .field("intermediates", &self.intermediates.len())
            .finish()
    }
}

/// One or more blocks, with nothing but white space between them. Apache writes a space for each
/// line's end, and others none at all, so that white space within a block says nothing.
fn pem(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = text.trim_ascii();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let block = rest.strip_prefix("-----BEGIN CERTIFICATE-----")?;
        let (block, after) = block.split_once("-----END CERTIFICATE-----")?;
        blocks.push(base64(block)?);
        rest = after.trim_ascii_start();
    }
    Some(blocks)
}

/// Padding may be left off, as RFC 8941 §4.2.7 lets it be; stray trailing bits may not stand.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let dense: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    LENIENT.decode(dense).ok()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The framing of `Certificate` (RFC 5280 §4.1): a sequence of a sequence, a sequence and a bit
/// string, and not a byte more. What is in them is for the verifier of chains.
fn is_certificate(der: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let framed = || {
        let (certificate, rest) = element(der, SEQUENCE)?;
        let (_, parts) = element(certificate, SEQUENCE)?;
        let (_, parts) = element(parts, SEQUENCE)?;
        let (_, end) = element(parts, BIT_STRING)?;
        (rest.is_empty() && end.is_empty()).then_some(())
    };
    framed().is_some()
}

/// The content of an element of this type, and what follows it. DER has one way to write a
/// length (X.690 §10.1): definite, and as short as it can be.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&[length], rest) = rest.split_first_chunk()?;
            (
                Some(usize::from(length)).filter(|length| *length > 0x7f)?,
                rest,
            )
        }
        0x82 => {
            let (&length, rest) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(length));
            (Some(length).filter(|length| *length > 0xff)?, rest)
        }
        // Longer than the header may be.
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD as PADDED, STANDARD_NO_PAD};

    use super::*;

    /// RFC 8705, appendix A.
    const PEM: &str = include_str!("../../tests/data/rfc8705-a.pem");
    const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

    fn der() -> Vec<u8> {
        pem(PEM).expect("PEM").remove(0)
    }

    /// As nginx escapes.
    fn escaped(text: &str) -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    }

    #[test]
    fn rfc8705_a_each_way_to_write_a_certificate_gives_its_thumbprint() {
        use CertificateFormat::{Base64, ClientCert, UrlEncoded};
        let base64 = PADDED.encode(der());
        let aws = PEM.replace('\n', "%0A").replace(' ', "%20");
        let twice = format!("{PEM}{PEM}");
        for (value, format) in [
            (base64.clone(), Base64),
            (STANDARD_NO_PAD.encode(der()), Base64),
            (format!(" {base64}\t"), Base64),
            (PEM.replace('\n', " "), Base64),
            (PEM.replace('\n', ""), Base64),
            (twice.replace('\n', " "), Base64),
            (escaped(PEM), UrlEncoded),
            (escaped(&PEM.replace('\n', "\r\n")), UrlEncoded),
            (escaped(&twice), UrlEncoded),
            (aws, UrlEncoded),
            (format!(":{base64}:"), ClientCert),
            (format!(":{}:", STANDARD_NO_PAD.encode(der())), ClientCert),
        ] {
            let read = PresentedCertificate::parse(value.as_bytes(), format);
            let read = read.unwrap_or_else(|error| panic!("{error}: {value}"));
            assert_eq!(read.der(), der(), "{value}");
            assert_eq!(read.thumbprint().to_string(), THUMBPRINT, "{value}");
            let chain = value.matches("BEGIN").count().saturating_sub(1);
            assert_eq!(read.intermediates().len(), chain, "{value}");
        }
    }

    #[test]
    fn each_value_that_is_refused_has_a_twin_that_is_taken() {
        use CertificateError as E;
        use CertificateFormat::{Base64, ClientCert, UrlEncoded};
        let base64 = PADDED.encode(der());
        let url = escaped(PEM);
        let byte = format!(":{base64}:");
        let framed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut der = der();
            change(&mut der);
            PADDED.encode(der)
        };
        for (format, taken, refused, error) in [
            (Base64, &base64, String::new(), E::Empty),
            (Base64, &base64, " \t".to_owned(), E::Empty),
            (Base64, &base64, format!("{base64},{base64}"), E::Repeated),
            (Base64, &base64, base64.replace('/', "_"), E::Encoding),
            (Base64, &base64, format!("{base64}!"), E::Encoding),
            (Base64, &base64, byte.clone(), E::Encoding),
            (Base64, &base64, url.clone(), E::Encoding),
            (
                Base64,
                &base64,
                framed(&|der| der.push(0)),
                E::NotACertificate,
            ),
            (
                Base64,
                &base64,
                framed(&|der| der.truncate(200)),
                E::NotACertificate,
            ),
            (
                Base64,
                &base64,
                framed(&|der| der[0] = 0x31),
                E::NotACertificate,
            ),
            (
                Base64,
                &base64,
                framed(&|der| der[4] = 0x31),
                E::NotACertificate,
            ),
            // A length of unknown end, and one that is longer than it must be.
            (
                Base64,
                &base64,
                framed(&|der| der[1] = 0x80),
                E::NotACertificate,
            ),
            (
                Base64,
                &base64,
                framed(&|der| drop(der.splice(5..6, [0x82, 0]))),
                E::NotACertificate,
            ),
            (Base64, &base64, "AAAA".to_owned(), E::NotACertificate),
            (Base64, &base64, "A".repeat(LENGTH_MAX + 1), E::TooLong),
            (UrlEncoded, &url, base64.clone(), E::Encoding),
            (UrlEncoded, &url, format!("{url}%4"), E::Encoding),
            (UrlEncoded, &url, format!("{url}%+1"), E::Encoding),
            (UrlEncoded, &url, format!("{url}%ff"), E::Encoding),
            (UrlEncoded, &url, format!("{url}x"), E::Encoding),
            (UrlEncoded, &url, format!("x{url}"), E::Encoding),
            (UrlEncoded, &url, url.replace("END", "END%20"), E::Encoding),
            (
                UrlEncoded,
                &url,
                url.replace("CERTIFICATE", "PUBLIC%20KEY"),
                E::Encoding,
            ),
            (UrlEncoded, &url, "%20".to_owned(), E::Encoding),
            (UrlEncoded, &url, PEM[..54].repeat(2), E::Encoding),
            (ClientCert, &byte, base64.clone(), E::Encoding),
            (ClientCert, &byte, format!(":{base64}"), E::Encoding),
            (ClientCert, &byte, ":".to_owned(), E::Encoding),
            (ClientCert, &byte, "::".to_owned(), E::NotACertificate),
            (ClientCert, &byte, format!(":{base64} :"), E::Encoding),
            (ClientCert, &byte, format!("{byte};a=1"), E::Encoding),
            (ClientCert, &byte, format!("{byte}, {byte}"), E::Repeated),
        ] {
            let read = |value: &str| PresentedCertificate::parse(value.as_bytes(), format);
            assert!(read(taken).is_ok(), "{taken}");
            assert_eq!(read(&refused), Err(error), "{format:?} {refused}");
        }
        let bytes = [base64.as_bytes(), &[0xff]].concat();
        let read = PresentedCertificate::parse(&bytes, Base64);
        assert_eq!(read, Err(E::Encoding));
        // Nine certificates, of the shortest that are framed as such.
        let tiny = "-----BEGIN CERTIFICATE-----MAYwADAAAwA=-----END CERTIFICATE-----";
        let read = |n| PresentedCertificate::parse(tiny.repeat(n).as_bytes(), Base64);
        assert!(read(8).is_ok());
        assert_eq!(read(9), Err(E::TooLong));
    }

    #[test]
    fn a_thumbprint_is_of_one_certificate_alone() {
        let claim = CertificateThumbprint::parse(THUMBPRINT).expect("a thumbprint");
        assert_eq!(CertificateThumbprint::of_der(&der()), claim);
        let mut other = der();
        *other.last_mut().expect("bytes") ^= 1;
        assert_ne!(CertificateThumbprint::of_der(&other), claim);
    }
}
