//! Tokens from creation to unattended start. Runs itself as the helper process.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use keystore::{
    ImportError, KeyUsage, OpenToken, Pin, PinDerivation, SealedKey, SoftwareToken, TokenError,
    commands,
};
use pki::issue::{Profile, Template};
use pki::{Certificate, KeyType, Name, Signer, SoftwareKey};
use time::OffsetDateTime;
use xroad_id::ClientId;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some(keystore::HELPER_SUBCOMMAND) {
        return keystore::helper_main();
    }
    let tests: [(&str, fn()); 7] = [
        ("from_creation_to_a_signature", from_creation_to_a_signature),
        ("wrong_pins_are_slowed", wrong_pins_are_slowed),
        ("the_pin_changes_nothing_else", the_pin_changes_nothing_else),
        (
            "sealed_keys_open_without_a_pin",
            sealed_keys_open_without_a_pin,
        ),
        ("changed_files_are_refused", changed_files_are_refused),
        ("certificates_are_managed", certificates_are_managed),
        ("every_key_type_is_kept", every_key_type_is_kept),
    ];
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = arguments
        .iter()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

fn pin() -> Pin {
    Pin::new("correct horse")
}

fn fast() -> PinDerivation {
    PinDerivation::InProcess
}

fn member() -> ClientId {
    ClientId::member("KG", "GOV", "70000001").unwrap()
}

fn name() -> Name {
    let cn = pki::AttributeType::from_short_name("CN").unwrap();
    Name::builder().push(cn, "a subject").build().unwrap()
}

fn create(directory: &Path) -> OpenToken {
    SoftwareToken::create(directory.join("token.json"), "soft", &pin(), &fast()).unwrap()
}

fn issue(csr: &[u8], profile: Profile) -> Certificate {
    let request = pki::csr::CertificateRequest::decode(csr)
        .unwrap()
        .verify()
        .unwrap();
    let authority = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let now = OffsetDateTime::now_utc();
    let template = |profile, public_key| Template {
        subject: name(),
        public_key,
        serial: vec![1],
        not_before: now,
        not_after: now + time::Duration::days(1),
        profile,
        ocsp_url: None,
    };
    let root = template(Profile::Authority, authority.public_key().clone());
    let root = pki::issue::self_signed(&root, &authority).unwrap();
    let leaf = template(profile, request.public_key().clone());
    pki::issue::issue(&leaf, &root, &authority).unwrap()
}

fn from_creation_to_a_signature() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token.json");
    let helper = PinDerivation::default();
    let mut token = SoftwareToken::create(&path, "soft", &pin(), &helper).unwrap();
    let id = token
        .generate_key("messages", KeyUsage::Sign, KeyType::EcP256, Some(&member()))
        .unwrap();
    let certificate = issue(&token.csr(&id, &name()).unwrap(), Profile::Signing);
    assert_eq!(token.import_certificate(&certificate).unwrap(), id);
    drop(token);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let token = SoftwareToken::load(&path).unwrap();
    assert_eq!(token.label(), "soft");
    let key = token.key(&id).unwrap();
    assert_eq!(key.member, Some(member()));
    assert_eq!(key.certificates.len(), 1);
    let token = token.open(&pin(), &helper).unwrap();
    let signer = token.signer(&id).unwrap();
    let signature = signer.sign(b"message").unwrap();
    certificate
        .public_key()
        .verify(signer.algorithm(), b"message", &signature)
        .unwrap();
    assert!(matches!(
        token.tls_private_key(&id),
        Err(TokenError::NotForTls(_))
    ));
    let (a, b) = (
        token.derive_key("log").unwrap(),
        token.derive_key("other").unwrap(),
    );
    assert_eq!(a, token.derive_key("log").unwrap());
    assert_ne!(a, b);
    for text in [format!("{token:?}"), format!("{:?}", token.seal())] {
        assert!(text.len() < 200, "{text}");
    }
    let listed = commands::list(&path).unwrap();
    assert!(
        listed.contains(id.as_str()) && listed.contains("KG/GOV/70000001"),
        "{listed}"
    );
    let exists = SoftwareToken::create(&path, "soft", &pin(), &fast());
    assert!(matches!(exists, Err(TokenError::Exists { .. })));
    let broken = PinDerivation::Helper {
        program: Some("/bin/false".into()),
    };
    let failed = SoftwareToken::load(&path).unwrap().open(&pin(), &broken);
    assert!(matches!(failed, Err(TokenError::Helper(_))));
    // Nor does it count as a wrong PIN.
    SoftwareToken::load(&path)
        .unwrap()
        .open(&pin(), &fast())
        .unwrap();
}

fn wrong_pins_are_slowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = create(directory.path()).token().path().to_owned();
    let open = |pin: &str| {
        SoftwareToken::load(&path)
            .unwrap()
            .open(&Pin::new(pin), &fast())
    };
    let wrong = open("wrong horse").unwrap_err();
    assert!(
        matches!(wrong, TokenError::WrongPin { retry_after } if retry_after == Duration::from_secs(1)),
        "{wrong}"
    );
    // The right PIN has to wait too.
    assert!(matches!(
        open("correct horse"),
        Err(TokenError::TooSoon { .. })
    ));
    std::thread::sleep(Duration::from_millis(1100));
    open("correct horse").unwrap();
    open("correct horse").unwrap();
    assert!(!directory.path().join("token.json.attempts").exists());
    let short = SoftwareToken::create(directory.path().join("b"), "b", &Pin::new("1234"), &fast());
    assert!(matches!(short, Err(TokenError::PinLength)));
}

