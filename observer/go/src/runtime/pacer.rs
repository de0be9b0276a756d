//! The heap size at which the next collection is due.

use crate::release::{Controller, ReleaseRules};

/// Least distance between the heap that triggered a cycle and its goal.
const RUNWAY: u64 = 64 << 10;
/// Least room left below the memory limit.
const HEADROOM: u64 = 1 << 20;

/// What the pacer knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pacer {
    memory_limit: u64,
    percent_goal: u64,
    sweep_trigger: u64,
    triggered: u64,
    heap_free: u64,
    heap_alloc: u64,
    mapped_ready: u64,
    heap_marked: u64,
    /// Whether the room below the limit grows with it.
    scaled_headroom: bool,
}

/// `gcController.heapGoal()` as the runtime would compute it now, which is
/// `/gc/heap/goal:bytes`. `ReadMemStats` first empties the Ps' caches of stacks
/// and so moves a goal that comes from the memory limit; without a limit its
/// `NextGC` is the same.
pub(super) fn next_gc(layout: &Controller, rules: &ReleaseRules, bytes: &[u8]) -> Option<u64> {
    if let Some(goal) = layout.goal {
        return Some(goal.of(bytes));
    }
    let pacer = Pacer {
        memory_limit: layout.memory_limit?.of(bytes),
        percent_goal: layout.percent_goal?.of(bytes),
        sweep_trigger: layout.sweep_trigger?.of(bytes),
        triggered: layout.triggered?.of(bytes),
        heap_free: layout.heap_free?.of(bytes),
        heap_alloc: layout
            .total_alloc?
            .of(bytes)
            .checked_sub(layout.total_free?.of(bytes))?,
        mapped_ready: layout.mapped_ready?.of(bytes),
        heap_marked: layout.heap_marked.of(bytes),
        scaled_headroom: rules.scaled_headroom,
    };
    pacer.goal()
}

impl Pacer {
    /// `gcControllerState.heapGoalInternal`; `None` where the parts were read
    /// at moments that do not fit together.
    fn goal(&self) -> Option<u64> {
        let limited = self.limit_goal()?;
        if limited < self.percent_goal {
            return Some(limited);
        }
        let mut goal = self.percent_goal.max(self.sweep_trigger);
        if self.triggered != u64::MAX {
            goal = goal.max(self.triggered.saturating_add(RUNWAY));
        }
        Some(goal)
    }

    /// `gcControllerState.memoryLimitHeapGoal`.
    fn limit_goal(&self) -> Option<u64> {
        let other = self
            .mapped_ready
            .checked_sub(self.heap_free)?
            .checked_sub(self.heap_alloc)?;
        let overage = self.mapped_ready.saturating_sub(self.memory_limit);
        let taken = other.saturating_add(overage);
        if taken >= self.memory_limit {
            return Some(self.heap_marked);
        }
        let goal = self.memory_limit - taken;
        let headroom = if self.scaled_headroom {
            (goal / 100 * 3).max(HEADROOM)
        } else {
            HEADROOM
        };
        let goal = if goal < headroom || goal - headroom < headroom {
            headroom
        } else {
            goal - headroom
        };
        Some(goal.max(self.heap_marked))
    }
}

#[cfg(test)]
mod tests {
    use super::Pacer;

    const IDLE: Pacer = Pacer {
        memory_limit: i64::MAX as u64,
        percent_goal: 4 << 20,
        sweep_trigger: 0,
        triggered: u64::MAX,
        heap_free: 1 << 20,
        heap_alloc: 2 << 20,
        mapped_ready: 8 << 20,
        heap_marked: 1 << 20,
        scaled_headroom: true,
    };

    #[test]
    fn without_a_limit_the_percentage_decides() {
        assert_eq!(IDLE.goal(), Some(4 << 20));
        let triggered = Pacer {
            triggered: 4 << 20,
            ..IDLE
        };
        assert_eq!(triggered.goal(), Some((4 << 20) + (64 << 10)));
    }

    #[test]
    fn a_limit_leaves_room_for_everything_else() {
        let off = Pacer {
            memory_limit: 105 << 20,
            percent_goal: u64::MAX,
            ..IDLE
        };
        assert_eq!(off.goal(), Some((100 << 20) - (100 << 20) / 100 * 3));
        let old = Pacer {
            scaled_headroom: false,
            ..off
        };
        assert_eq!(old.goal(), Some(99 << 20));
        let spent = Pacer {
            memory_limit: 4 << 20,
            ..off
        };
        assert_eq!(spent.goal(), Some(1 << 20));
    }

    #[test]
    fn parts_that_do_not_fit_give_nothing() {
        let torn = Pacer {
            mapped_ready: 1 << 20,
            ..IDLE
        };
        assert_eq!(torn.goal(), None);
    }
}
