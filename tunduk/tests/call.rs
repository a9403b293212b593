//! `tunduk call` over HTTPS with a client certificate.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pki::issue::{Profile, Template, self_signed};
use pki::{AttributeType, KeyType, Name, Signer, SoftwareKey};
use time::{Duration, OffsetDateTime};
use transport::{
    Body, ClientCertificates, Request, Response, ServeLimits, ServerTls, TlsIdentity, serve_https,
};

const QUESTION: &str = "{\"number\":\"20101199000001\"}";

/// A key and its certificate, written as PEM; gives both files and the certificate in DER.
fn identity(folder: &Path, name: &str) -> (PathBuf, PathBuf, Vec<u8>) {
    let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
    let now = OffsetDateTime::now_utc();
    let template = Template {
        subject: Name::builder()
            .push(AttributeType::CommonName, name)
            .build()
            .expect("a name"),
        public_key: key.public_key().clone(),
        serial: vec![1],
        not_before: now - Duration::hours(1),
        not_after: now + Duration::hours(1),
        profile: Profile::TlsServer {
            dns_names: Vec::new(),
            addresses: vec![std::net::IpAddr::from([127, 0, 0, 1])],
        },
        ocsp_url: None,
    };
    let certificate = self_signed(&template, &key).expect("a certificate");
    let (cert_file, key_file) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    let pkcs8 = key.to_pkcs8_der().expect("PKCS#8");
    std::fs::write(&cert_file, certificate.to_pem()).expect("written");
    std::fs::write(&key_file, pki::pem::encode(&pkcs8, "PRIVATE KEY")).expect("written");
    (cert_file, key_file, certificate.der().to_vec())
}

fn call(server: &str, more: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunduk"));
    command.args([
        "call",
        "rest",
        "--client",
        "KG/COM/1/bank",
        "--server",
        server,
    ]);
    if let [cert, key] = more {
        command.arg("--cert").arg(cert).arg("--key").arg(key);
    }
    command.args(["KG/GOV/2/register/persons", "/persons", "-X", "POST"]);
    command.args(["--data", QUESTION]);
    command.output().expect("the binary runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_presented() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server_cert, server_key, _) = identity(folder.path(), "server");
    let (cert, key, der) = identity(folder.path(), "client");
    let read = |path: &Path| std::fs::read(path).expect("readable");
    let own = TlsIdentity::from_pem(&read(&server_cert), &read(&server_key)).expect("an identity");
    let tls = ServerTls::new(&own, ClientCertificates::Optional).expect("TLS");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    // What an information system's port with `connection = "https"` does, as far as it matters here.
    let handler = move |request: Request<Body>,
                        connection: std::sync::Arc<transport::Connection>| {
        let path = "/r1/KG/GOV/2/register/persons/persons";
        assert_eq!(
            (request.method(), request.uri().path()),
            (&http::Method::POST, path)
        );
        assert_eq!(request.headers()["content-type"], "application/json");
        let is_known = connection
            .peer_certificate()
            .is_some_and(|shown| shown.der() == der);
        let mut response = Response::new(Body::empty());
        if !is_known {
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        }
        async move {
            let question = request.into_body().collect(1000).await.expect("a body");
            assert_eq!(question, QUESTION);
            *response.body_mut() = Body::full("welcome");
            response
        }
    };
    tokio::spawn(serve_https(
        listener,
        tls,
        handler,
        ServeLimits::default(),
        std::future::pending(),
    ));
    let (good, without, wrong) = tokio::task::spawn_blocking(move || {
        (
            call(&url, &[&cert, &key]),
            call(&url, &[]),
            call(&url, &[&cert, &server_key]),
        )
    })
    .await
    .expect("calls");
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(good.status.code(), Some(0), "{}", told(&good));
    assert!(String::from_utf8_lossy(&good.stdout).contains("welcome"));
    assert_eq!(without.status.code(), Some(1), "{}", told(&without));
    // A key that belongs to another certificate is a matter of usage.
    assert_eq!(wrong.status.code(), Some(64), "{}", told(&wrong));
    assert!(told(&wrong).contains("client.pem"), "{}", told(&wrong));
}
