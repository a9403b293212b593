//! What the tests of this crate share: documents made here, and a country's trust services in memory.
#![allow(dead_code)]

use pades::pdf::{Dictionary, Object};
use pades::sign::{Prepared, PreparedTimeStamp, Statement};
use pades::store::{self, ValidationData};
use pki::issue::{Profile, Template, issue, self_signed};
use pki::ocsp::{self, CertificateId, CertificateStatus, SingleResponse};
use pki::tsp::{self, Request, Stamp, Token};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use time::OffsetDateTime;
use time::macros::datetime;

pub const NOW: OffsetDateTime = datetime!(2026-11-25 08:00 UTC);
pub const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);

pub struct Holder {
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

/// A root, a person, a time-stamping authority and an OCSP responder.
pub struct World {
    pub root: Holder,
    pub person: Holder,
    pub tsa: Holder,
    pub responder: Holder,
}

impl World {
    pub fn new() -> World {
        let template = |name: &str, key: &SoftwareKey, serial: u8, profile: Profile| Template {
            subject: Name::builder()
                .push(AttributeType::Country, "KG")
                .push(AttributeType::CommonName, name)
                .build()
                .unwrap(),
            public_key: key.public_key().clone(),
            serial: vec![serial],
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2036-01-01 0:00 UTC),
            profile,
            ocsp_url: None,
        };
        let key = || {
            SoftwareKey::generate(KeyType::EcP256)
                .unwrap()
                .with_algorithm(ALGORITHM)
                .unwrap()
        };
        let ca = key();
        let root = self_signed(&template("Root", &ca, 1, Profile::Authority), &ca).unwrap();
        let holder = |name: &str, serial, profile| {
            let key = key();
            let certificate = issue(&template(name, &key, serial, profile), &root, &ca).unwrap();
            Holder { key, certificate }
        };
        let person = Profile::Person {
            policies: vec!["0.4.0.194112.1.2".to_owned()],
        };
        World {
            person: holder("Асан Үсөнов", 2, person),
            tsa: holder("TSA", 3, Profile::TimeStamping),
            responder: holder("OCSP", 4, Profile::OcspResponder),
            root: Holder {
                key: ca,
                certificate: root,
            },
        }
    }

    pub fn prepare(&self, file: &[u8]) -> Prepared {
        let statement = Statement {
            reason: Some("Макулмун".to_owned()),
            location: Some("Bishkek".to_owned()),
            name: Some("Асан Үсөнов".to_owned()),
        };
        Prepared::new(
            file,
            &self.person.certificate,
            std::slice::from_ref(&self.root.certificate),
            ALGORITHM,
            &statement,
            NOW,
        )
        .unwrap()
    }

    /// Level B-B.
    pub fn signed(&self, file: &[u8]) -> Vec<u8> {
        let signed = self.prepare(file).sign(&self.person.key).unwrap();
        signed.into_bytes()
    }

    pub fn stamp(&self, request: &Request, time: OffsetDateTime) -> Token {
        let stamp = Stamp {
            policy: "1.2.3",
            serial: &[7],
            time,
            accuracy_seconds: 1,
        };
        let token = tsp::build_token(request, &stamp, &self.tsa.certificate, &self.tsa.key);
        Token::decode(&token.unwrap()).unwrap()
    }

