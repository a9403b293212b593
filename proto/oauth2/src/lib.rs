//! The messages of OAuth 2.0 and OpenID Connect, as an authorization server reads and writes them, and a relying party.
//!
//! | module | standard |
//! |---|---|
//! | `parameters` | forms and queries (RFC 6749 appendix B), each parameter at most once (section 3.1) |
//! | `error` | error codes and answers (RFC 6749 section 5.2 and those that extend it) |
//! | `pkce` | proof key for code exchange by S256 (RFC 7636) |
//! | `authorization` | authorization requests (OpenID Connect Core 3.1.2.1), pushed (RFC 9126) or signed (RFC 9101) |
//! | `client` | how a client proves who it is by a signed assertion (RFC 7523) |
//! | `dpop`, `nonce` | proof of possession (RFC 9449) |
//! | `token` | requests and answers of the token endpoint (RFC 6749 section 4.1.3, 6; RFC 8628) |
//! | `relying` | what a relying party sends, and how it judges ID tokens and logout tokens (OpenID Connect Core 3.1.3.7) |
//! | `metadata` | what the server says about itself (RFC 8414, OpenID Connect Discovery) |
//!
//! Only what this server offers can be expressed: the code flow with PKCE by S256, refresh and device codes. There is
//! no implicit flow, no password grant, no plain challenge and no client secret.

mod authorization;
mod client;
mod dpop;
mod error;
mod metadata;
mod nonce;
mod parameters;
mod pkce;
mod relying;
mod token;

pub use authorization::{AuthorizationRequest, Prompt, answer_uri, request_object};
pub use client::{ASSERTION_LASTS, AssertionError, ClientAssertion, ProvenClient};
pub use dpop::{DpopError, DpopProof, PROOF_LASTS, access_token_hash};
pub use error::{ErrorCode, OauthError};
pub use metadata::{CertificatesOffered, metadata};
pub use nonce::DpopNonces;
pub use parameters::{MAX_PARAMETERS, MAX_PARAMETERS_LENGTH, Parameters};
pub use pkce::{Challenge, fits};
pub use relying::{
    ExpectedIdToken, IdToken, LogoutToken, TokenError, client_authentication, dpop_proof, form,
};
pub use token::{TokenRequest, id_token_hash, scopes};
