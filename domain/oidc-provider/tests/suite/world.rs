//! A small country: officers, people, a bank; and a clock and dice that tests hold in their hands.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use id_registry::{PersonalNumber, Theme};
use oidc_provider::*;
use time::macros::datetime;
use time::{Date, Duration, OffsetDateTime};

pub const NOON: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
/// `dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk` of RFC 7636 appendix B, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const REDIRECT: &str = "https://bank.example/back";

static DICE: AtomicU64 = AtomicU64::new(1);

/// New random bytes: never twice the same in one test program.
pub fn seed() -> Seed {
    let mut bytes = [0; 32];
    let drawn = DICE.fetch_add(1, Ordering::Relaxed);
    bytes[..8].copy_from_slice(&drawn.to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    Seed::new(bytes)
}

pub fn number(serial: u32) -> PersonalNumber {
    let born = Date::from_calendar_date(1990, time::Month::May, 17).expect("a date");
    PersonalNumber::compose(id_registry::Sex::Female, born, serial)
}

pub fn origin(network: &str) -> Origin {
    Origin {
        network: network.to_owned(),
        device: None,
        label: "Firefox".to_owned(),
    }
}

/// Parents and children, and who is protected from whom, as a test says.
#[derive(Debug, Default)]
pub struct Families(
    Mutex<BTreeSet<(PersonalNumber, PersonalNumber)>>,
    Mutex<BTreeSet<(PersonalNumber, PersonalNumber)>>,
);

impl Families {
    pub fn set(&self, parent: PersonalNumber, child: PersonalNumber, may: bool) {
        let mut pairs = self.0.lock().expect("no panic before");
        if may {
            pairs.insert((parent, child));
        } else {
            pairs.remove(&(parent, child));
        }
    }

    /// Protects a victim from somebody.
    pub fn protect(&self, from: PersonalNumber, victim: PersonalNumber) {
        let mut pairs = self.1.lock().expect("no panic before");
        pairs.insert((from, victim));
    }
}

impl Relations for Families {
    fn may_act(
        &self,
        actor: PersonalNumber,
        subject: PersonalNumber,
        theme: Theme,
        _: Date,
    ) -> Result<bool, StoreError> {
        let pairs = self.0.lock().expect("no panic before");
        Ok(pairs.contains(&(actor, subject)) && theme != Theme::Confidential)
    }

    fn may_hold_mandate(
        &self,
        holder: PersonalNumber,
        giver: PersonalNumber,
    ) -> Result<bool, StoreError> {
        let pairs = self.1.lock().expect("no panic before");
        Ok(!pairs.contains(&(holder, giver)))
    }
}

/// A provider with two officers at the desk (numbers 1 and 2; 1 also approves relying parties and 2 reads events).
pub struct World {
    pub provider: Provider,
    pub families: Arc<Families>,
    pub now: OffsetDateTime,
}

pub fn key_of(serial: u32, which: u32) -> NewPasskey {
    NewPasskey {
        id: CredentialId::new(format!("key-{serial}-{which}")),
        key: "{\"public\":\"key\"}".to_owned(),
        label: "phone".to_owned(),
        synced: false,
        counter: 0,
    }
}

pub fn assertion(serial: u32, which: u32) -> Assertion {
    Assertion {
        id: key_of(serial, which).id,
        user_verified: true,
        counter: 0,
    }
}

/// What a bank asks for, at a level.
pub fn asked(level: Level, scopes: &[&str]) -> Asked {
    Asked {
        redirect_uri: REDIRECT.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        state: Some("state".to_owned()),
        nonce: Some("nonce".to_owned()),
        challenge: CHALLENGE.to_owned(),
        level: Some(level),
        max_age: None,
        prompt_login: false,
        prompt_consent: false,
        prompt_none: false,
        binding: None,
    }
}

pub fn bank_form() -> ClientForm {
    let words = |text: &str| BTreeMap::from([("en".to_owned(), text.to_owned())]);
    let scopes = ["openid", "offline_access", "profile", "number", "email"];
    ClientForm {
        names: words("Bank"),
        organisation: "Bank of Examples".to_owned(),
        contact: "admin@bank.example".to_owned(),
        sector: "bank.example".to_owned(),
        redirect_uris: BTreeSet::from([REDIRECT.to_owned()]),
        after_logout_uris: BTreeSet::new(),
        logout_uri: Some("https://bank.example/logout".to_owned()),
        authentication: ClientAuthentication::PrivateKeyJwt,
        keys: "{\"keys\":[]}".to_owned(),
        profile: Profile::Standard,
        purposes: scopes
            .iter()
            .map(|scope| ((*scope).to_owned(), words("to open an account")))
            .collect(),
        level: Level::Low,
        device_flow: true,
        theme: Some(Theme::Benefits),
    }
}

impl World {
    /// Over an empty store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let world = Self::over(store);
        let card = |serial| CardHolder {
            number: number(serial),
            tenant: Tenant::People,
        };
        let boss = world
            .provider
            .sign_in_with_card(card(900), &origin("desk"), None, NOON, &seed())
            .expect("signed in");
        world
            .provider
            .appoint_first(number(900), Tenant::People, "ministry", NOON)
            .expect("appointed");
        let boss = world
            .provider
            .session(&boss.session, NOON)
            .expect("a session");
        let boss = world
            .provider
            .on_duty(&boss, Duty::Appointment)
            .expect("on duty");
        for (serial, duties) in [
            (1, [Duty::Desk, Duty::Clients]),
            (2, [Duty::Desk, Duty::Investigation]),
        ] {
            world
                .provider
                .sign_in_with_card(card(serial), &origin("desk"), None, NOON, &seed())
                .expect("signed in");
            world
                .provider
                .appoint(&boss, number(serial), Tenant::People, "kyzmat-1", &duties)
                .expect("appointed");
        }
        world
    }

    /// Over a store in which a world is already: another server.
    pub fn over(store: Arc<dyn Store>) -> Self {
        let families = Arc::new(Families::default());
        Self {
            provider: Provider::new(store, families.clone(), &[9; 32]),
            families,
            now: NOON,
        }
    }

    pub fn later(&mut self, by: Duration) {
        self.now += by;
    }

    pub fn officer(&self, serial: u32, duty: Duty) -> OnDuty {
        let card = CardHolder {
            number: number(serial),
            tenant: Tenant::People,
        };
        let signed_in = self
            .provider
            .sign_in_with_card(card, &origin("desk"), None, self.now, &seed())
            .expect("signed in");
        let who = self.who(&signed_in);
        self.provider.on_duty(&who, duty).expect("on duty")
    }

    pub fn who(&self, signed_in: &SignedIn) -> Authenticated {
        self.provider
            .session(&signed_in.session, self.now)
            .expect("a session")
    }

    /// A person who came to the desk and made a key there.
    pub fn person(&self, serial: u32) -> SignedIn {
        let officer = self.officer(1, Duty::Desk);
        let ticket = self
            .provider
            .issue_ticket(&officer, number(serial), Tenant::People, &seed())
            .expect("a ticket");
        self.provider
            .use_ticket(
                &ticket.code,
                &key_of(serial, 0),
                &origin("home"),
                self.now,
                &seed(),
            )
            .expect("signed in")
    }

    pub fn sign_in(&self, serial: u32, which: u32) -> Result<SignedIn, Failure> {
        let assertion = assertion(serial, which);
        self.provider
            .sign_in_with_key(&assertion, &origin("home"), None, self.now, &seed())
    }

    /// A relying party, registered by person 50 and approved.
    pub fn bank(&self, form: &ClientForm) -> ActiveClient {
        let builder = match self.sign_in(50, 0) {
            Ok(signed_in) => signed_in,
            Err(_) => self.person(50),
        };
        let who = self.who(&builder);
        let id = self
            .provider
            .register_client(&who, form, &seed())
            .expect("registered");
        assert_eq!(
            refusal(self.provider.client(&id)),
            Refusal::UnknownClient,
            "not before it is approved"
        );
        let officer = self.officer(1, Duty::Clients);
        let seen = self.provider.clients_of(&who.account().id).expect("listed");
        let seen = seen
            .into_iter()
            .find(|client| client.id == id)
            .expect("this one");
        self.provider
            .approve_client(&officer, &seen)
            .expect("approved");
        self.provider.client(&id).expect("a client")
    }

    pub fn interaction(&self, bank: &ActiveClient, asked: &Asked) -> Secret {
        let (request, _) = self
            .provider
            .push(bank, asked, self.now, &seed())
            .expect("pushed");
        self.provider
            .begin(&request, &bank.client().id, self.now, &seed())
            .expect("begun")
    }

    pub fn allow(
        &self,
        bank: &ActiveClient,
        who: &Authenticated,
        asked: &Asked,
        subject: Option<PersonalNumber>,
    ) -> Result<Secret, Failure> {
        self.allow_for(bank, who, asked, subject.map(Represented::Person))
    }

    pub fn allow_for(
        &self,
        bank: &ActiveClient,
        who: &Authenticated,
        asked: &Asked,
        subject: Option<Represented>,
    ) -> Result<Secret, Failure> {
        let interaction = self.interaction(bank, asked);
        let answer =
            self.provider
                .allow(&interaction, who, &asked.scopes, subject, self.now, &seed())?;
        Ok(answer.code.expect("a code"))
    }

    pub fn redeem(&self, bank: &ActiveClient, code: &Secret) -> Result<Tokens, Failure> {
        let given = Redemption {
            code,
            redirect_uri: REDIRECT,
            verifier: &Secret::new(VERIFIER),
            binding: None,
        };
        self.provider.redeem(bank, given, self.now, &seed())
    }

    pub fn refresh(&self, bank: &ActiveClient, token: &Secret) -> Result<Tokens, Failure> {
        self.provider
            .refresh(bank, token, None, None, self.now, &seed())
    }

    /// Tokens for a person, with a refresh token.
    pub fn tokens(&self, bank: &ActiveClient, signed_in: &SignedIn) -> Tokens {
        let asked = asked(Level::Low, &["openid", "offline_access"]);
        let code = self
            .allow(bank, &self.who(signed_in), &asked, None)
            .expect("allowed");
        self.redeem(bank, &code).expect("tokens")
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        let mut place = EventPlace::default();
        let mut all = Vec::new();
        loop {
            let page = self.provider.events_after(place, 7).expect("events");
            let Some((last, _)) = page.last() else {
                return all;
            };
            place = *last;
            all.extend(page.into_iter().map(|(_, event)| event));
        }
    }

    pub fn count(&self, kind: EventKind) -> usize {
        self.events()
            .iter()
            .filter(|event| event.event == kind)
            .count()
    }
}

/// Why something was refused.
pub fn refusal<T>(result: Result<T, Failure>) -> Refusal {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(Failure::Refused(refusal)) => refusal,
        Err(Failure::Store(error)) => panic!("{error}"),
    }
}
