//! The message log on a disk that forgets: random operations, power cuts, failed
//! syncs, a full disk. `TUNDUK_SIMULATION_SEEDS` sets how many runs; a failure
//! names its seed, and `TUNDUK_SIMULATION_SEED` repeats one run alone.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use messagelog::{
    Attachment, BodyKey, CHUNK_ROOM, ChunkSealer, ConfigurationId, DeadRun, Direction, Extent,
    INLINE_LIMIT, Journal, JournalSettings, LogError, LogKey, LogKeys, MessageKind, NewRecord,
    RecordId, RecordQuery, SealedBody, SegmentDirectory, Side, Stamp, StampForm, Store, TAG_LENGTH,
};
use simulation::{ForgetfulDisk, Random};
use xroad_id::{ClientId, ServiceId};

const SETTINGS: JournalSettings = JournalSettings {
    segment_size: 192 << 10,
    first_segment_size: 64 << 10,
    reserve: 256 << 10,
};

/// What a client was told is in the log.
#[derive(Debug, Clone)]
struct Promised {
    query_id: String,
    message: Bytes,
    signature: Bytes,
    attachments: Vec<Vec<u8>>,
    time: u64,
}

struct World {
    disk: ForgetfulDisk,
    random: Random,
    keys: LogKeys,
    clock: u64,
    promised: HashMap<RecordId, Promised>,
    /// Appended, nobody was told yet.
    under_way: HashMap<RecordId, Promised>,
    stamped: HashSet<RecordId>,
    /// A time-stamp was handed over; a failure may have left it behind all the same.
    perhaps_stamped: HashSet<RecordId>,
    configurations: Vec<ConfigurationId>,
    all_ids: HashSet<RecordId>,
    counter: u64,
    /// Frames of bodies that nobody holds any more.
    dead: Vec<DeadRun>,
    stats: Stats,
}

#[derive(Debug, Default)]
struct Stats {
    commits: u64,
    cuts: u64,
    failed_syncs: u64,
    full: u64,
    bodies: u64,
    stamps: u64,
    expired: usize,
    rotations: u64,
    reclaimed: u64,
    merges: u64,
    /// Look-ups that found what was promised.
    found: u64,
}

type SimJournal = Journal<ForgetfulDisk>;

