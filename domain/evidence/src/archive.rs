//! Archives: a zip of containers together with the signed configurations that they are judged against.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use asic::layout;
use globalconf::stored::encode_segment;
use globalconf::{
    Anchor, GlobalConfiguration, StoredDirectory, announced_certificates, verify_historical,
};
use zip::ZipArchive;

use crate::container::{Options, verify_container};
use crate::report::Report;

/// Name of the signed directory beside the parts of an instance.
pub const SIGNED_DIRECTORY: &str = "signed-directory";
/// Folder of the configurations and of the list of which container goes with which.
const CONFIGURATIONS: &str = "globalconf/";

/// What kind of X-Road evidence a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceKind {
    /// One container with a message.
    Container,
    /// A zip that `evidence export` wrote.
    Archive,
}

impl EvidenceKind {
    /// Which kind a file is, by the names in it; `None` if it is something else.
    pub fn of<R: Read + Seek>(mut file: R) -> Option<Self> {
        if !begins_as_archive(&mut file)? {
            return None;
        }
        let names = names(&ZipArchive::new(file).ok()?)?;
        if containers_among(&names).is_some() {
            return Some(Self::Archive);
        }
        let has = |name: &str| names.iter().any(|known| known == name);
        (has("message.xml") && has("META-INF/signatures.xml")).then_some(Self::Container)
    }
}

/// Bounds of an archive.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveLimits {
    /// Entries.
    pub entries: usize,
    /// Bytes of one file of a configuration.
    pub file_bytes: u64,
    /// Bytes of all files of all configurations together; they are held in memory.
    pub configuration_bytes: u64,
    /// Bytes of one container, unpacked.
    pub container_bytes: u64,
    /// Bytes of all containers together, unpacked one after the other.
    pub total_bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            file_bytes: 64 << 20,
            configuration_bytes: 1 << 30,
            container_bytes: 1 << 40,
            total_bytes: u64::MAX,
        }
    }
}

/// By what the containers of an archive are judged.
#[derive(Debug, Clone, Copy)]
pub enum JudgedBy<'a> {
    /// This configuration, whatever the archive brings along.
    Configuration(&'a GlobalConfiguration),
    /// The archive's own signed configurations, verified up to this anchor.
    Anchor(&'a Anchor),
    /// Nothing: what needs no trust is judged, and nothing is valid.
    Nothing,
}

/// What was found about one container of an archive.
#[derive(Debug)]
pub struct ContainerFinding {
    /// Its name in the archive.
    pub name: String,
    /// The report; an error where the archive does not give the container.
    pub report: Result<Report, String>,
    /// Why there was no configuration to judge it by.
    pub no_configuration: Option<String>,
}

impl ContainerFinding {
    /// The exit status of a command that says so: 0 valid, 1 invalid, 2 incomplete.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match &self.report {
            Ok(report) => report.verdict.exit_status(),
            Err(_) => 1,
        }
    }
}

/// Why an archive could not be judged at all.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read, or exceeds a limit. Whoever wrote it is at fault.
    #[error("{0}")]
    Damaged(String),
    /// A container cannot be unpacked here, for lack of room: our fault.
    #[error("{name} cannot be unpacked here: {error}")]
    Scratch {
        /// The container.
        name: String,
        /// What the system said.
        error: io::Error,
    },
}

/// A zip that `evidence export` wrote: containers at its top, no message of its own.
#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    containers: Vec<String>,
    /// What is neither a container at the top nor part of a configuration.
    strays: Vec<String>,
    /// Why two readers could see different files in it.
    ambiguous: Option<&'static str>,
    limits: ArchiveLimits,
}

/// Whether a file is an archive from its first byte on. Programs find an archive behind anything, behind a contract too,
/// and whoever opens that sees the contract; then it is no evidence.
fn begins_as_archive<R: Read + Seek>(file: &mut R) -> Option<bool> {
    file.rewind().ok()?;
    let mut begin = [0; 4];
    file.read_exact(&mut begin).ok()?;
    file.rewind().ok()?;
    Some(begin == *b"PK\x03\x04")
}

fn names<R: Read + Seek>(zip: &ZipArchive<R>) -> Option<Vec<String>> {
    (zip.len() <= ArchiveLimits::default().entries).then(|| {
        zip.file_names()
            .filter_map(Result::ok)
            .map(|name| name.into_owned())
            .collect()
    })
}

