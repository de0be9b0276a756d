//! What needs no observer: the library on files and on processes, and the files
//! of `deploy`. None of it minds an observer beside it, nor disturbs one.

mod arm64;
mod binary;
mod cli;
mod dashboards;
mod experiments;
mod live;
mod manifests;
mod newer;
mod reader;
mod reader_cases;
mod rules;
