//! `oidc_core::fuzzing::client_certificate_header`: what holds for any bytes is said there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oidc_core::fuzzing::client_certificate_header(bytes));
