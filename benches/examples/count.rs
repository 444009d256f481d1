//! Runs one operation N times: for instruction counts, and for CPU time.
//!
//! ```text
//! cargo build --release --example count
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/count stun-parse 1000
//! ```
//!
//! Counts repeat exactly. What one operation costs is the difference between two counts, divided by
//! the difference of their Ns: start and preparation drop out.

use std::hint::black_box;
use std::process::ExitCode;

use floe_benches::negotiation::{self, Case};
use floe_benches::sdp::{self, Floe, Reader, scale};
use floe_benches::stun::{self, Codec, ForEach, Operation, Repeat, hostile};
use floe_benches::turn::{self, Guess, HOT, Relay, Server, Strangers, Way};

const OPERATIONS: &str = "cone-without-relay cone symmetric matrix, and those of `count list`";

fn repeat<T>(count: u64, mut operation: impl FnMut(u64) -> T) {
    for number in 0..count {
        black_box(operation(number));
    }
}

/// One operation of one STUN codec.
struct Stun<'a> {
    name: &'a str,
    count: u64,
    done: bool,
}

impl Repeat for Stun<'_> {
    fn repeat<T>(&mut self, mut operation: impl FnMut() -> T) {
        repeat(self.count, |_| operation());
        self.done = true;
    }
}

impl ForEach for Stun<'_> {
    fn codec<C: Codec>(&mut self) {
        for operation in Operation::ALL {
            if name::<C>(operation) == self.name {
                stun::run::<C>(operation, self);
            }
        }
    }
}

fn name<C: Codec>(operation: Operation) -> String {
    format!("stun/{}/{}", operation.name(), C::NAME)
}

/// Prints the name of every operation of every STUN codec, and how often it allocates.
struct List;

struct Allocations(u64);

impl Repeat for Allocations {
    fn repeat<T>(&mut self, mut operation: impl FnMut() -> T) {
        // Not the first time, when tables are made.
        black_box(operation());
        let measured = allocation_counter::measure(|| {
            black_box(operation());
        });
        self.0 = measured.count_total;
    }
}

impl ForEach for List {
    fn codec<C: Codec>(&mut self) {
        for operation in Operation::ALL {
            let mut allocations = Allocations(0);
            if stun::run::<C>(operation, &mut allocations) {
                println!("{}\t{}", name::<C>(operation), allocations.0);
            }
        }
    }
}

/// Packets of [`HOT`] allocations among a hundred, or requests of strangers.
fn relay<S: Server>(operation: &str, repeat: &mut impl Repeat) -> Option<()> {
    let way = match operation {
        "to-peer" => Way::ToPeer,
        "to-client" => Way::ToClient,
        name => {
            let guess = Guess::ALL.into_iter().find(|guess| guess.name() == name)?;
            let mut strangers = Strangers::<S>::new(guess);
            repeat.repeat(|| strangers.knock());
            return Some(());
        }
    };
    let mut relay = Relay::<S>::new(100.max(HOT));
    let mut walk = relay.hot(way);
    repeat.repeat(|| relay.packet(way, &mut walk));
    Some(())
}

/// The operations of [`relay`].
fn relay_operations() -> impl Iterator<Item = &'static str> {
    let guesses = Guess::ALL.into_iter().map(Guess::name);
    ["to-peer", "to-client"].into_iter().chain(guesses)
}

/// Prints the name of every operation of a TURN server, and how often it allocates.
fn list_relay<S: Server>() {
    for operation in relay_operations() {
        let mut allocations = Allocations(0);
        if relay::<S>(operation, &mut allocations).is_some() {
            println!("turn/{operation}/{}\t{}", S::NAME, allocations.0);
        }
    }
}

/// So many times.
struct Times {
    count: u64,
    done: bool,
}

impl Repeat for Times {
    fn repeat<T>(&mut self, mut operation: impl FnMut() -> T) {
        repeat(self.count, |_| operation());
        self.done = true;
    }
}

/// One operation of one reader of SDP.
struct Sdp<'a, R> {
    name: &'a str,
    repeat: R,
}

impl<R: Repeat> Sdp<'_, R> {
    fn all(&mut self) {
        sdp::for_each(self);
        if self.name == "sdp/build/floe" {
            let offer = sdp::large_offer();
            let document = Floe::parse(&offer);
            let fields = sdp::fields(&document);
            self.repeat.repeat(|| sdp::built(&fields, offer.len()));
        }
        for (kind, text) in scale::hostile() {
            if self.name == format!("sdp/{kind}/floe") {
                self.repeat.repeat(|| {
                    black_box(Floe::parse(&text));
                });
            } else if self.name == format!("sdp/{kind}/floe, refused") {
                self.repeat.repeat(|| scale::refuse(&text));
            }
        }
    }
}

