//! A request for a code: pushed by the relying party, brought by a browser, answered by a redirection.

use http::StatusCode;
use oauth2::{AuthorizationRequest, ErrorCode, OauthError, Parameters, answer_uri, request_object};
use oidc_provider::{Answer, Asked, Binding, ClientId, Failure, Level, Secret, Step};
use serde_json::json;

use super::client::Caller;
use super::reply::{self, Reply, failed};
use super::{CONTINUE_PAGE, Call, INTERACTION_COOKIE, Oauth, REQUEST_URI};

impl Oauth {
    /// RFC 9126.
    pub(super) fn push(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let outer = call.form()?;
        let caller = self.caller(call, &outer)?;
        if outer.get("request_uri").is_some() {
            return Err(OauthError::new(
                ErrorCode::InvalidRequest,
                "a request_uri cannot be pushed",
            ));
        }
        let signed = match outer.get("request") {
            None => None,
            Some(text) => {
                let keys = caller.keys()?;
                Some(request_object(
                    text,
                    caller.id(),
                    &keys,
                    &self.issuer,
                    call.now,
                )?)
            }
        };
        let asked = self.asked(call, &caller, signed.as_ref().unwrap_or(&outer))?;
        let (secret, lasts) = self
            .provider
            .push(&caller.client, &asked, call.now, &call.seed)
            .map_err(failed)?;
        let body = json!({
            "request_uri": format!("{REQUEST_URI}{}", secret.expose()),
            "expires_in": lasts.whole_seconds(),
        });
        Ok(reply::json(StatusCode::CREATED, &body))
    }

    fn asked(
        &self,
        call: &Call<'_>,
        caller: &Caller,
        parameters: &Parameters,
    ) -> Result<Asked, OauthError> {
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidRequest, why);
        // An assertion may stand in for `client_id` at this endpoint, but the request must not name another.
        let request = AuthorizationRequest::decode(parameters)?;
        if request.client != caller.id() {
            return Err(refuse("the request names another client"));
        }
        let levels = request
            .acr_values
            .iter()
            .filter_map(|value| value.parse::<Level>().ok());
        let level = levels.min();
        if level.is_none() && !request.acr_values.is_empty() {
            return Err(refuse("acr_values holds none of the published levels"));
        }
        let proof = self.proof(call, None)?;
        let named = request.dpop_thumbprint.map(|jkt| Binding::Dpop { jkt });
        if proof.is_some() && named.is_some() && proof != named {
            return Err(refuse("dpop_jkt is not the key of the DPoP proof"));
        }
        Ok(Asked {
            redirect_uri: request.redirect_uri,
            scopes: request.scopes,
            state: request.state,
            nonce: request.nonce,
            challenge: request.challenge.as_str().to_owned(),
            level,
            max_age: request.max_age,
            prompt_login: request.prompt.login,
            prompt_consent: request.prompt.consent,
            prompt_none: request.prompt.none,
            binding: proof.or(named),
        })
    }

    /// OpenID Connect Core 3.1.2.2, of a request that was pushed. Until it is found, nothing goes back to any relying
    /// party: the address to which it would go is only known then.
    pub(super) fn authorize(&self, call: &Call<'_>) -> Reply {
        self.bring(call).unwrap_or_else(|error| reply::page(&error))
    }

    fn bring(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let parameters = call.parameters()?;
        let client = ClientId::new(parameters.require("client_id")?);
        let uri = parameters.get("request_uri").ok_or_else(|| {
            OauthError::new(
                ErrorCode::InvalidRequest,
                "requests are pushed first (RFC 9126); request_uri is missing",
            )
        })?;
        let secret = uri.strip_prefix(REQUEST_URI).ok_or_else(|| {
            OauthError::new(
                ErrorCode::InvalidRequestUri,
                "the request_uri is not of this server",
            )
        })?;
        let interaction = self
            .provider
            .begin(&Secret::new(secret), &client, call.now, &call.seed)
            .map_err(failed)?;
        let who = self.who(call);
        let found = self
            .provider
            .interaction(&interaction, who.as_ref(), call.now)
            .map_err(failed)?;
        match (&found.step, &who) {
            (Step::Ready, Some(who)) => {
                let scopes = &found.asked.scopes;
                let answer = self
                    .provider
                    .allow(&interaction, who, scopes, None, call.now, &call.seed)
                    .map_err(failed)?;
                Ok(reply::redirect(&self.answer_location(&answer)))
            }
            (step, who) if found.asked.prompt_none => {
                let answer = self
                    .provider
                    .refuse(&interaction, who.as_ref(), call.now)
                    .map_err(failed)?;
                let code = match step {
                    Step::SignIn { .. } => ErrorCode::LoginRequired,
                    Step::Consent { .. } => ErrorCode::ConsentRequired,
                    _ => ErrorCode::InteractionRequired,
                };
                Ok(reply::redirect(&self.refusal_location(&answer, code)))
            }
            _ => Ok(reply::with_cookie(
                reply::redirect(CONTINUE_PAGE),
                INTERACTION_COOKIE,
                interaction.expose(),
            )),
        }
    }

    /// Where the browser goes with an answer: back to the relying party, with the code, or with `access_denied` if the
    /// person refused.
    #[must_use]
    pub fn answer_location(&self, answer: &Answer) -> String {
        let Some(code) = &answer.code else {
            return self.refusal_location(answer, ErrorCode::AccessDenied);
        };
        let mut parameters = vec![("code", code.expose())];
        parameters.extend(answer.state.as_deref().map(|state| ("state", state)));
        answer_uri(&answer.redirect_uri, &self.issuer, &parameters)
    }

    /// Where the browser goes with an answer that is an error.
    #[must_use]
    pub fn refusal_location(&self, answer: &Answer, code: ErrorCode) -> String {
        let mut parameters = vec![("error", code.name())];
        parameters.extend(answer.state.as_deref().map(|state| ("state", state)));
        answer_uri(&answer.redirect_uri, &self.issuer, &parameters)
    }

    /// RFC 8628 section 3.1.
    pub(super) fn begin_device(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call.form()?;
        let caller = self.caller(call, &form)?;
        let scopes = oauth2::scopes(form.require("scope")?)?;
        let begun = self
            .provider
            .begin_device(&caller.client, &scopes, call.now, &call.seed)
            .map_err(|failure: Failure| failed(failure))?;
        let body = json!({
            "device_code": begun.poll.expose(),
            "user_code": begun.user_code.expose(),
            "verification_uri": self.at(super::DEVICE_PAGE),
            "expires_in": begun.lasts.whole_seconds(),
            "interval": begun.interval.whole_seconds(),
            // The number to be chosen on the phone, which the kiosk shows beside the code.
            "number": begun.number,
        });
        Ok(reply::json(StatusCode::OK, &body))
    }
}
