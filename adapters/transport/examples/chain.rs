//! What the transport costs: load generator -> hop A -> mutual TLS -> hop B -> provider, four
//! processes on loopback, unsigned. Prints CPU per request, summed over all four.
//!
//! `cargo run --release -p transport --example chain -- [CONNECTIONS] [SECONDS] [BYTES] [threads]`
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};
use tokio::net::TcpListener;
use transport::{
    Body, Connection, HttpClient, PeerCertificate, PeerClient, PeerClientSettings, PeerTls,
    PoolLimits, Request, RequestOptions, Response, ServeLimits, Target, TlsIdentity,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let threads: usize = arguments.get(4).and_then(|n| n.parse().ok()).unwrap_or(1);
    match arguments.get(1).map(String::as_str) {
        Some("provider") => block_on(threads, provider(&arguments[2])),
        Some("a") => block_on(threads, hop_a(&arguments[2], &arguments[3])),
        Some("b") => block_on(threads, hop_b(&arguments[2], &arguments[3])),
        _ => run(&arguments, threads),
    }
}

fn block_on(threads: usize, future: impl Future<Output = ()>) {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

fn limits() -> ServeLimits {
    ServeLimits::default()
}

const PROVIDER: &str = "127.0.71.1:8000";
const HOP_B: &str = "127.0.71.2:5500";
const HOP_A: &str = "127.0.71.3:8080";

async fn provider(_: &str) {
    let listener = TcpListener::bind(PROVIDER).await.unwrap();
    let handler = |request: Request<Body>, _: Arc<Connection>| async move {
        let body = request.into_body();
        if body.length().is_some_and(|length| length <= 1 << 20) {
            let bytes = body.collect(1 << 20).await.unwrap();
            return Response::new(Body::full(bytes));
        }
        let mut body = body;
        while let Some(piece) = body.next().await {
            piece.unwrap();
        }
        Response::new(Body::full("done"))
    };
    transport::serve_http(listener, handler, limits(), std::future::pending()).await;
}

fn identity(directory: &str) -> TlsIdentity {
    let read = |name: &str| std::fs::read(format!("{directory}/{name}")).unwrap();
    TlsIdentity::from_pem(&read("certificate.pem"), &read("key.pem")).unwrap()
}

fn small(body: &Body) -> bool {
    body.length().is_some_and(|length| length <= 1 << 20)
}

async fn hop_b(directory: &str, _: &str) {
    let listener = TcpListener::bind(HOP_B).await.unwrap();
    let client = HttpClient::new(PoolLimits::default()).unwrap();
    let options = RequestOptions::default();
    let tls = PeerTls::new(&identity(directory)).unwrap();
    let handler = move |request: Request<Body>, _: Arc<Connection>| {
        let client = client.clone();
        let options = options.clone();
        async move {
            let body = request.into_body();
            let body = if small(&body) {
                Body::full(body.collect(1 << 20).await.unwrap())
            } else {
                body
            };
            let request = Request::post(format!("http://{PROVIDER}/"))
                .body(body)
                .unwrap();
            let response = client.request(request, &options).await.unwrap();
            Response::new(Body::full(
                response.into_body().collect(1 << 20).await.unwrap(),
            ))
        }
    };
    transport::serve_peers(listener, tls, handler, limits(), std::future::pending()).await;
}

async fn hop_a(directory: &str, _: &str) {
    let listener = TcpListener::bind(HOP_A).await.unwrap();
    let client = PeerClient::new(&identity(directory), PeerClientSettings::default()).unwrap();
    let address: SocketAddr = HOP_B.parse().unwrap();
    let targets = [Target::new(&address.ip().to_string(), address.port())];
    let handler = move |request: Request<Body>, _: Arc<Connection>| {
        let client = client.clone();
        let targets = targets.clone();
        async move {
            let body = request.into_body();
            let body = if small(&body) {
                Body::full(body.collect(1 << 20).await.unwrap())
            } else {
                body
            };
            let request = Request::post("/").body(body).unwrap();
            let check = |_: PeerCertificate| std::future::ready(Ok::<(), ()>(()));
            let (response, (), _) = client.request(&targets, request, check).await.unwrap();
            Response::new(Body::full(
                response.into_body().collect(1 << 20).await.unwrap(),
            ))
        }
    };
    transport::serve_http(listener, handler, limits(), std::future::pending()).await;
}

fn make_identity(directory: &std::path::Path) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "chain").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    std::fs::write(
        directory.join("certificate.pem"),
        builder.build().to_pem().unwrap(),
    )
    .unwrap();
    std::fs::write(
        directory.join("key.pem"),
        key.private_key_to_pem_pkcs8().unwrap(),
    )
    .unwrap();
}

