//! Certificates that are renewed while their server runs.

use std::fmt::Display;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::tls::{ServerTls, TlsIdentity};

/// How often the files are looked at. Nothing is read unless one has changed.
const PAUSE: Duration = Duration::from_secs(2);

/// What changes with each change of a file: device, inode, time of the last change, length.
type Mark = Option<(u64, u64, i64, i64, u64)>;

fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.ctime(),
        found.ctime_nsec(),
        found.len(),
    ))
}

/// The files of a certificate and its key, as they were when they were last read.
struct Followed<R> {
    files: Vec<PathBuf>,
    read: R,
    seen: Vec<Mark>,
}

impl<R, E> Followed<R>
where
    R: Fn() -> Result<TlsIdentity, E>,
    E: Display,
{
    fn new(files: Vec<PathBuf>, read: R) -> Self {
        let seen = files.iter().map(|file| mark(file)).collect();
        Self { files, read, seen }
    }

    /// Presents what the files hold if one has changed. What cannot be used leaves the earlier certificate, until one
    /// changes again: so certificate and key may be replaced one after the other.
    fn look(&mut self, tls: &ServerTls) {
        let marks: Vec<Mark> = self.files.iter().map(|file| mark(file)).collect();
        if marks == self.seen {
            return;
        }
        // Taken before the files are read: what changes meanwhile is read in the next round.
        self.seen = marks;
        let presented = (self.read)()
            .map_err(|error| error.to_string())
            .and_then(|identity| tls.replace(&identity).map_err(|error| error.to_string()));
        match presented {
            Ok(()) => {
                tracing::info!(file = ?self.files.first(), "a renewed certificate is presented")
            }
            Err(error) => tracing::warn!(
                %error,
                "a changed certificate or key cannot be used; the earlier certificate is presented until it can"
            ),
        }
    }
}

impl ServerTls {
    /// Presents what `read` gives to new connections whenever one of the files changes, for as long as the server is there.
    /// Belongs into a runtime.
    pub fn follow<E: Display + 'static>(
        &self,
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<TlsIdentity, E> + Send + 'static,
    ) {
        let mut followed = Followed::new(files, read);
        let server = self.downgrade();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let Some(tls) = server() else {
                    return;
                };
                let looked = tokio::task::spawn_blocking(move || {
                    followed.look(&tls);
                    followed
                });
                // What panicked is in the log; the certificate stays as it is.
                let Ok(again) = looked.await else {
                    return;
                };
                followed = again;
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use std::cell::RefCell;

    use pki::issue::{Profile, Template, self_signed};
    use pki::{AttributeType, KeyType, Name, Signer as _, SoftwareKey, pem};
    use time::OffsetDateTime;

    use super::*;
    use crate::ClientCertificates;

    fn pair(name: &str) -> (String, String) {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let builder = Name::builder().push(AttributeType::CommonName, name);
        let now = OffsetDateTime::now_utc();
        let template = Template {
            subject: builder.build().unwrap(),
            public_key: key.public_key().clone(),
            serial: vec![1],
            not_before: now,
            not_after: now + time::Duration::DAY,
            profile: Profile::Authority,
            ocsp_url: None,
        };
        let certificate = self_signed(&template, &key).unwrap().to_pem();
        let key = pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY");
        (certificate, key)
    }

    #[test]
    fn what_changed_is_read_once_and_a_half_change_leaves_the_earlier_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["tls.pem", "tls.key"].map(|name| folder.path().join(name));
        let [certificate, key] = &files;
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        let [old, new] = ["old", "new"].map(pair);
        write(certificate, &old.0);
        write(key, &old.1);
        let log = RefCell::new(Vec::new());
        let read = || {
            let identity = TlsIdentity::from_pem(
                &std::fs::read(certificate).unwrap(),
                &std::fs::read(key).unwrap(),
            );
            log.borrow_mut().push(identity.is_ok());
            identity
        };
        let tls = ServerTls::new(&read().unwrap(), ClientCertificates::NotRequested).unwrap();
        let mut followed = Followed::new(files.to_vec(), &read);
        let before = tls.presented();
        followed.look(&tls);
        write(certificate, &new.0);
        followed.look(&tls);
        followed.look(&tls);
        assert_eq!(tls.presented(), before);
        write(key, &new.1);
        followed.look(&tls);
        followed.look(&tls);
        assert_ne!(tls.presented(), before);
        assert_eq!(*log.borrow(), [true, false, true]);
        std::fs::remove_file(key).unwrap();
        let after = tls.presented();
        write(key, "no key");
        followed.look(&tls);
        assert_eq!(tls.presented(), after);
    }
}
