//! The site of a bank that lends money: a relying party of the identity provider and a client of the signing service.
//!
//! | module | what it does |
//! |---|---|
//! | `identity` | signs people in, at the level that their errand needs, and checks what it is told |
//! | `loan`, `deed` | what is agreed, and the agreement as a PDF file |
//! | `signing` | signatures of people, by the signing service |
//! | `contracts` | the contracts on the disk |
//! | `keeping` | what the bank accepts, and what makes it last |
//! | `visits` | who is in front of which browser |
//! | `pages` | what each page shows |
//!
//! [`BankSite::handle`] answers requests. What the bank accepts is in one place, `accepted` in `keeping`: a qualified
//! signature of the borrower, over this agreement and nothing else, valid when it was made.

mod asking;
mod contracts;
mod deed;
mod identity;
mod keeping;
mod loan;
mod pages;
mod random;
mod signing;
mod visits;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration as Wait;

use document_signature::{PreparedDocument, Trust, verify};
use http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    STRICT_TRANSPORT_SECURITY,
};
use http::{Method, Request, Response, StatusCode};
use jose::SigningKey;
use oauth2::Parameters;
use pades::sign::Statement;
use time::OffsetDateTime;
use transport::validation_data::Sources;
use transport::{Body, Connection, HttpClient, RequestOptions};
use web_ui::{
    Frame, Language, MessagePage, Page, Texts, Visitor, asset, bare, cookie, page_policy,
    see_other, set_cookie,
};

use contracts::{Contract, Contracts, Deeds, Standing};
use identity::{IdentityProvider, SignInError};
use keeping::accepted;
use loan::{AMOUNTS, Borrower, Terms, agreement, day, money};
use pages::{ContractPage, ContractRow, HomePage, PersonRow, SignedRow};
use random::random_text;
use signing::{SigningError, SigningService};
use visits::{Confirming, Visit, Visits};

/// Cookie of a visit.
const VISIT_COOKIE: &str = "__Host-bank";
/// Where the identity provider sends browsers back to.
pub const REDIRECT_PATH: &str = "/signed-in";
/// Where the signing service sends browsers back to.
pub const SIGNED_PATH: &str = "/signed";
/// Where the identity provider sends browsers after signing out.
pub const AFTER_LOGOUT_PATH: &str = "/";
/// Where the identity provider tells of sessions that ended.
pub const LOGOUT_PATH: &str = "/logout";
/// Longest form, in bytes.
const LONGEST_FORM: usize = 64 * 1024;
/// How often signatures that lack something are completed, and old deeds forgotten.
const EVERY: Wait = Wait::from_secs(30);
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

type Reply = Response<Vec<u8>>;

/// What the site is made with.
pub struct Parts {
    /// Its address as browsers know it: `https://bank.example.kg`.
    pub origin: String,
    /// Where contracts are kept.
    pub contracts: PathBuf,
    /// For calls to the other servers.
    pub http: HttpClient,
    /// How they are called: time limits, and whom TLS trusts.
    pub options: RequestOptions,
    /// The identity provider's issuer.
    pub issuer: String,
    /// What this site is called there.
    pub identity_client: String,
    /// Its key there.
    pub identity_key: SigningKey,
    /// A key of this process, to which tokens are bound.
    pub dpop_key: SigningKey,
    /// The signing service's origin.
    pub signing_service: String,
    /// What this site is called there.
    pub signing_client: String,
    /// Its key there.
    pub signing_key: SigningKey,
    /// Whose signatures count.
    pub trust: Trust,
    /// The time-stamping authority.
    pub time_stamping: String,
    /// Address of the page that verifies signatures, for people.
    pub verification: String,
}

