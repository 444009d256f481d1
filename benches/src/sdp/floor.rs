use super::Reader;

/// What a reader cannot leave out: it finds the ends of all lines, and looks at each letter.
pub struct Floor;

impl Reader for Floor {
    const NAME: &'static str = "line scan";
    type Document<'a> = usize;

    fn parse(text: &str) -> usize {
        let lines = text.as_bytes().split(|&byte| byte == b'\n');
        lines.filter(|line| matches!(line, [_, b'=', ..])).count()
    }
}
