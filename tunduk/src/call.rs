//! `tunduk call`: asks a service through a Security Server, for people.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use clap::{Args, Subcommand};
use http::Method;
use transport::{Body, TlsIdentity};
use xroad_id::{ClientId, ServiceId};
use xroad_message::multipart::{self, MultipartDecoder, MultipartEvent, MultipartLimits};

use crate::consumer::{Answer, Consumer, RestCall, SOAP_CONTENT_TYPE, element, soap_request};
use crate::endpoints::Endpoints;
use crate::random;

/// What `tunduk call` takes.
#[derive(Debug, Args)]
pub struct CallArguments {
    #[command(subcommand)]
    kind: CallKind,
}

#[derive(Debug, Subcommand)]
enum CallKind {
    /// Call a REST service
    Rest(RestArguments),
    /// Call a SOAP service
    Soap(SoapArguments),
}

#[derive(Debug, Args)]
struct CommonArguments {
    /// Who asks: INSTANCE/CLASS/CODE[/SUBSYSTEM]
    #[arg(long, value_name = "ID")]
    client: String,
    /// The Security Server of the client; default: what the demo's state says
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A client certificate for the HTTPS port, PEM; for clients with connection = "https"
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, PEM, not encrypted
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// State directory of a demo, to find servers, versions and namespaces in
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    state: PathBuf,
    /// Query id; default: a new one
    #[arg(long)]
    id: Option<String>,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// How often to ask; every answer is timed
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Write the answer (a file of it, if it has attachments) here instead of showing it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show the headers of the answer
    #[arg(long)]
    headers: bool,
}

#[derive(Debug, Args)]
struct RestArguments {
    /// INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE
    service: String,
    /// What follows the service, with the query: /persons
    #[arg(default_value = "")]
    path: String,
    /// HTTP method
    #[arg(short = 'X', long, default_value = "GET")]
    method: Method,
    /// A header, 'Name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers_sent: Vec<String>,
    /// Body; @FILE reads it from a file
    #[arg(short, long)]
    data: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Args)]
struct SoapArguments {
    /// INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE[/VERSION]
    service: String,
    /// Namespace of the operation; default: what the demo's state says
    #[arg(long)]
    namespace: Option<String>,
    /// A value of the operation, 'name=text'; may be repeated
    #[arg(short, long = "value", value_name = "NAME=TEXT")]
    values: Vec<String>,
    /// Content of the operation as XML; @FILE reads it from a file
    #[arg(long, value_name = "XML")]
    content: Option<String>,
    /// A file to attach; may be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    #[command(flatten)]
    common: CommonArguments,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered.
    Answered,
    /// A fault: of the service, or of a Security Server.
    Fault,
    /// No answer at all.
    NoAnswer,
    /// The arguments cannot be used.
    Usage,
}

/// Runs `tunduk call`.
pub async fn run(arguments: CallArguments) -> Outcome {
    let result = match &arguments.kind {
        CallKind::Rest(arguments) => rest(arguments).await,
        CallKind::Soap(arguments) => soap(arguments).await,
    };
    match result {
        Ok(outcome) => outcome,
        Err(Problem::Usage(text)) => {
            eprintln!("{text}");
            Outcome::Usage
        }
        Err(Problem::NoAnswer(text)) => {
            eprintln!("{text}");
            Outcome::NoAnswer
        }
    }
}

enum Problem {
    Usage(String),
    NoAnswer(String),
}

impl From<crate::consumer::NoAnswer> for Problem {
    fn from(error: crate::consumer::NoAnswer) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

fn usage(error: impl std::fmt::Display) -> Problem {
    Problem::Usage(error.to_string())
}

async fn rest(arguments: &RestArguments) -> Result<Outcome, Problem> {
    let common = &arguments.common;
    let client = ClientId::from_path(&common.client).map_err(usage)?;
    let service = service_id(&arguments.service)?;
    let server = server_url(common, &client)?;
    let mut headers = Vec::new();
    for header in &arguments.headers_sent {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| usage(format!("a header is written 'Name: value', not {header:?}")))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let body = arguments
        .data
        .as_deref()
        .map(text_or_file)
        .transpose()?
        .unwrap_or_default();
    if !body.is_empty()
        && !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push(("Content-Type".into(), "application/json".into()));
    }
    let path = match arguments.path.as_str() {
        "" => String::new(),
        path if path.starts_with(['/', '?']) => path.to_owned(),
        path => format!("/{path}"),
    };
    let consumer = consumer(common)?;
    let mut outcome = Outcome::Answered;
    for _ in 0..common.repeat.max(1) {
        let call = RestCall {
            client: &client,
            service: &service,
            method: arguments.method.clone(),
            path: &path,
            id: common.id.as_deref(),
            headers: &headers,
            body: Body::full(body.clone()),
        };
        outcome = show(common, &consumer.rest(&server, call).await?)?;
    }
    Ok(outcome)
}