fn the_pin_changes_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut token = create(directory.path());
    token
        .generate_key("tls", KeyUsage::Authentication, KeyType::EcP256, None)
        .unwrap();
    let sealed = token.seal();
    let path = token.token().path().to_owned();
    let key_lines = || {
        let text = std::fs::read_to_string(&path).unwrap();
        text.split("\"keys\"").nth(1).unwrap().to_owned()
    };
    let before = key_lines();
    let mut token = token.close();
    let new = Pin::new("another horse");
    token.change_pin(&pin(), &new, &fast()).unwrap();
    assert_eq!(key_lines(), before);
    token.clone().open(&new, &fast()).unwrap();
    token.clone().open_sealed(&sealed).unwrap();
    assert!(matches!(
        token.open(&pin(), &fast()),
        Err(TokenError::WrongPin { .. })
    ));
}

fn sealed_keys_open_without_a_pin() {
    let directory = tempfile::tempdir().unwrap();
    let mut token = create(directory.path());
    let id = token
        .generate_key("tls", KeyUsage::Authentication, KeyType::Rsa2048, None)
        .unwrap();
    let path = token.token().path().to_owned();
    let sealed = directory.path().join("token.sealed");
    commands::seal(&path, &pin(), &fast(), &sealed).unwrap();
    let no_pin = || -> Result<Pin, TokenError> { panic!("a PIN was asked for") };
    let open = commands::open_for_service(&path, Some(&sealed), no_pin, &fast()).unwrap();
    let private = open.tls_private_key(&id).unwrap();
    assert_eq!(
        SoftwareKey::from_pkcs8_der(&private).unwrap().public_key(),
        &open.keys()[0].public_key
    );
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        SealedKey::read(&sealed),
        Err(TokenError::Exposed { .. })
    ));
    let other = tempfile::tempdir().unwrap();
    let other = create(other.path());
    let refused = other.close().open_sealed(&open.seal());
    assert!(matches!(refused, Err(TokenError::OtherToken)));
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&sealed, "{}").unwrap();
    assert!(matches!(
        SealedKey::read(&sealed),
        Err(TokenError::Malformed { .. })
    ));
}

fn changed_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut token = create(directory.path());
    token
        .generate_key("a", KeyUsage::Sign, KeyType::EcP256, Some(&member()))
        .unwrap();
    let sealed = token.seal();
    let path = token.token().path().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("KG/GOV/70000001", "KG/GOV/70000002"),
        ("\"sign\"", "\"authentication\""),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let refused = SoftwareToken::load(&path).unwrap().open_sealed(&sealed);
        assert!(
            matches!(refused, Err(TokenError::Malformed { .. })),
            "{from}"
        );
    }
    for (from, to) in [
        ("tunduk-token-1", "tunduk-token-2"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 4000000000"),
        ("\"label\"", "\"unknown\""),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let refused = SoftwareToken::load(&path);
        assert!(
            matches!(refused, Err(TokenError::Malformed { .. })),
            "{from}"
        );
    }
    for length in (0..text.trim_end().len()).step_by(7) {
        std::fs::write(&path, &text[..length]).unwrap();
        assert!(SoftwareToken::load(&path).is_err());
    }
}

fn certificates_are_managed() {
    let directory = tempfile::tempdir().unwrap();
    let mut token = create(directory.path());
    let missing = token.generate_key("a", KeyUsage::Sign, KeyType::EcP256, None);
    assert!(matches!(missing, Err(TokenError::Member)));
    let id = token
        .generate_key("tls", KeyUsage::Authentication, KeyType::EcP256, None)
        .unwrap();
    let csr = token.csr(&id, &name()).unwrap();
    let certificate = issue(&csr, Profile::Authentication);
    let path = token.token().path().to_owned();
    commands::import(&path, certificate.to_pem().as_bytes()).unwrap();
    assert!(token.keys()[0].certificates.is_empty());
    token.reload().unwrap();
    assert_eq!(token.keys()[0].certificates.len(), 1);
    let again = commands::import(&path, certificate.der());
    assert!(matches!(
        again,
        Err(TokenError::Import(ImportError::Present))
    ));
    let wrong = commands::import(&path, issue(&csr, Profile::Signing).der());
    assert!(matches!(
        wrong,
        Err(TokenError::Import(ImportError::NotForAuthentication))
    ));
    let mut closed = token.close();
    closed.set_active(&certificate, false).unwrap();
    assert!(!closed.keys()[0].certificates[0].active);
    closed.remove_certificate(&certificate).unwrap();
    assert!(matches!(
        closed.remove_certificate(&certificate),
        Err(TokenError::NoSuchCertificate)
    ));
    closed.delete_key(&id).unwrap();
    assert!(closed.keys().is_empty());
    assert!(matches!(
        closed.delete_key(&id),
        Err(TokenError::NoSuchKey(_))
    ));
}

fn every_key_type_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut token = create(directory.path());
    for key_type in [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::EcP256] {
        token
            .generate_key("k", KeyUsage::Sign, key_type, Some(&member()))
            .unwrap();
    }
    let sealed = token.seal();
    let token = token.close().open_sealed(&sealed).unwrap();
    assert_eq!(token.keys().len(), 3);
    for key in token.keys() {
        let signer = token.signer(&key.id).unwrap();
        let signature = signer.sign(b"m").unwrap();
        key.public_key
            .verify(signer.algorithm(), b"m", &signature)
            .unwrap();
    }
}
