//! The programs that run in the kernel. They read registers, memory and maps;
//! what that means is in the library's `state_machine`, which runs on the host as well.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(
    clippy::inline_always,
    reason = "the verifier checks one function at a time; what crosses a call it forgets"
)]
#![allow(
    clippy::cast_ptr_alignment,
    reason = "fields of the kernel's structures lie at offsets known at load time only"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "contexts are handles, and the macros that make the programs pass them so"
)]
#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::single_match_else,
    reason = "everything is inlined; the form that reads best stays"
)]

mod atomic;
mod bpf;
mod diagnostics;
mod events;
mod maps;
mod offsets;
mod pids;
mod private_stack;
mod processes;
mod site;
mod user_memory;

/// The licence the kernel asks for before it lets a program call GPL-only helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
