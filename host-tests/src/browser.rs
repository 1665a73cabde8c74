//! Opens a page in the user's browser.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The program that opens a URL with the user's choice of browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Why the page was not opened.
#[derive(Debug)]
pub enum BrowserError {
    /// None of these programs is installed.
    NotFound(Vec<String>),
    /// A program could not be started.
    NotStarted(String, io::Error),
    /// A program ended with an error.
    Failed(String, ExitStatus),
}

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(programs) => {
                write!(f, "there is no browser: none of {} is installed (BROWSER names another)", programs.join(", "))
            }
            Self::NotStarted(program, error) => write!(f, "the browser cannot be started: {program}: {error}"),
            Self::Failed(program, status) => write!(f, "the browser was not opened: {program} ended with {status}"),
        }
    }
}

impl std::error::Error for BrowserError {}

/// A program that was told to open a page.
#[derive(Debug)]
pub struct Opening {
    program: String,
    child: Child,
}

/// Opens a page with the first program that is installed: those of `preferred`, which is the value of the variable `BROWSER`,
/// and then the system's. `preferred` lists commands, separated by colons. The URL takes the place of `%s` in a command, and
/// follows a command without `%s`.
///
/// The program is not ended by the terminal's Ctrl-C, and its output is discarded.
///
/// # Errors
/// None is installed, or one cannot be started.
pub fn open(url: &str, preferred: Option<&str>) -> Result<Opening, BrowserError> {
    let mut missing = Vec::new();
    for command in preferred.unwrap_or_default().split(':').chain([OPENER]) {
        let mut words: Vec<_> = command.split_whitespace().map(|word| word.replace("%s", url)).collect();
        if !command.contains("%s") {
            words.push(url.to_owned());
        }
        let Some((program, arguments)) = words.split_first().filter(|_| !command.trim().is_empty()) else { continue };
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => return Ok(Opening { program: program.clone(), child }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(program.clone()),
            Err(error) => return Err(BrowserError::NotStarted(program.clone(), error)),
        }
    }
    Err(BrowserError::NotFound(missing))
}

impl Opening {
    /// Returns the result if the program has ended. A browser may run as long as the user wants.
    pub fn try_finish(&mut self) -> Option<Result<(), BrowserError>> {
        let status = self.child.try_wait().transpose()?;
        Some(match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BrowserError::Failed(self.program.clone(), status)),
            Err(error) => Err(BrowserError::NotStarted(self.program.clone(), error)),
        })
    }
}
