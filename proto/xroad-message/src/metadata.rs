//! Metadata of services (PR-META, PR-MREST; D1 to D6): lists of clients and
//! services, and descriptions from which the addresses of services are taken out.

mod description;

use serde_json::{Map, Value, json};
use xroad_id::{ClientId, ServiceId};

pub use description::{
    DescriptionError, MAX_DESCRIPTION_LENGTH, neutralise_open_api, neutralise_wsdl,
};

use crate::fault::code;
use crate::soap::{Identifier, REQUEST_HASH_ALGORITHM, SoapMessage, encode_identifier};
use crate::xml::{Event, Scanner, XmlError, escape, unescape};
use crate::{NS_IDENTIFIERS, NS_REPRESENTATION, NS_SOAP, NS_XROAD};

/// Path of the list of clients on the ports for information systems (D1).
pub const PATH_LIST_CLIENTS: &str = "/listClients";
/// Service code of the list of services.
pub const LIST_METHODS: &str = "listMethods";
/// Service code of the list of services that the client may use.
pub const ALLOWED_METHODS: &str = "allowedMethods";
/// Service code of the description of a SOAP service.
pub const GET_WSDL: &str = "getWsdl";
/// Service code of the description of a REST service.
pub const GET_OPEN_API: &str = "getOpenAPI";
/// What stands in descriptions in place of a service's address (D3).
pub const ENDPOINT: &str = "http://example.org/xroad-endpoint";

/// A member or subsystem in the list of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClient<'a> {
    /// Its identifier.
    pub id: &'a ClientId,
    /// The name of the member.
    pub name: &'a str,
    /// The name of the subsystem, if it has one.
    pub subsystem_name: Option<&'a str>,
}

/// Whether the list of clients is wanted as JSON, from the value of `Accept` (D1).
pub fn wants_json(accept: Option<&str>) -> bool {
    accept
        .unwrap_or("")
        .split(',')
        .any(|range| crate::multipart::is_type(range, "application/json"))
}

/// The list of clients as XML, content type `text/xml`.
pub fn encode_client_list_xml<'a>(clients: impl IntoIterator<Item = ListedClient<'a>>) -> Vec<u8> {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><xroad:clientList xmlns:xroad=\"{NS_XROAD}\" xmlns:id=\"{NS_IDENTIFIERS}\">"
    );
    for client in clients {
        out.push_str("<xroad:member>");
        encode_identifier("xroad:id", &Identifier::Client(client.id.clone()), &mut out);
        out.push_str("<xroad:name>");
        escape(client.name, &mut out);
        out.push_str("</xroad:name>");
        if let Some(name) = client.subsystem_name {
            out.push_str("<xroad:subsystemName>");
            escape(name, &mut out);
            out.push_str("</xroad:subsystemName>");
        }
        out.push_str("</xroad:member>");
    }
    out.push_str("</xroad:clientList>");
    out.into_bytes()
}

/// The list of clients as JSON, content type `application/json`.
pub fn encode_client_list_json<'a>(clients: impl IntoIterator<Item = ListedClient<'a>>) -> Vec<u8> {
    let members: Vec<Value> = clients
        .into_iter()
        .map(|client| {
            let mut member = Map::new();
            member.insert("id".into(), client_json(client.id));
            member.insert("name".into(), client.name.into());
            if let Some(name) = client.subsystem_name {
                member.insert("subsystem_name".into(), name.into());
            }
            Value::Object(member)
        })
        .collect();
    json!({ "member": members }).to_string().into_bytes()
}

fn client_json(id: &ClientId) -> Value {
    json!({
        "member_class": id.member_class,
        "member_code": id.member_code,
        "object_type": id.object_type(),
        "subsystem_code": id.subsystem_code,
        "xroad_instance": id.instance,
    })
}

/// Which list of SOAP or REST services is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodList {
    /// All of them.
    All,
    /// Those that the client may use.
    Allowed,
}

