//! The document security store: what a verifier needs years later (ETSI EN 319 142-1 section 5.4.2).

use pki::Certificate;

use crate::pdf::{Dictionary, Document, Indirect, Object, PdfError, Update, View};

/// Most certificates or statuses that are read.
pub const MAX_ENTRIES: usize = 1_000;

/// Certificates and OCSP responses of a document. Nothing of them is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationData {
    /// Certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// OCSP responses, DER (RFC 6960, OCSPResponse).
    pub ocsp_responses: Vec<Vec<u8>>,
}

impl ValidationData {
    /// From decoded certificates and OCSP responses in DER.
    pub fn new<'c>(
        certificates: impl IntoIterator<Item = &'c Certificate>,
        ocsp_responses: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        ValidationData {
            certificates: certificates
                .into_iter()
                .map(|certificate| certificate.der().to_vec())
                .collect(),
            ocsp_responses: ocsp_responses.into_iter().collect(),
        }
    }
}

const LISTS: [&str; 2] = ["Certs", "OCSPs"];

/// Reads the store of a document after the revision of `view`; empty if there is none.
///
/// # Errors
/// If it cannot be read, or holds more than [`MAX_ENTRIES`].
pub fn read(view: &View<'_, '_>) -> Result<ValidationData, PdfError> {
    let (_, catalogue) = view.catalogue()?;
    let store = view.value(&catalogue, "DSS")?;
    let Some(store) = store.as_dictionary() else {
        return Ok(ValidationData::default());
    };
    let [certificates, ocsp_responses] = LISTS.map(|key| {
        let list = view.value(store, key)?;
        let list = list.as_array().unwrap_or_default();
        if list.len() > MAX_ENTRIES {
            return Err(PdfError::TooLarge("validation data"));
        }
        list.iter().map(|entry| view.stream(entry)).collect()
    });
    Ok(ValidationData {
        certificates: certificates?,
        ocsp_responses: ocsp_responses?,
    })
}

/// Adds certificates and OCSP responses to a document, those that are not there yet: level B-LT once everything is
/// there that the signatures and their time-stamps need. Gives the file unchanged if nothing is new.
///
/// # Errors
/// If the document cannot be read.
pub fn add(file: &[u8], data: &ValidationData) -> Result<Vec<u8>, PdfError> {
    let document = Document::open(file)?;
    let view = document.newest();
    let known = read(&view)?;
    let (root, mut catalogue) = view.catalogue()?;
    let mut store = match view.value(&catalogue, "DSS")? {
        Object::Dictionary(store) => store,
        _ => Dictionary::new().with("Type", Object::name("DSS")),
    };
    let mut update = Update::new(&document)?;
    let mut added = false;
    for (key, old, new) in [
        (LISTS[0], &known.certificates, &data.certificates),
        (LISTS[1], &known.ocsp_responses, &data.ocsp_responses),
    ] {
        let mut list = match view.value(&store, key)? {
            Object::Array(list) => list,
            _ => Vec::new(),
        };
        let mut fresh: Vec<&Vec<u8>> = Vec::new();
        for one in new {
            if !old.contains(one) && !fresh.contains(&one) {
                list.push(Object::Reference(update.write_stream(one)));
                fresh.push(one);
                added = true;
            }
        }
        if !list.is_empty() {
            store.set(key, Object::Array(list));
        }
    }
    if !added {
        return Ok(file.to_vec());
    }
    let own = match catalogue.get("DSS") {
        Some(Object::Reference(id))
            if matches!(
                view.get(*id)?,
                Some(Indirect::Direct(Object::Dictionary(_)))
            ) =>
        {
            *id
        }
        _ => {
            let id = update.reserve();
            catalogue.set("DSS", Object::Reference(id));
            update.write(root, &Object::Dictionary(catalogue));
            id
        }
    };
    update.write(own, &Object::Dictionary(store));
    update.finish()
}
