//! `tunduk bench identity`: how fast one server signs people in.
//!
//! The pages and endpoints of the identity provider are called as its server calls them, over a durable database: every
//! form with its token, every assertion of a passkey and of a relying party signed and verified. Only HTTP and TLS are
//! left out: what a connection costs is measured by `tunduk bench exchange`. The same process plays browsers, passkeys
//! and the relying party, and pays for their signatures.
//!
//! - passwords: whole sign-ins, password and one-time code, as a part of what bare Argon2id reaches on as many threads;
//! - passkeys: whole sign-ins, question and answer; alone, and while a flood of wrong passwords waits for the hasher;
//! - refreshes: a token for a token, with the relying party's assertion.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::idp_server::oauth::{Call, Keys, Oauth, Reply};
use ::idp_server::pages::{CodePost, Pages};
use argon2::{Algorithm, Argon2, Params, Version};
use http::{HeaderMap, HeaderValue, Method, header};
use id_registry::{PersonalNumber, Sex};
use jose::{JwkSet, SigningKey, from_base64url};
use oidc_provider::{
    Asked, CardHolder, ClientAuthentication, ClientForm, ClientId, Delivery, Level, Origin,
    Profile, Provider, Redemption, Secret, Seed, Store, Tenant,
};
use passwords::{Hasher, MEMORY_KIB, PASSES, Password};
use serde::Serialize;
use serde_json::{Value, json};
use store_postgres::PostgresIdentity;
use store_sqlite::SqliteIdentity;
use time::{Date, OffsetDateTime};
use webauthn::SoftwareAuthenticator;

use super::Failure;
use crate::idp_server::NoRegister;
use crate::serving;

const ISSUER: &str = "https://id.bench.example";
const HOST: &str = "id.bench.example";
const BACK: &str = "https://bank.bench.example/back";
/// PKCE (RFC 7636 appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const PASSWORD: &str = "correct horse battery staple";
/// Browsers that sign in at the same time.
const BROWSERS: u32 = 16;
/// People with passwords: enough that nobody is held up for trying too often.
const PEOPLE: u32 = 512;
/// Browsers that bring wrong passwords at the same time, more than the queue holds.
const FLOOD: u32 = 96;
/// Passwords that wait for the hasher's threads, as in the server.
const WAITING: usize = 64;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct IdentityOptions {
    /// Write the figures as one JSON object to standard output.
    #[arg(long)]
    json: bool,
    /// File with the parameters of an empty PostgreSQL database, as libpq writes them; without it SQLite is measured.
    #[arg(long, value_name = "FILE")]
    postgres: Option<PathBuf>,
    /// Seconds of each figure, in three rounds.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Folder for the database, of this run alone; must be on a disk, and is emptied.
    #[arg(long, default_value = "target/bench-identity")]
    state: PathBuf,
}

#[derive(Debug, Serialize)]
struct Figures {
    threads: usize,
    bare_argon2id: f64,
    password_sign_ins: f64,
    password_ratio: f64,
    passkey_sign_ins: f64,
    passkey_sign_ins_in_flood: f64,
    flood_ratio: f64,
    flood_mib: f64,
    refreshes: f64,
    goals_met: bool,
}

/// Codes by address, as they would be delivered.
#[derive(Default)]
struct Letters(Mutex<BTreeMap<String, String>>);

impl CodePost for Letters {
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error> {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code = delivery.code.as_ref().map_or("", Secret::expose);
        letters.insert(delivery.channel.address.clone(), code.to_owned());
        Ok(())
    }
}

struct Site {
    pages: Pages,
    oauth: Arc<Oauth>,
    letters: Arc<Letters>,
    bank: String,
    bank_key: SigningKey,
    networks: AtomicU32,
    runtime: tokio::runtime::Handle,
}

fn text(error: &dyn std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

fn seed() -> Result<Seed, Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| text(&error))?;
    Ok(Seed::new(random))
}

