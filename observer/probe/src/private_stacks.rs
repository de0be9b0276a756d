//! Whether the kernel could give one of the programs a private stack: one for
//! each CPU, which a hit that preempts another on the same CPU would write over.
//!
//! `check_max_stack_depth` of kernel/bpf/verifier.c gives it to a function whose
//! stack takes [`PRIVATE`] bytes or more, unless any function of the program has
//! a tail call in it. Programs of the tracing kinds run behind a guard that turns
//! back whoever comes second; programs of uprobes do not. The kernel's types tell of
//! private stacks from Linux 6.13 on; on arm64 it gives none before 6.17.

use std::collections::BTreeMap;

use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind,
    read::elf::ElfFile64,
};
use thiserror::Error;

/// `BPF_PRIV_STACK_MIN_SIZE`.
const PRIVATE: u64 = 64;
/// What the verifier rounds a function's stack up to.
const ROUNDING: u64 = 16;
/// `MAX_BPF_STACK`: more than any function may take.
const UNKNOWN: u64 = 512;
/// Sections of programs that the kernel guards against a second run on one CPU.
const GUARDED: [&str; 4] = ["tp_btf/", "fentry/", "fexit/", "lsm/"];

/// One instruction.
const LEN: usize = 8;
/// `BPF_LD | BPF_IMM | BPF_DW`, which takes the place of two.
const LOAD_WIDE: u8 = 0x18;
const CALL: u8 = 0x85;
/// `bpf_tail_call`.
const TAIL_CALL: i32 = 12;
/// In a call's source register: of a helper, of a function of the program.
const HELPER: u8 = 0;
const FUNCTION: u8 = 1;
const FRAME_POINTER: usize = 10;

/// Why a program must not be loaded where the kernel has private stacks.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StackError {
    /// It could get one.
    #[error(
        "the function {function} takes {depth} bytes of stack, and no function of its program has \
         a tail call: the kernel would give it a private stack, which threads that preempt each \
         other share"
    )]
    Private {
        /// Of the program's functions, the one.
        function: String,
        /// Rounded as the verifier rounds.
        depth: u64,
    },
    /// The object is not understood.
    #[error("its stacks cannot be checked: {0}")]
    Object(String),
}

/// Checks every program of an object that the kernel does not guard.
pub(super) fn check(object: &[u8]) -> Result<(), StackError> {
    let file = ElfFile64::<Endianness>::parse(object).map_err(broken)?;
    let functions = functions(&file)?;
    for root in functions.values().filter(|function| function.is_root) {
        let mut reached = Vec::new();
        reach(&functions, root, &mut reached);
        if reached.iter().any(|function| function.tail_call) {
            continue;
        }
        let deep = reached.iter().find(|function| function.depth >= PRIVATE);
        if let Some(function) = deep {
            return Err(StackError::Private {
                function: function.name.clone(),
                depth: function.depth,
            });
        }
    }
    Ok(())
}

/// Where a function begins.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct FunctionStart {
    section: usize,
    /// Bytes from the section's beginning.
    offset: u64,
}

struct Function {
    name: String,
    /// Whether it is a program, and none that the kernel guards.
    is_root: bool,
    depth: u64,
    tail_call: bool,
    calls: Vec<FunctionStart>,
}

fn reach<'a>(
    functions: &'a BTreeMap<FunctionStart, Function>,
    function: &'a Function,
    reached: &mut Vec<&'a Function>,
) {
    if reached.iter().any(|known| std::ptr::eq(*known, function)) {
        return;
    }
    reached.push(function);
    for start in &function.calls {
        if let Some(called) = functions.get(start) {
            reach(functions, called, reached);
        }
    }
}

