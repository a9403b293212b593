//! `tunduk bench register`: how fast the population register takes people over, finds them by number and by name.
//!
//! A dirty source is written, read, judged and imported as `tunduk register import` does it, into PostgreSQL and into an
//! SQLite file, with the databases' durable settings. Then people are looked up, each look kept before it is answered as
//! the service does it, and searched for by misspelt names. Between two look-ups a page is flushed to the same disk: no
//! look can be kept faster than that.

use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use id_import::Origin;
use id_registry::demonstration::{DirtySource, Planted, territory};
use id_registry::{DEFAULT_SEED, LookUp, NameQuery, Officer, Register, answering};
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::date;

use super::Failure;
use crate::{register, registry_server};

/// Look-ups and searches that are measured.
const ASKED: u32 = 5000;
/// Those before, which are not.
const WARMING: u32 = 500;
/// Hits that a search asks for.
const HITS: usize = 50;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct RegisterOptions {
    /// Write the figures as one JSON object to standard output.
    #[arg(long)]
    json: bool,
    /// File with the parameters of an empty PostgreSQL database, as libpq writes them; without it SQLite alone is measured.
    #[arg(long, value_name = "FILE")]
    postgres: Option<PathBuf>,
    /// People in PostgreSQL, at most 7,300,000.
    #[arg(long, default_value_t = 7_000_000)]
    people: u32,
    /// People in SQLite.
    #[arg(long, default_value_t = 100_000)]
    sqlite_people: u32,
    /// Folder for sources and database, of this run alone; must be on a disk, and is emptied.
    #[arg(long, default_value = "target/bench-register")]
    state: PathBuf,
}

/// Figures of one database.
#[derive(Debug, Serialize)]
struct Figures {
    rows: u64,
    imported: u64,
    quarantined: u64,
    read_seconds: f64,
    import_seconds: f64,
    look_up: Times,
    look_up_alone: Times,
    flush: Times,
    search: Times,
    goals_met: bool,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
struct Times {
    p50: f64,
    p99: f64,
    longest: f64,
}

/// Measures, and tells the figures.
pub(super) fn run(options: &RegisterOptions) -> Result<(), Failure> {
    if options.state.exists() {
        fs::remove_dir_all(&options.state).map_err(|error| error.to_string())?;
    }
    let mut figures = serde_json::Map::new();
    let sqlite = measure("sqlite", options.sqlite_people, &options.state, None)?;
    tell("SQLite", &sqlite);
    let json = |figures: &Figures| serde_json::to_value(figures).map_err(|error| error.to_string());
    figures.insert("sqlite".to_owned(), json(&sqlite)?);
    if let Some(file) = &options.postgres {
        let postgres = measure("postgres", options.people, &options.state, Some(file))?;
        tell("PostgreSQL", &postgres);
        figures.insert("postgres".to_owned(), json(&postgres)?);
    }
    fs::remove_dir_all(&options.state).map_err(|error| error.to_string())?;
    if options.json {
        println!("{}", serde_json::Value::Object(figures));
    }
    Ok(())
}

fn measure(
    name: &str,
    people: u32,
    state: &Path,
    postgres: Option<&Path>,
) -> Result<Figures, Failure> {
    let folder = state.join(name);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let source = DirtySource::new(DEFAULT_SEED, people);
    let file = folder.join("source.csv");
    let planted = write(&source, &file).map_err(|error| error.to_string())?;
    let register = registry_server::open(&folder, postgres)?;
    let territory = territory();

    let begun = Instant::now();
    let (_, plan) = register::survey(&file, &folder, &territory)?;
    let read_seconds = begun.elapsed().as_secs_f64();
    let origin = Origin {
        officer: Officer {
            office: "bench".to_owned(),
            name: "bench".to_owned(),
        },
        reference: "bench".to_owned(),
        effective: date!(2026 - 01 - 01),
        at: OffsetDateTime::now_utc(),
    };
    let count = register::enter(plan, register.as_ref(), &origin, &territory, &file, &folder)?;
    let import_seconds = begun.elapsed().as_secs_f64();
    if count.rows != planted.rows || count.imported == 0 {
        return Err(format!("{} rows were written, {} read", planted.rows, count.rows).into());
    }
    fs::remove_file(&file).map_err(|error| error.to_string())?;

    // What the import left to write back would be in the way: a register at work is measured.
    rustix::fs::sync();
    let mut flushes = Flushes::new(&folder.join("flush")).map_err(|error| error.to_string())?;
    let look_up = look_ups(register.as_ref(), &source, Some(&mut flushes))?;
    let look_up_alone = look_ups(register.as_ref(), &source, None)?;
    let search = searches(register.as_ref(), &source)?;
    let goals_met = look_up.p99 < 5.0
        && look_up_alone.p99 < 5.0
        && search.p99 < 100.0
        && import_seconds < 900.0;
    Ok(Figures {
        rows: count.rows,
        imported: count.imported,
        quarantined: count.quarantined,
        read_seconds,
        import_seconds,
        look_up,
        look_up_alone,
        flush: Times::of(flushes.times),
        search,
        goals_met,
    })
}

fn write(source: &DirtySource, file: &Path) -> std::io::Result<Planted> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    out.write_all(DirtySource::HEADER.as_bytes())?;
    let (mut rows, mut planted) = (String::new(), Planted::default());
    for household in 0..source.households() {
        source.write_household(household, &mut rows, &mut planted);
        if rows.len() > 1 << 16 {
            out.write_all(rows.as_bytes())?;
            rows.clear();
        }
    }
    out.write_all(rows.as_bytes())?;
    out.flush()?;
    Ok(planted)
}

