//! `tunduk demo`: a country in one command.

use std::fs::{File, TryLockError};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::compose::Country;
use crate::instance::{BANK, DEFAULT, IDENTITY, Instance, SIGNING};
use crate::narrator::Narrator;
use crate::running::Running;
use crate::story::{Invitation, People, Story};

/// Name of the instance's description in the state directory.
const INSTANCE_FILE: &str = "instance.toml";

/// What `tunduk demo` takes.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Where keys, logs and evidence are kept; a second start goes on with them
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    state: PathBuf,
    /// Tell the story and end: exit code 0 if every step went well, else 1
    #[arg(long)]
    once: bool,
    /// Another country than the default one (docs/instance.md)
    #[arg(long, value_name = "FILE")]
    instance: Option<PathBuf>,
    /// Print the description of the default country and end
    #[arg(long)]
    print_instance: bool,
}

/// Why there is no country.
#[derive(Debug)]
pub enum DemoError {
    /// The arguments or the instance file cannot be used.
    Usage(String),
    /// Something else went wrong.
    Failed(String),
}

/// Runs `tunduk demo`; says whether every step went well.
///
/// # Errors
/// In words.
pub async fn run(
    arguments: DemoArguments,
    stop: impl Future<Output = ()>,
) -> Result<bool, DemoError> {
    if arguments.print_instance {
        print!("{DEFAULT}");
        return Ok(true);
    }
    tokio::pin!(stop);
    let narrator = Narrator::new();
    std::fs::create_dir_all(&arguments.state).map_err(|error| at(&arguments.state, &error))?;
    let state = arguments
        .state
        .canonicalize()
        .map_err(|error| at(&arguments.state, &error))?;
    let _lock = lock(&state)?;
    let instance = instance(&state, arguments.instance.as_deref())?;
    let country = {
        let narrator = narrator.clone();
        let composed =
            tokio::task::spawn_blocking(move || Country::compose(instance, &state, &narrator));
        composed
            .await
            .map_err(|error| DemoError::Failed(error.to_string()))?
    };
    let country = country.map_err(DemoError::Failed)?;
    let mut running = tokio::select! {
        started = Running::start(&country, &narrator) => started.map_err(|error| DemoError::Failed(error.to_string()))?,
        () = &mut stop => return Ok(false),
    };
    introduce(&country, &narrator);
    let story = Story::new(&country, &mut running, &narrator).map_err(DemoError::Failed)?;
    let outcome = tokio::select! {
        outcome = story.tell() => Some(outcome),
        () = &mut stop => None,
    };
    let Some((outcome, people)) = outcome else {
        running.stop().await;
        return Ok(false);
    };
    if !arguments.once {
        invite(&country, &narrator);
        let guests = host(&country, &narrator, people);
        tokio::select! {
            biased;
            () = &mut stop => {}
            () = guests => {}
            what = running.broken() => {
                running.stop().await;
                return Err(DemoError::Failed(format!("{what}; its log is in {}", country.logs().display())));
            }
        }
    }
    running.stop().await;
    Ok(outcome.failed == 0)
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> DemoError {
    DemoError::Failed(format!("{}: {error}", path.display()))
}

/// One country per state directory.
fn lock(state: &Path) -> Result<File, DemoError> {
    let path = state.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| at(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DemoError::Failed(format!(
            "another demo runs with the state {}; end it or name another directory with --state",
            state.display()
        ))),
        Err(TryLockError::Error(error)) => Err(at(&path, &error)),
    }
}

/// The instance: the file that was named, else the one that the state was made with, else the
/// default. It is kept in the state.
fn instance(state: &Path, named: Option<&Path>) -> Result<Instance, DemoError> {
    let kept = state.join(INSTANCE_FILE);
    let usage = |error: crate::instance::InstanceError| DemoError::Usage(error.to_string());
    let instance = match named {
        Some(file) => {
            let file = file
                .canonicalize()
                .map_err(|error| DemoError::Usage(format!("{}: {error}", file.display())))?;
            Instance::read_file(&file).map_err(usage)?
        }
        None if kept.is_file() => return Instance::read_file(&kept).map_err(usage),
        None => Instance::read(DEFAULT, state).map_err(usage)?,
    };
    let text = toml::to_string(&instance).map_err(|error| at(&kept, &error))?;
    std::fs::write(&kept, text).map_err(|error| at(&kept, &error))?;
    Ok(instance)
}

