//! Evidence exported from our message logs is verified by programs that nobody here wrote.

use std::path::PathBuf;
use std::process::Command;

use interop::outside::{CONSUMER, CONSUMER_SERVER, PROVIDER, PROVIDER_SERVER, Stand};
use interop::{run, script};
use testkit::{Block, Kind, binary, http::Request, soap::SoapCall};

#[test]
#[ignore = "needs xmlsec1 and Python packages: cargo xtask test"]
fn rsa() {
    exported(Kind::Rsa);
}

#[test]
#[ignore = "needs xmlsec1 and Python packages: cargo xtask test"]
fn p256() {
    exported(Kind::P256);
}

fn exported(kind: Kind) {
    let stand = Stand::start(kind, Block::new(), &[]);
    let url = stand.consumer_url();
    let mut call = SoapCall::new(CONSUMER, PROVIDER, "echo");
    call.version = "v1".to_owned();
    let answer = call.send(&url).expect("an answer");
    assert!(call.is_answered_by(&answer), "{}", answer.text());

    let id = testkit::soap::fresh_id();
    let path = format!("{url}r1/{PROVIDER}/echorest/a?b=c");
    let headers = [
        ("X-Road-Client", CONSUMER),
        ("X-Road-Id", id.as_str()),
        ("Content-Type", "text/plain"),
    ];
    let answer = Request {
        url: &path,
        method: "POST",
        headers: &headers,
        body: b"a body",
    }
    .send()
    .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());

    for server in [CONSUMER_SERVER, PROVIDER_SERVER] {
        for query in [&call.id, &id] {
            let containers = export(&stand, server, query);
            assert_eq!(
                containers.len(),
                2,
                "{server}: a request and its response: {containers:?}"
            );
            run(script("verify_container.py")
                .arg(stand.country.path("/ca/cert"))
                .arg(stand.country.path("/tsa/cert"))
                .args(&containers));
        }
    }
}

/// Exports the messages of a query from a server's log; gives the containers, unpacked.
fn export(stand: &Stand, server: &str, query: &str) -> Vec<PathBuf> {
    let folder = stand
        .country
        .state()
        .join(format!("export-{}-{query}", server.replace('/', "-")));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("evidence.zip");
    run(Command::new(binary())
        .args(["evidence", "export", "--config"])
        .arg(stand.country.configuration(server))
        .args(["--query-id", query, "--client", CONSUMER, "--output"])
        .arg(&file));
    let verified = run(Command::new(binary())
        .args(["evidence", "verify"])
        .arg(&file)
        .arg("--anchor")
        .arg(stand.country.path("/anchor")));
    println!("{verified}");
    run(Command::new("unzip")
        .arg("-q")
        .arg(&file)
        .arg("-d")
        .arg(&folder));
    let mut found = Vec::new();
    below(&folder, &mut found);
    found.sort();
    found
}

fn below(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "asice")
        {
            found.push(path);
        }
    }
}
