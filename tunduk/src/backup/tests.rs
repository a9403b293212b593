//! A backup is made while others write, brought back, and compared; what was tampered with is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use id_registry::demonstration::territory;
use id_registry::{Nobody, OpaqueSerial, Population, Register, Rules, decide};
use store_postgres::{PostgresIdentity, PostgresRegister, PostgresSigning};
use store_sqlite::SqliteRegister;

use super::*;

/// Connection string of a server on which these tests may make databases.
const VARIABLE: &str = "TUNDUK_POSTGRES";
const HOUSEHOLDS: u32 = 400;

struct World {
    folder: tempfile::TempDir,
    identity: PathBuf,
    recipients: PathBuf,
}

fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let private = folder.join(format!("{name}.key"));
    let public = folder.join(format!("{name}.pub"));
    let age = |arguments: &[&Path]| {
        let made = Command::new("age-keygen").args(arguments).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        made.stdout
    };
    age(&[Path::new("-o"), &private]);
    fs::write(&public, age(&[Path::new("-y"), &private])).unwrap();
    (private, public)
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (identity, recipients) = pair(folder.path(), "backup");
        Self {
            folder,
            identity,
            recipients,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with connection parameters, as servers have it.
    fn parameters(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).unwrap();
        path
    }

    fn sqlite(&self) -> PathBuf {
        let path = self.path("register.sqlite");
        fill(&SqliteRegister::open(&path).unwrap(), 0..HOUSEHOLDS);
        path
    }

    /// The folder of the backup that was made.
    fn made(&self) -> PathBuf {
        let mut found = fs::read_dir(self.path("backups"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let folder = found.next().unwrap();
        assert_eq!(found.next(), None);
        folder
    }

    fn make(&self, postgres: &[PathBuf], sqlite: &[PathBuf]) -> Result<String, Failure> {
        let to = self.path("backups");
        let _ = fs::create_dir(&to);
        make(&to, &self.recipients, postgres, sqlite)
    }
}

fn fill(register: &dyn Register, households: std::ops::Range<u32>) {
    let territory = territory();
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &territory,
        cooling_off: time::Duration::DAY,
    };
    let population = Population::demonstration();
    let now = OffsetDateTime::now_utc();
    let mut decided = households.map(|place| {
        let entry = population.household_entry(place).unwrap();
        decide(entry, now, rules, &Nobody).unwrap()
    });
    register.load(&mut decided, &mut |_| {}).unwrap();
}

fn limits() -> Limits {
    Limits {
        within: Duration::from_secs(120),
        not_older: time::Duration::HOUR,
    }
}

#[test]
#[ignore = "needs age: cargo xtask test"]
fn an_sqlite_file_comes_back_as_it_was() {
    let world = World::new();
    let path = world.sqlite();
    let said = world.make(&[], std::slice::from_ref(&path)).unwrap();
    assert!(said.contains("1 databases"), "{said}");
    let backup = world.made();
    // Nothing of it can be read without the key, and no plain copy was left.
    let mut names: Vec<_> = fs::read_dir(&backup)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["manifest.json", "register.sqlite.age"]);
    let resident = Population::demonstration().person(3).unwrap();
    let sealed = fs::read(backup.join("register.sqlite.age")).unwrap();
    let manifest = fs::read(backup.join("manifest.json")).unwrap();
    for kept in [&sealed, &manifest] {
        let text = String::from_utf8_lossy(kept);
        assert!(!text.contains(resident.number.as_str()));
    }
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));

    let back = world.path("back.sqlite");
    restore(&backup, &world.identity, None, None, Some(&back)).unwrap();
    let register = SqliteRegister::open(&back).unwrap();
    assert_eq!(register.last_act().unwrap().0, u64::from(HOUSEHOLDS));
    let again = restore(&backup, &world.identity, None, None, Some(&back));
    assert!(again.unwrap_err().to_string().contains("is there already"));
    let said = drill(&backup, &world.identity, None, &limits()).unwrap();
    assert!(said.contains("rows as they were"), "{said}");

    // Too slow or too old: the drill fails, and says what it measured.
    let none = Limits {
        within: Duration::ZERO,
        ..limits()
    };
    let slow = drill(&backup, &world.identity, None, &none).unwrap_err();
    assert!(slow.to_string().contains("took too long"), "{slow}");
    let old = Limits {
        not_older: time::Duration::seconds(-1),
        ..limits()
    };
    let old = drill(&backup, &world.identity, None, &old).unwrap_err();
    assert!(old.to_string().contains("too old"), "{old}");
}

