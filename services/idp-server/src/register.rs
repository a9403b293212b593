//! The population register over the exchange: REST through the identity provider's own Security Server.
//!
//! | asked | for |
//! |---|---|
//! | `POST /persons` | claims of `profile` and `address` |
//! | `POST /persons/represented-by` | whether somebody acts for somebody, as parent or guardian, or may by a mandate |
//! | `POST /persons/portrait` | the portrait that an officer compares |
//! | `GET /changes` | whose record changed: of those who have an account it is asked whether they died, or the number was given up |
//!
//! `X-Road-UserId` is the number of the person, or the account of the officer, who caused the question. Somebody whom
//! the register does not show is somebody of whom nothing is known. A register that does not answer stops what rests on
//! it; it never becomes a yes.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use id_registry::{PersonalNumber, Theme};
use oidc_provider::{Failure, Fate, Heard, Provider, Relations, Seed, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{Date, OffsetDateTime};
use tokio::runtime::Handle;
use transport::{Body, HttpClient, RequestOptions};
use xroad_id::{ClientId, ServiceId};

use crate::oauth::PersonClaims;
use crate::pages::Register;

/// Longest description of a person, in bytes.
const LONGEST_RECORD: usize = 64 * 1024;
/// Largest portrait, in bytes.
const LARGEST_PORTRAIT: usize = 30 * 1024;
/// Longest list of those whose records changed, in bytes.
const LONGEST_LIST: usize = 1024 * 1024;
/// Whose question it is when nobody caused it but an act of the register itself.
const NOBODY: &str = "identity-provider";
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The register. Asked from threads that may block.
pub struct ExchangeRegister {
    http: HttpClient,
    options: RequestOptions,
    base: String,
    client: String,
    runtime: Handle,
}

impl std::fmt::Debug for ExchangeRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeRegister")
            .field("base", &self.base)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl ExchangeRegister {
    /// The register's `service`, asked by `client` through the Security Server at an address, with the TLS in
    /// `options`. Inside a runtime.
    #[must_use]
    pub fn new(
        http: HttpClient,
        options: RequestOptions,
        security_server: &str,
        client: &ClientId,
        service: &ServiceId,
    ) -> Self {
        Self {
            http,
            options: options
                .with_timeouts(PATIENCE / 2, PATIENCE)
                .with_total(PATIENCE),
            base: format!("{security_server}/r1/{}", service.path()),
            client: client.path(),
            runtime: Handle::current(),
        }
    }

    /// Asks about somebody; none if the register says that there is nobody, or nothing, for this client.
    fn ask(
        &self,
        path: &str,
        question: &Value,
        user: &str,
        kind: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        // Numbers are in the body: the servers on the way keep paths.
        let request = Request::post(format!("{}{path}", self.base))
            .header("X-Road-UserId", user)
            .header("Accept", kind)
            .header("Content-Type", "application/json")
            .body(Body::full(question.to_string()));
        self.send(request, limit)
    }

    fn send(
        &self,
        request: http::Result<Request<Body>>,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut request = request.map_err(|error| unavailable(error.to_string()))?;
        let client =
            HeaderValue::from_str(&self.client).map_err(|error| unavailable(error.to_string()))?;
        request.headers_mut().insert("X-Road-Client", client);
        let asking = async {
            let answer = self
                .http
                .request(request, &self.options)
                .await
                .map_err(|error| unavailable(error.to_string()))?;
            let status = answer.status();
            // A fault of the exchange also comes with a status; only the register itself says that there is nobody.
            let fault = answer.headers().get("X-Road-Error").cloned();
            let body = answer
                .into_body()
                .collect(limit)
                .await
                .map_err(|error| unavailable(error.to_string()))?;
            match (status, fault) {
                (StatusCode::OK, None) => Ok(Some(body.to_vec())),
                (StatusCode::NOT_FOUND | StatusCode::CONFLICT, None) => Ok(None),
                (status, fault) => {
                    let fault = fault
                        .as_ref()
                        .and_then(|fault| fault.to_str().ok())
                        .unwrap_or_default();
                    Err(unavailable(format!("status {status} {fault}")))
                }
            }
        };
        self.runtime.block_on(asking)
    }

    fn record(
        &self,
        path: &str,
        question: &Value,
        user: &str,
    ) -> Result<Option<Value>, StoreError> {
        let Some(body) = self.ask(path, question, user, "application/json", LONGEST_RECORD)? else {
            return Ok(None);
        };
        read(&body).map(Some)
    }

    /// Of whom something is told; nothing of somebody who died.
    fn living(&self, person: &PersonalNumber, user: &str) -> Result<Option<Value>, StoreError> {
        let record = self.record("/persons", &about(person), user)?;
        Ok(record.filter(|record| record["diedOn"].is_null()))
    }

    /// Hears what became of people with accounts, in the next part of the register's record; gives whether there are later
    /// parts. Again after an error.
    ///
    /// # Errors
    /// The register does not answer, or the identity provider's database fails.
    pub fn follow(&self, provider: &Provider) -> Result<bool, Failure> {
        let after = provider.heard_up_to(Heard::Register)?;
        let request = Request::get(format!("{}/changes?after={after}", self.base))
            .header("X-Road-UserId", NOBODY)
            .header("Accept", "application/json")
            .body(Body::empty());
        let Some(list) = self.send(request, LONGEST_LIST)? else {
            return Err(unavailable("there are no changes for this client".to_owned()).into());
        };
        let list: Changes = read(&list)?;
        for changed in list.changes {
            let person = changed.number;
            if !provider.has_account(person)? {
                continue;
            }
            let Some(record) = self.record("/persons", &about(&person), NOBODY)? else {
                continue;
            };
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|error| unavailable(error.to_string()))?;
            let (now, seed) = (OffsetDateTime::now_utc(), Seed::new(random));
            if let Ok(kept) = serde_json::from_value(record["number"].clone())
                && kept != person
            {
                provider.became(person, Fate::Kept(kept), now, &seed)?;
            }
            if !record["diedOn"].is_null() {
                provider.became(person, Fate::Died, now, &seed)?;
            }
        }
        provider.heard_register(list.last)?;
        Ok(list.more)
    }

    /// What is said of somebody who would act for somebody else.
    fn represented(
        &self,
        subject: PersonalNumber,
        actor: PersonalNumber,
        theme: Theme,
    ) -> Result<Option<Value>, StoreError> {
        let question = json!({ "number": subject, "actor": actor, "theme": theme });
        self.record("/persons/represented-by", &question, actor.as_str())
    }

    /// The portrait of a person, a JPEG, for an officer who compares it; none if there is none to be shown. That it was
    /// released is on the person's record.
    ///
    /// # Errors
    /// The register does not answer.
    pub fn portrait(
        &self,
        person: &PersonalNumber,
        officer: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (path, kind) = ("/persons/portrait", "image/jpeg");
        self.ask(path, &about(person), officer, kind, LARGEST_PORTRAIT)
    }
}