    /// Level B-T.
    pub fn stamped(&self, file: &[u8]) -> Vec<u8> {
        let signed = self.prepare(file).sign(&self.person.key).unwrap();
        let request = signed.time_stamp_request(DigestAlgorithm::Sha256);
        let token = self.stamp(&request, NOW);
        signed.with_time_stamp(&token).unwrap().into_bytes()
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
            next_update: None,
        };
        let responder = &self.responder;
        ocsp::build(&responder.certificate, &responder.key, at, &[single], None).unwrap()
    }

    pub fn validation_data(&self, at: OffsetDateTime) -> ValidationData {
        ValidationData::new(
            [
                &self.root.certificate,
                &self.tsa.certificate,
                &self.responder.certificate,
            ],
            [
                self.status(&self.person.certificate, CertificateStatus::Good, at),
                self.status(&self.tsa.certificate, CertificateStatus::Good, at),
            ],
        )
    }

    /// Level B-LT.
    pub fn long_term(&self, file: &[u8]) -> Vec<u8> {
        let at = NOW + time::Duration::minutes(1);
        store::add(&self.stamped(file), &self.validation_data(at)).unwrap()
    }

    /// Level B-LTA, or renewed.
    pub fn archived(&self, file: &[u8], at: OffsetDateTime) -> Vec<u8> {
        let prepared = PreparedTimeStamp::new(file).unwrap();
        let token = self.stamp(&prepared.request(DigestAlgorithm::Sha512), at);
        prepared.finish(&token).unwrap()
    }
}

/// A document of one page, with a cross-reference table.
pub fn with_table() -> Vec<u8> {
    document(false, "Contract No. 1")
}

/// A document of one page, with object streams and a cross-reference stream.
pub fn with_stream() -> Vec<u8> {
    document(true, "Contract No. 2")
}

fn dictionary(entries: &[(&str, Object)]) -> Dictionary {
    entries.iter().fold(Dictionary::new(), |all, (key, value)| {
        all.with(key, value.clone())
    })
}

pub fn document(compressed: bool, text: &str) -> Vec<u8> {
    let content = format!("BT /F1 24 Tf 72 700 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        "<< /Title (A contract (of two)) /Creator <4142> >>".to_owned(),
    ];
    let mut file = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    if !compressed {
        for (index, object) in objects.iter().enumerate() {
            offsets.push(file.len());
            file.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
        }
        let place = file.len();
        file.extend_from_slice(b"xref\n0 7\n0000000000 65535 f \n");
        for offset in offsets {
            file.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
        }
        file.extend_from_slice(
            format!(
                "trailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R /ID [<00112233> <00112233>] >>\nstartxref\n{place}\n%%EOF\n"
            )
            .as_bytes(),
        );
        return file;
    }
    // All but the content go into object stream 7; 8 is the cross-reference stream.
    let mut header = String::new();
    let mut body = String::new();
    for number in [1, 2, 3, 5, 6] {
        header.push_str(&format!("{number} {} ", body.len()));
        body.push_str(&objects[number - 1]);
        body.push('\n');
    }
    let inner = format!("{header}{body}");
    let content_at = file.len();
    file.extend_from_slice(format!("4 0 obj\n{}\nendobj\n", objects[3]).as_bytes());
    let stream_at = file.len();
    let stream = dictionary(&[
        ("Type", Object::name("ObjStm")),
        ("N", Object::Integer(5)),
        ("First", Object::Integer(header.len() as i64)),
        ("Length", Object::Integer(inner.len() as i64)),
    ]);
    file.extend_from_slice(b"7 0 obj\n");
    stream.write(&mut file);
    file.extend_from_slice(format!("\nstream\n{inner}\nendstream\nendobj\n").as_bytes());
    let place = file.len();
    let mut rows = Vec::new();
    let mut row = |kind: u8, second: usize, third: u8| {
        rows.push(kind);
        rows.extend_from_slice(&(second as u16).to_be_bytes());
        rows.push(third);
    };
    row(0, 0, 255);
    row(2, 7, 0);
    row(2, 7, 1);
    row(2, 7, 2);
    row(1, content_at, 0);
    row(2, 7, 3);
    row(2, 7, 4);
    row(1, stream_at, 0);
    row(1, place, 0);
    file.extend_from_slice(
        format!(
            "8 0 obj\n<< /Type /XRef /W [1 2 1] /Size 9 /Root 1 0 R /Info 6 0 R /Length {} >>\nstream\n",
            rows.len()
        )
        .as_bytes(),
    );
    file.extend_from_slice(&rows);
    file.extend_from_slice(format!("\nendstream\nendobj\nstartxref\n{place}\n%%EOF\n").as_bytes());
    file
}