async fn soap(arguments: &SoapArguments) -> Result<Outcome, Problem> {
    let common = &arguments.common;
    let client = ClientId::from_path(&common.client).map_err(usage)?;
    let mut service = service_id(&arguments.service)?;
    let server = server_url(common, &client)?;
    let known = Endpoints::read(&common.state).ok().and_then(|endpoints| {
        let provider = service.client.path();
        endpoints.services.into_iter().find(|known| {
            known.provider == provider
                && known.code == service.service_code
                && (service.service_version.is_none() || known.version == service.service_version)
        })
    });
    if service.service_version.is_none() {
        service.service_version = known.as_ref().and_then(|known| known.version.clone());
    }
    let namespace = arguments
        .namespace
        .clone()
        .or_else(|| known.and_then(|known| known.namespace))
        .ok_or_else(|| {
            usage("the namespace of the operation is not known; give it with --namespace")
        })?;
    let mut content = String::new();
    for value in &arguments.values {
        let (name, text) = value
            .split_once('=')
            .ok_or_else(|| usage(format!("a value is written name=text, not {value:?}")))?;
        content.push_str(&element(name, text));
    }
    if let Some(given) = &arguments.content {
        let given = text_or_file(given)?;
        content
            .push_str(std::str::from_utf8(&given).map_err(|_| usage("the content is not UTF-8"))?);
    }
    let consumer = consumer(common)?;
    let mut outcome = Outcome::Answered;
    for _ in 0..common.repeat.max(1) {
        let id = common.id.clone().unwrap_or_else(random::uuid);
        let message = soap_request(&client, &service, &id, &namespace, &content);
        let (content_type, message) = if arguments.attach.is_empty() {
            (SOAP_CONTENT_TYPE.to_owned(), message.into_bytes())
        } else {
            with_attachments(&message, &arguments.attach)?
        };
        outcome = show(
            common,
            &consumer.soap(&server, &content_type, message).await?,
        )?;
    }
    Ok(outcome)
}

fn consumer(common: &CommonArguments) -> Result<Consumer, Problem> {
    let consumer = Consumer::new(Duration::from_secs(common.timeout)).map_err(usage)?;
    let (Some(cert), Some(key)) = (&common.cert, &common.key) else {
        return Ok(consumer);
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| usage(format!("{}: {error}", path.display())))
    };
    TlsIdentity::from_pem(&read(cert)?, &read(key)?)
        .and_then(|identity| consumer.with_identity(&identity))
        .map_err(|error| {
            usage(format!(
                "{} with {}: {error}",
                cert.display(),
                key.display()
            ))
        })
}

fn service_id(text: &str) -> Result<ServiceId, Problem> {
    let parts: Vec<&str> = text.split('/').collect();
    let (client, code, version) = match parts.as_slice() {
        [client @ .., code] if parts.len() == 5 => (client, code, None),
        [client @ .., code, version] if parts.len() == 6 => (client, code, Some(*version)),
        _ => {
            return Err(usage(format!(
                "a service is written INSTANCE/CLASS/CODE/SUBSYSTEM/SERVICE[/VERSION], not {text:?}"
            )));
        }
    };
    let client = ClientId::from_path(&client.join("/")).map_err(usage)?;
    ServiceId::new(client, code, version).map_err(usage)
}

fn server_url(common: &CommonArguments, client: &ClientId) -> Result<String, Problem> {
    if let Some(server) = &common.server {
        return Ok(server.clone());
    }
    let endpoints = Endpoints::read(&common.state).map_err(usage)?;
    let client = client.path();
    endpoints
        .security_servers
        .into_iter()
        .filter(|server| {
            server.clients.contains(&client)
                || server.members.iter().any(|member| member.id == client)
        })
        .find_map(|server| match common.cert {
            Some(_) => server.https,
            None => server.http,
        })
        .ok_or_else(|| {
            usage(format!(
                "no Security Server of {} has the client {client}",
                common.state.display()
            ))
        })
}

fn text_or_file(given: &str) -> Result<Vec<u8>, Problem> {
    match given.strip_prefix('@') {
        None => Ok(given.as_bytes().to_vec()),
        Some(path) => std::fs::read(path).map_err(|error| usage(format!("{path}: {error}"))),
    }
}

fn with_attachments(message: &str, files: &[PathBuf]) -> Result<(String, Vec<u8>), Problem> {
    let boundary = format!("part-{}", random::uuid());
    let mut body = format!("--{boundary}\r\nContent-Type: {SOAP_CONTENT_TYPE}\r\nContent-ID: <message>\r\n\r\n{message}").into_bytes();
    for file in files {
        let bytes =
            std::fs::read(file).map_err(|error| usage(format!("{}: {error}", file.display())))?;
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace(['"', '\r', '\n'], "_");
        body.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-ID: <{}>\r\n\
                 Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: binary\r\n\r\n",
                random::uuid()
            )
            .as_bytes(),
        );
        body.extend_from_slice(&bytes);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let content_type = format!(
        "multipart/related; type=\"text/xml\"; start=\"<message>\"; boundary=\"{boundary}\""
    );
    Ok((content_type, body))
}

