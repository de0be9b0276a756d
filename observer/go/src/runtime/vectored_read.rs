//! Many places of one process's memory to be read in one system call.
//!
//! # In which order
//!
//! The program runs on while it is read. Some figures are right only if one place was read
//! after another one, and [`VectoredRead::then`] promises it: nothing that is asked for
//! after it is loaded before all that was asked for before it.
//!
//! **Pieces are loaded one after the other, on every processor.** For each piece,
//! `process_vm_readv` pins its pages, copies them and unpins them, and then turns to the next
//! one (`process_vm_rw_single_vec`). To unpin a page takes from its count of users by an
//! atomic operation that returns a value (`folio_put_refs`; before there were folios,
//! `put_page_testzero`). In Linux such an operation is a full barrier: no load moves over it,
//! on arm64 neither. The locks of a pin alone would not do, because loads may move into what
//! a lock encloses from both sides. Newer kernels do not count the page of zeros. Its content
//! never changes, and which page is there was read under locks that were released before the
//! next pin took them. So nothing has to be added here, neither a barrier nor a second call,
//! and two calls in a row are in order for the same reason.
//!
//! **Within a piece there is no order**, on x86-64 neither. Therefore no piece reaches over a
//! `then`.
//!
//! **A word is loaded whole** where it lies at a multiple of its size, as all does that Go
//! counts. Linux for arm64 copies up to a multiple of 16 and from there on eight bytes at a
//! time or more. Newer processors have instructions for copying (`rep movsb` on x86-64, `cpy`
//! on arm64) that do not promise it, although they move much more at a time. If one did tear
//! a word, the checks of each sample would find most of it (`invariants.rs`).
//!
//! **What a program wrote first need not be seen first.** x86-64 shows stores in their order.
//! On arm64 a CPU may hold a plain store back for some nanoseconds while it shows later ones.
//! Where a value moves from one place to another, Go adds to one of them atomically or holds
//! a lock, and what it made before is seen with it: `sched.goidgen` and `sched.npidle` are
//! such counters, and an M is in the list of Ms only when its link is written. Where Go makes
//! two plain stores, a thread can be interrupted between them, so on x86-64 as well both may
//! be seen apart, and for longer. All that is put together is therefore compared, read again
//! or held (`RuntimeReader`), and relies on no order that only x86-64 has. A program at rest
//! is read exactly: a CPU that goes idle or turns to another thread holds nothing back.

/// Places nearer to one another than this are read in one piece: a piece more
/// costs the kernel more than a kilobyte of neighbours. It is less than the smallest page
/// that any kernel has (4 kB; on arm64 it may be 16 or 64), so between two places there is
/// no page that nobody asked for.
const NEAR_BYTES: u64 = 1024;
const _: () = assert!(NEAR_BYTES < 4096);
/// Room that is kept for the next process.
const KEPT_BYTES: usize = 4 << 20;

/// One of a [`VectoredRead`]'s places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// Places to read together, and afterwards what was there.
#[derive(Debug, Default)]
pub(super) struct VectoredRead {
    parts: Vec<Part>,
    /// What the kernel is asked for: the parts, those near one another in one.
    pub(super) pieces: Vec<Piece>,
    pub(super) bytes: Vec<u8>,
    /// Parts in the order of their addresses, as far as that order is free.
    order: Vec<usize>,
    /// The first part that is read after all those before it.
    free_from: usize,
    /// Bytes of all pieces.
    pub(super) total: usize,
}

/// A place asked for.
#[derive(Clone, Copy, Debug)]
struct Part {
    address: u64,
    len: usize,
    /// Where it is in the batch's bytes.
    start: usize,
}

/// An `iovec` of the process that is read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) address: u64,
    pub(super) len: usize,
}

const _: () = assert!(
    size_of::<Piece>() == size_of::<libc::iovec>()
        && align_of::<Piece>() == align_of::<libc::iovec>()
        && std::mem::offset_of!(Piece, len) == std::mem::offset_of!(libc::iovec, iov_len)
);

