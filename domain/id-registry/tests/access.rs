//! Who sees what about whom.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Memory, address, names, newcomer};
use id_registry::*;
use time::Date;
use time::macros::date;

const DAY: Date = date!(2020 - 06 - 01);
const FOURTEEN: Date = date!(2028 - 03 - 10);
const OF_AGE: Date = date!(2032 - 03 - 10);

struct Family {
    memory: Memory,
    mother: PersonalNumber,
    father: PersonalNumber,
    child: PersonalNumber,
}

fn family() -> Family {
    let mut memory = Memory::new();
    let mother = memory.adult("11505198500001", "Асанова", "Айгүл");
    let father = memory.adult("20107198300002", "Касымов", "Нурлан");
    let born = newcomer("21003201400003", "Касымов", "Эмил");
    let (child, day) = (born.number, born.born_on);
    memory.must(
        Event::Birth {
            child: born,
            mother: Some(mother),
            father: Some(father),
        },
        day,
    );
    for person in [mother, father, child] {
        let home = Some(address("KG-GB-01-01", "7"));
        memory.must(
            Event::Moved {
                person,
                residence: Residence::Registered,
                address: home,
            },
            day,
        );
    }
    Family {
        memory,
        mother,
        father,
        child,
    }
}

const ALL: [Detail; 15] = [
    Detail::Names,
    Detail::Sex,
    Detail::BornOn,
    Detail::BirthPlace,
    Detail::Citizenship,
    Detail::CivilStatus,
    Detail::Relations,
    Detail::Address,
    Detail::ActualAddress,
    Detail::Documents,
    Detail::Portrait,
    Detail::SignatureImage,
    Detail::Death,
    Detail::History,
    Detail::LookUps,
];

impl Family {
    fn shown(&self, viewer: PersonalNumber, subject: PersonalNumber, day: Date) -> Vec<Detail> {
        let viewer = Viewer::Person(self.memory.of(viewer));
        let view = View::of(viewer, self.memory.of(subject), day).map(|view| self.whole(view));
        ALL.into_iter()
            .filter(|detail| view.is_some_and(|view| view.shows(*detail)))
            .collect()
    }

    fn whole<'a>(&self, view: View<'a>) -> View<'a> {
        view.with_family(|number| self.memory.record(number))
            .unwrap()
    }

    fn of_client<'a>(&'a self, grant: &'a Grant, subject: PersonalNumber) -> Option<View<'a>> {
        let view = View::of(Viewer::Client(grant), self.memory.of(subject), DAY);
        view.map(|view| self.whole(view))
    }

    fn relatives(
        &self,
        viewer: Viewer<'_>,
        subject: PersonalNumber,
    ) -> Vec<(Relation, PersonalNumber)> {
        let view = View::of(viewer, self.memory.of(subject), DAY).unwrap();
        let all = view.relations(|number| self.memory.record(number)).unwrap();
        all.into_iter()
            .map(|(relation, record)| (relation, record.number()))
            .collect()
    }

    fn protect(
        &mut self,
        person: PersonalNumber,
        kind: ProtectionKind,
        against: Option<PersonalNumber>,
    ) {
        self.memory.must(
            Event::Protection {
                person,
                kind,
                against,
                active: true,
            },
            DAY,
        );
    }
}

fn everything() -> Grant {
    Grant {
        details: ALL.into(),
        ..Grant::default()
    }
}

#[test]
fn a_client_sees_what_it_was_granted_and_nothing_else() {
    let family = family();
    let grant = Grant {
        details: [Detail::Names].into(),
        ..Grant::default()
    };
    let view = family.of_client(&grant, family.child).unwrap();
    assert!(view.names().is_some());
    assert_eq!(
        (
            view.born_on(),
            view.sex(),
            view.address(Residence::Registered)
        ),
        (None, None, None)
    );
    assert!(
        view.relations(|number| family.memory.record(number))
            .unwrap()
            .is_empty()
    );
    assert!(
        view.acts().is_empty()
            && view.history(Field::Names).is_empty()
            && view.documents().is_empty()
    );
    let nothing = Grant::default();
    let view = family.of_client(&nothing, family.child).unwrap();
    assert!(ALL.into_iter().all(|detail| !view.shows(detail)));
}

