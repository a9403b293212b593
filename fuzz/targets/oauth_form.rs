#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::oauth2::oauth_form(data));