fn origin() -> Origin {
    Origin {
        network: "192.0.2.0/24".to_owned(),
        device: None,
        label: "bench".to_owned(),
    }
}

fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut url, byte| {
        let _ = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                url.write_char(byte.into())
            }
            _ => write!(url, "%{byte:02X}"),
        };
        url
    })
}

fn address(serial: u32) -> String {
    format!("person{serial}@bench.example")
}

/// A browser with its token and nothing else.
struct Browser {
    token: String,
    session: Option<String>,
}

impl Browser {
    fn new(serial: u32) -> Self {
        Self {
            token: format!("{serial:043}"),
            session: None,
        }
    }

    /// Sends a form from a network of its own.
    fn post(&self, site: &Site, path: &str, fields: &[(&str, &str)]) -> Result<Reply, Failure> {
        let mut body = format!("csrf={}", self.token);
        for (name, value) in fields {
            body.push_str(&format!("&{name}={}", escaped(value)));
        }
        let mut cookies = format!("__Host-csrf={}", self.token);
        if let Some(session) = &self.session {
            cookies.push_str(&format!("; __Host-session={session}"));
        }
        let mut headers = HeaderMap::new();
        let cookies = HeaderValue::from_str(&cookies).map_err(|error| text(&error))?;
        headers.insert(header::COOKIE, cookies);
        headers.insert(header::ORIGIN, HeaderValue::from_static(ISSUER));
        let network = site.networks.fetch_add(256, Ordering::Relaxed);
        let call = Call {
            method: &Method::POST,
            path,
            query: "",
            headers: &headers,
            body: &body,
            certificate: None,
            now: OffsetDateTime::now_utc(),
            seed: seed()?,
        };
        let from = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | (network & 0x00ff_ffff)));
        Ok(site.pages.answer(&call, from))
    }
}

fn refused(reply: &Reply, what: &str) -> Failure {
    let page = reply.body();
    let words = page.split("role=\"alert\"").nth(1).unwrap_or(page);
    let words: String = words.chars().take(300).collect();
    format!("{what}: {} {words}", reply.status()).into()
}

fn sent(reply: &Reply, what: &str) -> Result<(), Failure> {
    if reply.status() == http::StatusCode::SEE_OTHER {
        Ok(())
    } else {
        Err(refused(reply, what))
    }
}

/// The attempt that a page for a code carries.
fn attempt(reply: &Reply) -> Result<&str, Failure> {
    let rest = reply.body().split("name=\"attempt\" value=\"").nth(1);
    rest.and_then(|rest| rest.split('"').next())
        .ok_or_else(|| refused(reply, "a code"))
}

