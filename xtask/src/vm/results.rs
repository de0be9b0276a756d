//! What comes over the serial line of results: that the machine is up, the output of a
//! command, and last its exit code. Where the kernel has no other line, what it says may
//! come between.

/// A line that says that the command begins.
pub(crate) const BEGIN: &str = "VM-BEGIN";
/// Before the exit code, on a line of its own.
pub(crate) const END: &str = "VM-END ";

/// One line of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The machine is up: what happens from now on is of the command.
    Begin,
    /// Output of the command.
    Line(String),
    /// The command's exit code: nothing comes after it.
    End(i32),
}

/// Reads a line as it came, with whatever a terminal adds to its end.
pub(crate) fn parse(line: &str) -> Said {
    let line = line.trim_end_matches(['\r', '\n']);
    if line == BEGIN {
        return Said::Begin;
    }
    match line.strip_prefix(END).map(str::parse) {
        Some(Ok(code)) => Said::End(code),
        _ => Said::Line(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, parse};

    #[test]
    fn an_end_has_a_code() {
        assert_eq!(parse("VM-END 101\r\n"), Said::End(101));
        assert_eq!(parse("VM-END 0"), Said::End(0));
    }

    #[test]
    fn a_beginning_stands_alone() {
        assert_eq!(parse("VM-BEGIN\r\n"), Said::Begin);
        assert_eq!(parse("VM-BEGIN 1"), Said::Line("VM-BEGIN 1".into()));
    }

    #[test]
    fn all_else_is_output() {
        for line in ["", "VM-END", "VM-END soon", "echo VM-END 0"] {
            assert_eq!(parse(line), Said::Line(line.into()));
        }
    }
}
