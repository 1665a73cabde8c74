//! The firmware of embassy-demo/boards/mps2-an386, in QEMU.

mod filter;
mod frames;
mod site;

pub use filter::Filter;
pub use frames::{Digest, PERIOD, are_parts_of_the_clip, counted, frames, is_part_of_the_clip};
pub use site::{GUEST, SERVER, Site};

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::peers::network::Host;
use crate::peers::{Running, start};

/// The folder of the board's package.
pub fn board() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../embassy-demo/boards/mps2-an386")
}

/// The image. The first call builds it.
///
/// # Errors
/// It cannot be built.
fn image(kind: FirmwareKind) -> Result<&'static str> {
    static IMAGES: [OnceLock<Result<String, String>>; 8] = [const { OnceLock::new() }; 8];
    let built = IMAGES[kind as usize].get_or_init(|| {
        let options: &[&str] = match kind {
            FirmwareKind::Plain => &["--build"],
            FirmwareKind::Tunnels => &["--rtmpt", "--build"],
            FirmwareKind::Camera => &["--camera", "--build"],
            FirmwareKind::SlowClockCamera => &["--camera-32768", "--build"],
            FirmwareKind::Hevc => &["--hevc", "--build"],
            FirmwareKind::Secure => &["--secure", "--build"],
            FirmwareKind::Web => &["--web", "--build"],
            FirmwareKind::SmallWeb => &["--web-128k", "--build"],
        };
        let output = Command::new(board().join("run")).args(options).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    });
    built.as_deref().map_err(|error| anyhow!("the firmware does not build: {error}"))
}

/// The kind of firmware.
#[derive(Debug, Clone, Copy)]
pub enum FirmwareKind {
    /// With default features.
    Plain,
    /// With RTMPT and RTMPE.
    Tunnels,
    /// The camera: its one argument is a URL.
    Camera,
    /// The camera with a clock of 32,768 Hz.
    SlowClockCamera,
    /// A publisher of HEVC and Opus with Enhanced RTMP: its one argument is a URL.
    Hevc,
    /// The image that measures RTMPE and RTMPS.
    Secure,
    /// With viewers over HTTP.
    Web,
    /// A server for one publisher and four viewers over HTTP, with 128 KB of RAM. It has no arguments.
    SmallWeb,
}

/// Running firmware.
#[derive(Debug)]
pub struct Firmware(Running);

impl Firmware {
    /// Starts it, in QEMU on this machine or on `host`. `options` are those of the board's script `qemu`.
    ///
    /// # Errors
    /// It cannot be built, or a program is missing.
    pub fn start(host: Option<&Host>, options: &[&str], arguments: &[&str]) -> Result<Self> {
        Self::start_kind(FirmwareKind::Plain, host, options, arguments)
    }

    /// The same as [`Self::start`], for any kind.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn start_kind(kind: FirmwareKind, host: Option<&Host>, options: &[&str], arguments: &[&str]) -> Result<Self> {
        let program = board().join("qemu");
        let mut command = host.map_or_else(|| Command::new(&program), |host| host.command(&program));
        command.arg(image(kind)?).args(options).args(arguments);
        Ok(Self(start(&mut command)?))
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.0.output()
    }

    /// Waits until the log has this text.
    ///
    /// # Errors
    /// The text is missing after the time limit, or the firmware has ended.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.wait_for_times(1, text, limit)
    }

    /// Waits until the log has this text at least `times` times.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_for_times(&mut self, times: usize, text: &str, limit: Duration) -> Result<()> {
        self.0.wait_until(text, limit, |firmware| firmware.output().matches(text).count() >= times)
    }

    /// Waits for the end and returns the exit status and the log.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn finish_within(self, limit: Duration) -> Result<(Option<i32>, String)> {
        let finished = self.0.finish_within(limit)?;
        Ok((finished.status.code(), String::from_utf8_lossy(&finished.stdout).into_owned() + &finished.stderr))
    }
}

/// The monitor of a QEMU that was started with [`Self::options`].
#[derive(Debug)]
pub struct Monitor(PathBuf);

impl Monitor {
    /// A monitor on a socket in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self(directory.join("monitor"))
    }

    /// The options for QEMU.
    pub fn options(&self) -> [String; 4] {
        let socket = format!("unix:{},server=on,wait=off", self.0.display());
        ["--qemu", "-qmp", "--qemu", &socket].map(str::to_owned)
    }

    /// Connects or disconnects the Ethernet cable.
    ///
    /// # Errors
    /// QEMU does not confirm it.
    pub fn plug(&self, up: bool) -> Result<()> {
        let mut socket = UnixStream::connect(&self.0)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut lines = BufReader::new(socket.try_clone()?).lines();
        let set = format!(r#"{{"execute":"set_link","arguments":{{"name":"net0","up":{up}}}}}"#);
        for command in [r#"{"execute":"qmp_capabilities"}"#, &set] {
            writeln!(socket, "{command}")?;
            loop {
                let line = lines.next().context("QEMU hung up")??;
                if line.contains("\"error\"") {
                    bail!("{command}: {line}");
                }
                if line.contains("\"return\"") {
                    break;
                }
            }
        }
        Ok(())
    }
}
