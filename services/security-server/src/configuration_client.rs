//! The configuration client: downloads the global configuration from an anchor,
//! verifies, stores and keeps it (PR-GCONF, reference G4 to G7, G17 to G24). While
//! the Central Server is away, the stored configuration stays in force until it
//! expires.

mod errors;
mod published;
mod store;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use globalconf::directory::{PRIVATE_PARAMETERS, SHARED_PARAMETERS};
use globalconf::{
    Anchor, ConfigurationId, DirectoryError, Entry, FormatVersion, GlobalConfiguration,
    MAX_DOCUMENT_LENGTH, PartMetadata, PrivateParameters, SharedParameters, SignedBy,
    SignedDirectory, StoredDirectory, StoredPart, stored,
};
use http::{Request, StatusCode, Uri};
use pki::Certificate;
use time::OffsetDateTime;
use transport::{Body, ClientTls, HttpClient, PoolLimits, RequestOptions, ServerVerification};

pub use self::errors::{DownloadError, OpenError};
use self::store::Store;
pub use self::store::{ArchivedConfiguration, InstanceDirectory};
pub use config::{load_directory, read_stored};

/// File with the authorities that the operating system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// From which federated instances the configuration is taken (reference G22).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Federation {
    /// From none.
    #[default]
    None,
    /// From all that the own instance has anchors of.
    All,
    /// From those with these codes, in any case of letters.
    Only(Vec<String>),
}

impl Federation {
    /// Reads `none`, `all`, or codes separated by commas.
    pub fn parse(text: &str) -> Self {
        let words: Vec<String> = text
            .split(',')
            .map(|word| word.trim().to_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        if words.iter().any(|word| word == "none") || words.is_empty() {
            Self::None
        } else if words.iter().any(|word| word == "all") {
            Self::All
        } else {
            Self::Only(words)
        }
    }

    fn allows(&self, instance: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(codes) => codes.contains(&instance.to_lowercase()),
        }
    }
}

/// Settings of a configuration client.
#[derive(Debug, Clone)]
pub struct ConfigurationClientSettings {
    /// File with the anchor.
    pub anchor: PathBuf,
    /// Directory of the stored configuration; `.generations` and `.archive` are beside it.
    pub directory: PathBuf,
    /// Which federated instances to follow.
    pub federation: Federation,
    /// How the TLS certificates of configuration servers are checked. `None`: by the
    /// authorities of the operating system and the host's name (reference G6).
    pub tls: Option<ServerVerification>,
}

impl ConfigurationClientSettings {
    /// The usual settings: no federation.
    pub fn new(anchor: PathBuf, directory: PathBuf) -> Self {
        Self {
            anchor,
            directory,
            federation: Federation::None,
            tls: None,
        }
    }
}

/// What a download changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Parts are new.
    Changed(ConfigurationId),
    /// Only the expiry is later.
    Renewed,
    /// Nothing is new.
    Unchanged,
}

/// A place to download from, with the certificates that may verify what is there.
#[derive(Debug, Clone)]
struct Location {
    url: String,
    certificates: Vec<Vec<u8>>,
}

/// The parts and signed directory of one instance.
struct Downloaded {
    url: String,
    parts: Vec<StoredPart>,
    directory: InstanceDirectory,
}

