//! `floe bench connect`: tables that do not depend on threads, floors that nobody undercuts.

mod common;

use common::{printed, refused};
use serde_json::Value;

const SMALL: [&str; 6] = ["bench", "connect", "--draws", "2", "--trickle-orders", "20"];

fn with(more: &[&str]) -> String {
    printed(&[&SMALL, more].concat())
}

#[test]
fn the_tables_do_not_depend_on_the_threads() {
    let one = with(&["--threads", "1"]);
    assert_eq!(one, with(&["--threads", "2"]));
    assert_ne!(one, with(&["--seed", "2"]));
    for word in ["1.5R", "ρ", "strict RFC", "port-port", "20 random orders"] {
        assert!(one.contains(word), "{one}");
    }
}

#[test]
fn every_pair_is_measured_and_none_is_faster_than_its_floor() {
    let json: Value = serde_json::from_str(&with(&["--format", "json"])).unwrap();
    let rows = json["pairs"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 36);
    for cell in rows.iter().flat_map(|row| row["cells"].as_array().unwrap()) {
        let over = cell["worst_over_floor_ms"].as_f64().unwrap();
        assert!(over >= 0.0, "{cell}");
        assert_eq!(cell["runs"], 2);
    }
    assert_eq!(json["policies"]["rows"].as_array().unwrap().len(), 2);
    let figures = json["other"]["figures"].as_array().unwrap();
    assert!(figures.iter().all(|it| it["passed"].is_boolean()));
}

#[test]
fn help_says_what_is_measured_from_when() {
    let help = printed(&["bench", "connect", "--help"]);
    for word in ["Time zero", "gathered", "σ", "--draws", "--trickle-orders"] {
        assert!(help.contains(word), "{help}");
    }
    assert!(refused(&["bench", "connect", "--draws", "0"]).contains("--draws"));
}
