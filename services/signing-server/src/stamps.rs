//! Time-stamps: `signatures/timestamp` (CSC API section 11.13), and those of signatures that are to be of level B-T.

use csc::{CscError, SHA256, TimestampRequest, TimestampResponse, from_base64, to_base64};
use http::StatusCode;
use pki::tsp::{Request, Token};
use pki::{Digest, DigestAlgorithm, cms};
use tokio::runtime::Handle;
use transport::validation_data::Sources;

use crate::SigningServer;
use crate::call::{Call, Reply};
use crate::credentials::answered;
use crate::oauth::Caller;

/// Longest nonce, in bytes.
const LONGEST_NONCE: usize = 32;

/// A time-stamping authority, asked from threads that may block.
#[derive(Debug, Clone)]
pub struct Stamps {
    sources: Sources,
    runtime: Handle,
}

impl Stamps {
    /// Asks these sources, driven by this runtime.
    #[must_use]
    pub const fn new(sources: Sources, runtime: Handle) -> Self {
        Self { sources, runtime }
    }

    fn stamp(&self, request: Request) -> Result<Token, CscError> {
        let none = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "no time-stamp");
            CscError::new(
                503,
                "temporarily_unavailable",
                "The time-stamping authority does not answer; try again later",
            )
        };
        let wanted = request.imprint;
        let token = self
            .runtime
            .block_on(self.sources.stamp(request))
            .map_err(|error| none(&error))?;
        if token.imprint() == (Some(DigestAlgorithm::Sha256), &wanted) {
            Ok(token)
        } else {
            Err(none(&"it is over something else"))
        }
    }

    /// A signature with a time-stamp over its value.
    pub(crate) fn stamped(&self, signature: &[u8]) -> Result<Vec<u8>, CscError> {
        let broken = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a signature could not take its time-stamp");
            CscError::new(500, "server_error", "The service fails")
        };
        let signature = cms::Signature::decode(signature).map_err(|error| broken(&error))?;
        let algorithm = DigestAlgorithm::Sha256;
        let request = Request::new(algorithm, algorithm.digest(signature.value()));
        let token = self.stamp(request)?;
        let stamped = signature.with_time_stamp(token.der());
        Ok(stamped.map_err(|error| broken(&error))?.der().to_vec())
    }
}

impl SigningServer {
    pub(crate) fn timestamp(&self, call: &Call<'_>, stamps: &Stamps) -> Result<Reply, CscError> {
        let Caller::Service(_) = self.caller(call)? else {
            return Err(CscError::new(
                401,
                "invalid_token",
                "The access token is for one credential only",
            ));
        };
        let request: TimestampRequest = CscError::reading(call.body.as_bytes())?;
        if request.hash_algorithm != SHA256 {
            return Err(CscError::invalid("Invalid parameter hashAlgo"));
        }
        let hash = from_base64(&request.hash)
            .ok_or_else(|| CscError::invalid("Invalid Base64 hash string parameter"))?;
        let digest = Digest::from_bytes(&hash)
            .filter(|_| hash.len() == 32)
            .ok_or_else(|| CscError::invalid("Invalid digest value length"))?;
        let mut asked = Request::new(DigestAlgorithm::Sha256, digest);
        if let Some(nonce) = &request.nonce {
            let nonce = hex::decode(nonce)
                .ok()
                .filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len()))
                .ok_or_else(|| CscError::invalid("Invalid parameter nonce"))?;
            asked = asked.with_nonce(&nonce);
        }
        let token = stamps.stamp(asked)?;
        let response = TimestampResponse {
            timestamp: to_base64(token.der()),
        };
        Ok(answered(StatusCode::OK, &response))
    }
}
