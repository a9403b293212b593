//! The vault over a token.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use pki::{Digest, DigestAlgorithm, PublicKey, SignError, SignatureAlgorithm, Signer};
use server_signing::{ALGORITHM, SealedKey, Vault, VaultError};
use zeroize::Zeroizing;

/// Label of the key in the token that wraps people's keys.
const WRAPPING: &[u8] = b"tunduk people wrapping 1";
/// Label of the key in the token that binds them.
const BINDING: &[u8] = b"tunduk people binding 1";
/// The form of what is sealed.
const FORM: u8 = 1;
/// Length of an authentication code, in bytes.
const CODE: usize = 32;
/// The named curve P-256, as DER (RFC 5480 section 2.1.1.1).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// What comes before the point in the SubjectPublicKeyInfo of a key on P-256 (RFC 5480 section 2).
const SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Length of an uncompressed point on P-256.
const POINT: usize = 65;

/// Where the token is.
pub struct Settings {
    /// The library of its maker.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The user's PIN.
    pub pin: Zeroizing<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("module", &self.module)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Why a token is not usable. The fault is of whoever set it up, or the token's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The library cannot be loaded or used.
    #[error("{module}: {said}")]
    Module {
        /// Which.
        module: PathBuf,
        /// What happened.
        said: String,
    },
    /// No token has the label, or several have.
    #[error("{found} tokens have the label {label:?}; one must")]
    Label {
        /// The label.
        label: String,
        /// How many have it.
        found: usize,
    },
    /// The keys are there already.
    #[error("the token has the keys already; nothing was changed")]
    Exists,
    /// The keys are missing, or there are several.
    #[error(
        "the token has {0} keys {1:?}; one must be there: make them once with the command for it"
    )]
    Keys(usize, String),
    /// A key of the token can leave it.
    #[error("the token's key {0:?} can leave it; it protects nothing")]
    Leaves(String),
    /// The token failed.
    #[error("the token failed: {0}")]
    Failed(String),
}

fn failed(error: Error) -> TokenError {
    // Functions and codes; never a PIN or a key.
    TokenError::Failed(error.to_string())
}

impl From<TokenError> for VaultError {
    fn from(error: TokenError) -> Self {
        Self::Device(error.to_string())
    }
}

/// A session that is logged in, with the two keys as it knows them.
struct Channel {
    session: Session,
    wrapping: ObjectHandle,
    binding: ObjectHandle,
}

struct Inside {
    pkcs11: Pkcs11,
    label: String,
    pin: AuthPin,
    free: Mutex<Vec<Channel>>,
}

/// A vault whose keys are behind a token.
#[derive(Clone)]
pub struct TokenVault {
    inside: Arc<Inside>,
    tagging: hmac::Key,
}

impl fmt::Debug for TokenVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVault")
            .field("token", &self.inside.label)
            .finish_non_exhaustive()
    }
}

impl Inside {
    fn load(settings: Settings) -> Result<Self, TokenError> {
        let Settings { module, token, pin } = settings;
        let wrong = |error: Error| TokenError::Module {
            module: module.clone(),
            said: error.to_string(),
        };
        let pkcs11 = Pkcs11::new(&module).map_err(wrong)?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(wrong(error)),
        }
        Ok(Self {
            pkcs11,
            label: token,
            pin: AuthPin::new(pin.as_str().into()),
            free: Mutex::new(Vec::new()),
        })
    }

    /// The slot whose token has the label. Slots get other numbers when a token is set up or replaced.
    fn slot(&self) -> Result<Slot, TokenError> {
        let mut found = Vec::new();
        for slot in self.pkcs11.get_slots_with_token().map_err(failed)? {
            let token = self.pkcs11.get_token_info(slot).map_err(failed)?;
            if token.label() == self.label {
                found.push(slot);
            }
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            others => Err(TokenError::Label {
                label: self.label.clone(),
                found: others.len(),
            }),
        }
    }

    fn log_in(&self, session: &Session) -> Result<(), TokenError> {
        match session.login(UserType::User, Some(&self.pin)) {
            // All sessions of a program are logged in or none.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn channel(&self) -> Result<Channel, TokenError> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(channel) = free {
            return Ok(channel);
        }
        let session = self.pkcs11.open_ro_session(self.slot()?).map_err(failed)?;
        self.log_in(&session)?;
        Ok(Channel {
            wrapping: find(&session, WRAPPING)?,
            binding: find(&session, BINDING)?,
            session,
        })
    }

    fn give_back(&self, channel: Channel) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(channel);
    }

    /// Works with a channel. After a failure none is used again: the token may have been pulled, or replaced.
    fn with<T>(
        &self,
        work: impl FnOnce(&Channel) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let channel = self.channel()?;
        let result = work(&channel);
        if matches!(result, Err(VaultError::Device(_))) {
            self.free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        } else {
            self.give_back(channel);
        }
        result
    }
}

fn of_token(error: Error) -> VaultError {
    failed(error).into()
}

fn named(label: &[u8]) -> [Attribute; 3] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(label.to_vec()),
    ]
}

