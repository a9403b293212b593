//! Plain HTTP: both sides, limits, streams and broken connections.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{example, start_http, text};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use transport::{
    Body, BodyError, ClientError, HttpClient, Phase, PoolLimits, Request, RequestOptions, Response,
    ServeLimits,
};

fn client() -> HttpClient {
    HttpClient::new(PoolLimits::default()).unwrap()
}

fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::empty()).unwrap()
}

fn post(url: &str, body: Body) -> Request<Body> {
    Request::post(url).body(body).unwrap()
}

#[tokio::test]
async fn full_bodies_go_both_ways_over_one_kept_connection() {
    let server = start_http(example, ServeLimits::default()).await;
    let client = client();
    let options = RequestOptions::default();
    let mut ports = Vec::new();
    for length in [0_usize, 1, 1024, 100_000, 3_000_000] {
        let sent = Bytes::from(vec![b'x'; length]);
        let response = client
            .request(
                post(&server.url("/echo"), Body::full(sent.clone())),
                &options,
            )
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect(4_000_000).await.unwrap(), sent);
        let who = client
            .request(get(&server.url("/who")), &options)
            .await
            .unwrap();
        ports.push(text(who).await);
    }
    assert!(ports.windows(2).all(|pair| pair[0] == pair[1]), "{ports:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_small_answer_is_one_write() {
    let server = start_http(example, ServeLimits::default()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket
        .write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
        .await
        .unwrap();
    let mut buffer = vec![0; 4096];
    let length = socket.read(&mut buffer).await.unwrap();
    assert!(buffer[..length].ends_with(b"\r\n\r\nhello"));
}

#[tokio::test]
async fn close_after_response_closes() {
    let server = start_http(example, ServeLimits::default()).await;
    let client = client();
    let options = RequestOptions::default();
    let first = client
        .request(get(&server.url("/close")), &options)
        .await
        .unwrap();
    assert_eq!(first.headers()["connection"], "close");
    let first = text(first).await;
    let second = text(
        client
            .request(get(&server.url("/close")), &options)
            .await
            .unwrap(),
    )
    .await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn streams_pass_with_back_pressure() {
    let server = start_http(example, ServeLimits::default()).await;
    let (mut sender, body) = Body::channel(2);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let producer = tokio::spawn(async move {
        for _ in 0..1000 {
            sender.send(vec![7; 64 * 1024]).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
        sender.finish();
    });
    let client = client();
    let mut response = client
        .request(post(&server.url("/echo"), body), &RequestOptions::default())
        .await
        .unwrap()
        .into_body();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nobody reads the answer: the sender must have stopped at what buffers and sockets hold.
    assert!(sent.load(Ordering::SeqCst) < 400, "{sent:?}");
    let mut length = 0;
    while let Some(piece) = response.next().await {
        length += piece.unwrap().len();
    }
    assert_eq!(length, 1000 * 64 * 1024);
    producer.await.unwrap();
}

#[tokio::test]
async fn an_aborted_request_is_seen_as_broken_by_the_server() {
    let (seen, mut sees) = tokio::sync::mpsc::channel(1);
    let server = start_http(
        move |request: Request<Body>, _| {
            let seen = seen.clone();
            async move {
                let result = request.into_body().collect(1 << 20).await;
                let _ = seen.send(result).await;
                Response::new(Body::empty())
            }
        },
        ServeLimits::default(),
    )
    .await;
    for explicit in [true, false] {
        let (mut sender, body) = Body::channel(1);
        let producer = tokio::spawn(async move {
            sender.send("begun").await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            if explicit {
                sender.abort();
            }
        });
        let error = client()
            .request(post(&server.url("/"), body), &RequestOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Aborted { .. }), "{error:?}");
        producer.await.unwrap();
        assert_eq!(sees.recv().await.unwrap(), Err(BodyError::Incomplete));
    }
}

#[tokio::test]
async fn an_aborted_response_is_seen_as_broken_by_the_client() {
    let server = start_http(
        |_, _| async {
            let (mut sender, body) = Body::channel(1);
            tokio::spawn(async move {
                sender.send("begun").await.unwrap();
                sender.abort();
            });
            Response::new(body)
        },
        ServeLimits::default(),
    )
    .await;
    let response = client()
        .request(get(&server.url("/")), &RequestOptions::default())
        .await
        .unwrap();
    let error = response.into_body().collect(100).await.unwrap_err();
    assert_eq!(error, BodyError::Incomplete);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_by_the_sender() {
    let (gone, mut is_gone) = tokio::sync::mpsc::channel(1);
    let server = start_http(
        move |_, _| {
            let gone = gone.clone();
            async move {
                let (mut sender, body) = Body::channel(1);
                tokio::spawn(async move {
                    while sender.send(vec![1; 1000]).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    let _ = gone.send(()).await;
                });
                Response::new(body)
            }
        },
        ServeLimits::default(),
    )
    .await;
    let mut response = client()
        .request(get(&server.url("/")), &RequestOptions::default())
        .await
        .unwrap()
        .into_body();
    response.next().await.unwrap().unwrap();
    drop(response);
    tokio::time::timeout(Duration::from_secs(5), is_gone.recv())
        .await
        .unwrap();
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_count_and_time() {
    let limits = ServeLimits {
        head_timeout: Duration::from_millis(800),
        ..ServeLimits::default()
    };
    let server = start_http(example, limits).await;
    for (name, head) in [
        ("bytes", format!("x: {}\r\n", "y".repeat(100 * 1024))),
        ("count", "x: y\r\n".repeat(101)),
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n");
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = vec![0; 100];
        let length = socket.read(&mut answer).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{name}: {answer}");
    }
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
    let started = Instant::now();
    assert!(matches!(socket.read(&mut [0; 10]).await, Ok(0) | Err(_)));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn idle_connections_and_silent_bodies_are_ended() {
    let limits = ServeLimits {
        idle_timeout: Duration::from_millis(500),
        body_timeout: Duration::from_millis(500),
        ..ServeLimits::default()
    };
    let server = start_http(example, limits).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent
        .write_all(b"POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123")
        .await
        .unwrap();
    for socket in [&mut idle, &mut silent] {
        let mut all = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut all))
            .await
            .unwrap()
            .ok();
    }
}

#[tokio::test]
async fn beyond_the_limit_an_idle_connection_gives_way_and_none_that_is_busy() {
    for (busy, preferred) in [(false, false), (true, false), (true, true)] {
        let limits = ServeLimits {
            max_connections: 10,
            preference: Some(Arc::new(move |_| preferred)),
            ..ServeLimits::default()
        };
        let server = start_http(example, limits).await;
        let mut held = Vec::new();
        for _ in 0..10 {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            socket
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            assert_ne!(socket.read(&mut [0; 1000]).await.unwrap(), 0);
            if busy {
                socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            }
            held.push(socket);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut one_more = TcpStream::connect(server.address).await.unwrap();
        let _ = one_more
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await;
        let read = one_more.read(&mut [0; 1000]).await.unwrap_or(0);
        assert_eq!(read > 0, !busy || preferred);
        // The one that gave way ended without an answer to anything, and it alone.
        let mut ended = 0;
        for socket in &mut held {
            let mut bytes = [0; 9];
            let read = tokio::time::timeout(Duration::from_millis(20), socket.read(&mut bytes));
            ended += usize::from(matches!(read.await, Ok(Ok(0))));
        }
        assert_eq!(ended, usize::from(!busy));
    }
}

#[tokio::test]
async fn shutdown_lets_requests_end_and_closes_idle_connections() {
    let server = start_http(
        |_, _| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Response::new(Body::full("late"))
        },
        ServeLimits::default(),
    )
    .await;
    let client = client();
    let options = RequestOptions::default();
    text(
        client
            .request(get(&server.url("/")), &options)
            .await
            .unwrap(),
    )
    .await;
    let url = server.url("/");
    let under_way = tokio::spawn({
        let client = client.clone();
        async move {
            text(
                client
                    .request(get(&url), &RequestOptions::default())
                    .await
                    .unwrap(),
            )
            .await
        }
    });
    let idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(under_way.await.unwrap(), "late");
    drop(idle);
}

#[tokio::test]
async fn shutdown_has_a_deadline() {
    let limits = ServeLimits {
        shutdown_deadline: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let server = start_http(|_, _| std::future::pending(), limits).await;
    let url = server.url("/");
    let under_way = tokio::spawn(async move {
        client()
            .request(get(&url), &RequestOptions::default())
            .await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(3));
    let error = under_way.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Io { .. }), "{error:?}");
    assert!(!error.is_before_send());
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 1000];
            let _ = socket.read(&mut buffer).await;
            let _ = socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            // Closes although it promised to keep.
        }
    });
    let client = client();
    for round in 1..=5 {
        let response = client
            .request(
                get(&format!("http://{address}/")),
                &RequestOptions::default(),
            )
            .await
            .unwrap();
        assert_eq!(text(response).await, "ok");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(accepted.load(Ordering::SeqCst), round);
    }
}