impl MethodList {
    /// The list with this service code.
    pub fn from_service_code(text: &str) -> Option<Self> {
        match text {
            LIST_METHODS => Some(Self::All),
            ALLOWED_METHODS => Some(Self::Allowed),
            _ => None,
        }
    }

    /// Its service code.
    pub fn service_code(self) -> &'static str {
        match self {
            Self::All => LIST_METHODS,
            Self::Allowed => ALLOWED_METHODS,
        }
    }
}

/// The SOAP answer of [`LIST_METHODS`] or [`ALLOWED_METHODS`] (D2): the request's
/// header, the hash of the request (base64) and the services, SOAP ones only.
pub fn encode_method_list<'a>(
    request: &SoapMessage,
    request_hash: &str,
    list: MethodList,
    services: impl IntoIterator<Item = &'a ServiceId>,
) -> Vec<u8> {
    encode_answer(request, request_hash, |out| {
        let name = list.service_code();
        for piece in ["<xroad:", name, "Response>"] {
            out.push_str(piece);
        }
        for service in services {
            encode_identifier("xroad:service", &Identifier::Service(service.clone()), out);
        }
        for piece in ["</xroad:", name, "Response>"] {
            out.push_str(piece);
        }
    })
}

/// The SOAP answer of [`GET_WSDL`]; the description itself is an attachment of type
/// `text/xml`.
pub fn encode_wsdl_answer(
    request: &SoapMessage,
    request_hash: &str,
    wanted: &WsdlRequest,
) -> Vec<u8> {
    encode_answer(request, request_hash, |out| {
        out.push_str("<xroad:getWsdlResponse><xroad:serviceCode>");
        escape(&wanted.service_code, out);
        out.push_str("</xroad:serviceCode>");
        if let Some(version) = &wanted.service_version {
            out.push_str("<xroad:serviceVersion>");
            escape(version, out);
            out.push_str("</xroad:serviceVersion>");
        }
        out.push_str("</xroad:getWsdlResponse>");
    })
}

/// A SOAP answer of our own: the header of `request` with the hash of it, and a body
/// that `write_body` writes; the prefixes `xroad` and `id` are bound.
pub fn encode_answer(
    request: &SoapMessage,
    request_hash: &str,
    write_body: impl FnOnce(&mut String),
) -> Vec<u8> {
    let mut out = String::with_capacity(2048);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope");
    for (prefix, namespace) in [
        ("SOAP-ENV", NS_SOAP),
        ("xroad", NS_XROAD),
        ("id", NS_IDENTIFIERS),
        ("repr", NS_REPRESENTATION),
    ] {
        for piece in [" xmlns:", prefix, "=\"", namespace, "\""] {
            out.push_str(piece);
        }
    }
    out.push_str("><SOAP-ENV:Header>");
    encode_identifier(
        "xroad:client",
        &Identifier::Client(request.client.clone()),
        &mut out,
    );
    encode_identifier(
        "xroad:service",
        &Identifier::Service(request.service.clone()),
        &mut out,
    );
    if let Some(server) = &request.security_server {
        encode_identifier(
            "xroad:securityServer",
            &Identifier::Server(server.clone()),
            &mut out,
        );
    }
    if let Some(party) = &request.represented_party {
        out.push_str("<repr:representedParty>");
        if let Some(class) = &party.class {
            element("repr:partyClass", class, &mut out);
        }
        element("repr:partyCode", &party.code, &mut out);
        out.push_str("</repr:representedParty>");
    }
    if let Some(user_id) = &request.user_id {
        element("xroad:userId", user_id, &mut out);
    }
    element("xroad:id", &request.id, &mut out);
    for piece in [
        "<xroad:requestHash algorithmId=\"",
        REQUEST_HASH_ALGORITHM,
        "\">",
        request_hash,
        "</xroad:requestHash>",
    ] {
        out.push_str(piece);
    }
    if let Some(issue) = &request.issue {
        element("xroad:issue", issue, &mut out);
    }
    element("xroad:protocolVersion", &request.protocol_version, &mut out);
    out.push_str("</SOAP-ENV:Header><SOAP-ENV:Body>");
    write_body(&mut out);
    out.push_str("</SOAP-ENV:Body></SOAP-ENV:Envelope>");
    out.into_bytes()
}