fn signature(random: &mut Random, signer: u64) -> Bytes {
    let mut text = format!(
        "<signature value=\"{:x}{:x}\">",
        random.value(),
        random.value()
    );
    for i in 0..60 {
        text.push_str(&format!("certificate {signer} line {i} "));
    }
    text.into()
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            disk: ForgetfulDisk::new(6 << 20),
            random: Random::new(seed),
            keys: LogKeys::only(LogKey::new([1; 32])),
            clock: 1_000_000,
            promised: HashMap::new(),
            under_way: HashMap::new(),
            stamped: HashSet::new(),
            perhaps_stamped: HashSet::new(),
            configurations: Vec::new(),
            all_ids: HashSet::new(),
            counter: 0,
            dead: Vec::new(),
            stats: Stats::default(),
        }
    }

    fn open(&mut self) -> SimJournal {
        let (journal, recovery) = Journal::open(
            Arc::new(self.disk.clone()),
            SETTINGS,
            self.keys.clone(),
            Box::new(self.random.clone()),
            self.clock,
        )
        .expect("a restart must succeed");
        self.random.value();
        assert_eq!(recovery.damaged, [], "a cut is not decay");
        assert_eq!(recovery.unreadable, []);
        self.check(journal.store());
        journal
    }

    /// The invariant: everything that was promised is there, whole and readable.
    fn check(&mut self, store: &Store<ForgetfulDisk>) {
        for (id, promised) in &self.promised {
            let stored = store
                .get(*id)
                .unwrap_or_else(|error| panic!("record {id:?} was promised: {error}"));
            assert_eq!(stored.record.query_id, promised.query_id);
            assert_eq!(stored.record.message, promised.message);
            assert_eq!(stored.record.signature, promised.signature);
            assert_eq!(stored.record.time, promised.time);
            assert_eq!(stored.record.attachments.len(), promised.attachments.len());
            for (attachment, content) in stored.record.attachments.iter().zip(&promised.attachments)
            {
                let read = match attachment {
                    Attachment::Inline(bytes) => bytes.to_vec(),
                    Attachment::Sealed(body) => {
                        let chunks: Result<Vec<_>, _> = body.read().collect();
                        chunks.unwrap().concat()
                    }
                };
                assert_eq!(&read, content);
            }
            if self.stamped.contains(id) {
                let place = stored.timestamp.expect("a time-stamp was promised");
                let stamp = store.stamp(place).unwrap();
                assert!(stamp.records.binary_search(id).is_ok());
            }
            assert!(store.configuration(stored.record.configuration).is_ok());
        }
        // Every record found can be read, also one that nobody was promised.
        let all = store
            .find(&RecordQuery {
                limit: Some(usize::MAX),
                ..RecordQuery::default()
            })
            .expect("nothing half-written is found");
        assert_eq!(all.len() as u64, store.record_count());
        let unstamped = all
            .iter()
            .filter(|record| record.timestamp.is_none())
            .count();
        assert_eq!(unstamped as u64, store.pending_count());
        assert_eq!(store.oldest_pending().is_some(), unstamped > 0);
        let pending = store.pending(usize::MAX).unwrap();
        assert_eq!(pending.records.len(), unstamped.min(10_000));
        for (id, promised) in &self.promised {
            let found = store
                .find(&RecordQuery {
                    query_id: Some(promised.query_id.clone()),
                    ..RecordQuery::default()
                })
                .unwrap();
            assert_eq!(found.len(), 1, "found by query id");
            assert_eq!(found[0].id, *id);
            self.stats.found += 1;
        }
    }

    fn body(
        &mut self,
        journal: &mut SimJournal,
        length: usize,
    ) -> Result<(PlacedBody, Vec<u8>), LogError> {
        let content = self.random.bytes(length);
        let mut key = [0; 32];
        key.copy_from_slice(&self.random.bytes(32));
        let key = BodyKey::new(key);
        let mut sealer = ChunkSealer::new(&key)?;
        let mut extents = Vec::new();
        let chunks: Vec<&[u8]> = content.chunks(INLINE_LIMIT).collect();
        for (number, chunk) in chunks.iter().enumerate() {
            let mut frame = vec![0; CHUNK_ROOM];
            frame.extend_from_slice(chunk);
            sealer.seal(&mut frame, CHUNK_ROOM, number + 1 == chunks.len())?;
            let (segment, offset) = journal.append_chunk(&mut frame, number as u32, self.clock)?;
            extents.push(Extent {
                segment,
                offset,
                count: 1,
            });
            // Other records come between.
            if self.random.one_in(3) {
                let _ = self.commit(journal, 1);
            }
        }
        self.stats.bodies += 1;
        let stride = (CHUNK_ROOM + INLINE_LIMIT + TAG_LENGTH) as u32;
        let source = Arc::clone(journal.store()) as _;
        let places = extents.clone();
        let body = SealedBody::new(key, length as u64, extents, stride, source, None)?;
        Ok(((body, places), content))
    }

    fn record(&mut self, attachments: Vec<Attachment>) -> NewRecord {
        self.counter += 1;
        let signer = self.random.below(3);
        let client = ClientId::from_path(&format!("KG/GOV/{signer}/s")).unwrap();
        let length = self.random.below(3000) as usize;
        NewRecord {
            direction: if self.random.one_in(2) {
                Direction::Request
            } else {
                Direction::Response
            },
            side: Side::Consumer,
            kind: MessageKind::Soap,
            query_id: format!("query-{}", self.counter),
            request_id: None,
            client: client.clone(),
            service: ServiceId::new(client, "service", None).unwrap(),
            time: self.clock,
            message: self.random.bytes(length).into(),
            attachments,
            signature: signature(&mut self.random, signer),
            hash_chain: None,
            configuration: self.configurations[self.configurations.len() - 1],
        }
    }

    fn commit(&mut self, journal: &mut SimJournal, count: u64) -> Result<(), LogError> {
        let mut outcome = Ok(());
        for _ in 0..count {
            let (mut sealed, mut contents) = (Vec::new(), Vec::new());
            if count > 1 && self.random.one_in(5) {
                let length = 1 + self.random.below(400_000) as usize;
                match self.body(journal, length) {
                    Ok(((body, _), content)) => {
                        sealed.push(Attachment::Sealed(body));
                        contents.push(content);
                    }
                    Err(error) => {
                        outcome = Err(error);
                        continue;
                    }
                }
            }
            let record = self.record(sealed);
            match journal.append(&record, self.clock) {
                Ok(id) => {
                    assert!(self.all_ids.insert(id), "an identifier was given twice");
                    self.under_way.insert(
                        id,
                        Promised {
                            query_id: record.query_id,
                            message: record.message,
                            signature: record.signature,
                            attachments: contents,
                            time: record.time,
                        },
                    );
                }
                Err(error) => outcome = Err(error),
            }
        }
        let flushed = journal.flush();
        for proof in journal.take_committed() {
            let promised = self
                .under_way
                .remove(&proof.record_id())
                .expect("only what was appended is committed");
            self.promised.insert(proof.record_id(), promised);
            self.stats.commits += 1;
        }
        if flushed.is_err() {
            self.under_way.clear();
        }
        if outcome.is_ok() {
            assert!(
                self.under_way.is_empty(),
                "a flush that succeeds commits everything"
            );
        }
        flushed.and(outcome)
    }

    fn stamp(&mut self, journal: &mut SimJournal) -> Result<(), LogError> {
        let max = 1 + self.random.below(60) as usize;
        let mut pending = journal.store().pending(max)?;
        if self.random.one_in(3) && pending.records.len() > 3 {
            // On demand: one record out of order.
            let one = pending.records[2];
            pending = journal.store().pending_of(&[one])?;
        }
        if pending.records.is_empty() {
            return Ok(());
        }
        let records = pending.records.clone();
        self.perhaps_stamped.extend(&records);
        journal.append_stamp(
            Stamp {
                form: StampForm::Batch,
                records: pending.records,
                digests: pending.digests,
                token: self.random.bytes(900).into(),
                configuration: self.configurations.last().copied(),
            },
            self.clock,
        )?;
        journal.flush()?;
        self.stamped.extend(records);
        self.stats.stamps += 1;
        Ok(())
    }

    fn keep(&mut self, journal: &SimJournal) -> Result<(), LogError> {
        let mut id = [0; 32];
        id.copy_from_slice(&self.random.bytes(32));
        let id = ConfigurationId(id);
        let files = vec![
            ("directory".to_owned(), Bytes::from(self.random.bytes(300))),
            (
                "KG/shared-params.xml".to_owned(),
                Bytes::from_static(b"the same each time"),
            ),
        ];
        journal.store().keep_configuration(id, &files)?;
        self.configurations.push(id);
        Ok(())
    }

    /// One step; an error is what a caller would see, and the log decides what it means.
    fn step(&mut self, journal: &mut SimJournal) -> Result<(), LogError> {
        self.clock += self.random.below(1000);
        match self.random.below(21) {
            20 => {
                self.stats.merges += u64::from(journal.store().merge_tables()?);
                Ok(())
            }
            0..10 => {
                let count = 1 + self.random.below(6);
                self.commit(journal, count)
            }
            10 | 11 => {
                let length = 1 + self.random.below(300_000) as usize;
                // A refused message: its body is dead.
                let (body, _) = self.body(journal, length)?;
                self.dead.extend(dead_runs(&body));
                Ok(())
            }
            12..15 => self.stamp(journal),
            15 => self.keep(journal),
            16 => {
                for segment in journal.take_unsealed() {
                    journal.store().seal(segment)?;
                }
                for segment in journal.store().segments() {
                    if journal.store().is_sealed(segment) != Some(true) {
                        continue;
                    }
                    let runs = self.dead.extract_if(.., |run| run.segment == segment);
                    let runs = runs.collect();
                    self.stats.reclaimed += journal.store().reclaim(segment, runs)?;
                }
                Ok(())
            }
            17 => {
                if let Some(job) = journal.wants_spare(self.clock)? {
                    let spare = job.run(journal.store());
                    let result = spare.as_ref().map(drop).map_err(Clone::clone);
                    journal.offer_spare(spare.ok());
                    return result;
                }
                Ok(())
            }
            18 => {
                let before = self.clock.saturating_sub(60_000);
                let deleted = journal.store().expire(before);
                let left: HashSet<u32> = journal.store().segments().into_iter().collect();
                for (id, promised) in &self.promised {
                    if !left.contains(&id.segment()) {
                        assert!(promised.time < before && self.perhaps_stamped.contains(id));
                    }
                }
                self.promised.retain(|id, _| left.contains(&id.segment()));
                self.stats.expired += deleted?;
                Ok(())
            }
            _ => {
                let mut key = [0; 32];
                key.copy_from_slice(&self.random.bytes(32));
                self.keys = self.keys.rotated_to(LogKey::new(key));
                journal.rotate_log_key(self.keys.clone())?;
                // From here on the key before is not needed any more.
                self.keys = LogKeys::only(self.keys.current.clone());
                self.stats.rotations += 1;
                Ok(())
            }
        }
    }
}