#[tokio::test]
async fn nothing_is_repeated_once_bytes_were_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1000];
            let _ = socket.read(&mut buffer).await;
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                let _ = socket
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await;
                let _ = socket.read(&mut buffer).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let client = client();
    let url = format!("http://{address}/");
    let options = RequestOptions::default();
    text(client.request(get(&url), &options).await.unwrap()).await;
    let error = client.request(get(&url), &options).await.unwrap_err();
    assert!(matches!(error, ClientError::Io { .. }), "{error:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn time_limits_of_the_client() {
    let server = start_http(
        |request: Request<Body>, _| async move {
            if request.uri().path() == "/body" {
                let (mut sender, body) = Body::channel(1);
                tokio::spawn(async move {
                    sender.send("begun").await.unwrap();
                    sender.closed().await;
                });
                return Response::new(body);
            }
            std::future::pending().await
        },
        ServeLimits::default(),
    )
    .await;
    let options = RequestOptions {
        read_timeout: Some(Duration::from_millis(200)),
        ..RequestOptions::default()
    };
    let error = client()
        .request(get(&server.url("/")), &options)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Timeout { phase: Phase::Response, address } if *address == server.address.to_string()),
        "{error:?}"
    );
    let response = client()
        .request(get(&server.url("/body")), &options)
        .await
        .unwrap();
    assert_eq!(
        response.into_body().collect(100).await.unwrap_err(),
        BodyError::Timeout
    );
    let options = RequestOptions {
        read_timeout: None,
        ..RequestOptions::default()
    }
    .with_total(Duration::from_millis(200));
    let error = client()
        .request(get(&server.url("/")), &options)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Timeout {
                phase: Phase::Total,
                ..
            }
        ),
        "{error:?}"
    );
    let response = client()
        .request(get(&server.url("/body")), &options)
        .await
        .unwrap();
    assert_eq!(
        response.into_body().collect(100).await.unwrap_err(),
        BodyError::Timeout
    );
}

