//! Two instances whose Central Servers name each other: a member of one calls services of the other, for as long as the
//! configuration of the other is current.

use std::time::Duration;

use testkit::http::{Answer, Request};
use testkit::pair::{CONSUMER, CONSUMER_SERVER, PROVIDER, PROVIDER_SERVER, Pair};
use testkit::soap::SoapCall;
use testkit::{Block, Country, Kind, OwnServer, Process, Provider, Running, eventually};

const OTHER_SERVER: &str = "KZ/GOV/90000001/ss9";
const OTHER: &str = "KZ/GOV/90000001/archive";

/// The other instance: one server, whose services the consumer of the first instance may use.
fn other_instance(block: Block, provider: &Provider) -> Country {
    Country::start(&format!(
        "instance = \"KZ\"\nkey_type = \"ec-p256\"\naddress = \"{}\"\nconfiguration_lifetime_seconds = 40\n\
         [[server]]\nid = \"{OTHER_SERVER}\"\naddress = \"{}\"\n\
         [[server.client]]\nid = \"{OTHER}\"\nconnection = \"http\"\n\
         [[service]]\nprovider = \"{OTHER}\"\ncode = \"records\"\ntype = \"soap\"\nurl = \"{}\"\nallowed = [\"{CONSUMER}\"]\n\
         [[service]]\nprovider = \"{OTHER}\"\ncode = \"files\"\ntype = \"rest\"\nurl = \"{}\"\nallowed = [\"{CONSUMER}\"]\n",
        block.address(1),
        block.address(11),
        provider.url("echo"),
        provider.url("echo"),
    ))
}

/// Has the Central Server of a country name the other's anchor, as their operators would agree, and start again with it.
fn federate(country: &Country, other: &Country) -> (Process, Running) {
    country.freeze();
    let central = country.state().join("central");
    let anchor = other.state().join("central/anchor-external.xml");
    let description = central.join("instance.toml");
    let text = std::fs::read_to_string(&description).expect("the description");
    std::fs::write(
        &description,
        format!("federation = [\"{}\"]\n{text}", anchor.display()),
    )
    .expect("written");
    let process = country.processes("central-server");
    let process = process.first().expect("a Central Server").clone();
    process.kill();
    std::thread::sleep(Duration::from_millis(100));
    let running = process.begin();
    let url = country.text("/globalconf_url").to_owned();
    eventually(
        "the Central Server is back",
        Duration::from_secs(30),
        || get(&url).is_ok_and(|answer| answer.status == 200),
    );
    (process, running)
}

fn get(url: &str) -> std::io::Result<Answer> {
    Request {
        url,
        method: "GET",
        headers: &[],
        body: &[],
    }
    .send()
}

fn allow(country: &Country, server: &str, federations: &str) -> OwnServer {
    let mut server = country.take_over(server);
    server.kill();
    server.edit(|text| format!("allowed_federations = \"{federations}\"\n{text}"));
    server.start();
    server
}

fn soap(pair: &Pair) -> Result<(), String> {
    let call = SoapCall::new(CONSUMER, OTHER, "records");
    let answer = pair.ask(&call);
    if call.is_answered_by(&answer) {
        return Ok(());
    }
    Err(answer.fault_code().unwrap_or_else(|| answer.text()))
}

fn rest(pair: &Pair) -> Answer {
    let url = format!("{}r1/{OTHER}/files/a", pair.url());
    let headers = [("X-Road-Client", CONSUMER)];
    Request {
        url: &url,
        method: "POST",
        headers: &headers,
        body: b"page",
    }
    .send()
    .expect("an answer")
}

#[test]
fn members_of_federated_instances_exchange_messages() {
    let pair = Pair::start(Kind::P256, "");
    let block = Block::new();
    let provider = Provider::start(&block.address(60));
    let other = other_instance(block, &provider);
    // Strangers to each other, before their Central Servers agree.
    assert_eq!(
        soap(&pair).expect_err("no federation yet"),
        "server.clientproxy.unknown_member"
    );
    let _central = federate(&pair.country, &other);
    let (_, mut other_central) = federate(&other, &pair.country);
    let _consumer = allow(&pair.country, CONSUMER_SERVER, "kz");
    let _answering = allow(&other, OTHER_SERVER, "all");
    pair.until_ready(CONSUMER_SERVER);
    eventually(
        "a call to the other instance",
        Duration::from_secs(60),
        || soap(&pair).is_ok(),
    );
    let answer = rest(&pair);
    assert_eq!((answer.status, answer.text().as_str()), (200, "page"));
    assert!(provider.asked() >= 2);
    // What is agreed is not transitive to rights: the other's access rights hold.
    let stranger = SoapCall::new(testkit::pair::STRANGER, OTHER, "records");
    assert_eq!(
        pair.ask(&stranger).fault_code().as_deref(),
        Some("server.serverproxy.access_denied")
    );
    // Members of the other instance are listed, and a server that does not follow it knows none.
    let list = |server: &str| {
        let url = format!("{}listClients?xRoadInstance=KZ", pair.url_of(server));
        get(&url).expect("an answer")
    };
    let listed = list(CONSUMER_SERVER);
    assert!(listed.text().contains("90000001"), "{}", listed.text());
    assert_eq!(list(PROVIDER_SERVER).status, 500);

    // Evidence of the exchange verifies up to the own anchor, the other instance's signature too.
    let judged = pair.country.judged(CONSUMER_SERVER);
    assert!(judged.valid, "{}", judged.text);
    assert!(judged.text.contains(OTHER), "{}", judged.text);

    // The other Central Server goes. Its configuration runs out; the own instance goes on.
    other_central.kill();
    eventually(
        "the other's configuration expires",
        Duration::from_secs(90),
        || {
            pair.must_work();
            soap(&pair).is_err_and(|code| code == "server.clientproxy.unknown_member")
        },
    );
    let own = SoapCall::new(CONSUMER, PROVIDER, "echo");
    assert!(own.is_answered_by(&pair.ask(&own)));
    assert_eq!(list(CONSUMER_SERVER).status, 500);
}
