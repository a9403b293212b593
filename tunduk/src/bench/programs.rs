//! The programs that a measurement starts: each is this binary in a hidden role.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pki::issue::{Profile, Template, self_signed};
use pki::{AttributeType, KeyType, Name, Signer, SoftwareKey};
use time::OffsetDateTime;

use super::load::{Job, Outcome};
use super::{Failure, message, processes};

/// This binary with these arguments.
pub(super) fn own(arguments: &[&str]) -> Result<Command, Failure> {
    let path = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let mut command = Command::new(path);
    command.args(arguments);
    Ok(command)
}

/// A program that is ended when this value goes.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    // Kept open: some programs end with it.
    _input: Option<ChildStdin>,
}

impl Program {
    /// Starts a hidden role and waits until it says that it is ready.
    fn role(role: &str, options: &[&str]) -> Result<Self, Failure> {
        let mut command = own(&["bench", role])?;
        let mut child = command
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{role}: {error}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        let _ = BufReader::new(output).read_line(&mut line);
        let input = child.stdin.take();
        let program = Self {
            child,
            _input: input,
        };
        if line.trim() == "ready" {
            Ok(program)
        } else {
            Err(format!("{role} did not start").into())
        }
    }

    /// Starts any program, silently.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure(format!("{}: {error}", log.display()));
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(failed)?;
        let input = child.stdin.take();
        Ok(Self {
            child,
            _input: input,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end and waits, at most ten seconds.
    pub(super) fn end(&mut self) {
        send_signal("-TERM", self.child.id());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that this program, or a program of its, has started.
pub(super) fn send_signal(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args([signal, &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The load generator.
#[derive(Debug)]
pub(super) struct Load {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// Starts it.
    pub(super) fn start() -> Result<Self, Failure> {
        let mut child = own(&["bench", "load"])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("load generator: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("load generator: no input or output".into());
        };
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs one job.
    pub(super) fn perform(&mut self, job: &Job) -> Result<Outcome, Failure> {
        let text = serde_json::to_string(job).map_err(|error| error.to_string())?;
        writeln!(self.input, "{text}").map_err(|error| format!("load generator: {error}"))?;
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| format!("load generator: {error}"))?;
        let outcome: Outcome =
            serde_json::from_str(&line).map_err(|error| format!("load generator: {error}"))?;
        match &outcome.first_failure {
            Some(failure) => Err(format!(
                "{} of the exchanges at {} failed: {failure}",
                outcome.failed, job.url
            )
            .into()),
            None => Ok(outcome),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Provider and plain proxies, each at a port of its own.
#[derive(Debug)]
pub(super) struct Chain {
    provider: Program,
    hops: [Program; 2],
}

/// The addresses that this run of the benchmark has for itself, without their last byte: one block for its own
/// programs (0) and one for each country.
pub(super) fn block(number: usize) -> String {
    let process = std::process::id();
    format!(
        "127.{}.{}.",
        100 + process % 100,
        (process / 100 % 30) as usize * 8 + number
    )
}

impl Chain {
    /// Starts them, with a fresh key for the connection between the proxies.
    pub(super) fn start(folder: &Path) -> Result<Self, Failure> {
        write_identity(folder)?;
        let folder = folder.to_string_lossy();
        let [provider, second, first] =
            [8001, 8002, 8003].map(|port| format!("{}1:{port}", block(0)));
        Ok(Self {
            provider: Program::role("provider", &["--listen", &provider])?,
            hops: [
                Program::role(
                    "provider-hop",
                    &[
                        "--listen",
                        &second,
                        "--next",
                        &provider,
                        "--identity",
                        &folder,
                    ],
                )?,
                Program::role(
                    "consumer-hop",
                    &["--listen", &first, "--next", &second, "--identity", &folder],
                )?,
            ],
        })
    }

    /// Where the provider listens.
    pub(super) fn provider_url() -> String {
        format!("http://{}1:8001/", block(0))
    }

    /// Where the first proxy listens.
    pub(super) fn url() -> String {
        format!("http://{}1:8003/", block(0))
    }

    /// All processes.
    pub(super) fn processes(&self) -> Vec<u32> {
        let [second, first] = &self.hops;
        vec![self.provider.id(), second.id(), first.id()]
    }
}

fn write_identity(folder: &Path) -> Result<(), Failure> {
    let text = |error: &dyn std::fmt::Display| {
        Failure(format!("certificate of the plain proxies: {error}"))
    };
    let key = SoftwareKey::generate(KeyType::EcP256).map_err(|error| text(&error))?;
    let subject = Name::builder()
        .push(AttributeType::CommonName, "plain proxy")
        .build()
        .map_err(|error| text(&error))?;
    let now = OffsetDateTime::now_utc();
    let template = Template {
        subject,
        public_key: key.public_key().clone(),
        serial: vec![1],
        not_before: now - time::Duration::days(1),
        not_after: now + time::Duration::days(7),
        profile: Profile::Authentication,
        ocsp_url: None,
    };
    let certificate = self_signed(&template, &key).map_err(|error| text(&error))?;
    let pkcs8 = key.to_pkcs8_der().map_err(|error| text(&error))?;
    fs::write(folder.join("hop.pem"), certificate.to_pem()).map_err(|error| text(&error))?;
    fs::write(
        folder.join("hop.key"),
        pki::pem::encode(&pkcs8, "PRIVATE KEY"),
    )
    .map_err(|error| text(&error))
}

/// One SOAP exchange over a connection of its own, without any library: for measuring the time of a start.
pub(super) fn ask_once(address: &str, request: &[u8], id: &str) -> bool {
    let Ok(address) = address.parse() else {
        return false;
    };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        request.len()
    );
    let mut answer = Vec::new();
    let asked = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(5))))
        .and_then(|()| stream.write_all(&[head.as_bytes(), request].concat()))
        .and_then(|()| stream.read_to_end(&mut answer));
    asked.is_ok() && message::is_answer(&answer, id)
}

/// CPU seconds of others since a moment, as processors kept busy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    at: Instant,
    busy: f64,
    own: f64,
}

impl Others {
    /// Starts to watch.
    pub(super) fn watch(own: &[u32]) -> Self {
        Self {
            at: Instant::now(),
            busy: processes::machine_busy_seconds(),
            own: processes::cpu_seconds(own),
        }
    }

    /// The part of the machine (0 to 1) that others used since then.
    pub(super) fn part(&self, own: &[u32]) -> f64 {
        let busy = processes::machine_busy_seconds() - self.busy;
        let ours = processes::cpu_seconds(own) - self.own;
        let all = self.at.elapsed().as_secs_f64() * processes::processors() as f64;
        ((busy - ours) / all).clamp(0.0, 1.0)
    }
}
