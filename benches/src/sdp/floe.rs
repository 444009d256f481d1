use floe_sdp::{Attribute, AttributeValue, Builder, Field, Limits, Session};

use super::Reader;

/// floe.
pub struct Floe;

impl Reader for Floe {
    const NAME: &'static str = "floe";
    type Document<'a> = Session<'a>;

    fn parse(text: &str) -> Session<'_> {
        Session::parse_with(text.as_bytes(), &Limits::NONE).expect("a well-formed description")
    }

    fn typed(session: &Session<'_>) -> Option<usize> {
        let _ = (session.origin(), session.connection());
        let mut known = 0;
        let mut read = |attribute: Attribute<'_>| {
            let value = attribute.value().expect("a well-formed value");
            known += usize::from(std::hint::black_box(value) != AttributeValue::Other);
        };
        session.attributes().for_each(&mut read);
        for media in session.media() {
            let _ = (media.line(), media.connection());
            media.attributes().for_each(&mut read);
        }
        Some(known)
    }

    fn print(session: &Session<'_>) -> Option<Vec<u8>> {
        Some(session.to_bytes())
    }
}

/// The fields of all lines but the first.
pub fn fields<'a>(session: &Session<'a>) -> Vec<Field<'a>> {
    let fields = session.lines().skip(1).map(|line| line.field());
    fields
        .collect::<Result<_, _>>()
        .expect("well-formed values")
}

/// A description built from typed values.
pub fn built(fields: &[Field<'_>], capacity: usize) -> Vec<u8> {
    let mut builder = Builder::with_capacity(capacity);
    for field in fields {
        builder.push(*field).expect("a line that fits");
    }
    builder.finish().expect("a whole description")
}