/// CPU of a process in clock ticks (1/100 s), user and system.
fn cpu(process: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    (fields[11].parse().unwrap(), fields[12].parse().unwrap())
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn run(arguments: &[String], threads: usize) {
    let number = |index: usize, default: u64| {
        arguments
            .get(index)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let connections = number(1, 32);
    let seconds = number(2, 3);
    let bytes = number(3, 1024) as usize;
    let directory = tempfile::tempdir().unwrap();
    make_identity(directory.path());
    let start = |role: &str| -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([
                role,
                directory.path().to_str().unwrap(),
                "-",
                &threads.to_string(),
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut children = [start("provider"), start("b"), start("a")];
    std::thread::sleep(Duration::from_millis(300));
    let processes: Vec<u32> = children
        .iter()
        .map(Child::id)
        .chain([std::process::id()])
        .collect();
    block_on(threads, async {
        let client = HttpClient::new(PoolLimits::default()).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let payload = Bytes::from(vec![b'x'; bytes]);
        for _ in 0..connections {
            let client = client.clone();
            let count = count.clone();
            let payload = payload.clone();
            tokio::spawn(async move {
                let options = RequestOptions::default();
                loop {
                    let body = if payload.len() <= 1 << 20 {
                        Body::full(payload.clone())
                    } else {
                        let (mut sender, body) = Body::channel(2);
                        let payload = payload.clone();
                        tokio::spawn(async move {
                            for start in (0..payload.len()).step_by(1 << 16) {
                                let end = (start + (1 << 16)).min(payload.len());
                                sender.send(payload.slice(start..end)).await.unwrap();
                            }
                            sender.finish();
                        });
                        body
                    };
                    let request = Request::post(format!("http://{HOP_A}/"))
                        .body(body)
                        .unwrap();
                    let response = client.request(request, &options).await.unwrap();
                    response.into_body().collect(1 << 20).await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before: Vec<(u64, u64)> = processes.iter().map(|id| cpu(*id)).collect();
        let first = count.load(Ordering::Relaxed);
        let started = Instant::now();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let done = count.load(Ordering::Relaxed) - first;
        let elapsed = started.elapsed().as_secs_f64();
        println!("{:.0} requests/s", done as f64 / elapsed);
        let mut all = 0.0;
        for ((role, id), before) in ["provider", "b", "a", "load"]
            .iter()
            .zip(&processes)
            .zip(before)
        {
            let after = cpu(*id);
            let each = |ticks: u64| ticks as f64 * 10_000.0 / done as f64;
            let (user, system) = (each(after.0 - before.0), each(after.1 - before.1));
            all += user + system;
            println!(
                "{role:9} user {user:6.1} system {system:6.1} us, {} KiB",
                resident_kib(*id)
            );
        }
        println!("in all {all:.1} us CPU a request");
        if bytes > 1 << 20 {
            println!("{:.2} ms CPU a MB", all / 1000.0 / (bytes as f64 / 1e6));
        }
    });
    for child in &mut children {
        child.kill().unwrap();
    }
}
