//! X-Road's own certificates, OCSP responses and time-stamps.

// Tests may use files, programs and the clock.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::ocsp::{Freshness, OcspError, Response};
use pki::tsp::{Token, TspError};
use pki::{
    Certificate, DigestAlgorithm, LegacyDigests, PathError, VerifyError, validate_path,
    validate_path_with,
};
use time::OffsetDateTime;
use time::macros::datetime;

fn certificate(path: &Path) -> Certificate {
    let text = fs::read(path).unwrap();
    Certificate::from_pem(&text).unwrap_or_else(|_| {
        // OpenSSL's own label: trust settings follow the certificate.
        let trusted = pki::pem::decode(&text, "TRUSTED CERTIFICATE").unwrap();
        let first = pki::der::Reader::new(&trusted).element().unwrap();
        Certificate::decode(first.whole).unwrap()
    })
}

/// Every prefix is refused, and no changed byte makes anything panic.
fn damage<T, E>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>) {
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut]).is_err(), "a prefix of {cut} bytes");
    }
    let mut changed = bytes.to_vec();
    for position in 0..bytes.len() {
        for value in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
            changed[position] = value;
            let _ = decode(&changed);
        }
        changed[position] = bytes[position];
    }
}

#[test]
fn the_test_chain_validates_with_its_intermediates() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let read = |name: &str| certificate(&vectors.join("certs/test_chain").join(name));
    let root = [read("root_ca.pem")];
    let intermediates = [read("ca_1.pem"), read("ca_2.pem"), read("ca_3.pem")];
    let now = datetime!(2013-01-01 0:00 UTC);
    let validate = |user: &str, intermediates: &[Certificate], now| {
        validate_path_with(
            &read(user),
            intermediates,
            &root,
            now,
            LegacyDigests::AllowSha1,
        )
    };
    for (user, length) in [("user_0.pem", 2), ("user_1.pem", 3), ("user_2.pem", 4)] {
        let path = validate(user, &intermediates, now).unwrap();
        assert_eq!(path.certificates().len(), length, "{user}");
        assert_eq!(path.anchor(), &root[0]);
        assert_eq!(path.valid_until(), path.end_entity().not_after());
    }
    assert!(matches!(
        validate("user_2.pem", &intermediates[1..], now),
        Err(PathError::UnknownIssuer { .. })
    ));
    assert!(matches!(
        validate("user_0.pem", &[], datetime!(2020-01-01 0:00 UTC)),
        Err(PathError::Expired { .. })
    ));
    assert!(matches!(
        validate("user_0.pem", &[], datetime!(2011-01-01 0:00 UTC)),
        Err(PathError::NotYetValid { .. })
    ));
    // The whole chain is signed over SHA-1.
    assert!(matches!(
        validate_path(&read("user_0.pem"), &[], &root, now),
        Err(PathError::Signature {
            reason: VerifyError::Algorithm,
            ..
        })
    ));
}

#[test]
fn certificates_of_a_recorded_pair_and_of_the_test_world() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let recorded = vectors.join("recorded/certificates");
    let ca = certificate(&recorded.join("ca.pem"));
    let consumer = certificate(&recorded.join("consumer.pem"));
    assert!(ca.is_ca() && ca.is_issued_by(&ca));
    assert!(consumer.is_issued_by(&ca) && !ca.is_issued_by(&consumer));
    assert!(consumer.allows_signing() && consumer.is_authentication());
    assert_eq!(consumer.subject().get("CN"), Some("consumer"));
    assert_eq!(
        consumer.issuer_rfc2253(),
        "CN=Cyber,OU=ITO,O=Cybernetica,C=EE"
    );
    assert_eq!(
        consumer.serial_decimal(),
        // 751F359AA774DAB45184DF8A170775C45643F2C2
        "668647912864770380353523844445511373931306808002"
    );
    let now = datetime!(2026-11-23 13:36 UTC);
    let path = validate_path(&consumer, &[], std::slice::from_ref(&ca), now).unwrap();
    assert!(path.intermediates().is_empty());

    let world = vectors.join("dev-world/certificates");
    let ca = certificate(&world.join("ca.cert.pem"));
    for name in ["ocsp.cert.pem", "tsa.cert.pem"] {
        let certificate = certificate(&world.join(name));
        assert!(certificate.is_issued_by(&ca), "{name}");
        assert!(!certificate.is_ca(), "{name}");
    }
    damage(ca.der(), Certificate::decode);
    damage(consumer.der(), Certificate::decode);
}

/// The DER of the OCSP part of a recorded request.
fn recorded_ocsp(request: &[u8]) -> Vec<u8> {
    let header = b"content-type: application/ocsp-response\r\n\r\n";
    let start = request
        .windows(header.len())
        .position(|window| window == header)
        .unwrap()
        + header.len();
    let length = usize::from(u16::from_be_bytes([request[start + 2], request[start + 3]])) + 4;
    request[start..start + length].to_vec()
}

