#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pinchpoint::testkit::fuzz::dns(data));
