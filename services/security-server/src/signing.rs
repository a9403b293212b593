//! Signing messages with the keys of the members, one by one or in batches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use asic::hash_chain::{BatchTree, Names, single};
use bytes::Bytes;
use pki::{Certificate, Digest, DigestAlgorithm, Signer};
use proxy::{Refusal, SignedParts};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use xmldsig::{SignatureTarget, SignatureTemplate};
use xroad_id::ClientId;

/// Most messages under one signature: beyond it the chain documents grow and nothing is saved.
const BATCH: usize = 50;

/// Most messages that wait for a batch.
const WAITING: usize = 4096;

/// Longest time that messages are gathered for a signature.
const WINDOW: Duration = Duration::from_millis(3);

/// How soon those go on whose signature is made: nanoseconds, smoothed.
#[derive(Default)]
struct Lag(AtomicU64);

impl Lag {
    fn resumed(&self, answered: Instant) {
        let lag = answered.elapsed().as_nanos() as u64;
        let smoothed = self.0.load(Ordering::Relaxed);
        // Samples that get lost between the two steps do no harm.
        self.0
            .store(smoothed - smoothed / 8 + lag / 8, Ordering::Relaxed);
    }

    /// How long messages are gathered: a part of what they wait for a processor anyway. With
    /// time to spare that is nothing; on a busy machine a signature less is time for all.
    fn window(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed) / 2).min(WINDOW)
    }
}

/// A template and the last moment for which its status answers are fresh.
struct Prepared {
    template: SignatureTemplate,
    until: OffsetDateTime,
}

struct Key {
    signer: Arc<dyn Signer>,
    certificate: Certificate,
    intermediates: Vec<Certificate>,
    prepared: ArcSwapOption<Prepared>,
}

impl Key {
    fn prepared(&self, now: OffsetDateTime) -> Result<Arc<Prepared>, Refusal> {
        self.prepared
            .load_full()
            .filter(|prepared| now <= prepared.until)
            .ok_or_else(|| {
                Refusal::NotReady(
                    "the status of the signing certificate is not known to be good".into(),
                )
            })
    }

    fn sign_target(&self, target: &SignatureTarget<'_>) -> Result<Bytes, Refusal> {
        let now = OffsetDateTime::now_utc();
        let prepared = self.prepared(now)?;
        prepared
            .template
            .sign(&*self.signer, target, now)
            .map(Bytes::from)
            .map_err(|error| Refusal::Signing(error.to_string()))
    }

    fn sign_one(&self, digests: &[Digest]) -> Result<SignedParts, Refusal> {
        if let [message] = digests {
            let signature = self.sign_target(&SignatureTarget::Message(message))?;
            return Ok(SignedParts {
                signature,
                hash_chain: None,
            });
        }
        let chain = single(digests);
        let digest = DigestAlgorithm::Sha512.digest(&chain.result);
        let signature = self.sign_target(&SignatureTarget::HashChainResult(&digest))?;
        Ok(SignedParts {
            signature,
            hash_chain: Some((chain.result.into(), chain.chain.into())),
        })
    }

    fn sign_batch(&self, batch: Vec<Waiting>) {
        if let [_] = batch.as_slice() {
            for waiting in batch {
                let signed = self.sign_one(&waiting.digests);
                let _ = waiting.answer.send((signed, Instant::now()));
            }
            return;
        }
        let mut tree = BatchTree::new(Names::Signature);
        for waiting in &batch {
            tree.add(&waiting.digests);
        }
        let signed = tree
            .finish()
            .ok_or_else(|| Refusal::Internal("a batch could not be built".into()))
            .and_then(|chains| {
                let digest = DigestAlgorithm::Sha512.digest(&chains.result);
                Ok((
                    self.sign_target(&SignatureTarget::HashChainResult(&digest))?,
                    chains,
                ))
            });
        match signed {
            Ok((signature, chains)) => {
                let result = Bytes::from(chains.result);
                let time = Instant::now();
                for (waiting, chain) in batch.into_iter().zip(chains.chains) {
                    let parts = SignedParts {
                        signature: signature.clone(),
                        hash_chain: Some((result.clone(), chain.into())),
                    };
                    let _ = waiting.answer.send((Ok(parts), time));
                }
            }
            Err(refusal) => {
                for waiting in batch {
                    let _ = waiting.answer.send((Err(refusal.clone()), Instant::now()));
                }
            }
        }
    }
}

struct Waiting {
    digests: Vec<Digest>,
    answer: oneshot::Sender<Signed>,
}

/// What became of a message, and when.
type Signed = (Result<SignedParts, Refusal>, Instant);

/// Where messages wait for the signing thread.
struct Batches {
    queue: SyncSender<Waiting>,
    lag: Arc<Lag>,
}

