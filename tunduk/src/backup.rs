//! `tunduk backup`: encrypted copies of databases, bringing one back, and the drill that shows that it can be done and how
//! long it takes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backup::{Contents, FORM, Kind, Manifest, Part, Seal, TableContents};
use clap::{Args, Subcommand};
use store_postgres::{CopyError, Place};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What `tunduk backup` takes.
#[derive(Debug, Args)]
pub struct BackupArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy databases as they are, encrypted; servers run on
    Make {
        /// Where the backup becomes a folder of its own, named by the time
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Who can read it: public keys of age, one a line. Keep the private keys elsewhere
        #[arg(long, value_name = "FILE")]
        recipients: PathBuf,
        /// A PostgreSQL database: a file with its connection parameters, as servers have it
        #[arg(long, value_name = "FILE")]
        postgres: Vec<PathBuf>,
        /// An SQLite file
        #[arg(long, value_name = "FILE")]
        sqlite: Vec<PathBuf>,
    },
    /// Bring one database of a backup back, into an empty database or a new file
    Restore {
        /// The backup's folder
        backup: PathBuf,
        /// The private key of age
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// Which database: its name in the backup. Not needed if there is only one
        #[arg(long)]
        part: Option<String>,
        /// A file with the connection parameters of an empty PostgreSQL database
        #[arg(long, value_name = "FILE", conflicts_with = "sqlite")]
        postgres: Option<PathBuf>,
        /// The SQLite file that it becomes
        #[arg(long, value_name = "FILE")]
        sqlite: Option<PathBuf>,
    },
    /// Bring a whole backup back somewhere where it disturbs nobody, compare every row, and say how long it took
    Drill {
        /// The backup's folder
        backup: PathBuf,
        /// The private key of age
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
        /// A file with connection parameters of a PostgreSQL server: databases are made on it and dropped
        #[arg(long, value_name = "FILE")]
        postgres: Option<PathBuf>,
        /// It fails if it takes longer, in minutes
        #[arg(long, default_value_t = 60)]
        within_minutes: u64,
        /// It fails if the backup is older, in hours
        #[arg(long, default_value_t = 26)]
        not_older_than_hours: u32,
    },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    #[error(transparent)]
    Postgres(#[from] CopyError),
    #[error(transparent)]
    Sqlite(#[from] store_sqlite::CopyError),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}")]
    Said(String),
}

fn in_file(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::File(path.to_owned(), error)
}

/// Runs `tunduk backup`.
///
/// # Errors
/// In words, why it cannot; or that what was brought back is not what there was, or took too long.
pub fn run(arguments: BackupArguments) -> Result<String, String> {
    let done = match arguments.action {
        Action::Make {
            to,
            recipients,
            postgres,
            sqlite,
        } => make(&to, &recipients, &postgres, &sqlite),
        Action::Restore {
            backup,
            identity,
            part,
            postgres,
            sqlite,
        } => restore(
            &backup,
            &identity,
            part.as_deref(),
            postgres.as_deref(),
            sqlite.as_deref(),
        ),
        Action::Drill {
            backup,
            identity,
            postgres,
            within_minutes,
            not_older_than_hours,
        } => {
            let limits = Limits {
                within: Duration::from_secs(60 * within_minutes),
                not_older: time::Duration::hours(not_older_than_hours.into()),
            };
            drill(&backup, &identity, postgres.as_deref(), &limits)
        }
    };
    done.map(|said| said + "\n")
        .map_err(|failure| failure.to_string())
}

/// Reads connection parameters. They may hold a password: others must not be able to read them.
fn place(path: &Path) -> Result<Place, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(in_file(path))?.permissions();
    if mode.mode() & 0o077 != 0 {
        return Err(Failure::Said(format!(
            "{}: others can read it; run: chmod 600 {0}",
            path.display()
        )));
    }
    let text = fs::read_to_string(path).map_err(in_file(path))?;
    Ok(Place::new(text.trim())?)
}

/// A part's name: the file's, without its ending.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        })
        .collect()
}

