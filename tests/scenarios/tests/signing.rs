//! The real signing server beside a real certification authority: a person is enrolled at a desk, a bank gets a signature,
//! the server is killed in between, the person revokes.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod signing_site;

use std::io::Write as _;
use std::process::{Command, Stdio};

use http::header;
use pki::DigestAlgorithm;
use serde_json::json;
use server_signing::ALGORITHM;
use signing_site::*;
use trust_server::Status;

#[tokio::test]
async fn a_signature_outlives_kills_and_a_revocation_reaches_the_authority() {
    let mut site = Site::new();
    // Keys are made by a command, once, and the authority is told whose orders it takes.
    assert!(site.said(&["run"]).unwrap_err().contains("key create"));
    let (officer, person) = (authenticator("officer"), authenticator("person"));
    let officer_id = site.set_up(&officer);
    assert!(
        site.said(&["key", "create"])
            .unwrap_err()
            .contains("there already")
    );
    site.start();

    // The officer and the person's phone.
    let details = {
        let mut phone = site.enrolled(&officer, &person).await;

        // The bank finds the credential and asks.
        let mut bank = Peer::new(&site);
        let (credential, certificate) = bank.credential().await;
        assert!(certificate.is_issued_by(site.trust.ca_certificate()));
        let hash = DigestAlgorithm::Sha256.digest(b"contract");
        let hash = csc::to_base64(hash.as_ref());
        let address = bank.ask(&credential, &hash, "Loan contract.pdf").await;
        let code = phone.confirm(&address, &person).await;
        (credential, certificate, hash, code, phone.cookies)
    };
    let (credential, certificate, hash, code, cookies) = details;

    // A power cut after the person confirmed: the code is good, and so is the token after the next one.
    site.server.take().unwrap().kill();
    site.start();
    let token = Peer::new(&site).redeem(&code).await;
    site.server.take().unwrap().kill();
    site.start();
    let wanted = sign_hash(&credential, &hash);
    let signed = Peer::new(&site)
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert_eq!(signed.status, 200, "{signed:?}\n{}", site.log());
    let signature = signed.json()["signatures"][0].as_str().unwrap().to_owned();
    let value = csc::from_base64(&signature).unwrap();
    certificate
        .public_key()
        .verify(ALGORITHM, b"contract", &value)
        .unwrap();
    site.server.take().unwrap().kill();
    site.start();
    let again = Peer::new(&site)
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert_eq!(
        again.json()["signatures"][0],
        signature.as_str(),
        "the same and no other"
    );

    // The person revokes; the authority is told by itself.
    {
        let mut phone = Peer::new(&site);
        phone.cookies = cookies;
        assert_eq!(phone.sign_in(&person).await, "/me");
        let page = phone
            .post("/me/revoke", &[("credential", &credential)])
            .await;
        let page = page.location().to_owned();
        assert!(
            phone
                .approve(&page, &person)
                .await
                .body
                .contains("<h1>Done</h1>")
        );
        eventually("the authority knows", async || {
            let entry = site.trust.entry(&certificate).unwrap().unwrap();
            matches!(entry.status, Status::Revoked { .. })
        })
        .await;
        let refused = phone
            .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
            .await;
        assert_eq!(refused.status, 200, "what was signed before stays signed");
        let token = phone.service_token("idp").await;
        let frozen = phone
            .bearer(&token, "/people/freeze", &json!({ "number": PERSON }))
            .await;
        assert_eq!(frozen.status, 204);
    }
    let listed = || site.said(&["officer", "list"]).unwrap();
    assert_eq!(listed(), format!("{officer_id}  {OFFICER}  Bishkek 1\n"));
    site.said(&["officer", "dismiss", &officer_id]).unwrap();
    assert!(listed().ends_with("  dismissed\n"));
    {
        let mut desk = Peer::new(&site);
        desk.get("/sign-in").await;
        let (question, challenge) = desk.question("/sign-in/options").await;
        let answer = officer.assert(&site.origin(), &challenge).unwrap();
        let ceremony = question["ceremony"].as_str().unwrap();
        let fields = [("ceremony", ceremony), ("answer", answer.as_str())];
        assert_eq!(desk.post("/sign-in", &fields).await.status, 400);
        assert_eq!(desk.get("/health").await.body, "ok\n");
        let logo = desk.get("/assets/logo.png").await;
        assert_eq!(logo.headers[header::CONTENT_TYPE], "image/png");
    }
    site.server.take().unwrap().stop();
    // Nothing of a person is in the log, nor any secret.
    let log = site.log();
    for private in [PERSON, OFFICER, "Асанова", "Loan contract", &token, &code] {
        assert!(!log.contains(private), "{private}: {log}");
    }
    // A key that others can read, and a misspelt setting, stop the start.
    let master = site.path("master.key");
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&master, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    assert!(site.said(&["run"]).unwrap_err().contains("chmod 600"));
    mode(0o600);
    let settings = std::fs::read_to_string(site.path("signing.toml")).unwrap();
    std::fs::write(site.path("signing.toml"), format!("orign = 1\n{settings}")).unwrap();
    assert!(site.said(&["run"]).unwrap_err().contains("orign"));
}

