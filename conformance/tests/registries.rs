//! The registries in `docs/requirements/stun.md` and those in the code.

use floe_conformance::{Files, root};
use floe_stun::{AttributeType, ErrorCode, Method, StatusCode};

/// The rows of the table with this header, by cells.
fn table(header: &str) -> Vec<Vec<String>> {
    let files = Files::read(&root()).unwrap();
    let text = files.get("docs/requirements/stun.md").unwrap();
    let rows = text.lines().skip_while(|line| *line != header).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<_>> = rows
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_string()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table {header}");
    rows
}

fn number(text: &str) -> u16 {
    let digits = text.strip_prefix("0x").expect("hexadecimal");
    u16::from_str_radix(digits, 16).unwrap()
}

/// Whether the registry keeps the number back, or has it without a use.
fn is_unused(name: &str) -> bool {
    name.starts_with("reserved")
}

#[test]
fn attributes_have_the_numbers_and_names_of_the_registry() {
    let mut named = 0;
    for row in table("| type | attribute | value | RFC |") {
        for kind in row[0].split(", ").map(number).map(AttributeType) {
            // What follows in brackets is a note.
            let name = row[1].split(" (").next().unwrap();
            let expected = (!is_unused(name)).then_some(name);
            assert_eq!(kind.name(), expected, "{:#06x}", kind.0);
            named += usize::from(expected.is_some());
        }
    }
    let all = (0..=u16::MAX).filter(|&kind| AttributeType(kind).name().is_some());
    assert_eq!(all.count(), named, "the code knows no more");
}

/// req: STUN-6.3.1.1-2
#[test]
fn error_codes_have_the_numbers_and_reasons_of_the_registry() {
    let mut known = 0;
    for row in table("| code | reason | defined in |") {
        let code = StatusCode::new(row[0].parse().unwrap()).unwrap();
        let reason = row[1].split(" (").next().unwrap();
        assert_eq!(code.reason(), reason);
        assert_eq!(ErrorCode::of(code).reason, reason);
        known += 1;
    }
    let all = (300..700).filter_map(StatusCode::new);
    assert_eq!(all.filter(|code| !code.reason().is_empty()).count(), known);
}

#[test]
fn methods_have_the_numbers_and_names_of_the_registry() {
    let mut known = 0;
    for row in table("| method | name | classes | RFC |") {
        let method = Method::new(number(&row[0]));
        let expected = (!is_unused(&row[1])).then_some(row[1].as_str());
        assert_eq!(method.name(), expected, "{:#05x}", method.number());
        known += usize::from(expected.is_some());
    }
    let all = (0..=0xFFF).filter(|&method| Method::new(method).name().is_some());
    assert_eq!(all.count(), known);
}
