//! What becomes of a signed agreement: what makes its signature last is fetched, and it is in force once the bank accepts it.

use std::sync::Arc;

use document_signature::{
    Class, Integrity, Report, SignatureReport, SignedDocument, Verdict, verify,
};
use pki::DigestAlgorithm;
use time::OffsetDateTime;
use transport::validation_data::SourceError;

use crate::contracts::{Contract, Deeds, Standing};
use crate::loan::Borrower;
use crate::{BankSite, EVERY, blocking};

/// What a signed agreement must be for the bank: one signature, qualified, of the borrower, over everything.
pub(crate) fn accepted<'a>(report: &'a Report, borrower: &Borrower) -> Option<&'a SignatureReport> {
    let [signature] = report.signatures.as_slice() else {
        return None;
    };
    let signer = signature.signer.as_ref()?.number.as_deref()?;
    let is_borrower = signer == borrower.number.as_str();
    let whole = matches!(signature.integrity, Integrity::Whole { .. });
    (report.verdict == Verdict::Valid && signature.is(Class::Qualified) && is_borrower && whole)
        .then_some(signature)
}

impl BankSite {
    /// The document with a time-stamp of its signature; without one if there is none to be had now.
    pub(crate) async fn stamped(&self, signed: SignedDocument) -> SignedDocument {
        let stamped = async {
            let request = signed.time_stamp_request(DigestAlgorithm::Sha256)?;
            let token = self.sources.stamp(request).await?;
            Ok::<_, SourceError>(signed.clone().with_time_stamp(&token)?)
        };
        match stamped.await {
            Ok(stamped) => stamped,
            Err(error) => {
                tracing::warn!(%error, "a signature gets its time-stamp later");
                signed
            }
        }
    }

    /// Fetches what makes a signature last, and puts the contract in force if the result is what the bank accepts.
    pub(crate) async fn complete(&self, contract: &Contract) -> Result<(), String> {
        let Standing::Signed { at } = contract.standing else {
            return Ok(());
        };
        let (contracts, kept) = (Arc::clone(&self.contracts), contract.clone());
        let deed = tokio::task::spawn_blocking(move || contracts.read(&kept, Deeds::Signed))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let now = OffsetDateTime::now_utc();
        let lasting = self
            .sources
            .archived(&deed, &self.trust, now)
            .await
            .map_err(|error| error.to_string())?;
        let report = verify(&lasting, Some(&self.trust), OffsetDateTime::now_utc());
        if accepted(&report, &contract.borrower).is_none() {
            return Err(format!("the bank does not accept it: {}", report.verdict));
        }
        let (contracts, kept) = (Arc::clone(&self.contracts), contract.clone());
        let standing = Standing::InForce { at };
        tokio::task::spawn_blocking(move || contracts.signed(&kept, &lasting, standing))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }

    /// Completes signatures that lack something and forgets old deeds, again and again.
    pub async fn keep_house(self: Arc<Self>) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            for contract in self.contracts.unfinished() {
                if let Err(error) = self.complete(&contract).await {
                    tracing::warn!(contract = contract.number, %error, "a signature is not complete");
                }
            }
            let contracts = Arc::clone(&self.contracts);
            let forgotten = blocking(move || contracts.forget(OffsetDateTime::now_utc())).await;
            if let Ok(Err(error)) = forgotten {
                tracing::error!(%error, "old deeds could not be removed");
            }
        }
    }
}
