//! The information systems of the demonstration country, behind one port.
//!
//! | path | what |
//! |---|---|
//! | `/population/soap`, `/population/…` | the population register, SOAP and REST |
//! | `/licences/soap`, `/licences/…` | the register of driving licences, SOAP and REST |
//! | `/bank/…` | what the bank tells authorities, REST |
//! | `/echo/soap`, `/echo/rest/…` | services that send back what they are sent |
//! | `/descriptions/…` | WSDL and OpenAPI descriptions of all of them |
//!
//! They are ordinary services as X-Road wants them: they answer inside the
//! envelope that came, refuse requests that did not come through a Security
//! Server and answer with a fault of their own when there is nothing to tell.

mod acts;
mod answer;
mod doubles;
mod echo;
mod face;
mod licence_document;
mod multipart;
mod own;
mod population;
mod push;
mod question;
mod record;
mod registers;
mod soap;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use transport::{Body, Connection, ServeLimits};

use crate::answer::{XML, answer, refusal};
pub use population::PopulationRegister;
pub use registers::{LICENCES_NAMESPACE, POPULATION_NAMESPACE, Registers};

/// Namespace that the echo's WSDL names; the echo itself takes any.
pub const ECHO_NAMESPACE: &str = "http://echo.kg.example/v1";

/// Descriptions of the services by file name, for the Security Servers that offer them.
pub const DESCRIPTIONS: &[(&str, &str)] = &[
    (
        "population.wsdl",
        include_str!("../descriptions/population.wsdl"),
    ),
    (
        "population.yaml",
        include_str!("../descriptions/population.yaml"),
    ),
    (
        "licences.wsdl",
        include_str!("../descriptions/licences.wsdl"),
    ),
    (
        "licences.yaml",
        include_str!("../descriptions/licences.yaml"),
    ),
    ("bank.yaml", include_str!("../descriptions/bank.yaml")),
    ("echo.wsdl", include_str!("../descriptions/echo.wsdl")),
];

/// The registers' port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the registers cannot listen at {address}: {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Opens the registers' port.
///
/// # Errors
/// The address is in use or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address, source })
}

/// Serves the registers until `shutdown` completes.
pub async fn serve(
    listener: TcpListener,
    registers: Registers,
    shutdown: impl Future<Output = ()>,
) {
    let limits = ServeLimits {
        // A Security Server keeps its connections; a client of ours may be slow on purpose.
        idle_timeout: Duration::from_secs(300),
        body_timeout: Duration::from_secs(600),
        write_timeout: Duration::from_secs(600),
        shutdown_deadline: Duration::from_secs(1),
        ..ServeLimits::default()
    };
    let handler = move |request: Request<Body>, _connection: Arc<Connection>| {
        handle(registers.clone(), request)
    };
    transport::serve_http(listener, handler, limits, shutdown).await;
}

async fn handle(registers: Registers, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let (place, rest) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((&path, ""));
    match place {
        "population" => registers.population(request, rest).await,
        "licences" => registers.licences(request, rest).await,
        "bank" => registers.bank(request, rest).await,
        "echo" => match rest.split_once('/') {
            _ if rest == "soap" => echo::soap(request).await,
            _ if rest == "rest" => echo::rest(request, "").await,
            Some(("rest", below)) => echo::rest(request, below).await,
            _ => refusal(
                StatusCode::NOT_FOUND,
                "UnknownService",
                "The echo is at /echo/soap and /echo/rest.",
            ),
        },
        "descriptions" => description(rest),
        _ => refusal(
            StatusCode::NOT_FOUND,
            "UnknownService",
            "There is no such register here.",
        ),
    }
}

fn description(name: &str) -> Response<Body> {
    match DESCRIPTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) if name.ends_with(".wsdl") => {
            answer(StatusCode::OK, XML, text.as_bytes().to_vec())
        }
        Some((_, text)) => answer(StatusCode::OK, "application/yaml", text.as_bytes().to_vec()),
        None => refusal(
            StatusCode::NOT_FOUND,
            "UnknownDescription",
            "There is no such description here.",
        ),
    }
}
