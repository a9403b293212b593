//! The memory that messages under way may take in all. Each message has limits of its own, but many
//! connections together could fill the machine: slowly sent large envelopes cost their senders
//! nothing. What is over is refused rather than kept waiting, because messages that wait for one
//! another's memory would wait for ever. Requests have half of it alone, so that there is room for
//! the answers to those that were taken: an answer that is refused comes too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What every message may hold without being counted, bytes: the number of connections bounds it,
/// and ordinary messages go on while large ones are refused.
const UNCOUNTED: usize = 96 * 1024;

/// How often a byte of a message is in memory at most: as it came, and in what is sent on.
const COPIES: usize = 2;

/// There is no memory for more of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

/// The memory of all messages.
#[derive(Debug)]
pub struct MessageMemory {
    limit: usize,
    used: AtomicUsize,
}

impl MessageMemory {
    /// `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    /// An account for a request that begins.
    pub fn request(self: &Arc<Self>) -> Account {
        self.account(self.limit / 2)
    }

    /// An account for an answer that begins.
    pub fn answer(self: &Arc<Self>) -> Account {
        self.account(self.limit)
    }

    fn account(self: &Arc<Self>, limit: usize) -> Account {
        Account {
            memory: Arc::clone(self),
            limit,
            share: None,
            kept: 0,
        }
    }

    fn take(&self, bytes: usize, limit: usize) -> Result<(), Crowded> {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= limit)
            })
            .map(drop)
            .map_err(|_| Crowded)
    }
}

/// What one message has of the memory; given back with the last of its parts.
#[derive(Debug)]
struct Share {
    memory: Arc<MessageMemory>,
    bytes: AtomicUsize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory
            .used
            .fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A part with its message's share.
struct Kept {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The account of one message while it is read.
#[derive(Debug)]
pub struct Account {
    memory: Arc<MessageMemory>,
    /// What all messages together may have taken when this one takes more.
    limit: usize,
    share: Option<Arc<Share>>,
    kept: usize,
}

impl Account {
    /// Says that `bytes` of a part that is not whole yet are in memory, besides the parts that are.
    ///
    /// # Errors
    /// All messages together would take too much; the message must be given up.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Crowded> {
        let held = self.kept.saturating_add(bytes);
        if held <= UNCOUNTED {
            return Ok(());
        }
        let due = (held - UNCOUNTED).saturating_mul(COPIES);
        let share = self.share.get_or_insert_with(|| {
            Arc::new(Share {
                memory: Arc::clone(&self.memory),
                bytes: AtomicUsize::new(0),
            })
        });
        // Only this account adds to the share.
        let more = due.saturating_sub(share.bytes.load(Ordering::Relaxed));
        if more > 0 {
            self.memory.take(more, self.limit)?;
        }
        share.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// A whole part, which counts for as long as its bytes are anywhere.
    ///
    /// # Errors
    /// As [`Account::hold`].
    pub fn keep(&mut self, bytes: Bytes) -> Result<Bytes, Crowded> {
        self.hold(bytes.len())?;
        self.kept += bytes.len();
        Ok(self.stand_in(bytes))
    }

    /// Bytes that stand in for those of a kept part, which are given up: they count in their place.
    pub fn stand_in(&self, bytes: Bytes) -> Bytes {
        match &self.share {
            Some(share) => Bytes::from_owner(Kept {
                bytes,
                _share: Arc::clone(share),
            }),
            None => bytes,
        }
    }

    /// How much of `wanted` bytes a part may hold that can also be put on disk: all or nothing.
    pub fn room(&mut self, wanted: usize) -> usize {
        self.hold(wanted).map_or(0, |()| wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_until_the_last_of_their_bytes_is_gone() {
        let memory = MessageMemory::new(1 << 20);
        let used = || memory.used.load(Ordering::Relaxed);
        let mut small = memory.request();
        let part = small.keep(Bytes::from(vec![1; UNCOUNTED])).unwrap();
        assert_eq!((part.len(), used()), (UNCOUNTED, 0));

        let mut large = memory.request();
        large.hold(UNCOUNTED + 100).unwrap();
        assert_eq!(used(), 100 * COPIES);
        large.hold(UNCOUNTED + 300).unwrap();
        let part = large.keep(Bytes::from(vec![2; UNCOUNTED + 300])).unwrap();
        let second = large.keep(Bytes::from(vec![3; 50])).unwrap();
        assert_eq!(used(), 350 * COPIES);
        assert_eq!(part.first(), Some(&2));
        let slice = part.slice(5..10);
        drop((large, part));
        assert_eq!(used(), 350 * COPIES);
        drop(slice);
        drop(second);
        assert_eq!(used(), 0);
    }

    #[test]
    fn what_is_over_is_refused_and_small_messages_go_on() {
        let memory = MessageMemory::new(2 << 20);
        let mut slow: Vec<Account> = Vec::new();
        for _ in 0..4 {
            let mut account = memory.request();
            account.hold(UNCOUNTED + (1 << 17)).unwrap();
            slow.push(account);
        }
        let mut late = memory.request();
        assert_eq!(late.hold(UNCOUNTED + 1), Err(Crowded));
        // The other half is for the answers to those that were taken.
        let mut answer = memory.answer();
        assert_eq!(answer.hold(UNCOUNTED + (1 << 19)), Ok(()));
        assert_eq!(memory.answer().hold(UNCOUNTED + 1), Err(Crowded));
        drop(answer);
        assert_eq!(late.room(UNCOUNTED + 1), 0);
        assert_eq!(late.room(UNCOUNTED), UNCOUNTED);
        assert!(memory.request().keep(Bytes::from(vec![0; 4096])).is_ok());
        // A message that is refused gives back what it had.
        assert_eq!(slow[0].hold(usize::MAX), Err(Crowded));
        slow.clear();
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
        assert_eq!(late.hold(UNCOUNTED + 1), Ok(()));
    }
}