/// A body and where its chunks are.
type PlacedBody = (SealedBody, Vec<Extent>);

/// The frames of a body, one by one.
fn dead_runs(body: &PlacedBody) -> Vec<DeadRun> {
    let (body, extents) = body;
    let mut left = body.len();
    extents
        .iter()
        .map(|extent| {
            let content = left.min(INLINE_LIMIT as u64);
            left -= content;
            let start = extent.offset - CHUNK_ROOM as u32;
            DeadRun {
                segment: extent.segment,
                start,
                end: start + (CHUNK_ROOM + TAG_LENGTH) as u32 + content as u32,
            }
        })
        .collect()
}

fn run(seed: u64, steps: usize) -> Stats {
    let mut world = World::new(seed);
    let mut journal = world.open();
    world.keep(&journal).unwrap();
    for _ in 0..steps {
        if world.random.one_in(40) {
            let after = world.random.below(6);
            world.disk.fail_sync_after(after);
        }
        if world.random.one_in(60) {
            let room = world.disk.used() + world.random.below(400_000);
            world.disk.set_capacity(room);
        } else if world.random.one_in(10) {
            world.disk.set_capacity(64 << 20);
        }
        let failed_before = world.disk.failed_syncs();
        let outcome = world.step(&mut journal);
        match outcome {
            Err(LogError::NoSpace) => world.stats.full += 1,
            Err(LogError::Poisoned(_)) => {
                assert!(
                    world.disk.failed_syncs() > 0,
                    "only a failed sync stops the log here"
                );
                // It stays stopped, however often one asks.
                let refused = world.commit(&mut journal, 1);
                assert!(matches!(refused, Err(LogError::Poisoned(_))));
                assert!(journal.store().accepts(world.clock, u64::MAX).is_err());
            }
            Err(LogError::Io(_)) => assert!(world.disk.failed_syncs() > failed_before),
            Err(error) => panic!("{error}"),
            Ok(()) => {}
        }
        let stopped = matches!(
            journal.store().accepts(world.clock, u64::MAX),
            Err(LogError::Poisoned(_))
        );
        if stopped || world.random.one_in(25) {
            world.stats.failed_syncs = world.disk.failed_syncs();
            if world.random.one_in(6) && !stopped {
                // A clean end, if the disk lets it.
                world.disk.set_capacity(64 << 20);
                let _ = journal.close();
            } else {
                drop(journal);
            }
            world.under_way.clear();
            if world.random.one_in(4) {
                // Only the process dies: the page cache stays.
            } else {
                let mut random = world.random.clone();
                world.disk.cut(&mut random);
                world.random = random;
                world.stats.cuts += 1;
            }
            world.disk.fail_sync_after(u64::MAX / 2);
            world.disk.set_capacity(64 << 20);
            journal = world.open();
        }
    }
    world.check(journal.store());
    world.stats
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    match number("TUNDUK_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("TUNDUK_SIMULATION_SEEDS").unwrap_or(40)).collect(),
    }
}

