//! Acts: the only way in which anything about a person changes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::fact::{Fact, LockState, Purpose};
use crate::image::{ImageId, ImageKind};
use crate::number::PersonalNumber;
use crate::person::{
    Address, Citizenship, CivilStatus, Document, Names, NewPerson, Parent, ParentalRights,
    ProtectionKind, Residence,
};

/// The place of an act in the order in which acts were entered, from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct ActId(pub u64);

impl fmt::Display for ActId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who entered an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Officer {
    /// The office, such as `zags-chui-07`.
    pub office: String,
    /// The officer's own name in that office's system.
    pub name: String,
}

/// What happened, as it is stored. `decide` fills in what follows from the register (who is widowed, what is carried
/// over in a merge), so that reading an event needs nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A child is born and gets its number.
    Birth {
        /// The child.
        child: NewPerson,
        /// The mother.
        mother: Option<PersonalNumber>,
        /// The father.
        father: Option<PersonalNumber>,
    },
    /// A foreigner or stateless person gets a number on application.
    Enrolment {
        /// The person.
        person: NewPerson,
    },
    /// What an earlier register knew is taken over, for people whose records refer to one another.
    TakenOver {
        /// The people.
        people: Vec<TakenOver>,
    },
    /// Somebody is established to be the father, or, after a court's decision, not to be.
    Paternity {
        /// The child.
        child: PersonalNumber,
        /// The father from now on.
        father: Option<PersonalNumber>,
        /// The father until now.
        instead_of: Option<PersonalNumber>,
    },
    /// Two people marry.
    Marriage {
        /// Both.
        spouses: [PersonalNumber; 2],
        /// The names they bear from now on, where they change.
        names: [Option<Names>; 2],
    },
    /// A marriage ends.
    Divorce {
        /// Both.
        spouses: [PersonalNumber; 2],
        /// The names they bear from now on, where they change.
        names: [Option<Names>; 2],
    },
    /// A name changes.
    NameChange {
        /// Whose.
        person: PersonalNumber,
        /// The name from now on.
        names: Names,
    },
    /// A child is adopted.
    Adoption {
        /// The child.
        child: PersonalNumber,
        /// The mother from now on.
        mother: Option<PersonalNumber>,
        /// The father from now on.
        father: Option<PersonalNumber>,
        /// The mother and the father until now.
        instead_of: [Option<PersonalNumber>; 2],
        /// The name from now on, where it changes.
        names: Option<Names>,
        /// The place of birth that papers name from now on, where it changes.
        birth_place: Option<String>,
        /// Whether the law's secrecy of adoption covers what was before.
        secret: bool,
    },
    /// Somebody died.
    Death {
        /// Who.
        person: PersonalNumber,
        /// Who is widowed.
        widowed: Option<PersonalNumber>,
    },
    /// A court puts facts right that an earlier act stated wrongly. They hold from the day from which the wrong ones
    /// were said to hold.
    Correction {
        /// About whom.
        person: PersonalNumber,
        /// The act that was wrong.
        corrects: ActId,
        /// The right facts.
        facts: Vec<Corrected>,
    },
    /// An act is taken back; what held without it holds again.
    Reversal {
        /// The act.
        act: ActId,
        /// Whom it was about.
        people: BTreeSet<PersonalNumber>,
    },
    /// Somebody moves, or is registered nowhere.
    Moved {
        /// Who.
        person: PersonalNumber,
        /// Which of the two addresses changes.
        residence: Residence,
        /// The address from now on.
        address: Option<Address>,
    },
    /// A document is issued.
    DocumentIssued {
        /// To whom.
        person: PersonalNumber,
        /// The document.
        document: Document,
    },
    /// A document counts no longer.
    DocumentVoided {
        /// Whose.
        person: PersonalNumber,
        /// Its number.
        document: String,
    },
    /// A portrait or signature image is taken.
    ImageTaken {
        /// Of whom.
        person: PersonalNumber,
        /// What it shows.
        kind: ImageKind,
        /// The picture.
        image: ImageId,
    },
    /// Citizenship changes.
    CitizenshipChange {
        /// Whose.
        person: PersonalNumber,
        /// The citizenship from now on.
        citizenship: Citizenship,
    },
    /// Somebody becomes a guardian, or is one no longer.
    Guardianship {
        /// Who is cared for.
        ward: PersonalNumber,
        /// Who cares.
        guardian: PersonalNumber,
        /// Whether from now on, or no longer.
        appointed: bool,
    },
    /// A court limits, takes or gives back a parent's rights.
    ParentalRights {
        /// The child.
        child: PersonalNumber,
        /// The parent.
        parent: PersonalNumber,
        /// The rights from now on.
        rights: ParentalRights,
    },
    /// A protection begins or ends.
    Protection {
        /// Who is protected.
        person: PersonalNumber,
        /// How.
        kind: ProtectionKind,
        /// Against whom, where a court names somebody.
        against: Option<PersonalNumber>,
        /// Whether it begins or ends.
        active: bool,
    },
    /// The person locks the number for a purpose, or asks to unlock it.
    Lock {
        /// Whose number.
        person: PersonalNumber,
        /// For what.
        purpose: Purpose,
        /// The state from now on.
        state: LockState,
    },
    /// Two numbers turn out to be one person's. Both histories stay; the number that is given up answers with the
    /// other one's record.
    Merge {
        /// The number that stays.
        kept: PersonalNumber,
        /// The number that becomes an alias.
        given_up: PersonalNumber,
        /// Relations, documents and addresses that pass from one to the other, for everybody they concern.
        carried: Vec<(PersonalNumber, Fact)>,
    },
    /// Two numbers look like one person's and are not.
    Distinct {
        /// Both.
        numbers: [PersonalNumber; 2],
    },
}

