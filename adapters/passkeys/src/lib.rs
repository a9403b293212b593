//! Passkeys and FIDO security keys: questions for browsers, and their answers verified (Web Authentication Level 3).
//!
//! Everything a ceremony needs between question and answer is in its state, a text that never leaves the server; who
//! keeps it gives it out once. User verification is always demanded, discoverable keys are asked for, attestation is
//! not: which make a key is of decides nothing here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oidc_provider::{AccountId, Assertion, CredentialId, NewPasskey, Passkey};
use uuid::Uuid;
use webauthn_rs::prelude as rp;

/// Longest answer of a browser, in bytes: more is refused before it is parsed.
pub const MAX_ANSWER_LENGTH: usize = 32 * 1024;

/// Why a ceremony fails.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The server's own settings or stored data are wrong.
    #[error("the server's own passkey settings or data are unusable: {0}")]
    Own(String),
    /// The browser's answer is not one, or too long.
    #[error("this is not the answer of a passkey; try again")]
    Malformed,
    /// The answer does not verify: another key, site or question, or nobody was asked for PIN, finger or face.
    #[error("the passkey's answer does not hold: {0}; try again")]
    Refused(String),
}

fn own(error: impl std::fmt::Display) -> PasskeyError {
    PasskeyError::Own(error.to_string())
}

/// What a browser is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// For `navigator.credentials`, in JSON (`PublicKeyCredentialCreationOptionsJSON` or
    /// `PublicKeyCredentialRequestOptionsJSON`).
    pub options: String,
    /// For the server, until the answer comes.
    pub state: String,
}

/// The verifier of one relying party.
#[derive(Debug, Clone)]
pub struct Passkeys {
    webauthn: rp::Webauthn,
}

impl Passkeys {
    /// The verifier for a domain name and the origin of the pages (`https://id.example.kg`).
    ///
    /// # Errors
    /// The origin is no URL, or not of that domain.
    pub fn new(relying_party: &str, origin: &str) -> Result<Self, PasskeyError> {
        let origin = rp::Url::parse(origin).map_err(own)?;
        let webauthn = webauthn_rs::WebauthnBuilder::new(relying_party, &origin)
            .and_then(webauthn_rs::WebauthnBuilder::build)
            .map_err(own)?;
        Ok(Self { webauthn })
    }

    /// Asks for a new key for an account. `name` is shown by the authenticator when it asks which key to use; keys that
    /// the account has already are not made again.
    ///
    /// # Errors
    /// [`PasskeyError::Own`].
    pub fn ask_to_register(
        &self,
        account: &AccountId,
        name: &str,
        existing: &[Passkey],
    ) -> Result<Question, PasskeyError> {
        let handle = URL_SAFE_NO_PAD.decode(account.as_str()).map_err(own)?;
        let handle = Uuid::from_slice(&handle).map_err(own)?;
        let existing = existing
            .iter()
            .map(|key| URL_SAFE_NO_PAD.decode(key.id.as_str()))
            .collect::<Result<Vec<rp::CredentialID>, _>>()
            .map_err(own)?;
        let (options, state) = self
            .webauthn
            .start_passkey_registration(handle, name, name, Some(existing))
            .map_err(own)?;
        let mut options = serde_json::to_value(&options).map_err(own)?;
        let mut options = options["publicKey"].take();
        // So that signing in needs no name typed first. What comes back is the same either way.
        options["authenticatorSelection"]["residentKey"] = "required".into();
        options["authenticatorSelection"]["requireResidentKey"] = true.into();
        Ok(Question {
            options: options.to_string(),
            state: serde_json::to_string(&state).map_err(own)?,
        })
    }

    /// Verifies the new key.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub fn registered(
        &self,
        state: &str,
        answer: &str,
        label: &str,
    ) -> Result<NewPasskey, PasskeyError> {
        let state: rp::PasskeyRegistration = serde_json::from_str(state).map_err(own)?;
        let answer: rp::RegisterPublicKeyCredential = parse(answer)?;
        let key = self
            .webauthn
            .finish_passkey_registration(&answer, &state)
            .map_err(|error| PasskeyError::Refused(error.to_string()))?;
        let credential = rp::Credential::from(key.clone());
        Ok(NewPasskey {
            id: CredentialId::new(URL_SAFE_NO_PAD.encode(key.cred_id())),
            key: serde_json::to_string(&key).map_err(own)?,
            label: label.to_owned(),
            synced: credential.backup_eligible,
            counter: credential.counter,
        })
    }

    /// Asks for any key of this site: whose it is, its holder shows by answering.
    ///
    /// # Errors
    /// [`PasskeyError::Own`].
    pub fn ask_to_sign_in(&self) -> Result<Question, PasskeyError> {
        let (options, state) = self
            .webauthn
            .start_discoverable_authentication()
            .map_err(own)?;
        let mut options = serde_json::to_value(&options).map_err(own)?;
        Ok(Question {
            options: options["publicKey"].take().to_string(),
            state: serde_json::to_string(&state).map_err(own)?,
        })
    }

    /// Which key an answer says it comes from: the one to verify it with is looked up by this.
    ///
    /// # Errors
    /// [`PasskeyError::Malformed`].
    pub fn named(answer: &str) -> Result<CredentialId, PasskeyError> {
        let answer: rp::PublicKeyCredential = parse(answer)?;
        Ok(CredentialId::new(
            URL_SAFE_NO_PAD.encode(answer.get_credential_id()),
        ))
    }

    /// Verifies an answer with the stored key.
    ///
    /// # Errors
    /// See [`PasskeyError`].
    pub fn signed_in(
        &self,
        state: &str,
        answer: &str,
        key: &Passkey,
    ) -> Result<Assertion, PasskeyError> {
        let state: rp::DiscoverableAuthentication = serde_json::from_str(state).map_err(own)?;
        let answer: rp::PublicKeyCredential = parse(answer)?;
        let stored: rp::Passkey = serde_json::from_str(&key.key).map_err(own)?;
        let result = self
            .webauthn
            .finish_discoverable_authentication_v2(&answer, state, &stored)
            .map_err(|error| PasskeyError::Refused(error.to_string()))?;
        Ok(Assertion {
            id: CredentialId::new(URL_SAFE_NO_PAD.encode(result.cred_id())),
            user_verified: result.user_verified(),
            counter: result.counter(),
        })
    }
}

