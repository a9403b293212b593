//! The trust services as a stranger sees them: over HTTP, judged by us and by `openssl`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use http::{Method, StatusCode};
use pki::ocsp::{self, Freshness, OcspError};
use pki::tsp;
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, Signer as _, SoftwareKey, csr,
    validate_path,
};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trust_server::{
    NewTrustStore, Profile, Responder, RevocationReason, Status, TrustError, TrustServerSettings,
    TrustStore, run,
};

fn subject(common_name: &str) -> Name {
    Name::builder()
        .push(AttributeType::Country, "KG")
        .push(AttributeType::Organization, "GOV")
        .push(AttributeType::CommonName, common_name)
        .build()
        .unwrap()
}

fn create(folder: &Path, key_type: KeyType) -> TrustStore {
    let new = NewTrustStore::for_instance("KG", key_type).unwrap();
    TrustStore::create(&folder.join("trust"), &new).unwrap()
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(KeyType::EcP256).unwrap()
}

#[test]
fn a_directory_is_made_once_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    // What an interrupted attempt left behind does not matter.
    fs::create_dir(folder.path().join("trust.new")).unwrap();
    let store = create(folder.path(), KeyType::EcP256);
    let certificate = store
        .issue_sign(subject("70000001"), key().public_key())
        .unwrap();
    let new = NewTrustStore::for_instance("KG", KeyType::EcP256).unwrap();
    assert!(matches!(
        TrustStore::create(store.path(), &new),
        Err(TrustError::Exists(_))
    ));
    let again = TrustStore::open(store.path()).unwrap();
    assert_eq!(again.ca_certificate(), store.ca_certificate());
    let entry = again.entry(&certificate).unwrap().unwrap();
    assert_eq!(entry.status, Status::Issued);
    assert_eq!(entry.certificate.as_ref(), Some(&certificate));
    assert_eq!(
        again.entries().unwrap().len(),
        3,
        "responder, TSA and one member"
    );
    #[cfg(unix)]
    for name in ["ca.key", "ocsp.key", "tsa.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(store.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // A key of somebody else is found out.
    fs::copy(store.path().join("tsa.key"), store.path().join("ca.key")).unwrap();
    assert!(matches!(
        TrustStore::open(store.path()),
        Err(TrustError::Key { .. })
    ));
}

#[test]
fn certificates_have_the_ordered_subject_and_profile() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path(), KeyType::EcP256);
    let holder = key();
    let request = csr::build_pem(&subject("somebody else"), &holder).unwrap();
    let certificate = store
        .issue_from_csr(request.as_bytes(), Profile::Signing, subject("70000001"))
        .unwrap();
    assert_eq!(certificate.subject(), &subject("70000001"));
    assert_eq!(certificate.public_key(), holder.public_key());
    assert!(certificate.allows_signing() && !certificate.is_authentication());
    let authentication = store
        .issue_auth(subject("ss1"), key().public_key())
        .unwrap();
    assert!(authentication.is_authentication() && !authentication.allows_signing());
    for certificate in [&certificate, &authentication] {
        let anchors = std::slice::from_ref(store.ca_certificate());
        validate_path(certificate, &[], anchors, OffsetDateTime::now_utc()).unwrap();
    }
    let mut damaged = csr::build(&subject("x"), &holder).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(matches!(
        store.issue_from_csr(&damaged, Profile::Signing, subject("x")),
        Err(TrustError::Request(_))
    ));
    let stranger = create(&folder.path().join("trust"), KeyType::EcP256);
    let strange = Certificate::from_pem(fs::read(stranger.path().join("ca.pem")).unwrap()).unwrap();
    assert!(matches!(
        store.revoke(&strange, RevocationReason::Unspecified),
        Err(TrustError::Authority(_) | TrustError::NotOurs)
    ));
}

