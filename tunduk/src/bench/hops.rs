//! The programs that the exchange is compared with: a provider, and two plain proxies with mutual TLS between them,
//! made of the same HTTP and TLS code as our servers.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use transport::{
    Body, Connection, HttpClient, PeerClient, PeerClientSettings, PeerTls, PoolLimits,
    RequestOptions, ServeLimits, Target, TlsIdentity, serve_http, serve_peers,
};

use super::{Failure, message, runtime};

/// A hidden role of the benchmark.
#[derive(Debug, clap::Args)]
pub struct HopOptions {
    /// Address and port to listen at.
    #[arg(long)]
    listen: String,
    /// Address and port of the next program.
    #[arg(long, default_value = "")]
    next: String,
    /// Folder with `hop.pem` and `hop.key`.
    #[arg(long, default_value = ".")]
    identity: PathBuf,
}

fn limits() -> ServeLimits {
    ServeLimits {
        idle_timeout: Duration::from_secs(600),
        ..ServeLimits::default()
    }
}

fn pool() -> PoolLimits {
    PoolLimits {
        max_idle: 512,
        idle_timeout: Duration::from_secs(500),
    }
}

/// The information system that answers.
pub(super) fn provider(options: &HopOptions) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let listener = listen(&options.listen).await?;
        let block = message::block(1024 * 1024);
        let handler =
            move |request: Request<Body>, _: Arc<Connection>| answer(request, block.clone());
        serve_http(listener, handler, limits(), std::future::pending()).await;
        Ok(())
    })
}

async fn answer(request: Request<Body>, block: Bytes) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is = |word: &str| content_type.is_some_and(|content| content.starts_with(word.as_bytes()));
    let (soap, wants) = (is("text/xml"), is(message::WANTED_ANSWER));
    if wants {
        let Ok(request) = body.collect(1024).await else {
            return status(StatusCode::BAD_REQUEST);
        };
        return match message::large_answer(block, &request) {
            Some(answer) => with_type(answer, "application/octet-stream"),
            None => status(StatusCode::BAD_REQUEST),
        };
    }
    if soap {
        let Ok(request) = body.collect(64 * 1024 * 1024).await else {
            return status(StatusCode::BAD_REQUEST);
        };
        return match message::soap_answer(&request) {
            Some(answer) => with_type(answer, "text/xml; charset=utf-8"),
            None => status(StatusCode::BAD_REQUEST),
        };
    }
    let mut length = 0;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => length += piece.len(),
            Err(_) => return status(StatusCode::BAD_REQUEST),
        }
    }
    with_type(
        format!("{{\"length\":{length}}}").into_bytes(),
        "application/json",
    )
}

fn with_type(body: impl Into<Body>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The first proxy: takes plain HTTP, sends on over mutual TLS.
pub(super) fn consumer_side(options: &HopOptions) -> Result<(), Failure> {
    let identity = identity(options)?;
    let (host, port) = options
        .next
        .rsplit_once(':')
        .ok_or("--next needs address and port")?;
    let port = port.parse().map_err(|_| "--next needs a port")?;
    let target: Arc<[Target]> = Arc::from([Target::new(host, port)]);
    runtime()?.block_on(async {
        let settings = PeerClientSettings {
            pool: pool(),
            ..PeerClientSettings::default()
        };
        let client = PeerClient::new(&identity, settings).map_err(|error| error.to_string())?;
        let listener = listen(&options.listen).await?;
        let handler = move |request: Request<Body>, _: Arc<Connection>| {
            let (client, target) = (client.clone(), target.clone());
            async move {
                let accept = |_| async { Ok::<(), Infallible>(()) };
                match client
                    .request(&target, onwards(request, Uri::from_static("/")), accept)
                    .await
                {
                    Ok((response, (), _)) => back(response),
                    Err(_) => status(StatusCode::BAD_GATEWAY),
                }
            }
        };
        serve_http(listener, handler, limits(), std::future::pending()).await;
        Ok(())
    })
}

/// The second proxy: takes mutual TLS, sends on over plain HTTP.
pub(super) fn provider_side(options: &HopOptions) -> Result<(), Failure> {
    let identity = identity(options)?;
    let next: Uri = format!("http://{}/", options.next)
        .parse()
        .map_err(|_| "--next needs address and port")?;
    runtime()?.block_on(async {
        let client = Arc::new(HttpClient::new(pool()).map_err(|error| error.to_string())?);
        let tls = PeerTls::new(&identity).map_err(|error| error.to_string())?;
        let listener = listen(&options.listen).await?;
        let handler = move |request: Request<Body>, _: Arc<Connection>| {
            let (client, next) = (client.clone(), next.clone());
            async move {
                match client
                    .request(onwards(request, next), &RequestOptions::default())
                    .await
                {
                    Ok(response) => back(response),
                    Err(_) => status(StatusCode::BAD_GATEWAY),
                }
            }
        };
        serve_peers(listener, tls, handler, limits(), std::future::pending()).await;
        Ok(())
    })
}

fn onwards(request: Request<Body>, uri: Uri) -> Request<Body> {
    let (head, body) = request.into_parts();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        request
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.clone());
    }
    request
}

fn back(response: Response<Body>) -> Response<Body> {
    let (head, body) = response.into_parts();
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

fn identity(options: &HopOptions) -> Result<TlsIdentity, Failure> {
    let read = |name: &str| {
        let path = options.identity.join(name);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    TlsIdentity::from_pem(&read("hop.pem")?, &read("hop.key")?)
        .map_err(|error| error.to_string().into())
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    println!("ready");
    Ok(listener)
}
