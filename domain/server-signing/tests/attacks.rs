//! What nobody gets a signature with, and what gives exactly one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use ca::{CertificateAuthority, Entry, Register, RegisterError, Serial, SignatureKind};
use pki::csr::CertificateRequest;
use pki::{AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SoftwareKey};
use server_signing::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use webauthn::{AssertionError, SoftwareAuthenticator};
use zeroize::Zeroizing;

const NOW: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);
const SITE: &str = "sign.example.kg";
const ORIGIN: &str = "https://sign.example.kg";
const PERSON: &str = "20101199000011";
const OFFICER: &str = "10202198000022";
const OTHER_OFFICER: &str = "10303198000033";

struct NoRegister;

impl Register for NoRegister {
    fn find(&self, _: &Serial) -> Result<Option<Entry>, RegisterError> {
        Ok(None)
    }
    fn store(&self, _: &Entry) -> Result<(), RegisterError> {
        Ok(())
    }
}

struct World {
    store: Arc<Memory>,
    signing: Signing,
    person: SoftwareAuthenticator,
    officers: Vec<(String, SoftwareAuthenticator)>,
    authority: CertificateAuthority,
    key: SoftwareKey,
    next: std::cell::Cell<u8>,
}

fn passkey(authenticator: &SoftwareAuthenticator) -> Form {
    Form::Passkey {
        id: authenticator.credential_id(),
        public_key: authenticator.public_key(),
        algorithm: -7,
        label: "phone".into(),
    }
}

fn authenticator(name: &str, synced: bool) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(SITE, name.as_bytes().to_vec(), synced).unwrap()
}

fn vault(master: u8) -> Arc<dyn Vault> {
    Arc::new(SoftwareVault::new(
        Zeroizing::new([master; 32]),
        &[master; 32],
    ))
}

fn signing(store: Arc<Memory>, master: u8) -> Signing {
    let place = Place {
        relying_party: SITE.into(),
        origins: vec![ORIGIN.into()],
        card_issuers: Vec::new(),
    };
    Signing::new(store, vault(master), place)
}

fn hash(text: &str) -> Vec<u8> {
    DigestAlgorithm::Sha256
        .digest(text.as_bytes())
        .as_ref()
        .to_vec()
}

fn documents(texts: &[&str]) -> Vec<Document> {
    texts
        .iter()
        .map(|text| Document::new(&format!("{text}.pdf"), &hash(text)).unwrap())
        .collect()
}

fn assert_over(authenticator: &SoftwareAuthenticator, asked: &Asked) -> Proof {
    Proof::Passkey(authenticator.assert(ORIGIN, &asked.challenge).unwrap())
}

impl World {
    fn new() -> Self {
        let store = Arc::new(Memory::default());
        let signing = signing(store.clone(), 7);
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let name = Name::builder()
            .push(AttributeType::CommonName, "CA")
            .build()
            .unwrap();
        let root = ca::new_root(
            name,
            Serial::from_random([1; 16]),
            NOW - Duration::DAY,
            NOW + Duration::days(3650),
            &key,
        )
        .unwrap();
        let mut world = Self {
            store,
            signing,
            person: authenticator("person", false),
            officers: Vec::new(),
            authority: CertificateAuthority::new(root, None),
            key,
            next: std::cell::Cell::new(10),
        };
        for number in [OFFICER, OTHER_OFFICER] {
            let key = authenticator(number, false);
            let id = world
                .signing
                .add_officer(
                    number.parse().unwrap(),
                    "Bishkek 1",
                    passkey(&key),
                    &world.seed(),
                )
                .unwrap();
            world.officers.push((id, key));
        }
        world
    }

    fn seed(&self) -> Seed {
        self.next.set(self.next.get() + 1);
        Seed::new([self.next.get(); 32])
    }

