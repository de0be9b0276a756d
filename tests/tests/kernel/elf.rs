//! Programs of a few instructions.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const PAGE: usize = 4096;
const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const BASE: u64 = 0x40_0000;
/// The file's header and two of segments.
const HEADERS: u64 = 64 + 2 * 56;

/// Ends at once.
pub(crate) const EXIT: [u8; 9] = [0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
/// Waits for signals again and again.
pub(crate) const PAUSE: [u8; 9] = [0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];

/// Writes an executable: code, and data that it may write to.
pub(crate) fn write(path: &Path, code: &[u8], data: &[u8]) {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let headers: [&[u8]; 13] = [
        // An executable for x86-64.
        &2_u16.to_le_bytes(),
        &62_u16.to_le_bytes(),
        &1_u32.to_le_bytes(),
        &(BASE + HEADERS).to_le_bytes(),
        // Segments, and no sections.
        &64_u64.to_le_bytes(),
        &0_u64.to_le_bytes(),
        &0_u32.to_le_bytes(),
        &64_u16.to_le_bytes(),
        &56_u16.to_le_bytes(),
        &2_u16.to_le_bytes(),
        &64_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
    ];
    file.extend(headers.concat());
    let segments = [
        (READ_EXECUTE, 0, HEADERS + code.len() as u64),
        (READ_WRITE, PAGE as u64, data.len() as u64),
    ];
    for (flags, offset, size) in segments {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        let address = BASE + offset;
        for value in [offset, address, address, size, size, PAGE as u64] {
            file.extend(value.to_le_bytes());
        }
    }
    file.extend(code);
    file.resize(PAGE, 0);
    file.extend(data);
    fs::write(path, file).expect("the program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}