/// The configuration client of one Security Server.
pub struct ConfigurationClient {
    settings: ConfigurationClientSettings,
    anchor: Anchor,
    store: Store,
    http: HttpClient,
    options: RequestOptions,
    current: ArcSwapOption<GlobalConfiguration>,
    stored: Mutex<Option<Arc<StoredDirectory>>>,
    /// Instance to the URL that worked last.
    last_success: Mutex<HashMap<String, String>>,
    updating: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for ConfigurationClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigurationClient")
            .field("instance", &self.anchor.instance)
            .field("directory", &self.settings.directory)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ConfigurationClient {
    /// Reads the anchor and the stored configuration; downloads nothing.
    ///
    /// # Errors
    /// See [`OpenError`]. That nothing is stored yet is not an error.
    pub fn open(settings: ConfigurationClientSettings) -> Result<Self, OpenError> {
        let anchor = std::fs::read(&settings.anchor)
            .map_err(|error| error.to_string())
            .and_then(|bytes| Anchor::decode(&bytes).map_err(|error| error.to_string()))
            .map_err(|reason| OpenError::Anchor {
                path: settings.anchor.clone(),
                reason,
            })?;
        let tls_error = |error: transport::TlsSetupError| OpenError::Tls(error.to_string());
        let verification = settings.tls.clone().unwrap_or_else(system_verification);
        let tls = ClientTls::new(&verification, None).map_err(tls_error)?;
        let client = Self {
            store: Store::new(&settings.directory),
            http: HttpClient::new(PoolLimits::default()).map_err(tls_error)?,
            options: RequestOptions::default()
                .with_tls(tls)
                .with_timeouts(Duration::from_secs(10), Duration::from_secs(30))
                .with_total(Duration::from_secs(120)),
            current: ArcSwapOption::empty(),
            stored: Mutex::new(None),
            last_success: Mutex::new(HashMap::new()),
            updating: tokio::sync::Mutex::new(()),
            anchor,
            settings,
        };
        client.load_stored()?;
        Ok(client)
    }

    fn load_stored(&self) -> Result<(), OpenError> {
        let error = |reason: String| OpenError::Stored {
            path: self.settings.directory.clone(),
            reason,
        };
        let Some(stored) = self.store.read().map_err(|e| error(e.to_string()))? else {
            return Ok(());
        };
        if stored.instance != self.anchor.instance {
            return Err(error(format!(
                "it is of instance {:?}, the anchor of {:?}",
                stored.instance, self.anchor.instance
            )));
        }
        let configuration = stored.load().map_err(|e| error(e.to_string()))?;
        for problem in configuration.problems() {
            tracing::warn!(problem, "the global configuration has an unusable entry");
        }
        self.current.store(Some(Arc::new(configuration)));
        *locked(&self.stored) = Some(Arc::new(stored));
        Ok(())
    }

    /// The newest configuration, current or not: ask
    /// [`GlobalConfiguration::is_current`] for each message. `None` until the first
    /// one was downloaded.
    pub fn configuration(&self) -> Option<Arc<GlobalConfiguration>> {
        self.current.load_full()
    }

    /// Code of the own instance, from the anchor.
    pub fn instance(&self) -> &str {
        &self.anchor.instance
    }

    /// The anchor.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The stored parts of the newest configuration, for `verificationconf` and
    /// exports.
    pub fn stored(&self) -> Option<Arc<StoredDirectory>> {
        locked(&self.stored).clone()
    }

    /// The configuration in force at a time, with its signed directories; `None` if
    /// the archive begins later.
    ///
    /// # Errors
    /// The archive cannot be read or has been changed.
    pub fn history(&self, at: OffsetDateTime) -> std::io::Result<Option<ArchivedConfiguration>> {
        match self.store.in_force_at(at)? {
            Some(identity) => self.store.archived(identity),
            None => Ok(None),
        }
    }

    /// A configuration of the archive by its identity.
    ///
    /// # Errors
    /// The archive cannot be read or has been changed.
    pub fn archived(
        &self,
        identity: ConfigurationId,
    ) -> std::io::Result<Option<ArchivedConfiguration>> {
        self.store.archived(identity)
    }

    /// Downloads the configuration of the own instance and of federated ones, stores
    /// it and puts it in force. Federated instances that fail keep what is stored.
    ///
    /// # Errors
    /// See [`DownloadError`]; the stored configuration stays in force.
    pub async fn update(&self) -> Result<Update, DownloadError> {
        let _one_at_a_time = self.updating.lock().await;
        let now = OffsetDateTime::now_utc();
        let old = self.stored();
        let own = self
            .download(&self.anchor, true, old.as_deref(), now)
            .await?;
        let private = own
            .parts
            .iter()
            .find(|part| part.file_name == stored::PRIVATE_FILE)
            .and_then(|part| PrivateParameters::decode(&part.content).ok());
        let mut parts = own.parts;
        let mut directories = vec![own.directory];
        for anchor in private.iter().flat_map(|p| &p.federation) {
            if anchor.instance == self.anchor.instance
                || !self.settings.federation.allows(&anchor.instance)
            {
                continue;
            }
            match self.download(anchor, false, old.as_deref(), now).await {
                Ok(foreign) => {
                    parts.extend(foreign.parts);
                    directories.push(foreign.directory);
                }
                Err(error) => {
                    tracing::warn!(
                        %error,
                        instance = anchor.instance,
                        "the configuration of a federated instance could not be downloaded"
                    );
                    let kept = old.iter().flat_map(|old| &old.parts);
                    parts.extend(kept.filter(|p| p.instance == anchor.instance).cloned());
                }
            }
        }
        parts.sort_by_key(StoredPart::path);
        let new = StoredDirectory {
            instance: self.anchor.instance.clone(),
            parts,
        };
        self.put_in_force(new, old, directories, now).await
    }

    async fn put_in_force(
        &self,
        new: StoredDirectory,
        old: Option<Arc<StoredDirectory>>,
        directories: Vec<InstanceDirectory>,
        now: OffsetDateTime,
    ) -> Result<Update, DownloadError> {
        if old.as_deref() == Some(&new) {
            return Ok(Update::Unchanged);
        }
        let store = self.store.clone();
        let (new, configuration, update) = tokio::task::spawn_blocking(move || {
            let configuration = new
                .load()
                .map_err(|error| DownloadError::Store(std::io::Error::other(error)))?;
            let changed = old
                .as_ref()
                .is_none_or(|old| old.identity() != configuration.identity());
            if changed {
                // First the archive: what is in force must be provable.
                store
                    .keep(&new, &directories, now)
                    .map_err(DownloadError::Store)?;
                for problem in configuration.problems() {
                    tracing::warn!(problem, "the global configuration has an unusable entry");
                }
            }
            store
                .replace(&new, old.as_deref(), now)
                .map_err(DownloadError::Store)?;
            let update = if changed {
                Update::Changed(configuration.identity())
            } else {
                Update::Renewed
            };
            Ok((new, configuration, update))
        })
        .await
        .map_err(|error| DownloadError::Store(std::io::Error::other(error)))??;
        self.current.store(Some(Arc::new(configuration)));
        *locked(&self.stored) = Some(Arc::new(new));
        Ok(update)
    }

    /// Downloads one instance from the first location that works.
    async fn download(
        &self,
        anchor: &Anchor,
        own: bool,
        old: Option<&StoredDirectory>,
        now: OffsetDateTime,
    ) -> Result<Downloaded, DownloadError> {
        let mut errors = Vec::new();
        for location in self.locations(anchor) {
            match self
                .download_from(&location, &anchor.instance, own, old, now)
                .await
            {
                Ok(downloaded) => {
                    locked(&self.last_success)
                        .insert(anchor.instance.clone(), location.url.clone());
                    tracing::debug!(url = downloaded.url, "global configuration downloaded");
                    return Ok(downloaded);
                }
                Err(error) => {
                    locked(&self.last_success).remove(&anchor.instance);
                    tracing::debug!(%error, "a location of the global configuration failed");
                    errors.push(error);
                }
            }
        }
        Err(DownloadError::NoLocation {
            instance: anchor.instance.clone(),
            errors,
        })
    }

    /// Locations in order of trial (reference G5): the last that worked; those of the
    /// stored shared parameters; those of the anchor; HTTPS before HTTP in each, and
    /// in random order otherwise. Every location may be verified with the
    /// certificates of the anchor and of the stored parameters (G7).
    fn locations(&self, anchor: &Anchor) -> Vec<Location> {
        let segment = anchor
            .sources
            .first()
            .map_or("internalconf", |s| last_segment(&s.download_url));
        let configuration = self.configuration();
        let sources = configuration
            .as_deref()
            .map_or_else(Default::default, |known| known.sources(&anchor.instance));
        let mut certificates: Vec<Vec<u8>> = anchor
            .sources
            .iter()
            .flat_map(|source| source.verification_certificates.clone())
            .collect();
        for source in sources {
            if segment != "externalconf" {
                certificates.extend(source.internal_verification_certificates.clone());
            }
            if segment != "internalconf" {
                certificates.extend(source.external_verification_certificates.clone());
            }
        }
        let announced = sources.iter().flat_map(|source| {
            ["https", "http"].map(|scheme| format!("{scheme}://{}/{segment}", source.address))
        });
        let mut urls = shuffled_https_first(announced.collect());
        urls.extend(shuffled_https_first(
            anchor
                .sources
                .iter()
                .map(|source| source.download_url.clone())
                .collect(),
        ));
        if let Some(last) = locked(&self.last_success).get(&anchor.instance) {
            urls.sort_by_key(|url| url != last);
        }
        let mut seen = HashSet::new();
        urls.retain(|url| seen.insert(url.clone()));
        urls.into_iter()
            .map(|url| Location {
                url,
                certificates: certificates.clone(),
            })
            .collect()
    }

    async fn download_from(
        &self,
        location: &Location,
        instance: &str,
        own: bool,
        old: Option<&StoredDirectory>,
        now: OffsetDateTime,
    ) -> Result<Downloaded, DownloadError> {
        let (url, bytes) = self.signed_directory(&location.url).await?;
        let refused = |error: DirectoryError| DownloadError::Refused {
            url: url.clone(),
            error,
        };
        let candidates: Vec<Certificate> = location
            .certificates
            .iter()
            .filter_map(|der| Certificate::decode(der).ok())
            .collect();
        let directory = SignedDirectory::decode(&bytes)
            .and_then(|directory| directory.verify(&candidates))
            .map_err(refused)?;
        directory
            .check_current(instance, now)
            .map_err(|error| refused(error.into()))?;
        refuse_older(&directory, instance, old, now)
            .map_err(|()| DownloadError::Older { url: url.clone() })?;
        let mut parts: Vec<StoredPart> = Vec::new();
        for entry in directory.entries() {
            let known = matches!(
                entry.content_identifier.as_str(),
                SHARED_PARAMETERS | PRIVATE_PARAMETERS
            );
            if known && entry.instance != instance {
                return Err(refused(DirectoryError::WrongInstance {
                    location: entry.location.clone(),
                    expected: instance.to_owned(),
                    found: entry.instance.clone(),
                }));
            }
            // Of a federated instance only the shared parameters are taken (G21).
            if !own && entry.content_identifier != SHARED_PARAMETERS {
                continue;
            }
            let name = entry.stored_name();
            if !is_file_name(name) || parts.iter().any(|part| part.file_name == name) {
                return Err(refused(DirectoryError::WrongValue {
                    header: "Content-location",
                    value: entry.location.clone(),
                }));
            }
            let stored = old
                .and_then(|old| old.part(instance, name))
                .filter(|part| entry.is(&part.content));
            let content = match stored {
                // It was checked when it was new.
                Some(part) => part.content.clone(),
                None => {
                    let content = self.part(&url, entry).await?;
                    check_part(&url, entry, instance, &content)?;
                    content
                }
            };
            parts.push(StoredPart {
                instance: instance.to_owned(),
                file_name: name.to_owned(),
                content,
                metadata: PartMetadata {
                    content_identifier: Some(entry.content_identifier.clone()),
                    instance: Some(instance.to_owned()),
                    expires: Some(later_expiry(&directory, entry, instance, name, old)),
                    file_name: entry.file_name.clone(),
                    location: Some(entry.location.clone()),
                    version: directory.version(),
                },
            });
        }
        for (identifier, needed) in [(SHARED_PARAMETERS, true), (PRIVATE_PARAMETERS, own)] {
            if needed && directory.entry(identifier, instance).is_none() {
                return Err(DownloadError::Part {
                    url,
                    reason: format!("{identifier} of {instance} is not listed"),
                });
            }
        }
        Ok(Downloaded {
            url,
            parts,
            directory: InstanceDirectory {
                instance: instance.to_owned(),
                bytes,
            },
        })
    }

    /// Downloads a signed directory of the newest version that the server has
    /// (reference G4): the first answer that is not 404 decides.
    async fn signed_directory(&self, url: &str) -> Result<(String, Vec<u8>), DownloadError> {
        let limit = globalconf::directory::MAX_DIRECTORY_LENGTH;
        if url
            .split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("version=")))
        {
            let bytes = self.get(url, limit).await?;
            return Ok((url.to_owned(), bytes));
        }
        for version in FormatVersion::all().rev() {
            let separator = if url.contains('?') { '&' } else { '?' };
            let versioned = format!("{url}{separator}version={version}");
            match self.try_get(&versioned, limit).await? {
                Some(bytes) => return Ok((versioned, bytes)),
                None => continue,
            }
        }
        Err(DownloadError::Transfer {
            url: url.to_owned(),
            reason: "the server has none of the versions 2 to 6".to_owned(),
        })
    }

    async fn part(&self, base: &str, entry: &Entry) -> Result<Vec<u8>, DownloadError> {
        let url = resolve(base, &entry.location).ok_or_else(|| DownloadError::Refused {
            url: base.to_owned(),
            error: DirectoryError::WrongValue {
                header: "Content-location",
                value: entry.location.clone(),
            },
        })?;
        let content = self.get(&url, MAX_DOCUMENT_LENGTH).await?;
        entry
            .verify(&content)
            .map_err(|error| DownloadError::Refused { url, error })?;
        Ok(content)
    }

    async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, DownloadError> {
        self.try_get(url, limit)
            .await?
            .ok_or_else(|| DownloadError::Transfer {
                url: url.to_owned(),
                reason: "the server does not have it (404)".to_owned(),
            })
    }

    /// The body of a 200 answer, `None` for 404.
    async fn try_get(&self, url: &str, limit: usize) -> Result<Option<Vec<u8>>, DownloadError> {
        let failed = |reason: String| DownloadError::Transfer {
            url: url.to_owned(),
            reason,
        };
        let request = Request::get(url)
            .body(Body::empty())
            .map_err(|error| failed(error.to_string()))?;
        let response = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(failed(format!("the server answers {other}"))),
        }
        response
            .into_body()
            .collect(limit)
            .await
            .map(|bytes| Some(bytes.to_vec()))
            .map_err(|error| failed(error.to_string()))
    }
}