/// Whose records changed, as it comes.
#[derive(Deserialize)]
struct Changes {
    last: u64,
    more: bool,
    changes: Vec<Changed>,
}

#[derive(Deserialize)]
struct Changed {
    number: PersonalNumber,
}

fn unavailable(why: String) -> StoreError {
    StoreError::Unavailable(format!("the population register: {why}"))
}

fn read<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(answer)
        .map_err(|_| unavailable("its answer is not what is expected".to_owned()))
}

/// The question about somebody.
fn about(person: &PersonalNumber) -> Value {
    json!({ "number": person })
}

impl Register for ExchangeRegister {
    fn name(
        &self,
        person: &PersonalNumber,
        by: &PersonalNumber,
    ) -> Result<Option<String>, StoreError> {
        let record = self.living(person, by.as_str())?;
        let scopes = BTreeSet::from(["profile".to_owned()]);
        let claims = record.map(|record| claims_of(&record, &scopes));
        Ok(claims.and_then(|claims| claims.get("name")?.as_str().map(str::to_owned)))
    }

    fn portrait(
        &self,
        person: &PersonalNumber,
        by: &PersonalNumber,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        ExchangeRegister::portrait(self, person, by.as_str())
    }
}

impl Relations for ExchangeRegister {
    fn may_act(
        &self,
        actor: PersonalNumber,
        subject: PersonalNumber,
        theme: Theme,
        _on: Date,
    ) -> Result<bool, StoreError> {
        let record = self.represented(subject, actor, theme)?;
        Ok(record.is_some_and(|record| record["mayAct"] == true))
    }

    fn may_hold_mandate(
        &self,
        holder: PersonalNumber,
        giver: PersonalNumber,
    ) -> Result<bool, StoreError> {
        let record = self.represented(giver, holder, Theme::Identity)?;
        Ok(record.is_some_and(|record| record["mayHoldMandate"] == true))
    }
}

