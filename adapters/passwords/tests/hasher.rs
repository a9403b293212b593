//! The threads and their queue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use passwords::{Hasher, LONGEST, Password, PasswordError, SHORTEST};

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
        let found = hasher
            .place()
            .unwrap()
            .verify(password(typed), Some(&hash))
            .await;
        assert_eq!(found, Ok(fits), "{typed}");
    }
    assert_eq!(
        hasher
            .place()
            .unwrap()
            .verify(password("correct horse"), None)
            .await,
        Ok(false)
    );
    let broken = oidc_provider::PasswordHash("$argon2id$".to_owned());
    assert_eq!(
        hasher
            .place()
            .unwrap()
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
        flood.spawn(async move {
            hasher
                .place()?
                .verify(password("correct horse"), None)
                .await
        });
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
