//! What the machine can do at most.

use std::sync::LazyLock;

/// How many CPUs it may ever have, those that the observer may not use included.
pub fn cpus() -> u64 {
    static CPUS: LazyLock<u64> =
        LazyLock::new(|| aya::util::nr_cpus().map_or(1, |cpus| u64::from(cpus.get())));
    *CPUS
}
