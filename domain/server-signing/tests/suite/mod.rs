//! What every fulfilment of the signing service's port must do. Every store runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use ca::{CertificateAuthority, Entry, Register, RegisterError, Serial, SignatureKind};
use pki::csr::CertificateRequest;
use pki::{AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SoftwareKey};
use server_signing::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use webauthn::SoftwareAuthenticator;
use zeroize::Zeroizing;

/// Opens the database under test; again and again the same one, as another server would.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

/// Servers that do something at one time.
const NODES: usize = 6;
const NOW: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);
const SITE: &str = "sign.example.kg";
const ORIGIN: &str = "https://sign.example.kg";
const PERSON: &str = "20101199000011";
const OFFICER: &str = "10202198000022";

struct NoRegister;

impl Register for NoRegister {
    fn find(&self, _: &Serial) -> Result<Option<Entry>, RegisterError> {
        Ok(None)
    }
    fn store(&self, _: &Entry) -> Result<(), RegisterError> {
        Ok(())
    }
}

/// One server over the database; all have the same master key.
fn server(open: Open<'_>) -> Signing {
    let place = Place {
        relying_party: SITE.into(),
        origins: vec![ORIGIN.into()],
        card_issuers: Vec::new(),
    };
    let vault = SoftwareVault::new(Zeroizing::new([7; 32]), &[7; 32]);
    Signing::new(open(), Arc::new(vault), place)
}

