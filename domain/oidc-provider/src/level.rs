//! Levels of assurance: one table, after Commission Implementing Regulation (EU) 2015/1502.
//!
//! How sure a relying party may be of who is in front of it follows from three things: how it was found out once who
//! somebody is (annex 2.1.2), what that person signs in with (2.2.1, 2.3.1), and how somebody who lost that gets back in
//! (2.2.3: recovery must not be weaker than enrolment). [`TABLE`] is published as it stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A level of assurance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Some confidence: enough to read what is not about anybody, and to freeze an account.
    Low,
    /// Substantial confidence.
    Substantial,
    /// High confidence: enough for documents and signatures.
    High,
}

impl Level {
    /// All, the lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Substantial, Self::High];

    /// The value of `acr` (Regulation (EU) 910/2014 as eIDAS nodes write it).
    #[must_use]
    pub const fn acr(self) -> &'static str {
        match self {
            Self::Low => "http://eidas.europa.eu/LoA/low",
            Self::Substantial => "http://eidas.europa.eu/LoA/substantial",
            Self::High => "http://eidas.europa.eu/LoA/high",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Substantial => "substantial",
            Self::High => "high",
        })
    }
}

/// An `acr` value that is none of ours. The fault is the relying party's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("acr values are http://eidas.europa.eu/LoA/low, substantial or high")]
pub struct NoLevel;

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(acr: &str) -> Result<Self, NoLevel> {
        Self::ALL
            .into_iter()
            .find(|level| level.acr() == acr)
            .ok_or(NoLevel)
    }
}

/// How it was found out who the holder of an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proofing {
    /// Not at all: the account belongs to nobody in particular.
    None,
    /// An earlier identity provider said so, from which the account was taken over.
    TakenOver,
    /// The holder signed in with the certificate of an identity card and its PIN.
    CardCertificate,
    /// An officer compared document, portrait and person.
    InPerson,
}

impl Proofing {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::TakenOver,
        Self::CardCertificate,
        Self::InPerson,
    ];
}

/// What somebody signed in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Factor {
    /// Password and a code sent by e-mail or text message.
    SentCode,
    /// Password and a code from the printed list.
    PrintedCode,
    /// A signed-in phone said yes to a picture on another screen.
    CrossDevice,
    /// A code from the printed list, and a clerk who compares the portrait.
    Clerk,
    /// A passkey with user verification that its maker copies between devices.
    SyncedPasskey,
    /// A passkey with user verification that does not leave its device, or a security key with its PIN.
    BoundPasskey,
    /// The certificate of an identity card with its PIN, over TLS.
    Card,
}

impl Factor {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::SentCode,
        Self::PrintedCode,
        Self::CrossDevice,
        Self::Clerk,
        Self::SyncedPasskey,
        Self::BoundPasskey,
        Self::Card,
    ];

    /// Whether a page that only looks like ours gets nothing it can use.
    #[must_use]
    pub const fn resists_phishing(self) -> bool {
        matches!(self, Self::SyncedPasskey | Self::BoundPasskey | Self::Card)
    }

    /// Values of `amr` (RFC 8176).
    #[must_use]
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::SentCode | Self::PrintedCode => &["pwd", "otp", "mfa"],
            Self::CrossDevice => &["mca"],
            Self::Clerk => &["otp", "face", "mfa"],
            Self::SyncedPasskey => &["swk", "user", "mfa"],
            Self::BoundPasskey => &["hwk", "user", "mfa"],
            Self::Card => &["sc", "pin", "mfa"],
        }
    }
}

/// How the holder of an account gets back in after losing every way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Recovery {
    /// By a code to an earlier e-mail address or phone.
    SentCode,
    /// At a desk, by two employees who compare portrait and person.
    Desk,
}

impl Recovery {
    /// All.
    pub const ALL: [Self; 2] = [Self::SentCode, Self::Desk];
}

/// A row of the table: every combination of these gives the level.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Any of these ways of proofing,
    pub proofing: &'static [Proofing],
    /// with any of these factors,
    pub factors: &'static [Factor],
    /// and recovery in one of these ways,
    pub recovery: &'static [Recovery],
    /// gives this level.
    pub level: Level,
}

/// The published table. The highest row that holds counts.
pub const TABLE: &[Row] = &[
    Row {
        proofing: &[Proofing::InPerson, Proofing::CardCertificate],
        factors: &[Factor::BoundPasskey, Factor::Card],
        recovery: &[Recovery::Desk],
        level: Level::High,
    },
    Row {
        proofing: &[Proofing::InPerson, Proofing::CardCertificate],
        factors: &[Factor::SyncedPasskey, Factor::Clerk],
        recovery: &[Recovery::Desk],
        level: Level::Substantial,
    },
    Row {
        proofing: &Proofing::ALL,
        factors: &Factor::ALL,
        recovery: &Recovery::ALL,
        level: Level::Low,
    },
];

