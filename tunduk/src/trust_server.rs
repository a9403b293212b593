//! `tunduk trust-server`: certification authority, OCSP responder and
//! time-stamping authority of a test network.

use std::net::SocketAddr;
use std::path::PathBuf;

use ::trust_server::{Profile, RevocationReason, TrustServerSettings, TrustStore};
use clap::{Args, Subcommand};
use pki::Certificate;

/// What `tunduk trust-server` takes.
#[derive(Debug, Args)]
pub struct TrustServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve the trust services until told to stop
    Run {
        /// Their directory
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.10:8881")]
        listen: SocketAddr,
    },
    /// Revoke a certificate; a running server says so from its next answer on
    Revoke {
        /// The directory
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// The certificate, a PEM file
        certificate: PathBuf,
    },
    /// Issue the certificate of an identity card, by which its holder signs in over TLS, and print it (PEM)
    Card {
        /// The directory
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// The holder's personal number
        #[arg(long, value_name = "14 DIGITS")]
        number: String,
        /// Surname
        #[arg(long)]
        surname: String,
        /// Given name
        #[arg(long)]
        given_name: String,
        /// The card's certification request, PEM or DER; only its key is taken
        request: PathBuf,
    },
    /// Take orders of people's certificates that a registration authority signs; a running server knows at once
    Admit {
        /// The directory
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// What it calls itself in its orders (iss)
        name: String,
        /// Its public key, a PEM file
        key: PathBuf,
    },
    /// Take no more orders from a registration authority; what it ordered stays valid
    Dismiss {
        /// The directory
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Its name
        name: String,
    },
}

/// Runs `tunduk trust-server`; ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot.
pub async fn run(
    arguments: TrustServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    match arguments.action {
        Action::Run { state, listen } => {
            let settings = TrustServerSettings::new(state, listen);
            let ready = |_| println!("ready");
            ::trust_server::run(settings, stop, ready)
                .await
                .map_err(|error| error.to_string())
        }
        Action::Revoke { state, certificate } => {
            let store = TrustStore::open(&state).map_err(|error| error.to_string())?;
            let pem = std::fs::read(&certificate)
                .map_err(|error| format!("{}: {error}", certificate.display()))?;
            let decoded = Certificate::from_pem(&pem)
                .map_err(|error| format!("{}: {error}", certificate.display()))?;
            store
                .revoke(&decoded, RevocationReason::Unspecified)
                .map_err(|error| error.to_string())
        }
        Action::Card {
            state,
            number,
            surname,
            given_name,
            request,
        } => {
            let store = TrustStore::open(&state).map_err(|error| error.to_string())?;
            let subject = ca::person_subject(&number, &surname, &given_name)
                .map_err(|error| error.to_string())?;
            let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", request.display());
            let csr = std::fs::read(&request).map_err(|error| wrong(&error))?;
            let issued = store.issue_from_csr(&csr, Profile::Authentication, subject);
            print!("{}", issued.map_err(|error| wrong(&error))?.to_pem());
            Ok(())
        }
        Action::Admit { state, name, key } => {
            let store = TrustStore::open(&state).map_err(|error| error.to_string())?;
            let wrong = |said: String| format!("{}: {said}", key.display());
            let text = std::fs::read(&key).map_err(|error| wrong(error.to_string()))?;
            let der =
                pki::pem::decode(&text, "PUBLIC KEY").map_err(|error| wrong(error.to_string()))?;
            let key =
                pki::PublicKey::from_spki_der(&der).map_err(|error| wrong(error.to_string()))?;
            store.admit(&name, &key).map_err(|error| error.to_string())
        }
        Action::Dismiss { state, name } => TrustStore::open(&state)
            .and_then(|store| store.dismiss(&name))
            .map_err(|error| error.to_string()),
    }
}
