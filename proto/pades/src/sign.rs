//! Signing, and time-stamping whole documents.

use std::ops::Range;

use pki::cms::{self, CmsError, SignedAttributes};
use pki::tsp::{self, Token};
use pki::{Certificate, Digest, DigestAlgorithm, SignError, SignatureAlgorithm, Signer};
use time::OffsetDateTime;

use crate::pdf::{Dictionary, Document, Indirect, Object, ObjectId, PdfError, Update};
use crate::signature::{digest_around, find, walk};
use crate::text;

/// Room for a signature besides its certificates, in bytes: attributes, value, and a time-stamp with its certificates.
const ROOM: usize = 12 * 1024;
/// Room for a document time-stamp, in bytes.
const TIME_STAMP_ROOM: usize = 12 * 1024;

/// Why a document was not signed or time-stamped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PadesError {
    /// The document cannot be read, or is not to be signed.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The signature does not fit.
    #[error(transparent)]
    Signature(#[from] CmsError),
    /// The time-stamp cannot be read, or is over something else.
    #[error(transparent)]
    TimeStamp(#[from] tsp::TspError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] SignError),
    /// The document's author allows no further signatures (DocMDP).
    #[error("the document was certified so that nobody else may sign it")]
    Certified,
    /// The signature or time-stamp is longer than the room that was left for it.
    #[error("the signature is longer than the room that was left for it in the document")]
    NoRoom,
    /// The document has no signature with room for this.
    #[error("the document does not end with the signature that is to be completed")]
    NotPrepared,
}

/// What a signer says about a signature; nobody checks it.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// Why: `I agree to the contract`.
    pub reason: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// The signer's name as a viewer shows it.
    pub name: Option<String>,
}

/// A document with room for a signature, and what is to be signed.
#[derive(Debug, Clone)]
pub struct Prepared {
    bytes: Vec<u8>,
    gap: Range<usize>,
    attributes: SignedAttributes,
    certificate: Certificate,
    chain: Vec<Certificate>,
}

/// A signed document; the signature can still take a time-stamp.
#[derive(Debug, Clone)]
pub struct Signed {
    bytes: Vec<u8>,
    gap: Range<usize>,
    signature: cms::Signature,
}

/// A document with room for a document time-stamp.
#[derive(Debug, Clone)]
pub struct PreparedTimeStamp {
    bytes: Vec<u8>,
    gap: Range<usize>,
}

/// Digits that a byte range is padded to, so that it can be written before it is known.
const WIDTH: usize = 10;