fn functions(file: &ElfFile64<'_>) -> Result<BTreeMap<FunctionStart, Function>, StackError> {
    let mut functions = BTreeMap::new();
    for symbol in file.symbols() {
        if symbol.kind() != SymbolKind::Text || symbol.size() == 0 {
            continue;
        }
        let Some(index) = symbol.section_index() else {
            continue;
        };
        let section = file.section_by_index(index).map_err(broken)?;
        let name = symbol.name().map_err(broken)?.to_owned();
        let start = symbol.address() as usize;
        let code = start
            .checked_add(symbol.size() as usize)
            .and_then(|end| section.data().ok()?.get(start..end))
            .ok_or_else(|| StackError::Object(format!("{name} ends after its section")))?;
        let mut calls = Vec::new();
        let mut relocated = Vec::new();
        for (at, relocation) in section.relocations() {
            let Some(at) = at.checked_sub(symbol.address()) else {
                continue;
            };
            let Some(bytes) = code.get(at as usize..).and_then(<[u8]>::first_chunk) else {
                continue;
            };
            let RelocationTarget::Symbol(target) = relocation.target() else {
                continue;
            };
            let target = file.symbol_by_index(target).map_err(broken)?;
            relocated.push(at as usize);
            let Some(of) = target.section_index() else {
                continue;
            };
            // A section stands for the function that the instruction's own
            // distance leads to, counted from behind the instruction.
            let distance = match target.kind() {
                SymbolKind::Section => (i64::from(Instruction::read(*bytes).imm) + 1) * LEN as i64,
                _ => 0,
            };
            calls.push(FunctionStart {
                section: of.0,
                offset: target.address().wrapping_add_signed(distance),
            });
        }
        let body = Body::read(code);
        for (at, distance) in body.calls {
            if !relocated.contains(&at) {
                let behind = symbol.address() + at as u64 + LEN as u64;
                calls.push(FunctionStart {
                    section: index.0,
                    offset: behind.wrapping_add_signed(distance),
                });
            }
        }
        let section = section.name().map_err(broken)?;
        let is_program = section != ".text";
        let function = Function {
            name,
            is_root: is_program && !GUARDED.iter().any(|guarded| section.starts_with(guarded)),
            depth: body.depth.next_multiple_of(ROUNDING),
            tail_call: body.tail_call,
            calls,
        };
        let start = FunctionStart {
            section: index.0,
            offset: symbol.address(),
        };
        functions.insert(start, function);
    }
    if functions.values().any(|function| function.is_root) {
        Ok(functions)
    } else {
        Err(StackError::Object("it has no programs".to_owned()))
    }
}

fn broken(error: object::Error) -> StackError {
    StackError::Object(error.to_string())
}

#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    destination: usize,
    source: u8,
    offset: i16,
    imm: i32,
}

impl Instruction {
    fn read(bytes: [u8; LEN]) -> Self {
        Self {
            code: bytes[0],
            destination: usize::from(bytes[1] & 0xf),
            source: bytes[1] >> 4,
            offset: i16::from_le_bytes([bytes[2], bytes[3]]),
            imm: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }
}

/// What a function's instructions tell.
struct Body {
    depth: u64,
    tail_call: bool,
    /// Calls of functions: where, and the distance in bytes.
    calls: Vec<(usize, i64)>,
}

impl Body {
    /// One after the other, as if nothing jumped: the compiler makes a pointer
    /// into the stack where it uses it.
    fn read(code: &[u8]) -> Self {
        let mut body = Self {
            depth: 0,
            tail_call: false,
            calls: Vec::new(),
        };
        // Which registers point into the stack, and how far from its upper end.
        let mut pointers = [None; 16];
        pointers[FRAME_POINTER] = Some(0i64);
        let mut instructions = code.as_chunks::<LEN>().0.iter().enumerate();
        while let Some((index, bytes)) = instructions.next() {
            let instruction = Instruction::read(*bytes);
            let Instruction {
                code,
                destination,
                source,
                offset,
                imm,
            } = instruction;
            let from = pointers[usize::from(source)];
            match code {
                LOAD_WIDE => {
                    pointers[destination] = None;
                    instructions.next();
                }
                CALL if source == HELPER => body.tail_call |= imm == TAIL_CALL,
                CALL if source == FUNCTION => {
                    body.calls.push((index * LEN, i64::from(imm) * LEN as i64));
                }
                // `rX = rY`, `rX += imm`, and any other arithmetic of 64 bits.
                0xbf => pointers[destination] = from.inspect(|at| body.reach(*at)),
                0x07 => {
                    pointers[destination] = pointers[destination]
                        .map(|at| at + i64::from(imm))
                        .inspect(|at| body.reach(*at));
                }
                _ => match code & 7 {
                    // A load.
                    1 => {
                        from.inspect(|at| body.reach(at + i64::from(offset)));
                        pointers[destination] = None;
                    }
                    // Stores.
                    2 | 3 => {
                        pointers[destination].inspect(|at| body.reach(at + i64::from(offset)));
                    }
                    // Arithmetic.
                    4 | 7 => {
                        if code & 7 == 7 && pointers[destination].is_some() && code & 0xf0 != 0xb0 {
                            // Where it leads is not followed.
                            body.depth = UNKNOWN;
                        }
                        if destination != FRAME_POINTER {
                            pointers[destination] = None;
                        }
                    }
                    _ => {}
                },
            }
        }
        body
    }