impl Site {
    fn new(store: Arc<dyn Store>, threads: usize) -> Result<Self, Failure> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| text(&error))?;
        let provider = Provider::new(store, Arc::new(NoRegister), &secret);
        let keys = Keys {
            active: serving::passing_key()?,
            published: Vec::new(),
        };
        let oauth = Arc::new(Oauth::new(provider, Arc::new(NoRegister), ISSUER, keys));
        let hasher = Arc::new(Hasher::start(threads, WAITING).map_err(|error| text(&error))?);
        let letters = Arc::new(Letters::default());
        let pages = Pages::new(
            Arc::clone(&oauth),
            Arc::clone(&hasher),
            Arc::clone(&letters) as Arc<dyn CodePost>,
            Arc::new(NoRegister),
            Tenant::Sandbox,
        )
        .map_err(|error| text(&error))?;
        let mut site = Self {
            pages,
            oauth,
            letters,
            bank: String::new(),
            bank_key: serving::passing_key()?,
            networks: AtomicU32::new(0),
            runtime: tokio::runtime::Handle::current(),
        };
        site.bank = site.register_bank()?;
        Ok(site)
    }

    fn provider(&self) -> &Provider {
        self.oauth.provider()
    }

    fn number(serial: u32) -> Result<PersonalNumber, Failure> {
        let born = Date::from_calendar_date(1990, time::Month::May, 17).map_err(|e| text(&e))?;
        Ok(PersonalNumber::compose(Sex::Female, born, serial))
    }

    /// A person's session by an identity card.
    fn card(&self, serial: u32) -> Result<Secret, Failure> {
        let card = CardHolder {
            number: Self::number(serial)?,
            tenant: Tenant::Sandbox,
        };
        let now = OffsetDateTime::now_utc();
        let signed_in = self
            .provider()
            .sign_in_with_card(card, &origin(), None, now, &seed()?);
        Ok(signed_in.map_err(|error| text(&error))?.session)
    }

    fn register_bank(&self) -> Result<String, Failure> {
        let session = self.card(99_999)?;
        let who = self
            .provider()
            .session(&session, OffsetDateTime::now_utc())
            .map_err(|error| text(&error))?;
        let words = |words: &str| BTreeMap::from([("en".to_owned(), words.to_owned())]);
        let form = ClientForm {
            names: words("Bank"),
            organisation: "Bank".to_owned(),
            contact: "bench".to_owned(),
            sector: "bank.bench.example".to_owned(),
            redirect_uris: BTreeSet::from([BACK.to_owned()]),
            after_logout_uris: BTreeSet::new(),
            logout_uri: None,
            authentication: ClientAuthentication::PrivateKeyJwt,
            keys: JwkSet::new(vec![self.bank_key.public().clone()])
                .to_value()
                .to_string(),
            profile: Profile::Standard,
            purposes: ["openid", "offline_access"]
                .map(|scope| (scope.to_owned(), words("bench")))
                .into(),
            level: Level::Low,
            device_flow: false,
            theme: None,
        };
        let id = self.provider().register_client(&who, &form, &seed()?);
        Ok(id.map_err(|error| text(&error))?.as_str().to_owned())
    }

    /// Somebody with a passkey, which is given.
    fn with_passkey(&self, serial: u32) -> Result<SoftwareAuthenticator, Failure> {
        let id = format!("bench passkey {serial:06}").into_bytes();
        let phone = SoftwareAuthenticator::generate(HOST, id, false).map_err(|e| text(&e))?;
        let mut browser = Browser::new(serial);
        browser.session = Some(self.card(serial)?.expose().to_owned());
        let (ceremony, challenge) = self.question(&browser, "/account/key-options")?;
        let answer = phone.register(ISSUER, &challenge);
        let fields = [
            ("ceremony", ceremony.as_str()),
            ("answer", &answer),
            ("label", "bench"),
        ];
        let reply = browser.post(self, "/account/add-key", &fields)?;
        sent(&reply, "adding a passkey")?;
        Ok(phone)
    }

    /// Somebody with an address and a password.
    fn with_password(
        &self,
        serial: u32,
        hash: &oidc_provider::PasswordHash,
    ) -> Result<(), Failure> {
        let session = self.card(serial)?;
        let mut browser = Browser::new(serial);
        browser.session = Some(session.expose().to_owned());
        let address = address(serial);
        let page = browser.post(self, "/account/add-address", &[("address", &address)])?;
        let fields = [("attempt", attempt(&page)?), ("code", &self.code(&address))];
        sent(
            &browser.post(self, "/sign-in/code", &fields)?,
            "adding an address",
        )?;
        let now = OffsetDateTime::now_utc();
        let who = self.provider().session(&session, now);
        let who = who.map_err(|error| text(&error))?;
        let set = self.provider().set_password(&who, Some(hash), &seed()?);
        set.map_err(|error| text(&error))
    }

    fn code(&self, address: &str) -> String {
        let letters = &self.letters.0;
        let letters = letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.get(address).cloned().unwrap_or_default()
    }

    fn question(&self, browser: &Browser, path: &str) -> Result<(String, Vec<u8>), Failure> {
        let reply = browser.post(self, path, &[])?;
        let asked: Value = serde_json::from_str(reply.body()).map_err(|error| text(&error))?;
        let challenge = asked["options"]["challenge"].as_str();
        let challenge = challenge.and_then(from_base64url).unwrap_or_default();
        let ceremony = asked["ceremony"].as_str().unwrap_or_default();
        Ok((ceremony.to_owned(), challenge))
    }

    /// Signs in with a passkey.
    fn passkey(&self, browser: &Browser, phone: &SoftwareAuthenticator) -> Result<(), Failure> {
        let (ceremony, challenge) = self.question(browser, "/sign-in/options")?;
        let answer = phone.assert(ISSUER, &challenge).map_err(|e| text(&e))?;
        let fields = [("ceremony", ceremony.as_str()), ("answer", &answer)];
        sent(
            &browser.post(self, "/sign-in/passkey", &fields)?,
            "a passkey",
        )
    }

    /// Signs in with a password and the code that follows.
    fn password(&self, serial: u32) -> Result<(), Failure> {
        let browser = Browser::new(serial);
        let (number, address) = (Self::number(serial)?, address(serial));
        let fields = [("name", number.as_str()), ("password", PASSWORD)];
        let page = browser.post(self, "/sign-in/password", &fields)?;
        let fields = [("attempt", attempt(&page)?), ("code", &self.code(&address))];
        sent(
            &browser.post(self, "/sign-in/code", &fields)?,
            "a password and code",
        )
    }

    /// The first refresh token of somebody.
    fn tokens(&self, serial: u32) -> Result<String, Failure> {
        let (provider, now) = (self.provider(), OffsetDateTime::now_utc());
        let session = self.card(serial)?;
        let fail = |error: oidc_provider::Failure| text(&error);
        let who = provider.session(&session, now).map_err(fail)?;
        let id = ClientId::new(self.bank.as_str());
        let client = provider.client(&id).map_err(fail)?;
        let asked = Asked {
            redirect_uri: BACK.to_owned(),
            scopes: ["openid", "offline_access"].map(str::to_owned).into(),
            state: None,
            nonce: None,
            challenge: CHALLENGE.to_owned(),
            level: None,
            max_age: None,
            prompt_login: false,
            prompt_consent: false,
            prompt_none: false,
            binding: None,
        };
        let (pushed, _) = provider
            .push(&client, &asked, now, &seed()?)
            .map_err(fail)?;
        let under = provider.begin(&pushed, &id, now, &seed()?).map_err(fail)?;
        let answer = provider.allow(&under, &who, &asked.scopes, None, now, &seed()?);
        let code = answer.map_err(fail)?.code.ok_or("no code")?;
        let redemption = Redemption {
            code: &code,
            redirect_uri: BACK,
            verifier: &Secret::new(VERIFIER),
            binding: None,
        };
        let tokens = provider.redeem(&client, redemption, now, &seed()?);
        let refresh = tokens.map_err(fail)?.refresh.ok_or("no refresh token")?;
        Ok(refresh.expose().to_owned())
    }

    /// A token for a token, at the endpoint; gives the next.
    fn refresh(&self, token: &str) -> Result<String, Failure> {
        let now = OffsetDateTime::now_utc();
        let id = format!("{:032x}", u128::from_be_bytes(crate::random::bytes()));
        let claims = json!({
            "iss": self.bank, "sub": self.bank, "aud": ISSUER, "jti": id,
            "iat": now.unix_timestamp(), "exp": now.unix_timestamp() + 60,
        });
        let assertion = self.bank_key.sign("JWT", &claims).map_err(|e| text(&e))?;
        let body = format!(
            "grant_type=refresh_token&refresh_token={}&client_id={}&client_assertion_type={}&client_assertion={assertion}",
            escaped(token),
            escaped(&self.bank),
            escaped("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        );
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, kind);
        let call = Call {
            method: &Method::POST,
            path: "/oauth2/token",
            query: "",
            headers: &headers,
            body: &body,
            certificate: None,
            now,
            seed: seed()?,
        };
        let reply = self.oauth.answer(&call).ok_or("no endpoint for tokens")?;
        let answer: Value = serde_json::from_str(reply.body()).map_err(|error| text(&error))?;
        let next = answer["refresh_token"].as_str();
        next.map(str::to_owned)
            .ok_or_else(|| format!("no token for a token: {answer}").into())
    }

    /// How often in a second all browsers together do something, for a time.
    fn rate(
        &self,
        browsers: u32,
        time: Duration,
        work: impl Fn(u32) -> Result<(), Failure> + Sync,
    ) -> Result<f64, Failure> {
        let begun = Instant::now();
        let done: Result<u32, Failure> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..browsers)
                .map(|browser| {
                    let work = &work;
                    scope.spawn(move || {
                        let _guard = self.runtime.enter();
                        let mut done = 0;
                        while begun.elapsed() < time {
                            work(browser)?;
                            done += 1;
                        }
                        Ok::<u32, Failure>(done)
                    })
                })
                .collect();
            let mut all = 0;
            for thread in threads {
                all += thread
                    .join()
                    .map_err(|_| Failure::from("a thread broke off"))??;
            }
            Ok(all)
        });
        Ok(f64::from(done?) / begun.elapsed().as_secs_f64())
    }
}

