//! What the queue costs. Alone in its file, so that no other test runs beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Instant;

use argon2::{Algorithm, Argon2, Params, Version};
use passwords::{Hasher, MEMORY_KIB, PASSES, Password};

/// Ratio of password checks through the queue to bare Argon2id with as many threads, in one run.
/// `TUNDUK_IDENTITY_SECONDS` says about how long, and then the stated ratio must be reached; without it two rounds show
/// that every check is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_costs_little() {
    /// Hashes of one thread in a second, about.
    const IN_A_SECOND: usize = 20;
    let seconds: Option<usize> = std::env::var("TUNDUK_IDENTITY_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let rounds = seconds.map_or(2, |seconds| seconds * IN_A_SECOND);
    let threads = std::thread::available_parallelism().unwrap().get();
    let bare = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).unwrap();
                let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                for _ in 0..rounds {
                    let mut hash = [0; 32];
                    argon
                        .hash_password_into(b"correct horse", &[7; 16], &mut hash)
                        .unwrap();
                }
            });
        }
    });
    let bare = bare.elapsed();
    let hasher = std::sync::Arc::new(Hasher::start(threads, threads * rounds).unwrap());
    let password = || Password::new("correct horse".to_owned()).unwrap();
    let hash = hasher.hash(password(), [7; 16]).await.unwrap();
    let queued = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..threads * rounds {
        let (hasher, hash, password) = (hasher.clone(), hash.clone(), password());
        all.spawn(async move {
            let place = hasher.place()?;
            place.verify(password, Some(&hash), [8; 16]).await
        });
    }
    while let Some(answer) = all.join_next().await {
        assert!(answer.unwrap().unwrap().fits);
    }
    let ratio = bare.as_secs_f64() / queued.elapsed().as_secs_f64();
    println!("{ratio:.2} of bare Argon2id on {threads} threads");
    assert!(seconds.is_none() || ratio >= 0.75, "{ratio}");
}
