//! The states of goroutines.

/// The collector is scanning its stack; the state is beside this bit.
const SCAN: u64 = 0x1000;

/// The state's name; `None` for Gs that are no goroutines at the moment.
pub(super) fn state(status: u64) -> Option<&'static str> {
    match status & !SCAN {
        1 => Some("runnable"),
        // Its stack is being copied while it runs.
        2 | 8 => Some("running"),
        3 => Some("syscall"),
        4 => Some("waiting"),
        9 => Some("preempted"),
        10 => Some("leaked"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::state;

    #[test]
    fn the_scan_bit_hides_no_state() {
        assert_eq!(state(0x1004), Some("waiting"));
        assert_eq!(state(6), None);
    }
}
