//! What autoscaling needs of this node: per container the figures as they are
//! now, and what was counted over a window that is as long as it says.
//!
//! [`Recorder`] remembers a few samples of each process, so that a rate is the
//! difference of two exact readings; [`wire`] is the form in which the adapter
//! asks for it.

mod histogram;
mod recorder;
mod sample;
pub mod wire;

#[cfg(test)]
mod tests;

pub(crate) use self::recorder::Recorder;
pub use histogram::Histogram;
