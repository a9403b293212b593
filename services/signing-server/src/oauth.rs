//! Tokens, and requests for signatures (CSC API section 8.4).
//!
//! Nothing here is kept: a request that waits, a code and a token are tickets of the service, so that any node reads
//! them. What must happen once happens once because the authorisation in the database says so.

use csc::{AuthorizationDetail, CscError, DocumentDigest, SHA256, decode_hashes};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY, HeaderValue};
use oauth2::{
    Challenge, ClientAssertion, ErrorCode, OauthError, Parameters, TokenRequest, answer_uri, fits,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use server_signing::{
    CASE_LASTS, Document, Failure, Matter, Purpose, Refusal, Sad, Statement, TIME_TO_CONFIRM,
};
use time::{Duration, OffsetDateTime};
use web_ui::{Language, bare, see_other, set_cookie};

use crate::call::{Call, Reply, plain};
use crate::clients::{Client, Duty};
use crate::{SigningServer, credentials, is_own_fault};

/// How long a service token is good.
pub const SERVICE_TOKEN_LASTS: Duration = Duration::minutes(10);
/// How long a client may take to redeem a code.
pub const CREDENTIAL_CODE_LASTS: Duration = Duration::minutes(1);
/// How a pushed request is named (RFC 9126 section 2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";
/// Longest `state`, in bytes.
const LONGEST_STATE: usize = 512;

/// A request that waits for its person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) challenge: String,
    /// The authorisation; of somebody who confirms at a desk, the case.
    pub(crate) handle: String,
    /// The code of the case, for the officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// Whether it was asked by authorization details, which the token repeats.
    pub(crate) detailed: bool,
}

impl Waiting {
    /// How long it may wait.
    fn lasts(&self) -> Duration {
        if self.code.is_some() {
            CASE_LASTS
        } else {
            TIME_TO_CONFIRM
        }
    }
}

/// What a service token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ServiceToken {
    client: String,
    /// No two are the same.
    id: String,
}

/// What a credential token says: it carries the signature activation data, which open nothing but its authorisation.
#[derive(Serialize, Deserialize)]
struct CredentialToken {
    client: String,
    credential: String,
    sad: String,
}

/// Who calls, and what for.
pub(crate) enum Caller<'a> {
    /// A client that may call the service.
    Service(&'a Client),
    /// A client that may have the signatures of one authorisation.
    Credential {
        client: &'a Client,
        credential: String,
        sad: Sad,
    },
}

impl<'a> Caller<'a> {
    pub(crate) const fn client(&self) -> &'a Client {
        match self {
            Self::Service(client) | Self::Credential { client, .. } => client,
        }
    }
}

fn json_reply(status: StatusCode, value: &Value) -> Reply {
    let mut reply = bare(status, "application/json", value.to_string());
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
}

fn error_reply(error: &OauthError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    json_reply(status, &error.to_value())
}

fn refused(code: ErrorCode, why: impl ToString) -> OauthError {
    OauthError::new(code, why)
}

fn invalid(error: CscError) -> OauthError {
    refused(ErrorCode::InvalidRequest, error.error_description)
}

/// The error of a failure. What the database says stays here.
fn failed(failure: Failure) -> OauthError {
    if is_own_fault(&failure) {
        return refused(
            ErrorCode::TemporarilyUnavailable,
            "the service's own database or keys fail; try again later",
        );
    }
    let Failure::Refused(refusal) = failure else {
        return refused(ErrorCode::ServerError, "the service fails");
    };
    let code = match &refusal {
        Refusal::Ticket
        | Refusal::Replay
        | Refusal::UnknownAuthorisation
        | Refusal::Pending
        | Refusal::Expired => ErrorCode::InvalidGrant,
        Refusal::Denied
        | Refusal::Frozen
        | Refusal::Careful(_)
        | Refusal::NotActive
        | Refusal::CertificateOver
        | Refusal::Desk(_) => ErrorCode::AccessDenied,
        Refusal::TooMany => ErrorCode::TemporarilyUnavailable,
        _ => ErrorCode::InvalidRequest,
    };
    refused(code, refusal)
}

