//! base64url without padding, in the one form that RFC 7515 §2 allows.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::GeneralPurposeConfig;
use base64::engine::general_purpose::NO_PAD;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Decoder = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Decoder = base64::engine::GeneralPurpose;

/// A token is a thousand characters of it, which a processor with vectors reads many at a time.
static DECODER: LazyLock<Decoder> = LazyLock::new(|| decoder(NO_PAD));

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn decoder(config: GeneralPurposeConfig) -> Decoder {
    Decoder::url_safe(config)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn decoder(config: GeneralPurposeConfig) -> Decoder {
    Decoder::new(&base64::alphabet::URL_SAFE, config)
}

/// Decodes it; padding, other alphabets and stray trailing bits are refused.
pub(crate) fn decode(part: &str) -> Option<Vec<u8>> {
    DECODER.decode(part).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn one_form_is_taken_and_no_other() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("YQ", Some(b"a")),
            ("YQ==", None),
            ("YR", None),
            ("Y", None),
            ("-_-_", Some(b"\xfb\xff\xbf")),
            ("+/+/", None),
            ("YQ\n", None),
            ("Y Q", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text:?}");
            // Far into a long one, too, where many characters are read at a time.
            let long = format!("{}{text}", "AAAA".repeat(64));
            let expected = bytes.map(|bytes| [&[0; 192][..], bytes].concat());
            assert_eq!(decode(&long), expected, "{long:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_read_as_it_is_read_one_character_at_a_time(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            wrong in proptest::option::of((0_usize..400, proptest::prelude::any::<char>())),
        ) {
            let mut text = URL_SAFE_NO_PAD.encode(&bytes);
            proptest::prop_assert_eq!(decode(&text), Some(bytes));
            if let Some((place, wrong)) = wrong.filter(|(place, _)| *place <= text.len()) {
                text.insert(place, wrong);
                proptest::prop_assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
            }
        }
    }
}
