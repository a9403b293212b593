//! Public keys as JSON (RFC 7517) and their thumbprints (RFC 7638).

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ED25519, RsaPublicKeyComponents, UnparsedPublicKey,
};
use pki::{KeyKind, MAX_RSA_BITS, MIN_RSA_BITS, PublicKey, der};
use serde_json::{Map, Value, json};

use crate::encoding::{from_base64url, sha256_base64url, to_base64url};

/// Most keys of a set that are looked at; more are refused.
pub const MAX_KEYS: usize = 32;
/// Longest JWK Set, in bytes.
pub const MAX_SET_LENGTH: usize = 64 * 1024;
/// Longest `kid`, in bytes.
const MAX_KID_LENGTH: usize = 256;

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no `none` and no HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: verified for peers that have nothing better; never used for signing.
    Rs256,
}

impl Algorithm {
    /// All that verify.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Ps256, Self::Rs256];

    /// The name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of a name, character for character.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// Why a key is not taken. The fault is of whoever made the JWK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not JSON, not an object, too long, or a member has the wrong form.
    #[error("the key is not a JWK (RFC 7517)")]
    Form,
    /// It holds a private or shared key, which its owner must not give away. Make a new one.
    #[error("the JWK holds a private key; it is no longer secret, replace it")]
    Private,
    /// The type, curve or algorithm is none that we verify.
    #[error("the key is of no supported kind: EC P-256, OKP Ed25519, or RSA with PS256 or RS256")]
    Unsupported,
    /// An RSA key shorter than 2048 or longer than 8192 bits, or with an even or long exponent.
    #[error(
        "the RSA key is refused: {MIN_RSA_BITS} to {MAX_RSA_BITS} bits and an odd exponent of at most 32 bits"
    )]
    Rsa,
    /// More than [`MAX_KEYS`] keys or [`MAX_SET_LENGTH`] bytes.
    #[error("the JWK Set is too large: at most {MAX_KEYS} keys and {MAX_SET_LENGTH} bytes")]
    TooMany,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    P256 { x: [u8; 32], y: [u8; 32] },
    Ed25519([u8; 32]),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// A public key with which signatures of one algorithm are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    material: Material,
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Jwk {
    /// Decodes a public key from JSON.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn decode(text: &str) -> Result<Self, JwkError> {
        if text.len() > MAX_SET_LENGTH {
            return Err(JwkError::TooMany);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| JwkError::Form)?;
        Self::from_value(&value)
    }

    /// Decodes a public key from a JSON value, such as the header `jwk` of a DPoP proof. An RSA key that names no
    /// algorithm is one for PS256.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn from_value(value: &Value) -> Result<Self, JwkError> {
        let members = value.as_object().ok_or(JwkError::Form)?;
        if ["d", "k", "p", "q", "dp", "dq", "qi", "oth"]
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(JwkError::Private);
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(JwkError::Form),
        };
        let named = match text("alg")? {
            Some(name) => Some(Algorithm::from_name(name).ok_or(JwkError::Unsupported)?),
            None => None,
        };
        if text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(JwkError::Unsupported);
        }
        let kid = text("kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_LENGTH) {
            return Err(JwkError::Form);
        }
        let (material, algorithm) = match (text("kty")?.ok_or(JwkError::Form)?, text("crv")?) {
            ("EC", Some("P-256")) => {
                let (x, y) = (number(members, "x")?, number(members, "y")?);
                (Material::P256 { x, y }, Algorithm::Es256)
            }
            ("OKP", Some("Ed25519")) => {
                (Material::Ed25519(number(members, "x")?), Algorithm::EdDsa)
            }
            ("RSA", None) => {
                let rsa = rsa(&octets(members, "n")?, &octets(members, "e")?)?;
                let pkcs1 = named == Some(Algorithm::Rs256);
                let algorithm = if pkcs1 {
                    Algorithm::Rs256
                } else {
                    Algorithm::Ps256
                };
                (rsa, algorithm)
            }
            _ => return Err(JwkError::Unsupported),
        };
        if named.is_some_and(|named| named != algorithm) {
            return Err(JwkError::Form);
        }
        Ok(Self {
            material,
            algorithm,
            kid,
        })
    }

    /// The key of a certificate or signer: P-256 for ES256, RSA for PS256.
    ///
    /// # Errors
    /// [`JwkError::Unsupported`] for another kind of key.
    pub fn from_public_key(key: &PublicKey) -> Result<Self, JwkError> {
        let octets = key.key_octets();
        let (material, algorithm) = match key.kind() {
            KeyKind::EcP256 => {
                let (4, point) = octets.split_first().ok_or(JwkError::Form)? else {
                    return Err(JwkError::Unsupported);
                };
                let (x, y) = point.split_at_checked(32).ok_or(JwkError::Form)?;
                let coordinate = |part: &[u8]| part.try_into().map_err(|_| JwkError::Form);
                let (x, y) = (coordinate(x)?, coordinate(y)?);
                (Material::P256 { x, y }, Algorithm::Es256)
            }
            KeyKind::Rsa { .. } => {
                let mut reader = der::Reader::new(octets);
                let mut fields = reader.sequence().map_err(|_| JwkError::Form)?;
                let n = fields.integer().map_err(|_| JwkError::Form)?;
                let e = fields.integer().map_err(|_| JwkError::Form)?;
                let unsigned = |number: &'_ [u8]| match number {
                    [0, rest @ ..] => rest.to_vec(),
                    number => number.to_vec(),
                };
                (rsa(&unsigned(n), &unsigned(e))?, Algorithm::Ps256)
            }
            _ => return Err(JwkError::Unsupported),
        };
        Ok(Self {
            material,
            algorithm,
            kid: None,
        })
    }

    /// The same key under a name.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self {
            kid: Some(kid.into()),
            ..self
        }
    }

    /// The algorithm whose signatures it verifies; no other.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name by which a header refers to it (RFC 7517 section 4.5).
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether both are the same key, whatever they are called and used for.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.material == other.material
    }

    /// The key as JSON, with `kid`, `use` and `alg`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = self.required();
        if let Some(members) = value.as_object_mut() {
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), self.algorithm.name().into());
            if let Some(kid) = &self.kid {
                members.insert("kid".into(), kid.as_str().into());
            }
        }
        value
    }

    fn required(&self) -> Value {
        match &self.material {
            Material::P256 { x, y } => json!({
                "crv": "P-256", "kty": "EC", "x": to_base64url(x), "y": to_base64url(y),
            }),
            Material::Ed25519(x) => json!({ "crv": "Ed25519", "kty": "OKP", "x": to_base64url(x) }),
            Material::Rsa { n, e } => json!({
                "e": to_base64url(e), "kty": "RSA", "n": to_base64url(n),
            }),
        }
    }

    /// The thumbprint by SHA-256 in base64url (RFC 7638 section 3): over the required members in the order of their
    /// names, without white space.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // `Map` keeps its members in the order of their names.
        sha256_base64url(self.required().to_string().as_bytes())
    }

    pub(crate) fn verify(&self, message: &[u8], value: &[u8]) -> bool {
        match &self.material {
            Material::P256 { x, y } => {
                let point: Vec<u8> = [&[4], x.as_slice(), y.as_slice()].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, value)
            }
            Material::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, value),
            Material::Rsa { n, e } => {
                let parameters = match self.algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    _ => &signature::RSA_PSS_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, value)
            }
        }
        .is_ok()
    }
}

