//! `tunduk evidence`: take evidence out of a message log, and judge it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evidence::{Options, Report, Verdict, verify_container};
use globalconf::{
    Anchor, GlobalConfiguration, StoredDirectory, announced_certificates, verify_historical,
};
use security_server::configuration_client::{
    ConfigurationClient, ConfigurationClientSettings, load_directory,
};
use security_server::{ExportRequest, SIGNED_DIRECTORY, export_evidence};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xmldsig::SignaturePolicyRule;

use crate::cli::USAGE;

/// Exit code of evidence that does not hold.
const INVALID: u8 = 1;
/// Exit code of evidence that cannot be judged for lack of a part or of the configuration.
const INCOMPLETE: u8 = 2;

/// Largest file of a configuration in an archive, in bytes.
const LARGEST: u64 = 64 << 20;
/// Most entries of an archive.
const MOST_ENTRIES: usize = 1_000_000;

/// Take evidence out of a message log, and judge it.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Write a zip of ASiC-E containers with the signed configurations they are judged against
    Export(ExportArguments),
    /// Say who signed, when, what, and whether it holds: exit 0 valid, 1 invalid, 2 not everything is there
    Verify(VerifyArguments),
}

/// What to export.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The Security Server's server.toml
    #[arg(long)]
    config: PathBuf,
    /// Only messages with this id
    #[arg(long)]
    query_id: Option<String>,
    /// Only messages of this member or subsystem, INST/CLASS/CODE[/SUBSYSTEM]
    #[arg(long)]
    client: Option<String>,
    /// From this time on, as 2026-11-24T00:00:00Z
    #[arg(long, value_parser = moment)]
    from: Option<u64>,
    /// Before this time
    #[arg(long, value_parser = moment)]
    until: Option<u64>,
    /// Requests only
    #[arg(long, conflicts_with = "response_only")]
    request_only: bool,
    /// Responses only
    #[arg(long)]
    response_only: bool,
    /// The zip to write
    #[arg(long, short)]
    output: PathBuf,
}

fn moment(text: &str) -> Result<u64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "expected a time such as 2026-11-24T00:00:00Z".to_owned())?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .map_err(|_| "the time is before 1970".to_owned())
}

/// What to judge, and by what.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// One container (.asice), or a zip that `evidence export` wrote
    pub(crate) file: PathBuf,
    /// A configuration anchor: for a zip its signed configurations are verified up to it, for one
    /// container the configuration is downloaded
    #[arg(
        long,
        required_unless_present = "globalconf",
        conflicts_with = "globalconf"
    )]
    pub(crate) anchor: Option<PathBuf>,
    /// A Security Server's stored configuration, trusted as given
    #[arg(long)]
    pub(crate) globalconf: Option<PathBuf>,
    /// Accept signatures without the signature policy (archives from before it was demanded)
    #[arg(long)]
    pub(crate) policy_not_required: bool,
    /// Accept SHA-1 (old archives)
    #[arg(long)]
    pub(crate) sha1_allowed: bool,
}

/// Why nothing could be judged.
enum Unjudged {
    /// The arguments or the file cannot be used: exit 64.
    Usage(String),
    /// The configuration to judge by cannot be had: exit 2.
    NoConfiguration(String),
}

/// Runs the subcommand and says how to exit.
pub async fn run(arguments: Evidence) -> u8 {
    match arguments {
        Evidence::Export(arguments) => export(arguments).await,
        Evidence::Verify(arguments) => judge(&arguments).await,
    }
}

/// Judges evidence, prints what was found and says how to exit.
pub(crate) async fn judge(arguments: &VerifyArguments) -> u8 {
    match verify(arguments).await {
        Ok(code) => code,
        Err(Unjudged::Usage(error)) => {
            eprintln!("tunduk: {error}");
            USAGE
        }
        Err(Unjudged::NoConfiguration(error)) => {
            println!("verdict:    incomplete: the configuration to judge by is not there: {error}");
            INCOMPLETE
        }
    }
}

/// What kind of X-Road evidence a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EvidenceKind {
    /// One container with a message.
    Container,
    /// A zip that `evidence export` wrote.
    Archive,
}

