//! Examples of the standards, and what must be refused.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Arc;

use jose::{
    Algorithm, ClaimsError, DecodeError, Expected, Jwk, JwkError, JwkSet, Jws, SigningKey,
    VerifyError, to_base64url,
};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use serde_json::json;
use time::{Duration, OffsetDateTime};

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
// RFC 7515 appendix A.3.
const P256_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const P256_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
// RFC 7515 appendix A.2.
const RSA_KEY: &str = r#"{"kty":"RSA","alg":"RS256","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
// Made with OpenSSL 3: `openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32`, over the payload
// above; then with a salt of 20 bytes, and with SHA-1 in its mask, which RFC 7518 section 3.5 does not allow.
const PSS_KEY: &str = r#"{"kty":"RSA","alg":"PS256","e":"AQAB","n":"r5Z3MGPLrDHgAp6rHP6t6YSXD2vSQDRxMNOEyXBQ8B3HSBRwKZ2W68CJeBmG4l6M-xi3u65nWnG8nXX3rk30POgMgWsY_4InUs2p-5c5UunbEigRZeyOWoD4IMTUgg6H5PiujR51Ve2ZaOc3CQFkejAVtQpz6vJDAi9QBg3hyeHfw_EyS8s2Mf0I9iTYGUl9vb1YhXQ2IS_eoslG2uNUTxJUWhu_wXexUQkxQ1spsWiuDiezojsHiTkAvuD-HPSUrkCVwRfbw6L1a_ty2EWdfklBK3DH2B2weGpeXQAnn97JcFgKkjeTE69Dnw1naHGlGZ6DzbFq1YjImQktNNK6Ow"}"#;
const PSS_SIGNATURE: &str = "DDV16nid7xUGAZDhvhA5H_8uJgivxNjdz1ixd3LVl2oCg9YSlSm656z44eqcVJCMsUVzEC8DQpKJyRR1OqCStTLfLDzmgYJIyLTKAFGNkMslbl4ajibu4UTPlPw_h3FU_rPLAD4EULA0FwzmmxizoKKs-jhKrR5Saur80p08IR7VI4P3piB10NEDGI_AUFWKt-xQQtJdP6h6WESX4Qcg9XBjdKdRZntAbvape1Ffgy6KAPnW9Qsh82jgEIH9CWtcoLkZ9gs8FhEnPX_ehRs5L5zqo5pEPir7sNfv6Cwac6Q5YEmtk_2aHpO5HaFfJ27-gLHu6mO5XSM0X1xCI9NiLg";
const PSS_SHORT_SALT: &str = "bKSEshK5Oi17NZn486fChQVEwB1nY6rPGvCubMfKzRqaBS3KUZ5QKwYQOdablC-noQEyPoGidYwg2xeXU5P66kDOVWpuKAAroA2UsZGXQtmbx2ZiB_XQKVLIBq8P6BK1AWSJVOzrIJUaw4TnvQSwP-LWzykGkoBl8ruYM4cBGa1wRxdgr4xmrNoKg7KwyljMLvT4_t-Rl0zP_BFbYQHsYgDSAzwkf4XWczNtRtSIhy1rOlFccPnonX-ti2rdxpBGYMuy6Djw44J_KOKSRulJ5KHjj9HCJuQJFapW6SAnoUbwmXfvoFeb5rKX7Ds9B0CAur9JUExeddMDHXN16CibCA";
const PSS_OTHER_MASK: &str = "gtRVj8t8ilvL6Jh4IhiXJj8KWnKW5U5ca5Kelyl4g_JGfCwY8VycU-tp49OKiQEB_ckcRego0nuNYLWe47oLN4s9spnbDbmIeYPjaD5lsNH1SAFM4imUZFHbzcRPqXzAMedJnMrs7EunjuTUoO8gGT7xyHzpTMzC-RlYsNRssQJzg-CTJS2hv51jkuM-xTla0-LSkGBbpYZWbp4B7OPfi_xsdJpPnIlvioNBPEeqd_SkKk8IUoqW5hWEPVis68_dGVWO68t5O6HfTqHn6n2IToXKtxbsrDhe0BFoUn_EDEqYmolH-nNSDfBd8bCNpwuItBRBnv_0-S5rR0i-8J4Anw";
// RFC 8037 appendix A.
const ED25519_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED25519: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
// RFC 7638 section 3.1.
const THUMBPRINT_KEY: &str = r#"{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
// RFC 9449 section 4.1, with the thumbprint that its section 6.1 gives.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

