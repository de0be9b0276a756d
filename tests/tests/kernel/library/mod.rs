//! What needs no observer: the library on files and on processes, and the files
//! of `deploy`. None of it minds an observer beside it, nor disturbs one.

mod binary;
pub(crate) mod builds;
mod cli;
mod dashboards;
mod experiments;
mod live;
mod manifests;
pub(crate) mod newer;
mod reader;
mod reader_cases;
mod rules;