/// Why there is no site.
#[derive(Debug, thiserror::Error)]
pub enum BankSiteError {
    /// The contracts cannot be read.
    #[error("the contracts cannot be read: {0}")]
    Contracts(String),
    /// This build's texts are broken.
    #[error(transparent)]
    Texts(#[from] web_ui::TextError),
}

/// The site.
#[derive(Debug)]
pub struct BankSite {
    origin: String,
    texts: Texts,
    identity: IdentityProvider,
    signing: SigningService,
    trust: Trust,
    sources: Sources,
    contracts: Arc<Contracts>,
    visits: Visits,
    verification: String,
    policy: String,
}

/// Why something is not done, as the person is told.
struct Problem {
    status: StatusCode,
    /// Key of the text.
    text: &'static str,
}

impl Problem {
    const fn new(status: StatusCode, text: &'static str) -> Self {
        Self { status, text }
    }

    const fn form() -> Self {
        Self::new(StatusCode::FORBIDDEN, "error-form")
    }

    const fn missing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found-text")
    }

    fn ours(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the bank's site failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed-text")
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        tracing::info!(%error, "nobody was signed in");
        Self::new(error.status(), error.text())
    }
}

impl From<SigningError> for Problem {
    fn from(error: SigningError) -> Self {
        tracing::info!(%error, "nothing was signed");
        match &error {
            SigningError::Refused(code) if code == "access_denied" => {
                Self::new(StatusCode::OK, "error-refused")
            }
            SigningError::Refused(_) | SigningError::Foreign(_) => {
                Self::new(StatusCode::BAD_REQUEST, "error-signature")
            }
            SigningError::Service { .. } => Self::new(StatusCode::BAD_GATEWAY, "failed-text"),
            SigningError::Random(_) | SigningError::Key(_) => Self::ours(&error),
        }
    }
}

impl From<random::NoRandomness> for Problem {
    fn from(error: random::NoRandomness) -> Self {
        Self::ours(&error)
    }
}

/// What one request brought.
struct Call {
    method: Method,
    path: String,
    query: String,
    headers: http::HeaderMap,
    body: String,
    now: OffsetDateTime,
    visitor: Visitor,
    cookie: Option<String>,
    visit: Visit,
}

impl Call {
    const fn language(&self) -> Language {
        self.visitor.language
    }

    fn answer(&self) -> Result<Parameters, Problem> {
        let wrong = |_| Problem::new(StatusCode::BAD_REQUEST, "error-sign-in");
        Parameters::decode(&self.query).map_err(wrong)
    }
}

/// Work that waits for the disk, off the thread that serves.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::ours(&error))
}

fn bytes(reply: Response<String>) -> Reply {
    reply.map(String::into_bytes)
}

impl BankSite {
    /// Makes the site.
    ///
    /// # Errors
    /// See [`BankSiteError`].
    pub fn new(parts: Parts) -> Result<Self, BankSiteError> {
        let contracts = Contracts::open(&parts.contracts)
            .map_err(|error| BankSiteError::Contracts(error.to_string()))?;
        let at = |path: &str| format!("{}{path}", parts.origin);
        let places = format!("{} {}", parts.issuer, parts.signing_service);
        Ok(Self {
            texts: Texts::new(web_ui::sources!())?,
            identity: IdentityProvider::new(
                parts.http.clone(),
                parts.options.clone(),
                parts.issuer,
                parts.identity_client,
                at(REDIRECT_PATH),
                parts.identity_key,
                parts.dpop_key,
            ),
            signing: SigningService::new(
                parts.http.clone(),
                parts.options,
                parts.signing_service,
                parts.signing_client,
                at(SIGNED_PATH),
                parts.signing_key,
            ),
            trust: parts.trust,
            sources: Sources::new(parts.http, parts.time_stamping),
            contracts: Arc::new(contracts),
            visits: Visits::default(),
            verification: parts.verification,
            policy: page_policy(&places, ""),
            origin: parts.origin,
        })
    }

