//! The token endpoint.

use http::StatusCode;
use oauth2::{ErrorCode, OauthError, TokenRequest, id_token_hash};
use oidc_provider::{About, Redemption, Secret, Tokens};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::reply::{self, Reply, failed};
use super::{Call, Oauth};

/// How long an ID token is to be accepted. It is read at once.
pub const ID_TOKEN_LASTS: Duration = Duration::minutes(5);

impl Oauth {
    pub(super) fn token(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call.form()?;
        let caller = self.caller(call, &form)?;
        let request = TokenRequest::decode(&form)?;
        let binding = self.binding(call, &caller)?;
        let binding = binding.as_ref();
        let client = &caller.client;
        let tokens = match request {
            TokenRequest::Code {
                code,
                redirect_uri,
                verifier,
            } => {
                let given = Redemption {
                    code: &Secret::new(code),
                    redirect_uri,
                    verifier: &Secret::new(verifier),
                    binding,
                };
                self.provider.redeem(client, given, call.now, &call.seed)
            }
            TokenRequest::Refresh { token, scope } => {
                let scopes = scope.map(oauth2::scopes).transpose()?;
                let token = Secret::new(token);
                self.provider.refresh(
                    client,
                    &token,
                    scopes.as_ref(),
                    binding,
                    call.now,
                    &call.seed,
                )
            }
            TokenRequest::Device { code } => {
                let code = Secret::new(code);
                self.provider
                    .poll_device(client, &code, binding, call.now, &call.seed)
            }
        }
        .map_err(failed)?;
        self.issued(&tokens, call.now)
    }

    fn issued(&self, tokens: &Tokens, now: OffsetDateTime) -> Result<Reply, OauthError> {
        let scopes: Vec<&str> = tokens.about.scopes.iter().map(String::as_str).collect();
        let id_token = self.id_token(&tokens.about, tokens.access.expose(), now)?;
        let dpop = matches!(tokens.binding, Some(oidc_provider::Binding::Dpop { .. }));
        let mut body = json!({
            "access_token": tokens.access.expose(),
            "token_type": if dpop { "DPoP" } else { "Bearer" },
            "expires_in": tokens.access_lasts.whole_seconds(),
            "scope": scopes.join(" "),
            "id_token": id_token,
        });
        if let Some(refresh) = &tokens.refresh {
            body["refresh_token"] = refresh.expose().into();
        }
        Ok(reply::json(StatusCode::OK, &body))
    }

    /// OpenID Connect Core 2 and 3.1.3.6. Says how somebody was recognised, not who it is.
    fn id_token(
        &self,
        about: &About,
        access: &str,
        now: OffsetDateTime,
    ) -> Result<String, OauthError> {
        let mut claims = json!({
            "iss": self.issuer,
            "sub": about.subject,
            "aud": about.client.as_str(),
            "iat": now.unix_timestamp(),
            "exp": (now + ID_TOKEN_LASTS).unix_timestamp(),
            "auth_time": about.proved_at.unix_timestamp(),
            "acr": about.level.acr(),
            "amr": about.amr,
            "sid": about.sid,
            "at_hash": id_token_hash(access),
        });
        if let Some(nonce) = &about.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        if let Some(actor) = actor(about) {
            claims["act"] = actor;
        }
        self.sign("JWT", &claims)
    }

    pub(super) fn sign(&self, typ: &str, claims: &Value) -> Result<String, OauthError> {
        self.keys().active.sign(typ, claims).map_err(|error| {
            tracing::error!(%error, "the key that signs tokens failed");
            OauthError::new(
                ErrorCode::TemporarilyUnavailable,
                "the server's own key fails; try again later",
            )
        })
    }
}

/// Who acts for the subject (RFC 8693 section 4.1), in which theme. Not by number: ID tokens stand in addresses
/// (`id_token_hint`).
pub(super) fn actor(about: &About) -> Option<Value> {
    let actor = about.actor.as_ref()?;
    let mut act = json!({ "sub": actor });
    if let Some(theme) = about
        .theme
        .and_then(|theme| serde_json::to_value(theme).ok())
    {
        act["theme"] = theme;
    }
    Some(act)
}