fn compact(header: &str, signature: &str) -> String {
    format!("{}.{PAYLOAD}.{signature}", to_base64url(header.as_bytes()))
}

fn p256() -> Jwk {
    Jwk::decode(P256_KEY).unwrap()
}

#[test]
fn the_examples_of_the_standards_verify() {
    let es256 = compact(r#"{"alg":"ES256"}"#, P256_SIGNATURE);
    let verified = Jws::decode(&es256).unwrap().verify(&p256()).unwrap();
    assert!(verified.payload().starts_with(b"{\"iss\":\"joe\""));
    let rs256 = compact(r#"{"alg":"RS256"}"#, RSA_SIGNATURE);
    let rsa = Jwk::decode(RSA_KEY).unwrap();
    assert!(Jws::decode(&rs256).unwrap().verify(&rsa).is_ok());
    let ed25519 = Jwk::decode(ED25519_KEY).unwrap();
    let verified = Jws::decode(ED25519).unwrap().verify(&ed25519).unwrap();
    assert_eq!(verified.payload(), b"Example of Ed25519 signing");
    let proof = Jws::decode(PROOF).unwrap();
    let key = Jwk::from_value(proof.header().jwk.as_ref().unwrap()).unwrap();
    assert_eq!(proof.header().typ, "dpop+jwt");
    assert!(proof.verify(&key).is_ok());
}

#[test]
fn a_signature_of_another_program_by_pss_verifies_only_as_the_standard_has_it() {
    let key = Jwk::decode(PSS_KEY).unwrap();
    let verify = |header: &str, signature: &str| {
        let text = compact(header, signature);
        Jws::decode(&text).unwrap().verify(&key).map(drop)
    };
    let ps256 = r#"{"alg":"PS256"}"#;
    assert_eq!(verify(ps256, PSS_SIGNATURE), Ok(()));
    for other in [PSS_SHORT_SALT, PSS_OTHER_MASK, RSA_SIGNATURE] {
        assert_eq!(verify(ps256, other), Err(VerifyError::BadSignature));
    }
    let renamed = verify(r#"{"alg":"RS256"}"#, PSS_SIGNATURE);
    assert_eq!(renamed, Err(VerifyError::OtherAlgorithm));
}

#[test]
fn the_cookbooks_other_algorithms_are_not_decoded() {
    // RFC 7520 sections 4.2 (PS384), 4.3 (ES512) and 4.4 (HS256): the headers as they stand there, each with `kid`.
    for header in [
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
    ] {
        let text = format!("{header}.{PAYLOAD}.{P256_SIGNATURE}");
        assert_eq!(Jws::decode(&text).unwrap_err(), DecodeError::Algorithm);
    }
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    let rsa = Jwk::decode(THUMBPRINT_KEY).unwrap();
    assert_eq!(
        rsa.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    let ed25519 = Jwk::decode(ED25519_KEY).unwrap();
    assert_eq!(
        ed25519.thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let proof = Jws::decode(PROOF).unwrap();
    let key = Jwk::from_value(proof.header().jwk.as_ref().unwrap()).unwrap();
    assert_eq!(
        key.thumbprint(),
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    );
}

#[test]
fn the_key_decides_the_algorithm() {
    let es256 = compact(r#"{"alg":"ES256"}"#, P256_SIGNATURE);
    let rsa = Jwk::decode(RSA_KEY).unwrap();
    let refused = |text: &str, key: &Jwk| Jws::decode(text).unwrap().verify(key).unwrap_err();
    assert_eq!(refused(&es256, &rsa), VerifyError::OtherAlgorithm);
    // The same modulus, meant for PSS.
    let pss = Jwk::decode(&RSA_KEY.replace("RS256", "PS256")).unwrap();
    let rs256 = compact(r#"{"alg":"RS256"}"#, RSA_SIGNATURE);
    assert_eq!(refused(&rs256, &pss), VerifyError::OtherAlgorithm);
    let ps256 = compact(r#"{"alg":"PS256"}"#, RSA_SIGNATURE);
    assert_eq!(refused(&ps256, &pss), VerifyError::BadSignature);
    // An unnamed RSA key is for PSS.
    let unnamed = Jwk::decode(&RSA_KEY.replace("\"alg\":\"RS256\",", "")).unwrap();
    assert_eq!(unnamed.algorithm(), Algorithm::Ps256);
}

#[test]
fn none_hmac_and_extensions_are_not_even_decoded() {
    for (header, error) in [
        (r#"{"alg":"none"}"#, DecodeError::Algorithm),
        (r#"{"alg":"None"}"#, DecodeError::Algorithm),
        (r#"{"alg":"HS256"}"#, DecodeError::Algorithm),
        (r#"{"alg":"es256"}"#, DecodeError::Algorithm),
        (r#"{"alg":"ES256","alg":"none"}"#, DecodeError::Header),
        (
            r#"{"alg":"ES256","crit":["exp"],"exp":1}"#,
            DecodeError::Critical,
        ),
        (r#"{"alg":"ES256","b64":false}"#, DecodeError::Critical),
        (r#"{"typ":"JWT"}"#, DecodeError::Header),
        (r#"["ES256"]"#, DecodeError::Header),
    ] {
        let text = compact(header, P256_SIGNATURE);
        assert_eq!(Jws::decode(&text).unwrap_err(), error, "{header}");
        let unsigned = compact(header, "");
        assert_eq!(Jws::decode(&unsigned).unwrap_err(), error, "{header}");
    }
    let unsigned = compact(r#"{"alg":"ES256"}"#, "");
    let refused = Jws::decode(&unsigned).unwrap().verify(&p256()).unwrap_err();
    assert_eq!(refused, VerifyError::BadSignature);
    let long = "a".repeat(jose::MAX_LENGTH + 1);
    assert_eq!(Jws::decode(&long).unwrap_err(), DecodeError::TooLong);
}

#[test]
fn no_prefix_and_no_changed_byte_verifies() {
    let text = compact(r#"{"alg":"ES256"}"#, P256_SIGNATURE);
    let key = p256();
    let verifies = |text: &str| Jws::decode(text).is_ok_and(|jws| jws.verify(&key).is_ok());
    assert!(verifies(&text));
    for end in 0..text.len() {
        assert!(!verifies(&text[..end]), "{end}");
        let mut changed = text.clone().into_bytes();
        changed[end] = if changed[end] == b'A' { b'B' } else { b'A' };
        assert!(!verifies(std::str::from_utf8(&changed).unwrap()), "{end}");
    }
}

#[test]
fn keys_that_are_not_public_or_not_sound_are_refused() {
    for (key, error) in [
        (
            P256_KEY.replace("\"kty\"", "\"d\":\"AA\",\"kty\""),
            JwkError::Private,
        ),
        (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), JwkError::Private),
        (r#"{"kty":"oct"}"#.to_owned(), JwkError::Unsupported),
        (P256_KEY.replace("P-256", "P-521"), JwkError::Unsupported),
        (
            P256_KEY.replace("\"kty\"", "\"use\":\"enc\",\"kty\""),
            JwkError::Unsupported,
        ),
        (
            P256_KEY.replace("\"kty\"", "\"alg\":\"RS256\",\"kty\""),
            JwkError::Form,
        ),
        (P256_KEY.replace("f83O", "83O"), JwkError::Form),
        (RSA_KEY.replace("AQAB", "AQ"), JwkError::Rsa),
        (RSA_KEY.replace("AQAB", "AQAC"), JwkError::Rsa),
        (
            r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJj"}"#.to_owned(),
            JwkError::Rsa,
        ),
        ("[]".to_owned(), JwkError::Form),
        ("{".to_owned(), JwkError::Form),
    ] {
        assert_eq!(Jwk::decode(&key).unwrap_err(), error, "{key}");
    }
    // A point that is not on the curve decodes and never verifies.
    let off = Jwk::decode(&P256_KEY.replace("f83O", "f83P")).unwrap();
    let text = compact(r#"{"alg":"ES256"}"#, P256_SIGNATURE);
    assert!(Jws::decode(&text).unwrap().verify(&off).is_err());
}

#[test]
fn a_set_leaves_out_what_it_does_not_know_and_finds_by_name() {
    let set = format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}},{P256_KEY},{RSA_KEY}]}}"#
    );
    let set = JwkSet::decode(&set).unwrap();
    assert_eq!(set.keys().len(), 2);
    let text = compact(r#"{"alg":"ES256"}"#, P256_SIGNATURE);
    assert!(Jws::decode(&text).unwrap().verify_with_set(&set).is_ok());
    let named = compact(r#"{"alg":"ES256","kid":"other"}"#, P256_SIGNATURE);
    let refused = Jws::decode(&named).unwrap().verify_with_set(&set);
    assert_eq!(refused.unwrap_err(), VerifyError::NoKey);
    let many = format!(r#"{{"keys":[{}]}}"#, vec![P256_KEY; 33].join(","));
    assert_eq!(JwkSet::decode(&many).unwrap_err(), JwkError::TooMany);
}

fn signing_key(key_type: KeyType, algorithm: SignatureAlgorithm) -> SigningKey {
    let key = SoftwareKey::generate(key_type).unwrap();
    SigningKey::new(Arc::new(key.with_algorithm(algorithm).unwrap())).unwrap()
}

#[test]
fn what_is_signed_verifies_under_the_published_key() {
    for (key_type, algorithm) in [
        (
            KeyType::EcP256,
            SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
        ),
        (
            KeyType::Rsa2048,
            SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256),
        ),
    ] {
        let key = signing_key(key_type, algorithm);
        let set = JwkSet::decode(
            &JwkSet::new(vec![key.public().clone()])
                .to_value()
                .to_string(),
        );
        let text = key.sign("JWT", &json!({"iss": "a"})).unwrap();
        let verified = Jws::decode(&text)
            .unwrap()
            .verify_with_set(&set.unwrap())
            .unwrap();
        assert_eq!(verified.payload(), br#"{"iss":"a"}"#);
        assert_eq!(
            verified.key().kid(),
            Some(key.public().thumbprint().as_str())
        );
    }
    let sha512 = SoftwareKey::generate(KeyType::EcP256).unwrap();
    assert!(SigningKey::new(Arc::new(sha512)).is_err());
}

#[test]
fn claims_are_validated_one_by_one() {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let key = signing_key(
        KeyType::EcP256,
        SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
    );
    let at = |seconds: i64| now.unix_timestamp() + seconds;
    let expected = Expected {
        types: &["", "jwt"],
        issuer: Some("client"),
        audience: Some("https://idp"),
        now,
        lasts: Duration::minutes(5),
        needs_expiry: true,
    };
    let good = json!({"iss": "client", "aud": "https://idp", "iat": at(0), "exp": at(60)});
    let check = |typ: &str, claims: &serde_json::Value, expected: &Expected<'_>| {
        let text = key.sign(typ, claims).unwrap();
        let verified = Jws::decode(&text).unwrap().verify(key.public()).unwrap();
        verified
            .validate(expected)
            .map(|valid| valid.claims().clone())
    };
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        check("JWT", &claims, &expected).map(|_| ())
    };
    assert_eq!(
        check("JWT", &good, &expected).unwrap().audiences,
        ["https://idp"]
    );
    assert!(check("application/jwt", &good, &expected).is_ok());
    assert_eq!(
        check("at+jwt", &good, &expected).unwrap_err(),
        ClaimsError::Type
    );
    for (name, value, error) in [
        ("iss", json!("other"), ClaimsError::Issuer),
        ("iss", json!(7), ClaimsError::Form),
        ("aud", json!("https://other"), ClaimsError::Audience),
        (
            "aud",
            json!(["https://idp", "https://other"]),
            ClaimsError::Audience,
        ),
        ("aud", json!([]), ClaimsError::Audience),
        ("exp", json!(at(-31)), ClaimsError::Expired),
        ("exp", json!(null), ClaimsError::Expired),
        ("exp", json!("soon"), ClaimsError::Form),
        ("exp", json!(1e300), ClaimsError::Form),
        ("exp", json!(at(3600)), ClaimsError::TooLong),
        ("nbf", json!(at(31)), ClaimsError::NotYet),
        ("iat", json!(at(31)), ClaimsError::NotYet),
    ] {
        assert_eq!(with(name, value.clone()), Err(error), "{name} {value}");
    }
    assert_eq!(with("exp", json!(at(-29))), Ok(()));
    assert_eq!(with("iat", json!(at(29))), Ok(()));
    // A kind without `exp`, such as a DPoP proof.
    let proof = Expected {
        needs_expiry: false,
        issuer: None,
        audience: None,
        ..expected
    };
    assert!(check("JWT", &json!({"iat": at(-300)}), &proof).is_ok());
    assert_eq!(
        check("JWT", &json!({"iat": at(-331)}), &proof).unwrap_err(),
        ClaimsError::TooLong
    );
    assert_eq!(
        check("JWT", &json!({}), &proof).unwrap_err(),
        ClaimsError::NotYet
    );
}
