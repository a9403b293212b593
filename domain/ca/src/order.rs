//! Orders and revocations of people's certificates, signed by a registration authority: whoever has found out who
//! people are and holds, or hands out, their keys. In this system that is the signing service.
//!
//! An order is a JWS in the compact form (ES256 or PS256). Its claims are `iss` (the registration authority's name here),
//! `aud` (this authority: see [`audience`]), `iat`, `jti`, and `request` (PKCS#10 in base64url), `kind`, `number`,
//! `surname`, `given_name`. One order makes one certificate, however often it comes: the serial number follows from `iss`
//! and `jti`. A revocation has `serial` and `reason` instead.

use jose::{ClaimsError, Expected, Jwk, Jws, SigningKey, ValidClaims, to_base64url};
use pki::csr::CertificateRequest;
use pki::{Certificate, PublicKey, SignError, Signer};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::people::{PersonNameError, SignatureKind, person_subject, person_validity};
use crate::{
    CaError, CertificateAuthority, Intended, Order, Register, RevocationReason, Serial, Status,
};

/// `typ` of an order.
pub const ORDER_TYPE: &str = "tunduk-person-order+jwt";
/// `typ` of a revocation.
pub const REVOCATION_TYPE: &str = "tunduk-person-revocation+jwt";
/// How long after `iat` an order or a revocation is taken.
pub const ORDER_LASTS: Duration = Duration::minutes(10);
/// Longest `jti`, in bytes.
pub const LONGEST_ORDER_ID: usize = 128;
/// How far a certificate's validity begins before it is made, for those whose clock is slow.
const BACKDATING: Duration = Duration::minutes(1);

/// Somebody whose orders are taken.
#[derive(Debug, Clone)]
pub struct RegistrationAuthority {
    /// Its name: `iss` of what it signs.
    pub name: String,
    /// The key that it signs with.
    pub key: Jwk,
}

/// Why an order or a revocation is not taken. The fault is the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It is no JWS, or a claim is missing or malformed.
    #[error("it cannot be read: {0}")]
    Form(&'static str),
    /// Nobody who may order has signed it.
    #[error("it is not signed by a registration authority that is listed here")]
    Signature,
    /// It is of another type, for another authority, or too old.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The certification request is not signed with its own key.
    #[error("the certification request does not hold: {0}")]
    Request(String),
    /// There is no subject for the person.
    #[error(transparent)]
    Name(#[from] PersonNameError),
}

/// The name of an authority in `aud`: `sha256:` and the digest of its certificate in base64url. So an order for one
/// authority is none for another.
#[must_use]
pub fn audience(certificate: &Certificate) -> String {
    format!("sha256:{}", jose::sha256_base64url(certificate.der()))
}

/// A wish for a person's certificate, as the registration authority writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonOrder<'a> {
    /// The certification request, in DER; only its key is taken.
    pub request: &'a [u8],
    /// The kind of signatures.
    pub kind: SignatureKind,
    /// The personal number, 14 digits.
    pub number: &'a str,
    /// Surname.
    pub surname: &'a str,
    /// Given name.
    pub given_name: &'a str,
}

/// Who orders, where, and under which name: the claims that orders and revocations share.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The registration authority's name.
    pub name: &'a str,
    /// Its key.
    pub key: &'a SigningKey,
    /// The certificate of the authority that the order is for.
    pub authority: &'a Certificate,
}

