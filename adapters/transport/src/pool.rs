//! Idle connections by destination.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::exchange::{Exchange, Home};

pub(crate) struct Pool<K> {
    idle: Mutex<HashMap<K, Arc<Shelf>>>,
    max_idle: usize,
    idle_timeout: Duration,
}

/// The idle connections of one destination; the most recently used is taken first.
pub(crate) struct Shelf {
    idle: Mutex<Idle>,
    max_idle: usize,
}

#[derive(Default)]
#[allow(
    clippy::vec_box,
    reason = "connections are large, and move between shelf and request"
)]
struct Idle {
    connections: Vec<Box<Exchange>>,
    closed: bool,
}

impl Shelf {
    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// An idle connection that is still open.
    pub(crate) fn take(&self) -> Option<Box<Exchange>> {
        loop {
            let mut exchange = self.idle().connections.pop()?;
            if exchange.is_usable() {
                return Some(exchange);
            }
        }
    }
}

impl Home for Shelf {
    fn take_back(&self, exchange: Box<Exchange>) {
        let mut idle = self.idle();
        if !idle.closed && idle.connections.len() < self.max_idle {
            idle.connections.push(exchange);
        }
    }
}

const SWEEP: Duration = Duration::from_secs(5);

impl<K: Hash + Eq + Clone + Send + 'static> Pool<K> {
    /// Connections idle for longer than `idle_timeout` are ended by a task that lives while there are
    /// destinations.
    pub(crate) fn new(max_idle: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::new(HashMap::new()),
            max_idle,
            idle_timeout,
        })
    }

    fn shelves(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<Shelf>>> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn shelf(self: &Arc<Self>, key: &K) -> Arc<Shelf> {
        let mut shelves = self.shelves();
        if let Some(shelf) = shelves.get(key) {
            return shelf.clone();
        }
        if shelves.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
        let shelf = Arc::new(Shelf {
            idle: Mutex::default(),
            max_idle: self.max_idle,
        });
        shelves.insert(key.clone(), shelf.clone());
        shelf
    }

    /// Ends all idle connections; those in use end after their response.
    pub(crate) fn clear(&self) {
        for (_, shelf) in self.shelves().drain() {
            let mut idle = shelf.idle();
            idle.closed = true;
            idle.connections.clear();
        }
    }

    /// True while the sweeper has something to watch.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let shelves: Vec<(K, Arc<Shelf>)> = self
            .shelves()
            .iter()
            .map(|(key, shelf)| (key.clone(), shelf.clone()))
            .collect();
        for (_, shelf) in &shelves {
            // Taken out, so that polling them holds no lock that requests wait for.
            let waiting = std::mem::take(&mut shelf.idle().connections);
            let mut kept: Vec<Box<Exchange>> = waiting
                .into_iter()
                .filter_map(|mut exchange| {
                    let fresh = now.duration_since(exchange.idle_since) < self.idle_timeout;
                    (fresh && exchange.is_usable()).then_some(exchange)
                })
                .collect();
            let mut idle = shelf.idle();
            if !idle.closed {
                kept.append(&mut idle.connections);
                idle.connections = kept;
            }
        }
        let mut all = self.shelves();
        // Nobody else holds an unused shelf: two references are the map's and ours.
        all.retain(|_, shelf| Arc::strong_count(shelf) > 2 || !shelf.idle().connections.is_empty());
        !all.is_empty()
    }
}

async fn sweep<K: Hash + Eq + Clone + Send + 'static>(pool: Weak<Pool<K>>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep() => {}
            _ => return,
        }
    }
}
