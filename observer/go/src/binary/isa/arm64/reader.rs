//! Reading a function from top to bottom.
//!
//! What registers hold is carried along, to where a branch goes as well. Where two ways
//! meet, only what holds on both of them is known; where a way comes back from below, only
//! what a small loop leaves alone.

use std::collections::{BTreeMap, BTreeSet};

use farm64::{FlowControl, Instruction as Decoded, Mnemonic, instruction_info};

use super::super::{Flow, Handling, Instruction, Registers};
use super::access::accesses;
use super::exclusive::Exclusive;
use super::kernel;
use super::known::Known;
use super::literals;
use super::named::{decoded, flow, written};

/// An instruction has this many bytes.
const LENGTH: usize = 4;
/// The largest loop whose instructions are looked at: Go's exclusive ones have five.
const SMALL_LOOP: usize = 16;

/// The instructions of a function that begins at `address`.
pub(super) fn read(code: &[u8], address: u64) -> Vec<Option<Instruction>> {
    let addresses = (0..).map(|index: u64| address.wrapping_add(index * LENGTH as u64));
    let mut words: Vec<Option<Decoded>> = code
        .chunks(LENGTH)
        .zip(addresses)
        .map(|(bytes, address)| decoded(bytes, address))
        .collect();
    literals::take_out(&mut words, address);
    Reader::new(&words).read()
}

struct Reader<'w> {
    words: &'w [Option<Decoded>],
    /// From where branches go to an address.
    branches: BTreeMap<u64, BTreeSet<usize>>,
    /// Whether addresses are jumped to that no instruction tells.
    by_table: bool,
    /// What is known where a branch from above goes to.
    ahead: BTreeMap<u64, Known>,
    exclusive: Exclusive,
}

impl<'w> Reader<'w> {
    fn new(words: &'w [Option<Decoded>]) -> Self {
        let mut branches = BTreeMap::<u64, BTreeSet<usize>>::new();
        let mut by_table = false;
        for (index, decoded) in words.iter().enumerate() {
            let Some(decoded) = decoded else { continue };
            if let Flow::Jump(target) | Flow::Conditional(target) = flow(decoded) {
                branches.entry(target).or_default().insert(index);
            }
            by_table |= decoded.flow_control() == FlowControl::IndirectBranch;
        }
        Self {
            words,
            branches,
            by_table,
            ahead: BTreeMap::new(),
            exclusive: Exclusive::default(),
        }
    }

    fn read(mut self) -> Vec<Option<Instruction>> {
        let words = self.words;
        let mut found = Vec::with_capacity(words.len());
        let mut above = None;
        for (index, decoded) in words.iter().enumerate() {
            let Some(decoded) = decoded else {
                above = None;
                found.push(None);
                continue;
            };
            let mut known = self.before(index, decoded.ip(), above.take());
            let flow = flow(decoded);
            found.push(Some(self.instruction(decoded, flow, &known)));
            let result = known.result(decoded);
            let written = written(&instruction_info(decoded));
            known.forget(written);
            if let Some(result) = result {
                known.keep(result);
            }
            self.exclusive
                .pass(decoded.word(), written, flow != Flow::Next);
            above = match flow {
                Flow::Next => Some(known),
                Flow::Conditional(target) => {
                    self.carry(decoded.ip(), target, &known);
                    Some(known)
                }
                Flow::Jump(target) => {
                    self.carry(decoded.ip(), target, &known);
                    None
                }
                // A callee may leave anything in any register.
                Flow::Call(_) | Flow::Return | Flow::Elsewhere => None,
            };
        }
        found
    }

    fn instruction(&self, decoded: &Decoded, flow: Flow, known: &Known) -> Instruction {
        let word = decoded.word();
        let (access, second) = accesses(decoded, known, &self.exclusive);
        let handling = match kernel::handling(word) {
            _ if self.exclusive.holds(word) => Handling::Refused,
            // What goes elsewhere is not executed elsewhere.
            Handling::SingleStep if flow != Flow::Next => Handling::Refused,
            handling => handling,
        };
        Instruction {
            address: decoded.ip(),
            length: LENGTH,
            flow,
            access,
            second,
            handling,
        }
    }

    /// What is known before the instruction: on every way that leads to it.
    fn before(&mut self, index: usize, address: u64, above: Option<Known>) -> Known {
        let mut known = match (above, self.ahead.remove(&address)) {
            (Some(mut above), Some(ahead)) => {
                above.agree(&ahead);
                above
            }
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => Known::NOTHING,
        };
        if self.may_be_jumped_to(index) {
            return Known::NOTHING;
        }
        let Some(from) = self.branches.get(&address) else {
            return known;
        };
        for &below in from.range(index..) {
            match self.changed_by_loop(index, below) {
                Some(changed) => known.forget(changed),
                None => return Known::NOTHING,
            }
        }
        known
    }

    /// Whether a jump that tells no address may go here: nowhere between the instructions
    /// that form an address.
    fn may_be_jumped_to(&self, index: usize) -> bool {
        let above = index.checked_sub(1).and_then(|above| self.words[above]);
        let forms_address =
            above.is_some_and(|it| matches!(it.mnemonic(), Mnemonic::Adrp | Mnemonic::Add));
        self.by_table && !forms_address
    }

    /// What a loop from one instruction to another writes, if it is small and entered
    /// nowhere but at its start.
    fn changed_by_loop(&self, start: usize, end: usize) -> Option<Registers> {
        let body = self.words.get(start..=end)?;
        if body.len() > SMALL_LOOP {
            return None;
        }
        let mut changed = Registers::NONE;
        for (number, decoded) in body.iter().enumerate() {
            let decoded = decoded.as_ref()?;
            if number > 0 && self.branches.contains_key(&decoded.ip()) {
                return None;
            }
            if matches!(flow(decoded), Flow::Call(_) | Flow::Elsewhere) {
                return None;
            }
            changed = changed.union(written(&instruction_info(decoded)));
        }
        Some(changed)
    }

    /// Carries what is known along a branch that goes down.
    fn carry(&mut self, from: u64, to: u64, known: &Known) {
        if to <= from {
            return;
        }
        match self.ahead.get_mut(&to) {
            Some(ahead) => ahead.agree(known),
            None => {
                self.ahead.insert(to, known.clone());
            }
        }
    }
}