/// Which kind of evidence a file is, by the names in it; `None` if it is something else.
pub(crate) fn kind_of(file: &File) -> Option<EvidenceKind> {
    if Archive::open(file).is_some() {
        return Some(EvidenceKind::Archive);
    }
    let names = names(&zip::ZipArchive::new(file).ok()?);
    let has = |name: &str| names.iter().any(|known| known == name);
    (has("message.xml") && has("META-INF/signatures.xml")).then_some(EvidenceKind::Container)
}

async fn export(arguments: ExportArguments) -> u8 {
    let request = ExportRequest {
        query_id: arguments.query_id,
        party: arguments.client,
        from: arguments.from,
        until: arguments.until,
        request_only: arguments.request_only,
        response_only: arguments.response_only,
    };
    match export_evidence(&arguments.config, &request, &arguments.output).await {
        Ok(summary) => {
            println!(
                "{}: {} containers, {} bytes{}",
                arguments.output.display(),
                summary.containers,
                summary.len,
                if summary.without_timestamp == 0 {
                    String::new()
                } else {
                    format!(
                        "; {} of them have no time-stamp yet, because no authority could be reached, and prove nothing without it: export them again later",
                        summary.without_timestamp
                    )
                }
            );
            0
        }
        Err(error) => {
            eprintln!("tunduk: {error}");
            1
        }
    }
}

async fn verify(arguments: &VerifyArguments) -> Result<u8, Unjudged> {
    let unreadable =
        |error: std::io::Error| Unjudged::Usage(format!("{}: {error}", arguments.file.display()));
    let mut file = File::open(&arguments.file).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(Unjudged::Usage(format!(
            "{} is a directory",
            arguments.file.display()
        )));
    }
    let mut rule = SignaturePolicyRule::STRICT;
    if arguments.policy_not_required {
        rule = rule.policy_not_required();
    }
    if arguments.sha1_allowed {
        rule = rule.sha1_allowed();
    }
    let options = Options {
        rule,
        ..Options::default()
    };
    match Archive::open(&file) {
        Some(archive) => verify_archive(archive, arguments, &options).await,
        None => {
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
            let configuration = configuration(arguments).await;
            let report =
                verify_container(file, configuration.as_ref().ok(), &options).map_err(|error| {
                    Unjudged::Usage(format!("{}: {error}", arguments.file.display()))
                })?;
            print!("{report}");
            if let (Err(reason), Verdict::Incomplete { .. }) = (&configuration, &report.verdict) {
                println!("            {reason}");
            }
            Ok(code(&report))
        }
    }
}

fn code(report: &Report) -> u8 {
    match report.verdict {
        Verdict::Valid => 0,
        Verdict::Invalid { .. } => INVALID,
        Verdict::Incomplete { .. } => INCOMPLETE,
    }
}

/// The configuration for one container: stored, or downloaded from the anchor.
async fn configuration(arguments: &VerifyArguments) -> Result<GlobalConfiguration, String> {
    if let Some(directory) = &arguments.globalconf {
        return load_directory(directory);
    }
    let anchor = arguments
        .anchor
        .as_deref()
        .ok_or("neither an anchor nor a configuration was given")?;
    let place = std::env::temp_dir().join(format!("tunduk-verify-{}", crate::random::uuid()));
    let downloaded = download(anchor, &place).await;
    for left in [
        place.clone(),
        suffixed(&place, ".generations"),
        suffixed(&place, ".archive"),
    ] {
        let _ = std::fs::remove_dir_all(left);
    }
    let _ = std::fs::remove_file(&place);
    downloaded
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn download(anchor: &Path, place: &Path) -> Result<GlobalConfiguration, String> {
    let settings = ConfigurationClientSettings::new(anchor.to_owned(), place.to_owned());
    let client = ConfigurationClient::open(settings).map_err(|error| error.to_string())?;
    client.update().await.map_err(|error| error.to_string())?;
    client
        .configuration()
        .map(|configuration| (*configuration).clone())
        .ok_or_else(|| "the download left no configuration".to_owned())
}

/// A zip that `evidence export` wrote.
struct Archive<'a> {
    zip: zip::ZipArchive<&'a File>,
    containers: Vec<String>,
}

fn names(zip: &zip::ZipArchive<&File>) -> Vec<String> {
    zip.file_names()
        .filter_map(Result::ok)
        .map(|name| name.into_owned())
        .collect()
}

