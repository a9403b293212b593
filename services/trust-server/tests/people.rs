//! Orders of people's certificates, as a signing service sends them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use ca::{PersonOrder, RevocationReason, Sender, SignatureKind};
use http::{Method, StatusCode};
use jose::SigningKey;
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, PublicKey, SignatureAlgorithm,
    Signer as _, SoftwareKey, csr,
};
use time::{Duration, OffsetDateTime};
use trust_server::{NewTrustStore, Reply, Responder, Status, TrustError, TrustStore};

const RESPONDER: &str = "http://ca.example.kg/ocsp";

fn key() -> SoftwareKey {
    SoftwareKey::generate(KeyType::EcP256)
        .unwrap()
        .with_algorithm(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256))
        .unwrap()
}

/// A key that signs orders, and its public part.
fn signing_key() -> (SigningKey, PublicKey) {
    let key = key();
    let public = key.public_key().clone();
    (SigningKey::new(Arc::new(key)).unwrap(), public)
}

struct World {
    _folder: tempfile::TempDir,
    admin: TrustStore,
    responder: Responder,
    sender: SigningKey,
    public: PublicKey,
    request: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = NewTrustStore {
            ocsp_url: Some(RESPONDER.to_owned()),
            ..NewTrustStore::for_instance("KG", KeyType::EcP256).unwrap()
        };
        let path = folder.path().join("trust");
        let admin = TrustStore::create(&path, &new).unwrap();
        let name = Name::builder()
            .push(AttributeType::CommonName, "whoever")
            .build()
            .unwrap();
        let (sender, public) = signing_key();
        Self {
            responder: responder(&path),
            admin,
            _folder: folder,
            sender,
            public,
            request: csr::build(&name, &key()).unwrap(),
        }
    }

    fn sender<'a>(&'a self, name: &'a str, key: &'a SigningKey) -> Sender<'a> {
        Sender {
            name,
            key,
            authority: self.admin.ca_certificate(),
        }
    }

    fn order(&self, id: &str) -> String {
        let wish = PersonOrder {
            request: &self.request,
            kind: SignatureKind::Qualified,
            number: "20101199000011",
            surname: "Асанов",
            given_name: "Үсөн",
        };
        self.sender("signing", &self.sender)
            .order(&wish, id, OffsetDateTime::now_utc())
            .unwrap()
    }

    fn revocation(&self, name: &str, key: &SigningKey, certificate: &Certificate) -> String {
        let reason = RevocationReason::KeyCompromise;
        self.sender(name, key)
            .revocation(certificate, reason, "r", OffsetDateTime::now_utc())
            .unwrap()
    }

    fn post(&self, path: &str, body: &str) -> Reply {
        post(&self.responder, path, body)
    }
}

fn responder(path: &Path) -> Responder {
    let store = TrustStore::open(path).unwrap();
    Responder::new(store, "1.2.3.4.1".into(), Duration::hours(1))
}

fn post(responder: &Responder, path: &str, body: &str) -> Reply {
    let (method, kind) = (Method::POST, Some("application/jose"));
    responder.answer(
        &method,
        path,
        kind,
        body.as_bytes(),
        OffsetDateTime::now_utc(),
    )
}

#[test]
fn a_signed_order_gives_a_certificate_once_and_its_revocation_ends_it() {
    let world = World::new();
    let order = world.order("1");
    // Nobody is admitted yet; then from the next request on.
    let refused = world.post("/people/certificates", &order);
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    world.admin.admit("signing", &world.public).unwrap();
    let made = world.post("/people/certificates", &order);
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    assert_eq!(made.content_type, "application/pkix-cert");
    let certificate = Certificate::decode(&made.body).unwrap();
    assert_eq!(
        ca::person_number(certificate.subject()),
        Some("20101199000011")
    );
    // It says where its status is answered, like everything else that is issued here, but not the authority's own.
    assert_eq!(certificate.ocsp_url(), Some(RESPONDER));
    assert_eq!(world.admin.tsa_certificate().ocsp_url(), Some(RESPONDER));
    assert_eq!(world.admin.ca_certificate().ocsp_url(), None);
    assert_eq!(world.post("/people/certificates", &order), made);
    let entry = world.admin.entry(&certificate).unwrap().unwrap();
    assert_eq!(entry.status, Status::Issued);
    // The order is on record as it was signed.
    let serial = hex::encode(certificate.serial());
    let record = world.admin.path().join(format!("orders/{serial}.jws"));
    assert_eq!(fs::read_to_string(record).unwrap(), order);

    // Somebody else who may order does not revoke it; nor is anything else revoked this way.
    let (other, public) = signing_key();
    world.admin.admit("other", &public).unwrap();
    let foreign = world.revocation("other", &other, &certificate);
    let foreign = world.post("/people/revocations", &foreign);
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let responder = world.admin.ocsp_certificate();
    let ours = world.revocation("signing", &world.sender, responder);
    let ours = world.post("/people/revocations", &ours);
    assert_eq!(ours.status, StatusCode::NOT_FOUND);

    let revocation = world.revocation("signing", &world.sender, &certificate);
    for _ in 0..2 {
        let done = world.post("/people/revocations", &revocation);
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{done:?}");
    }
    let entry = world.admin.entry(&certificate).unwrap().unwrap();
    assert!(matches!(
        entry.status,
        Status::Revoked {
            reason: RevocationReason::KeyCompromise,
            ..
        }
    ));
    let gone = world.post("/people/certificates", &order);
    assert_eq!(gone.status, StatusCode::GONE);

    // Who was dismissed orders no more.
    world.admin.dismiss("signing").unwrap();
    let refused = world.post("/people/certificates", &world.order("2"));
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[test]
fn the_same_order_over_two_servers_at_once_gives_one_certificate() {
    let world = World::new();
    world.admin.admit("signing", &world.public).unwrap();
    let order = world.order("1");
    let barrier = Barrier::new(6);
    let bodies: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let responder = responder(world.admin.path());
                let (barrier, order) = (&barrier, &order);
                scope.spawn(move || {
                    barrier.wait();
                    post(&responder, "/people/certificates", order).body
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(Certificate::decode(&bodies[0]).is_ok());
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let made = world.admin.entries().unwrap().len();
    assert_eq!(made, 3, "responder, TSA and one person");
}

#[test]
fn what_is_no_order_is_refused() {
    let world = World::new();
    world.admin.admit("signing", &world.public).unwrap();
    for body in ["", "a.b.c", "\u{0}", &"x".repeat(16_000)] {
        for path in ["/people/certificates", "/people/revocations"] {
            assert_eq!(world.post(path, body).status, StatusCode::BAD_REQUEST);
        }
    }
    let order = world.order("1");
    let (method, now) = (Method::POST, OffsetDateTime::now_utc());
    let body = order.as_bytes();
    let kind = Some("application/json");
    let refused = world
        .responder
        .answer(&method, "/people/certificates", kind, body, now);
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let late = now + Duration::hours(1);
    let kind = Some("application/jose");
    let refused = world
        .responder
        .answer(&method, "/people/certificates", kind, body, late);
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let name = world.admin.admit("../ca", key().public_key());
    assert!(
        matches!(name, Err(TrustError::RegistrarName(_))),
        "{name:?}"
    );
    assert_eq!(
        world.admin.entries().unwrap().len(),
        2,
        "nothing was issued"
    );
}
