//! Assertions, right and wrong in every way that section 7.2 names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{DigestAlgorithm, KeyType, Signer, SoftwareKey};
use webauthn::{Assertion, AssertionError, Expected, PasskeyKey, SoftwareAuthenticator};

const RELYING_PARTY: &str = "sign.example.kg";
const ORIGIN: &str = "https://sign.example.kg";
const CHALLENGE: &[u8] = b"what is to be confirmed";
const ID: &[u8] = b"key 1";

fn authenticator(synced: bool) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(RELYING_PARTY, ID.to_vec(), synced).unwrap()
}

fn key(authenticator: &SoftwareAuthenticator) -> PasskeyKey {
    let spki = URL_SAFE_NO_PAD.decode(authenticator.public_key()).unwrap();
    PasskeyKey::new(&spki, -7).unwrap()
}

fn verify(
    authenticator: &SoftwareAuthenticator,
    json: &str,
) -> Result<webauthn::Verified, AssertionError> {
    let origins = [ORIGIN.to_owned()];
    let expected = Expected {
        relying_party: RELYING_PARTY,
        origins: &origins,
        challenge: CHALLENGE,
    };
    Assertion::from_json(json.as_bytes())?.verify(expected, ID, &key(authenticator))
}

fn data(flags: u8, counter: u32, more: &[u8]) -> Vec<u8> {
    let mut data = DigestAlgorithm::Sha256
        .digest(RELYING_PARTY.as_bytes())
        .as_ref()
        .to_vec();
    data.push(flags);
    data.extend_from_slice(&counter.to_be_bytes());
    data.extend_from_slice(more);
    data
}

fn client(kind: &str, challenge: &[u8], origin: &str, more: &str) -> Vec<u8> {
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"{more}}}"#)
        .into_bytes()
}

fn good_client() -> Vec<u8> {
    client("webauthn.get", CHALLENGE, ORIGIN, "")
}

#[test]
fn an_assertion_verifies_and_is_kept_as_json() {
    for synced in [false, true] {
        let authenticator = authenticator(synced);
        let json = authenticator.assert(ORIGIN, CHALLENGE).unwrap();
        let verified = verify(&authenticator, &json).unwrap();
        assert_eq!(verified.synced(), synced);
        assert!(!verified.is_copy(0));
        let again = Assertion::from_json(json.as_bytes()).unwrap();
        assert_eq!(again.to_json(), json);
        assert_eq!(again.credential_id(), ID);
    }
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let authenticator = authenticator(false);
    let refused = |data: Vec<u8>, client: Vec<u8>| {
        let json = authenticator.sign(data, client).unwrap();
        verify(&authenticator, &json).unwrap_err()
    };
    let present_and_verified = 0x05;
    let good = || data(present_and_verified, 0, &[]);
    assert_eq!(
        refused(good(), client("webauthn.create", CHALLENGE, ORIGIN, "")),
        AssertionError::Type
    );
    assert_eq!(
        refused(good(), client("webauthn.get", b"another", ORIGIN, "")),
        AssertionError::Challenge
    );
    for origin in [
        "https://sign.example.kg.evil.kg",
        "http://sign.example.kg",
        "https://evil.kg",
        "",
    ] {
        assert_eq!(
            refused(good(), client("webauthn.get", CHALLENGE, origin, "")),
            AssertionError::Origin
        );
    }
    assert_eq!(
        refused(
            good(),
            client("webauthn.get", CHALLENGE, ORIGIN, r#","crossOrigin":true"#)
        ),
        AssertionError::Origin
    );
    let mut other = good();
    other[0] ^= 1;
    assert_eq!(refused(other, good_client()), AssertionError::RelyingParty);
    assert_eq!(
        refused(data(0x04, 0, &[]), good_client()),
        AssertionError::NotPresent
    );
    assert_eq!(
        refused(data(0x01, 0, &[]), good_client()),
        AssertionError::NotVerified
    );
    for (flags, more) in [(0x15, &[][..]), (0x05, b"more"), (0x85, b""), (0x45, b"")] {
        assert!(matches!(
            refused(data(flags, 0, more), good_client()),
            AssertionError::Malformed(_)
        ));
    }
    assert!(matches!(
        refused(good()[..36].to_vec(), good_client()),
        AssertionError::Malformed(_)
    ));
    assert!(matches!(
        refused(good(), b"{}".to_vec()),
        AssertionError::Malformed(_)
    ));
}

#[test]
fn another_key_does_not_stand_for_this_one() {
    let (mine, other) = (authenticator(false), authenticator(false));
    let json = other.assert(ORIGIN, CHALLENGE).unwrap();
    assert_eq!(verify(&mine, &json), Err(AssertionError::Signature));
    let other = SoftwareAuthenticator::generate(RELYING_PARTY, b"key 2".to_vec(), false).unwrap();
    let json = other.assert(ORIGIN, CHALLENGE).unwrap();
    assert_eq!(verify(&mine, &json), Err(AssertionError::Credential));
}

#[test]
fn a_copied_key_shows_in_its_counter() {
    let authenticator = authenticator(false);
    let json = authenticator
        .sign(data(0x05, 7, &[]), good_client())
        .unwrap();
    let verified = verify(&authenticator, &json).unwrap();
    assert_eq!(verified.counter(), 7);
    assert!(!verified.is_copy(6));
    assert!(verified.is_copy(7));
    assert!(verified.is_copy(8));
}

#[test]
fn a_changed_or_cut_assertion_proves_nothing() {
    let authenticator = authenticator(false);
    let json = authenticator.assert(ORIGIN, CHALLENGE).unwrap();
    for end in 0..json.len() {
        assert!(verify(&authenticator, &json[..end]).is_err(), "{end}");
    }
    let parts = Assertion::from_json(json.as_bytes()).unwrap();
    assert!(verify(&authenticator, &parts.to_json()).is_ok());
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for part in ["clientDataJSON", "authenticatorData", "signature"] {
        let bytes = URL_SAFE_NO_PAD
            .decode(value["response"][part].as_str().unwrap())
            .unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let mut value = value.clone();
            value["response"][part] = URL_SAFE_NO_PAD.encode(changed).into();
            assert!(
                verify(&authenticator, &value.to_string()).is_err(),
                "{part} {place}"
            );
        }
    }
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(20_000));
    assert!(matches!(
        verify(&authenticator, &long),
        Err(AssertionError::Malformed(_))
    ));
}

#[test]
fn only_known_keys_are_taken() {
    let rsa = SoftwareKey::generate(KeyType::Rsa2048).unwrap();
    let p256 = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let spki = |key: &SoftwareKey| key.public_key().spki_der().to_vec();
    assert!(PasskeyKey::new(&spki(&rsa), -257).is_ok());
    assert!(PasskeyKey::new(&spki(&p256), -7).is_ok());
    for (spki, algorithm) in [
        (spki(&rsa), -7),
        (spki(&p256), -257),
        (spki(&p256), -8),
        (spki(&p256), 0),
    ] {
        assert_eq!(
            PasskeyKey::new(&spki, algorithm),
            Err(webauthn::KeyError::Algorithm)
        );
    }
    assert_eq!(
        PasskeyKey::new(b"no key", -7),
        Err(webauthn::KeyError::Encoding)
    );
}
