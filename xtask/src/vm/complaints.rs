//! What a failed guest's kernel complains of, and what that means for another try.

/// How many more runs are to tell, all of them good, whether it was chance. Once the
/// kernel itself complained none makes that good. One complaint is the emulator's: its
/// threads may run an instruction that the kernel is about to patch on another CPU, and
/// the kernel does not know that breakpoint any more. The observer has code patched too,
/// so that two runs must be clean.
pub(crate) fn runs_more(error: &str) -> u32 {
    match complaints(error).next() {
        None => 1,
        Some(first) if first.contains("Oops: int3") => 2,
        Some(_) => 0,
    }
}

/// The lines in which the kernel complains.
fn complaints(error: &str) -> impl Iterator<Item = &str> {
    // The last of them name the kernel's function, on x86-64 and on arm64.
    const WORDS: [&str; 8] = [
        "BUG:",
        "WARNING:",
        "Oops",
        "Kernel panic",
        "Unable to handle kernel",
        "Internal error:",
        "RIP: 0010:",
        "] pc : ",
    ];
    let complains = |line: &&str| WORDS.iter().any(|word| line.contains(word));
    error.lines().filter(complains)
}

/// What a failure comes to, for those who see the end of a log alone: the kernel's
/// complaints, otherwise how the guest ended and where its driver gave up.
pub(crate) fn in_short(error: &str) -> String {
    let complained: Vec<_> = complaints(error).map(str::trim).take(6).collect();
    if !complained.is_empty() {
        return complained.join("; ");
    }
    let first = error.lines().take(1);
    let gave_up = error
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let lines: Vec<_> = first.chain(gave_up.take(3)).map(str::trim).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{in_short, runs_more};

    #[test]
    fn a_complaint_of_the_kernel_is_told_from_a_figure_that_is_off() {
        assert_eq!(runs_more("BUG: kernel NULL pointer dereference"), 0);
        assert_eq!(runs_more("WARNING: CPU: 1 PID: 7 at mm/x.c:1"), 0);
        assert_eq!(
            runs_more("Oops: int3: 0000 [#1] SMP NOPTI\nKernel panic"),
            2
        );
        let after_another = "BUG: unable to handle page fault\nOops: int3: 0000";
        assert_eq!(runs_more(after_another), 0);
        assert_eq!(
            runs_more("[ 9.1] Unable to handle kernel paging request at virtual address 0"),
            0
        );
        assert_eq!(runs_more("ended with 1, 2 min 03 s\n    3980 of 4000"), 1);
    }

    #[test]
    fn a_failure_is_told_in_short() {
        let of_the_kernel = "the machine went off, 9 s\nconsole:\n[ 1.0] usual\n\
                             [ 9.1] Oops: int3: 0000\n[ 9.2] Kernel panic - not syncing";
        assert_eq!(
            in_short(of_the_kernel),
            "[ 9.1] Oops: int3: 0000; [ 9.2] Kernel panic - not syncing"
        );
        let of_the_driver = "ended with 101, 9 s\n    10 builds exact\n    \
                             thread 'main' panicked at src/ends.rs:9:1:\n    left: 1\n    x\n    y";
        assert_eq!(
            in_short(of_the_driver),
            "ended with 101, 9 s; thread 'main' panicked at src/ends.rs:9:1:; left: 1; x"
        );
    }
}
