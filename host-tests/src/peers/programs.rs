//! Programs that publish and play, and those that `host-tests/setup` installs in target/programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Running, free_port, start, wait_for_listener, wait_until};

/// A program that publishes, plays, or does both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Debian's ffmpeg.
    Ffmpeg,
    /// ffmpeg 9, from Python's imageio-ffmpeg.
    Ffmpeg9,
    /// GStreamer's rtmp2sink and rtmp2src.
    Rtmp2,
    /// GStreamer's rtmpsink and rtmpsrc, which use librtmp.
    Librtmp,
    /// rtmpdump, which only plays.
    Rtmpdump,
}

impl Program {
    /// The programs that publish.
    pub const PUBLISHERS: [Program; 4] = [Self::Ffmpeg, Self::Ffmpeg9, Self::Rtmp2, Self::Librtmp];
    /// The programs that play.
    pub const PLAYERS: [Program; 5] = [Self::Ffmpeg, Self::Ffmpeg9, Self::Rtmp2, Self::Librtmp, Self::Rtmpdump];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg 5.1",
            Self::Ffmpeg9 => "ffmpeg 9.0",
            Self::Rtmp2 => "GStreamer rtmp2",
            Self::Librtmp => "GStreamer librtmp",
            Self::Rtmpdump => "rtmpdump",
        }
    }

    /// Publishes an FLV file with AVC and AAC, as fast as possible or, with `paced`, in real time.
    pub fn publisher(self, file: &Path, url: &str, paced: bool) -> Command {
        match self {
            Self::Ffmpeg | Self::Ffmpeg9 => {
                let mut command = self.ffmpeg();
                command.args(paced.then_some("-re")).arg("-i").arg(file).args(["-c", "copy", "-f", "flv", url]);
                command
            }
            _ => {
                let (sink, location) = match self {
                    Self::Rtmp2 => ("rtmp2sink", url.to_owned()),
                    _ => ("rtmpsink", format!("{url} live=1")),
                };
                let mut command = gstreamer();
                command.args(["filesrc", &format!("location={}", file.display()), "!", "flvdemux", "name=d"]);
                command.args(["flvmux", "name=m", "streamable=true", "!", sink, &format!("location={location}")]);
                command.arg(format!("sync={paced}"));
                command.args(["d.video", "!", "queue", "!", "h264parse", "!", "m."]);
                command.args(["d.audio", "!", "queue", "!", "aacparse", "!", "m."]);
                command
            }
        }
    }

    /// Plays into an FLV file until the stream is not published any longer.
    pub fn player(self, url: &str, file: &Path) -> Command {
        let mut command;
        match self {
            Self::Ffmpeg | Self::Ffmpeg9 => {
                command = self.ffmpeg();
                command.args(["-analyzeduration", "1500000", "-i", url, "-c", "copy"]).arg(file);
            }
            Self::Rtmpdump => {
                command = Command::new("rtmpdump");
                command.args(["--live", "--quiet", "-r", url, "-o"]).arg(file);
            }
            Self::Rtmp2 | Self::Librtmp => {
                let (source, location) = match self {
                    Self::Rtmp2 => ("rtmp2src", url.to_owned()),
                    _ => ("rtmpsrc", format!("{url} live=1")),
                };
                command = gstreamer();
                command.args([source, &format!("location={location}"), "!", "filesink"]);
                command.args([&format!("location={}", file.display()), "buffer-mode=unbuffered"]);
            }
        }
        command
    }

    /// Lets an ffmpeg play with these input options and write the times and hash of each frame, as
    /// [`super::timed_frames`] reads them.
    pub fn timer(self, options: &[&str], url: &str, file: &Path) -> Command {
        let mut command = self.ffmpeg();
        command.args(["-analyzeduration", "1500000"]).args(options).args(["-i", url, "-map", "0:v", "-map", "0:a"]);
        command.args(["-c", "copy", "-copyts", "-f", "framemd5"]).arg(file);
        command
    }

    /// A non-interactive ffmpeg that prints only errors. The caller adds arguments.
    pub fn ffmpeg(self) -> Command {
        let mut command = match self {
            Self::Ffmpeg9 => Command::new(installed("ffmpeg9")),
            _ => Command::new("ffmpeg"),
        };
        command.args(["-nostdin", "-v", "error"]);
        command
    }
}

fn gstreamer() -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q");
    command
}

/// The directory where `host-tests/setup` installs programs that are not Debian packages.
fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/programs").join(name)
}

/// A running node-media-server.
#[derive(Debug)]
pub struct NodeMediaServer {
    process: Running,
    port: u16,
    /// The port of RTMPS; 0 without TLS.
    tls_port: u16,
}

impl NodeMediaServer {
    /// Starts it on 127.0.0.1. By default it listens on all addresses.
    ///
    /// # Errors
    /// It is not installed, or does not listen in time.
    pub fn start() -> Result<Self> {
        Self::launch("", 0)
    }

    /// Starts it with RTMPS, with this chain and key in PEM.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn with_tls(chain: &Path, key: &Path) -> Result<Self> {
        let port = free_port()?;
        let (chain, key) = (chain.display(), key.display());
        Self::launch(&format!(", ssl: {{ port: {port}, cert: '{chain}', key: '{key}' }}"), port)
    }

    fn launch(options: &str, tls_port: u16) -> Result<Self> {
        let port = free_port()?;
        let script = format!(
            "const net = require('net'), listen = net.Server.prototype.listen;
             net.Server.prototype.listen = function (port, ...rest) {{
               return listen.call(this, {{ port, host: '127.0.0.1' }}, ...rest.filter((one) => typeof one == 'function'));
             }};
             const Server = require('node-media-server');
             new Server({{ logType: 3, rtmp: {{ port: {port}, chunk_size: 60000, gop_cache: true, ping: 30,
               ping_timeout: 60{options} }} }}).run();"
        );
        let mut command = Command::new("node");
        command.env("NODE_PATH", installed("nms/node_modules")).args(["-e", &script]);
        let mut process = start(&mut command)?;
        for port in [port, tls_port].into_iter().filter(|port| *port != 0) {
            wait_for_listener(port, &mut process).context("node-media-server")?;
        }
        Ok(Self { process, port, tls_port })
    }

    /// The port on which it accepts RTMPS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The URL of a stream.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    /// Waits until a player plays.
    ///
    /// # Errors
    /// No player does in time.
    pub fn wait_for_player(&self) -> Result<()> {
        wait_until("a player", Duration::from_secs(20), || self.log().contains("[rtmp play]"))
            .with_context(|| self.log())
    }

    /// Its output.
    pub fn log(&self) -> String {
        self.process.output() + &self.process.errors()
    }
}