#[test]
fn whatever_was_promised_survives() {
    let mut total = Stats::default();
    for seed in seeds() {
        let stats = std::panic::catch_unwind(|| run(seed, 200)).unwrap_or_else(|_| {
            panic!("seed {seed} broke a promise: TUNDUK_SIMULATION_SEED={seed} repeats it")
        });
        total.commits += stats.commits;
        total.cuts += stats.cuts;
        total.failed_syncs += stats.failed_syncs;
        total.full += stats.full;
        total.bodies += stats.bodies;
        total.stamps += stats.stamps;
        total.expired += stats.expired;
        total.rotations += stats.rotations;
        total.reclaimed += stats.reclaimed;
        total.merges += stats.merges;
        total.found += stats.found;
    }
    println!("{total:?}");
    if seeds().len() >= 20 {
        assert!(total.commits > 1000 && total.cuts > 20 && total.failed_syncs > 5);
        assert!(total.full > 5 && total.bodies > 50 && total.stamps > 50 && total.expired > 0);
        assert!(total.reclaimed > 100_000 && total.merges > 50 && total.found > 10_000);
    }
}

#[test]
fn decay_of_a_segment_costs_only_what_decayed() {
    let mut world = World::new(77);
    let mut journal = world.open();
    world.keep(&journal).unwrap();
    for _ in 0..150 {
        world.commit(&mut journal, 1).unwrap();
    }
    let in_segment = |segment: u32| {
        world
            .promised
            .keys()
            .copied()
            .filter(|id| id.segment() == segment)
            .collect::<Vec<RecordId>>()
    };
    // The second segment: larger than the first, and full.
    let segment = journal.store().segments()[1];
    let name = format!("{segment:010}.segment");
    let records = in_segment(segment);
    assert!(records.len() > 10);
    drop(journal);
    world.disk.decay(&name, 20_000);
    let (journal, recovery) = Journal::open(
        Arc::new(world.disk.clone()),
        SETTINGS,
        world.keys.clone(),
        Box::new(world.random.clone()),
        world.clock,
    )
    .unwrap();
    assert_eq!(recovery.damaged.len(), 1, "decay is reported");
    let lost = records
        .iter()
        .filter(|id| journal.store().get(**id).is_err())
        .count();
    assert!(lost < records.len() / 2, "{lost} of {}", records.len());
}

