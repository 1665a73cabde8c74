//! Timestamps that cross 2^24, 2^31 and 2^32, with other programs.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use embedded_rtmp::message::MessageKind;
use host_tests::flv::{Reader, Tag, Writer};
use host_tests::peers::{
    Application, Nginx, NginxOptions, Program, Running, finish_within, frame_hashes, free_port, start, timed_frames,
    wait_until,
};
use support::{LIMIT, Serve, clip, listens, played, player, publish_well, tags, url};
use tempfile::TempDir;

/// The first timestamps of the clip of four seconds: two seconds before 2^24, 2^31 and 2^32 ms.
const BEGINS: [u32; 3] = [0x00FF_F800, 0x7FFF_F800, 0xFFFF_F800];

/// The bits of a timestamp that ffmpeg publishes: its FLV writer clears the highest bit.
const FFMPEG_BITS: u32 = 0x7FFF_FFFF;

/// Runs the test for each of them in parallel.
fn each(test: impl Fn(u32) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for begin in BEGINS {
            scope.spawn(move || test(begin));
        }
    });
}

/// The clip from `begin` on. Metadata and configurations come at a third and two thirds of the way there: GStreamer's
/// rtmp2sink takes a step of more than 2^31 for one back.
fn shifted(directory: &Path, begin: u32) -> PathBuf {
    let file = directory.join("shifted.flv");
    let mut writer = Writer::new(File::create(&file).unwrap()).unwrap();
    for tag in tags(&clip()) {
        let timestamp = match tag.kind {
            MessageKind::DATA => begin / 3,
            _ if tag.is_configuration() => begin / 3 * 2,
            _ => tag.timestamp.wrapping_add(begin),
        };
        writer.write(tag.kind, timestamp, &tag.payload).unwrap();
    }
    writer.finish().unwrap();
    file
}

/// The video and audio of a file, as far as it is complete, without the end of the sequence, which some programs omit.
fn both(file: &Path) -> [Vec<Tag>; 2] {
    let tags: Vec<_> = File::open(file)
        .map(|file| Reader::new(file).into_iter().flatten().map_while(Result::ok).collect())
        .unwrap_or_default();
    [MessageKind::VIDEO, MessageKind::AUDIO].map(|kind| {
        tags.iter().filter(|tag| tag.kind == kind && !tag.payload.starts_with(&[0x17, 2])).cloned().collect()
    })
}

/// Those of them that are frames.
fn frames(file: &Path) -> [Vec<Tag>; 2] {
    both(file).map(|tags| tags.into_iter().filter(|tag| !tag.is_configuration()).collect())
}

/// The decoding time and the hash of each frame.
type Times = [Vec<(u32, String)>; 2];

/// Those of an FLV file.
fn times(file: &Path) -> Times {
    let hashes = frame_hashes(&clip()).unwrap();
    let [video, audio] = frames(file).map(|frames| frames.into_iter().map(|tag| tag.timestamp));
    [video.zip(hashes.video).collect(), audio.zip(hashes.audio).collect()]
}

/// The times that ffmpeg has recorded. When RTMP's timestamps wrap, ffmpeg's times continue, or have begun below 0.
fn times_of_ffmpeg(file: &Path) -> Times {
    let frames = timed_frames(&fs::read_to_string(file).unwrap()).unwrap();
    [0, 1].map(|stream| {
        let of_stream = frames.iter().filter(|frame| frame.stream == stream);
        of_stream.map(|frame| (frame.dts as u32, frame.hash.clone())).collect()
    })
}

/// A program that plays.
struct Player {
    program: Program,
    running: Running,
    file: PathBuf,
}

impl Player {
    fn start(program: Program, url: &str, directory: &Path) -> Self {
        let file = directory.join(program.name());
        let mut command = match program {
            Program::Ffmpeg | Program::Ffmpeg9 => program.timer(&[], url, &file),
            _ => program.player(url, &file),
        };
        Self { program, running: start(&mut command).unwrap(), file }
    }

