//! One description, read strictly and leniently, and built again from what it says.

use floe_sdp::{
    AttributeValue, Builder, Error, ErrorKind, Field, Limits, Line, Session, SessionBuf,
};

/// What must hold of a description.
pub(crate) fn run(text: &[u8]) {
    let strict = Session::parse(text);
    let lenient = Session::parse_lenient(text);
    match &strict {
        Ok(session) => {
            assert!(session.warnings().is_empty());
            read(text, session);
            same(session, lenient.as_ref().expect("what strict mode accepts"));
            rebuild(session);
        }
        Err(error) => {
            place(text, error);
            first(text, error);
        }
    }
    match &lenient {
        Ok(session) => {
            read(text, session);
            let warnings = session.warnings();
            for warning in warnings {
                place(text, warning);
            }
            assert!(warnings.is_sorted_by_key(|warning| warning.offset));
            assert_eq!(strict.is_err(), !warnings.is_empty());
            // The first error is the first warning, but where the same place is seen otherwise.
            if let (Err(error), Some(first)) = (&strict, warnings.first()) {
                assert!(first.line <= error.line, "{error} after {first}");
            }
        }
        Err(error) => {
            place(text, error);
            assert!(
                strict.is_err(),
                "lenient mode refuses only what strict mode refuses"
            );
        }
    }
    let narrow = Limits {
        max_lines: 20,
        max_attributes: 5,
        max_candidates: 2,
        max_formats: 3,
        ..Limits::DEFAULT
    };
    if let Ok(session) = Session::parse_with(text, &narrow) {
        assert!(session.lines().len() <= 20);
        for media in session.media() {
            assert!(media.attributes().count() <= 5 && media.line().formats().count() <= 3);
        }
    }
}

/// The place is in the text, and all ways to say it agree.
fn place(text: &[u8], error: &Error) {
    assert!(
        error.offset + error.span as usize <= text.len(),
        "{error:?}"
    );
    assert!(error.line >= 1 && error.column >= 1);
    let column = error.column as usize - 1;
    let start = error
        .offset
        .checked_sub(column)
        .expect("the line begins before it");
    let before = &text[..start];
    assert!(
        before.is_empty() || before.ends_with(b"\n") || before.ends_with(b"\r"),
        "{error:?}"
    );
    assert!(error.render(text).to_string().lines().count() >= 3);
}

/// What stands before the line of an error is no error, but for what is missing at its end.
fn first(text: &[u8], error: &Error) {
    let start = error.offset + 1 - error.column as usize;
    match Session::parse(&text[..start]) {
        Ok(_) => {}
        Err(missing) if missing.offset == start => {}
        Err(missing) => assert_eq!(missing.kind, ErrorKind::MissingConnection, "{missing}"),
    }
}

/// Loses nothing, and every value has a meaning or an error.
fn read(text: &[u8], session: &Session<'_>) {
    assert_eq!(session.as_bytes(), text);
    assert_eq!(session.to_bytes(), text);
    let mut end = 0;
    for (at, line) in session.lines().enumerate() {
        assert_eq!(line.number() as usize, at + 1);
        assert_eq!(line.offset(), end, "lines follow each other");
        end += line.raw().len();
        assert!(line.value().is_empty() || !line.raw().is_empty());
        if line.letter() == b'a' {
            attribute(&line);
        } else if !session.is_lenient() {
            line.field().expect("the grammar of every line was checked");
        }
        let _ = format!("{line:?} {:?}", line.field());
    }
    assert_eq!(end, text.len());
    let mut lines = session.session_lines().len();
    for (at, media) in session.media().enumerate() {
        assert_eq!(media.index(), at);
        assert_eq!(media.lines().next().expect("m=").letter(), b'm');
        assert!(session.is_lenient() || media.connection().is_some());
        let _ = (media.line(), media.inherited("ice-ufrag"));
        lines += media.lines().len();
    }
    assert_eq!(lines, session.lines().len(), "every line has a level");
    let kept = session.to_buf();
    assert_eq!(kept.as_bytes(), text);
    assert_eq!(&kept.session(), session);
}

/// A value that is read is written as something that is read as the same.
fn attribute(line: &Line<'_>) {
    let Some(attribute) = line.attribute() else {
        return;
    };
    match attribute.value() {
        Ok(AttributeValue::Other) => {}
        Ok(value) => {
            let mut out = Vec::new();
            value.write(&mut out);
            let text = out.get(attribute.name().len() + 1..);
            assert_eq!(AttributeValue::read(attribute.name(), text), Ok(value));
        }
        Err(error) => assert_eq!(error.line, line.number()),
    }
}

/// Lenient reading sees what strict reading sees.
fn same(strict: &Session<'_>, lenient: &Session<'_>) {
    assert!(lenient.warnings().is_empty());
    let view = |session: &Session<'_>| {
        let line = |line: Line<'_>| {
            let name = line
                .attribute()
                .map(|attribute| attribute.name().to_owned());
            (
                line.number(),
                line.offset(),
                line.letter(),
                line.value().to_vec(),
                name,
            )
        };
        session.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(view(strict), view(lenient));
    assert_eq!(strict.origin(), lenient.origin());
    assert_eq!(strict.name(), lenient.name());
    assert_eq!(strict.connection(), lenient.connection());
    assert_eq!(strict.media().len(), lenient.media().len());
    for (one, other) in strict.media().zip(lenient.media()) {
        assert_eq!(one.line(), other.line());
        assert_eq!(one.connection(), other.connection());
        assert_eq!(one.lines().len(), other.lines().len());
    }
    for (one, other) in strict.lines().zip(lenient.lines()) {
        if let Ok(field) = one.field() {
            assert_eq!(other.field(), Ok(field));
        }
    }
}

/// The fields of a line; of an attribute that is malformed, name and value.
fn field<'a>(line: &Line<'a>) -> Field<'a> {
    line.field().unwrap_or_else(|_| {
        let attribute = line
            .attribute()
            .expect("only values of attributes may be malformed");
        Field::Generic(attribute.name(), attribute.text())
    })
}

/// A description built from the fields of another has the same fields.
fn rebuild(session: &Session<'_>) {
    let fields: Vec<_> = session.lines().map(|line| field(&line)).collect();
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|field| !matches!(field, Field::Key))
        .collect();
    let mut builder = Builder::new();
    for field in &fields[1..] {
        builder.push(*field).expect("what was read can be written");
    }
    let text = builder.finish().expect("nothing is missing");
    let again = SessionBuf::parse(text).expect("what was built can be read");
    let again = again.session();
    assert_eq!(
        again.lines().map(|line| field(&line)).collect::<Vec<_>>(),
        fields
    );
}
