//! The probes a plain tracer sets: the kernel's own uprobe events, on the
//! first instruction of the function.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{self, Command},
};

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _};
use tempfile::TempDir;

/// Probes on goroutine creation and exit, set up and not yet enabled.
pub(crate) struct PlainTracer {
    mount: TempDir,
    /// This process's own: one that was killed leaves its events behind.
    group: String,
    events: Vec<String>,
}

/// The probes while they are enabled.
pub(crate) struct Enabled<'a>(&'a PlainTracer);

impl PlainTracer {
    /// Sets them up for an executable with a symbol table.
    pub(crate) fn new(file: &Path) -> Self {
        let mount = tempfile::tempdir().expect("a directory to mount tracefs on");
        let mut command = Command::new("mount");
        command.args(["-t", "tracefs", "tracefs"]).arg(mount.path());
        assert!(
            command.status().is_ok_and(|s| s.success()),
            "{command:?} failed"
        );
        let mut this = Self {
            mount,
            group: format!("observer_bench_{}", process::id()),
            events: Vec::new(),
        };

        let bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let elf = object::File::parse(&*bytes).expect("an ELF file");
        let exit = ["runtime.gdestroy", "runtime.goexit0"]
            .into_iter()
            .find_map(|name| offset(&elf, name))
            .expect("where goroutines end");
        let create = offset(&elf, "runtime.newproc1").expect("runtime.newproc1");
        for (event, offset) in [("create", create), ("exit", exit)] {
            let event = format!("{event}_{}", process::id());
            let place = format!("{}:{offset:#x}", file.display());
            let definition = format!("p:{}/{event} {place}\n", this.group);
            append(&this.path("uprobe_events"), &definition);
            this.events.push(event);
        }
        this
    }

    /// Enables them until what is returned is dropped.
    pub(crate) fn enable(&self) -> Enabled<'_> {
        self.switch("1");
        Enabled(self)
    }

    fn switch(&self, state: &str) {
        fs::write(self.path(&format!("events/{}/enable", self.group)), state)
            .expect("the probes' switch");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.mount.path().join(name)
    }
}

impl Enabled<'_> {
    /// Hits since the probes were set up.
    pub(crate) fn hits(&self) -> u64 {
        // One line an event: file, name, hits, missed hits.
        let profile = fs::read_to_string(self.0.path("uprobe_profile")).expect("the probes' hits");
        profile
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| {
                words
                    .get(1)
                    .is_some_and(|name| self.0.events.iter().any(|event| event == name))
            })
            .filter_map(|words| words.get(2)?.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Enabled<'_> {
    fn drop(&mut self) {
        self.0.switch("0");
    }
}

impl Drop for PlainTracer {
    fn drop(&mut self) {
        for event in &self.events {
            append(
                &self.path("uprobe_events"),
                &format!("-:{}/{event}\n", self.group),
            );
        }
        // Records of ours would be left in the buffer that all share.
        let _ = fs::write(self.path("trace"), "");
        let unmounted = Command::new("umount").arg(self.mount.path()).status();
        if !unmounted.is_ok_and(|s| s.success()) {
            eprintln!("{} is left mounted", self.mount.path().display());
        }
    }
}

fn append(path: &Path, line: &str) {
    let file = fs::File::options().append(true).open(path);
    file.and_then(|mut f| f.write_all(line.as_bytes()))
        .unwrap_or_else(|e| panic!("{}: {e}: {line}", path.display()));
}

/// Where a function begins in the file.
fn offset(elf: &object::File<'_>, name: &str) -> Option<u64> {
    let address = elf.symbols().find(|s| s.name() == Ok(name))?.address();
    elf.segments().find_map(|segment| {
        let into = address.checked_sub(segment.address())?;
        let (offset, size) = segment.file_range();
        (into < size).then_some(offset + into)
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use observer_tests::{
        paths::{GO, fixture},
        workload::Conversation,
    };

    use super::*;

    #[test]
    fn a_goroutine_costs_a_plain_tracer_two_hits() {
        let path = fixture("spin", GO, "default");
        let mut talk = Conversation::start(Command::new(&path));
        talk.hear();
        let tracer = PlainTracer::new(&path);
        let probes = tracer.enable();
        let round: serde_json::Value = serde_json::from_str(&talk.ask("100")).expect("a round");
        let made = round["goroutines"].as_u64().expect("how many");
        let hits = probes.hits();
        assert!(
            hits >= 2 * made && hits < 2 * made + 20,
            "{hits} hits for {made} goroutines"
        );
        drop(probes);
        talk.ask("100");
        assert_eq!(tracer.enable().hits(), hits, "none while they are off");
    }
}
