//! The system that is measured: a country with two Security Servers, started as `tunduk demo` starts any other.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::logs::{self, Log, Traces};
use super::message::{Parties, SoapWriter};
use super::programs::{Chain, Program, ask_once, block, own, send_signal};
use super::{Failure, history, processes};

/// A way to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    /// Its name in the figures.
    pub(super) name: &'static str,
    /// The word of the instance file.
    pub(super) key_type: &'static str,
    /// Whether messages that wait are signed together.
    pub(super) batch: bool,
}

/// All ways to sign.
pub(super) const MODES: [Mode; 4] = [
    Mode {
        name: "rsa2048",
        key_type: "rsa-2048",
        batch: false,
    },
    Mode {
        name: "p256",
        key_type: "ec-p256",
        batch: false,
    },
    Mode {
        name: "rsa2048_batch",
        key_type: "rsa-2048",
        batch: true,
    },
    Mode {
        name: "p256_batch",
        key_type: "ec-p256",
        batch: true,
    },
];

/// How long a country may take to start.
const START: Duration = Duration::from_secs(60);

/// What a country has beyond the two who exchange messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Records in the log of each server.
    pub(super) records: u64,
    /// Subsystems in the configuration.
    pub(super) subsystems: u32,
}

impl Past {
    /// Whether there is none.
    pub(super) fn is_none(self) -> bool {
        self.records == 0 && self.subsystems == 0
    }
}

/// A running country.
#[derive(Debug)]
pub(super) struct Stage {
    demo: Program,
    consumer: Server,
    provider: Server,
    block: String,
    log: PathBuf,
    /// What the servers have logged: the consumer's and the provider's.
    logs: [Log; 2],
}

#[derive(Debug)]
struct Server {
    process: u32,
    configuration: PathBuf,
}

/// Who asks whom in every measurement.
pub(super) fn parties() -> Parties {
    Parties {
        client: "KG/COM/80000001/bench".into(),
        provider: "KG/GOV/70000001/bench".into(),
    }
}

