//! The objects of a PDF file (ISO 32000-2 section 7.3).

use std::ops::Range;

/// The number and generation under which an object is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Object number; at most [`super::MAX_OBJECT_NUMBER`].
    pub number: u32,
    /// Generation number.
    pub generation: u16,
}

/// A string, and where it was written. Two strings are equal if their bytes are, however they are spelled.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// The bytes, escapes and hexadecimal decoded.
    pub bytes: Vec<u8>,
    /// From the opening to behind the closing delimiter, in bytes from the start of the file; empty if the string
    /// stands in a compressed stream or was made here.
    pub at: Range<usize>,
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// A direct object.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `null`, also what a reference to nothing means.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A name, escapes decoded.
    Name(Vec<u8>),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Object>),
    /// A dictionary.
    Dictionary(Dictionary),
    /// A reference to an indirect object.
    Reference(ObjectId),
}

impl Object {
    /// A name.
    pub fn name(name: &str) -> Object {
        Object::Name(name.as_bytes().to_vec())
    }

    /// A string.
    pub fn string(bytes: impl Into<Vec<u8>>) -> Object {
        Object::String(Text {
            bytes: bytes.into(),
            at: 0..0,
        })
    }

    /// Whether it is this name.
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self, Object::Name(found) if found == name.as_bytes())
    }

    /// The whole number, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Object::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one that counts bytes or elements.
    pub fn as_size(&self) -> Option<usize> {
        self.as_integer().and_then(|value| value.try_into().ok())
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Object]> {
        match self {
            Object::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, if it is a dictionary.
    pub fn as_dictionary(&self) -> Option<&Dictionary> {
        match self {
            Object::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }

    /// What it refers to, if it is a reference.
    pub fn as_reference(&self) -> Option<ObjectId> {
        match self {
            Object::Reference(id) => Some(*id),
            _ => None,
        }
    }

    /// Calls `visit` for every reference within.
    pub fn references(&self, visit: &mut dyn FnMut(ObjectId)) {
        match self {
            Object::Reference(id) => visit(*id),
            Object::Array(elements) => {
                for element in elements {
                    element.references(visit);
                }
            }
            Object::Dictionary(dictionary) => dictionary.references(visit),
            _ => {}
        }
    }

    /// Appends the object as it is written in a file.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Object::Null => out.extend_from_slice(b"null"),
            Object::Boolean(true) => out.extend_from_slice(b"true"),
            Object::Boolean(false) => out.extend_from_slice(b"false"),
            Object::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Object::Real(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Object::Name(name) => write_name(name, out),
            Object::String(text) => {
                out.push(b'<');
                for byte in &text.bytes {
                    out.extend_from_slice(format!("{byte:02X}").as_bytes());
                }
                out.push(b'>');
            }
            Object::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Object::Dictionary(dictionary) => dictionary.write(out),
            Object::Reference(id) => {
                out.extend_from_slice(format!("{} {} R", id.number, id.generation).as_bytes());
            }
        }
    }
}

fn write_name(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'/');
    for byte in name {
        if byte.is_ascii_graphic() && !b"()<>[]{}/%#".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("#{byte:02X}").as_bytes());
        }
    }
}

/// A dictionary: no key occurs twice.
#[derive(Debug, Clone, Default)]
pub struct Dictionary(Vec<(Vec<u8>, Object)>);

impl Dictionary {
    /// An empty one.
    pub fn new() -> Self {
        Dictionary::default()
    }

    /// The value of a key, as written: perhaps a reference.
    pub fn get(&self, key: &str) -> Option<&Object> {
        self.0
            .iter()
            .find(|(known, _)| known == key.as_bytes())
            .map(|(_, value)| value)
    }

    /// Sets the value of a key.
    pub fn set(&mut self, key: &str, value: Object) {
        match self.0.iter_mut().find(|(known, _)| known == key.as_bytes()) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.as_bytes().to_vec(), value)),
        }
    }

    /// As [`Self::set`], for building one.
    #[must_use]
    pub fn with(mut self, key: &str, value: Object) -> Self {
        self.set(key, value);
        self
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Object> {
        let at = self
            .0
            .iter()
            .position(|(known, _)| known == key.as_bytes())?;
        Some(self.0.remove(at).1)
    }

    /// Keys and values in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value))
    }

    /// A dictionary of these entries; `None` if a key occurs twice.
    pub(crate) fn from_entries(entries: Vec<(Vec<u8>, Object)>) -> Option<Self> {
        let mut keys: Vec<&[u8]> = entries.iter().map(|(key, _)| key.as_slice()).collect();
        keys.sort_unstable();
        let twice = keys.windows(2).any(|pair| pair[0] == pair[1]);
        (!twice).then_some(Dictionary(entries))
    }

    /// Calls `visit` for every reference within.
    pub fn references(&self, visit: &mut dyn FnMut(ObjectId)) {
        for (_, value) in &self.0 {
            value.references(visit);
        }
    }

    /// Appends the dictionary as it is written in a file.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<<");
        for (key, value) in &self.0 {
            out.push(b' ');
            write_name(key, out);
            out.push(b' ');
            value.write(out);
        }
        out.extend_from_slice(b" >>");
    }
}

impl PartialEq for Dictionary {
    /// The order of keys means nothing.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().all(|(key, value)| {
                other
                    .0
                    .iter()
                    .any(|(known, other)| known == key && other == value)
            })
    }
}

/// An indirect object: a direct one, or a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Indirect {
    /// Anything but a stream.
    Direct(Object),
    /// A stream: its dictionary, and where its data stands, encoded, in bytes from the start of the file.
    Stream(Dictionary, Range<usize>),
}

impl Indirect {
    /// The dictionary of the object, whether a stream follows it or not.
    pub fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Indirect::Direct(object) => object.as_dictionary(),
            Indirect::Stream(dictionary, _) => Some(dictionary),
        }
    }

    /// Calls `visit` for every reference within.
    pub fn references(&self, visit: &mut dyn FnMut(ObjectId)) {
        match self {
            Indirect::Direct(object) => object.references(visit),
            Indirect::Stream(dictionary, _) => dictionary.references(visit),
        }
    }
}
