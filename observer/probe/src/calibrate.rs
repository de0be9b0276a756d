//! What one hit costs on this machine: measured at start, on a child of the
//! observer's own, before anybody else is probed.
//!
//! The child calls two tiny functions as often as it is told and says how long
//! that took; the difference that a probe makes is the cost of a hit.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::fd::AsFd,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use observer_ebpf::{Cookie, ProcessKey, SiteKind};
use observer_go::binary::{Site, Text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;

use super::{HitCost, ProbeError, Probes};

/// The hidden subcommand that the child runs.
const SUBCOMMAND: &str = "calibrate-child";
/// What it and its parent run.
const OWN_FILE: &str = "/proc/self/exe";
/// The child as a probe target: a number that no file gets for a long while.
const TARGET: u32 = Cookie::MAX_TARGET;
/// Rounds with and without probes; the median stands against what else runs.
const ROUNDS: usize = 5;
/// Calls in a round: a few milliseconds each.
const EMULATED_CALLS: u32 = 2_000;
const STEPPED_CALLS: u32 = 500;
/// Longest wait for the child's answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// A figure outside of this is no cost of a hit (nanoseconds).
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 50.0..=200_000.0;

/// Why the cost could not be measured.
#[derive(Debug, Error)]
enum CalibrateError {
    #[error("calibration child process: {0}")]
    Child(#[from] io::Error),
    #[error("calibration child process: {0:?} is no number of nanoseconds")]
    Answer(String),
    #[error("the functions to call are not in a file that this process runs")]
    NoFunction,
    #[error("{0}")]
    Probe(#[from] ProbeError),
    #[error("{counted} of {calls} calls were counted")]
    NotCounted { counted: u64, calls: u64 },
    #[error("a hit seems to cost {0:.0} ns")]
    Implausible(f64),
}

impl Probes {
    /// Measures what a hit costs here; what cannot be measured is assumed.
    pub fn calibrate(&mut self) -> HitCost {
        let began = Instant::now();
        let measured = self.measure();
        // Whatever became of it, the child's entries must not stay.
        self.forget_target(TARGET);
        match measured {
            Ok(cost) => {
                tracing::info!(
                    emulated_ns = cost.emulated_ns.round(),
                    single_stepped_ns = cost.single_stepped_ns.round(),
                    took = ?began.elapsed(),
                    "cost of a probe hit measured"
                );
                self.price = cost;
                cost
            }
            Err(error) => {
                let assumed = HitCost::FALLBACK;
                tracing::warn!(%error, ?assumed, "failed to measure the cost of a probe hit");
                assumed
            }
        }
    }

    fn measure(&mut self) -> Result<HitCost, CalibrateError> {
        let sites = [
            site(SiteKind::GoroutineCreated, calls::emulated())?,
            site(SiteKind::GoroutineExited, calls::stepped())?,
        ];
        let mut child = Calls::start()?;
        let (bare_emulated, bare_stepped) = child.rounds()?;
        // The child runs the same file; its own link may be out of reach.
        // Nobody writes to a program that runs, and this one does.
        let set = self.set(TARGET, OWN_FILE.as_ref(), None, &sites.each_ref())?;
        let probed = child.rounds();
        self.reaper.take(set.links);
        let (emulated, stepped) = probed?;

        let tgid = child.child.id();
        let calls = ROUNDS as u64 * u64::from(EMULATED_CALLS + STEPPED_CALLS);
        let counted = self.registration(tgid).map_or(0, |registration| {
            let epoch = registration.epoch;
            self.take(ProcessKey { tgid, epoch }).0.hits()
        });
        if counted < calls {
            return Err(CalibrateError::NotCounted { counted, calls });
        }
        Ok(HitCost {
            emulated_ns: plausible(emulated - bare_emulated)?,
            single_stepped_ns: plausible(stepped - bare_stepped)?,
        })
    }
}

fn plausible(ns: f64) -> Result<f64, CalibrateError> {
    if PLAUSIBLE.contains(&ns) {
        Ok(ns)
    } else {
        Err(CalibrateError::Implausible(ns))
    }
}

/// The child, as its parent talks to it.
struct Calls {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Calls {
    fn start() -> Result<Self, CalibrateError> {
        let mut child = Command::new(OWN_FILE)
            .arg(SUBCOMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Opened to be read: the observer opens no file to write to it.
            .stderr(File::open("/dev/null")?)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Nanoseconds of one call of each function, the medians of some rounds.
    fn rounds(&mut self) -> Result<(f64, f64), CalibrateError> {
        let mut emulated = Vec::with_capacity(ROUNDS);
        let mut stepped = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            emulated.push(self.round("emulated", EMULATED_CALLS)?);
            stepped.push(self.round("stepped", STEPPED_CALLS)?);
        }
        Ok((median(emulated), median(stepped)))
    }

    fn round(&mut self, which: &str, calls: u32) -> Result<f64, CalibrateError> {
        writeln!(self.input, "{which} {calls}")?;
        let line = self.line()?;
        let ns: u64 = line
            .trim()
            .parse()
            .map_err(|_| CalibrateError::Answer(line))?;
        Ok(ns as f64 / f64::from(calls))
    }

    fn line(&mut self) -> io::Result<String> {
        let end = Instant::now() + PATIENCE;
        let mut line = Vec::new();
        let mut bytes = [0; 64];
        while line.last() != Some(&b'\n') {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut fds = [PollFd::from_borrowed_fd(self.output.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            match self.output.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => line.extend_from_slice(&bytes[..read]),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // It ends at the end of its input, and need not be waited for that long.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The child's side: calls what each line asks for, and says how long it took.
pub fn calibrate_child() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in BufReader::new(io::stdin().lock()).lines() {
        let line = line?;
        let asked = line
            .split_once(' ')
            .and_then(|(which, calls)| Some((which, calls.parse::<u32>().ok()?)));
        let (function, calls) = match asked {
            Some(("emulated", calls)) => (calls::emulated(), calls),
            Some(("stepped", calls)) => (calls::stepped(), calls),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let began = Instant::now();
        for _ in 0..calls {
            function();
        }
        writeln!(output, "{}", began.elapsed().as_nanos())?;
        output.flush()?;
    }
    Ok(())
}

/// A function's first instruction as a site of the file this process runs.
fn site(kind: SiteKind, function: extern "C" fn()) -> Result<Site, CalibrateError> {
    let address = function as usize as u64;
    let maps = procfs::process::Process::myself()
        .and_then(|process| process.maps())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let map = maps
        .iter()
        .find(|map| map.inode != 0 && (map.address.0..map.address.1).contains(&address))
        .ok_or(CalibrateError::NoFunction)?;
    Ok(Site {
        kind,
        function: SUBCOMMAND.to_owned(),
        address,
        offset: address - map.address.0 + map.offset,
        instruction: String::new(),
        emulated: kind == SiteKind::GoroutineCreated,
        weight: 1,
        aux: 0,
        text: Text::default(),
    })
}

/// The functions that the child calls. Their first instructions are what the
/// kernel treats differently, so the compiler must not choose them.
#[cfg(target_arch = "x86_64")]
mod calls {
    use std::arch::naked_asm;

    /// Begins with an instruction that the kernel emulates.
    pub(super) fn emulated() -> extern "C" fn() {
        push
    }

    /// Begins with one that it single-steps.
    pub(super) fn stepped() -> extern "C" fn() {
        test
    }

    #[unsafe(naked)]
    extern "C" fn push() {
        naked_asm!("push rbp", "pop rbp", "ret")
    }

    #[unsafe(naked)]
    extern "C" fn test() {
        naked_asm!("test rsp, rsp", "ret")
    }
}

/// The same of arm64. The kernel simulates a branch there (`b`), of all releases alike;
/// a `nop` only since some of them, and no arithmetic.
#[cfg(target_arch = "aarch64")]
mod calls {
    use std::arch::naked_asm;

    pub(super) fn emulated() -> extern "C" fn() {
        branch
    }

    pub(super) fn stepped() -> extern "C" fn() {
        test
    }

    #[unsafe(naked)]
    extern "C" fn branch() {
        naked_asm!("b 2f", "2: ret")
    }

    #[unsafe(naked)]
    extern "C" fn test() {
        naked_asm!("tst x0, x0", "ret")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use observer_ebpf::SiteKind;

    use super::{calls, site};

    /// What the functions are to begin with: `push rbp` or `b`, `test rsp, rsp` or `tst`.
    const FIRST: [&[u8]; 2] = if cfg!(target_arch = "x86_64") {
        [&[0x55], &[0x48, 0x85, 0xe4]]
    } else {
        [&[0x01, 0x00, 0x00, 0x14], &[0x1f, 0x00, 0x00, 0xea]]
    };

    #[test]
    fn the_first_instructions_are_where_the_probes_are_set() {
        let file = fs::read("/proc/self/exe").expect("this program");
        let functions = [
            (SiteKind::GoroutineCreated, calls::emulated()),
            (SiteKind::GoroutineExited, calls::stepped()),
        ];
        for ((kind, function), expected) in functions.into_iter().zip(FIRST) {
            let site = site(kind, function).expect("a function of this program");
            let at = site.offset as usize;
            assert_eq!(file[at..at + expected.len()], *expected, "{kind:?}");
            // They change nothing that a caller could notice.
            function();
        }
    }
}