#[test]
fn a_damaged_index_is_built_again() {
    let mut world = World::new(78);
    let mut journal = world.open();
    world.keep(&journal).unwrap();
    for _ in 0..12 {
        world.commit(&mut journal, 4).unwrap();
    }
    journal.close().unwrap();
    for segment in 1..10 {
        // A block of the table by hash, of the table by number, and a header.
        world
            .disk
            .decay(&format!("{segment:010}.index"), 4096 + 100);
        world
            .disk
            .decay(&format!("{segment:010}.index"), 8192 + 100);
        if segment % 2 == 0 {
            world.disk.decay(&format!("{segment:010}.index"), 9);
        }
    }
    let journal = world.open();
    world.check(journal.store());
}

#[test]
fn damaged_tables_are_done_without_and_merged_again() {
    let mut world = World::new(79);
    world.disk.set_capacity(64 << 20);
    let tables = |disk: &ForgetfulDisk| {
        let mut names = disk.list().unwrap();
        names.retain(|name| name.starts_with("hashes-"));
        names
    };
    let merge = |store: &Store<ForgetfulDisk>| while store.merge_tables().unwrap() {};
    let mut journal = world.open();
    world.keep(&journal).unwrap();
    while journal.store().segments().len() < 22 {
        // One by one: without bodies, which later segments could need.
        world.commit(&mut journal, 1).unwrap();
        for segment in journal.take_unsealed() {
            journal.store().seal(segment).unwrap();
        }
    }
    merge(journal.store());
    world.check(journal.store());
    assert_eq!(tables(&world.disk).len(), 2, "of 16 segments and of 4");
    journal.close().unwrap();
    for at in [4096 + 100, 9] {
        // A row, and the header.
        for name in tables(&world.disk) {
            world.disk.decay(&name, at);
        }
        let journal = world.open();
        assert_eq!(tables(&world.disk).len(), 0, "given up");
        merge(journal.store());
        world.check(journal.store());
        assert_eq!(tables(&world.disk).len(), 2);
    }
    world.disk.decay("manifest", 50);
    let mut journal = world.open();
    assert_eq!(
        tables(&world.disk).len(),
        0,
        "without a manifest none counts"
    );
    merge(journal.store());
    world.check(journal.store());
    assert_eq!(tables(&world.disk).len(), 2);
    while journal.store().pending_count() > 0 {
        world.stamp(&mut journal).unwrap();
    }
    // The first list of time-stamps is lost, and found again from the time-stamps.
    let first = journal.store().segments()[0];
    world.disk.decay(&format!("{first:010}.stamped"), 9);
    world.check(journal.store());
    let deleted = journal.store().expire(u64::MAX).unwrap();
    assert!(
        deleted > 20,
        "{deleted} of {:?}",
        journal.store().segments()
    );
    assert_eq!(tables(&world.disk).len(), 0, "of deleted segments alone");
    let left = journal.store().segments();
    world.promised.retain(|id, _| left.contains(&id.segment()));
    world.check(journal.store());
    drop(journal);
    world.open();
}
