//! Enhanced RTMP with ffmpeg 9: it publishes all codecs and several tracks, to `serve` and to a device, and plays them early
//! and late.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use host_tests::firmware::Firmware;
use host_tests::peers::{
    Application, Nginx, NginxOptions, NodeMediaServer, Program, finish_within, free_port, start, timed_frames,
    wait_until,
};
use support::{LIMIT, Serve, listens, played, player as player_of, publish_well, url};

/// Long enough for a build of the firmware on a machine that is busy with other things.
const FIRMWARE_LIMIT: Duration = Duration::from_secs(240);

/// The inputs and encoders of each clip: 4 s, keyframes every second.
const CLIPS: [(&str, &[&str], &[&str]); 3] = [
    (
        "hevc-opus-two-tracks",
        &[
            "testsrc2=size=160x90:rate=25",
            "testsrc=size=96x64:rate=25",
            "sine=440:sample_rate=48000",
            "sine=880:sample_rate=48000",
        ],
        &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:min-keyint=25", "-c:a", "libopus"],
    ),
    (
        "av1-flac-and-aac",
        &["testsrc2=size=160x90:rate=25", "sine=440:sample_rate=48000", "sine=880:sample_rate=48000"],
        &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25", "-c:a:0", "flac", "-c:a:1", "aac"],
    ),
    (
        "vp9-ac3-and-eac3",
        &["testsrc2=size=160x90:rate=25", "sine=440:sample_rate=48000", "sine=880:sample_rate=48000"],
        &[
            "-c:v",
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-g",
            "25",
            "-c:a:0",
            "ac3",
            "-c:a:1",
            "eac3",
        ],
    ),
];

/// The hashes of the frames of each stream.
type Streams = [Vec<String>];

/// Encodes a clip.
fn encode(inputs: &[&str], encoders: &[&str], file: &Path) {
    let mut command = Program::Ffmpeg9.ffmpeg();
    for input in inputs {
        command.args(["-f", "lavfi", "-i", input]);
    }
    for input in 0..inputs.len() {
        command.args(["-map", &input.to_string()]);
    }
    command.args(encoders).args(["-t", "4", "-f", "flv"]).arg(file);
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
}

/// The MD5 of zero bytes. The FLAC encoder writes empty frames, which ffmpeg does not always copy.
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// Returns the frames of each video and audio stream, in the order of ffmpeg 9. Checks that all frames can be decoded.
fn frames(file: &Path) -> Vec<Vec<String>> {
    let mut command = Program::Ffmpeg9.ffmpeg();
    command.arg("-i").arg(file).args(["-map", "0:v", "-map", "0:a", "-f", "null", "-"]);
    let decoded = finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    assert_eq!(decoded.stderr, "", "{}", file.display());
    ["0:v", "0:a"].into_iter().flat_map(|streams| copied(file, streams)).collect()
}

/// Returns the frames of each stream that `map` selects, without decoding them.
fn copied(file: &Path, map: &str) -> Vec<Vec<String>> {
    let mut command = Program::Ffmpeg9.ffmpeg();
    command.arg("-i").arg(file).args(["-map", map, "-c", "copy", "-f", "framemd5", "-"]);
    let hashes = finish_within(LIMIT, &mut command).unwrap().stdout;
    let mut streams = BTreeMap::<u32, Vec<String>>::new();
    for frame in timed_frames(&String::from_utf8(hashes).unwrap()).unwrap().into_iter().filter(|one| one.hash != EMPTY)
    {
        streams.entry(frame.stream).or_default().push(frame.hash);
    }
    streams.into_values().collect()
}

/// Returns whether every stream of `found` is the last part of a stream of `all`, and at least a fifth of it.
fn are_ends(found: &Streams, all: &Streams) -> bool {
    let is_end = |(found, all): (&Vec<String>, &Vec<String>)| all.ends_with(found) && found.len() * 5 > all.len();
    found.len() == all.len() && found.iter().zip(all).all(is_end)
}

/// A program that plays.
#[derive(Debug, Clone, Copy)]
enum Player {
    Ffmpeg9,
    Ours,
}

use Player::{Ffmpeg9, Ours};

/// A server that relays the clips.
struct Relay<'s> {
    /// The URL of a stream for the publisher and ffmpeg, and for our player.
    urls: &'s dyn Fn(&str) -> [String; 2],
    /// Returns how many players of a stream the server has accepted so far.
    count: &'s dyn Fn(&str) -> usize,
    log: &'s dyn Fn() -> String,
    /// The players of each clip, from the start and from the middle.
    early: &'s [Player],
    late: &'s [Player],
}

