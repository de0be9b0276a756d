//! Between a load and the store that succeeds only if nothing came between them.
//!
//! A trap comes between them. A probe there would let the store fail for ever, and with it
//! the loop that tries it again.

use super::super::{Register, Registers};

/// Whether what is read lies between an exclusive load and its store.
///
/// Instructions are looked at in the order of their addresses: Go's compiler and its
/// assembly write no jump into the middle. Where no store follows, all that follows counts
/// as between.
#[derive(Default)]
pub(super) struct Exclusive(Option<Between>);

/// What was seen since the load.
#[derive(Clone, Copy, Default)]
struct Between {
    changed: Registers,
    compared: bool,
}

/// What an exclusive store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It stores what was there before the load, whatever was loaded.
    Anyway,
    /// It depends on what was loaded.
    Depends,
}

impl Exclusive {
    /// Whether the instruction that is this word is one of such a sequence, from the load
    /// to the store.
    pub(super) fn holds(&self, word: u32) -> bool {
        self.0.is_some() || loads(word) || stores(word)
    }

    /// What a store of this register does here.
    pub(super) fn stored(&self, register: Option<Register>) -> Stored {
        match (self.0, register) {
            (Some(between), Some(register))
                if !between.compared && !between.changed.contains(register) =>
            {
                Stored::Anyway
            }
            _ => Stored::Depends,
        }
    }

    /// Goes on behind an instruction that writes these registers, and that branches or not.
    pub(super) fn pass(&mut self, word: u32, written: Registers, branches: bool) {
        if loads(word) {
            // The loaded register counts as changed: it holds what was loaded.
            let changed = written;
            self.0 = Some(Between {
                changed,
                compared: false,
            });
        } else if stores(word) || clears(word) {
            self.0 = None;
        } else if let Some(between) = &mut self.0 {
            between.changed = between.changed.union(written);
            between.compared |= branches;
        }
    }
}

/// Set where the instruction loads.
const LOAD: u32 = 1 << 22;

/// `ldxr`, `ldaxr`, `ldxp`, `ldaxp`, and those of bytes and half words.
pub(super) fn loads(word: u32) -> bool {
    is_exclusive(word) && word & LOAD != 0
}

/// `stxr`, `stlxr`, `stxp`, `stlxp`, and those of bytes and half words.
pub(super) fn stores(word: u32) -> bool {
    is_exclusive(word) && word & LOAD == 0
}

fn is_exclusive(word: u32) -> bool {
    // Of pairs, only those of words and longer ones: the others are `casp`.
    let is_casp = word & (1 << 21) != 0 && word & (1 << 31) == 0;
    word & 0x3f80_0000 == 0x0800_0000 && !is_casp
}

/// `clrex`.
fn clears(word: u32) -> bool {
    word & 0xffff_f0ff == 0xd503_305f
}
