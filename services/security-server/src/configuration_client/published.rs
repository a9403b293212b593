//! What the configuration servers publish now, to verify a stored configuration that came without
//! its signatures.

use std::collections::HashMap;

use globalconf::{Anchor, PrivateParameters, SignedDirectory, StoredDirectory, stored};
use pki::Certificate;
use time::OffsetDateTime;

use super::{ConfigurationClient, DownloadError};

impl ConfigurationClient {
    /// The signed directories that the configuration servers publish now, by instance, in the
    /// version of `stored`: what a directory in X-Road's form lacks to be verified (reference G24).
    /// That of the own instance is from a location of the anchor and signed by its key; those of
    /// federated instances are as they came, if they came.
    ///
    /// # Errors
    /// No location of the anchor has a directory that is signed as the anchor says and current.
    pub async fn published(
        &self,
        stored: &StoredDirectory,
    ) -> Result<HashMap<String, Vec<u8>>, DownloadError> {
        let now = OffsetDateTime::now_utc();
        let mut directories = HashMap::new();
        let own = self.published_of(&self.anchor, stored, now).await?;
        directories.insert(self.anchor.instance.clone(), own);
        let private = stored
            .part(&stored.instance, stored::PRIVATE_FILE)
            .and_then(|part| PrivateParameters::decode(&part.content).ok());
        for anchor in private.iter().flat_map(|private| &private.federation) {
            let is_stored = stored.part(&anchor.instance, stored::SHARED_FILE).is_some();
            if is_stored && let Ok(bytes) = self.published_of(anchor, stored, now).await {
                directories.insert(anchor.instance.clone(), bytes);
            }
        }
        Ok(directories)
    }

    async fn published_of(
        &self,
        anchor: &Anchor,
        stored: &StoredDirectory,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, DownloadError> {
        let version = stored
            .part(&anchor.instance, stored::SHARED_FILE)
            .map(|part| part.metadata.version);
        let mut errors = Vec::new();
        // Only what the anchor says counts: the stored parts are what is to be verified.
        for location in self.locations(anchor) {
            let url = match version {
                Some(version) if !location.url.contains('?') => {
                    format!("{}?version={version}", location.url)
                }
                _ => location.url,
            };
            let candidates: Vec<Certificate> = location
                .certificates
                .iter()
                .filter_map(|der| Certificate::decode(der).ok())
                .collect();
            let checked = self.signed_directory(&url).await.and_then(|(url, bytes)| {
                SignedDirectory::decode(&bytes)
                    .and_then(|directory| directory.verify(&candidates))
                    .and_then(|directory| Ok(directory.check_current(&anchor.instance, now)?))
                    .map(|()| bytes)
                    .map_err(|error| DownloadError::Refused { url, error })
            });
            match checked {
                Ok(bytes) => return Ok(bytes),
                Err(error) => errors.push(error),
            }
        }
        Err(DownloadError::NoLocation {
            instance: anchor.instance.clone(),
            errors,
        })
    }
}
