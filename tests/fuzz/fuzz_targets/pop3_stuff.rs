#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;
#[path = "../../world/mod.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::pop3::stuff(data));
