//! Messages to people: one-time codes and notices, each a file that a gateway for e-mail and text messages takes.
//!
//! A message is one JSON object in a file of its own, `MICROSECONDS-ID.json`, which is there whole or not at all, and on
//! the disk before whoever caused it gets an answer. The gateway sends it and deletes the file. Names sort by age.
//!
//! ```json
//! { "id": "…", "at": "2026-11-25T12:00:00Z", "about": "code", "to": { "kind": "email", "address": "…" },
//!   "texts": { "ky": { "subject": "…", "text": "…" }, "ru": { … }, "en": { … } } }
//! ```

use std::fs::{File, OpenOptions};
use std::io::{Error, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use oidc_provider::{Channel, Delivery, Notice, NoticeKind};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use web_ui::{Language, Sources, Texts};

use crate::pages::CodePost;

/// Messages that wait at most; then the gateway has long been dead and the disk is spared.
const MOST_WAITING: usize = 20_000;
const LETTERS: Sources = Sources {
    ky: include_str!("../letters/ky.ftl"),
    ru: include_str!("../letters/ru.ftl"),
    en: include_str!("../letters/en.ftl"),
};

/// The directory in which messages wait.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    texts: Texts,
    account_page: String,
}

/// What a message says: the key of its text, and the value in it.
struct Letter<'a> {
    id: &'a str,
    at: OffsetDateTime,
    about: &'a str,
    value: &'a str,
}

impl Spool {
    /// The spool in a directory, which is made if it is not there: its owner and group see it. Messages name the page of
    /// one's account by `issuer`.
    ///
    /// # Errors
    /// The directory cannot be made or written, or this build's texts are broken.
    pub fn open(folder: &Path, issuer: &str) -> Result<Self, Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            // Left by a server that ended while it wrote: nobody was told that it is kept.
            if path.extension().is_some_and(|end| end == "new") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            texts: Texts::new(LETTERS).map_err(Error::other)?,
            account_page: format!("{issuer}/account"),
        })
    }

    /// Keeps a notice for each of its addresses. Again, it is the same files.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn notice(&self, notice: &Notice) -> Result<(), Error> {
        for (place, channel) in notice.channels.iter().enumerate() {
            let id = format!("{}-{place}", notice.id);
            let letter = Letter {
                id: &id,
                at: notice.at,
                about: name(notice.notice),
                value: &self.account_page,
            };
            self.keep(channel, &letter)?;
        }
        Ok(())
    }

    fn keep(&self, channel: &Channel, letter: &Letter<'_>) -> Result<(), Error> {
        let waiting = std::fs::read_dir(&self.folder)?.take(MOST_WAITING).count();
        if waiting == MOST_WAITING {
            return Err(Error::other(format!(
                "{MOST_WAITING} messages wait in {}; is the gateway that sends them running?",
                self.folder.display()
            )));
        }
        let text = |language, part: &str| {
            let key = format!("{}-{part}", letter.about);
            self.texts
                .find(language, &key, Some(letter.value))
                .ok_or_else(|| Error::other(format!("this build has no text {key}")))
        };
        let mut texts = Map::new();
        for language in Language::ALL {
            let words = json!({
                "subject": text(language, "subject")?,
                "text": text(language, "text")?,
            });
            texts.insert(language.code().to_owned(), words);
        }
        let message = json!({
            "id": letter.id,
            "at": letter.at.format(&Rfc3339).map_err(Error::other)?,
            "about": letter.about,
            "to": { "kind": channel.kind, "address": channel.address },
            "texts": texts,
        });
        let moment = letter.at.unix_timestamp_nanos() / 1000;
        self.write(&format!("{moment}-{}", letter.id), &message)
    }

    fn write(&self, name: &str, message: &Value) -> Result<(), Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(Error::other)?;
        let passing = self
            .folder
            .join(format!(".{}.new", jose::to_base64url(&random)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&passing)?;
        file.write_all(message.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&passing, self.folder.join(format!("{name}.json")))?;
        File::open(&self.folder)?.sync_all()
    }
}

