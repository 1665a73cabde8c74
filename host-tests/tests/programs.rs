//! The tools with other programs. `host-tests/run` installs these, and runs the tests.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use embedded_rtmp::message::MessageKind;
use host_tests::flv::Writer;
use host_tests::net::{StreamArguments, StreamUrl};
use host_tests::peers::{
    Application, FrameHashes, Nginx, NginxOptions, Running, Tee, finish_within, frame_hashes, free_port, start,
    wait_until,
};
use support::{LIMIT, Serve, clip, listens, media, publish, publish_well, publisher, tags, url};
use tempfile::TempDir;

/// The frames of the clip, which a complete recording must have.
fn frames() -> FrameHashes {
    let frames = frame_hashes(&clip()).unwrap();
    assert_eq!((frames.video.len(), frames.audio.len()), (100, 174));
    frames
}

fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]).args(arguments);
    command
}

/// Publishes the clip with ffmpeg.
fn ffmpeg_publishes(url: &str, arguments: &[&str]) {
    let clip = clip();
    let mut command = ffmpeg(&["-i", clip.to_str().unwrap(), "-c", "copy"]);
    command.args(arguments).args(["-f", "flv", url]);
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
}

/// A program that pulls a stream into a file.
struct Player {
    running: Running,
    directory: TempDir,
}

impl Player {
    fn file(&self) -> PathBuf {
        self.directory.path().join("pulled.flv")
    }