/// A person as an earlier register knew him or her.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {
    /// Number, name, birth and citizenship.
    pub person: NewPerson,
    /// Marital status.
    pub civil_status: CivilStatus,
    /// Husband or wife, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spouse: Option<PersonalNumber>,
    /// Mother, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mother: Option<PersonalNumber>,
    /// Father, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub father: Option<PersonalNumber>,
    /// Registered address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Documents in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// Day of death.
    #[serde(
        with = "crate::days::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub died_on: Option<Date>,
}

/// A fact that a court states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// The right fact.
    pub fact: Fact,
    /// The day from which it holds: that of the wrong one.
    #[serde(with = "crate::days")]
    pub valid_from: Date,
}

/// What an officer enters: an event with what makes it an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// The day from which it holds in the world.
    #[serde(with = "crate::days")]
    pub effective: Date,
    /// Number of the act in its office, or of the court's decision.
    pub reference: String,
    /// Who entered it.
    pub officer: Officer,
}

/// An entry in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its place.
    pub id: ActId,
    /// When the register learnt of it.
    pub entered_at: OffsetDateTime,
    /// What it says.
    pub entry: Entry,
}

/// What an act states about one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) about: PersonalNumber,
    pub(crate) valid_from: Date,
    pub(crate) fact: Fact,
}

impl Event {
    /// The kinds of events that offices enter. An import takes people over, and people lock their number themselves.
    pub const OFFICES_ENTER: [&'static str; 20] = [
        "birth",
        "enrolment",
        "paternity",
        "marriage",
        "divorce",
        "nameChange",
        "adoption",
        "death",
        "correction",
        "reversal",
        "moved",
        "documentIssued",
        "documentVoided",
        "imageTaken",
        "citizenshipChange",
        "guardianship",
        "parentalRights",
        "protection",
        "merge",
        "distinct",
    ];

    /// A word for the kind of event, for lists and logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Birth { .. } => "birth",
            Self::Enrolment { .. } => "enrolment",
            Self::TakenOver { .. } => "takenOver",
            Self::Paternity { .. } => "paternity",
            Self::Marriage { .. } => "marriage",
            Self::Divorce { .. } => "divorce",
            Self::NameChange { .. } => "nameChange",
            Self::Adoption { .. } => "adoption",
            Self::Death { .. } => "death",
            Self::Correction { .. } => "correction",
            Self::Reversal { .. } => "reversal",
            Self::Moved { .. } => "moved",
            Self::DocumentIssued { .. } => "documentIssued",
            Self::DocumentVoided { .. } => "documentVoided",
            Self::ImageTaken { .. } => "imageTaken",
            Self::CitizenshipChange { .. } => "citizenshipChange",
            Self::Guardianship { .. } => "guardianship",
            Self::ParentalRights { .. } => "parentalRights",
            Self::Protection { .. } => "protection",
            Self::Lock { .. } => "lock",
            Self::Merge { .. } => "merge",
            Self::Distinct { .. } => "distinct",
        }
    }

    /// The people who get their number by this event.
    pub fn newcomers(&self) -> impl Iterator<Item = &NewPerson> {
        let (one, many): (Option<&NewPerson>, &[TakenOver]) = match self {
            Self::Birth { child, .. } => (Some(child), &[]),
            Self::Enrolment { person } => (Some(person), &[]),
            Self::TakenOver { people } => (None, people),
            _ => (None, &[]),
        };
        one.into_iter()
            .chain(many.iter().map(|taken| &taken.person))
    }
}

