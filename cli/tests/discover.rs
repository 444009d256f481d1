//! `floe discover`, as a user runs it.

mod common;

use common::{printed, refused};
use serde_json::Value;

#[test]
fn one_kind_of_nat_is_told_in_the_terms_of_rfc_4787() {
    let text = printed(&["discover", "--nat", "symmetric"]);
    for line in [
        "udp          passes",
        "mapping      address-and-port-dependent",
        "filtering    address-and-port-dependent",
        "hairpinning  unsupported",
        "fragments    arrive",
        "alg          none",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("filtering-address"), "{text}");
    assert!(printed(&["discover", "--nat", "udp-blocked"]).contains("udp          UDP blocked"));
}

#[test]
fn the_procedure_is_told_on_request() {
    let text = printed(&["discover", "--nat", "port-restricted", "--verbose"]);
    let order = [
        "connectivity",
        "filtering-address",
        "filtering-port",
        "mapping-address",
        "hairpin",
        "probe",
    ];
    let places = order.map(|word| {
        text.find(&format!("s  {word}"))
            .unwrap_or_else(|| panic!("{word}: {text}"))
    });
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains("gone after 320 s"), "{text}");
}

#[test]
fn every_kind_of_nat_has_a_row() {
    let table = printed(&["discover", "--all"]);
    let row = |name: &str| {
        let mut rows = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.first() == Some(&name));
        row.unwrap_or_else(|| panic!("{name}: {table}")).join(" ")
    };
    assert!(row("udp-blocked").contains("UDP blocked"));
    assert!(row("full-cone").contains("endpoint-independent endpoint-independent"));
    assert!(row("address-restricted").contains("address-dependent"));
    assert!(row("open").contains("not tested"));
    assert_eq!(table, printed(&["discover", "--all", "--seed", "1"]));
}

#[test]
fn programs_get_json() {
    let json = printed(&[
        "discover",
        "--nat",
        "linux-masquerade,open,udp-blocked",
        "--format",
        "json",
    ]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let of = |at: usize| &json[at];
    assert_eq!(of(0)["nat"], "linux-masquerade");
    assert_eq!(of(0)["mapping"], "endpoint-independent");
    let lifetime = &of(0)["lifetime"];
    assert!(
        lifetime["at_least_s"].as_f64().unwrap() <= 120.0,
        "{lifetime}"
    );
    assert!(
        lifetime["less_than_s"].as_f64().unwrap() > 119.8,
        "{lifetime}"
    );
    assert_eq!(of(1)["translated"], false);
    assert_eq!(of(1)["lifetime"], Value::Null);
    assert_eq!(of(2)["udp"], false);
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let unknown = refused(&["discover", "--nat", "cone"]);
    assert!(
        unknown.contains("cone") && unknown.contains("full-cone"),
        "{unknown}"
    );
    assert!(refused(&["discover"]).contains("--nat"));
    assert!(refused(&["discover", "--all", "--nat", "open"]).contains("--all"));
}