/// The containers at the top of an archive, sorted; none if it is no archive.
fn containers_among(names: &[String]) -> Option<Vec<String>> {
    let is_part = |name: &String| {
        matches!(
            name.as_str(),
            "mimetype" | "message.xml" | "META-INF/signatures.xml"
        )
    };
    if names.iter().any(is_part) {
        return None;
    }
    let mut containers: Vec<String> = names
        .iter()
        .filter(|name| name.ends_with(".asice") && !name.contains('/'))
        .cloned()
        .collect();
    containers.sort();
    (!containers.is_empty()).then_some(containers)
}

impl<R: Read + Seek> Archive<R> {
    /// Opens the file if it is such a zip and within the limits.
    pub fn open(mut file: R, limits: ArchiveLimits) -> Option<Self> {
        if !begins_as_archive(&mut file)? {
            return None;
        }
        let layout = layout::check(&mut file, limits.entries).ok()?;
        let zip = ZipArchive::new(file).ok()?;
        if zip.len() > limits.entries {
            return None;
        }
        let names = names(&zip)?;
        let containers = containers_among(&names)?;
        let is_part = |name: &String| {
            containers.contains(name) || name.starts_with(CONFIGURATIONS) || name.ends_with('/')
        };
        let strays = names
            .iter()
            .filter(|name| !is_part(name))
            .cloned()
            .collect();
        let ambiguous = match zip.has_duplicate_names() {
            true => Some("two entries have the same name"),
            false => layout.err(),
        };
        Some(Self {
            zip,
            containers,
            strays,
            ambiguous,
            limits,
        })
    }

    /// How many containers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.containers.len()
    }

    /// Whether there is none, which [`Archive::open`] does not let happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Judges each container in turn and hands over what was found. `scratch` gives an empty place to unpack a
    /// container into, which may be larger than the memory.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn judge<S: Read + Write + Seek>(
        mut self,
        by: JudgedBy<'_>,
        options: &Options,
        mut scratch: impl FnMut() -> io::Result<S>,
        mut found: impl FnMut(ContainerFinding),
    ) -> Result<(), ArchiveError> {
        if let Some(why) = self.ambiguous {
            return Err(ArchiveError::Damaged(format!(
                "the archive can be understood in two ways: {why}"
            )));
        }
        for name in std::mem::take(&mut self.strays) {
            found(ContainerFinding {
                name,
                report: Err("it is no evidence, and nobody signed it".to_owned()),
                no_configuration: None,
            });
        }
        let index = self.index();
        let (given, verified, reasons) = match by {
            JudgedBy::Configuration(given) => (Some(given), HashMap::new(), HashMap::new()),
            JudgedBy::Nothing => (None, HashMap::new(), HashMap::new()),
            JudgedBy::Anchor(anchor) => {
                let configurations = self.configurations().map_err(ArchiveError::Damaged)?;
                let (verified, reasons) = verified_up_to(anchor, configurations);
                (None, verified, reasons)
            }
        };
        let mut left = self.limits.total_bytes;
        for name in std::mem::take(&mut self.containers) {
            let no_room = |error| ArchiveError::Scratch {
                name: name.clone(),
                error,
            };
            let mut place = scratch().map_err(no_room)?;
            let most = self.limits.container_bytes.min(left);
            match self.unpack(&name, &mut place, most) {
                Ok(bytes) => left -= bytes,
                Err(Unpacked::Place(error)) => return Err(no_room(error)),
                Err(Unpacked::Archive(error)) => {
                    found(ContainerFinding {
                        report: Err(error),
                        no_configuration: None,
                        name,
                    });
                    continue;
                }
            }
            let id = index.get(&name);
            let configuration = given.or_else(|| match id {
                Some(id) => verified.get(id),
                // Without an index there is no doubt only when there is one configuration.
                None if verified.len() == 1 => verified.values().next(),
                None => None,
            });
            let report = verify_container(place, configuration, options)
                .map_err(|error| format!("{name}: {error}"));
            let no_configuration = configuration.is_none().then(|| {
                id.and_then(|id| reasons.get(id))
                    .map_or("it is not in the archive", String::as_str)
                    .to_owned()
            });
            found(ContainerFinding {
                report,
                no_configuration,
                name,
            });
        }
        Ok(())
    }

    fn read(&mut self, name: &str, most: u64) -> Result<Vec<u8>, String> {
        let entry = self
            .zip
            .by_name(name)
            .map_err(|error| format!("{name}: {error}"))?;
        let mut bytes = Vec::new();
        entry
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{name}: {error}"))?;
        if bytes.len() as u64 > most {
            return Err(format!("{name} is too large"));
        }
        Ok(bytes)
    }

    /// A container in a place of its own; how many bytes it has.
    fn unpack<S: Write + Seek>(
        &mut self,
        name: &str,
        place: &mut S,
        most: u64,
    ) -> Result<u64, Unpacked> {
        let damaged = |error: &dyn std::fmt::Display| Unpacked::Archive(format!("{name}: {error}"));
        let mut entry = self.zip.by_name(name).map_err(|error| damaged(&error))?;
        let mut buffer = vec![0; 64 * 1024];
        let mut bytes = 0u64;
        loop {
            let count = entry.read(&mut buffer).map_err(|error| damaged(&error))?;
            if count == 0 {
                break;
            }
            bytes = bytes.saturating_add(count as u64);
            if bytes > most {
                return Err(damaged(&"it is larger than the limits"));
            }
            place
                .write_all(buffer.get(..count).unwrap_or_default())
                .map_err(Unpacked::Place)?;
        }
        place.seek(SeekFrom::Start(0)).map_err(Unpacked::Place)?;
        Ok(bytes)
    }

    /// Which configuration each container goes with.
    fn index(&mut self) -> HashMap<String, String> {
        let index = format!("{CONFIGURATIONS}index");
        let Ok(bytes) = self.read(&index, self.limits.file_bytes) else {
            return HashMap::new();
        };
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .collect()
    }

    /// The files of each configuration, by its identifier.
    fn configurations(&mut self) -> Result<HashMap<String, Files>, String> {
        let names = names(&self.zip).unwrap_or_default();
        let mut configurations: HashMap<String, Files> = HashMap::new();
        let mut left = self.limits.configuration_bytes;
        for name in names {
            let Some((id, path)) = name
                .strip_prefix(CONFIGURATIONS)
                .and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            let bytes = self.read(&name, self.limits.file_bytes.min(left))?;
            left = left.saturating_sub(bytes.len() as u64);
            configurations
                .entry(id.to_owned())
                .or_default()
                .0
                .push((path.to_owned(), bytes));
        }
        Ok(configurations)
    }
}

