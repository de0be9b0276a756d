//! An executable is data from a stranger: whatever it says, inspecting it
//! ends in time with a result or a typed error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = observer::gobinary::inspect_bytes(data);
});
