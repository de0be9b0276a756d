//! How much is kept, and how long.

use std::time::Duration;

/// Points of all rows together: 11 MB.
pub(super) const POINTS: usize = 200_000;
/// Points of one row, at least and at most.
pub(super) const POINTS_OF_ROW: (usize, usize) = (60, 300);
/// Stops of the world of all rows together: 3 MB.
pub(super) const STOPS: usize = 100_000;
/// Stops of one row, at least and at most.
pub(super) const STOPS_OF_ROW: (usize, usize) = (32, 256);
/// Points are at least so far apart.
pub(super) const APART: Duration = Duration::from_millis(950);
/// What stands in the table is taken over a window of this length to twice this length.
pub(super) const WINDOW: Duration = Duration::from_secs(30);