#[test]
fn parents_see_by_theme_until_the_child_is_of_age() {
    let family = family();
    for parent in [family.mother, family.father] {
        assert_eq!(family.shown(parent, family.child, DAY), ALL);
        let from_fourteen = family.shown(parent, family.child, FOURTEEN);
        assert!(
            !from_fourteen.contains(&Detail::LookUps) && !from_fourteen.contains(&Detail::History)
        );
        assert!(from_fourteen.contains(&Detail::Names) && from_fourteen.contains(&Detail::Address));
        assert!(family.shown(parent, family.child, OF_AGE).is_empty());
    }
    assert!(family.shown(family.child, family.mother, DAY).is_empty());
    assert!(family.shown(family.mother, family.father, DAY).is_empty());
    assert_eq!(family.shown(family.child, family.child, FOURTEEN), ALL);
    let (mother, child) = (
        family.memory.of(family.mother),
        family.memory.of(family.child),
    );
    for theme in [Theme::Education, Theme::Health, Theme::Benefits] {
        assert!(may_act(mother, child, theme, FOURTEEN));
    }
    assert!(may_act(mother, child, Theme::Confidential, DAY));
    assert!(!may_act(mother, child, Theme::Confidential, FOURTEEN));
}

#[test]
fn a_parent_who_lost_rights_sees_nothing_from_the_act_on() {
    let mut family = family();
    let (father, child) = (family.father, family.child);
    for rights in [ParentalRights::Limited, ParentalRights::Lost] {
        family.memory.must(
            Event::ParentalRights {
                child,
                parent: father,
                rights,
            },
            DAY,
        );
        assert!(family.shown(father, child, DAY).is_empty());
        assert!(
            family
                .relatives(Viewer::Person(family.memory.of(father)), father)
                .is_empty()
        );
        assert_eq!(family.shown(family.mother, child, DAY), ALL);
    }
    // That he is the father is still true, and told to who may know.
    let grant = everything();
    assert_eq!(
        family.relatives(Viewer::Client(&grant), father),
        [(Relation::Child, child)]
    );
    family.memory.must(
        Event::ParentalRights {
            child,
            parent: father,
            rights: ParentalRights::Full,
        },
        DAY,
    );
    assert_eq!(family.shown(father, child, DAY), ALL);
}

#[test]
fn a_guardian_acts_like_a_parent() {
    let mut family = family();
    let guardian = family.memory.adult("10101197000001", "Усенова", "Бермет");
    let appointed = |appointed| Event::Guardianship {
        ward: family.child,
        guardian,
        appointed,
    };
    let (yes, no) = (appointed(true), appointed(false));
    family.memory.must(yes, DAY);
    assert_eq!(family.shown(guardian, family.child, DAY), ALL);
    // Who cared for a child has no right over the adult, also if nobody entered the end.
    assert!(family.shown(guardian, family.child, OF_AGE).is_empty());
    family.memory.must(no, DAY);
    assert!(family.shown(guardian, family.child, DAY).is_empty());
}

#[test]
fn a_guardian_who_was_appointed_for_an_adult_acts_until_the_court_ends_it() {
    let mut family = family();
    let ward = family.mother;
    let guardian = family.memory.adult("10101197000001", "Усенова", "Бермет");
    let acts = |family: &Family, theme| {
        let of = |number| family.memory.of(number);
        may_act(of(guardian), of(ward), theme, DAY)
    };
    assert!(!acts(&family, Theme::Benefits));
    for (appointed, expected) in [(true, true), (false, false)] {
        family.memory.must(
            Event::Guardianship {
                ward,
                guardian,
                appointed,
            },
            DAY,
        );
        for theme in [Theme::Education, Theme::Health, Theme::Benefits] {
            assert_eq!(acts(&family, theme), expected);
        }
        // Confidential matters stay the person's own, and a ward has no right over the guardian.
        assert!(!acts(&family, Theme::Confidential));
        assert!(family.shown(ward, guardian, DAY).is_empty());
    }
    // Nor has a guardian whom a merge of double numbers carried over: an office appoints anew.
    let other = family.memory.adult("10101197000009", "Усенова", "Бермет");
    family.memory.must(
        Event::Guardianship {
            ward,
            guardian: other,
            appointed: true,
        },
        DAY,
    );
    family.memory.must(
        Event::Merge {
            kept: guardian,
            given_up: other,
            carried: Vec::new(),
        },
        DAY,
    );
    assert!(family.memory.of(ward).guardians().contains(&guardian));
    assert!(!acts(&family, Theme::Benefits));
}