fn make(
    to: &Path,
    recipients: &Path,
    postgres: &[PathBuf],
    sqlite: &[PathBuf],
) -> Result<String, Failure> {
    let begun = Instant::now();
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let mut names: Vec<String> = postgres
        .iter()
        .chain(sqlite)
        .map(|path| name_of(path))
        .collect();
    names.sort_unstable();
    if names.is_empty() || names.windows(2).any(|pair| pair[0] == pair[1]) {
        let said = "name at least one database, and each by a file of another name";
        return Err(Failure::Said(said.to_owned()));
    }
    let moment = now.format(&Rfc3339).unwrap_or_default().replace(':', "");
    let folder = to.join(format!("tunduk-{moment}"));
    // Until it is whole it has another name, so that nobody takes half a backup for one.
    let unfinished = to.join(format!(".tunduk-{moment}"));
    make_private(&unfinished)?;
    let mut parts = Vec::new();
    for path in postgres {
        let name = name_of(path);
        let file = format!("{name}.dump.age");
        let target = unfinished.join(&file);
        let (contents, seal) = place(path)?
            .copy(|plain| backup::seal(recipients, plain, &target).map_err(Failure::from))?;
        let contents = contents
            .into_iter()
            .map(|(table, (rows, sum))| {
                (
                    table,
                    TableContents {
                        rows,
                        sum: Some(sum),
                    },
                )
            })
            .collect();
        parts.push(part(name, Kind::Postgres, file, seal, contents));
    }
    for path in sqlite {
        let name = name_of(path);
        let file = format!("{name}.sqlite.age");
        let copy = unfinished.join(format!("{name}.sqlite"));
        store_sqlite::copy(path, &copy)?;
        let contents = of_sqlite(&copy)?;
        let plain = File::open(&copy).map_err(in_file(&copy))?;
        let seal = backup::seal(recipients, plain, &unfinished.join(&file))?;
        fs::remove_file(&copy).map_err(in_file(&copy))?;
        parts.push(part(name, Kind::Sqlite, file, seal, contents));
    }
    let manifest = Manifest {
        form: FORM,
        begun_at: now,
        program: format!("tunduk {}", env!("CARGO_PKG_VERSION")),
        parts,
    };
    manifest.write(&unfinished)?;
    fs::rename(&unfinished, &folder)
        .and_then(|()| File::open(to)?.sync_all())
        .map_err(in_file(&folder))?;
    let bytes: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
    Ok(format!(
        "{}: {} databases, {} rows, {bytes} bytes, in {:.1} s",
        folder.display(),
        manifest.parts.len(),
        rows(&manifest),
        begun.elapsed().as_secs_f64()
    ))
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .map_err(in_file(folder))
}

fn part(name: String, kind: Kind, file: String, seal: Seal, contents: Contents) -> Part {
    Part {
        name,
        kind,
        file,
        sha256: seal.sha256,
        bytes: seal.bytes,
        contents,
    }
}

fn of_sqlite(path: &Path) -> Result<Contents, Failure> {
    Ok(store_sqlite::contents(path)?
        .into_iter()
        .map(|(table, rows)| (table, TableContents { rows, sum: None }))
        .collect())
}

fn of_postgres(place: &Place) -> Result<Contents, Failure> {
    Ok(place
        .contents()?
        .into_iter()
        .map(|(table, (rows, sum))| {
            (
                table,
                TableContents {
                    rows,
                    sum: Some(sum),
                },
            )
        })
        .collect())
}

fn rows(manifest: &Manifest) -> u64 {
    let tables = manifest
        .parts
        .iter()
        .flat_map(|part| part.contents.values());
    tables.map(|table| table.rows).sum()
}

/// What was brought back must be what there was.
fn compare(part: &Part, found: &Contents) -> Result<(), Failure> {
    if *found == part.contents {
        return Ok(());
    }
    let tables = part.contents.keys().chain(found.keys());
    let different = tables
        .filter(|table| part.contents.get(*table) != found.get(*table))
        .min()
        .map_or("nothing", String::as_str);
    Err(Failure::Said(format!(
        "{}: what was brought back is not what there was: table {different} differs",
        part.name
    )))
}

fn bring_back_postgres(
    backup: &Path,
    identity: &Path,
    part: &Part,
    place: &Place,
) -> Result<(), Failure> {
    let file = sound(backup, part)?;
    let mut opening = backup::open(identity, &file)?;
    let plain = opening
        .plain()
        .ok_or_else(|| Failure::Said("age gives nothing".to_owned()))?;
    let brought = place.bring_back(plain);
    let ended = opening.end();
    match brought {
        // If age failed, that is why the other did.
        Err(error @ CopyError::Program { .. }) => {
            ended?;
            return Err(error.into());
        }
        brought => brought?,
    }
    ended?;
    compare(part, &of_postgres(place)?)
}

