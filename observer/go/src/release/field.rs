//! Where a field lies in its type, and its value in the type's bytes.

use serde::Serialize;

/// Where a field lies in its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Bytes from the start of the type.
    pub offset: usize,
    /// Its size.
    pub size: usize,
}

impl Field {
    /// The first byte after it.
    pub const fn end(self) -> usize {
        self.offset + self.size
    }

    /// Where it is in what begins at an address. A process says what it likes of
    /// addresses: beyond the end of memory the kernel has nothing to read.
    pub(crate) const fn at(self, address: u64) -> u64 {
        address.wrapping_add(self.offset as u64)
    }

    /// Its value in the bytes of its type.
    pub(crate) fn of(self, bytes: &[u8]) -> u64 {
        number(bytes, self.offset, self.size)
    }

    /// Its value as a signed number.
    pub(crate) fn signed(self, bytes: &[u8]) -> i64 {
        let unused = 64 - 8 * self.size.min(8) as u32;
        ((self.of(bytes) << unused) as i64) >> unused
    }
}

/// A little-endian number of `size` bytes; 0 beyond the end.
pub(crate) fn number(bytes: &[u8], offset: usize, size: usize) -> u64 {
    let mut word = [0; 8];
    let size = size.min(8);
    if let Some(part) = bytes.get(offset..offset + size) {
        word[..size].copy_from_slice(part);
    }
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn signed_fields_keep_their_sign() {
        let field = Field { offset: 1, size: 4 };
        assert_eq!(field.signed(&[9, 255, 255, 255, 255, 9]), -1);
        assert_eq!(field.of(&[9, 255, 255, 255, 255, 9]), 0xffff_ffff);
    }
}
