//! Passwords: hashed with Argon2id (RFC 9106) by threads that run when nothing else does, behind a queue of fixed length.
//!
//! A flood of passwords takes no more memory than the threads have from the start, fails early where the queue is full,
//! and does not hold up whoever signs in by a key: the operating system runs the hashing threads last.

mod foreign;
mod phc;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Block, Params};
use oidc_provider::PasswordHash;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::foreign::Foreign;
use crate::phc::Phc;

/// Memory of one hashing in KiB (OWASP's and RFC 9106's advice for interactive use, as of 2026: 19 MiB).
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Fewest bytes of a new password.
pub const SHORTEST: usize = 10;
/// Most bytes of a password.
pub const LONGEST: usize = 256;
/// A wrong password is told no sooner than so long after its check began: hashes that other programs made take longer or
/// shorter than ours, and nobody is to see from outside whose account has one.
pub const WRONG_AFTER: Duration = Duration::from_millis(300);
/// The longest stored hash, in bytes.
const LONGEST_HASH: usize = 256;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More passwords wait than the queue holds. The fault is the server's; a key or card still works.
    #[error("too many passwords are being checked; wait a little, or use a key or card")]
    Busy,
    /// A new password is too short or too long, or a given one too long. The fault is the person's.
    #[error("a password has {SHORTEST} to {LONGEST} bytes; choose another")]
    Length,
    /// A stored hash cannot be read. The fault is the server's.
    #[error("a stored password cannot be read; set it again after signing in by a key")]
    Unreadable,
}

/// A password that somebody typed, wiped from memory when dropped. `Debug` shows nothing of it.
pub struct Password(Zeroizing<String>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// A password as it was typed.
    ///
    /// # Errors
    /// [`PasswordError::Length`] over 256 bytes.
    pub fn new(typed: String) -> Result<Self, PasswordError> {
        let typed = Zeroizing::new(typed);
        if typed.len() > LONGEST {
            return Err(PasswordError::Length);
        }
        Ok(Self(typed))
    }
}

enum Task {
    Hash {
        salt: [u8; 16],
        reply: oneshot::Sender<String>,
    },
    Verify {
        against: Kept,
        /// For a hash of our own making, where another program made the one that fits.
        salt: [u8; 16],
        reply: oneshot::Sender<Found>,
    },
}

/// A stored hash.
enum Kept {
    Argon2id(Phc),
    Foreign(Foreign),
}

impl Kept {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_HASH {
            return None;
        }
        let own = Phc::parse(text).map(Self::Argon2id);
        own.or_else(|| Foreign::parse(text).map(Self::Foreign))
    }

    fn fits(&self, password: &[u8], memory: &mut Vec<Block>) -> bool {
        match self {
            Self::Argon2id(hash) => hash.fits(password, memory),
            Self::Foreign(hash) => hash.fits(password),
        }
    }

    /// Whether a new hash would be made in the same way.
    fn is_current(&self) -> bool {
        matches!(self, Self::Argon2id(hash) if hash.is_current())
    }
}

/// Whether a hash that another program made can be verified here: Argon2id, bcrypt, PBKDF2, of a bounded cost.
#[must_use]
pub fn can_verify(hash: &PasswordHash) -> bool {
    Kept::parse(&hash.0).is_some()
}

/// What a thread found.
struct Found {
    fits: bool,
    renewed: Option<String>,
    begun: Instant,
}

/// What a check of a password found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password fits.
    pub fits: bool,
    /// If it fits a hash that is not as new ones are made: a new one, to be kept instead.
    pub renewed: Option<PasswordHash>,
}

type Job = (Password, Task);

/// The threads and their queue. They end when it is dropped, after what they have begun.
#[derive(Debug)]
pub struct Hasher {
    jobs: mpsc::Sender<Job>,
}

/// A place in the queue. Whoever is to have a password checked takes one before anything else is done, so that what a
/// flood brings beyond the queue costs next to nothing.
#[derive(Debug)]
pub struct Place<'a>(mpsc::Permit<'a, Job>);

impl Hasher {
    /// Starts threads with a queue of a length. Each thread takes 19 MiB, now and always.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(waiting.max(1));
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// [`PasswordError::Busy`].
    pub fn place(&self) -> Result<Place<'_>, PasswordError> {
        match self.jobs.try_reserve() {
            Ok(permit) => Ok(Place(permit)),
            Err(_) => Err(PasswordError::Busy),
        }
    }

    /// The hash of a new password, with a salt of random bytes.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], [`PasswordError::Length`].
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, PasswordError> {
        if password.0.len() < SHORTEST {
            return Err(PasswordError::Length);
        }
        let (reply, answer) = oneshot::channel();
        self.place()?.0.send((password, Task::Hash { salt, reply }));
        answer
            .await
            .map(PasswordHash)
            .map_err(|_| PasswordError::Busy)
    }
}

impl Place<'_> {
    /// Whether a password fits a hash; a new salt of random bytes is for a hash that is to be renewed. Without a hash it does
    /// not fit. Wrong answers take [`WRONG_AFTER`] at least.
    ///
    /// # Errors
    /// [`PasswordError::Unreadable`].
    pub async fn verify(
        self,
        password: Password,
        hash: Option<&PasswordHash>,
        salt: [u8; 16],
    ) -> Result<Verdict, PasswordError> {
        let against = match hash {
            Some(hash) => Kept::parse(&hash.0).ok_or(PasswordError::Unreadable)?,
            None => Kept::Argon2id(Phc::of_nobody()),
        };
        let (reply, answer) = oneshot::channel();
        let task = Task::Verify {
            against,
            salt,
            reply,
        };
        self.0.send((password, task));
        let found = answer.await.map_err(|_| PasswordError::Busy)?;
        let fits = found.fits && hash.is_some();
        if !fits {
            tokio::time::sleep_until((found.begun + WRONG_AFTER).into()).await;
        }
        Ok(Verdict {
            fits,
            renewed: found.renewed.map(PasswordHash),
        })
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    // Of the least priority alone Linux lets a thread end its slice before one that wakes up: a passkey's sign-in wakes
    // at each flush, and would wait for hashing each time. Without it hashing is right, only less considerate.
    let _ = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
    );
    let mut memory: Vec<Block> = Vec::new();
    loop {
        let job = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some((password, task)) = job else { return };
        match task {
            // Whoever gave up waiting costs nothing.
            Task::Hash { salt, reply } if !reply.is_closed() => {
                let made = Phc::make(password.0.as_bytes(), &salt, &mut memory);
                if let Some(made) = made {
                    let _ = reply.send(made.to_string());
                }
            }
            Task::Verify {
                against,
                salt,
                reply,
            } if !reply.is_closed() => {
                let begun = Instant::now();
                let fits = against.fits(password.0.as_bytes(), &mut memory);
                let renewed = (fits && !against.is_current())
                    .then(|| Phc::make(password.0.as_bytes(), &salt, &mut memory))
                    .flatten();
                let _ = reply.send(Found {
                    fits,
                    renewed: renewed.map(|made| made.to_string()),
                    begun,
                });
            }
            Task::Hash { .. } | Task::Verify { .. } => {}
        }
    }
}

/// The parameters of new hashes.
fn parameters() -> Option<Params> {
    Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()
}
