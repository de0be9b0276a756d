//! The functions at hand, by name, and how an instruction becomes a site.

use super::super::{
    FigureGroup, FunctionCode, Gap, Reason, Site, SiteKind, Text,
    isa::{InstructionSet, Register, Registers},
};
use super::choose::{FunctionEntry, at_entry};
use super::code::Code;
use crate::release::{GoVersion, ReleaseRules};

/// A Go executable has some forty of the wanted functions.
const MAX_FUNCTIONS: usize = 256;
/// Arguments on the stack begin so many bytes above where its pointer is when a function
/// is entered: between is where the function returns to, or room for it.
const ON_STACK: i32 = 8;
/// A function and its wrappers.
const MAX_SAME_NAME: usize = 4;

/// Why a site could not be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} (Go {version})")]
pub(super) struct Missing {
    pub(super) reason: Reason,
    version: GoVersion,
    detail: String,
}

impl Missing {
    /// The same reason as a gap of this figure.
    pub(super) fn gap(&self, figure: FigureGroup) -> Gap {
        Gap {
            figure,
            reason: self.reason,
            detail: self.to_string(),
        }
    }
}

/// Sites, or why one of them is missing.
pub(super) type Sites = Result<Vec<Site>, Missing>;

/// Decoded functions of one executable.
pub(super) struct DecodedFunctions<'a> {
    pub(super) isa: &'static dyn InstructionSet,
    pub(super) version: GoVersion,
    pub(super) rules: &'static ReleaseRules,
    functions: Vec<Code<'a>>,
    offset_of: &'a dyn Fn(u64) -> Option<u64>,
}

impl<'a> DecodedFunctions<'a> {
    /// Decodes the functions, of which there are to be few.
    pub(super) fn new(
        isa: &'static dyn InstructionSet,
        version: GoVersion,
        rules: &'static ReleaseRules,
        functions: impl Iterator<Item = &'a FunctionCode>,
        offset_of: &'a dyn Fn(u64) -> Option<u64>,
    ) -> Self {
        let functions = functions
            .take(MAX_FUNCTIONS)
            .map(|function| Code::new(isa, function))
            .collect();
        Self {
            isa,
            version,
            rules,
            functions,
            offset_of,
        }
    }

