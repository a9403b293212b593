//! A full disk: nothing is lost, and the log goes on once there is room.
//!
//! The journal is tried on real files behind a port that has no more room, which needs
//! no rights; the whole log on a small file system, which is mounted by root or in a user
//! namespace of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use messagelog::{
    ConfigurationId, Direction, Journal, JournalSettings, LogError, LogKey, LogKeys, MessageKind,
    NewRecord, Randomness, RecordQuery, SegmentDirectory, SegmentFile, Side, SpoolOwner, Store,
};
use store_segments::{FileDirectory, LogFile, LogSettings, MessageLog};
use xroad_id::{ClientId, ServiceId};

const CONFIGURATION: ConfigurationId = ConfigurationId([7; 32]);

/// A file system of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tunduk-test"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        done.then(|| Self(path.to_owned()))
    }

    /// Takes room with a file that is in nobody's way.
    fn take(&self, bytes: u64) -> PathBuf {
        let path = self.0.join("taken");
        let file = std::fs::File::create(&path).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn record(number: u64) -> NewRecord {
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    NewRecord {
        direction: Direction::Request,
        side: Side::Consumer,
        kind: MessageKind::Soap,
        query_id: format!("q{number}"),
        request_id: None,
        service: ServiceId::new(bank.clone(), "service", None).unwrap(),
        client: bank,
        time: 1_000_000 + number,
        message: Bytes::from(vec![number as u8; 20_000]),
        attachments: Vec::new(),
        signature: Bytes::from(format!("<signature>{number}</signature>")),
        hash_chain: None,
        configuration: CONFIGURATION,
    }
}

fn open(directory: &Path) -> MessageLog {
    let settings = LogSettings {
        segment_size: 2 << 20,
        reserve: 6 << 20,
        ..LogSettings::new(directory.join("log"))
    };
    MessageLog::open(settings, LogKeys::only(LogKey::new([1; 32]))).unwrap()
}

async fn all_there(log: &MessageLog, numbers: &[u64]) {
    for number in numbers {
        let found = log
            .find(RecordQuery {
                query_id: Some(format!("q{number}")),
                ..RecordQuery::default()
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "q{number} was promised");
        assert_eq!(found[0].record.message, record(*number).message);
    }
}

/// A directory of files with so many bytes of room left.
struct Limited {
    files: FileDirectory,
    room: Arc<AtomicU64>,
}

struct LimitedFile {
    file: Arc<LogFile>,
    room: Arc<AtomicU64>,
}

fn take(room: &AtomicU64, bytes: u64) -> io::Result<()> {
    room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
        left.checked_sub(bytes)
    })
    .map(drop)
    .map_err(|_| io::ErrorKind::StorageFull.into())
}

impl Limited {
    fn wrap(&self, file: Arc<LogFile>) -> Arc<LimitedFile> {
        Arc::new(LimitedFile {
            file,
            room: Arc::clone(&self.room),
        })
    }

    fn length(&self, name: &str) -> u64 {
        self.files.open(name).map_or(0, |file| file.len().unwrap())
    }
}

impl SegmentDirectory for Limited {
    type File = LimitedFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }
    fn create(&self, name: &str, size: u64) -> io::Result<Arc<LimitedFile>> {
        take(&self.room, size)?;
        self.files.create(name, size).map(|file| self.wrap(file))
    }
    fn open(&self, name: &str) -> io::Result<Arc<LimitedFile>> {
        self.files.open(name).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.room.fetch_add(self.length(to), Ordering::AcqRel);
        self.files.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.room.fetch_add(self.length(name), Ordering::AcqRel);
        self.files.remove(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.files.sync()
    }
    fn free_space(&self) -> io::Result<u64> {
        Ok(self.room.load(Ordering::Acquire))
    }
}

impl SegmentFile for LimitedFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        take(&self.room, end.saturating_sub(self.file.len()?))?;
        self.file.write_at(offset, bytes)
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        let freed = self.file.len()?.saturating_sub(len);
        self.room.fetch_add(freed, Ordering::AcqRel);
        self.file.truncate(len)
    }
}

struct Random(u8);

impl Randomness for Random {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LogError> {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(17).wrapping_add(3);
            *byte = self.0;
        }
        Ok(())
    }
}

