//! The `openssl` program as an independent peer, in both directions.

// Tests may use files, programs and the clock.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pki::ocsp::{self, CertificateId, CertificateStatus, Freshness, OcspError, SingleResponse};
use pki::tsp::{self, Stamp, Token};
use pki::{
    AlternativeName, AttributeType, Certificate, DigestAlgorithm, KeyType, Name, Signer as _,
    SoftwareKey, csr, pem, validate_path,
};
use support::{NOW, World};
use time::{Duration, OffsetDateTime};

/// Runs `openssl` in `folder` and gives what it printed.
fn openssl(folder: &Path, arguments: &str) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("the program `openssl` is needed: install the package openssl");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    (status.success(), text)
}

#[track_caller]
fn accepts(folder: &Path, arguments: &str) -> String {
    let (success, text) = openssl(folder, arguments);
    assert!(success, "openssl {arguments}\n{text}");
    text
}

#[track_caller]
fn refuses(folder: &Path, arguments: &str) -> String {
    let (success, text) = openssl(folder, arguments);
    assert!(!success, "openssl {arguments} should fail\n{text}");
    text
}

/// A folder with every certificate and key of a world.
fn folder_of(world: &World) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, holder) in [
        ("ca", &world.authority),
        ("ocsp", &world.responder),
        ("tsa", &world.tsa),
        ("sign", &world.signing),
        ("auth", &world.authentication),
    ] {
        write(&folder, &format!("{name}.pem"), holder.certificate.to_pem());
        let key = pem::encode(&holder.key.to_pkcs8_der().unwrap(), "PRIVATE KEY");
        write(&folder, &format!("{name}.key"), key);
    }
    folder
}

fn write(folder: &tempfile::TempDir, name: &str, contents: impl AsRef<[u8]>) {
    fs::write(folder.path().join(name), contents).unwrap();
}

fn read(folder: &tempfile::TempDir, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).unwrap()
}

const KEY_TYPES: [KeyType; 2] = [KeyType::Rsa2048, KeyType::EcP256];

#[test]
fn names_that_openssl_writes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    accepts(
        path,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -utf8 \
         -subj /C=KG/O=Банк,#ЖЧК/OU=b+CN=a/emailAddress=a@bank.example/serialNumber=7 \
         -addext subjectAltName=DNS:bank.example,URI:https://bank.example/x,IP:192.0.2.1,IP:2001:db8::1,\
         email:a@bank.example,RID:1.2.3.4",
    );
    let certificate = Certificate::from_pem(read(&folder, "c.pem")).unwrap();
    for options in ["RFC2253", "RFC2253,-esc_msb,utf8"] {
        let text = accepts(
            path,
            &format!("x509 -in c.pem -noout -subject -nameopt {options}"),
        );
        let text = text.trim().strip_prefix("subject=").unwrap();
        let name = Name::from_rfc4514(text).unwrap_or_else(|_| panic!("{text}"));
        assert!(name.matches(certificate.subject()), "{text}");
        let other = Name::from_rfc4514(&text.replace("CN", "UID")).unwrap();
        assert!(!other.matches(certificate.subject()));
    }
    let address = |text: &str| AlternativeName::Address(text.parse().unwrap());
    assert_eq!(
        certificate.alternative_names(),
        [
            AlternativeName::Dns("bank.example".to_owned()),
            AlternativeName::Uri("https://bank.example/x".to_owned()),
            address("192.0.2.1"),
            address("2001:db8::1"),
            AlternativeName::Email("a@bank.example".to_owned()),
        ]
    );
}

#[test]
fn openssl_verifies_our_certificates() {
    for key_type in KEY_TYPES {
        let world = World::new(key_type);
        let folder = folder_of(&world);
        let path = folder.path();
        for (name, purpose) in [
            ("ocsp", "ocsphelper"),
            ("tsa", "timestampsign"),
            ("auth", "sslclient"),
            ("auth", "sslserver"),
            ("sign", "any"),
        ] {
            accepts(
                path,
                &format!("verify -x509_strict -purpose {purpose} -CAfile ca.pem {name}.pem"),
            );
        }
        refuses(path, "verify -purpose sslclient -CAfile ca.pem sign.pem");
        let text = accepts(
            path,
            "x509 -in sign.pem -noout -text -nameopt utf8,sep_comma_plus",
        );
        assert!(text.contains("Non Repudiation"), "{text}");
        assert!(text.contains("O=Түндүк"), "{text}");
        assert!(
            text.contains("OCSP - URI:http://127.0.0.1:8899/ocsp"),
            "{text}"
        );
        for (name, holder) in [("sign", &world.signing), ("ca", &world.authority)] {
            let serial = accepts(path, &format!("x509 -in {name}.pem -noout -serial"));
            let hexadecimal = hex::encode_upper(holder.certificate.serial());
            assert_eq!(
                serial.trim(),
                format!("serial={}", hexadecimal.trim_start_matches('0'))
            );
        }
        for holder in [&world.signing, &world.authentication, &world.tsa] {
            validate_path(
                &holder.certificate,
                &[],
                std::slice::from_ref(&world.authority.certificate),
                NOW,
            )
            .unwrap();
        }
    }
}