/// Signs on behalf of one member.
pub struct MemberSigner {
    member: ClientId,
    key: Arc<Key>,
    batches: Option<Batches>,
}

impl MemberSigner {
    /// A signer that has no status answers yet. With `batch` messages that wait while a
    /// signature is made are signed together, by a thread of their own.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        member: ClientId,
        signer: Arc<dyn Signer>,
        certificate: Certificate,
        intermediates: Vec<Certificate>,
        batch: bool,
    ) -> std::io::Result<Self> {
        let key = Arc::new(Key {
            signer,
            certificate,
            intermediates,
            prepared: ArcSwapOption::empty(),
        });
        let batches = if batch {
            let (queue, receiver) = sync_channel(WAITING);
            let key = Arc::clone(&key);
            let lag = Arc::new(Lag::default());
            let observed = Arc::clone(&lag);
            std::thread::Builder::new()
                .name("batch-signer".into())
                .spawn(move || sign_batches(&key, &receiver, &observed))?;
            Some(Batches { queue, lag })
        } else {
            None
        };
        Ok(Self {
            member,
            key,
            batches,
        })
    }

    /// The member.
    pub fn member(&self) -> &ClientId {
        &self.member
    }

    /// Its signing certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.key.certificate
    }

    /// Takes status answers: the certificate's first, then those of its issuers. They are good until `until`.
    pub fn set_status(&self, answers: &[Bytes], until: OffsetDateTime) {
        let template = SignatureTemplate::new(
            &self.key.certificate,
            answers,
            &self.key.intermediates,
            self.key.signer.algorithm(),
        );
        self.key
            .prepared
            .store(Some(Arc::new(Prepared { template, until })));
    }

    /// Whether a message could be signed at `now`.
    pub fn is_ready(&self, now: OffsetDateTime) -> bool {
        self.check_ready(now).is_ok()
    }

    /// As [`MemberSigner::is_ready`], for a message that is under way.
    ///
    /// # Errors
    /// No fresh status.
    pub fn check_ready(&self, now: OffsetDateTime) -> Result<(), Refusal> {
        self.key.prepared(now).map(|_| ())
    }

    /// Signs a message: `digests` are the SHA-512 digests of its parts, the message first.
    ///
    /// # Errors
    /// No fresh status, or the key refuses.
    pub async fn sign(&self, digests: &[Digest]) -> Result<SignedParts, Refusal> {
        let Some(batches) = &self.batches else {
            return self.key.sign_one(digests);
        };
        let (answer, signed) = oneshot::channel();
        let waiting = Waiting {
            digests: digests.to_vec(),
            answer,
        };
        batches.queue.try_send(waiting).map_err(|error| {
            Refusal::Signing(
                match error {
                    TrySendError::Full(_) => "too many messages wait for a signature",
                    TrySendError::Disconnected(_) => "the signing thread has ended",
                }
                .into(),
            )
        })?;
        let (signed, time) = signed
            .await
            .map_err(|_| Refusal::Signing("the signing thread has ended".into()))?;
        batches.lag.resumed(time);
        signed
    }
}

fn sign_batches(key: &Key, receiver: &Receiver<Waiting>, lag: &Lag) {
    while let Ok(first) = receiver.recv() {
        let until = Instant::now() + lag.window();
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Some(next) = receiver.try_recv().ok().or_else(|| {
                let left = until.saturating_duration_since(Instant::now());
                // To sleep for less takes longer.
                (left > Duration::from_micros(50))
                    .then(|| receiver.recv_timeout(left).ok())
                    .flatten()
            })
        {
            batch.push(next);
        }
        key.sign_batch(batch);
    }
}

/// The signers of all members that this server signs for.
#[derive(Default)]
pub struct Signers {
    members: HashMap<ClientId, Arc<MemberSigner>>,
}

impl Signers {
    /// A set of signers; of two for one member the first stays.
    pub fn new(signers: impl IntoIterator<Item = MemberSigner>) -> Self {
        let mut members = HashMap::new();
        for signer in signers {
            members
                .entry(signer.member.clone())
                .or_insert_with(|| Arc::new(signer));
        }
        Self { members }
    }

    /// The signer for `client`'s member.
    ///
    /// # Errors
    /// This server has no signing key of that member.
    pub fn of(&self, client: &ClientId) -> Result<&Arc<MemberSigner>, Refusal> {
        self.members.get(&client.to_member()).ok_or_else(|| {
            Refusal::Signing(format!("there is no signing key of {}", client.to_member()))
        })
    }

    /// All signers.
    pub fn all(&self) -> impl Iterator<Item = &Arc<MemberSigner>> {
        self.members.values()
    }
}
