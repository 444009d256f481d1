//! One candidate as text.

use floe_sdp::ice::{Candidate, TrickledCandidate};

use crate::samples;

/// Candidates by a browser, and others.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = samples::candidates();
    for text in [
        "candidate:1 1 TCP 2124414975 192.0.2.7 9 typ host tcptype active",
        "a=candidate:a+/9 1 udp 1 2001:db8::7 65535 typ relay raddr :: rport 0 generation 0 ufrag 4UuL",
        "a=end-of-candidates",
    ] {
        seeds.push(text.into());
    }
    seeds
}

/// What must hold of a text: it is refused where it says, or printed and read again it is the same.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Candidate>() {
        Ok(candidate) => {
            let printed = candidate.to_string();
            assert_eq!(
                printed.parse::<Candidate>().as_ref(),
                Ok(&candidate),
                "{printed}"
            );
            assert_eq!(
                text.parse(),
                Ok(TrickledCandidate::Candidate(candidate.clone()))
            );
            if let Ok(usable) = floe_ice::Candidate::try_from(&candidate) {
                let told = Candidate::from(&usable);
                assert_eq!(
                    (told.address, told.port),
                    (candidate.address, candidate.port)
                );
            }
        }
        Err(error) => assert!(error.offset <= text.len(), "{error}"),
    }
}
