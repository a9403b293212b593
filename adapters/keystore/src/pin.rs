//! PINs: where they come from, and the key that Argon2id (RFC 9106) derives from them.

use std::fmt;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use crate::error::TokenError;

/// Fewest bytes of a new PIN.
pub const MIN_PIN_LENGTH: usize = 8;
/// Most bytes of a PIN.
pub const MAX_PIN_LENGTH: usize = 1024;

/// The hidden subcommand under which a program must call [`helper_main`].
pub const HELPER_SUBCOMMAND: &str = "token-unlock-helper";

/// A PIN, wiped from memory when dropped. `Debug` shows nothing of it.
///
/// It comes from a prompt, standard input or a systemd credential; never from arguments, environment
/// or configuration.
pub struct Pin(Zeroizing<Vec<u8>>);

impl fmt::Debug for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pin")
    }
}

impl Pin {
    /// A PIN that the program has made or received itself.
    pub fn new(pin: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(pin.into()))
    }

    /// Asks at the terminal, without echo.
    ///
    /// # Errors
    /// [`TokenError::NoPin`] where there is no terminal.
    pub fn from_prompt(question: &str) -> Result<Self, TokenError> {
        rpassword::prompt_password(question)
            .map(Self::new)
            .map_err(|error| TokenError::NoPin(error.to_string()))
    }

    /// Reads the first line of standard input.
    ///
    /// # Errors
    /// [`TokenError::NoPin`] where there is none.
    pub fn from_stdin() -> Result<Self, TokenError> {
        Self::read_line(&mut std::io::stdin().lock())
    }

    /// Reads the first two lines of standard input, a PIN each.
    ///
    /// # Errors
    /// [`TokenError::NoPin`] where one is absent.
    pub fn two_from_stdin() -> Result<(Self, Self), TokenError> {
        // The lock keeps what is read ahead.
        let mut input = std::io::stdin().lock();
        Ok((Self::read_line(&mut input)?, Self::read_line(&mut input)?))
    }

    fn read_line(input: &mut impl BufRead) -> Result<Self, TokenError> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_PIN_LENGTH + 2));
        input
            .take(MAX_PIN_LENGTH as u64 + 2)
            .read_until(b'\n', &mut line)
            .map_err(|error| TokenError::NoPin(error.to_string()))?;
        Self::from_line(line)
    }

    /// Reads a credential that systemd hands to the service (`LoadCredential=`), by its name.
    ///
    /// # Errors
    /// [`TokenError::NoPin`] where there is none of this name.
    pub fn from_credential(name: &str) -> Result<Self, TokenError> {
        let path = credential(name)
            .ok_or_else(|| TokenError::NoPin(format!("there is no credential {name}")))?;
        let line = std::fs::read(&path)
            .map(Zeroizing::new)
            .map_err(|error| TokenError::NoPin(format!("{}: {error}", path.display())))?;
        Self::from_line(line)
    }

    fn from_line(mut line: Zeroizing<Vec<u8>>) -> Result<Self, TokenError> {
        while line.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            line.pop();
        }
        if line.is_empty() {
            return Err(TokenError::NoPin("it is empty".to_owned()));
        }
        Ok(Self(line))
    }

    pub(crate) fn check_new(&self) -> Result<(), TokenError> {
        if (MIN_PIN_LENGTH..=MAX_PIN_LENGTH).contains(&self.0.len()) {
            Ok(())
        } else {
            Err(TokenError::PinLength)
        }
    }
}

/// The file of a systemd credential, if the service has it.
pub(crate) fn credential(name: &str) -> Option<PathBuf> {
    let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| plain)?;
    let path = PathBuf::from(directory).join(name);
    path.is_file().then_some(path)
}

/// Cost of a derivation, kept with the token so that it can be raised later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Cost {
    pub(crate) const DEFAULT: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// Bounds for what a token file may demand.
    pub(crate) fn is_reasonable(self) -> bool {
        (8 * 1024..=1024 * 1024).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
    }
}

/// A derived key, wiped when dropped.
pub(crate) type Derived = Zeroizing<[u8; 32]>;

/// Where Argon2id runs.
#[derive(Debug, Clone)]
pub enum PinDerivation {
    /// In a short-lived process: this program with the subcommand [`HELPER_SUBCOMMAND`].
    Helper {
        /// The program; `None` is the running one.
        program: Option<PathBuf>,
    },
    /// In this process: for commands that end at once, and tests.
    InProcess,
}

