//! What all subcommands have in common: help, lists, colours, pipes.

mod common;

use std::io::Read;
use std::process::{Command, Stdio};

use common::{printed, refused};
use serde_json::Value;

#[test]
fn without_arguments_there_is_help() {
    let help = printed(&[]);
    for word in ["matrix", "pair", "nat", "Examples:", "Exit status:"] {
        assert!(help.contains(word), "{help}");
    }
    assert!(refused(&["frobnicate"]).contains("frobnicate"));
}

#[test]
fn help_explains_units_and_verdicts() {
    let help = printed(&["matrix", "--help"]);
    for word in [
        "percent",
        "milliseconds",
        "relay-avoidable",
        "oracle-wrong",
        "1..101",
    ] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn the_list_of_nats_has_each_with_its_axes() {
    let list = printed(&["nat", "list"]);
    for word in [
        "full-cone",
        "udp-blocked",
        "mapping",
        "per-flow",
        "30 s / 120 s",
        "blocks UDP",
    ] {
        assert!(list.contains(word), "{list}");
    }
    let json: Value = serde_json::from_str(&printed(&["nat", "list", "--format", "json"])).unwrap();
    let kinds = json.as_array().unwrap();
    assert_eq!(kinds.len(), 10);
    let of = |name: &str| kinds.iter().find(|kind| kind["name"] == name).unwrap();
    assert_eq!(of("open")["layers"].as_array().unwrap().len(), 0);
    assert_eq!(of("double-nat")["layers"].as_array().unwrap().len(), 2);
    assert_eq!(
        of("symmetric")["layers"][0]["mapping"],
        "address-and-port-dependent"
    );
    assert_eq!(of("linux-masquerade")["layers"][0]["timer_new_s"], 30);
    assert_eq!(of("udp-blocked")["layers"][0]["type"], "firewall");
}

#[test]
fn colours_can_be_forced() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floe"));
    command
        .args(["nat", "list"])
        .env_remove("NO_COLOR")
        .env("CLICOLOR_FORCE", "1");
    let output = command.output().unwrap();
    assert!(output.stdout.contains(&b'\x1b'));
}

/// Who reads the first bytes only, such as `head`, makes no panic and no error.
#[test]
fn a_broken_pipe_is_quiet() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(["pair", "symmetric", "symmetric", "--trace", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