/// What Argon2id reaches with nothing around it.
fn bare(threads: usize, time: Duration) -> Result<f64, Failure> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|error| text(&error))?;
    let begun = Instant::now();
    let done: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let params = params.clone();
                scope.spawn(move || {
                    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                    let mut memory = vec![argon2::Block::default(); argon.params().block_count()];
                    let mut done = 0;
                    while begun.elapsed() < time {
                        let mut hash = [0; 32];
                        let salt = [7; 16];
                        let password = PASSWORD.as_bytes();
                        let hashed = argon.hash_password_into_with_memory(
                            password,
                            &salt,
                            &mut hash,
                            &mut memory,
                        );
                        done += u32::from(hashed.is_ok());
                    }
                    done
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0))
            .sum()
    });
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// Memory of this process, in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn open(state: &Path, postgres: Option<&Path>) -> Result<Arc<dyn Store>, Failure> {
    match postgres {
        Some(file) => {
            let parameters = std::fs::read_to_string(file).map_err(|error| text(&error))?;
            let store = PostgresIdentity::open(parameters.trim());
            Ok(Arc::new(store.map_err(|error| text(&error))?))
        }
        None => {
            let store = SqliteIdentity::open(&state.join("identity.sqlite"));
            Ok(Arc::new(store.map_err(|error| text(&error))?))
        }
    }
}

