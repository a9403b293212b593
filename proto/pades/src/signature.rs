//! Finding the signatures of a document, and what each of them covers.
//!
//! A signature is taken only if it leaves out nothing of its revision but its own value: the byte range begins at the
//! first byte of the file, its gap is exactly the string of the signature's own `Contents`, and it ends where the
//! revision ends that brought the signature (ISO 32000-2 section 12.8.1, ETSI EN 319 142-1 section 5.1). Gaps
//! elsewhere, moved ranges and missing values are what forgeries of the past were made of.

use std::collections::HashSet;
use std::ops::Range;

use pki::der::Reader;
use pki::{Digest, DigestAlgorithm};
use time::OffsetDateTime;

use crate::pdf::{
    Dictionary, Document, Entry, Indirect, MAX_DEPTH, Object, ObjectId, PdfError, View,
};
use crate::text;

/// Most form fields that are looked at.
pub const MAX_FIELDS: usize = 10_000;

/// What a signature dictionary holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A signature of somebody: CMS over the bytes.
    Signature,
    /// A document time-stamp: a token over the bytes (ISO 32000-2 section 12.8.5).
    TimeStamp,
}

/// Why a signature is refused before any cryptography. Whoever made or changed the document is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// No `ByteRange` of four numbers from the start of the file.
    #[error("its byte range is missing or wrong")]
    ByteRange,
    /// The gap is not the signature's own value, or the value is not where readers would look for it.
    #[error("the bytes that it leaves out are not its own value")]
    Gap,
    /// It does not reach to the end of the revision that brought it.
    #[error("it does not cover the revision that it came with")]
    Coverage,
    /// The value is missing, not DER, or followed by something else than zeros.
    #[error("its value is missing or damaged")]
    Contents,
    /// A format of signatures that is not accepted.
    #[error("it is in a format that is not accepted")]
    Format,
    /// The dictionary cannot be read.
    #[error("its dictionary is damaged")]
    Dictionary,
}

/// A signature of a document that covers its revision; nothing of it is verified.
#[derive(Debug, Clone)]
pub struct PdfSignature {
    kind: Kind,
    revision: usize,
    gap: Range<usize>,
    end: usize,
    value: Vec<u8>,
    claimed_time: Option<OffsetDateTime>,
    reason: Option<String>,
    location: Option<String>,
    name: Option<String>,
    permission: Option<i64>,
    is_modern: bool,
}

impl PdfSignature {
    /// Signature or time-stamp.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Index of the revision that it covers, and all before it.
    pub fn revision(&self) -> usize {
        self.revision
    }

    /// The CMS signature or the time-stamp token, in DER.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The bytes that are not covered: the string of the value, with its delimiters.
    pub fn gap(&self) -> Range<usize> {
        self.gap.clone()
    }

    /// Where the covered bytes end.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The time that the signer claims.
    pub fn claimed_time(&self) -> Option<OffsetDateTime> {
        self.claimed_time
    }

    /// The reason that the signer gives.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The place that the signer gives.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The name that the signer gives; proves nothing.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What a certifying signature allows to be done afterwards (DocMDP, section 12.8.2.2): 1 nothing but time-stamps
    /// and validation data, 2 also filling in and signing, 3 also comments.
    pub fn permission(&self) -> Option<i64> {
        self.permission
    }

    /// Whether it is in the format of PAdES and not in an older one (`ETSI.CAdES.detached`).
    pub fn is_modern(&self) -> bool {
        self.is_modern
    }

    /// The digest of the covered bytes of the file in which it was found.
    pub fn digest(&self, file: &[u8], algorithm: DigestAlgorithm) -> Digest {
        digest_around(file, &self.gap, self.end, algorithm)
    }
}

/// The digest of the bytes up to `end` without the gap.
pub(crate) fn digest_around(
    file: &[u8],
    gap: &Range<usize>,
    end: usize,
    algorithm: DigestAlgorithm,
) -> Digest {
    let mut hasher = algorithm.hasher();
    hasher.update(&file[..gap.start]);
    hasher.update(&file[gap.end..end]);
    hasher.finish()
}

