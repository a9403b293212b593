//! Making signed documents last: statuses are added, then a time-stamp over everything, and again before that ages.
//!
//! Pure, like everything here: whoever runs it asks the responders and the time-stamping authorities.

use asic::files::{Files, FilesError};
use pades::pdf::{Document, PdfError};
use pades::sign::{PadesError, PreparedTimeStamp};
use pades::signature::{Kind, find};
use pades::store::{self, ValidationData};
use pki::tsp::{Request, Token, TspError};
use pki::{Certificate, Digest, DigestAlgorithm, cms};
use time::{Duration, OffsetDateTime};
use xmldsig::SignatureError;
use xmldsig::baseline::{self, Baseline};

use crate::judge::certificates;
use crate::report::{Format, Level, Report};
use crate::trust::Trust;

/// Why a document was not signed, extended or archived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    /// The PDF file cannot be read or written.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// A signature or time-stamp of the PDF file.
    #[error(transparent)]
    Pades(#[from] PadesError),
    /// A CMS signature of the PDF file.
    #[error(transparent)]
    Cms(#[from] cms::CmsError),
    /// The container cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A signature of the container.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A time-stamp cannot be read or is over something else.
    #[error(transparent)]
    TimeStamp(#[from] TspError),
    /// Not as many tokens as were asked for.
    #[error("there are not as many time-stamps as were asked for")]
    Tokens,
    /// Neither PDF nor container.
    #[error("it is neither a PDF file nor a container with signatures")]
    Format,
}

/// What a document lacks before a time-stamp over everything makes sense.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Certificates whose status is to be asked for, each with its issuer: those of the signers, of the time-stampers,
    /// and of the authorities between them and the trust list.
    pub statuses: Vec<(Certificate, Certificate)>,
    /// Certificates to add.
    pub certificates: Vec<Certificate>,
}

/// What a document lacks. The certificates of its signatures and time-stamps are completed from the trust list.
///
/// # Errors
/// If the document or a signature of it cannot be read.
pub fn needs(document: &[u8], trust: &Trust) -> Result<Needs, ExtendError> {
    let mut used: Vec<Certificate> = Vec::new();
    let mut known: Vec<Certificate> = Vec::new();
    match Format::of(document) {
        Format::Pdf => {
            let read = Document::open(document)?;
            for field in find(&read)? {
                let Ok(signature) = field.signature else {
                    continue;
                };
                match signature.kind() {
                    Kind::Signature => {
                        let signature = cms::Signature::decode(signature.value())?;
                        used.extend(signature.certificates().iter().cloned());
                        for token in signature.time_stamps() {
                            used.extend(Token::decode(token)?.certificates().iter().cloned());
                        }
                    }
                    Kind::TimeStamp => {
                        let token = Token::decode(signature.value())?;
                        used.extend(token.certificates().iter().cloned());
                    }
                }
            }
            known = certificates(&store::read(&read.newest())?.certificates);
        }
        Format::Container => {
            for (_, signature) in Files::open(document)?.signatures() {
                let signature = Baseline::decode(signature)?;
                let own = [signature.signature().certificate_der().to_vec()];
                used.extend(certificates(&own));
                known.extend(certificates(signature.certificates()));
                for stamp in signature.stamps() {
                    used.extend(Token::decode(stamp.token())?.certificates().iter().cloned());
                }
            }
        }
        Format::Unknown => return Err(ExtendError::Format),
    }
    let anchors: Vec<Certificate> = trust
        .anchors()
        .into_iter()
        .chain(trust.time_stampers.iter().cloned())
        .collect();
    let mut needs = Needs::default();
    let mut next = 0;
    // An issuer that is found may have an issuer of its own; the list grows while it is walked, each once.
    while let Some(certificate) = used.get(next).cloned() {
        next += 1;
        if used[..next - 1].contains(&certificate) || certificate.is_self_issued() {
            continue;
        }
        let issuer = anchors
            .iter()
            .chain(&known)
            .chain(&used)
            .find(|candidate| certificate.is_issued_by(candidate))
            .cloned();
        if !known.contains(&certificate) {
            needs.certificates.push(certificate.clone());
        }
        if let Some(issuer) = issuer {
            needs.statuses.push((certificate, issuer.clone()));
            if !used.contains(&issuer) {
                used.push(issuer);
            }
        }
    }
    Ok(needs)
}

/// Adds certificates and OCSP responses: level B-LT, once they are those of [`needs`].
///
/// # Errors
/// If the document cannot be read.
pub fn extend(
    document: &[u8],
    certificates: &[Certificate],
    ocsp_responses: &[Vec<u8>],
    now: OffsetDateTime,
) -> Result<Vec<u8>, ExtendError> {
    let data = ValidationData::new(certificates, ocsp_responses.iter().cloned());
    match Format::of(document) {
        Format::Pdf => Ok(store::add(document, &data)?),
        Format::Container => {
            let mut files = Files::open(document)?;
            files.change_signatures(|_, signature| {
                let decoded = Baseline::decode(signature)?;
                let fresh = |new: &[Vec<u8>], old: &[Vec<u8>]| -> Vec<Vec<u8>> {
                    new.iter()
                        .filter(|one| !old.contains(one))
                        .cloned()
                        .collect()
                };
                baseline::with_validation_data(
                    signature,
                    &fresh(&data.certificates, decoded.certificates()),
                    &fresh(&data.ocsp_responses, decoded.ocsp_responses()),
                )
            })?;
            Ok(files.write(now)?)
        }
        Format::Unknown => Err(ExtendError::Format),
    }
}

/// A document that waits for its time-stamp over everything: level B-LTA, or renewed.
#[derive(Debug, Clone)]
pub enum Archiving {
    /// A PDF file: one for all its signatures.
    Pdf(PreparedTimeStamp),
    /// A container: one for each of its signatures.
    Container(Files),
}

impl Archiving {
    /// Prepares a document.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn new(document: &[u8]) -> Result<Self, ExtendError> {
        match Format::of(document) {
            Format::Pdf => Ok(Archiving::Pdf(PreparedTimeStamp::new(document)?)),
            Format::Container => Ok(Archiving::Container(Files::open(document)?)),
            Format::Unknown => Err(ExtendError::Format),
        }
    }

    fn digests(&self, algorithm: DigestAlgorithm) -> Result<Vec<Digest>, ExtendError> {
        match self {
            Archiving::Pdf(prepared) => Ok(vec![prepared.request(algorithm).imprint]),
            Archiving::Container(files) => files
                .signatures()
                .map(|(_, signature)| {
                    let hash = |uri: &str, hasher: &mut pki::Hasher| files.hash(uri, hasher);
                    Ok(baseline::archive_digest(signature, algorithm, &hash)?)
                })
                .collect(),
        }
    }

    /// What a time-stamping authority is asked for, in order.
    ///
    /// # Errors
    /// If a signed file is not there.
    pub fn requests(&self, algorithm: DigestAlgorithm) -> Result<Vec<Request>, ExtendError> {
        let digests = self.digests(algorithm)?;
        Ok(digests
            .into_iter()
            .map(|digest| Request::new(algorithm, digest))
            .collect())
    }

    /// Takes the tokens in the order of the requests; gives the document.
    ///
    /// # Errors
    /// [`ExtendError::TimeStamp`] if one is over something else, [`ExtendError::Tokens`].
    pub fn finish(self, tokens: &[Token], now: OffsetDateTime) -> Result<Vec<u8>, ExtendError> {
        let algorithm = |token: &Token| token.imprint().0.ok_or(TspError::WrongImprint);
        if let Archiving::Pdf(prepared) = self {
            let [token] = tokens else {
                return Err(ExtendError::Tokens);
            };
            return Ok(prepared.finish(token)?);
        }
        for (place, token) in tokens.iter().enumerate() {
            let digests = self.digests(algorithm(token)?)?;
            if digests.len() != tokens.len() {
                return Err(ExtendError::Tokens);
            }
            if digests.get(place) != Some(token.imprint().1) {
                return Err(TspError::WrongImprint.into());
            }
        }
        let Archiving::Container(mut files) = self else {
            return Err(ExtendError::Format);
        };
        let mut left = tokens.iter();
        files.change_signatures(|_, signature| match left.next() {
            Some(token) => Ok(baseline::with_archive_time_stamp(signature, token.der())?),
            None => Err(ExtendError::Tokens),
        })?;
        Ok(files.write(now)?)
    }
}

/// Whether a document should get a new time-stamp over everything: one of its signatures has proof of its validity,
/// and the certificate of its youngest time-stamp ends within `margin`, or there is no time-stamp over everything yet.
#[must_use]
pub fn is_renewal_due(report: &Report, now: OffsetDateTime, margin: Duration) -> bool {
    report.signatures.iter().any(|signature| {
        let ends = signature
            .renew_before
            .is_some_and(|end| end < now.saturating_add(margin));
        match signature.level {
            Level::LTA => ends,
            Level::LT => true,
            _ => false,
        }
    })
}
