//! The signing service over HTTPS: the Cloud Signature Consortium's API v2 for portals and banks, the pages on which
//! people confirm, officers' desk pages, and what the identity provider tells it.
//!
//! | path | what | standard |
//! |---|---|---|
//! | `/csc/v2/info`, `/csc/v2/credentials/list`, `/csc/v2/credentials/info` | what there is | CSC API 11.1, 11.4, 11.5 |
//! | `/csc/v2/signatures/signHash`, `signDoc`, `timestamp` | the signatures that were authorised; time-stamps | CSC API 11.10, 11.11, 11.13 |
//! | `/oauth2/token` | service tokens by client credentials, credential tokens by code | CSC API 8.4.4 |
//! | `/oauth2/revoke` | a client ends a token of its own | CSC API 8.4.5, RFC 7009 |
//! | `/oauth2/pushed_authorize`, `/oauth2/authorize` | what a person is asked to authorise | CSC API 8.4.2, 8.4.3, RFC 9126, RFC 9396 |
//! | `/confirm/HANDLE` | the person confirms or refuses | |
//! | `/compare/HANDLE` | the same, to look at on a second device | |
//! | `/approve/HANDLE` | enrolment, renewal, revocation, recovery, lifting of a freeze: confirmed by all who must | |
//! | `/enrol` | the person's own device, by a code from the officer or by an identity card | |
//! | `/me`, `/desk`, `/sign-in` | what is somebody's own; the officers' desk | |
//! | `/officer` | a passkey for somebody whom an operator makes an officer | |
//! | `/people/freeze`, `/people/recovered` | the identity provider says so | |
//! | `/people/changes` | the identity provider asks whom to write to | |
//!
//! What is decided is decided in `server-signing`. [`SigningServer::answer`] is a function from a [`Call`] to a reply, with
//! the time and random bytes in the call; [`SigningServer::handle`] is the rim.

mod approve;
mod authority;
mod call;
mod clients;
mod confirm;
mod credentials;
mod desk;
mod enrol;
mod loops;
mod me;
mod oauth;
mod pages;
mod people;
mod signatures;
mod stamps;
mod visits;

use std::sync::Arc;

use http::StatusCode;
use pki::Certificate;
use server_signing::{Failure, Signing};
use web_ui::{Texts, asset};

pub use authority::{Authority, AuthorityError, RemoteAuthority};
pub use call::{Call, MAX_BODY, MAX_DOCUMENTS, Reply};
pub use clients::{Client, Clients, Duty, MOST_PEOPLE_AN_HOUR};
pub use oauth::{CREDENTIAL_CODE_LASTS, SERVICE_TOKEN_LASTS};
pub use stamps::Stamps;

use call::plain;

/// This build's texts are broken.
pub use web_ui::TextError;

/// The service.
pub struct SigningServer {
    signing: Signing,
    clients: Clients,
    /// The address under which clients and people know it, without a slash at the end.
    origin: String,
    /// The certificates above people's, from the issuer up.
    authorities: Vec<Certificate>,
    /// Who certifies people's keys; none: nobody is enrolled here.
    authority: Option<Arc<dyn Authority>>,
    /// Who stamps; none: signatures are of level B-B.
    stamps: Option<Stamps>,
    texts: Texts,
}

impl std::fmt::Debug for SigningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningServer")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl SigningServer {
    /// The service at `origin` (scheme, host and port without a slash at the end), for these clients; `authorities` are
    /// the certificates above people's, from the issuer up.
    ///
    /// # Errors
    /// This build's texts are broken.
    pub fn new(
        signing: Signing,
        clients: Clients,
        origin: impl Into<String>,
        authorities: Vec<Certificate>,
        authority: Option<Arc<dyn Authority>>,
    ) -> Result<Self, TextError> {
        Ok(Self {
            signing,
            clients,
            origin: origin.into(),
            authorities,
            authority,
            stamps: None,
            texts: Texts::new(web_ui::sources!())?,
        })
    }

    /// The same service with time-stamps.
    #[must_use]
    pub fn with_time_stamps(self, stamps: Stamps) -> Self {
        Self {
            stamps: Some(stamps),
            ..self
        }
    }

    /// The decisions.
    #[must_use]
    pub const fn signing(&self) -> &Signing {
        &self.signing
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Answers a call.
    #[must_use]
    pub fn answer(&self, call: &Call<'_>) -> Reply {
        if let Some(reply) = asset(call.path) {
            return reply;
        }
        if let Some(method) = call.path.strip_prefix("/csc/v2/") {
            return self.csc(call, method);
        }
        if call.path.starts_with("/oauth2/") || call.path.starts_with("/.well-known/o") {
            return self.oauth(call);
        }
        if let Some(what) = call.path.strip_prefix("/people/") {
            return self.people(call, what);
        }
        if call.path == "/health" {
            return plain(StatusCode::OK, "ok\n");
        }
        self.page(call)
    }
}

/// Says in the log what is the service's own fault; gives whether it is.
fn is_own_fault(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(_) => false,
        Failure::Store(error) => {
            tracing::error!(%error, "the signing service's database failed");
            true
        }
        Failure::Vault(error) => {
            tracing::error!(%error, "the signing service's keys cannot be used");
            true
        }
    }
}
