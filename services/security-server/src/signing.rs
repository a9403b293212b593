//! Signing messages with the keys of the members, one by one or in batches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

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
                let _ = waiting.answer.send(self.sign_one(&waiting.digests));
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
                for (waiting, chain) in batch.into_iter().zip(chains.chains) {
                    let parts = SignedParts {
                        signature: signature.clone(),
                        hash_chain: Some((result.clone(), chain.into())),
                    };
                    let _ = waiting.answer.send(Ok(parts));
                }
            }
            Err(refusal) => {
                for waiting in batch {
                    let _ = waiting.answer.send(Err(refusal.clone()));
                }
            }
        }
    }
}

struct Waiting {
    digests: Vec<Digest>,
    answer: oneshot::Sender<Result<SignedParts, Refusal>>,
}

/// Signs on behalf of one member.
pub struct MemberSigner {
    member: ClientId,
    key: Arc<Key>,
    batches: Option<SyncSender<Waiting>>,
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
            let (sender, receiver) = sync_channel(WAITING);
            let key = Arc::clone(&key);
            std::thread::Builder::new()
                .name("batch-signer".into())
                .spawn(move || sign_batches(&key, &receiver))?;
            Some(sender)
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
        batches.try_send(waiting).map_err(|error| {
            Refusal::Signing(
                match error {
                    TrySendError::Full(_) => "too many messages wait for a signature",
                    TrySendError::Disconnected(_) => "the signing thread has ended",
                }
                .into(),
            )
        })?;
        signed
            .await
            .map_err(|_| Refusal::Signing("the signing thread has ended".into()))?
    }
}

fn sign_batches(key: &Key, receiver: &Receiver<Waiting>) {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = receiver.try_recv()
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