#[tokio::test]
async fn time_stamps_come_alone_and_with_signatures() {
    let mut site = Site::new();
    let (officer, person) = (authenticator("officer"), authenticator("person"));
    site.set_up(&officer);
    site.start();
    let mut phone = site.enrolled(&officer, &person).await;
    let mut bank = Peer::new(&site);
    let info = bank.bearer("", "/csc/v2/info", &json!({})).await.json();
    let has = |list: &str, name: &str| {
        let list = info[list].as_array().unwrap();
        list.iter().any(|known| known == name)
    };
    assert!(has("methods", "signatures/timestamp") && has("conformance_levels", "Ades-B-T"));
    let digest = DigestAlgorithm::Sha256.digest(b"contract");
    let hash = csc::to_base64(digest.as_ref());
    let service = bank.service_token("bank").await;
    let wanted = json!({ "hash": hash, "hashAlgo": csc::SHA256, "nonce": "0102030405060708" });
    let stamp = bank
        .bearer(&service, "/csc/v2/signatures/timestamp", &wanted)
        .await
        .json();
    let stamp = csc::from_base64(stamp["timestamp"].as_str().unwrap()).unwrap();
    let stamp = pki::tsp::Token::decode(&stamp).unwrap();
    assert_eq!(stamp.nonce(), Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
    let approved = [site.trust.tsa_certificate().clone()];
    stamp
        .verify(DigestAlgorithm::Sha256, &digest, &approved)
        .unwrap();
    for (name, value) in [
        ("hash", "AAAA"),
        ("hashAlgo", "1.3.14.3.2.26"),
        ("nonce", "x"),
    ] {
        let mut wrong = wanted.clone();
        wrong[name] = value.into();
        let refused = bank
            .bearer(&service, "/csc/v2/signatures/timestamp", &wrong)
            .await;
        assert_eq!(refused.status, 400, "{name}: {refused:?}");
    }
    let (credential, certificate) = bank.credential().await;
    let address = bank.ask(&credential, &hash, "contract.pdf").await;
    let code = phone.confirm(&address, &person).await;
    let token = bank.redeem(&code).await;
    let wanted = json!({ "credentialID": credential, "documentDigests": [{
        "hashes": [hash], "hashAlgorithmOID": csc::SHA256, "signature_format": "C",
        "signed_envelope_property": "Detached", "conformance_level": "AdES-B-T",
        "signAlgo": csc::ECDSA_WITH_SHA256,
    }]});
    let signed = bank
        .bearer(&token, "/csc/v2/signatures/signDoc", &wanted)
        .await
        .json();
    let signature = csc::from_base64(signed["SignatureObject"][0].as_str().unwrap()).unwrap();
    let signature = pki::cms::Signature::decode(&signature).unwrap();
    let verified = signature.verify(&digest).unwrap();
    assert_eq!(verified.certificate().der(), certificate.der());
    let stamps = signature.time_stamps();
    assert_eq!(stamps.len(), 1);
    let over = DigestAlgorithm::Sha256.digest(signature.value());
    let stamp = pki::tsp::Token::decode(&stamps[0]).unwrap();
    stamp
        .verify(DigestAlgorithm::Sha256, &over, &approved)
        .unwrap();
}

/// A small file system in memory, until this value goes.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(folder: &std::path::Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "none"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Leaves no byte; gives the file that takes them all.
    fn fill(&self) -> std::path::PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let mut piece = vec![0; 64 * 1024];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_gives_no_signature_and_loses_nothing() {
    let mut site = Site::new();
    std::fs::create_dir(site.path("state")).unwrap();
    let Some(disk) = SmallDisk::mount(&site.path("state")) else {
        // Past the test harness, which would keep it to itself.
        let _ = std::io::stderr().write_all(
            b"NOT TESTED: a full disk, because this user may not mount a small file system; run it as root\n",
        );
        return;
    };
    let (officer, person) = (authenticator("officer"), authenticator("person"));
    site.set_up(&officer);
    site.start();
    let hash = csc::to_base64(DigestAlgorithm::Sha256.digest(b"contract").as_ref());
    let mut phone = site.enrolled(&officer, &person).await;
    let mut bank = Peer::new(&site);
    let (credential, certificate) = bank.credential().await;
    let address = bank.ask(&credential, &hash, "contract.pdf").await;
    let code = phone.confirm(&address, &person).await;
    let token = bank.redeem(&code).await;
    let wanted = sign_hash(&credential, &hash);
    let filler = disk.fill();
    // The log beside the database may still have room for some changes.
    let refused = bank
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert!(
        refused.status == 503 || refused.status == 200,
        "{refused:?}"
    );
    let taken = (refused.status == 200).then(|| refused.body.clone());
    let mut last = 200;
    for _ in 0..200 {
        let parameters = [("grant_type", "client_credentials")];
        last = bank
            .client("bank", "/oauth2/token", &parameters)
            .await
            .status
            .as_u16();
        if last != 200 {
            break;
        }
    }
    assert_eq!(last, 503, "what cannot be remembered is not taken");
    std::fs::remove_file(filler).unwrap();
    let signed = bank
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert_eq!(signed.status, 200, "{signed:?}\n{}", site.log());
    assert!(
        taken.is_none_or(|taken| taken == signed.body),
        "the same and no other"
    );
    let value = csc::from_base64(signed.json()["signatures"][0].as_str().unwrap()).unwrap();
    certificate
        .public_key()
        .verify(ALGORITHM, b"contract", &value)
        .unwrap();
    drop(bank);
    drop(phone);
    site.server.take().unwrap().stop();
}

/// Where SoftHSM's library is on Debian, and elsewhere.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
];

