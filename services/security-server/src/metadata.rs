//! Descriptions of services and lists of clients, which every Security Server
//! answers itself (PR-META, PR-MREST).

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use pki::DigestAlgorithm;
use proxy::provider::RequestLogged;
use proxy::{InstanceGroups, Refusal, Request as Call, Side};
use serverconf::{Service, ServiceKind};
use time::OffsetDateTime;
use transport::{Body, RequestOptions};
use xroad_id::{ClientId, ServiceId};
use xroad_message::asic_request::query_parameter;
use xroad_message::metadata::{
    GET_OPEN_API, GET_WSDL, ListedClient, ListedRestService, MethodList, RestServiceType,
    WsdlRequest, encode_client_list_json, encode_client_list_xml, encode_method_list,
    encode_rest_method_list, encode_wsdl_answer, neutralise_open_api, neutralise_wsdl, wants_json,
};
use xroad_message::multipart::Headers;
use xroad_message::rest::RestResponse;

use crate::attachment::Opened;
use crate::outgoing::Payload;
use crate::provider::{Forwarded, ServiceAnswer};
use crate::server::Server;

/// Longest service description that is given.
const LONGEST: usize = 10 << 20;

fn failure(service: impl ToString, leaf: &str, detail: impl ToString) -> Refusal {
    Refusal::Metadata {
        service: service.to_string(),
        leaf: leaf.to_owned(),
        detail: detail.to_string(),
    }
}

/// Answers a logged request for metadata.
///
/// # Errors
/// The description is asked for badly, absent or cannot be read.
pub async fn answer(
    server: &Server,
    logged: &RequestLogged,
    forwarded: &Forwarded,
) -> Result<ServiceAnswer, Refusal> {
    let service = logged.request().service();
    let own = server.own.load_full();
    let groups = InstanceGroups(logged.configuration());
    let client = logged.request().client();
    let is_listed = |list: MethodList, service: &Service| match list {
        MethodList::All => true,
        MethodList::Allowed => own.may_use(client, &service.id, &groups),
    };
    match logged.request() {
        Call::Soap { message, .. } => {
            let hash = forwarded.request_hash(logged);
            if service.service_code == GET_WSDL {
                let wanted = WsdlRequest::decode(message)
                    .map_err(|error| failure(service, error.code(), &error))?;
                let wsdl = wsdl(server, &service.client, &wanted).await?;
                let mut answer =
                    ServiceAnswer::soap(encode_wsdl_answer(message, &hash, &wanted).into());
                let (boundary, _) = crate::random::new_boundaries();
                answer.content_type = Some(format!(
                    "multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}"
                ));
                let mut headers = Headers::new();
                headers.push("Content-Type", "text/xml");
                answer.payload = Payload::Ready(vec![(headers, wsdl)]);
                return Ok(answer);
            }
            let list = MethodList::from_service_code(&service.service_code)
                .ok_or_else(|| Refusal::UnknownService(service.clone()))?;
            let services = own.services_of(&service.client);
            let ids: Vec<&ServiceId> = services
                .iter()
                .filter(|found| found.kind == ServiceKind::Soap && is_listed(list, found))
                .map(|found| &found.id)
                .collect();
            Ok(ServiceAnswer::soap(
                encode_method_list(message, &hash, list, ids).into(),
            ))
        }
        Call::Rest { head, bytes } => {
            let (content_type, body) = if service.service_code == GET_OPEN_API {
                open_api(server, &service.client, head.query()).await?
            } else {
                let list = MethodList::from_service_code(&service.service_code)
                    .ok_or_else(|| Refusal::UnknownService(service.clone()))?;
                let services = own.services_of(&service.client);
                let endpoints: Vec<_> = services
                    .iter()
                    .map(|found| own.endpoints_of(&service.client, &found.id.service_code))
                    .collect();
                let listed = services
                    .iter()
                    .zip(&endpoints)
                    .filter_map(|(found, endpoints)| {
                        let service_type = match found.kind {
                            ServiceKind::Soap => return None,
                            ServiceKind::Rest => RestServiceType::Rest,
                            ServiceKind::OpenApi => RestServiceType::OpenApi,
                        };
                        is_listed(list, found).then(|| ListedRestService {
                            id: &found.id,
                            service_type,
                            endpoints: endpoints
                                .iter()
                                .map(|endpoint| (endpoint.method.as_str(), endpoint.path.as_str()))
                                .collect(),
                        })
                    });
                (
                    "application/json",
                    Bytes::from(encode_rest_method_list(listed)),
                )
            };
            // Metadata answers hash the head of the request alone (D6).
            let digest = DigestAlgorithm::Sha512.digest(bytes);
            let hash = xroad_message::rest::request_hash(digest.as_ref(), None);
            // They echo the headers of the request (D6), but not what described its body.
            let echoed = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice()))
                .filter(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
            let headers = echoed.chain([("content-type", content_type.as_bytes())]);
            let response = RestResponse::from_service(head, 200, "OK", headers, &hash)
                .map_err(|error| failure(service, error.code(), &error))?;
            let body = Opened {
                start: body,
                rest: None,
            };
            Ok(ServiceAnswer::rest(
                response.encode().into(),
                Payload::RestBody(body),
            ))
        }
    }
}

