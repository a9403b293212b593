//! Services that send back what they are sent: to try an exchange, to measure
//! it and to test it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use pki::DigestAlgorithm;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use transport::{Body, BodyError};

use crate::answer::{XML, answer, header, refusal};
use crate::multipart;
use crate::record::Record;
use crate::soap::{Envelope, fault};

/// Largest SOAP envelope that is echoed. Attachments are streamed and have no limit.
const LARGEST_ENVELOPE: usize = 64 << 20;
const PIECE: usize = 64 << 10;
/// Longest body that is held in memory before it is sent back.
const HELD: usize = 1 << 20;
/// Longest wait that `/slow/…` grants.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The SOAP echo: any namespace; the operation comes back as its `…Response`
/// with the same content, headers and attachments.
pub(crate) async fn soap(request: Request<Body>) -> Response<Body> {
    if request.method() != Method::POST {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "SOAP requests are sent with POST.",
        );
    }
    let content_type = header(&request, "content-type").to_owned();
    let boundary = multipart::boundary(&content_type).map(str::to_owned);
    let echoed = match &boundary {
        None => whole(request.into_body()).await,
        Some(boundary) => with_attachments(request.into_body(), boundary).await,
    };
    match (echoed, boundary) {
        (Ok(body), Some(_)) => answer(StatusCode::OK, &content_type, body),
        (Ok(body), None) => answer(StatusCode::OK, XML, body),
        (Err(text), _) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            XML,
            fault("Client.NotSoap", &text),
        ),
    }
}

async fn whole(body: Body) -> Result<Body, String> {
    let bytes = body
        .collect(LARGEST_ENVELOPE)
        .await
        .map_err(|error| error.to_string())?;
    let envelope = Envelope::decode(&bytes).map_err(|error| error.to_string())?;
    Ok(envelope.echo().into())
}

async fn with_attachments(mut body: Body, boundary: &str) -> Result<Body, String> {
    let mut beginning = BytesMut::new();
    let part = loop {
        if let Some(part) = multipart::first_part(&beginning, boundary) {
            break part;
        }
        if beginning.len() > LARGEST_ENVELOPE {
            return Err("the first part is too large".into());
        }
        // Doubling what is read before looking again keeps the search linear.
        let wanted = beginning.len() * 2;
        loop {
            match body.next().await {
                Some(Ok(bytes)) => beginning.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(error.to_string()),
                None if multipart::first_part(&beginning, boundary).is_some() => break,
                None => return Err("the message ends inside its first part".into()),
            }
            if beginning.len() >= wanted {
                break;
            }
        }
    };
    let envelope = Envelope::decode(&beginning[part.clone()]).map_err(|error| error.to_string())?;
    let start = [
        &beginning[..part.start],
        &envelope.echo(),
        &beginning[part.end..],
    ]
    .concat();
    let start = stream::once(async move { Ok::<Bytes, BodyError>(start.into()) });
    Ok(Body::from_stream(start.chain(body)))
}

/// The REST echo below `path` (without the leading `/`).
///
/// * `size/N` sends `N` bytes;
/// * `digest` swallows the body and tells its length and digest;
/// * `status/N` answers with status `N`;
/// * `slow/N` waits `N` milliseconds;
/// * `cut/N` breaks the connection after `N` bytes of the answer;
/// * `describe` describes the request, whatever its body;
/// * any other path sends the body back, or describes a request without one.
pub(crate) async fn rest(request: Request<Body>, path: &str) -> Response<Body> {
    let (command, argument) = path.split_once('/').unwrap_or((path, ""));
    let number = argument.parse::<u64>().ok();
    match (command, number) {
        ("size", Some(size)) => answer(
            StatusCode::OK,
            "application/octet-stream",
            bytes_of_size(size),
        ),
        ("cut", Some(size)) => answer(StatusCode::OK, "application/octet-stream", cut_after(size)),
        ("digest", _) => digest(request.into_body()).await,
        ("status", Some(status)) => {
            let status = u16::try_from(status)
                .ok()
                .and_then(|status| StatusCode::from_u16(status).ok());
            let mut response = describe(&request);
            *response.status_mut() = status.unwrap_or(StatusCode::BAD_REQUEST);
            response
        }
        ("slow", Some(milliseconds)) => {
            tokio::time::sleep(Duration::from_millis(milliseconds).min(LONGEST_WAIT)).await;
            describe(&request)
        }
        ("describe", _) => {
            let response = describe(&request);
            read_to_end(request.into_body()).await;
            response
        }
        _ if request.body().length() == Some(0) => describe(&request),
        _ => send_back(request).await,
    }
}

