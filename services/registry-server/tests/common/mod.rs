//! The registers over their real port, asked with nothing but a socket.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod country;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use config::{PopulationAccess, PopulationClient};
use id_registry::{
    Detail, Entry, Event, Grant, LookUp, Officer, OpaqueSerial, PersonalNumber, Population,
    Register, Rules, decide, demonstration,
};
use registry_server::{PopulationRegister, Registers};
use store_sqlite::SqliteRegister;
use time::OffsetDateTime;
use transport::{HttpClient, PoolLimits};
use xroad_id::ClientId;

/// A client that may do nothing but see these details.
pub fn client(id: &str, details: &[Detail]) -> PopulationClient {
    PopulationClient {
        client: ClientId::from_path(id).expect("a client"),
        grant: Grant {
            details: details.iter().copied().collect(),
            ..Grant::default()
        },
        verify: false,
        changes: false,
        may_act: false,
        acts: std::collections::BTreeSet::new(),
        doubles: false,
        own: None,
        push: None,
        purpose: None,
    }
}

/// The headers of a client's request.
pub fn headers(client: &str, user: &str) -> String {
    format!("X-Road-Client: {client}\r\nX-Road-Id: q1\r\nX-Road-UserId: {user}\r\n")
}

/// The registers on a free port over a database of their own; they end with the test process.
pub struct Running {
    pub address: SocketAddr,
    pub folder: tempfile::TempDir,
}

impl Running {
    /// Another program at the same database.
    pub fn register(&self) -> SqliteRegister {
        SqliteRegister::open(&self.folder.path().join("population.sqlite")).expect("a register")
    }

    pub fn enter(&self, event: Event) {
        let register = self.register();
        let territory = demonstration::territory();
        let rules = Rules {
            numbers: &OpaqueSerial,
            territory: &territory,
            cooling_off: time::Duration::DAY,
        };
        let now = OffsetDateTime::now_utc();
        let entry = Entry {
            event,
            effective: id_registry::day_of(now),
            reference: "1".into(),
            officer: Officer {
                office: "zags-1".into(),
                name: "7".into(),
            },
        };
        let decided = decide(entry, now, rules, &register).expect("right");
        register.enter(&decided).expect("entered");
    }

    pub fn looks(&self, number: PersonalNumber) -> Vec<LookUp> {
        self.register().look_ups(number, 100).expect("look-ups")
    }
}

pub fn start(access: PopulationAccess) -> Running {
    let population_push = access.push.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("population.sqlite");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = registry_server::listen(([127, 0, 0, 1], 0).into())
                .await
                .expect("a port");
            sender
                .send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            let register = Box::new(SqliteRegister::open(&file).expect("a register"));
            let residents = Population::new(id_registry::DEFAULT_SEED, 400).expect("few");
            let territory = demonstration::territory();
            let population = PopulationRegister::new(register, access, territory, Some(residents));
            let (push, settings) = (population.clone(), population_push);
            if let Some(settings) = settings {
                let http = HttpClient::new(PoolLimits::default()).expect("a client");
                tokio::spawn(async move { push.push(settings, "test", http).await });
            }
            let registers = Registers::new(population, Population::demonstration());
            registry_server::serve(listener, registers, std::future::pending()).await;
        });
    });
    let address = receiver.recv().expect("an address");
    Running { address, folder }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub fn ask(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "{line} HTTP/1.1\r\nHost: register\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .expect("sent");
    let mut bytes = Vec::new();
    let broken = stream.read_to_end(&mut bytes).is_err();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let mut body = bytes[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = dechunk(&body).unwrap_or_default();
    }
    assert!(!broken || body.is_empty());
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status"),
        head,
        body,
    }
}

/// None where the last chunk is missing.
fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(end + 2..end + 2 + size)?);
        bytes = bytes.get(end + 4 + size..)?;
    }
}

/// A SOAP request of the bank, as a Security Server hands it on.
pub fn envelope(namespace: &str, operation: &str, content: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\">\
         <soap:Header xmlns:i=\"http://x-road.eu/xsd/identifiers\"><x:client i:objectType=\"SUBSYSTEM\">\
         <i:xRoadInstance>KG</i:xRoadInstance>\
         <i:memberClass>COM</i:memberClass><i:memberCode>80000001</i:memberCode><i:subsystemCode>bank</i:subsystemCode>\
         </x:client><x:service i:objectType=\"SERVICE\"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
         <i:memberCode>70000001</i:memberCode><i:subsystemCode>register</i:subsystemCode><i:serviceCode>{operation}</i:serviceCode>\
         </x:service><x:userId>KG12</x:userId><x:id>4</x:id><x:protocolVersion>4.0</x:protocolVersion></soap:Header>\
         <soap:Body><q:{operation} xmlns:q=\"{namespace}\">{content}</q:{operation}></soap:Body></soap:Envelope>"
    )
}
