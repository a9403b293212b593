//! A register with an office, the police, a portal and an authority that sees much.

use std::fmt::Display;
use std::sync::Arc;

use config::{IdentityProviderKeys, PopulationAccess, PopulationClient, PushSettings};
use id_registry::{Detail, Event, PersonalNumber, Population, ProtectionKind};
use pki::SoftwareKey;
use serde_json::{Value, json};
use time::OffsetDateTime;
use xroad_id::ServiceId;

use super::{Answer, Running, ask, client, headers};

pub const ZAGS: &str = "KG/GOV/70000020/zags";
pub const POLICE: &str = "KG/GOV/70000021/police";
pub const PORTAL: &str = "KG/GOV/70000022/portal";
pub const READER: &str = "KG/GOV/70000023/reader";
pub const ISSUER: &str = "https://id.localhost:8883";
pub const AUDIENCE: &str = "portal";

/// Everything that a client can be granted to see.
pub const ALL: [Detail; 15] = [
    Detail::Names,
    Detail::Sex,
    Detail::BornOn,
    Detail::BirthPlace,
    Detail::Citizenship,
    Detail::CivilStatus,
    Detail::Relations,
    Detail::Address,
    Detail::ActualAddress,
    Detail::Documents,
    Detail::Portrait,
    Detail::SignatureImage,
    Detail::Death,
    Detail::History,
    Detail::LookUps,
];

pub struct Country {
    pub running: Running,
    pub keys: tempfile::TempDir,
    pub key: jose::SigningKey,
}

pub fn kinds(kinds: &[&str]) -> std::collections::BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

pub fn country_with(push: Option<(PushSettings, ServiceId)>) -> Country {
    let keys = tempfile::tempdir().expect("a folder");
    let key = SoftwareKey::generate(pki::KeyType::EcP256).expect("a key");
    let algorithm = pki::SignatureAlgorithm::Ecdsa(pki::DigestAlgorithm::Sha256);
    let key = key.with_algorithm(algorithm).expect("a common algorithm");
    let key = jose::SigningKey::new(Arc::new(key)).expect("a key that signs");
    let file = keys.path().join("keys.json");
    let set = jose::JwkSet::new(vec![key.public().clone()]);
    std::fs::write(&file, set.to_value().to_string()).expect("written");
    let (settings, service) = push.unzip();
    let reader = PopulationClient {
        verify: true,
        changes: true,
        may_act: true,
        doubles: true,
        push: service,
        ..client(READER, &ALL)
    };
    let mut police = PopulationClient {
        acts: kinds(&Event::OFFICES_ENTER),
        ..client(POLICE, &ALL)
    };
    police.grant.protected = true;
    let access = PopulationAccess {
        clients: vec![
            PopulationClient {
                acts: kinds(&[
                    "birth",
                    "enrolment",
                    "marriage",
                    "divorce",
                    "paternity",
                    "parentalRights",
                    "nameChange",
                    "death",
                    "moved",
                    "imageTaken",
                    "correction",
                    "merge",
                    "distinct",
                    "reversal",
                ]),
                doubles: true,
                ..client(ZAGS, &[Detail::Names])
            },
            police,
            PopulationClient {
                own: Some(AUDIENCE.into()),
                ..client(PORTAL, &[])
            },
            reader,
        ],
        identity_provider: Some(IdentityProviderKeys {
            issuer: ISSUER.into(),
            keys: file,
        }),
        push: settings,
    };
    Country {
        running: super::start(access),
        keys,
        key,
    }
}

pub fn country() -> Country {
    let country = country_with(None);
    // The first question brings the residents in.
    assert_eq!(country.get(READER, "notices?after=0").status, 200);
    country
}

pub fn resident(place: u32) -> id_registry::Resident {
    Population::demonstration().person(place).expect("somebody")
}

impl Country {
    pub fn get(&self, client: &str, path: &str) -> Answer {
        ask(
            self.running.address,
            &format!("GET /population/{path}"),
            &headers(client, "officer 1"),
            b"",
        )
    }

    /// Asks about somebody; `service` is what follows `/persons`.
    pub fn about(&self, client: &str, service: &str, number: impl Display) -> Answer {
        let question = json!({ "number": number.to_string() });
        self.post(client, &format!("persons{service}"), &question.to_string())
    }

    /// Asks whether somebody may act for somebody else.
    pub fn represented(
        &self,
        client: &str,
        number: PersonalNumber,
        actor: PersonalNumber,
        theme: &str,
    ) -> Answer {
        let question = json!({ "number": number, "actor": actor, "theme": theme });
        self.post(client, "persons/represented-by", &question.to_string())
    }

    pub fn act(&self, client: &str, reference: &str, event: Value) -> Answer {
        let today = id_registry::day_of(OffsetDateTime::now_utc()).to_string();
        let body = json!({ "effective": today, "reference": reference, "event": event });
        self.send(client, &body.to_string())
    }

    pub fn send(&self, client: &str, body: &str) -> Answer {
        self.post(client, "acts", body)
    }

    pub fn post(&self, client: &str, path: &str, body: &str) -> Answer {
        ask(
            self.running.address,
            &format!("POST /population/{path}"),
            &headers(client, "officer 1"),
            body.as_bytes(),
        )
    }

    pub fn token(&self, claims: &Value) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut all = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "pairwise",
            "iat": now,
            "exp": now + 300,
            "acr": "http://eidas.europa.eu/LoA/high",
        });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        self.key.sign("userinfo+jwt", &all).expect("signed")
    }

    /// Somebody who is signed in asks; `service` is what follows `/own`. Locks are for credit.
    pub fn own(&self, token: &str, service: &str, number: impl Display) -> Answer {
        let mut question = json!({ "number": number.to_string() });
        if service.starts_with("/locks/") {
            question["purpose"] = "credit".into();
        }
        let line = format!("POST /population/own{service}");
        let more = format!(
            "{}Authorization: Bearer {token}\r\n",
            headers(PORTAL, "portal")
        );
        let body = question.to_string();
        ask(self.running.address, &line, &more, body.as_bytes())
    }

    pub fn protect(
        &self,
        person: PersonalNumber,
        kind: ProtectionKind,
        against: Option<PersonalNumber>,
    ) {
        self.running.enter(Event::Protection {
            person,
            kind,
            against,
            active: true,
        });
    }
}

pub fn names(family: &str, given: &str) -> Value {
    json!({ "familyName": { "cyrillic": family }, "givenName": { "cyrillic": given } })
}

pub fn newcomer(family: &str, given: &str) -> Value {
    json!({
        "names": names(family, given),
        "sex": "F",
        "bornOn": "1990-05-15",
        "birthPlace": "Ош",
        "citizenship": "UZB",
    })
}

pub fn error(answer: &Answer) -> (u16, String) {
    let code = answer.json()["error"].as_str().map(str::to_owned);
    (answer.status, code.unwrap_or_default())
}
