//! Set-up, build, run, test and bench of go-observer.
fn main() {}