#[test]
fn hidden_whereabouts_hold_in_every_channel() {
    let mut family = family();
    let (mother, child) = (family.mother, family.child);
    family.protect(child, ProtectionKind::HiddenWhereabouts, None);
    let grant = everything();
    let view = family.of_client(&grant, child).unwrap();
    for detail in [
        Detail::Address,
        Detail::ActualAddress,
        Detail::LookUps,
        Detail::History,
    ] {
        assert!(!view.shows(detail), "{detail:?}");
        assert!(
            !family.shown(mother, child, DAY).contains(&detail),
            "{detail:?}"
        );
    }
    assert!(view.names().is_some() && view.address(Residence::Registered).is_none());
    let police = Grant {
        protected: true,
        ..everything()
    };
    assert!(
        family
            .of_client(&police, child)
            .unwrap()
            .address(Residence::Registered)
            .is_some()
    );
    assert_eq!(family.shown(child, child, FOURTEEN), ALL);
}

#[test]
fn the_one_whom_a_victim_is_protected_from_learns_nothing() {
    let mut family = family();
    let (father, mother, child) = (family.father, family.mother, family.child);
    family.protect(child, ProtectionKind::Violence, Some(father));
    assert!(family.shown(father, child, DAY).is_empty());
    assert!(
        family
            .relatives(Viewer::Person(family.memory.of(father)), father)
            .is_empty()
    );
    assert!(family.shown(mother, child, DAY).contains(&Detail::Names));
    // Another number does not help him.
    let double = family.memory.adult("20107198300099", "Касымов", "Нурлан");
    family.memory.must(
        Event::Merge {
            kept: double,
            given_up: father,
            carried: vec![],
        },
        DAY,
    );
    assert!(family.shown(double, child, DAY).is_empty());
}

#[test]
fn a_witness_is_nobody() {
    let mut family = family();
    let (mother, father, child) = (family.mother, family.father, family.child);
    family.protect(mother, ProtectionKind::Witness, None);
    let grant = everything();
    assert!(family.of_client(&grant, mother).is_none());
    assert_eq!(
        family.relatives(Viewer::Client(&grant), child),
        [(Relation::Father, father)]
    );
    assert!(family.shown(father, mother, DAY).is_empty());
    let court = Grant {
        protected: true,
        ..everything()
    };
    assert!(family.of_client(&court, mother).unwrap().names().is_some());
    assert_eq!(family.shown(mother, mother, DAY), ALL);
}

#[test]
fn secrecy_of_adoption_holds_on_every_record() {
    let mut family = family();
    let (mother, father, child) = (family.mother, family.father, family.child);
    let adopter = family.memory.adult("11202198000001", "Бакирова", "Чолпон");
    let event = Event::Adoption {
        child,
        mother: Some(adopter),
        father: None,
        instead_of: [None, None],
        names: Some(names("Бакиров", "Арстан")),
        birth_place: None,
        secret: true,
    };
    family.memory.must(event, DAY);
    let (grant, court) = (
        everything(),
        Grant {
            adoption_secrets: true,
            ..everything()
        },
    );
    let history = |grant: &Grant, subject, field: Field<'_>| {
        family
            .of_client(grant, subject)
            .unwrap()
            .history(field)
            .len()
    };
    assert_eq!(history(&grant, child, Field::Names), 1);
    assert_eq!(history(&court, child, Field::Names), 2);
    assert_eq!(history(&grant, child, Field::Parent(Parent::Mother)), 1);
    assert_eq!(history(&court, child, Field::Parent(Parent::Mother)), 2);
    for subject in [mother, father] {
        assert_eq!(history(&grant, subject, Field::Child(child)), 0);
        assert_eq!(history(&court, subject, Field::Child(child)), 2);
        assert!(family.relatives(Viewer::Client(&court), subject).is_empty());
        let kinds: Vec<&str> = family
            .of_client(&grant, subject)
            .unwrap()
            .acts()
            .iter()
            .map(|act| act.kind)
            .collect();
        assert_eq!(kinds, ["enrolment", "moved"]);
        assert!(family.shown(subject, child, DAY).is_empty());
    }
    // Neither the child nor the adopter is told by the register.
    let own = View::of(
        Viewer::Person(family.memory.of(child)),
        family.memory.of(child),
        DAY,
    )
    .unwrap();
    assert_eq!(own.history(Field::Names).len(), 1);
    assert!(own.acts().iter().all(|act| act.kind != "adoption"));
    assert_eq!(
        family.relatives(Viewer::Client(&grant), adopter),
        [(Relation::Child, child)]
    );
}