async fn read_description(server: &Server, service: &Service) -> Result<Bytes, Refusal> {
    let Some(place) = &service.description else {
        return Err(failure(
            &service.id,
            "not_found",
            "the provider has not given one",
        ));
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::warn!(service = %service.id, place, %error, "a service description cannot be read");
        failure(&service.id, "internal_error", "it cannot be read")
    };
    if place.starts_with("http://") || place.starts_with("https://") {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = place
            .parse()
            .map_err(|error: http::uri::InvalidUri| unreadable(&error))?;
        let response = server
            .http
            .request(request, &RequestOptions::default())
            .await
            .map_err(|error| unreadable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(unreadable(&response.status()));
        }
        return response
            .into_body()
            .collect(LONGEST)
            .await
            .map_err(|error| unreadable(&error));
    }
    let bytes = tokio::fs::read(place)
        .await
        .map_err(|error| unreadable(&error))?;
    if bytes.len() > LONGEST {
        return Err(unreadable(&"it is too long"));
    }
    Ok(bytes.into())
}

async fn wsdl(
    server: &Server,
    provider: &ClientId,
    wanted: &WsdlRequest,
) -> Result<Bytes, Refusal> {
    let id = ServiceId {
        client: provider.clone(),
        service_code: wanted.service_code.clone(),
        service_version: wanted.service_version.clone(),
    };
    let own = server.own.load_full();
    let service = own
        .service(&id)
        .filter(|service| service.kind == ServiceKind::Soap)
        .ok_or_else(|| Refusal::UnknownService(id.clone()))?;
    let text = read_description(server, service).await?;
    neutralise_wsdl(&text)
        .map(Bytes::from)
        .map_err(|error| failure(&id, error.code(), &error))
}

async fn open_api(
    server: &Server,
    provider: &ClientId,
    query: Option<&str>,
) -> Result<(&'static str, Bytes), Refusal> {
    let code = query_parameter(query, "serviceCode")
        .map_err(|error| failure(provider, error.code(), &error))?
        .ok_or_else(|| {
            failure(
                provider,
                "bad_request",
                "the parameter serviceCode is missing",
            )
        })?;
    let id = ServiceId {
        client: provider.clone(),
        service_code: code,
        service_version: None,
    };
    let own = server.own.load_full();
    let service = own
        .service(&id)
        .ok_or_else(|| Refusal::UnknownService(id.clone()))?;
    if service.kind != ServiceKind::OpenApi {
        return Err(failure(
            &id,
            "bad_request",
            "it is not a service with an OpenAPI description",
        ));
    }
    let text = read_description(server, service).await?;
    let text = std::str::from_utf8(&text)
        .map_err(|_| failure(&id, "internal_error", "it is not UTF-8"))?;
    let neutral = neutralise_open_api(text).map_err(|error| failure(&id, error.code(), &error))?;
    let is_json = neutral.trim_start().starts_with('{');
    Ok((
        if is_json {
            "application/json"
        } else {
            "text/yaml"
        },
        neutral.into(),
    ))
}

/// Answers `GET /listClients` (D1), for which access to the port is enough.
pub fn list_clients(server: &Server, request: &Request<Body>) -> Response<Body> {
    let answer = || -> Result<(&'static str, Vec<u8>), Refusal> {
        let configuration = server.current(OffsetDateTime::now_utc())?;
        let instance = query_parameter(request.uri().query(), "xRoadInstance")
            .map_err(|error| Refusal::RestRequest {
                detail: error.to_string(),
            })?
            .unwrap_or_else(|| configuration.instance().to_owned());
        let clients: Vec<_> = configuration
            .clients(&instance)
            .ok_or_else(|| Refusal::RestRequest {
                detail: format!("the instance {instance} is not known here"),
            })?
            .collect();
        let listed = clients.iter().map(|client| ListedClient {
            id: &client.id,
            name: client.member_name,
            subsystem_name: client.subsystem_name,
        });
        let accept = request
            .headers()
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        Ok(if wants_json(accept) {
            ("application/json", encode_client_list_json(listed))
        } else {
            ("text/xml; charset=UTF-8", encode_client_list_xml(listed))
        })
    };
    match answer() {
        Ok((content_type, body)) => {
            let mut response = Response::new(Body::full(body));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            response
        }
        Err(refusal) => {
            let mut response = server.faults.soap(&refusal, Side::Consumer);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}
