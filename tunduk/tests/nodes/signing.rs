//! A bank that has contracts signed: a page, a passkey, and the signature by the interface of the Cloud Signature
//! Consortium.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca::{CertificateAuthority, Entry, RegisterError, Serial, SignatureKind};
use http::Method;
use id_registry::{PersonalNumber, Sex};
use pki::csr::CertificateRequest;
use pki::{AttributeType, Certificate, DigestAlgorithm, Name, SoftwareKey};
use serde_json::{Value, json};
use server_signing::*;
use store_postgres::PostgresSigning;
use time::OffsetDateTime;
use webauthn::SoftwareAuthenticator;
use zeroize::Zeroizing;

use crate::cluster::{
    Again, Answer, Balanced, Ground, Peer, Service, p256, parameter, random, secret, unique,
};

const REDIRECT: &str = "https://bank.example/signed";
const OFFICER: &str = "10202198000022";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const HOST: &str = "sign.localhost";
const MASTER: [u8; 64] = [7; 64];
/// People who sign. Each may have so many open questions of one client; the load keeps below that.
const PEOPLE: u32 = 100;
/// Between two signatures.
const PAUSE: Duration = Duration::from_millis(50);

struct NoRegister;

impl ca::Register for NoRegister {
    fn find(&self, _: &Serial) -> Result<Option<Entry>, RegisterError> {
        Ok(None)
    }
    fn store(&self, _: &Entry) -> Result<(), RegisterError> {
        Ok(())
    }
}

fn seed() -> Seed {
    Seed::new(random())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn hash(text: &str) -> Vec<u8> {
    DigestAlgorithm::Sha256
        .digest(text.as_bytes())
        .as_ref()
        .to_vec()
}

/// What the load needs beside the servers.
pub struct World {
    signing: Signing,
    bank: Peer,
    people: Vec<Person>,
}

/// Somebody who signs.
struct Person {
    number: PersonalNumber,
    key: SoftwareAuthenticator,
    credential: String,
}

/// A signature that the bank got.
#[derive(Debug)]
struct Got {
    /// Whose, by their place.
    place: usize,
    text: String,
    signature: String,
    token: String,
}

/// What was accepted, and what nobody knows.
#[derive(Debug, Default)]
pub struct Ledger {
    got: Vec<Got>,
    unknown: Vec<(usize, String)>,
}

impl Ledger {
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    pub fn signatures(&self) -> usize {
        self.got.len()
    }
}

pub fn start(ground: &Ground) -> (Service, World) {
    let bank = Peer {
        id: "bank".to_owned(),
        key: jose::SigningKey::new(Arc::new(p256())).unwrap(),
    };
    let keys = json!({ "keys": [bank.key.public().to_value()] }).to_string();
    std::fs::write(ground.path("bank.jwks"), keys).unwrap();
    let master = pki::pem::encode(&MASTER, "TUNDUK SIGNING MASTER KEY");
    secret(&ground.path("master.key"), &master);
    let (authority, key) = authority();
    let chain = authority.certificate().to_pem();
    std::fs::write(ground.path("people-ca.pem"), chain).unwrap();
    let configure = |node: usize, listen: &str, origin: &str| {
        let file = ground.path(&format!("signing-{node}.toml"));
        let text = format!(
            "origin = \"{origin}\"\nlisten = \"{listen}\"\npostgres = \"db.conn\"\n\
             authorities = \"people-ca.pem\"\n\n[[client]]\nid = \"bank\"\nnames = {{ en = \"Bank\" }}\n\
             keys = \"bank.jwks\"\nredirect_uris = [\"{REDIRECT}\"]\nduties = [\"sign\"]\n"
        );
        std::fs::write(&file, text).unwrap();
        ["signing-server", "run", "--config", file.to_str().unwrap()]
            .map(str::to_owned)
            .to_vec()
    };
    let service = Service::start(ground, "sign", 11, "https", 8444, configure);
    let place = Place {
        relying_party: HOST.to_owned(),
        origins: vec![service.origin.clone()],
        card_issuers: Vec::new(),
    };
    let store = Arc::new(PostgresSigning::open(&ground.parameters).unwrap());
    let (sealing, tagging) = MASTER.split_first_chunk::<32>().unwrap();
    let vault = SoftwareVault::new(Zeroizing::new(*sealing), tagging.first_chunk().unwrap());
    let mut world = World {
        signing: Signing::new(store, Arc::new(vault), place),
        bank,
        people: Vec::new(),
    };
    world.people = world.enrolled(&service.origin, &authority, &key);
    (service, world)
}

fn authority() -> (CertificateAuthority, SoftwareKey) {
    let key = p256();
    let name = Name::builder()
        .push(AttributeType::CommonName, "People CA")
        .build()
        .unwrap();
    let (from, to) = (
        now() - time::Duration::DAY,
        now() + time::Duration::days(3650),
    );
    let root = ca::new_root(name, Serial::from_random([1; 16]), from, to, &key).unwrap();
    (CertificateAuthority::new(root, None), key)
}

fn authenticator(name: &str) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(HOST, name.as_bytes().to_vec(), false).unwrap()
}