/// Somebody of the source, spread over all of it.
fn somebody(turn: u32, people: u32) -> u32 {
    let place = u64::from(turn) * 0x9E37_79B1 % u64::from(people.max(1));
    u32::try_from(place).unwrap_or(0)
}

/// Pages that are flushed one after the other, as a database flushes its log.
struct Flushes {
    file: fs::File,
    page: Vec<u8>,
    times: Vec<Duration>,
}

impl Flushes {
    /// Bytes of a page, and pages of the file, which are written over and over.
    const PAGE: usize = 8192;
    const PAGES: usize = 1024;

    fn new(path: &Path) -> std::io::Result<Self> {
        let page = vec![0xA5; Self::PAGE];
        let mut file = fs::File::create(path)?;
        for _ in 0..Self::PAGES {
            file.write_all(&page)?;
        }
        file.sync_all()?;
        Ok(Self {
            file,
            page,
            times: Vec::new(),
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let offset = self.times.len() % Self::PAGES * Self::PAGE;
        let begun = Instant::now();
        self.file.write_all_at(&self.page, offset as u64)?;
        self.file.sync_data()?;
        self.times.push(begun.elapsed());
        Ok(())
    }
}

/// Look-ups, each look kept and followed by a flush if there are any.
fn look_ups(
    register: &dyn Register,
    source: &DirtySource,
    mut keep: Option<&mut Flushes>,
) -> Result<Times, Failure> {
    let people = source.households() * 4;
    let mut times = Vec::new();
    let mut found = 0_u32;
    for turn in 0..WARMING + ASKED {
        let number = source.number(somebody(turn, people));
        let look_up = LookUp {
            number,
            at: OffsetDateTime::now_utc(),
            client: "KG/GOV/1/bench".to_owned(),
            user: "bench".to_owned(),
            purpose: "bench".to_owned(),
            service: "personByNumber".to_owned(),
            query_id: turn.to_string(),
            released: None,
        };
        let begun = Instant::now();
        if keep.is_some() {
            register
                .keep_look_up(&look_up)
                .map_err(|error| error.to_string())?;
        }
        let record = answering(register, number).map_err(|error| error.to_string())?;
        let named = record
            .as_ref()
            .is_some_and(|record| record.names().is_some());
        if turn >= WARMING {
            times.push(begun.elapsed());
            found += u32::from(named);
        }
        if let Some(flushes) = keep.as_deref_mut() {
            flushes.flush().map_err(|error| error.to_string())?;
        }
    }
    if u64::from(found) * 100 < u64::from(ASKED) * 95 {
        return Err(format!("only {found} of {ASKED} people were found").into());
    }
    Ok(Times::of(times))
}

/// Searches by names with two letters swapped, every third by the family name alone.
fn searches(register: &dyn Register, source: &DirtySource) -> Result<Times, Failure> {
    let people = source.households() * 4;
    let mut times = Vec::new();
    let mut found = 0_u32;
    for turn in 0..(WARMING + ASKED) / 5 {
        let (family, given) = source.names(somebody(turn + 17, people));
        let mut letters: Vec<char> = family.chars().collect();
        letters.swap(1, 2);
        let family: String = letters.into_iter().collect();
        let given = if turn % 3 == 0 { "" } else { &given };
        let Some(query) = NameQuery::new(&family, given) else {
            continue;
        };
        let begun = Instant::now();
        let hits = register
            .search(&query, HITS)
            .map_err(|error| error.to_string())?;
        if turn >= WARMING / 5 {
            times.push(begun.elapsed());
            found += u32::from(!hits.is_empty());
        }
    }
    if found == 0 {
        return Err("no search found anybody".into());
    }
    Ok(Times::of(times))
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: usize| {
            let place = (times.len() * part / 1000).min(times.len().saturating_sub(1));
            times
                .get(place)
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Self {
            p50: at(500),
            p99: at(990),
            longest: at(1000),
        }
    }
}

fn tell(name: &str, figures: &Figures) {
    eprintln!(
        "{name}: {} rows read in {:.1} s, {} people there after {:.1} s ({} rows quarantined)",
        figures.rows,
        figures.read_seconds,
        figures.imported,
        figures.import_seconds,
        figures.quarantined
    );
    for (what, times, goal) in [
        ("flush of a page", &figures.flush, "-"),
        ("look-up by number, kept", &figures.look_up, "p99 < 5"),
        (
            "look-up by number, alone",
            &figures.look_up_alone,
            "p99 < 5",
        ),
        ("fuzzy search by name", &figures.search, "p99 < 100"),
    ] {
        eprintln!(
            "  {what:26} p50 {:8.3} ms, p99 {:8.3} ms, longest {:8.3} ms (goal {goal})",
            times.p50, times.p99, times.longest
        );
    }
    eprintln!(
        "  goals {}",
        if figures.goals_met { "met" } else { "NOT met" }
    );
}
