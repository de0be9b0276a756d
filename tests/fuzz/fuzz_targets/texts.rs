//! Whoever may make cgroups and mounts writes a part of /proc's texts. The first byte
//! says which of them the rest is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observer_fuzz as _;
use observer_go::discover::fuzz_invariants;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((b'm', text)) => fuzz_invariants::mountinfo(text),
        Some((_, text)) => fuzz_invariants::cgroup(&String::from_utf8_lossy(text)),
        None => {}
    }
});
