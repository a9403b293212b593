//! Incremental updates (ISO 32000-2 section 7.5.6): nothing that is there changes, new objects follow it.

use super::document::Document;
use super::object::{Dictionary, Object, ObjectId};
use super::{MAX_LENGTH, MAX_OBJECT_NUMBER, PdfError, Result, malformed};

/// An update in the making.
#[derive(Debug)]
pub struct Update<'d, 'a> {
    document: &'d Document<'a>,
    bytes: Vec<u8>,
    written: Vec<(ObjectId, usize)>,
    next: u32,
}

impl<'d, 'a> Update<'d, 'a> {
    /// Begins an update of the newest revision.
    ///
    /// # Errors
    /// If the trailer does not say how many objects there are.
    pub fn new(document: &'d Document<'a>) -> Result<Self> {
        let newest = document.newest();
        let size = newest
            .trailer()
            .get("Size")
            .and_then(Object::as_size)
            .and_then(|size| u32::try_from(size).ok());
        let Some(size) = size else {
            return malformed("the trailer has no Size", 0);
        };
        // A Size that is too small must not make us use a number twice.
        let highest = document
            .revisions()
            .iter()
            .filter_map(|revision| revision.entries.keys().next_back())
            .max()
            .copied()
            .unwrap_or(0);
        let mut bytes = document.bytes().to_vec();
        if !bytes.ends_with(b"\n") && !bytes.ends_with(b"\r") {
            bytes.push(b'\n');
        }
        Ok(Update {
            document,
            bytes,
            written: Vec::new(),
            next: size.max(highest + 1),
        })
    }

    /// A number that no object has yet.
    pub fn reserve(&mut self) -> ObjectId {
        let id = ObjectId {
            number: self.next,
            generation: 0,
        };
        self.next += 1;
        id
    }

    /// Writes an object, a new one or a new version of one. Gives where the object itself begins in the file.
    pub fn write(&mut self, id: ObjectId, object: &Object) -> usize {
        let mut body = Vec::new();
        object.write(&mut body);
        self.write_bytes(id, &body)
    }

    /// As [`Self::write`], with the object as it is written in a file.
    pub fn write_bytes(&mut self, id: ObjectId, body: &[u8]) -> usize {
        self.written.push((id, self.bytes.len()));
        self.bytes
            .extend_from_slice(format!("{} {} obj\n", id.number, id.generation).as_bytes());
        let at = self.bytes.len();
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(b"\nendobj\n");
        at
    }

    /// Writes a new stream, not compressed.
    pub fn write_stream(&mut self, data: &[u8]) -> ObjectId {
        let id = self.reserve();
        let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let mut body = Vec::with_capacity(data.len() + 64);
        Dictionary::new()
            .with("Length", Object::Integer(length))
            .write(&mut body);
        body.extend_from_slice(b"\nstream\n");
        body.extend_from_slice(data);
        body.extend_from_slice(b"\nendstream");
        self.write_bytes(id, &body);
        id
    }

    /// The whole file with the update.
    ///
    /// # Errors
    /// If it became too large.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let Some(previous) = self.document.revisions().last() else {
            return malformed("there are no cross-references", 0);
        };
        let old = self.document.newest();
        let mut trailer = Dictionary::new();
        for key in ["Root", "Info"] {
            if let Some(value) = old.trailer().get(key) {
                trailer.set(key, value.clone());
            }
        }
        let integer = |value: usize| Object::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        trailer.set("Prev", integer(previous.section.start));
        if let Some([first, _]) = old.value(old.trailer(), "ID")?.as_array() {
            // The second half tells versions of a file apart (section 14.4).
            let digest = pki::DigestAlgorithm::Sha256.digest(&self.bytes);
            let second = Object::string(&digest.as_ref()[..16]);
            trailer.set("ID", Object::Array(vec![first.clone(), second]));
        }
        let place = self.bytes.len();
        if previous.is_stream {
            let own = self.reserve();
            self.written.push((own, place));
        }
        self.written.sort_by_key(|(id, _)| id.number);
        trailer.set("Size", Object::Integer(i64::from(self.next)));
        if self.next > MAX_OBJECT_NUMBER || self.bytes.len() > MAX_LENGTH {
            return Err(PdfError::TooLarge("an update"));
        }
        if previous.is_stream {
            self.finish_with_stream(trailer, place);
        } else {
            self.bytes.extend_from_slice(b"xref\n");
            for run in self
                .written
                .chunk_by(|(a, _), (b, _)| a.number + 1 == b.number)
            {
                let first = run.first().map_or(0, |(id, _)| id.number);
                self.bytes
                    .extend_from_slice(format!("{first} {}\n", run.len()).as_bytes());
                for (id, offset) in run {
                    let entry = format!("{offset:010} {:05} n \n", id.generation);
                    self.bytes.extend_from_slice(entry.as_bytes());
                }
            }
            self.bytes.extend_from_slice(b"trailer\n");
            trailer.write(&mut self.bytes);
        }
        self.bytes
            .extend_from_slice(format!("\nstartxref\n{place}\n%%EOF\n").as_bytes());
        Ok(self.bytes)
    }

    fn finish_with_stream(&mut self, mut dictionary: Dictionary, place: usize) {
        let mut data = Vec::with_capacity(self.written.len() * 8);
        let mut index = Vec::with_capacity(self.written.len() * 2);
        for (id, offset) in &self.written {
            data.push(1);
            data.extend_from_slice(&u32::try_from(*offset).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(&id.generation.to_be_bytes());
            index.push(Object::Integer(i64::from(id.number)));
            index.push(Object::Integer(1));
        }
        dictionary.set("Type", Object::name("XRef"));
        dictionary.set("W", Object::Array([1, 4, 2].map(Object::Integer).to_vec()));
        dictionary.set("Index", Object::Array(index));
        dictionary.set(
            "Length",
            Object::Integer(i64::try_from(data.len()).unwrap_or(i64::MAX)),
        );
        let own = self
            .written
            .iter()
            .find(|(_, offset)| *offset == place)
            .map_or(0, |(id, _)| id.number);
        self.bytes
            .extend_from_slice(format!("{own} 0 obj\n").as_bytes());
        dictionary.write(&mut self.bytes);
        self.bytes.extend_from_slice(b"\nstream\n");
        self.bytes.extend_from_slice(&data);
        self.bytes.extend_from_slice(b"\nendstream\nendobj");
    }

    /// The document that is updated.
    pub fn document(&self) -> &'d Document<'a> {
        self.document
    }
}
