//! What offices enter: civil acts and decisions on double numbers, as JSON says them.
//!
//! An entry names the act's day and its number in the office; the office is the X-Road client and the officer its user.
//! Numbers of newcomers are issued here. The same entry sent again is the same act.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use config::PopulationClient;
use id_registry::{
    Act, ActId, Address, Citizenship, Corrected, DecideError, Document, DocumentKind, Entry, Event,
    Fact, Grant, Image, ImageKind, Name, Names, NewPerson, Officer, OpaqueSerial, ParentalRights,
    PersonalNumber, ProtectionKind, Records, Register, Residence, Sex, StoreError, UnitCode,
    day_of, decide, next_number,
};
use pki::DigestAlgorithm;
use serde::Deserialize;
use time::{Date, OffsetDateTime};

use crate::population::{ATTEMPTS, Inner, hides};
use crate::question::Asker;
use crate::record::Record;
use crate::registers::Refusal;

time::serde::format_description!(day, Date, "[year]-[month]-[day]");

/// What an office sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Entered {
    #[serde(with = "day")]
    effective: Date,
    reference: String,
    event: Told,
    /// SHA-256 of the event as it was sent.
    #[serde(skip)]
    digest: [u8; 32],
    /// Everybody whom the office names.
    #[serde(skip)]
    named: Vec<PersonalNumber>,
}