fn passkey(authenticator: &SoftwareAuthenticator) -> Form {
    Form::Passkey {
        id: authenticator.credential_id(),
        public_key: authenticator.public_key(),
        algorithm: -7,
        label: "phone".into(),
    }
}

fn issue(authority: &CertificateAuthority, key: &SoftwareKey, order: &Order) -> Certificate {
    let request = CertificateRequest::decode(&order.request)
        .unwrap()
        .verify()
        .unwrap();
    let ends = authority.certificate().not_after();
    let (not_before, not_after) = ca::person_validity(now() - time::Duration::MINUTE, ends);
    let order = ca::Order {
        profile: SignatureKind::from(order.kind).profile(),
        subject: ca::person_subject(order.holder.as_str(), &order.surname, &order.given_name)
            .unwrap(),
        public_key: request.public_key().clone(),
        not_before,
        not_after,
    };
    let serial = Serial::from_random(*random().first_chunk().unwrap());
    let prepared = authority.prepare(order, serial).unwrap();
    let intended = authority.intend(prepared, &NoRegister).unwrap();
    authority.sign(intended, key, &NoRegister).unwrap()
}

impl World {
    /// Enrols people at the desk, by the decisions over the same database.
    fn enrolled(
        &self,
        origin: &str,
        authority: &CertificateAuthority,
        key: &SoftwareKey,
    ) -> Vec<Person> {
        let officer = authenticator("officer");
        let number: PersonalNumber = OFFICER.parse().unwrap();
        let id = self
            .signing
            .add_officer(number, "Bishkek 1", passkey(&officer), &seed())
            .unwrap();
        let born = time::macros::date!(1990 - 05 - 17);
        (0..PEOPLE)
            .map(|serial| {
                let number = PersonalNumber::compose(Sex::Female, born, serial + 1);
                let person = authenticator(&format!("person {serial}"));
                let credential = self.enrol(
                    number,
                    &person,
                    (&id, &officer),
                    |order| issue(authority, key, order),
                    origin,
                );
                Person {
                    number,
                    key: person,
                    credential,
                }
            })
            .collect()
    }

    fn enrol(
        &self,
        number: PersonalNumber,
        person: &SoftwareAuthenticator,
        (officer_id, officer): (&str, &SoftwareAuthenticator),
        issue: impl Fn(&Order) -> Certificate,
        origin: &str,
    ) -> String {
        let enrolment = Enrolment {
            surname: "Асанова".into(),
            given_name: "Үмүт".into(),
            kinds: vec![Kind::Qualified],
            authenticators: vec![passkey(person)],
        };
        let desk = Some(Desk {
            officers: vec![officer_id.to_owned()],
            reference: "portrait 5/26".into(),
        });
        let asked = self
            .signing
            .ask_to_enrol("desk", number, enrolment, desk, &seed(), now())
            .unwrap();
        let proofs = [person, officer]
            .map(|key| Proof::Passkey(key.assert(origin, &asked.challenge).unwrap()));
        let completion = self
            .signing
            .complete(&asked.handle, &proofs, &seed(), now())
            .unwrap();
        let Completion::Certificates(pending) = completion else {
            panic!("{completion:?}")
        };
        let certificates = pending.orders().into_iter().map(issue).collect();
        self.signing
            .certified(*pending, certificates, now())
            .unwrap()
            .remove(0)
    }

