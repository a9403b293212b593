//! The loop that time-stamps what the message log holds (reference A3, A4, A6, A10).
//!
//! Records are stamped in batches: when the interval is over, as soon as a batch
//! is full, and at once for whoever exports evidence. The authorities of the
//! global configuration are tried in order; after a failure of all of them the
//! next attempt follows after a minute.

use std::sync::Arc;
use std::time::Duration;

use messagelog::{
    ConfigurationId, LogError, MAX_BATCH, Pending, RecordId, StampForm, hash_chain_result,
};
use pki::{Certificate, DigestAlgorithm, tsp};
use store_segments::MessageLog;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};
use transport::{HttpClient, RequestOptions};

/// The shortest interval that the global configuration can ask for, as in X-Road.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);
/// How soon a failed batch is tried again.
pub const RETRY: Duration = Duration::from_secs(60);
/// Largest answer of an authority, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Who may be asked now, from the global configuration in force.
#[derive(Debug, Clone)]
pub struct Authorities {
    /// URLs in the order in which they are tried.
    pub urls: Vec<String>,
    /// Certificates of all approved authorities.
    pub certificates: Vec<Certificate>,
    /// How often batches are stamped.
    pub interval: Duration,
    /// The signed configuration that says so; it is kept in the log with every time-stamp.
    pub configuration: ConfigurationId,
}

/// Why records could not be time-stamped.
#[derive(Debug, thiserror::Error)]
pub enum TimestampError {
    /// There is no global configuration in force, or it names no authority.
    #[error("no time-stamping authority is known")]
    NoAuthority,
    /// Every authority failed; this is what the last one did. Its fault, or the network's.
    #[error("no time-stamping authority gave a time-stamp; the last one: {0}")]
    Authority(String),
    /// The log could not say what to stamp or keep the time-stamp.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The signature of a record cannot be read (for time-stamps per message).
    #[error("the signature of the record cannot be read: {0}")]
    Signature(String),
}

type Source = dyn Fn() -> Option<Authorities> + Send + Sync;

struct Inner {
    log: MessageLog,
    client: HttpClient,
    authorities: Box<Source>,
    /// One batch at a time: so no record is stamped twice.
    batch: Mutex<()>,
}

/// Time-stamps records of the log. Cheap to clone.
#[derive(Clone)]
pub struct Timestamper(Arc<Inner>);

impl std::fmt::Debug for Timestamper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Timestamper").field(&self.0.log).finish()
    }
}