#[test]
fn a_recorded_ocsp_response() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let recorded = vectors.join("recorded");
    let read = |name: &str| certificate(&recorded.join("certificates").join(name));
    let (ca, consumer, responder) = (read("ca.pem"), read("consumer.pem"), read("ocsp.pem"));
    let der = recorded_ocsp(&fs::read(recorded.join("rest-get.request")).unwrap());
    let response = Response::decode(&der).unwrap();
    let now = datetime!(2026-11-23 13:36 UTC);
    let verify = |certificate: &Certificate, responders: &[Certificate], now, freshness| {
        response.verify(certificate, &ca, responders, now, &freshness)
    };
    // The recorder's responder gives thisUpdate of the next day, which X-Road takes and we do not.
    assert!(matches!(
        verify(&consumer, &[], now, Freshness::default()),
        Err(OcspError::Ahead { .. })
    ));
    let freshness = Freshness {
        max_ahead_seconds: 86_400,
        ..Freshness::default()
    };
    // The certificate in the response is enough, and so is a configured one.
    for responders in [&[][..], std::slice::from_ref(&responder)] {
        let good = verify(&consumer, responders, now, freshness).unwrap();
        assert_eq!(good.this_update(), datetime!(2026-11-24 13:35:09 UTC));
        assert_eq!(
            good.fresh_until(&freshness),
            datetime!(2026-11-24 14:35:09 UTC)
        );
    }
    assert_eq!(
        verify(&read("producer.pem"), &[], now, freshness),
        Err(OcspError::WrongCertificate)
    );
    let late = datetime!(2026-11-24 14:36 UTC);
    assert!(matches!(
        verify(&consumer, &[], late, freshness),
        Err(OcspError::NotFresh { .. })
    ));
    damage(&der, Response::decode);
    // A changed byte of the signed part breaks the signature.
    let mut changed = der.clone();
    let position = changed
        .windows(15)
        .position(|window| window == b"20261124133509Z")
        .unwrap();
    changed[position + 13] = b'8';
    assert_eq!(
        Response::decode(&changed)
            .unwrap()
            .verify(&consumer, &ca, &[], now, &freshness),
        Err(OcspError::BadSignature)
    );
}

/// All Base64 texts of elements with this local name.
fn base64_elements(xml: &str, name: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for piece in xml.split('<').filter(|piece| !piece.starts_with('/')) {
        let Some((tag, text)) = piece.split_once('>') else {
            continue;
        };
        let tag = tag.split_whitespace().next().unwrap_or_default();
        if tag.rsplit(':').next() == Some(name) {
            let text: String = text.replace("&#13;", "").split_whitespace().collect();
            found.push(STANDARD.decode(text).unwrap());
        }
    }
    found
}

/// The certificates of a stored `shared-params.xml` (Base64 of PEM or of DER).
fn configured(path: &Path) -> Vec<Certificate> {
    let xml = fs::read_to_string(path).unwrap();
    base64_elements(&xml, "cert")
        .iter()
        .map(|bytes| {
            Certificate::from_pem(bytes)
                .or_else(|_| Certificate::decode(bytes))
                .unwrap()
        })
        .collect()
}

fn entry(container: &Path, name: &str) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(container).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).ok()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// The first token of a container with the data it must be over.
fn time_stamp(container: &Path, signatures: &str) -> Option<(Token, Vec<u8>)> {
    if let Some(token) = entry(container, "META-INF/timestamp.tst") {
        let data = entry(container, "ts-hashchainresult.xml").unwrap();
        return Some((Token::decode(&token).unwrap(), data));
    }
    let token = base64_elements(signatures, "EncapsulatedTimeStamp").pop()?;
    let value = base64_elements(signatures, "SignatureValue").remove(0);
    Some((Token::decode(&token).unwrap(), value))
}

