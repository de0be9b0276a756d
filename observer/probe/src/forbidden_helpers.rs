//! The programs can change nothing of a process: they have no return probe, and call
//! nothing by which they could write to its memory, change what a call returns, or send
//! it a signal.

use std::collections::BTreeMap;

use object::{Object as _, ObjectSection as _, SectionKind, read::elf::ElfFile64};

use super::load::OBJECT;

/// One instruction.
const LEN: usize = 8;
/// `BPF_LD | BPF_IMM | BPF_DW`, which takes the place of two.
const LOAD_WIDE: u8 = 0x18;
const CALL: u8 = 0x85;
/// In a call's source register: of a helper, of a function of the program.
const HELPER: u8 = 0;
const FUNCTION: u8 = 1;

/// Helpers by which a program reaches into what it looks at, by their numbers in
/// `linux/bpf.h`.
const FORBIDDEN: [(i32, &str); 5] = [
    (36, "probe_write_user"),
    (58, "override_return"),
    (109, "send_signal"),
    (117, "send_signal_thread"),
    (166, "sys_bpf"),
];
/// Sections of programs: probes at instructions, and the kernel's own events.
const KNOWN: [&str; 3] = ["uprobe", "uprobe.multi", "tp_btf"];

/// A helper's number; `None` for a function of the kernel's.
type Called = Option<i32>;

/// All that code calls outside itself, and where.
fn calls(code: &[u8]) -> BTreeMap<usize, Called> {
    let mut calls = BTreeMap::new();
    let mut instructions = code.as_chunks::<LEN>().0.iter().enumerate();
    while let Some((index, bytes)) = instructions.next() {
        let (code, source) = (bytes[0], bytes[1] >> 4);
        if code == LOAD_WIDE {
            instructions.next();
        } else if code == CALL && source != FUNCTION {
            let number = i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            calls.insert(index * LEN, (source == HELPER).then_some(number));
        }
    }
    calls
}

/// Why a call must not be there.
fn fault(called: Called) -> Option<String> {
    let Some(number) = called else {
        return Some("a function of the kernel's is called, which may do anything".to_owned());
    };
    let forbidden = FORBIDDEN.iter().find(|(helper, _)| *helper == number);
    forbidden.map(|(_, name)| format!("bpf_{name} is called"))
}

#[test]
fn no_program_returns_into_writes_to_or_signals_a_process() {
    let file = ElfFile64::<object::Endianness>::parse(OBJECT).expect("the object");
    let mut all = 0;
    let mut programs = BTreeMap::<String, u32>::new();
    for section in file.sections() {
        let name = section.name().expect("a name");
        assert!(!name.contains("retprobe"), "{name}");
        if section.kind() != SectionKind::Text {
            continue;
        }
        let code = section.data().expect("its instructions");
        // Functions of several programs.
        if name != ".text" && !code.is_empty() {
            let kind = name.split('/').next().unwrap_or_default();
            assert!(KNOWN.contains(&kind), "{name}");
            *programs.entry(kind.to_owned()).or_default() += 1;
        }
        for (at, called) in calls(code) {
            all += 1;
            assert_eq!(fault(called), None, "{name} at {at:#x}");
        }
    }
    // Otherwise nothing was looked at.
    let probes = programs.keys().filter(|kind| kind.starts_with("uprobe"));
    assert!(probes.count() > 0, "{programs:?}");
    assert!(programs.contains_key("tp_btf"), "{programs:?}");
    assert!(all >= 10, "{all} calls");
}

#[test]
fn what_is_not_to_be_called_is_found() {
    let call = |source: u8, imm: i32| {
        let [a, b, c, d] = imm.to_le_bytes();
        [CALL, source << 4, 0, 0, a, b, c, d]
    };
    let exit = [0x95, 0, 0, 0, 0, 0, 0, 0];
    // The second half of a wide load is no instruction.
    let wide = [LOAD_WIDE, 1, 0, 0, 0, 0, 0, 0];
    let half = call(HELPER, 36);
    let found = |code: &[[u8; LEN]]| -> Vec<String> {
        calls(&code.concat())
            .into_values()
            .filter_map(fault)
            .collect()
    };
    // bpf_map_lookup_elem, and a function of the program.
    let good = [wide, half, call(HELPER, 1), call(FUNCTION, 36), exit];
    assert_eq!(found(&good), Vec::<String>::new());
    for (number, name) in FORBIDDEN {
        let bad = [wide, half, call(HELPER, number), exit];
        assert_eq!(found(&bad), [format!("bpf_{name} is called")]);
    }
    assert_eq!(found(&[call(2, 7), exit]).len(), 1);
}