/// Publishes a clip with ffmpeg 9, and plays it from the start and from the middle. Returns the frames of its streams.
fn through(relay: &Relay<'_>, directory: &Path, name: &str, inputs: &[&str], encoders: &[&str]) -> Vec<Vec<String>> {
    let clip = directory.join(format!("{name}-published.flv"));
    encode(inputs, encoders, &clip);
    let [url, for_ours] = (relay.urls)(name);
    let before = (relay.count)(name);
    let plays = |count: usize| {
        wait_until("it plays", LIMIT, || (relay.count)(name) >= before + count)
            .unwrap_or_else(|error| panic!("{error}: {}", (relay.log)()));
    };
    let play = |when: &str, players: &[Player]| {
        let start = |player: &Player| {
            let file = directory.join(format!("{name}-{when}-{player:?}.flv"));
            let mut command = match player {
                Ffmpeg9 => {
                    let mut command = Program::Ffmpeg9.ffmpeg();
                    command.args(["-i", &url, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "flv"]).arg(&file);
                    command
                }
                Ours => player_of(&for_ours, &file, &[]),
            };
            (*player, start(&mut command).unwrap(), file)
        };
        players.iter().map(start).collect::<Vec<_>>()
    };
    let early = play("early", relay.early);
    plays(early.len());
    let mut command = Program::Ffmpeg9.ffmpeg();
    command.args(["-re", "-i"]).arg(&clip).args(["-map", "0", "-c", "copy", "-f", "flv", &url]);
    let publisher = start(&mut command).unwrap();
    thread::sleep(Duration::from_millis(1_700));
    let late = play("late", relay.late);
    plays(early.len() + late.len());
    publisher.finish_within(LIMIT).unwrap().successful().unwrap_or_else(|error| panic!("{error}: {}", (relay.log)()));
    let expected = frames(&clip);
    assert_eq!(expected.len(), inputs.len());
    for (players, are_equal) in
        [(early, (|found, all| found == all) as fn(&Streams, &Streams) -> bool), (late, are_ends)]
    {
        for (player, running, file) in players {
            match player {
                Ffmpeg9 => _ = running.finish_within(LIMIT).unwrap().successful().unwrap(),
                Ours => {
                    let (status, _, errors) = played(running);
                    assert_eq!(status, Some(0), "{errors}");
                }
            }
            let found = frames(&file);
            let count = |streams: &Streams| streams.iter().map(Vec::len).collect::<Vec<_>>();
            let (counts, file) = ((count(&found), count(&expected)), file.display());
            assert!(are_equal(&found, &expected), "{file}: {counts:?}: {}", (relay.log)());
        }
    }
    expected
}

#[test]
#[ignore = "needs ffmpeg 9: host-tests/run runs it"]
fn item_251_item_252_early_and_late_players_get_all_codecs_and_tracks() {
    let (serve, directory) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    thread::scope(|scope| {
        for (name, inputs, encoders) in CLIPS {
            let (serve, directory) = (&serve, directory.path());
            scope.spawn(move || {
                let relay = Relay {
                    urls: &|name| [(); 2].map(|()| serve.url(&format!("live/{name}"))),
                    count: &|name| serve.said().matches(&format!("plays live/{name}\n")).count(),
                    log: &|| serve.said(),
                    early: &[Ffmpeg9, Ours],
                    late: &[Ffmpeg9, Ours],
                };
                let all = through(&relay, directory, name, inputs, encoders);
                assert!(frames(&serve.recording(&format!("live-{name}.flv"))) == all, "{name}: the recording");
            });
        }
    });
}

