//! Citations in Rust sources: as much of the language as it takes to tell a comment from a string and a
//! test from anything else.

use std::ops::Range;

use crate::fault::{Fault, FaultKind};
use crate::row::is_id;

/// As many rows one test may cite.
pub const MOST_ROWS: usize = 6;

/// A test and the rows it cites.
#[derive(Clone, Debug)]
pub struct Test {
    /// Path from the root of the repository.
    pub file: String,
    /// The name of its function.
    pub name: String,
    /// Line of the citation, from 1.
    pub line: usize,
    /// Ids, as cited.
    pub rows: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// `///` and what follows.
    Doc(String),
    /// One line of any other comment.
    Comment(String),
    Word(String),
    /// One character; `"` for a literal.
    Mark(char),
}

#[derive(Debug)]
struct Token {
    line: usize,
    kind: Kind,
}

impl Token {
    fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The tests in a source that cite rows. What looks like a citation and is none is a fault.
pub(crate) fn citations(file: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Test> {
    let tokens = Lexer::of(text).run();
    let generated = generated(&tokens);
    let mut fault = |line, kind| {
        faults.push(Fault {
            file: file.into(),
            line,
            kind,
        });
    };
    let mut tests = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        let block = Block::parse(&tokens, &mut at);
        if at == start {
            at += 1;
            continue;
        }
        for &line in &block.malformed {
            fault(line, FaultKind::MalformedCitation);
        }
        let mut citations = block.citations.iter();
        let Some((line, rows)) = citations.next() else {
            continue;
        };
        for (line, _) in citations {
            fault(*line, FaultKind::MalformedCitation);
        }
        let in_macro = generated.iter().any(|range| range.contains(&start));
        match name(&tokens[at..], block.is_test, in_macro) {
            None => fault(*line, FaultKind::NotOnATest),
            Some(_) if block.is_ignored => fault(*line, FaultKind::IgnoredTest),
            Some(name) => {
                if rows.len() > MOST_ROWS {
                    fault(*line, FaultKind::TooManyRows(rows.len()));
                }
                for (at, row) in rows.iter().enumerate() {
                    if rows[..at].contains(row) {
                        fault(*line, FaultKind::RepeatedRow(row.clone()));
                    }
                }
                tests.push(Test {
                    file: file.into(),
                    name,
                    line: *line,
                    rows: rows.clone(),
                });
            }
        }
    }
    tests
}

/// Comments and attributes up to the item they belong to.
#[derive(Default)]
struct Block {
    citations: Vec<(usize, Vec<String>)>,
    malformed: Vec<usize>,
    is_test: bool,
    is_ignored: bool,
}

impl Block {
    fn parse(tokens: &[Token], at: &mut usize) -> Self {
        let mut block = Self::default();
        while let Some(token) = tokens.get(*at) {
            match &token.kind {
                Kind::Doc(text) if is_attempt(text) => match rows(text) {
                    Some(rows) => block.citations.push((token.line, rows)),
                    None => block.malformed.push(token.line),
                },
                Kind::Comment(text) if is_attempt(text) => block.malformed.push(token.line),
                Kind::Doc(_) | Kind::Comment(_) => {}
                Kind::Mark('#') if tokens.get(*at + 1).is_some_and(|next| next.is('[')) => {
                    let end = closing(tokens, *at + 1);
                    let attribute = &tokens[*at + 2..end];
                    let path = attribute
                        .iter()
                        .take_while(|token| !token.is('(') && !token.is('='));
                    match path.last().and_then(Token::word) {
                        Some("test") => block.is_test = true,
                        Some("ignore") => block.is_ignored = true,
                        _ => {}
                    }
                    *at = end;
                }
                _ => break,
            }
            *at += 1;
        }
        block
    }
}

/// The name of the test that begins here: a function with `#[test]`, or a case of a macro that makes such functions.
fn name(tokens: &[Token], is_test: bool, in_macro: bool) -> Option<String> {
    let after_visibility = match tokens {
        [public, open, ..] if public.word() == Some("pub") && open.is('(') => {
            closing(tokens, 1) + 1
        }
        _ => 0,
    };
    let mut words = tokens
        .iter()
        .skip(after_visibility)
        .skip_while(|token| matches!(token.word(), Some("pub" | "async" | "const" | "unsafe")));
    let mut token = words.next()?;
    if token.word() == Some("fn") && (is_test || in_macro) {
        token = words.next()?;
    } else if !in_macro {
        return None;
    }
    if token.is('$') && is_test {
        return Some(format!("${}", words.next()?.word()?));
    }
    token.word().map(String::from)
}

/// Where macros of this file are called that write `#[test]` and hand doc comments on.
fn generated(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut macros = Vec::new();
    let mut ranges = Vec::new();
    for at in 0..tokens.len() {
        let Some([name, bang, next, ..]) = tokens.get(at..) else {
            break;
        };
        let (Some(name), true) = (name.word(), bang.is('!')) else {
            continue;
        };
        if let ("macro_rules", Some(defined)) = (name, next.word()) {
            let body = &tokens[at..closing(tokens, at + 3)];
            let test = body.windows(4).any(|w| {
                w[0].is('#') && w[1].is('[') && w[2].word() == Some("test") && w[3].is(']')
            });
            let handed_on = body
                .windows(4)
                .any(|w| w[0].is('$') && w[1].is('(') && w[2].is('#') && w[3].is('['));
            if test && handed_on {
                macros.push(defined.to_string());
            }
        } else if macros.iter().any(|defined| defined == name) {
            ranges.push(at + 3..closing(tokens, at + 2));
        }
    }
    ranges
}

/// Where the bracket closes that opens at `open`; the end if it never does.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Whether a comment means to cite.
fn is_attempt(text: &str) -> bool {
    text.trim_start().starts_with("req:")
        || text.split("req:").skip(1).any(|rest| {
            let word = rest.split_whitespace().next().unwrap_or_default();
            is_id(word.trim_end_matches([',', '.', ';']))
        })
}

/// The ids of a citation that is written as it must be.
fn rows(doc: &str) -> Option<Vec<String>> {
    let ids: Vec<_> = doc.strip_prefix(" req: ")?.split(", ").collect();
    ids.iter()
        .all(|id| is_id(id))
        .then(|| ids.into_iter().map(String::from).collect())
}

struct Lexer {
    text: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn of(text: &str) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
            line: 1,
            tokens: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Token> {
        while let Some(next) = self.peek(0) {
            match next {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                '\'' => self.quote(),
                _ if next.is_alphanumeric() || next == '_' => self.word(),
                _ if next.is_whitespace() => self.skip(1),
                _ => {
                    self.push(Kind::Mark(next));
                    self.skip(1);
                }
            }
        }
        self.tokens
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token {
            line: self.line,
            kind,
        });
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    /// The text up to where `end` holds, which is left where it is.
    fn until(&mut self, end: impl Fn(&Self) -> bool) -> String {
        let mut text = String::new();
        while let Some(next) = self.peek(0)
            && !end(self)
        {
            text.push(next);
            self.skip(1);
        }
        text
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let text = self.until(|lexer| lexer.peek(0) == Some('\n'));
        let kind = match text.strip_prefix("///") {
            Some(doc) if !doc.starts_with('/') => Kind::Doc(doc.into()),
            _ => Kind::Comment(text.trim_start_matches(['/', '!']).into()),
        };
        self.tokens.push(Token { line, kind });
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut text = String::new();
        while let Some(next) = self.peek(0) {
            match (next, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                ('\n', _) => self.push(Kind::Comment(std::mem::take(&mut text))),
                ('*', _) => {}
                _ => text.push(next),
            }
            let mark = matches!((next, self.peek(1)), ('/', Some('*')) | ('*', Some('/')));
            self.skip(1 + usize::from(mark));
            if depth == 0 {
                break;
            }
        }
        self.push(Kind::Comment(text));
    }

