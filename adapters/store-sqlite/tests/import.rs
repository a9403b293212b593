//! A dirty source is taken over: every row is accounted for, nobody comes twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use id_import::{Alike, Reconciliation, import};
use id_import::{Finding, ImportError, Layout, Likeness, Origin, Place, Plan, Profile, Survey};
use id_registry::demonstration::{DirtySource, Planted, territory};
use id_registry::*;
use store_sqlite::SqliteRegister;
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

const TODAY: Date = date!(2026 - 11 - 25);
const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);
const HEADER: &str = "number,sex,birth_date,family_name,given_name,citizenship,civil_status,spouse,mother,father,death_date\n";

struct Source {
    text: String,
    layout: Layout,
}

struct Read {
    profile: Profile,
    alike: Vec<Alike>,
    plan: Plan,
    findings: Vec<Finding>,
}

impl Source {
    fn new(text: String) -> Self {
        let header = text.lines().next().unwrap();
        let layout = Layout::of_header(header.as_bytes()).unwrap();
        Self { text, layout }
    }

    fn of(rows: &[&str]) -> Self {
        Self::new(HEADER.to_owned() + &rows.join("\n"))
    }

    fn read(&self) -> Read {
        let territory = territory();
        let mut survey = Survey::new(self.layout.clone(), rules(&territory), TODAY);
        let mut findings = Vec::new();
        let mut offset = self.text.lines().next().unwrap().len() + 1;
        for line in self.text.lines().skip(1) {
            let place = Place {
                offset: offset as u64,
                length: u32::try_from(line.len()).unwrap(),
            };
            survey.read(place, line.as_bytes(), &mut |finding| {
                findings.push(finding)
            });
            offset += line.len() + 1;
        }
        let (profile, alike, plan) = survey.finish(&mut |finding| findings.push(finding));
        Read {
            profile,
            alike,
            plan,
            findings,
        }
    }

    /// Imports; stops after so many transactions, as if the program were killed.
    fn import(
        &self,
        register: &dyn Register,
        most: usize,
    ) -> (Option<Reconciliation>, Vec<Finding>) {
        let Read {
            plan, mut findings, ..
        } = self.read();
        let territory = territory();
        let mut told = 0;
        let mut reads = 0;
        let origin = Origin {
            officer: Officer {
                office: "registry".into(),
                name: "7".into(),
            },
            reference: "old register".into(),
            effective: date!(2026 - 11 - 01),
            at: NOW,
        };
        let told_now = std::cell::Cell::new(0);
        let done = import(
            plan,
            register,
            rules(&territory),
            &origin,
            &mut |place: Place| {
                reads += 1;
                let from = usize::try_from(place.offset).unwrap();
                if told_now.get() >= most {
                    return Err("killed");
                }
                Ok(self.text.as_bytes()[from..from + place.length as usize].to_vec())
            },
            &mut |finding| findings.push(finding),
            &mut |_| {
                told += 1;
                told_now.set(told);
            },
        );
        match done {
            Ok(count) => (Some(count), findings),
            Err(ImportError::Source("killed")) => (None, findings),
            Err(error) => panic!("{error}"),
        }
    }
}

fn rules(territory: &Territory) -> Rules<'_> {
    Rules {
        numbers: &OpaqueSerial,
        territory,
        cooling_off: Duration::DAY,
    }
}

fn register() -> (tempfile::TempDir, SqliteRegister) {
    let folder = tempfile::tempdir().unwrap();
    let register = SqliteRegister::open(&folder.path().join("register.sqlite")).unwrap();
    (folder, register)
}

fn dirty(people: u32) -> (Source, Planted) {
    let source = DirtySource::new(7, people);
    let (mut text, mut planted) = (DirtySource::HEADER.to_owned(), Planted::default());
    for household in 0..source.households() {
        source.write_household(household, &mut text, &mut planted);
    }
    (Source::new(text), planted)
}

fn codes(findings: &[Finding], keeps_out: bool) -> BTreeMap<&'static str, u64> {
    let mut codes = BTreeMap::new();
    for finding in findings.iter().filter(|one| one.keeps_out == keeps_out) {
        *codes.entry(finding.reason.code()).or_default() += 1;
    }
    codes
}