#[test]
fn we_validate_chains_that_openssl_made() {
    for key in [
        "rsa:2048",
        "ec -pkeyopt ec_paramgen_curve:P-256",
        "ec -pkeyopt ec_paramgen_curve:P-384",
        "ec -pkeyopt ec_paramgen_curve:P-521",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(
            &folder,
            "extensions",
            "[inter]\nbasicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\n\
             [user]\nkeyUsage=critical,nonRepudiation\n[odd]\n1.2.3.4=critical,ASN1:NULL\n",
        );
        let path = folder.path();
        accepts(
            path,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout root.key -out root.pem -subj /CN=Root -days 30"
            ),
        );
        for (name, issuer, section) in [
            ("inter", "root", "inter"),
            ("user", "inter", "user"),
            ("odd", "inter", "odd"),
            ("deep", "inter", "inter"),
            ("below", "deep", "user"),
            ("child", "user", "user"),
        ] {
            accepts(
                path,
                &format!(
                    "req -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
                ),
            );
            accepts(
                path,
                &format!(
                    "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial \
                     -days 20 -extfile extensions -extensions {section} -out {name}.pem"
                ),
            );
        }
        let load =
            |name: &str| Certificate::from_pem(read(&folder, &format!("{name}.pem"))).unwrap();
        let intermediates = [load("inter"), load("deep"), load("user")];
        let root = [load("root")];
        let now = load("child").not_before() + Duration::minutes(1);
        let validate = |name: &str| {
            validate_path(&load(name), &intermediates, &root, now).map(|p| p.certificates().len())
        };
        assert_eq!(validate("user"), Ok(3), "{key}");
        use pki::PathError::*;
        assert!(matches!(validate("odd"), Err(CriticalExtension { .. })));
        assert_eq!(validate("below"), Err(TooLong), "pathlen:0 is exceeded");
        assert!(matches!(validate("child"), Err(NotAnAuthority { .. })));
    }
}

#[test]
fn certification_requests_in_both_directions() {
    for key_type in KEY_TYPES {
        let key = SoftwareKey::generate(key_type).unwrap();
        let subject = Name::builder()
            .push(AttributeType::Country, "KG")
            .push(AttributeType::CommonName, "Калк каттоосу")
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "ours.csr", csr::build_pem(&subject, &key).unwrap());
        let text = accepts(
            folder.path(),
            "req -in ours.csr -verify -noout -subject -nameopt utf8,sep_comma_plus",
        );
        assert!(text.contains("CN=Калк каттоосу"), "{text}");
        let request = csr::CertificateRequest::decode(&csr::build(&subject, &key).unwrap());
        let verified = request.unwrap().verify().unwrap();
        assert_eq!(verified.public_key(), key.public_key());
    }
    let folder = tempfile::tempdir().unwrap();
    for key in ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256"] {
        for form in ["PEM", "DER"] {
            accepts(
                folder.path(),
                &format!(
                    "req -new -newkey {key} -nodes -keyout k -outform {form} -out theirs.csr -subj /C=KG/CN=x"
                ),
            );
            let bytes = read(&folder, "theirs.csr");
            let request = csr::CertificateRequest::decode(&bytes)
                .unwrap()
                .verify()
                .unwrap();
            assert_eq!(request.subject().get("CN"), Some("x"));
            let der = pem::decode(&bytes, "CERTIFICATE REQUEST").unwrap_or(bytes);
            for cut in 0..der.len() {
                assert!(csr::CertificateRequest::decode(&der[..cut]).is_err());
            }
            let mut changed = der.clone();
            let last = changed.len() - 1;
            changed[last] ^= 1;
            assert!(
                csr::CertificateRequest::decode(&changed)
                    .unwrap()
                    .verify()
                    .is_err()
            );
        }
    }
}