fn element(name: &str, text: &str, out: &mut String) {
    for piece in ["<", name, ">"] {
        out.push_str(piece);
    }
    escape(text, out);
    for piece in ["</", name, ">"] {
        out.push_str(piece);
    }
}

/// Why the body of a `getWsdl` request is refused. The fault is the client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WsdlRequestError {
    /// Not well-formed.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The element `serviceCode` is missing or empty.
    #[error("the request names no service")]
    MissingServiceCode,
}

impl WsdlRequestError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::INVALID_REQUEST
    }
}

/// Which description a `getWsdl` request asks for (D3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsdlRequest {
    /// Code of the service.
    pub service_code: String,
    /// Its version.
    pub service_version: Option<String>,
}

impl WsdlRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// The body names no service.
    pub fn decode(request: &SoapMessage) -> Result<Self, WsdlRequestError> {
        let mut scanner = Scanner::new(request.bytes(), 128)?;
        let mut in_body = false;
        let mut service_code = None;
        let mut service_version = None;
        loop {
            match scanner.next()? {
                Event::Start(_) => {
                    let (namespace, local) = scanner.resolved();
                    match scanner.depth() {
                        2 => in_body = (namespace, local) == (NS_SOAP, "Body"),
                        4 if in_body && namespace == NS_XROAD => {
                            let target = match local {
                                "serviceCode" => &mut service_code,
                                "serviceVersion" => &mut service_version,
                                _ => continue,
                            };
                            let mut value = String::new();
                            while scanner.depth() >= 4 {
                                match scanner.next()? {
                                    Event::Text(raw) => value.push_str(&unescape(raw)),
                                    Event::CData(text) => value.push_str(text),
                                    _ => {}
                                }
                            }
                            *target = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
                        }
                        _ => {}
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Ok(Self {
            service_code: service_code.ok_or(WsdlRequestError::MissingServiceCode)?,
            service_version,
        })
    }
}

/// Which kind of REST service a list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestServiceType {
    /// Without description.
    Rest,
    /// With an OpenAPI description.
    OpenApi,
}

/// A REST service in a list (D4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRestService<'a> {
    /// Its identifier.
    pub id: &'a ServiceId,
    /// Its kind.
    pub service_type: RestServiceType,
    /// Its endpoints: method and path, `*` being any.
    pub endpoints: Vec<(&'a str, &'a str)>,
}

/// The answer of the REST services [`LIST_METHODS`] and [`ALLOWED_METHODS`], content
/// type `application/json`.
pub fn encode_rest_method_list<'a>(
    services: impl IntoIterator<Item = ListedRestService<'a>>,
) -> Vec<u8> {
    let services: Vec<Value> = services
        .into_iter()
        .map(|service| {
            let endpoints: Vec<Value> = service
                .endpoints
                .iter()
                .map(|(method, path)| json!({ "method": method, "path": path }))
                .collect();
            let client = &service.id.client;
            json!({
                "member_class": client.member_class,
                "member_code": client.member_code,
                "object_type": "SERVICE",
                "service_code": service.id.service_code,
                "service_type": match service.service_type {
                    RestServiceType::Rest => "REST",
                    RestServiceType::OpenApi => "OPENAPI",
                },
                "subsystem_code": client.subsystem_code,
                "xroad_instance": client.instance,
                "endpoint_list": endpoints,
            })
        })
        .collect();
    json!({ "service": services }).to_string().into_bytes()
}