    fn string(&mut self) {
        self.push(Kind::Mark('"'));
        self.skip(1);
        while let Some(next) = self.peek(0)
            && next != '"'
        {
            self.skip(1 + usize::from(next == '\\'));
        }
        self.skip(1);
    }

    /// A character, or the mark of a lifetime.
    fn quote(&mut self) {
        self.push(Kind::Mark('"'));
        if self.peek(1) == Some('\\') {
            self.skip(3);
            let _ = self.until(|lexer| lexer.peek(0) == Some('\''));
            self.skip(1);
        } else if self.peek(2) == Some('\'') {
            self.skip(3);
        } else {
            self.skip(1);
        }
    }

    fn word(&mut self) {
        let word = self.until(|lexer| {
            lexer
                .peek(0)
                .is_some_and(|next| !next.is_alphanumeric() && next != '_')
        });
        let after = &self.text[self.at..];
        let hashes = after.iter().take_while(|&&next| next == '#').count();
        let raw = matches!(word.as_str(), "r" | "br" | "cr") && self.peek(hashes) == Some('"');
        if !raw {
            self.push(Kind::Word(word));
            return;
        }
        self.push(Kind::Mark('"'));
        self.skip(hashes + 1);
        let _ = self.until(|lexer| {
            lexer.peek(0) == Some('"') && (1..=hashes).all(|ahead| lexer.peek(ahead) == Some('#'))
        });
        self.skip(hashes + 1);
    }
}
