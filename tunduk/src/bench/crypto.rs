//! Slice K: what the bare cryptography costs on this machine at this moment, on all processors at once, as it runs in
//! a busy server.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use pki::{DigestAlgorithm, KeyType, Signer, SoftwareKey};
use rustix::time::{ClockId, clock_gettime};

use super::{Failure, message, processes};

/// Microseconds of CPU of one operation each.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Costs {
    /// One signature over a message's worth of bytes.
    pub(super) sign: f64,
    /// One verification with a parsed key.
    pub(super) verify: f64,
    /// SHA-512 of one message.
    pub(super) hash_message: f64,
    /// SHA-512 of 128 bytes: a step of a hash chain.
    pub(super) hash_step: f64,
}

/// Microseconds of CPU for one MB (a million bytes).
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct BulkCosts {
    /// SHA-512.
    pub(super) sha512: f64,
    /// AES-256-GCM in pieces of 64 KiB.
    pub(super) aes_gcm: f64,
}

/// A key to measure with.
pub(super) struct Keys {
    key: SoftwareKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Keys {
    /// A fresh key; messages of this length are hashed.
    pub(super) fn new(key_type: KeyType, message_bytes: usize) -> Result<Self, Failure> {
        let key = SoftwareKey::generate(key_type).map_err(|error| error.to_string())?;
        let message = message::block(message_bytes).to_vec();
        let signature = key.sign(&message).map_err(|error| error.to_string())?;
        Ok(Self {
            key,
            message,
            signature,
        })
    }

    /// Measures each operation for this long on every processor.
    pub(super) fn measure(&self, each: Duration) -> Costs {
        let verifies = || {
            self.key
                .public_key()
                .verify(self.key.algorithm(), &self.message, &self.signature)
                .is_ok()
        };
        debug_assert!(verifies());
        let hash =
            |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes).as_ref().first() != Some(&0);
        let step = self
            .message
            .get(..128.min(self.message.len()))
            .unwrap_or_default();
        // Signing and verifying hash the message too; the limit counts hashing on its own.
        let hash_message = on_all_processors(each, || hash(&self.message));
        Costs {
            sign: (on_all_processors(each, || self.key.sign(&self.message).is_ok()) - hash_message)
                .max(0.0),
            verify: (on_all_processors(each, verifies) - hash_message).max(0.0),
            hash_message,
            hash_step: on_all_processors(each, || hash(step)),
        }
    }
}

/// Measures hashing and encryption of large bodies.
pub(super) fn bulk(each: Duration) -> Result<BulkCosts, Failure> {
    const PIECE: usize = 64 * 1024;
    let data = message::block(1_000_000);
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(|error| error.to_string())?;
    let key = LessSafeKey::new(key);
    let sealing = || {
        let mut buffer = [0_u8; PIECE];
        let mut fine = true;
        for piece in data.chunks(PIECE) {
            let Some(buffer) = buffer.get_mut(..piece.len()) else {
                return false;
            };
            buffer.copy_from_slice(piece);
            let nonce = Nonce::assume_unique_for_key([3; 12]);
            fine &= key
                .seal_in_place_separate_tag(nonce, Aad::empty(), buffer)
                .is_ok();
        }
        fine
    };
    Ok(BulkCosts {
        sha512: on_all_processors(each, || {
            DigestAlgorithm::Sha512.digest(&data).as_ref().first() != Some(&0)
        }),
        aes_gcm: on_all_processors(each, sealing),
    })
}

/// Microseconds of CPU of one call, over as many threads as there are processors.
fn on_all_processors(time: Duration, operation: impl Fn() -> bool + Sync) -> f64 {
    let run = || {
        let start = cpu();
        let mut calls = 0_u32;
        let mut used = Duration::ZERO;
        while used < time {
            for _ in 0..8 {
                std::hint::black_box(operation());
            }
            calls += 8;
            used = cpu().saturating_sub(start);
        }
        (used, calls)
    };
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processes::processors())
            .map(|_| scope.spawn(run))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .fold((Duration::ZERO, 0), |sum, one| {
                (sum.0 + one.0, sum.1 + one.1)
            })
    });
    total.0.as_secs_f64() * 1e6 / f64::from(total.1.max(1))
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
