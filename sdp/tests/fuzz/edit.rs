//! A description and a sequence of edits: the last bytes of the input say which.

use floe_sdp::{AttributeValue, Field, Level, Limits, SessionBuf, Setup};

/// How many bytes of the input are edits, two each.
const SCRIPT: usize = 16;

/// What must hold of a description that is edited.
pub(crate) fn run(text: &[u8]) {
    let lenient = SessionBuf::parse_lenient_with(text, &Limits::DEFAULT);
    for document in [SessionBuf::parse(text), lenient] {
        let Ok(mut document) = document else { continue };
        let script = &text[text.len().saturating_sub(SCRIPT)..];
        for step in script.chunks_exact(2) {
            edit(&mut document, step[0], step[1], text);
        }
    }
}

fn raw_lines(document: &SessionBuf) -> Vec<Vec<u8>> {
    let session = document.session();
    session.lines().map(|line| line.raw().to_vec()).collect()
}

/// One edit: it changes what it says and nothing else, or it fails and changes nothing.
fn edit(document: &mut SessionBuf, verb: u8, at: u8, text: &[u8]) {
    let before = document.clone();
    let lines = raw_lines(&before);
    let sections = before.session().media().len();
    let number = usize::from(at) % (lines.len() + 2);
    let level = match usize::from(at) % (sections + 1) {
        0 => Level::Session,
        index => Level::Media(index - 1),
    };
    let part = &text[..usize::from(at).min(text.len())];
    let field = match at % 5 {
        0 => Field::Generic("x-new", Some(part)),
        1 => Field::Attribute(AttributeValue::Setup(Setup::Active)),
        2 => Field::Attribute(AttributeValue::Mid("7")),
        3 => Field::Generic("x\nm=evil", None),
        _ => Field::Information(part),
    };
    // How many of the old lines stand, unchanged, before and behind what is new.
    let section = usize::from(at) % (sections + 1);
    let new_section = b"m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=x\r\n";
    let result = match verb % 8 {
        0 => document.set_line(number as u32, field).map(|()| 0),
        1 => document.insert_line(number as u32, field).map(|()| 1),
        2 => document.remove_line(number as u32).map(|()| -1),
        3 => document.set_attribute(level, field).map(|()| {
            let grown = raw_lines(document).len() - lines.len();
            isize::try_from(grown).unwrap()
        }),
        4 => document.add_attribute(level, field).map(|()| 1),
        5 => {
            let name = ["x-new", "setup", "candidate", "mid"][usize::from(at) % 4];
            let removed = document.remove_attributes(level, name);
            removed.map(|removed| -isize::try_from(removed).unwrap())
        }
        6 => document.insert_section(section, new_section).map(|()| 3),
        _ => {
            let old = before.session();
            let old = old.media_at(section).map_or(0, |media| media.lines().len());
            let replaced = document.replace_section(section, new_section);
            replaced.map(|()| 3 - isize::try_from(old).unwrap())
        }
    };
    let Ok(grown) = result else {
        assert_eq!(*document, before, "a refused edit changes nothing");
        return;
    };
    let after = raw_lines(document);
    assert_eq!(Some(after.len()), lines.len().checked_add_signed(grown));
    assert_eq!(after.concat(), document.as_bytes());
    // What was not asked to change has not changed; a missing end of the last line may be added.
    let ended = |line: &Vec<u8>| line.trim_ascii_end().to_vec();
    let kept: Vec<_> = lines.iter().map(ended).collect();
    let now: Vec<_> = after.iter().map(ended).collect();
    let head = kept
        .iter()
        .zip(&now)
        .take_while(|(one, other)| one == other)
        .count();
    let rest = kept[head..].iter().rev().zip(now[head..].iter().rev());
    let tail = rest.take_while(|(one, other)| one == other).count();
    let gone = kept.len() - head - tail;
    match verb % 8 {
        1 | 4 | 6 => assert_eq!(gone, 0),
        0 | 2 | 3 => assert!(gone <= 1),
        _ => {}
    }
    // And what is kept is read by anybody as the document reads it.
    let again = if document.session().is_lenient() {
        SessionBuf::parse_lenient_with(document.as_bytes(), &Limits::DEFAULT)
    } else {
        SessionBuf::parse(document.as_bytes())
    };
    assert_eq!(again.as_ref(), Ok(&*document));
}
