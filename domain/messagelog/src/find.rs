//! Finding records and what needs a time-stamp.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::codec::{SignatureForm, decode};
use crate::error::LogError;
use crate::frame::{FrameKind, RecordHead};
use crate::port::SegmentDirectory;
use crate::record::{NewRecord, RecordId, RecordQuery, StoredRecord};
use crate::stamp::{MAX_BATCH, Stamp, StampPlace};
use crate::store::{Segment, State, Store, lock, read};

/// Records returned when a query has no limit.
const DEFAULT_LIMIT: usize = 10_000;

/// Records that lack a time-stamp, with what a hash chain over them needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// The records in ascending order.
    pub records: Vec<RecordId>,
    /// SHA-256 of each one's signature document.
    pub digests: Vec<[u8; 32]>,
}

fn belongs(party: &xroad_id::ClientId, id: &xroad_id::ClientId) -> bool {
    party.is_same_member(id)
        && (party.subsystem_code.is_none() || party.subsystem_code == id.subsystem_code)
}

impl RecordQuery {
    fn matches(&self, record: &NewRecord) -> bool {
        let all = |wanted: Option<bool>| wanted.unwrap_or(true);
        all(self.query_id.as_ref().map(|id| *id == record.query_id))
            && all(self.client.as_ref().map(|id| *id == record.client))
            && all(self
                .party
                .as_ref()
                .map(|id| belongs(id, &record.client) || belongs(id, &record.service.client)))
            && all(self.direction.map(|wanted| wanted == record.direction))
            && all(self.side.map(|wanted| wanted == record.side))
            && self.in_time(record.time)
    }