impl Timestamper {
    /// For this log; `authorities` is asked before each time-stamp.
    pub fn new(
        log: MessageLog,
        client: HttpClient,
        authorities: impl Fn() -> Option<Authorities> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            log,
            client,
            authorities: Box::new(authorities),
            batch: Mutex::new(()),
        }))
    }

    fn authorities(&self) -> Result<Authorities, TimestampError> {
        (self.0.authorities)()
            .filter(|authorities| !authorities.urls.is_empty())
            .ok_or(TimestampError::NoAuthority)
    }

    /// Stamps batches for as long as the future is polled: start it as a task.
    pub async fn run(self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        let mut not_before = Instant::now();
        loop {
            ticks.tick().await;
            let pending = self.0.log.pending_count();
            if pending == 0 || Instant::now() < not_before {
                continue;
            }
            let Some(authorities) = (self.0.authorities)() else {
                continue;
            };
            let due = last.elapsed() >= authorities.interval;
            if !due && pending < MAX_BATCH as u64 {
                continue;
            }
            match self.stamp_pending().await {
                Ok(records) => {
                    last = Instant::now();
                    tracing::debug!(records, "time-stamped");
                }
                Err(error) => {
                    not_before = Instant::now() + RETRY;
                    tracing::warn!(
                        %error,
                        pending,
                        oldest = self.0.log.oldest_pending(),
                        "records could not be time-stamped"
                    );
                }
            }
        }
    }

    /// Stamps everything that is pending now, batch by batch. Returns how many records.
    ///
    /// # Errors
    /// No authority gave a time-stamp, or the log failed.
    pub async fn stamp_pending(&self) -> Result<usize, TimestampError> {
        let mut stamped = 0;
        // What comes in meanwhile waits for the next time, but for full batches.
        let mut left = self.0.log.pending_count();
        while left > 0 {
            let _turn = self.0.batch.lock().await;
            let pending = self.0.log.pending(MAX_BATCH).await?;
            let count = pending.records.len();
            if count == 0 {
                break;
            }
            self.stamp(pending).await?;
            stamped += count;
            left = left.saturating_sub(count as u64);
        }
        Ok(stamped)
    }

    /// Sees to it that these records have a time-stamp, at once: for exports.
    ///
    /// # Errors
    /// A record is not in the log, no authority gave a time-stamp, or the log failed.
    pub async fn stamp_now(&self, records: Vec<RecordId>) -> Result<(), TimestampError> {
        let _turn = self.0.batch.lock().await;
        for part in records.chunks(MAX_BATCH) {
            let pending = self.0.log.pending_of(part.to_vec()).await?;
            if !pending.records.is_empty() {
                self.stamp(pending).await?;
            }
        }
        Ok(())
    }

    /// Stamps one record alone, over its signature value (A3): for servers that
    /// time-stamp each message before it goes on.
    ///
    /// # Errors
    /// As [`Timestamper::stamp_now`].
    pub async fn stamp_single(&self, record: RecordId) -> Result<(), TimestampError> {
        let pending = self.0.log.pending_of(vec![record]).await?;
        if pending.records.is_empty() {
            return Ok(());
        }
        let stored = self.0.log.get(record).await?;
        let signature = xmldsig::Signature::decode(&stored.record.signature)
            .map_err(|error| TimestampError::Signature(error.to_string()))?;
        self.fetch_and_keep(pending, StampForm::Single, signature.value())
            .await
    }

    async fn stamp(&self, pending: Pending) -> Result<(), TimestampError> {
        let digests = pending.digests.clone();
        let result = tokio::task::spawn_blocking(move || hash_chain_result(&digests))
            .await
            .ok()
            .flatten()
            .ok_or(LogError::Closed)?;
        self.fetch_and_keep(pending, StampForm::Batch, &result)
            .await
    }

    async fn fetch_and_keep(
        &self,
        pending: Pending,
        form: StampForm,
        stamped: &[u8],
    ) -> Result<(), TimestampError> {
        let authorities = self.authorities()?;
        let token = self.fetch(&authorities, stamped).await?;
        // The configuration is kept before the first message that it serves; one
        // that is so new that no message did is left to the messages' own.
        let configuration = Some(authorities.configuration)
            .filter(|configuration| self.0.log.has_configuration(*configuration));
        self.0
            .log
            .commit_timestamp(pending, form, token.into(), configuration)
            .await?;
        Ok(())
    }

    async fn fetch(
        &self,
        authorities: &Authorities,
        stamped: &[u8],
    ) -> Result<Vec<u8>, TimestampError> {
        // X-Road's algorithm for time-stamps.
        let algorithm = DigestAlgorithm::Sha512;
        // The imprint is of data that was never stamped before: no nonce is needed.
        let imprint = algorithm.digest(stamped);
        let request = tsp::Request::new(algorithm, imprint).encode();
        let mut last = String::new();
        for url in &authorities.urls {
            match self.ask(url, &request).await {
                Ok(answer) => {
                    let token = tsp::decode_response(&answer).and_then(|token| {
                        let verified =
                            token.verify(algorithm, &imprint, &authorities.certificates)?;
                        token.with_certificate(verified.signer())
                    });
                    match token {
                        Ok(token) => return Ok(token.der().to_vec()),
                        Err(error) => last = error.to_string(),
                    }
                }
                Err(error) => last = error,
            }
            tracing::info!(url, error = last, "a time-stamping authority failed");
        }
        Err(TimestampError::Authority(last))
    }

    async fn ask(&self, url: &str, request: &[u8]) -> Result<bytes::Bytes, String> {
        let options = RequestOptions::default()
            .with_timeouts(Duration::from_secs(20), Duration::from_secs(60))
            .with_total(Duration::from_secs(120));
        let types = ("application/timestamp-query", "application/timestamp-reply");
        self.0
            .client
            .post(url, types, request.to_vec(), &options, MAX_ANSWER)
            .await
            .map_err(|error| error.to_string())
    }
}