/// A part of a multipart answer.
struct Part {
    content_type: String,
    body: Bytes,
}

fn parts_of(answer: &Answer) -> Option<Vec<Part>> {
    let content_type = answer.header("content-type");
    if !content_type.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let boundary = multipart::boundary_of(content_type).ok()?;
    let mut decoder = MultipartDecoder::new(&boundary, MultipartLimits::default()).ok()?;
    decoder.feed(answer.body.clone());
    let mut parts = Vec::new();
    let mut open: Option<(String, BytesMut)> = None;
    while let Ok(Some(event)) = decoder.next() {
        match event {
            MultipartEvent::PartStart(headers) => {
                let content_type = headers.content_type().unwrap_or_default().to_owned();
                open = Some((content_type, BytesMut::new()));
            }
            MultipartEvent::Data(data) => {
                if let Some((_, body)) = &mut open {
                    body.extend_from_slice(&data);
                }
            }
            MultipartEvent::PartEnd => {
                parts.extend(open.take().map(|(content_type, body)| Part {
                    content_type,
                    body: body.freeze(),
                }));
            }
            MultipartEvent::End => break,
        }
    }
    Some(parts)
}

fn show(common: &CommonArguments, answer: &Answer) -> Result<Outcome, Problem> {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
    eprintln!(
        "{} after {:.1} ms (first byte {:.1} ms), {} bytes",
        answer.status,
        milliseconds(answer.until_end),
        milliseconds(answer.until_head),
        answer.body.len()
    );
    if common.headers {
        for (name, value) in &answer.headers {
            eprintln!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    let parts = parts_of(answer).unwrap_or_else(|| {
        vec![Part {
            content_type: answer.header("content-type").to_owned(),
            body: answer.body.clone(),
        }]
    });
    if let Some(file) = &common.output {
        let part = parts.get(1).or(parts.first());
        let bytes = part.map(|part| part.body.clone()).unwrap_or_default();
        std::fs::write(file, &bytes)
            .map_err(|error| usage(format!("{}: {error}", file.display())))?;
        eprintln!("{} bytes written to {}", bytes.len(), file.display());
    } else {
        for part in &parts {
            print_part(part);
        }
    }
    let fault = answer.fault();
    if let Some(code) = &fault {
        eprintln!("fault {code}");
    }
    Ok(
        if fault.is_some() || answer.status.is_client_error() || answer.status.is_server_error() {
            Outcome::Fault
        } else {
            Outcome::Answered
        },
    )
}

fn print_part(part: &Part) {
    let mut output = std::io::stdout().lock();
    let kind = part.content_type.to_ascii_lowercase();
    let text = std::str::from_utf8(&part.body).ok();
    let pretty = text.and_then(|text| {
        if kind.contains("json") {
            pretty_json(text)
        } else if kind.contains("xml") && !kind.contains("svg") {
            pretty_xml(text)
        } else {
            None
        }
    });
    let _ = match (pretty, text) {
        (Some(pretty), _) => writeln!(output, "{pretty}"),
        (None, Some(text)) if part.body.len() < 100_000 => writeln!(output, "{text}"),
        _ if !output.is_terminal() => output.write_all(&part.body),
        _ => writeln!(
            output,
            "({} bytes of {}; --output FILE keeps them)",
            part.body.len(),
            part.content_type
        ),
    };
}

fn pretty_json(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// Indents elements that hold elements; text stays beside its tags.
fn pretty_xml(text: &str) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{FEFF}'));
    let mut writer = quick_xml::Writer::new_with_indent(Vec::new(), b' ', 2);
    loop {
        match reader.read_event().ok()? {
            Event::Eof => break,
            Event::Text(text) if text.trim().is_empty() => {}
            event => writer.write_event(event).ok()?,
        }
    }
    String::from_utf8(writer.into_inner()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_with_and_without_version() {
        let service = |text| {
            service_id(text)
                .ok()
                .map(|id| (id.client.path(), id.service_code, id.service_version))
        };
        assert_eq!(
            service("A/B/C/D/e"),
            Some(("A/B/C/D".into(), "e".into(), None))
        );
        assert_eq!(
            service("A/B/C/D/e/v1"),
            Some(("A/B/C/D".into(), "e".into(), Some("v1".into())))
        );
        assert_eq!(service("A/B/C/D"), None);
    }

    #[test]
    fn xml_is_indented() {
        let pretty = pretty_xml("<a><b>t &amp; u</b>\n<c/></a>").expect("well-formed");
        assert_eq!(pretty, "<a>\n  <b>t &amp; u</b>\n  <c/>\n</a>");
    }
}
