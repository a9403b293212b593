//! Signing out: begun by a relying party (OpenID Connect RP-Initiated Logout 1.0), told to all of them (OpenID Connect
//! Back-Channel Logout 1.0).

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, Request};
use jose::Jws;
use oauth2::{ErrorCode, OauthError, Parameters, answer_uri};
use oidc_provider::{Authenticated, Client, ClientId, Failure, Logout, Refusal};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;
use transport::{Body, HttpClient, RequestOptions};

use super::reply::{self, Reply, failed};
use super::{Call, Oauth, SESSION_COOKIE, SIGN_OUT_PAGE};

/// How long a logout token is to be accepted (Back-Channel Logout 2.4).
pub const LOGOUT_TOKEN_LASTS: Duration = Duration::minutes(2);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Logout tokens that are read for one round.
const ROUND: usize = 5000;

/// What an ID token of ours says, however old it is.
struct Hint {
    client: String,
    sid: String,
}

impl Oauth {
    pub(super) fn logout(&self, call: &Call<'_>) -> Reply {
        self.sign_out(call)
            .unwrap_or_else(|error| reply::page(&error))
    }

    fn sign_out(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let parameters = call.parameters()?;
        let hint = match parameters.get("id_token_hint") {
            Some(text) => Some(self.hint(text)?),
            None => None,
        };
        let after = self.after_logout(&parameters, hint.as_ref())?;
        let who = self.who(call);
        // Only a relying party of this very session signs out without asking: anybody else could be any page.
        let is_its = |who: &Authenticated, hint: &Hint| {
            let client = ClientId::new(hint.client.as_str());
            self.provider.sid(&client, &who.session().id) == hint.sid
        };
        match (&who, &hint) {
            // Browsers send this site's cookies with another site's link, not with its form (SameSite=Lax).
            (None, _) if *call.method == Method::POST => {
                let names = [
                    "id_token_hint",
                    "client_id",
                    "post_logout_redirect_uri",
                    "state",
                ];
                let again: Vec<(&str, &str)> = names
                    .into_iter()
                    .filter_map(|name| Some((name, parameters.get(name)?)))
                    .collect();
                let again = format!("/oauth2/logout?{}", oauth2::form(&again));
                return Ok(reply::redirect(&again));
            }
            (None, _) => {
                return Ok(reply::redirect(after.as_deref().unwrap_or("/")));
            }
            (Some(who), Some(hint)) if is_its(who, hint) => {
                match self.provider.end_session(who, &who.session().id) {
                    Ok(()) | Err(Failure::Refused(Refusal::Nothing)) => {}
                    Err(failure) => return Err(failed(failure)),
                }
            }
            _ => return Ok(reply::redirect(SIGN_OUT_PAGE)),
        }
        let next = reply::redirect(after.as_deref().unwrap_or("/"));
        Ok(reply::with_cookie(next, SESSION_COOKIE, ""))
    }

