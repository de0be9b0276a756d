//! What is asked of an instruction set, and the words of its answers.

/// What is asked of an instruction set.
pub(crate) trait InstructionSet: Sync {
    /// The instructions of a function that begins at `address`, one after the other.
    /// `None` stands for bytes that are no instruction; decoding goes on behind them.
    ///
    /// Where several instructions together name a variable or change it, the last one
    /// has the [`Access`]: the whole address, and the whole change.
    fn decode<'c>(
        &self,
        code: &'c [u8],
        address: u64,
    ) -> Box<dyn Iterator<Item = Option<Instruction>> + 'c>;

    /// The registers that the instruction with these bytes writes or may write.
    /// This is too slow to be told of every instruction, and few are asked.
    fn writes(&self, code: &[u8]) -> Registers;

    /// The instruction with these bytes at this address, for people.
    fn text(&self, code: &[u8], address: u64) -> String;

    /// In which register Go functions take the integer argument at this place, the first
    /// one at 0; `None` where they take it elsewhere.
    fn argument(&self, place: usize) -> Option<Register>;

    /// The first minor release of Go whose functions take arguments in registers. Before,
    /// all of them are on the stack.
    fn registers_since(&self) -> u16;

    /// How far the instruction with these bytes moves the stack pointer; `None` where that
    /// is not known.
    fn moves_stack(&self, code: &[u8]) -> Option<i32>;

    /// The register in which Go code keeps the goroutine that it runs on.
    fn goroutine(&self) -> Register;
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Where it is.
    pub(crate) address: u64,
    /// How many bytes it has.
    pub(crate) length: usize,
    /// What is executed after it.
    pub(crate) flow: Flow,
    /// What it does with memory, where that is a variable or may be one.
    pub(crate) access: Option<Access>,
    /// What it does with the memory right behind, where it moves a pair of registers.
    pub(crate) second: Option<Access>,
    /// What the kernel does with it under a probe.
    pub(crate) handling: Handling,
}

impl Instruction {
    /// All that it does with memory.
    pub(crate) fn accesses(&self) -> impl Iterator<Item = Access> + use<> {
        self.access.into_iter().chain(self.second)
    }
}

/// What is executed after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next instruction.
    Next,
    /// The one at this address.
    Jump(u64),
    /// The one at this address or the next.
    Conditional(u64),
    /// The function at this address, and then the next instruction.
    Call(u64),
    /// The caller.
    Return,
    /// What the instruction alone does not tell: an indirect jump or call, a trap.
    Elsewhere,
}

impl Flow {
    /// The address that a direct jump or call goes to.
    pub(crate) fn target(self) -> Option<u64> {
        match self {
            Self::Jump(target) | Self::Conditional(target) | Self::Call(target) => Some(target),
            Self::Next | Self::Return | Self::Elsewhere => None,
        }
    }
}

/// What an instruction does with its operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Where the operand is.
    pub(crate) place: OperandAddress,
    /// What happens to it.
    pub(crate) operation: Operation,
    /// How many bytes it has; 0 where only its address is taken.
    pub(crate) width: usize,
    /// Whether other CPUs see it happen as a whole.
    pub(crate) atomic: bool,
    /// The constant that is part of it: stored there, compared with, added.
    pub(crate) constant: Option<u64>,
}

impl Access {
    /// The address of the variable that the instruction names.
    pub(crate) fn variable(&self) -> Option<u64> {
        match self.place {
            OperandAddress::Fixed(address) => Some(address),
            OperandAddress::Behind(_) => None,
        }
    }
}

/// Where an operand is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperandAddress {
    /// At this address as linked, which the code names relative to itself.
    Fixed(u64),
    /// Exactly where this register points.
    Behind(Register),
}

/// What happens to an operand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Nothing; its address is taken.
    Address,
    /// It is loaded into this register.
    Load(Register),
    /// This register is stored there.
    Store(Register),
    /// [`Access::constant`] is stored there.
    Set,
    /// One is added to it.
    Increment,
    /// It and another operand are added.
    Add,
    /// The same, and what was there before is kept.
    FetchAdd,
    /// Something is subtracted from it, or it from something.
    Subtract,
    /// It changes places with a register.
    Exchange,
    /// Anything else.
    Other,
}

impl Operation {
    /// Whether it adds or subtracts.
    pub(crate) fn adds(self) -> bool {
        matches!(
            self,
            Self::Increment | Self::Add | Self::FetchAdd | Self::Subtract
        )
    }
}

/// How the kernel gets past a probed instruction; the cheaper one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    /// It emulates the instruction: one trap. Some cost less than others, and
    /// the number says which: the lesser one.
    Emulated(u8),
    /// It executes a copy of the instruction elsewhere: a second trap.
    SingleStep,
    /// It refuses a probe there, or is not known to accept one.
    Refused,
}

impl Handling {
    /// Whether a hit costs one trap.
    pub(crate) fn is_emulated(self) -> bool {
        matches!(self, Self::Emulated(_))
    }
}

/// A general register, by its number in the instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register(u8);

impl Register {
    /// There are at most 64 of them.
    pub(super) const fn new(number: u8) -> Self {
        assert!(number < 64);
        Self(number)
    }

    /// Its number.
    pub(super) const fn number(self) -> usize {
        self.0 as usize
    }
}

/// A set of general registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers(u64);

impl Registers {
    /// The empty set.
    pub(crate) const NONE: Self = Self(0);

    /// The set and this register.
    pub(crate) const fn with(self, register: Register) -> Self {
        Self(self.0 | 1 << register.0)
    }

    /// The registers of both sets.
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the register is one of them.
    pub(crate) const fn contains(self, register: Register) -> bool {
        self.overlaps(Self::NONE.with(register))
    }

    /// Whether the sets have a register in common.
    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Register> for Registers {
    fn from_iter<I: IntoIterator<Item = Register>>(registers: I) -> Self {
        registers.into_iter().fold(Self::NONE, Self::with)
    }
}