#[tokio::test]
#[ignore = "needs SoftHSM: cargo xtask test"]
async fn keys_in_a_token_sign_and_a_stolen_database_without_it_is_nothing() {
    let mut site = Site::new();
    let module = MODULES
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file());
    let module = module.expect("SoftHSM's library; run: cargo xtask test");
    std::fs::create_dir(site.path("tokens")).unwrap();
    let text = format!("directories.tokendir = {}\n", site.path("tokens").display());
    std::fs::write(site.path("softhsm2.conf"), text).unwrap();
    site.environment = vec![("SOFTHSM2_CONF", site.path("softhsm2.conf"))];
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", site.path("softhsm2.conf"))
        .args([
            "--init-token",
            "--free",
            "--label",
            "people",
            "--pin",
            "2468",
            "--so-pin",
            "97531",
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    secret(&site.path("pin"), "2468\n");
    let before = std::fs::read_to_string(site.path("signing.toml")).unwrap();
    let token = format!("[pkcs11]\nmodule = \"{module}\"\ntoken = \"people\"\npin = \"pin\"\n");
    std::fs::write(site.path("signing.toml"), format!("{before}{token}")).unwrap();
    let (officer, person) = (authenticator("officer"), authenticator("person"));
    site.set_up(&officer);
    assert!(!site.path("master.key").exists(), "the token has the keys");
    assert!(
        site.said(&["key", "create"])
            .unwrap_err()
            .contains("there already")
    );
    site.start();
    let hash = csc::to_base64(DigestAlgorithm::Sha256.digest(b"contract").as_ref());
    let (credential, token) = {
        let mut phone = site.enrolled(&officer, &person).await;
        let mut bank = Peer::new(&site);
        let (credential, certificate) = bank.credential().await;
        let sign = async |bank: &mut Peer<'_>, token: &str| {
            let wanted = sign_hash(&credential, &hash);
            bank.bearer(token, "/csc/v2/signatures/signHash", &wanted)
                .await
        };
        let address = bank.ask(&credential, &hash, "contract.pdf").await;
        let code = phone.confirm(&address, &person).await;
        let token = bank.redeem(&code).await;
        let signed = sign(&mut bank, &token).await.json();
        let value = csc::from_base64(signed["signatures"][0].as_str().unwrap()).unwrap();
        certificate
            .public_key()
            .verify(ALGORITHM, b"contract", &value)
            .unwrap();
        // Another is confirmed, and not fetched yet.
        let address = bank.ask(&credential, &hash, "contract.pdf").await;
        let code = phone.confirm(&address, &person).await;
        (credential.clone(), bank.redeem(&code).await)
    };
    site.server.take().unwrap().stop();
    // The thief has the database and a service of their own, not the token: what was confirmed opens nothing.
    std::fs::write(site.path("signing.toml"), before).unwrap();
    std::fs::remove_file(site.path("orders.key")).unwrap();
    site.said(&["key", "create"]).unwrap();
    site.start();
    let wanted = sign_hash(&credential, &hash);
    let refused = Peer::new(&site)
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let mut phone = Peer::new(&site);
    let mut bank = Peer::new(&site);
    let address = bank.ask(&credential, &hash, "contract.pdf").await;
    let code = phone.confirm(&address, &person).await;
    let token = bank.redeem(&code).await;
    let refused = bank
        .bearer(&token, "/csc/v2/signatures/signHash", &wanted)
        .await;
    assert_eq!(
        refused.status, 503,
        "even with the person's own confirmation: {refused:?}"
    );
}
