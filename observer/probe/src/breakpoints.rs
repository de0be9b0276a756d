//! Whether a program that were started from a file now would get breakpoints.

use std::{ffi::c_void, fs::File, io, os::unix::fs::FileExt as _, process};

use procfs::page_size;
use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

use super::machine::OWN;

/// An instruction of any machine fits in, and so does a breakpoint.
const LONGEST: usize = 4;

/// Whether the kernel puts a breakpoint at any of these offsets.
///
/// It puts them into each new mapping of the file as a program, from the moment when
/// a probe is registered until it is not any more (`uprobe_mmap`). So one is made, and
/// looked at: that tells exactly what a new program would get. The mapping is the
/// observer's own, of a page each, and is never executed.
pub(super) fn stand(file: &File, sites: &[u64]) -> io::Result<bool> {
    for site in sites {
        if stands(file, *site)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stands(file: &File, site: u64) -> io::Result<bool> {
    let mut bytes = [0; LONGEST];
    let bytes = &mut bytes[..OWN.breakpoint.len()];
    // Read first: the kernel installs a breakpoint amid `mmap`, while no other thread
    // can as much as fault a page in, and the file's page is not to be fetched then.
    // Beyond the end of a file that somebody has cut there is no place for one; and a
    // trap of the program's own is no probe's.
    if file.read_at(bytes, site)? < bytes.len() || bytes == OWN.breakpoint {
        return Ok(false);
    }
    // The kernel takes no probe whose breakpoint would be on two pages.
    let within = site % page_size();
    let page = Page::of(file, site - within)?;
    Ok(page.read(within, bytes)? && bytes == OWN.breakpoint)
}

/// A page of a file, mapped as a program's.
struct Page(*mut c_void);

impl Page {
    fn of(file: &File, offset: u64) -> io::Result<Self> {
        let map = |access| {
            // SAFETY: the kernel chooses a place where nothing is. Nobody refers to
            // what is mapped: another may cut the file.
            unsafe {
                mmap(
                    std::ptr::null_mut(),
                    page_size() as usize,
                    access,
                    MapFlags::PRIVATE,
                    file,
                    offset,
                )
            }
        };
        // EXEC, because it fails where the file may not be executed, and no mapping
        // would get a breakpoint. Where only a security module forbids it, READ does.
        match map(ProtFlags::READ | ProtFlags::EXEC) {
            Err(Errno::ACCESS) => Ok(Self(map(ProtFlags::READ)?)),
            mapped => Ok(Self(mapped?)),
        }
    }

    /// Some bytes; `false` where they are not there, since the file was cut.
    fn read(&self, place: u64, bytes: &mut [u8]) -> io::Result<bool> {
        let to = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        let from = libc::iovec {
            iov_base: self.0.wrapping_byte_add(place as usize),
            iov_len: bytes.len(),
        };
        // By a system call, which fails where a load would end the process (SIGBUS).
        // SAFETY: `to` is what `bytes` borrows, and the call reads `from` as it would read
        // another process's memory: whatever is there.
        let read = unsafe {
            libc::process_vm_readv(
                process::id().cast_signed(),
                &raw const to,
                1,
                &raw const from,
                1,
                0,
            )
        };
        if read >= 0 {
            return Ok(read as usize == bytes.len());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EFAULT) => Ok(false),
            _ => Err(error),
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by this value, as long as that, and nobody refers to it.
        // It can fail only where it was not mapped.
        let _ = unsafe { munmap(self.0, page_size() as usize) };
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::{LONGEST, OWN, Page, stand};
    use crate::machine::{ARM64, X86_64};

    #[test]
    fn every_breakpoint_fits_in() {
        for machine in [X86_64, ARM64] {
            assert!(machine.breakpoint.len() <= LONGEST, "{}", machine.name);
        }
    }

    #[test]
    fn a_file_without_probes_has_none() {
        let file = File::open("/proc/self/exe").expect("this program");
        // Of the second and third page, however large they are.
        let far = [70_000, 140_000];
        assert!(!stand(&file, &[0, 4, far[0], far[1]]).expect("it can be mapped"));
    }

    #[test]
    fn what_the_file_holds_itself_is_none() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[&[0x90; 4][..], OWN.breakpoint].concat())
            .expect("written");
        assert!(!stand(&file, &[0, 4, 8]).expect("it can be mapped"));
        let page = Page::of(&file, 0).expect("it can be mapped");
        let mut found = vec![0; OWN.breakpoint.len()];
        assert!(page.read(4, &mut found).expect("readable"));
        assert_eq!(found, OWN.breakpoint);
    }

    #[test]
    fn a_file_that_is_cut_meanwhile_ends_nobody() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[0x90; 4]).expect("written");
        let page = Page::of(&file, 0).expect("it can be mapped");
        let mut found = [0; 4];
        assert!(page.read(0, &mut found).expect("readable"));
        assert_eq!(found, [0x90; 4]);
        file.set_len(0).expect("cut");
        assert!(!page.read(0, &mut found).expect("no signal"));
        assert!(!stand(&file, &[0]).expect("nothing to map"));
    }
}