fn bring_back_sqlite(
    backup: &Path,
    identity: &Path,
    part: &Part,
    path: &Path,
) -> Result<(), Failure> {
    let file = sound(backup, part)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    if path.exists() {
        return Err(Failure::Said(format!(
            "{} is there already; nothing was changed",
            path.display()
        )));
    }
    let mut target = private_file(&unfinished)?;
    let mut opening = backup::open(identity, &file)?;
    if let Some(mut plain) = opening.plain() {
        io::copy(&mut plain, &mut target).map_err(in_file(&unfinished))?;
    }
    let whole = opening
        .end()
        .map_err(Failure::from)
        .and_then(|()| target.sync_all().map_err(in_file(&unfinished)))
        .and_then(|()| compare(part, &of_sqlite(&unfinished)?));
    if let Err(failure) = whole {
        // What is not whole is of no use to anybody.
        let _ = fs::remove_file(&unfinished);
        return Err(failure);
    }
    fs::rename(&unfinished, path).map_err(in_file(path))
}

fn private_file(path: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(in_file(path))
}

/// The part's file, if it is the one that was written.
fn sound(backup: &Path, part: &Part) -> Result<PathBuf, Failure> {
    let file = backup.join(&part.file);
    let seal = Seal {
        sha256: part.sha256.clone(),
        bytes: part.bytes,
    };
    backup::check(&file, &seal)?;
    Ok(file)
}

fn restore(
    backup: &Path,
    identity: &Path,
    wanted: Option<&str>,
    postgres: Option<&Path>,
    sqlite: Option<&Path>,
) -> Result<String, Failure> {
    let begun = Instant::now();
    let manifest = Manifest::read(backup)?;
    let found: Vec<&Part> = manifest
        .parts
        .iter()
        .filter(|part| wanted.is_none_or(|wanted| part.name == wanted))
        .collect();
    let names: Vec<&str> = manifest
        .parts
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    let [part] = found.as_slice() else {
        let names = names.join(", ");
        return Err(Failure::Said(format!("say which with --part: {names}")));
    };
    match (part.kind, postgres, sqlite) {
        (Kind::Postgres, Some(file), None) => {
            bring_back_postgres(backup, identity, part, &place(file)?)?;
        }
        (Kind::Sqlite, None, Some(file)) => bring_back_sqlite(backup, identity, part, file)?,
        (Kind::Postgres, ..) => return Err(Failure::Said("say where with --postgres".to_owned())),
        (Kind::Sqlite, ..) => return Err(Failure::Said("say where with --sqlite".to_owned())),
    }
    Ok(format!(
        "{}: as it was at {}, in {:.1} s",
        part.name,
        manifest.begun_at,
        begun.elapsed().as_secs_f64()
    ))
}

struct Limits {
    within: Duration,
    not_older: time::Duration,
}

fn drill(
    backup: &Path,
    identity: &Path,
    postgres: Option<&Path>,
    limits: &Limits,
) -> Result<String, Failure> {
    let begun = Instant::now();
    let manifest = Manifest::read(backup)?;
    let folder = tempfile::tempdir().map_err(in_file(backup))?;
    let mut said = Vec::new();
    for part in &manifest.parts {
        let part_begun = Instant::now();
        match part.kind {
            Kind::Postgres => {
                let server = postgres
                    .ok_or_else(|| Failure::Said("name a server with --postgres".to_owned()))?;
                let name = format!("tunduk_drill_{}_{}", part.name, std::process::id());
                let scratch = place(server)?.scratch(&name)?;
                bring_back_postgres(backup, identity, part, scratch.place())?;
                scratch.place().opens()?;
            }
            Kind::Sqlite => {
                let file = folder.path().join(format!("{}.sqlite", part.name));
                bring_back_sqlite(backup, identity, part, &file)?;
            }
        }
        let rows: u64 = part.contents.values().map(|table| table.rows).sum();
        let took = part_begun.elapsed().as_secs_f64();
        said.push(format!(
            "{}: {rows} rows as they were, {took:.1} s",
            part.name
        ));
    }
    let took = begun.elapsed();
    let age = OffsetDateTime::now_utc() - manifest.begun_at;
    said.push(format!(
        "brought back in {:.1} s of {} s; the backup is {} minutes old",
        took.as_secs_f64(),
        limits.within.as_secs(),
        age.whole_minutes()
    ));
    let said = said.join("\n");
    if took > limits.within {
        return Err(Failure::Said(format!("{said}\nthat took too long")));
    }
    if age > limits.not_older {
        return Err(Failure::Said(format!("{said}\nthe backup is too old")));
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
