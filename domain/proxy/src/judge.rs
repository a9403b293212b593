//! Who is at the other end, and whose signature it is.
//!
//! Judging a certificate costs several signature checks, and a peer sends the same
//! certificate with the same status answer thousands of times. So what was found is
//! remembered under everything that it was found from: the certificate, the status
//! answer, the configuration. A judgement is valid until the first of these ends;
//! it is asked for again for every message.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use globalconf::{ConfigurationId, Current};
use pki::ocsp::{Freshness, Response};
use pki::{Certificate, DigestAlgorithm};
use time::OffsetDateTime;
use xmldsig::{Signature, SignatureMemory, SignaturePolicyRule, ValueVerified};
use xroad_id::{ClientId, SecurityServerId};

use crate::refusal::Refusal;

/// Most entries of each memory; a fuller one is emptied, which costs time and nothing else.
const REMEMBERED: usize = 4096;

/// Most signature documents that are remembered for batches.
const REMEMBERED_SIGNATURES: usize = 256;

/// What is longer is not remembered, in bytes: else a peer could fill the memories with
/// the longest documents that are read.
const LONGEST_REMEMBERED: usize = 16 * 1024;

/// So much of the start of a signature document tells it from others, in bytes: its digests
/// and its value are there.
const TELLING: usize = 1536;

type Key = [u8; 32];

fn key(parts: &[&[u8]]) -> Key {
    let mut hasher = DigestAlgorithm::Sha256.hasher();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finish();
    let mut key = [0; 32];
    key.copy_from_slice(digest.as_ref());
    key
}

struct Memory<K, V> {
    entries: Mutex<HashMap<K, V>>,
    limit: usize,
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::new(HashMap::new()),
            limit,
        }
    }

    fn find(&self, key: &K) -> Option<V> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn keep(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.limit {
            entries.clear();
        }
        entries.insert(key, value);
    }
}

/// Proof that a TLS certificate belongs to a Security Server that may speak for a
/// client or provider, and that its status was good: made per message, never per connection.
#[derive(Debug, Clone)]
pub struct Peer {
    server: SecurityServerId,
    until: OffsetDateTime,
    configuration: ConfigurationId,
}

impl Peer {
    /// The server.
    pub fn server(&self) -> &SecurityServerId {
        &self.server
    }

    /// The last moment for which the proof holds.
    pub fn until(&self) -> OffsetDateTime {
        self.until
    }

    /// The configuration it was made from.
    pub fn configuration(&self) -> ConfigurationId {
        self.configuration
    }
}

/// What is known of a certificate without its status answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerDoubt {
    /// The refusal is final.
    Refused(Box<Refusal>),
    /// A status answer is missing or no longer fresh: fetch it and ask again.
    NeedsStatus,
    /// The status answers do not hold: bad, not to be trusted, or not to be read. Others
    /// may, so whoever kept these asks for new ones.
    BadStatus(Box<Refusal>),
}

/// Proof that a signature document is correct and its signer is a member.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) value: ValueVerified,
}

/// Judges certificates and signatures and remembers what it found.
pub struct Judge {
    certificates: Memory<Key, Certificate>,
    peers: Memory<Key, (SecurityServerId, OffsetDateTime)>,
    signers: Memory<evidence::SignerKey, OffsetDateTime>,
    /// Verified signatures of batches under a hash of their start, with the whole document.
    batches: Memory<u64, (Arc<[u8]>, ValueVerified)>,
    hasher: RandomState,
    documents: SignatureMemory,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            certificates: Memory::new(REMEMBERED),
            peers: Memory::new(REMEMBERED),
            signers: Memory::new(REMEMBERED),
            batches: Memory::new(REMEMBERED_SIGNATURES),
            hasher: RandomState::new(),
            documents: SignatureMemory::new(),
        }
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

fn freshness(configuration: &Current) -> Freshness {
    Freshness {
        max_age_seconds: configuration.ocsp_freshness_seconds(),
        check_next_update: configuration.next_update_check(),
        ..Freshness::default()
    }
}

impl Judge {
    /// A certificate, decoded once.
    ///
    /// # Errors
    /// The bytes are not a certificate.
    pub fn certificate(&self, der: &[u8]) -> Result<Certificate, pki::CertificateError> {
        let key = key(&[der]);
        if let Some(known) = self.certificates.find(&key) {
            return Ok(known);
        }
        let certificate = Certificate::decode(der)?;
        if der.len() <= LONGEST_REMEMBERED {
            self.certificates.keep(key, certificate.clone());
        }
        Ok(certificate)
    }