fn parse<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, PasskeyError> {
    if answer.len() > MAX_ANSWER_LENGTH {
        return Err(PasskeyError::Malformed);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use webauthn::SoftwareAuthenticator;

    use super::*;

    fn passkeys() -> Passkeys {
        Passkeys::new("id.example.kg", "https://id.example.kg").expect("settings")
    }

    #[test]
    fn keys_are_asked_for_that_need_no_name_and_know_their_holder() {
        let account = AccountId::new(URL_SAFE_NO_PAD.encode([7; 16]));
        let asked = passkeys()
            .ask_to_register(&account, "id.example.kg", &[])
            .expect("a question");
        let options: Value = serde_json::from_str(&asked.options).expect("JSON");
        let selection = &options["authenticatorSelection"];
        assert_eq!(selection["residentKey"], "required");
        assert_eq!(selection["userVerification"], "required");
        assert_eq!(options["rp"]["id"], "id.example.kg");
        assert_eq!(options["user"]["id"], URL_SAFE_NO_PAD.encode([7; 16]));
        let asked = passkeys().ask_to_sign_in().expect("a question");
        let options: Value = serde_json::from_str(&asked.options).expect("JSON");
        assert_eq!(options["userVerification"], "required");
        assert_eq!(options["allowCredentials"], serde_json::json!([]));
        assert_ne!(
            asked.options,
            passkeys().ask_to_sign_in().expect("a question").options
        );
    }

    fn challenge(question: &Question) -> Vec<u8> {
        let options: Value = serde_json::from_str(&question.options).expect("JSON");
        let text = options["challenge"].as_str().expect("a challenge");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    #[test]
    fn a_key_is_registered_and_signs_in_and_no_other_does() {
        let (site, here) = (passkeys(), "https://id.example.kg");
        let phone = |id: u8, synced| {
            SoftwareAuthenticator::generate("id.example.kg", vec![id; 32], synced).expect("a key")
        };
        let account = AccountId::new(URL_SAFE_NO_PAD.encode([7; 16]));
        let register = |phone: &SoftwareAuthenticator, origin: &str| {
            let asked = site
                .ask_to_register(&account, "id.example.kg", &[])
                .expect("a question");
            let answer = phone.register(origin, &challenge(&asked));
            site.registered(&asked.state, &answer, "Phone")
        };
        for synced in [false, true] {
            let own = phone(1, synced);
            let new = register(&own, here).expect("registered");
            assert_eq!(new.synced, synced);
            assert_eq!(new.id.as_str(), own.credential_id());
            let key = Passkey {
                id: new.id.clone(),
                key: new.key.clone(),
                label: new.label.clone(),
                synced,
                counter: 0,
                added_at: time::OffsetDateTime::UNIX_EPOCH,
                added_at_level: oidc_provider::Level::High,
                used_at: None,
            };
            let sign_in = |phone: &SoftwareAuthenticator, origin: &str| {
                let asked = site.ask_to_sign_in().expect("a question");
                let answer = phone.assert(origin, &challenge(&asked)).expect("signed");
                assert_eq!(Passkeys::named(&answer).expect("named"), new.id);
                site.signed_in(&asked.state, &answer, &key)
            };
            assert!(sign_in(&own, here).expect("signed in").user_verified);
            assert!(sign_in(&phone(1, synced), here).is_err(), "another key");
            assert!(sign_in(&own, "https://evil.example").is_err());
        }
        assert!(register(&phone(2, false), "https://evil.example").is_err());
        let elsewhere = SoftwareAuthenticator::generate("evil.example", vec![3; 32], false);
        assert!(register(&elsewhere.expect("a key"), here).is_err());
    }

    #[test]
    fn settings_of_another_site_are_refused() {
        assert!(Passkeys::new("id.example.kg", "https://evil.example").is_err());
        assert!(Passkeys::new("id.example.kg", "nothing").is_err());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let long = "x".repeat(MAX_ANSWER_LENGTH + 1);
        for answer in ["", "{}", "[1]", long.as_str()] {
            assert!(matches!(
                Passkeys::named(answer),
                Err(PasskeyError::Malformed)
            ));
        }
    }
}
