//! The loop that joins the rooms: one observation per process.

mod observation;

pub use observation::{
    Coverage, EventFigures, Figures, Health, LastCycle, Missing, Observation, Snapshot, Stops,
};