impl PersonClaims for ExchangeRegister {
    fn claims(
        &self,
        person: &PersonalNumber,
        scopes: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError> {
        if !scopes.contains("profile") && !scopes.contains("address") {
            return Ok(Map::new());
        }
        let record = self.living(person, person.as_str())?;
        Ok(record.map_or_else(Map::new, |record| claims_of(&record, scopes)))
    }
}

/// The claims of OpenID Connect Core 5.1 in a person's description. Names are in Cyrillic letters, as the register has
/// them; as a passport prints them they are under the language tag `ky-Latn` (Core 5.2).
fn claims_of(record: &Value, scopes: &BTreeSet<String>) -> Map<String, Value> {
    let mut claims = Map::new();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if scopes.contains("profile") {
        for (claim, field) in [
            ("family_name", "familyName"),
            ("given_name", "givenName"),
            ("middle_name", "patronymic"),
        ] {
            let name = &record[field];
            for (script, tag) in [("cyrillic", ""), ("latin", "#ky-Latn"), ("russian", "#ru")] {
                if let Some(name) = text(&name[script]).filter(|name| !name.is_empty()) {
                    claims.insert(format!("{claim}{tag}"), name.into());
                }
            }
        }
        for tag in ["", "#ky-Latn"] {
            let parts: Vec<&str> = ["family_name", "given_name", "middle_name"]
                .iter()
                .filter_map(|claim| claims.get(&format!("{claim}{tag}"))?.as_str())
                .collect();
            if !parts.is_empty() {
                let whole = parts.join(" ");
                claims.insert(format!("name{tag}"), whole.into());
            }
        }
        if let Some(day) = text(&record["bornOn"]) {
            claims.insert("birthdate".to_owned(), day.into());
        }
        match record["sex"].as_str() {
            Some("F") => claims.insert("gender".to_owned(), "female".into()),
            Some("M") => claims.insert("gender".to_owned(), "male".into()),
            _ => None,
        };
    }
    let address = &record["address"];
    if scopes.contains("address") && address.is_object() {
        let part = |name: &str| address[name].as_str().unwrap_or_default();
        let mut street = format!("{} {}", part("street"), part("house"));
        if !part("flat").is_empty() {
            street.push_str(&format!("-{}", part("flat")));
        }
        let street = street.trim().to_owned();
        let mut places = vec![
            street.as_str(),
            part("locality"),
            part("district"),
            part("oblast"),
        ];
        places.retain(|place| !place.is_empty());
        places.dedup();
        claims.insert(
            "address".to_owned(),
            json!({
                "formatted": places.join(", "),
                "street_address": street,
                "locality": part("locality"),
                "region": part("oblast"),
                "country": "KG",
            }),
        );
    }
    claims
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn scopes(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn resident() -> Value {
        json!({
            "number": "21705199000017", "sex": "F", "bornOn": "1990-05-17",
            "familyName": { "cyrillic": "Асанова", "latin": "Asanova" },
            "givenName": { "cyrillic": "Айзада", "latin": "Aizada" },
            "address": { "unit": "41", "oblast": "Бишкек", "district": "Бишкек", "locality": "Бишкек",
                "street": "Манас", "house": "7", "flat": "12" },
        })
    }

    #[test]
    fn claims_are_those_of_the_scopes() {
        let claims = claims_of(&resident(), &scopes(&["profile"]));
        assert_eq!(claims["family_name"], "Асанова");
        assert_eq!(claims["family_name#ky-Latn"], "Asanova");
        assert_eq!(claims["name"], "Асанова Айзада");
        assert_eq!(claims["name#ky-Latn"], "Asanova Aizada");
        assert_eq!(claims["birthdate"], "1990-05-17");
        assert_eq!(claims["gender"], "female");
        assert!(!claims.contains_key("middle_name") && !claims.contains_key("address"));
        let claims = claims_of(&resident(), &scopes(&["address"]));
        assert_eq!(claims["address"]["formatted"], "Манас 7-12, Бишкек");
        assert_eq!(claims.len(), 1);
    }

    #[test]
    fn the_metadata_names_every_claim_of_the_register() {
        let mut record = resident();
        record["patronymic"] = json!({ "cyrillic": "Асановна", "latin": "Asanovna" });
        let metadata = oauth2::metadata("https://id.example", None, &[], &[]);
        let offered = metadata["claims_supported"].as_array().unwrap();
        let claims = claims_of(&record, &scopes(&["profile", "address"]));
        assert!(claims.contains_key("middle_name") && claims.contains_key("address"));
        for claim in claims.keys() {
            let name = claim.split('#').next().unwrap();
            assert!(offered.iter().any(|offered| offered == name), "{name}");
        }
    }

    #[test]
    fn what_the_register_withholds_is_no_claim() {
        let claims = claims_of(&json!({ "number": "1" }), &scopes(&["profile", "address"]));
        assert!(claims.is_empty());
    }
}
