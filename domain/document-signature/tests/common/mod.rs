//! A country's trust services in memory, and documents signed with them.
#![allow(dead_code)]

use asic::files::File;
use document_signature::{
    Archiving, Authority, PreparedDocument, SignedDocument, SigningCertificate, Trust, extend,
    needs,
};
use pades::sign::Statement;
use pki::issue::{Profile, Template, issue, self_signed};
use pki::ocsp::{self, CertificateId, CertificateStatus, SingleResponse};
use pki::tsp::{Request, Stamp, Token, build_token};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// When everything is signed.
pub const SIGNED: OffsetDateTime = datetime!(2026-11-25 08:00 UTC);
/// When it is verified, usually.
pub const NOW: OffsetDateTime = datetime!(2026-12-01 08:00 UTC);
pub const SIMPLE: &str = "0.4.0.2042.1.1";
pub const QUALIFIED: &str = "0.4.0.194112.1.2";
pub const SHA256: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);

pub struct Holder {
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

pub struct World {
    pub root: Holder,
    pub person: Holder,
    pub tsa: Holder,
    pub responder: Holder,
}

fn key() -> SoftwareKey {
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    key.with_algorithm(SHA256).unwrap()
}

impl World {
    /// A person whose certificate names these policies and is valid for a year from 2026-06-01.
    pub fn new(policies: &[&str]) -> World {
        let ca = key();
        let template =
            |name: &str, number: &str, key: &SoftwareKey, serial, until, profile| Template {
                subject: Name::builder()
                    .push(AttributeType::Country, "KG")
                    .push(AttributeType::SerialNumber, number)
                    .push(AttributeType::CommonName, name)
                    .build()
                    .unwrap(),
                public_key: key.public_key().clone(),
                serial: vec![serial],
                not_before: datetime!(2026-06-01 0:00 UTC),
                not_after: until,
                profile,
                ocsp_url: None,
            };
        let far = datetime!(2056-06-01 0:00 UTC);
        let root = template("Root", "1", &ca, 1, far, Profile::Authority);
        let root = self_signed(&root, &ca).unwrap();
        let holder = |name: &str, number: &str, serial, until, profile| {
            let key = key();
            let template = template(name, number, &key, serial, until, profile);
            let certificate = issue(&template, &root, &ca).unwrap();
            Holder { key, certificate }
        };
        let person = if policies.is_empty() {
            Profile::Signing
        } else {
            Profile::Person {
                policies: policies.iter().map(|&policy| policy.to_owned()).collect(),
            }
        };
        let year = datetime!(2027-06-01 0:00 UTC);
        let decade = datetime!(2036-06-01 0:00 UTC);
        World {
            person: holder("Асан Үсөнов", "PNOKG-20101199012345", 2, year, person),
            tsa: holder("TSA", "3", 3, decade, Profile::TimeStamping),
            responder: holder("OCSP", "4", 4, far, Profile::OcspResponder),
            root: Holder {
                key: ca,
                certificate: root,
            },
        }
    }

    /// A time-stamping authority of the same country with a certificate of its own.
    pub fn younger_tsa(&self, from: OffsetDateTime, until: OffsetDateTime) -> Holder {
        self.tsa_with(key(), from, until)
    }

    /// As [`Self::younger_tsa`], with a key of RSA.
    pub fn rsa_tsa(&self, from: OffsetDateTime, until: OffsetDateTime) -> Holder {
        let key = SoftwareKey::generate(KeyType::Rsa2048).unwrap();
        self.tsa_with(key, from, until)
    }

    fn tsa_with(&self, key: SoftwareKey, from: OffsetDateTime, until: OffsetDateTime) -> Holder {
        let template = Template {
            subject: Name::builder()
                .push(AttributeType::CommonName, "TSA 2")
                .build()
                .unwrap(),
            public_key: key.public_key().clone(),
            serial: vec![9],
            not_before: from,
            not_after: until,
            profile: Profile::TimeStamping,
            ocsp_url: None,
        };
        let certificate = issue(&template, &self.root.certificate, &self.root.key).unwrap();
        Holder { key, certificate }
    }

    pub fn trust(&self) -> Trust {
        Trust {
            authorities: vec![Authority {
                certificate: self.root.certificate.clone(),
                simple: vec![SIMPLE.to_owned()],
                qualified: vec![QUALIFIED.to_owned()],
            }],
            time_stampers: vec![self.root.certificate.clone()],
            weakened: Vec::new(),
        }
    }

    pub fn stamp(&self, by: &Holder, request: &Request, time: OffsetDateTime) -> Token {
        let stamp = Stamp {
            policy: "1.2.3",
            serial: &[7],
            time,
            accuracy_seconds: 1,
        };
        let token = build_token(request, &stamp, &by.certificate, &by.key).unwrap();
        Token::decode(&token).unwrap()
    }

