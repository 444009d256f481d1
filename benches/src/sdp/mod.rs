//! SDP: one set of operations for floe, for the floor, and (feature `peers`) for the peers, over the same
//! descriptions.

mod floe;
mod floor;
#[cfg(feature = "peers")]
mod peers;
pub mod scale;

pub use floe::{Floe, built, fields};
pub use floor::Floor;

use crate::stun::Repeat;

/// Audio, video and a data channel, with the candidates of two interfaces, as Chromium made it: 6.3 kB.
pub const OFFER: &str = include_str!("../../../sdp/tests/data/audio-video-data-offer.sdp");
/// A data channel alone: 0.7 kB.
pub const DATA_OFFER: &str = include_str!("../../../sdp/tests/data/data-offer.sdp");

/// [`OFFER`] with four times as many candidates, 24, as a machine with many interfaces makes it.
pub fn large_offer() -> String {
    let mut offer = String::new();
    for line in OFFER.split_inclusive('\n') {
        offer.push_str(line);
        if let Some(rest) = line.strip_prefix("a=candidate:") {
            for copy in ["1", "2", "3"] {
                offer.extend(["a=candidate:", copy, rest]);
            }
        }
    }
    offer
}

/// Who reads and writes descriptions.
pub trait Reader {
    /// As it is called in results.
    const NAME: &'static str;
    /// Whether it prints what it does not understand.
    const KEEPS_ALL: bool = true;
    /// A description that has been read.
    type Document<'a>;

    /// Finds lines and sections; what else it does at once, it cannot leave. No limits but those it
    /// cannot do without.
    fn parse(text: &str) -> Self::Document<'_>;

    /// Reads the values of all attributes for which it has a type, and tells how many; `None` if it
    /// has done so before, or has no types.
    fn typed(_document: &Self::Document<'_>) -> Option<usize> {
        None
    }

    /// Prints a description as it was read; `None` if it cannot.
    fn print(_document: &Self::Document<'_>) -> Option<Vec<u8>> {
        None
    }
}

/// What is measured of a [`Reader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Reader::parse`] of [`large_offer`].
    Parse,
    /// The same, and [`Reader::typed`].
    Typed,
    /// [`Reader::print`].
    Print,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Parse, Self::Typed, Self::Print];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Typed => "typed",
            Self::Print => "print",
        }
    }
}

/// Has `operation` of `R` repeated over `text`; `false` if it has none.
pub fn run<R: Reader>(operation: Operation, text: &str, repeat: &mut impl Repeat) -> bool {
    use std::hint::black_box;
    match operation {
        Operation::Parse => repeat.repeat(|| {
            black_box(R::parse(black_box(text)));
        }),
        Operation::Typed => {
            if R::typed(&R::parse(text)).is_none() {
                return false;
            }
            repeat.repeat(|| R::typed(black_box(&R::parse(black_box(text)))));
        }
        Operation::Print => {
            let document = R::parse(text);
            if R::print(&document).is_none() {
                return false;
            }
            repeat.repeat(|| R::print(black_box(&document)));
        }
    }
    true
}

/// Does something with every reader that is measured.
pub trait ForEach {
    /// Does it with `R`.
    fn reader<R: Reader>(&mut self);
}

/// Calls `each` with every reader, the floor first, then floe.
pub fn for_each(each: &mut impl ForEach) {
    each.reader::<Floor>();
    each.reader::<Floe>();
    #[cfg(feature = "peers")]
    {
        each.reader::<peers::SdpTypes>();
        each.reader::<peers::SdpRs>();
        each.reader::<peers::RtcSdp>();
        each.reader::<peers::WebrtcSdp>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct DoesWhatItsNameSays;

    impl ForEach for DoesWhatItsNameSays {
        fn reader<R: Reader>(&mut self) {
            for offer in [OFFER, DATA_OFFER, &large_offer()] {
                let document = R::parse(offer);
                let attributes = offer.lines().filter(|line| line.starts_with("a=")).count();
                if let Some(typed) = R::typed(&document) {
                    assert!(typed <= attributes && typed > attributes / 2, "{}", R::NAME);
                }
                if let Some(printed) = R::print(&document) {
                    let lines = |text: &str| {
                        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                        lines.sort();
                        lines.len()
                    };
                    let printed = String::from_utf8(printed).unwrap();
                    let all = lines(&printed) == lines(offer);
                    assert_eq!(all, R::KEEPS_ALL || offer == DATA_OFFER, "{}", R::NAME);
                }
            }
        }
    }

    #[test]
    fn every_operation_does_what_its_name_says() {
        for_each(&mut DoesWhatItsNameSays);
    }

    #[test]
    fn the_offer_has_24_candidates_and_is_built_as_it_was() {
        let offer = large_offer();
        assert_eq!(offer.matches("a=candidate:").count(), 24);
        let document = Floe::parse(&offer);
        let fields = fields(&document);
        assert_eq!(built(&fields, offer.len()), offer.as_bytes());
    }
}
