//! A PostgreSQL of our own for the tests: in a folder of its own, reached over a Unix socket only, gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::{install, is_root};
use crate::{Outcome, fail};

/// Tells the tests how to reach it.
pub(crate) const VARIABLE: &str = "TUNDUK_POSTGRES";

/// Where Debian keeps the server's programs, one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
}

impl Postgres {
    /// Starts a server, installing the package if that is possible.
    pub(crate) fn start() -> Outcome<Self> {
        if programs().is_none() {
            install(&["postgresql"])?;
        }
        let Some(programs) = programs() else {
            return fail(format!(
                "no initdb below {DEBIAN}; install the package postgresql"
            ));
        };
        let folder = std::env::temp_dir().join(format!("tunduk-postgres-{}", std::process::id()));
        let problem = |error: std::io::Error| vec![format!("{}: {error}", folder.display())];
        fs::create_dir_all(&folder).map_err(problem)?;
        let server = Self { programs, folder };
        if is_root() {
            // PostgreSQL refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(&server.folder))?;
        }
        let data = server.folder.join("data");
        run(server
            .program("initdb")
            .args([
                "--auth=trust",
                "--username=tunduk",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data))?;
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c max_connections=200",
            server.folder.display()
        );
        run(server
            .program("pg_ctl")
            .args(["--wait", "--silent", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(server.folder.join("log"))
            .args(["-o", &options, "start"]))?;
        Ok(server)
    }

    /// Connection parameters without the name of a database.
    pub(crate) fn parameters(&self) -> String {
        format!("host={} user=tunduk", self.folder.display())
    }

    /// A new, empty database; gives the file with its connection parameters.
    pub(crate) fn database(&self, name: &str) -> Outcome<PathBuf> {
        run(self
            .program("createdb")
            .args(["--username=tunduk", "--host"])
            .arg(&self.folder)
            .arg(name))?;
        let file = self.folder.join(format!("{name}.connection"));
        let parameters = format!("{} dbname={name}\n", self.parameters());
        fs::write(&file, parameters)
            .map_err(|error| vec![format!("{}: {error}", file.display())])?;
        Ok(file)
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command.current_dir(&self.folder);
            command
        } else {
            Command::new(program)
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        let stopped = run(self
            .program("pg_ctl")
            .args(["--wait", "--silent", "--mode=immediate", "-D"])
            .arg(data)
            .arg("stop"));
        if stopped.is_ok() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(Path::new(DEBIAN)).ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").is_file())
        .max()
}

fn run(command: &mut Command) -> Outcome {
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| vec![format!("{command:?}: {error}")])?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    fail(format!(
        "PostgreSQL for the tests: {command:?}: {}",
        said.trim()
    ))
}
