//! Lines of the log as they are written.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{Plain, escape::PlainFields, lines::Lines};

/// Remembers what is written.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Memory {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged while `work` runs.
fn logged(ansi: bool, work: impl FnOnce()) -> String {
    let memory = Memory::default();
    let log = tracing_subscriber::fmt()
        .with_writer(memory.clone())
        .with_ansi(ansi)
        .fmt_fields(PlainFields)
        .finish();
    tracing::subscriber::with_default(log, work);
    memory.text()
}

/// Ends of lines, what terminals obey, and what turns text around.
const NAMES: [&str; 8] = [
    "a\n2026-01-01T00:00:00Z ERROR observer: forged",
    "a\rforged",
    "a\u{1b}[2K\u{1b}[1Gforged",
    "a\u{9b}31mforged",
    "a\u{7}\u{8}\u{c}\u{7f}\0",
    "a\u{85}forged",
    "a\u{2028}forged\u{2029}",
    "a\u{202e}degrof\u{2066}",
];

#[test]
fn no_name_forges_a_line() {
    for name in NAMES {
        let error = io::Error::other(name);
        let text = logged(false, || {
            tracing::info!(file = %name, quoted = name, debugged = ?name, "of {name}");
            tracing::info!(error = &error as &dyn std::error::Error, "failed");
            let span = tracing::info_span!("inspecting", file = %name);
            span.in_scope(|| tracing::info!(name, "within"));
        });
        assert_eq!(text.lines().count(), 3, "{name:?}: {text:?}");
        assert!(text.ends_with('\n'));
        let obeyed =
            |c: char| c != '\n' && !matches!(c, '"' | '\'' | '\\') && c.escape_debug().len() > 1;
        assert!(!text.contains(obeyed), "{name:?}: {text:?}");
        assert!(!Plain(name).to_string().contains(|c| c == '\n' || obeyed(c)));
    }
}

#[test]
fn what_is_harmless_stays_as_it_is() {
    let text = logged(false, || {
        tracing::info!(path = %r#"C:\a "b" 'c' Zürich 日本語"#, "it's \"so\"");
    });
    assert!(
        text.ends_with("it's \"so\" path=C:\\a \"b\" 'c' Zürich 日本語\n"),
        "{text}"
    );
    // The log's own colours are no stranger's.
    let text = logged(true, || tracing::info!(path = %"\u{1b}[31m", "coloured"));
    assert!(text.contains("\u{1b}[32m INFO"), "{text:?}");
    assert!(text.contains(r"path=\u{1b}[31m"), "{text:?}");
}

#[test]
fn lines_are_written_in_order_and_whole() {
    let memory = Memory::default();
    let lines = Lines::start(memory.clone()).unwrap();
    let mut expected = String::new();
    for number in 0..100 {
        let line = format!("{number}\n");
        expected.push_str(&line);
        lines.put(line.into_bytes());
    }
    lines.flush();
    assert_eq!(memory.text(), expected);
    assert_eq!(lines.lost(), 0);
}

/// Cannot be written to.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_counted() {
    let lines = Lines::start(Full).unwrap();
    for _ in 0..10 {
        lines.put(b"line\n".to_vec());
    }
    lines.flush();
    assert_eq!(lines.lost(), 10);
}

/// Takes nothing until it is let.
struct Stuck(mpsc::Receiver<()>, Memory);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the sender is gone it goes on.
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nobody_waits_for_who_does_not_read() {
    let (go_on, stuck) = mpsc::channel();
    let memory = Memory::default();
    let lines = Lines::start(Stuck(stuck, memory.clone())).unwrap();
    for _ in 0..3000 {
        lines.put(b"line\n".to_vec());
    }
    lines.flush();
    let lost = lines.lost();
    assert!((1900..3000).contains(&lost), "{lost}");
    drop(go_on);
    lines.flush();
    lines.put(b"last\n".to_vec());
    lines.flush();
    let text = memory.text();
    assert!(text.ends_with("last\n"), "{text}");
    assert!(text.contains(&format!(
        "observer: {lost} lines of the log were left out here\n"
    )));
    assert_eq!(
        text.lines().filter(|line| *line == "line").count() as u64 + lost,
        3000
    );
}
