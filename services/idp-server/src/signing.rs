//! The signing service is told of frozen and recovered accounts: `POST /people/freeze` and `POST /people/recovered`,
//! with a token that the identity provider gets by `private_key_jwt`. What it has not taken waits in the database and is
//! said again. It is asked in turn what changed for whom, `POST /people/changes`, because the addresses of people are here.

use http::{Request, StatusCode};
use id_registry::PersonalNumber;
use jose::SigningKey;
use oidc_provider::{NoticeKind, SigningChange, SigningWord, Word};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transport::{Body, HttpClient, RequestOptions};

/// Longest answer, in bytes.
const LONGEST: usize = 64 * 1024;

/// What changed, as it comes.
#[derive(Deserialize)]
struct Changes {
    changes: Vec<Change>,
    after: u64,
}

#[derive(Deserialize)]
struct Change {
    place: u64,
    number: PersonalNumber,
    changed: Changed,
    #[serde(with = "time::serde::timestamp")]
    at: OffsetDateTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Changed {
    Device,
    Certificates,
}

/// The signing service, as it is called.
#[derive(Debug, Clone)]
pub struct SigningService {
    /// Calls it.
    pub http: HttpClient,
    /// With this TLS.
    pub options: RequestOptions,
    /// Its address, without a slash at the end.
    pub url: String,
    /// The client of it that the identity provider is.
    pub client: String,
    /// The key that proves it.
    pub key: SigningKey,
}

impl SigningService {
    async fn post(
        &self,
        path: &str,
        kind: &str,
        token: Option<&str>,
        body: String,
    ) -> Result<(StatusCode, Vec<u8>), String> {
        let mut request = Request::post(format!("{}{path}", self.url)).header("content-type", kind);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Body::full(body))
            .map_err(|error| error.to_string())?;
        let answer = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect(LONGEST)
            .await
            .map_err(|error| error.to_string())?;
        Ok((status, body.to_vec()))
    }

    /// A token for a few minutes.
    ///
    /// # Errors
    /// In words, why there is none.
    pub async fn token(&self) -> Result<String, String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let id = jose::to_base64url(&random);
        let now = OffsetDateTime::now_utc();
        let proof = oauth2::client_authentication(&self.key, &self.client, &self.url, &id, now)
            .map_err(|error| error.to_string())?;
        let mut parameters = vec![("grant_type", "client_credentials")];
        parameters.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
        let form = oauth2::form(&parameters);
        let kind = "application/x-www-form-urlencoded";
        let (status, body) = self.post("/oauth2/token", kind, None, form).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        match value["access_token"].as_str() {
            Some(token) if status == StatusCode::OK => Ok(token.to_owned()),
            _ => Err(format!("it gives no token: status {status}")),
        }
    }

    /// What changed after a place of its record, and up to which place that is all.
    ///
    /// # Errors
    /// In words, why it does not say.
    pub async fn changes(
        &self,
        token: &str,
        after: u64,
    ) -> Result<(Vec<SigningChange>, u64), String> {
        let path = "/people/changes";
        let asked = json!({ "after": after }).to_string();
        let (status, body) = self
            .post(path, "application/json", Some(token), asked)
            .await?;
        if status != StatusCode::OK {
            return Err(format!("{path}: status {status}"));
        }
        let found: Changes =
            serde_json::from_slice(&body).map_err(|error| format!("{path}: {error}"))?;
        let changes = found.changes.into_iter().map(|change| SigningChange {
            place: change.place,
            person: change.number,
            notice: match change.changed {
                Changed::Device => NoticeKind::SigningDevice,
                Changed::Certificates => NoticeKind::SigningCertificates,
            },
            at: change.at,
        });
        Ok((changes.collect(), found.after))
    }

    /// Says one word.
    ///
    /// # Errors
    /// In words, why it was not taken.
    pub async fn tell(&self, token: &str, word: &SigningWord) -> Result<(), String> {
        let number = word.person.as_str();
        let (path, body) = match word.word {
            Word::Frozen => ("/people/freeze", json!({ "number": number })),
            Word::Recovered => {
                let at = word
                    .at
                    .format(&Rfc3339)
                    .map_err(|error| error.to_string())?;
                ("/people/recovered", json!({ "number": number, "at": at }))
            }
        };
        let (status, _) = self
            .post(path, "application/json", Some(token), body.to_string())
            .await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{path}: status {status}"))
        }
    }
}