    /// Where the browser goes afterwards: only to an address that the client registered, character for character.
    fn after_logout(
        &self,
        parameters: &Parameters,
        hint: Option<&Hint>,
    ) -> Result<Option<String>, OauthError> {
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidRequest, why);
        let named = parameters.get("client_id");
        if let (Some(named), Some(hint)) = (named, hint)
            && named != hint.client
        {
            return Err(refuse("the ID token is another client's"));
        }
        let Some(uri) = parameters.get("post_logout_redirect_uri") else {
            return Ok(None);
        };
        let client = named
            .or(hint.map(|hint| hint.client.as_str()))
            .ok_or_else(|| refuse("client_id or id_token_hint is needed for a way back"))?;
        let client = self
            .provider
            .client(&ClientId::new(client))
            .map_err(failed)?;
        let client: &Client = client.client();
        if !client.form.after_logout_uris.contains(uri) {
            return Err(refuse(
                "post_logout_redirect_uri is not registered, character for character",
            ));
        }
        let state = parameters.get("state").map(|state| ("state", state));
        Ok(Some(match state {
            Some(state) => answer_uri(uri, &self.issuer, &[state]),
            None => uri.to_owned(),
        }))
    }

    fn hint(&self, text: &str) -> Result<Hint, OauthError> {
        let refuse = || {
            OauthError::new(
                ErrorCode::InvalidRequest,
                "id_token_hint is not an ID token of this server",
            )
        };
        let jws = Jws::decode(text).map_err(|_| refuse())?;
        let verified = jws
            .verify_with_set(&self.keys().set())
            .map_err(|_| refuse())?;
        if verified.header().typ != "jwt" {
            return Err(refuse());
        }
        let claims: Value = serde_json::from_slice(verified.payload()).map_err(|_| refuse())?;
        let claim = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        match (claim("iss"), claim("aud"), claim("sid")) {
            (Some(issuer), Some(client), Some(sid)) if issuer == self.issuer => {
                Ok(Hint { client, sid })
            }
            _ => Err(refuse()),
        }
    }

    /// The logout token for a relying party (Back-Channel Logout 2.4).
    ///
    /// # Errors
    /// The key fails.
    pub fn logout_token(
        &self,
        logout: &Logout,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<String, OauthError> {
        let claims = json!({
            "iss": self.issuer,
            "aud": logout.client.as_str(),
            "sub": logout.subject,
            "sid": self.provider.sid(&logout.client, &logout.session),
            "iat": now.unix_timestamp(),
            "exp": (now + LOGOUT_TOKEN_LASTS).unix_timestamp(),
            "jti": id,
            "events": { EVENT: {} },
        });
        self.sign("logout+jwt", &claims)
    }

    /// Sends the logout tokens that wait, each to its relying party, and gives how many were taken. What is not taken
    /// waits for the next round, for a day. Relying parties are told side by side, and one that does not answer is asked
    /// once in a round: so it holds up nobody else.
    ///
    /// # Errors
    /// The database fails.
    pub async fn send_logouts(
        self: Arc<Self>,
        http: &HttpClient,
        options: &RequestOptions,
    ) -> Result<usize, OauthError> {
        let own = Arc::clone(&self);
        let waiting = blocking(move || own.provider.logouts(ROUND)).await?;
        let mut by_client: BTreeMap<String, Vec<Logout>> = BTreeMap::new();
        for logout in waiting {
            let client = logout.client.as_str().to_owned();
            by_client.entry(client).or_default().push(logout);
        }
        let mut sending = JoinSet::new();
        for logouts in by_client.into_values() {
            let (own, http, options) = (Arc::clone(&self), http.clone(), options.clone());
            sending.spawn(async move { own.send_to_one(logouts, &http, &options).await });
        }
        let mut taken = 0;
        while let Some(sent) = sending.join_next().await {
            taken += sent.map_err(|_| interrupted())??;
        }
        Ok(taken)
    }

    /// Sends one relying party its logout tokens, until it does not take one.
    async fn send_to_one(
        self: Arc<Self>,
        logouts: Vec<Logout>,
        http: &HttpClient,
        options: &RequestOptions,
    ) -> Result<usize, OauthError> {
        let (mut taken, mut answers) = (0, true);
        for logout in logouts {
            let now = OffsetDateTime::now_utc();
            let is_over = now > logout.at + Duration::DAY;
            if !answers && !is_over {
                continue;
            }
            let was_taken = answers && self.send_logout(&logout, http, options, now).await?;
            if !was_taken {
                tracing::info!(client = %logout.client, "a relying party did not take a logout token");
                answers = false;
            }
            taken += usize::from(was_taken);
            if was_taken || is_over {
                let own = Arc::clone(&self);
                blocking(move || own.provider.logout_sent(&logout, now)).await?;
            }
        }
        Ok(taken)
    }

    /// Whether the relying party took it.
    async fn send_logout(
        &self,
        logout: &Logout,
        http: &HttpClient,
        options: &RequestOptions,
        now: OffsetDateTime,
    ) -> Result<bool, OauthError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| interrupted())?;
        let token = self.logout_token(logout, &jose::to_base64url(&random), now)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(&logout.uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::full(format!("logout_token={token}")));
        let Ok(request) = request else {
            return Ok(false);
        };
        let answer = http.request(request, options).await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    }
}

fn interrupted() -> OauthError {
    OauthError::new(
        ErrorCode::TemporarilyUnavailable,
        "the work was interrupted",
    )
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, OauthError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(interrupted()),
    }
}