async fn send_back(request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = match hold(body).await {
        Ok(body) => body,
        Err(error) => {
            tracing::warn!(%error, "a body could not be held");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        }
    };
    let mut response = Response::new(body);
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

/// Takes a body to its end before a byte of it goes back: whoever writes everything before
/// reading anything, as X-Road's client does, would wait for ever. What does not fit into
/// memory goes to a file without a name.
async fn hold(mut body: Body) -> std::io::Result<Body> {
    let mut held = BytesMut::new();
    let mut file = None;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(std::io::Error::other)?;
        held.extend_from_slice(&piece);
        if held.len() > HELD {
            let file = match &mut file {
                Some(file) => file,
                None => file.insert(tokio::fs::File::from_std(tempfile::tempfile()?)),
            };
            file.write_all(&held.split()).await?;
        }
    }
    let Some(mut file) = file else {
        return Ok(Body::full(held.freeze()));
    };
    file.write_all(&held).await?;
    file.flush().await?;
    let length = file.stream_position().await?;
    file.rewind().await?;
    let (mut sender, body) = Body::channel_with_length(4, length);
    tokio::spawn(async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            match file.read_buf(&mut piece).await {
                Ok(0) => return sender.finish(),
                Ok(_) if sender.send(piece.freeze()).await.is_ok() => {}
                _ => return sender.abort(),
            }
        }
    });
    Ok(body)
}

fn describe(request: &Request<Body>) -> Response<Body> {
    let mut headers = Record::default();
    for (name, value) in request.headers() {
        headers =
            headers.text_of_any_name(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    let record = Record::default()
        .text("method", request.method().as_str())
        .text("path", request.uri().path())
        .text("query", request.uri().query().unwrap_or_default())
        .group("headers", headers);
    crate::answer::json(StatusCode::OK, &record)
}

async fn digest(mut body: Body) -> Response<Body> {
    let mut hasher = DigestAlgorithm::Sha512.hasher();
    let mut length = 0_u64;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(bytes) => {
                hasher.update(&bytes);
                length += bytes.len() as u64;
            }
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "body", &error.to_string()),
        }
    }
    let digest: String = hasher
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let record = Record::default()
        .number("length", length)
        .text("algorithm", "SHA-512")
        .text("digest", digest);
    crate::answer::json(StatusCode::OK, &record)
}

async fn read_to_end(mut body: Body) {
    while let Some(Ok(_)) = body.next().await {}
}

/// The bytes that `size/N` sends: a pattern that changes from piece to piece
/// would cost time on a measured path, so all pieces are alike.
fn pieces(size: u64) -> impl Iterator<Item = Bytes> {
    let pattern: Vec<u8> = (0..PIECE)
        .map(|place| b'a' + u8::try_from(place % 26).unwrap_or(0))
        .collect();
    let piece = Bytes::from(pattern);
    let whole = usize::try_from(size / PIECE as u64).unwrap_or(usize::MAX);
    let rest = usize::try_from(size % PIECE as u64).unwrap_or(0);
    let last = piece.slice(..rest);
    std::iter::repeat_n(piece, whole).chain((rest > 0).then_some(last))
}

fn bytes_of_size(size: u64) -> Body {
    let (mut sender, body) = Body::channel_with_length(4, size);
    tokio::spawn(async move {
        for piece in pieces(size) {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        sender.finish();
    });
    body
}

fn cut_after(size: u64) -> Body {
    let (mut sender, body) = Body::channel(4);
    tokio::spawn(async move {
        for piece in pieces(size) {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        // Lets the bytes leave before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        sender.abort();
    });
    body
}
