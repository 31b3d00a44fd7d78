//! `oidc_core::fuzzing::inquiry`: what holds for any bytes is said there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oidc_core::fuzzing::inquiry(bytes));