    fn in_time(&self, time: u64) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// Hands every matching record, oldest segment first, to `found` until it breaks.
    ///
    /// # Errors
    /// A segment or record cannot be read.
    pub fn search(
        &self,
        query: &RecordQuery,
        found: &mut dyn FnMut(StoredRecord) -> ControlFlow<()>,
    ) -> Result<(), LogError> {
        let mut left = query.limit.unwrap_or(DEFAULT_LIMIT);
        let mut take = |segment: &Segment<D::File>, offset: u32| {
            if left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            let stored = self.stored(segment, offset)?;
            if !query.matches(&stored.record) {
                return Ok(ControlFlow::Continue(()));
            }
            left -= 1;
            Ok::<_, LogError>(found(stored))
        };
        if let Some(id) = &query.query_id {
            let Some(key) = self.index_key.get() else {
                // Only a log without a record that can be opened has none.
                return Ok(());
            };
            for place in self.places(key.query_hash(id))? {
                if let Some(segment) = self.segment(place.segment)
                    && take(&segment, place.offset)?.is_break()
                {
                    break;
                }
            }
            return Ok(());
        }
        for segment in self.all_segments() {
            let (earliest, latest) = self.times(&segment);
            if earliest > latest
                || query.from.is_some_and(|from| latest < from)
                || query.until.is_some_and(|until| earliest >= until)
            {
                continue;
            }
            for (_, offset) in self.select(&segment, usize::MAX, |_, time| query.in_time(time))? {
                if take(&segment, offset)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The matching records, oldest first.
    ///
    /// # Errors
    /// A segment or record cannot be read.
    pub fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, LogError> {
        let mut records = Vec::new();
        self.search(query, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// One record.
    ///
    /// # Errors
    /// There is none with this identifier, or it cannot be read.
    pub fn get(&self, id: RecordId) -> Result<StoredRecord, LogError> {
        let missing = || LogError::NotFound(format!("record {id}"));
        let segment = self.segment(id.segment()).ok_or_else(missing)?;
        let offset = self.offset_of(&segment, id.number())?.ok_or_else(missing)?;
        self.stored(&segment, offset)
    }

    fn stored(&self, segment: &Segment<D::File>, offset: u32) -> Result<StoredRecord, LogError> {
        let (number, record) = self.record_at(segment, offset)?;
        Ok(StoredRecord {
            id: RecordId::new(segment.number, number),
            record,
            timestamp: self.place_of_stamp(segment.number, number)?,
        })
    }

    /// The record in a frame, with its number.
    fn opened(
        &self,
        segment: &Segment<D::File>,
        offset: u32,
    ) -> Result<(u32, NewRecord, SignatureForm), LogError> {
        let damaged = |what| LogError::Damaged {
            segment: segment.number,
            offset: u64::from(offset),
            what,
        };
        let (header, mut payload) = self.frame(segment, offset)?;
        if header.kind != FrameKind::Record {
            return Err(damaged("not a record"));
        }
        let head = RecordHead::decode(&payload).ok_or_else(|| damaged("a record without head"))?;
        payload.drain(..RecordHead::LENGTH);
        let plain = self
            .key(segment)?
            .open(FrameKind::Record, header.number, Some(&head), payload)
            .ok_or_else(|| damaged("the record is not what was sealed"))?;
        let (record, form) = decode(plain.into(), head.time, &self.source()?)
            .ok_or_else(|| damaged("the record's fields cannot be read"))?;
        Ok((header.number, record, form))
    }

    fn record_at(
        &self,
        segment: &Segment<D::File>,
        offset: u32,
    ) -> Result<(u32, NewRecord), LogError> {
        let (number, mut record, form) = self.opened(segment, offset)?;
        record.signature = match form {
            SignatureForm::Whole(signature) => signature,
            SignatureForm::Told {
                base_offset,
                length,
                steps,
            } => {
                let damaged = LogError::Damaged {
                    segment: segment.number,
                    offset: u64::from(offset),
                    what: "the signature document cannot be put together",
                };
                let SignatureForm::Whole(base) = self.opened(segment, base_offset)?.2 else {
                    return Err(damaged);
                };
                crate::delta::decode(&base, &steps, length as usize)
                    .map(Bytes::from)
                    .ok_or(damaged)?
            }
        };
        Ok((number, record))
    }

    /// Reads a time-stamp.
    ///
    /// # Errors
    /// There is none at that place, or it cannot be read.
    pub fn stamp(&self, place: StampPlace) -> Result<Stamp, LogError> {
        let damaged = |what| LogError::Damaged {
            segment: place.segment,
            offset: u64::from(place.offset),
            what,
        };
        let segment = self
            .segment(place.segment)
            .ok_or_else(|| LogError::NotFound(format!("segment {}", place.segment)))?;
        let (header, payload) = self.frame(&segment, place.offset)?;
        if header.kind != FrameKind::Stamp {
            return Err(damaged("not a time-stamp"));
        }
        let plain = self
            .key(&segment)?
            .open(FrameKind::Stamp, header.number, None, payload)
            .ok_or_else(|| damaged("the time-stamp is not what was sealed"))?;
        Stamp::decode(&plain).ok_or_else(|| damaged("the time-stamp cannot be read"))
    }

    /// Up to `max` (at most [`MAX_BATCH`]) of the oldest records without a
    /// time-stamp. A record that is damaged is left out for ever, so that it does
    /// not stop the others.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn pending(&self, max: usize) -> Result<Pending, LogError> {
        let max = max.min(MAX_BATCH);
        let mut pending = Pending::default();
        let numbers: Vec<u32> = lock(&self.stamping).open.keys().copied().collect();
        for number in numbers {
            let Some(segment) = self.segment(number) else {
                continue;
            };
            if pending.records.len() >= max {
                break;
            }
            let coverage = match lock(&self.stamping).open.get(&number) {
                Some(stamping) if stamping.coverage.covered() < stamping.records => {
                    stamping.coverage.clone()
                }
                _ => continue,
            };
            let places = self.select(&segment, max - pending.records.len(), |number, _| {
                coverage.of(number).is_none()
            })?;
            for (record, offset) in places {
                self.add_pending(&segment, record, offset, &mut pending)?;
            }
        }
        Ok(pending)
    }

    /// The same for given records; those that have a time-stamp are left out.
    ///
    /// # Errors
    /// A record is not in the log or cannot be read.
    pub fn pending_of(&self, records: &[RecordId]) -> Result<Pending, LogError> {
        let mut pending = Pending::default();
        let mut sorted = records.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        for id in sorted.into_iter().take(MAX_BATCH) {
            if self.place_of_stamp(id.segment(), id.number())?.is_some() {
                continue;
            }
            let missing = || LogError::NotFound(format!("record {id}"));
            let segment = self.segment(id.segment()).ok_or_else(missing)?;
            let offset = self.offset_of(&segment, id.number())?.ok_or_else(missing)?;
            self.add_pending(&segment, id.number(), offset, &mut pending)?;
        }
        Ok(pending)
    }

    fn add_pending(
        &self,
        segment: &Arc<Segment<D::File>>,
        number: u32,
        offset: u32,
        pending: &mut Pending,
    ) -> Result<(), LogError> {
        let head = self.head(segment, offset)?;
        match head {
            Some(head) => {
                pending.records.push(RecordId::new(segment.number, number));
                pending.digests.push(head.signature_digest);
            }
            None => {
                let place = StampPlace {
                    segment: 0,
                    offset: 0,
                };
                self.cover(&[RecordId::new(segment.number, number)], place)?;
            }
        }
        Ok(())
    }

    /// Notes that a durable time-stamp covers these records.
    pub(crate) fn cover(&self, records: &[RecordId], place: StampPlace) -> Result<(), LogError> {
        let mut stamping = lock(&self.stamping);
        let mut newly = 0;
        for record in records {
            if let Some(open) = stamping.open.get_mut(&record.segment())
                && open.coverage.add(record.number(), place)
            {
                newly += 1;
            }
        }
        self.pending.fetch_sub(newly, Ordering::AcqRel);
        drop(stamping);
        self.renew_oldest_pending()
    }

    /// Finds the oldest record without a time-stamp anew.
    pub(crate) fn renew_oldest_pending(&self) -> Result<(), LogError> {
        // The lock is held throughout: a record that is committed meanwhile must
        // not be overlooked.
        let stamping = lock(&self.stamping);
        let mut oldest = u64::MAX;
        for (number, open) in &stamping.open {
            if open.coverage.covered() >= open.records {
                continue;
            }
            let Some(segment) = self.segment(*number) else {
                continue;
            };
            let first = self.select(&segment, 1, |number, _| open.coverage.of(number).is_none())?;
            if let Some((_, offset)) = first.first() {
                oldest = match &*read(&segment.state) {
                    State::Live { contents, .. } => contents
                        .entries
                        .iter()
                        .find(|entry| entry.offset == *offset)
                        .map_or(0, |entry| entry.time),
                    State::Sealed(summary) => match self.frame(&segment, *offset) {
                        Ok((_, payload)) => {
                            RecordHead::decode(&payload).map_or(summary.earliest, |head| head.time)
                        }
                        Err(_) => summary.earliest,
                    },
                };
                break;
            }
        }
        self.oldest_pending.store(oldest, Ordering::Release);
        Ok(())
    }
}
