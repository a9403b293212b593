//! The page on which a person confirms, and the one on which they compare.

use std::fmt::Write as _;

use askama::Template;
use http::StatusCode;
use oauth2::{ErrorCode, OauthError};
use qrcode::{Color, QrCode};
use serde_json::json;
use server_signing::{Asked, Kind, Matter, Purpose, Shown, ShownState, comparison};
use web_ui::{Frame, MessagePage, bare, cookie, see_other};

use crate::call::Reply;
use crate::desk::spaced;
use crate::oauth::{Waiting, browser_cookie};
use crate::pages::{Problem, Visit, for_script};
use crate::visits::proof;

/// A document, as it is shown.
#[derive(Debug)]
pub struct DocumentRow<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hash, in groups of eight digits.
    pub hash: String,
}

/// What is to be signed, who asks, and how to confirm.
#[derive(Debug, Template)]
#[template(path = "sign.html")]
pub struct SignPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// What the client that asks is called.
    pub client: &'a str,
    /// Key of the kind of signature.
    pub kind: &'a str,
    /// The documents.
    pub documents: &'a [DocumentRow<'a>],
    /// The digits to compare.
    pub digits: &'a str,
    /// Names the authorisation.
    pub handle: &'a str,
    /// Whether a passkey may confirm.
    pub passkey: bool,
    /// Whether a card may confirm.
    pub card: bool,
    /// The address for a second device; none on that device.
    pub second: Option<&'a str>,
    /// The same as a picture for its camera.
    pub picture: Option<Picture>,
}

/// A QR code, to be drawn.
#[derive(Debug)]
pub struct Picture {
    /// Modules on each side, with the quiet zone.
    pub side: usize,
    /// The dark modules, as the outlines of an SVG path.
    pub path: String,
}

/// Light modules around a QR code (ISO/IEC 18004 section 6.3.8).
const QUIET: usize = 4;

impl Picture {
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text.as_bytes()).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (place, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (row, column) = (place / width + QUIET, place % width + QUIET);
                // Writing to a text does not fail.
                let _ = write!(path, "M{column} {row}h1v1h-1z");
            }
        }
        Some(Self {
            side: width + 2 * QUIET,
            path,
        })
    }
}

/// Key of the name of a kind of signature.
pub(crate) const fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Simple => "kind-simple",
        Kind::Qualified => "kind-qualified",
    }
}

/// What a browser is asked for an assertion over a statement (Web Authentication level 3, section 5.5).
pub(crate) fn assertion_options(
    relying_party: &str,
    challenge: &[u8],
    passkeys: &[String],
) -> serde_json::Value {
    let allowed: Vec<_> = passkeys
        .iter()
        .map(|id| json!({ "type": "public-key", "id": id }))
        .collect();
    json!({
        // The script puts it into the form; here the address names what is confirmed.
        "ceremony": "",
        "options": {
            "challenge": jose::to_base64url(challenge),
            "rpId": relying_party,
            "allowCredentials": allowed,
            "userVerification": "required",
            "timeout": 300_000,
        },
    })
}

/// The origin of an address to which a form's answer may be redirected (Content Security Policy 3, `form-action`).
fn place_of(uri: &str) -> String {
    let Ok(uri) = uri.parse::<http::Uri>() else {
        return String::new();
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
        _ => String::new(),
    }
}