/// The update that adds a signature field to a document; gives the file and the place of the value in it.
fn add_field(
    file: &[u8],
    signature: &Dictionary,
    prefix: &str,
    room: usize,
) -> Result<(Vec<u8>, Range<usize>), PadesError> {
    let document = Document::open(file)?;
    let view = document.newest();
    let mut taken = Vec::new();
    walk(&view, &mut |field| {
        taken.push(field.name);
        Ok(())
    })?;
    let name = (1..=taken.len() + 1)
        .map(|number| format!("{prefix}{number}"))
        .find(|name| !taken.contains(name))
        .unwrap_or_default();
    let (page_id, page) = view.first_page()?;
    let (root_id, mut catalogue) = view.catalogue()?;
    let mut form = match view.value(&catalogue, "AcroForm")? {
        Object::Dictionary(form) => form,
        _ => Dictionary::new(),
    };
    if form.get("XFA").is_some() {
        return Err(PdfError::Unsupported("a form of its own kind (XFA)").into());
    }
    let mut update = Update::new(&document)?;

    let signature_id = update.reserve();
    let mut body = Vec::with_capacity(room * 2 + 1024);
    signature.write(&mut body);
    body.truncate(body.len() - b">>".len());
    let blank = "*".repeat(WIDTH);
    body.extend_from_slice(b"/ByteRange ");
    let range_at = body.len();
    body.extend_from_slice(format!("[0 {blank} {blank} {blank}] /Contents ").as_bytes());
    let gap_at = body.len();
    body.push(b'<');
    body.resize(body.len() + room * 2, b'0');
    body.extend_from_slice(b"> >>");
    let start = update.write_bytes(signature_id, &body);

    let field = Object::Dictionary(
        Dictionary::new()
            .with("Type", Object::name("Annot"))
            .with("Subtype", Object::name("Widget"))
            .with("FT", Object::name("Sig"))
            .with("T", Object::string(text::encode(&name)))
            .with("V", Object::Reference(signature_id))
            // Print and Locked.
            .with("F", Object::Integer(132))
            .with("Rect", Object::Array(vec![Object::Integer(0); 4]))
            .with("P", Object::Reference(page_id)),
    );
    let field_id = update.reserve();
    update.write(field_id, &field);
    append(&mut update, page_id, page, "Annots", field_id)?;

    // SignaturesExist and AppendOnly.
    form.set("SigFlags", Object::Integer(3));
    let fields = match form.get("Fields") {
        Some(Object::Reference(id)) => Some(*id),
        _ => None,
    };
    let mut list = match view.value(&form, "Fields")? {
        Object::Array(list) => list,
        _ => Vec::new(),
    };
    list.push(Object::Reference(field_id));
    match fields {
        Some(id) => _ = update.write(id, &Object::Array(list)),
        None => form.set("Fields", Object::Array(list)),
    }
    match catalogue.get("AcroForm") {
        Some(Object::Reference(id)) => _ = update.write(*id, &Object::Dictionary(form)),
        _ => {
            catalogue.set("AcroForm", Object::Dictionary(form));
            update.write(root_id, &Object::Dictionary(catalogue));
        }
    }

    let mut bytes = update.finish()?;
    let gap = start + gap_at..start + gap_at + room * 2 + 2;
    let range = format!("[0 {} {} {}]", gap.start, gap.end, bytes.len() - gap.end);
    let place = start + range_at;
    let width = "[0   ]".len() + 3 * WIDTH;
    bytes[place..place + width].fill(b' ');
    bytes[place..place + range.len()].copy_from_slice(range.as_bytes());
    Ok((bytes, gap))
}

/// Adds a reference to a list that a dictionary holds or refers to.
fn append(
    update: &mut Update<'_, '_>,
    owner: ObjectId,
    mut dictionary: Dictionary,
    key: &str,
    element: ObjectId,
) -> Result<(), PadesError> {
    let view = update.document().newest();
    let mut list = match view.value(&dictionary, key)? {
        Object::Array(list) => list,
        _ => Vec::new(),
    };
    list.push(Object::Reference(element));
    match dictionary.get(key) {
        Some(Object::Reference(id))
            if matches!(view.get(*id)?, Some(Indirect::Direct(Object::Array(_)))) =>
        {
            update.write(*id, &Object::Array(list));
        }
        _ => {
            dictionary.set(key, Object::Array(list));
            update.write(owner, &Object::Dictionary(dictionary));
        }
    }
    Ok(())
}

/// Puts a value into its gap, followed by zeros.
fn fill(bytes: &mut [u8], gap: &Range<usize>, value: &[u8]) -> Result<(), PadesError> {
    let digits = &mut bytes[gap.start + 1..gap.end - 1];
    if value.len() * 2 > digits.len() {
        return Err(PadesError::NoRoom);
    }
    digits.fill(b'0');
    for (pair, byte) in digits.chunks_exact_mut(2).zip(value) {
        pair.copy_from_slice(format!("{byte:02x}").as_bytes());
    }
    Ok(())
}

