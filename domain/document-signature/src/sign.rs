//! Signing documents of either kind in two steps: the hash goes out to wherever the key is, the value comes back.

use asic::files::{File, Files};
use pades::sign::{Prepared, Signed, Statement};
use pki::tsp::{Request, Token, TspError};
use pki::{Certificate, Digest, DigestAlgorithm, SignatureAlgorithm};
use time::OffsetDateTime;
use xmldsig::baseline;

use crate::extend::ExtendError;

/// Who is going to sign, and how.
#[derive(Debug, Clone)]
pub struct SigningCertificate {
    /// The signer's certificate.
    pub certificate: Certificate,
    /// Certificates of its issuers, to go along with the signature.
    pub chain: Vec<Certificate>,
    /// The algorithm of the signature; its digest is also used for what is signed.
    pub algorithm: SignatureAlgorithm,
}

#[derive(Debug, Clone)]
enum Kind<P, C> {
    Pdf(P),
    Container(Files, C),
}

/// A document with everything but the value of its signature.
#[derive(Debug, Clone)]
pub struct PreparedDocument {
    kind: Kind<Box<Prepared>, Box<baseline::Prepared>>,
    time: OffsetDateTime,
}

/// A signed document, level B-B, that can still take the time-stamp of its signature.
#[derive(Debug, Clone)]
pub struct SignedDocument {
    kind: Kind<Box<Signed>, Vec<u8>>,
    time: OffsetDateTime,
}

impl PreparedDocument {
    /// Prepares a PDF file.
    ///
    /// # Errors
    /// If the file cannot be read, or is not to be signed any more.
    pub fn pdf(
        file: &[u8],
        signer: &SigningCertificate,
        statement: &Statement,
        now: OffsetDateTime,
    ) -> Result<Self, ExtendError> {
        let prepared = Prepared::new(
            file,
            &signer.certificate,
            &signer.chain,
            signer.algorithm,
            statement,
            now,
        )?;
        Ok(PreparedDocument {
            kind: Kind::Pdf(Box::new(prepared)),
            time: now,
        })
    }

    /// Prepares a container with these files.
    ///
    /// # Errors
    /// If a name is not accepted, or the files are too large.
    pub fn files(
        files: Vec<File>,
        signer: &SigningCertificate,
        now: OffsetDateTime,
    ) -> Result<Self, ExtendError> {
        Self::over(Files::new(files)?, signer, now)
    }

    /// Prepares one more signature over the files of a container.
    ///
    /// # Errors
    /// If the container cannot be read.
    pub fn container(
        container: &[u8],
        signer: &SigningCertificate,
        now: OffsetDateTime,
    ) -> Result<Self, ExtendError> {
        Self::over(Files::open(container)?, signer, now)
    }

    fn over(
        files: Files,
        signer: &SigningCertificate,
        now: OffsetDateTime,
    ) -> Result<Self, ExtendError> {
        let algorithm = signer.algorithm;
        let prepared = files.prepare(
            algorithm.digest(),
            &signer.certificate,
            &signer.chain,
            algorithm,
            now,
        )?;
        Ok(PreparedDocument {
            kind: Kind::Container(files, Box::new(prepared)),
            time: now,
        })
    }

    /// The bytes that the key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        match &self.kind {
            Kind::Pdf(prepared) => prepared.to_be_signed(),
            Kind::Container(_, prepared) => prepared.to_be_signed(),
        }
    }

    /// Their digest, in the digest algorithm of the signature: what a signing service is given, and what a person can
    /// compare on a second device.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match &self.kind {
            Kind::Pdf(prepared) => prepared.digest(),
            Kind::Container(_, prepared) => prepared.digest(),
        }
    }

    /// Takes the signature value, ECDSA in ASN.1 DER.
    ///
    /// # Errors
    /// If it is not the value of the certificate's key over these bytes.
    pub fn finish(self, value: &[u8]) -> Result<SignedDocument, ExtendError> {
        let kind = match self.kind {
            Kind::Pdf(prepared) => Kind::Pdf(Box::new(prepared.finish(value)?)),
            Kind::Container(files, prepared) => {
                let signature = prepared.finish(value)?;
                Kind::Container(files, signature)
            }
        };
        Ok(SignedDocument {
            kind,
            time: self.time,
        })
    }
}

impl SignedDocument {
    /// What a time-stamping authority is asked for.
    ///
    /// # Errors
    /// Should the signature not be readable any more.
    pub fn time_stamp_request(&self, algorithm: DigestAlgorithm) -> Result<Request, ExtendError> {
        match &self.kind {
            Kind::Pdf(signed) => Ok(signed.time_stamp_request(algorithm)),
            Kind::Container(_, signature) => Ok(Request::new(
                algorithm,
                baseline::value_digest(signature, algorithm)?,
            )),
        }
    }

    /// Adds the authority's token: level B-T. Whether the token holds is for whoever asked the authority to verify;
    /// here it must be over this signature.
    ///
    /// # Errors
    /// [`ExtendError::TimeStamp`], [`ExtendError::Pades`] if it is over something else.
    pub fn with_time_stamp(self, token: &Token) -> Result<Self, ExtendError> {
        let time = self.time;
        let kind = match self.kind {
            Kind::Pdf(signed) => Kind::Pdf(Box::new(signed.with_time_stamp(token)?)),
            Kind::Container(files, signature) => {
                let (algorithm, imprint) = token.imprint();
                let algorithm = algorithm.ok_or(TspError::WrongImprint)?;
                if baseline::value_digest(&signature, algorithm)? != *imprint {
                    return Err(TspError::WrongImprint.into());
                }
                let stamped = baseline::with_time_stamp(&signature, token.der())?;
                Kind::Container(files, stamped)
            }
        };
        Ok(SignedDocument { kind, time })
    }

    /// The document.
    ///
    /// # Errors
    /// Should a container not be writable.
    pub fn into_bytes(self) -> Result<Vec<u8>, ExtendError> {
        match self.kind {
            Kind::Pdf(signed) => Ok(signed.into_bytes()),
            Kind::Container(mut files, signature) => {
                files.add_signature(signature);
                Ok(files.write(self.time)?)
            }
        }
    }
}
