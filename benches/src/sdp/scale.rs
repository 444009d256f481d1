//! Whether the cost of a byte depends on how many there are.

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
                text.push_str(&format!("a=mid:{number}\r\n"));
            }
        }
        Kind::Candidates => {
            text.push_str(section);
            for number in 0..count {
                let (port, foundation) = (number % 60_000 + 1024, number % 9 + 1);
                text.push_str(&format!(
                    "a=candidate:{foundation} 1 udp 2122260223 192.0.2.1 {port} typ host\r\n"
                ));
            }
        }
    }
    text
}
