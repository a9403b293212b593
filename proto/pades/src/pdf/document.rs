//! Files and their revisions (ISO 32000-2 section 7.5).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::ops::Range;
use std::rc::Rc;

use super::object::{Dictionary, Indirect, Object, ObjectId};
use super::parse::{Parser, is_space};
use super::{
    MAX_DECOMPRESSED, MAX_DEPTH, MAX_LENGTH, MAX_OBJECT_NUMBER, MAX_READ, MAX_REVISIONS, PdfError,
    Result, malformed,
};

/// Where a cross-reference section says an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nowhere: it was deleted, or never used.
    Free,
    /// In the file itself.
    At {
        /// Bytes from the start of the file.
        offset: usize,
        /// Its generation.
        generation: u16,
    },
    /// In an object stream.
    InStream {
        /// Number of the object stream.
        stream: u32,
        /// Its place among the objects there.
        index: usize,
    },
}

/// What was written at one time: the first version of the document, or an incremental update of it.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The objects that it defines or deletes.
    pub entries: BTreeMap<u32, Entry>,
    /// Its trailer, or the dictionary of its cross-reference stream.
    pub trailer: Dictionary,
    /// Where its cross-reference section stands, in bytes from the start of the file.
    pub section: Range<usize>,
    /// Behind `%%EOF`; a line end that follows belongs to no one.
    pub end: usize,
    /// Whether the cross-references are a stream, so that an update of it has to have one, too.
    pub is_stream: bool,
    /// Whether it has a second cross-reference section that old readers do not see.
    pub is_hybrid: bool,
}

struct ObjectStream {
    numbers: Vec<(u32, usize)>,
    data: Vec<u8>,
}

/// A PDF file, its cross-references read. Objects are read when they are asked for.
pub struct Document<'a> {
    bytes: &'a [u8],
    /// The oldest first; at least one.
    revisions: Vec<Revision>,
    decompressed: Cell<usize>,
    read: Cell<usize>,
    streams: RefCell<HashMap<usize, Rc<ObjectStream>>>,
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Document({} bytes, {} revisions)",
            self.bytes.len(),
            self.revisions.len()
        )
    }
}

const EOF: &[u8] = b"%%EOF";

/// The file ends with `startxref`, a number and `%%EOF`; gives where that begins.
fn find_tail(bytes: &[u8]) -> Result<usize> {
    let end = bytes.len()
        - bytes
            .iter()
            .rev()
            .take_while(|byte| is_space(**byte))
            .count();
    let what = "the file does not end with startxref and %%EOF";
    if !bytes[..end].ends_with(EOF) {
        return malformed(what, end);
    }
    let word = b"startxref";
    let from = end.saturating_sub(64);
    match bytes[from..end]
        .windows(word.len())
        .rposition(|w| w == word)
    {
        Some(at) => Ok(from + at),
        None => malformed(what, end),
    }
}

/// `startxref`, a number, `%%EOF`; gives the number and where it ends.
fn tail(parser: &mut Parser<'_>, bytes: &[u8]) -> Result<(usize, usize)> {
    parser.skip_space();
    parser.word(b"startxref", "startxref is missing")?;
    parser.skip_space();
    let offset = parser.unsigned("startxref has no number")?;
    parser.skip_space();
    if !bytes[parser.at..].starts_with(EOF) {
        return parser.fail("%%EOF is missing");
    }
    parser.at += EOF.len();
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    Ok((offset, parser.at))
}

struct Section {
    entries: BTreeMap<u32, Entry>,
    trailer: Dictionary,
    range: Range<usize>,
    /// What `startxref` says behind it, and the end of `%%EOF`. Only the first section of a linearised file may have none.
    tail: Option<(usize, usize)>,
    is_stream: bool,
    is_hybrid: bool,
}

