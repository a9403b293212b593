//! A small Central Server: generates and signs the global configuration of an
//! instance from its description, and serves it at `/internalconf` and
//! `/externalconf?version=N` (PR-GCONF section 2).
//!
//! Its directory holds
//!
//! ```text
//! internal-signing.key.pem, internal-signing.pem, external-...   the signing keys
//! anchor-internal.xml, anchor-external.xml                       the anchors
//! public/V6/internalconf, public/V6/<time>/shared-params.xml     what is served
//! ```
//!
//! `public` is for people and for other web servers: requests are answered from
//! memory, and everything is generated anew at start. There too the parts are in
//! place before the directory that names them, and a replaced directory is whole at
//! any moment.

mod files;
mod keys;
mod served;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use central::{Audience, InstanceDescription, Publication, ValidInstance};
use globalconf::Anchor;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use transport::{ClientCertificates, ServeLimits, ServerTls, TlsIdentity, serve_http, serve_https};

use crate::files::Readable;
use crate::keys::Keys;
use crate::served::Served;

pub use settings::{CentralServerSettings, DEFAULT_INTERVAL, DEFAULT_VALIDITY, HttpsSettings};

/// Why a Central Server does not run. The fault is its operator's or the machine's.
#[derive(Debug, thiserror::Error)]
pub enum CentralServerError {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The settings are not as documented.
    #[error("{path} is not as documented: {reason}", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The description cannot be read.
    #[error(transparent)]
    Description(#[from] central::FileError),
    /// The description breaks rules.
    #[error("the instance description breaks the rules: {}", list(.0))]
    Rules(Vec<central::Problem>),
    /// A signing key or certificate cannot be used.
    #[error("{path} cannot be used: {reason}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing could be published.
    #[error(transparent)]
    Publish(#[from] central::PublishError),
    /// The address cannot be served.
    #[error("cannot serve at {address}: {error}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("HTTPS cannot be set up: {0}")]
    Tls(String),
}

/// Random bytes of the operating system.
fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

fn list(problems: &[central::Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Where the anchors of a Central Server are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorFiles {
    /// The anchor for members of the instance.
    pub internal: PathBuf,
    /// The anchor for federated instances.
    pub external: PathBuf,
}

impl AnchorFiles {
    /// The files in a Central Server's directory.
    pub fn within(directory: &Path) -> Self {
        Self {
            internal: directory.join("anchor-internal.xml"),
            external: directory.join("anchor-external.xml"),
        }
    }
}

/// A Central Server's generator: keys, description, and what was published last.
struct Generator {
    settings: CentralServerSettings,
    keys: Keys,
    instance: ValidInstance,
    previous: Option<Publication>,
}

fn read_description(path: &Path) -> Result<ValidInstance, CentralServerError> {
    let text = std::fs::read_to_string(path).map_err(|error| CentralServerError::File {
        path: path.to_owned(),
        error,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let files = |name: &str| std::fs::read(folder.join(name)).map_err(|e| e.to_string());
    InstanceDescription::decode(&text, &files)?
        .validate()
        .map_err(CentralServerError::Rules)
}

impl Generator {
    fn open(settings: CentralServerSettings) -> Result<Self, CentralServerError> {
        let instance = read_description(&settings.description)?;
        let now = OffsetDateTime::now_utc();
        let keys = Keys::open(&settings.directory, settings.key_type, now)?;
        let generator = Self {
            settings,
            keys,
            instance,
            previous: None,
        };
        generator.write_anchors(now)?;
        Ok(generator)
    }

    /// Writes the anchors where they are new or differ in more than their time: an
    /// anchor's hash is compared by people, so it should not change for nothing.
    fn write_anchors(&self, now: OffsetDateTime) -> Result<(), CentralServerError> {
        let paths = AnchorFiles::within(&self.settings.directory);
        for (audience, path) in [
            (Audience::Internal, paths.internal),
            (Audience::External, paths.external),
        ] {
            let https = self.settings.https.is_some();
            let anchor = self
                .instance
                .anchor(audience, &self.keys.borrow(), https, now);
            let same = std::fs::read(&path)
                .ok()
                .and_then(|bytes| Anchor::decode(&bytes).ok())
                .is_some_and(|old| {
                    old.instance == anchor.instance && old.sources == anchor.sources
                });
            if !same {
                self.wrote(
                    &path,
                    files::replace(&path, &anchor.encode(), Readable::Public, true),
                )?;
            }
        }
        Ok(())
    }

    fn wrote(&self, path: &Path, result: std::io::Result<()>) -> Result<(), CentralServerError> {
        result.map_err(|error| CentralServerError::File {
            path: path.to_owned(),
            error,
        })
    }

    /// Reads the description again; where it cannot be used, the last good one stays.
    fn reload(&mut self) {
        match read_description(&self.settings.description) {
            Ok(instance) => {
                self.instance = instance;
                if let Err(error) = self.write_anchors(OffsetDateTime::now_utc()) {
                    tracing::error!(%error, "the anchors could not be written");
                }
            }
            Err(error) => tracing::error!(
                %error,
                "the instance description cannot be used, the last good one stays in force"
            ),
        }
    }

    /// Signs everything anew and writes it below `public`.
    fn generate(&mut self, served: &Served) -> Result<Served, CentralServerError> {
        // Two boundaries for each of the ten directories, from one good seed.
        let seed: [u8; 16] = random().map_err(|error| CentralServerError::File {
            path: self.settings.directory.clone(),
            error,
        })?;
        let mut count = 0u8;
        let boundary = || {
            count += 1;
            let mut hasher = pki::DigestAlgorithm::Sha256.hasher();
            hasher.update(&seed);
            hasher.update(&[count]);
            let digest = hasher.finish();
            std::array::from_fn(|i| digest.as_ref()[i])
        };
        let publication = self.instance.publish(
            &self.keys.borrow(),
            OffsetDateTime::now_utc(),
            time::Duration::try_from(self.settings.validity).unwrap_or(time::Duration::MAX),
            self.previous.as_ref(),
            boundary,
        )?;
        let next = served.with(&publication);
        self.write_public(&publication, &next)?;
        self.previous = Some(publication);
        Ok(next)
    }

    fn write_public(
        &self,
        publication: &Publication,
        served: &Served,
    ) -> Result<(), CentralServerError> {
        let public = self.settings.directory.join("public");
        let unchanged = self
            .previous
            .as_ref()
            .is_some_and(|previous| previous.moment == publication.moment);
        if !unchanged {
            for part in &publication.parts {
                let path = public.join(part.path.trim_start_matches('/'));
                self.wrote(
                    &path,
                    files::replace(&path, &part.content, Readable::Public, false),
                )?;
            }
        }
        for directory in &publication.directories {
            let path = public.join(directory.file.path.trim_start_matches('/'));
            self.wrote(
                &path,
                files::replace(&path, &directory.file.content, Readable::Public, false),
            )?;
        }
        // Parts that are no longer served; a failure leaves rubbish, nothing worse.
        for version in globalconf::FormatVersion::all() {
            let folder = public.join(format!("V{version}"));
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let old = name.to_str().is_some_and(|name| {
                    name.bytes().all(|b| b.is_ascii_digit())
                        && !served.moments().any(|moment| moment == name)
                });
                if old && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                    tracing::warn!(%error, "an old publication could not be removed");
                }
            }
        }
        Ok(())
    }
}

/// The certificate and key of HTTPS, as they are in their files now.
fn tls_identity(settings: &HttpsSettings) -> Result<TlsIdentity, CentralServerError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| CentralServerError::File {
            path: path.to_owned(),
            error,
        })
    };
    TlsIdentity::from_pem(&read(&settings.certificate)?, &read(&settings.key)?)
        .map_err(|error| CentralServerError::Tls(error.to_string()))
}

/// HTTPS with a certificate and key that are read again when their files change.
fn server_tls(settings: &HttpsSettings) -> Result<ServerTls, CentralServerError> {
    let tls = ServerTls::new(&tls_identity(settings)?, ClientCertificates::NotRequested)
        .map_err(|error| CentralServerError::Tls(error.to_string()))?;
    let files = vec![settings.certificate.clone(), settings.key.clone()];
    let settings = settings.clone();
    tls.follow(files, move || tls_identity(&settings));
    Ok(tls)
}

/// Makes the signing keys and anchors, if they are not there, and publishes once,
/// without serving: so that Security Servers can be set up before the start.
///
/// # Errors
/// See [`CentralServerError`].
pub fn prepare(settings: &CentralServerSettings) -> Result<AnchorFiles, CentralServerError> {
    let mut generator = Generator::open(settings.clone())?;
    generator.generate(&Served::default())?;
    Ok(AnchorFiles::within(&settings.directory))
}

/// Runs a Central Server until `shutdown` completes. `ready` is called once, with the
/// address, when requests are answered.
///
/// # Errors
/// See [`CentralServerError`]; once it serves, failures are logged and tried again.
pub async fn run(
    settings: CentralServerSettings,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), CentralServerError> {
    let listen = |address: std::net::SocketAddr| async move {
        TcpListener::bind(address)
            .await
            .map_err(|error| CentralServerError::Listen { address, error })
    };
    let listener = listen(settings.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CentralServerError::Listen {
            address: settings.listen,
            error,
        })?;
    let https = match &settings.https {
        Some(https) => Some((listen(https.listen).await?, server_tls(https)?)),
        None => None,
    };
    let interval = settings.interval;
    let (mut generator, first) = tokio::task::spawn_blocking(move || {
        let mut generator = Generator::open(settings)?;
        let first = generator.generate(&Served::default())?;
        Ok::<_, CentralServerError>((generator, first))
    })
    .await
    .map_err(|error| CentralServerError::Listen {
        address,
        error: std::io::Error::other(error),
    })??;
    let served = Arc::new(ArcSwap::from_pointee(first));
    let handler = {
        let served = served.clone();
        move |request: http::Request<transport::Body>, _| {
            let response = served.load().answer(request.method(), request.uri());
            std::future::ready(response)
        }
    };
    let limits = ServeLimits {
        max_connections: 1000,
        ..ServeLimits::default()
    };
    let (stop, stopped) = tokio::sync::watch::channel(());
    let until = |mut stopped: tokio::sync::watch::Receiver<()>| async move {
        // An error means that the sender is gone: stop as well.
        let _ = stopped.changed().await;
    };
    let http = tokio::spawn(serve_http(
        listener,
        handler.clone(),
        limits.clone(),
        until(stopped.clone()),
    ));
    let https = https.map(|(listener, tls)| {
        tokio::spawn(serve_https(listener, tls, handler, limits, until(stopped)))
    });
    ready(address);
    tracing::info!(%address, "the Central Server serves the global configuration");
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = ticks.tick() => {}
        }
        let current = served.load_full();
        let done = tokio::task::spawn_blocking(move || {
            generator.reload();
            let result = generator.generate(&current);
            (generator, result)
        })
        .await;
        match done {
            Ok((back, result)) => {
                generator = back;
                match result {
                    Ok(next) => served.store(Arc::new(next)),
                    Err(error) => tracing::error!(
                        %error,
                        "no new configuration could be generated; the last one stays until it expires"
                    ),
                }
            }
            Err(error) => {
                return Err(CentralServerError::Listen {
                    address,
                    error: std::io::Error::other(error),
                });
            }
        }
    }
    drop(stop);
    let _ = http.await;
    if let Some(https) = https {
        let _ = https.await;
    }
    Ok(())
}
