#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::pki::time_stamp_response(data));
