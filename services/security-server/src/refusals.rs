//! Refusals as answers: to information systems over SOAP and REST, and to peers.

use bytes::Bytes;
use config::FaultStyle;
use http::{HeaderValue, Response, StatusCode, header};
use messagelog::LogError;
use proxy::{Refusal, Side, Texts};
use transport::Body;
use xroad_message::fault::{Fault, FaultCode, Style, encode_rest_error};

use crate::random::new_uuid;

/// A refusal of the log as a refusal of the exchange.
pub fn log_refusal(error: &LogError) -> Refusal {
    match error {
        LogError::TimestampingFailed { .. } => Refusal::Timestamping,
        LogError::SpoolQuota { .. } => Refusal::PeerMessage {
            leaf: "invalid_message".into(),
            detail:
                "too many bytes of yours are under way here whose signature is not verified yet"
                    .into(),
        },
        // The text may name files, which stay here; the log of this server has it whole.
        LogError::NoSpace => Refusal::Logging("there is no room".into()),
        other => {
            tracing::error!(error = %other, "message log");
            Refusal::Logging("the log could not be written".into())
        }
    }
}

/// How faults are spelled and worded.
pub struct FaultWriter {
    texts: Texts,
    style: Style,
}

impl FaultWriter {
    /// Faults in a language and a spelling.
    pub fn new(texts: Texts, style: FaultStyle) -> Self {
        let style = match style {
            FaultStyle::V78 => Style::V78,
            FaultStyle::V77 => Style::V77,
        };
        Self { texts, style }
    }

    fn fault(&self, refusal: &Refusal, side: Side) -> Fault {
        if let Refusal::Relayed(fault) = refusal {
            tracing::info!(
                code = fault.code,
                detail = fault.detail,
                "a peer refused an exchange"
            );
            return Fault {
                code: fault.code.clone(),
                string: fault.string.clone(),
                actor: fault.actor.clone(),
                detail: Some(fault.detail.clone()),
            };
        }
        let support_id = new_uuid();
        let code = FaultCode::parse(&refusal.code(side));
        tracing::warn!(support_id, code = %code, blame = ?refusal.blame(side), refusal = ?refusal, "exchange refused");
        let text = self.texts.explain(refusal, side, &support_id);
        match refusal {
            // The code of a service's or client's own fault is not one of ours to respell.
            Refusal::ClientFault { .. } => Fault {
                code: refusal.code(side),
                string: text,
                actor: String::new(),
                detail: Some(support_id),
            },
            _ => Fault::new(&code, self.style, text, support_id),
        }
    }

    /// A SOAP fault, as it goes to SOAP clients and peers (M21): HTTP status 200.
    pub fn soap(&self, refusal: &Refusal, side: Side) -> Response<Body> {
        let mut response = Response::new(Body::full(self.soap_bytes(refusal, side)));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/xml;charset=utf-8"),
        );
        response
            .headers_mut()
            .insert("soapaction", HeaderValue::from_static(""));
        response
    }

    /// The same as bytes, for the end of a message that had begun.
    pub fn soap_bytes(&self, refusal: &Refusal, side: Side) -> Bytes {
        self.fault(refusal, side).encode().into()
    }

    /// A REST error, as it goes to REST clients (R8).
    pub fn rest(&self, refusal: &Refusal, side: Side, accept: Option<&str>) -> Response<Body> {
        let fault = self.fault(refusal, side);
        let error = encode_rest_error(&fault, accept);
        let mut response = Response::new(Body::full(error.body));
        *response.status_mut() =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(error.content_type),
        );
        if let Ok(code) = HeaderValue::from_str(&fault.code) {
            response.headers_mut().insert("X-Road-Error", code);
        }
        response
    }
}