impl<'a> Document<'a> {
    /// Reads the cross-references of a file.
    ///
    /// # Errors
    /// See [`PdfError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > MAX_LENGTH {
            return Err(PdfError::TooLarge("bytes of the file"));
        }
        if !bytes.starts_with(b"%PDF-1.") && !bytes.starts_with(b"%PDF-2.") {
            return malformed("the file does not begin with %PDF-1 or %PDF-2", 0);
        }
        let mut document = Document {
            bytes,
            revisions: Vec::new(),
            decompressed: Cell::new(0),
            read: Cell::new(0),
            streams: RefCell::new(HashMap::new()),
        };
        let mut at = find_tail(bytes)?;
        let (newest, _) = tail(&mut Parser::in_file(bytes, at), bytes)?;
        let mut sections: Vec<Section> = Vec::new();
        let mut next = Some(newest);
        while let Some(offset) = next {
            if sections.len() >= MAX_REVISIONS {
                return Err(PdfError::TooLarge("revisions"));
            }
            if sections.iter().any(|section| section.range.start == offset) {
                return malformed("the cross-reference sections go in circles", offset);
            }
            at = offset;
            let section = document.section(offset)?;
            if section.trailer.get("Encrypt").is_some() {
                return Err(PdfError::Encrypted);
            }
            next = match section.trailer.get("Prev") {
                None => None,
                Some(previous) => match previous.as_size() {
                    Some(previous) => Some(previous),
                    None => return malformed("Prev is not a place in the file", offset),
                },
            };
            sections.push(section);
        }
        document.revisions = revisions(sections)?;
        let Some(last) = document.revisions.last() else {
            return malformed("there are no cross-references", at);
        };
        if bytes[last.end..].iter().any(|byte| !is_space(*byte)) {
            return malformed("there is data behind the last %%EOF", last.end);
        }
        Ok(document)
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The revisions, the oldest first; at least one.
    pub fn revisions(&self) -> &[Revision] {
        &self.revisions
    }

    /// The document as it is after the newest revision.
    pub fn newest(&self) -> View<'_, 'a> {
        self.at(self.revisions.len() - 1)
    }

    /// The document as it was after the revision with this index.
    pub fn at(&self, revision: usize) -> View<'_, 'a> {
        View {
            document: self,
            revision: revision.min(self.revisions.len() - 1),
        }
    }

    /// Counts bytes that were read, and a little for each look-up in all revisions.
    fn spend(&self, bytes: usize) -> Result<()> {
        let read = self.read.get() + bytes + 16 * (4 + self.revisions.len());
        self.read.set(read);
        if read > MAX_READ {
            return Err(PdfError::TooLarge("work to read it"));
        }
        Ok(())
    }

    fn section(&self, offset: usize) -> Result<Section> {
        if offset >= self.bytes.len() {
            return malformed("a cross-reference section is beyond the end", offset);
        }
        let mut parser = Parser::in_file(self.bytes, offset);
        let (mut entries, trailer, is_stream) = if parser.is_word(b"xref") {
            parser.at += 4;
            let entries = table(&mut parser)?;
            parser.skip();
            match parser.object()? {
                Object::Dictionary(trailer) => (entries, trailer, false),
                _ => return parser.fail("the trailer is not a dictionary"),
            }
        } else {
            let (entries, trailer) = self.stream_section(&mut parser)?;
            (entries, trailer, true)
        };
        let mut is_hybrid = false;
        if let Some(hidden) = trailer.get("XRefStm").filter(|_| !is_stream) {
            let Some(offset) = hidden.as_size().filter(|at| *at < self.bytes.len()) else {
                return malformed("XRefStm is not a place in the file", offset);
            };
            let mut hidden = Parser::in_file(self.bytes, offset);
            let (more, _) = self.stream_section(&mut hidden)?;
            for (number, entry) in more {
                let known = entries.entry(number).or_insert(Entry::Free);
                if *known == Entry::Free {
                    *known = entry;
                }
            }
            is_hybrid = true;
        }
        let end_of_section = parser.at;
        Ok(Section {
            entries,
            trailer,
            range: offset..end_of_section,
            tail: tail(&mut parser, self.bytes).ok(),
            is_stream,
            is_hybrid,
        })
    }

    /// A cross-reference stream (section 7.5.8); leaves the parser behind `endobj`.
    fn stream_section(
        &self,
        parser: &mut Parser<'_>,
    ) -> Result<(BTreeMap<u32, Entry>, Dictionary)> {
        let at = parser.at;
        let wrong = |what| malformed(what, at);
        parser.object_header()?;
        let Indirect::Stream(dictionary, data) = self.indirect(parser, None)? else {
            return wrong("there is no cross-reference section here");
        };
        if !dictionary
            .get("Type")
            .is_some_and(|kind| kind.is_name("XRef"))
        {
            return wrong("there is no cross-reference section here");
        }
        let data = self.decode(&dictionary, data)?;
        let widths: Vec<usize> = dictionary
            .get("W")
            .and_then(Object::as_array)
            .unwrap_or_default()
            .iter()
            .filter_map(Object::as_size)
            .filter(|width| *width <= 8)
            .collect();
        let &[w0, w1, w2] = widths.as_slice() else {
            return wrong("a cross-reference stream has wrong widths");
        };
        let size = dictionary.get("Size").and_then(Object::as_size);
        let index = match (dictionary.get("Index"), size) {
            (Some(index), _) => index
                .as_array()
                .unwrap_or_default()
                .iter()
                .map(Object::as_size)
                .collect::<Option<Vec<usize>>>(),
            (None, Some(size)) => Some(vec![0, size]),
            (None, None) => None,
        };
        let Some(index) = index.filter(|index| index.len() % 2 == 0) else {
            return wrong("a cross-reference stream has a wrong index");
        };
        let width = w0 + w1 + w2;
        if width == 0 {
            return wrong("a cross-reference stream has wrong widths");
        }
        let mut rows = data.chunks_exact(width);
        let field = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let mut entries = BTreeMap::new();
        for run in index.chunks_exact(2) {
            for step in 0..run[1] {
                let Some(row) = rows.next() else {
                    return wrong("a cross-reference stream is too short");
                };
                let number = run[0]
                    .checked_add(step)
                    .and_then(|number| u32::try_from(number).ok())
                    .filter(|number| *number <= MAX_OBJECT_NUMBER);
                let Some(number) = number else {
                    return wrong("an object number is out of range");
                };
                let kind = if w0 == 0 { 1 } else { field(&row[..w0]) };
                let second = field(&row[w0..w0 + w1]);
                let third = field(&row[w0 + w1..]);
                let entry = match kind {
                    0 => Entry::Free,
                    1 => Entry::At {
                        offset: usize::try_from(second).unwrap_or(usize::MAX),
                        generation: u16::try_from(third).unwrap_or(u16::MAX),
                    },
                    2 => Entry::InStream {
                        stream: u32::try_from(second).unwrap_or(u32::MAX),
                        index: usize::try_from(third).unwrap_or(usize::MAX),
                    },
                    _ => return wrong("a cross-reference stream has an unknown kind of entry"),
                };
                if entries.insert(number, entry).is_some() {
                    return wrong("an object is listed twice in a cross-reference section");
                }
            }
        }
        Ok((entries, dictionary))
    }

    /// What follows `12 0 obj`, up to behind `endobj`. The length of a stream may be an object of its own, which is
    /// looked up in `view`.
    pub(crate) fn indirect(
        &self,
        parser: &mut Parser<'_>,
        view: Option<&View<'_, 'a>>,
    ) -> Result<Indirect> {
        let begin = parser.at;
        let object = parser.object()?;
        self.spend(parser.at - begin)?;
        parser.skip();
        let read = match object {
            Object::Dictionary(dictionary) if parser.is_word(b"stream") => {
                parser.at += 6;
                if parser.peek() == Some(b'\r') {
                    parser.at += 1;
                }
                if parser.peek() != Some(b'\n') {
                    return parser.fail("stream is not followed by a line end");
                }
                parser.at += 1;
                let length = match (dictionary.get("Length"), view) {
                    (Some(Object::Reference(id)), Some(view)) => match view.length(*id)? {
                        Some(length) => Some(length),
                        None => return parser.fail("a stream has no length"),
                    },
                    (Some(length), _) => length.as_size(),
                    (None, _) => None,
                };
                let start = parser.at;
                let end = length.and_then(|length| start.checked_add(length));
                let Some(end) = end.filter(|end| *end <= self.bytes.len()) else {
                    return parser.fail("a stream has no length, or is longer than the file");
                };
                parser.at = end;
                parser.skip_space();
                parser.word(b"endstream", "a stream does not end where its length says")?;
                parser.skip();
                Indirect::Stream(dictionary, start..end)
            }
            object => Indirect::Direct(object),
        };
        parser.word(b"endobj", "an indirect object does not end with endobj")?;
        Ok(read)
    }

    /// The data of a stream, decompressed. Only FlateDecode is read; nothing here needs another filter.
    pub(crate) fn decode(&self, dictionary: &Dictionary, data: Range<usize>) -> Result<Vec<u8>> {
        let at = data.start;
        let one = |key: &str| match dictionary.get(key) {
            Some(Object::Array(elements)) if elements.len() == 1 => elements.first(),
            Some(Object::Array(elements)) if elements.is_empty() => None,
            other => other,
        };
        let raw = &self.bytes[data];
        match one("Filter") {
            None | Some(Object::Null) => Ok(raw.to_vec()),
            Some(filter) if filter.is_name("FlateDecode") => {
                let left = MAX_DECOMPRESSED.saturating_sub(self.decompressed.get());
                let mut decoded = Vec::new();
                let limit = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
                if flate2::read::ZlibDecoder::new(raw)
                    .take(limit)
                    .read_to_end(&mut decoded)
                    .is_err()
                {
                    return malformed("a compressed stream is damaged", at);
                }
                if decoded.len() > left {
                    return Err(PdfError::TooLarge("decompressed data"));
                }
                self.decompressed
                    .set(self.decompressed.get() + decoded.len());
                match one("DecodeParms").and_then(Object::as_dictionary) {
                    Some(parameters) => unpredict(decoded, parameters, at),
                    None => Ok(decoded),
                }
            }
            Some(_) => Err(PdfError::Unsupported(
                "a filter of a cross-reference or object stream",
            )),
        }
    }

    fn object_stream(&self, number: u32, view: &View<'_, 'a>) -> Result<Rc<ObjectStream>> {
        let Some(Entry::At { offset, .. }) = view.entry(number) else {
            return malformed("an object stream is not in the file", 0);
        };
        if let Some(known) = self.streams.borrow().get(&offset) {
            return Ok(Rc::clone(known));
        }
        let Some(Indirect::Stream(dictionary, data)) = view.load(number)? else {
            return malformed("an object stream is not a stream", offset);
        };
        let size = |key| dictionary.get(key).and_then(Object::as_size);
        let (Some(count), Some(first), true) = (
            size("N"),
            size("First"),
            dictionary
                .get("Type")
                .is_some_and(|kind| kind.is_name("ObjStm")),
        ) else {
            return malformed("an object stream is wrong", offset);
        };
        let data = self.decode(&dictionary, data)?;
        if first > data.len() || count > first {
            return malformed("an object stream is wrong", offset);
        }
        let mut header = Parser::in_stream(&data[..first], 0);
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            header.skip_space();
            let number = header.unsigned("an object stream has a wrong header")?;
            header.skip_space();
            let place = header.unsigned("an object stream has a wrong header")?;
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let (Ok(number), Some(place)) = (u32::try_from(number), first.checked_add(place))
            else {
                return malformed("an object stream has a wrong header", offset);
            };
            numbers.push((number, place));
        }
        let read = Rc::new(ObjectStream { numbers, data });
        self.streams.borrow_mut().insert(offset, Rc::clone(&read));
        Ok(read)
    }
}

