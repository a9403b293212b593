//! The processes of the demonstration country: started, awaited and ended.
//!
//! Every child is this binary again. It holds the read end of a pipe from its
//! parent and ends when the pipe closes, so that no server outlives a demo
//! that was killed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// The flag that makes a subcommand end when its standard input does.
pub const WITH_PARENT: &str = "--with-parent";

const END: Duration = Duration::from_secs(4);

/// Why a server of the country does not run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The process could not be started.
    #[error("{name} could not be started: {source}")]
    Start {
        /// Which server.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}); the end of its log {log}:\n{last}")]
    Ended {
        /// Which server.
        name: String,
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        last: String,
    },
    /// It did not become ready in time.
    #[error("{name} was not ready after {seconds} seconds; its log is {log}")]
    NotReady {
        /// Which server.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
}

/// A server of the country as a process of its own.
#[derive(Debug)]
pub struct Server {
    name: String,
    log: PathBuf,
    process: Child,
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Starts this binary with `arguments`; standard error goes to `log`.
    ///
    /// # Errors
    /// The process or its log file cannot be made.
    pub fn start<A: Into<OsString>>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            name: name.to_owned(),
            source,
        };
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let mut process = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments.into_iter().map(Into::into))
            .arg(WITH_PARENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            // Ctrl-C at the terminal is for the demo, which ends its servers in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let lifeline = process.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            process,
            lifeline,
        })
    }

    /// What the server is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the line `ready` on the server's standard output.
    ///
    /// # Errors
    /// It ended, or said nothing for as long as `patience`.
    pub async fn ready(&mut self, patience: Duration) -> Result<(), ChildError> {
        let Some(output) = self.process.stdout.take() else {
            return Ok(());
        };
        let mut lines = BufReader::new(output).lines();
        let awaited = tokio::time::timeout(patience, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.trim() == "ready" || line.starts_with("ready ") {
                    return true;
                }
            }
            false
        })
        .await;
        match awaited {
            Ok(true) => {
                // A server that writes to a closed pipe would fail.
                let mut rest = lines.into_inner();
                tokio::spawn(async move {
                    let mut ignored = [0; 1024];
                    while matches!(rest.read(&mut ignored).await, Ok(read) if read > 0) {}
                });
                Ok(())
            }
            Ok(false) => {
                let status = tokio::time::timeout(END, self.process.wait()).await;
                Err(ChildError::Ended {
                    name: self.name.clone(),
                    status: match status {
                        Ok(Ok(status)) => status.to_string(),
                        _ => "it closed its output".to_owned(),
                    },
                    log: self.log.clone(),
                    last: last_lines(&self.log),
                })
            }
            Err(_) => Err(ChildError::NotReady {
                name: self.name.clone(),
                seconds: patience.as_secs(),
                log: self.log.clone(),
            }),
        }
    }

    /// Waits until the process ends by itself; gives its status in words.
    pub async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends the server: asks it first, by closing its lifeline.
    pub async fn stop(mut self) {
        drop(self.lifeline.take());
        // A little longer than the server itself takes at most.
        if tokio::time::timeout(END + END, self.process.wait())
            .await
            .is_err()
        {
            let _ = self.process.kill().await;
        }
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Ends this process when standard input does: the parent is gone, or has let go. The process is
/// asked first, as with `kill`, and ended if it does not listen.
pub async fn end_with_parent() {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a blocked read of the runtime's pool would delay the end of the process.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        let mut input = std::io::stdin().lock();
        while matches!(std::io::Read::read(&mut input, &mut ignored), Ok(read) if read > 0) {}
        drop(sender);
    });
    let _ = receiver.await;
    let asked =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    if asked.is_ok() {
        tokio::time::sleep(END).await;
    }
    std::process::exit(1);
}
