//! Each promise of docs/never.md is held by tests that are there.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn each_promise_is_held_by_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/never.md")).unwrap();
    let quoted: BTreeSet<_> = text.split('`').skip(1).step_by(2).collect();
    let named: Vec<_> = quoted
        .iter()
        .filter_map(|quoted| quoted.split_once("::"))
        .collect();
    assert!(named.len() > 30, "{named:?}");
    for (file, name) in named {
        let code = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let begins = [format!("fn {name}("), format!("fn {name}<")];
        assert!(
            begins.iter().any(|begin| code.contains(begin)),
            "{file} has no {name}"
        );
    }
}