impl Entry {
    /// Everybody whose record this entry changes.
    #[must_use]
    pub fn people(&self) -> BTreeSet<PersonalNumber> {
        match &self.event {
            Event::Reversal { people, .. } => people.clone(),
            _ => self
                .statements()
                .into_iter()
                .map(|said| said.about)
                .collect(),
        }
    }

    /// What the entry states, person by person. This is the only place that knows what an event means for a record;
    /// it cannot fail, because nothing is entered that was not decided before.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        self.say_about(None)
    }

    /// The statements about one person, and perhaps some about others.
    pub(crate) fn statements_about(&self, person: PersonalNumber) -> Vec<Statement> {
        self.say_about(Some(person))
    }

    fn say_about(&self, wanted: Option<PersonalNumber>) -> Vec<Statement> {
        let mut said = Said {
            day: self.effective,
            statements: Vec::new(),
        };
        match &self.event {
            Event::Birth {
                child,
                mother,
                father,
            } => {
                said.newcomer(child, CivilStatus::Single);
                said.parents(child.number, [*mother, *father]);
            }
            Event::Enrolment { person } => said.newcomer(person, CivilStatus::Single),
            Event::TakenOver { people } => people
                .iter()
                .filter(|taken| wanted.is_none_or(|number| taken.concerns(number)))
                .for_each(|taken| said.taken_over(taken)),
            Event::Paternity {
                child,
                father,
                instead_of,
            } => said.new_parent(*child, Parent::Father, *instead_of, *father),
            Event::Marriage { spouses, names } => {
                let [one, other] = *spouses;
                said.partners(one, Some(other), CivilStatus::Married);
                said.partners(other, Some(one), CivilStatus::Married);
                said.names(spouses, names);
            }
            Event::Divorce { spouses, names } => {
                for spouse in spouses {
                    said.partners(*spouse, None, CivilStatus::Divorced);
                }
                said.names(spouses, names);
            }
            Event::NameChange { person, names } => said.say(*person, Fact::Names(names.clone())),
            Event::Adoption {
                child,
                mother,
                father,
                instead_of,
                names,
                birth_place,
                ..
            } => {
                said.adopted(*child, *instead_of, [*mother, *father]);
                if let Some(names) = names {
                    said.say(*child, Fact::Names(names.clone()));
                }
                if let Some(place) = birth_place {
                    said.say(*child, Fact::BirthPlace(place.clone()));
                }
            }
            Event::Death { person, widowed } => {
                said.say(*person, Fact::Dead);
                if let Some(widowed) = widowed {
                    said.say(*person, Fact::Spouse(None));
                    said.partners(*widowed, None, CivilStatus::Widowed);
                }
            }
            Event::Correction { person, facts, .. } => {
                for corrected in facts {
                    said.day = corrected.valid_from;
                    said.say(*person, corrected.fact.clone());
                }
            }
            Event::Reversal { .. } => {}
            Event::Moved {
                person,
                residence,
                address,
            } => said.say(*person, Fact::Residence(*residence, address.clone())),
            Event::DocumentIssued { person, document } => {
                said.say(*person, Fact::Document(document.clone()));
            }
            Event::DocumentVoided { person, document } => {
                said.say(*person, Fact::DocumentVoid(document.clone()));
            }
            Event::ImageTaken {
                person,
                kind,
                image,
            } => said.say(*person, Fact::Image(*kind, *image)),
            Event::CitizenshipChange {
                person,
                citizenship,
            } => said.say(*person, Fact::Citizenship(citizenship.clone())),
            Event::Guardianship {
                ward,
                guardian,
                appointed,
            } => {
                said.say(*ward, Fact::Guardian(*guardian, *appointed));
                said.say(*guardian, Fact::Ward(*ward, *appointed));
            }
            Event::ParentalRights {
                child,
                parent,
                rights,
            } => {
                said.say(*child, Fact::ParentalRights(*parent, *rights));
            }
            Event::Protection {
                person,
                kind,
                against,
                active,
            } => said.say(*person, Fact::Protection(*kind, *active, *against)),
            Event::Lock {
                person,
                purpose,
                state,
            } => said.say(*person, Fact::Lock(purpose.clone(), *state)),
            Event::Merge {
                kept,
                given_up,
                carried,
            } => {
                said.say(*given_up, Fact::MergedInto(*kept));
                said.say(*kept, Fact::Alias(*given_up));
                for (about, fact) in carried {
                    said.say(*about, fact.clone());
                }
            }
            Event::Distinct {
                numbers: [one, other],
            } => {
                said.say(*one, Fact::Distinct(*other));
                said.say(*other, Fact::Distinct(*one));
            }
        }
        said.statements
    }
}

