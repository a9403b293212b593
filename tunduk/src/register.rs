//! `tunduk register`: what an earlier register's data are worth, and taking them over.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use id_import::{
    Alike, Finding, LONGEST_ROW, Layout, Origin, Place, Plan, Profile, Quotes, Reconciliation,
    Survey, import,
};
use id_registry::{Officer, OpaqueSerial, Rules, Territory, day_of, demonstration};
use serde::Serialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::registry_server;

/// What some programs write at the beginning of UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// What `tunduk register` does.
#[derive(Debug, Subcommand)]
pub enum Register {
    /// Say what a source is like, without touching any register
    Profile {
        /// The source: CSV with a header, or one JSON object a line
        source: PathBuf,
        /// Where to write profile.json, quarantine.csv and candidates.csv
        #[arg(long, value_name = "DIR")]
        report: PathBuf,
    },
    /// Take the people of a source over; run again, it goes on where it was and enters nobody twice
    Import(ImportArguments),
}

/// What `tunduk register import` takes.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The source: CSV with a header, or one JSON object a line
    source: PathBuf,
    /// Where to write the reports of `profile`, and reconciliation.json
    #[arg(long, value_name = "DIR")]
    report: PathBuf,
    /// Where the population register keeps its database, as for `registry-server run`
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// It is in PostgreSQL instead: a file with the connection's parameters, as libpq writes them
    #[arg(long, value_name = "FILE")]
    postgres: Option<PathBuf>,
    /// The day whose state the source is, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    as_of: String,
    /// The source's name, to which every act refers
    #[arg(long)]
    reference: String,
    /// The office that answers for the import
    #[arg(long)]
    office: String,
    /// The officer who answers for it
    #[arg(long)]
    officer: String,
}

/// Runs `tunduk register`; gives what to tell.
///
/// # Errors
/// In words, why it stopped. What an import entered before stays.
pub fn run(register: &Register) -> Result<String, String> {
    match register {
        Register::Profile { source, report } => {
            let territory = demonstration::territory();
            let (profile, _) = survey(source, report, &territory)?;
            Ok(summary(&profile))
        }
        Register::Import(arguments) => import_source(arguments),
    }
}

fn import_source(arguments: &ImportArguments) -> Result<String, String> {
    let day = format_description!("[year]-[month]-[day]");
    let effective = Date::parse(&arguments.as_of, &day)
        .map_err(|_| format!("{:?} is no day, such as 2026-11-25", arguments.as_of))?;
    let now = OffsetDateTime::now_utc();
    if effective > day_of(now) {
        return Err(format!("{effective} is in the future"));
    }
    let origin = Origin {
        officer: Officer {
            office: arguments.office.clone(),
            name: arguments.officer.clone(),
        },
        reference: arguments.reference.clone(),
        effective,
        at: now,
    };
    let register = registry_server::open(&arguments.state, arguments.postgres.as_deref())?;
    let territory = demonstration::territory();
    let (profile, plan) = survey(&arguments.source, &arguments.report, &territory)?;
    let count = enter(
        plan,
        register.as_ref(),
        &origin,
        &territory,
        &arguments.source,
        &arguments.report,
    )?;
    Ok(summary(&profile) + &told(&count))
}

/// Reads a source and writes what it is like.
pub(crate) fn survey(
    source: &Path,
    report: &Path,
    territory: &Territory,
) -> Result<(Profile, Plan), String> {
    fs::create_dir_all(report).map_err(|error| at(report, &error))?;
    let today = day_of(OffsetDateTime::now_utc());
    let mut findings = Findings::new(report)?;
    let mut rows = Rows::open(source)?;
    let mut survey = Survey::new(rows.layout.clone(), rules(territory), today);
    let mut progress = Progress::new("read");
    while let Some(place) = rows.next()? {
        survey.read(place, &rows.row, &mut |finding| findings.add(&finding));
        progress.tell(survey.rows(), None);
    }
    let (profile, alike, plan) = survey.finish(&mut |finding| findings.add(&finding));
    findings.end()?;
    write_json(&report.join("profile.json"), &profile)?;
    write_candidates(&report.join("candidates.csv"), &alike)?;
    Ok((profile, plan))
}