    fn reach(&mut self, at: i64) {
        self.depth = self.depth.max(u64::try_from(-at).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};

    use super::{super::load::OBJECT, Body, CALL, LEN, StackError, TAIL_CALL, check};

    /// The object with another helper in the place of each tail call.
    fn without_tail_calls() -> Vec<u8> {
        let mut object = OBJECT.to_vec();
        let file = ElfFile64::<object::Endianness>::parse(OBJECT).expect("the object");
        let mut taken = 0;
        for section in file.sections() {
            if !section.name().expect("a name").starts_with("uprobe") {
                continue;
            }
            let (start, len) = section.file_range().expect("what is in the file");
            for at in (start..start + len).step_by(LEN).map(|at| at as usize) {
                if object[at..at + 2] == [CALL, 0] && object[at + 4] == TAIL_CALL as u8 {
                    object[at + 4] = 5;
                    taken += 1;
                }
            }
        }
        assert!(taken >= 2, "one in each program: {taken}");
        object
    }

    #[test]
    fn no_program_gets_a_private_stack() {
        assert_eq!(check(OBJECT), Ok(()));
    }

    #[test]
    fn without_tail_calls_they_would() {
        match check(&without_tail_calls()) {
            Err(StackError::Private { function, depth }) => {
                assert!(function.starts_with("site_"), "{function}");
                assert!(depth >= 64, "{depth}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_object_is_not_waved_through() {
        assert!(matches!(check(&[]), Err(StackError::Object(_))));
        assert!(matches!(check(&[0; 64]), Err(StackError::Object(_))));
        let cut = &OBJECT[..OBJECT.len() / 2];
        assert!(matches!(check(cut), Err(StackError::Object(_))));
    }

    #[test]
    fn measures_stacks() {
        let body = |instructions: &[[u8; 8]]| Body::read(&instructions.concat());
        let exit = [0x95, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(body(&[exit]).depth, 0);
        // *(u64 *)(r10 - 48) = r1
        let store = [0x7b, 0x1a, 0xd0, 0xff, 0, 0, 0, 0];
        assert_eq!(body(&[store, exit]).depth, 48);
        // r1 = *(u64 *)(r10 - 8)
        let load = [0x79, 0xa1, 0xf8, 0xff, 0, 0, 0, 0];
        assert_eq!(body(&[load, exit]).depth, 8);
        // r2 = r10; r2 += -200; call
        let copy = [0xbf, 0xa2, 0, 0, 0, 0, 0, 0];
        let add = [0x07, 0x02, 0, 0, 0x38, 0xff, 0xff, 0xff];
        let call = [CALL, 0, 0, 0, 5, 0, 0, 0];
        let pointed = body(&[copy, add, call, exit]);
        assert_eq!((pointed.depth, pointed.tail_call), (200, false));
        // r2 -= r1, on a pointer
        let subtract = [0x1f, 0x12, 0, 0, 0, 0, 0, 0];
        assert_eq!(body(&[copy, subtract, exit]).depth, 512);
        // r2 = 7 in its place, then `r2 += -200`
        let number = [0xb7, 0x02, 0, 0, 7, 0, 0, 0];
        assert_eq!(body(&[copy, number, add, exit]).depth, 0);
        // What follows a wide load is no instruction.
        let wide = [0x18, 0x01, 0, 0, 0, 0, 0, 0];
        let tail = [CALL, 0, 0, 0, 12, 0, 0, 0];
        assert!(!body(&[wide, tail, exit]).tail_call);
        assert!(body(&[tail, exit]).tail_call);
    }
}