/// The entries of a cross-reference table (section 7.5.4); leaves the parser behind `trailer`.
fn table(parser: &mut Parser<'_>) -> Result<BTreeMap<u32, Entry>> {
    let mut entries = BTreeMap::new();
    loop {
        parser.skip();
        if parser.is_word(b"trailer") {
            parser.at += 7;
            return Ok(entries);
        }
        let what = "a cross-reference table is wrong";
        let first = parser.unsigned(what)?;
        parser.skip_space();
        let count = parser.unsigned(what)?;
        for step in 0..count {
            parser.skip_space();
            let offset = parser.unsigned(what)?;
            parser.skip_space();
            let generation = parser.unsigned(what)?;
            parser.skip_space();
            let number = u32::try_from(first + step)
                .ok()
                .filter(|number| *number <= MAX_OBJECT_NUMBER);
            let Some(number) = number else {
                return parser.fail("an object number is out of range");
            };
            let entry = if parser.is_word(b"n") {
                Entry::At {
                    offset: usize::try_from(offset).unwrap_or(usize::MAX),
                    generation: u16::try_from(generation).unwrap_or(u16::MAX),
                }
            } else if parser.is_word(b"f") {
                Entry::Free
            } else {
                return parser.fail(what);
            };
            parser.at += 1;
            if entries.insert(number, entry).is_some() {
                return parser.fail("an object is listed twice in a cross-reference section");
            }
        }
    }
}

