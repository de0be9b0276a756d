//! `observer inspect`: what a file or a process would give, and why not more.
