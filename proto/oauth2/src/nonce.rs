//! Nonces for proofs of possession (RFC 9449 sections 8 and 9): a proof that holds one was made lately, so one that was
//! made for later, by somebody who had the key for a moment, is worth nothing.

use aws_lc_rs::hmac;
use jose::{from_base64url, to_base64url};
use time::OffsetDateTime;

/// How long one nonce is given out, in seconds. It is taken for as long again after that.
const PERIOD: i64 = 300;

/// The nonces of an issuer. Nothing is kept: each is computed from the time, so that every node of the issuer takes
/// what another gave, also if their clocks differ.
pub struct DpopNonces {
    key: hmac::Key,
}

impl std::fmt::Debug for DpopNonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DpopNonces").finish_non_exhaustive()
    }
}

impl DpopNonces {
    /// Nonces made with a key that only the nodes of the issuer know.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The nonce for proofs that are made now: the value of `DPoP-Nonce`.
    #[must_use]
    pub fn current(&self, now: OffsetDateTime) -> String {
        let period = now.unix_timestamp().div_euclid(PERIOD);
        to_base64url(hmac::sign(&self.key, &period.to_be_bytes()).as_ref())
    }

    /// Whether a nonce was given out in this period, the one before it, or, by a clock that is ahead, the next.
    pub(crate) fn takes(&self, nonce: &str, now: OffsetDateTime) -> bool {
        let period = now.unix_timestamp().div_euclid(PERIOD);
        from_base64url(nonce).is_some_and(|tag| {
            (period - 1..=period + 1)
                .any(|period| hmac::verify(&self.key, &period.to_be_bytes(), &tag).is_ok())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_for_a_while_by_every_node_of_its_issuer() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap();
        let (one, two) = (DpopNonces::new(&[1; 32]), DpopNonces::new(&[1; 32]));
        let nonce = one.current(at(0));
        assert_eq!(nonce, one.current(at(PERIOD - 1)));
        assert_ne!(nonce, one.current(at(PERIOD)));
        for seconds in [-PERIOD, 0, 2 * PERIOD - 1] {
            assert!(two.takes(&nonce, at(seconds)), "{seconds}");
        }
        for seconds in [-PERIOD - 1, 2 * PERIOD] {
            assert!(!two.takes(&nonce, at(seconds)), "{seconds}");
        }
        assert!(!DpopNonces::new(&[2; 32]).takes(&nonce, at(0)));
        for wrong in ["", "A", &nonce[1..], &format!("{nonce}=")] {
            assert!(!one.takes(wrong, at(0)), "{wrong}");
        }
    }
}