/// A signed form field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its full name.
    pub name: String,
    /// The signature in it, or why it is refused.
    pub signature: Result<PdfSignature, Defect>,
}

/// All signed form fields, in the order in which they were signed.
///
/// # Errors
/// If the form itself cannot be read.
pub fn find(document: &Document<'_>) -> Result<Vec<Field>, PdfError> {
    let view = document.newest();
    let mut fields = Vec::new();
    walk(&view, &mut |field| {
        if let Some(value) = field.value {
            fields.push(Field {
                name: field.name,
                signature: read(&view, field.id, &value),
            });
        }
        Ok(())
    })?;
    fields.sort_by_key(|field| match &field.signature {
        Ok(signature) => signature.end,
        Err(_) => usize::MAX,
    });
    Ok(fields)
}

/// A terminal signature field of a form.
pub(crate) struct SignatureField {
    pub(crate) id: ObjectId,
    pub(crate) name: String,
    /// The signature, if it is signed: as written, perhaps a reference.
    pub(crate) value: Option<Object>,
}

/// Visits the signature fields of a form.
pub(crate) fn walk(
    view: &View<'_, '_>,
    visit: &mut dyn FnMut(SignatureField) -> Result<(), PdfError>,
) -> Result<(), PdfError> {
    let (_, catalogue) = view.catalogue()?;
    let form = view.value(&catalogue, "AcroForm")?;
    let Some(form) = form.as_dictionary() else {
        return Ok(());
    };
    let roots = view.value(form, "Fields")?;
    let mut seen = HashSet::new();
    let mut open: Vec<(Object, String, bool, usize)> = roots
        .as_array()
        .unwrap_or_default()
        .iter()
        .rev()
        .map(|field| (field.clone(), String::new(), false, 0))
        .collect();
    while let Some((field, parent, inherited, depth)) = open.pop() {
        let Some(id) = field.as_reference() else {
            continue;
        };
        if !seen.insert(id) {
            continue;
        }
        if seen.len() > MAX_FIELDS || depth > MAX_DEPTH {
            return Err(PdfError::TooLarge("form fields"));
        }
        let Some(Indirect::Direct(Object::Dictionary(dictionary))) = view.get(id)? else {
            continue;
        };
        let own = match view.value(&dictionary, "T")? {
            Object::String(name) => text::decode(&name.bytes),
            _ => String::new(),
        };
        let name = match (parent.is_empty(), own.is_empty()) {
            (true, _) => own,
            (false, true) => parent,
            (false, false) => format!("{parent}.{own}"),
        };
        let is_signature = match view.value(&dictionary, "FT")? {
            Object::Null => inherited,
            kind => kind.is_name("Sig"),
        };
        let kids = view.value(&dictionary, "Kids")?;
        if let Some(kids) = kids.as_array() {
            let inner = kids
                .iter()
                .rev()
                .map(|kid| (kid.clone(), name.clone(), is_signature, depth + 1));
            open.extend(inner);
        }
        let value = dictionary.get("V").filter(|value| **value != Object::Null);
        if is_signature && (value.is_some() || kids == Object::Null) {
            let value = value.cloned();
            visit(SignatureField { id, name, value })?;
        }
    }
    Ok(())
}

