//! `proxy_bin::fuzzing::http1_head`: what holds for any bytes is said there.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proxy_bin::fuzzing::http1_head(bytes));
