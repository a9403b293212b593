//! Wrong PINs cost time: the pause doubles with each, and survives restarts.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::TokenError;
use crate::file;

/// Milliseconds.
const LONGEST_PAUSE: u64 = 3_600_000;

#[derive(Default, Clone, Copy, Serialize, Deserialize)]
struct Record {
    failures: u32,
    /// Milliseconds since 1970.
    last: u64,
}

/// An attempt under way: counted as failed until it succeeds, so that ending the process early
/// gains nothing.
pub(crate) struct Attempt {
    path: PathBuf,
    pause: Duration,
    before: Record,
}

fn pause(failures: u32) -> u64 {
    match failures {
        0 => 0,
        _ => 1_u64
            .checked_shl(failures - 1)
            .map_or(LONGEST_PAUSE, |seconds| {
                seconds.saturating_mul(1000).min(LONGEST_PAUSE)
            }),
    }
}

impl Attempt {
    /// Must be called under the token's lock.
    pub(crate) fn begin(token: &Path) -> Result<Self, TokenError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
            });
        Self::begin_at(token, now)
    }

    fn begin_at(token: &Path, now: u64) -> Result<Self, TokenError> {
        let path = file::beside(token, ".attempts");
        let mut record: Record = match file::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| TokenError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?,
            Err(TokenError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Record::default()
            }
            Err(error) => return Err(error),
        };
        let wait = pause(record.failures);
        // A clock that was set back neither shortens the pause nor makes it endless.
        let over = record.last.min(now) + wait;
        if now < over {
            if record.last > now {
                record.last = now;
                Self::store(&path, &record)?;
            }
            return Err(TokenError::TooSoon {
                retry_after: Duration::from_millis(over - now),
            });
        }
        let before = record;
        record.failures = record.failures.saturating_add(1);
        record.last = now;
        Self::store(&path, &record)?;
        Ok(Self {
            path,
            pause: Duration::from_millis(pause(record.failures)),
            before,
        })
    }

    fn store(path: &Path, record: &Record) -> Result<(), TokenError> {
        let bytes = serde_json::to_vec(record).map_err(|_| TokenError::Engine)?;
        file::write_private(path, &bytes)
    }

    pub(crate) fn succeeded(self) -> Result<(), TokenError> {
        file::remove(&self.path)
    }

    /// The PIN was not judged, because the derivation failed: neither counts nor forgives.
    pub(crate) fn not_made(self) -> Result<(), TokenError> {
        Self::store(&self.path, &self.before)
    }

    pub(crate) fn wrong_pin(self) -> TokenError {
        TokenError::WrongPin {
            retry_after: self.pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(result: Result<Attempt, TokenError>) -> Option<u64> {
        match result {
            Ok(_) => None,
            Err(TokenError::TooSoon { retry_after }) => u64::try_from(retry_after.as_millis()).ok(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pauses: Vec<u64> = (0..14).map(|failures| pause(failures) / 1000).collect();
        assert_eq!(
            pauses,
            [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]
        );
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
        assert_eq!(pause(64), LONGEST_PAUSE);
    }

    #[test]
    fn failures_are_kept_and_success_forgets_them() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token.json");
        let second = |number: u64| number * 1000;
        assert_eq!(left(Attempt::begin_at(&token, second(1000))), None);
        assert_eq!(left(Attempt::begin_at(&token, second(1000))), Some(1000));
        assert_eq!(left(Attempt::begin_at(&token, second(1001))), None);
        assert_eq!(left(Attempt::begin_at(&token, second(1001))), Some(2000));
        assert_eq!(left(Attempt::begin_at(&token, second(1002) + 1)), Some(999));
        let attempt = Attempt::begin_at(&token, second(1003)).unwrap();
        assert_eq!(attempt.pause, Duration::from_secs(4));
        attempt.succeeded().unwrap();
        assert_eq!(left(Attempt::begin_at(&token, second(1003))), None);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_help_and_does_not_lock_out() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token.json");
        for time in [1_000_000, 2_000_000, 3_000_000] {
            assert_eq!(left(Attempt::begin_at(&token, time)), None);
        }
        assert_eq!(left(Attempt::begin_at(&token, 500_000)), Some(4000));
        assert_eq!(left(Attempt::begin_at(&token, 504_000)), None);
    }
}