/// The only key of a label, if it cannot leave the token.
fn find(session: &Session, label: &[u8]) -> Result<ObjectHandle, TokenError> {
    let name = || String::from_utf8_lossy(label).into_owned();
    let found = session.find_objects(&named(label)).map_err(failed)?;
    let [key] = found.as_slice() else {
        return Err(TokenError::Keys(found.len(), name()));
    };
    let wanted = [AttributeType::Sensitive, AttributeType::Extractable];
    let attributes = session.get_attributes(*key, &wanted).map_err(failed)?;
    let stays = attributes.contains(&Attribute::Sensitive(true))
        && attributes.contains(&Attribute::Extractable(false));
    if stays {
        Ok(*key)
    } else {
        Err(TokenError::Leaves(name()))
    }
}

/// What is authenticated: parts with their lengths, so that none runs into the next.
fn parts(parts: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

impl Channel {
    fn code(&self, binding: &[u8], rest: &[u8]) -> Result<Vec<u8>, VaultError> {
        let text = parts(&[b"tunduk sealed key 1", binding, rest]);
        self.session
            .sign(&Mechanism::Sha256Hmac, self.binding, &text)
            .map_err(of_token)
    }

    /// The point and the wrapped key of what was sealed for this binding.
    fn checked<'a>(
        &self,
        sealed: &'a SealedKey,
        binding: &[u8],
    ) -> Result<(&'a [u8], &'a [u8]), VaultError> {
        let (form, rest) = sealed.0.split_first().ok_or(VaultError::Sealed)?;
        if *form != FORM {
            return Err(VaultError::Sealed);
        }
        let (code, rest) = rest.split_first_chunk::<CODE>().ok_or(VaultError::Sealed)?;
        let (point, wrapped) = rest
            .split_first_chunk::<POINT>()
            .ok_or(VaultError::Sealed)?;
        let text = parts(&[b"tunduk sealed key 1", binding, rest]);
        match self
            .session
            .verify(&Mechanism::Sha256Hmac, self.binding, &text, code)
        {
            Ok(()) => Ok((point, wrapped)),
            Err(Error::Pkcs11(RvError::SignatureInvalid | RvError::SignatureLenRange, _)) => {
                Err(VaultError::Sealed)
            }
            Err(error) => Err(of_token(error)),
        }
    }

    fn seal(&self, point: &[u8], wrapped: &[u8], binding: &[u8]) -> Result<SealedKey, VaultError> {
        let rest = [point, wrapped].concat();
        let mut sealed = vec![FORM];
        sealed.extend_from_slice(&self.code(binding, &rest)?);
        sealed.extend_from_slice(&rest);
        Ok(SealedKey(sealed))
    }

    /// A new key pair, sealed; nothing of it stays in the token.
    fn generate(&self, binding: &[u8]) -> Result<SealedKey, VaultError> {
        let public = [
            Attribute::Token(false),
            Attribute::Verify(true),
            Attribute::EcParams(P256.to_vec()),
        ];
        // It leaves the token only wrapped.
        let private = [
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(true),
            Attribute::Sign(true),
        ];
        let (public, private) = self
            .session
            .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
            .map_err(of_token)?;
        let made = self.wrapped(public, private);
        for object in [public, private] {
            self.session.destroy_object(object).map_err(of_token)?;
        }
        let (point, wrapped) = made?;
        self.seal(&point, &wrapped, binding)
    }

    fn wrapped(
        &self,
        public: ObjectHandle,
        private: ObjectHandle,
    ) -> Result<([u8; POINT], Vec<u8>), VaultError> {
        let attributes = self
            .session
            .get_attributes(public, &[AttributeType::EcPoint])
            .map_err(of_token)?;
        let point = match attributes.as_slice() {
            [Attribute::EcPoint(point)] => point_of(point),
            _ => None,
        };
        let point = point.ok_or_else(|| {
            VaultError::Device("the token does not tell the public key".to_owned())
        })?;
        let wrapped = self
            .session
            .wrap_key(&Mechanism::AesKeyWrapPad, self.wrapping, private)
            .map_err(of_token)?;
        Ok((point, wrapped))
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<ObjectHandle, VaultError> {
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        self.session
            .unwrap_key(&Mechanism::AesKeyWrapPad, self.wrapping, wrapped, &template)
            .map_err(of_token)
    }
}

/// An uncompressed point, which tokens give bare or, as PKCS#11 has it, within an OCTET STRING.
fn point_of(attribute: &[u8]) -> Option<[u8; POINT]> {
    let bare = match attribute {
        [0x04, 0x41, rest @ ..] if rest.len() == POINT => rest,
        bare => bare,
    };
    bare.try_into()
        .ok()
        .filter(|point: &[u8; POINT]| point[0] == 0x04)
}

impl TokenVault {
    /// Makes the two keys in a token that has been set up, once. They cannot be read out of it, by nobody.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn make_keys(settings: Settings) -> Result<(), TokenError> {
        let inside = Inside::load(settings)?;
        let session = inside
            .pkcs11
            .open_rw_session(inside.slot()?)
            .map_err(failed)?;
        inside.log_in(&session)?;
        for label in [WRAPPING, BINDING] {
            if !session
                .find_objects(&named(label))
                .map_err(failed)?
                .is_empty()
            {
                return Err(TokenError::Exists);
            }
        }
        let stays = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::ValueLen(32.into()),
        ];
        let wraps = [Attribute::Wrap(true), Attribute::Unwrap(true)];
        let wrapping = [&named(WRAPPING)[..], &stays, &wraps].concat();
        session
            .generate_key(&Mechanism::AesKeyGen, &wrapping)
            .map_err(failed)?;
        let binds = [
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Sign(true),
            Attribute::Verify(true),
        ];
        let binding = [&named(BINDING)[..], &stays, &binds].concat();
        session
            .generate_key(&Mechanism::GenericSecretKeyGen, &binding)
            .map_err(failed)?;
        Ok(())
    }

    /// A vault over a token with its keys.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn open(settings: Settings) -> Result<Self, TokenError> {
        let inside = Inside::load(settings)?;
        let channel = inside.channel()?;
        // Records are tagged and tickets read at every request: in this process, under a key that follows from the
        // token's and is nowhere else.
        let key = channel
            .session
            .sign(
                &Mechanism::Sha256Hmac,
                channel.binding,
                &parts(&[b"tunduk tagging key 1"]),
            )
            .map(Zeroizing::new)
            .map_err(failed)?;
        let tagging = hmac::Key::new(hmac::HMAC_SHA256, &key);
        inside.give_back(channel);
        Ok(Self {
            inside: Arc::new(inside),
            tagging,
        })
    }
}

