//! The situations in which ICE agents go wrong, by number: each over loss, trickled and not, with
//! either side offering, and many seeds. `docs/requirements` has the rules, the test has the row.

mod common;
mod gathering;
mod generations;
mod harness;
mod limits;
mod lost;
mod nomination;
mod reflexive;
mod relay;
mod restart;
mod roles;
mod trickle;
