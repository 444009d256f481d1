//! The document: the text itself and an index of its lines.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use crate::index::{Index, NONE};
use crate::{Attribute, Connection, Error, Limits, Line, MediaLine, Origin, SessionBuf};

/// A description (RFC 8866): the text and an index of its lines.
///
/// The text is the truth. Nothing is copied, nothing is normalised, and what this crate does not
/// understand stays where it is: [`Session::to_bytes`] gives back the bytes that came in. Order,
/// mandatory lines and the grammar of every line except the values of attributes are checked by
/// [`Session::parse`], in one pass; values of attributes are read when they are asked for
/// ([`Attribute::value`]). [`SessionBuf`] is the same with a text of its own, and can be edited.
///
/// ```
/// use floe_sdp::Session;
///
/// let text = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=x-unknown:kept\r\n\
///              m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n";
/// let session = Session::parse(text)?;
/// assert_eq!(session.origin().unwrap().session_id, "1");
/// let media = session.media().next().unwrap();
/// assert_eq!(media.line().protocol, "UDP/DTLS/SCTP");
/// assert_eq!(session.to_bytes(), text);
/// # Ok::<(), floe_sdp::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Session<'a> {
    text: &'a [u8],
    index: Cow<'a, Index>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("bytes", &self.text.len())
            .field("lines", &self.index.entries.len())
            .field("media", &self.index.sections.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    /// Reads a description within [`Limits::DEFAULT`].
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with(text, &Limits::DEFAULT)
    }

    /// Reads a description within the given limits.
    ///
    /// Time is linear in the text: every byte is split once and read by one grammar.
    pub fn parse_with(text: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let index = Index::read(text, limits, false)?;
        Ok(Self::of(text, Cow::Owned(index)))
    }

    /// Reads what phones, cameras and old stacks really send.
    ///
    /// What strict mode refuses is kept and gives a warning ([`Session::warnings`]) where its meaning
    /// is plain: no end of the last line, CR alone as a line end, empty lines and values, `v=`, `o=`,
    /// `s=`, `t=` or `c=` missing, lines out of order, unknown letters, blanks around a value, and
    /// malformed values of all lines but `v=` and `m=`. A limit that is passed, a NUL, another version
    /// and a malformed `m=` are errors still.
    ///
    /// What strict mode accepts is read the same way, with no warning.
    ///
    /// ```
    /// use floe_sdp::{ErrorKind, Session};
    ///
    /// let text = b"v=0\ns=\no=- 1 1 IN IP4 192.0.2.1\nm=audio 5004 RTP/AVP 0 \na=rtpmap: 0 PCMU/8000";
    /// assert!(Session::parse(text).is_err());
    /// let session = Session::parse_lenient(text)?;
    /// let media = session.media().next().unwrap();
    /// assert_eq!(media.line().formats().count(), 1);
    /// assert!(media.attribute("rtpmap").unwrap().value().is_ok());
    /// assert!(session.warnings().iter().any(|warning| warning.kind == ErrorKind::MissingLine('t')));
    /// assert_eq!(session.to_bytes(), text);
    /// # Ok::<(), floe_sdp::Error>(())
    /// ```
    pub fn parse_lenient(text: &'a [u8]) -> Result<Self, Error> {
        Self::parse_lenient_with(text, &Limits::DEFAULT)
    }

    /// [`Session::parse_lenient`] within the given limits.
    pub fn parse_lenient_with(text: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let index = Index::read(text, limits, true)?;
        Ok(Self::of(text, Cow::Owned(index)))
    }

    pub(crate) fn of(text: &'a [u8], index: Cow<'a, Index>) -> Self {
        Self { text, index }
    }

    /// What lenient reading has forgiven, by position; nothing in strict mode.
    pub fn warnings(&self) -> &[Error] {
        &self.index.warnings
    }

    /// Whether it was read in lenient mode.
    pub fn is_lenient(&self) -> bool {
        self.index.lenient
    }

    /// The text that was read.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// A copy of the text that was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.text.to_vec()
    }

    /// A document with a text of its own, to be kept or edited.
    pub fn to_buf(&self) -> SessionBuf {
        SessionBuf::of(self.text.to_vec(), self.index.clone().into_owned())
    }

    fn range(&self, from: usize, to: usize) -> impl ExactSizeIterator<Item = Line<'a>> + '_ {
        (from..to.max(from)).map(|at| self.index.line(self.text, at))
    }

    /// All lines in order.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + '_ {
        self.range(0, self.index.entries.len())
    }

    /// The lines before the first `m=`.
    pub fn session_lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + '_ {
        self.range(0, self.index.section_start(0))
    }

    /// The line of this number, counted from 0.
    pub(crate) fn line(&self, at: usize) -> Line<'a> {
        self.index.line(self.text, at)
    }

    fn line_at(&self, at: u32) -> Option<Line<'a>> {
        (at != NONE).then(|| self.index.line(self.text, at as usize))
    }

    /// `o=`; `None` only in lenient mode, where it may be missing or malformed.
    pub fn origin(&self) -> Option<Origin<'a>> {
        self.line_at(self.index.origin)?.origin().ok()
    }

    /// `s=`; a single space or `-` if the session has no name, and nothing only in lenient mode.
    pub fn name(&self) -> &'a [u8] {
        self.line_at(self.index.name)
            .map_or(b"".as_slice(), |line| line.value())
    }

    /// `c=` of the session level.
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.line_at(self.index.connection)?.connection(true).ok()
    }

    /// The attributes of the session level, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + '_ {
        self.session_lines().filter_map(|line| line.attribute())
    }

    /// The first attribute of this name at session level; looks at every line of it.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name() == name)
    }

    /// The media sections, in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_, 'a>> + '_ {
        (0..self.index.sections.len()).map(|index| self.section(index))
    }

    /// The media section of this index, counted from 0.
    pub fn media_at(&self, index: usize) -> Option<Media<'_, 'a>> {
        (index < self.index.sections.len()).then(|| self.section(index))
    }

    fn section(&self, index: usize) -> Media<'_, 'a> {
        let first = self.index.section_start(index);
        let line = self.index.line(self.text, first).media_line();
        Media {
            session: self,
            // Nothing is indexed as a section that cannot be read.
            line: line.unwrap_or(MediaLine::new("", 0, "", "")),
            index,
            first,
            end: self.index.section_start(index + 1),
        }
    }
}