impl Visit<'_> {
    /// The request that this browser brought under a handle.
    fn brought(&self, handle: &str) -> Result<Waiting, Problem> {
        let ticket = cookie(self.call.headers, &browser_cookie(handle)).ok_or(Problem::NotFound)?;
        let waiting: Waiting =
            self.server
                .signing
                .opened(Purpose::Browser, ticket, self.call.now)?;
        // Nobody is sent to a client that is here no more.
        if waiting.handle == handle && self.server.clients.find(&waiting.client).is_some() {
            Ok(waiting)
        } else {
            Err(Problem::NotFound)
        }
    }

    /// `/confirm/HANDLE` and what is below it.
    pub(crate) fn confirm(&self, handle: &str, rest: Option<&str>) -> Result<Reply, Problem> {
        if self.call.is_get() && rest.is_none() {
            // Another browser may look, and no more.
            if cookie(self.call.headers, &browser_cookie(handle)).is_none() {
                return self.compare(handle);
            }
            let waiting = self.brought(handle)?;
            if waiting.code.is_some() {
                return self.at_desk(waiting);
            }
            let shown = self.server.signing.show(handle, self.call.now)?;
            return Ok(self.sign_page(&shown, Some(&waiting), StatusCode::OK, None));
        }
        if !self.call.is_post() {
            return Err(Problem::NotFound);
        }
        let form = self.form()?;
        let waiting = self.brought(handle)?;
        match rest {
            Some("options") => {
                let Asked {
                    challenge,
                    passkeys,
                    ..
                } = self.server.signing.show(handle, self.call.now)?.asked;
                let relying_party = &self.server.signing.place().relying_party;
                Ok(for_script(&assertion_options(
                    relying_party,
                    &challenge,
                    &passkeys,
                )))
            }
            Some("refuse") => {
                self.server.signing.deny(handle, self.call.now)?;
                let error = OauthError::new(ErrorCode::AccessDenied, "the person refused");
                let state = waiting.state.as_deref();
                Ok(see_other(&self.server.error_location(
                    &waiting.redirect_uri,
                    state,
                    &error,
                )))
            }
            None => {
                let confirmed =
                    self.server
                        .signing
                        .confirm_signing(handle, &proof(&form)?, self.call.now);
                if let Err(failure) = confirmed {
                    let problem = Problem::from(failure);
                    let shown = self.server.signing.show(handle, self.call.now)?;
                    // The answer to the confirmation was lost: this browser goes on to where it was going.
                    if shown.state == ShownState::Confirmed {
                        let next = self.server.code_location(&waiting, self.call.now)?;
                        return Ok(see_other(&next));
                    }
                    let (status, text) = (problem.status(), problem.text());
                    return Ok(self.sign_page(&shown, Some(&waiting), status, Some(text)));
                }
                Ok(see_other(
                    &self.server.code_location(&waiting, self.call.now)?,
                ))
            }
            _ => Err(Problem::NotFound),
        }
    }

    /// The person confirms at a desk: the page shows the code for the officer, and goes on once the officer confirmed.
    fn at_desk(&self, waiting: Waiting) -> Result<Reply, Problem> {
        let signing = &self.server.signing;
        let case = signing.case(&waiting.handle, self.call.now)?;
        if let Some(handle) = case.authorisation {
            let shown = signing.show(&handle, self.call.now)?;
            if matches!(shown.state, ShownState::Confirmed) {
                let waiting = Waiting {
                    handle,
                    code: None,
                    ..waiting
                };
                return Ok(see_other(
                    &self.server.code_location(&waiting, self.call.now)?,
                ));
            }
        }
        let code = waiting.code.as_deref().map(spaced);
        let address = format!("/confirm/{}", waiting.handle);
        let page = MessagePage {
            frame: self.frame(None),
            title: "at-desk-title",
            text: "at-desk-text",
            code: code.as_deref(),
            next: Some((&address, "check-link")),
        };
        Ok(self.render(StatusCode::OK, &page, ""))
    }

    /// `/compare/HANDLE`: the same on a second device, only to look at.
    pub(crate) fn compare(&self, handle: &str) -> Result<Reply, Problem> {
        let shown = self.server.signing.show(handle, self.call.now)?;
        Ok(self.sign_page(&shown, None, StatusCode::OK, None))
    }

    /// `/statement/HANDLE`: the text itself, whose SHA-256 is the challenge, and which a card signs.
    pub(crate) fn statement(&self, handle: &str) -> Result<Reply, Problem> {
        let shown = self.server.signing.show(handle, self.call.now)?;
        let mut reply = bare(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            shown.asked.text,
        );
        let name = http::HeaderValue::from_static("attachment; filename=\"statement.txt\"");
        reply
            .headers_mut()
            .insert(http::header::CONTENT_DISPOSITION, name);
        Ok(reply)
    }

    fn sign_page(
        &self,
        shown: &Shown,
        waiting: Option<&Waiting>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Reply {
        let (title, text) = match shown.state {
            ShownState::Waiting => ("", ""),
            ShownState::Confirmed | ShownState::Done => ("confirmed-title", "confirmed-text"),
            ShownState::Denied => ("denied-title", "denied-text"),
        };
        if !title.is_empty() {
            return self.message(StatusCode::OK, title, text, None);
        }
        let Matter::Sign {
            kind, documents, ..
        } = &shown.statement.matter
        else {
            return self.refused(&Problem::NotFound);
        };
        let rows: Vec<DocumentRow<'_>> = documents
            .iter()
            .map(|document| DocumentRow {
                name: &document.name,
                hash: grouped(&document.hash),
            })
            .collect();
        let client = self.server.clients.find(&shown.statement.client);
        let second = format!("{}/compare/{}", self.server.origin, shown.asked.handle);
        let place = self.server.signing.place();
        let page = SignPage {
            frame: self.frame(error),
            client: client.map_or(shown.statement.client.as_str(), |client| {
                client.name(self.visitor.language)
            }),
            kind: kind_text(*kind),
            documents: &rows,
            digits: &comparison(&shown.asked.challenge),
            handle: &shown.asked.handle,
            passkey: waiting.is_some() && !shown.asked.passkeys.is_empty(),
            card: waiting.is_some() && !place.card_issuers.is_empty(),
            second: waiting.is_some().then_some(second.as_str()),
            picture: waiting.and_then(|_| Picture::of(&second)),
        };
        let places = waiting.map_or_else(String::new, |waiting| place_of(&waiting.redirect_uri));
        self.render(status, &page, &places)
    }
}

/// Digits in groups of eight, so that they can be compared.
pub(crate) fn grouped(digits: &str) -> String {
    digits
        .as_bytes()
        .chunks(8)
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_picture_with_its_three_corners() {
        let picture =
            Picture::of("https://sign.example.kg/compare/abcdefghijklmnopqrstuv").unwrap();
        let last = picture.side - QUIET - 1;
        for (column, row) in [(QUIET, QUIET), (last, QUIET), (QUIET, last)] {
            assert!(picture.path.contains(&format!("M{column} {row}h1v1h-1z")));
        }
        assert!(Picture::of(&"x".repeat(3000)).is_none());
    }

    #[test]
    fn hashes_are_read_in_groups() {
        assert_eq!(grouped("0123456789abcdef"), "01234567 89abcdef");
    }
}
