//! The programs that run in the kernel; one file a concern.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod events;
mod gc;
mod goroutines;
mod maps;
mod processes;
mod registration;
mod site;
mod stops;

/// The licence the kernel asks for before it lets a program call GPL-only helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
