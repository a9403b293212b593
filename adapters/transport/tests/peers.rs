//! The message port and HTTPS: our client, our server, and OpenSSL's programs at either end.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Pair, Running, example, start, text};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use transport::{
    Body, ClientCertificates, ClientError, ClientTls, HttpClient, PeerCertificate, PeerClient,
    PeerClientSettings, PeerError, PeerTls, PoolLimits, Request, RequestOptions, Response,
    ServeLimits, ServerTls, ServerVerification, Target, TlsIdentity, TlsSetupError,
};

async fn peer_server(pair: &Pair) -> Running {
    let tls = PeerTls::new(&pair.identity()).unwrap();
    start(|listener, stopped| {
        transport::serve_peers(
            listener,
            tls,
            |request: Request<Body>, connection: std::sync::Arc<transport::Connection>| async move {
                if request.uri().path() == "/certificate" {
                    let der = connection.peer_certificate().unwrap().der().to_vec();
                    let mut response = Response::new(Body::full(der));
                    let tls = connection.tls().unwrap();
                    let suite = format!("{} {} {}", tls.version, tls.cipher, tls.resumed);
                    response
                        .headers_mut()
                        .insert("suite", suite.parse().unwrap());
                    return response;
                }
                example(request, connection).await
            },
            ServeLimits::default(),
            async move {
                let _ = stopped.await;
            },
        )
    })
    .await
}

fn target(address: SocketAddr) -> Target {
    Target::new(&address.ip().to_string(), address.port())
}

fn message(path: &str, body: Body) -> Request<Body> {
    Request::post(path).body(body).unwrap()
}

async fn any(certificate: PeerCertificate) -> Result<Vec<u8>, &'static str> {
    Ok(certificate.der().to_vec())
}

fn client(pair: &Pair) -> PeerClient {
    PeerClient::new(&pair.identity(), PeerClientSettings::default()).unwrap()
}

#[tokio::test]
async fn our_servers_speak_tls_1_3_and_exchange_certificates() {
    for (a, b) in [
        (Pair::rsa("a"), Pair::rsa("b")),
        (Pair::ec("a"), Pair::ec("b")),
    ] {
        let server = peer_server(&b).await;
        let client = client(&a);
        let targets = [target(server.address)];
        for round in 0..3 {
            let (response, verdict, info) = client
                .request(&targets, message("/certificate", Body::full("x")), any)
                .await
                .unwrap();
            assert_eq!(verdict, b.der());
            assert_eq!(info.reused, round > 0);
            assert_eq!(info.tls.unwrap().version, "TLSv1.3");
            assert_eq!(response.into_body().collect(10_000).await.unwrap(), a.der());
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn the_check_is_made_for_every_message_also_on_kept_connections() {
    let (a, b) = (Pair::ec("a"), Pair::ec("b"));
    let server = peer_server(&b).await;
    let client = client(&a);
    let targets = [target(server.address)];
    let first = client
        .request(&targets, message("/who", Body::empty()), any)
        .await
        .unwrap();
    let first = text(first.0).await;
    let refused = client
        .request(&targets, message("/who", Body::empty()), async |_| {
            Err::<(), _>("no longer registered")
        })
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            PeerError::Refused {
                refusal: "no longer registered",
                ..
            }
        ),
        "{refused:?}"
    );
    // The refused connection is gone.
    let second = client
        .request(&targets, message("/who", Body::empty()), any)
        .await
        .unwrap();
    assert!(!second.2.reused);
    assert_ne!(text(second.0).await, first);
}

#[tokio::test]
async fn request_futures_can_be_spawned() {
    let (a, b) = (Pair::ec("a"), Pair::ec("b"));
    let server = peer_server(&b).await;
    let client = client(&a);
    let address = server.address;
    let answer = tokio::spawn(async move {
        let targets = [target(address), Target::new("127.0.0.1", 1)];
        let (response, _, _) = client
            .request(
                &targets,
                message("/echo", Body::full("spawned")),
                |certificate: PeerCertificate| async move {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(certificate.memo(|der| der.len()))
                },
            )
            .await
            .unwrap();
        text(response).await
    });
    assert_eq!(answer.await.unwrap(), "spawned");
}

#[tokio::test]
async fn of_several_addresses_the_first_with_a_good_certificate_wins_and_is_kept() {
    let (a, good, bad) = (Pair::ec("a"), Pair::ec("good"), Pair::ec("bad"));
    let good_server = peer_server(&good).await;
    let bad_server = peer_server(&bad).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let targets = [
        target(silent.local_addr().unwrap()),
        target(closed),
        target(bad_server.address),
        target(good_server.address),
    ];
    let expected = good.der();
    let check = |certificate: PeerCertificate| {
        let fine = certificate.der() == expected;
        async move { if fine { Ok(()) } else { Err("another server") } }
    };
    let client = client(&a);
    let started = Instant::now();
    for round in 0..3 {
        let (response, (), info) = client
            .request(&targets, message("/echo", Body::full("x")), check)
            .await
            .unwrap();
        assert_eq!(*info.address, *good_server.address.to_string());
        assert_eq!(info.reused, round > 0);
        text(response).await;
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    good_server.stop().await;
    let error = client
        .request(&targets[1..], message("/echo", Body::full("x")), check)
        .await
        .unwrap_err();
    assert!(matches!(error, PeerError::Refused { .. }), "{error:?}");
    let error = client
        .request(&[target(closed)], message("/echo", Body::full("x")), check)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PeerError::Client(ClientError::Connect { .. })),
        "{error:?}"
    );
    let error = client
        .request(&[], message("/echo", Body::full("x")), check)
        .await
        .unwrap_err();
    assert!(matches!(error, PeerError::NoTarget), "{error:?}");
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let (a, b) = (Pair::ec("a"), Pair::ec("b"));
    let server = peer_server(&b).await;
    let address = server.address;
    let client = client(&a);
    let targets = [target(address)];
    let (response, _, _) = client
        .request(&targets, message("/echo", Body::full("1")), any)
        .await
        .unwrap();
    text(response).await;
    server.stop().await;
    let listener = TcpListener::bind(address).await.unwrap();
    let tls = PeerTls::new(&b.identity()).unwrap();
    tokio::spawn(transport::serve_peers(
        listener,
        tls,
        example,
        ServeLimits::default(),
        std::future::pending(),
    ));
    let (response, _, info) = client
        .request(&targets, message("/echo", Body::full("2")), any)
        .await
        .unwrap();
    assert!(!info.reused);
    assert_eq!(text(response).await, "2");
}

