//! Every program publishes to our tools and plays from them. All frames must arrive as they were sent. The table goes
//! to target/matrix.md, which `host-tests/run` prints.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use host_tests::peers::{
    Application, FrameHashes, Nginx, NginxOptions, NodeMediaServer, Program, Running, finish_within, frame_hashes,
    free_port, start, wait_until,
};
use support::{LIMIT, Serve, clip, listens, played, player, publish_well, url};
use tempfile::TempDir;

/// A program that plays into a file.
struct Player {
    program: Program,
    running: Running,
    directory: TempDir,
}

impl Player {
    fn start(program: Program, url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let running = start(&mut program.player(url, &directory.path().join("played.flv"))).unwrap();
        Self { program, running, directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("played.flv")
    }

    /// Compares the received frames with `expected` when the stream has ended.
    fn outcome(self, expected: &FrameHashes) -> &'static str {
        let file = self.file();
        if self.program == Program::Librtmp {
            // This program connects again when a stream has ended, and waits for the next one.
            let all = || frame_hashes(&file).is_ok_and(|found| found == *expected);
            wait_until("all frames", LIMIT, all).unwrap_or_else(|error| panic!("librtmp: {error}"));
            return "equal";
        }
        let Self { program, running, directory: _directory } = self;
        let finished = running.finish_within(LIMIT).unwrap();
        let found = frame_hashes(&file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        if found == *expected {
            return "equal";
        }
        let (videos, audios) = (found.video.len(), found.audio.len());
        let context = format!("{}: {videos} video, {audios} audio frames: {}", program.name(), finished.stderr);
        assert!(expected.video.starts_with(&found.video) && expected.audio.starts_with(&found.audio), "{context}");
        // rtmp2src drops the frames that it has not passed on when it is told of the end.
        assert!(
            program == Program::Rtmp2 && videos + 3 > expected.video.len() && audios + 5 > expected.audio.len(),
            "{context}"
        );
        "equal except the last frames, which rtmp2src drops"
    }
}

/// The publishers: our own and those of others.
fn publish(program: Option<Program>, url: &str) {
    match program {
        None => drop(publish_well(&clip(), url, &["--fast"])),
        Some(program) => {
            let mut command = program.publisher(&clip(), url, false);
            finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
        }
    }
}

/// All players play from our `serve` what `program` publishes to it.
fn through_serve(program: Option<Program>) -> Vec<&'static str> {
    let expected = frame_hashes(&clip()).unwrap();
    let serve = Serve::start(&[]);
    let players: Vec<_> = Program::PLAYERS.map(|program| Player::start(program, &serve.url("live/x"))).into();
    let directory = tempfile::tempdir().unwrap();
    let ours_file = directory.path().join("played.flv");
    let ours = start(&mut player(&serve.url("live/x"), &ours_file, &[])).unwrap();
    wait_until("all play", LIMIT, || serve.said().matches("plays live/x").count() > players.len())
        .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
    publish(program, &serve.url("live/x"));
    assert!(frame_hashes(&serve.recording("live-x.flv")).unwrap() == expected);
    let mut outcomes: Vec<_> = players.into_iter().map(|player| player.outcome(&expected)).collect();
    outcomes.push("equal");
    let (status, ours_summary, errors) = played(ours);
    assert_eq!(status, Some(0), "{ours_summary}: {errors}");
    assert!(frame_hashes(&ours_file).unwrap() == expected, "{errors}");
    let summary = serve.stop();
    for one in summary["players"].as_array().unwrap() {
        assert_eq!(one["skipped"], 0, "{summary}");
    }
    outcomes
}

fn from_nginx() -> &'static str {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    from_server(&nginx.url(Application::Live, "y"), || nginx.wait_for_player("y").unwrap())
}

fn from_node_media_server() -> &'static str {
    let server = NodeMediaServer::start().unwrap();
    from_server(&server.url("y"), || server.wait_for_player().unwrap())
}

/// Compares what our `play` receives from a server to which ffmpeg publishes.
fn from_server(url: &str, playing: impl FnOnce()) -> &'static str {
    let expected = frame_hashes(&clip()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("played.flv");
    let ours = start(&mut player(url, &file, &[])).unwrap();
    playing();
    let mut command = Program::Ffmpeg.publisher(&clip(), url, true);
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    let (status, summary, errors) = played(ours);
    assert_eq!(status, Some(0), "{summary}: {errors}");
    assert!(frame_hashes(&file).unwrap() == expected, "{summary}: {errors}");
    "equal"
}

