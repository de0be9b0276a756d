//! Many places of one process's memory to be read in one system call.

/// Places nearer to one another than this are read in one piece: a piece more
/// costs the kernel more than a kilobyte of neighbours. It is less than a page,
/// so nothing is touched that nobody asked for.
const NEAR: u64 = 1024;

/// One of a [`Batch`]'s places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// Places to read together, and afterwards what was there.
#[derive(Debug, Default)]
pub(super) struct Batch {
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

impl Batch {
    /// Forgets the places, keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.pieces.clear();
        self.free_from = 0;
        self.total = 0;
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
    /// before. The order of what lies between two such calls is anyone's.
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
            let end = address.saturating_add(len as u64);
            match pieces[first..].last_mut() {
                // What the last piece is of, and what lies in between.
                Some(last)
                    if address.saturating_sub(last.address.saturating_add(last.len as u64))
                        <= NEAR =>
                {
                    let offset = (address - last.address) as usize;
                    let longer = last.len.max((end - last.address) as usize);
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

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
