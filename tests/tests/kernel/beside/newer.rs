//! A program of a newer release that does not tell how it is to be read: left
//! out, with the reason.

use std::{fs, path::Path};

use observer_go::binary::{FigureGroup, Inspected, Reason, inspect};
use observer_tests::{
    Observer,
    observer::{ATTACH, run},
    state::Program,
    wait,
};
use serde_json::Value;

use crate::builds::renamed;

#[test]
fn what_is_stripped_is_left_out_and_said_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let observer = Observer::start();
    for variant in ["stripped", "piestripped"] {
        let path = renamed(&directory, variant);
        let output = run([Path::new("inspect"), &path]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("state "));
        let line = line.unwrap_or_else(|| panic!("no state in {text}"));
        assert!(line.contains("no: unknown_layout"), "{line}");

        let file = fs::File::open(&path).expect("the program");
        let Ok(Inspected::Go(binary)) = inspect(&file) else {
            panic!("{} is no Go program", path.display());
        };
        assert!(binary.layout().is_none(), "{:?}", binary.state);
        for figure in FigureGroup::STATE {
            let gap = binary.state.gaps.iter().find(|gap| gap.figure == figure);
            let reason = gap.map(|gap| gap.reason);
            assert_eq!(reason, Some(Reason::UnknownLayout), "{figure:?}");
        }

        let program = Program::start(&path);
        let process = wait::until("the process", ATTACH, || {
            let list: Value = serde_json::from_str(&observer.get("/api/v1/processes")).ok()?;
            let list = list.get("processes").unwrap_or(&list).as_array()?.clone();
            list.into_iter().find(|p| p["pid"] == program.pid)
        });
        assert_eq!(process["coverage"]["state"]["reason"], "unknown_layout");
        assert!(process["figures"]["state"].is_null(), "{process}");
        observer.settle();
        let metrics = observer.get("/metrics");
        let pid = format!("pid=\"{}\"", program.pid);
        let of_it = || metrics.lines().filter(|line| line.contains(&pid));
        let says = |line: &str| {
            line.contains("figure=\"state\"") && line.contains("reason=\"unknown_layout\"")
        };
        assert!(of_it().any(says), "{metrics}");
        let made_up = of_it().find(|line| line.starts_with("go_") && !line.starts_with("go_info"));
        assert_eq!(made_up, None);
    }
}
