//! Locks that people put on their own number.

use super::{Checked, Desk, Records};
use crate::act::Event;
use crate::fact::{Fact, Field, LockState, Purpose};
use crate::number::PersonalNumber;

impl<R: Records + ?Sized> Desk<'_, R> {
    pub(super) fn lock(
        &mut self,
        person: PersonalNumber,
        purpose: Purpose,
        state: LockState,
    ) -> Checked<Event, R> {
        let record = self.living(person)?;
        let locked = record.is_locked(&purpose, self.at);
        let opening = matches!(
            record
                .now(Field::Lock(purpose.as_str()))
                .map(|known| &known.fact),
            Some(Fact::Lock(_, LockState::OpensAt(_)))
        );
        let state = match state {
            LockState::Locked => {
                self.something_new(!locked || opening)?;
                LockState::Locked
            }
            // The moment is the register's to say, not the asker's; whole seconds are stored.
            LockState::OpensAt(_) => {
                self.something_new(locked && !opening)?;
                let moment = self.at + self.rules.cooling_off;
                let moment = moment.replace_nanosecond(0).unwrap_or(moment);
                LockState::OpensAt(moment + time::Duration::SECOND)
            }
        };
        Ok(Event::Lock {
            person,
            purpose,
            state,
        })
    }
}