/// Measures, and tells the figures.
pub(super) fn run(options: &IdentityOptions) -> Result<(), Failure> {
    if options.state.exists() {
        std::fs::remove_dir_all(&options.state).map_err(|error| text(&error))?;
    }
    std::fs::create_dir_all(&options.state).map_err(|error| text(&error))?;
    // Passwords are waited for on the threads that play browsers.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| text(&error))?;
    let _guard = runtime.enter();
    let store = open(&options.state, options.postgres.as_deref())?;
    let figures = measure(
        store,
        Duration::from_secs(options.seconds.into()) / 3,
        &runtime,
    )?;
    std::fs::remove_dir_all(&options.state).map_err(|error| text(&error))?;
    tell(&figures);
    if options.json {
        println!("{}", json!(figures));
    }
    Ok(())
}

fn measure(
    store: Arc<dyn Store>,
    time: Duration,
    runtime: &tokio::runtime::Runtime,
) -> Result<Figures, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let site = Site::new(store, threads)?;
    let hasher = Hasher::start(1, 1).map_err(|error| text(&error))?;
    let password = Password::new(PASSWORD.to_owned()).map_err(|error| text(&error))?;
    let hash = runtime.block_on(hasher.hash(password, [9; 16]));
    let hash = hash.map_err(|error| text(&error))?;
    for person in 0..PEOPLE {
        site.with_password(person, &hash)?;
    }
    let phones: Vec<SoftwareAuthenticator> = (0..BROWSERS)
        .map(|browser| site.with_passkey(10_000 + browser))
        .collect::<Result<_, _>>()?;
    let tokens: Vec<Mutex<String>> = (0..BROWSERS)
        .map(|browser| site.tokens(20_000 + browser).map(Mutex::new))
        .collect::<Result<_, _>>()?;
    let with_key = |browser: u32| match phones.get(browser as usize) {
        Some(phone) => site.passkey(&Browser::new(browser), phone),
        None => Err("no such browser".into()),
    };
    let turn = AtomicU32::new(0);
    let with_password = |_| {
        let person = turn.fetch_add(1, Ordering::Relaxed) % PEOPLE;
        site.password(person)
    };
    let with_token = |browser: u32| {
        let token = tokens.get(browser as usize).ok_or("no such browser")?;
        let mut token = token.lock().unwrap_or_else(PoisonError::into_inner);
        *token = site.refresh(&token)?;
        Ok(())
    };

    site.rate(BROWSERS, time / 4, with_key)?;
    let (mut bares, mut through) = (Vec::new(), Vec::new());
    let (mut quiet, mut flooded, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    let mut refreshed = Vec::new();
    for _ in 0..3 {
        bares.push(bare(threads, time)?);
        through.push(site.rate(BROWSERS, time, with_password)?);
        quiet.push(site.rate(BROWSERS, time, with_key)?);
        let before = resident();
        flooded.push(in_flood(&site, || site.rate(BROWSERS, time, with_key))?);
        grown.push(resident() - before);
        refreshed.push(site.rate(BROWSERS, time, with_token)?);
    }
    let ratios = |one: &[f64], other: &[f64]| {
        median(
            one.iter()
                .zip(other)
                .map(|(one, other)| one / other)
                .collect(),
        )
    };
    let password_ratio = ratios(&through, &bares);
    let flood_ratio = ratios(&flooded, &quiet);
    let passkey_sign_ins = median(quiet);
    let refreshes = median(refreshed);
    Ok(Figures {
        threads,
        bare_argon2id: median(bares),
        password_sign_ins: median(through),
        password_ratio,
        passkey_sign_ins,
        passkey_sign_ins_in_flood: median(flooded),
        flood_ratio,
        flood_mib: median(grown),
        refreshes,
        goals_met: password_ratio >= 0.75
            && flood_ratio >= 0.9
            && passkey_sign_ins >= 500.0
            && refreshes >= 2000.0,
    })
}

