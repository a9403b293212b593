//! `signatures/signHash` and `signatures/signDoc` (CSC API sections 11.10, 11.11).

use csc::{
    CscError, DocumentDigests, SignDocRequest, SignDocResponse, SignHashRequest, SignHashResponse,
    to_base64,
};
use http::StatusCode;
use pki::cms::{self, SignedAttributes};
use pki::{Certificate, Digest};
use server_signing::{ALGORITHM, Sad};

use crate::SigningServer;
use crate::call::{Call, Reply};
use crate::credentials::{answered, failed};
use crate::oauth::Caller;
use crate::stamps::Stamps;

impl SigningServer {
    /// Whose authorisation a call uses: a credential token stands for itself, or as `SAD` beside a service token of the
    /// same client.
    fn authorised(
        &self,
        call: &Call<'_>,
        caller: &Caller<'_>,
        presented: Option<&str>,
        wanted: &str,
    ) -> Result<(String, Sad), CscError> {
        let beside;
        let token = match (caller, presented) {
            (Caller::Credential { .. }, _) => caller,
            (Caller::Service(_), Some(text)) => {
                beside = self.presented_sad(text, call.now)?;
                &beside
            }
            (Caller::Service(_), None) => {
                return Err(CscError::invalid(
                    "Missing (or invalid type) string parameter SAD",
                ));
            }
        };
        match token {
            Caller::Credential {
                client,
                credential,
                sad,
            } if client.id == caller.client().id => {
                if credential == wanted {
                    Ok((client.id.clone(), sad.clone()))
                } else {
                    Err(CscError::invalid("Invalid parameter credentialID"))
                }
            }
            _ => Err(CscError::invalid("Invalid parameter SAD")),
        }
    }

    pub(crate) fn sign_hash(&self, call: &Call<'_>) -> Result<Reply, CscError> {
        let caller = self.caller(call)?;
        let request: SignHashRequest = CscError::reading(call.body.as_bytes())?;
        let hashes = request.hashes()?;
        let (client, sad) =
            self.authorised(call, &caller, request.sad.as_deref(), &request.credential)?;
        let signatures = self
            .signing
            .release(&client, &sad, &request.credential, &hashes, call.now)
            .map_err(failed)?;
        let response = SignHashResponse {
            signatures: signatures
                .iter()
                .map(|signature| to_base64(signature))
                .collect(),
        };
        Ok(answered(StatusCode::OK, &response))
    }

    /// Signatures in CMS, level B-B, over the digests of documents: of the byte ranges of PDF files with room for them
    /// (PAdES), or of whole files (CAdES, detached).
    pub(crate) fn sign_doc(&self, call: &Call<'_>) -> Result<Reply, CscError> {
        let caller = self.caller(call)?;
        let request: SignDocRequest = CscError::reading(call.body.as_bytes())?;
        if request
            .operation_mode
            .as_deref()
            .is_some_and(|mode| mode != "S")
        {
            return Err(CscError::invalid("Invalid parameter operationMode"));
        }
        if !request.documents.is_empty() {
            // The person confirmed a digest, so a digest comes: what is put into the document around it is not theirs.
            return Err(CscError::invalid(
                "Invalid array parameter documents: send documentDigests",
            ));
        }
        if request.digests.is_empty() {
            return Err(CscError::invalid(
                "Empty documentDigests and documents objects",
            ));
        }
        let mut hashes = Vec::new();
        let mut stamps = Vec::new();
        for digests in &request.digests {
            let stamped = self.level(digests)?;
            let listed = digests.hashes()?;
            stamps.resize(stamps.len() + listed.len(), stamped);
            hashes.extend(listed);
        }
        let wanted = match (&request.credential, &caller) {
            (Some(credential), _) | (None, Caller::Credential { credential, .. }) => credential,
            (None, Caller::Service(_)) => {
                return Err(CscError::invalid(
                    "Missing (or invalid type) string parameter credentialID",
                ));
            }
        };
        let (client, sad) = self.authorised(call, &caller, request.sad.as_deref(), wanted)?;
        let values = self
            .signing
            .release_for_cms(&client, &sad, wanted, &hashes, call.now)
            .map_err(failed)?;
        let certificate = self.signing.credential(wanted).map_err(failed)?.certificate;
        let mut signatures = Vec::with_capacity(hashes.len());
        for ((hash, value), stamps) in hashes.iter().zip(&values).zip(stamps) {
            let mut signature = self
                .put_together(hash, value, &certificate)
                .map_err(|error| {
                    tracing::error!(error, "a signature could not be put together");
                    CscError::new(500, "server_error", "The service fails")
                })?;
            if let Some(stamps) = stamps {
                signature = stamps.stamped(&signature)?;
            }
            signatures.push(to_base64(&signature));
        }
        let response = SignDocResponse {
            signatures,
            ..SignDocResponse::default()
        };
        Ok(answered(StatusCode::OK, &response))
    }

    /// A signature in CMS of its value, with the certificates above the signer's.
    fn put_together(
        &self,
        hash: &[u8],
        value: &[u8],
        certificate: &Certificate,
    ) -> Result<Vec<u8>, &'static str> {
        let digest = Digest::from_bytes(hash).ok_or("no digest")?;
        let attributes =
            SignedAttributes::new(&digest, certificate, ALGORITHM).map_err(|_| "no attributes")?;
        cms::build(&attributes, certificate, &self.authorities, value).map_err(|_| "no signature")
    }

    /// Who stamps a signature of the level that is wanted; refuses formats and levels that are not offered.
    fn level(&self, digests: &DocumentDigests) -> Result<Option<&Stamps>, CscError> {
        let property = digests.signed_envelope_property.as_deref();
        let fits = match digests.signature_format.as_str() {
            "P" => property.is_none_or(|property| property == "Revision"),
            "C" => property == Some("Detached"),
            _ => return Err(CscError::invalid("Invalid parameter signature_format")),
        };
        if !fits {
            return Err(CscError::invalid(
                "Invalid parameter signed_envelope_property",
            ));
        }
        let level = digests.conformance_level.as_deref().unwrap_or("AdES-B-B");
        match &self.stamps {
            _ if level.eq_ignore_ascii_case("AdES-B-B") => Ok(None),
            Some(stamps) if level.eq_ignore_ascii_case("AdES-B-T") => Ok(Some(stamps)),
            _ => Err(CscError::invalid("Invalid parameter conformance_level")),
        }
    }
}
