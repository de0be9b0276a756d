//! Numbers in what was read.

use crate::release::number;

/// Eight bytes each, little-endian.
pub(in crate::runtime) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + Clone {
    bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes)
}

/// Whether both are the same. Much faster than `==` where the C library is
/// musl, whose `memcmp` looks at one byte at a time.
pub(in crate::runtime) fn same(left: &[u8], right: &[u8]) -> bool {
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks(), right.as_chunks());
    let differ = |differ: u64, (left, right): (&[u8; 8], &[u8; 8])| {
        differ | (u64::from_ne_bytes(*left) ^ u64::from_ne_bytes(*right))
    };
    left.len() == right.len()
        && left_rest == right_rest
        && left.iter().zip(right).fold(0, differ) == 0
}

/// Eight bytes, little-endian; 0 beyond the end.
pub(in crate::runtime) fn word(bytes: &[u8], offset: usize) -> u64 {
    number(bytes, offset, 8)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn sameness_is_of_every_byte() {
        let bytes: Vec<u8> = (0..100).collect();
        for len in [0, 7, 8, 99, 100] {
            assert!(same(&bytes[..len], &bytes.clone()[..len]));
            assert!(len == 100 || !same(&bytes[..len], &bytes));
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] ^= 0x40;
                assert!(!same(&bytes[..len], &other[..len]), "{at} of {len}");
            }
        }
    }
}