impl Vault for TokenVault {
    fn generate(&self, binding: &[u8]) -> Result<(Box<dyn Signer>, SealedKey), VaultError> {
        let sealed = self.inside.with(|channel| channel.generate(binding))?;
        Ok((self.open(&sealed, binding)?, sealed))
    }

    fn open(&self, sealed: &SealedKey, binding: &[u8]) -> Result<Box<dyn Signer>, VaultError> {
        let (point, wrapped) = self.inside.with(|channel| {
            let (point, wrapped) = channel.checked(sealed, binding)?;
            Ok((point.to_vec(), wrapped.to_vec()))
        })?;
        let public_key = PublicKey::from_spki_der(&[SPKI, &point].concat())
            .map_err(|error| VaultError::Device(error.to_string()))?;
        Ok(Box::new(Opened {
            inside: Arc::clone(&self.inside),
            wrapped,
            public_key,
        }))
    }

    fn rebind(&self, sealed: &SealedKey, old: &[u8], new: &[u8]) -> Result<SealedKey, VaultError> {
        self.inside.with(|channel| {
            let (point, wrapped) = channel.checked(sealed, old)?;
            channel.seal(point, wrapped, new)
        })
    }

    fn tag(&self, record: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.tagging, record).as_ref());
        tag
    }
}

/// A person's key, still wrapped: it is in the token only while it signs.
struct Opened {
    inside: Arc<Inside>,
    wrapped: Vec<u8>,
    public_key: PublicKey,
}

impl Signer for Opened {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        ALGORITHM
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_digest(&DigestAlgorithm::Sha256.digest(message))
    }

    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, SignError> {
        if digest.as_ref().len() != 32 {
            return Err(SignError::Algorithm);
        }
        let fixed = self
            .inside
            .with(|channel| {
                let key = channel.unwrap(&self.wrapped)?;
                let value = channel
                    .session
                    .sign(&Mechanism::Ecdsa, key, digest.as_ref())
                    .map_err(of_token);
                let gone = channel.session.destroy_object(key).map_err(of_token);
                gone.and(value)
            })
            .map_err(|error| SignError::Device(error.to_string()))?;
        pki::ecdsa_fixed_to_der(&fixed, 32)
            .ok_or_else(|| SignError::Device("the token's signature is malformed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_bare_and_enclosed() {
        let mut point = vec![0x04];
        point.extend_from_slice(&[7; 64]);
        let enclosed = [&[0x04, 0x41], point.as_slice()].concat();
        assert_eq!(
            point_of(&point).as_ref().map(|read| &read[..]),
            Some(&point[..])
        );
        assert_eq!(point_of(&enclosed), point_of(&point));
        for end in 0..enclosed.len() {
            if end != POINT {
                assert_eq!(point_of(&enclosed[..end]), None);
            }
        }
        point[0] = 0x02;
        assert_eq!(point_of(&point), None);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(parts(&[b"ab", b"c"]), parts(&[b"a", b"bc"]));
        assert_ne!(parts(&[b"ab"]), parts(&[b"ab", b""]));
    }

    #[test]
    fn a_library_that_is_none_is_named_and_a_pin_is_not() {
        let settings = Settings {
            module: "/nowhere/module.so".into(),
            token: "people".into(),
            pin: Zeroizing::new("secret".into()),
        };
        assert!(!format!("{settings:?}").contains("secret"));
        let refused = TokenVault::open(settings).unwrap_err().to_string();
        assert!(refused.contains("/nowhere/module.so"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
