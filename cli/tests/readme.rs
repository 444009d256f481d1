//! What the README shows is what the command prints.

use std::process::Command;

/// The matrix in the README is made by `cargo run --release -- matrix`.
#[test]
fn the_matrix_in_the_readme_is_fresh() {
    let output = Command::new(env!("CARGO_BIN_EXE_floe"))
        .arg("matrix")
        .output()
        .expect("the command runs");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(
        include_str!("../../README.md").contains(printed.trim_end()),
        "README.md does not show what `floe matrix` prints:\n{printed}"
    );
}