impl CodePost for Spool {
    fn post(&self, delivery: &Delivery) -> Result<(), Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(Error::other)?;
        let (about, value) = match &delivery.code {
            Some(code) => ("code", code.expose()),
            None => ("known", ""),
        };
        let letter = Letter {
            id: &jose::to_base64url(&random),
            at: OffsetDateTime::now_utc(),
            about,
            value,
        };
        self.keep(&delivery.channel, &letter)
    }
}

/// The name of what a notice is about.
const fn name(notice: NoticeKind) -> &'static str {
    match notice {
        NoticeKind::NewDevice => "newDevice",
        NoticeKind::RecoveryOpened => "recoveryOpened",
        NoticeKind::Recovered => "recovered",
        NoticeKind::Frozen => "frozen",
        NoticeKind::Unfrozen => "unfrozen",
        NoticeKind::WaysChanged => "waysChanged",
        NoticeKind::Mandate => "mandate",
        NoticeKind::TokensStolen => "tokensStolen",
        NoticeKind::SigningDevice => "signingDevice",
        NoticeKind::SigningCertificates => "signingCertificates",
        NoticeKind::Organisation => "organisation",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use oidc_provider::{ChannelKind, Secret};

    use super::*;

    fn channel() -> Channel {
        Channel {
            kind: ChannelKind::Email,
            address: "aizada@example.kg".to_owned(),
            confirmed_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn waiting(folder: &Path) -> Vec<Value> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
            .iter()
            .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn a_code_waits_as_a_file_in_three_languages() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "https://id.example.kg").unwrap();
        for code in [Some(Secret::new("123456")), None] {
            let channel = channel();
            spool.post(&Delivery { channel, code }).unwrap();
        }
        let found = waiting(folder.path());
        assert_eq!(found[0]["about"], "code");
        assert_eq!(found[0]["to"]["kind"], "email");
        assert_eq!(found[0]["to"]["address"], "aizada@example.kg");
        for language in ["ky", "ru", "en"] {
            let text = found[0]["texts"][language]["text"].as_str().unwrap();
            assert!(text.contains("123456"), "{text}");
        }
        // Who has an account already gets a letter too, so that nobody learns it from the page.
        assert_eq!(found[1]["about"], "known");
    }

    #[test]
    fn a_notice_that_is_kept_twice_is_there_once_for_each_address() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "https://id.example.kg").unwrap();
        for kind in [
            NoticeKind::NewDevice,
            NoticeKind::RecoveryOpened,
            NoticeKind::Recovered,
            NoticeKind::Frozen,
            NoticeKind::Unfrozen,
            NoticeKind::WaysChanged,
            NoticeKind::Mandate,
            NoticeKind::TokensStolen,
            NoticeKind::SigningDevice,
            NoticeKind::SigningCertificates,
            NoticeKind::Organisation,
        ] {
            let notice: Notice = serde_json::from_value(json!({
                "id": format!("n{kind:?}"), "account": "a", "notice": kind,
                "channels": [channel(), channel()],
                "at": serde_json::to_value(OffsetDateTime::UNIX_EPOCH).unwrap(),
            }))
            .unwrap();
            spool.notice(&notice).unwrap();
            spool.notice(&notice).unwrap();
        }
        let found = waiting(folder.path());
        assert_eq!(found.len(), 22);
        for message in &found {
            for language in ["ky", "ru", "en"] {
                let text = message["texts"][language]["text"].as_str().unwrap();
                assert!(!text.is_empty() && !text.contains("{"), "{text}");
            }
        }
    }

    #[test]
    fn what_a_killed_server_left_half_written_is_no_message() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".x.new"), "{").unwrap();
        Spool::open(folder.path(), "https://id.example.kg").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
