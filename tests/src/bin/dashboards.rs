//! Writes the Grafana boards to the folder that is named.

use std::{env, fs, path::PathBuf};

use observer_node::export::boards::BOARDS;

fn main() {
    let folder = PathBuf::from(env::args_os().nth(1).expect("the folder to write to"));
    for board in &BOARDS {
        let path = folder.join(format!("{}.json", board.uid));
        let text = serde_json::to_string_pretty(&board.json()).expect("a board as JSON");
        fs::write(&path, text + "\n").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        println!("{}", path.display());
    }
}