    fn desk(&self, officers: usize) -> Desk {
        Desk {
            officers: self.officers[..officers]
                .iter()
                .map(|(id, _)| id.clone())
                .collect(),
            reference: "portrait 5/26".into(),
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

    /// Enrols the person; gives the credential for qualified signatures.
    fn enrolled(&self) -> String {
        let enrolment = Enrolment {
            surname: "Асанов".into(),
            given_name: "Үсөн".into(),
            kinds: vec![Kind::Qualified],
            authenticators: vec![passkey(&self.person)],
        };
        let number = PERSON.parse().unwrap();
        let desk = Some(self.desk(1));
        let asked = self
            .signing
            .ask_to_enrol("desk", number, enrolment, desk, &self.seed(), NOW)
            .unwrap();
        let proofs = [
            assert_over(&self.person, &asked),
            assert_over(&self.officers[0].1, &asked),
        ];
        // The person alone enrols nobody, nor does the officer.
        for alone in &proofs {
            let refused = self.signing.complete(
                &asked.handle,
                std::slice::from_ref(alone),
                &self.seed(),
                NOW,
            );
            assert!(matches!(refused, Err(Failure::Refused(_))));
        }
        let completion = self
            .signing
            .complete(&asked.handle, &proofs, &self.seed(), NOW)
            .unwrap();
        let Completion::Certificates(pending) = completion else {
            panic!("{completion:?}")
        };
        let certificates = pending
            .orders()
            .iter()
            .map(|order| self.certificate(order))
            .collect();
        self.signing
            .certified(*pending, certificates, NOW)
            .unwrap()
            .remove(0)
    }

    fn ask(&self, credential: &str, texts: &[&str]) -> Asked {
        self.signing
            .ask_to_sign(
                "bank",
                credential,
                documents(texts),
                None,
                &self.seed(),
                NOW,
            )
            .unwrap()
    }

    fn confirmed(&self, credential: &str, texts: &[&str]) -> Sad {
        let asked = self.ask(credential, texts);
        let proof = assert_over(&self.person, &asked);
        self.signing
            .confirm_signing(&asked.handle, &proof, NOW)
            .unwrap();
        let taken = self
            .signing
            .take_sad("bank", &asked.handle, &self.seed(), NOW);
        taken.unwrap().0
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_confirmed_is_signed_once() {
    let world = World::new();
    let credential = world.enrolled();
    let sad = world.confirmed(&credential, &["a", "b"]);
    let hashes = [hash("a"), hash("b")];
    let release = || {
        world
            .signing
            .release("bank", &sad, &credential, &hashes, NOW)
    };
    let signatures = release().unwrap();
    let certificate = world.signing.credential(&credential).unwrap().certificate;
    for (signature, text) in signatures.iter().zip(["a", "b"]) {
        certificate
            .public_key()
            .verify(ALGORITHM, text.as_bytes(), signature)
            .unwrap();
    }
    // An answer that was lost comes again, byte for byte, and it is the only one.
    assert_eq!(release().unwrap(), signatures);
    let signed = world.signing.history(PERSON.parse().unwrap(), 50).unwrap();
    assert_eq!(
        signed
            .iter()
            .filter(|event| event.what == What::Signed)
            .count(),
        1
    );
}

#[test]
fn two_nodes_release_the_same_signature() {
    let world = World::new();
    let credential = world.enrolled();
    for _ in 0..20 {
        let sad = world.confirmed(&credential, &["a"]);
        let nodes: Vec<Signing> = (0..4).map(|_| signing(world.store.clone(), 7)).collect();
        let signatures: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = nodes
                .iter()
                .map(|node| {
                    scope.spawn(|| node.release("bank", &sad, &credential, &[hash("a")], NOW))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap().unwrap())
                .collect()
        });
        assert!(signatures.windows(2).all(|pair| pair[0] == pair[1]));
        let (over, most) = (NOW + Duration::minutes(6), 100);
        world.signing.forget(over, most).unwrap();
    }
}

#[test]
fn a_hostile_portal_gets_no_signature() {
    let world = World::new();
    let credential = world.enrolled();
    let sad = world.confirmed(&credential, &["a"]);
    let release = |client: &str, credential: &str, hashes: &[Vec<u8>], now| {
        refusal(world.signing.release(client, &sad, credential, hashes, now))
    };
    for hashes in [vec![hash("b")], vec![], vec![hash("a"), hash("b")]] {
        assert_eq!(
            release("bank", &credential, &hashes, NOW),
            Refusal::OtherHashes
        );
    }
    assert_eq!(
        release("bank", "another", &[hash("a")], NOW),
        Refusal::OtherHashes
    );
    assert_eq!(
        release("other", &credential, &[hash("a")], NOW),
        Refusal::Sad
    );
    assert_eq!(
        release("bank", &credential, &[hash("a")], NOW + TIME_TO_CONFIRM),
        Refusal::Expired
    );
    let guessed = Sad::presented(format!("{}x", &sad.expose()[..sad.expose().len() - 1]));
    let by_guess = world
        .signing
        .release("bank", &guessed, &credential, &[hash("a")], NOW);
    assert_eq!(refusal(by_guess), Refusal::Sad);

    // An assertion over one statement does not confirm another, be it over the same hashes.
    let (mine, replayed) = (
        world.ask(&credential, &["a"]),
        world.ask(&credential, &["a"]),
    );
    let proof = assert_over(&world.person, &mine);
    let confirm = |handle: &str, proof: &Proof, now| {
        refusal(world.signing.confirm_signing(handle, proof, now))
    };
    assert_eq!(
        confirm(&replayed.handle, &proof, NOW),
        Refusal::Assertion(AssertionError::Challenge)
    );
    // Nor one made on the portal's own page, by another key, or too late.
    let on_its_page = world
        .person
        .assert("https://portal.example.kg", &mine.challenge)
        .unwrap();
    assert_eq!(
        confirm(&mine.handle, &Proof::Passkey(on_its_page), NOW),
        Refusal::Assertion(AssertionError::Origin)
    );
    let stranger = authenticator("person", false);
    assert_eq!(
        confirm(&mine.handle, &assert_over(&stranger, &mine), NOW),
        Refusal::Assertion(AssertionError::Signature)
    );
    assert_eq!(
        confirm(&mine.handle, &proof, NOW + TIME_TO_CONFIRM),
        Refusal::Expired
    );
    world
        .signing
        .confirm_signing(&mine.handle, &proof, NOW)
        .unwrap();
    assert_eq!(
        confirm(&mine.handle, &proof, NOW),
        Refusal::UnknownAuthorisation
    );
    // An officer signs for nobody who has a key.
    let at_desk = world.signing.ask_to_sign(
        "bank",
        &credential,
        documents(&["a"]),
        Some(world.desk(1)),
        &world.seed(),
        NOW,
    );
    assert!(matches!(refusal(at_desk), Refusal::Desk(_)));
}

#[test]
fn a_stolen_or_changed_database_gives_no_signature() {
    let world = World::new();
    let credential = world.enrolled();
    let sad = world.confirmed(&credential, &["a"]);
    // Without the master key, even what was confirmed opens nothing.
    let thief = signing(Arc::new(world.store.stolen()), 8);
    assert_eq!(
        thief.release("bank", &sad, &credential, &[hash("a")], NOW),
        Err(Failure::Vault(VaultError::Sealed))
    );
    // Whoever writes another statement over what was confirmed breaks the proof.
    let changed = Arc::new(world.store.stolen());
    let (old, new) = (hex::encode(hash("a")), hex::encode(hash("b")));
    assert_eq!(
        changed.tamper(ItemKind::Authorisation, |body| body.replace(&old, &new)),
        1
    );
    let node = signing(changed, 7);
    assert_eq!(
        refusal(node.release("bank", &sad, &credential, &[hash("b")], NOW)),
        Refusal::Assertion(AssertionError::Challenge)
    );
    // Whoever gives the person their own passkey has a key that does not open.
    let changed = Arc::new(world.store.stolen());
    let mine = authenticator("person", false);
    let (old, new) = (world.person.public_key(), mine.public_key());
    assert_eq!(
        changed.tamper(ItemKind::Holder, |body| body.replace(&old, &new)),
        1
    );
    let node = signing(changed, 7);
    let asked = node
        .ask_to_sign(
            "bank",
            &credential,
            documents(&["b"]),
            None,
            &world.seed(),
            NOW,
        )
        .unwrap();
    node.confirm_signing(&asked.handle, &assert_over(&mine, &asked), NOW)
        .unwrap();
    let (sad, _) = node
        .take_sad("bank", &asked.handle, &world.seed(), NOW)
        .unwrap();
    assert_eq!(
        node.release("bank", &sad, &credential, &[hash("b")], NOW),
        Err(Failure::Vault(VaultError::Sealed))
    );
    // An officer that this service did not write is none.
    let changed = Arc::new(world.store.stolen());
    let (old, new) = (world.officers[0].1.public_key(), mine.public_key());
    assert_eq!(
        changed.tamper(ItemKind::Officer, |body| body.replace(&old, &new)),
        1
    );
    let node = signing(changed, 7);
    node.freeze("idp", PERSON.parse().unwrap(), NOW).unwrap();
    let lift = node.ask_to_lift(
        "desk",
        PERSON.parse().unwrap(),
        world.desk(1),
        &world.seed(),
        NOW,
    );
    assert!(matches!(refusal(lift), Refusal::Desk(_)));
}

#[test]
fn what_cannot_be_stored_is_not_released() {
    let world = World::new();
    let credential = world.enrolled();
    let sad = world.confirmed(&credential, &["a"]);
    let release = || {
        world
            .signing
            .release("bank", &sad, &credential, &[hash("a")], NOW)
    };
    world.store.set_full(true);
    assert!(matches!(
        release(),
        Err(Failure::Store(StoreError::Unavailable(_)))
    ));
    world.store.set_full(false);
    assert_eq!(release().unwrap(), release().unwrap());
}

#[test]
fn a_freeze_holds_at_once_and_only_a_desk_lifts_it() {
    let world = World::new();
    let credential = world.enrolled();
    let number = PERSON.parse().unwrap();
    let sad = world.confirmed(&credential, &["a"]);
    world.signing.freeze("idp", number, NOW).unwrap();
    let release = || {
        world
            .signing
            .release("bank", &sad, &credential, &[hash("a")], NOW)
    };
    assert_eq!(refusal(release()), Refusal::Frozen);
    let asked = world
        .signing
        .ask_to_lift("desk", number, world.desk(1), &world.seed(), NOW)
        .unwrap();
    let lift = |proof: Proof| {
        world
            .signing
            .complete(&asked.handle, &[proof], &world.seed(), NOW)
    };
    assert!(lift(assert_over(&world.person, &asked)).is_err());
    lift(assert_over(&world.officers[0].1, &asked)).unwrap();
    assert_eq!(release().unwrap().len(), 1);
}

#[test]
fn after_a_recovery_nothing_is_signed_for_a_day() {
    let world = World::new();
    let credential = world.enrolled();
    let number = PERSON.parse().unwrap();
    let new = authenticator("new phone", false);
    let replace = |desk: Desk| {
        world.signing.ask_to_replace(
            "desk",
            number,
            vec![passkey(&new)],
            desk,
            &world.seed(),
            NOW,
        )
    };
    assert!(matches!(refusal(replace(world.desk(1))), Refusal::Desk(_)));
    let asked = replace(world.desk(2)).unwrap();
    let mut proofs = vec![
        assert_over(&new, &asked),
        assert_over(&world.officers[0].1, &asked),
        assert_over(&world.officers[0].1, &asked),
    ];
    let complete = |proofs: &[Proof]| {
        world
            .signing
            .complete(&asked.handle, proofs, &world.seed(), NOW)
    };
    assert!(complete(&proofs).is_err(), "one officer for two");
    proofs[2] = assert_over(&world.officers[1].1, &asked);
    complete(&proofs).unwrap();
    let ask = |now| {
        world.signing.ask_to_sign(
            "bank",
            &credential,
            documents(&["a"]),
            None,
            &world.seed(),
            now,
        )
    };
    let until = NOW + CARE_AFTER_RECOVERY;
    assert_eq!(refusal(ask(NOW)), Refusal::Careful(until));
    let asked = ask(until).unwrap();
    // The old key is worth nothing, the new one signs.
    let old = assert_over(&world.person, &asked);
    assert!(
        world
            .signing
            .confirm_signing(&asked.handle, &old, until)
            .is_err()
    );
    let proof = assert_over(&new, &asked);
    world
        .signing
        .confirm_signing(&asked.handle, &proof, until)
        .unwrap();
    let (sad, _) = world
        .signing
        .take_sad("bank", &asked.handle, &world.seed(), until)
        .unwrap();
    world
        .signing
        .release("bank", &sad, &credential, &[hash("a")], until)
        .unwrap();
}

#[test]
fn the_person_revokes_and_a_revoked_credential_signs_no_more() {
    let world = World::new();
    let credential = world.enrolled();
    let sad = world.confirmed(&credential, &["a"]);
    let asked = world
        .signing
        .ask_to_revoke("bank", &credential, None, &world.seed(), NOW)
        .unwrap();
    let proof = assert_over(&world.person, &asked);
    world
        .signing
        .complete(&asked.handle, &[proof], &world.seed(), NOW)
        .unwrap();
    let released = world
        .signing
        .release("bank", &sad, &credential, &[hash("a")], NOW);
    assert_eq!(refusal(released), Refusal::NotActive);
    let untold = world.signing.untold(10).unwrap();
    assert_eq!(untold.len(), 1);
    world.signing.told(&untold[0]).unwrap();
    assert!(world.signing.untold(10).unwrap().is_empty());
    assert!(
        world
            .store
            .bodies(ItemKind::Credential)
            .iter()
            .all(|body| !body.contains("\"key\"")),
        "the key is gone"
    );
}