    /// Waits until it ends; then it must have all frames of `file`, each at its time.
    fn expect(self, file: &Path) {
        let Self { program, running, file: found } = self;
        let name = program.name();
        if program == Program::Librtmp {
            // It connects again when a stream has ended, and waits for the next one.
            return wait_until("all frames", LIMIT, || both(&found) == both(file)).unwrap();
        }
        let errors = running.finish_within(LIMIT).unwrap().stderr;
        match program {
            Program::Ffmpeg | Program::Ffmpeg9 => {
                assert!(times_of_ffmpeg(&found) == times(file), "{name}: {errors}");
            }
            // It drops the frames that it has not passed on when it is told of the end.
            Program::Rtmp2 => {
                for (found, all) in both(&found).iter().zip(both(file)) {
                    assert!(found.len() + 5 > all.len() && all.starts_with(found), "{name}: {errors}");
                }
            }
            _ => assert!(both(&found) == both(file), "{name}: {errors}"),
        }
    }
}

/// Checks that the frames are those of the clip at their distances, in the bits that ffmpeg keeps.
fn expect_of_ffmpeg(found: &Path, begin: u32) {
    for (found, all) in frames(found).iter().zip(frames(&clip())) {
        let first = found.first().expect("frames").timestamp;
        // In ffmpeg the earliest presentation time of the clip is at `begin`.
        assert!((begin & FFMPEG_BITS).abs_diff(first) < 100, "{first:x}");
        let at = |tag: &Tag, first: u32| (tag.timestamp.wrapping_sub(first) & FFMPEG_BITS, tag.payload.clone());
        let expected: Vec<_> = all.iter().map(|tag| at(tag, all[0].timestamp)).collect();
        assert!(found.iter().map(|tag| at(tag, first)).eq(expected), "{begin:x}");
        assert!(
            found.iter().all(|tag| tag.timestamp <= FFMPEG_BITS),
            "this version of ffmpeg keeps all 32 bits of timestamps: {begin:x}"
        );
    }
}

/// Has an ffmpeg publish the clip from `begin` on, with these options.
fn ffmpeg_publishes(program: Program, begin: u32, options: &[&str], url: &str) -> Command {
    let mut command = program.ffmpeg();
    let offset = format!("{}", f64::from(begin) / 1000.0);
    command.arg("-i").arg(clip()).args(["-output_ts_offset", &offset, "-c", "copy", "-f", "flv"]);
    command.args(options).arg(url);
    command
}

#[test]
#[ignore = "needs ffmpeg, ffmpeg 9, GStreamer and rtmpdump: host-tests/run runs it"]
fn item_020_item_027_item_028_item_116_all_play_what_publish_sends_to_serve() {
    each(|begin| {
        for chunk_size in ["128", "4096"] {
            let directory = tempfile::tempdir().unwrap();
            let file = shifted(directory.path(), begin);
            let serve = Serve::start(&["--chunk-size", chunk_size]);
            let url = serve.url("live/x");
            let players = Program::PLAYERS.map(|program| Player::start(program, &url, directory.path()));
            wait_until("all play", LIMIT, || serve.said().matches("plays live/x").count() == players.len())
                .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
            publish_well(&file, &url, &["--fast", "--chunk-size", chunk_size]);
            players.into_iter().for_each(|player| player.expect(&file));
        }
    });
}

/// The file in one file for each tag, and one for the header: rtmp2sink wants a tag in each buffer.
fn split(file: &Path, directory: &TempDir) {
    let bytes = fs::read(file).unwrap();
    let (mut rest, mut length) = (&bytes[..], 13);
    for number in 0.. {
        fs::write(directory.path().join(format!("{number:05}")), &rest[..length]).unwrap();
        rest = &rest[length..];
        let [_, a, b, c, ..] = rest else { return };
        length = 11 + u32::from_be_bytes([0, *a, *b, *c]) as usize + 4;
    }
}

