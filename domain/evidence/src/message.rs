//! Who is named in a logged message, and so who must have signed it (A8).

use bytes::Bytes;
use thiserror::Error;
use xroad_id::{ClientId, ServiceId};
use xroad_message::rest::{RestRequest, RestResponse};
use xroad_message::soap::{Expect, Soap, SoapLimits, SoapMessage};

/// The protocol of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// PR-MESS.
    Soap,
    /// PR-REST.
    Rest,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the service.
    Request,
    /// From the service to the client.
    Response,
}

/// The parties of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageParties {
    /// Protocol.
    pub kind: MessageKind,
    /// Request or response.
    pub direction: Direction,
    /// Who asked.
    pub client: ClientId,
    /// What was asked for.
    pub service: ServiceId,
    /// The message's id, if it has one.
    pub id: Option<String>,
}

/// The bytes are neither a SOAP message nor the head of a REST message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the message is neither SOAP ({soap}) nor REST ({rest})")]
pub struct MessageError {
    soap: String,
    rest: String,
}

impl MessageParties {
    /// Reads the parties from the bytes of a message part: SOAP if they parse as such, else REST,
    /// where a response begins with its status.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn read(message: &[u8]) -> Result<MessageParties, MessageError> {
        let limits = SoapLimits {
            bytes: message.len(),
            ..SoapLimits::default()
        };
        let bytes = Bytes::copy_from_slice(message);
        let soap = match soap(&bytes, &limits) {
            Ok(parties) => return Ok(parties),
            Err(reason) => reason,
        };
        rest(message).map_err(|rest| MessageError { soap, rest })
    }

    /// The member who must have signed: the client of a request, the provider of a response (S14).
    #[must_use]
    pub fn signer(&self) -> &ClientId {
        match self.direction {
            Direction::Request => &self.client,
            Direction::Response => &self.service.client,
        }
    }
}

/// Whether a message is a SOAP fault of an information system: it is signed and logged like any
/// answer (M23), but names neither client nor service.
pub(crate) fn is_fault(message: &[u8]) -> bool {
    let limits = SoapLimits {
        bytes: message.len(),
        ..SoapLimits::default()
    };
    let bytes = Bytes::copy_from_slice(message);
    matches!(
        Soap::decode(&bytes, &limits, Expect::Response),
        Ok(Soap::Fault(..))
    )
}

fn soap(bytes: &Bytes, limits: &SoapLimits) -> Result<MessageParties, String> {
    let decode = |expect| match Soap::decode(bytes, limits, expect) {
        Ok(Soap::Message(message)) => Ok(message),
        Ok(Soap::Fault(..)) => Err("a fault without parties".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let parties = |message: SoapMessage, direction| MessageParties {
        kind: MessageKind::Soap,
        direction,
        client: message.client,
        service: message.service,
        id: Some(message.id),
    };
    match decode(Expect::Response) {
        Ok(message) if message.is_response() => Ok(parties(*message, Direction::Response)),
        _ => decode(Expect::Request).map(|message| parties(*message, Direction::Request)),
    }
}

fn rest(part: &[u8]) -> Result<MessageParties, String> {
    if part.first().is_some_and(|byte| matches!(byte, b'1'..=b'9')) {
        let response = RestResponse::decode(part).map_err(|error| error.to_string())?;
        return Ok(MessageParties {
            kind: MessageKind::Rest,
            direction: Direction::Response,
            client: response.client,
            service: response.service,
            id: Some(response.id),
        });
    }
    let request = RestRequest::decode(part).map_err(|error| error.to_string())?;
    Ok(MessageParties {
        kind: MessageKind::Rest,
        direction: Direction::Request,
        client: request.client,
        service: request.service,
        id: request.id,
    })
}
