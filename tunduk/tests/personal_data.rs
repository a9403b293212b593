//! The demonstration's story over the real binary, and afterwards: nothing of the people in it is in the log of any server,
//! in what monitoring reads, or in what a server says of its health. What a Security Server exported is judged by the
//! public page.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::{Method, StatusCode, header};
use id_registry::{PersonalNumber, Population, Resident};
use serde_json::Value;
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, Request, RequestOptions, ServerVerification,
};

const EVENTS: &str = include_str!("../../docs/events.md");
/// The block of addresses of this country.
const BLOCK: &str = "127.98.7.";
/// Characters of a secret of 256 bits in base64.
const SECRET: usize = 43;

fn tunduk(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tunduk"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server that runs on by itself, over what the story left.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(subcommand: &str, config: &Path, log: &Path) -> Self {
        let log = std::fs::File::options().append(true).open(log).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tunduk"))
            .args([subcommand, "run", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{subcommand}");
        Self(process)
    }
}

/// What is known of people and must be nowhere.
struct Known {
    people: Vec<Resident>,
    words: Vec<String>,
}

impl Known {
    /// Those whose keys the story keeps: officers and borrowers.
    fn of(folder: &Path) -> Self {
        let residents = Population::demonstration();
        let numbers: BTreeSet<PersonalNumber> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.get(..14)?.parse().ok()
            })
            .collect();
        let people: Vec<Resident> = numbers
            .iter()
            .map(|number| residents.find(number).unwrap())
            .collect();
        let mut words = Vec::new();
        for person in &people {
            let names = [&person.family_name, &person.given_name, &person.patronymic];
            for name in names {
                words.extend([name.cyrillic.clone(), name.latin.clone()]);
            }
            words.push(person.born_on.to_string());
            words.extend(person.document.iter().map(|it| it.number.clone()));
        }
        // Shorter ones stand in other words.
        words.retain(|word| word.len() > 3);
        Self { people, words }
    }

    /// What of it stands in a text; also any number of anybody, any Cyrillic letters and any address for mail.
    fn people_in(&self, text: &str) -> Vec<String> {
        let known = self
            .words
            .iter()
            .filter(|word| text.contains(word.as_str()));
        let mut found: Vec<String> = known.cloned().collect();
        let numbers = text.split(|c: char| !c.is_ascii_digit());
        found.extend(
            numbers
                .filter(|digits| digits.len() == 14 && digits.parse::<PersonalNumber>().is_ok())
                .map(str::to_owned),
        );
        let has_cyrillic = text.contains(|c: char| ('\u{400}'..='\u{4ff}').contains(&c));
        found.extend(has_cyrillic.then(|| "Cyrillic letters".to_owned()));
        found.extend(text.contains('@').then(|| "@".to_owned()));
        found
    }
}

/// What looks like a token or code in a text: 256 bits in base64, or signed JSON. Digests are in hexadecimal.
fn secrets_in(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|part| part.len() >= SECRET || part.starts_with("eyJ"))
        .filter(|part| part.contains(|c: char| !c.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect()
}

/// Whoever may call the country's sites.
struct Caller {
    http: HttpClient,
    options: RequestOptions,
}

impl Caller {
    fn new(authority: &Path) -> Self {
        let pem = std::fs::read(authority).unwrap();
        let authorities = pki::Certificate::all_from_pem(&pem).unwrap();
        let authorities = authorities.iter().map(|it| it.der().to_vec()).collect();
        let verification = ServerVerification::Authorities(authorities);
        let place: IpAddr = format!("{BLOCK}1").parse().unwrap();
        let names =
            ["id", "sign", "verify", "bank"].map(|name| (format!("{name}.localhost"), place));
        Self {
            http: HttpClient::new(PoolLimits::default())
                .unwrap()
                .with_hosts(BTreeMap::from(names)),
            options: RequestOptions::default()
                .with_tls(ClientTls::new(&verification, None).unwrap()),
        }
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::full(body))
            .unwrap();
        let answer = self.http.request(request, &self.options).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect(16 << 20).await.unwrap();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// What the public page says of a file.
    async fn judged(&self, file: &[u8]) -> String {
        let mut form = b"--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"evidence.zip\"\r\n\
                         Content-Type: application/zip\r\n\r\n"
            .to_vec();
        form.extend(file);
        form.extend(b"\r\n--cut--\r\n");
        let (url, kind) = (
            "https://verify.localhost:8885/?language=en",
            "multipart/form-data; boundary=cut",
        );
        let (status, html) = self.ask(Method::POST, url, kind, form).await;
        assert_eq!(status, StatusCode::OK);
        html
    }
}

/// The rows of the table of docs/events.md under a heading, each with what it names in its first cell.
fn rows(heading: &str) -> Vec<(&'static str, Vec<String>)> {
    let rows = EVENTS.lines().skip_while(|line| *line != heading).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let words = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
            (row, words.map(str::to_owned).collect())
        })
        .collect()
}

/// The fields and names that are published for a server.
fn published(whose: &str, names: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let fields = rows("| field | what it holds | in whose events |")
        .into_iter()
        .filter(|(row, _)| row.ends_with("| all |") || row.ends_with(&format!("| {whose} |")))
        .flat_map(|(_, fields)| fields)
        .chain(["place".to_owned()])
        .collect();
    let names = rows(names).into_iter().flat_map(|(_, names)| names);
    (fields, names.collect())
}

