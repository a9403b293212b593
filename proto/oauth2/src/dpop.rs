//! Proof of possession (RFC 9449).

use jose::{Expected, Jwk, Jws, same_secret, sha256_base64url};
use time::{Duration, OffsetDateTime};

use crate::error::{ErrorCode, OauthError};
use crate::nonce::DpopNonces;

/// How long a proof is accepted after it was made (section 11.1).
pub const PROOF_LASTS: Duration = Duration::minutes(2);
const MAX_ID: usize = 256;

/// Why a proof proves nothing. The fault is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is in its message")]
pub enum DpopError {
    #[error("the DPoP proof is not a JWS with a public key in its header")]
    Form,
    #[error("the DPoP proof does not verify with the key in its header")]
    Signature,
    #[error("the DPoP proof is not valid: {0}")]
    Claims(jose::ClaimsError),
    #[error("the DPoP proof is for another method or address (htm, htu)")]
    Target,
    #[error("the DPoP proof is for another access token (ath)")]
    Token,
    #[error("the DPoP proof needs the nonce of this answer's DPoP-Nonce")]
    Nonce,
    #[error("the DPoP proof needs a jti of at most {MAX_ID} bytes")]
    Id,
}

impl From<DpopError> for OauthError {
    fn from(error: DpopError) -> Self {
        let code = match error {
            DpopError::Nonce => ErrorCode::UseDpopNonce,
            _ => ErrorCode::InvalidDpopProof,
        };
        Self::new(code, error)
    }
}

/// A proof that verified. Only [`DpopProof::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopProof {
    thumbprint: String,
    id: String,
    expires: OffsetDateTime,
}

/// The value of `ath` for an access token (section 4.2).
#[must_use]
pub fn access_token_hash(token: &str) -> String {
    sha256_base64url(token.as_bytes())
}

impl DpopProof {
    /// Checks a proof as section 4.3 lists it: form, type, key, signature, method, address, time, the access token
    /// it goes with, and the server's nonce. `uris` are the addresses of the endpoint as the server publishes them.
    ///
    /// # Errors
    /// See [`DpopError`].
    pub fn verify(
        text: &str,
        method: &str,
        uris: &[&str],
        access_token: Option<&str>,
        nonces: &DpopNonces,
        now: OffsetDateTime,
    ) -> Result<Self, DpopError> {
        let (proof, nonce) = Self::but_for_nonce(text, method, uris, access_token, now)?;
        // Last, so that a new proof with the nonce is all that is missing.
        if nonce.is_some_and(|nonce| nonces.takes(&nonce, now)) {
            Ok(proof)
        } else {
            Err(DpopError::Nonce)
        }
    }

    fn but_for_nonce(
        text: &str,
        method: &str,
        uris: &[&str],
        access_token: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(Self, Option<String>), DpopError> {
        let jws = Jws::decode(text).map_err(|_| DpopError::Form)?;
        let key = jws.header().jwk.as_ref().ok_or(DpopError::Form)?;
        let key = Jwk::from_value(key).map_err(|_| DpopError::Form)?;
        let verified = jws.verify(&key).map_err(|_| DpopError::Signature)?;
        if !crate::client::is_strong(&verified) {
            return Err(DpopError::Form);
        }
        let valid = verified
            .validate(&Expected {
                types: &["dpop+jwt"],
                issuer: None,
                audience: None,
                now,
                lasts: PROOF_LASTS,
                needs_expiry: false,
            })
            .map_err(DpopError::Claims)?;
        let claims = valid.claims();
        let target = claims.text("htu").and_then(without_query);
        if claims.text("htm") != Some(method)
            || target.is_none()
            || !uris.iter().any(|uri| without_query(uri) == target)
        {
            return Err(DpopError::Target);
        }
        match (access_token, claims.text("ath")) {
            (Some(token), Some(hash))
                if same_secret(access_token_hash(token).as_bytes(), hash.as_bytes()) => {}
            (None, _) => {}
            _ => return Err(DpopError::Token),
        }
        let id = claims.id.clone().ok_or(DpopError::Id)?;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(DpopError::Id);
        }
        let issued = claims.issued.unwrap_or(now);
        let proof = Self {
            thumbprint: key.thumbprint(),
            id,
            expires: issued + PROOF_LASTS + jose::LEEWAY,
        };
        Ok((proof, claims.text("nonce").map(str::to_owned)))
    }

    /// The key's thumbprint, `jkt` (section 6.1).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The proof's `jti`, which is taken once until [`Self::expires`] (section 11.1).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the proof can be forgotten.
    #[must_use]
    pub const fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}

/// An address without query and fragment, scheme and host in lower case and the scheme's own port left out (section
/// 4.3, item 9).
fn without_query(uri: &str) -> Option<String> {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let (scheme, rest) = uri.get(..end)?.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9449 section 4.1, and section 7.1 with its access token.
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_562_262_616 + seconds).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_and_what_is_wrong_elsewhere() {
        let uri = "https://server.example.com/token";
        let check = |method, uri: &str, token, seconds| {
            DpopProof::but_for_nonce(
                PROOF,
                method,
                &["https://x.example", uri],
                token,
                at(seconds),
            )
        };
        let (proof, nonce) = check("POST", uri, None, 0).unwrap();
        assert_eq!(nonce, None);
        assert_eq!(
            proof.thumbprint(),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
        assert_eq!(proof.id(), "-BwC3ESc6acc2lTc");
        let same = "HTTPS://Server.Example.com:443/token?x=1#y";
        assert!(check("POST", same, None, 60).is_ok());
        let nonces = DpopNonces::new(&[1; 32]);
        let found = DpopProof::verify(PROOF, "POST", &[uri], None, &nonces, at(0));
        assert_eq!(found.unwrap_err(), DpopError::Nonce);
        for (method, uri, token, seconds, error) in [
            ("GET", uri, None, 0, DpopError::Target),
            (
                "POST",
                "https://server.example.com/Token",
                None,
                0,
                DpopError::Target,
            ),
            (
                "POST",
                "http://server.example.com/token",
                None,
                0,
                DpopError::Target,
            ),
            (
                "POST",
                "https://other.example.com/token",
                None,
                0,
                DpopError::Target,
            ),
            ("POST", uri, Some("token"), 0, DpopError::Token),
            (
                "POST",
                uri,
                None,
                151,
                DpopError::Claims(jose::ClaimsError::TooLong),
            ),
            (
                "POST",
                uri,
                None,
                -31,
                DpopError::Claims(jose::ClaimsError::NotYet),
            ),
        ] {
            let found = check(method, uri, token, seconds);
            assert_eq!(found.unwrap_err(), error, "{method} {uri} {seconds}");
        }
        for end in 0..PROOF.len() {
            let found = DpopProof::but_for_nonce(&PROOF[..end], "POST", &[uri], None, at(0));
            assert!(found.is_err());
        }
    }

    #[test]
    fn the_hash_of_an_access_token_is_the_standards() {
        assert_eq!(
            access_token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
        );
    }
}