/// An event as offices tell it.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Told {
    Birth {
        child: ToldPerson,
        mother: Option<PersonalNumber>,
        father: Option<PersonalNumber>,
    },
    Enrolment {
        person: ToldPerson,
    },
    Paternity {
        child: PersonalNumber,
        father: Option<PersonalNumber>,
        instead_of: Option<PersonalNumber>,
    },
    Marriage {
        spouses: [PersonalNumber; 2],
        #[serde(default)]
        names: [Option<ToldNames>; 2],
    },
    Divorce {
        spouses: [PersonalNumber; 2],
        #[serde(default)]
        names: [Option<ToldNames>; 2],
    },
    NameChange {
        person: PersonalNumber,
        names: ToldNames,
    },
    Adoption {
        child: PersonalNumber,
        mother: Option<PersonalNumber>,
        father: Option<PersonalNumber>,
        names: Option<ToldNames>,
        birth_place: Option<String>,
        secret: bool,
    },
    Death {
        person: PersonalNumber,
    },
    Correction {
        person: PersonalNumber,
        act: u64,
        facts: Vec<ToldFact>,
    },
    Reversal {
        act: u64,
    },
    Moved {
        person: PersonalNumber,
        residence: Residence,
        address: Option<ToldAddress>,
    },
    DocumentIssued {
        person: PersonalNumber,
        document: ToldDocument,
    },
    DocumentVoided {
        person: PersonalNumber,
        document_number: String,
    },
    ImageTaken {
        person: PersonalNumber,
        shows: ImageKind,
        image: String,
    },
    CitizenshipChange {
        person: PersonalNumber,
        citizenship: String,
    },
    Guardianship {
        ward: PersonalNumber,
        guardian: PersonalNumber,
        appointed: bool,
    },
    ParentalRights {
        child: PersonalNumber,
        parent: PersonalNumber,
        rights: ParentalRights,
    },
    Protection {
        person: PersonalNumber,
        protection: ProtectionKind,
        against: Option<PersonalNumber>,
        active: bool,
    },
    Merge {
        kept: PersonalNumber,
        given_up: PersonalNumber,
    },
    Distinct {
        numbers: [PersonalNumber; 2],
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldPerson {
    names: ToldNames,
    sex: ToldSex,
    #[serde(with = "day")]
    born_on: Date,
    birth_place: String,
    citizenship: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum ToldSex {
    F,
    M,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldNames {
    family_name: ToldName,
    given_name: ToldName,
    patronymic: Option<ToldName>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldName {
    cyrillic: String,
    latin: Option<String>,
    russian: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldAddress {
    unit: UnitCode,
    #[serde(default)]
    street: String,
    house: String,
    flat: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToldDocument {
    kind: DocumentKind,
    number: String,
    #[serde(with = "day")]
    issued_on: Date,
    #[serde(default, with = "day::option")]
    expires_on: Option<Date>,
    authority: String,
}

/// A right fact, in the words of the record.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum ToldFact {
    Names(ToldNames),
    Sex(ToldSex),
    BornOn(#[serde(with = "day")] Date),
    BirthPlace(String),
    Citizenship(String),
    Address(ToldAddress),
    ActualAddress(ToldAddress),
    Document(ToldDocument),
}

impl From<ToldSex> for Sex {
    fn from(told: ToldSex) -> Self {
        match told {
            ToldSex::F => Self::Female,
            ToldSex::M => Self::Male,
        }
    }
}

impl From<ToldName> for Name {
    /// The Latin spelling follows from the Cyrillic one unless it was told; both are judged with the act.
    fn from(told: ToldName) -> Self {
        let latin = told
            .latin
            .unwrap_or_else(|| id_registry::romanise(&told.cyrillic));
        Self {
            cyrillic: told.cyrillic,
            russian: told.russian,
            latin,
        }
    }
}

impl From<ToldNames> for Names {
    fn from(told: ToldNames) -> Self {
        Self {
            family: told.family_name.into(),
            given: told.given_name.into(),
            patronymic: told.patronymic.map(Name::from),
        }
    }
}

impl From<ToldAddress> for Address {
    fn from(told: ToldAddress) -> Self {
        Self {
            unit: told.unit,
            street: told.street,
            house: told.house,
            flat: told.flat,
        }
    }
}

impl From<ToldDocument> for Document {
    fn from(told: ToldDocument) -> Self {
        Self {
            kind: told.kind,
            number: told.number,
            issued_on: told.issued_on,
            expires_on: told.expires_on,
            authority: told.authority,
        }
    }
}

/// The code of travel documents: `XXA` is a stateless person.
fn citizenship(code: String) -> Citizenship {
    if Citizenship::Stateless.code() == code {
        Citizenship::Stateless
    } else {
        Citizenship::Of(code)
    }
}

impl From<ToldFact> for Fact {
    fn from(told: ToldFact) -> Self {
        match told {
            ToldFact::Names(names) => Self::Names(names.into()),
            ToldFact::Sex(sex) => Self::Sex(sex.into()),
            ToldFact::BornOn(day) => Self::BornOn(day),
            ToldFact::BirthPlace(place) => Self::BirthPlace(place),
            ToldFact::Citizenship(code) => Self::Citizenship(citizenship(code)),
            ToldFact::Address(address) => {
                Self::Residence(Residence::Registered, Some(address.into()))
            }
            ToldFact::ActualAddress(address) => {
                Self::Residence(Residence::Actual, Some(address.into()))
            }
            ToldFact::Document(document) => Self::Document(document.into()),
        }
    }
}

impl Entered {
    /// Reads what an office sent.
    ///
    /// # Errors
    /// The fault is the office's; the text names the place.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let unreadable = |error: serde_json::Error| Refusal::Unreadable(error.to_string());
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        let mut named = Vec::new();
        collect_named(None, &value["event"], &mut named);
        // Written anew, so that the space between words makes no other entry.
        let digest = DigestAlgorithm::Sha256.digest(value.to_string().as_bytes());
        let mut entered: Self = serde_json::from_value(value).map_err(unreadable)?;
        entered
            .digest
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        entered.named = named;
        Ok(entered)
    }
}

/// The members of an event that hold somebody's number. What else looks like one, such as a document's, is none.
const PEOPLE: [&str; 13] = [
    "person",
    "child",
    "mother",
    "father",
    "insteadOf",
    "spouses",
    "ward",
    "guardian",
    "parent",
    "against",
    "kept",
    "givenUp",
    "numbers",
];

fn collect_named(name: Option<&str>, value: &serde_json::Value, numbers: &mut Vec<PersonalNumber>) {
    match value {
        serde_json::Value::String(text) if name.is_some_and(|name| PEOPLE.contains(&name)) => {
            numbers.extend(text.parse::<PersonalNumber>().ok());
        }
        serde_json::Value::Array(values) => values
            .iter()
            .for_each(|value| collect_named(name, value, numbers)),
        serde_json::Value::Object(values) => values
            .iter()
            .for_each(|(name, value)| collect_named(Some(name), value, numbers)),
        _ => {}
    }
}

/// The records as an office may know them: an act about somebody hidden from it is none.
struct Seen<'a> {
    register: &'a dyn Register,
    grant: &'a Grant,
}

impl Seen<'_> {
    fn hides(&self, number: PersonalNumber) -> Result<bool, StoreError> {
        hides(self.register, self.grant, number)
    }
}

impl Records for Seen<'_> {
    type Error = StoreError;

    fn record(&self, number: PersonalNumber) -> Result<Option<id_registry::Record>, StoreError> {
        self.register.record(number)
    }

    fn act(&self, id: ActId) -> Result<Option<Act>, StoreError> {
        let Some(act) = self.register.act(id)? else {
            return Ok(None);
        };
        for number in act.entry.people() {
            if self.hides(number)? {
                return Ok(None);
            }
        }
        Ok(Some(act))
    }
}

impl Inner {
    /// Enters what an office sent, or tells by which act it was entered before.
    pub(crate) fn enter(
        &self,
        asker: &Asker,
        client: &PopulationClient,
        entered: &Entered,
    ) -> Result<Record, Refusal> {
        if asker.user.trim().is_empty() {
            return Err(Refusal::Missing("X-Road-UserId"));
        }
        let seen = Seen {
            register: self.register.as_ref(),
            grant: &client.grant,
        };
        for _ in 0..ATTEMPTS {
            let before = self.register.entered(&asker.client, &entered.reference)?;
            if let Some((act, digest)) = before {
                if digest != entered.digest {
                    return Err(Refusal::ReferenceUsed(entered.reference.clone()));
                }
                let act = self.register.act(act)?;
                let act = act.ok_or_else(|| StoreError::Unreadable("an act is gone".to_owned()))?;
                return self.entered(client, &act);
            }
            let now = OffsetDateTime::now_utc();
            let (event, image) = self.event(entered.event.clone(), &seen)?;
            self.may_enter(asker, client, &event, &seen)?;
            // Whom it names must be somebody to the office, whatever the act: so nothing else in the records decides what is
            // said about a number that is hidden from it.
            for number in &entered.named {
                if self.register.record(*number)?.is_none() || seen.hides(*number)? {
                    return Err(Refusal::Act(id_registry::Refusal::Unknown(*number)));
                }
            }
            let entry = Entry {
                event,
                effective: entered.effective,
                reference: entered.reference.clone(),
                officer: Officer {
                    office: asker.client.clone(),
                    name: asker.user.trim().to_owned(),
                },
            };
            let decided = match decide(entry, now, self.rules(), &seen) {
                Ok(decided) => decided,
                Err(DecideError::Records(error)) => return Err(error.into()),
                Err(DecideError::Refused(refusal)) => {
                    for number in refusal.named() {
                        if seen.hides(number)? {
                            return Err(Refusal::Act(id_registry::Refusal::Unseen));
                        }
                    }
                    return Err(Refusal::Act(refusal));
                }
            };
            if let Some(image) = &image {
                self.register.keep_image(image)?;
            }
            match self.register.enter_once(&decided, entered.digest) {
                Ok(Some(act)) => return self.entered(client, &act),
                Ok(None) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("the records keep changing".to_owned()).into())
    }

    /// An office enters the kinds of acts that the access file lists for it, and takes back those only.
    fn may_enter(
        &self,
        asker: &Asker,
        client: &PopulationClient,
        event: &Event,
        seen: &Seen<'_>,
    ) -> Result<(), Refusal> {
        let mut kinds = vec![event.kind()];
        if let Event::Reversal { act, .. } = event
            && let Some(act) = seen.act(*act)?
        {
            kinds.push(act.entry.event.kind());
        }
        if kinds.iter().all(|kind| client.acts.contains(*kind)) {
            Ok(())
        } else {
            Err(Refusal::NotAllowed(asker.client.clone()))
        }
    }

    /// What is told of an act that was entered: its place, the number that it issued, and who may have two numbers now.
    fn entered(&self, client: &PopulationClient, act: &Act) -> Result<Record, Refusal> {
        let event = &act.entry.event;
        let mut record = Record::default()
            .number("act", act.id.0)
            .text("kind", event.kind())
            .text("enteredAt", crate::record::moment(act.entered_at));
        let mut newcomers = event.newcomers();
        if let Some(person) = newcomers.next() {
            record = record.text("number", person.number.as_str());
            if client.doubles {
                let found = self.candidates_of(client, person.number)?;
                record = record.list("candidates", "candidate", found);
            }
        }
        Ok(record)
    }

    fn newcomer(&self, told: ToldPerson) -> Result<NewPerson, Refusal> {
        let sex = Sex::from(told.sex);
        if told.born_on > day_of(OffsetDateTime::now_utc()) {
            return Err(Refusal::Act(id_registry::Refusal::Future(told.born_on)));
        }
        let issued = self.register.issued(sex, told.born_on)?;
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let random = u32::from_be_bytes(random);
        let number = next_number(&OpaqueSerial, sex, told.born_on, random, |number| {
            issued.contains(number)
        })
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(NewPerson {
            number,
            names: told.names.into(),
            sex,
            born_on: told.born_on,
            birth_place: told.birth_place,
            citizenship: citizenship(told.citizenship),
        })
    }

    /// The event that an office tells, and the picture that it brings.
    fn event(&self, told: Told, seen: &Seen<'_>) -> Result<(Event, Option<Image>), Refusal> {
        let names = |both: [Option<ToldNames>; 2]| both.map(|names| names.map(Names::from));
        let event = match told {
            Told::Birth {
                child,
                mother,
                father,
            } => Event::Birth {
                child: self.newcomer(child)?,
                mother,
                father,
            },
            Told::Enrolment { person } => Event::Enrolment {
                person: self.newcomer(person)?,
            },
            Told::Paternity {
                child,
                father,
                instead_of,
            } => Event::Paternity {
                child,
                father,
                instead_of,
            },
            Told::Marriage {
                spouses,
                names: told,
            } => Event::Marriage {
                spouses,
                names: names(told),
            },
            Told::Divorce {
                spouses,
                names: told,
            } => Event::Divorce {
                spouses,
                names: names(told),
            },
            Told::NameChange { person, names } => Event::NameChange {
                person,
                names: names.into(),
            },
            Told::Adoption {
                child,
                mother,
                father,
                names,
                birth_place,
                secret,
            } => Event::Adoption {
                child,
                mother,
                father,
                instead_of: [None, None],
                names: names.map(Names::from),
                birth_place,
                secret,
            },
            Told::Death { person } => Event::Death {
                person,
                widowed: None,
            },
            Told::Correction { person, act, facts } => {
                let record = seen.record(person)?;
                // The day from which it holds is that of the wrong fact; the register knows it.
                let valid_from = record.and_then(|record| record.born_on());
                let valid_from = valid_from.unwrap_or(Date::MIN);
                Event::Correction {
                    person,
                    corrects: ActId(act),
                    facts: facts
                        .into_iter()
                        .map(|fact| Corrected {
                            fact: fact.into(),
                            valid_from,
                        })
                        .collect(),
                }
            }
            Told::Reversal { act } => Event::Reversal {
                act: ActId(act),
                people: std::collections::BTreeSet::new(),
            },
            Told::Moved {
                person,
                residence,
                address,
            } => Event::Moved {
                person,
                residence,
                address: address.map(Address::from),
            },
            Told::DocumentIssued { person, document } => Event::DocumentIssued {
                person,
                document: document.into(),
            },
            Told::DocumentVoided {
                person,
                document_number,
            } => Event::DocumentVoided {
                person,
                document: document_number,
            },
            Told::ImageTaken {
                person,
                shows,
                image,
            } => {
                let bytes = BASE64.decode(image).map_err(|_| Refusal::Value("image"))?;
                let image = Image::check(bytes)?;
                let event = Event::ImageTaken {
                    person,
                    kind: shows,
                    image: image.id(),
                };
                return Ok((event, Some(image)));
            }
            Told::CitizenshipChange {
                person,
                citizenship: code,
            } => Event::CitizenshipChange {
                person,
                citizenship: citizenship(code),
            },
            Told::Guardianship {
                ward,
                guardian,
                appointed,
            } => Event::Guardianship {
                ward,
                guardian,
                appointed,
            },
            Told::ParentalRights {
                child,
                parent,
                rights,
            } => Event::ParentalRights {
                child,
                parent,
                rights,
            },
            Told::Protection {
                person,
                protection,
                against,
                active,
            } => Event::Protection {
                person,
                kind: protection,
                against,
                active,
            },
            Told::Merge { kept, given_up } => Event::Merge {
                kept,
                given_up,
                carried: Vec::new(),
            },
            Told::Distinct { numbers } => Event::Distinct { numbers },
        };
        Ok((event, None))
    }
}