    pub fn status(
        &self,
        of: &Certificate,
        status: CertificateStatus,
        at: OffsetDateTime,
    ) -> Vec<u8> {
        let single = SingleResponse {
            certificate: CertificateId::sha1(&self.root.certificate, of.serial()),
            status,
            this_update: at,
            next_update: Some(at + Duration::hours(1)),
        };
        let responder = &self.responder;
        ocsp::build(&responder.certificate, &responder.key, at, &[single], None).unwrap()
    }

    pub fn signing(&self) -> SigningCertificate {
        SigningCertificate {
            certificate: self.person.certificate.clone(),
            chain: vec![self.root.certificate.clone()],
            algorithm: SHA256,
        }
    }

    fn sign(&self, prepared: PreparedDocument) -> SignedDocument {
        let value = self.person.key.sign(prepared.to_be_signed()).unwrap();
        prepared.finish(&value).unwrap()
    }

    fn stamped(&self, signed: SignedDocument, at: OffsetDateTime) -> Vec<u8> {
        let request = signed.time_stamp_request(DigestAlgorithm::Sha256).unwrap();
        let token = self.stamp(&self.tsa, &request, at);
        signed
            .with_time_stamp(&token)
            .unwrap()
            .into_bytes()
            .unwrap()
    }

    fn signed_pdf(&self, file: &[u8]) -> SignedDocument {
        let statement = Statement::default();
        self.sign(PreparedDocument::pdf(file, &self.signing(), &statement, SIGNED).unwrap())
    }

    fn signed_files(&self, files: Vec<File>) -> SignedDocument {
        self.sign(PreparedDocument::files(files, &self.signing(), SIGNED).unwrap())
    }

    /// A PDF file, level B-B.
    pub fn pdf(&self, file: &[u8]) -> Vec<u8> {
        self.signed_pdf(file).into_bytes().unwrap()
    }

    /// A PDF file, level B-T.
    pub fn stamped_pdf(&self, file: &[u8], at: OffsetDateTime) -> Vec<u8> {
        self.stamped(self.signed_pdf(file), at)
    }

    /// A container, level B-B.
    pub fn container(&self, files: Vec<File>) -> Vec<u8> {
        self.signed_files(files).into_bytes().unwrap()
    }

    /// A container, level B-T.
    pub fn stamped_container(&self, files: Vec<File>, at: OffsetDateTime) -> Vec<u8> {
        self.stamped(self.signed_files(files), at)
    }

    /// One more signature over the files of a container, level B-T.
    pub fn countersigned(&self, container: &[u8], at: OffsetDateTime) -> Vec<u8> {
        let prepared = PreparedDocument::container(container, &self.signing(), SIGNED).unwrap();
        self.stamped(self.sign(prepared), at)
    }

    /// Adds what [`needs`] asks for, every certificate good: level B-LT.
    pub fn extended(&self, document: &[u8], at: OffsetDateTime) -> Vec<u8> {
        let needs = needs(document, &self.trust()).unwrap();
        let statuses: Vec<Vec<u8>> = needs
            .statuses
            .iter()
            .map(|(certificate, _)| self.status(certificate, CertificateStatus::Good, at))
            .collect();
        extend(document, &needs.certificates, &statuses, at).unwrap()
    }

    /// Adds a time-stamp over everything: level B-LTA, or renewed.
    pub fn archived(&self, document: &[u8], by: &Holder, at: OffsetDateTime) -> Vec<u8> {
        let archiving = Archiving::new(document).unwrap();
        let tokens: Vec<Token> = archiving
            .requests(DigestAlgorithm::Sha512)
            .unwrap()
            .iter()
            .map(|request| self.stamp(by, request, at))
            .collect();
        archiving.finish(&tokens, at).unwrap()
    }
}

pub fn files() -> Vec<File> {
    [("contract.txt", "the contract"), ("annex.txt", "an annex")]
        .map(|(name, text)| File {
            name: name.to_owned(),
            media_type: "text/plain".to_owned(),
            bytes: text.as_bytes().to_vec(),
        })
        .to_vec()
}

/// A PDF file of one page.
pub fn page() -> Vec<u8> {
    let content = "BT /F1 24 Tf 72 700 Td (Contract) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
        "<< /Title (Contract) /Producer (A program) >>".to_owned(),
    ];
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut table = String::from("xref\n0 6\n0000000000 65535 f \n");
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let place = file.len();
    file.extend_from_slice(table.as_bytes());
    let trailer =
        format!("trailer\n<< /Size 6 /Root 1 0 R /Info 5 0 R >>\nstartxref\n{place}\n%%EOF\n");
    file.extend_from_slice(trailer.as_bytes());
    file
}

/// Minutes after everything was signed.
pub fn minutes(count: i64) -> OffsetDateTime {
    SIGNED + Duration::minutes(count)
}
