//! A time-stamping authority's decisions (RFC 3161): what it stamps and what it
//! refuses. Time and serial number are arguments.

use pki::tsp::{self, Failure, Request, Stamp};
use pki::{Certificate, Signer};
use time::OffsetDateTime;

/// A time-stamping authority: its certificate and its rules.
#[derive(Debug, Clone)]
pub struct TimeStampingAuthority {
    certificate: Certificate,
    policy: String,
    accuracy_seconds: u64,
}

/// What a request came to. Both are a TimeStampResp to send with HTTP 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A time-stamp.
    Granted(Vec<u8>),
    /// A refusal that says why.
    Refused(Failure, Vec<u8>),
}

impl Answer {
    /// The TimeStampResp in DER.
    pub fn into_der(self) -> Vec<u8> {
        match self {
            Answer::Granted(der) | Answer::Refused(_, der) => der,
        }
    }
}

fn refuse(failure: Failure, text: &str) -> Answer {
    Answer::Refused(failure, tsp::build_refusal(failure, text))
}

impl TimeStampingAuthority {
    /// An authority that stamps under `policy` (dotted OBJECT IDENTIFIER) and whose
    /// clock is right within `accuracy_seconds`.
    pub fn new(certificate: Certificate, policy: String, accuracy_seconds: u64) -> Self {
        TimeStampingAuthority {
            certificate,
            policy,
            accuracy_seconds,
        }
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Answers a request. `serial` must never be used twice; big-endian, not zero.
    pub fn answer(
        &self,
        request: &[u8],
        signer: &dyn Signer,
        time: OffsetDateTime,
        serial: &[u8],
    ) -> Answer {
        let Ok(request) = Request::decode(request) else {
            return refuse(Failure::BadDataFormat, "the request is not a TimeStampReq");
        };
        // A stamp over SHA-1 would prove nothing today.
        if request
            .algorithm
            .is_none_or(|algorithm| algorithm.is_weak())
        {
            return refuse(
                Failure::BadAlgorithm,
                "the digest algorithm is not one of SHA-224, SHA-256, SHA-384, SHA-512",
            );
        }
        if request
            .policy
            .as_ref()
            .is_some_and(|policy| *policy != self.policy)
        {
            return refuse(Failure::UnacceptedPolicy, "the policy is not offered here");
        }
        if !self.certificate.valid_at(time) {
            return refuse(
                Failure::SystemFailure,
                "the certificate of this authority is not valid now",
            );
        }
        let stamp = Stamp {
            policy: &self.policy,
            serial,
            time,
            accuracy_seconds: self.accuracy_seconds,
        };
        match tsp::build_response(&request, &stamp, &self.certificate, signer) {
            Ok(response) => Answer::Granted(response),
            Err(_) => refuse(Failure::SystemFailure, "the signing key is not available"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::issue::{Profile, Template, self_signed};
    use pki::tsp::TspError;
    use pki::{AttributeType, DigestAlgorithm, KeyType, Name, SoftwareKey};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00.5 UTC);

    fn authority() -> (TimeStampingAuthority, SoftwareKey) {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let template = Template {
            subject: Name::builder()
                .push(AttributeType::CommonName, "TSA")
                .build()
                .unwrap(),
            public_key: key.public_key().clone(),
            serial: vec![1],
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2027-01-01 0:00 UTC),
            profile: Profile::TimeStamping,
            ocsp_url: None,
        };
        let certificate = self_signed(&template, &key).unwrap();
        (
            TimeStampingAuthority::new(certificate, "1.2.3.4".into(), 1),
            key,
        )
    }

    #[test]
    fn what_is_asked_properly_is_stamped() {
        let (authority, key) = authority();
        let imprint = DigestAlgorithm::Sha512.digest(b"data");
        for policy in [None, Some("1.2.3.4".to_owned())] {
            let request = Request {
                policy,
                ..Request::new(DigestAlgorithm::Sha512, imprint).with_nonce(&[5])
            };
            let answer = authority.answer(&request.encode(), &key, NOW, &[7]);
            assert!(matches!(answer, Answer::Granted(_)));
            let token = tsp::decode_response(&answer.into_der()).unwrap();
            token.check_nonce(&request).unwrap();
            let stamp = token
                .verify(
                    DigestAlgorithm::Sha512,
                    &imprint,
                    std::slice::from_ref(authority.certificate()),
                )
                .unwrap();
            assert_eq!(stamp.time(), NOW);
            assert_eq!(stamp.serial(), "7");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let (authority, key) = authority();
        let request =
            |algorithm: DigestAlgorithm| Request::new(algorithm, algorithm.digest(b"data"));
        let failure = |request: &[u8], now| {
            let answer = authority.answer(request, &key, now, &[7]);
            assert!(matches!(
                tsp::decode_response(&answer.clone().into_der()),
                Err(TspError::Refused { .. })
            ));
            match answer {
                Answer::Refused(failure, _) => failure,
                Answer::Granted(_) => panic!("granted"),
            }
        };
        let sha1 = request(DigestAlgorithm::Sha1).encode();
        assert_eq!(failure(&sha1, NOW), Failure::BadAlgorithm);
        let other_policy = Request {
            policy: Some("1.2.3.5".into()),
            ..request(DigestAlgorithm::Sha256)
        };
        assert_eq!(
            failure(&other_policy.encode(), NOW),
            Failure::UnacceptedPolicy
        );
        let good = request(DigestAlgorithm::Sha256).encode();
        for cut in 0..good.len() {
            assert_eq!(failure(&good[..cut], NOW), Failure::BadDataFormat);
        }
        assert_eq!(
            failure(&good, datetime!(2028-01-01 0:00 UTC)),
            Failure::SystemFailure
        );
    }
}
