//! A process's program text, held against the files it comes from.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

/// A mapping of a file as a program, as /proc/PID/maps tells it.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    length: usize,
    offset: u64,
    path: String,
}

/// How many bytes of a process's text are not those of its files.
pub(crate) fn changed(pid: u32) -> usize {
    let read = |what: &str| format!("/proc/{pid}/{what}");
    let maps = fs::read_to_string(read("maps")).expect("the process's mappings");
    let memory = File::open(read("mem")).expect("the process's memory");
    let texts: Vec<_> = maps.lines().filter_map(text).collect();
    assert!(!texts.is_empty(), "pid {pid} has no text:\n{maps}");
    texts
        .iter()
        .map(|mapping| differences(&memory, mapping))
        .sum()
}

fn differences(memory: &File, mapping: &Mapping) -> usize {
    let path = &mapping.path;
    let file = File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let size = file.metadata().expect("its size").len();
    // What is mapped beyond the file's end is nobody's.
    let length = mapping
        .length
        .min(size.saturating_sub(mapping.offset) as usize);
    let (mut here, mut there) = (vec![0; length], vec![0; length]);
    file.read_exact_at(&mut here, mapping.offset)
        .unwrap_or_else(|e| panic!("{path}: {e}"));
    memory
        .read_exact_at(&mut there, mapping.start)
        .unwrap_or_else(|e| panic!("memory of {path}: {e}"));
    here.iter().zip(&there).filter(|(a, b)| a != b).count()
}

/// A line of /proc/PID/maps, where it is a program's text from a file.
fn text(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
    let executable = fields.next()?.contains('x');
    let offset = hexadecimal(fields.next()?)?;
    let path = fields.nth(2)?;
    let start = hexadecimal(start)?;
    (executable && path.starts_with('/')).then(|| Mapping {
        start,
        length: (hexadecimal(end).unwrap_or(start) - start) as usize,
        offset,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Mapping, changed, text};

    #[test]
    fn only_text_of_files_counts() {
        let line = "00401000-00403000 r-xp 00001000 00:02 1234    /fixtures/idle";
        let expected = Mapping {
            start: 0x401000,
            length: 0x2000,
            offset: 0x1000,
            path: "/fixtures/idle".into(),
        };
        assert_eq!(text(line), Some(expected));
        for line in [
            "00400000-00401000 r--p 00000000 00:02 1234    /fixtures/idle",
            "7ffd0000-7ffd2000 r-xp 00000000 00:00 0       [vdso]",
            "7fff0000-7fff1000 --xp 00000000 00:00 0       [uprobes]",
            "7f000000-7f001000 rwxp 00000000 00:00 0 ",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }

    #[test]
    fn a_process_without_probes_is_as_its_files() {
        assert_eq!(changed(std::process::id()), 0);
    }
}