/// One media section of a [`Session`].
#[derive(Clone, Copy, Debug)]
pub struct Media<'s, 'a> {
    session: &'s Session<'a>,
    line: MediaLine<'a>,
    index: usize,
    first: usize,
    end: usize,
}

impl<'s, 'a> Media<'s, 'a> {
    /// Place among the `m=` lines, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// `m=`.
    pub fn line(&self) -> MediaLine<'a> {
        self.line
    }

    /// The first `c=` of this section, else that of the session.
    pub fn connection(&self) -> Option<Connection<'a>> {
        let own = self.session.index.sections.get(self.index);
        let own = own.and_then(|section| self.session.line_at(section.connection));
        match own.map(|line| line.connection(false)) {
            Some(Ok(connection)) => Some(connection),
            _ => self.session.connection(),
        }
    }

    /// All lines of the section, `m=` first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + use<'s, 'a> {
        let (session, first) = (self.session, self.first);
        (first..self.end.max(first)).map(move |at| session.index.line(session.text, at))
    }

    /// The attributes of this section, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'s, 'a> {
        self.lines().filter_map(|line| line.attribute())
    }

    /// The first attribute of this name in the section; looks at every line of it.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name() == name)
    }

    /// The attribute of the section, else that of the session, for attributes that are defined at
    /// both levels: direction, `ice-ufrag`, `ice-pwd`, `ice-options`, `fingerprint`, `setup`, ….
    ///
    /// Looks at every line of both levels; a caller who wants many attributes of many sections
    /// reads [`Session::attributes`] once instead.
    pub fn inherited(&self, name: &str) -> Option<Attribute<'a>> {
        self.attribute(name)
            .or_else(|| self.session.attribute(name))
    }
}