#[tokio::test]
async fn failures_say_what_failed() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let options = RequestOptions::default();
    let error = client()
        .request(get(&format!("http://{closed}/")), &options)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.is_before_send());
    let error = client()
        .request(get("/relative"), &options)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Request { .. }), "{error:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 1000]).await;
        let _ = socket.write_all(b"220 this is not HTTP\r\n").await;
        let _ = socket.read(&mut [0; 1000]).await;
    });
    let error = client()
        .request(get(&format!("http://{address}/")), &options)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn bodies_are_bounded_by_their_reader() {
    let server = start_http(example, ServeLimits::default()).await;
    let options = RequestOptions::default();
    let response = client()
        .request(
            post(&server.url("/echo"), Body::full(vec![1; 1001])),
            &options,
        )
        .await
        .unwrap();
    assert_eq!(response.into_body().length(), Some(1001));
    let (mut sender, body) = Body::channel(1);
    tokio::spawn(async move {
        for _ in 0..100 {
            if sender.send(vec![1; 100]).await.is_err() {
                return;
            }
        }
        sender.finish();
    });
    let response = client()
        .request(post(&server.url("/echo"), body), &options)
        .await
        .unwrap();
    assert_eq!(
        response.into_body().collect(1000).await.unwrap_err(),
        BodyError::TooLarge { limit: 1000 }
    );
}

#[tokio::test]
async fn a_length_known_beforehand_is_kept_or_broken() {
    let server = start_http(example, ServeLimits::default()).await;
    let options = RequestOptions::default();
    let (mut sender, body) = Body::channel_with_length(1, 6);
    tokio::spawn(async move {
        sender.send("abc").await.unwrap();
        sender.send("def").await.unwrap();
        sender.finish();
    });
    let response = client()
        .request(post(&server.url("/echo"), body), &options)
        .await
        .unwrap();
    assert_eq!(response.headers()["content-length"], "6");
    assert_eq!(text(response).await, "abcdef");
    let (mut sender, body) = Body::channel_with_length(1, 6);
    tokio::spawn(async move {
        sender.send("abc").await.unwrap();
        sender.finish();
    });
    let outcome = client()
        .request(post(&server.url("/count"), body), &options)
        .await;
    assert!(outcome.is_err());
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_not_lost() {
    let server = start_http(example, ServeLimits::default()).await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = b"POST /close HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let piece = vec![b'x'; 1 << 20];
        // More than the buffers on the way hold: the client reads only when it has written.
        for _ in 0..16 {
            stream.write_all(&piece).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_still_leaving_is_not_too_slow() {
    let server = start_http(
        |mut request: Request<Body>, _| async move {
            let mut length = 0;
            while let Some(piece) = request.body_mut().next().await {
                length += piece.unwrap().len();
            }
            Response::new(Body::full(length.to_string()))
        },
        ServeLimits::default(),
    )
    .await;
    let (mut sender, body) = Body::channel(1);
    tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sender.send("piece").await.unwrap();
        }
        sender.finish();
    });
    let options = RequestOptions {
        read_timeout: Some(Duration::from_millis(400)),
        ..RequestOptions::default()
    };
    let response = client()
        .request(post(&server.url("/"), body), &options)
        .await
        .unwrap();
    assert_eq!(text(response).await, "50");
}
