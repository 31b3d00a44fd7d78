//! `oidc_core::fuzzing::dpop_proof`: what holds for any bytes is said there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oidc_core::fuzzing::dpop_proof(bytes));
