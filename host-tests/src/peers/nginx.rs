//! nginx with its RTMP module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Running, free_port, start, wait_for_listener, wait_until};

/// The directive that loads the RTMP module.
pub(crate) const LOAD_RTMP: &str = "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;";

/// The applications that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// Accepts publishers and relays to players. Tells players when the publisher has left.
    Live,
    /// The same, and records each stream.
    Record,
    /// Accepts and records publishers, and disconnects one that is silent for 4 s.
    Impatient,
    /// Accepts neither publishers nor players: it closes the connection without an answer.
    Deny,
    /// Plays the files that [`Nginx::store`] was given.
    Recorded,
    /// Asks [`NginxOptions::callback`] about publishers and players.
    Ask,
}

impl Application {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "rec",
            Self::Impatient => "impatient",
            Self::Deny => "deny",
            Self::Recorded => "vod",
            Self::Ask => "ask",
        }
    }
}

/// The configuration of nginx.
#[derive(Debug, Clone, Copy)]
pub struct NginxOptions {
    /// The chunk size that it announces, in bytes.
    pub chunk_size: u32,
    /// The acknowledgement window that it announces, in bytes.
    pub ack_window: u32,
    /// The port of 127.0.0.1 of the web server that decides about publishers and players. 0: none.
    pub callback: u16,
}

impl Default for NginxOptions {
    fn default() -> Self {
        Self { chunk_size: 4096, ack_window: 5_000_000, callback: 0 }
    }
}

/// A running nginx that serves RTMP.
#[derive(Debug)]
pub struct Nginx(Instance);

impl Nginx {
    /// Starts nginx.
    ///
    /// # Errors
    /// It is not installed, or does not listen in time.
    pub fn start(options: NginxOptions) -> Result<Self> {
        // Another program may take the port before nginx binds it.
        Self::try_start(options).or_else(|_| Self::try_start(options))
    }

    fn try_start(options: NginxOptions) -> Result<Self> {
        Ok(Self(Instance::start(|directory, port| Ok(rtmp(directory, port, options)))?))
    }

    /// Kills it. Its recordings stay.
    pub fn kill(&mut self) {
        self.0.process = None;
    }

    /// Freezes the process. Its connections stay open, and it reads nothing any longer.
    ///
    /// # Errors
    /// nginx does not run.
    pub fn freeze(&self) -> Result<()> {
        self.0.process.as_ref().context("nginx was killed")?.signal("STOP")
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// It does not listen in time.
    pub fn start_again(&mut self) -> Result<()> {
        self.0.start_again()
    }

    /// The URL of a stream.
    pub fn url(&self, application: Application, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{}/{key}", self.0.port, application.name())
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Stores an FLV file that players get as `key`.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn store(&self, file: &Path, key: &str) -> Result<()> {
        fs::copy(file, self.0.directory.path().join(format!("{key}.flv")))?;
        Ok(())
    }

    /// The one recording of a stream.
    ///
    /// # Errors
    /// There is none.
    pub fn recording(&self, key: &str) -> Result<PathBuf> {
        self.recordings(key)?.into_iter().next().with_context(|| format!("no recording of {key}"))
    }

    /// The recordings of a stream, first to last, without the empty files of refused publishers.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn recordings(&self, key: &str) -> Result<Vec<PathBuf>> {
        recordings(self.0.directory.path(), &format!("{key}-"))
    }

    /// Waits until a player plays a stream.
    ///
    /// # Errors
    /// No player does within 20 s.
    pub fn wait_for_player(&self, key: &str) -> Result<()> {
        let sign = format!("play: name='{key}'");
        wait_until("a player", Duration::from_secs(20), || self.log().contains(&sign)).with_context(|| self.log())
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.0.log()
    }
}

/// The recordings in a directory whose names start with `prefix`, first to last, without the empty files of refused
/// publishers.
pub(crate) fn recordings(directory: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(directory)?.filter_map(Result::ok).filter(|file| {
        let name = file.file_name();
        let is_it = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(".flv"));
        is_it && file.metadata().is_ok_and(|file| file.len() > 0)
    });
    let mut files: Vec<_> = files.map(|file| file.path()).collect();
    files.sort();
    Ok(files)
}

/// An nginx with a directory of its own, on a port of 127.0.0.1. Dropping it ends nginx and removes the directory.
#[derive(Debug)]
pub(super) struct Instance {
    // This field is declared before the directory, so that the process ends before the directory is removed.
    process: Option<Running>,
    pub(super) directory: TempDir,
    pub(super) port: u16,
}

impl Instance {
    /// Starts nginx with the configuration that is made for its directory and its port.
    pub(super) fn start(configure: impl FnOnce(&Path, u16) -> Result<String>) -> Result<Self> {
        let (directory, port) = (tempfile::Builder::new().prefix("nginx-").tempdir()?, free_port()?);
        fs::write(directory.path().join("nginx.conf"), configure(directory.path(), port)?)?;
        let mut instance = Self { process: None, directory, port };
        instance.start_again()?;
        Ok(instance)
    }

    fn start_again(&mut self) -> Result<()> {
        let process = self.process.insert(run(Command::new("nginx"), self.directory.path())?);
        wait_for_listener(self.port, process)
    }

    /// Its log.
    pub(super) fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
        log + &self.process.as_ref().map(Running::errors).unwrap_or_default()
    }
}

/// Starts nginx with the file `nginx.conf` of a directory.
pub(crate) fn run(mut nginx: Command, directory: &Path) -> Result<Running> {
    nginx.arg("-c").arg(directory.join("nginx.conf")).arg("-p").arg(directory);
    nginx.arg("-e").arg(directory.join("error.log"));
    // It is not in the path of an ordinary user.
    nginx.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    start(&mut nginx)
}

/// The configuration of an nginx whose files lie in `directory`. `main` are directives of the main context.
pub(crate) fn configuration(directory: &Path, main: &str, servers: &str) -> String {
    let directory = directory.display();
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log info;
{main}
events {{ worker_connections 256; }}
{servers}
"
    )
}

fn rtmp(directory: &Path, port: u16, options: NginxOptions) -> String {
    let NginxOptions { chunk_size, ack_window, callback } = options;
    let (shown, ask) = (directory.display(), if callback == 0 { 9 } else { callback });
    let servers = format!(
        "rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size {chunk_size}; ack_window {ack_window};
  application live {{ live on; publish_notify on; }}
  application rec {{ live on; record all; record_path {shown}; record_unique on; }}
  application vod {{ play {shown}; }}
  application impatient {{ live on; record all; record_path {shown}; record_unique on; drop_idle_publisher 4s; }}
  application ask {{ live on; on_publish http://127.0.0.1:{ask}/publish; on_play http://127.0.0.1:{ask}/play; }}
  application deny {{ live on; deny publish all; deny play all; }} }} }}"
    );
    configuration(directory, LOAD_RTMP, &servers)
}