/// The level of a combination by [`TABLE`].
#[must_use]
pub fn level_of(proofing: Proofing, factor: Factor, recovery: Recovery) -> Level {
    TABLE
        .iter()
        .filter(|row| {
            row.proofing.contains(&proofing)
                && row.factors.contains(&factor)
                && row.recovery.contains(&recovery)
        })
        .map(|row| row.level)
        .max()
        .unwrap_or(Level::Low)
}

/// Something a person does with the account, the level that it needs, and whether it waits after a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Freeze the account; lock the use of the number.
    Freeze,
    /// End sessions, withdraw consents, revoke mandates: whatever only takes away.
    TakeBack,
    /// See sign-ins, devices and consents.
    SeeAccount,
    /// Have documents issued.
    IssueDocument,
    /// Sign.
    Sign,
    /// Give or ask for a mandate.
    Mandate,
    /// Add or remove keys, codes and channels; change how the account is recovered.
    ChangeRecovery,
    /// Lift a freeze or a lock.
    Unlock,
    /// Work as an officer.
    Officer,
}

/// What each operation needs: the published table.
pub const OPERATIONS: &[(Operation, Level, bool)] = &[
    (Operation::Freeze, Level::Low, false),
    (Operation::TakeBack, Level::Low, false),
    (Operation::SeeAccount, Level::Low, false),
    (Operation::IssueDocument, Level::High, true),
    (Operation::Sign, Level::High, true),
    (Operation::Mandate, Level::High, true),
    (Operation::ChangeRecovery, Level::High, false),
    (Operation::Unlock, Level::High, false),
    (Operation::Officer, Level::High, true),
];

impl Operation {
    fn row(self) -> (Level, bool) {
        OPERATIONS
            .iter()
            .find(|(operation, ..)| *operation == self)
            .map_or((Level::High, true), |(_, level, waits)| (*level, *waits))
    }

    /// The level that it needs.
    #[must_use]
    pub fn level(self) -> Level {
        self.row().0
    }

    /// Whether it is held back for a day after a recovery.
    #[must_use]
    pub fn waits_after_recovery(self) -> bool {
        self.row().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combinations() -> impl Iterator<Item = (Proofing, Factor, Recovery)> {
        Proofing::ALL.into_iter().flat_map(|proofing| {
            Factor::ALL.into_iter().flat_map(move |factor| {
                Recovery::ALL
                    .into_iter()
                    .map(move |recovery| (proofing, factor, recovery))
            })
        })
    }

    #[test]
    fn high_needs_proofing_a_key_that_resists_phishing_and_recovery_at_the_desk() {
        for (proofing, factor, recovery) in combinations() {
            if level_of(proofing, factor, recovery) == Level::High {
                assert!(matches!(
                    proofing,
                    Proofing::InPerson | Proofing::CardCertificate
                ));
                assert!(factor.resists_phishing());
                assert_eq!(recovery, Recovery::Desk);
            }
        }
        assert_eq!(
            level_of(Proofing::InPerson, Factor::BoundPasskey, Recovery::Desk),
            Level::High
        );
    }

    #[test]
    fn codes_and_pictures_never_exceed_low() {
        for (proofing, factor, recovery) in combinations() {
            if matches!(
                factor,
                Factor::SentCode | Factor::PrintedCode | Factor::CrossDevice
            ) || proofing == Proofing::None
                || recovery == Recovery::SentCode
            {
                assert_eq!(level_of(proofing, factor, recovery), Level::Low);
            }
        }
    }

    #[test]
    fn acr_values_are_read_back_exactly() {
        for level in Level::ALL {
            assert_eq!(level.acr().parse(), Ok(level));
        }
        assert_eq!(
            "http://eidas.europa.eu/LoA/High".parse::<Level>(),
            Err(NoLevel)
        );
    }

    #[test]
    fn every_operation_has_one_row() {
        for (operation, level, waits) in OPERATIONS {
            assert_eq!(operation.row(), (*level, *waits));
        }
        for operation in [
            Operation::IssueDocument,
            Operation::Sign,
            Operation::Mandate,
            Operation::ChangeRecovery,
            Operation::Unlock,
        ] {
            assert_eq!(operation.level(), Level::High);
        }
        assert_eq!(Operation::Freeze.level(), Level::Low);
    }
}
