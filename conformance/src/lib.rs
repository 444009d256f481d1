//! Which test, deviation or document stands for which row of the requirement tables.
//!
//! The tables lie in `docs/requirements`, and their README says how they are written and cited. This crate
//! reads them, the citations in the doc comments of all tests of the repository, and the decisions in
//! `docs/requirements/deviations`; it names what contradicts ([`Audit::faults`]) and writes
//! `docs/conformance.md` ([`report`]). `cargo test` runs it over the repository.

mod audit;
mod decision;
mod fault;
mod files;
mod report;
mod row;
mod source;

pub use audit::{Audit, FINISHED};
pub use decision::{Decision, Ruling};
pub use fault::{Fault, FaultKind};
pub use files::{Files, root};
pub use report::{PATH as REPORT, report};
pub use row::{Level, Row, Section, Table};
pub use source::{MOST_ROWS, Test};
