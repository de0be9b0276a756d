//! No input may make a reader ask for much memory, also where it uses none of it.
//! libFuzzer itself only looks at what is used, unless a sanitizer tells it more.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process,
};

/// Many times as much as the largest original takes.
const MOST: usize = 1 << 30;

struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Ends the program, which libFuzzer takes for a crash, where that is too much at once.
fn bound(bytes: usize) {
    if bytes > MOST {
        eprintln!("{bytes} bytes of memory are asked for at once");
        process::abort();
    }
}

// SAFETY: all is left to the system's own, with the arguments as they are.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bound(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        bound(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        bound(size);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}