impl SigningServer {
    pub(crate) fn oauth(&self, call: &Call<'_>) -> Reply {
        let reply = match (call.path, call.is_get(), call.is_post()) {
            ("/.well-known/oauth-authorization-server", true, _) => {
                Ok(json_reply(StatusCode::OK, &self.metadata()))
            }
            ("/oauth2/token", _, true) => self.token(call),
            ("/oauth2/revoke", _, true) => self.revoke(call),
            ("/oauth2/pushed_authorize", _, true) => self.push(call),
            ("/oauth2/authorize", true, _) => return self.authorize(call),
            (
                "/oauth2/token"
                | "/oauth2/revoke"
                | "/oauth2/pushed_authorize"
                | "/oauth2/authorize",
                ..,
            ) => {
                return plain(StatusCode::METHOD_NOT_ALLOWED, "");
            }
            _ => return plain(StatusCode::NOT_FOUND, ""),
        };
        reply.unwrap_or_else(|error| error_reply(&error))
    }

    /// What the authorization server says of itself (RFC 8414).
    fn metadata(&self) -> Value {
        json!({
            "issuer": self.origin,
            "authorization_endpoint": self.at("/oauth2/authorize"),
            "token_endpoint": self.at("/oauth2/token"),
            "revocation_endpoint": self.at("/oauth2/revoke"),
            "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
            "revocation_endpoint_auth_signing_alg_values_supported": ["ES256", "EdDSA", "PS256"],
            "pushed_authorization_request_endpoint": self.at("/oauth2/pushed_authorize"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["client_credentials", "authorization_code"],
            "scopes_supported": ["service", "credential"],
            "authorization_details_types_supported": [csc::CREDENTIAL],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "EdDSA", "PS256"],
            "authorization_response_iss_parameter_supported": true,
            "ui_locales_supported": ["ky", "ru", "en"],
        })
    }

    /// The client that proves who it is by an assertion (RFC 7523), each assertion once.
    fn proven(&self, call: &Call<'_>, form: &Parameters) -> Result<&Client, OauthError> {
        let assertion = ClientAssertion::decode(form)?.ok_or_else(|| {
            refused(
                ErrorCode::InvalidClient,
                "the client must send a client_assertion",
            )
        })?;
        let client = self
            .clients
            .find(assertion.client())
            .ok_or_else(|| refused(ErrorCode::InvalidClient, "there is no such client"))?;
        let proven = assertion.verify(&client.keys, &self.origin, call.now)?;
        let space = format!("assertion {}", proven.client());
        self.signing
            .use_once(&space, proven.id(), proven.expires())
            .map_err(|failure| match failure {
                Failure::Refused(Refusal::Replay) => refused(
                    ErrorCode::InvalidClient,
                    "the client assertion was used before; make a new one",
                ),
                other => failed(other),
            })?;
        Ok(client)
    }

    fn token(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call
            .form()
            .ok_or_else(|| refused(ErrorCode::InvalidRequest, "the body must be a form"))?;
        let client = self.proven(call, &form)?;
        if form.get("grant_type") == Some("client_credentials") {
            return self.service_token(call, client, &form);
        }
        let TokenRequest::Code {
            code,
            redirect_uri,
            verifier,
        } = TokenRequest::decode(&form)?
        else {
            return Err(refused(
                ErrorCode::UnsupportedGrantType,
                "grant_type must be client_credentials or authorization_code",
            ));
        };
        let wrong = |why: &str| refused(ErrorCode::InvalidGrant, why);
        let waiting: Waiting = self
            .signing
            .opened(Purpose::Code, code, call.now)
            .map_err(failed)?;
        if waiting.client != client.id {
            return Err(wrong("the code is another client's"));
        }
        if waiting.redirect_uri != redirect_uri {
            return Err(wrong("redirect_uri is another than in the request"));
        }
        if !fits(&challenge_of(&waiting.challenge)?, verifier) {
            return Err(wrong("code_verifier does not fit the request's challenge"));
        }
        let statement = self
            .signing
            .show(&waiting.handle, call.now)
            .map_err(failed)?
            .statement;
        let (sad, until) = self
            .signing
            .take_sad(&client.id, &waiting.handle, &call.seed, call.now)
            .map_err(failed)?;
        let Matter::Sign { credential, .. } = &statement.matter else {
            return Err(wrong("the code is not for signatures"));
        };
        let token = CredentialToken {
            client: client.id.clone(),
            credential: credential.clone(),
            sad: sad.expose().to_owned(),
        };
        let mut body = json!({
            "access_token": self.signing.ticket(Purpose::Credential, &token, until).map_err(failed)?,
            "token_type": "Bearer",
            "expires_in": (until - call.now).whole_seconds(),
            "scope": "credential",
            "credentialID": credential,
        });
        if waiting.detailed {
            body["authorization_details"] = json!([detail(&statement)]);
        }
        Ok(json_reply(StatusCode::OK, &body))
    }

