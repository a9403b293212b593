//! Two numbers of one person.

use super::{Checked, Desk, Records, Refusal};
use crate::act::Event;
use crate::fact::{Fact, Field, LockState};
use crate::image::ImageKind;
use crate::number::PersonalNumber;
use crate::person::{CivilStatus, Parent, Residence};
use crate::record::Record;

impl<R: Records + ?Sized> Desk<'_, R> {
    /// Works out what passes from the number that is given up to the one that stays. Where the two records contradict
    /// each other, an act about one of them must put it right first.
    pub(super) fn merge(
        &mut self,
        kept: PersonalNumber,
        given_up: PersonalNumber,
    ) -> Checked<Event, R> {
        self.apart(kept, given_up)?;
        let stays = self.held(kept)?;
        let goes = self.held(given_up)?;
        if stays.is_distinct_from(given_up) {
            let what = "an officer found them to be two people";
            return Err(Refusal::Contradiction(kept, given_up, what).into());
        }
        if stays.is_alive() != goes.is_alive() {
            return Err(Refusal::Contradiction(kept, given_up, "life and death").into());
        }
        let mut carried = Vec::new();
        self.carry_marriage(&stays, &goes, &mut carried)?;
        for place in [Parent::Mother, Parent::Father] {
            match (stays.parent(place), goes.parent(place)) {
                (Some(one), Some(other)) if one != other => {
                    return Err(Refusal::Contradiction(kept, given_up, "parents").into());
                }
                (None, Some(parent)) => {
                    self.apart(kept, parent)?;
                    self.read(parent)?;
                    carried.push((kept, Fact::Parent(place, Some(parent))));
                    carried.push((parent, Fact::Child(kept, true)));
                    carried.push((parent, Fact::Child(given_up, false)));
                }
                (_, Some(parent)) => {
                    self.read(parent)?;
                    carried.push((parent, Fact::Child(given_up, false)));
                }
                _ => {}
            }
        }
        for child in goes.children() {
            self.apart(kept, child)?;
            let record = self.read(child)?.ok_or(Refusal::Unknown(child))?;
            for place in [Parent::Mother, Parent::Father] {
                if record.parent(place) == Some(given_up) {
                    carried.push((child, Fact::Parent(place, Some(kept))));
                }
            }
            let rights = record.rights_of(given_up);
            if rights != record.rights_of(kept) {
                carried.push((child, Fact::ParentalRights(kept, rights)));
            }
            carried.push((given_up, Fact::Child(child, false)));
            carried.push((kept, Fact::Child(child, true)));
        }
        for guardian in goes.guardians() {
            self.read(guardian)?;
            carried.push((kept, Fact::Guardian(guardian, true)));
            carried.push((guardian, Fact::Ward(kept, true)));
            carried.push((guardian, Fact::Ward(given_up, false)));
        }
        for ward in goes.wards() {
            self.read(ward)?;
            carried.push((kept, Fact::Ward(ward, true)));
            carried.push((ward, Fact::Guardian(kept, true)));
            carried.push((ward, Fact::Guardian(given_up, false)));
        }
        for document in goes.documents() {
            if stays.now(Field::Document(&document.number)).is_none() {
                carried.push((kept, Fact::Document(document.clone())));
            }
        }
        for residence in [Residence::Registered, Residence::Actual] {
            if let (None, Some(address)) = (stays.address(residence), goes.address(residence)) {
                carried.push((kept, Fact::Residence(residence, Some(address.clone()))));
            }
        }
        for kind in [ImageKind::Portrait, ImageKind::Signature] {
            if let (None, Some(image)) = (stays.image(kind), goes.image(kind)) {
                carried.push((kept, Fact::Image(kind, image)));
            }
        }
        // A protection or a lock of either number protects the person.
        for (kind, against) in goes.protections() {
            if stays.now(Field::Protection(kind, against)).is_none() {
                carried.push((kept, Fact::Protection(kind, true, against)));
            }
        }
        for known in goes.facts().iter().filter(|known| known.stands()) {
            if let Fact::Lock(purpose, LockState::Locked) = &known.fact
                && goes.is_locked(purpose, self.at)
                && !stays.is_locked(purpose, self.at)
            {
                carried.push((kept, Fact::Lock(purpose.clone(), LockState::Locked)));
            }
        }
        Ok(Event::Merge {
            kept,
            given_up,
            carried,
        })
    }

    /// An officer found that two numbers, however alike, are two people's.
    pub(super) fn distinct(&mut self, numbers: [PersonalNumber; 2]) -> Checked<Event, R> {
        let [one, other] = numbers;
        self.apart(one, other)?;
        let record = self.held(one)?;
        self.held(other)?;
        self.something_new(!record.is_distinct_from(other))?;
        Ok(Event::Distinct { numbers })
    }

    fn carry_marriage(
        &mut self,
        stays: &Record,
        goes: &Record,
        carried: &mut Vec<(PersonalNumber, Fact)>,
    ) -> Checked<(), R> {
        let (kept, given_up) = (stays.number(), goes.number());
        let Some(spouse) = goes.spouse() else {
            return Ok(());
        };
        if stays.spouse().is_some() || spouse == kept {
            return Err(Refusal::Contradiction(kept, given_up, "marriage").into());
        }
        self.status_in_order(stays)?;
        let other = self.held(spouse)?;
        self.status_in_order(&other)?;
        carried.push((kept, Fact::CivilStatus(CivilStatus::Married)));
        carried.push((kept, Fact::Spouse(Some(spouse))));
        carried.push((spouse, Fact::Spouse(Some(kept))));
        carried.push((given_up, Fact::Spouse(None)));
        Ok(())
    }
}