    /// Waits until the program ends, which it does when it is told that the publisher has left. Then it must have all
    /// frames.
    fn expect(self, expected: &FrameHashes) {
        let file = self.file();
        let Self { running, directory: _directory } = self;
        let finished = running.finish_within(LIMIT).unwrap();
        let found = frame_hashes(&file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        assert_eq!((found.video.len(), found.audio.len()), (100, 174), "{}", finished.stderr);
        assert!(found == *expected);
    }
}

fn player(program: &str, arguments: &dyn Fn(&mut Command, &Path)) -> Player {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    arguments(&mut command, &directory.path().join("pulled.flv"));
    Player { running: start(&mut command).unwrap(), directory }
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn publish_to_nginx_is_recorded_frame_by_frame() {
    for (chunk_size, handshake) in [("128", "digest"), ("4096", "simple"), ("60000", "digest")] {
        let nginx =
            Nginx::start(NginxOptions { chunk_size: chunk_size.parse().unwrap(), ..NginxOptions::default() }).unwrap();
        let arguments = ["--fast", "--handshake", handshake, "--chunk-size", chunk_size];
        let summary = publish_well(&clip(), &nginx.url(Application::Record, "x"), &arguments);
        assert_eq!(summary["acknowledged"], true);
        assert_eq!(summary["handshake"], if handshake == "digest" { "digest, scheme 0" } else { "simple" });
        let recorded = || nginx.recording("x").and_then(|file| frame_hashes(&file));
        wait_until("nginx has recorded every frame", LIMIT, || recorded().is_ok_and(|found| found == frames()))
            .unwrap();
        let file = nginx.recording("x").unwrap();
        let times = |file: &Path| media(file).iter().map(|tag| (tag.kind, tag.timestamp)).collect::<Vec<_>>();
        // nginx writes the sequence headers once more at the beginning of its file.
        let recorded = times(&file);
        assert!(recorded.ends_with(&times(&clip())[2..]), "{recorded:?}");
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn publish_to_nginx_is_pulled_by_ffmpeg_frame_by_frame() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = nginx.url(Application::Live, "x");
    let player = player("ffmpeg", &|command, file| {
        command.args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-i", &url, "-c", "copy"]);
        command.arg(file);
    });
    nginx.wait_for_player("x").unwrap();
    publish_well(&clip(), &url, &[]);
    player.expect(&frames());
}

#[test]
#[ignore = "needs nginx with its RTMP module, ffmpeg and rtmpdump: host-tests/run runs it"]
fn publish_to_nginx_is_pulled_by_rtmpdump_frame_by_frame() {
    let nginx = Nginx::start(NginxOptions { chunk_size: 128, ..NginxOptions::default() }).unwrap();
    let url = nginx.url(Application::Live, "x");
    let player = player("rtmpdump", &|command, file| {
        command.args(["--live", "-r", &url, "-o"]).arg(file);
    });
    nginx.wait_for_player("x").unwrap();
    publish_well(&clip(), &url, &["--chunk-size", "128"]);
    player.expect(&frames());
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn publish_to_a_listening_ffmpeg_is_written_frame_by_frame() {
    for arguments in [&["--handshake", "simple"][..], &["--handshake", "digest", "--chunk-size", "128"]] {
        let port = free_port().unwrap();
        let url = url(port, "live/x");
        let server = player("ffmpeg", &|command, file| {
            command.args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-listen", "1", "-f", "flv"]);
            command.args(["-i", &url, "-c", "copy"]).arg(file);
        });
        wait_until("ffmpeg listens", LIMIT, || listens(port)).unwrap();
        publish_well(&clip(), &url, arguments);
        server.expect(&frames());
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn a_second_publisher_to_nginx_is_refused() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = nginx.url(Application::Record, "x");
    let first = start(&mut publisher(&clip(), &url, &[])).unwrap();
    wait_until("the first publishes", LIMIT, || nginx.recording("x").is_ok()).unwrap();
    let (status, _, stderr) = publish(&clip(), &url, &[]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("NetStream.Publish.BadName"), "{stderr}");
    first.finish_within(LIMIT).unwrap().successful().unwrap();
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn ffmpeg_publishes_to_serve_at_all_chunk_sizes() {
    for chunk_size in ["128", "4096", "60000"] {
        let serve = Serve::start(&["--chunk-size", chunk_size]);
        // A proxy records the bytes, which show that ffmpeg uses our chunk size for its own chunks.
        let tee = Tee::start(serve.port()).unwrap();
        ffmpeg_publishes(&url(tee.port(), "live/x"), &[]);
        assert_eq!(frame_hashes(&serve.recording("live-x.flv")).unwrap(), frames(), "{chunk_size}");
        let sent = support::replayed(&tee.finish().unwrap(), host_tests::peers::Sender::Client);
        assert_eq!(sent[0]["handshake"], "digest");
        assert!(sent.iter().any(|message| message["type"] == 1), "no Set Chunk Size at {chunk_size}");
    }
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn ffmpeg_publishes_to_serve_with_the_simple_handshake() {
    let serve = Serve::start(&[]);
    // ffmpeg always sends a digest. If one bit of C1 is changed, the digest is invalid. If S1 has no version, ffmpeg
    // expects no digest.
    let tee = Tee::start_changing(serve.port(), |first| {
        first[5..9].fill(0);
        for byte in &mut first[9..] {
            *byte ^= 1;
        }
    });
    let tee = tee.unwrap();
    ffmpeg_publishes(&url(tee.port(), "live/x"), &[]);
    assert_eq!(frame_hashes(&serve.recording("live-x.flv")).unwrap(), frames());
    let sent = support::replayed(&tee.finish().unwrap(), host_tests::peers::Sender::Client);
    assert_eq!(sent[0]["handshake"], "simple");
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_020_ffmpeg_publishes_to_serve_with_extended_timestamps() {
    // Once with extended timestamps from the first message on, and once so that they begin within the clip, at
    // 16,777,215 ms.
    for (chunk_size, offset) in [("128", "17000"), ("4096", "17000"), ("128", "16775.2"), ("4096", "16775.2")] {
        let serve = Serve::start(&["--chunk-size", chunk_size]);
        ffmpeg_publishes(&serve.url("live/x"), &["-output_ts_offset", offset]);
        let file = serve.recording("live-x.flv");
        assert_eq!(frame_hashes(&file).unwrap(), frames(), "{chunk_size} {offset}");
        let last = tags(&file).last().unwrap().timestamp;
        assert!(last > 0xFF_FFFF, "{last}");
        // The intervals are those of the clip.
        let distances = |file: &Path| {
            let times: Vec<_> = media(file).iter().skip(2).map(|tag| i64::from(tag.timestamp)).collect();
            times.iter().map(|time| time - times[0]).collect::<Vec<_>>()
        };
        assert_eq!(distances(&file), distances(&clip()), "{chunk_size} {offset}");
    }
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn two_ffmpegs_publish_to_serve_at_once_and_a_third_is_refused() {
    let serve = Serve::start(&[]);
    let clip = clip();
    let publisher = |key: &str| {
        let url = serve.url(&format!("live/{key}"));
        ffmpeg(&["-re", "-i", clip.to_str().unwrap(), "-c", "copy", "-f", "flv", &url])
    };
    let both: Vec<_> = ["a", "b"].map(|key| start(&mut publisher(key)).unwrap()).into();
    serve.wait_until_it_says("live/a goes to");
    let third = finish_within(LIMIT, &mut publisher("a")).unwrap();
    assert!(!third.status.success());
    for running in both {
        running.finish_within(LIMIT).unwrap().successful().unwrap();
    }
    for key in ["a", "b"] {
        assert_eq!(frame_hashes(&serve.recording(&format!("live-{key}.flv"))).unwrap(), frames());
    }
}

#[test]
#[ignore = "needs ffmpeg"]
fn item_161_ffmpeg_splits_a_url_in_the_same_way() {
    let serve = Serve::start(&[]);
    let shown = |path: &str| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "debug", "-i", &serve.url(path), "-f", "null", "-"]);
        let mut running = start(&mut command).unwrap();
        running.wait_until("ffmpeg shows the parts", LIMIT, |running| running.errors().contains("fname = ")).unwrap();
        let errors = running.errors();
        let line = errors.lines().find_map(|line| line.split_once(", app = ")).unwrap().1;
        let (app, fname) = line.split_once(", fname = ").unwrap();
        (app.to_owned(), fname.to_owned())
    };
    let ours = |path: &str| {
        let stream = StreamUrl::new(&serve.url(path), &StreamArguments::default()).unwrap();
        (stream.url().unwrap().app().to_owned(), stream.key)
    };
    for path in [
        "live",
        "live/cam",
        "live/inst/cam",
        "live/_definst_/cam",
        "live/inst/a/b",
        "live/cam/",
        "live/mp4:a/b",
        "live/k.flv",
        "live/k.mp4",
        "live/inst/k.f4v",
        "live/x:k.mp4",
        "live/cam?token=1",
        "app?vhost=x/key",
    ] {
        assert_eq!(ours(path), shown(path), "{path}");
    }
    // FFmpeg treats the query as a part of the path, and ends the path at a space. The core does not.
    for (path, app, fname) in [
        ("live/cam?token=a/b", "live/cam?token=a", "b"),
        ("live/k.flv?token=1", "live", "k.flv?token=1"),
        ("live/k.mp4?token=1", "live", "k.mp4?token=1"),
        ("live/my cam", "live", "my"),
    ] {
        assert_eq!(shown(path), (app.to_owned(), fname.to_owned()), "{path}");
    }
    assert_eq!(ours("live/cam?token=a/b"), ("live".to_owned(), "cam?token=a/b".to_owned()));
    assert_eq!(ours("live/k.flv?token=1"), ("live".to_owned(), "k?token=1".to_owned()));
    assert_eq!(ours("live/k.mp4?token=1"), ("live".to_owned(), "mp4:k.mp4?token=1".to_owned()));
    assert_eq!(ours("live/my cam"), ("live".to_owned(), "my cam".to_owned()));
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn item_198_publish_gives_nginx_up_if_it_reads_nothing_for_10_s() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    // 4 MB per second for a minute is more than the buffers of TCP hold.
    let mut writer = Writer::new(std::io::Cursor::new(Vec::new())).unwrap();
    let mut picture = vec![0x27; 160_000];
    picture[1] = 1;
    for number in 0..1_500 {
        picture[0] = if number % 25 == 0 { 0x17 } else { 0x27 };
        writer.write(MessageKind::VIDEO, number * 40, &picture).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), writer.finish().unwrap().into_inner()).unwrap();
    let publisher = start(&mut publisher(file.path(), &nginx.url(Application::Record, "x"), &[])).unwrap();
    wait_until("nginx has accepted it", LIMIT, || nginx.log().contains("publish: name='x'")).unwrap();
    nginx.freeze().unwrap();
    let frozen = std::time::Instant::now();
    let finished = publisher.finish_within(LIMIT).unwrap();
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.stderr.contains("the server has read nothing for 10 s"), "{}", finished.stderr);
    assert!(frozen.elapsed() > Duration::from_secs(10));
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_199_long_metadata_of_ffmpeg_is_relayed_to_ffmpeg_and_recorded_whole() {
    for count in [15, 30, 55] {
        let serve = Serve::start(&[]);
        // Each value has 330 bytes. ffmpeg does not read longer values.
        let value = |number: usize| format!("{number:0>8}").repeat(40);
        let entries: Vec<String> = (0..count).map(|number| format!("key{number:03}={}", value(number))).collect();
        let arguments: Vec<&str> = entries.iter().flat_map(|entry| ["-metadata", entry.as_str()]).collect();
        let player = player("ffmpeg", &|command, file| {
            let url = serve.url("live/x");
            command
                .args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-i", &url, "-c", "copy"])
                .arg(file);
        });
        serve.wait_until_it_says("plays live/x");
        ffmpeg_publishes(&serve.url("live/x"), &arguments);
        serve.wait_until_it_says("data messages");
        let recorded = tags(&serve.recording("live-x.flv"));
        let metadata = recorded.iter().find(|tag| tag.kind == MessageKind::DATA).unwrap();
        assert!(metadata.payload.len() > count * 330, "{}", metadata.payload.len());
        let holds = |bytes: &[u8], number| bytes.windows(320).any(|part| part == value(number).as_bytes());
        assert!((0..count).all(|number| holds(&metadata.payload, number)));
        serve.stop();
        let file = player.file();
        let Player { running, directory: _directory } = player;
        running.finish_within(LIMIT).unwrap();
        let pulled = std::fs::read(file).unwrap();
        assert!((0..count).all(|number| holds(&pulled, number)), "{count}");
    }
}