/// Reads a stream to its end, in two parts.
fn events(subcommand: &str, config: &Path) -> Vec<Value> {
    let config = config.to_str().unwrap();
    let read = |after: &str| -> Vec<Value> {
        tunduk(&[subcommand, "events", "--config", config, "--after", after])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = read("0");
    let middle = &all[all.len() / 2];
    assert_eq!(read(&middle["place"].to_string()), all[all.len() / 2 + 1..]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_tells_of_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let instance = folder.path().join("instance.toml");
    let text = tunduk(&["demo", "--print-instance"]).replace("127.0.0.", BLOCK);
    std::fs::write(&instance, text).unwrap();
    let told = tunduk(&[
        "demo",
        "--once",
        "--state",
        state.to_str().unwrap(),
        "--instance",
        instance.to_str().unwrap(),
    ]);
    for step in ["proofed", "contract-signed", "frozen", "evidence-exported"] {
        assert!(told.contains(&format!("ok {step}\n")), "{told}");
    }
    let known = Known::of(&state.join("people"));
    assert!(known.people.len() >= 2, "an officer and a borrower");

    // Every server once more, over what the story left: its health is one word.
    let sites = [
        ("idp-server", "identity", "idp.toml", "id.localhost:8883"),
        (
            "signing-server",
            "signing",
            "signing.toml",
            "sign.localhost:8884",
        ),
        (
            "verification-server",
            "verification",
            "verification.toml",
            "verify.localhost:8885",
        ),
    ]
    .map(|(subcommand, folder, file, host)| {
        let config = state.join("sites").join(folder).join(file);
        let log = state.join("logs").join(format!("{subcommand}.log"));
        (subcommand, config, log, host)
    });
    let caller = Caller::new(&state.join("trust/ca.pem"));
    let mut servers = Vec::new();
    for (subcommand, config, log, host) in &sites {
        servers.push(Server::start(subcommand, config, log));
        let url = format!("https://{host}/health");
        let (status, health) = caller
            .ask(Method::GET, &url, "text/plain", Vec::new())
            .await;
        assert_eq!(status, StatusCode::OK, "{subcommand}");
        assert!(
            ["", "ok\n"].contains(&health.as_str()),
            "{subcommand}: {health}"
        );
    }

    // What the consumer's Security Server exported, as anybody may check it.
    let exported: Vec<PathBuf> = std::fs::read_dir(state.join("evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let archive = std::fs::read(&exported[0]).unwrap();
    let html = caller.judged(&archive).await;
    assert!(html.contains("class=\"verdict good\""), "{html}");
    for part in ["-request-", "-response-", "KG/COM/80000001"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let anchor = state.join("anchor.xml");
    let said = tunduk(&[
        "verify",
        exported[0].to_str().unwrap(),
        "--anchor",
        anchor.to_str().unwrap(),
    ]);
    let containers = said.lines().filter(|line| line.ends_with(".asice"));
    let mut count = 0;
    for container in containers {
        assert!(html.contains(container), "{container}: {html}");
        count += 1;
    }
    assert!(count >= 2, "{said}");
    // No octet of a message may be another one.
    let step = archive.len() / 60 + 1;
    let mut refused = 0;
    for at in (0..archive.len()).step_by(step) {
        let mut changed = archive.clone();
        changed[at] ^= 1;
        let html = caller.judged(&changed).await;
        refused += usize::from(!html.contains("class=\"verdict good\""));
    }
    assert!(
        refused > 30,
        "{refused} of the changed archives were refused"
    );
    let html = caller.judged(&archive[..archive.len() / 2]).await;
    assert!(!html.contains("class=\"verdict good\""), "{html}");
    drop(servers);

    // The logs of all servers.
    let mut lines = 0;
    for log in std::fs::read_dir(state.join("logs")).unwrap() {
        let log = log.unwrap().path();
        for line in std::fs::read_to_string(&log).unwrap().lines() {
            let found = [known.people_in(line), secrets_in(line)].concat();
            assert!(found.is_empty(), "{}: {found:?} in {line}", log.display());
            lines += 1;
        }
    }
    assert!(lines > 0, "nobody logs anything");

    // What monitoring reads, in the published schema.
    for (place, whose, heading, expected) in [
        (
            0,
            "identity provider",
            "| the identity provider's events | |",
            "consent.given",
        ),
        (
            1,
            "signing service",
            "| the signing service's events | |",
            "signing.signed",
        ),
    ] {
        let (subcommand, config, ..) = &sites[place];
        let (fields, names) = published(whose, heading);
        let all = events(subcommand, config);
        assert!(
            all.iter().any(|event| event["event"] == expected),
            "{all:?}"
        );
        for event in &all {
            let name = event["event"].as_str().unwrap();
            assert!(names.contains(name), "{name} is not published");
            for field in event.as_object().unwrap().keys() {
                assert!(fields.contains(field), "{field} is not published: {event}");
            }
            let found = known.people_in(&event.to_string());
            assert!(found.is_empty(), "{found:?} in {event}");
        }
    }
}

#[test]
fn what_tells_of_somebody_is_found() {
    let somebody = Population::demonstration().person(7).unwrap();
    let known = Known {
        words: vec![somebody.family_name.latin.clone()],
        people: vec![somebody.clone()],
    };
    let secret = "x".repeat(SECRET);
    for text in [
        somebody.number.as_str(),
        &format!("sub=\"{}\"", somebody.number.as_str()),
        &somebody.family_name.latin,
        &somebody.family_name.cyrillic,
        "aida@example.kg",
        &secret,
        "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    ] {
        let found = [known.people_in(text), secrets_in(text)].concat();
        assert!(!found.is_empty(), "{text}");
    }
    let line = "2026-11-25T10:00:00.123456Z INFO ready 20261125100000 KG/COM/80000001";
    assert_eq!(
        [known.people_in(line), secrets_in(line)].concat(),
        Vec::<String>::new()
    );
}