#[test]
#[ignore = "needs qemu-system-arm and ffmpeg 9: host-tests/run runs it"]
fn item_251_item_252_early_and_late_players_of_a_device_get_all_codecs_and_tracks() {
    let (ports, directory) = ([(); 2].map(|()| free_port().unwrap()), tempfile::tempdir().unwrap());
    let forwards = [format!("{}:1935", ports[0]), format!("{}:80", ports[1])];
    let options = ["--hostfwd", &forwards[0], "--hostfwd", &forwards[1]];
    let mut firmware = Firmware::start(None, &options, &["serve"]).unwrap();
    firmware.wait_for("serving on ports", FIRMWARE_LIMIT).unwrap();
    let relay = Relay {
        // One of its four sockets always listens on port 80.
        urls: &|name| ports.map(|port| url(port, &format!("live/{name}"))),
        count: &|_| firmware.log().matches("message stream 1 is played").count(),
        log: &|| firmware.log(),
        // It has memory for three players.
        early: &[Ffmpeg9],
        late: &[Ffmpeg9, Ours],
    };
    for (name, inputs, encoders) in CLIPS {
        // The text of x265 about itself takes 2 KB in each sequence header, for which the device has no memory.
        let encoders = encoders.iter().map(|option| option.replace("log-level=none", "log-level=none:info=0"));
        let encoders: Vec<String> = encoders.collect();
        through(&relay, directory.path(), name, inputs, &encoders.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// The codecs of the clips that `publish` sends to other servers.
const CODECS: [(&str, &str, &[&str]); 3] = [
    ("HEVC", "Opus", &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:min-keyint=25", "-c:a", "libopus"]),
    ("AV1", "FLAC", &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "flac"]),
    ("VP9", "AC-3", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "ac3"]),
];

/// Publishes a clip with `publish`, and pulls it with ffmpeg 9. Without a URL ffmpeg is the server. Returns what became of
/// the video and of the audio.
fn sent(clip: &Path, server: Option<&str>, playing: impl FnOnce()) -> String {
    let directory = tempfile::tempdir().unwrap();
    let pulled = directory.path().join("pulled.flv");
    // The port of ffmpeg, if it is the server.
    let port = free_port().unwrap();
    let url = server.map_or_else(|| url(port, "live/x"), str::to_owned);
    let mut command = Program::Ffmpeg9.ffmpeg();
    if server.is_none() {
        command.args(["-listen", "1", "-f", "flv"]);
    }
    command.args(["-i", &url, "-map", "0:v?", "-map", "0:a?", "-c", "copy"]).arg(&pulled);
    let ffmpeg = start(&mut command).unwrap();
    playing();
    if server.is_none() {
        wait_until("ffmpeg listens", LIMIT, || listens(port)).unwrap();
    }
    publish_well(clip, &url, &[]);
    let pulled_well = ffmpeg.finish_within(LIMIT).unwrap().successful().is_ok() || server.is_none();
    ["0:v", "0:a"]
        .map(|stream| {
            let (all, found) = (copied(clip, stream), copied(&pulled, stream));
            match found.as_slice() {
                _ if !pulled_well => "ffmpeg cannot read it",
                found if *found == all => "equal",
                [] => "not passed on",
                [found] if all.concat().ends_with(found) => "equal from its start",
                _ => "differs",
            }
        })
        .join(" | ")
}

#[test]
#[ignore = "needs ffmpeg 9, nginx and node-media-server: host-tests/run runs it"]
fn publish_sends_every_codec_to_other_servers() {
    let directory = tempfile::tempdir().unwrap();
    let clips = CODECS.map(|(video, audio, encoders)| {
        let clip = directory.path().join(format!("{video}-{audio}.flv"));
        encode(&["testsrc2=size=160x90:rate=25", "sine=440:sample_rate=48000"], encoders, &clip);
        clip
    });
    let to_serve = |clip: &Path| {
        let serve = Serve::start(&["--grace", "0"]);
        sent(clip, Some(&serve.url("live/x")), || serve.wait_until_it_says("plays live/x"))
    };
    let to_nginx = |clip: &Path| {
        let nginx = Nginx::start(NginxOptions::default()).unwrap();
        sent(clip, Some(&nginx.url(Application::Live, "x")), || nginx.wait_for_player("x").unwrap())
    };
    let to_node_media_server = |clip: &Path| {
        let server = NodeMediaServer::start().unwrap();
        sent(clip, Some(&server.url("x")), || server.wait_for_player().unwrap())
    };
    let to_ffmpeg = |clip: &Path| sent(clip, None, || ());
    type Server<'a> = (&'a str, &'a (dyn Fn(&Path) -> String + Sync));
    let servers: [Server<'_>; 4] = [
        ("`serve`", &to_serve),
        ("nginx-rtmp", &to_nginx),
        ("node-media-server 2.7.4", &to_node_media_server),
        ("ffmpeg 9 -listen", &to_ffmpeg),
    ];
    let table = servers.map(|(name, send)| {
        let outcomes = thread::scope(|scope| {
            clips.each_ref().map(|clip| scope.spawn(move || send(clip))).map(|sending| sending.join().unwrap())
        });
        format!("| {name} | {} |\n", outcomes.join(" | "))
    });
    let (table, readme) = (table.concat(), include_str!("../../README.md"));
    assert!(readme.contains(&table), "README.md must show this table:\n{table}");
}
