//! Passwords: hashed with Argon2id (RFC 9106) by a few threads of low priority behind a queue of fixed length.
//!
//! A flood of passwords takes no more memory than the threads have from the start, fails early where the queue is full,
//! and does not hold up whoever signs in by a key: the operating system runs the hashing threads last.

mod phc;

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Block, Params};
use oidc_provider::PasswordHash;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::phc::Phc;

/// Memory of one hashing in KiB (OWASP's and RFC 9106's advice for interactive use, as of 2026: 19 MiB).
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Fewest bytes of a new password.
pub const SHORTEST: usize = 10;
/// Most bytes of a password.
pub const LONGEST: usize = 256;
/// The lowest priority of a thread.
const NICEST: i32 = 19;

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
        against: Phc,
        reply: oneshot::Sender<bool>,
    },
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
    /// Whether a password fits a hash. Without one it does not, and takes as long.
    ///
    /// # Errors
    /// [`PasswordError::Unreadable`].
    pub async fn verify(
        self,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, PasswordError> {
        let against = match hash {
            Some(hash) => Phc::parse(&hash.0).ok_or(PasswordError::Unreadable)?,
            None => Phc::of_nobody(),
        };
        let (reply, answer) = oneshot::channel();
        self.0.send((password, Task::Verify { against, reply }));
        let fits = answer.await.map_err(|_| PasswordError::Busy)?;
        Ok(fits && hash.is_some())
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    // On Linux the priority is the thread's own. Without it hashing is right, only less considerate.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICEST);
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
            Task::Verify { against, reply } if !reply.is_closed() => {
                let _ = reply.send(against.fits(password.0.as_bytes(), &mut memory));
            }
            Task::Hash { .. } | Task::Verify { .. } => {}
        }
    }
}

/// The parameters of new hashes.
fn parameters() -> Option<Params> {
    Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()
}