impl TakenOver {
    fn concerns(&self, number: PersonalNumber) -> bool {
        self.person.number == number || [self.mother, self.father].contains(&Some(number))
    }
}

/// Statements under way.
struct Said {
    day: Date,
    statements: Vec<Statement>,
}

impl Said {
    fn say(&mut self, about: PersonalNumber, fact: Fact) {
        self.statements.push(Statement {
            about,
            valid_from: self.day,
            fact,
        });
    }

    fn newcomer(&mut self, person: &NewPerson, status: CivilStatus) {
        let number = person.number;
        let told = self.day;
        // Who is entered as an adult was born and named before that.
        self.day = person.born_on;
        self.say(number, Fact::Lives);
        self.say(number, Fact::Names(person.names.clone()));
        self.say(number, Fact::Sex(person.sex));
        self.say(number, Fact::BornOn(person.born_on));
        self.say(number, Fact::BirthPlace(person.birth_place.clone()));
        self.day = told;
        self.say(number, Fact::Citizenship(person.citizenship.clone()));
        self.say(number, Fact::CivilStatus(status));
    }

    fn parents(&mut self, child: PersonalNumber, parents: [Option<PersonalNumber>; 2]) {
        for (place, parent) in [Parent::Mother, Parent::Father].into_iter().zip(parents) {
            self.new_parent(child, place, None, parent);
        }
    }

    fn new_parent(
        &mut self,
        child: PersonalNumber,
        place: Parent,
        before: Option<PersonalNumber>,
        after: Option<PersonalNumber>,
    ) {
        self.say(child, Fact::Parent(place, after));
        if let Some(before) = before {
            self.say(before, Fact::Child(child, false));
        }
        if let Some(after) = after {
            self.say(after, Fact::Child(child, true));
        }
    }

    fn adopted(
        &mut self,
        child: PersonalNumber,
        before: [Option<PersonalNumber>; 2],
        after: [Option<PersonalNumber>; 2],
    ) {
        for place in [Parent::Mother, Parent::Father] {
            let at = usize::from(place == Parent::Father);
            self.say(child, Fact::Parent(place, after[at]));
        }
        for parent in before.into_iter().flatten() {
            if !after.contains(&Some(parent)) {
                self.say(parent, Fact::Child(child, false));
            }
        }
        for parent in after.into_iter().flatten() {
            if !before.contains(&Some(parent)) {
                self.say(parent, Fact::Child(child, true));
            }
        }
    }

    fn partners(
        &mut self,
        person: PersonalNumber,
        spouse: Option<PersonalNumber>,
        status: CivilStatus,
    ) {
        self.say(person, Fact::CivilStatus(status));
        self.say(person, Fact::Spouse(spouse));
    }

    fn names(&mut self, people: &[PersonalNumber; 2], names: &[Option<Names>; 2]) {
        for (person, names) in people.iter().zip(names) {
            if let Some(names) = names {
                self.say(*person, Fact::Names(names.clone()));
            }
        }
    }

    fn taken_over(&mut self, taken: &TakenOver) {
        let number = taken.person.number;
        self.newcomer(&taken.person, taken.civil_status);
        if taken.spouse.is_some() {
            self.say(number, Fact::Spouse(taken.spouse));
        }
        self.parents(number, [taken.mother, taken.father]);
        if let Some(address) = &taken.address {
            let fact = Fact::Residence(Residence::Registered, Some(address.clone()));
            self.say(number, fact);
        }
        for document in &taken.documents {
            self.say(number, Fact::Document(document.clone()));
        }
        if let Some(day) = taken.died_on {
            let told = std::mem::replace(&mut self.day, day);
            self.say(number, Fact::Dead);
            self.day = told;
        }
    }
}
