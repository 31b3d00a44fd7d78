//! `token_extractors::fuzzing::extract`: what holds for any bytes is said there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| token_extractors::fuzzing::extract(bytes));
