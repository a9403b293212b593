//! `tunduk idp-server run`, the real binary over real HTTPS.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod idp_site;

use std::sync::Arc;

use http::Method;
use id_registry::{PersonalNumber, Theme};
use idp_site::{Browser, Site, eventually};
use oidc_provider::{ClientId, Level, Provider, Relations, StoreError};
use serde_json::Value;

struct NoRelations;

impl Relations for NoRelations {
    fn may_act(
        &self,
        _: PersonalNumber,
        _: PersonalNumber,
        _: Theme,
        _: time::Date,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn kids(set: &Value) -> Vec<String> {
    let keys = set["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_up_and_stays_signed_in_over_a_restart() {
    let mut site = Site::new("sandbox", "");
    site.start();
    let mut browser = Browser::new(&site);
    assert_eq!(browser.get("/health").await.status, 200);
    let offered = browser.get("/.well-known/openid-configuration").await;
    assert!(offered.headers.contains_key("strict-transport-security"));
    let offered = offered.json();
    assert_eq!(offered["issuer"], site.issuer());
    assert_eq!(
        offered["token_endpoint"],
        format!("{}/oauth2/token", site.issuer())
    );
    // Without the listener for certificates nothing of it is offered.
    assert!(offered.get("mtls_endpoint_aliases").is_none());
    assert_eq!(offered["tls_client_certificate_bound_access_tokens"], false);
    assert_eq!(kids(&browser.get("/jwks").await.json()).len(), 2);

    assert!(browser.get("/account").await.body.contains("sign-in"));
    browser.sign_up(&site, "aizada@example.kg").await;
    let account = browser.get("/account").await;
    assert_eq!(account.status, 200);
    assert!(account.body.contains("/account/freeze"), "{}", account.body);

    // A form of another site is not taken.
    let evil = [
        ("origin", "https://evil.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let forged = browser
        .send(
            Method::POST,
            "/account/end-everything",
            &evil,
            "csrf=x".to_owned(),
        )
        .await;
    assert_eq!(forged.status, 403);

    site.stop();
    site.start();
    let account = browser.get("/account").await;
    assert!(account.body.contains("/account/freeze"), "{}", account.body);
    site.kill();
    site.start();
    let account = browser.get("/account").await;
    assert!(account.body.contains("/account/freeze"), "{}", account.body);
    // The same address again gets a letter that says so, and the page does not.
    let mut other = Browser::new(&site);
    other.get("/sign-in").await;
    let asked = other
        .post("/sign-up", &[("address", "aizada@example.kg")])
        .await;
    assert!(asked.body.contains("name=\"attempt\""));
    assert_eq!(site.messages().pop().unwrap()["about"], "known");
    // No address and no code is in the log.
    let log = site.log();
    assert!(
        !log.contains("aizada") && !log.contains(&site.last_code()),
        "{log}"
    );
    site.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_followed_while_it_runs() {
    let mut site = Site::new("sandbox", "");
    site.start();
    let mut browser = Browser::new(&site);
    let before = kids(&browser.get("/jwks").await.json());
    let early = site.run(&["keys", "rotate"], &[]);
    assert_eq!(early.status.code(), Some(1));
    let said = String::from_utf8(early.stderr).unwrap();
    assert!(said.contains("wait until"), "{said}");
    let listed = site.output(&["keys", "list"], &[]);
    assert!(
        listed.contains(&format!("{}  active", before[0])),
        "{listed}"
    );
    site.output(&["keys", "withdraw"], &[&before[0]]);
    let after = eventually("the withdrawn key is gone", async || {
        let set = kids(&browser.get("/jwks").await.json());
        (!set.contains(&before[0])).then_some(set)
    })
    .await;
    assert_eq!(after[0], before[1], "the next key, known before, signs");
    assert_eq!(after.len(), 2);
    site.stop();
}

#[test]
fn what_cannot_be_used_is_named() {
    let site = Site::new("people", "");
    let failed = |words: &[&str]| {
        let output = site.run(words, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failed(&["keys", "create"]).contains("already"));
    site.configure("people", "colour = \"red\"\n");
    let said = failed(&["run"]);
    assert!(
        said.contains("idp.toml") && said.contains("colour"),
        "{said}"
    );
    site.configure("people", "keys = \"nowhere\"\n");
    assert!(failed(&["run"]).contains("keys create"));
    site.configure("people", "");
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(site.path("tls.key"), open).unwrap();
    let said = failed(&["run"]);
    assert!(
        said.contains("tls.key") && said.contains("chmod 600"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drill_for_a_leaked_key() {
    let mut site = Site::new("sandbox", "");
    let without_server = site.run(&["keys", "drill"], &[]);
    assert_eq!(without_server.status.code(), Some(1));
    site.start();
    let mut browser = Browser::new(&site);
    let before = kids(&browser.get("/jwks").await.json());
    let pem = std::fs::read(site.path(&format!("state/keys/{}.pem", before[0]))).unwrap();
    let der = pki::pem::decode(&pem, "PRIVATE KEY").unwrap();
    let said = site.output(&["keys", "drill"], &[]);
    assert!(said.contains(&format!("{} leaked", before[0])), "{said}");
    assert!(said.contains(&format!("{} signs", before[1])), "{said}");
    // Whoever has the copy forges in vain; the private key itself is gone from the disk.
    let key = pki::SoftwareKey::from_pkcs8_der(&der).unwrap();
    let algorithm = pki::SignatureAlgorithm::Ecdsa(pki::DigestAlgorithm::Sha256);
    let key = key.with_algorithm(algorithm).unwrap();
    let key = jose::SigningKey::new(std::sync::Arc::new(key)).unwrap();
    let claims = serde_json::json!({ "iss": site.issuer(), "aud": "x", "sid": "x", "sub": "x" });
    let forged = key.sign("JWT", &claims).unwrap();
    let refused = browser
        .get(&format!("/oauth2/logout?id_token_hint={forged}"))
        .await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let file = site.path(&format!("state/keys/{}.pem", before[0]));
    assert!(!file.exists());
    site.stop();
}

#[test]
fn accounts_are_taken_over_one_by_one_and_once() {
    let site = Site::new("people", "");
    let rows = "{\"number\":\"21705199000017\",\"subjects\":{\"bank.example\":\"old-1\"}}\n\n\
        {\"number\":\"11705199000016\",\"subjects\":{}}\n";
    std::fs::write(site.path("accounts.jsonl"), rows).unwrap();
    let path = site.path("accounts.jsonl");
    let path = path.to_str().unwrap();
    for _ in 0..2 {
        let said = site.output(&["account", "import"], &[path]);
        assert_eq!(said, "2 accounts are here\n");
    }
    // Somebody else's subject, another subject of the same person, and what is no account.
    let rows = "{\"number\":\"11705199000016\",\"subjects\":{\"bank.example\":\"old-1\"}}\n\
        {\"number\":\"21705199000017\",\"subjects\":{\"bank.example\":\"old-2\"}}\n{\"number\":\"1\"}\n\
        {\"number\":\"21705199000025\",\"subjects\":{\"bank.example\":\"old-3\"}}\n";
    std::fs::write(path, rows).unwrap();
    let output = site.run(&["account", "import"], &[path]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in [
        "line 1: ",
        "line 2: ",
        "line 3: ",
        "1 accounts are here, 3 lines",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        !said.contains("old-1") && !said.contains("21705199000017"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_taken_over_signs_in_with_the_password_of_before() {
    let mut site = Site::new("people", "");
    site.start();
    // bcrypt of "abcdefghijklmnopqrstuvwxyz".
    let row = "{\"number\":\"21705199000017\",\"email\":\"Aizada@mail.example\",\
        \"password\":\"$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC\"}\n\
        {\"number\":\"11705199000016\",\"password\":\"5f4dcc3b5aa765d61d8327deb882cf99\"}\n\
        {\"number\":\"11705199000024\",\"email\":\"nobody\"}\n";
    std::fs::write(site.path("accounts.jsonl"), row).unwrap();
    let path = site.path("accounts.jsonl");
    let import = || site.run(&["account", "import"], &[path.to_str().unwrap()]);
    let said = String::from_utf8(import().stderr).unwrap();
    assert!(said.contains("line 2: the hash"), "{said}");
    assert!(
        said.contains("line 3: ") && !said.contains("nobody"),
        "{said}"
    );
    assert!(said.contains("1 accounts are here, 2 lines"), "{said}");
    for _ in 0..2 {
        let mut browser = Browser::new(&site);
        browser.get("/sign-in").await;
        let password = |text| [("name", "21705199000017"), ("password", text)];
        let wrong = browser
            .post("/sign-in/password", &password("another password"))
            .await;
        assert_ne!(wrong.status, 200, "{wrong:?}");
        let asked = browser
            .post("/sign-in/password", &password("abcdefghijklmnopqrstuvwxyz"))
            .await;
        assert_eq!(asked.status, 200, "{asked:?}");
        let (attempt, code) = (asked.field("attempt"), site.last_code());
        let entered = browser
            .post("/sign-in/code", &[("attempt", &attempt), ("code", &code)])
            .await;
        assert_eq!(entered.status, 303, "{entered:?}");
        let account = browser.get("/account").await;
        assert!(account.body.contains("/account/freeze"), "{account:?}");
        // Nobody was compared yet: nothing personal is shown.
        assert!(!account.body.contains("21705199000017"), "{account:?}");
        // The second time, the hash is one of our own making; taking over again does not bring the earlier one back.
        assert!(!import().status.success());
    }
    let told = site.messages();
    assert!(
        told.iter()
            .any(|it| it["to"].to_string().contains("aizada@mail.example")),
        "{told:?}"
    );
    site.stop();
}

#[test]
fn relying_parties_of_an_earlier_provider_keep_what_its_export_says() {
    let site = Site::new("people", "");
    let key = idp_site::signing_key();
    let other =
        serde_json::json!({ "client_id": "other", "redirect_uris": ["https://o.example/"] });
    let bank = serde_json::json!({
        "client_id": "bank-4711", "client_secret": "of-before",
        "client_name": "Bank", "client_name#ky": "Банк", "contacts": ["admin@bank.example"],
        "redirect_uris": ["https://bank.example/back"],
        "post_logout_redirect_uris": ["https://bank.example/bye"],
        "response_types": ["code", "id_token"], "grant_types": ["authorization_code", "implicit"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public().to_value()] },
    });
    let secret = serde_json::json!({
        "client_id": "shop", "redirect_uris": ["https://shop.example/back"],
        "token_endpoint_auth_method": "client_secret_post", "contacts": ["admin@shop.example"],
    });
    let implicit = serde_json::json!({ "client_id": "old", "response_types": ["id_token"] });
    let export = serde_json::json!([other, bank, secret, implicit]);
    std::fs::write(site.path("export.json"), export.to_string()).unwrap();
    let add = |lines: &str| {
        let text = format!(
            "metadata = \"export.json\"\norganisation = \"Bank of Examples\"\n{lines}\n\
             [purposes.openid]\nen = \"to know you again\"\n"
        );
        let path = site.path("party.toml");
        std::fs::write(&path, text).unwrap();
        let output = site.run(&["client", "add"], &[path.to_str().unwrap()]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    for (lines, reason) in [
        ("", "client_id"),
        ("client_id = \"nobody\"", "nobody is not in it"),
        ("client_id = \"shop\"", "client_secret_post"),
        ("client_id = \"old\"", "code flow"),
        ("client_id = \"other\"", "keys"),
    ] {
        let (taken, said) = add(lines);
        assert!(!taken && said.contains(reason), "{lines}: {said}");
    }
    for _ in 0..2 {
        let taken = add("client_id = \"bank-4711\"");
        assert_eq!(taken, (true, "bank-4711\n".to_owned()));
    }
    let store = store_sqlite::SqliteIdentity::open(&site.path("state/identity.sqlite")).unwrap();
    let provider = Provider::new(Arc::new(store), Arc::new(NoRelations), &[0; 32]);
    let kept = provider.client(&ClientId::new("bank-4711")).unwrap();
    let form = &kept.client().form;
    assert_eq!(form.names["ky"], "Банк");
    assert_eq!(form.sector, "bank.example");
    assert!(form.redirect_uris.contains("https://bank.example/back"));
    assert!(form.after_logout_uris.contains("https://bank.example/bye"));
    assert!(
        form.keys
            .contains(key.public().to_value()["x"].as_str().unwrap())
    );
    assert!(!form.device_flow && form.level == Level::Low);
}

#[test]
fn test_people_are_made_in_the_sandbox_only() {
    let site = Site::new("people", "");
    let output = site.run(&["sandbox", "people"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("sandbox"), "{said}");

    let site = Site::new("sandbox", "");
    let said = site.output(&["sandbox", "people"], &["--count", "3"]);
    let rows: Vec<Vec<&str>> = said.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows.len(), 3, "{said}");
    for row in &rows {
        assert_eq!(row.len(), 3, "{said}");
        assert!(row[0].parse::<id_registry::PersonalNumber>().is_ok() && row[1].contains(' '));
        assert_eq!(
            row[2].chars().filter(char::is_ascii_alphanumeric).count(),
            12
        );
    }
    // Again, the same people with other codes: nobody has used one yet.
    let again = site.output(&["sandbox", "people"], &["--count", "3"]);
    assert_ne!(again, said);
    assert!(again.starts_with(rows[0][0]));
}