    /// Has contracts signed, one after another, until told to stop.
    pub fn load(&self, service: &Service, stop: &AtomicBool) -> Ledger {
        let mut ledger = Ledger::default();
        let mut party = service.client();
        for place in (0..self.people.len()).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(PAUSE);
            let person = &self.people[place];
            let text = unique("contract");
            let Some(token) = self.credential_token(service, &mut party, person, &text) else {
                ledger.unknown.push((place, text));
                continue;
            };
            let Some(answer) = sign(&mut party, person, &token, &text) else {
                ledger.unknown.push((place, text));
                continue;
            };
            assert_eq!(answer.status, 200, "a confirmation was lost: {answer:?}");
            ledger.got.push(Got {
                place,
                signature: signature(&answer),
                text,
                token,
            });
        }
        ledger
    }

    /// The person confirms on the page; the bank gets what releases the signature.
    fn credential_token(
        &self,
        service: &Service,
        party: &mut Balanced,
        person: &Person,
        text: &str,
    ) -> Option<String> {
        let details = json!([{
            "type": "credential",
            "credentialID": person.credential,
            "documentDigests": [{ "hash": csc::to_base64(&hash(text)), "label": format!("{text}.pdf") }],
            "hashAlgorithmOID": csc::SHA256,
        }])
        .to_string();
        let asked = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("authorization_details", details.as_str()),
        ];
        let pushed = party.call(Again::Yes, &self.bank, "/oauth2/pushed_authorize", &asked)?;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
        let mut browser = service.client();
        let query = oauth2::form(&[("client_id", self.bank.id.as_str()), ("request_uri", &uri)]);
        let target = format!("/oauth2/authorize?{query}");
        let brought = browser.send(Again::No, &Method::GET, &target, &[], "")?;
        assert_eq!(brought.status, 303, "{brought:?}");
        let page = brought.location().to_owned();
        assert_eq!(browser.get(&page).status, 200);
        let options = browser.post(Again::Yes, &format!("{page}/options"), &[])?;
        assert_eq!(options.status, 200, "{options:?}");
        let challenge = options.json()["options"]["challenge"]
            .as_str()
            .unwrap()
            .to_owned();
        let challenge = jose::from_base64url(&challenge).unwrap();
        let answer = person.key.assert(&service.origin, &challenge).unwrap();
        let fields = [("ceremony", ""), ("answer", answer.as_str())];
        let confirmed = browser.post(Again::No, &page, &fields)?;
        assert_eq!(confirmed.status, 303, "{confirmed:?}");
        let place = confirmed.location();
        let code = parameter(place, "code").unwrap_or_else(|| panic!("{place}"));
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let redeemed = party.call(Again::No, &self.bank, "/oauth2/token", &fields)?;
        assert_eq!(redeemed.status, 200, "{redeemed:?}");
        let token = redeemed.json()["access_token"].as_str().unwrap().to_owned();
        Some(token)
    }

    /// Each signature that was given out holds, is on record once, and is the only one of its confirmation.
    pub fn check(&self, service: &Service, ledger: &Ledger) {
        for (place, person) in self.people.iter().enumerate() {
            let history = self.signing.history(person.number, 1000).unwrap();
            let signed = |text: &str| {
                let name = format!("{text}.pdf");
                let of = |event: &&Event| {
                    event.what == What::Signed && event.documents.iter().any(|it| it.name == name)
                };
                history.iter().filter(of).count()
            };
            let view = self.signing.credential(&person.credential).unwrap();
            let key = view.certificate.public_key();
            let mut expected = 0;
            for got in ledger.got.iter().filter(|got| got.place == place) {
                assert_eq!(signed(&got.text), 1, "{}", got.text);
                let value = csc::from_base64(&got.signature).unwrap();
                key.verify(ALGORITHM, got.text.as_bytes(), &value).unwrap();
                expected += 1;
            }
            for (_, text) in ledger.unknown.iter().filter(|(of, _)| *of == place) {
                let signed = signed(text);
                assert!(signed <= 1, "{text}");
                expected += signed;
            }
            let all = history.iter().filter(|event| event.what == What::Signed);
            assert_eq!(all.count(), expected, "signatures that nobody asked for");
        }
        // Tokens last five minutes: the last ones still release, and the same value again.
        let mut party = service.client();
        for got in ledger.got.iter().rev().take(5) {
            let person = &self.people[got.place];
            let again = sign(&mut party, person, &got.token, &got.text).unwrap();
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(signature(&again), got.signature);
        }
    }
}

/// The signature, if the answer arrives. Asked again, the same one comes: that is how a client gets one whose answer
/// was lost.
fn sign(party: &mut Balanced, person: &Person, token: &str, text: &str) -> Option<Answer> {
    let body: Value = json!({
        "credentialID": person.credential,
        "hashes": [csc::to_base64(&hash(text))],
        "hashAlgorithmOID": csc::SHA256,
        "signAlgo": csc::ECDSA_WITH_SHA256,
    });
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let path = "/csc/v2/signatures/signHash";
    party.send(Again::Yes, &Method::POST, path, &headers, &body.to_string())
}

fn signature(answer: &Answer) -> String {
    answer.json()["signatures"][0].as_str().unwrap().to_owned()
}