impl Prepared {
    /// Prepares a document for a signature by the holder of `certificate`, made with `algorithm`; `chain` are
    /// certificates of its issuers that go along. `time` is what the signature will claim as its time.
    ///
    /// The document keeps every byte; the signature is invisible on the page.
    ///
    /// # Errors
    /// See [`PadesError`].
    pub fn new(
        file: &[u8],
        certificate: &Certificate,
        chain: &[Certificate],
        algorithm: SignatureAlgorithm,
        statement: &Statement,
        time: OffsetDateTime,
    ) -> Result<Self, PadesError> {
        let document = Document::open(file)?;
        let is_closed = find(&document)?.iter().any(|field| {
            field
                .signature
                .as_ref()
                .is_ok_and(|signature| signature.permission() == Some(1))
        });
        if is_closed {
            return Err(PadesError::Certified);
        }
        let mut dictionary = Dictionary::new()
            .with("Type", Object::name("Sig"))
            .with("Filter", Object::name("Adobe.PPKLite"))
            .with("SubFilter", Object::name("ETSI.CAdES.detached"))
            .with("M", Object::string(text::date(time)));
        for (key, value) in [
            ("Reason", &statement.reason),
            ("Location", &statement.location),
            ("Name", &statement.name),
        ] {
            if let Some(value) = value {
                dictionary.set(key, Object::string(text::encode(value)));
            }
        }
        let certificates = std::iter::once(certificate).chain(chain);
        let room = ROOM + certificates.map(|one| one.der().len()).sum::<usize>();
        let (bytes, gap) = add_field(file, &dictionary, "Signature", room)?;
        Prepared::over(bytes, gap, certificate, chain, algorithm)
    }