enum Unpacked {
    Archive(String),
    Place(io::Error),
}

/// The files of one configuration: paths below its identifier, with their contents.
#[derive(Default)]
struct Files(Vec<(String, Vec<u8>)>);

/// Splits the files of an archived configuration into its parts and its signed directories by instance.
fn split(files: Files) -> Result<(StoredDirectory, HashMap<String, Vec<u8>>), String> {
    let mut directories = HashMap::new();
    let mut parts = Vec::new();
    for (path, bytes) in files.0 {
        match path.split_once('/') {
            Some((folder, name)) if name == SIGNED_DIRECTORY => {
                directories.insert(folder.to_owned(), bytes);
            }
            _ => parts.push((path, bytes)),
        }
    }
    let stored = StoredDirectory::decode(parts).map_err(|error| error.to_string())?;
    let directories = stored
        .instances()
        .into_iter()
        .filter_map(|instance| {
            directories
                .remove(&encode_segment(instance))
                .map(|bytes| (instance.to_owned(), bytes))
        })
        .collect();
    Ok((stored, directories))
}

/// Verifies the configurations of an archive up to the anchor. One may announce the key that signed another, so this
/// goes on until nothing more verifies.
fn verified_up_to(
    anchor: &Anchor,
    configurations: HashMap<String, Files>,
) -> (
    HashMap<String, GlobalConfiguration>,
    HashMap<String, String>,
) {
    let mut verified = HashMap::new();
    let mut reasons = HashMap::new();
    let mut open = HashMap::new();
    for (id, files) in configurations {
        match split(files) {
            Ok(split) => {
                open.insert(id, split);
            }
            Err(error) => {
                reasons.insert(id, error);
            }
        }
    }
    let mut announced = Vec::new();
    loop {
        let mut progress = false;
        let ids: Vec<String> = open.keys().cloned().collect();
        for id in ids {
            let Some((stored, directories)) = open.get(&id) else {
                continue;
            };
            match verify_historical(stored, directories, anchor, &announced) {
                Ok(configuration) => {
                    announced.extend(announced_certificates(&configuration));
                    reasons.remove(&id);
                    open.remove(&id);
                    verified.insert(id, configuration);
                    progress = true;
                }
                Err(error) => {
                    reasons.insert(id, error.to_string());
                }
            }
        }
        if !progress {
            return (verified, reasons);
        }
    }
}

/// The exit status for several findings: invalid outweighs incomplete, for one is a finding and the other the lack of
/// one.
#[must_use]
pub fn gravest(one: u8, other: u8) -> u8 {
    match (one, other) {
        (1, _) | (_, 1) => 1,
        (one, other) => one.max(other),
    }
}
