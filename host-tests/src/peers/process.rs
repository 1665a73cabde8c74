//! Child processes that never outlive the test.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

use super::wait_until;

/// A running program. Dropping the value kills it. Its output goes to files, so that it never waits for a reader.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Finished {
    /// Returns itself if the program ended with status 0.
    ///
    /// # Errors
    /// It ended with another status. The error has its output.
    pub fn successful(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        bail!("ended with {}: {}{}", self.status, self.stderr, String::from_utf8_lossy(&self.stdout))
    }
}

/// Starts a program without standard input.
///
/// # Errors
/// It cannot be started. Most likely it is not installed; `host-tests/setup` installs it.
pub fn start(command: &mut Command) -> Result<Running> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (stdout, stderr) = (NamedTempFile::new()?, NamedTempFile::new()?);
    command.stdin(Stdio::null()).stdout(stdout.reopen()?).stderr(stderr.reopen()?);
    let child = command.spawn().with_context(|| format!("cannot start {name} (host-tests/setup installs it)"))?;
    Ok(Running { name, child, stdout, stderr })
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, or has not ended after `limit`; then it is killed.
pub fn finish_within(limit: Duration, command: &mut Command) -> Result<Finished> {
    start(command)?.finish_within(limit)
}

impl Running {
    /// The program's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the program has ended.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until a condition of the running program holds. `what` names it in the error.
    ///
    /// # Errors
    /// The program ended before, or the condition does not hold within `limit`.
    pub fn wait_until(&mut self, what: &str, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> Result<()> {
        let mut holds = false;
        let waited = wait_until(what, limit, || {
            // Check this before the condition: after the program has ended, its output does not change any longer.
            let has_ended = !matches!(self.ended(), Ok(None));
            holds = condition(self);
            holds || has_ended
        });
        waited.with_context(|| format!("{}: {}{}", self.name, self.errors(), self.output()))?;
        ensure!(holds, "{what}: {} has ended: {}{}", self.name, self.errors(), self.output());
        Ok(())
    }

    /// Its standard output so far, as text.
    pub fn output(&self) -> String {
        text(&self.stdout)
    }

    /// Its standard error so far, as text.
    pub fn errors(&self) -> String {
        text(&self.stderr)
    }

    /// Sends the signal of Ctrl-C.
    ///
    /// # Errors
    /// The signal cannot be sent. Most likely the program has ended.
    pub fn interrupt(&self) -> Result<()> {
        self.signal("INT")
    }

    /// Sends the program a signal: `STOP`, `CONT`, `KILL` and so on.
    ///
    /// # Errors
    /// As [`Self::interrupt`].
    pub fn signal(&self, name: &str) -> Result<()> {
        // Use the shell's built-in `kill`, because the program `kill` is not installed everywhere.
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status()?;
        if !status.success() {
            bail!("{kill}: {status}");
        }
        Ok(())
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The program has not ended after `limit`; then it is killed.
    pub fn finish_within(mut self, limit: Duration) -> Result<Finished> {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("{} has not ended after {limit:?}: {}{}", self.name, self.errors(), self.output());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Finished { status, stdout: bytes(&self.stdout), stderr: self.errors() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(file: &NamedTempFile) -> Vec<u8> {
    fs::read(file.path()).unwrap_or_default()
}

fn text(file: &NamedTempFile) -> String {
    String::from_utf8_lossy(&bytes(file)).into_owned()
}