fn single(world: &World, certificate: &Certificate, status: CertificateStatus) -> SingleResponse {
    SingleResponse {
        certificate: CertificateId::sha1(&world.authority.certificate, certificate.serial()),
        status,
        // openssl judges by the machine's clock, so these times are of today.
        this_update: OffsetDateTime::now_utc(),
        next_update: Some(OffsetDateTime::now_utc() + Duration::hours(1)),
    }
}

#[test]
fn openssl_verifies_our_ocsp_responses() {
    for key_type in KEY_TYPES {
        let world = World::new(key_type);
        let folder = folder_of(&world);
        let path = folder.path();
        let respond = |status, nonce: Option<&[u8]>| {
            let single = single(&world, &world.signing.certificate, status);
            let response = ocsp::build(
                &world.responder.certificate,
                &world.responder.key,
                OffsetDateTime::now_utc(),
                &[single],
                nonce,
            )
            .unwrap();
            write(&folder, "response.der", &response);
            response
        };
        // Our request is theirs, byte for byte.
        accepts(
            path,
            "ocsp -issuer ca.pem -cert sign.pem -no_nonce -reqout theirs.req",
        );
        let request = ocsp::Request::for_certificate(
            &world.signing.certificate,
            &world.authority.certificate,
        );
        assert_eq!(request.encode(), read(&folder, "theirs.req"));
        assert_eq!(ocsp::Request::decode(&request.encode()).unwrap(), request);
        for cut in 0..request.encode().len() {
            assert!(ocsp::Request::decode(&request.encode()[..cut]).is_err());
        }

        // The responder's certificate in the answer is all that is needed beside the CA.
        let check =
            "ocsp -issuer ca.pem -cert sign.pem -respin response.der -CAfile ca.pem -no_nonce";
        respond(CertificateStatus::Good, None);
        let text = accepts(path, check);
        assert!(text.contains("Response verify OK"), "{text}");
        assert!(text.contains("sign.pem: good"), "{text}");
        let at = OffsetDateTime::now_utc() - Duration::days(1);
        respond(
            CertificateStatus::Revoked {
                at,
                reason: Some(1),
            },
            None,
        );
        let text = accepts(path, check);
        assert!(text.contains("sign.pem: revoked"), "{text}");
        assert!(text.contains("keyCompromise"), "{text}");
        respond(CertificateStatus::Unknown, None);
        assert!(accepts(path, check).contains("sign.pem: unknown"));

        // A nonce is repeated.
        accepts(path, "ocsp -issuer ca.pem -cert sign.pem -reqout nonce.req");
        let request = ocsp::Request::decode(&read(&folder, "nonce.req")).unwrap();
        respond(CertificateStatus::Good, request.nonce.as_deref());
        let text = accepts(
            path,
            "ocsp -issuer ca.pem -reqin nonce.req -respin response.der -CAfile ca.pem",
        );
        assert!(text.contains("Response verify OK"), "{text}");
        assert!(!text.contains("WARNING"), "{text}");

        let response = respond(CertificateStatus::Good, None);
        for cut in 0..response.len() {
            assert!(ocsp::Response::decode(&response[..cut]).is_err());
        }
        let parsed = ocsp::Response::decode(&response).unwrap();
        assert_eq!(
            parsed.certificates(),
            std::slice::from_ref(&world.responder.certificate)
        );
    }
}

