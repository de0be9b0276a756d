//! Which tests run beside others. The adapter, the observers and the cluster
//! are everybody's: who changes or stops one of them has all to itself.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

/// Of a test that keeps to namespaces of its own.
pub type Beside = RwLockReadGuard<'static, ()>;
/// Of a test that others would not survive.
pub type Alone = RwLockWriteGuard<'static, ()>;

/// Waits until nobody has the cluster alone.
pub fn beside() -> Beside {
    CLUSTER.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until nobody else has it.
pub fn alone() -> Alone {
    CLUSTER.write().unwrap_or_else(PoisonError::into_inner)
}