impl Default for PinDerivation {
    fn default() -> Self {
        Self::Helper { program: None }
    }
}

impl PinDerivation {
    pub(crate) fn derive(&self, pin: &Pin, salt: &[u8], cost: Cost) -> Result<Derived, TokenError> {
        match self {
            Self::InProcess => {
                argon2id(&pin.0, salt, cost).ok_or_else(|| TokenError::Helper(REFUSED.to_owned()))
            }
            Self::Helper { program } => in_helper(program.as_ref(), pin, salt, cost),
        }
    }
}

const REFUSED: &str = "the parameters are not valid";

fn argon2id(pin: &[u8], salt: &[u8], cost: Cost) -> Option<Derived> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin, salt, key.as_mut())
        .ok()?;
    Some(key)
}

fn in_helper(
    program: Option<&PathBuf>,
    pin: &Pin,
    salt: &[u8],
    cost: Cost,
) -> Result<Derived, TokenError> {
    let broken = |error: std::io::Error| TokenError::Helper(error.to_string());
    let program = match program {
        Some(program) => program.clone(),
        None => std::env::current_exe().map_err(broken)?,
    };
    let mut question = Zeroizing::new(Vec::with_capacity(64 + salt.len() + pin.0.len()));
    question.extend_from_slice(MAGIC);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        question.extend_from_slice(&number.to_be_bytes());
    }
    for part in [salt, &pin.0] {
        let length = u16::try_from(part.len()).map_err(|_| TokenError::PinLength)?;
        question.extend_from_slice(&length.to_be_bytes());
        question.extend_from_slice(part);
    }
    let mut child = Command::new(program)
        .arg(HELPER_SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(broken)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that ended early is reported below, by its status.
        let _ = input.write_all(&question);
    }
    let mut output = child.wait_with_output().map_err(broken)?;
    let key = <[u8; 32]>::try_from(output.stdout.as_slice()).map(Zeroizing::new);
    output.stdout.zeroize();
    match key {
        Ok(key) if output.status.success() => Ok(key),
        _ => Err(TokenError::Helper(output.status.to_string())),
    }
}

const MAGIC: &[u8; 4] = b"TPD1";

/// The helper process: reads cost, salt and PIN from standard input, writes the derived key to
/// standard output and ends.
pub fn helper_main() -> ExitCode {
    let mut question = Zeroizing::new(Vec::with_capacity(4096));
    if std::io::stdin()
        .lock()
        .take(4096)
        .read_to_end(&mut question)
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    let Some(key) = answer(&question) else {
        return ExitCode::FAILURE;
    };
    let mut output = std::io::stdout().lock();
    match output.write_all(key.as_ref()).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(question: &[u8]) -> Option<Derived> {
    let mut rest = question.strip_prefix(MAGIC)?;
    let mut number = || {
        let (bytes, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        Some(u32::from_be_bytes(*bytes))
    };
    let cost = Cost {
        memory_kib: number()?,
        passes: number()?,
        lanes: number()?,
    };
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(part)
    };
    let salt = part()?;
    let pin = part()?;
    if !rest.is_empty() || !cost.is_reasonable() {
        return None;
    }
    argon2id(pin, salt, cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argon2id_is_that_of_rfc_9106() {
        // The reference program: `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -r`
        let cost = Cost {
            memory_kib: 65536,
            passes: 2,
            lanes: 1,
        };
        let key = argon2id(b"password", b"somesalt", cost).unwrap();
        let expected = "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7";
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn the_helper_refuses_what_is_not_a_question() {
        let mut question = MAGIC.to_vec();
        for number in [8 * 1024_u32, 1, 1] {
            question.extend(number.to_be_bytes());
        }
        question.extend([0, 8]);
        question.extend(b"somesalt");
        question.extend([0, 3]);
        question.extend(b"pin");
        assert!(answer(&question).is_some());
        for length in 0..question.len() {
            assert!(answer(&question[..length]).is_none());
        }
        question.push(0);
        assert!(answer(&question).is_none());
    }

    #[test]
    fn debug_output_hides_the_pin() {
        assert_eq!(format!("{:?}", Pin::new("12345678")), "Pin");
    }
}
