//! `server.toml`, the file of one Security Server.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::instance::{
    Client, EndpointRight, Instance, LocalGroup, OWN_SERVICES, Right, Server, Service, own_service,
};
use crate::parties::bracketed;

#[derive(Serialize)]
struct File<'a> {
    id: String,
    address: String,
    language: &'a str,
    fault_style: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_peer_version: Option<&'a str>,
    anchor: &'static str,
    globalconf: &'static str,
    token: &'static str,
    sealed_key: &'static str,
    batch_signing: bool,
    log: Log,
    client: Vec<FileClient<'a>>,
    service: Vec<FileService<'a>>,
    local_group: Vec<FileGroup>,
}

#[derive(Serialize)]
struct Log {
    directory: &'static str,
    key: &'static str,
}

#[derive(Serialize)]
struct FileClient<'a> {
    id: String,
    connection: &'a str,
    certificates: &'a [PathBuf],
}

#[derive(Serialize)]
struct FileService<'a> {
    provider: String,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    r#type: &'static str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    timeout_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<&'a str>,
    certificates: &'a [PathBuf],
    allowed: Vec<EndpointRight>,
}

#[derive(Serialize)]
struct FileGroup {
    code: String,
    client: String,
    members: Vec<String>,
}

/// Writes the file's text. Descriptions of the demo's own services are in `descriptions`.
pub(super) fn write(
    instance: &Instance,
    server: &Server,
    descriptions: &Path,
) -> Result<String, String> {
    let file = File {
        id: server.id.path(),
        address: server.address.to_string(),
        language: &instance.language,
        fault_style: &instance.fault_style,
        minimum_peer_version: instance.minimum_peer_version.as_deref(),
        anchor: "anchor.xml",
        globalconf: "globalconf",
        token: "token.json",
        sealed_key: "token.sealed",
        batch_signing: server.batch_signing,
        log: Log {
            directory: "log",
            key: "log.key",
        },
        client: server.clients.iter().map(client).collect(),
        service: instance
            .services
            .iter()
            .filter(|service| {
                server
                    .clients
                    .iter()
                    .any(|client| client.id == service.provider)
            })
            .map(|found| service(instance, found, descriptions))
            .collect(),
        local_group: server.local_groups.iter().map(group).collect(),
    };
    let text = toml::to_string(&file).map_err(|error| error.to_string())?;
    Ok(format!(
        "# Written by `tunduk demo` from the instance file at every start.\n\n{text}"
    ))
}

fn client(client: &Client) -> FileClient<'_> {
    FileClient {
        id: client.id.path(),
        connection: &client.connection,
        certificates: &client.certificates,
    }
}

fn service<'a>(instance: &Instance, service: &'a Service, descriptions: &Path) -> FileService<'a> {
    let own = own_service(&service.url);
    let url = own.map_or_else(
        || service.url.clone(),
        |own| registry_url(instance, own.path),
    );
    let own_description = own
        .and_then(|own| own.description)
        .map(|name| descriptions.join(name).to_string_lossy().into_owned());
    FileService {
        provider: service.provider.path(),
        code: &service.code,
        version: service.version.as_deref(),
        r#type: service.kind.as_str(),
        url,
        namespace: service.namespace.as_deref(),
        description: service.description.clone().or(own_description),
        timeout_seconds: service.timeout_seconds,
        disabled: service.disabled.as_deref(),
        certificates: &service.certificates,
        allowed: service.allowed.iter().map(right).collect(),
    }
}

fn right(right: &Right) -> EndpointRight {
    match right {
        Right::Endpoint(right) => right.clone(),
        Right::Subject(subject) => EndpointRight {
            subject: subject.clone(),
            method: None,
            path: None,
        },
    }
}

fn group(group: &LocalGroup) -> FileGroup {
    FileGroup {
        code: group.code.clone(),
        client: group.client.path(),
        members: group.members.iter().map(xroad_id::ClientId::path).collect(),
    }
}

/// Where a path of the registers is.
fn registry_url(instance: &Instance, path: &str) -> String {
    debug_assert!(OWN_SERVICES.iter().any(|own| own.path == path));
    let address = bracketed(&instance.address.to_string());
    format!("http://{address}:{}{path}", instance.registry_port)
}
