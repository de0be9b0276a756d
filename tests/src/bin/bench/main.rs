//! What observing costs, as tables in Markdown. All figures of a table come
//! from one run, since machines differ more than programs do.

mod goroutines;
mod idle;
mod tracer;

fn main() {
    println!("## A goroutine's price\n");
    println!("{}", goroutines::table());
    println!(
        "## {} idle processes of {} binaries\n",
        idle::PROCESSES,
        idle::BINARIES
    );
    println!("{}", idle::table());
}
