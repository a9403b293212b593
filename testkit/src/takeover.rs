//! A country whose servers a test stops and starts itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Country;
use crate::process::{Running, binary};

/// A process of a country: its number and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process number.
    pub id: u32,
    /// Command line.
    pub arguments: Vec<String>,
}

impl Process {
    /// Starts the same program again, in place of one that has ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn begin(&self) -> Running {
        let arguments = self
            .arguments
            .iter()
            .skip(1)
            .filter(|argument| !argument.is_empty() && *argument != "--with-parent");
        Running::start(
            Command::new(binary())
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&self) {
        signal("-KILL", self.id);
    }

    /// Halts it: it holds its connections and answers nothing.
    pub fn halt(&self) {
        signal("-STOP", self.id);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal("-CONT", self.id);
    }
}

pub(crate) fn signal(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args([signal, &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// A Security Server that the test runs in place of the demo.
#[derive(Debug)]
pub struct OwnServer {
    configuration: PathBuf,
    log: PathBuf,
    running: Running,
}

impl OwnServer {
    /// Ends the server at once and starts it again; it may take a moment until it serves.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn kill_and_start(&mut self) {
        self.running.kill();
        self.running = start(&self.configuration, &self.log);
    }

    /// Ends the server at once.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts the server again after [`OwnServer::kill`]; it may take a moment until it serves.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&mut self) {
        self.running = start(&self.configuration, &self.log);
    }

    /// Changes the configuration file.
    ///
    /// # Panics
    /// When the file cannot be read or written.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(&self.configuration).expect("server.toml");
        fs::write(&self.configuration, change(text)).expect("server.toml");
    }

    /// Has the server read its clients, services and rights again.
    pub fn reload(&self) {
        signal("-HUP", self.running.id());
    }

    /// Asks the server to end and waits for it.
    pub fn stop(&mut self) {
        self.running.stop();
    }

    /// Begins anew to observe the most memory that it occupies, and says how much it occupies now, in KiB.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn observe_memory(&self) -> u64 {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").expect("clear_refs");
        self.memory("VmRSS:")
    }

    /// The most memory it has occupied since [`OwnServer::observe_memory`], in KiB.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn most_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    /// Its configuration file.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// What it has printed since the test runs it.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.running.id()
    }
}

fn start(configuration: &Path, log: &Path) -> Running {
    let output = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log file");
    let errors = output.try_clone().expect("a log file");
    Running::start(
        Command::new(binary())
            .args(["security-server", "run", "--config"])
            .arg(configuration)
            .stdout(output)
            .stderr(errors),
    )
}

impl Country {
    /// All processes below the demo's whose arguments hold this word, `central-server` for example.
    pub fn processes(&self, word: &str) -> Vec<Process> {
        let parent = self.demo_process().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let ours = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1))
                == Some(parent.as_str());
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            if ours && arguments.iter().any(|argument| argument == word) {
                found.push(Process { id, arguments });
            }
        }
        found
    }

    /// Halts the demo, so that it does not react to what the test does to its servers. They keep running.
    pub fn freeze(&self) {
        signal("-STOP", self.demo_process());
    }

    /// Ends a Security Server of the demo and runs it from here on. The demo is halted.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn take_over(&self, server: &str) -> OwnServer {
        self.freeze();
        let configuration = self.configuration(server);
        let process = self
            .processes("security-server")
            .into_iter()
            .find(|process| {
                process
                    .arguments
                    .iter()
                    .any(|argument| Path::new(argument) == configuration)
            })
            .unwrap_or_else(|| panic!("no process of {server}"));
        process.kill();
        let log = self
            .state()
            .join(format!("{}.own.log", server.replace('/', "-")));
        // Its ports are free once it is gone.
        std::thread::sleep(Duration::from_millis(50));
        OwnServer {
            running: start(&configuration, &log),
            configuration,
            log,
        }
    }
}

/// Tries until the condition holds.
///
/// # Panics
/// When it does not in this time.
pub fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "{what}: not within {} s",
            limit.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