#[test]
fn every_fault_is_found_and_every_row_accounted_for() {
    let (source, planted) = dirty(12_000);
    let read = source.read();
    let kept_out = codes(&read.findings, true);
    assert_eq!(kept_out["not_a_number"], planted.short_number);
    assert_eq!(kept_out["sex_contradicts_number"], planted.sex_contradicts);
    assert_eq!(
        kept_out["birth_contradicts_number"],
        planted.birth_contradicts
    );
    assert_eq!(kept_out["not_a_name"], planted.mixed_script);
    assert_eq!(kept_out["empty"], planted.no_given_name);
    assert_eq!(kept_out["not_a_citizenship"], planted.citizenship_in_words);
    assert_eq!(kept_out["not_a_row"], planted.broken);
    assert_eq!(kept_out["number_of_another_row"], 2 * planted.number_taken);
    let left_out = codes(&read.findings, false);
    assert_eq!(left_out["unknown_unit"], planted.unknown_unit);
    assert_eq!(left_out["incomplete"], planted.no_house);
    let contradictions = &read.profile.contradictions;
    assert_eq!(contradictions.rows_repeated, planted.repeated);
    assert_eq!(
        contradictions.rows_sharing_a_number,
        2 * planted.number_taken
    );
    assert!(
        planted.double_in_russian > 0 && planted.double_with_slip > 0,
        "{planted:?}"
    );
    assert!(
        contradictions.pairs_same_name + contradictions.pairs_same_name_across_scripts
            >= planted.double_in_russian
    );
    assert!(contradictions.pairs_alike_name >= planted.double_with_slip);
    assert_eq!(
        read.profile.columns["number"].filled,
        planted.rows - planted.broken
    );

    let (_folder, register) = register();
    let (count, _) = source.import(&register, usize::MAX);
    let count = count.unwrap();
    assert!(count.is_complete(), "{count:?}");
    assert_eq!(
        (count.rows, count.quarantined),
        (planted.rows, planted.kept_out())
    );
    assert_eq!((count.repeated, count.already_there), (planted.repeated, 0));
    let last = register.last_act().unwrap();

    // Again: nobody comes twice, and nothing is written.
    let (again, _) = source.import(&register, usize::MAX);
    let again = again.unwrap();
    assert_eq!((again.imported, again.already_there), (0, count.imported));
    assert!(again.is_complete());
    assert_eq!(register.last_act().unwrap(), last);

    // A family is there as the source has it.
    let source = DirtySource::new(7, 12_000);
    let family = (0..3000)
        .find_map(|household| {
            let number = |place: u32| source.number(household * 4 + place);
            let record = |place: u32| register.record(number(place)).unwrap();
            let father = record(0)?;
            (father.spouse() == Some(number(1)) && father.children().len() == 2).then_some((
                father,
                record(1)?,
                record(2)?,
            ))
        })
        .unwrap();
    let (father, mother, child) = family;
    assert_eq!(mother.spouse(), Some(father.number()));
    assert_eq!(child.parent(Parent::Mother), Some(mother.number()));
    assert_eq!(father.acts()[0].reference.split(' ').next(), Some("old"));
    let names = father.names().unwrap();
    let query = NameQuery::new(&names.family.latin, &names.given.latin).unwrap();
    let hits = register.search(&query, 100).unwrap();
    assert!(hits.iter().any(|hit| hit.number == father.number()));
}

#[test]
fn an_import_that_was_stopped_goes_on_where_it_was() {
    let (source, _) = dirty(16_000);
    let (_folder, whole) = register();
    let (expected, _) = source.import(&whole, usize::MAX);
    let expected = expected.unwrap();
    let (_other, register) = register();
    assert_eq!(source.import(&register, 1).0, None);
    let before = register.last_act().unwrap();
    assert!(before > ActId(0) && before < whole.last_act().unwrap());
    let (rest, _) = source.import(&register, usize::MAX);
    let rest = rest.unwrap();
    assert!(
        rest.is_complete() && rest.already_there > 0 && rest.imported > 0,
        "{rest:?}"
    );
    assert_eq!(rest.imported + rest.already_there, expected.imported);
    assert_eq!(register.last_act().unwrap(), whole.last_act().unwrap());
}

#[test]
fn relations_come_in_where_both_sides_agree() {
    let (_folder, register) = register();
    let source = Source::of(&[
        // The child stands before its parents.
        "20503201000003,M,05.03.2010,Касымов,Эмил,KGZ,,,11505198500001,20107198300002,",
        "11505198500001,F,1985-05-15,Асанова,Айгүл,KGZ,married,20107198300002,,,",
        "20107198300002,M,1983-07-01,Касымов,Нурлан,KGZ,married,11505198500001,,,",
        // Says that he is married to somebody who says otherwise.
        "20202198000004,M,1980-02-02,Алиев,Улан,KGZ,married,11505198500001,,,",
        // A mother who is a man, a father who is too young, a death that cannot be.
        "10101200000005,F,2000-01-01,Алиева,Бермет,KGZ,single,,20202198000004,20503201000003,",
        "10101200000006,F,2000-01-01,Алиева,Динара,KGZ,single,,,,1999-01-01",
        // A father whom nobody knows.
        "10101200000007,F,2000-01-01,Исакова,Жибек,XXA,single,,,20909196000009,",
    ]);
    let (count, findings) = source.import(&register, usize::MAX);
    let count = count.unwrap();
    assert!(count.is_complete());
    assert_eq!(
        (count.imported, count.quarantined, count.imported_incomplete),
        (6, 1, 3)
    );
    let told: Vec<(u64, &str, bool)> = findings
        .iter()
        .map(|one| (one.row, one.reason.code(), one.keeps_out))
        .collect();
    for expected in [
        (4, "relation_one_sided", false),
        (5, "parent_of_other_sex", false),
        (5, "parent_too_young", false),
        (6, "dates_in_wrong_order", true),
        (7, "relative_not_there", false),
    ] {
        assert!(told.contains(&expected), "{expected:?}: {told:?}");
    }
    assert_eq!(told.len(), 5, "{told:?}");
    let record = |number: &str| register.record(number.parse().unwrap()).unwrap();
    let child = record("20503201000003").unwrap();
    assert_eq!(
        child.parent(Parent::Mother),
        Some("11505198500001".parse().unwrap())
    );
    assert_eq!(record("20202198000004").unwrap().spouse(), None);
    assert_eq!(record("10101200000006"), None);

    // What the register has from elsewhere, or otherwise, is not overwritten.
    let changed = Source::of(&[
        "11505198500001,F,1985-05-15,Асанова,Айжан,KGZ,married,20107198300002,,,",
        "20202198000004,M,1980-02-02,Алиев,Улан,KGZ,married,11505198500001,,,",
    ]);
    let (count, findings) = changed.import(&register, usize::MAX);
    let count = count.unwrap();
    assert!(count.is_complete());
    assert_eq!(
        (count.imported, count.already_there, count.quarantined),
        (0, 1, 1)
    );
    assert!(
        findings
            .iter()
            .any(|one| one.reason.code() == "differs_from_register")
    );
}

