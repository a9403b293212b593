//! The part of the story in which people sign in, sign a contract and freeze an account.

use std::path::{Path, PathBuf};

use id_registry::{PersonalNumber, Population, Resident};
use pki::{AttributeType, Certificate, KeyType, Name, SoftwareKey, csr};
use transport::TlsIdentity;
use webauthn::SoftwareAuthenticator;

use super::{Ended, Step, run_self, short, shown};
use crate::browser::{Browser, Page};
use crate::compose::{Country, sites};
use crate::instance::{BANK, IDENTITY, SIGNING, Site, Sites, VERIFICATION};
use crate::narrator::Narrator;
use crate::random;

/// The steps that need the sites.
pub const STEPS: [&str; 7] = [
    "proofed",
    "sign-in",
    "consent",
    "contract-signed",
    "contract-verified",
    "card-sign-in",
    "frozen",
];

/// Residents who serve at the desks.
const OFFICERS: [u32; 2] = [20_001, 20_002];
/// The resident who borrows money in the first telling; each telling has the next one.
const FIRST_BORROWER: u32 = 30_001;
/// The first resident whom somebody at a browser may play.
const FIRST_GUEST: u32 = 40_001;
const OFFICE: &str = "Bishkek, Chuy avenue 1";

/// Somebody with a browser and a phone.
struct Human {
    person: Resident,
    browser: Browser,
    /// The phone's key for signing in.
    identity: SoftwareAuthenticator,
    /// The phone's key for confirming signatures.
    signing: SoftwareAuthenticator,
}

/// What the steps leave for one another.
#[derive(Default)]
struct Found {
    /// The page on which the bank's request waits.
    consent: Option<Page>,
    /// The bank's page once somebody is signed in.
    bank: Option<Page>,
    /// The signed contract.
    contract: Option<PathBuf>,
    /// The borrower's identity card.
    card: Option<TlsIdentity>,
    /// A computer at which the borrower is signed in by that card.
    computer: Option<Browser>,
}

/// Somebody at a browser of their own who was let in.
#[derive(Debug)]
pub struct Invitation {
    /// Whose part the guest plays.
    pub name: String,
    /// The number.
    pub number: PersonalNumber,
    /// The code for the first passkey at the identity provider.
    pub ticket: String,
    /// The code for the first key at the signing service.
    pub code: String,
    /// The officer's page about the latter.
    case: String,
}

/// People of the story.
pub struct People<'a> {
    country: &'a Country,
    narrator: &'a Narrator,
    sites: &'a Sites,
    officers: Vec<Human>,
    borrower: Option<Human>,
    found: Found,
}

fn name(person: &Resident) -> String {
    format!(
        "{} {}",
        person.family_name.cyrillic, person.given_name.cyrillic
    )
}

/// A page that must be as a step wants it.
fn expect(page: Page, fits: impl FnOnce(&Page) -> bool, what: &str) -> Result<Page, String> {
    if page.status.is_success() && fits(&page) {
        Ok(page)
    } else {
        Err(format!("{what}: {}", page.said()))
    }
}

impl<'a> People<'a> {
    /// Lets somebody at a browser of their own play a resident whom nobody has played yet: an officer at both desks gives
    /// out the codes.
    ///
    /// # Errors
    /// In words.
    pub async fn invite(&mut self) -> Result<Invitation, String> {
        let officer = self.officers.first_mut().ok_or("there is no officer")?;
        let folder = self.country.state.join("people");
        for index in FIRST_GUEST.. {
            let person = Population::demonstration()
                .person(index)
                .ok_or("there are no more residents")?;
            let guest = folder.join(format!("{}-guest", person.number));
            if guest.exists() {
                continue;
            }
            std::fs::write(&guest, "").map_err(|error| error.to_string())?;
            let ticket = ticket(officer, &person).await?;
            let (code, case) = case(officer, &person).await?;
            return Ok(Invitation {
                name: name(&person),
                number: person.number,
                ticket,
                code,
                case,
            });
        }
        Err("there are no more residents".to_owned())
    }