    fn service_token(
        &self,
        call: &Call<'_>,
        client: &Client,
        form: &Parameters,
    ) -> Result<Reply, OauthError> {
        if form.get("scope").is_some_and(|scope| scope != "service") {
            return Err(refused(
                ErrorCode::InvalidScope,
                "client credentials give the scope service",
            ));
        }
        let token = ServiceToken {
            client: client.id.clone(),
            id: call.seed.id("service token"),
        };
        let until = call.now + SERVICE_TOKEN_LASTS;
        let token = self
            .signing
            .ticket(Purpose::Service, &token, until)
            .map_err(failed)?;
        let body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": SERVICE_TOKEN_LASTS.whole_seconds(),
            "scope": "service",
        });
        Ok(json_reply(StatusCode::OK, &body))
    }

    /// RFC 9126: names of documents and everything else do not pass through the browser's address.
    fn push(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call
            .form()
            .ok_or_else(|| refused(ErrorCode::InvalidRequest, "the body must be a form"))?;
        let client = self.proven(call, &form)?;
        let waiting = self.ask(call, client, &form)?;
        let lasts = waiting.lasts();
        let ticket = self
            .signing
            .ticket(Purpose::Request, &waiting, call.now + lasts)
            .map_err(failed)?;
        let body = json!({
            "request_uri": format!("{REQUEST_URI}{ticket}"),
            "expires_in": lasts.whole_seconds(),
        });
        Ok(json_reply(StatusCode::CREATED, &body))
    }

    /// Asks the person of a credential to sign.
    fn ask(
        &self,
        call: &Call<'_>,
        client: &Client,
        parameters: &Parameters,
    ) -> Result<Waiting, OauthError> {
        let redirect_uri = self.registered(client, parameters)?;
        if !client.duties.contains(&Duty::Sign) {
            return Err(refused(
                ErrorCode::UnauthorizedClient,
                "this client may not ask for signatures",
            ));
        }
        if parameters.require("response_type")? != "code" {
            return Err(refused(
                ErrorCode::UnsupportedResponseType,
                "response_type must be code",
            ));
        }
        let state = parameters.get("state");
        if state.is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(refused(ErrorCode::InvalidRequest, "state is too long"));
        }
        let challenge = Challenge::decode(parameters)?;
        let (credential, documents) = asked_for(parameters)?;
        let (signing, seed) = (&self.signing, &call.seed);
        let asked = signing.ask_to_sign(
            &client.id,
            &credential,
            documents.clone(),
            None,
            seed,
            call.now,
        );
        let (handle, code) = match asked {
            Ok(asked) => (asked.handle, None),
            // Somebody without a key of their own confirms at a desk.
            Err(Failure::Refused(Refusal::Desk(_))) => {
                let opened = signing
                    .ask_to_sign_at_desk(&client.id, &credential, documents, seed, call.now)
                    .map_err(failed)?;
                (opened.id, Some(opened.code))
            }
            Err(failure) => return Err(failed(failure)),
        };
        Ok(Waiting {
            client: client.id.clone(),
            redirect_uri,
            state: state.map(str::to_owned),
            challenge: challenge.as_str().to_owned(),
            handle,
            code,
            detailed: parameters.get("authorization_details").is_some(),
        })
    }

    fn registered(&self, client: &Client, parameters: &Parameters) -> Result<String, OauthError> {
        let redirect_uri = parameters.require("redirect_uri")?;
        if client.redirect_uris.contains(redirect_uri) {
            Ok(redirect_uri.to_owned())
        } else {
            Err(refused(
                ErrorCode::InvalidRequest,
                "redirect_uri is not registered, character for character",
            ))
        }
    }

    /// The browser brings a request. Until it is certain whose it is, nothing goes back to any client.
    fn authorize(&self, call: &Call<'_>) -> Reply {
        let visit = match self.visit(call) {
            Ok(visit) => visit,
            Err(reply) => return *reply,
        };
        let Ok(parameters) = Parameters::decode(call.query) else {
            return visit.mistaken("the query cannot be read");
        };
        let Some(client) = parameters
            .get("client_id")
            .and_then(|id| self.clients.find(id))
        else {
            return visit.mistaken("client_id is missing, or there is no such client");
        };
        let waiting = match parameters.get("request_uri") {
            Some(uri) => {
                let opened = uri.strip_prefix(REQUEST_URI).and_then(|ticket| {
                    let opened = self.signing.opened(Purpose::Request, ticket, call.now);
                    opened.ok()
                });
                match opened {
                    Some(waiting) => waiting,
                    None => return visit.mistaken("request_uri is not good, or its time is over"),
                }
            }
            None => {
                let redirect_uri = match self.registered(client, &parameters) {
                    Ok(uri) => uri,
                    Err(error) => return visit.mistaken(&error.description),
                };
                match self.ask(call, client, &parameters) {
                    Ok(waiting) => waiting,
                    Err(error) => {
                        let state = parameters.get("state");
                        return see_other(&self.error_location(&redirect_uri, state, &error));
                    }
                }
            }
        };
        if waiting.client != client.id {
            return visit.mistaken("request_uri is another client's");
        }
        self.brought(call, &parameters, &waiting)
    }

    /// The request is tied to the browser that brought it.
    fn brought(&self, call: &Call<'_>, parameters: &Parameters, waiting: &Waiting) -> Reply {
        let lasts = waiting.lasts();
        let ticket = match self
            .signing
            .ticket(Purpose::Browser, waiting, call.now + lasts)
        {
            Ok(ticket) => ticket,
            Err(failure) => return error_reply(&failed(failure)),
        };
        let language = parameters
            .get("lang")
            .and_then(|lang| lang.get(..2))
            .and_then(Language::of_code)
            .map_or_else(String::new, |language| {
                format!("?language={}", language.code())
            });
        let mut reply = see_other(&format!("/confirm/{}{language}", waiting.handle));
        let lasts = u32::try_from(lasts.whole_seconds()).ok();
        set_cookie(&mut reply, &browser_cookie(&waiting.handle), &ticket, lasts);
        reply
    }

    /// The code for the client, once the person confirmed.
    pub(crate) fn code_location(
        &self,
        waiting: &Waiting,
        now: OffsetDateTime,
    ) -> Result<String, Failure> {
        let until = now + CREDENTIAL_CODE_LASTS;
        let code = self.signing.ticket(Purpose::Code, waiting, until)?;
        let mut parameters = vec![("code", code.as_str())];
        parameters.extend(waiting.state.as_deref().map(|state| ("state", state)));
        Ok(answer_uri(&waiting.redirect_uri, &self.origin, &parameters))
    }

    /// Where the browser goes with an error.
    pub(crate) fn error_location(
        &self,
        redirect_uri: &str,
        state: Option<&str>,
        error: &OauthError,
    ) -> String {
        let mut parameters = vec![
            ("error", error.code.name()),
            ("error_description", error.description.as_str()),
        ];
        parameters.extend(state.map(|state| ("state", state)));
        answer_uri(redirect_uri, &self.origin, &parameters)
    }

    /// Who calls with which token (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// `invalid_token`.
    pub(crate) fn caller(&self, call: &Call<'_>) -> Result<Caller<'_>, CscError> {
        let wrong = || CscError::new(401, "invalid_token", "The access token is not valid");
        let token = call
            .header(AUTHORIZATION.as_str())
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token)
            .ok_or_else(|| CscError::new(401, "invalid_token", "Malformed authorization header"))?;
        let found = match self.service_client(token, call.now) {
            Some(client) => Some(Caller::Service(client)),
            None => self.credential_token(token, call.now),
        };
        let caller = found.ok_or_else(wrong)?;
        self.not_revoked(token)?.then_some(caller).ok_or_else(wrong)
    }

    /// Whose service token this is, revoked or not.
    fn service_client(&self, token: &str, now: OffsetDateTime) -> Option<&Client> {
        let token: ServiceToken = self.signing.opened(Purpose::Service, token, now).ok()?;
        self.clients.find(&token.client)
    }

    /// Whose credential token this is, and for what, revoked or not.
    fn credential_token(&self, token: &str, now: OffsetDateTime) -> Option<Caller<'_>> {
        let token: CredentialToken = self.signing.opened(Purpose::Credential, token, now).ok()?;
        Some(Caller::Credential {
            client: self.clients.find(&token.client)?,
            credential: token.credential,
            sad: Sad::presented(token.sad),
        })
    }

    fn not_revoked(&self, token: &str) -> Result<bool, CscError> {
        match self.signing.is_withdrawn(token) {
            Ok(withdrawn) => Ok(!withdrawn),
            Err(failure) => Err(credentials::failed(failure)),
        }
    }

    /// A credential token that stands as `SAD` beside a service token.
    pub(crate) fn presented_sad(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Caller<'_>, CscError> {
        let wrong = || CscError::invalid("Invalid parameter SAD");
        let caller = self.credential_token(token, now).ok_or_else(wrong)?;
        self.not_revoked(token)?.then_some(caller).ok_or_else(wrong)
    }

    /// A client ends a token of its own at every node (RFC 7009). What is no token, or none any more, is as good as ended.
    fn revoke(&self, call: &Call<'_>) -> Result<Reply, OauthError> {
        let form = call
            .form()
            .ok_or_else(|| refused(ErrorCode::InvalidRequest, "the body must be a form"))?;
        let client = self.proven(call, &form)?;
        let token = form.require("token")?;
        let owner = self.service_client(token, call.now).or_else(|| {
            let caller = self.credential_token(token, call.now)?;
            Some(caller.client())
        });
        match owner {
            Some(owner) if owner.id != client.id => {
                return Err(refused(
                    ErrorCode::InvalidGrant,
                    "the token is another client's",
                ));
            }
            // No token is good for longer.
            Some(_) => self
                .signing
                .withdraw(token, call.now + SERVICE_TOKEN_LASTS)
                .map_err(failed)?,
            None => {}
        }
        Ok(plain(StatusCode::OK, ""))
    }
}

