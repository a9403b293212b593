//! The vault over SoftHSM, a token that is a program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use pkcs11::{Settings, TokenError, TokenVault};
use pki::{DigestAlgorithm, Signer};
use server_signing::{ALGORITHM, SealedKey, Vault, VaultError};
use zeroize::Zeroizing;

/// Where SoftHSM's library is on Debian, and elsewhere.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
];
/// SoftHSM's own name of its configuration; it is read when the library is loaded, so the test runs itself again.
const VARIABLE: &str = "SOFTHSM2_CONF";
const INSIDE: &str = "TUNDUK_IN_TOKEN_TEST";
const PIN: &str = "2468013579";

fn module() -> &'static str {
    MODULES
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .expect("SoftHSM's library; run: cargo xtask test")
}

fn settings(token: &str, pin: &str) -> Settings {
    Settings {
        module: module().into(),
        token: token.into(),
        pin: Zeroizing::new(pin.into()),
    }
}

/// Runs the named test again with two tokens of its own, or, when it was run again, says so.
fn with_tokens(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).unwrap();
    for label in ["people", "other"] {
        let made = Command::new("softhsm2-util")
            .env(VARIABLE, &configuration)
            .args(["--init-token", "--free", "--label", label])
            .args(["--pin", PIN, "--so-pin", "97531"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let ran = Command::new(std::env::current_exe().unwrap())
        .env(VARIABLE, &configuration)
        .env(INSIDE, "1")
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let wrong = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "{said}");
    println!("{said}");
    false
}

fn vault(token: &str) -> TokenVault {
    TokenVault::make_keys(settings(token, PIN)).unwrap();
    TokenVault::open(settings(token, PIN)).unwrap()
}

#[test]
#[ignore = "needs SoftHSM: cargo xtask test"]
fn a_key_signs_only_for_its_binding_and_in_its_token() {
    if !with_tokens("a_key_signs_only_for_its_binding_and_in_its_token") {
        return;
    }
    let none = TokenVault::open(settings("people", PIN));
    assert!(matches!(none, Err(TokenError::Keys(0, _))), "{none:?}");
    let vault = vault("people");
    let again = TokenVault::make_keys(settings("people", PIN));
    assert_eq!(again, Err(TokenError::Exists));

    let (signer, sealed) = vault.generate(b"mine").unwrap();
    let check = |signer: &dyn Signer| {
        let signature = signer.sign(b"contract").unwrap();
        let key = signer.public_key();
        key.verify(ALGORITHM, b"contract", &signature).unwrap();
        key.verify(ALGORITHM, b"other", &signature).unwrap_err();
    };
    check(&*signer);
    // Another node over the same token, and by the hash alone.
    let node = TokenVault::open(settings("people", PIN)).unwrap();
    let opened = node.open(&sealed, b"mine").unwrap();
    assert_eq!(opened.public_key(), signer.public_key());
    check(&*opened);
    let digest = DigestAlgorithm::Sha256.digest(b"contract");
    let signature = opened.sign_digest(&digest).unwrap();
    signer
        .public_key()
        .verify(ALGORITHM, b"contract", &signature)
        .unwrap();
    assert_eq!(node.tag(b"record"), vault.tag(b"record"));
    assert_ne!(node.tag(b"record"), vault.tag(b"another"));

    let sealed_for = |vault: &TokenVault, sealed: &SealedKey, binding: &[u8]| {
        vault.open(sealed, binding).map(|_| ()).unwrap_err()
    };
    assert_eq!(sealed_for(&vault, &sealed, b"yours"), VaultError::Sealed);
    let moved = vault.rebind(&sealed, b"mine", b"new").unwrap();
    assert_eq!(sealed_for(&vault, &moved, b"mine"), VaultError::Sealed);
    check(&*vault.open(&moved, b"new").unwrap());
    let refused = vault.rebind(&sealed, b"yours", b"new");
    assert_eq!(refused, Err(VaultError::Sealed));
    for place in 0..sealed.0.len() {
        let mut changed = sealed.clone();
        changed.0[place] ^= 1;
        assert_eq!(sealed_for(&vault, &changed, b"mine"), VaultError::Sealed);
    }
    for end in 0..sealed.0.len() {
        let cut = SealedKey(sealed.0[..end].to_vec());
        assert_eq!(sealed_for(&vault, &cut, b"mine"), VaultError::Sealed);
    }
    // A stolen database in front of another token.
    let other = self::vault("other");
    assert_eq!(sealed_for(&other, &sealed, b"mine"), VaultError::Sealed);
    assert_ne!(other.tag(b"record"), vault.tag(b"record"));
}

#[test]
#[ignore = "needs SoftHSM: cargo xtask test"]
fn the_keys_do_not_leave_the_token() {
    if !with_tokens("the_keys_do_not_leave_the_token") {
        return;
    }
    let wrong = TokenVault::make_keys(settings("people", "1111")).unwrap_err();
    assert!(!wrong.to_string().contains("1111"), "{wrong}");
    let nowhere = TokenVault::open(settings("nobody", PIN)).unwrap_err();
    assert!(
        matches!(nowhere, TokenError::Label { found: 0, .. }),
        "{nowhere}"
    );
    let vault = vault("people");
    let (_signer, _sealed) = vault.generate(b"mine").unwrap();

    // A thief with the PIN, in a program of their own.
    let token = Pkcs11::new(module()).unwrap();
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    let _ = token.initialize(arguments);
    let slot = token
        .get_slots_with_token()
        .unwrap()
        .into_iter()
        .find(|slot| token.get_token_info(*slot).unwrap().label() == "people")
        .unwrap();
    let session = token.open_rw_session(slot).unwrap();
    let _ = session.login(UserType::User, Some(&PIN.to_owned().into()));
    let all = session.find_objects(&[]).unwrap();
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    assert_eq!(
        session.find_objects(&private).unwrap().len(),
        0,
        "people's keys do not stay in the token"
    );
    assert_eq!(all.len(), 2, "the two of the vault");
    let own = [
        Attribute::Token(false),
        Attribute::Wrap(true),
        Attribute::ValueLen(32.into()),
    ];
    let own = session.generate_key(&Mechanism::AesKeyGen, &own).unwrap();
    for key in all {
        let read = session.get_attributes(key, &[AttributeType::Value]);
        let told = read.is_ok_and(|found| {
            found
                .iter()
                .any(|found| matches!(found, Attribute::Value(value) if !value.is_empty()))
        });
        assert!(!told, "a key can be read");
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, own, key);
        assert!(wrapped.is_err(), "a key leaves under a key of the thief");
        let opened = session.update_attributes(key, &[Attribute::Extractable(true)]);
        assert!(opened.is_err(), "a key is made to leave");
    }
}

#[test]
#[ignore = "needs SoftHSM: cargo xtask test"]
fn many_sign_at_once() {
    const THREADS: usize = 8;
    const EACH: usize = 50;
    if !with_tokens("many_sign_at_once") {
        return;
    }
    let vault = vault("people");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let vault = &vault;
            scope.spawn(move || {
                let binding = thread.to_be_bytes();
                let (signer, sealed) = vault.generate(&binding).unwrap();
                for turn in 0..EACH {
                    let message = format!("{thread} {turn}");
                    let opened = vault.open(&sealed, &binding).unwrap();
                    let signature = opened.sign(message.as_bytes()).unwrap();
                    signer
                        .public_key()
                        .verify(ALGORITHM, message.as_bytes(), &signature)
                        .unwrap();
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} signatures each second", 400.0 / seconds);
}
