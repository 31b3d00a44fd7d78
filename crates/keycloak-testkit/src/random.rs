//! Names, identifiers and secrets that no other test has.

/// So many random bytes, in hexadecimal.
///
/// # Panics
/// If the system has no randomness, without which no test can go on.
pub(crate) fn hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).expect("the system gives random bytes");
    buffer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A random identifier in the form of a UUID (RFC 9562 §5.4).
pub(crate) fn uuid() -> String {
    let hex = hex(16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