/// Says who is there. Where the story has no parties, programs read these lines too.
fn introduce(country: &Country, narrator: &Narrator) {
    let instance = &country.instance;
    narrator.say(&format!(
        "The instance {} runs: trust services, a Central Server, registers and {} Security Servers.",
        instance.instance,
        instance.servers.len()
    ));
    let told = country.has_all_parties();
    for server in &instance.servers {
        let line = format!("ready {} at {}", server.id.path(), server.address);
        if told {
            narrator.say(&format!("  {line}"));
        } else {
            narrator.line(&line);
        }
    }
    for server in &instance.outside_servers {
        narrator.say(&format!(
            "  expected at {}: {}, run by somebody else",
            server.address,
            server.id().path()
        ));
    }
    narrator.say(&format!(
        "  everything about it: {}",
        country.state.join(crate::endpoints::FILE).display()
    ));
}

fn invite(country: &Country, narrator: &Narrator) {
    narrator.say("\nThe country keeps running until Ctrl-C.");
    let state = country.state.display();
    if let Some(pair) = crate::parties::allowed(&country.instance, "population:rest", None) {
        let number = id_registry::Population::demonstration()
            .person(0)
            .map(|person| person.number);
        if let Some(number) = number {
            narrator.say(&format!(
                "Try: tunduk call rest {}/{} /persons -X POST --data '{{\"number\":\"{number}\"}}' --client {} --state {state}",
                pair.service.provider.path(),
                pair.service.code,
                pair.client.path()
            ));
        }
    }
}

/// Lets somebody at a browser in, and stays at the desk for them. Never ends.
async fn host(country: &Country, narrator: &Narrator, people: Option<People<'_>>) {
    if let Some(mut people) = people {
        match people.invite().await {
            Ok(invitation) => {
                explain(country, narrator, &invitation);
                people.attend(&invitation).await;
                narrator.say("The officer confirmed your key for signatures.");
            }
            Err(error) => narrator.say(&format!("Nobody can be let in: {error}")),
        }
    }
    std::future::pending::<()>().await;
}

/// What somebody at a browser does.
fn explain(country: &Country, narrator: &Narrator, invitation: &Invitation) {
    let state = country.state.display();
    let (id, sign, bank) = (IDENTITY.origin(), SIGNING.origin(), BANK.origin());
    // Browsers find names below localhost at 127.0.0.1 by themselves.
    let elsewhere = country.instance.sites.as_ref().map(|sites| sites.address);
    let elsewhere = elsewhere.filter(|address| *address != IpAddr::from([127, 0, 0, 1]));
    let map = elsewhere.map_or_else(String::new, |address| {
        format!(" --host-resolver-rules=\"MAP *.localhost {address}\"")
    });
    narrator.say(&format!(
        "\nOr be {}, number {}, in a browser on this machine:\n\
           \u{20} 1. Let it trust the country's authority, {state}/trust/ca.pem; for example:\n\
           \u{20}    chromium --user-data-dir={state}/browser --ignore-certificate-errors-spki-list={}{map} {bank}/\n\
           \u{20} 2. {id}/first-key makes your passkey, by the code {}\n\
           \u{20} 3. {sign}/enrol makes your key for signatures, by the code {}; confirm it, and the officer confirms, too\n\
           \u{20} 4. {bank}/ lends you money\n\
         Both codes are good for half an hour. Without a fingerprint reader, Chromium's developer tools have a virtual\n\
         authenticator (More tools, WebAuthn).",
        invitation.name,
        invitation.number,
        country.authority_pin(),
        invitation.ticket,
        invitation.code,
    ));
}