#[test]
fn a_family_in_a_circle_comes_in_without_what_closes_it() {
    // She is the daughter of her husband's grandchild by his first marriage.
    let source = Source::of(&[
        "20101193000001,M,1930-01-01,Биров,Асан,KGZ,married,10101199500004,,,",
        "20101195500002,M,1955-01-01,Биров,Үсөн,KGZ,married,10101195500003,,20101193000001,",
        "10101195500003,F,1955-01-01,Бирова,Умут,KGZ,married,20101195500002,,,",
        "10101199500004,F,1995-01-01,Бирова,Асель,KGZ,married,20101193000001,10101195500003,,",
    ]);
    let (_folder, register) = register();
    let (count, findings) = source.import(&register, usize::MAX);
    let count = count.unwrap();
    assert_eq!((count.imported, count.quarantined), (4, 0));
    assert!(count.is_complete());
    let circles = findings
        .iter()
        .filter(|one| one.reason.code() == "family_in_a_circle");
    assert_eq!(circles.count(), 1);
}

#[test]
fn doubles_are_found_across_scripts_and_slips() {
    let source = Source::of(&[
        "20512198500001,M,1985-12-05,Жээнбеков,Чыңгыз,KGZ,,,,,",
        "20512198500002,M,1985-12-05,Женбеков,Чингиз,KGZ,,,,,",
        "20512198500003,M,1985-12-05,Жээнбеков,чыңгыз,KGZ,,,,,",
        "21205198500004,M,1985-05-12,Жээнбеков,Чыңгыз,KGZ,,,,,",
        "20512198500005,M,1985-12-05,Жаныбекво,Улан,KGZ,,,,,",
        "20512198500006,M,1985-12-05,Жаныбеков,Улан,KGZ,,,,,",
        "20512198600007,M,1986-12-05,Жаныбеков,Улан,KGZ,,,,,",
    ]);
    let read = source.read();
    let found: Vec<([u64; 2], Likeness)> = read
        .alike
        .iter()
        .map(|one| (one.rows, one.likeness))
        .collect();
    for expected in [
        ([1, 2], Likeness::SameNameAcrossScripts),
        ([1, 3], Likeness::SameName),
        ([2, 3], Likeness::SameNameAcrossScripts),
        ([1, 4], Likeness::BirthdaySwapped),
        ([5, 6], Likeness::AlikeName),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
    assert!(
        found.iter().all(|(rows, _)| !rows.contains(&7)),
        "{found:?}"
    );
}

#[test]
fn a_register_may_be_in_use_already() {
    let (_folder, register) = register();
    let population = Population::new(1, 4).unwrap();
    let territory = territory();
    let entry = population.household_entry(0).unwrap();
    let decided = decide(entry, NOW, rules(&territory), &register).unwrap();
    register.enter(&decided).unwrap();
    let known = population.person(0).unwrap();
    let row = format!(
        "{},M,{},{},{},KGZ,single,,,,",
        known.number, known.born_on, known.family_name.cyrillic, known.given_name.cyrillic
    );
    let child = format!(
        "20503202500003,M,2025-03-05,Касымов,Эмил,KGZ,,,,{},",
        known.number
    );
    let source = Source::of(&[&row, &child]);
    let (count, findings) = source.import(&register, usize::MAX);
    let count = count.unwrap();
    assert_eq!((count.imported, count.quarantined), (1, 1));
    assert!(
        findings
            .iter()
            .any(|one| one.reason.code() == "number_issued_otherwise")
    );
}