#[test]
fn we_verify_ocsp_responses_that_openssl_made() {
    for key_type in KEY_TYPES {
        let world = World::new(key_type);
        let folder = folder_of(&world);
        let path = folder.path();
        let issuer = &world.authority.certificate;
        let serial = |holder: &support::Holder| {
            hex::encode_upper(holder.certificate.serial())
                .trim_start_matches('0')
                .to_owned()
        };
        write(
            &folder,
            "index.txt",
            format!(
                "V\t560101000000Z\t\t{}\tunknown\t/CN=a\nR\t560101000000Z\t260601000000Z\t{}\tunknown\t/CN=b\n",
                serial(&world.signing),
                serial(&world.authentication)
            ),
        );
        let ask = |name: &str, signer: &str| {
            accepts(
                path,
                &format!("ocsp -issuer ca.pem -cert {name}.pem -no_nonce -reqout request.der"),
            );
            accepts(
                path,
                &format!(
                    "ocsp -index index.txt -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key \
                     -reqin request.der -respout response.der -ndays 1"
                ),
            );
            ocsp::Response::decode(&read(&folder, "response.der")).unwrap()
        };
        let now = OffsetDateTime::now_utc();
        let freshness = Freshness::default();
        let verify = |response: &ocsp::Response, holder: &support::Holder| {
            response.verify(&holder.certificate, issuer, &[], now, &freshness)
        };
        let good = ask("sign", "ocsp");
        let proof = verify(&good, &world.signing).unwrap();
        assert!(proof.next_update().is_some());
        assert_eq!(
            verify(&good, &world.authentication),
            Err(OcspError::WrongCertificate)
        );
        // The CA itself may answer; a certificate without the purpose may not, unless it is configured.
        verify(&ask("sign", "ca"), &world.signing).unwrap();
        let undelegated = ask("sign", "tsa");
        assert_eq!(
            verify(&undelegated, &world.signing),
            Err(OcspError::Unauthorised)
        );
        undelegated
            .verify(
                &world.signing.certificate,
                issuer,
                std::slice::from_ref(&world.tsa.certificate),
                now,
                &freshness,
            )
            .unwrap();
        let revoked = verify(&ask("auth", "ocsp"), &world.authentication).unwrap_err();
        assert!(matches!(revoked, OcspError::Revoked { .. }) && revoked.is_bad_status());
        assert_eq!(
            verify(&ask("tsa", "ocsp"), &world.tsa),
            Err(OcspError::Unknown)
        );
        // Another authority of the same name delegated nothing here.
        let other = World::new(key_type);
        assert_eq!(
            good.verify(
                &world.signing.certificate,
                &other.authority.certificate,
                &[],
                now,
                &freshness
            ),
            Err(OcspError::WrongCertificate)
        );
        let refusal = ocsp::build_refusal(ocsp::ResponseStatus::Unauthorized);
        assert_eq!(
            verify(&ocsp::Response::decode(&refusal).unwrap(), &world.signing),
            Err(OcspError::NotSuccessful(ocsp::ResponseStatus::Unauthorized))
        );
    }
}

#[test]
fn openssl_verifies_our_time_stamps() {
    for key_type in KEY_TYPES {
        let world = World::new(key_type);
        let folder = folder_of(&world);
        let path = folder.path();
        write(&folder, "data", b"signature value");
        write(&folder, "other", b"signature valuE");
        accepts(path, "ts -query -data data -sha512 -cert -out query.tsq");
        let request = tsp::Request::decode(&read(&folder, "query.tsq")).unwrap();
        assert_eq!(request.algorithm, Some(DigestAlgorithm::Sha512));
        assert!(request.certificate_wanted && request.nonce.is_some());
        assert_eq!(request.encode(), read(&folder, "query.tsq"));
        let stamp = Stamp {
            policy: "1.3.6.1.4.1.55555.1",
            serial: &[0x80, 1, 2],
            time: OffsetDateTime::now_utc(),
            accuracy_seconds: 1,
        };
        let response =
            tsp::build_response(&request, &stamp, &world.tsa.certificate, &world.tsa.key).unwrap();
        write(&folder, "response.tsr", &response);
        let verify = "ts -verify -in response.tsr -CAfile ca.pem";
        accepts(path, &format!("{verify} -queryfile query.tsq"));
        accepts(path, &format!("{verify} -data data"));
        refuses(path, &format!("{verify} -data other"));
        let text = accepts(path, "ts -reply -in response.tsr -text");
        assert!(text.contains("Status: Granted"), "{text}");
        assert!(text.contains("Policy OID: 1.3.6.1.4.1.55555.1"), "{text}");
        assert!(text.contains("0x800102"), "{text}");

        let token = tsp::decode_response(&response).unwrap();
        token.check_nonce(&request).unwrap();
        let approved = [world.tsa.certificate.clone()];
        let verified = token
            .verify(DigestAlgorithm::Sha512, &request.imprint, &approved)
            .unwrap();
        assert_eq!(verified.serial(), "8388866");
        assert_eq!(
            verified.time().unix_timestamp_nanos() / 1_000_000,
            stamp.time.unix_timestamp_nanos() / 1_000_000
        );
        for cut in 0..response.len() {
            assert!(tsp::decode_response(&response[..cut]).is_err());
        }
        // A token without the certificate gets it added, and openssl agrees.
        let bare_request = tsp::Request {
            certificate_wanted: false,
            ..request.clone()
        };
        let bare = tsp::build_token(
            &bare_request,
            &stamp,
            &world.tsa.certificate,
            &world.tsa.key,
        )
        .unwrap();
        let bare = Token::decode(&bare).unwrap();
        assert!(bare.certificates().is_empty());
        let full = bare.with_certificate(&world.tsa.certificate).unwrap();
        write(&folder, "token.tst", full.der());
        accepts(
            path,
            "ts -verify -in token.tst -token_in -data data -CAfile ca.pem",
        );

        let refusal = tsp::build_refusal(tsp::Failure::BadAlgorithm, "SHA-1 is not stamped");
        write(&folder, "refusal.tsr", &refusal);
        let text = accepts(path, "ts -reply -in refusal.tsr -text");
        assert!(text.contains("Status: Rejected"), "{text}");
        assert!(
            text.contains("unrecognized or unsupported algorithm"),
            "{text}"
        );
        assert!(matches!(
            tsp::decode_response(&refusal),
            Err(tsp::TspError::Refused { status: 2, .. })
        ));
    }
}

