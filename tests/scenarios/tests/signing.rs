//! The real signing server beside a real certification authority: a person is enrolled at a desk, a bank gets a signature,
//! the server is killed in between, the person revokes.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod signing_site;

use http::header;
use oauth2::form;
use pki::{Certificate, DigestAlgorithm};
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
        let token = bank.service_token("bank").await;
        let wanted = json!({ "userID": PERSON, "onlyValid": true });
        let listed = bank
            .bearer(&token, "/csc/v2/credentials/list", &wanted)
            .await
            .json();
        let credential = listed["credentialIDs"][0].as_str().unwrap().to_owned();
        let info = json!({ "credentialID": credential, "certificates": "chain" });
        let info = bank
            .bearer(&token, "/csc/v2/credentials/info", &info)
            .await
            .json();
        let certificate = info["cert"]["certificates"][0].as_str().unwrap();
        let certificate = Certificate::decode(&csc::from_base64(certificate).unwrap()).unwrap();
        assert!(certificate.is_issued_by(site.trust.ca_certificate()));
        let hash = DigestAlgorithm::Sha256.digest(b"contract");
        let hash = csc::to_base64(hash.as_ref());
        let details = json!([{
            "type": "credential", "credentialID": credential, "hashAlgorithmOID": csc::SHA256,
            "documentDigests": [{ "hash": hash, "label": "Loan contract.pdf" }],
        }])
        .to_string();
        let asked = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("authorization_details", &details),
        ];
        let pushed = bank
            .client("bank", "/oauth2/pushed_authorize", &asked)
            .await
            .json();
        let uri = pushed["request_uri"].as_str().unwrap();
        let query = form(&[("client_id", "bank"), ("request_uri", uri)]);
        let page = phone.get(&format!("/oauth2/authorize?{query}")).await;
        let page = page.location().to_owned();
        assert!(phone.get(&page).await.body.contains("Loan contract.pdf"));
        let back = phone.approve(&page, &person).await.location().to_owned();
        (
            credential,
            certificate,
            hash,
            after(&back, "code"),
            phone.cookies,
        )
    };
    let (credential, certificate, hash, code, cookies) = details;

    // A power cut after the person confirmed: the code is good, and so is the token after the next one.
    site.server.take().unwrap().kill();
    site.start();
    let token = {
        let mut bank = Peer::new(&site);
        let redeem = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let token = bank.client("bank", "/oauth2/token", &redeem).await.json();
        token["access_token"].as_str().unwrap().to_owned()
    };
    site.server.take().unwrap().kill();
    site.start();
    let wanted = json!({
        "credentialID": credential, "hashes": [hash], "signAlgo": csc::ECDSA_WITH_SHA256,
    });
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
    site.said(&["officer", "dismiss", &officer_id]).unwrap();
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
