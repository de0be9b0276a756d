//! Being asked to end once more, while the end waits for something.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Becomes true when the observer is asked to end once more.
pub(super) fn signals() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let asked = Arc::clone(&asked);
        // SAFETY: the handler does nothing but store a flag.
        let registered = unsafe {
            signal_hook_registry::register(signal, move || asked.store(true, Ordering::Relaxed))
        };
        if let Err(error) = registered {
            tracing::warn!(signal, %error, "failed to install a signal handler; a second signal does not end the observer at once");
        }
    }
    asked
}