impl VectoredRead {
    /// Forgets the places, keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.pieces.clear();
        self.free_from = 0;
        self.total = 0;
    }

    /// Gives back the room that one process of many Ps needed, or pretended to.
    pub(super) fn shrink(&mut self) {
        let held = self.bytes.capacity()
            + self.parts.capacity() * size_of::<Part>()
            + self.pieces.capacity() * size_of::<Piece>()
            + self.order.capacity() * size_of::<usize>();
        if held > KEPT_BYTES {
            *self = Self::default();
        }
    }

    /// Asks for `len` bytes at `address`.
    pub(super) fn add(&mut self, address: u64, len: usize) -> Slot {
        self.parts.push(Part {
            address,
            len,
            start: 0,
        });
        Slot(self.parts.len() - 1)
    }

    /// What is asked for from here on is read after all that was asked for
    /// before: it is in pieces of its own, and pieces are loaded in order. The order of
    /// what lies between two such calls is anyone's.
    pub(super) fn then(&mut self) {
        let Self {
            parts,
            pieces,
            order,
            free_from,
            total,
            ..
        } = self;
        order.clear();
        order.extend(*free_from..parts.len());
        order.sort_unstable_by_key(|part| parts[*part].address);
        let first = pieces.len();
        for &part in &*order {
            let Part { address, len, .. } = parts[part];
            if len == 0 {
                continue;
            }
            match pieces[first..].last_mut() {
                Some(last) if let Some(longer) = joined(*last, address, len) => {
                    let offset = (address - last.address) as usize;
                    parts[part].start = *total - last.len + offset;
                    *total += longer - last.len;
                    last.len = longer;
                }
                _ => {
                    parts[part].start = *total;
                    *total += len;
                    pieces.push(Piece { address, len });
                }
            }
        }
        *free_from = parts.len();
    }

    /// What was read there.
    pub(super) fn bytes(&self, slot: Slot) -> &[u8] {
        let part = self.parts[slot.0];
        &self.bytes[part.start..part.start + part.len]
    }

    /// Every place asked for, and what was read there, in the order of asking.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let places = self.parts.iter().filter(|part| part.len > 0);
        places.map(|part| {
            let bytes = &self.bytes[part.start..part.start + part.len];
            (part.address, bytes)
        })
    }

    /// Puts at every place asked for what is there, in the order of asking.
    pub(super) fn fill<E>(
        &mut self,
        mut with: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for part in self.parts.iter().filter(|part| part.len > 0) {
            let bytes = &mut self.bytes[part.start..part.start + part.len];
            with(part.address, bytes)?;
        }
        Ok(())
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// How long a piece is that takes in a place behind its beginning as well;
/// `None` where the place is too far away. A process says what it likes: of a
/// place beyond the end of memory nothing is made, and the kernel refuses it.
fn joined(piece: Piece, address: u64, len: usize) -> Option<usize> {
    let piece_end = piece.address.checked_add(piece.len as u64)?;
    let end = address.checked_add(len as u64)?;
    (address.saturating_sub(piece_end) <= NEAR_BYTES)
        .then(|| piece.len.max((end - piece.address) as usize))
}

#[cfg(test)]
mod tests {
    use super::{NEAR_BYTES, VectoredRead};

    /// What is read of these places where every byte says its address, and how
    /// many pieces are asked for.
    fn read(places: &[(u64, usize)]) -> (Vec<Vec<u8>>, usize) {
        let mut batch = VectoredRead::default();
        let slots: Vec<_> = places
            .iter()
            .map(|(address, len)| batch.add(*address, *len))
            .collect();
        batch.then();
        for piece in &batch.pieces {
            let at = piece.address;
            batch
                .bytes
                .extend((0..piece.len as u64).map(|offset| at.wrapping_add(offset) as u8));
        }
        assert_eq!(batch.bytes.len(), batch.total);
        let found = slots.iter().map(|slot| batch.bytes(*slot).to_vec());
        (found.collect(), batch.pieces.len())
    }

    fn said(places: &[(u64, usize)]) -> Vec<Vec<u8>> {
        let byte = |address: u64, offset: usize| address.wrapping_add(offset as u64) as u8;
        places
            .iter()
            .map(|(address, len)| (0..*len).map(|offset| byte(*address, offset)).collect())
            .collect()
    }

    #[test]
    fn near_places_are_one_piece_and_far_ones_are_not() {
        let far = 0x1000 + 8 + NEAR_BYTES;
        for (places, pieces) in [
            (vec![(0x1000, 8), (0x1010, 8), (0x1004, 2), (0x1000, 32)], 1),
            (vec![(far, 8), (0x1000, 8)], 1),
            (vec![(far + 1, 8), (0x1000, 8)], 2),
            (vec![(0x1000, 0), (0x5000, 4)], 1),
        ] {
            assert_eq!(read(&places), (said(&places), pieces), "{places:x?}");
        }
    }

    #[test]
    fn places_at_the_end_of_memory_are_left_to_the_kernel() {
        for places in [
            vec![(u64::MAX - 12, 8), (u64::MAX - 3, 8)],
            vec![(u64::MAX - 3, 8), (u64::MAX - 2, 16)],
        ] {
            assert_eq!(read(&places), (said(&places), 2), "{places:x?}");
        }
    }

    /// Each page costs the kernel, and one that nobody asked for may be behind a file system
    /// that does not answer.
    #[test]
    fn pages_of_any_size_are_touched_only_where_somebody_asked() {
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for _ in 0..200 {
            // Addresses as on arm64 with 48 and with 52 bits.
            let base = [0x4000_0000, 0xffff_8000_0000, 0xf_ffff_8000_0000][next(3) as usize];
            let places: Vec<(u64, usize)> = (0..40)
                .map(|_| (base + next(1 << 18), 1 + next(2000) as usize))
                .collect();
            let mut batch = VectoredRead::default();
            for (address, len) in &places {
                batch.add(*address, *len);
            }
            batch.then();
            for page in [4 << 10, 16 << 10, 64 << 10] {
                let pages =
                    |address: u64, len: usize| address / page..=(address + len as u64 - 1) / page;
                let asked = |number: u64| {
                    let mut places = places.iter();
                    places.any(|(address, len)| pages(*address, *len).contains(&number))
                };
                let mut touched = batch
                    .pieces
                    .iter()
                    .flat_map(|piece| pages(piece.address, piece.len));
                assert!(touched.all(asked), "{page}: {places:x?}");
            }
        }
    }

    #[test]
    fn what_comes_then_is_a_piece_of_its_own() {
        let mut batch = VectoredRead::default();
        batch.add(0x2000, 8);
        batch.then();
        batch.add(0x1000, 8);
        batch.add(0x2000, 8);
        batch.then();
        let addresses: Vec<_> = batch.pieces.iter().map(|piece| piece.address).collect();
        assert_eq!(addresses, [0x2000, 0x1000, 0x2000]);
    }
}
