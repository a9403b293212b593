//! The smallest country in which a message passes: one server that asks, one that answers.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::http::{Answer, Request};
use crate::soap::SoapCall;
use crate::{Block, Country, Kind, Provider, binary};

/// The Security Server that provides.
pub const PROVIDER_SERVER: &str = "KG/GOV/70000001/ss1";
/// The provider.
pub const PROVIDER: &str = "KG/GOV/70000001/register";
/// The Security Server that consumes.
pub const CONSUMER_SERVER: &str = "KG/COM/80000001/ss2";
/// The consumer, who has all rights.
pub const CONSUMER: &str = "KG/COM/80000001/bank";
/// Another client of the consumer's server, who has none.
pub const STRANGER: &str = "KG/COM/80000001/stranger";

/// A pair of Security Servers with a provider behind one of them.
#[derive(Debug)]
pub struct Pair {
    /// The country.
    pub country: Country,
    /// The provider's information system.
    pub provider: Provider,
    /// Addresses.
    pub block: Block,
}

/// Services of every pair: code, type and behaviour of the provider.
const SERVICES: &[(&str, &str, &str)] = &[
    ("echo", "soap", "echo"),
    ("slow", "soap", "slow/2000"),
    ("tooSlow", "soap", "slow/8000"),
    ("cut", "soap", "cut"),
    ("hangUp", "soap", "hang-up"),
    ("otherId", "soap", "other-id"),
    ("error", "soap", "error"),
    ("text", "soap", "text"),
    ("rest", "rest", "echo"),
    ("restCut", "rest", "cut"),
    ("swallow", "rest", "swallow"),
];

/// What a test adds to the instance of a pair, as TOML.
#[derive(Debug, Clone, Copy, Default)]
pub struct More<'a> {
    /// In the instance's head.
    pub head: &'a str,
    /// In the provider's server, after its clients.
    pub provider_server: &'a str,
    /// In the consumer's server, after its clients.
    pub consumer_server: &'a str,
    /// At the end: further services, groups. `{provider}` stands for the URL of the information system, without a
    /// slash at its end.
    pub end: &'a str,
}

impl Pair {
    /// Starts it. `head` is added to the head of the instance file.
    pub fn start(kind: Kind, head: &str) -> Self {
        Self::start_with(
            kind,
            &More {
                head,
                ..More::default()
            },
        )
    }

    /// Starts it with what the test needs beside the usual.
    pub fn start_with(kind: Kind, more: &More<'_>) -> Self {
        let block = Block::new();
        let provider = Provider::start(&block.address(60));
        let mut text = format!(
            "instance = \"KG\"\nkey_type = \"{}\"\naddress = \"{}\"\n{}\n",
            kind.key_type(),
            block.address(1),
            more.head
        );
        let mut server = |id: &str, last: u8, clients: &[&str], more: &str| {
            let _ = write!(
                text,
                "\n[[server]]\nid = \"{id}\"\naddress = \"{}\"\n",
                block.address(last)
            );
            for client in clients {
                let _ = write!(
                    text,
                    "[[server.client]]\nid = \"{client}\"\nconnection = \"http\"\n"
                );
            }
            text.push_str(more);
        };
        server(PROVIDER_SERVER, 11, &[PROVIDER], more.provider_server);
        server(
            CONSUMER_SERVER,
            12,
            &[CONSUMER, STRANGER],
            more.consumer_server,
        );
        let mut service = |code: &str, kind: &str, url: &str, more: &str| {
            let _ = write!(
                text,
                "\n[[service]]\nprovider = \"{PROVIDER}\"\ncode = \"{code}\"\ntype = \"{kind}\"\nurl = \"{url}\"\n\
                 allowed = [\"{CONSUMER}\"]\n{more}"
            );
        };
        for (code, kind, behaviour) in SERVICES {
            let more = if *code == "tooSlow" {
                "timeout_seconds = 1\n"
            } else {
                ""
            };
            service(code, kind, &provider.url(behaviour), more);
        }
        service(
            "nobody",
            "soap",
            &format!("http://{}:9/", block.address(61)),
            "",
        );
        service(
            "off",
            "soap",
            &provider.url("echo"),
            "disabled = \"closed on Sundays\"\n",
        );
        text.push_str(
            &more
                .end
                .replace("{provider}", provider.url("").trim_end_matches('/')),
        );
        Self {
            country: Country::start(&text),
            provider,
            block,
        }
    }

    /// Where the consumer's information system sends SOAP messages.
    pub fn url(&self) -> String {
        format!("http://{}:8080/", self.block.address(12))
    }

    /// Where the information systems of a server connect: the provider's has the address 11 of the block.
    pub fn url_of(&self, server: &str) -> String {
        let last = if server == PROVIDER_SERVER { 11 } else { 12 };
        format!("http://{}:8080/", self.block.address(last))
    }

    /// What the ports of a server tell everybody of its readiness: `None` when it can exchange messages.
    pub fn not_ready(&self, server: &str) -> Option<String> {
        let url = format!("{}health/ready", self.url_of(server));
        let answer = Request {
            url: &url,
            method: "GET",
            headers: &[],
            body: &[],
        }
        .send();
        match answer {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => Some(answer.text()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What a server lacks, as it tells its administrator; nothing when it can exchange messages.
    ///
    /// # Panics
    /// When the binary cannot be run.
    pub fn missing(&self, server: &str) -> String {
        let output = Command::new(binary())
            .args(["security-server", "status", "--config"])
            .arg(self.country.configuration(server))
            .output()
            .expect("tunduk runs");
        if output.status.success() {
            return String::new();
        }
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Waits until a server can exchange messages.
    ///
    /// # Panics
    /// When it cannot in a minute.
    pub fn until_ready(&self, server: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Some(told) = self.not_ready(server) {
            assert!(
                Instant::now() < deadline,
                "{server}: {told} {}",
                self.missing(server)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A call of the consumer to a service of the provider.
    pub fn call(&self, code: &str) -> SoapCall {
        SoapCall::new(CONSUMER, PROVIDER, code)
    }

    /// Sends a call and gives what came back.
    ///
    /// # Panics
    /// When there is no answer at all.
    pub fn ask(&self, call: &SoapCall) -> Answer {
        call.send(&self.url())
            .unwrap_or_else(|error| panic!("{}: {error}", call.code))
    }

    /// Posts a body to a REST service of the provider.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub fn post(&self, code: &str, body: &[u8]) -> std::io::Result<Answer> {
        let url = format!("{}r1/{PROVIDER}/{code}/path?q=1", self.url());
        let headers = [
            ("X-Road-Client", CONSUMER),
            ("Content-Type", "application/octet-stream"),
        ];
        Request {
            url: &url,
            method: "POST",
            headers: &headers,
            body,
        }
        .send()
    }

    /// Panics unless messages pass now.
    ///
    /// # Panics
    /// Then.
    pub fn must_work(&self) {
        let call = self.call("echo");
        let answer = self.ask(&call);
        assert!(call.is_answered_by(&answer), "{}", answer.text());
    }
}
