//! What every program stands on, whatever it counts: words, memory, the time and
//! registers. The programs of the families ask for no more.
//!
//! Implementations are `Copy` and passed by value. The programs' has no size, so
//! that it takes neither a register nor stack.

use crate::Target;

/// Words of map values that several hits may change at once.
///
/// Each call is one instruction, and others may come before and after it. The
/// tests switch threads at each.
///
/// arm64 lets others see changes of different words in another order than they were
/// made in. Only [`Self::fetch_add`] and [`Self::exchange`] put all that comes before
/// them before all that comes behind: the kernel makes them full barriers everywhere.
/// What the holder of one of the runtime's locks writes, the next holder sees all the
/// same, since the lock itself is a barrier, for the kernel's writes as for its own.
pub trait Words: Copy {
    /// What `word` points to.
    ///
    /// # Safety
    ///
    /// `word` must be a field of a live map value.
    unsafe fn load(self, word: *const u64) -> u64;

    /// Replaces what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn store(self, word: *mut u64, value: u64);

    /// Adds to what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn add(self, word: *mut u64, by: u64);

    /// Sets bits in what `word` points to.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn set(self, word: *mut u64, bits: u64);

    /// Adds to what `word` points to and returns what was there.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn fetch_add(self, word: *mut u64, by: u64) -> u64;

    /// Puts `new` in the place of `old` and returns what was there, `old` or not.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn exchange(self, word: *mut u64, old: u64, new: u64) -> u64;

    /// The same number, of which the compiler knows nothing. It proves more than
    /// the verifier can, and would drop a range check that the verifier needs.
    fn opaque(self, number: usize) -> usize;

    /// One more, which the compiler does not know: it counts no loop's rounds, and
    /// does not write the loop out.
    fn next(self, number: usize) -> usize;
}

/// Memory of the process that was hit. `None` where it cannot be read.
pub trait Memory: Copy {
    /// The word at an address.
    fn word(self, address: u64) -> Option<u64>;

    /// The first bytes of a text at an address.
    fn text(self, address: u64) -> Option<[u8; 7]>;
}

/// What a program of a family asks for besides.
pub trait Ground: Words + Memory {
    /// Whether any release of Go that is observed passes arguments on the stack here.
    const STACK_ARGUMENTS: bool;

    /// Nanoseconds, CLOCK_MONOTONIC.
    fn now(self) -> u64;

    /// What is known about a target.
    fn target(self, target: u32) -> Option<*mut Target>;
}

/// The registers that sites are read by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// The first word of arguments and of results. On arm64 X0, and so on.
    pub rax: u64,
    /// The second.
    pub rbx: u64,
    /// The third.
    pub rcx: u64,
    /// The fourth.
    pub rdi: u64,
    /// Go's current `g`. On arm64 X28.
    pub r14: u64,
    /// The site's address.
    pub rip: u64,
    /// The stack pointer, where [`Ground::STACK_ARGUMENTS`] is true.
    pub sp: u64,
}

impl Registers {
    /// The first word of arguments (0) or of results, or the second (1).
    ///
    /// `on_stack` is what the site's cookie says: how many bytes above the stack pointer
    /// the first of them lies, or 0 where they are in registers. `None` where memory
    /// cannot be read.
    #[inline(always)]
    pub fn passed<K: Ground>(&self, kernel: K, place: u64, on_stack: i32) -> Option<u64> {
        if K::STACK_ARGUMENTS && on_stack != 0 {
            let first = self.sp.wrapping_add(on_stack as i64 as u64);
            return kernel.word(first.wrapping_add(8 * place));
        }
        Some(if place == 0 { self.rax } else { self.rbx })
    }
}
