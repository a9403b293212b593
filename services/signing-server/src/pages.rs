//! What all pages have: the visit, and what goes wrong.

use http::StatusCode;
use oauth2::Parameters;
use server_signing::{Failure, Refusal, VaultError, Who};
use web_ui::{Frame, MessagePage, Page, Visitor, bare, page_policy, see_other};

pub(crate) use web_ui::shown;

use crate::call::{Call, Reply, plain};
use crate::{SigningServer, is_own_fault};

/// One visit of a browser.
pub(crate) struct Visit<'a> {
    pub(crate) server: &'a SigningServer,
    pub(crate) call: &'a Call<'a>,
    pub(crate) visitor: Visitor,
}

/// Why a form is not carried out.
#[derive(Debug)]
pub(crate) enum Problem {
    Failure(Failure),
    /// The form is not of this site and browser, or lacks a field.
    Form,
    /// There is no such page, or not for this browser.
    NotFound,
    /// Whoever asks must sign in first.
    SignIn,
    /// The certification authority gives no certificate.
    Authority,
    /// Another text, by its key.
    Text(&'static str),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Failure(refusal.into())
    }
}

impl Problem {
    /// Key of the text that says it.
    pub(crate) fn text(&self) -> &'static str {
        let failure = match self {
            Self::Form => return "error-form",
            Self::NotFound => return "not-found-text",
            Self::SignIn => return "error-sign-in",
            Self::Authority => return "error-authority",
            Self::Text(text) => return text,
            Self::Failure(failure) => failure,
        };
        if is_own_fault(failure) {
            return if *failure == Failure::Vault(VaultError::Sealed) {
                "error-sealed"
            } else {
                "failed-text"
            };
        }
        let Failure::Refused(refusal) = failure else {
            return "failed-text";
        };
        tracing::info!(%refusal, "a page refused something");
        match refusal {
            Refusal::Frozen => "error-frozen",
            Refusal::Careful(_) => "error-careful",
            Refusal::Expired | Refusal::UnknownAuthorisation | Refusal::Ticket => "error-over",
            Refusal::Synced => "error-synced",
            Refusal::KeyCopied => "error-copied",
            Refusal::NotActive | Refusal::CertificateOver => "error-certificate",
            Refusal::Proof(_) | Refusal::Assertion(_) | Refusal::Replay => "error-proof",
            Refusal::Authenticator(_) => "error-authenticator",
            Refusal::Enrolled => "error-enrolled",
            Refusal::UnknownHolder => "error-unknown",
            Refusal::TooEarly => "error-early",
            Refusal::NotFrozen => "error-not-frozen",
            Refusal::Desk(_) => "error-desk",
            Refusal::UnknownCase => "error-case",
            Refusal::CaseBegun => "error-begun",
            Refusal::Request(_) => "error-other",
            Refusal::Denied => "denied-text",
            _ => "error-other",
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Form => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Text(_) | Self::Failure(Failure::Refused(_)) => StatusCode::BAD_REQUEST,
            Self::Authority | Self::Failure(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl SigningServer {
    /// A visit.
    pub(crate) fn visit<'a>(&'a self, call: &'a Call<'a>) -> Result<Visit<'a>, Box<Reply>> {
        match Visitor::new(call.headers, call.query) {
            Ok(visitor) => Ok(Visit {
                server: self,
                call,
                visitor,
            }),
            Err(error) => {
                tracing::error!(%error, "no page can be made");
                Err(Box::new(plain(StatusCode::INTERNAL_SERVER_ERROR, "")))
            }
        }
    }

    /// Answers for the pages.
    pub(crate) fn page(&self, call: &Call<'_>) -> Reply {
        let visit = match self.visit(call) {
            Ok(visit) => visit,
            Err(reply) => return *reply,
        };
        let path = call.path.strip_prefix('/').unwrap_or_default();
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let (second, third) = match rest.and_then(|rest| rest.split_once('/')) {
            Some((second, third)) => (second, Some(third)),
            None => (rest.unwrap_or_default(), None),
        };
        let answer = match first {
            "confirm" => visit.confirm(second, third),
            "compare" if call.is_get() && third.is_none() => visit.compare(second),
            "statement" if call.is_get() && third.is_none() => visit.statement(second),
            "approve" => visit.approve(second, third),
            "enrol" => visit.enrol(rest),
            "officer" => visit.become_officer(rest),
            "sign-in" => visit.sign_in(rest),
            "sign-out" if call.is_post() && rest.is_none() => visit.sign_out(),
            "me" => visit.me(rest),
            "desk" => visit.desk(rest),
            "" if call.is_get() => visit.home(),
            _ => Err(Problem::NotFound),
        };
        answer.unwrap_or_else(|problem| visit.refused(&problem))
    }
}

impl Visit<'_> {
    pub(crate) fn frame<'b>(&'b self, error: Option<&'b str>) -> Frame<'b> {
        Frame {
            texts: &self.server.texts,
            language: self.visitor.language,
            csrf: &self.visitor.csrf,
            error,
        }
    }

    /// A page; its forms may lead on to `places`.
    pub(crate) fn render(&self, status: StatusCode, page: &dyn Page, places: &str) -> Reply {
        match page.html() {
            Ok(html) => self.visitor.page(status, html, &page_policy(places, "")),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }

    pub(crate) fn message(
        &self,
        status: StatusCode,
        title: &str,
        text: &str,
        next: Option<(&str, &str)>,
    ) -> Reply {
        let page = MessagePage {
            frame: self.frame(None),
            title,
            text,
            code: None,
            next,
        };
        self.render(status, &page, "")
    }

    /// A client sent the browser here by a request that cannot be answered to anybody.
    pub(crate) fn mistaken(&self, why: &str) -> Reply {
        tracing::info!(why, "a request of a client was refused");
        self.message(
            StatusCode::BAD_REQUEST,
            "mistaken-title",
            "mistaken-text",
            None,
        )
    }

    /// Whoever comes to the service by itself.
    fn home(&self) -> Result<Reply, Problem> {
        Ok(see_other(match self.who() {
            Ok(Who::Officer(_)) => "/desk",
            _ => "/me",
        }))
    }

    pub(crate) fn refused(&self, problem: &Problem) -> Reply {
        if matches!(problem, Problem::SignIn) {
            return if self.call.is_get() {
                self.sign_in_page(StatusCode::OK, None)
                    .unwrap_or_else(|_| plain(StatusCode::SERVICE_UNAVAILABLE, ""))
            } else {
                see_other("/sign-in")
            };
        }
        if self.call.path.ends_with("/options") {
            return plain(problem.status(), "");
        }
        let title = if matches!(problem, Problem::NotFound) {
            "not-found-title"
        } else {
            "refused-title"
        };
        self.message(problem.status(), title, problem.text(), None)
    }

    /// The form, if it is of this browser and this site.
    pub(crate) fn form(&self) -> Result<Parameters, Problem> {
        let form = self.call.form().ok_or(Problem::Form)?;
        let sent = self
            .visitor
            .sent(form.get("csrf"), self.call.headers, &self.server.origin);
        sent.then_some(form).ok_or(Problem::Form)
    }
}

/// A field that must be there.
pub(crate) fn field<'a>(form: &'a Parameters, name: &str) -> Result<&'a str, Problem> {
    form.get(name).ok_or(Problem::Form)
}

/// A JSON answer to the script.
pub(crate) fn for_script(value: &serde_json::Value) -> Reply {
    bare(StatusCode::OK, "application/json", value.to_string())
}
