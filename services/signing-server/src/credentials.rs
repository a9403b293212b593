//! What there is: `info`, `credentials/list`, `credentials/info` (CSC API sections 11.1, 11.4, 11.5).

use csc::{
    Auth, Cert, Certificates, CredentialInfo, CredentialsInfoRequest, CredentialsListRequest,
    CredentialsListResponse, CscError, ECDSA_WITH_SHA256, InfoRequest, InfoResponse, Key, P256,
    SPECS, SignAlgorithms, SignatureFormats, generalized_time, to_base64,
};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, WWW_AUTHENTICATE};
use id_registry::PersonalNumber;
use serde::Serialize;
use server_signing::{CredentialStatus, CredentialView, Failure, Kind, MOST_DOCUMENTS, Refusal};
use time::OffsetDateTime;
use web_ui::{Frame, Language, bare};

use crate::call::{Call, LOGO_PATH, Reply, plain};
use crate::oauth::Caller;
use crate::{SigningServer, is_own_fault};

/// The methods that are there, as `info` names them.
const METHODS: [&str; 8] = [
    "credentials/list",
    "credentials/info",
    "signatures/signHash",
    "signatures/signDoc",
    "oauth2/authorize",
    "oauth2/pushed_authorize",
    "oauth2/token",
    "oauth2/revoke",
];

/// A JSON answer.
pub(crate) fn answered(status: StatusCode, value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut reply = bare(status, "application/json", text);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
}

/// An error as an answer.
pub(crate) fn refused(error: &CscError) -> Reply {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = answered(status, error);
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    reply
}

/// The error of a failure, in the words of the specification where it has them.
pub(crate) fn failed(failure: Failure) -> CscError {
    if is_own_fault(&failure) {
        return CscError::new(
            503,
            "temporarily_unavailable",
            "The service's own database or keys fail; try again later",
        );
    }
    let Failure::Refused(refusal) = failure else {
        return CscError::new(500, "server_error", "The service fails");
    };
    match &refusal {
        Refusal::UnknownCredential | Refusal::UnknownHolder => {
            CscError::invalid("Invalid parameter credentialID")
        }
        Refusal::Sad => CscError::invalid("Invalid parameter SAD"),
        Refusal::Expired => CscError::invalid("SAD expired"),
        Refusal::OtherHashes => CscError::invalid("Hash is not authorized by the SAD"),
        Refusal::CertificateOver => CscError::invalid("Signing certificate is expired"),
        Refusal::NotActive => {
            CscError::invalid("The credential identified by credentialID is disabled")
        }
        Refusal::Frozen | Refusal::Careful(_) | Refusal::Denied => {
            CscError::new(400, "access_denied", refusal)
        }
        _ => CscError::invalid(refusal),
    }
}

/// What a credential's signatures are called (section 11.11: country, law, kind).
pub(crate) const fn qualifier(kind: Kind) -> &'static str {
    match kind {
        Kind::Simple => "kg_es_simple",
        Kind::Qualified => "kg_es_qualified",
    }
}