#[test]
#[ignore = "needs age: cargo xtask test"]
fn what_was_tampered_with_or_is_for_others_does_not_come_back() {
    let world = World::new();
    let path = world.sqlite();
    world.make(&[], &[path]).unwrap();
    let backup = world.made();
    let back = world.path("back.sqlite");
    let refused = |identity: &Path| {
        let said = restore(&backup, identity, None, None, Some(&back))
            .unwrap_err()
            .to_string();
        assert!(!back.exists(), "nothing is there afterwards");
        assert!(!world.path("back.sqlite.unfinished").exists());
        said
    };
    let (stranger, _) = pair(world.folder.path(), "stranger");
    assert!(refused(&stranger).contains("age"), "for others");

    let file = backup.join("register.sqlite.age");
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&file, &changed).unwrap();
    assert!(refused(&world.identity).contains("changed"));
    fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    assert!(refused(&world.identity).contains("cut off"));
    // Whoever changes the manifest too is found out by the encryption.
    fs::write(&file, &changed).unwrap();
    let manifest = backup.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let digest = |bytes: &[u8]| {
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
    };
    fs::write(&manifest, text.replace(&digest(&whole), &digest(&changed))).unwrap();
    assert!(refused(&world.identity).contains("age"));
    // And what is said to be in it must be in it.
    fs::write(&file, &whole).unwrap();
    fs::write(
        &manifest,
        text.replacen("\"rows\": 400", "\"rows\": 401", 1),
    )
    .unwrap();
    assert!(refused(&world.identity).contains("differs"));
}

#[test]
#[ignore = "needs PostgreSQL and age: cargo xtask test"]
fn databases_of_all_three_servers_come_back_while_they_are_written() {
    let server = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("{VARIABLE} names no PostgreSQL; run: cargo xtask test"));
    let world = World::new();
    let admin = Place::new(&format!("{server} dbname=postgres")).unwrap();
    let name = format!("tunduk_backup_{}", std::process::id());
    let _database = admin.scratch(&name).unwrap();
    let parameters = format!("{server} dbname={name}");
    let register = PostgresRegister::open(&parameters).unwrap();
    PostgresSigning::open(&parameters).unwrap();
    PostgresIdentity::open(&parameters).unwrap();
    fill(&register, 0..HOUSEHOLDS);

    let conn = world.parameters("all.conn", &parameters);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Acts go on while it is copied.
        scope.spawn(|| {
            for place in HOUSEHOLDS.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fill(&register, place..place + 1);
            }
        });
        world.make(std::slice::from_ref(&conn), &[]).unwrap();
        stop.store(true, Ordering::Relaxed);
    });
    let manifest = Manifest::read(&world.made()).unwrap();
    let acts = manifest.parts[0].contents["public.act"].rows;
    assert!(acts >= u64::from(HOUSEHOLDS), "{acts}");
    assert!(
        manifest.parts[0]
            .contents
            .contains_key("public.signing_item")
    );

    let server_file = world.parameters("server.conn", &format!("{server} dbname=postgres"));
    let said = drill(
        &world.made(),
        &world.identity,
        Some(&server_file),
        &limits(),
    )
    .unwrap();
    assert!(said.contains("as they were"), "{said}");
    println!("{said}");

    // Brought back for good: into an empty database only, and the register goes on where it was.
    let refused = restore(&world.made(), &world.identity, None, Some(&conn), None);
    assert!(refused.unwrap_err().to_string().contains("not empty"));
    let name = format!("tunduk_back_{}", std::process::id());
    let _back = admin.scratch(&name).unwrap();
    let back = format!("{server} dbname={name}");
    let back_file = world.parameters("back.conn", &back);
    restore(&world.made(), &world.identity, None, Some(&back_file), None).unwrap();
    let register = PostgresRegister::open(&back).unwrap();
    assert_eq!(register.last_act().unwrap().0, acts);
    let next = u32::try_from(acts).unwrap() + 1000;
    fill(&register, next..next + 1);
    assert_eq!(register.last_act().unwrap().0, acts + 1);
    PostgresSigning::open(&back).unwrap();
    PostgresIdentity::open(&back).unwrap();
}

#[test]
fn a_file_with_a_password_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.conn");
    fs::write(&path, "host=h password=secret").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&path, mode).unwrap();
    let refused = place(&path).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
    let refused = Place::new("password=secret nonsense").unwrap_err();
    assert!(!refused.to_string().contains("secret"), "{refused}");
}

#[test]
fn databases_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let refused = make(
        folder.path(),
        &file("r"),
        &[file("a.conn")],
        &[file("a.sqlite")],
    );
    assert!(refused.unwrap_err().to_string().contains("another name"));
    let refused = make(folder.path(), &file("r"), &[], &[]);
    assert!(refused.unwrap_err().to_string().contains("at least one"));
}