    fn over(
        bytes: Vec<u8>,
        gap: Range<usize>,
        certificate: &Certificate,
        chain: &[Certificate],
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, PadesError> {
        let digest = digest_around(&bytes, &gap, bytes.len(), algorithm.digest());
        Ok(Prepared {
            attributes: SignedAttributes::new(&digest, certificate, algorithm)?,
            bytes,
            gap,
            certificate: certificate.clone(),
            chain: chain.to_vec(),
        })
    }

    /// Goes on with a document that [`Self::new`] prepared and that was put aside as [`Self::bytes`]: what is to be
    /// signed follows from the document and the other arguments, which have to be the same.
    ///
    /// # Errors
    /// [`PadesError::NotPrepared`] unless the document ends with room for a signature.
    pub fn resume(
        bytes: Vec<u8>,
        certificate: &Certificate,
        chain: &[Certificate],
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, PadesError> {
        let gap = last_gap(&bytes).ok_or(PadesError::NotPrepared)?;
        if bytes[gap.start + 1..gap.end - 1].iter().any(|b| *b != b'0') {
            return Err(PadesError::NotPrepared);
        }
        Prepared::over(bytes, gap, certificate, chain, algorithm)
    }

    /// The document as it is so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that the key signs.
    pub fn to_be_signed(&self) -> &[u8] {
        self.attributes.to_be_signed()
    }

    /// Their digest, in the digest algorithm of the signature: what a signing service takes.
    pub fn digest(&self) -> Digest {
        self.attributes.digest()
    }

    /// Takes the signature value, ECDSA in ASN.1 DER, and checks it with the certificate's key.
    ///
    /// # Errors
    /// [`PadesError::Signature`] if it is not that key's over these bytes.
    pub fn finish(mut self, value: &[u8]) -> Result<Signed, PadesError> {
        let der = cms::build(&self.attributes, &self.certificate, &self.chain, value)?;
        fill(&mut self.bytes, &self.gap, &der)?;
        Ok(Signed {
            bytes: self.bytes,
            gap: self.gap,
            signature: cms::Signature::decode(&der)?,
        })
    }

    /// Signs with a key that is at hand.
    ///
    /// # Errors
    /// [`PadesError::Key`] if the key fails, and as [`Self::finish`].
    pub fn sign(self, signer: &dyn Signer) -> Result<Signed, PadesError> {
        if signer.algorithm() != self.attributes.algorithm() {
            return Err(CmsError::Algorithm.into());
        }
        let value = signer.sign(self.to_be_signed())?;
        self.finish(&value)
    }
}

/// Where the value of the newest signature stands, by the dictionary of the last signed field whose range reaches to
/// the end of the file.
fn last_gap(bytes: &[u8]) -> Option<Range<usize>> {
    let document = Document::open(bytes).ok()?;
    let view = document.newest();
    let mut found = None;
    walk(&view, &mut |field| {
        let Some(value) = &field.value else {
            return Ok(());
        };
        let value = view.resolve(value)?;
        let Some(dictionary) = value.as_dictionary() else {
            return Ok(());
        };
        if let (Some(Object::Array(range)), Some(Object::String(contents))) =
            (dictionary.get("ByteRange"), dictionary.get("Contents"))
        {
            let range: Vec<usize> = range.iter().filter_map(Object::as_size).collect();
            if let &[0, before, behind, length] = range.as_slice()
                && behind.checked_add(length) == Some(bytes.len())
                && contents.at == (before..behind)
                && bytes.get(before) == Some(&b'<')
            {
                found = Some(before..behind);
            }
        }
        Ok(())
    })
    .ok()?;
    found
}

impl Signed {
    /// The signed document, level B-B; B-T with a time-stamp.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signed document.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What a time-stamping authority is asked for: a stamp over the signature value.
    pub fn time_stamp_request(&self, algorithm: DigestAlgorithm) -> tsp::Request {
        tsp::Request::new(algorithm, algorithm.digest(self.signature.value()))
    }

    /// Adds the authority's token to the signature: level B-T. Whether the token holds is for whoever asked the
    /// authority to verify; here it must be over this signature.
    ///
    /// # Errors
    /// [`PadesError::TimeStamp`] if it is over something else, [`PadesError::NoRoom`].
    pub fn with_time_stamp(mut self, token: &Token) -> Result<Self, PadesError> {
        check_imprint(token, |algorithm| algorithm.digest(self.signature.value()))?;
        self.signature = self.signature.with_time_stamp(token.der())?;
        fill(&mut self.bytes, &self.gap, self.signature.der())?;
        Ok(self)
    }
}

fn check_imprint(
    token: &Token,
    digest: impl FnOnce(DigestAlgorithm) -> Digest,
) -> Result<(), PadesError> {
    match token.imprint() {
        (Some(algorithm), imprint) if digest(algorithm) == *imprint => Ok(()),
        _ => Err(tsp::TspError::WrongImprint.into()),
    }
}

impl PreparedTimeStamp {
    /// Prepares a document for a time-stamp over all of it (ETSI EN 319 142-1 section 5.4.3): level B-LTA for the
    /// signatures whose validation data is in the document. Renewing is the same again, after the validation data of
    /// the last time-stamp was added.
    ///
    /// # Errors
    /// See [`PadesError`].
    pub fn new(file: &[u8]) -> Result<Self, PadesError> {
        let dictionary = Dictionary::new()
            .with("Type", Object::name("DocTimeStamp"))
            .with("Filter", Object::name("Adobe.PPKLite"))
            .with("SubFilter", Object::name("ETSI.RFC3161"));
        let (bytes, gap) = add_field(file, &dictionary, "Timestamp", TIME_STAMP_ROOM)?;
        Ok(PreparedTimeStamp { bytes, gap })
    }

    /// The document as it is so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a time-stamping authority is asked for: a stamp over the document.
    pub fn request(&self, algorithm: DigestAlgorithm) -> tsp::Request {
        tsp::Request::new(algorithm, self.digest(algorithm))
    }

    fn digest(&self, algorithm: DigestAlgorithm) -> Digest {
        digest_around(&self.bytes, &self.gap, self.bytes.len(), algorithm)
    }

    /// Takes the authority's token; gives the document.
    ///
    /// # Errors
    /// [`PadesError::TimeStamp`] if it is over something else, [`PadesError::NoRoom`].
    pub fn finish(mut self, token: &Token) -> Result<Vec<u8>, PadesError> {
        check_imprint(token, |algorithm| self.digest(algorithm))?;
        fill(&mut self.bytes, &self.gap, token.der())?;
        Ok(self.bytes)
    }
}
