//! What the service does by itself: telling the certification authority of revocations, and forgetting.

use std::sync::Arc;
use std::time::Duration;

use ca::RevocationReason;
use server_signing::{Failure, Seed};
use time::OffsetDateTime;

use crate::{SigningServer, is_own_fault};

/// How often it looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Most that it does in one round.
const ROUND: usize = 100;

impl SigningServer {
    /// Tells the certification authority of revoked certificates, until it knows; forgets what is over. Gives how many
    /// certificates it was told of. Blocks.
    ///
    /// # Errors
    /// The database fails.
    pub fn housekeeping(&self, seed: &Seed, now: OffsetDateTime) -> Result<usize, Failure> {
        let mut told = 0;
        if let Some(authority) = &self.authority {
            for (place, untold) in self.signing.untold(ROUND)?.into_iter().enumerate() {
                let id = seed.id(&format!("revocation {place}"));
                let reason = RevocationReason::Unspecified;
                match authority.revoke(&untold.certificate, reason, &id, now) {
                    Ok(()) => {
                        self.signing.told(&untold)?;
                        told += 1;
                    }
                    // It is not marked as told, so the next round tries again.
                    Err(error) => {
                        tracing::error!(%error, "the certification authority was not told of a revocation");
                        break;
                    }
                }
            }
        }
        self.signing.forget(now, ROUND)?;
        Ok(told)
    }

    /// Does it again and again, for as long as it is polled.
    pub async fn keep_house(self: Arc<Self>) {
        loop {
            let server = Arc::clone(&self);
            let work = move || {
                let mut random = [0; 32];
                if getrandom::fill(&mut random).is_err() {
                    return;
                }
                let now = OffsetDateTime::now_utc();
                if let Err(failure) = server.housekeeping(&Seed::new(random), now) {
                    is_own_fault(&failure);
                }
            };
            // A round that panicked is in the log already; the next one begins all the same.
            let _ = tokio::task::spawn_blocking(work).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
