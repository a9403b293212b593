//! Programs that a test starts, and that end with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::takeover::signal;

/// The `tunduk` binary of the profile that the tests are built with; built first if it is not there.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // Tests are run as target/PROFILE/deps/NAME.
        let test = std::env::current_exe().expect("the test's own path");
        let folder = test
            .ancestors()
            .nth(2)
            .expect("a build folder")
            .to_path_buf();
        let binary = folder.join("tunduk");
        if !binary.is_file() {
            let mut cargo =
                Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--quiet", "--package", "tunduk"]);
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            let status = cargo
                .current_dir(workspace())
                .stdin(Stdio::null())
                .status()
                .expect("cargo runs");
            assert!(status.success(), "tunduk could not be built");
        }
        binary
    })
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// A program that is stopped when this value goes.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts the program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::null()))
    }

    /// Starts one of our programs, which ends when this process does, in a process group of
    /// its own. In the test's, a halted program would end all: the system sends SIGHUP to a
    /// group with a halted member once the shell that started it is gone.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_apart(command: &mut Command) -> Self {
        let command = command.arg("--with-parent").stdin(Stdio::piped());
        Self::spawn(command.process_group(0))
    }

    fn spawn(command: &mut Command) -> Self {
        let child = command.spawn();
        Self {
            child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and ends it by force after ten seconds.
    pub fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // A halted process does not hear the wish to end.
        signal("-TERM", self.child.id());
        signal("-CONT", self.child.id());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