fn challenge_of(text: &str) -> Result<Challenge, OauthError> {
    let form = format!("code_challenge={text}&code_challenge_method=S256");
    Challenge::decode(&Parameters::decode(&form)?)
}

/// The cookie of a request. Its name holds the handle, so that several tabs do not disturb one another.
pub(crate) fn browser_cookie(handle: &str) -> String {
    format!("__Host-ask-{handle}")
}

/// The credential and the documents of a request: by authorization details, or by `hashes`.
fn asked_for(parameters: &Parameters) -> Result<(String, Vec<Document>), OauthError> {
    if let Some(text) = parameters.get("authorization_details") {
        let detail = AuthorizationDetail::decode(text).map_err(invalid)?;
        let documents = detail.documents().map_err(invalid)?;
        let documents = documents
            .iter()
            .enumerate()
            .map(|(place, (hash, label))| named(hash, *label, place))
            .collect::<Result<_, _>>()?;
        let credential = detail.credential.ok_or_else(|| {
            refused(
                ErrorCode::InvalidRequest,
                "Missing parameter credentialID in authorization_details",
            )
        })?;
        return Ok((credential, documents));
    }
    if parameters.get("scope") != Some("credential") {
        return Err(refused(
            ErrorCode::InvalidScope,
            "people authorise the scope credential; a service token comes by client_credentials",
        ));
    }
    if parameters
        .get("hashAlgorithmOID")
        .is_some_and(|algorithm| algorithm != SHA256)
    {
        return Err(refused(
            ErrorCode::InvalidRequest,
            "Invalid parameter hashAlgorithmOID",
        ));
    }
    let hashes = decode_hashes(parameters.require("hashes")?).map_err(invalid)?;
    if let Some(count) = parameters.get("numSignatures")
        && count.parse() != Ok(hashes.len())
    {
        return Err(refused(
            ErrorCode::InvalidRequest,
            "numSignatures is not the number of hashes",
        ));
    }
    let documents = hashes
        .iter()
        .enumerate()
        .map(|(place, hash)| named(hash, parameters.get("description"), place))
        .collect::<Result<_, _>>()?;
    Ok((parameters.require("credentialID")?.to_owned(), documents))
}

/// A document under its name; without one, under its number.
fn named(hash: &[u8], label: Option<&str>, place: usize) -> Result<Document, OauthError> {
    let number = format!("№ {}", place + 1);
    Document::new(label.unwrap_or(&number), hash)
        .map_err(|refusal| refused(ErrorCode::InvalidRequest, refusal))
}

/// What was authorised, as it was asked (RFC 9396 section 7).
fn detail(statement: &Statement) -> Value {
    let Matter::Sign {
        credential,
        documents,
        ..
    } = &statement.matter
    else {
        return Value::Null;
    };
    let detail = AuthorizationDetail {
        kind: csc::CREDENTIAL.to_owned(),
        credential: Some(credential.clone()),
        documents: documents
            .iter()
            .map(|document| DocumentDigest {
                hash: csc::to_base64(&hex::decode(&document.hash).unwrap_or_default()),
                label: Some(document.name.clone()),
            })
            .collect(),
        hash_algorithm: SHA256.to_owned(),
    };
    serde_json::to_value(detail).unwrap_or_default()
}