    /// The function of this name; the ABI0 wrapper that shares the name
    /// calls it or jumps to it.
    pub(super) fn function(&self, name: &str) -> Result<&Code<'a>, Missing> {
        let mut named: Vec<&Code> = self.named(name).collect();
        if (2..=MAX_SAME_NAME).contains(&named.len()) {
            let addresses: Vec<u64> = named.iter().map(|c| c.function.address).collect();
            named.retain(|code| {
                let own = code.function.address;
                let wraps = |&address: &u64| address != own && code.leads_to(address);
                !addresses.iter().any(wraps)
            });
        }
        match named[..] {
            [code] if !code.instructions.is_empty() => Ok(code),
            [] => Err(self.missing(
                Reason::NoFunction,
                format!("{name} is not in the function table"),
            )),
            [_] => Err(self.no_site(format!("{name} has no instructions that can be decoded"))),
            _ => Err(self.no_site(format!("{name} stands for {} functions", named.len()))),
        }
    }

    /// All functions of this name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Code<'a>> {
        self.functions
            .iter()
            .filter(move |code| code.function.name == name)
    }

    /// The function of this name and its closures, the latter also where they
    /// were made by a function that was inlined into it.
    pub(super) fn family(&self, name: &str) -> impl Iterator<Item = &Code<'a>> {
        self.functions
            .iter()
            .filter(move |code| in_family(&code.function.name, name))
    }

    /// All functions.
    pub(super) fn all(&self) -> impl Iterator<Item = &Code<'a>> {
        self.functions.iter()
    }

    /// Whether functions take arguments and give results in registers.
    fn uses_registers(&self) -> bool {
        self.version.minor >= self.isa.registers_since()
    }

    /// How far above the stack pointer the result lies when a function returns, which has
    /// no more than a word of arguments; 0 where it is in a register.
    pub(super) fn result_on_stack(&self) -> i32 {
        if self.uses_registers() {
            0
        } else {
            ON_STACK + 8
        }
    }

    /// In which registers functions take their first `count` arguments.
    pub(super) fn arguments(&self, count: usize) -> Result<Registers, Missing> {
        (0..count).map(|place| self.argument(place)).collect()
    }

    /// In which register functions take the argument at this place.
    pub(super) fn argument(&self, place: usize) -> Result<Register, Missing> {
        let since = self.isa.registers_since();
        let register = self.isa.argument(place);
        register.filter(|_| self.uses_registers()).ok_or_else(|| {
            self.no_site(format!(
                "functions take their arguments on the stack, and not in registers as \
                     from Go 1.{since} on"
            ))
        })
    }

    /// The site at the entry of the function of this name.
    pub(super) fn entry_site(
        &self,
        kind: SiteKind,
        name: &str,
        entry: FunctionEntry,
        aux: i32,
    ) -> Result<Site, Missing> {
        let code = self.function(name)?;
        let index = self.entry_index(code, entry)?;
        self.site(kind, code, index, aux)
    }

    /// The same, where the function's first `count` arguments can be read: in registers, or
    /// so far above the stack pointer as `aux` says.
    pub(super) fn argument_site(
        &self,
        kind: SiteKind,
        name: &str,
        entry: FunctionEntry,
        count: usize,
    ) -> Result<Site, Missing> {
        if self.uses_registers() {
            let intact = entry.intact.union(self.arguments(count)?);
            return self.entry_site(kind, name, FunctionEntry { intact, ..entry }, 0);
        }
        let code = self.function(name)?;
        let index = self.entry_index(code, entry)?;
        let moved = code.stack_moved(index);
        let aux = moved.and_then(|moved| ON_STACK.checked_sub(moved));
        let aux = aux.ok_or_else(|| {
            self.no_site(format!(
                "{name}: it is not known where on the stack its arguments lie"
            ))
        })?;
        self.site(kind, code, index, aux)
    }

    fn entry_index(&self, code: &Code, entry: FunctionEntry) -> Result<usize, Missing> {
        let name = &code.function.name;
        at_entry(code, entry).ok_or_else(|| {
            self.no_site(format!(
                "{name} has no instruction near its entry that is executed once per call \
                 and that the kernel lets a probe stand on"
            ))
        })
    }

    /// The site on instruction `index`.
    pub(super) fn site(
        &self,
        kind: SiteKind,
        code: &Code,
        index: usize,
        aux: i32,
    ) -> Result<Site, Missing> {
        let name = &code.function.name;
        let instruction = &code.instructions[index];
        let address = instruction.address;
        let offset = (self.offset_of)(address).ok_or_else(|| {
            self.no_site(format!(
                "{name}: address {address:#x} is in no part of the file"
            ))
        })?;
        Ok(Site {
            kind,
            function: name.clone(),
            address,
            offset,
            instruction: code.text(index),
            emulated: instruction.handling.is_emulated(),
            weight: 1,
            aux,
            text: around(code.function, address, offset),
        })
    }

    /// There is no place for a probe, or what it needs was not found.
    pub(super) fn no_site(&self, detail: String) -> Missing {
        self.missing(Reason::NoSite, detail)
    }

    fn missing(&self, reason: Reason, detail: String) -> Missing {
        Missing {
            reason,
            version: self.version,
            detail,
        }
    }
}

/// A function's code around one of its instructions: enough of it that no other
/// file has the same at the same offset by chance.
fn around(function: &FunctionCode, address: u64, offset: u64) -> Text {
    const EACH_WAY: usize = 32;
    let at = address.saturating_sub(function.address) as usize;
    let from = at.saturating_sub(EACH_WAY);
    let to = (at + EACH_WAY).min(function.code.len());
    Text {
        offset: offset - (at - from) as u64,
        bytes: function.code[from..to].to_vec(),
    }
}

/// Whether `name` is `function` or one of its closures.
pub(super) fn in_family(name: &str, function: &str) -> bool {
    name.strip_prefix(function)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
