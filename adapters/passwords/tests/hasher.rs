//! The threads and their queue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Instant;

use argon2::{Algorithm, Argon2, Params, Version};
use passwords::{Hasher, LONGEST, MEMORY_KIB, PASSES, Password, PasswordError, SHORTEST};

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

#[tokio::test]
async fn a_password_fits_its_hash_only() {
    let hasher = Hasher::start(1, 4).unwrap();
    let hash = hasher
        .hash(password("correct horse"), [7; 16])
        .await
        .unwrap();
    let other = hasher
        .hash(password("correct horse"), [8; 16])
        .await
        .unwrap();
    assert_ne!(hash, other);
    for (typed, fits) in [
        ("correct horse", true),
        ("correct horsf", false),
        ("", false),
    ] {
        let found = hasher.verify(password(typed), Some(&hash)).await;
        assert_eq!(found, Ok(fits), "{typed}");
    }
    assert_eq!(
        hasher.verify(password("correct horse"), None).await,
        Ok(false)
    );
    let broken = oidc_provider::PasswordHash("$argon2id$".to_owned());
    assert_eq!(
        hasher
            .verify(password("correct horse"), Some(&broken))
            .await,
        Err(PasswordError::Unreadable)
    );
}

#[tokio::test]
async fn lengths_are_bounded_and_nothing_is_shown() {
    let hasher = Hasher::start(1, 4).unwrap();
    let short = password(&"x".repeat(SHORTEST - 1));
    assert_eq!(
        hasher.hash(short, [7; 16]).await,
        Err(PasswordError::Length)
    );
    assert_eq!(
        Password::new("x".repeat(LONGEST + 1)).map(|_| ()),
        Err(PasswordError::Length)
    );
    assert_eq!(format!("{:?}", password("correct horse")), "Password(..)");
}

#[tokio::test]
async fn a_flood_is_refused_and_what_waits_is_answered() {
    let hasher = Hasher::start(1, 4).unwrap();
    let hasher = std::sync::Arc::new(hasher);
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let hasher = hasher.clone();
        flood.spawn(async move { hasher.verify(password("correct horse"), None).await });
    }
    let (mut answered, mut busy) = (0, 0);
    while let Some(outcome) = flood.join_next().await {
        match outcome.unwrap() {
            Err(PasswordError::Busy) => busy += 1,
            Ok(false) => answered += 1,
            other => panic!("{other:?}"),
        }
    }
    // Four wait and one is under way; on the one thread of this test all come before the second is done.
    assert!((4..=8).contains(&answered), "{answered} {busy}");
    assert_eq!(answered + busy, 40);
}

/// Ratio of password checks through the queue to bare Argon2id with as many threads, in one run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run alone: cargo test --release -p passwords -- --ignored --nocapture"]
async fn the_queue_costs_little() {
    const ROUNDS: usize = 60;
    let threads = std::thread::available_parallelism().unwrap().get();
    let bare = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).unwrap();
                let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                for _ in 0..ROUNDS {
                    let mut hash = [0; 32];
                    argon
                        .hash_password_into(b"correct horse", &[7; 16], &mut hash)
                        .unwrap();
                }
            });
        }
    });
    let bare = bare.elapsed();
    let hasher = std::sync::Arc::new(Hasher::start(threads, threads * ROUNDS).unwrap());
    let queued = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..threads * ROUNDS {
        let hasher = hasher.clone();
        all.spawn(async move { hasher.verify(password("correct horse"), None).await });
    }
    while let Some(answer) = all.join_next().await {
        assert_eq!(answer.unwrap(), Ok(false));
    }
    let ratio = bare.as_secs_f64() / queued.elapsed().as_secs_f64();
    println!("{ratio:.2} of bare Argon2id on {threads} threads");
    assert!(ratio >= 0.75, "{ratio}");
}
