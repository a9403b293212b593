//! Which relying party calls, and which key it proves to hold.

use jose::{Jwk, JwkSet, sha256_base64url};
use oauth2::{ClientAssertion, DpopProof, ErrorCode, OauthError, Parameters};
use oidc_provider::{
    ActiveClient, Binding, ClientAuthentication, ClientId, Failure, Profile, Refusal,
};
use pki::Certificate;

use super::reply::failed;
use super::{Call, Oauth};
use crate::certificates::for_clients;

/// A relying party that proved who it is in this call.
pub(super) struct Caller {
    pub(super) client: ActiveClient,
    certificate: Option<String>,
}

impl Caller {
    /// The keys that it registered.
    pub(super) fn keys(&self) -> Result<JwkSet, OauthError> {
        keys(&self.client)
    }

    pub(super) fn id(&self) -> &str {
        self.client.client().id.as_str()
    }
}

fn keys(client: &ActiveClient) -> Result<JwkSet, OauthError> {
    JwkSet::decode(&client.client().form.keys).map_err(|error| {
        OauthError::new(
            ErrorCode::InvalidClient,
            format!("the client's registered keys: {error}"),
        )
    })
}

impl Oauth {
    /// Finds out which relying party calls: by the one way that it registered.
    pub(super) fn caller(
        &self,
        call: &Call<'_>,
        parameters: &Parameters,
    ) -> Result<Caller, OauthError> {
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidClient, why);
        let assertion = ClientAssertion::decode(parameters)?;
        let id = match &assertion {
            Some(assertion) => assertion.client(),
            None => parameters
                .get("client_id")
                .ok_or_else(|| refuse("the client must prove who it is"))?,
        };
        let client = self.provider.client(&ClientId::new(id)).map_err(failed)?;
        let shown = || {
            let why = "the client must present its certificate in TLS";
            call.certificate.ok_or_else(|| refuse(why))
        };
        match &client.client().form.authentication {
            ClientAuthentication::PrivateKeyJwt => {
                let assertion =
                    assertion.ok_or_else(|| refuse("the client must send a client_assertion"))?;
                let proven = assertion.verify(&keys(&client)?, &self.issuer, call.now)?;
                let space = format!("assertion {}", proven.client());
                self.provider
                    .use_once(&space, proven.id(), proven.expires())
                    .map_err(|failure| match failure {
                        Failure::Refused(Refusal::Replay) => {
                            refuse("the client assertion was used before; make a new one")
                        }
                        other => failed(other),
                    })?;
                // Under FAPI 2.0, tokens of a client without DPoP are bound to its certificate (RFC 8705 section 3).
                let binds = client.client().form.profile == Profile::Fapi2;
                Ok(Caller {
                    client,
                    certificate: call.certificate.filter(|_| binds).map(sha256_base64url),
                })
            }
            ClientAuthentication::TlsName { name } => {
                let der = shown()?;
                let authorities = &self.client_authorities;
                let (certificate, _) = for_clients(der, authorities, call.now)
                    .map_err(|why| refuse(&format!("the certificate is not taken: {why}")))?;
                if !name.is_in(&certificate) {
                    return Err(refuse("the certificate does not hold the registered name"));
                }
                Ok(Caller {
                    client,
                    certificate: Some(sha256_base64url(der)),
                })
            }
            ClientAuthentication::TlsKey => {
                let der = shown()?;
                let key = Certificate::decode(der)
                    .ok()
                    .and_then(|certificate| Jwk::from_public_key(certificate.public_key()).ok())
                    .ok_or_else(|| refuse("the certificate holds no P-256 or RSA key"))?;
                if !keys(&client)?
                    .keys()
                    .iter()
                    .any(|known| known.is_same_key(&key))
                {
                    return Err(refuse("the certificate's key is not a registered one"));
                }
                Ok(Caller {
                    client,
                    certificate: Some(sha256_base64url(der)),
                })
            }
        }
    }

    /// The proof of a key that came with a call, if one did. Each is taken once.
    pub(super) fn proof(
        &self,
        call: &Call<'_>,
        token: Option<&str>,
    ) -> Result<Option<Binding>, OauthError> {
        let Some(proof) = self.unused_proof(call, token)? else {
            return Ok(None);
        };
        self.use_proof(&proof)?;
        Ok(Some(bound_to(&proof)))
    }

    /// As [`Oauth::proof`], before it is written that the proof was used.
    pub(super) fn unused_proof(
        &self,
        call: &Call<'_>,
        token: Option<&str>,
    ) -> Result<Option<DpopProof>, OauthError> {
        let Some(text) = call.header("dpop")? else {
            return Ok(None);
        };
        // The endpoint, and the same one at the address for clients with certificates.
        let uris: Vec<String> = [Some(&self.issuer), self.certificates_at.as_ref()]
            .into_iter()
            .flatten()
            .map(|address| format!("{address}{}", call.path))
            .collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        let method = call.method.as_str();
        let proof = DpopProof::verify(text, method, &uris, token, &self.nonces, call.now)?;
        Ok(Some(proof))
    }

    /// Writes that a proof was used.
    pub(super) fn use_proof(&self, proof: &DpopProof) -> Result<(), OauthError> {
        let space = format!("dpop {}", proof.thumbprint());
        self.provider
            .use_once(&space, proof.id(), proof.expires())
            .map_err(|failure| match failure {
                Failure::Refused(Refusal::Replay) => OauthError::new(
                    ErrorCode::InvalidDpopProof,
                    "the DPoP proof was used before; make a new one",
                ),
                other => failed(other),
            })
    }

    /// The key to which tokens of this call are bound: the one of a DPoP proof, or of the client's certificate.
    pub(super) fn binding(
        &self,
        call: &Call<'_>,
        caller: &Caller,
    ) -> Result<Option<Binding>, OauthError> {
        let certificate = caller
            .certificate
            .clone()
            .map(|thumbprint| Binding::Certificate { thumbprint });
        Ok(self.proof(call, None)?.or(certificate))
    }
}

/// What a token is bound to whose holder showed a proof.
pub(super) fn bound_to(proof: &DpopProof) -> Binding {
    Binding::Dpop {
        jkt: proof.thumbprint().to_owned(),
    }
}