#[test]
fn we_verify_time_stamps_that_openssl_made() {
    for key_type in KEY_TYPES {
        let world = World::new(key_type);
        let folder = folder_of(&world);
        let path = folder.path();
        write(
            &folder,
            "tsa.conf",
            "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=tsa.pem\nsigner_key=tsa.key\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256,sha512\nordering=yes\n\
             accuracy=secs:1,millisecs:500\ntsa_name=yes\ness_cert_id_chain=no\n\
             ess_cert_id_alg=sha512\nclock_precision_digits=3\n",
        );
        write(&folder, "serial", "00AB\n");
        let imprint = DigestAlgorithm::Sha512.digest(b"data");
        let request =
            tsp::Request::new(DigestAlgorithm::Sha512, imprint).with_nonce(&[0x80, 7, 7, 7]);
        write(&folder, "query.tsq", request.encode());
        accepts(
            path,
            "ts -reply -config tsa.conf -section t -queryfile query.tsq -out response.tsr",
        );
        let token = tsp::decode_response(&read(&folder, "response.tsr")).unwrap();
        token.check_nonce(&request).unwrap();
        let approved = [
            world.signing.certificate.clone(),
            world.tsa.certificate.clone(),
        ];
        let stamp = token
            .verify(DigestAlgorithm::Sha512, &imprint, &approved)
            .unwrap();
        assert_eq!(stamp.signer(), &world.tsa.certificate);
        assert_eq!(stamp.policy(), "1.2.3.4");
        assert_eq!(
            token
                .verify(DigestAlgorithm::Sha512, &imprint, &approved[..1])
                .unwrap_err(),
            tsp::TspError::UnknownSigner
        );
        let other = tsp::Request::new(DigestAlgorithm::Sha512, imprint).with_nonce(&[1]);
        assert_eq!(token.check_nonce(&other), Err(tsp::TspError::WrongNonce));
    }
}

#[test]
fn signatures_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(&folder, "message", b"message");
    use DigestAlgorithm::*;
    use pki::SignatureAlgorithm::{Ecdsa, RsaPkcs1, RsaPss};
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (key_type, algorithm, options) in [
        (KeyType::Rsa2048, RsaPkcs1(Sha256), "-sha256".to_owned()),
        (KeyType::Rsa3072, RsaPkcs1(Sha512), "-sha512".to_owned()),
        (KeyType::Rsa2048, RsaPss(Sha512), format!("-sha512 {pss}")),
        (KeyType::EcP256, Ecdsa(Sha256), "-sha256".to_owned()),
        (KeyType::EcP256, Ecdsa(Sha512), "-sha512".to_owned()),
    ] {
        let key = SoftwareKey::generate(key_type)
            .unwrap()
            .with_algorithm(algorithm)
            .unwrap();
        write(
            &folder,
            "public",
            pem::encode(key.public_key().spki_der(), "PUBLIC KEY"),
        );
        write(
            &folder,
            "private",
            pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY"),
        );
        write(&folder, "ours", key.sign(b"message").unwrap());
        accepts(
            path,
            &format!("dgst {options} -verify public -signature ours message"),
        );
        accepts(
            path,
            &format!("dgst {options} -sign private -out theirs message"),
        );
        key.public_key()
            .verify(algorithm, b"message", &read(&folder, "theirs"))
            .unwrap();
    }
}
