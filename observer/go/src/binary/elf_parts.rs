//! Parts of an ELF file.

/// A stretch of the file and the addresses it is loaded at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) address: u64,
    pub(super) offset: u64,
    /// Bytes in the file.
    pub(super) size: u64,
}

impl Range {
    /// The part from `address` on, where it lies in the range.
    pub(super) fn from(self, address: u64) -> Option<Self> {
        let skip = address
            .checked_sub(self.address)
            .filter(|&skip| skip < self.size)?;
        Some(Self {
            address,
            offset: self.offset + skip,
            size: self.size - skip,
        })
    }
}

/// A loaded segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) range: Range,
    /// Size in memory; what the file has no bytes for is zero there.
    pub(super) memory: u64,
    pub(super) writable: bool,
    pub(super) executable: bool,
}

/// A section that has bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) range: Range,
    /// `SHF_COMPRESSED`.
    pub(super) compressed: bool,
}