impl Sender<'_> {
    fn sign(
        &self,
        typ: &str,
        id: &str,
        now: OffsetDateTime,
        rest: Value,
    ) -> Result<String, SignError> {
        let mut claims = rest;
        claims["iss"] = json!(self.name);
        claims["aud"] = json!(audience(self.authority));
        claims["iat"] = json!(now.unix_timestamp());
        claims["jti"] = json!(id);
        self.key.sign(typ, &claims)
    }

    /// Signs an order. `id` names it for ever: the same one again gives the same certificate.
    ///
    /// # Errors
    /// The key fails.
    pub fn order(
        &self,
        order: &PersonOrder<'_>,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<String, SignError> {
        let rest = json!({
            "request": to_base64url(order.request),
            "kind": order.kind.name(),
            "number": order.number,
            "surname": order.surname,
            "given_name": order.given_name,
        });
        self.sign(ORDER_TYPE, id, now, rest)
    }

    /// Signs the revocation of a certificate that it ordered. `id` is another one each time.
    ///
    /// # Errors
    /// The key fails.
    pub fn revocation(
        &self,
        certificate: &Certificate,
        reason: RevocationReason,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<String, SignError> {
        let rest = json!({
            "serial": to_base64url(certificate.serial()),
            "reason": reason.number(),
        });
        self.sign(REVOCATION_TYPE, id, now, rest)
    }
}

/// An order whose signatures were checked: the registration authority's and the request's. Only [`AcceptedOrder::check`]
/// makes one.
#[derive(Debug, Clone)]
pub struct AcceptedOrder {
    by: String,
    serial: Serial,
    kind: SignatureKind,
    subject: pki::Name,
    public_key: PublicKey,
}

/// A revocation whose signature was checked. Only [`AcceptedRevocation::check`] makes one.
#[derive(Debug, Clone)]
pub struct AcceptedRevocation {
    by: String,
    serial: Serial,
    reason: RevocationReason,
}

/// Whoever signed it, and what it says.
fn check(
    text: &str,
    typ: &str,
    listed: &[RegistrationAuthority],
    authority: &Certificate,
    now: OffsetDateTime,
) -> Result<(String, ValidClaims), OrderError> {
    let jws = Jws::decode(text).map_err(|_| OrderError::Form("it is not a JWS"))?;
    let issuer = jws
        .unverified_claims()
        .ok()
        .and_then(|claims| claims.issuer)
        .ok_or(OrderError::Form("it does not say who sends it (iss)"))?;
    let sender = listed
        .iter()
        .find(|listed| listed.name == issuer)
        .ok_or(OrderError::Signature)?;
    let verified = jws.verify(&sender.key).map_err(|_| OrderError::Signature)?;
    let valid = verified.validate(&Expected {
        types: &[typ],
        issuer: Some(&sender.name),
        audience: Some(&audience(authority)),
        now,
        lasts: ORDER_LASTS,
        needs_expiry: false,
    })?;
    Ok((issuer, valid))
}

fn id_of(claims: &ValidClaims) -> Result<&str, OrderError> {
    claims
        .claims()
        .id
        .as_deref()
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_ORDER_ID)
        .ok_or(OrderError::Form("it has no name of its own (jti)"))
}

fn octets(claims: &ValidClaims, name: &'static str) -> Result<Vec<u8>, OrderError> {
    claims
        .claims()
        .text(name)
        .and_then(jose::from_base64url)
        .ok_or(OrderError::Form(name))
}

fn text<'a>(claims: &'a ValidClaims, name: &'static str) -> Result<&'a str, OrderError> {
    claims.claims().text(name).ok_or(OrderError::Form(name))
}

impl AcceptedOrder {
    /// Checks an order for an authority against those who are listed.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn check(
        jws: &str,
        listed: &[RegistrationAuthority],
        authority: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Self, OrderError> {
        let (by, claims) = check(jws, ORDER_TYPE, listed, authority, now)?;
        let id = id_of(&claims)?;
        let kind = SignatureKind::from_name(text(&claims, "kind")?)
            .ok_or(OrderError::Form("there is no such kind of signature"))?;
        let subject = person_subject(
            text(&claims, "number")?,
            text(&claims, "surname")?,
            text(&claims, "given_name")?,
        )?;
        let request = CertificateRequest::decode(&octets(&claims, "request")?)
            .and_then(CertificateRequest::verify)
            .map_err(|error| OrderError::Request(error.to_string()))?;
        Ok(Self {
            serial: serial_of(&by, id),
            by,
            kind,
            subject,
            public_key: request.public_key().clone(),
        })
    }

    /// The serial number that its certificate has or will have.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Who ordered.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }
}