#[test]
fn a_journal_without_room_refuses_loses_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicU64::new(12 << 20));
    let open = || {
        let directory = Limited {
            files: FileDirectory::open(&folder.path().join("log")).unwrap(),
            room: Arc::clone(&room),
        };
        let settings = JournalSettings {
            segment_size: 2 << 20,
            first_segment_size: 1 << 20,
            reserve: 2 << 20,
        };
        let keys = LogKeys::only(LogKey::new([1; 32]));
        Journal::open(Arc::new(directory), settings, keys, Box::new(Random(5)), 0).unwrap()
    };
    let found = |store: &Store<Limited>, numbers: &[u64]| {
        for number in numbers {
            let found = store
                .find(&RecordQuery {
                    query_id: Some(format!("q{number}")),
                    ..RecordQuery::default()
                })
                .unwrap();
            assert_eq!(found.len(), 1, "q{number} was promised");
            assert_eq!(found[0].record.message, record(*number).message);
        }
    };
    let commit = |journal: &mut Journal<Limited>, number: u64| {
        journal.append(&record(number), 0)?;
        journal.flush()?;
        assert_eq!(journal.take_committed().len(), 1);
        for segment in journal.take_unsealed() {
            match journal.store().seal(segment) {
                Ok(()) | Err(LogError::NoSpace) => {}
                Err(error) => panic!("{error}"),
            }
        }
        Ok::<_, LogError>(())
    };
    let (mut journal, _) = open();
    journal
        .store()
        .keep_configuration(CONFIGURATION, &[("c".into(), Bytes::from_static(b"c"))])
        .unwrap();
    let mut promised = Vec::new();
    let mut refusals = 0;
    for number in 0.. {
        assert!(number < 3000, "the disk never became full");
        match commit(&mut journal, number) {
            Ok(()) => promised.push(number),
            Err(LogError::NoSpace) => refusals += 1,
            Err(error) => panic!("{error}"),
        }
        if refusals == 20 {
            break;
        }
    }
    assert!(promised.len() > 100, "{}", promised.len());
    assert_eq!(journal.store().accepts(0, u64::MAX), Err(LogError::NoSpace));
    found(journal.store(), &promised);
    // A start without room reads what is there.
    drop(journal);
    room.store(0, Ordering::Release);
    let (mut journal, recovery) = open();
    assert_eq!(recovery.damaged, []);
    assert_eq!(recovery.records, promised.len() as u64);
    found(journal.store(), &promised);
    assert_eq!(commit(&mut journal, 5000), Err(LogError::NoSpace));
    room.store(24 << 20, Ordering::Release);
    journal.retry_space(0);
    journal.store().accepts(0, u64::MAX).unwrap();
    for number in 5000..5100 {
        commit(&mut journal, number).unwrap();
        promised.push(number);
    }
    drop(journal);
    let (journal, recovery) = open();
    assert_eq!(recovery.records, promised.len() as u64);
    found(journal.store(), &promised);
}

