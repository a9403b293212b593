//! A second, independent ASN.1 library reads what we write and writes the same bytes again.

// Tests may use files, programs and the clock.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]
#![allow(clippy::unwrap_used)]

mod support;

use pki::ocsp::{self, CertificateId, CertificateStatus, SingleResponse};
use pki::tsp::{self, Stamp};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey, csr};
use support::{NOW, World};
use time::Duration;

#[track_caller]
fn agrees<T: rasn::Decode + rasn::Encode>(der: &[u8]) -> T {
    let value: T = rasn::der::decode(der).unwrap();
    assert_eq!(rasn::der::encode(&value).unwrap(), der);
    value
}

#[test]
fn rasn_agrees_with_what_we_write() {
    for key_type in [KeyType::Rsa2048, KeyType::EcP256] {
        let world = World::new(key_type);
        for holder in [
            &world.authority,
            &world.responder,
            &world.tsa,
            &world.signing,
            &world.authentication,
        ] {
            agrees::<rasn_pkix::Certificate>(holder.certificate.der());
        }
        let issuer = &world.authority.certificate;
        let request = ocsp::Request {
            nonce: Some(vec![7; 16]),
            ..ocsp::Request::for_certificate(&world.signing.certificate, issuer)
        };
        agrees::<rasn_ocsp::OcspRequest>(&request.encode());
        let at = NOW - Duration::days(1);
        let singles = [
            CertificateStatus::Good,
            CertificateStatus::Revoked {
                at,
                reason: Some(1),
            },
            CertificateStatus::Revoked { at, reason: None },
            CertificateStatus::Unknown,
        ]
        .map(|status| SingleResponse {
            certificate: CertificateId::sha1(issuer, world.signing.certificate.serial()),
            status,
            this_update: NOW,
            next_update: Some(NOW + Duration::hours(1)),
        });
        let response = ocsp::build(
            &world.responder.certificate,
            &world.responder.key,
            NOW,
            &singles,
            Some(&[7; 16]),
        )
        .unwrap();
        let outer: rasn_ocsp::OcspResponse = agrees(&response);
        let basic: rasn_ocsp::BasicOcspResponse = agrees(&outer.bytes.unwrap().response);
        assert_eq!(basic.tbs_response_data.responses.len(), 4);

        let imprint = DigestAlgorithm::Sha512.digest(b"data");
        let request = tsp::Request::new(DigestAlgorithm::Sha512, imprint).with_nonce(&[0xff; 8]);
        agrees::<rasn_cms::tsp::TimeStampReq>(&request.encode());
        let stamp = Stamp {
            policy: "1.2.3.4",
            serial: &[1],
            time: NOW + Duration::milliseconds(120),
            accuracy_seconds: 1,
        };
        let token =
            tsp::build_token(&request, &stamp, &world.tsa.certificate, &world.tsa.key).unwrap();
        let content: rasn_cms::ContentInfo = agrees(&token);
        agrees::<rasn_cms::SignedData>(content.content.as_bytes());
        agrees::<rasn_cms::tsp::TimeStampResp>(&tsp::build_refusal(
            tsp::Failure::SystemFailure,
            "out of order",
        ));
    }
}

#[test]
fn certificates_signed_with_pss() {
    let key = SoftwareKey::generate(KeyType::Rsa2048)
        .unwrap()
        .with_algorithm(SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256))
        .unwrap();
    let template = support::template("PSS", &key, 9, pki::issue::Profile::Authority);
    let certificate = pki::issue::self_signed(&template, &key).unwrap();
    assert_eq!(
        certificate.signature_algorithm(),
        Some(SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256))
    );
    assert!(certificate.is_issued_by(&certificate));
    agrees::<rasn_pkix::Certificate>(certificate.der());
    csr::CertificateRequest::decode(&csr::build(certificate.subject(), &key).unwrap())
        .unwrap()
        .verify()
        .unwrap();
}
