//! Tells subscribers over the exchange whose records changed: in order, and again until each took it.
//!
//! What was told is kept in the database, so that nothing is left out by a server that ends, and of several servers
//! over one database one at a time tells a subscriber. A message may come twice; `after` and `last` say what it covers.

use std::time::Duration;

use config::PushSettings;
use http::{Request, StatusCode};
use id_registry::{ActId, StoreError};
use time::OffsetDateTime;
use transport::{Body, HttpClient, RequestOptions};
use xroad_id::ServiceId;

use crate::population::PopulationRegister;

/// How often a subscriber's news are looked for.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after a message that was not taken; it doubles up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a turn lasts: longer than a message, so that two servers never tell at the same time.
const TURN: time::Duration = time::Duration::seconds(60);
/// Largest answer that is read; it is not looked at.
const LARGEST_ANSWER: usize = 64 << 10;

/// Why a subscriber was not told.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the message was not taken: {0}")]
    NotTaken(String),
}

/// One subscriber.
struct Subscriber {
    register: PopulationRegister,
    client: String,
    service: ServiceId,
    server: String,
    settings: PushSettings,
    http: HttpClient,
}

impl PopulationRegister {
    /// Tells every subscriber of the access file what changes, until the future is dropped. `server` names this server
    /// among those over one database.
    pub async fn push(&self, settings: PushSettings, server: &str, http: HttpClient) {
        let told = self.subscribers().into_iter().map(|(client, service)| {
            Subscriber {
                register: self.clone(),
                client,
                service,
                server: server.to_owned(),
                settings: settings.clone(),
                http: http.clone(),
            }
            .tell()
        });
        futures_util::future::join_all(told).await;
        // Without a subscriber there is nothing to do, and serving goes on.
        std::future::pending().await
    }
}

impl Subscriber {
    async fn tell(self) {
        let mut known = None;
        let mut pause = PAUSE;
        loop {
            match self.tell_once(known).await {
                Ok((told, more)) => {
                    known = told;
                    pause = PAUSE;
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(subscriber = self.client, %error, "changes wait for a subscriber");
                    known = None;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Tells the next page. Gives the act up to which the subscriber is told, as far as this server knows, and whether
    /// there is more.
    async fn tell_once(&self, known: Option<ActId>) -> Result<(Option<ActId>, bool), PushError> {
        let now = OffsetDateTime::now_utc();
        let (client, server) = (self.client.clone(), self.server.clone());
        let next = self
            .register
            .on_database(move |inner| {
                // Nothing happened: the turn is not worth a write.
                if known.is_some() && inner.register.last_act()? == known.unwrap_or_default() {
                    return Ok(None);
                }
                let turn = inner
                    .register
                    .take_turn(&client, &server, now, now + TURN)?;
                let Some(after) = turn else {
                    return Ok(None);
                };
                let subscriber = inner.clients.get(&client);
                let changes = subscriber
                    .map(|subscriber| inner.changes_after(subscriber, after))
                    .transpose()?;
                Ok(changes.map(|changes| (after, changes)))
            })
            .await?;
        let Some((after, changes)) = next else {
            return Ok((known, false));
        };
        if changes.last == after {
            return Ok((Some(after), false));
        }
        if !changes.people.is_empty() {
            let body = serde_json::json!({
                "after": after.0,
                "last": changes.last.0,
                "changes": changes
                    .people
                    .iter()
                    .map(|number| serde_json::json!({ "number": number.as_str() }))
                    .collect::<Vec<_>>(),
            });
            self.send(body.to_string()).await?;
        }
        let (client, server, last) = (self.client.clone(), self.server.clone(), changes.last);
        let ours = self
            .register
            .on_database(move |inner| inner.register.told(&client, &server, last))
            .await?;
        Ok((ours.then_some(last), changes.more && ours))
    }

    async fn send(&self, body: String) -> Result<(), PushError> {
        let failed = |error: &dyn std::fmt::Display| PushError::NotTaken(error.to_string());
        let address = format!(
            "{}/r1/{}/changes",
            self.settings.security_server,
            self.service.path()
        );
        let request = Request::post(address)
            .header("X-Road-Client", self.settings.client.path())
            .header("Content-Type", "application/json")
            .body(Body::from(body.into_bytes()))
            .map_err(|error| failed(&error))?;
        let options = RequestOptions::default().with_total(PATIENCE);
        let answer = self
            .http
            .request(request, &options)
            .await
            .map_err(|error| failed(&error))?;
        let status = answer.status();
        let fault = answer.headers().contains_key("X-Road-Error");
        let read = answer.into_body().collect(LARGEST_ANSWER).await;
        read.map_err(|error| failed(&error))?;
        let taken = status == StatusCode::OK
            || status == StatusCode::ACCEPTED
            || status == StatusCode::NO_CONTENT;
        if taken && !fault {
            Ok(())
        } else {
            Err(failed(&format!("status {status}")))
        }
    }
}