/// The serial number of an order's certificate: 127 bits of a digest, so two orders have two.
fn serial_of(by: &str, id: &str) -> Serial {
    let named = json!(["tunduk person order 1", by, id]).to_string();
    let digest = jose::sha256(named.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    Serial::from_random(first)
}

impl AcceptedRevocation {
    /// Checks a revocation for an authority against those who are listed.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn check(
        jws: &str,
        listed: &[RegistrationAuthority],
        authority: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Self, OrderError> {
        let (by, claims) = check(jws, REVOCATION_TYPE, listed, authority, now)?;
        id_of(&claims)?;
        let serial = Serial::from_octets(&octets(&claims, "serial")?)
            .ok_or(OrderError::Form("there is no such serial number"))?;
        let reason = claims
            .claims()
            .rest
            .get("reason")
            .and_then(Value::as_u64)
            .and_then(|number| u8::try_from(number).ok())
            .and_then(RevocationReason::from_number)
            .ok_or(OrderError::Form("there is no such reason"))?;
        Ok(Self { by, serial, reason })
    }

    /// The certificate's serial number.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Who asks for it.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> RevocationReason {
        self.reason
    }
}

impl CertificateAuthority {
    /// Makes the certificate of an order; the same one again if the order comes again. Whoever calls it does so for one
    /// order at a time.
    ///
    /// # Errors
    /// [`CaError::OrderDiffers`] if an order of this name had other contents, [`CaError::Revoked`] if its certificate was
    /// revoked; see [`CaError`].
    pub fn certify(
        &self,
        order: &AcceptedOrder,
        now: OffsetDateTime,
        signer: &dyn Signer,
        register: &dyn Register,
    ) -> Result<Certificate, CaError> {
        let known = register.find(&order.serial)?;
        if known
            .as_ref()
            .is_some_and(|entry| !entry.subject.matches(&order.subject))
        {
            return Err(CaError::OrderDiffers);
        }
        if let Some(certificate) = known.as_ref().and_then(|entry| entry.certificate.as_ref()) {
            let same = certificate.public_key() == &order.public_key
                && certificate.policies() == [order.kind.policy().to_owned()];
            return match known.as_ref().map(|entry| entry.status) {
                _ if !same => Err(CaError::OrderDiffers),
                Some(Status::Revoked { .. }) => Err(CaError::Revoked),
                _ => Ok(certificate.clone()),
            };
        }
        let ends = self.certificate().not_after();
        let (not_before, not_after) = person_validity(now - BACKDATING, ends);
        let wish = Order {
            profile: order.kind.profile(),
            subject: order.subject.clone(),
            public_key: order.public_key.clone(),
            not_before,
            not_after,
        };
        let prepared = self.prepare(wish, order.serial)?;
        // Cut short between intention and signature: whatever was signed then, nobody has got.
        let intended = match known {
            Some(_) => Intended(prepared),
            None => self.intend(prepared, register)?,
        };
        self.sign(intended, signer, register)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::sync::Arc;

    use pki::{AttributeType, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, SoftwareKey};
    use time::macros::datetime;

    use super::*;
    use crate::{Entry, RegisterError, new_root, person_number};

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00:00.5 UTC);
    const NUMBER: &str = "20101199000011";

    #[derive(Default)]
    struct Kept(RefCell<HashMap<Serial, Entry>>);

    impl Register for Kept {
        fn find(&self, serial: &Serial) -> Result<Option<Entry>, RegisterError> {
            Ok(self.0.borrow().get(serial).cloned())
        }

        fn store(&self, entry: &Entry) -> Result<(), RegisterError> {
            self.0.borrow_mut().insert(entry.serial, entry.clone());
            Ok(())
        }
    }