/// Enters the people of a source that was read, and writes what became of its rows.
pub(crate) fn enter(
    plan: Plan,
    register: &dyn id_registry::Register,
    origin: &Origin,
    territory: &Territory,
    source: &Path,
    report: &Path,
) -> Result<Reconciliation, String> {
    let file = File::open(source).map_err(|error| at(source, &error))?;
    let mut findings = Findings::more(report)?;
    let mut progress = Progress::new("accounted for");
    let mut read = |place: Place| -> Result<Vec<u8>, std::io::Error> {
        let mut row = vec![0; place.length as usize];
        file.read_exact_at(&mut row, place.offset).map(|()| row)
    };
    let count = import(
        plan,
        register,
        rules(territory),
        origin,
        &mut read,
        &mut |finding| findings.add(&finding),
        &mut |count| progress.tell(count.accounted(), Some(count.rows)),
    )
    .map_err(|error| error.to_string())?;
    findings.end()?;
    write_json(&report.join("reconciliation.json"), &count)?;
    if count.is_complete() {
        Ok(count)
    } else {
        Err(format!(
            "{} rows were read and {} are accounted for; this is a fault of this program",
            count.rows,
            count.accounted()
        ))
    }
}

fn rules(territory: &Territory) -> Rules<'_> {
    Rules {
        numbers: &OpaqueSerial,
        territory,
        cooling_off: time::Duration::DAY,
    }
}

fn summary(profile: &Profile) -> String {
    let mut text = format!(
        "{} rows, {} people\n\n{:20} {:>10} {:>10} {:>10}\n",
        profile.rows, profile.people, "column", "filled", "distinct", "malformed"
    );
    for (name, column) in &profile.columns {
        let about = if column.distinct_is_estimated {
            "~"
        } else {
            ""
        };
        let distinct = format!("{about}{}", column.distinct);
        text += &format!(
            "{name:20} {:>10} {distinct:>10} {:>10}\n",
            column.filled, column.malformed
        );
    }
    let it = &profile.contradictions;
    for (count, what) in [
        (it.sex_and_number, "sex contradicts number"),
        (it.birth_and_number, "date of birth contradicts number"),
        (it.rows_repeated, "rows repeated"),
        (
            it.rows_sharing_a_number,
            "rows sharing a number with another",
        ),
        (it.pairs_same_document, "pairs with one document"),
        (it.pairs_same_name, "pairs with one name and birthday"),
        (
            it.pairs_same_name_across_scripts,
            "pairs with one name across scripts, and birthday",
        ),
        (
            it.pairs_alike_name,
            "pairs with alike names and one birthday",
        ),
        (
            it.pairs_birthday_swapped,
            "pairs with one name, day and month swapped",
        ),
    ] {
        text += &format!("{count:>10} {what}\n");
    }
    text
}