/// Does something on several servers over one database at the same time.
fn at_once<T: Send>(open: Open<'_>, work: impl Fn(usize, &Signing) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(NODES);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..NODES)
            .map(|node| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    let server = server(open);
                    barrier.wait();
                    work(node, &server)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn seed() -> Seed {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    Seed::new(bytes)
}

fn hash(text: &str) -> Vec<u8> {
    DigestAlgorithm::Sha256
        .digest(text.as_bytes())
        .as_ref()
        .to_vec()
}

fn proof(authenticator: &SoftwareAuthenticator, asked: &Asked) -> Proof {
    Proof::Passkey(authenticator.assert(ORIGIN, &asked.challenge).unwrap())
}

struct World {
    signing: Signing,
    person: SoftwareAuthenticator,
    officer: (String, SoftwareAuthenticator),
    authority: CertificateAuthority,
    key: SoftwareKey,
    next: Cell<u8>,
}

fn authenticator(name: &str) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(SITE, name.as_bytes().to_vec(), false).unwrap()
}

fn passkey(authenticator: &SoftwareAuthenticator) -> Form {
    Form::Passkey {
        id: authenticator.credential_id(),
        public_key: authenticator.public_key(),
        algorithm: -7,
        label: "phone".into(),
    }
}

impl World {
    fn new(open: Open<'_>) -> Self {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let name = Name::builder()
            .push(AttributeType::CommonName, "CA")
            .build()
            .unwrap();
        let (start, end) = (NOW - Duration::DAY, NOW + Duration::days(3650));
        let root = ca::new_root(name, Serial::from_random([1; 16]), start, end, &key).unwrap();
        let signing = server(open);
        let officer = authenticator("officer");
        let number = OFFICER.parse().unwrap();
        let id = signing
            .add_officer(number, "Bishkek 1", passkey(&officer), &seed())
            .unwrap();
        Self {
            signing,
            person: authenticator("person"),
            officer: (id, officer),
            authority: CertificateAuthority::new(root, None),
            key,
            next: Cell::new(10),
        }
    }

    fn certificate(&self, order: &Order) -> Certificate {
        let request = CertificateRequest::decode(&order.request)
            .unwrap()
            .verify()
            .unwrap();
        let (not_before, not_after) =
            ca::person_validity(NOW, self.authority.certificate().not_after());
        let order = ca::Order {
            profile: SignatureKind::from(order.kind).profile(),
            subject: ca::person_subject(order.holder.as_str(), &order.surname, &order.given_name)
                .unwrap(),
            public_key: request.public_key().clone(),
            not_before,
            not_after,
        };
        self.next.set(self.next.get() + 1);
        let serial = Serial::from_random([self.next.get(); 16]);
        let prepared = self.authority.prepare(order, serial).unwrap();
        let intended = self.authority.intend(prepared, &NoRegister).unwrap();
        self.authority
            .sign(intended, &self.key, &NoRegister)
            .unwrap()
    }

    /// Has an enrolment proven; gives what waits for certificates.
    fn proven(&self, kinds: Vec<Kind>) -> PendingCertificates {
        let enrolment = Enrolment {
            surname: "Асанов".into(),
            given_name: "Үсөн".into(),
            kinds,
            authenticators: vec![passkey(&self.person)],
        };
        let desk = Desk {
            officers: vec![self.officer.0.clone()],
            reference: "portrait 5/26".into(),
        };
        let number = PERSON.parse().unwrap();
        let asked = self
            .signing
            .ask_to_enrol("desk", number, enrolment, Some(desk), &seed(), NOW)
            .unwrap();
        let proofs = [proof(&self.person, &asked), proof(&self.officer.1, &asked)];
        match self.signing.complete(&asked.handle, &proofs, &seed(), NOW) {
            Ok(Completion::Certificates(pending)) => *pending,
            other => panic!("{other:?}"),
        }
    }

    fn certified(&self, pending: PendingCertificates) -> Result<Vec<String>, Failure> {
        let certificates = pending
            .orders()
            .iter()
            .map(|order| self.certificate(order))
            .collect();
        self.signing.certified(pending, certificates, NOW)
    }

    fn enrolled(&self) -> String {
        self.certified(self.proven(vec![Kind::Qualified]))
            .unwrap()
            .remove(0)
    }

    fn ask(&self, credential: &str, text: &str) -> Asked {
        let documents = vec![Document::new(&format!("{text}.pdf"), &hash(text)).unwrap()];
        self.signing
            .ask_to_sign("bank", credential, documents, None, &seed(), NOW)
            .unwrap()
    }

    fn confirmed(&self, credential: &str, text: &str) -> Asked {
        let asked = self.ask(credential, text);
        let proof = proof(&self.person, &asked);
        self.signing
            .confirm_signing(&asked.handle, &proof, NOW)
            .unwrap();
        asked
    }

    fn sad(&self, credential: &str, text: &str) -> Sad {
        let asked = self.confirmed(credential, text);
        let taken = self.signing.take_sad("bank", &asked.handle, &seed(), NOW);
        taken.unwrap().0
    }

    fn count(&self, what: What) -> usize {
        let history = self.signing.history(PERSON.parse().unwrap(), 1000).unwrap();
        assert!(history.windows(2).all(|pair| pair[0].at >= pair[1].at));
        history.iter().filter(|event| event.what == what).count()
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What was committed is there for whoever opens the database next.
pub fn what_was_committed_is_kept(open: Open<'_>) {
    let world = World::new(open);
    let ids = world
        .certified(world.proven(vec![Kind::Simple, Kind::Qualified]))
        .unwrap();
    let sad = world.sad(&ids[1], "a");
    let again = server(open);
    let mut found: Vec<String> = again
        .credentials(PERSON.parse().unwrap())
        .unwrap()
        .into_iter()
        .map(|credential| credential.id)
        .collect();
    let mut expected = ids.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let hashes = [hash("a")];
    let signatures = again.release("bank", &sad, &ids[1], &hashes, NOW).unwrap();
    let certificate = server(open).credential(&ids[1]).unwrap().certificate;
    certificate
        .public_key()
        .verify(ALGORITHM, b"a", &signatures[0])
        .unwrap();
    let history = again.history(PERSON.parse().unwrap(), 1000).unwrap();
    let what: Vec<What> = history.iter().map(|event| event.what).collect();
    assert_eq!(what, [What::Signed, What::Confirmed, What::Enrolled]);
    assert_eq!(history[0].documents[0].name, "a.pdf");
    assert_eq!(again.history(OFFICER.parse().unwrap(), 9).unwrap(), []);
}

/// One activation, many servers at once: the same signature comes out of all, and only one is ever made.
pub fn an_authorisation_is_released_once(open: Open<'_>) {
    let world = World::new(open);
    let credential = world.enrolled();
    for text in ["a", "b", "c"] {
        let sad = world.sad(&credential, text);
        let signatures = at_once(open, |_, server| {
            server.release("bank", &sad, &credential, &[hash(text)], NOW)
        });
        let first = signatures[0].as_ref().unwrap();
        for signature in &signatures {
            assert_eq!(signature.as_ref().unwrap(), first);
        }
    }
    assert_eq!(world.count(What::Signed), 3);
}

/// The activation data leaves once, and a statement is confirmed once.
pub fn activation_data_is_taken_once(open: Open<'_>) {
    let world = World::new(open);
    let credential = world.enrolled();
    let asked = world.ask(&credential, "a");
    let by_person = proof(&world.person, &asked);
    let confirmed = at_once(open, |_, server| {
        server.confirm_signing(&asked.handle, &by_person, NOW)
    });
    let taken = confirmed.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(taken, 1, "{confirmed:?}");
    let sads = at_once(open, |_, server| {
        server.take_sad("bank", &asked.handle, &seed(), NOW)
    });
    let taken = sads.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(taken, 1, "{sads:?}");
    assert_eq!(world.count(What::Confirmed), 1);
}

/// A person is enrolled once, whoever is first.
pub fn a_person_is_enrolled_once(open: Open<'_>) {
    let world = World::new(open);
    let waiting: Vec<_> = (0..2)
        .map(|_| world.proven(vec![Kind::Qualified]))
        .collect();
    let outcomes: Vec<_> = waiting
        .into_iter()
        .map(|pending| world.certified(pending))
        .collect();
    assert!(outcomes[0].is_ok());
    assert!(
        matches!(outcomes[1], Err(Failure::Store(StoreError::Conflict))),
        "{outcomes:?}"
    );
    let number = PERSON.parse().unwrap();
    assert_eq!(world.signing.credentials(number).unwrap().len(), 1);
    assert_eq!(world.count(What::Enrolled), 1);
}

/// After a freeze nothing is signed any more, whatever came at the same moment.
pub fn nothing_is_signed_after_a_freeze(open: Open<'_>) {
    let world = World::new(open);
    let credential = world.enrolled();
    let number = PERSON.parse().unwrap();
    let sads: Vec<Sad> = (0..NODES).map(|_| world.sad(&credential, "a")).collect();
    let outcomes = at_once(open, |node, server| {
        if node == 0 {
            server.freeze("provider", number, NOW).unwrap();
            return None;
        }
        Some(server.release("bank", &sads[node], &credential, &[hash("a")], NOW))
    });
    let signed = outcomes
        .iter()
        .flatten()
        .filter(|outcome| outcome.is_ok())
        .count();
    for outcome in outcomes.iter().flatten() {
        if let Err(failure) = outcome {
            assert!(
                matches!(failure, Failure::Refused(Refusal::Frozen)),
                "{failure:?}"
            );
        }
    }
    let history = world.signing.history(number, 1000).unwrap();
    let frozen = history.iter().position(|event| event.what == What::Frozen);
    assert_eq!(frozen, Some(0), "the last that happened: {history:?}");
    assert_eq!(world.count(What::Signed), signed);
    let late = server(open).release("bank", &sads[0], &credential, &[hash("a")], NOW);
    assert_eq!(refusal(late), Refusal::Frozen);
}

/// A revocation waits until the authority was told.
pub fn revocations_wait_to_be_told(open: Open<'_>) {
    let world = World::new(open);
    let credential = world.enrolled();
    assert_eq!(world.signing.untold(9).unwrap().len(), 0);
    let asked = world
        .signing
        .ask_to_revoke("portal", &credential, None, &seed(), NOW)
        .unwrap();
    let proofs = [proof(&world.person, &asked)];
    let done = world
        .signing
        .complete(&asked.handle, &proofs, &seed(), NOW)
        .unwrap();
    assert!(matches!(done, Completion::Done));
    let again = server(open);
    let untold = again.untold(9).unwrap();
    assert_eq!(untold.len(), 1);
    at_once(open, |_, server| server.told(&untold[0]))
        .into_iter()
        .for_each(|told| told.unwrap());
    assert_eq!(world.signing.untold(9).unwrap().len(), 0);
    assert_eq!(
        world.signing.credential(&credential).unwrap().status,
        CredentialStatus::Revoked
    );
}

/// What expired is forgotten, in pieces; what happened stays.
pub fn what_expired_is_forgotten(open: Open<'_>) {
    let world = World::new(open);
    let credential = world.enrolled();
    let asked: Vec<Asked> = (0..5).map(|_| world.ask(&credential, "a")).collect();
    assert_eq!(world.signing.forget(NOW, 100).unwrap(), 0);
    let over = NOW + TIME_TO_CONFIRM + Duration::SECOND;
    // The enrolment's statement too.
    assert_eq!(world.signing.forget(over, 4).unwrap(), 4);
    assert_eq!(server(open).forget(over, 4).unwrap(), 2);
    assert_eq!(world.signing.forget(over, 4).unwrap(), 0);
    for asked in asked {
        assert_eq!(
            refusal(world.signing.show(&asked.handle, NOW)),
            Refusal::UnknownAuthorisation
        );
    }
    assert_eq!(world.count(What::Enrolled), 1);
    assert!(world.signing.credential(&credential).is_ok());
}
