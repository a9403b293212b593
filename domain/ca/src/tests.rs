use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pki::ocsp::{Freshness, OcspError, Request, Response};
use pki::{AttributeType, KeyType, SoftwareKey};
use time::macros::datetime;

use super::*;

#[derive(Default)]
struct Memory {
    entries: RefCell<HashMap<Serial, Entry>>,
    broken: Cell<bool>,
}

impl Register for Memory {
    fn find(&self, serial: &Serial) -> Result<Option<Entry>, RegisterError> {
        if self.broken.get() {
            return Err(RegisterError("broken".into()));
        }
        Ok(self.entries.borrow().get(serial).cloned())
    }

    fn store(&self, entry: &Entry) -> Result<(), RegisterError> {
        if self.broken.get() {
            return Err(RegisterError("broken".into()));
        }
        self.entries
            .borrow_mut()
            .insert(entry.serial, entry.clone());
        Ok(())
    }
}

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00.5 UTC);

fn name(common_name: &str) -> Name {
    Name::builder()
        .push(AttributeType::CommonName, common_name)
        .build()
        .unwrap()
}

fn serial(last: u8) -> Serial {
    let mut octets = [0xffu8; 16];
    octets[15] = last;
    Serial::from_random(octets)
}

struct World {
    key: SoftwareKey,
    authority: CertificateAuthority,
    register: Memory,
}

impl World {
    fn new() -> World {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let root = new_root(
            name("CA"),
            serial(0),
            NOW - Duration::days(1),
            NOW + Duration::days(3650),
            &key,
        )
        .unwrap();
        World {
            key,
            authority: CertificateAuthority::new(root, None),
            register: Memory::default(),
        }
    }

    fn order(&self, profile: Profile) -> Order {
        Order {
            profile,
            subject: name("70000001"),
            public_key: SoftwareKey::generate(KeyType::EcP256)
                .unwrap()
                .public_key()
                .clone(),
            not_before: NOW,
            not_after: NOW + Duration::days(365),
        }
    }

    fn issue(&self, profile: Profile, last: u8) -> Result<Certificate, CaError> {
        let prepared = self.authority.prepare(self.order(profile), serial(last))?;
        let intended = self.authority.intend(prepared, &self.register)?;
        self.authority.sign(intended, &self.key, &self.register)
    }
}

#[test]
fn the_register_knows_before_the_key_is_touched() {
    let world = World::new();
    let prepared = world
        .authority
        .prepare(world.order(Profile::Signing), serial(1))
        .unwrap();
    let intended = world.authority.intend(prepared, &world.register).unwrap();
    assert_eq!(
        world.register.find(&serial(1)).unwrap().unwrap().status,
        Status::Intended
    );
    assert_eq!(
        world.authority.revoke(
            serial(1),
            NOW,
            RevocationReason::Unspecified,
            &world.register
        ),
        Err(CaError::NotIssued(serial(1)))
    );
    let certificate = world
        .authority
        .sign(intended, &world.key, &world.register)
        .unwrap();
    assert!(certificate.allows_signing());
    assert_eq!(certificate.serial(), serial(1).octets());
    let entry = world.register.find(&serial(1)).unwrap().unwrap();
    assert_eq!(entry.status, Status::Issued);
    assert_eq!(entry.certificate, Some(certificate));
    assert_eq!(
        world.issue(Profile::Signing, 1),
        Err(CaError::SerialExists(serial(1)))
    );
}

#[test]
fn orders_are_checked() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut Order)| {
        let mut order = world.order(Profile::Signing);
        change(&mut order);
        world.authority.prepare(order, serial(2)).unwrap_err()
    };
    assert_eq!(
        refused(&|order| order.profile = Profile::Authority),
        CaError::Profile
    );
    assert_eq!(
        refused(&|order| order.public_key = world.key.public_key().clone()),
        CaError::OwnKey
    );
    assert_eq!(
        refused(&|order| order.subject = name("ca")),
        CaError::Subject
    );
    assert_eq!(
        refused(&|order| order.subject = Name::builder().build().unwrap()),
        CaError::Subject
    );
    assert_eq!(
        refused(&|order| order.not_after = order.not_before),
        CaError::Validity
    );
    assert_eq!(
        refused(&|order| order.not_after = NOW + Duration::days(3651)),
        CaError::Validity
    );
}

#[test]
fn answers_come_from_the_register() {
    let world = World::new();
    let responder_key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let order = Order {
        public_key: responder_key.public_key().clone(),
        ..world.order(Profile::OcspResponder)
    };
    let prepared = world.authority.prepare(order, serial(9)).unwrap();
    let intended = world.authority.intend(prepared, &world.register).unwrap();
    let responder = world
        .authority
        .sign(intended, &world.key, &world.register)
        .unwrap();
    let certificate = world.issue(Profile::Signing, 3).unwrap();
    let issuer = world.authority.certificate();
    let verify = |certificate: &Certificate| {
        let request = Request::for_certificate(certificate, issuer);
        let statuses = world
            .authority
            .statuses(&request, NOW, Duration::hours(1), &world.register)
            .unwrap();
        let response = respond(&statuses, &responder, &responder_key, NOW, None).unwrap();
        Response::decode(&response).unwrap().verify(
            certificate,
            issuer,
            &[],
            NOW,
            &Freshness::default(),
        )
    };
    assert!(verify(&certificate).is_ok());
    for _ in 0..2 {
        world
            .authority
            .revoke(
                serial(3),
                NOW,
                RevocationReason::KeyCompromise,
                &world.register,
            )
            .unwrap();
        let at = datetime!(2026-11-24 12:00 UTC);
        assert_eq!(verify(&certificate), Err(OcspError::Revoked { at }));
    }
    world.register.entries.borrow_mut().remove(&serial(3));
    assert_eq!(verify(&certificate), Err(OcspError::Unknown));

    let refused = |request: &Request| {
        world
            .authority
            .statuses(request, NOW, Duration::hours(1), &world.register)
            .unwrap_err()
    };
    assert_eq!(
        refused(&Request::for_certificate(&certificate, &responder)),
        ResponseStatus::Unauthorized
    );
    world.register.broken.set(true);
    assert_eq!(
        refused(&Request::for_certificate(&certificate, issuer)),
        ResponseStatus::InternalError
    );
}

#[test]
fn serial_numbers() {
    assert_eq!(Serial::from_random([0; 16]).octets()[0], 1);
    assert_eq!(Serial::from_random([0xff; 16]).octets()[0], 0x7f);
    assert_eq!(Serial::from_octets(&[0; 16]), None);
    assert_eq!(Serial::from_octets(&[1; 15]), None);
    assert_eq!(serial(1).to_string(), "7fffffffffffffffffffffffffffff01");
}