fn told(count: &Reconciliation) -> String {
    format!(
        "\n{} rows: {} imported ({} without a value), {} already there, {} repeated, {} quarantined\n",
        count.rows,
        count.imported,
        count.imported_incomplete,
        count.already_there,
        count.repeated,
        count.quarantined
    )
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// The rows of a file, one after the other.
struct Rows {
    path: PathBuf,
    file: BufReader<File>,
    layout: Layout,
    offset: u64,
    /// The row read last, cut off where it is longer than any may be.
    row: Vec<u8>,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| at(path, &error))?;
        let mut rows = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            layout: Layout::Objects,
            offset: 0,
            row: Vec::new(),
        };
        let start = rows.file.fill_buf().map_err(|error| at(path, &error))?;
        let mark = if start.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        let objects = start.get(mark) == Some(&b'{');
        rows.file.consume(mark);
        rows.offset = mark as u64;
        if !objects {
            rows.read_row(None)?;
            rows.layout = Layout::of_header(&rows.row).map_err(|error| at(path, &error))?;
        }
        Ok(rows)
    }

    /// Reads the next row that is not blank.
    fn next(&mut self) -> Result<Option<Place>, String> {
        loop {
            let quotes = match self.layout {
                Layout::Separated { by, .. } => Some(Quotes::new(by)),
                Layout::Objects => None,
            };
            let place = self.read_row(quotes)?;
            match place {
                Some(place) if place.length == 0 => {}
                place => return Ok(place),
            }
        }
    }

    fn read_row(&mut self, mut quotes: Option<Quotes>) -> Result<Option<Place>, String> {
        self.row.clear();
        let begin = self.offset;
        let mut first_line = None;
        let mut ended = false;
        while !ended {
            let more = self
                .file
                .fill_buf()
                .map_err(|error| at(&self.path, &error))?;
            if more.is_empty() {
                break;
            }
            let line = memchr::memchr(b'\n', more);
            let taken = line.map_or(more.len(), |end| end + 1);
            // What is longer than any row may be is counted, not kept.
            let room = (LONGEST_ROW + 1).saturating_sub(self.row.len());
            self.row.extend_from_slice(&more[..taken.min(room)]);
            let open = quotes
                .as_mut()
                .is_some_and(|quotes| quotes.are_open_after(&more[..taken]));
            self.file.consume(taken);
            self.offset += taken as u64;
            let too_long = self.row.len() > LONGEST_ROW;
            ended = line.is_some() && (too_long || !open);
            if line.is_some() && !ended {
                first_line.get_or_insert(self.offset);
            }
        }
        if let Some(end) = first_line
            && (self.row.len() > LONGEST_ROW || !self.layout.is_row(without_end(&self.row)))
        {
            // A quote that is never closed, or closed by one that was meant to open: the rows behind are rows.
            let back = i64::try_from(self.offset - end).unwrap_or(i64::MAX);
            let sought = self.file.seek_relative(-back);
            sought.map_err(|error| at(&self.path, &error))?;
            self.offset = end;
            self.row.truncate((end - begin) as usize);
        }
        let mut length = self.offset - begin;
        if length == 0 {
            return Ok(None);
        }
        if length as usize == self.row.len() {
            self.row.truncate(without_end(&self.row).len());
            length = self.row.len() as u64;
        }
        Ok(Some(Place {
            offset: begin,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        }))
    }
}

/// A row without the end of its line.
fn without_end(row: &[u8]) -> &[u8] {
    let last = row.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    &row[..last.map_or(0, |last| last + 1)]
}

/// The list of what is wrong, for those who mend the source.
struct Findings {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Findings {
    fn new(report: &Path) -> Result<Self, String> {
        let path = report.join("quarantine.csv");
        let mut file = secret_file(&path)?;
        writeln!(file, "row,column,kept_out,reason,explanation")
            .map_err(|error| at(&path, &error))?;
        Ok(Self {
            path,
            file,
            failed: None,
        })
    }

    /// Adds to the list of a source that was read.
    fn more(report: &Path) -> Result<Self, String> {
        let path = report.join("quarantine.csv");
        let file = fs::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|error| at(&path, &error))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            failed: None,
        })
    }

    fn add(&mut self, finding: &Finding) {
        let written = writeln!(
            self.file,
            "{},{},{},{},\"{}\"",
            finding.row,
            finding.column.map_or("", id_import::Column::name),
            finding.keeps_out,
            finding.reason.code(),
            finding.reason.to_string().replace('"', "\"\"")
        );
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn end(mut self) -> Result<(), String> {
        let flushed = self.file.flush();
        match self.failed.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(at(&self.path, &error)),
        }
    }
}

/// A file that its owner alone may read.
fn secret_file(path: &Path) -> Result<BufWriter<File>, String> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.map(BufWriter::new).map_err(|error| at(path, &error))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let mut file = secret_file(path)?;
    serde_json::to_writer_pretty(&mut file, value).map_err(|error| at(path, &error))?;
    file.flush().map_err(|error| at(path, &error))
}