#[tokio::test]
async fn large_streams_pass_over_mutual_tls() {
    let (a, b) = (Pair::ec("a"), Pair::ec("b"));
    let server = peer_server(&b).await;
    let (mut sender, body) = Body::channel(4);
    tokio::spawn(async move {
        for piece in 0..320_u32 {
            sender.send(vec![piece as u8; 100_000]).await.unwrap();
        }
        sender.finish();
    });
    let (response, _, _) = client(&a)
        .request(&[target(server.address)], message("/echo", body), any)
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(piece) = body.next().await {
        for byte in piece.unwrap() {
            assert_eq!(byte, (length / 100_000) as u8);
            length += 1;
        }
    }
    assert_eq!(length, 32_000_000);
}

/// False where the program `openssl` is absent; under `CI=true` that is a failure.
fn openssl_is_here() -> bool {
    let here = std::process::Command::new("openssl")
        .arg("version")
        .output()
        .is_ok();
    if !here {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "install openssl"
        );
        println!("not run: the program openssl is not installed");
    }
    here
}

fn openssl() -> Command {
    let mut command = Command::new("openssl");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs `openssl s_client` with a request on its standard input; what it prints, both streams.
async fn s_client(address: SocketAddr, arguments: &[&str]) -> String {
    let mut child = openssl()
        .args(["s_client", "-connect", &address.to_string(), "-ign_eof"])
        .args(arguments)
        .spawn()
        .expect("the test needs the program openssl");
    let mut input = child.stdin.take().unwrap();
    let _ = input
        .write_all(b"POST /close HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await;
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    drop(input);
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn the_message_port_takes_what_x_road_offers_and_tls_1_3() {
    if !openssl_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let rsa = Pair::rsa("server");
    let rsa_server = peer_server(&rsa).await;
    let ec = Pair::ec("server");
    let ec_server = peer_server(&ec).await;
    let own = Pair::rsa("client").write_pem(directory.path(), "client.pem");
    let own = own.to_str().unwrap();
    let x_road = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384";
    for (address, arguments, suite) in [
        (
            rsa_server.address,
            vec!["-tls1_2", "-cipher", "DHE-RSA-AES256-SHA256"],
            "DHE-RSA-AES256-SHA256",
        ),
        (
            rsa_server.address,
            vec!["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"],
            "ECDHE-RSA-AES256-SHA384",
        ),
        (
            rsa_server.address,
            vec!["-tls1_2", "-cipher", x_road],
            "ECDHE-RSA-AES256-SHA384",
        ),
        (
            rsa_server.address,
            vec!["-tls1_2", "-cipher", "ECDHE+AESGCM"],
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
        (
            ec_server.address,
            vec!["-tls1_2", "-cipher", x_road],
            "ECDHE-ECDSA-AES256-SHA384",
        ),
        (
            rsa_server.address,
            vec!["-tls1_3"],
            "TLS_AES_256_GCM_SHA384",
        ),
        (ec_server.address, vec!["-tls1_3"], "TLS_AES_256_GCM_SHA384"),
    ] {
        let output = s_client(
            address,
            &[&arguments[..], &["-cert", own, "-key", own]].concat(),
        )
        .await;
        assert!(
            output.contains(&format!("Cipher is {suite}")),
            "{suite}: {output}"
        );
        assert!(output.contains("HTTP/1.1 200 OK"), "{suite}: {output}");
        let without = s_client(address, &arguments).await;
        assert!(!without.contains("HTTP/1.1 200 OK"), "{suite}: {without}");
        assert!(without.contains("alert"), "{suite}: {without}");
    }
    for arguments in [["-tls1_1"], ["-tls1"]] {
        let output = s_client(
            rsa_server.address,
            &[
                &arguments[..],
                &["-cert", own, "-key", own, "-cipher", "ALL:@SECLEVEL=0"],
            ]
            .concat(),
        )
        .await;
        assert!(!output.contains("HTTP/1.1 200 OK"), "{output}");
    }
}

#[tokio::test]
async fn the_message_port_resumes_sessions() {
    if !openssl_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = peer_server(&Pair::rsa("server")).await;
    let own = Pair::rsa("client").write_pem(directory.path(), "client.pem");
    let own = own.to_str().unwrap();
    for (version, tickets) in [("-tls1_2", true), ("-tls1_2", false), ("-tls1_3", true)] {
        let session = directory.path().join("session.pem");
        let session = session.to_str().unwrap();
        let mut arguments = vec![version, "-cert", own, "-key", own];
        if !tickets {
            arguments.push("-no_ticket");
        }
        let output = s_client(
            server.address,
            &[&arguments[..], &["-sess_out", session]].concat(),
        )
        .await;
        assert!(output.contains("HTTP/1.1 200 OK"), "{output}");
        let output = s_client(
            server.address,
            &[&arguments[..], &["-sess_in", session]].concat(),
        )
        .await;
        assert!(output.contains("HTTP/1.1 200 OK"), "{output}");
        assert!(output.contains("Reused, TLSv1."), "{version}: {output}");
    }
}

/// `openssl s_server` as an X-Road 7 server: TLS 1.2, three CBC suites, a client certificate required,
/// one answer and a close per connection.
async fn s_server(pem: &str, suites: &str) -> (Child, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut child = openssl()
        .args([
            "s_server",
            "-accept",
            &address.to_string(),
            "-cert",
            pem,
            "-key",
            pem,
        ])
        .args([
            "-tls1_2",
            "-cipher",
            suites,
            "-Verify",
            "1",
            "-verify_quiet",
            "-www",
        ])
        .spawn()
        .expect("the test needs the program openssl");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("ACCEPT") {
            break;
        }
    }
    // Keeps the pipe open and empty.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

#[tokio::test]
async fn our_client_reaches_a_server_with_x_roads_suites_only() {
    if !openssl_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let rsa = Pair::rsa("server");
    let ec = Pair::ec("server");
    let rsa_pem = rsa.write_pem(directory.path(), "rsa.pem");
    let ec_pem = ec.write_pem(directory.path(), "ec.pem");
    let client = client(&Pair::rsa("client"));
    for (pem, certificate, suite) in [
        (&rsa_pem, rsa.der(), "ECDHE-RSA-AES256-SHA384"),
        (&rsa_pem, rsa.der(), "DHE-RSA-AES256-SHA256"),
        (&ec_pem, ec.der(), "ECDHE-ECDSA-AES256-SHA384"),
    ] {
        let (mut child, address) = s_server(pem.to_str().unwrap(), suite).await;
        for _ in 0..2 {
            let (response, verdict, info) = client
                .request(
                    &[target(address)],
                    Request::get("/").body(Body::empty()).unwrap(),
                    any,
                )
                .await
                .unwrap();
            assert_eq!(verdict, certificate);
            assert_eq!(info.tls.unwrap().version, "TLSv1.2");
            assert_eq!(info.tls.unwrap().cipher, suite);
            let page = text(response).await;
            assert!(page.contains(suite), "{page}");
        }
        child.kill().await.unwrap();
    }
    let (_child, address) =
        s_server(rsa_pem.to_str().unwrap(), "ECDHE-RSA-AES256-GCM-SHA384").await;
    let error = client
        .request(&[target(address)], message("/", Body::empty()), any)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PeerError::Client(ClientError::Tls { .. })),
        "{error:?}"
    );
}

async fn https_server(pair: &Pair, clients: ClientCertificates) -> Running {
    let tls = ServerTls::new(&pair.identity(), clients).unwrap();
    start(|listener, stopped| {
        transport::serve_https(
            listener,
            tls,
            |_, connection: std::sync::Arc<transport::Connection>| async move {
                let der = connection
                    .peer_certificate()
                    .map(|certificate| certificate.der().to_vec());
                Response::new(Body::full(der.unwrap_or_default()))
            },
            ServeLimits::default(),
            async move {
                let _ = stopped.await;
            },
        )
    })
    .await
}

#[tokio::test]
async fn https_with_optional_client_certificates_and_each_verification() {
    let (server_pair, own, other) = (
        Pair::rsa("localhost"),
        Pair::ec("client"),
        Pair::ec("other"),
    );
    let server = https_server(&server_pair, ClientCertificates::Optional).await;
    let client = HttpClient::new(PoolLimits::default()).unwrap();
    let by_name = format!("https://localhost:{}/", server.address.port());
    let by_address = format!("https://{}/", server.address);
    let identity = own.identity();
    let pinned = |pair: &Pair| ServerVerification::Pinned(vec![pair.der()]);
    let authority = |pair: &Pair| ServerVerification::Authorities(vec![pair.der()]);
    for (url, verification, identity, fine) in [
        (&by_address, ServerVerification::Off, None, true),
        (&by_address, ServerVerification::Off, Some(&identity), true),
        (&by_address, pinned(&server_pair), Some(&identity), true),
        (&by_address, pinned(&other), None, false),
        (&by_name, authority(&server_pair), None, true),
        (&by_address, authority(&server_pair), None, true),
        (&by_name, authority(&other), None, false),
    ] {
        let options =
            RequestOptions::default().with_tls(ClientTls::new(&verification, identity).unwrap());
        for _ in 0..2 {
            let result = client
                .request(
                    Request::get(url.as_str()).body(Body::empty()).unwrap(),
                    &options,
                )
                .await;
            match result {
                Ok(response) => {
                    assert!(fine, "{verification:?}");
                    let seen = response.into_body().collect(10_000).await.unwrap();
                    let expected = identity.map(|_| own.der()).unwrap_or_default();
                    assert_eq!(seen, expected);
                }
                Err(error) => {
                    assert!(!fine, "{verification:?}: {error}");
                    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
                }
            }
        }
    }
    let wrong_name = Pair::ec("elsewhere");
    let options =
        RequestOptions::default().with_tls(ClientTls::new(&authority(&wrong_name), None).unwrap());
    let elsewhere = https_server(&wrong_name, ClientCertificates::NotRequested).await;
    let url = format!("https://127.0.0.2:{}/", elsewhere.address.port());
    let error = client
        .request(Request::get(url).body(Body::empty()).unwrap(), &options)
        .await
        .unwrap_err();
    // 127.0.0.2 is not served there: connect fails, or the name is refused.
    assert!(error.is_before_send(), "{error:?}");
}

#[tokio::test]
async fn clients_that_do_not_speak_tls_do_no_harm() {
    let server = peer_server(&Pair::ec("server")).await;
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    socket
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(!answer.starts_with(b"HTTP"));
    let (response, _, _) = client(&Pair::ec("client"))
        .request(
            &[target(server.address)],
            message("/echo", Body::full("x")),
            any,
        )
        .await
        .unwrap();
    assert_eq!(text(response).await, "x");
}

#[tokio::test]
async fn identities_are_checked_and_replaced() {
    let (a, b) = (Pair::ec("a"), Pair::ec("b"));
    let wrong = TlsIdentity::new(&[a.der()], &b.key.private_key_to_pkcs8().unwrap());
    assert!(matches!(wrong, Err(TlsSetupError::Mismatch)));
    let none: [Vec<u8>; 0] = [];
    let wrong = TlsIdentity::new(&none, &b.key.private_key_to_pkcs8().unwrap());
    assert!(matches!(wrong, Err(TlsSetupError::NoCertificate)));
    assert!(matches!(
        TlsIdentity::new(&[a.der()], b"x"),
        Err(TlsSetupError::Key)
    ));
    assert!(matches!(
        TlsIdentity::new(&[b"x"], &a.key.private_key_to_pkcs8().unwrap()),
        Err(TlsSetupError::Certificate { position: 1 })
    ));
    let pem = a.certificate.to_pem().unwrap();
    let identity = TlsIdentity::from_pem(&pem, &a.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    assert_eq!(format!("{identity:?}"), "TlsIdentity(1 certificates)");
    let server = peer_server(&b).await;
    let client = PeerClient::new(&identity, PeerClientSettings::default()).unwrap();
    for pair in [&a, &b] {
        client.replace_identity(&pair.identity()).unwrap();
        let (response, _, _) = client
            .request(
                &[target(server.address)],
                message("/certificate", Body::empty()),
                any,
            )
            .await
            .unwrap();
        assert_eq!(
            response.into_body().collect(10_000).await.unwrap(),
            pair.der()
        );
    }
}