#[test]
fn time_stamps_and_ocsp_responses_of_containers() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let cases = [
        (
            "asic",
            "globalconf/globalconf_good2_v3",
            "valid-signed-message",
            "good",
        ),
        (
            "asic",
            "globalconf/globalconf_good2_v3",
            "valid-signed-hashchain",
            "good",
        ),
        (
            "asic",
            "globalconf/globalconf_good2_v3",
            "valid-batch-ts",
            "good",
        ),
        (
            "asic",
            "globalconf/globalconf_good2_v3",
            "valid-non-batch-rest",
            "good",
        ),
        ("made", "made/globalconf", "soap-ok", "good"),
        ("made", "made/globalconf", "rest-body-chain", "good"),
        ("made", "made/globalconf", "batch", "good"),
        ("made", "made/globalconf", "pss", "good"),
        ("made", "made/globalconf", "rsa-sha256", "good"),
        ("made", "made/globalconf", "ocsp-revoked", "revoked"),
        (
            "made",
            "made/globalconf",
            "ts-over-element",
            "other imprint",
        ),
    ];
    for (folder, configuration, name, verdict) in cases {
        let container = vectors.join(folder).join(format!("{name}.asice"));
        let configured = configured(&vectors.join(configuration).join("DEV/shared-params.xml"));
        let signatures =
            String::from_utf8(entry(&container, "META-INF/signatures.xml").unwrap()).unwrap();
        let (token, data) = time_stamp(&container, &signatures).unwrap();
        let algorithm = token.imprint().0.unwrap();
        let imprint = algorithm.digest(&data);
        let stamped = token.verify(algorithm, &imprint, &configured);
        if verdict == "other imprint" {
            assert_eq!(stamped.unwrap_err(), TspError::WrongImprint, "{name}");
            continue;
        }
        let stamp = stamped.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            stamp.signer().subject().get("CN"),
            Some("Test TSA"),
            "{name}"
        );
        assert_eq!(
            token
                .verify(algorithm, &algorithm.digest(b"x"), &configured)
                .unwrap_err(),
            TspError::WrongImprint
        );
        assert_eq!(
            token.verify(algorithm, &imprint, &[]).unwrap_err(),
            TspError::UnknownSigner
        );
        check_added_certificate(&token, algorithm, &imprint, &configured);

        let signer =
            Certificate::decode(&base64_elements(&signatures, "X509Certificate")[0]).unwrap();
        assert!(signer.allows_signing(), "{name}");
        let path = validate_path(&signer, &[], &configured, stamp.time())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let ocsp = base64_elements(&signatures, "EncapsulatedOCSPValue").remove(0);
        let response = Response::decode(&ocsp).unwrap();
        let freshness = Freshness {
            // A responder of the test world gives thisUpdate of the day before.
            max_age_seconds: 100_000,
            check_next_update: false,
            ..Freshness::default()
        };
        let result = response.verify(
            &signer,
            path.issuer(),
            &configured,
            stamp.time(),
            &freshness,
        );
        match verdict {
            "good" => assert!(result.is_ok(), "{name}: {result:?}"),
            _ => assert!(matches!(result, Err(OcspError::Revoked { .. })), "{name}"),
        }
    }
}

fn check_added_certificate(
    token: &Token,
    algorithm: DigestAlgorithm,
    imprint: &pki::Digest,
    configured: &[Certificate],
) {
    let other = configured
        .iter()
        .find(|certificate| !token.certificates().contains(certificate))
        .unwrap();
    let count = token.certificates().len();
    let added = token.clone().with_certificate(other).unwrap();
    assert_eq!(added.certificates().len(), count + 1);
    added.verify(algorithm, imprint, configured).unwrap();
    let again = added.clone().with_certificate(other).unwrap();
    assert_eq!(again.der(), added.der());
}

#[test]
fn damaged_time_stamps_are_refused() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let container = vectors.join("asic/valid-batch-ts.asice");
    let token = entry(&container, "META-INF/timestamp.tst").unwrap();
    damage(&token, Token::decode);
    let configured =
        configured(&vectors.join("globalconf/globalconf_good2_v3/DEV/shared-params.xml"));
    let data = entry(&container, "ts-hashchainresult.xml").unwrap();
    let imprint = DigestAlgorithm::Sha512.digest(&data);
    // The time within the TSTInfo: the messageDigest attribute no longer fits.
    let mut changed = token.clone();
    let position = changed
        .windows(15)
        .position(|window| window == b"20241205073414Z")
        .unwrap();
    changed[position + 13] = b'5';
    assert_eq!(
        Token::decode(&changed)
            .unwrap()
            .verify(DigestAlgorithm::Sha512, &imprint, &configured)
            .unwrap_err(),
        TspError::BadSignature
    );
    // The last byte of the signature.
    let mut changed = token;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(
        Token::decode(&changed)
            .unwrap()
            .verify(DigestAlgorithm::Sha512, &imprint, &configured)
            .unwrap_err(),
        TspError::BadSignature
    );
}

#[test]
fn old_signatures_over_sha1_need_the_named_setting() {
    let Some(vectors) = support::vectors() else {
        return;
    };
    let xml = fs::read_to_string(vectors.join("signatures/sign-0.xml")).unwrap();
    let signer = Certificate::decode(&base64_elements(&xml, "X509Certificate")[0]).unwrap();
    assert_eq!(
        signer.issuer_rfc2253(),
        "1.2.840.113549.1.9.1=#160b616161406262622e636363,CN=Cyber,OU=ITO,O=Cybernetica,C=EE"
    );
    let response = Response::decode(&base64_elements(&xml, "EncapsulatedOCSPValue")[0]).unwrap();
    assert!(response.certificates().is_empty());
    let now: OffsetDateTime = response.singles()[0].this_update;
    // Configuration names the signer's own certificate as responder in that world; the issuer is not here.
    assert_eq!(
        response.verify(&signer, &signer, &[], now, &Freshness::default()),
        Err(OcspError::WrongCertificate)
    );
}
