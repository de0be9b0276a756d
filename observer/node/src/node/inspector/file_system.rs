//! Whose file system a file is on.
//!
//! Setting probes opens a file, reads it and closes it again, on the engine's thread,
//! and it relies on a lease for being told of writers. Both hold for a file system that
//! this machine keeps by itself. One that a program or another host serves may answer
//! no more, and then holds up whoever opens, reads or closes its files; and what
//! another host writes breaks no lease that was granted here. So probes stand on the
//! file systems named here, and on no other: what is not known is not trusted.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, FsWord, StatxAttributes, StatxFlags, fstatfs, statx},
    io::Errno,
};

/// Kept on a disk of this machine or in its memory, by their magic numbers.
const OWN: [FsWord; 14] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x3153_464a, // JFS
    0x2405_1905, // UBIFS
    0x0102_1994, // tmpfs, and files in memory
    0x8584_58f6, // ramfs, which an initramfs may be
    0x7371_7368, // SquashFS
    0x9660,      // ISO 9660
    0x1501_3346, // UDF
    0x4d44,      // FAT
];
const OVERLAYFS: FsWord = 0x794c_7630;
const EROFS: FsWord = 0xe0f5_e1e2;
/// Those that are met most of all others, for people.
const OTHERS: [(FsWord, &str); 8] = [
    (0x6573_5546, "FUSE"),
    (0x6969, "NFS"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// Why probes may not be set on an open file; `None` where they may. May take as long as
/// the file system likes.
pub(super) fn elsewhere(file: impl AsFd) -> Result<Option<String>, Errno> {
    let kind = fstatfs(&file)?.f_type;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let statx = statx(file, "", flags, StatxFlags::BASIC_STATS)?;
    Ok(judge(
        kind,
        statx.stx_attributes_mask,
        statx.stx_dev_major != 0,
    ))
}

fn judge(kind: FsWord, attributes: StatxAttributes, on_a_disk: bool) -> Option<String> {
    let name = match kind {
        OVERLAYFS => {
            // It passes on what the file system underneath knows of a file. The flag of
            // files that `dump` leaves out is one that file systems with inodes of
            // their own keep, tmpfs since Linux 6.0, and nobody who only hands on
            // another's files: FUSE, NFS, SMB, 9p, Ceph.
            if attributes.contains(StatxAttributes::NODUMP) {
                return None;
            }
            "overlayfs over another one".to_owned()
        }
        EROFS => {
            // Without a disk a program may bring the data when it is asked for.
            if on_a_disk {
                return None;
            }
            "EROFS without a disk".to_owned()
        }
        kind if OWN.contains(&kind) => return None,
        kind => {
            let known = OTHERS.iter().find(|(other, _)| *other == kind);
            known.map_or_else(
                || format!("of type {kind:#x}"),
                |(_, name)| (*name).to_owned(),
            )
        }
    };
    Some(format!(
        "its file system ({name}) is not known to be this machine's own: whoever serves it may \
         change the file unseen, or answer no more"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::StatxAttributes;

    use super::{EROFS, OTHERS, OVERLAYFS, OWN, elsewhere, judge};

    #[test]
    fn only_the_machines_own_file_systems_get_probes() {
        let (all, none) = (StatxAttributes::all(), StatxAttributes::empty());
        for kind in OWN {
            assert_eq!(judge(kind, none, false), None, "{kind:#x}");
        }
        for (kind, name) in OTHERS {
            let why = judge(kind, all, true).expect("it is another's");
            assert!(why.contains(&format!("({name})")), "{why}");
        }
        let why = judge(0x0bad, all, true).expect("it is not known");
        assert!(why.contains("(of type 0xbad)"), "{why}");
    }

    #[test]
    fn what_lies_over_another_is_as_good_as_that() {
        let (kept, not) = (StatxAttributes::NODUMP, StatxAttributes::IMMUTABLE);
        assert_eq!(judge(OVERLAYFS, kept, false), None);
        assert!(judge(OVERLAYFS, not, false).is_some());
        assert_eq!(judge(EROFS, not, true), None);
        assert!(judge(EROFS, not, false).is_some());
    }

    #[test]
    fn a_file_in_memory_is_the_machines_own() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("ground", flags).expect("a file");
        assert_eq!(elsewhere(file), Ok(None));
        let served = File::open("/proc/self/status").expect("the file");
        assert!(elsewhere(served).expect("an answer").is_some());
    }
}