    fn key() -> SoftwareKey {
        SoftwareKey::generate(KeyType::EcP256)
            .unwrap()
            .with_algorithm(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256))
            .unwrap()
    }

    struct World {
        key: SoftwareKey,
        authority: CertificateAuthority,
        register: Kept,
        sender: SigningKey,
        request: Vec<u8>,
    }

    impl World {
        fn new() -> Self {
            let key = key();
            let name = |text: &str| {
                Name::builder()
                    .push(AttributeType::CommonName, text)
                    .build()
                    .unwrap()
            };
            let (start, end) = (NOW - Duration::DAY, NOW + Duration::days(3650));
            let root =
                new_root(name("CA"), Serial::from_random([1; 16]), start, end, &key).unwrap();
            Self {
                key,
                authority: CertificateAuthority::new(root, None),
                register: Kept::default(),
                sender: SigningKey::new(Arc::new(self::key())).unwrap(),
                request: pki::csr::build(&name("whoever"), &self::key()).unwrap(),
            }
        }

        fn listed(&self) -> Vec<RegistrationAuthority> {
            vec![RegistrationAuthority {
                name: "signing".into(),
                key: self.sender.public().clone(),
            }]
        }

        fn sender(&self) -> Sender<'_> {
            Sender {
                name: "signing",
                key: &self.sender,
                authority: self.authority.certificate(),
            }
        }

        fn wish(&self) -> PersonOrder<'_> {
            PersonOrder {
                request: &self.request,
                kind: SignatureKind::Qualified,
                number: NUMBER,
                surname: "Асанов",
                given_name: "Үсөн",
            }
        }

        fn order(&self, wish: &PersonOrder<'_>, id: &str) -> String {
            self.sender().order(wish, id, NOW).unwrap()
        }

        fn check(&self, jws: &str, now: OffsetDateTime) -> Result<AcceptedOrder, OrderError> {
            AcceptedOrder::check(jws, &self.listed(), self.authority.certificate(), now)
        }

        fn certify(&self, jws: &str) -> Result<Certificate, CaError> {
            let order = self.check(jws, NOW).unwrap();
            self.authority
                .certify(&order, NOW, &self.key, &self.register)
        }
    }

    #[test]
    fn an_order_makes_one_certificate_however_often_it_comes() {
        let world = World::new();
        let jws = world.order(&world.wish(), "1");
        let certificate = world.certify(&jws).unwrap();
        assert_eq!(person_number(certificate.subject()), Some(NUMBER));
        assert_eq!(
            certificate.policies(),
            [SignatureKind::Qualified.policy().to_owned()]
        );
        assert!(certificate.valid_at(NOW));
        assert!(!certificate.valid_at(NOW + Duration::days(366)));
        assert_eq!(world.certify(&jws).unwrap(), certificate);
        // Signed anew, the same name: still the same.
        let again = world.order(&world.wish(), "1");
        assert_eq!(world.certify(&again).unwrap(), certificate);
        assert_ne!(
            world.certify(&world.order(&world.wish(), "2")).unwrap(),
            certificate
        );
        // Another content under the same name is a mistake or an attack.
        let other = pki::csr::build(certificate.subject(), &key()).unwrap();
        for wish in [
            PersonOrder {
                request: &other,
                ..world.wish()
            },
            PersonOrder {
                surname: "Другой",
                ..world.wish()
            },
            PersonOrder {
                kind: SignatureKind::Simple,
                ..world.wish()
            },
        ] {
            let refused = world.certify(&world.order(&wish, "1"));
            assert_eq!(refused.unwrap_err(), CaError::OrderDiffers);
        }
        let serial = Serial::from_octets(certificate.serial()).unwrap();
        world
            .authority
            .revoke(serial, NOW, RevocationReason::Unspecified, &world.register)
            .unwrap();
        assert_eq!(world.certify(&jws).unwrap_err(), CaError::Revoked);
    }

    #[test]
    fn an_order_that_was_cut_short_is_carried_out_when_it_comes_again() {
        let world = World::new();
        let jws = world.order(&world.wish(), "1");
        let order = world.check(&jws, NOW).unwrap();
        world
            .register
            .store(&Entry {
                serial: order.serial(),
                subject: order.subject.clone(),
                status: Status::Intended,
                certificate: None,
            })
            .unwrap();
        let certificate = world.certify(&jws).unwrap();
        assert_eq!(certificate.serial(), order.serial().octets());
        let entry = world.register.find(&order.serial()).unwrap().unwrap();
        assert_eq!(entry.status, Status::Issued);
    }

    #[test]
    fn nobody_else_orders() {
        let world = World::new();
        let jws = world.order(&world.wish(), "1");
        assert!(world.check(&jws, NOW + ORDER_LASTS).is_ok());
        let late = world.check(&jws, NOW + ORDER_LASTS + Duration::MINUTE);
        assert_eq!(late.unwrap_err(), ClaimsError::TooLong.into());
        let early = world.check(&jws, NOW - Duration::MINUTE);
        assert_eq!(early.unwrap_err(), ClaimsError::NotYet.into());
        // Another key, another name, nobody listed.
        let other = World::new();
        let thief = Sender {
            key: &other.sender,
            ..world.sender()
        };
        let stolen = thief.order(&world.wish(), "1", NOW).unwrap();
        assert_eq!(
            world.check(&stolen, NOW).unwrap_err(),
            OrderError::Signature
        );
        let unlisted = Sender {
            name: "other",
            ..world.sender()
        };
        let unlisted = unlisted.order(&world.wish(), "1", NOW).unwrap();
        assert_eq!(
            world.check(&unlisted, NOW).unwrap_err(),
            OrderError::Signature
        );
        let authority = world.authority.certificate();
        let nobody = AcceptedOrder::check(&jws, &[], authority, NOW);
        assert_eq!(nobody.unwrap_err(), OrderError::Signature);
        // For another authority.
        let elsewhere = Sender {
            authority: other.authority.certificate(),
            ..world.sender()
        };
        let elsewhere = elsewhere.order(&world.wish(), "1", NOW).unwrap();
        assert_eq!(
            world.check(&elsewhere, NOW).unwrap_err(),
            ClaimsError::Audience.into()
        );
        // A revocation is no order and an order no revocation.
        let certificate = world.certify(&jws).unwrap();
        let revocation = world
            .sender()
            .revocation(&certificate, RevocationReason::Superseded, "9", NOW)
            .unwrap();
        assert_eq!(
            world.check(&revocation, NOW).unwrap_err(),
            ClaimsError::Type.into()
        );
        let listed = world.listed();
        let not = AcceptedRevocation::check(&jws, &listed, authority, NOW);
        assert_eq!(not.unwrap_err(), ClaimsError::Type.into());
        let taken = AcceptedRevocation::check(&revocation, &listed, authority, NOW).unwrap();
        assert_eq!(taken.serial().octets(), certificate.serial());
        assert_eq!(taken.reason(), RevocationReason::Superseded);
        assert_eq!(taken.by(), "signing");
    }

    #[test]
    fn what_is_ordered_must_be_whole() {
        let world = World::new();
        for wish in [
            PersonOrder {
                number: "2010119900001",
                ..world.wish()
            },
            PersonOrder {
                surname: "",
                ..world.wish()
            },
            PersonOrder {
                given_name: "a\u{0}b",
                ..world.wish()
            },
        ] {
            let refused = world.check(&world.order(&wish, "1"), NOW).unwrap_err();
            assert_eq!(refused, PersonNameError.into());
        }
        // Whoever orders must show that the key is there.
        let mut request = world.request.clone();
        let last = request.len() - 1;
        request[last] ^= 1;
        let wish = PersonOrder {
            request: &request,
            ..world.wish()
        };
        let refused = world.check(&world.order(&wish, "1"), NOW).unwrap_err();
        assert!(matches!(refused, OrderError::Request(_)), "{refused}");
        for id in [String::new(), "x".repeat(LONGEST_ORDER_ID + 1)] {
            let refused = world.check(&world.order(&world.wish(), &id), NOW);
            assert!(matches!(refused, Err(OrderError::Form(_))), "{refused:?}");
        }
        let jws = world.order(&world.wish(), "1");
        for end in (0..jws.len()).filter(|end| jws.is_char_boundary(*end)) {
            assert!(world.check(&jws[..end], NOW).is_err());
        }
    }
}