fn system_verification() -> ServerVerification {
    let certificates = std::fs::read(SYSTEM_AUTHORITIES)
        .ok()
        .and_then(|pem| pki::pem::decode_all(&pem, "CERTIFICATE").ok())
        .unwrap_or_default();
    ServerVerification::Authorities(certificates)
}

/// A stored configuration that has not expired is not replaced by an earlier one,
/// nor by one in an older format. What is earlier is told by the directory of the
/// parts, a time in digits, and where it is not one, by the expiry.
fn refuse_older(
    directory: &SignedBy,
    instance: &str,
    old: Option<&StoredDirectory>,
    now: OffsetDateTime,
) -> Result<(), ()> {
    let Some(part) = old.and_then(|old| old.part(instance, stored::SHARED_FILE)) else {
        return Ok(());
    };
    let Some(entry) = directory.entry(SHARED_PARAMETERS, instance) else {
        return Ok(());
    };
    let Some(expires) = part.metadata.expires.filter(|expires| now <= *expires) else {
        return Ok(());
    };
    if directory.version() < part.metadata.version {
        return Err(());
    }
    if entry.is(&part.content) {
        return Ok(());
    }
    let moments = part
        .metadata
        .location
        .as_deref()
        .and_then(moment)
        .zip(moment(&entry.location));
    let older = match moments {
        Some((stored, offered)) if stored.len() == offered.len() => offered < stored,
        _ => directory.expires() < expires,
    };
    if older { Err(()) } else { Ok(()) }
}

