//! The tools of this package, started as a user would.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it, and uses a part")]

pub mod browser;
pub mod certificates;
pub mod raw;
pub mod refusing;
pub mod site;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_tests::flv::{Reader, Tag};
use host_tests::peers::{Conversation, Finished, Running, Sender, finish_within, start, wait_until};
use host_tests::replay::{Side, replay};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for everything here on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../embassy-demo/clip.flv")
}

pub fn tags(file: &Path) -> Vec<Tag> {
    Reader::new(BufReader::new(File::open(file).unwrap())).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The audio and video of a file, without what a recorder may change: the metadata.
pub fn media(file: &Path) -> Vec<Tag> {
    tags(file).into_iter().filter(|tag| tag.kind != embedded_rtmp::message::MessageKind::DATA).collect()
}

/// `serve`, with a directory of its own. Players are told the end of a stream at once, unless a test sets a grace time.
pub struct Serve {
    running: Running,
    directory: TempDir,
    ports: Vec<u16>,
}

impl Serve {
    pub fn start(arguments: &[&str]) -> Self {
        Self::listening("127.0.0.1:0", 1, arguments)
    }

    /// Starts it without `--keep-timestamps`, so recordings begin at 0.
    pub fn from_zero(arguments: &[&str]) -> Self {
        Self::launch("127.0.0.1:0", 1, arguments)
    }

    /// Starts it with `--keep-timestamps`, and waits until it listens on `count` of the addresses.
    pub fn listening(addresses: &str, count: usize, arguments: &[&str]) -> Self {
        Self::launch(addresses, count, &[arguments, &["--keep-timestamps"]].concat())
    }

    fn launch(addresses: &str, count: usize, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
        command.args(["--json", "--listen", addresses, "--record"]).arg(directory.path()).args(arguments);
        if !arguments.contains(&"--grace") {
            command.args(["--grace", "0"]);
        }
        let running = start(&mut command).unwrap();
        let mut ports = Vec::new();
        wait_until("serve listens", LIMIT, || {
            let errors = running.errors();
            let lines = errors.lines().filter_map(|line| line.strip_prefix("serve: listening on 127.0.0.1:"));
            ports = lines.map(|port| port.parse().unwrap()).collect();
            ports.len() == count
        })
        .unwrap_or_else(|error| panic!("{error}: {}", running.errors()));
        Self { running, directory, ports }
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    pub fn url(&self, path: &str) -> String {
        url(self.port(), path)
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        self.running.signal(name).unwrap();
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn said(&self) -> String {
        self.running.errors()
    }

    pub fn wait_until_it_says(&self, what: &str) {
        wait_until(what, LIMIT, || self.said().contains(what))
            .unwrap_or_else(|error| panic!("{error}: {}", self.said()));
    }

    /// The file, once it is complete.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.wait_until_it_says(&format!("{name}: "));
        self.directory.path().join(name)
    }

    /// The events that it has printed as JSON.
    pub fn events(&self) -> Vec<Value> {
        events(&self.running.output())
    }

    /// Ends it as Ctrl-C does. Returns all of its events.
    pub fn finish(self) -> Vec<Value> {
        self.running.interrupt().unwrap();
        let finished = self.running.finish_within(LIMIT).unwrap();
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        let events = events(&String::from_utf8(finished.stdout).unwrap());
        assert_eq!(events.last().unwrap()["event"], "stopped");
        events
    }

    /// Ends it as Ctrl-C does. Returns its recordings, publications and players that have ended, and the addresses on which
    /// it could not listen.
    pub fn stop(self) -> Value {
        let mut events = self.finish();
        let failed = events[0]["failed"].take();
        let all = |kind| events.iter().filter(|event| event["event"] == kind).cloned().collect::<Vec<_>>();
        serde_json::json!({
            "failed": failed, "recordings": all("recorded"), "streams": all("unpublished"), "players": all("played"),
        })
    }
}

/// The JSON objects on the lines of a text. The last line may be incomplete.
pub fn events(text: &str) -> Vec<Value> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether someone listens on a port of 127.0.0.1: found by trying to bind it, for some programs take but one connection.
pub fn listens(port: u16) -> bool {
    std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).is_err()
}

pub fn url(port: u16, path: &str) -> String {
    format!("rtmp://127.0.0.1:{port}/{path}")
}

/// `publish`, not started yet.
pub fn publisher(file: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_publish"));
    command.arg("--json").args(arguments).arg(file).arg(url);
    command
}

/// Runs `publish` to its end; answers its status and its summary.
pub fn publish(file: &Path, url: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let Finished { status, stdout, stderr } = finish_within(LIMIT, &mut publisher(file, url, arguments)).unwrap();
    let summary = if stdout.is_empty() { Value::Null } else { serde_json::from_slice(&stdout).unwrap() };
    (status.code(), summary, stderr)
}

/// Runs `publish` to its end, which must be a good one.
pub fn publish_well(file: &Path, url: &str, arguments: &[&str]) -> Value {
    let (status, summary, stderr) = publish(file, url, arguments);
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(summary["error"], Value::Null);
    summary
}

/// Six publishers at once, each to the URL of its number; their recordings must be whole.
pub fn six_publish(serve: &Serve, url: impl Fn(usize) -> String) {
    let publishers =
        [0, 1, 2, 3, 4, 5].map(|number| start(&mut publisher(&clip(), &url(number), &["--fast"])).unwrap());
    for publisher in publishers {
        publisher.finish_within(LIMIT).unwrap().successful().unwrap();
    }
    for number in 0..6 {
        assert_eq!(tags(&serve.recording(&format!("live-{number}.flv"))), tags(&clip()));
    }
}

/// `play`, not started yet.
pub fn player(url: &str, output: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_play"));
    command.arg("--json").args(arguments).arg(url).arg(output);
    command
}

/// Waits until `play` ends; answers its status, its summary and its errors.
pub fn played(running: Running) -> (Option<i32>, Value, String) {
    let Finished { status, stdout, stderr } = running.finish_within(LIMIT).unwrap();
    let summary = if stdout.is_empty() { Value::Null } else { serde_json::from_slice(&stdout).unwrap() };
    (status.code(), summary, stderr)
}

/// What one side of a conversation sent: its handshake, and its messages. It must be whole.
pub fn replayed(conversation: &Conversation, sender: Sender) -> Vec<Value> {
    let side = match sender {
        Sender::Client => Side::Server,
        Sender::Server => Side::Client,
    };
    let mut shown = Vec::new();
    replay(side, &conversation.sent_by(sender), usize::MAX, &mut |value| shown.push(value)).unwrap();
    shown
}
