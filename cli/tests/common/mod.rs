//! Running the command as a user does.

use std::process::{Command, Output};

/// Runs `floe` with these arguments; not on a terminal, so without colours.
pub(crate) fn floe(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(args)
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("floe starts")
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

/// What it prints if all is well.
#[allow(dead_code)]
pub(crate) fn printed(args: &[&str]) -> String {
    let output = floe(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    stdout(&output).to_owned()
}

/// What it complains about if an argument is wrong.
#[allow(dead_code)]
pub(crate) fn refused(args: &[&str]) -> String {
    let output = floe(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert_eq!(stdout(&output), "");
    stderr(&output).to_owned()
}
