//! The head of a REST response.

use xroad_id::{ClientId, ServiceId};

use super::{
    Fields, HEADER_ID, HEADER_REQUEST_HASH, HEADER_REQUEST_ID, HEADER_SERVICE, RestError,
    RestRequest, decode_part, encode_part, find, is_carried, is_name,
};

/// Header with the client in responses, in the case that X-Road writes there.
const HEADER_CLIENT: &str = "x-road-client";

/// What of a response must be as in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RestField {
    /// The client.
    #[error("the client differs")]
    Client,
    /// The service.
    #[error("the service differs")]
    Service,
    /// The id of the message.
    #[error("the id of the message differs")]
    Id,
    /// The id of the exchange.
    #[error("the id of the exchange differs")]
    RequestId,
    /// The hash of the request.
    #[error("the hash of the request differs")]
    RequestHash,
}

/// The head of a REST response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestResponse {
    /// Status of the service's HTTP answer.
    pub status: u16,
    /// Its reason.
    pub reason: String,
    /// The headers that go to the client, in order, among them those of X-Road (R6).
    pub headers: Vec<(String, Vec<u8>)>,
    /// Id of the message.
    pub id: String,
    /// Who asked.
    pub client: ClientId,
    /// What was asked for.
    pub service: ServiceId,
    /// Id of the exchange.
    pub request_id: Option<String>,
    /// Hash of the request, base64.
    pub request_hash: String,
}

impl RestResponse {
    /// The response to `request` from a service's HTTP answer. Headers that belong to
    /// the connection and those of X-Road that the service wrote are left out, ours
    /// are added (T29).
    ///
    /// `request_hash` is that of [`super::request_hash`].
    ///
    /// # Errors
    /// A header cannot be carried.
    pub fn from_service<'a>(
        request: &RestRequest,
        status: u16,
        reason: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        request_hash: &str,
    ) -> Result<Self, RestError> {
        let id = request.id.clone().ok_or(RestError::MissingId)?;
        let ours = [
            HEADER_ID,
            HEADER_CLIENT,
            HEADER_SERVICE,
            HEADER_REQUEST_ID,
            HEADER_REQUEST_HASH,
        ];
        let mut kept: Vec<(String, Vec<u8>)> = Vec::with_capacity(16);
        for (name, value) in headers {
            if !is_carried(name) || ours.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                continue;
            }
            if kept.len() == super::MAX_HEADERS {
                return Err(RestError::TooManyHeaders);
            }
            if value.iter().any(|b| matches!(b, 0..=8 | 10..=31 | 127)) || !is_name(name.as_bytes())
            {
                return Err(RestError::Header("of the response"));
            }
            kept.push((name.to_owned(), value.to_vec()));
        }
        let mut add =
            |name: &str, value: &str| kept.push((name.to_owned(), value.as_bytes().to_vec()));
        add(HEADER_ID, &id);
        add(HEADER_CLIENT, &request.client.path());
        add(HEADER_SERVICE, &request.service.path());
        if let Some(request_id) = &request.request_id {
            add(HEADER_REQUEST_ID, request_id);
        }
        add(HEADER_REQUEST_HASH, request_hash);
        Ok(Self {
            status,
            reason: reason.chars().filter(|c| !c.is_control()).collect(),
            headers: kept,
            id,
            client: request.client.clone(),
            service: request.service.clone(),
            request_id: request.request_id.clone(),
            request_hash: request_hash.to_owned(),
        })
    }

    /// Reads a response part (T29).
    ///
    /// # Errors
    /// The part is malformed or lacks a field that must be there.
    pub fn decode(part: &[u8]) -> Result<Self, RestError> {
        let (status, reason, headers) = decode_part(part)?;
        let status = Some(status)
            .filter(|text| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|status| (100..=999).contains(status))
            .ok_or(RestError::MissingInResponse("status"))?;
        let mut fields = Fields::default();
        for (name, value) in &headers {
            fields.take(name, value)?;
        }
        let missing = RestError::MissingInResponse;
        Ok(Self {
            status,
            reason: reason.to_owned(),
            id: fields.id.ok_or(RestError::MissingId)?,
            client: fields.client.ok_or(missing(HEADER_CLIENT))?,
            service: fields.service.ok_or(missing(HEADER_SERVICE))?,
            request_id: fields.request_id,
            request_hash: fields.request_hash.ok_or(missing(HEADER_REQUEST_HASH))?,
            headers,
        })
    }

    /// The response part (T29); its bytes are signed.
    pub fn encode(&self) -> Vec<u8> {
        encode_part(&self.status.to_string(), &self.reason, &self.headers)
    }

    /// Says whether the response belongs to `request`, whose hash is `request_hash`.
    ///
    /// # Errors
    /// The first field that differs; its fault code is `inconsistent_response`.
    pub fn check_consistent(
        &self,
        request: &RestRequest,
        request_hash: &str,
    ) -> Result<(), RestField> {
        let same = |equal: bool, field| if equal { Ok(()) } else { Err(field) };
        same(self.client == request.client, RestField::Client)?;
        same(self.service == request.service, RestField::Service)?;
        same(Some(&self.id) == request.id.as_ref(), RestField::Id)?;
        same(self.request_id == request.request_id, RestField::RequestId)?;
        same(self.request_hash == request_hash, RestField::RequestHash)
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        find(&self.headers, name)
    }
}