    /// The officer stays at the desk until the guest's key is made, and confirms it.
    pub async fn attend(&mut self, invitation: &Invitation) {
        let Some(officer) = self.officers.first_mut() else {
            return;
        };
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            let Ok(page) = officer.browser.open(&invitation.case).await else {
                continue;
            };
            let Some(approve) = page.action("/approve/", "") else {
                continue;
            };
            let browser = &mut officer.browser;
            let confirmed = browser
                .submit_with_phone(&page, &approve, &[], &officer.signing)
                .await;
            match confirmed {
                Ok(page) if page.status.is_success() => return,
                Ok(page) => self
                    .narrator
                    .say(&format!("  the officer could not confirm: {}", page.said())),
                Err(error) => self
                    .narrator
                    .say(&format!("  the officer could not confirm: {error}")),
            }
        }
    }

    pub(super) fn new(country: &'a Country, narrator: &'a Narrator, sites: &'a Sites) -> Self {
        Self {
            country,
            narrator,
            sites,
            officers: Vec::new(),
            borrower: None,
            found: Found::default(),
        }
    }

    pub(super) async fn tell(&mut self, step: &str) -> Step {
        match step {
            "proofed" => self.proofed().await,
            "sign-in" => self.sign_in().await,
            "consent" => self.consent().await,
            "contract-signed" => self.contract_signed().await,
            "contract-verified" => self.contract_verified().await,
            "card-sign-in" => self.card_sign_in().await,
            _ => self.frozen().await,
        }
        .map(Ended::Well)
    }

    fn folder(&self) -> PathBuf {
        self.country.state.join("people")
    }

    /// A resident with a phone. A phone is kept: a later telling finds the keys that were registered.
    fn human(&self, index: u32) -> Result<(Human, bool), String> {
        let person = Population::demonstration()
            .person(index)
            .ok_or_else(|| format!("there is no resident {index}"))?;
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let number = person.number.as_str();
        let (identity, known) = phone(&folder.join(format!("{number}-identity.key")), IDENTITY)?;
        let (signing, _) = phone(&folder.join(format!("{number}-signing.key")), SIGNING)?;
        let browser = Browser::new(self.sites, self.country.authority())
            .map_err(|error| error.to_string())?;
        Ok((
            Human {
                person,
                browser,
                identity,
                signing,
            },
            known,
        ))
    }

    fn borrower(&mut self) -> Result<&mut Human, String> {
        self.borrower
            .as_mut()
            .ok_or_else(|| "nobody was proofed".to_owned())
    }

    /// A resident becomes an officer of both services once, and signs in at both desks.
    async fn officer(&self, index: u32) -> Result<Human, String> {
        let (mut officer, known) = self.human(index)?;
        let number = officer.person.number;
        if !known {
            let ticket = self.officer_of_identity(number).await?;
            let page = officer
                .browser
                .open(&format!("{}/first-key", IDENTITY.origin()))
                .await?;
            let fields = [("ticket", ticket.as_str())];
            let Human {
                browser, identity, ..
            } = &mut officer;
            let page = browser
                .submit_with_phone(&page, "/first-key", &fields, identity)
                .await?;
            expect(page, |page| page.url.ends_with("/account"), "no first key")?;
            self.officer_of_signing(&mut officer).await?;
        } else {
            officer.sign_in(&IDENTITY.origin()).await?;
        }
        officer.sign_in(&SIGNING.origin()).await?;
        Ok(officer)
    }

    /// The operator of the identity provider appoints an officer; gives the code for the first key.
    async fn officer_of_identity(&self, number: PersonalNumber) -> Result<String, String> {
        let file = sites::folder(&self.country.state, IDENTITY).join("idp.toml");
        let arguments = [
            "idp-server".as_ref(),
            "officer".as_ref(),
            "add".as_ref(),
            "--config".as_ref(),
            file.as_os_str(),
            "--office".as_ref(),
            OFFICE.as_ref(),
            number.as_str().as_ref(),
        ];
        let (code, said) = run_self(&arguments).await?;
        match (code, said.split_whitespace().last()) {
            (Some(0), Some(ticket)) => Ok(ticket.to_owned()),
            _ => Err(format!("no officer was appointed: {}", short(&said))),
        }
    }

    /// The officer makes a passkey for the signing service, and its operator takes it.
    async fn officer_of_signing(&self, officer: &mut Human) -> Result<(), String> {
        let Human {
            browser,
            signing,
            person,
            ..
        } = officer;
        let page = browser
            .open(&format!("{}/officer", SIGNING.origin()))
            .await?;
        let page = browser
            .submit_with_phone(&page, "/officer", &[], signing)
            .await?;
        let text = page.code().ok_or_else(|| page.said())?;
        let key = self.folder().join("officer.json");
        std::fs::write(&key, text).map_err(|error| error.to_string())?;
        let file = sites::folder(&self.country.state, SIGNING).join("signing.toml");
        let arguments = [
            "signing-server".as_ref(),
            "officer".as_ref(),
            "add".as_ref(),
            "--config".as_ref(),
            file.as_os_str(),
            "--office".as_ref(),
            OFFICE.as_ref(),
            "--number".as_ref(),
            person.number.as_str().as_ref(),
            "--passkey".as_ref(),
            key.as_os_str(),
        ];
        match run_self(&arguments).await? {
            (Some(0), _) => Ok(()),
            (_, said) => Err(format!("no officer was added: {}", short(&said))),
        }
    }

    /// Somebody comes to a desk: an officer compares the portrait, and the phone gets its two keys.
    async fn proofed(&mut self) -> Result<String, String> {
        self.narrator.say(
            "Somebody comes to a desk. The officer compares face and portrait and hands out an identity card; then the phone gets a key to sign in and a key to sign with.",
        );
        if self.officers.is_empty() {
            self.officers.push(self.officer(OFFICERS[0]).await?);
        }
        let mut index = FIRST_BORROWER;
        let (mut human, mut known) = self.human(index)?;
        while known {
            index += 1;
            (human, known) = self.human(index)?;
        }
        let officer = self.officers.first_mut().ok_or("there is no officer")?;
        first_key(officer, &mut human).await?;
        first_signing_key(officer, &mut human).await?;
        let card = self.card(&human.person).await?;
        let Human { browser, .. } = &mut human;
        browser
            .read_card(self.country.authority(), &card)
            .map_err(|error| error.to_string())?;
        let page = browser
            .open(&format!("{}/sign-in/card", IDENTITY.origin()))
            .await?;
        expect(
            page,
            |page| page.url.ends_with("/account"),
            "the card was not added to the account",
        )?;
        self.found.card = Some(card);
        let said = format!(
            "{}, number {}: identity proofed, both keys are on the phone, the card belongs to the account.",
            name(&human.person),
            human.person.number
        );
        self.borrower = Some(human);
        Ok(said)
    }

    async fn sign_in(&mut self) -> Result<String, String> {
        self.narrator
            .say("A new day: this person opens the bank's site and signs in with the phone.");
        let human = self.borrower()?;
        // Another browser, which the identity provider does not know.
        human.browser.forget();
        let bank = human.browser.open(&format!("{}/", BANK.origin())).await?;
        let page = human.browser.submit(&bank, "/sign-in", &[]).await?;
        let page = expect(
            page,
            |page| page.url.starts_with(&IDENTITY.origin()) && page.has_form("/sign-in/passkey"),
            "the bank did not send the browser to the identity provider",
        )?;
        let Human {
            browser, identity, ..
        } = human;
        let page = browser
            .submit_with_phone(&page, "/sign-in/passkey", &[], identity)
            .await?;
        let page = expect(
            page,
            |page| page.has_form("/consent"),
            "nobody was signed in",
        )?;
        self.found.consent = Some(page);
        Ok("Signed in with a passkey, at the level high; the identity provider asks before it tells the bank anything.".to_owned())
    }

    async fn consent(&mut self) -> Result<String, String> {
        let page = self.found.consent.take().ok_or("nobody signed in")?;
        let human = self.borrower()?;
        let fields = [("decision", "allow")];
        let page = human.browser.submit(&page, "/consent", &fields).await?;
        let number = human.person.number;
        let page = expect(
            page,
            |page| page.url.starts_with(&BANK.origin()) && page.text().contains(number.as_str()),
            "the bank did not learn who it is",
        )?;
        let family = &human.person.family_name.cyrillic;
        if !page.text().contains(family.as_str()) {
            return Err("the bank did not learn the name from the population register".to_owned());
        }
        self.found.bank = Some(page);
        Ok("The bank knows name and number, which came from the population register over the exchange.".to_owned())
    }

    async fn contract_signed(&mut self) -> Result<String, String> {
        self.narrator.say(
            "The bank draws up a loan agreement. The signing service shows it, and the phone confirms.",
        );
        let page = self.found.bank.take().ok_or("nobody is at the bank")?;
        let human = self.borrower()?;
        let fields = [("amount", "75000"), ("months", "24")];
        let page = human.browser.submit(&page, "/loan", &fields).await?;
        let sign = page
            .action("/contract/", "/sign")
            .ok_or_else(|| format!("there is no agreement: {}", page.said()))?;
        let page = human.browser.submit(&page, &sign, &[]).await?;
        let confirm = page
            .action("/confirm/", "")
            .ok_or_else(|| format!("the signing service does not ask: {}", page.said()))?;
        if !page.text().contains(".pdf") {
            return Err("the signing service does not say what is signed".to_owned());
        }
        let digits = page.shown("shown-code").unwrap_or_default();
        let Human {
            browser, signing, ..
        } = human;
        let page = browser
            .submit_with_phone(&page, &confirm, &[], signing)
            .await?;
        let page = expect(
            page,
            |page| page.text().contains("/signed.pdf"),
            "the agreement is not signed",
        )?;
        let file = browser.open(&format!("{}/signed.pdf", page.url)).await?;
        let file = expect(
            file,
            |file| file.body.starts_with(b"%PDF-"),
            "there is no signed agreement",
        )?;
        let folder = self.country.state.join("contracts");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let path = folder.join(format!("{}.pdf", random::uuid()));
        std::fs::write(&path, &file.body).map_err(|error| error.to_string())?;
        self.found.contract = Some(path.clone());
        Ok(format!(
            "Compared by the digits {digits}, confirmed, signed: {} ({} bytes).",
            shown(&path),
            file.body.len()
        ))
    }

    async fn contract_verified(&mut self) -> Result<String, String> {
        self.narrator.say("Somebody else gets the file and trusts nobody: the public page verifies it, and so does `tunduk verify`, offline.");
        let path = self.found.contract.clone().ok_or("nothing was signed")?;
        let file = std::fs::read(&path).map_err(|error| error.to_string())?;
        let human = self.borrower()?;
        let (family, number) = (
            human.person.family_name.cyrillic.clone(),
            human.person.number,
        );
        let mut stranger = Browser::new(self.sites, self.country.authority())
            .map_err(|error| error.to_string())?;
        let page = on_the_page(&mut stranger, &file).await?;
        let html = page.text();
        let says_so = ["class=\"verdict good\"", &family, number.as_str()]
            .iter()
            .all(|words| html.contains(words));
        if !says_so {
            return Err(format!("the page does not say who signed: {}", page.said()));
        }
        let trust = self.country.state.join("sites").join(sites::TRUST_LIST);
        let verify = |file: &Path| {
            let arguments = [
                "verify".as_ref(),
                file.as_os_str(),
                "--trust".as_ref(),
                trust.as_os_str(),
            ]
            .map(std::ffi::OsStr::to_owned);
            async move {
                let borrowed: Vec<&std::ffi::OsStr> = arguments
                    .iter()
                    .map(std::ffi::OsString::as_os_str)
                    .collect();
                run_self(&borrowed).await
            }
        };
        let (code, said) = verify(&path).await?;
        if code != Some(0) || !said.contains("qualified") || !said.contains(number.as_str()) {
            return Err(format!("exit code {code:?}: {}", short(&said)));
        }
        // One letter more in the agreement, and nobody takes it for signed.
        let mut changed = file;
        let middle = changed.len() / 3;
        if let Some(byte) = changed.get_mut(middle) {
            *byte ^= 1;
        }
        let forged = path.with_extension("changed.pdf");
        std::fs::write(&forged, &changed).map_err(|error| error.to_string())?;
        let page = on_the_page(&mut stranger, &changed).await?;
        if !page.text().contains("class=\"verdict bad\"") {
            return Err(format!(
                "the page takes a changed agreement: {}",
                page.said()
            ));
        }
        let (code, _) = verify(&forged).await?;
        if code != Some(1) {
            return Err(format!("a changed agreement has the exit code {code:?}"));
        }
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        Ok(lines.join("\n  "))
    }

    /// The authority of identity cards certifies the key of a new card.
    async fn card(&self, person: &Resident) -> Result<TlsIdentity, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let key = SoftwareKey::generate(KeyType::EcP256).map_err(|error| words(&error))?;
        let subject = Name::builder().push(AttributeType::CommonName, "identity card");
        let subject = subject.build().map_err(|error| words(&error))?;
        let request = csr::build_pem(&subject, &key).map_err(|error| words(&error))?;
        let file = self.folder().join(format!("{}-card.csr", person.number));
        std::fs::write(&file, request).map_err(|error| words(&error))?;
        let folder = sites::card_folder(&self.country.state);
        let arguments = [
            "trust-server".as_ref(),
            "card".as_ref(),
            "--state".as_ref(),
            folder.as_os_str(),
            "--number".as_ref(),
            person.number.as_str().as_ref(),
            "--surname".as_ref(),
            person.family_name.cyrillic.as_ref(),
            "--given-name".as_ref(),
            person.given_name.cyrillic.as_ref(),
            file.as_os_str(),
        ];
        let (code, said) = run_self(&arguments).await?;
        let certificate = match code {
            Some(0) => Certificate::from_pem(&said).map_err(|error| words(&error))?,
            _ => return Err(format!("no card was issued: {}", short(&said))),
        };
        let key = key.to_pkcs8_der().map_err(|error| words(&error))?;
        TlsIdentity::new(&[certificate.der()], &key).map_err(|error| words(&error))
    }

    async fn card_sign_in(&mut self) -> Result<String, String> {
        self.narrator.say(
            "The phone is at home. The same person puts the identity card into the reader of a computer and signs in at the bank.",
        );
        let card = self.found.card.as_ref().ok_or("no card was handed out")?;
        let authority = self.country.authority();
        let mut computer =
            Browser::new(self.sites, authority).map_err(|error| error.to_string())?;
        computer
            .read_card(authority, card)
            .map_err(|error| error.to_string())?;
        let bank = computer.open(&format!("{}/", BANK.origin())).await?;
        let page = computer.submit(&bank, "/sign-in", &[]).await?;
        let page = show_card(&mut computer, &page).await?;
        let human = self.borrower()?;
        let number = human.person.number;
        expect(
            page,
            |page| page.url.starts_with(&BANK.origin()) && page.text().contains(number.as_str()),
            "the card did not sign in at the bank",
        )?;
        self.found.computer = Some(computer);
        Ok("Signed in by the card's certificate over TLS, at the level high; what the bank learns was allowed before.".to_owned())
    }

    async fn frozen(&mut self) -> Result<String, String> {
        self.narrator.say(
            "The phone is stolen. Its owner freezes the account from another browser; now it opens nothing any more.",
        );
        let human = self.borrower()?;
        let page = human
            .browser
            .open(&format!("{}/account/freeze", IDENTITY.origin()))
            .await?;
        let page = human.browser.submit(&page, "/account/freeze", &[]).await?;
        expect(page, |_| true, "the account was not frozen")?;
        let page = human
            .browser
            .open(&format!("{}/account", IDENTITY.origin()))
            .await?;
        if !page.has_form("/sign-in/passkey") {
            return Err(format!("the session goes on: {}", page.said()));
        }
        let Human {
            browser, identity, ..
        } = human;
        let page = browser
            .submit_with_phone(&page, "/sign-in/passkey", &[], identity)
            .await?;
        if page.status.is_success() {
            return Err(format!("the stolen phone signs in: {}", page.said()));
        }
        if let Some(mut computer) = self.found.computer.take() {
            let page = computer
                .open(&format!("{}/sign-in", IDENTITY.origin()))
                .await?;
            let page = show_card(&mut computer, &page).await?;
            if page.status.is_success() {
                return Err(format!("the card opens a frozen account: {}", page.said()));
            }
        }
        self.is_signed_out_at_the_bank().await?;
        self.signs_nothing().await?;
        Ok(
            "Sessions ended at once, at the bank too; neither phone nor card signs in, and the phone does not sign."
                .to_owned(),
        )
    }

    /// The identity provider told the bank, which takes a moment.
    async fn is_signed_out_at_the_bank(&mut self) -> Result<(), String> {
        let human = self.borrower()?;
        for _ in 0..100 {
            let page = human.browser.open(&format!("{}/", BANK.origin())).await?;
            if page.has_form("/sign-in") {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Err("the bank was not told".to_owned())
    }

    /// The identity provider tells the signing service, too: an officer sees it there.
    async fn signs_nothing(&mut self) -> Result<(), String> {
        let officer = self.officers.first_mut().ok_or("there is no officer")?;
        let human = self.borrower.as_ref().ok_or("nobody was proofed")?;
        let number = human.person.number;
        for _ in 0..100 {
            let desk = format!("{}/desk", SIGNING.origin());
            let page = officer.browser.open(&desk).await?;
            let fields = [("number", number.as_str())];
            let page = officer
                .browser
                .submit(&page, "/desk/person", &fields)
                .await?;
            if page.text().contains("<strong>Frozen</strong>") {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Err("the signing service was not told".to_owned())
    }
}

impl Human {
    /// Signs in with the phone, at a site that has a page for it.
    async fn sign_in(&mut self, origin: &str) -> Result<(), String> {
        let page = self.browser.open(&format!("{origin}/sign-in")).await?;
        let (action, phone) = if origin == SIGNING.origin() {
            ("/sign-in", &self.signing)
        } else {
            ("/sign-in/passkey", &self.identity)
        };
        let page = self
            .browser
            .submit_with_phone(&page, action, &[], phone)
            .await?;
        expect(page, |_| true, "nobody was signed in").map(|_| ())
    }
}

/// The officer compares the portrait and hands out a code for a first key.
async fn ticket(officer: &mut Human, person: &Resident) -> Result<String, String> {
    let desk = officer
        .browser
        .open(&format!("{}/desk", IDENTITY.origin()))
        .await?;
    let fields = [("number", person.number.as_str())];
    let page = officer
        .browser
        .submit(&desk, "/desk/person", &fields)
        .await?;
    let page = expect(
        page,
        |page| page.text().contains("src=\"data:image/jpeg;base64,"),
        "the desk shows no portrait to compare",
    )?;
    let fields = [("compared", "yes")];
    let page = officer
        .browser
        .submit(&page, "/desk/ticket", &fields)
        .await?;
    page.shown("shown-code")
        .ok_or_else(|| format!("the desk gives no code: {}", page.said()))
}

/// The phone makes its key for signing in, by a code from the officer.
async fn first_key(officer: &mut Human, human: &mut Human) -> Result<(), String> {
    let ticket = ticket(officer, &human.person).await?;
    let Human {
        browser, identity, ..
    } = human;
    let page = browser
        .open(&format!("{}/first-key", IDENTITY.origin()))
        .await?;
    let page = browser
        .submit_with_phone(&page, "/first-key", &[("ticket", &ticket)], identity)
        .await?;
    expect(page, |page| page.url.ends_with("/account"), "no first key").map(|_| ())
}

/// The officer opens a case for a first key that signs; gives its code, and the officer's page about it.
async fn case(officer: &mut Human, person: &Resident) -> Result<(String, String), String> {
    let desk = officer
        .browser
        .open(&format!("{}/desk", SIGNING.origin()))
        .await?;
    let fields = [
        ("number", person.number.as_str()),
        ("surname", person.family_name.cyrillic.as_str()),
        ("given_name", person.given_name.cyrillic.as_str()),
        ("reference", "2026-11-25/17"),
        ("compared", "yes"),
    ];
    let case = officer
        .browser
        .submit(&desk, "/desk/enrol", &fields)
        .await?;
    match (case.shown("shown-code"), case.link("/desk/case/")) {
        (Some(code), Some(place)) => Ok((code, format!("{}{place}", SIGNING.origin()))),
        _ => Err(format!("the desk gives no code: {}", case.said())),
    }
}

/// The phone makes its key for signatures by a code from the officer, and both confirm.
async fn first_signing_key(officer: &mut Human, human: &mut Human) -> Result<(), String> {
    let (code, _) = case(officer, &human.person).await?;
    let Human {
        browser, signing, ..
    } = human;
    let page = browser.open(&format!("{}/enrol", SIGNING.origin())).await?;
    let page = browser.submit(&page, "/enrol", &[("code", &code)]).await?;
    let page = browser
        .submit_with_phone(&page, "/enrol/key", &[], signing)
        .await?;
    let approve = page
        .action("/approve/", "")
        .ok_or_else(|| format!("the phone's key is not taken: {}", page.said()))?;
    let page = browser
        .submit_with_phone(&page, &approve, &[], signing)
        .await?;
    let page = expect(page, |_| true, "the phone did not confirm")?;
    let url = page.url.clone();
    let page = officer.browser.open(&url).await?;
    let page = officer
        .browser
        .submit_with_phone(&page, &approve, &[], &officer.signing)
        .await?;
    expect(
        page,
        |page| !page.has_form(&approve),
        "the officer did not confirm",
    )
    .map(|_| ())
}

/// Follows a page's link to where a card is asked for.
async fn show_card(computer: &mut Browser, page: &Page) -> Result<Page, String> {
    let link = page
        .link("/sign-in/card")
        .ok_or_else(|| format!("no card is asked for: {}", page.said()))?;
    computer.open(&format!("{}{link}", IDENTITY.origin())).await
}

/// What the public page says about a file.
async fn on_the_page(browser: &mut Browser, file: &[u8]) -> Result<Page, String> {
    let page = browser.open(&format!("{}/", VERIFICATION.origin())).await?;
    browser
        .upload(&page, "/", "file", "contract.pdf", file)
        .await
}

/// The phone's key for a site, from its file or new; says whether it was there.
fn phone(file: &Path, site: Site) -> Result<(SoftwareAuthenticator, bool), String> {
    let known = file.exists();
    if !known {
        crate::serving::make_signing_key(file)?;
    }
    let pem = std::fs::read(file).map_err(|error| error.to_string())?;
    let der = pki::pem::decode(&pem, "PRIVATE KEY").map_err(|error| error.to_string())?;
    let key = SoftwareKey::from_pkcs8_der(&der).map_err(|error| error.to_string())?;
    let id = jose::sha256(&der).to_vec();
    let phone = SoftwareAuthenticator::with_key(site.host, id, key, false);
    Ok((phone.map_err(|error| error.to_string())?, known))
}