impl<'a> Archive<'a> {
    /// Opens the file if it is such a zip: containers at its top and no message of its own.
    fn open(file: &'a File) -> Option<Self> {
        let zip = zip::ZipArchive::new(file).ok()?;
        if zip.len() > MOST_ENTRIES {
            return None;
        }
        let names = names(&zip);
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
            .into_iter()
            .filter(|name| name.ends_with(".asice") && !name.contains('/'))
            .collect();
        containers.sort();
        (!containers.is_empty()).then_some(Self { zip, containers })
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let entry = self
            .zip
            .by_name(name)
            .map_err(|error| format!("{name}: {error}"))?;
        let mut bytes = Vec::new();
        entry
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{name}: {error}"))?;
        if bytes.len() as u64 > LARGEST {
            return Err(format!("{name} is too large"));
        }
        Ok(bytes)
    }

    /// A container in a file of its own, which may be larger than the memory.
    fn unpack(&mut self, name: &str) -> Result<File, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let mut entry = self.zip.by_name(name).map_err(|error| failed(&error))?;
        let mut file = tempfile::tempfile().map_err(|error| failed(&error))?;
        std::io::copy(&mut entry, &mut file).map_err(|error| failed(&error))?;
        file.seek(SeekFrom::Start(0))
            .map_err(|error| failed(&error))?;
        Ok(file)
    }

    /// Which configuration each container goes with.
    fn index(&mut self) -> HashMap<String, String> {
        let Ok(bytes) = self.read("globalconf/index") else {
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
        let names = names(&self.zip);
        let mut configurations: HashMap<String, Files> = HashMap::new();
        for name in names {
            let Some((id, path)) = name
                .strip_prefix("globalconf/")
                .and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            let bytes = self.read(&name)?;
            configurations
                .entry(id.to_owned())
                .or_default()
                .0
                .push((path.to_owned(), bytes));
        }
        Ok(configurations)
    }
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
            let folder = globalconf::stored::encode_segment(instance);
            directories
                .remove(&folder)
                .map(|bytes| (instance.to_owned(), bytes))
        })
        .collect();
    Ok((stored, directories))
}

/// Verifies the configurations of an archive up to the anchor. One may announce the key
/// that signed another, so this goes on until nothing more verifies.
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

async fn verify_archive(
    mut archive: Archive<'_>,
    arguments: &VerifyArguments,
    options: &Options,
) -> Result<u8, Unjudged> {
    let index = archive.index();
    let (given, verified, reasons) = match (&arguments.globalconf, &arguments.anchor) {
        (Some(directory), _) => {
            let given = load_directory(directory).map_err(Unjudged::NoConfiguration)?;
            (Some(given), HashMap::new(), HashMap::new())
        }
        (None, Some(path)) => {
            let anchor = std::fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| Anchor::decode(&bytes).map_err(|error| error.to_string()))
                .map_err(|error| {
                    Unjudged::NoConfiguration(format!("{}: {error}", path.display()))
                })?;
            let configurations = archive.configurations().map_err(Unjudged::Usage)?;
            let (verified, reasons) = verified_up_to(&anchor, configurations);
            (None, verified, reasons)
        }
        (None, None) => return Err(Unjudged::Usage("give --anchor or --globalconf".into())),
    };
    let mut worst = 0;
    for name in archive.containers.clone() {
        let container = match archive.unpack(&name) {
            Ok(container) => container,
            Err(error) => {
                println!("{name}\nverdict:    invalid: io_error: {error}\n");
                worst = INVALID;
                continue;
            }
        };
        let id = index.get(&name);
        let configuration = given.as_ref().or_else(|| match id {
            Some(id) => verified.get(id),
            // Without an index there is no doubt only when there is one configuration.
            None if verified.len() == 1 => verified.values().next(),
            None => None,
        });
        let report = verify_container(container, configuration, options)
            .map_err(|error| Unjudged::Usage(format!("{name}: {error}")))?;
        println!("{name}");
        print!("{report}");
        if configuration.is_none() {
            let reason = id
                .and_then(|id| reasons.get(id))
                .map_or("it is not in the archive", String::as_str);
            println!("            the configuration to judge by: {reason}");
        }
        println!();
        // Invalid outweighs incomplete: one is a finding, the other the lack of one.
        worst = match (worst, code(&report)) {
            (INVALID, _) | (_, INVALID) => INVALID,
            (a, b) => a.max(b),
        };
    }
    Ok(worst)
}
