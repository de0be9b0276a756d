//! Whether a program that were started from a file now would get breakpoints.

use std::{ffi::c_void, fs::File, io, os::unix::fs::FileExt as _, process};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// `int3`. Probes are set on x86-64 only.
const BREAKPOINT: u8 = 0xcc;
/// A page there.
const PAGE: u64 = 4096;

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
    let mut own = [0];
    // Read first: the kernel installs a breakpoint amid `mmap`, while no other thread
    // can as much as fault a page in, and the file's page is not to be fetched then.
    // Beyond the end of a file that somebody has cut there is no place for one; and a
    // trap of the program's own is no probe's.
    if file.read_at(&mut own, site)? == 0 || own == [BREAKPOINT] {
        return Ok(false);
    }
    let page = Page::of(file, site - site % PAGE)?;
    Ok(page.byte(site % PAGE)? == Some(BREAKPOINT))
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
                    PAGE as usize,
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

    /// One byte; `None` where there is none, since the file was cut.
    fn byte(&self, place: u64) -> io::Result<Option<u8>> {
        let mut byte = 0u8;
        let to = libc::iovec {
            iov_base: (&raw mut byte).cast(),
            iov_len: 1,
        };
        let from = libc::iovec {
            iov_base: self.0.wrapping_byte_add(place as usize),
            iov_len: 1,
        };
        // By a system call, which fails where a load would end the process (SIGBUS).
        // SAFETY: `to` is one byte of this function's, and the call reads `from` as it
        // would read another process's memory: whatever is there.
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
        if read == 1 {
            return Ok(Some(byte));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EFAULT) => Ok(None),
            _ => Err(error),
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by this value, as long as that, and nobody refers to it.
        // It can fail only where it was not mapped.
        let _ = unsafe { munmap(self.0, PAGE as usize) };
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::{BREAKPOINT, Page, stand};

    #[test]
    fn a_file_without_probes_has_none() {
        let file = File::open("/proc/self/exe").expect("this program");
        assert!(!stand(&file, &[0, 1, 5000, 9000]).expect("it can be mapped"));
    }

    #[test]
    fn what_the_file_holds_itself_is_none() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[0x90, BREAKPOINT]).expect("written");
        assert!(!stand(&file, &[0, 1, 2]).expect("it can be mapped"));
        let page = Page::of(&file, 0).expect("it can be mapped");
        assert_eq!(page.byte(1).expect("readable"), Some(BREAKPOINT));
    }

    #[test]
    fn a_file_that_is_cut_meanwhile_ends_nobody() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[0x90]).expect("written");
        let page = Page::of(&file, 0).expect("it can be mapped");
        assert_eq!(page.byte(0).expect("readable"), Some(0x90));
        file.set_len(0).expect("cut");
        assert_eq!(page.byte(0).expect("no signal"), None);
        assert!(!stand(&file, &[0]).expect("nothing to map"));
    }
}
