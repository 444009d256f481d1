//! Whether the cost of a byte depends on how many there are.

use std::fmt::Write;

/// A small and a large number of sections, and of candidates in one section.
pub const CASES: [(Kind, usize); 4] = [
    (Kind::Sections, 10),
    (Kind::Sections, 5_000),
    (Kind::Candidates, 10),
    (Kind::Candidates, 20_000),
];

/// What there is much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Media sections.
    Sections,
    /// Candidates of one section.
    Candidates,
}

impl Kind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sections => "sections",
            Self::Candidates => "candidates",
        }
    }
}

/// A description with so many of them.
pub fn description(kind: Kind, count: usize) -> String {
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
                   a=ice-pwd:0123456789012345678901\r\na=rtcp-mux\r\na=sendrecv\r\n";
    match kind {
        Kind::Sections => {
            for number in 0..count {
                text.push_str(section);
                writeln!(text, "a=mid:{number}\r").expect("strings take all");
            }
        }
        Kind::Candidates => {
            text.push_str(section);
            for number in 0..count {
                let (port, foundation) = (number % 60_000 + 1024, number % 9 + 1);
                let address = format_args!("2122260223 192.0.2.1 {port}");
                writeln!(text, "a=candidate:{foundation} 1 udp {address} typ host\r")
                    .expect("strings take all");
            }
        }
    }
    text
}

/// Documents of a megabyte and more that want to be expensive.
pub fn hostile() -> [(&'static str, String); 3] {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n";
    let section = "m=audio 9 RTP/AVP 0\r\n";
    let document = |body: String| format!("{head}{body}");
    [
        (
            "100000-attributes",
            document(format!("{section}{}", "a=sendxxxx\r\n".repeat(100_000))),
        ),
        (
            "1-line",
            document(format!("a=x:{}\r\n", "y ".repeat(500_000))),
        ),
        ("100000-sections", document(section.repeat(100_000))),
    ]
}

/// floe refuses it, within its usual limits.
pub fn refuse(text: &str) -> floe_sdp::Error {
    floe_sdp::Session::parse(text.as_bytes()).expect_err("more than the limits allow")
}
