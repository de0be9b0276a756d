//! Inspection of real Go programs.
//!
//! Every release and way of linking of the workload fixture.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use observer_go::binary::{
    Binary, BuildMode, Functions, InspectError, Inspected, NotGoReason, inspect, inspect_bytes,
};
use observer_tests::paths::{VARIANTS, VERSIONS, fixture};

/// Memory that inspecting a large file may take.
const MAX_GROWTH_KIB: u64 = 16 << 10;

fn fixtures() -> Vec<(String, String, PathBuf)> {
    let all = VERSIONS
        .iter()
        .flat_map(|version| VARIANTS.map(|it| (*version, it)));
    all.map(|(version, variant)| {
        let path = fixture("workload", version, variant);
        (version.to_owned(), variant.to_owned(), path)
    })
    .collect()
}

fn binary(found: Result<Inspected, InspectError>, what: &str) -> Box<Binary> {
    match found {
        Ok(Inspected::Go(binary)) => binary,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn every_program_is_told() {
    for (version, variant, path) in fixtures() {
        let what = path.display().to_string();
        let file = File::open(&path).unwrap();
        let binary = binary(inspect(&file), &what);
        assert!(
            binary.version.starts_with(&format!("go{version}")),
            "{what}"
        );
        let pie = if variant.contains("pie") {
            BuildMode::Pie
        } else {
            BuildMode::Exe
        };
        assert_eq!(binary.build_mode, pie, "{what}");
        assert_eq!(binary.stripped, variant.contains("stripped"), "{what}");
        assert!(
            binary.module.is_some() && binary.build_id.is_some(),
            "{what}"
        );
        let table = binary.pclntab.expect(&what);
        assert!(
            !binary.plan.sites.is_empty(),
            "{what}: {:?}",
            binary.plan.gaps
        );

        let functions = Functions::open(&file).unwrap().expect(&what);
        assert_eq!(functions.table(), &table);
        let main = functions.symbols(&|name| name == "main.main").unwrap();
        assert_eq!(main.len(), 1, "{what}");
        let place = functions.resolve(main[0].address + 1).unwrap();
        let place = place.expect(&what);
        assert_eq!(place.function, main[0], "{what}");
        assert!(place.line.is_some(), "{what}");
    }
}

#[test]
fn without_section_headers_the_same_is_found() {
    for (_, _, path) in fixtures() {
        let what = path.display().to_string();
        let mut data = fs::read(&path).unwrap();
        let whole = binary(inspect_bytes(&data), &what);
        data[0x28..0x30].fill(0); // e_shoff
        data[0x3c..0x40].fill(0); // e_shnum, e_shstrndx
        let bare = binary(inspect_bytes(&data), &what);
        assert_eq!(bare.version, whole.version, "{what}");
        // Go's linker has the GNU build id in a section only (1.26), not in PT_NOTE.
        assert!(bare.build_id.is_some(), "{what}");
        assert_eq!(bare.plan.sites, whole.plan.sites, "{what}");
        let (bare, whole) = (bare.pclntab.expect(&what), whole.pclntab.expect(&what));
        let told = |table: &observer_go::binary::FunctionTable| {
            (table.address, table.text_start, table.functions)
        };
        assert_eq!(told(&bare), told(&whole), "{what}");
    }
}

#[test]
fn a_cut_program_is_an_error_or_no_program() {
    for (_, _, path) in fixtures() {
        let data = fs::read(&path).unwrap();
        for part in 1..16 {
            let cut = &data[..data.len() * part / 16];
            // A typed result each time; a cut in the debug data is harmless.
            let _ = inspect_bytes(cut);
        }
        assert!(
            inspect_bytes(&data[..data.len() / 2]).is_err(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_program_that_embeds_another_is_not_it() {
    // A C program's ELF file with a Go program behind it.
    let mut data = fs::read("/proc/self/exe").unwrap();
    for (_, _, path) in fixtures().into_iter().take(1) {
        data.extend(fs::read(path).unwrap());
    }
    let found = inspect_bytes(&data);
    assert!(
        matches!(found, Ok(Inspected::NotGo(NotGoReason::NoBuildInfo { .. }))),
        "{found:?}"
    );
}

/// Peak memory since the last reset, in KiB. Tests run one after another;
/// one beside it would only make the bound harder to keep.
fn peak(reset: bool) -> u64 {
    if reset {
        fs::write("/proc/self/clear_refs", "5").expect("reset the peak of resident memory");
    }
    let status = fs::read_to_string("/proc/self/status").expect("this process's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a VmHWM line");
    let number = line.trim().trim_end_matches(" kB").parse();
    number.expect("VmHWM in kB")
}

#[test]
fn a_large_program_takes_little_memory() {
    let (_, _, path) = fixtures().pop().unwrap();
    // 200 MB between the program and its section headers, which go: every
    // segment is scanned. The first segment's end grows over the padding.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&fs::read(&path).unwrap()).unwrap();
    let size = file.seek(SeekFrom::End(0)).unwrap();
    file.set_len(size + (200 << 20)).unwrap();
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0).unwrap();
    header[0x28..0x30].fill(0);
    header[0x3c..0x40].fill(0);
    file.write_all_at(&header, 0).unwrap();
    let programs = u64::from_le_bytes(header[0x20..0x28].try_into().unwrap());
    let count = u16::from_le_bytes(header[0x38..0x3a].try_into().unwrap());
    for index in 0..u64::from(count) {
        let at = programs + index * 56;
        let mut entry = [0; 56];
        file.read_exact_at(&mut entry, at).unwrap();
        let writable = entry[4] & 2 != 0;
        if entry[..4] == [1, 0, 0, 0] && writable {
            let offset = u64::from_le_bytes(entry[8..16].try_into().unwrap());
            let loaded = size + (200 << 20) - offset;
            entry[32..40].copy_from_slice(&loaded.to_le_bytes());
            file.write_all_at(&entry, at).unwrap();
        }
    }
    let before = peak(true);
    let begun = std::time::Instant::now();
    let binary = binary(inspect(&file), "padded");
    // The kernel sums up what each CPU has counted only roughly: the peak of a program
    // that took next to nothing may be told a little lower than before.
    let growth = peak(false).saturating_sub(before);
    let took = begun.elapsed();
    println!("{} MB: {growth} KiB, {took:?}", binary.size >> 20);
    assert!(binary.pclntab.is_some());
    assert!(growth < MAX_GROWTH_KIB, "{growth} KiB");
}
