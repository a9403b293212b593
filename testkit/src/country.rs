//! A whole country on loopback: `tunduk demo` with an instance of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Running, binary};

/// How long a country may take until all its servers are ready.
const START: Duration = Duration::from_secs(120);

/// Which kind of keys the instance uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `rsa-2048`.
    Rsa,
    /// `ec-p256`.
    P256,
}

impl Kind {
    /// The word of the instance file.
    pub fn key_type(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-2048",
            Self::P256 => "ec-p256",
        }
    }
}

/// A running country; it ends with this value. Its folder stays until then.
#[derive(Debug)]
pub struct Country {
    endpoints: Value,
    state: PathBuf,
    running: Running,
    _folder: tempfile::TempDir,
}

impl Country {
    /// Writes the instance file into a fresh folder, starts the demo with it and waits until every server of its own
    /// is ready.
    ///
    /// # Panics
    /// With what the demo printed, when it ends early or is not ready in two minutes.
    pub fn start(instance: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), instance)
    }

    /// Like [`Country::start`], in a folder that already holds what the instance file names. The folder goes with
    /// the country.
    ///
    /// # Panics
    /// As [`Country::start`].
    pub fn start_in(folder: tempfile::TempDir, instance: &str) -> Self {
        let file = folder.path().join("instance.toml");
        fs::write(&file, instance).expect("the instance file");
        let state = folder.path().join("state");
        let output = folder.path().join("demo.log");
        let log = fs::File::create(&output).expect("a log file");
        let errors = log.try_clone().expect("a log file");
        let mut running = Running::start_apart(
            Command::new(binary())
                .arg("demo")
                .arg("--instance")
                .arg(&file)
                .arg("--state")
                .arg(&state)
                .stdout(Stdio::from(log))
                .stderr(Stdio::from(errors)),
        );
        let deadline = Instant::now() + START;
        let printed = || fs::read_to_string(&output).unwrap_or_default();
        loop {
            if let Some(status) = running.ended() {
                panic!("the demo ended with {status}:\n{}", printed());
            }
            if let Some(endpoints) = read(&state.join("endpoints.json"))
                && all_ready(&endpoints, &printed())
            {
                return Self {
                    endpoints,
                    state,
                    running,
                    _folder: folder,
                };
            }
            assert!(
                Instant::now() < deadline,
                "the demo is not ready:\n{}",
                printed()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The contents of `endpoints.json`.
    pub fn endpoints(&self) -> &Value {
        &self.endpoints
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The path that `endpoints.json` gives relative to the state folder, at a JSON pointer.
    ///
    /// # Panics
    /// When there is none.
    pub fn path(&self, pointer: &str) -> PathBuf {
        self.state.join(self.text(pointer))
    }

    /// The text at a JSON pointer of `endpoints.json`.
    ///
    /// # Panics
    /// When there is none.
    pub fn text(&self, pointer: &str) -> &str {
        let value = self.endpoints.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| {
            panic!(
                "endpoints.json has no text at {pointer}:\n{:#}",
                self.endpoints
            )
        })
    }

    /// The entry of a Security Server, by its identifier.
    ///
    /// # Panics
    /// When there is none.
    pub fn server(&self, id: &str) -> &Value {
        let servers = self
            .endpoints
            .get("security_servers")
            .and_then(Value::as_array);
        servers
            .into_iter()
            .flatten()
            .find(|server| server.get("id").and_then(Value::as_str) == Some(id))
            .unwrap_or_else(|| panic!("no server {id} in endpoints.json:\n{:#}", self.endpoints))
    }

    /// The entry of a member on a Security Server.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&self, server: &str, member: &str) -> &Value {
        let members = self.server(server).get("members").and_then(Value::as_array);
        members
            .into_iter()
            .flatten()
            .find(|entry| entry.get("id").and_then(Value::as_str) == Some(member))
            .unwrap_or_else(|| panic!("no member {member} on {server} in endpoints.json"))
    }

    /// The configuration file of a Security Server of the demo's own.
    ///
    /// # Panics
    /// When there is none.
    pub fn configuration(&self, server: &str) -> PathBuf {
        let id = format!("id = \"{server}\"");
        let mut folders = vec![self.state.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
            {
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("server.toml")
                    && fs::read_to_string(&path).is_ok_and(|text| text.contains(&id))
                {
                    return path;
                }
            }
        }
        panic!("no server.toml of {server} below {}", self.state.display());
    }

    pub(crate) fn demo_process(&self) -> u32 {
        self.running.id()
    }

    /// Ends all its processes, keeping the folder.
    pub fn stop(&mut self) {
        self.running.stop();
    }
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Whether the demo has said of each server of its own that it is ready.
fn all_ready(endpoints: &Value, printed: &str) -> bool {
    let servers = endpoints.get("security_servers").and_then(Value::as_array);
    servers
        .into_iter()
        .flatten()
        .filter(|server| server.get("outside") != Some(&Value::Bool(true)))
        .filter_map(|server| server.get("id").and_then(Value::as_str))
        .all(|id| printed.contains(&format!("ready {id} ")))
}
