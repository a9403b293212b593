//! The population register over the exchange: what leaves it and what comes in passes two Security Servers.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use id_registry::{Image, Population};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use serde_json::{Value, json};
use testkit::http::{Answer, Request};
use testkit::pair::{CONSUMER, More, PROVIDER, PROVIDER_SERVER, Pair};
use testkit::{Kind, Running, binary, eventually};
use time::OffsetDateTime;

const ISSUER: &str = "https://id.localhost:8883";

struct Register {
    _running: Running,
    _folder: tempfile::TempDir,
    pair: Pair,
    key: jose::SigningKey,
}

fn start() -> Register {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let end = format!(
        "\n[[service]]\nprovider = \"{PROVIDER}\"\ncode = \"population\"\ntype = \"rest\"\n\
         url = \"http://{address}/population\"\nallowed = [\"{CONSUMER}\"]\n\
         \n[[service]]\nprovider = \"{CONSUMER}\"\ncode = \"news\"\ntype = \"rest\"\n\
         url = \"{{provider}}/echo\"\nallowed = [\"{PROVIDER}\"]\n"
    );
    let more = More {
        end: &end,
        ..More::default()
    };
    let pair = Pair::start_with(Kind::P256, &more);
    let folder = tempfile::tempdir().expect("a folder");
    let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = key.with_algorithm(algorithm).expect("a common algorithm");
    let key = jose::SigningKey::new(Arc::new(key)).expect("a key that signs");
    let set = jose::JwkSet::new(vec![key.public().clone()]);
    std::fs::write(folder.path().join("keys.json"), set.to_value().to_string()).expect("written");
    let access = folder.path().join("access.toml");
    let text = format!(
        "[identity_provider]\nissuer = \"{ISSUER}\"\nkeys = \"keys.json\"\n\
         [push]\nsecurity_server = \"{}\"\nclient = \"{PROVIDER}\"\n\
         [[client]]\nid = \"{CONSUMER}\"\ndetails = [\"names\", \"portrait\"]\nmay_act = true\n\
         changes = true\npush = \"{CONSUMER}/news\"\nown = \"portal\"\nacts = [\"citizenshipChange\"]\n",
        pair.url_of(PROVIDER_SERVER),
    );
    std::fs::write(&access, text).expect("written");
    let mut command = Command::new(binary());
    command
        .args(["registry-server", "run", "--residents", "400", "--listen"])
        .arg(address.to_string())
        .arg("--state")
        .arg(folder.path())
        .arg("--access")
        .arg(&access);
    let running = Running::start(&mut command);
    Register {
        _running: running,
        _folder: folder,
        pair,
        key,
    }
}

impl Register {
    fn send(&self, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let url = format!("{}r1/{PROVIDER}/population{path}", self.pair.url());
        let headers = [
            &[
                ("X-Road-Client", CONSUMER),
                ("X-Road-UserId", "officer 1"),
                ("Content-Type", "application/json"),
            ],
            more,
        ]
        .concat();
        let request = Request {
            url: &url,
            method: "POST",
            headers: &headers,
            body,
        };
        request.send().expect("an answer")
    }
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

#[test]
fn portraits_acts_own_records_and_changes_pass_the_exchange() {
    let register = start();
    let resident = |place| Population::demonstration().person(place).expect("somebody");
    let person = resident(4).number;
    let about = json!({ "number": person }).to_string();
    let about = about.as_bytes();
    eventually("the register answers", Duration::from_secs(60), || {
        register.send("/persons", &[], about).status == 200
    });

    let portrait = register.send("/persons/portrait", &[], about);
    assert_eq!(portrait.header("content-type"), Some("image/jpeg"));
    Image::check(portrait.body.clone()).expect("a picture, as it left the register");
    let acting = json!({ "number": person, "actor": person, "theme": "health" }).to_string();
    let acting = register.send("/persons/represented-by", &[], acting.as_bytes());
    assert_eq!(value(&acting)["mayAct"], true);

    // The subscription may begin only now; what happens after it is told.
    std::thread::sleep(Duration::from_secs(2));
    let today = id_registry::day_of(OffsetDateTime::now_utc()).to_string();
    let entry = json!({
        "effective": today,
        "reference": "1/26",
        "event": { "kind": "citizenshipChange", "person": person, "citizenship": "KAZ" },
    });
    let entered = register.send("/acts", &[], entry.to_string().as_bytes());
    assert_eq!(entered.status, 200, "{}", entered.text());
    let act = value(&entered)["act"].as_u64().expect("its place");
    let told = format!("\"last\":{act}");
    eventually("the subscriber is told", Duration::from_secs(20), || {
        let last = register.pair.provider.last();
        last.contains(&told) && last.contains(person.as_str())
    });

    let now = OffsetDateTime::now_utc().unix_timestamp();
    let claims = json!({
        "iss": ISSUER, "aud": "portal", "iat": now, "exp": now + 300, "number": person,
        "acr": "http://eidas.europa.eu/LoA/substantial",
    });
    let token = register.key.sign("userinfo+jwt", &claims).expect("signed");
    let bearer = format!("Bearer {token}");
    let signed_in = [("Authorization", bearer.as_str())];
    let record = register.send("/own", &signed_in, about);
    assert_eq!(record.status, 200, "{}", record.text());
    assert_eq!(value(&record)["citizenship"], "KAZ");
    let looks = value(&register.send("/own/look-ups", &signed_in, about));
    let released = |look: &&Value| look["released"] == true && look["client"] == CONSUMER;
    let all = looks["lookUps"].as_array().expect("a list");
    assert_eq!(all.iter().filter(released).count(), 1, "{looks}");
    assert_eq!(register.send("/own", &[], about).status, 401);
}