impl Stage {
    /// Starts the country of a mode in a folder of its own and waits until a message passes.
    pub(super) fn start(mode: Mode, folder: &Path, past: Past) -> Result<Self, Failure> {
        let (block, name) = if past.is_none() {
            let number = MODES.iter().position(|other| *other == mode).unwrap_or(0) + 1;
            (block(number), mode.name.to_owned())
        } else {
            (block(MODES.len() + 1), format!("{}-past", mode.name))
        };
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = folder.join("instance.toml");
        fs::write(&file, instance(mode, &block, past.subsystems))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let stage = Self::run(&folder, &block)?;
        if past.records == 0 {
            return Ok(stage);
        }
        let files = [
            stage.consumer.configuration.clone(),
            stage.provider.configuration.clone(),
        ];
        stage.end();
        std::thread::scope(|scope| {
            let filling = files
                .each_ref()
                .map(|file| scope.spawn(|| history::fill(file, past.records)));
            filling.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| Failure::from("filling a log failed"))?
            })
        })?;
        Self::run(&folder, &block)
    }

    /// Starts the country of this folder, anew or again.
    fn run(folder: &Path, block: &str) -> Result<Self, Failure> {
        let file = folder.join("instance.toml");
        let log = folder.join("demo.log");
        let mut command = own(&["demo"])?;
        command
            .arg("--instance")
            .arg(&file)
            .arg("--state")
            .arg(folder.join("state"));
        let mut demo = Program::start(&mut command, &log)?;
        let deadline = Instant::now() + START;
        let (request, id) = probe();
        while !ask_once(&format!("{block}12:8080"), &request, &id) {
            if demo.ended() || Instant::now() > deadline {
                return Err(format!("the country does not start; see {}", log.display()).into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let servers = servers(demo.id());
        let find = |code: &str| -> Result<Server, Failure> {
            let found = servers.iter().find(|(_, configuration)| {
                fs::read_to_string(configuration)
                    .is_ok_and(|text| text.contains(&format!("/{code}\"")))
            });
            let (process, configuration) =
                found.ok_or_else(|| Failure(format!("no process of server {code}")))?;
            Ok(Server {
                process: *process,
                configuration: configuration.clone(),
            })
        };
        let (provider, consumer) = (find("ss1")?, find("ss2")?);
        Ok(Self {
            demo,
            logs: [&consumer, &provider]
                .map(|server| Log::new(logs::folder_of(&server.configuration))),
            consumer,
            provider,
            block: block.to_owned(),
            log,
        })
    }

    /// Where SOAP messages go.
    pub(super) fn soap_url(&self) -> String {
        format!("http://{}12:8080/", self.block)
    }

    /// Where REST messages go.
    pub(super) fn rest_url(&self) -> String {
        format!(
            "http://{}12:8080/r1/{}/echorest/",
            self.block,
            parties().provider
        )
    }

    /// All processes of the country.
    pub(super) fn processes(&self) -> Vec<u32> {
        vec![self.demo.id(), self.consumer.process, self.provider.process]
    }

    /// The two Security Servers' main processes.
    pub(super) fn servers(&self) -> [u32; 2] {
        [self.consumer.process, self.provider.process]
    }

    /// Forgets what the servers have logged up to now.
    pub(super) fn skip_log(&mut self) -> Result<(), Failure> {
        for log in &mut self.logs {
            log.gained()?;
        }
        Ok(())
    }

    /// What so many exchanges since [`Stage::skip_log`] left in the logs.
    ///
    /// # Errors
    /// The logs do not hold what they must.
    pub(super) fn traces(&mut self, exchanges: u64, batch: bool) -> Result<Traces, Failure> {
        let [consumer, provider] = &mut self.logs;
        logs::judge(exchanges, &[consumer.gained()?, provider.gained()?], batch)
    }

    /// Milliseconds from starting the consumer's server to its first signed exchange, one per repetition.
    ///
    /// The rest of the country keeps running. The demo is halted meanwhile, so that it does not react to the end of its
    /// server; it must not be measured any more afterwards.
    pub(super) fn start_times(&mut self, repetitions: usize) -> Result<Vec<f64>, Failure> {
        send_signal("-STOP", self.demo.id());
        send_signal("-KILL", self.consumer.process);
        let address = format!("{}12:8080", self.block);
        let mut times = Vec::new();
        for _ in 0..repetitions {
            wait_until(|| TcpStream::connect(&address).is_err())?;
            let (request, id) = probe();
            let mut command: Command = own(&["security-server", "run", "--config"])?;
            command.arg(&self.consumer.configuration);
            let start = Instant::now();
            let mut server = Program::start(&mut command, &self.log)?;
            while !ask_once(&address, &request, &id) {
                if server.ended() || start.elapsed() > START {
                    return Err(format!(
                        "the server does not start again; see {}",
                        self.log.display()
                    )
                    .into());
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            drop(server);
        }
        send_signal("-CONT", self.demo.id());
        Ok(times)
    }

    /// Ends the country.
    pub(super) fn end(mut self) {
        self.demo.end();
    }
}

fn probe() -> (Vec<u8>, String) {
    let nanoseconds = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    let id = format!("{nanoseconds:032x}");
    (SoapWriter::new(&parties(), 1024).write(&id), id)
}

fn wait_until(condition: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + START;
    while !condition() {
        if Instant::now() > deadline {
            return Err("a server that was ended still listens".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Processes of Security Servers below the demo's, with their configuration files.
fn servers(demo: u32) -> Vec<(u32, PathBuf)> {
    let mut found = Vec::new();
    for process in processes::family(&[demo]) {
        let words = processes::command_line(process);
        let runs = words.iter().any(|word| word == "security-server");
        let file = words
            .iter()
            .position(|word| word == "--config")
            .and_then(|at| words.get(at + 1));
        if let (true, Some(file)) = (runs, file) {
            found.push((process, PathBuf::from(file)));
        }
    }
    found
}

fn instance(mode: Mode, block: &str, subsystems: u32) -> String {
    let Parties { client, provider } = parties();
    let url = Chain::provider_url();
    let server = |owner: &str, code: &str, last: u8, client: &str| {
        format!(
            "\n[[server]]\nid = \"{owner}/{code}\"\naddress = \"{block}{last}\"\nbatch_signing = {}\n{}",
            mode.batch,
            std::iter::once(client.to_owned())
                .chain((0..subsystems / 2).map(|number| format!("{owner}/unit-{number:05}")))
                .map(|id| format!("[[server.client]]\nid = \"{id}\"\nconnection = \"http\"\n"))
                .collect::<String>()
        )
    };
    let service = |code: &str, kind: &str, more: &str| {
        format!(
            "\n[[service]]\nprovider = \"{provider}\"\ncode = \"{code}\"\ntype = \"{kind}\"\nurl = \"{url}\"\n{more}\
             allowed = [\"{client}\"]\n"
        )
    };
    [
        format!(
            "instance = \"KG\"\nkey_type = \"{}\"\naddress = \"{block}1\"\n",
            mode.key_type
        ),
        server("KG/GOV/70000001", "ss1", 11, &provider),
        server("KG/COM/80000001", "ss2", 12, &client),
        service("echo", "soap", "namespace = \"urn:bench\"\n"),
        service("echorest", "rest", ""),
    ]
    .concat()
}