/// Where a child lives, there its mother hides: whoever must not learn the one does not learn the other.
#[test]
fn a_childs_whereabouts_are_hidden_while_a_parent_is_protected() {
    let mut family = family();
    let (mother, father, child) = (family.mother, family.father, family.child);
    let whereabouts = [
        Detail::Address,
        Detail::ActualAddress,
        Detail::History,
        Detail::LookUps,
    ];
    let grant = everything();
    let seen = |family: &Family, viewer| {
        let shown = family.shown(viewer, child, DAY);
        whereabouts.map(|detail| shown.contains(&detail))
    };
    let bare = View::of(Viewer::Client(&grant), family.memory.of(child), DAY).unwrap();
    assert!(
        !bare.shows(Detail::Address),
        "nothing before the family was looked at"
    );
    for kind in [
        ProtectionKind::HiddenWhereabouts,
        ProtectionKind::Violence,
        ProtectionKind::Witness,
    ] {
        let against = (kind == ProtectionKind::Violence).then_some(father);
        family.protect(mother, kind, against);
        assert_eq!(seen(&family, father), [false; 4], "{kind:?}");
        assert_eq!(seen(&family, mother), [true; 4], "{kind:?}");
        assert!(family.shown(father, child, DAY).contains(&Detail::Names));
        let view = family.of_client(&grant, child).unwrap();
        assert!(view.names().is_some());
        assert_eq!(whereabouts.map(|detail| view.shows(detail)), [false; 4]);
        let court = Grant {
            protected: true,
            ..everything()
        };
        let view = family.of_client(&court, child).unwrap();
        assert!(view.address(Residence::Registered).is_some());
        let ended = Event::Protection {
            person: mother,
            kind,
            against,
            active: false,
        };
        family.memory.must(ended, DAY);
        assert_eq!(seen(&family, father), [true; 4], "{kind:?}");
    }
    // Of a parent without rights, or somebody who is of age, it tells nothing.
    family.protect(father, ProtectionKind::HiddenWhereabouts, None);
    assert_eq!(seen(&family, mother), [false; 4]);
    let lost = Event::ParentalRights {
        child,
        parent: father,
        rights: ParentalRights::Lost,
    };
    family.memory.must(lost, DAY);
    assert_eq!(seen(&family, mother), [true; 4]);
    family.protect(mother, ProtectionKind::Witness, None);
    let grown = View::of(Viewer::Client(&grant), family.memory.of(child), OF_AGE);
    assert!(grown.unwrap().shows(Detail::Address));
}

/// The certificate of birth of before is as secret as the name on it.
#[test]
fn a_secret_adoption_covers_the_birth_certificate_of_before() {
    let mut family = family();
    let child = family.child;
    let paper = |number: &str, kind| Document {
        kind,
        number: number.to_owned(),
        issued_on: DAY,
        expires_on: None,
        authority: "ZAGS".to_owned(),
    };
    for (number, kind) in [
        ("KGZ-1", DocumentKind::BirthCertificate),
        ("KGZ-2", DocumentKind::Passport),
    ] {
        let document = paper(number, kind);
        let event = Event::DocumentIssued {
            person: child,
            document,
        };
        family.memory.must(event, DAY);
    }
    let adopter = family.memory.adult("11202198000001", "Бакирова", "Чолпон");
    let adoption = Event::Adoption {
        child,
        mother: Some(adopter),
        father: None,
        instead_of: [None, None],
        names: Some(names("Бакиров", "Арстан")),
        birth_place: None,
        secret: true,
    };
    let adoption = family.memory.must(adoption, DAY);
    let numbers = |family: &Family| -> Vec<String> {
        let grant = everything();
        let view = family.of_client(&grant, child).unwrap();
        let all = view.documents();
        all.iter().map(|paper| paper.number.clone()).collect()
    };
    assert_eq!(numbers(&family), ["KGZ-2"]);
    let reversal = Event::Reversal {
        act: adoption,
        people: [].into(),
    };
    family.memory.must(reversal, DAY);
    assert_eq!(numbers(&family), ["KGZ-1", "KGZ-2"]);
}

#[test]
fn a_mandate_ends_with_a_death_and_with_a_protection() {
    let mut family = family();
    let (mother, father) = (family.mother, family.father);
    let may = |family: &Family, holder, giver| {
        may_hold_mandate(family.memory.of(holder), family.memory.of(giver))
    };
    assert!(may(&family, father, mother) && may(&family, mother, father));
    family.protect(mother, ProtectionKind::Violence, Some(father));
    assert!(!may(&family, father, mother));
    assert!(
        may(&family, mother, father),
        "she may know of him, and act for him"
    );
    let death = Event::Death {
        person: father,
        widowed: None,
    };
    family.memory.must(death, DAY);
    assert!(!may(&family, mother, father) && !may(&family, father, mother));
}
