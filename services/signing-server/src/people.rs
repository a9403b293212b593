//! What the identity provider tells, that somebody's account is frozen or was recovered; and what it asks, what changed for
//! whom: it knows where people are reached, and writes to them.

use csc::CscError;
use http::StatusCode;
use id_registry::PersonalNumber;
use serde::Deserialize;
use serde_json::{Value, json};
use server_signing::{Event, EventPlace, Failure, Refusal, What};
use time::{Duration, OffsetDateTime};

use crate::SigningServer;
use crate::call::{Call, Reply, plain};
use crate::clients::{Client, Duty};
use crate::credentials::{answered, failed, refused};
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    after: u64,
}

/// Events that are looked through for one answer.
const LOOKED_THROUGH: usize = 200;

/// What a person is told of an event: not of what they just confirmed themselves to sign, nor of what the one who asks said.
fn notice(event: &Event, asker: &str) -> Option<&'static str> {
    match event.what {
        What::AuthenticatorsReplaced => Some("device"),
        What::Enrolled | What::Renewed | What::Revoked | What::FreezeLifted => Some("certificates"),
        What::Frozen if event.client != asker => Some("certificates"),
        What::Frozen | What::Recovered | What::Confirmed | What::Signed | What::Denied => None,
    }
}

impl SigningServer {
    pub(crate) fn people(&self, call: &Call<'_>, what: &str) -> Reply {
        if !call.is_post() {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        let answer = self.may_tell(call).and_then(|client| match what {
            "changes" => {
                let changes = self.changes(call, client)?;
                Ok(answered(StatusCode::OK, &changes))
            }
            _ => {
                self.told(call, client, what)?;
                Ok(plain(StatusCode::NO_CONTENT, ""))
            }
        });
        answer.unwrap_or_else(|error| refused(&error))
    }

    fn may_tell(&self, call: &Call<'_>) -> Result<&Client, CscError> {
        match self.caller(call)? {
            Caller::Service(client) if client.duties.contains(&Duty::Freeze) => Ok(client),
            _ => Err(CscError::new(
                403,
                "unauthorized_client",
                "This client may not say so",
            )),
        }
    }

    /// What people are to be told of, after a place in the record, and the place up to which it was looked through.
    fn changes(&self, call: &Call<'_>, client: &Client) -> Result<Value, CscError> {
        let asked: Changes = CscError::reading(call.body.as_bytes())?;
        let happened = self
            .signing
            .happened_after(EventPlace(asked.after), LOOKED_THROUGH)
            .map_err(failed)?;
        let after = happened.last().map_or(asked.after, |(place, _)| place.0);
        let changes: Vec<Value> = happened
            .iter()
            .filter_map(|(place, event)| {
                let changed = notice(event, &client.id)?;
                Some(json!({
                    "place": place.0,
                    "number": event.holder.as_str(),
                    "changed": changed,
                    "at": event.at.unix_timestamp(),
                }))
            })
            .collect();
        Ok(json!({ "changes": changes, "after": after }))
    }

    /// Whoever has no keys here is as frozen as can be: there is nothing that signs. So the answer is the same, and says
    /// nothing about whether there are keys.
    fn told(&self, call: &Call<'_>, client: &Client, what: &str) -> Result<(), CscError> {
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