/// Runs one test of this program again as root of a user namespace, where a file system
/// can be mounted; `None` where such namespaces are not permitted.
fn in_a_namespace(test: &str) -> Option<bool> {
    const INSIDE: &str = "TUNDUK_TEST_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    let unshare = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command.arg(program).env(INSIDE, "1");
        command
    };
    let permitted = unshare(Path::new("true")).status();
    if !permitted.is_ok_and(|status| status.success()) {
        return None;
    }
    let again = unshare(&std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .status();
    Some(again.unwrap().success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_loses_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), "size=48m") else {
        match in_a_namespace("a_full_disk_refuses_loses_nothing_and_recovers") {
            Some(passed) => assert!(passed, "in a user namespace"),
            // Neither root nor a namespace: what needs no rights stands for it.
            None => a_journal_without_room_refuses_loses_nothing_and_recovers(),
        }
        return;
    };
    let taken = disk.take(24 << 20);
    let log = open(&disk.0);
    log.keep_configuration(CONFIGURATION, vec![("c".into(), Bytes::from_static(b"c"))])
        .await
        .unwrap();

    // Bodies stop before the reserve; records still go in.
    let refused = async {
        let mut bodies = Vec::new();
        for _ in 0..100 {
            let mut writer = log.body(SpoolOwner::Own);
            writer.write(Bytes::from(vec![1; 1 << 20])).await?;
            bodies.push(writer.finish().await?);
        }
        Ok::<_, LogError>(())
    };
    assert_eq!(refused.await, Err(LogError::NoSpace));
    assert!(log.store().free_space().unwrap() >= 4 << 20);
    log.accepts(0).unwrap();

    let mut promised = Vec::new();
    let mut number = 0;
    let mut refusals = 0;
    while refusals < 20 {
        number += 1;
        assert!(number < 3000, "the disk never became full");
        match log.commit(record(number)).await {
            Ok(_) => promised.push(number),
            Err(LogError::NoSpace) => refusals += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(promised.len() > 100, "{}", promised.len());
    assert_eq!(log.accepts(0), Err(LogError::NoSpace));
    all_there(&log, &promised).await;

    std::fs::remove_file(taken).unwrap();
    let mut waited = 0;
    while log.accepts(0).is_err() {
        assert!(waited < 100, "there is room again");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for number in 5000..5100 {
        log.commit(record(number)).await.unwrap();
        promised.push(number);
    }
    all_there(&log, &promised).await;
    log.close().await.unwrap();
    drop(log);
    tokio::time::sleep(Duration::from_millis(300)).await;

    let log = open(&disk.0);
    assert_eq!(log.recovery().damaged, []);
    assert_eq!(log.recovery().records, promised.len() as u64);
    all_there(&log, &promised).await;

    // And a start on a full disk reads what is there and refuses.
    log.close().await.unwrap();
    drop(log);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let filler = std::fs::File::create(disk.0.join("filler")).unwrap();
    let mut size = 64_u64 << 20;
    while size > 0 {
        let done = rustix::fs::fallocate(
            &filler,
            rustix::fs::FallocateFlags::empty(),
            filler.metadata().unwrap().len(),
            size,
        );
        if done.is_err() {
            size /= 2;
        }
        if size < 4096 {
            break;
        }
    }
    let log = open(&disk.0);
    all_there(&log, &promised).await;
    assert_eq!(
        log.commit(record(9000)).await.unwrap_err(),
        LogError::NoSpace
    );
    drop(filler);
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    let mut waited = 0;
    while log.commit(record(9001)).await.is_err() {
        assert!(waited < 100, "there is room again");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    all_there(&log, &[9001]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_refused_messages_give_their_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.keep_configuration(CONFIGURATION, vec![("c".into(), Bytes::from_static(b"c"))])
        .await
        .unwrap();
    let taken = || {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::read_dir(folder.path().join("log"))
            .unwrap()
            .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * 512))
            .sum::<u64>()
    };
    let mut kept = Vec::new();
    for number in 0..60 {
        let mut writer = log.body(SpoolOwner::Peer("greedy".into()));
        writer.write(Bytes::from(vec![1; 1 << 20])).await.unwrap();
        match number % 3 {
            0 => drop(writer),
            1 => drop(writer.finish().await.unwrap()),
            _ => {
                let mut small = log.body(SpoolOwner::Own);
                small
                    .write(Bytes::from(vec![number as u8; 100_000]))
                    .await
                    .unwrap();
                drop(writer);
                let mut new = record(number);
                let small = small.finish().await.unwrap();
                new.attachments.push(messagelog::Attachment::Sealed(small));
                log.commit(new).await.unwrap();
                kept.push(number);
            }
        }
    }
    let mut waited = 0;
    // Twenty small bodies, records, and the segments in use and in preparation.
    while taken() > 12 << 20 {
        assert!(waited < 100, "{} bytes are still taken", taken());
        waited += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
        // What wakes the writer.
        log.commit(record(1000 + waited)).await.unwrap();
    }
    let reads = |log: MessageLog, kept: Vec<u64>| async move {
        for number in kept {
            let found = log
                .find(RecordQuery {
                    query_id: Some(format!("q{number}")),
                    ..RecordQuery::default()
                })
                .await
                .unwrap();
            let messagelog::Attachment::Sealed(body) = &found[0].record.attachments[0] else {
                panic!("a body of 100,000 bytes is not kept in its record");
            };
            let content: Vec<_> = body.read().collect::<Result<_, _>>().unwrap();
            assert!(content.concat() == vec![number as u8; 100_000]);
        }
    };
    reads(log.clone(), kept.clone()).await;
    // An index is built again over dead space.
    for segment in log.store().segments() {
        if log.store().is_sealed(segment) == Some(true) {
            log.store().rebuild_index(segment).unwrap();
        }
    }
    reads(log.clone(), kept).await;
}