#[test]
fn requests_without_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path(), KeyType::EcP256);
    let issuer = store.ca_certificate().clone();
    let certificate = store.issue_sign(subject("1"), key().public_key()).unwrap();
    let writer = TrustStore::open(store.path()).unwrap();
    let responder = Responder::new(store, "1.2.3.4.1".into(), Duration::hours(1));
    let now = OffsetDateTime::now_utc();
    let answer = |method: Method, path: &str, content_type: Option<&str>, body: &[u8]| {
        responder.answer(&method, path, content_type, body, now)
    };
    let request = ocsp::Request::for_certificate(&certificate, &issuer).encode();
    let verify = |body: &[u8]| {
        ocsp::Response::decode(body).unwrap().verify(
            &certificate,
            &issuer,
            &[],
            now,
            &Freshness::default(),
        )
    };
    let posted = answer(
        Method::POST,
        "/ocsp",
        Some("application/ocsp-request"),
        &request,
    );
    assert_eq!(posted.content_type, "application/ocsp-response");
    let good = verify(&posted.body).unwrap();
    assert_eq!(good.this_update().unix_timestamp(), now.unix_timestamp());
    let encoded = base64::engine::general_purpose::STANDARD
        .encode(&request)
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let got = answer(Method::GET, &format!("/ocsp/{encoded}"), None, b"");
    verify(&got.body).unwrap();

    // Revoked through another handle, as another process would.
    writer
        .revoke(&certificate, RevocationReason::KeyCompromise)
        .unwrap();
    let posted = answer(Method::POST, "/ocsp", None, &request);
    assert!(matches!(
        verify(&posted.body),
        Err(OcspError::Revoked { .. })
    ));

    for (path, body, status) in [
        (
            "/ocsp",
            &b"nonsense"[..],
            ocsp::ResponseStatus::MalformedRequest,
        ),
        (
            "/ocsp",
            &ocsp::Request::for_certificate(&certificate, &certificate).encode(),
            ocsp::ResponseStatus::Unauthorized,
        ),
    ] {
        let reply = answer(Method::POST, path, None, body);
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(
            ocsp::Response::decode(&reply.body).unwrap().status(),
            status
        );
    }
    let status = |method, path, content_type| answer(method, path, content_type, b"").status;
    assert_eq!(
        status(Method::POST, "/ocsp", Some("text/xml")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        status(Method::PUT, "/tsa", None),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(status(Method::GET, "/ca.key", None), StatusCode::NOT_FOUND);
    assert_eq!(status(Method::GET, "/health", None), StatusCode::OK);
}

/// One request over a connection of its own.
async fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

async fn openssl(folder: &Path, arguments: String) -> String {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .output()
            .expect("the program `openssl` is needed: install the package openssl");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "openssl {arguments}\n{text}");
        text
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_is_content_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path(), KeyType::Rsa2048);
    let path = store.path().to_owned();
    let certificate = store
        .issue_sign(subject("70000001"), key().public_key())
        .unwrap();
    fs::write(path.join("sign.pem"), certificate.to_pem()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (started, address) = tokio::sync::oneshot::channel();
    let settings = TrustServerSettings::new(path.clone(), "127.0.0.1:0".parse().unwrap());
    let server = tokio::spawn(run(
        settings,
        async {
            let _ = stopped.await;
        },
        |address| started.send(address).unwrap(),
    ));
    let address = address.await.unwrap();

    let ask =
        format!("ocsp -issuer ca.pem -cert sign.pem -CAfile ca.pem -url http://{address}/ocsp");
    let text = openssl(&path, ask.clone()).await;
    assert!(text.contains("Response verify OK"), "{text}");
    assert!(text.contains("sign.pem: good"), "{text}");
    assert!(!text.contains("WARNING"), "{text}");
    store
        .revoke(&certificate, RevocationReason::Superseded)
        .unwrap();
    let text = openssl(&path, ask).await;
    assert!(text.contains("sign.pem: revoked"), "{text}");
    assert!(text.contains("superseded"), "{text}");

    fs::write(path.join("data"), b"signature value").unwrap();
    openssl(
        &path,
        "ts -query -data data -sha512 -cert -out query.tsq".into(),
    )
    .await;
    let query = fs::read(path.join("query.tsq")).unwrap();
    let head = "POST /tsa HTTP/1.1\r\nContent-Type: application/timestamp-query";
    let (answer, body) = exchange(address, head, &query).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer
            .to_lowercase()
            .contains("content-type: application/timestamp-reply")
    );
    fs::write(path.join("response.tsr"), &body).unwrap();
    openssl(
        &path,
        "ts -verify -in response.tsr -queryfile query.tsq -CAfile ca.pem".into(),
    )
    .await;
    let imprint = DigestAlgorithm::Sha512.digest(b"signature value");
    let approved = [store.tsa_certificate().clone()];
    tsp::decode_response(&body)
        .unwrap()
        .verify(DigestAlgorithm::Sha512, &imprint, &approved)
        .unwrap();

    let (answer, body) = exchange(address, "GET /ca.pem HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        &Certificate::from_pem(body).unwrap(),
        store.ca_certificate()
    );
    let (answer, _) = exchange(address, "POST /ocsp HTTP/1.1", &vec![0; 20_000]).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