impl<T: Repeat> sdp::ForEach for Sdp<'_, T> {
    fn reader<R: Reader>(&mut self) {
        let offer = sdp::large_offer();
        for operation in sdp::Operation::ALL {
            if sdp_name::<R>(operation) == self.name {
                sdp::run::<R>(operation, &offer, &mut self.repeat);
            }
        }
        for (kind, count) in scale::CASES {
            if scale_name::<R>(kind, count) == self.name {
                let text = scale::description(kind, count);
                sdp::run::<R>(sdp::Operation::Parse, &text, &mut self.repeat);
            }
        }
    }
}

fn sdp_name<R: Reader>(operation: sdp::Operation) -> String {
    format!("sdp/{}/{}", operation.name(), R::NAME)
}

fn scale_name<R: Reader>(kind: scale::Kind, count: usize) -> String {
    format!("sdp/{}-{count}/{}", kind.name(), R::NAME)
}

/// The names of all operations of all readers of SDP.
fn sdp_names() -> Vec<String> {
    struct Names(Vec<String>);
    impl sdp::ForEach for Names {
        fn reader<R: Reader>(&mut self) {
            let offer = sdp::large_offer();
            for operation in sdp::Operation::ALL {
                let mut once = Times {
                    count: 1,
                    done: false,
                };
                if sdp::run::<R>(operation, &offer, &mut once) {
                    self.0.push(sdp_name::<R>(operation));
                }
            }
            for (kind, count) in scale::CASES {
                self.0.push(scale_name::<R>(kind, count));
            }
        }
    }
    let mut names = Names(Vec::new());
    sdp::for_each(&mut names);
    names.0.push("sdp/build/floe".into());
    for (kind, _) in scale::hostile() {
        names.0.push(format!("sdp/{kind}/floe"));
        names.0.push(format!("sdp/{kind}/floe, refused"));
    }
    names.0
}

fn run(operation: &str, count: u64) -> Option<()> {
    match operation {
        "matrix" => repeat(count, |number| negotiation::matrix(number + 1)),
        name if name.starts_with("turn/") => {
            let mut parts = name.split('/').skip(1);
            let (operation, server) = (parts.next()?, parts.next()?);
            let times = &mut Times { count, done: false };
            match server {
                turn::Floe::NAME => relay::<turn::Floe>(operation, times)?,
                #[cfg(feature = "peers")]
                turn::TurnServerProto::NAME => relay::<turn::TurnServerProto>(operation, times)?,
                _ => return None,
            }
        }
        name if name.starts_with("stun/") => {
            let mut stun = Stun {
                name,
                count,
                done: false,
            };
            stun::for_each(&mut stun);
            return stun.done.then_some(());
        }
        name if name.starts_with("sdp/") => {
            let mut sdp = Sdp {
                name,
                repeat: Times { count, done: false },
            };
            sdp.all();
            return sdp.repeat.done.then_some(());
        }
        name if name.starts_with("hostile/") => {
            let mut parts = name.split('/').skip(1);
            let (operation, size) = (parts.next()?, parts.next()?.parse().ok()?);
            let bytes = hostile::message(size);
            let message = hostile::parse(&bytes);
            match operation {
                "parse" => repeat(count, |_| hostile::parse(black_box(&bytes))),
                "get" => repeat(count, |_| hostile::get(black_box(&message))),
                "unknown" => repeat(count, |_| hostile::unknown(black_box(&message))),
                _ => return None,
            }
        }
        name => {
            let case = Case::ALL.into_iter().find(|case| case.name() == name)?;
            repeat(count, |number| {
                let mut config = case.config();
                config.seed = number + 1;
                negotiation::run(&config)
            });
        }
    }
    Some(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [list] if list == "list" => {
            stun::for_each(&mut List);
            list_relay::<turn::Floe>();
            #[cfg(feature = "peers")]
            list_relay::<turn::TurnServerProto>();
            for name in sdp_names() {
                let mut sdp = Sdp {
                    name: &name,
                    repeat: Allocations(0),
                };
                sdp.all();
                println!("{name}\t{}", sdp.repeat.0);
            }
            for size in hostile::SIZES {
                println!(
                    "hostile/parse/{size}\t0\nhostile/get/{size}\t0\nhostile/unknown/{size}\t0"
                );
            }
            return ExitCode::SUCCESS;
        }
        [operation, count] => {
            if let Ok(count) = count.parse()
                && run(operation, count).is_some()
            {
                return ExitCode::SUCCESS;
            }
        }
        _ => {}
    }
    eprintln!("usage: count OPERATION N\noperations: {OPERATIONS}");
    ExitCode::FAILURE
}
