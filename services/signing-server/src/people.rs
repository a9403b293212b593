//! What the identity provider tells: somebody's account is frozen, or was recovered.

use csc::CscError;
use http::StatusCode;
use id_registry::PersonalNumber;
use serde::Deserialize;
use server_signing::{Failure, Refusal};
use time::{Duration, OffsetDateTime};

use crate::SigningServer;
use crate::call::{Call, Reply, plain};
use crate::clients::Duty;
use crate::credentials::{failed, refused};
use crate::oauth::Caller;

/// How far the identity provider's clock may be ahead.
const AHEAD: Duration = Duration::MINUTE;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Freeze {
    number: PersonalNumber,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recovered {
    number: PersonalNumber,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl SigningServer {
    pub(crate) fn people(&self, call: &Call<'_>, what: &str) -> Reply {
        if !call.is_post() {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        match self.told(call, what) {
            Ok(()) => plain(StatusCode::NO_CONTENT, ""),
            Err(error) => refused(&error),
        }
    }

    /// Whoever has no keys here is as frozen as can be: there is nothing that signs. So the answer is the same, and says
    /// nothing about whether there are keys.
    fn told(&self, call: &Call<'_>, what: &str) -> Result<(), CscError> {
        let client = match self.caller(call)? {
            Caller::Service(client) if client.duties.contains(&Duty::Freeze) => client,
            _ => {
                return Err(CscError::new(
                    403,
                    "unauthorized_client",
                    "This client may not say so",
                ));
            }
        };
        let body = call.body.as_bytes();
        let done = match what {
            "freeze" => {
                let told: Freeze = CscError::reading(body)?;
                self.signing.freeze(&client.id, told.number, call.now)
            }
            "recovered" => {
                let told: Recovered = CscError::reading(body)?;
                if told.at > call.now + AHEAD {
                    return Err(CscError::invalid("at is in the future"));
                }
                self.signing.recovered(&client.id, told.number, told.at)
            }
            _ => {
                return Err(CscError::new(
                    404,
                    "invalid_request",
                    "There is no such path",
                ));
            }
        };
        match done {
            Ok(()) | Err(Failure::Refused(Refusal::UnknownHolder)) => Ok(()),
            Err(failure) => Err(failed(failure)),
        }
    }
}
