//! `tunduk token`: the keys of a Security Server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystore::{KeyUsage, Pin, PinDerivation, TokenError, commands};
use pki::{AttributeType, KeyType, Name};
use xroad_id::ClientId;

/// What `tunduk token` takes.
#[derive(Debug, Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    action: Action,
    /// Read the PIN from the first line of standard input
    #[arg(long, global = true)]
    pin_stdin: bool,
    /// Read the PIN from this systemd credential
    #[arg(long, global = true, value_name = "NAME")]
    pin_credential: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an empty token
    Init {
        /// The token's file
        token: PathBuf,
        /// The operator's name for it
        #[arg(long, default_value = "token")]
        label: String,
    },
    /// Generate a key; prints its identifier
    Key {
        /// The token's file
        token: PathBuf,
        /// `sign` or `authentication`
        #[arg(long, value_parser = usage_of)]
        usage: KeyUsage,
        /// For a signing key: the member, INSTANCE/CLASS/CODE
        #[arg(long, value_parser = member_of)]
        member: Option<ClientId>,
        /// rsa-2048, rsa-3072, rsa-4096 or ec-p256
        #[arg(long, value_parser = key_type_of, default_value = "rsa-2048")]
        key_type: KeyType,
        /// The operator's name for it
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Print a certificate request for a key
    Csr {
        /// The token's file
        token: PathBuf,
        /// The key's identifier
        #[arg(long)]
        key: String,
        /// The subject, 'C=KG,O=GOV,CN=70000001'; commas inside values are written '\,'
        #[arg(long, value_parser = subject_of)]
        subject: Name,
    },
    /// Store a certificate with the key that it belongs to
    Import {
        /// The token's file
        token: PathBuf,
        /// The certificate, PEM or DER
        certificate: PathBuf,
    },
    /// Check the PIN and every key
    Unlock {
        /// The token's file
        token: PathBuf,
    },
    /// Change the PIN; with --pin-stdin the first line is the old one and the second the new one
    Pin {
        /// The token's file
        token: PathBuf,
    },
    /// Write the sealed key, for a start without PIN
    Seal {
        /// The token's file
        token: PathBuf,
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// List keys and certificates
    List {
        /// The token's file
        token: PathBuf,
    },
}

/// Runs `tunduk token`; gives what to print.
///
/// # Errors
/// In words.
pub fn run(arguments: &TokenArguments) -> Result<String, String> {
    act(arguments).map_err(|error| error.to_string())
}

fn act(arguments: &TokenArguments) -> Result<String, TokenError> {
    let derivation = PinDerivation::default();
    let pin = || arguments.pin();
    match &arguments.action {
        Action::Init { token, label } => {
            commands::init(token, label, &arguments.new_pin()?, &derivation)
        }
        Action::Key {
            token,
            usage,
            member,
            key_type,
            label,
        } => commands::key(
            token,
            &pin()?,
            &derivation,
            label,
            *usage,
            *key_type,
            member.as_ref(),
        ),
        Action::Csr {
            token,
            key,
            subject,
        } => commands::csr(token, &pin()?, &derivation, key, subject),
        Action::Import { token, certificate } => match std::fs::read(certificate) {
            Ok(bytes) => commands::import(token, &bytes),
            Err(source) => Err(TokenError::File {
                path: certificate.clone(),
                source,
            }),
        },
        Action::Unlock { token } => commands::unlock(token, &pin()?, &derivation),
        Action::Pin { token } => {
            let (old, new) = arguments.old_and_new_pin()?;
            commands::change_pin(token, &old, &new, &derivation)
        }
        Action::Seal { token, output } => commands::seal(token, &pin()?, &derivation, output),
        Action::List { token } => commands::list(token),
    }
}

impl TokenArguments {
    fn pin(&self) -> Result<Pin, TokenError> {
        match &self.pin_credential {
            Some(name) => Pin::from_credential(name),
            None if self.pin_stdin => Pin::from_stdin(),
            None => Pin::from_prompt("PIN: "),
        }
    }

    fn new_pin(&self) -> Result<Pin, TokenError> {
        if self.pin_stdin || self.pin_credential.is_some() {
            return self.pin();
        }
        Self::asked_twice()
    }

    /// The PIN in use and its successor. A credential holds the one in use alone.
    fn old_and_new_pin(&self) -> Result<(Pin, Pin), TokenError> {
        if self.pin_credential.is_none() && self.pin_stdin {
            return Pin::two_from_stdin();
        }
        let old = self.pin()?;
        let new = if self.pin_stdin {
            Pin::from_stdin()?
        } else {
            Self::asked_twice()?
        };
        Ok((old, new))
    }

    fn asked_twice() -> Result<Pin, TokenError> {
        let ask = |question| {
            rpassword::prompt_password(question)
                .map_err(|error| TokenError::NoPin(error.to_string()))
        };
        let (first, again) = (ask("New PIN: ")?, ask("Again: ")?);
        if first == again {
            Ok(Pin::new(first))
        } else {
            Err(TokenError::NoPin("the two PINs differ".to_owned()))
        }
    }
}

fn usage_of(text: &str) -> Result<KeyUsage, String> {
    KeyUsage::from_name(text).ok_or_else(|| "a key is for sign or authentication".to_owned())
}

fn key_type_of(text: &str) -> Result<KeyType, String> {
    KeyType::from_name(text)
        .ok_or_else(|| "a key is rsa-2048, rsa-3072, rsa-4096 or ec-p256".to_owned())
}

fn member_of(text: &str) -> Result<ClientId, String> {
    let id = ClientId::from_path(text).map_err(|error| error.to_string())?;
    if id.subsystem_code.is_some() {
        return Err("a key belongs to a member, without subsystem".to_owned());
    }
    Ok(id)
}

fn subject_of(text: &str) -> Result<Name, String> {
    let mut builder = Name::builder();
    for attribute in split(text) {
        let (kind, value) = attribute
            .split_once('=')
            .ok_or_else(|| format!("{attribute:?} is not of the form NAME=value"))?;
        let kind = AttributeType::from_short_name(kind.trim())
            .ok_or_else(|| format!("{kind:?} is not an attribute"))?;
        builder = builder.push(kind, value.trim());
    }
    builder.build().map_err(|error| error.to_string())
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ',' => parts.push(String::new()),
            letter => {
                let letter = if letter == '\\' {
                    letters.next()
                } else {
                    Some(letter)
                };
                if let Some(last) = parts.last_mut() {
                    last.extend(letter);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let name = subject_of("C=KG, O=a\\, b,CN=7").expect("a subject");
        let values: Vec<&str> = name
            .attributes()
            .iter()
            .map(|attribute| attribute.value.as_str())
            .collect();
        assert_eq!(values, ["KG", "a, b", "7"]);
        assert!(subject_of("KG").is_err());
        assert!(member_of("KG/GOV/1/sub").is_err());
    }
}
