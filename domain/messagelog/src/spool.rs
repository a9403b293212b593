//! How many bytes may be under way whose signature nobody has verified yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::LogError;

/// Who sends a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SpoolOwner {
    /// An information system of this server: counted in the whole only.
    Own,
    /// Another Security Server, by a name under which its share is counted.
    Peer(String),
}

/// Limits in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// For each peer.
    pub per_peer: u64,
    /// For all senders together.
    pub total: u64,
}

#[derive(Debug, Default)]
struct Used {
    total: u64,
    peers: HashMap<String, u64>,
}

/// The account of unverified bytes. Cheap to clone; clones share the account.
#[derive(Debug, Clone)]
pub struct Spool {
    limits: SpoolLimits,
    used: Arc<Mutex<Used>>,
}

impl Spool {
    /// An empty account.
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            used: Arc::default(),
        }
    }

    /// A share for one body, empty at first, given back when it is dropped.
    pub fn share(&self, owner: SpoolOwner) -> SpoolShare {
        SpoolShare {
            spool: self.clone(),
            owner,
            taken: 0,
        }
    }

    /// Bytes under way now.
    pub fn used(&self) -> u64 {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body has taken of the account.
#[derive(Debug)]
pub struct SpoolShare {
    spool: Spool,
    owner: SpoolOwner,
    taken: u64,
}

impl SpoolShare {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`LogError::SpoolQuota`] when the sender's or the whole limit would be passed.
    pub fn take(&mut self, bytes: u64) -> Result<(), LogError> {
        let mut used = self.spool.lock();
        let total = used.total.saturating_add(bytes);
        if total > self.spool.limits.total {
            return Err(LogError::SpoolQuota {
                who: "all senders together".to_owned(),
            });
        }
        if let SpoolOwner::Peer(name) = &self.owner {
            let peer = used
                .peers
                .get(name)
                .copied()
                .unwrap_or(0)
                .saturating_add(bytes);
            if peer > self.spool.limits.per_peer {
                return Err(LogError::SpoolQuota { who: name.clone() });
            }
            used.peers.insert(name.clone(), peer);
        }
        used.total = total;
        drop(used);
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for SpoolShare {
    fn drop(&mut self) {
        let mut used = self.spool.lock();
        used.total = used.total.saturating_sub(self.taken);
        if let SpoolOwner::Peer(name) = &self.owner
            && let Some(peer) = used.peers.get_mut(name)
        {
            *peer = peer.saturating_sub(self.taken);
            if *peer == 0 {
                used.peers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_limited_per_peer_and_in_all_and_given_back() {
        let spool = Spool::new(SpoolLimits {
            per_peer: 10,
            total: 15,
        });
        let mut a = spool.share(SpoolOwner::Peer("a".into()));
        a.take(10).unwrap();
        assert!(matches!(a.take(1), Err(LogError::SpoolQuota { who }) if who == "a"));
        let mut own = spool.share(SpoolOwner::Own);
        own.take(5).unwrap();
        assert!(own.take(1).is_err());
        drop(a);
        own.take(10).unwrap();
        assert_eq!(spool.used(), 15);
        drop(own);
        assert_eq!(spool.used(), 0);
    }
}