    /// Answers a request.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
        _connection: Arc<Connection>,
    ) -> Response<Body> {
        let mut reply = self.answered(request).await;
        reply.headers_mut().insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
        reply.map(Body::full)
    }

    async fn answered(&self, request: Request<Body>) -> Reply {
        let (head, body) = request.into_parts();
        if let Some(reply) = asset(head.uri.path()) {
            return bytes(reply);
        }
        let Ok(body) = body.collect(LONGEST_FORM).await else {
            return bytes(bare(StatusCode::PAYLOAD_TOO_LARGE, PLAIN, String::new()));
        };
        let query = head.uri.query().unwrap_or_default().to_owned();
        let visitor = Visitor::new(&head.headers, &query);
        let (Ok(body), Ok(visitor)) = (String::from_utf8(body.to_vec()), visitor) else {
            return bytes(bare(StatusCode::BAD_REQUEST, PLAIN, String::new()));
        };
        let now = OffsetDateTime::now_utc();
        let cookie = cookie(&head.headers, VISIT_COOKIE).map(str::to_owned);
        let known = cookie
            .as_deref()
            .map(|cookie| self.visits.find(cookie, now));
        let call = Call {
            method: head.method,
            path: head.uri.path().to_owned(),
            query,
            headers: head.headers,
            body,
            now,
            visitor,
            visit: known.flatten().unwrap_or_default(),
            cookie,
        };
        let reply = match (&call.method, call.path.as_str()) {
            (&Method::GET, "/health") => Ok(bytes(bare(StatusCode::OK, PLAIN, "ok\n".to_owned()))),
            (&Method::POST, LOGOUT_PATH) => return self.told_of_logout(&call).await,
            (&Method::GET, _) => self.shows(&call).await,
            (&Method::POST, _) => self.does(&call).await,
            _ => Ok(bytes(bare(
                StatusCode::METHOD_NOT_ALLOWED,
                PLAIN,
                String::new(),
            ))),
        };
        reply.unwrap_or_else(|problem| self.refused(&call, &problem))
    }

    async fn shows(&self, call: &Call) -> Result<Reply, Problem> {
        match call.path.as_str() {
            // Also an application that was not understood, asked for again in another language.
            "/" | "/loan" => {
                self.home(call, StatusCode::OK, None, ("50 000", "12"))
                    .await
            }
            REDIRECT_PATH => self.came_back_signed_in(call).await,
            SIGNED_PATH => self.came_back_confirmed(call).await,
            path => {
                let rest = path.strip_prefix("/contract/").ok_or(Problem::missing())?;
                match rest.split_once('/') {
                    None => self.contract_page(call, rest).await,
                    Some((id, "agreement.pdf")) => self.file(call, id, Deeds::Drawn).await,
                    Some((id, "signed.pdf")) => self.file(call, id, Deeds::Signed).await,
                    Some(_) => Err(Problem::missing()),
                }
            }
        }
    }

    async fn does(&self, call: &Call) -> Result<Reply, Problem> {
        let form = Parameters::decode(&call.body).map_err(|_| Problem::form())?;
        if !call
            .visitor
            .sent(form.get("csrf"), &call.headers, &self.origin)
        {
            return Err(Problem::form());
        }
        match call.path.as_str() {
            "/sign-in" => self.sign_in(call, false, None).await,
            "/sign-out" => self.sign_out(call).await,
            "/loan" => self.draw_up(call, &form).await,
            path => {
                let id = path
                    .strip_prefix("/contract/")
                    .and_then(|rest| rest.strip_suffix("/sign"));
                self.sign(call, id.ok_or(Problem::form())?).await
            }
        }
    }

    const fn frame<'a>(&'a self, call: &'a Call, error: Option<&'a str>) -> Frame<'a> {
        Frame {
            texts: &self.texts,
            language: call.visitor.language,
            csrf: call.visitor.csrf.as_str(),
            error,
        }
    }

    fn page(&self, call: &Call, status: StatusCode, page: &dyn Page) -> Reply {
        match page.html() {
            Ok(html) => bytes(call.visitor.page(status, html, &self.policy)),
            Err(_) => bytes(bare(StatusCode::INTERNAL_SERVER_ERROR, HTML, String::new())),
        }
    }

    fn refused(&self, call: &Call, problem: &Problem) -> Reply {
        let missing = problem.status == StatusCode::NOT_FOUND;
        let page = MessagePage {
            frame: self.frame(call, None),
            title: if missing {
                "not-found-title"
            } else {
                "refused-title"
            },
            text: problem.text,
            code: None,
            next: Some(("/", "back-home")),
        };
        self.page(call, problem.status, &page)
    }

    async fn home(
        &self,
        call: &Call,
        status: StatusCode,
        error: Option<&str>,
        typed: (&str, &str),
    ) -> Result<Reply, Problem> {
        let person = call.visit.person.as_ref();
        let contracts = person.map(|person| self.contracts.of(person.subject()));
        let rows: Vec<ContractRow> = contracts
            .unwrap_or_default()
            .iter()
            .map(ContractRow::from)
            .collect();
        let page = HomePage {
            frame: self.frame(call, error),
            person: person.map(|person| PersonRow {
                name: person.name().to_owned(),
                number: person.number().as_str().to_owned(),
            }),
            most: money(i64::from(*AMOUNTS.end()) * 100).replace(",00", ""),
            amount: typed.0,
            months: typed.1,
            contracts: &rows,
        };
        Ok(self.page(call, status, &page))
    }

    /// Sends the browser to the identity provider.
    async fn sign_in(
        &self,
        call: &Call,
        high: bool,
        then_sign: Option<String>,
    ) -> Result<Reply, Problem> {
        let language = call.language().code();
        let (location, asked) = self.identity.ask(high, language, call.now).await?;
        let visit = Visit {
            person: call.visit.person.clone(),
            asked: Some(asked),
            then_sign,
            confirming: None,
        };
        self.moved(call, visit, &location)
    }

    /// Sends the browser on, with its visit under a new cookie.
    fn moved(&self, call: &Call, visit: Visit, location: &str) -> Result<Reply, Problem> {
        let cookie = self.visits.renew(call.cookie.as_deref(), visit, call.now)?;
        let mut reply = see_other(location);
        set_cookie(&mut reply, VISIT_COOKIE, &cookie, None);
        Ok(bytes(reply))
    }

    async fn came_back_signed_in(&self, call: &Call) -> Result<Reply, Problem> {
        let answer = call.answer()?;
        let asked = call
            .cookie
            .as_deref()
            .and_then(|cookie| self.visits.take_asked(cookie))
            .ok_or(SignInError::Foreign("cookie"))?;
        let person = self.identity.signed_in(&asked, &answer, call.now).await?;
        let next = match &call.visit.then_sign {
            Some(contract) => format!("/contract/{contract}"),
            None => "/".to_owned(),
        };
        let visit = Visit {
            person: Some(person),
            ..Visit::default()
        };
        self.moved(call, visit, &next)
    }

    async fn sign_out(&self, call: &Call) -> Result<Reply, Problem> {
        if let Some(cookie) = &call.cookie {
            self.visits.end(cookie);
        }
        let back = format!("{}{AFTER_LOGOUT_PATH}", self.origin);
        let location = match &call.visit.person {
            Some(person) => self.identity.sign_out(person, &back).await?,
            None => back,
        };
        let mut reply = see_other(&location);
        set_cookie(&mut reply, VISIT_COOKIE, "", Some(0));
        Ok(bytes(reply))
    }

    /// The identity provider tells that a session ended (OpenID Connect Back-Channel Logout 1.0 section 2.8).
    async fn told_of_logout(&self, call: &Call) -> Reply {
        let answer = |status| bytes(bare(status, PLAIN, String::new()));
        let form = Parameters::decode(&call.body).unwrap_or_default();
        let Some(token) = form.get("logout_token") else {
            return answer(StatusCode::BAD_REQUEST);
        };
        match self.identity.logout_token(token, call.now).await {
            Ok(token) if self.visits.log_out(&token, call.now) => answer(StatusCode::OK),
            Ok(_) => answer(StatusCode::BAD_REQUEST),
            Err(error) => {
                tracing::info!(%error, "a logout token was refused");
                answer(match error.status() {
                    StatusCode::BAD_GATEWAY => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::BAD_REQUEST,
                })
            }
        }
    }

    async fn draw_up(&self, call: &Call, form: &Parameters) -> Result<Reply, Problem> {
        let person = call
            .visit
            .person
            .as_ref()
            .ok_or(SignInError::Foreign("visit"))?;
        let typed = (
            form.get("amount").unwrap_or_default(),
            form.get("months").unwrap_or_default(),
        );
        let Some(terms) = Terms::read(typed.0, typed.1) else {
            let status = StatusCode::BAD_REQUEST;
            return self.home(call, status, Some("error-amount"), typed).await;
        };
        let id = random_text()?;
        let digits: String = id
            .bytes()
            .map(|byte| char::from(b'0' + byte % 10))
            .take(8)
            .collect();
        let contract = Contract {
            number: format!("{}-{digits}", call.now.year()),
            subject: person.subject().to_owned(),
            borrower: Borrower {
                name: person.name().to_owned(),
                number: person.number(),
            },
            terms,
            at: call.now,
            standing: Standing::Drawn,
            id,
        };
        let deed = agreement(
            &self.texts,
            call.language(),
            &contract.number,
            &contract.borrower,
            terms,
            call.now,
        );
        let (contracts, kept) = (Arc::clone(&self.contracts), contract.clone());
        let drawn = blocking(move || {
            let deed = deed.to_pdf();
            deed.map(|deed| contracts.draw_up(kept, &deed))
        });
        match drawn.await? {
            Ok(Ok(())) => Ok(bytes(see_other(&format!("/contract/{}", contract.id)))),
            Ok(Err(error)) => Err(Problem::ours(&error)),
            Err(error) => {
                tracing::warn!(%error, "an agreement could not be written");
                Err(Problem::new(StatusCode::BAD_REQUEST, "error-document"))
            }
        }
    }

    /// The contract of an address, if it is this person's. Another's looks like none.
    fn own(&self, call: &Call, id: &str) -> Result<Contract, Problem> {
        let person = call.visit.person.as_ref().ok_or(Problem::missing())?;
        self.contracts
            .find(id, person.subject())
            .ok_or(Problem::missing())
    }

    async fn deed(&self, contract: &Contract, which: Deeds) -> Result<Vec<u8>, Problem> {
        let (contracts, contract) = (Arc::clone(&self.contracts), contract.clone());
        blocking(move || contracts.read(&contract, which))
            .await?
            .map_err(|error| Problem::ours(&error))
    }

    async fn contract_page(&self, call: &Call, id: &str) -> Result<Reply, Problem> {
        let contract = self.own(call, id)?;
        let signed = match contract.standing {
            Standing::InForce { at } => {
                let deed = self.deed(&contract, Deeds::Signed).await?;
                let (trust, borrower) = (self.trust.clone(), contract.borrower.clone());
                let now = call.now;
                blocking(move || {
                    let report = verify(&deed, Some(&trust), now);
                    let signature = accepted(&report, &borrower)?;
                    Some(SignedRow {
                        signer: signature.signer.as_ref()?.name.clone(),
                        at: day(signature.when.proven.unwrap_or(at)),
                    })
                })
                .await?
            }
            _ => None,
        };
        let page = ContractPage {
            frame: self.frame(call, None),
            contract: ContractRow::from(&contract),
            signed,
            verification: &self.verification,
        };
        Ok(self.page(call, StatusCode::OK, &page))
    }

    async fn file(&self, call: &Call, id: &str, which: Deeds) -> Result<Reply, Problem> {
        let contract = self.own(call, id)?;
        if which == Deeds::Signed && contract.standing == Standing::Drawn {
            return Err(Problem::missing());
        }
        let deed = self.deed(&contract, which).await?;
        let mut reply = bytes(bare(StatusCode::OK, PLAIN, String::new())).map(|_| deed);
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
        let policy = "default-src 'none'; object-src 'self'; plugin-types application/pdf; \
                      style-src 'unsafe-inline'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        let way = if which == Deeds::Signed {
            "attachment"
        } else {
            "inline"
        };
        let named = format!("{way}; filename=\"{}\"", contract.file_name());
        if let Ok(value) = HeaderValue::from_str(&named) {
            headers.insert(CONTENT_DISPOSITION, value);
        }
        Ok(reply)
    }

    /// Prepares the deed for the borrower's key and sends the browser to the signing service; to the identity provider
    /// before, if the sign-in is not good enough for a signature.
    async fn sign(&self, call: &Call, id: &str) -> Result<Reply, Problem> {
        let contract = self.own(call, id)?;
        if contract.standing != Standing::Drawn {
            return Ok(bytes(see_other(&format!("/contract/{id}"))));
        }
        let person = call.visit.person.as_ref().ok_or(Problem::missing())?;
        if !person.is_high(call.now) {
            return self.sign_in(call, true, Some(contract.id)).await;
        }
        let credentials = self.signing.credentials(person.number(), call.now).await?;
        let qualified: Vec<&String> = self
            .trust
            .authorities
            .iter()
            .flat_map(|authority| &authority.qualified)
            .collect();
        let credential = credentials
            .into_iter()
            .find(|one| {
                let certificate = &one.certificate.certificate;
                let number = ca::person_number(certificate.subject());
                number == Some(contract.borrower.number.as_str())
                    && certificate
                        .policies()
                        .iter()
                        .any(|policy| qualified.contains(&policy))
            })
            .ok_or(Problem::new(StatusCode::OK, "error-no-credential"))?;
        let deed = self.deed(&contract, Deeds::Drawn).await?;
        let (certificate, now) = (credential.certificate, call.now);
        let prepared = blocking(move || {
            let statement = Statement::default();
            PreparedDocument::pdf(&deed, &certificate, &statement, now)
        })
        .await?
        .map_err(|error| Problem::ours(&error))?;
        // What the person reads at the signing service.
        let title = self.texts.find(call.language(), "deed-title", None);
        let named = format!("{} {}", title.unwrap_or_default(), contract.file_name());
        let (location, asked) = self
            .signing
            .ask(
                &credential.id,
                &named,
                prepared.digest().as_ref(),
                call.language().code(),
                call.now,
            )
            .await?;
        let visit = Visit {
            confirming: Some(Confirming {
                contract: contract.id,
                prepared,
                asked,
            }),
            ..call.visit.clone()
        };
        self.moved(call, visit, &location)
    }

    async fn came_back_confirmed(&self, call: &Call) -> Result<Reply, Problem> {
        let answer = call.answer()?;
        let confirming = call
            .cookie
            .as_deref()
            .and_then(|cookie| self.visits.take_confirming(cookie))
            .ok_or(SigningError::Foreign("cookie"))?;
        let contract = self.own(call, &confirming.contract)?;
        let value = self
            .signing
            .signature(&confirming.asked, &answer, call.now)
            .await?;
        let prepared = confirming.prepared;
        let signed = blocking(move || prepared.finish(&value))
            .await?
            .map_err(|error| SigningError::Service {
                what: "signature",
                reason: error.to_string(),
            })?;
        let signed = self.stamped(signed).await;
        let deed = signed.into_bytes().map_err(|error| Problem::ours(&error))?;
        // From here on the borrower has signed, whatever else fails.
        let standing = Standing::Signed { at: call.now };
        let (contracts, kept) = (Arc::clone(&self.contracts), contract.clone());
        blocking(move || contracts.signed(&kept, &deed, standing))
            .await?
            .map_err(|error| Problem::ours(&error))?;
        if let Some(contract) = self.contracts.find(&contract.id, &contract.subject)
            && let Err(error) = self.complete(&contract).await
        {
            tracing::warn!(%error, "a signature is completed later");
        }
        Ok(bytes(see_other(&format!("/contract/{}", contract.id))))
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