fn write_candidates(path: &Path, alike: &[Alike]) -> Result<(), String> {
    let mut file = secret_file(path)?;
    let write = |file: &mut BufWriter<File>| -> std::io::Result<()> {
        writeln!(file, "number,other_number,row,other_row,likeness")?;
        for pair in alike {
            let [one, other] = pair.numbers;
            let [row, other_row] = pair.rows;
            let likeness = serde_json::to_string(&pair.likeness)?;
            writeln!(
                file,
                "{one},{other},{row},{other_row},{}",
                likeness.trim_matches('"')
            )?;
        }
        file.flush()
    };
    write(&mut file).map_err(|error| at(path, &error))
}

/// Tells on standard error how far it is.
struct Progress {
    what: &'static str,
    begun: Instant,
    told: Instant,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            begun: Instant::now(),
            told: Instant::now(),
        }
    }

    fn tell(&mut self, done: u64, all: Option<u64>) {
        if self.told.elapsed() < TOLD_EVERY {
            return;
        }
        self.told = Instant::now();
        let rate = done as f64 / self.begun.elapsed().as_secs_f64();
        match all {
            Some(all) => eprintln!("{done} of {all} rows {} ({rate:.0} a second)", self.what),
            None => eprintln!("{done} rows {} ({rate:.0} a second)", self.what),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    /// The rows of a source as they are read, and as they are read again by their places.
    fn rows_of(source: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source.csv");
        fs::write(&path, source).unwrap();
        let mut rows = Rows::open(&path).unwrap();
        let mut read = Vec::new();
        while let Some(place) = rows.next().unwrap() {
            if place.length as usize <= LONGEST_ROW {
                let from = place.offset as usize;
                let again = &source.as_bytes()[from..from + place.length as usize];
                assert_eq!(rows.row, again);
            }
            read.push(String::from_utf8_lossy(&rows.row).into_owned());
        }
        read
    }

    #[test]
    fn a_stray_quote_spoils_its_own_row_only() {
        let header = "number,sex,birth_date,family_name,given_name\n";
        let long = format!("{}\n", "1,F,2,a,b".repeat(20_000));
        for (rows, expected) in [
            ("1,F,,a,b\r\n\r\n2,F,,a,b", &["1,F,,a,b", "2,F,,a,b"][..]),
            (
                "1,F,,\"a\n\n\"\"b\",c\n2,F,,a,b\n",
                &["1,F,,\"a\n\n\"\"b\",c", "2,F,,a,b"],
            ),
            ("1,F,,a \"b,c\n2,F,,a,b\n", &["1,F,,a \"b,c", "2,F,,a,b"]),
            (
                "1,F,,\"a,b\n2,F,,a,b\n3,F,,a,b\n",
                &["1,F,,\"a,b", "2,F,,a,b", "3,F,,a,b"],
            ),
            (
                "1,F,,\"a,b\n2,F,,\"a,b\n3,F,,\"a\",b\n",
                &["1,F,,\"a,b", "2,F,,\"a,b", "3,F,,\"a\",b"],
            ),
        ] {
            assert_eq!(rows_of(&format!("{header}{rows}")), expected, "{rows}");
            assert_eq!(rows_of(&format!("\u{FEFF}{header}{rows}")), expected);
        }
        // Too long before it ends: what comes behind is read all the same.
        let open = format!("{header}1,F,,\"a,b\n{}", "2,F,,a,b\n".repeat(20_000));
        assert_eq!(rows_of(&open).len(), 20_001);
        let read = rows_of(&format!("{header}{long}2,F,,a,b\n"));
        assert_eq!((read.len(), read[1].as_str()), (2, "2,F,,a,b"));
    }

    #[test]
    fn objects_are_read_behind_a_byte_order_mark() {
        let rows = "{\"number\":\"1\"}\n{\"number\":\"\"}\n";
        assert_eq!(rows_of(&format!("\u{FEFF}{rows}")), rows_of(rows));
        assert_eq!(rows_of(rows).len(), 2);
    }
}