/// Compares what our `play` receives from an ffmpeg that waits for a player. It serves only the first one.
fn from_ffmpeg() -> &'static str {
    let expected = frame_hashes(&clip()).unwrap();
    let port = free_port().unwrap();
    let url = url(port, "live/x");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(clip()).args(["-c", "copy", "-f", "flv", "-listen", "1", &url]);
    let server = start(&mut command).unwrap();
    wait_until("ffmpeg listens", LIMIT, || listens(port)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("played.flv");
    let (status, summary, errors) = played(start(&mut player(&url, &file, &[])).unwrap());
    assert_eq!(status, Some(0), "{summary}: {errors}: {}", server.errors());
    assert!(frame_hashes(&file).unwrap() == expected, "{summary}: {errors}");
    "equal"
}

/// Compares what ffmpeg pulls from a server to which our `publish` publishes. Without a URL ffmpeg is the server.
fn through_server(server: Option<&str>, playing: impl FnOnce()) -> &'static str {
    let expected = frame_hashes(&clip()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pulled.flv");
    let (url, mut command) = match server {
        Some(url) => (url.to_owned(), Program::Ffmpeg.player(url, &file)),
        None => {
            let url = url(free_port().unwrap(), "live/x");
            let mut command = Command::new("ffmpeg");
            command.args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-listen", "1", "-f", "flv"]);
            command.args(["-i", &url, "-c", "copy"]).arg(&file);
            (url, command)
        }
    };
    let running = start(&mut command).unwrap();
    playing();
    if server.is_none() {
        let port = url.split([':', '/']).nth(4).unwrap().parse().unwrap();
        wait_until("ffmpeg listens", LIMIT, || listens(port)).unwrap();
    }
    publish_well(&clip(), &url, &[]);
    let finished = running.finish_within(LIMIT).unwrap();
    assert!(frame_hashes(&file).unwrap() == expected, "{}", finished.stderr);
    "equal"
}

fn to_nginx() -> &'static str {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    through_server(Some(&nginx.url(Application::Live, "x")), || nginx.wait_for_player("x").unwrap())
}

fn to_node_media_server() -> &'static str {
    let server = NodeMediaServer::start().unwrap();
    through_server(Some(&server.url("x")), || server.wait_for_player().unwrap())
}

/// The table of the programs that publish to our `serve`.
fn served() -> String {
    let mut table = String::from("| Published to `serve` by |");
    Program::PLAYERS.iter().for_each(|player| write!(table, " played by {} |", player.name()).unwrap());
    table += " played by `play` |\n|---|---|---|---|---|---|---|\n";
    for program in Program::PUBLISHERS.map(Some).into_iter().chain([None]) {
        let outcomes = through_serve(program);
        writeln!(table, "| {} | {} |", program.map_or("`publish`", Program::name), outcomes.join(" | ")).unwrap();
    }
    table
}

/// The table of the servers that our `publish` publishes to.
fn sent_to_servers() -> String {
    rows(
        "Published by `publish` to | pulled by ffmpeg 5.1",
        [to_nginx, to_node_media_server, || through_server(None, || ())],
    )
}

/// The table of the servers that our `play` plays from.
fn got_from_servers() -> String {
    rows("Played by `play` from | published by ffmpeg 5.1", [from_nginx, from_node_media_server, from_ffmpeg])
}

fn rows(heading: &str, outcomes: [fn() -> &'static str; 3]) -> String {
    let names = ["nginx-rtmp", "node-media-server 2.7.4", "ffmpeg -listen"];
    let rows = names.iter().zip(outcomes).map(|(name, outcome)| format!("| {name} | {} |\n", outcome()));
    format!("| {heading} |\n|---|---|\n{}", rows.collect::<String>())
}

#[test]
#[ignore = "needs ffmpeg, ffmpeg 9, GStreamer, rtmpdump, nginx and node-media-server: host-tests/run runs it"]
fn every_program_publishes_and_plays() {
    // The tests run in parallel, because most of the time they wait until frames are due.
    let (served, sent, got) = thread::scope(|scope| {
        let (sent, got) = (scope.spawn(sent_to_servers), scope.spawn(got_from_servers));
        (served(), sent.join().unwrap(), got.join().unwrap())
    });
    let table = [served, sent, got].join("\n");
    println!("{table}");
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/matrix.md"), table).unwrap();
}
