//! Subjects of certificates: written as in RFC 4514, and read from a certificate (RFC 5280 §4.1).

use rcgen::{DistinguishedName, DnType};

/// A distinguished name: attributes by the dots of their types, the first one being the last of
/// the certificate, as RFC 4514 §2.1 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject(Vec<(Vec<u64>, String)>);

/// The types that have names (RFC 4514 §3, and the e-mail address of PKCS #9).
const TYPES: [(&str, &[u64]); 10] = [
    ("CN", &[2, 5, 4, 3]),
    ("L", &[2, 5, 4, 7]),
    ("ST", &[2, 5, 4, 8]),
    ("O", &[2, 5, 4, 10]),
    ("OU", &[2, 5, 4, 11]),
    ("C", &[2, 5, 4, 6]),
    ("STREET", &[2, 5, 4, 9]),
    ("DC", &[0, 9, 2342, 19_200_300, 100, 1, 25]),
    ("UID", &[0, 9, 2342, 19_200_300, 100, 1, 1]),
    ("EMAILADDRESS", &[1, 2, 840, 113_549, 1, 9, 1]),
];

impl Subject {
    /// Reads `CN=JohnDoe, OU=IT`; attributes joined by `+` are not supported.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let parts = unescaped(text)?;
        parts
            .into_iter()
            .map(attribute)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// As certificates are made of.
    pub(super) fn to_name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        for (dots, value) in self.0.iter().rev() {
            name.push(DnType::from_oid(dots), value.as_str());
        }
        name
    }
}

/// Cuts at commas, and keeps what is escaped.
fn unescaped(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => parts.push(String::new()),
            '\\' => parts.last_mut()?.push(characters.next()?),
            other => parts.last_mut()?.push(other),
        }
    }
    Some(parts)
}

fn attribute(part: String) -> Option<(Vec<u64>, String)> {
    let (name, value) = part.split_once('=')?;
    let name = name.trim();
    let known = TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let dots = match known {
        Some((_, dots)) => dots.to_vec(),
        None => name
            .split('.')
            .map(|dot| dot.parse().ok())
            .collect::<Option<_>>()?,
    };
    Some((dots, value.trim().to_owned()))
}

/// Whom a certificate is by and about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parties {
    pub(crate) subject: Subject,
    /// Whether it names itself as its issuer.
    pub(crate) self_issued: bool,
}

impl Parties {
    /// Reads a certificate in DER as far as the subject.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, whole, _) = element(certificate)?;
        let (_, mut rest, _) = element(whole)?;
        if rest.first() == Some(&0xA0) {
            // The version.
            rest = element(rest)?.2;
        }
        // The serial number and the algorithm.
        for _ in 0..2 {
            rest = element(rest)?.2;
        }
        let (_, issuer, rest) = element(rest)?;
        let (_, _, rest) = element(rest)?;
        let (_, subject, _) = element(rest)?;
        Some(Self {
            subject: name(subject)?,
            self_issued: issuer == subject,
        })
    }
}

/// A `RDNSequence` of one attribute each.
fn name(mut der: &[u8]) -> Option<Subject> {
    let mut attributes = Vec::new();
    while !der.is_empty() {
        let (_, set, rest) = element(der)?;
        let (_, pair, _) = element(set)?;
        let (_, kind, value) = element(pair)?;
        let (_, value, _) = element(value)?;
        attributes.push((dots(kind)?, String::from_utf8(value.to_vec()).ok()?));
        der = rest;
    }
    attributes.reverse();
    Some(Subject(attributes))
}

/// The tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7F);
        if count > 4 || rest.len() < count {
            return None;
        }
        let (bytes, after) = rest.split_at(count);
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    (rest.len() >= length).then(|| {
        let (content, after) = rest.split_at(length);
        (tag, content, after)
    })
}

/// An object identifier: the first two numbers share a byte, later ones have seven bits a byte.
fn dots(der: &[u8]) -> Option<Vec<u64>> {
    let (&first, rest) = der.split_first()?;
    let first = u64::from(first);
    let mut dots = vec![(first / 40).min(2), first - 40 * (first / 40).min(2)];
    let mut number = 0_u64;
    for byte in rest {
        number = number.checked_mul(128)? | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            dots.push(number);
            number = 0;
        }
    }
    Some(dots)
}

#[cfg(test)]
mod tests {
    use super::{Parties, Subject};
    use crate::pki::{Authority, Identity};

    #[test]
    fn what_is_written_into_a_certificate_is_read_from_it() {
        let authority = Authority::new("Test CA");
        for subject in [
            "CN=client-tls-auth",
            "CN=JohnDoe, OU=IT",
            "CN=Doe\\, John,O=Käse & Söhne,C=DE",
            "1.2.840.113549.1.9.1=john@example.test,UID=john",
        ] {
            let expected = Subject::read(subject).unwrap();
            let issued = Parties::of(authority.client(subject).certificate_der()).unwrap();
            assert_eq!((&issued.subject, issued.self_issued), (&expected, false));
            let own = Parties::of(Identity::self_signed(subject).certificate_der()).unwrap();
            assert_eq!((&own.subject, own.self_issued), (&expected, true));
        }
    }

    #[test]
    fn order_and_case_of_values_matter_but_spaces_do_not() {
        let read = |text| Subject::read(text).unwrap();
        assert_eq!(read("CN=a,OU=b"), read("cn = a , ou = b"));
        assert_ne!(read("CN=a,OU=b"), read("OU=b,CN=a"));
        assert_ne!(read("CN=a"), read("CN=A"));
        assert_eq!(Subject::read("John Doe"), None);
        assert_eq!(Subject::read("WHO=me"), None);
    }

    #[test]
    fn garbage_is_no_certificate() {
        let der = Identity::self_signed("CN=x").certificate_der().to_vec();
        for length in 0..60 {
            assert_eq!(Parties::of(&der[..length]), None);
        }
    }
}
