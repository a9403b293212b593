//! Targets of the crate `jose`.

use jose::{Expected, Jwk, JwkSet, Jws};
use time::{Duration, OffsetDateTime};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("jws", jws), ("jwk_set", jwk_set)];

/// A compact JWS: taken apart, its claims read, verified with the key that it brings along, and validated.
pub fn jws(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(jws) = Jws::decode(text) else {
        return;
    };
    let _ = jws.unverified_claims();
    let Some(Ok(key)) = jws.header().jwk.as_ref().map(Jwk::from_value) else {
        return;
    };
    if let Ok(verified) = jws.verify(&key) {
        let _ = verified.validate(&Expected {
            types: &["dpop+jwt"],
            issuer: None,
            audience: None,
            now: OffsetDateTime::UNIX_EPOCH,
            lasts: Duration::MINUTE,
            needs_expiry: false,
        });
    }
}

/// A JWK Set: what was read and is written is the same when it is read again.
pub fn jwk_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(set) = JwkSet::decode(text) {
        assert_eq!(
            JwkSet::decode(&set.to_value().to_string()).as_ref(),
            Ok(&set)
        );
        for key in set.keys() {
            assert_eq!(key.thumbprint().len(), 43);
        }
    }
}