/// Undoes the PNG predictors (section 7.4.4.4).
fn unpredict(data: Vec<u8>, parameters: &Dictionary, at: usize) -> Result<Vec<u8>> {
    let number = |key, default: usize| match parameters.get(key) {
        Some(value) => value.as_size(),
        None => Some(default),
    };
    match number("Predictor", 1) {
        Some(1) => return Ok(data),
        Some(10..=15) => {}
        _ => return Err(PdfError::Unsupported("a predictor")),
    }
    let (Some(columns @ 1..=65_536), Some(1), Some(8)) = (
        number("Columns", 1),
        number("Colors", 1),
        number("BitsPerComponent", 8),
    ) else {
        return Err(PdfError::Unsupported("a predictor"));
    };
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    let mut above = vec![0u8; columns];
    for row in data.chunks(columns + 1) {
        let (kind, row) = (row[0], &row[1..]);
        if row.len() != columns {
            return malformed("a compressed stream ends within a row", at);
        }
        let mut current = vec![0u8; columns];
        for column in 0..columns {
            let left = if column == 0 { 0 } else { current[column - 1] };
            let corner = if column == 0 { 0 } else { above[column - 1] };
            let up = above[column];
            let guess = match kind {
                0 => 0,
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => return malformed("a compressed stream has an unknown predictor", at),
            };
            current[column] = row[column].wrapping_add(guess);
        }
        out.extend_from_slice(&current);
        above = current;
    }
    Ok(out)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |value: u8| (estimate - i16::from(value)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

/// Orders sections, newest first as the chain gives them, into revisions. A linearised file has its first version's
/// cross-references in two sections, of which the one that is read first stands first (annex F).
fn revisions(mut sections: Vec<Section>) -> Result<Vec<Revision>> {
    let count = sections.len();
    let mut linearised = None;
    if count >= 2 && sections[count - 2].range.start < sections[count - 1].range.start {
        linearised = sections.pop();
    }
    let mut revisions: Vec<Revision> = Vec::with_capacity(sections.len());
    for section in sections.into_iter().rev() {
        let start = section.range.start;
        let main = linearised.take();
        let tail = main.as_ref().map_or(section.tail, |main| main.tail);
        let Some((startxref, end)) = tail else {
            return malformed("startxref and %%EOF are missing", section.range.end);
        };
        if startxref != start {
            return malformed("startxref is not the place of its section", start);
        }
        let mut revision = Revision {
            entries: section.entries,
            trailer: section.trailer,
            section: section.range,
            end,
            is_stream: section.is_stream,
            is_hybrid: section.is_hybrid,
        };
        if let Some(main) = main {
            for (number, entry) in main.entries {
                revision.entries.entry(number).or_insert(entry);
            }
            revision.is_hybrid |= main.is_hybrid;
        }
        if revisions.last().is_some_and(|older| older.end > start) {
            return malformed("the revisions are not in the order of the file", start);
        }
        revisions.push(revision);
    }
    Ok(revisions)
}

/// A document as it was after one of its revisions.
#[derive(Debug, Clone, Copy)]
pub struct View<'d, 'a> {
    document: &'d Document<'a>,
    revision: usize,
}

impl<'d, 'a> View<'d, 'a> {
    /// The document.
    pub fn document(&self) -> &'d Document<'a> {
        self.document
    }

    /// The trailer of the revision.
    pub fn trailer(&self) -> &'d Dictionary {
        &self.document.revisions[self.revision].trailer
    }

    /// Where an object is; `None` or [`Entry::Free`] if it is not there.
    pub fn entry(&self, number: u32) -> Option<Entry> {
        self.document.revisions[..=self.revision]
            .iter()
            .rev()
            .find_map(|revision| revision.entries.get(&number).copied())
    }

    /// The numbers of all objects that are there.
    pub fn numbers(&self) -> Vec<u32> {
        let mut live = BTreeMap::new();
        for revision in &self.document.revisions[..=self.revision] {
            for (number, entry) in &revision.entries {
                live.insert(*number, *entry != Entry::Free);
            }
        }
        live.into_iter()
            .filter_map(|(number, is_there)| is_there.then_some(number))
            .collect()
    }

    /// Reads an indirect object; `None` if it is not there.
    ///
    /// # Errors
    /// If it is not where the cross-references say.
    pub fn load(&self, number: u32) -> Result<Option<Indirect>> {
        match self.entry(number) {
            None | Some(Entry::Free) => Ok(None),
            Some(Entry::At { offset, generation }) => {
                if offset >= self.document.bytes.len() {
                    return malformed("an object is beyond the end of the file", offset);
                }
                let mut parser = Parser::in_file(self.document.bytes, offset);
                let id = parser.object_header()?;
                if id != (ObjectId { number, generation }) {
                    return malformed("another object is where an object should be", offset);
                }
                self.document.indirect(&mut parser, Some(self)).map(Some)
            }
            Some(Entry::InStream { stream, index }) => {
                let stream = self.document.object_stream(stream, self)?;
                let found = stream.numbers.get(index);
                let Some((_, place)) = found.filter(|(known, _)| *known == number) else {
                    return malformed("an object is not where it should be in its stream", 0);
                };
                if *place > stream.data.len() {
                    return malformed("an object is beyond the end of its stream", *place);
                }
                let mut parser = Parser::in_stream(&stream.data, *place);
                let object = parser.object()?;
                self.document.spend(parser.at - place)?;
                Ok(Some(Indirect::Direct(object)))
            }
        }
    }

    /// Where an object ends that stands in the file itself.
    pub(crate) fn end_of(&self, offset: usize) -> Result<(ObjectId, usize)> {
        let mut parser = Parser::in_file(self.document.bytes, offset);
        let id = parser.object_header()?;
        self.document.indirect(&mut parser, Some(self))?;
        Ok((id, parser.at))
    }

    /// The length of a stream that is an object of its own, which stands in the file as nothing but a number.
    fn length(&self, id: ObjectId) -> Result<Option<usize>> {
        let Some(Entry::At { offset, generation }) = self.entry(id.number) else {
            return Ok(None);
        };
        if generation != id.generation || offset >= self.document.bytes.len() {
            return Ok(None);
        }
        let mut parser = Parser::in_file(self.document.bytes, offset);
        if parser.object_header()? != id {
            return Ok(None);
        }
        parser.skip();
        Ok(usize::try_from(parser.unsigned("a stream has no length")?).ok())
    }

    /// Reads what a reference means; `None` if there is no such object.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn get(&self, id: ObjectId) -> Result<Option<Indirect>> {
        let fits = match self.entry(id.number) {
            Some(Entry::At { generation, .. }) => generation == id.generation,
            Some(Entry::InStream { .. }) => id.generation == 0,
            Some(Entry::Free) | None => false,
        };
        if fits { self.load(id.number) } else { Ok(None) }
    }

    /// The direct object that a value is or refers to; [`Object::Null`] for a reference to nothing or to a stream.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn resolve(&self, object: &Object) -> Result<Object> {
        let mut object = object.clone();
        for _ in 0..MAX_DEPTH {
            let Object::Reference(id) = object else {
                return Ok(object);
            };
            object = match self.get(id)? {
                Some(Indirect::Direct(found)) => found,
                Some(Indirect::Stream(..)) | None => Object::Null,
            };
        }
        malformed("references go in circles", 0)
    }

    /// The value of a key, resolved; [`Object::Null`] if it is absent.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn value(&self, dictionary: &Dictionary, key: &str) -> Result<Object> {
        dictionary
            .get(key)
            .map_or(Ok(Object::Null), |value| self.resolve(value))
    }

    /// The data of a stream that a value refers to, decompressed.
    ///
    /// # Errors
    /// As [`Self::load`]; also if it is no stream.
    pub fn stream(&self, object: &Object) -> Result<Vec<u8>> {
        let found = match object.as_reference() {
            Some(id) => self.get(id)?,
            None => None,
        };
        match found {
            Some(Indirect::Stream(dictionary, data)) => self.document.decode(&dictionary, data),
            _ => malformed("a stream was expected", 0),
        }
    }

    /// The reference to the document's catalogue, and the catalogue (section 7.7.2).
    ///
    /// # Errors
    /// If there is none.
    pub fn catalogue(&self) -> Result<(ObjectId, Dictionary)> {
        let root = self.trailer().get("Root").and_then(Object::as_reference);
        let Some(root) = root else {
            return malformed("the trailer names no catalogue", 0);
        };
        match self.get(root)? {
            Some(Indirect::Direct(Object::Dictionary(catalogue))) => Ok((root, catalogue)),
            _ => malformed("there is no catalogue", 0),
        }
    }

    /// The first page: its reference and its dictionary.
    ///
    /// # Errors
    /// If there is none.
    pub fn first_page(&self) -> Result<(ObjectId, Dictionary)> {
        let (_, catalogue) = self.catalogue()?;
        let mut next = catalogue.get("Pages").and_then(Object::as_reference);
        for _ in 0..MAX_DEPTH {
            let Some(id) = next else { break };
            let Some(Indirect::Direct(Object::Dictionary(node))) = self.get(id)? else {
                break;
            };
            if node.get("Type").is_some_and(|kind| kind.is_name("Page")) {
                return Ok((id, node));
            }
            let kids = self.value(&node, "Kids")?;
            next = kids
                .as_array()
                .and_then(<[Object]>::first)
                .and_then(Object::as_reference);
        }
        malformed("there is no page", 0)
    }
}