fn read(view: &View<'_, '_>, field: ObjectId, value: &Object) -> Result<PdfSignature, Defect> {
    let (owner, dictionary) = match value {
        Object::Dictionary(dictionary) => (field, dictionary.clone()),
        Object::Reference(id) => match view.get(*id) {
            Ok(Some(Indirect::Direct(Object::Dictionary(dictionary)))) => (*id, dictionary),
            _ => return Err(Defect::Dictionary),
        },
        _ => return Err(Defect::Dictionary),
    };
    let (kind, is_modern) = format(&dictionary)?;

    // Four numbers, as written: nothing of a signature dictionary may be an object of its own, for it could change.
    let range: Vec<usize> = dictionary
        .get("ByteRange")
        .and_then(Object::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(Object::as_size)
        .collect();
    let &[0, before, behind, length] = range.as_slice() else {
        return Err(Defect::ByteRange);
    };
    let file = view.document().bytes();
    let end = behind.checked_add(length).filter(|end| *end <= file.len());
    let Some(end) = end.filter(|_| before < behind) else {
        return Err(Defect::ByteRange);
    };
    let Some(Object::String(contents)) = dictionary.get("Contents") else {
        return Err(Defect::Contents);
    };
    let gap = before..behind;
    let digits = file.get(before + 1..behind - 1).unwrap_or_default();
    if contents.at != gap
        || file[before] != b'<'
        || !digits.iter().all(u8::is_ascii_hexdigit)
        || digits.len() != contents.bytes.len() * 2
    {
        return Err(Defect::Gap);
    }
    let value = Reader::new(&contents.bytes)
        .element()
        .map_err(|_| Defect::Contents)?
        .whole;
    if contents.bytes[value.len()..].iter().any(|byte| *byte != 0) {
        return Err(Defect::Contents);
    }

    let revisions = view.document().revisions();
    let covered = revisions.iter().position(|revision| {
        (revision.end..=revision.end + 2).contains(&end)
            && file[revision.end..end]
                .iter()
                .all(|byte| matches!(byte, b'\r' | b'\n'))
    });
    let revision = covered.ok_or(Defect::Coverage)?;
    let begin = match revision {
        0 => 0,
        later => revisions[later - 1].end,
    };
    let own = Some(view.entry(owner.number));
    let is_there =
        matches!(own, Some(Some(Entry::At { offset, .. })) if (begin..before).contains(&offset));
    if !is_there || view.document().at(revision).entry(owner.number) != view.entry(owner.number) {
        return Err(Defect::Coverage);
    }

    let string = |key: &str| match dictionary.get(key) {
        Some(Object::String(found)) => Some(text::decode(&found.bytes)),
        _ => None,
    };
    let claimed_time = match dictionary.get("M") {
        Some(Object::String(date)) => text::read_date(&date.bytes),
        _ => None,
    };
    Ok(PdfSignature {
        kind,
        revision,
        gap,
        end,
        value: value.to_vec(),
        claimed_time,
        reason: string("Reason"),
        location: string("Location"),
        name: string("Name"),
        permission: permission(view, &dictionary),
        is_modern,
    })
}

fn format(dictionary: &Dictionary) -> Result<(Kind, bool), Defect> {
    let is = |key: &str, name: &str| dictionary.get(key).is_some_and(|value| value.is_name(name));
    if is("SubFilter", "ETSI.RFC3161") && is("Type", "DocTimeStamp") {
        return Ok((Kind::TimeStamp, true));
    }
    if is("Type", "DocTimeStamp") {
        return Err(Defect::Format);
    }
    if is("SubFilter", "ETSI.CAdES.detached") {
        return Ok((Kind::Signature, true));
    }
    if is("SubFilter", "adbe.pkcs7.detached") {
        return Ok((Kind::Signature, false));
    }
    Err(Defect::Format)
}

/// The permission of a certifying signature; an unreadable one counts as the strictest.
fn permission(view: &View<'_, '_>, dictionary: &Dictionary) -> Option<i64> {
    let references = view.value(dictionary, "Reference").ok()?;
    for reference in references.as_array()? {
        let Ok(Object::Dictionary(reference)) = view.resolve(reference) else {
            return Some(1);
        };
        let method = view.value(&reference, "TransformMethod").ok()?;
        if method.is_name("DocMDP") {
            let parameters = view.value(&reference, "TransformParams").ok()?;
            return match parameters.as_dictionary().and_then(|p| p.get("P")) {
                None => Some(2),
                Some(permission) => Some(permission.as_integer().unwrap_or(1)),
            };
        }
    }
    None
}
