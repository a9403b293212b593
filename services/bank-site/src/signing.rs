//! Signatures of people from the signing service, by the Cloud Signature Consortium's API (version 2).
//!
//! The service shows the person what is signed, on its own pages, and gives a signature for exactly the hash that the
//! person confirmed there. This site never holds a key of a person.

use csc::{
    AuthorizationDetail, BASE_PATH, CREDENTIAL, Certificates, CredentialsListRequest,
    CredentialsListResponse, CscError, DocumentDigest, ECDSA_WITH_SHA256, SHA256, SignHashRequest,
    SignHashResponse, from_base64, to_base64,
};
use document_signature::SigningCertificate;
use http::Request;
use id_registry::PersonalNumber;
use jose::{SigningKey, same_secret};
use oauth2::{Challenge, Parameters, client_authentication, form};
use pki::{Certificate, DigestAlgorithm, SignatureAlgorithm};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transport::{Body, HttpClient, RequestOptions};

use crate::asking::ask;
use crate::random::{NoRandomness, random_text};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// Most credentials that are looked at.
const MOST_CREDENTIALS: usize = 20;

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The person, or the service for them, said no.
    #[error("the signing service answered {0}")]
    Refused(String),
    /// The browser's answer is not one to our question.
    #[error("the answer is to no question of this browser: {0}")]
    Foreign(&'static str),
    /// The service says nothing usable.
    #[error("the signing service's {what}: {reason}")]
    Service {
        /// Which endpoint.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// The system gives no randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Our own key does not sign.
    #[error(transparent)]
    Key(#[from] pki::SignError),
}

/// A key of a person at the service, with its certificate.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its identifier.
    pub id: String,
    /// Its certificate, and how it signs.
    pub certificate: SigningCertificate,
}

/// What a browser was sent away with, to be found again when it comes back.
#[derive(Debug, Clone)]
pub struct Asked {
    credential: String,
    hash: String,
    state: String,
    verifier: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

/// The signing service, seen from this client of it.
pub struct SigningService {
    http: HttpClient,
    options: RequestOptions,
    /// Its origin, which is also the issuer of its tokens.
    origin: String,
    client: String,
    redirect_uri: String,
    key: SigningKey,
}

impl std::fmt::Debug for SigningService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningService")
            .field("origin", &self.origin)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl SigningService {
    /// The service at an origin, where this site is the client `client` with a key and a redirect URI.
    #[must_use]
    pub const fn new(
        http: HttpClient,
        options: RequestOptions,
        origin: String,
        client: String,
        redirect_uri: String,
        key: SigningKey,
    ) -> Self {
        Self {
            http,
            options,
            origin,
            client,
            redirect_uri,
            key,
        }
    }

    async fn send<T: for<'a> Deserialize<'a>>(
        &self,
        what: &'static str,
        path: &str,
        kind: &'static str,
        token: Option<&str>,
        body: String,
    ) -> Result<T, SigningError> {
        let failed = |reason: String| SigningError::Service { what, reason };
        let mut request =
            Request::post(format!("{}{path}", self.origin)).header("content-type", kind);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Body::full(body))
            .map_err(|error| failed(error.to_string()))?;
        let answer = ask(&self.http, &self.options, request)
            .await
            .map_err(failed)?;
        let (status, body) = (answer.status(), answer.into_body());
        if !status.is_success() {
            // Errors of both protocols have the same two members.
            return Err(match serde_json::from_slice::<CscError>(&body) {
                Ok(error) if status.is_client_error() => SigningError::Refused(error.error),
                _ => failed(status.to_string()),
            });
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }

    async fn with_client<T: for<'a> Deserialize<'a>>(
        &self,
        what: &'static str,
        path: &str,
        parameters: &[(&str, &str)],
        now: OffsetDateTime,
    ) -> Result<T, SigningError> {
        let id = random_text()?;
        let proof = client_authentication(&self.key, &self.client, &self.origin, &id, now)?;
        let mut all: Vec<(&str, &str)> = parameters.to_vec();
        all.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
        self.send(what, path, FORM, None, form(&all)).await
    }

    async fn method<Q: Serialize, A: for<'a> Deserialize<'a>>(
        &self,
        method: &'static str,
        token: &str,
        question: &Q,
    ) -> Result<A, SigningError> {
        let body = serde_json::to_string(question).map_err(|error| SigningError::Service {
            what: method,
            reason: error.to_string(),
        })?;
        let path = format!("{BASE_PATH}/{method}");
        self.send(method, &path, JSON, Some(token), body).await
    }

    /// The keys with which a person can sign now.
    ///
    /// # Errors
    /// See [`SigningError`].
    pub async fn credentials(
        &self,
        person: PersonalNumber,
        now: OffsetDateTime,
    ) -> Result<Vec<Credential>, SigningError> {
        let parameters = [("grant_type", "client_credentials"), ("scope", "service")];
        let token: Token = self
            .with_client("token endpoint", "/oauth2/token", &parameters, now)
            .await?;
        let question = CredentialsListRequest {
            user: Some(person.as_str().to_owned()),
            credential_info: true,
            certificates: Certificates::Chain,
            only_valid: true,
            ..CredentialsListRequest::default()
        };
        let found: CredentialsListResponse = self
            .method("credentials/list", &token.access_token, &question)
            .await?;
        let infos = found.infos.unwrap_or_default();
        let usable = infos.into_iter().take(MOST_CREDENTIALS).filter_map(|info| {
            let algorithms = &info.key.algo;
            if info.key.status != "enabled"
                || !algorithms.iter().any(|one| one == ECDSA_WITH_SHA256)
            {
                return None;
            }
            let mut chain = info
                .cert
                .certificates?
                .iter()
                .filter_map(|text| Certificate::decode(&from_base64(text)?).ok())
                .collect::<Vec<_>>()
                .into_iter();
            Some(Credential {
                id: info.credential?,
                certificate: SigningCertificate {
                    certificate: chain.next()?,
                    chain: chain.collect(),
                    algorithm: SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
                },
            })
        });
        Ok(usable.collect())
    }

    /// Pushes a request for one signature; gives where to send the browser, and what to remember.
    ///
    /// # Errors
    /// See [`SigningError`].
    pub async fn ask(
        &self,
        credential: &str,
        document: &str,
        hash: &[u8],
        language: &str,
        now: OffsetDateTime,
    ) -> Result<(String, Asked), SigningError> {
        let asked = Asked {
            credential: credential.to_owned(),
            hash: to_base64(hash),
            state: random_text()?,
            verifier: random_text()?,
        };
        let details = [AuthorizationDetail {
            kind: CREDENTIAL.to_owned(),
            credential: Some(credential.to_owned()),
            documents: vec![DocumentDigest {
                hash: asked.hash.clone(),
                label: Some(document.to_owned()),
            }],
            hash_algorithm: SHA256.to_owned(),
        }];
        let details = serde_json::to_string(&details).map_err(|error| SigningError::Service {
            what: "pushed request",
            reason: error.to_string(),
        })?;
        let challenge = Challenge::of(&asked.verifier);
        let parameters = [
            ("response_type", "code"),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("authorization_details", details.as_str()),
            ("state", asked.state.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let path = "/oauth2/pushed_authorize";
        let pushed: Pushed = self
            .with_client("pushed request", path, &parameters, now)
            .await?;
        let query = form(&[
            ("client_id", self.client.as_str()),
            ("request_uri", pushed.request_uri.as_str()),
            ("lang", language),
        ]);
        Ok((format!("{}/oauth2/authorize?{query}", self.origin), asked))
    }

    /// Takes the answer that a browser brings back, and gives the signature's value, in DER.
    ///
    /// # Errors
    /// See [`SigningError`].
    pub async fn signature(
        &self,
        asked: &Asked,
        answer: &Parameters,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, SigningError> {
        let state = answer.get("state").unwrap_or_default();
        if !same_secret(state.as_bytes(), asked.state.as_bytes()) {
            return Err(SigningError::Foreign("state"));
        }
        // RFC 9207: an answer of another server is not taken to this one.
        if answer.get("iss") != Some(self.origin.as_str()) {
            return Err(SigningError::Foreign("iss"));
        }
        if let Some(error) = answer.get("error") {
            return Err(SigningError::Refused(error.chars().take(100).collect()));
        }
        let code = answer.get("code").ok_or(SigningError::Foreign("code"))?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", asked.verifier.as_str()),
        ];
        let token: Token = self
            .with_client("token endpoint", "/oauth2/token", &parameters, now)
            .await?;
        let question = SignHashRequest {
            credential: asked.credential.clone(),
            sad: None,
            hashes: vec![asked.hash.clone()],
            hash_algorithm: Some(SHA256.to_owned()),
            sign_algorithm: ECDSA_WITH_SHA256.to_owned(),
            operation_mode: None,
        };
        let answer: SignHashResponse = self
            .method("signatures/signHash", &token.access_token, &question)
            .await?;
        let value = match answer.signatures.as_slice() {
            [one] => from_base64(one),
            _ => None,
        };
        value.ok_or(SigningError::Service {
            what: "signatures/signHash",
            reason: "there is not one signature".to_owned(),
        })
    }
}
