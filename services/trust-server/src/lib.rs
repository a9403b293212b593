//! The trust services of a test network over HTTP: a certification authority's
//! OCSP responder and a time-stamping authority, from one directory.
//!
//! * [`TrustStore`] is that directory: keys, certificates and the register of
//!   what was issued. It is a library of its own, with which certificates are
//!   issued and revoked before the server starts, or while it runs in another
//!   process: the server reads a status when it is asked for it.
//! * [`Responder`] answers requests: `(method, path, body)` to a reply, no socket.
//! * [`run`] serves it: `/ocsp` (POST, and GET of RFC 6960 appendix A), `/tsa`
//!   (POST), `/ca.pem`, `/ocsp.pem`, `/tsa.pem`, `/health`; and, for registration authorities that were admitted,
//!   `/people/certificates` and `/people/revocations` (POST of a JWS, see [`ca::Sender`]).
//!
//! The keys lie in the directory in the clear, readable by its owner only: this
//! is for tests and demonstrations, never for people's trust.

mod people;
mod register;
mod responder;
mod server;
mod store;

pub use people::PeopleError;
pub use register::Directory;
pub use responder::{MAX_BODY_LENGTH, Reply, Responder};
pub use server::{TrustServerError, TrustServerSettings, run};
pub use store::{NewTrustStore, TrustError, TrustStore};

pub use ca::{Entry, RevocationReason, Serial, Status};
pub use pki::issue::Profile;
