//! People who sign in with passkeys, and a bank whose tokens are refreshed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use id_registry::{PersonalNumber, Sex, Theme};
use oidc_provider::*;
use serde_json::json;
use store_postgres::PostgresIdentity;
use time::{Date, OffsetDateTime};
use webauthn::SoftwareAuthenticator;

use crate::cluster::{Again, Answer, Balanced, Ground, Peer, Service, p256, parameter, random};

const REDIRECT: &str = "https://bank.example/back";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SESSION: &str = "__Host-session";
const INTERACTION: &str = "__Host-interaction";
/// Refreshes of one family of tokens.
const REFRESHES: usize = 6;

struct Nobody;

impl Relations for Nobody {
    fn may_act(
        &self,
        _: PersonalNumber,
        _: PersonalNumber,
        _: Theme,
        _: Date,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

fn seed() -> Seed {
    Seed::new(random())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub fn start(ground: &Ground) -> Service {
    let keys = ground.path("keys");
    let configure = |node: usize, listen: &str, origin: &str| {
        let file = ground.path(&format!("idp-{node}.toml"));
        let text = format!(
            "issuer = \"{origin}\"\nlisten = \"{listen}\"\ntenant = \"sandbox\"\npostgres = \"db.conn\"\n\
             authorities = \"ca.pem\"\npassword_threads = 1\nkeys = \"keys\"\nspool = \"spool\"\n"
        );
        std::fs::write(&file, text).unwrap();
        if !keys.exists() {
            let made = ground
                .tunduk(&["idp-server", "keys", "create", "--config"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        ["idp-server", "run", "--config", file.to_str().unwrap()]
            .map(str::to_owned)
            .to_vec()
    };
    Service::start(ground, "id", 1, "https", 8443, configure)
}

/// What was accepted, and what nobody knows.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Sessions that a browser has.
    sessions: Vec<String>,
    /// The last refresh token of each family.
    refresh: Vec<String>,
    pub signed_in: usize,
    pub codes: usize,
    pub refreshed: usize,
    unknown_sign_ins: usize,
    unknown_codes: usize,
    unknown_refreshes: usize,
}

impl Ledger {
    /// Requests of which nobody knows whether they were done.
    pub const fn unknown(&self) -> usize {
        self.unknown_sign_ins + self.unknown_codes + self.unknown_refreshes
    }
}

/// Somebody with a passkey.
pub struct Person {
    account: Authenticated,
    key: SoftwareAuthenticator,
    first: Secret,
}

/// What the load needs beside the servers: decisions over the same database, as an operator's command makes them.
pub struct World {
    provider: Provider,
    bank: Peer,
    pub people: Vec<Person>,
}

impl World {
    pub fn new(ground: &Ground, service: &Service, people: u32) -> Self {
        let store = Arc::new(PostgresIdentity::open(&ground.parameters).unwrap());
        let provider = Provider::new(store, Arc::new(Nobody), &[3; 32]);
        let mut world = Self {
            bank: Peer {
                id: String::new(),
                key: jose::SigningKey::new(Arc::new(p256())).unwrap(),
            },
            provider,
            people: Vec::new(),
        };
        world.people = (0..people).map(|n| world.person(service, n)).collect();
        let form = form(&world.bank);
        let who = &world.people[0].account;
        let id = world.provider.register_client(who, &form, &seed()).unwrap();
        world.bank.id = id.as_str().to_owned();
        world
    }

    /// Somebody with a card, who adds a passkey on the page.
    fn person(&self, service: &Service, serial: u32) -> Person {
        let born = Date::from_calendar_date(1990, time::Month::May, 17).unwrap();
        let card = CardHolder {
            number: PersonalNumber::compose(Sex::Female, born, serial + 1),
            tenant: Tenant::Sandbox,
        };
        let origin = Origin {
            network: "192.0.2.0/24".to_owned(),
            device: None,
            label: "Firefox".to_owned(),
        };
        let first = self
            .provider
            .sign_in_with_card(card, &origin, None, now(), &seed())
            .unwrap()
            .session;
        let account = self.provider.session(&first, now()).unwrap();
        let id = random()[..16].to_vec();
        let key = SoftwareAuthenticator::generate("id.localhost", id, false).unwrap();
        let mut browser = service.client();
        let session = first.expose().to_owned();
        browser.cookies.insert(SESSION.to_owned(), session);
        assert_eq!(browser.get("/account").status, 200);
        let asked = browser
            .post(Again::No, "/account/key-options", &[])
            .unwrap();
        assert_eq!(asked.status, 200, "{asked:?}");
        let asked = asked.json();
        let answer = key.register(&service.origin, &challenge(&asked));
        let fields = [
            ("ceremony", asked["ceremony"].as_str().unwrap()),
            ("answer", answer.as_str()),
            ("label", "Phone"),
        ];
        let added = browser
            .post(Again::No, "/account/add-key", &fields)
            .unwrap();
        assert_eq!(added.status, 303, "{added:?}");
        Person {
            account,
            key,
            first,
        }
    }

    /// Signs in with the passkey, gets tokens for the bank and refreshes them, until told to stop.
    pub fn load(&self, service: &Service, place: usize, stop: &AtomicBool) -> Ledger {
        let mut ledger = Ledger::default();
        let mut party = service.client();
        while !stop.load(Ordering::Relaxed) {
            let mut browser = service.client();
            if !self.sign_in(&mut browser, place, &mut ledger) {
                continue;
            }
            let Some(mut tokens) = self.tokens(&mut browser, &mut party, &mut ledger) else {
                continue;
            };
            let known = (0..REFRESHES).all(|_| {
                let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", refresh.as_str()),
                ];
                let Some(answer) = party.call(Again::No, &self.bank, "/oauth2/token", &fields)
                else {
                    ledger.unknown_refreshes += 1;
                    return false;
                };
                assert_eq!(answer.status, 200, "a token was lost: {answer:?}");
                ledger.refreshed += 1;
                tokens = answer.json();
                true
            });
            if known {
                let refresh = tokens["refresh_token"].as_str().unwrap();
                ledger.refresh.push(refresh.to_owned());
            }
        }
        ledger
    }

    fn sign_in(&self, browser: &mut Balanced, place: usize, ledger: &mut Ledger) -> bool {
        let person = &self.people[place];
        assert_eq!(browser.get("/sign-in").status, 200);
        let Some(asked) = browser.post(Again::No, "/sign-in/options", &[]) else {
            return false;
        };
        assert_eq!(asked.status, 200, "{asked:?}");
        let asked = asked.json();
        let answer = person
            .key
            .assert(&browser.origin, &challenge(&asked))
            .unwrap();
        let fields = [
            ("ceremony", asked["ceremony"].as_str().unwrap()),
            ("answer", answer.as_str()),
        ];
        let Some(entered) = browser.post(Again::No, "/sign-in/passkey", &fields) else {
            ledger.unknown_sign_ins += 1;
            return false;
        };
        assert_eq!(entered.status, 303, "{entered:?}");
        ledger.sessions.push(browser.cookies[SESSION].clone());
        ledger.signed_in += 1;
        true
    }

    fn tokens(
        &self,
        browser: &mut Balanced,
        party: &mut Balanced,
        ledger: &mut Ledger,
    ) -> Option<serde_json::Value> {
        let asked = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid offline_access"),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        // A request that was pushed twice does no harm: one of the two is never brought.
        let pushed = party.call(Again::Yes, &self.bank, "/oauth2/par", &asked)?;
        assert_eq!(pushed.status, 201, "{pushed:?}");
        let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
        let query = [("client_id", self.bank.id.as_str()), ("request_uri", &uri)];
        let target = format!("/oauth2/authorize?{}", oauth2::form(&query));
        // It is brought once.
        let brought = browser.send(Again::No, &http::Method::GET, &target, &[], "")?;
        let place = self.allowed(browser, &brought)?;
        let code = parameter(&place, "code").unwrap_or_else(|| panic!("{place}"));
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let Some(redeemed) = party.call(Again::No, &self.bank, "/oauth2/token", &fields) else {
            ledger.unknown_codes += 1;
            return None;
        };
        assert_eq!(redeemed.status, 200, "a code was lost: {redeemed:?}");
        ledger.codes += 1;
        Some(redeemed.json())
    }

    /// Where the browser goes with the code. Consent is given over the same database, the first time.
    fn allowed(&self, browser: &Balanced, brought: &Answer) -> Option<String> {
        assert_eq!(brought.status, 303, "{brought:?}");
        let place = brought.location();
        if place != "/continue" {
            return Some(place.to_owned());
        }
        let session = Secret::new(&browser.cookies[SESSION]);
        let who = self.provider.session(&session, now()).unwrap();
        let interaction = Secret::new(&browser.cookies[INTERACTION]);
        let scopes = ["openid", "offline_access"].map(str::to_owned).into();
        let answer = self
            .provider
            .allow(&interaction, &who, &scopes, None, now(), &seed())
            .unwrap();
        let code = answer.code.unwrap();
        Some(format!("{REDIRECT}?code={}", code.expose()))
    }

    /// What was accepted is there, once.
    pub fn check(&self, service: &Service, ledgers: &[Ledger]) {
        let sum = |count: fn(&Ledger) -> usize| ledgers.iter().map(count).sum::<usize>();
        let mut events = Vec::new();
        let mut place = EventPlace::default();
        loop {
            let page = self.provider.events_after(place, 1000).unwrap();
            let Some((last, _)) = page.last() else { break };
            place = *last;
            events.extend(page.into_iter().map(|(_, event)| event));
        }
        let count = |kind| events.iter().filter(|event| event.event == kind).count();
        let within = |kind, accepted: usize, unknown: usize| {
            let found = count(kind);
            assert!(
                (accepted..=accepted + unknown).contains(&found),
                "{kind:?}: {found} happened, {accepted} were accepted, {unknown} are unknown"
            );
        };
        // Each person's first sign-in was with a card.
        let first = self.people.len();
        within(
            EventKind::SignedIn,
            first + sum(|ledger| ledger.signed_in),
            sum(|ledger| ledger.unknown_sign_ins),
        );
        within(
            EventKind::TokensIssued,
            sum(|ledger| ledger.codes),
            sum(|ledger| ledger.unknown_codes),
        );
        within(
            EventKind::TokensRefreshed,
            sum(|ledger| ledger.refreshed),
            sum(|ledger| ledger.unknown_refreshes),
        );
        for kind in [EventKind::CodeReplayed, EventKind::RefreshReplayed] {
            assert_eq!(count(kind), 0, "{kind:?}");
        }
        // Every session that a browser got is one, and no two are the same.
        let sessions: BTreeSet<&String> =
            ledgers.iter().flat_map(|ledger| &ledger.sessions).collect();
        assert_eq!(sessions.len(), sum(|ledger| ledger.signed_in));
        for session in sessions {
            let session = Secret::new(session);
            self.provider.session(&session, now()).unwrap();
        }
        for person in &self.people {
            self.provider.session(&person.first, now()).unwrap();
        }
        // The last token of each family is good, once.
        let mut party = service.client();
        for refresh in ledgers.iter().flat_map(|ledger| &ledger.refresh) {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            let mut refreshed = || {
                party
                    .call(Again::No, &self.bank, "/oauth2/token", &fields)
                    .unwrap()
                    .status
            };
            assert_eq!(refreshed(), 200);
            assert_eq!(refreshed(), 400);
        }
    }

    /// Everybody is still signed in, at every server.
    pub fn all_are_signed_in(&self, service: &Service) {
        for person in &self.people {
            let mut browser = service.client();
            let session = person.first.expose().to_owned();
            browser.cookies.insert(SESSION.to_owned(), session);
            for _ in 0..2 {
                let account = browser.get("/account");
                assert!(account.body.contains("/account/freeze"), "{account:?}");
            }
        }
    }
}

fn challenge(asked: &serde_json::Value) -> Vec<u8> {
    let options = &asked["options"];
    let challenge = options["publicKey"]["challenge"]
        .as_str()
        .or_else(|| options["challenge"].as_str());
    jose::from_base64url(challenge.unwrap_or_else(|| panic!("{asked}"))).unwrap()
}

fn form(bank: &Peer) -> ClientForm {
    let words = |text: &str| BTreeMap::from([("en".to_owned(), text.to_owned())]);
    ClientForm {
        names: words("Bank"),
        organisation: "Bank of Examples".to_owned(),
        contact: "admin@bank.example".to_owned(),
        sector: "bank.example".to_owned(),
        redirect_uris: BTreeSet::from([REDIRECT.to_owned()]),
        after_logout_uris: BTreeSet::new(),
        logout_uri: None,
        authentication: ClientAuthentication::PrivateKeyJwt,
        keys: json!({ "keys": [bank.key.public().to_value()] }).to_string(),
        profile: Profile::Standard,
        purposes: ["openid", "offline_access"]
            .map(|scope| (scope.to_owned(), words("to open an account")))
            .into(),
        level: Level::Low,
        device_flow: false,
        theme: None,
    }
}