/// The digits in `/V6/20251110170000548026000/shared-params.xml`.
fn moment(location: &str) -> Option<&str> {
    location
        .rsplit('/')
        .nth(1)
        .filter(|segment| segment.len() >= 14 && segment.bytes().all(|b| b.is_ascii_digit()))
}

/// When a part expires: as the directory says, but an unchanged part does not expire
/// earlier than was already promised.
fn later_expiry(
    directory: &SignedBy,
    entry: &Entry,
    instance: &str,
    name: &str,
    old: Option<&StoredDirectory>,
) -> OffsetDateTime {
    old.and_then(|old| old.part(instance, name))
        .filter(|part| entry.is(&part.content) && part.metadata.version == directory.version())
        .and_then(|part| part.metadata.expires)
        .map_or(directory.expires(), |expires| {
            expires.max(directory.expires())
        })
}

/// Checks that a part can be read and is of the instance (reference G19).
fn check_part(
    url: &str,
    entry: &Entry,
    instance: &str,
    content: &[u8],
) -> Result<(), DownloadError> {
    let found = match entry.content_identifier.as_str() {
        SHARED_PARAMETERS => SharedParameters::decode(content).map(|p| p.instance),
        PRIVATE_PARAMETERS => PrivateParameters::decode(content).map(|p| p.instance),
        _ => return Ok(()),
    }
    .map_err(|error| DownloadError::Part {
        url: format!("{url} {}", entry.location),
        reason: error.to_string(),
    })?;
    if found == instance {
        Ok(())
    } else {
        Err(DownloadError::Refused {
            url: url.to_owned(),
            error: DirectoryError::WrongInstance {
                location: entry.location.clone(),
                expected: instance.to_owned(),
                found,
            },
        })
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.ends_with(".metadata")
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Resolves the location of a part against the URL of its directory; only a path on
/// the same server is accepted.
fn resolve(base: &str, location: &str) -> Option<String> {
    let uri: Uri = base.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    if location.starts_with("//") || location.contains(['\r', '\n', ' ', '#']) {
        return None;
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    if location.contains(':') {
        return None;
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

fn last_segment(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// Random order, HTTPS first.
fn shuffled_https_first(urls: Vec<String>) -> Vec<String> {
    // The hasher of a new map is keyed at random, which is random enough to spread load.
    let state = std::collections::hash_map::RandomState::new();
    let mut keyed: Vec<(bool, u64, String)> = urls
        .into_iter()
        .map(|url| {
            let mut hasher = state.build_hasher();
            hasher.write(url.as_bytes());
            (!url.starts_with("https:"), hasher.finish(), url)
        })
        .collect();
    keyed.sort();
    keyed.into_iter().map(|(_, _, url)| url).collect()
}