    /// Decides whether `certificate` is that of a Security Server which serves `party`
    /// (T5, T6), with `status` the OCSP answers for each certificate of its chain but the root.
    ///
    /// # Errors
    /// [`PeerDoubt::NeedsStatus`] and [`PeerDoubt::BadStatus`] when nothing is missing but good
    /// status answers.
    pub fn peer(
        &self,
        configuration: &Current,
        certificate: &Certificate,
        status: &[Bytes],
        party: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Peer, PeerDoubt> {
        let identity = configuration.identity();
        let mut parts: Vec<&[u8]> = vec![certificate.sha256().as_ref(), &identity.0];
        parts.extend(status.iter().map(|answer| &answer[..]));
        let key = key(&parts);
        let (server, until) = match self.peers.find(&key) {
            Some((server, until)) if now <= until => (server, until),
            _ => {
                let found = self.judge_peer(configuration, certificate, status, now)?;
                self.peers.keep(key, found.clone());
                found
            }
        };
        if !configuration.is_client_of_server(party, &server) {
            return Err(refused(format!(
                "its certificate is registered for {server}, which does not serve {party}"
            )));
        }
        let until = configuration
            .until()
            .map_or(until, |expires| expires.min(until));
        Ok(Peer {
            server,
            until,
            configuration: identity,
        })
    }

    fn judge_peer(
        &self,
        configuration: &Current,
        certificate: &Certificate,
        status: &[Bytes],
        now: OffsetDateTime,
    ) -> Result<(SecurityServerId, OffsetDateTime), PeerDoubt> {
        let server = configuration
            .server_by_auth_certificate(certificate)
            .ok_or_else(|| refused("its certificate is not registered for any Security Server"))?;
        if !certificate.is_authentication() {
            return Err(refused(
                "its certificate is not an authentication certificate",
            ));
        }
        let instance = &server.id.instance;
        let issuer = configuration
            .approved_ca_for(instance, certificate)
            .ok_or_else(|| {
                refused("its certificate is not issued by an approved certification authority")
            })?;
        let intermediates: Vec<Certificate> = issuer.ca.intermediates().cloned().collect();
        let path = pki::validate_path(
            certificate,
            &intermediates,
            std::slice::from_ref(issuer.ca.top()),
            now,
        )
        .map_err(|error| refused(format!("its certificate: {error}")))?;
        let freshness = freshness(configuration);
        let mut until = path.valid_until();
        let chain = path.certificates();
        for pair in chain.windows(2) {
            let (subject, authority) = (&pair[0], &pair[1]);
            let responders: Vec<Certificate> = issuer
                .ca
                .authorities
                .iter()
                .filter(|ca| ca.certificate.der() == authority.der())
                .flat_map(|ca| ca.responder_certificates().cloned())
                .collect();
            let mut answer = Err(PeerDoubt::NeedsStatus);
            for response in status {
                let response = Response::decode(response).map_err(|error| bad_status(&error))?;
                if !response.names(subject, authority) {
                    continue;
                }
                answer = match response.verify(subject, authority, &responders, now, &freshness) {
                    Ok(good) => Ok(good),
                    Err(
                        pki::ocsp::OcspError::NotFresh { .. }
                        | pki::ocsp::OcspError::Outdated { .. },
                    ) => Err(PeerDoubt::NeedsStatus),
                    Err(error) => Err(bad_status(&error)),
                };
                break;
            }
            until = until.min(answer?.fresh_until(&freshness));
        }
        Ok((server.id.clone(), until))
    }

    /// Verifies a signature document and that its signer is `member`: value, policy,
    /// chain, status and name (S13 to S15). Which parts it covers is asked apart.
    pub(crate) fn signer(
        &self,
        configuration: &Current,
        signature: &[u8],
        member: &ClientId,
        now: OffsetDateTime,
        shared: bool,
    ) -> Result<Signer, Refusal> {
        let may_be_remembered = signature.len() <= 2 * LONGEST_REMEMBERED;
        let batch = (shared && may_be_remembered).then(|| {
            let start = &signature[..signature.len().min(TELLING)];
            self.hasher.hash_one((signature.len(), start))
        });
        let known = batch
            .and_then(|key| self.batches.find(&key))
            .filter(|(document, _)| **document == *signature);
        let (value, recalled) = match known {
            Some((_, value)) => (value, None),
            None => {
                let (value, recalled) = self.verified_value(signature)?;
                (value, Some(recalled))
            }
        };
        let key = evidence::signer_key(configuration, member, &value);
        if self.signers.find(&key).is_none_or(|until| now > until) {
            let verified = evidence::verify_signer(configuration, member, &value, now)
                .map_err(signature_refusal)?;
            let chain = value.signature().chain().as_bytes().len();
            if may_be_remembered && chain <= LONGEST_REMEMBERED {
                self.signers.keep(key, verified.valid_until());
            }
        }
        // Only what a member signed is remembered: nobody else can push it out.
        if let Some(key) = batch.filter(|_| recalled.is_some()) {
            self.batches.keep(key, (signature.into(), value.clone()));
        }
        if recalled == Some(false) && may_be_remembered {
            self.documents.remember(signature, &value);
        }
        Ok(Signer { value })
    }

    /// Verifies the value of a signature, and says whether its document was like one before.
    fn verified_value(&self, signature: &[u8]) -> Result<(ValueVerified, bool), Refusal> {
        let recalled = self.documents.recall(signature);
        let is_recalled = recalled.is_some();
        let decoded = match recalled {
            Some(decoded) => decoded,
            None => Signature::decode(signature).map_err(signature_refusal)?,
        };
        let certificate = match decoded.known_certificate() {
            Some(certificate) => certificate.clone(),
            None => self
                .certificate(decoded.certificate_der())
                .map_err(|error| Refusal::Signature {
                    leaf: "incorrect_certificate".into(),
                    detail: error.to_string(),
                })?,
        };
        let value = decoded
            .verify_value(&certificate, SignaturePolicyRule::STRICT)
            .map_err(signature_refusal)?;
        Ok((value, is_recalled))
    }
}

fn bad_status(error: &pki::ocsp::OcspError) -> PeerDoubt {
    PeerDoubt::BadStatus(Box::new(Refusal::PeerAuthentication(format!(
        "its certificate status: {error}"
    ))))
}

fn refused(detail: impl Into<String>) -> PeerDoubt {
    PeerDoubt::Refused(Box::new(Refusal::PeerAuthentication(detail.into())))
}

pub(crate) fn signature_refusal(error: xmldsig::SignatureError) -> Refusal {
    Refusal::Signature {
        leaf: error.code().to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
