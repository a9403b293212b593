//! Signing in by identity card. The card is asked for at another address, the only one that asks for certificates:
//!
//! 1. `/sign-in/card` here gives the browser a secret and sends it there with the secret's digest.
//! 2. There the certificate is checked; the browser comes back with a code for what was found, bound to the digest.
//! 3. `/sign-in/card/done` here takes the code from that browser only. Nobody is signed in by a card that was shown
//!    elsewhere, and a code that is overheard opens nothing.

use http::StatusCode;
use id_registry::PersonalNumber;
use oauth2::Parameters;
use oidc_provider::{CardHolder, Refusal, Secret};
use serde::{Deserialize, Serialize};
use web_ui::{ConfirmPage, see_other, set_cookie};

use super::{Pages, Problem, Reply, Visit, field};
use crate::card::CardError;
use crate::oauth::Call;

/// Cookie of a browser that was sent to show its card.
const CARD_COOKIE: &str = "__Host-card";
/// How long it may take, in seconds.
const CARD_TAKES: u32 = 300;
/// How the cookie begins where the person wants the account to be the card's holder's.
const BINDS: &str = "binds-";
/// Where the card is asked for, at the other address.
pub const CARD_PATH: &str = "/card";

/// What was found at the other address.
#[derive(Serialize, Deserialize)]
struct Shown {
    /// Digest of the browser's secret.
    attempt: String,
    number: Option<PersonalNumber>,
}

/// Whether somebody is signed in whose account belongs to nobody yet.
fn is_unbound(visit: &Visit<'_>) -> bool {
    let who = visit.who.as_ref();
    who.is_some_and(|who| who.account().person.is_none())
}

impl Pages {
    /// Sends the browser to show its card. Whose account belongs to nobody yet is asked first: the card would make it its
    /// holder's, and somebody else may have left it open in this browser.
    pub(super) fn ask_for_card(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        if !is_unbound(visit) {
            return self.sent_to_card("");
        }
        let page = ConfirmPage {
            frame: self.frame(visit, None),
            title: "card-bind-title",
            text: "card-bind-text",
            button: "card-bind-button",
            action: "/sign-in/card",
            grave: false,
            back: ("/sign-out", "sign-out-title"),
        };
        Ok(Self::page(visit, StatusCode::OK, &page))
    }

    /// The person said that the account is to be the card's holder's.
    pub(super) fn ask_for_card_to_bind(&self) -> Result<Reply, Problem> {
        self.sent_to_card(BINDS)
    }

    fn sent_to_card(&self, purpose: &str) -> Result<Reply, Problem> {
        let address = self.card_address.as_ref().ok_or(Problem::Form)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Problem::Text("failed-text"))?;
        let secret = format!("{purpose}{}", jose::to_base64url(&random));
        let attempt = jose::sha256_base64url(secret.as_bytes());
        let mut reply = see_other(&format!("{address}{CARD_PATH}?attempt={attempt}"));
        set_cookie(&mut reply, CARD_COOKIE, &secret, Some(CARD_TAKES));
        Ok(reply)
    }

    /// What becomes of a browser that showed a card, or none, at the other address. On a thread that may block.
    #[must_use]
    pub fn card_shown(&self, call: &Call<'_>, holder: Result<PersonalNumber, CardError>) -> Reply {
        let attempt = Parameters::decode(call.query)
            .ok()
            .and_then(|query| query.get("attempt").map(str::to_owned))
            .filter(|attempt| attempt.len() == 43);
        let back = format!("{}/sign-in", self.oauth.issuer());
        let Some(attempt) = attempt else {
            return see_other(&back);
        };
        if let Err(error) = &holder {
            tracing::info!(%error, "an identity card was not accepted");
        }
        let shown = Shown {
            attempt,
            number: holder.ok(),
        };
        let kept = serde_json::to_string(&shown).ok().and_then(|text| {
            let provider = self.oauth.provider();
            provider.keep_ceremony(text, call.now, &call.seed).ok()
        });
        match kept {
            Some(code) => see_other(&format!("{back}/card/done?code={}", code.expose())),
            None => see_other(&back),
        }
    }

    /// Signs in, or steps up, whoever comes back.
    pub(super) fn card_done(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let query = Parameters::decode(visit.call.query).map_err(|_| Problem::Form)?;
        let code = Secret::new(field(&query, "code")?);
        let secret = visit.call.cookie(CARD_COOKIE).ok_or(Refusal::Over)?;
        let text = provider.take_ceremony(&code, visit.now())?;
        // Another ceremony's code is none of ours.
        let shown: Shown = serde_json::from_str(&text).map_err(|_| Refusal::Over)?;
        if jose::sha256_base64url(secret.expose().as_bytes()) != shown.attempt {
            return Err(Refusal::Over.into());
        }
        let Some(number) = shown.number else {
            return Ok(self.sign_in_page(visit, StatusCode::BAD_REQUEST, Some("error-card")));
        };
        if is_unbound(visit) && !secret.expose().starts_with(BINDS) {
            return Err(Refusal::Over.into());
        }
        let card = CardHolder {
            number,
            tenant: self.tenant,
        };
        let current = self.current(visit);
        let signed_in = provider.sign_in_with_card(
            card,
            &visit.origin,
            current.as_ref(),
            visit.now(),
            visit.seed(),
        )?;
        let mut reply = Self::entered(visit, &signed_in);
        set_cookie(&mut reply, CARD_COOKIE, "", Some(0));
        Ok(reply)
    }
}
