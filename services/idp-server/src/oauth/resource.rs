//! What access tokens open, and what becomes of tokens.

use http::StatusCode;
use oauth2::{ErrorCode, OauthError};
use oidc_provider::{About, Access, Binding, Failure, Refusal, Secret};
use serde_json::{Value, json};

use super::client::bound_to;
use super::reply::{self, Reply, failed};
use super::token::{ID_TOKEN_LASTS, actor};
use super::{Call, Oauth};

impl Oauth {
    /// OpenID Connect Core 5.3. Whoever accepts `application/jwt` gets it signed (5.3.2), for others to judge: who the
    /// person is, how surely, and which relying party it was told.
    pub(super) fn userinfo(&self, call: &Call<'_>) -> Reply {
        let answer = self.presented(call).and_then(|access| {
            let about = access.about();
            let mut claims = self.claims(about)?;
            let wanted = call.header("accept").ok().flatten().unwrap_or_default();
            if wanted.trim() != "application/jwt" {
                return Ok(reply::json(StatusCode::OK, &claims));
            }
            claims["iss"] = self.issuer.as_str().into();
            claims["aud"] = about.client.as_str().into();
            claims["iat"] = call.now.unix_timestamp().into();
            claims["exp"] = (call.now + ID_TOKEN_LASTS).unix_timestamp().into();
            claims["auth_time"] = about.proved_at.unix_timestamp().into();
            claims["acr"] = about.level.acr().into();
            // Typed, so that it is never taken for an ID token (RFC 8725 section 3.11).
            let signed = self.sign("userinfo+jwt", &claims)?;
            Ok(reply::text(StatusCode::OK, "application/jwt", signed))
        });
        answer.unwrap_or_else(|error| reply::challenge(&error))
    }

    fn claims(&self, about: &About) -> Result<Value, OauthError> {
        let mut claims = match &about.person {
            Some(person) => self
                .people
                .claims(person, &about.scopes)
                .map_err(|error| failed(Failure::Store(error)))?,
            None => serde_json::Map::new(),
        };
        claims.insert("sub".to_owned(), about.subject.as_str().into());
        if let Some(person) = about.person.filter(|_| about.scopes.contains("number")) {
            claims.insert("number".to_owned(), person.as_str().into());
        }
        let organisation = about.organisation.as_ref();
        if let Some(number) = organisation.filter(|_| about.scopes.contains("number")) {
            claims.insert("organisation".to_owned(), number.as_str().into());
        }
        if let Some(mut actor) = actor(about) {
            let person = about.acting_person.as_ref();
            if let Some(number) = person.filter(|_| about.scopes.contains("number")) {
                actor["number"] = number.as_str().into();
            }
            claims.insert("act".to_owned(), actor);
        }
        for (name, value) in [("email", &about.email), ("phone_number", &about.phone)] {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value.as_str().into());
                claims.insert(format!("{name}_verified"), true.into());
            }
        }
        Ok(Value::Object(claims))
    }

    /// The access token of a call, by whoever holds its key (RFC 6750 section 2.1, RFC 9449 section 7.1, RFC 8705
    /// section 3). A token that is bound to a key is never taken as a bearer token.
    fn presented(&self, call: &Call<'_>) -> Result<Access, OauthError> {
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidToken, why);
        let header = call
            .header("authorization")?
            .ok_or_else(|| refuse("the access token is missing"))?;
        let (scheme, token) = header
            .split_once(' ')
            .ok_or_else(|| refuse("the access token is missing"))?;
        let secret = Secret::new(token);
        let access = |binding: Option<&Binding>| self.provider.access(&secret, binding, call.now);
        if scheme.eq_ignore_ascii_case("DPoP") {
            let proof = self.unused_proof(call, Some(token))?.ok_or_else(|| {
                OauthError::new(ErrorCode::InvalidDpopProof, "the DPoP proof is missing")
            })?;
            let access = access(Some(&bound_to(&proof))).map_err(presented_failed)?;
            // Only now: what strangers send writes nothing.
            self.use_proof(&proof)?;
            return Ok(access);
        }
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(refuse("the access token comes as Bearer or DPoP"));
        }
        let found = match (access(None), call.certificate) {
            (Err(Failure::Refused(Refusal::OtherKey)), Some(der)) => {
                let thumbprint = jose::sha256_base64url(der);
                access(Some(&Binding::Certificate { thumbprint }))
            }
            (found, _) => found,
        };
        found.map_err(presented_failed)
    }

    /// RFC 7662, of the relying party's own tokens: of others it learns nothing.
    pub(super) fn introspect(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call.form()?;
        let caller = self.caller(call, &form)?;
        let token = Secret::new(form.require("token")?);
        let access = match self.provider.introspect(&token, call.now) {
            Ok(access) if access.about().client.as_str() == caller.id() => access,
            Ok(_) | Err(Failure::Refused(_)) => {
                return Ok(reply::json(StatusCode::OK, &json!({ "active": false })));
            }
            Err(failure) => return Err(failed(failure)),
        };
        let about = access.about();
        let scopes: Vec<&str> = about.scopes.iter().map(String::as_str).collect();
        let mut body = json!({
            "active": true,
            "iss": self.issuer,
            "client_id": about.client.as_str(),
            "sub": about.subject,
            "scope": scopes.join(" "),
            "exp": access.until().unix_timestamp(),
            "acr": about.level.acr(),
            "auth_time": about.proved_at.unix_timestamp(),
            "token_type": "Bearer",
        });
        match access.binding() {
            Some(Binding::Dpop { jkt }) => {
                body["cnf"] = json!({ "jkt": jkt });
                body["token_type"] = "DPoP".into();
            }
            Some(Binding::Certificate { thumbprint }) => {
                body["cnf"] = json!({ "x5t#S256": thumbprint });
            }
            None => {}
        }
        if let Some(actor) = actor(about) {
            body["act"] = actor;
        }
        Ok(reply::json(StatusCode::OK, &body))
    }

    /// RFC 7009.
    pub(super) fn revoke(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call.form()?;
        let caller = self.caller(call, &form)?;
        let token = Secret::new(form.require("token")?);
        self.provider
            .revoke(&caller.client, &token, call.now)
            .map_err(failed)?;
        Ok(reply::status(StatusCode::OK))
    }
}

fn presented_failed(failure: Failure) -> OauthError {
    match failure {
        Failure::Refused(refusal) => OauthError::new(ErrorCode::InvalidToken, refusal),
        store @ Failure::Store(_) => failed(store),
    }
}
