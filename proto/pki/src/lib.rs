//! Public-key infrastructure as X-Road uses it: digests, keys and signatures,
//! X.509 certificates and names (RFC 5280), path validation, certification
//! requests (RFC 2986), OCSP (RFC 6960) and time-stamps (RFC 3161).
//!
//! Four verbs are kept apart. *Decode* turns bytes into a type and checks only
//! the structure. *Verify* checks signatures with keys and a time that the
//! caller gives. What a verified thing is good for is for the caller to judge.
//! Success of a check returns a type that only the check can make.
//!
//! Signatures are verified over the received bytes, never over a re-encoding.
//! Decoders are total and bounded: no input makes them panic.

mod algorithm;
mod certificate;
pub mod cms;
pub mod csr;
pub mod der;
mod digest;
pub mod issue;
mod key;
mod name;
pub mod ocsp;
mod path;
pub mod pem;
mod rfc4514;
mod signed_data;
mod signer;
pub mod tsp;

pub use algorithm::SignatureAlgorithm;
pub use certificate::{
    AlternativeName, Certificate, CertificateError, KeyPurpose, KeyUsage, LegacyDigests,
    MAX_CERTIFICATE_LENGTH, MAX_EXTENSIONS, MAX_POLICIES, MAX_SERIAL_LENGTH,
};
pub use digest::{Digest, DigestAlgorithm, Hasher};
pub use key::{
    KeyKind, MAX_RSA_BITS, MIN_RSA_BITS, PublicKey, VerifyError, ecdsa_der_to_fixed,
    ecdsa_fixed_to_der,
};
pub use name::{Attribute, AttributeType, MAX_ATTRIBUTES, Name, NameBuilder};
pub use path::{
    MAX_PATH_LENGTH, MAX_SIGNATURES, PathError, ValidPath, validate_path, validate_path_with,
};
pub use rfc4514::NotAName;
pub use signer::{KeyError, KeyType, SignError, Signer, SoftwareKey};
