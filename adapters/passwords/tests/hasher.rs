//! The threads and their queue.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Instant;

use oidc_provider::PasswordHash;
use passwords::{
    Hasher, LONGEST, Password, PasswordError, SHORTEST, Verdict, WRONG_AFTER, can_verify,
};

const WRONG: Result<Verdict, PasswordError> = Ok(Verdict {
    fits: false,
    renewed: None,
});

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
            .verify(password(typed), Some(&hash), [9; 16])
            .await;
        let renewed = None;
        assert_eq!(found, Ok(Verdict { fits, renewed }), "{typed}");
    }
    assert_eq!(
        hasher
            .place()
            .unwrap()
            .verify(password("correct horse"), None, [9; 16])
            .await,
        WRONG
    );
    let broken = oidc_provider::PasswordHash("$argon2id$".to_owned());
    assert_eq!(
        hasher
            .place()
            .unwrap()
            .verify(password("correct horse"), Some(&broken), [9; 16])
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
                .verify(password("correct horse"), None, [9; 16])
                .await
        });
    }
    let (mut answered, mut busy) = (0, 0);
    while let Some(outcome) = flood.join_next().await {
        match outcome.unwrap() {
            Err(PasswordError::Busy) => busy += 1,
            wrong if wrong == WRONG => answered += 1,
            other => panic!("{other:?}"),
        }
    }
    // Four wait and one is under way; on the one thread of this test all come before the second is done.
    assert!((4..=8).contains(&answered), "{answered} {busy}");
    assert_eq!(answered + busy, 40);
}

#[tokio::test]
async fn hashes_of_an_earlier_provider_fit_once_and_are_replaced_by_ours() {
    const EARLIER: [(&str, &str); 3] = [
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        (
            "abcdefghijklmnopqrstuvwxyz",
            "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC",
        ),
        (
            "password",
            "$pbkdf2-sha256$i=80000,l=32$TmFDbE5hQ2w$88j31OcHlAv5Uobl97LYpEZv6DhSYcI2XGVwF4ATUsg",
        ),
    ];
    let hasher = Hasher::start(1, 4).unwrap();
    let check = async |typed: &str, hash: &PasswordHash| {
        let place = hasher.place().unwrap();
        let begun = Instant::now();
        let verdict = place.verify(password(typed), Some(hash), [9; 16]).await;
        (verdict.unwrap(), begun.elapsed())
    };
    for (typed, text) in EARLIER {
        let hash = PasswordHash(text.to_owned());
        assert!(can_verify(&hash));
        let (wrong, took) = check("another password", &hash).await;
        assert_eq!(Ok(wrong), WRONG);
        assert!(took >= WRONG_AFTER, "{took:?}");
        let (right, _) = check(typed, &hash).await;
        let renewed = right.renewed.unwrap();
        assert!(right.fits && renewed.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let (again, _) = check(typed, &renewed).await;
        let renewed = None;
        assert_eq!(
            again,
            Verdict {
                fits: true,
                renewed
            }
        );
    }
    for text in [
        "",
        "password",
        "$1$salt$hash",
        "5f4dcc3b5aa765d61d8327deb882cf99",
    ] {
        assert!(!can_verify(&PasswordHash(text.to_owned())), "{text}");
    }
    assert!(!can_verify(&PasswordHash("$2a$".repeat(100))));
}