/// Does something while more wrong passwords come than the hasher can take.
fn in_flood<T>(site: &Site, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for attacker in 0..FLOOD {
            let over = &over;
            scope.spawn(move || {
                let _guard = site.runtime.enter();
                let browser = Browser::new(attacker);
                let name = format!("nobody{attacker}@bench.example");
                while !over.load(Ordering::Relaxed) {
                    let fields = [
                        ("name", name.as_str()),
                        ("password", "wrong and wrong again"),
                    ];
                    let _ = browser.post(site, "/sign-in/password", &fields);
                    // What is turned away comes again after the time that a network takes.
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    })
}

fn tell(figures: &Figures) {
    eprintln!(
        "password sign-ins: {:.1} a second, bare Argon2id {:.1} on {} threads: {:.2} (at least 0.75)",
        figures.password_sign_ins, figures.bare_argon2id, figures.threads, figures.password_ratio
    );
    eprintln!(
        "passkey sign-ins: {:.0} a second (at least 500); in a flood of passwords {:.0}: {:.2} (at least 0.90), \
         {:.1} MiB more",
        figures.passkey_sign_ins,
        figures.passkey_sign_ins_in_flood,
        figures.flood_ratio,
        figures.flood_mib
    );
    eprintln!(
        "token refreshes: {:.0} a second (at least 2000)",
        figures.refreshes
    );
    eprintln!(
        "goals {}",
        if figures.goals_met { "met" } else { "NOT met" }
    );
}