#[test]
#[ignore = "needs GStreamer: host-tests/run runs it"]
fn item_020_item_027_item_028_item_116_gstreamer_publishes_to_serve() {
    each(|begin| {
        for chunk_size in ["128", "4096"] {
            let (directory, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let file = shifted(directory.path(), begin);
            split(&file, &parts);
            let serve = Serve::start(&["--chunk-size", chunk_size]);
            // GStreamer's muxer starts at 0, so the tags are sent as they are.
            let each_tag = format!("location={}/%05d", parts.path().display());
            let (whole, flv) = (format!("location={}", file.display()), "caps=video/x-flv");
            let sources = [
                ("rtmp2sink", "", ["multifilesrc", &each_tag, flv]),
                ("rtmpsink", " live=1", ["filesrc", &whole, "blocksize=4096"]),
            ];
            for (sink, option, source) in sources {
                let location = format!("location={}{option}", serve.url(&format!("live/{sink}")));
                let mut command = Command::new("gst-launch-1.0");
                command.arg("-q").args(source);
                command.args(["!", sink, &location, "sync=false"]);
                finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
                let recording = serve.recording(&format!("live-{sink}.flv"));
                assert!(both(&recording) == both(&file), "{sink}: {begin:x} {chunk_size}");
            }
        }
    });
}

/// ffmpeg as it is has 31 bits: beyond 2^31, and so beyond 2^32, its time begins again at 0.
#[test]
#[ignore = "needs ffmpeg and ffmpeg 9: host-tests/run runs it"]
fn item_020_item_116_ffmpeg_publishes_to_serve_what_it_has_of_them() {
    each(|begin| {
        for (program, chunk_size) in [(Program::Ffmpeg, "128"), (Program::Ffmpeg9, "4096")] {
            let serve = Serve::start(&["--chunk-size", chunk_size]);
            let mut command = ffmpeg_publishes(program, begin, &[], &serve.url("live/x"));
            finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
            expect_of_ffmpeg(&serve.recording("live-x.flv"), begin);
        }
    });
}

#[test]
#[ignore = "needs nginx with its RTMP module, ffmpeg, GStreamer and rtmpdump: host-tests/run runs it"]
fn item_020_item_027_item_028_item_116_through_nginx() {
    each(|begin| {
        let directory = tempfile::tempdir().unwrap();
        let (file, output) = (shifted(directory.path(), begin), directory.path().join("ours.flv"));
        let nginx = Nginx::start(NginxOptions { chunk_size: 128, ..NginxOptions::default() }).unwrap();
        let all_play = |key: &str, count| {
            let sign = format!("play: name='{key}'");
            wait_until("all play", LIMIT, || nginx.log().matches(&sign).count() == count)
                .unwrap_or_else(|error| panic!("{error}: {}", nginx.log()));
        };
        let url = nginx.url(Application::Live, "x");
        let players = [Program::Ffmpeg, Program::Rtmp2, Program::Rtmpdump];
        let players = players.map(|program| Player::start(program, &url, directory.path()));
        let ours = start(&mut player(&url, &output, &[])).unwrap();
        all_play("x", players.len() + 1);
        publish_well(&file, &url, &["--fast", "--chunk-size", "128"]);
        players.into_iter().for_each(|player| player.expect(&file));
        let (status, summary, errors) = played(ours);
        assert_eq!(status, Some(0), "{summary}: {errors}");
        assert!(both(&output) == both(&file), "{begin:x}: {summary}");

        let url = nginx.url(Application::Live, "y");
        let ours = start(&mut player(&url, &output, &[])).unwrap();
        all_play("y", 1);
        let mut command = ffmpeg_publishes(Program::Ffmpeg, begin, &[], &url);
        finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
        assert_eq!(played(ours).0, Some(0));
        expect_of_ffmpeg(&output, begin);
    });
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_020_item_027_item_028_item_116_to_and_from_a_listening_ffmpeg() {
    each(|begin| {
        let directory = tempfile::tempdir().unwrap();
        let (file, output) = (shifted(directory.path(), begin), directory.path().join("output"));
        let listening = |command: &dyn Fn(&str) -> Command| {
            let port = free_port().unwrap();
            let url = url(port, "live/x");
            let running = start(&mut command(&url)).unwrap();
            wait_until("ffmpeg listens", LIMIT, || listens(port))
                .unwrap_or_else(|error| panic!("{error}: {}", running.errors()));
            (running, url)
        };
        let options = ["-listen", "1", "-f", "flv"];
        let (server, url) = listening(&|url| Program::Ffmpeg.timer(&options, url, &output));
        publish_well(&file, &url, &["--fast"]);
        let errors = server.finish_within(LIMIT).unwrap().stderr;
        assert!(times_of_ffmpeg(&output) == times(&file), "{begin:x}: {errors}");

        let (server, url) = listening(&|url| ffmpeg_publishes(Program::Ffmpeg, begin, &["-listen", "1"], url));
        let (status, summary, errors) = played(start(&mut player(&url, &output, &[])).unwrap());
        assert_eq!(status, Some(0), "{summary}: {errors}: {}", server.errors());
        expect_of_ffmpeg(&output, begin);
    });
}