impl SigningServer {
    /// Answers a method of the API.
    pub(crate) fn csc(&self, call: &Call<'_>, method: &str) -> Reply {
        if !call.is_post() {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        let answer = match method {
            "info" => self.info(call),
            "credentials/list" => self.credentials_list(call),
            "credentials/info" => self.credentials_info(call),
            "signatures/signHash" => self.sign_hash(call),
            "signatures/signDoc" => self.sign_doc(call),
            _ => match (&self.stamps, method) {
                (Some(stamps), "signatures/timestamp") => self.timestamp(call, stamps),
                _ => Err(CscError::new(
                    501,
                    "invalid_request",
                    "This method is not there",
                )),
            },
        };
        answer.unwrap_or_else(|error| refused(&error))
    }

    fn info(&self, call: &Call<'_>) -> Result<Reply, CscError> {
        let request: InfoRequest = if call.body.trim().is_empty() {
            InfoRequest::default()
        } else {
            CscError::reading(call.body.as_bytes())?
        };
        let language = request
            .lang
            .as_deref()
            .and_then(|lang| lang.get(..2))
            .and_then(Language::of_code)
            .unwrap_or(Language::English);
        let frame = Frame {
            texts: &self.texts,
            language,
            csrf: "",
            error: None,
        };
        let texts =
            |list: &[&str]| -> Vec<String> { list.iter().map(|text| (*text).to_owned()).collect() };
        let (mut methods, mut levels) = (texts(&METHODS), texts(&["Ades-B-B"]));
        if self.stamps.is_some() {
            methods.push("signatures/timestamp".to_owned());
            levels.push("Ades-B-T".to_owned());
        }
        let info = InfoResponse {
            specs: SPECS.to_owned(),
            name: frame.say("service-name"),
            logo: self.at(LOGO_PATH),
            region: "KG".to_owned(),
            lang: language.code().to_owned(),
            description: frame.say("service-description"),
            auth_type: texts(&["oauth2client"]),
            oauth2: Some(self.origin.clone()),
            asynchronous: false,
            methods,
            validation_info: false,
            sign_algorithms: SignAlgorithms {
                algos: texts(&[ECDSA_WITH_SHA256]),
            },
            signature_formats: SignatureFormats {
                formats: texts(&["P", "C"]),
                envelope_properties: vec![texts(&["Revision"]), texts(&["Detached"])],
            },
            conformance_levels: levels,
        };
        Ok(answered(StatusCode::OK, &info))
    }

    fn credentials_list(&self, call: &Call<'_>) -> Result<Reply, CscError> {
        let Caller::Service(client) = self.caller(call)? else {
            return Err(CscError::new(
                401,
                "invalid_token",
                "The access token is for one credential only",
            ));
        };
        let request: CredentialsListRequest = CscError::reading(call.body.as_bytes())?;
        let number: PersonalNumber = request
            .user
            .as_deref()
            .and_then(|user| user.parse().ok())
            .ok_or_else(|| CscError::invalid("Invalid parameter userID"))?;
        if !self.clients.may_look_up(client, number, call.now) {
            tracing::warn!(client = client.id, "a client looks up too many people");
            return Err(CscError::new(
                429,
                "invalid_request",
                "Too many people were looked up; try again in the next hour",
            ));
        }
        let mut found = self.signing.credentials(number).map_err(failed)?;
        if request.only_valid {
            found.retain(|view| self.status(view, call.now) == "valid");
        }
        let infos = request.credential_info.then(|| {
            found
                .iter()
                .map(|view| CredentialInfo {
                    credential: Some(view.id.clone()),
                    ..self.described(view, request.certificates, request.cert_info, call.now)
                })
                .collect()
        });
        let response = CredentialsListResponse {
            ids: found.into_iter().map(|view| view.id).collect(),
            infos,
            only_valid: request.only_valid.then_some(true),
        };
        Ok(answered(StatusCode::OK, &response))
    }

    fn credentials_info(&self, call: &Call<'_>) -> Result<Reply, CscError> {
        let caller = self.caller(call)?;
        let request: CredentialsInfoRequest = CscError::reading(call.body.as_bytes())?;
        if let Caller::Credential { credential, .. } = &caller
            && *credential != request.credential
        {
            return Err(CscError::invalid("Invalid parameter credentialID"));
        }
        let view = self
            .signing
            .credential(&request.credential)
            .map_err(failed)?;
        let info = self.described(&view, request.certificates, request.cert_info, call.now);
        Ok(answered(StatusCode::OK, &info))
    }

    fn status(&self, view: &CredentialView, now: OffsetDateTime) -> &'static str {
        match view.status {
            CredentialStatus::Revoked => "revoked",
            // Another signs in its place: no new signature comes of it, as of one that is over.
            CredentialStatus::Retired => "expired",
            CredentialStatus::Active if view.certificate.valid_at(now) => "valid",
            CredentialStatus::Active => "expired",
        }
    }

    fn described(
        &self,
        view: &CredentialView,
        certificates: Certificates,
        details: bool,
        now: OffsetDateTime,
    ) -> CredentialInfo {
        let certificate = &view.certificate;
        let status = self.status(view, now);
        let mut cert = Cert {
            status: Some(status.to_owned()),
            ..Cert::default()
        };
        if certificates != Certificates::None {
            let mut chain = vec![to_base64(certificate.der())];
            if certificates == Certificates::Chain {
                chain.extend(
                    self.authorities
                        .iter()
                        .map(|authority| to_base64(authority.der())),
                );
            }
            cert.certificates = Some(chain);
        }
        if details {
            cert.issuer = Some(certificate.issuer().rfc2253());
            cert.subject = Some(certificate.subject().rfc2253());
            cert.serial_number = Some(hex::encode_upper(certificate.serial()));
            cert.valid_from = Some(generalized_time(certificate.not_before()));
            cert.valid_to = Some(generalized_time(certificate.not_after()));
        }
        let key = if status == "valid" {
            "enabled"
        } else {
            "disabled"
        };
        CredentialInfo {
            credential: None,
            signature_qualifier: Some(qualifier(view.kind).to_owned()),
            key: Key {
                status: key.to_owned(),
                algo: vec![ECDSA_WITH_SHA256.to_owned()],
                len: 256,
                curve: Some(P256.to_owned()),
            },
            cert,
            auth: Auth {
                mode: "oauth2code".to_owned(),
            },
            scal: "2".to_owned(),
            multisign: MOST_DOCUMENTS,
        }
    }
}