fn octets(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwkError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .and_then(from_base64url)
        .ok_or(JwkError::Form)
}

fn number(members: &Map<String, Value>, name: &str) -> Result<[u8; 32], JwkError> {
    octets(members, name)?
        .try_into()
        .map_err(|_| JwkError::Form)
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Material, JwkError> {
    let bits = match n.first() {
        Some(first) if *first != 0 => n.len() * 8 - first.leading_zeros() as usize,
        _ => return Err(JwkError::Rsa),
    };
    let exponent_fits = (1..=4).contains(&e.len())
        && e.first().is_some_and(|first| *first != 0)
        && e.last().is_some_and(|last| last % 2 == 1)
        && e != [1];
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) || !exponent_fits {
        return Err(JwkError::Rsa);
    }
    Ok(Material::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

/// A JWK Set (RFC 7517 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

impl JwkSet {
    /// Decodes a set. Keys of kinds that we do not verify are left out, as the section asks; a private key or a
    /// malformed one spoils the set.
    ///
    /// # Errors
    /// See [`JwkError`].
    pub fn decode(text: &str) -> Result<Self, JwkError> {
        if text.len() > MAX_SET_LENGTH {
            return Err(JwkError::TooMany);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| JwkError::Form)?;
        let keys = value
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(JwkError::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(JwkError::TooMany);
        }
        let mut set = Self::default();
        for key in keys {
            match Jwk::from_value(key) {
                Ok(key) => set.keys.push(key),
                Err(JwkError::Unsupported) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(set)
    }

    /// A set of keys.
    #[must_use]
    pub const fn new(keys: Vec<Jwk>) -> Self {
        Self { keys }
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The keys that a header may mean: of this algorithm, and with this `kid` if it names one.
    pub fn candidates(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &Jwk> {
        self.keys.iter().filter(move |key| {
            key.algorithm == algorithm && kid.is_none_or(|kid| key.kid() == Some(kid))
        })
    }

    /// The set as JSON, with the media type `application/jwk-set+json`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({ "keys": self.keys.iter().map(Jwk::to_value).collect::<Vec<_>>() })
    }
}
