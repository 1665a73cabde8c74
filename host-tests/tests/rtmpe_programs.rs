//! RTMPE with other programs. `host-tests/run` installs these programs and runs the tests.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use host_tests::peers::network::{Host, Network, SERVER};
use host_tests::peers::{Program, Running, finish_within, frame_hashes, start, wait_until};
use serde_json::Value;
use support::{LIMIT, Serve, clip, played, player, publish_well};

/// The limit for key agreements must not slow a test down.
const ALL_AT_ONCE: &[&str] = &["--key-agreements", "1000", "--idle", "6"];

fn url(serve: &Serve, scheme: &str, key: &str) -> String {
    format!("{scheme}://127.0.0.1:{}/live/{key}", serve.port())
}

#[test]
#[ignore = "needs ffmpeg 9 and GStreamer: host-tests/run runs it"]
fn item_015_ffmpeg_publishes_over_rtmpe_and_rtmpte_and_librtmp_over_rtmpe() {
    let serve = Serve::start(ALL_AT_ONCE);
    let publishers =
        [(Program::Ffmpeg9, "rtmpe", "a"), (Program::Librtmp, "rtmpe", "b"), (Program::Ffmpeg9, "rtmpte", "c")];
    let running = publishers.map(|(program, scheme, key)| {
        start(&mut program.publisher(&clip(), &url(&serve, scheme, key), false)).unwrap()
    });
    for running in running {
        running.finish_within(LIMIT).unwrap().successful().unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
    }
    let all = frame_hashes(&clip()).unwrap();
    for (program, scheme, key) in publishers {
        let recorded = frame_hashes(&serve.recording(&format!("live-{key}.flv"))).unwrap();
        if (program, scheme) == (Program::Ffmpeg9, "rtmpte") {
            // When it closes a tunnel, ffmpeg drops what it has not sent yet.
            assert!(recorded.video.len() >= 95 && all.video.starts_with(&recorded.video), "{}", serve.said());
            assert!(recorded.audio.len() >= 150 && all.audio.starts_with(&recorded.audio), "{}", serve.said());
        } else {
            assert!(recorded == all, "{program:?} over {scheme}: {}", serve.said());
        }
    }
}

/// librtmp does not read the responses to its requests. When it closes the connection, the unread responses cause a reset.
/// Here the server is frozen while the last requests arrive, so it finds them after the reset. (If the window of the
/// connection is full, librtmp itself loses what it could not send.)
#[test]
#[ignore = "needs GStreamer: host-tests/run runs it"]
fn item_287_requests_of_librtmp_that_arrive_before_its_reset_are_handled() {
    let (serve, all) = (Serve::start(ALL_AT_ONCE), frame_hashes(&clip()).unwrap());
    let schemes = ["rtmpt", "rtmpte"];
    let publishers = schemes
        .map(|scheme| start(&mut Program::Librtmp.publisher(&clip(), &url(&serve, scheme, scheme), true)).unwrap());
    schemes.iter().for_each(|scheme| serve.wait_until_it_says(&format!("live/{scheme} goes to")));
    std::thread::sleep(Duration::from_millis(2_500));
    serve.signal("STOP");
    for publisher in publishers {
        publisher.finish_within(LIMIT).unwrap().successful().unwrap();
    }
    serve.signal("CONT");
    for scheme in schemes {
        let recorded = frame_hashes(&serve.recording(&format!("live-{scheme}.flv"))).unwrap();
        assert!(recorded == all, "{scheme}: {} pictures: {}", recorded.video.len(), serve.said());
    }
}

#[test]
#[ignore = "needs ffmpeg 9, rtmpdump and GStreamer: host-tests/run runs it"]
fn item_015_rtmpdump_ffmpeg_and_librtmp_play_over_rtmpe_and_rtmpte() {
    let serve = Serve::start(ALL_AT_ONCE);
    let directory = tempfile::tempdir().unwrap();
    let players = [
        (Program::Rtmpdump, "rtmpe"),
        (Program::Ffmpeg9, "rtmpe"),
        (Program::Librtmp, "rtmpe"),
        (Program::Rtmpdump, "rtmpte"),
        (Program::Ffmpeg9, "rtmpte"),
    ];
    let running = players.map(|(program, scheme)| {
        let file = directory.path().join(format!("{program:?}-{scheme}.flv"));
        (start(&mut program.player(&url(&serve, scheme, "x"), &file)).unwrap(), file)
    });
    wait_until("all play", LIMIT, || serve.said().matches(": plays live/x").count() == players.len())
        .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
    publish_well(&clip(), &url(&serve, "rtmp", "x"), &[]);
    let all = frame_hashes(&clip()).unwrap();
    for (running, file) in running {
        let finished = Running::finish_within(running, LIMIT).unwrap();
        let found = frame_hashes(&file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        assert!(found == all, "{}: {}", file.display(), serve.said());
    }
}

#[test]
#[ignore = "starts several tools: host-tests/run runs it"]
fn item_212_publish_and_play_over_rtmpe_and_rtmpte() {
    let serve = Serve::start(ALL_AT_ONCE);
    let directory = tempfile::tempdir().unwrap();
    for scheme in ["rtmpe", "rtmpte"] {
        let (url, file) = (url(&serve, scheme, scheme), directory.path().join(scheme));
        let playing = start(&mut player(&url, &file, &[])).unwrap();
        serve.wait_until_it_says(&format!(": plays live/{scheme}"));
        publish_well(&clip(), &url, &["--fast"]);
        let (status, summary, errors) = played(playing);
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!(summary["attempts"][0]["transport"], scheme.to_uppercase());
        let all = frame_hashes(&clip()).unwrap();
        assert!(frame_hashes(&file).unwrap() == all);
        assert!(frame_hashes(&serve.recording(&format!("live-{scheme}.flv"))).unwrap() == all);
    }
}

/// Lets rtmpdump connect and play `count` times, 20 at the same time. One of 256 public keys, and one of 256 shared
/// secrets, begins with a zero byte.
fn connect_with_rtmpdump(count: usize) {
    let serve = Serve::start(ALL_AT_ONCE);
    for first in (0..count).step_by(20) {
        let running: Vec<_> = (first..count.min(first + 20))
            .map(|number| {
                let (url, file) = (url(&serve, "rtmpe", &number.to_string()), PathBuf::from("/dev/null"));
                start(&mut Program::Rtmpdump.player(&url, &file)).unwrap()
            })
            .collect();
        let expected = first + running.len();
        wait_until("all play", LIMIT, || serve.said().matches(": plays live/").count() == expected)
            .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
        // Dropping a program kills it.
    }
    assert!(!serve.said().contains("chunk"), "{}", serve.said());
}

#[test]
#[ignore = "needs rtmpdump: host-tests/run runs it"]
fn item_015_twenty_sessions_of_rtmpdump_agree_on_keys() {
    connect_with_rtmpdump(20);
}

#[test]
#[ignore = "needs rtmpdump, and takes a minute: host-tests/run long runs it"]
fn long_item_015_600_sessions_of_rtmpdump_agree_on_keys() {
    connect_with_rtmpdump(600);
}

/// Starts rtmpsrv or rtmpsuck on port 1935 of a host. At the end of its standard input it would read in a loop, so its
/// input does not end. It does not find rtmpdump, which rtmpsrv would start. rtmpsuck needs a file of hosts.
fn librtmp_server(host: &Host, program: &str, directory: &Path) -> Running {
    let mut command = host.command("unshare");
    let hosts = directory.join(format!("hosts-of-{program}"));
    std::fs::write(&hosts, format!("{SERVER} media.example\n")).unwrap();
    let script = format!(
        "mount --bind {} /etc/hosts; cd {}; mkfifo input-{program}; PATH=/usr/sbin; exec {program} -z <>input-{program}",
        hosts.display(),
        directory.display()
    );
    command.args(["--mount", "sh", "-e", "-c", &script]);
    let server = start(&mut command).unwrap();
    wait_until("the program listens", LIMIT, || host.listens(1935))
        .unwrap_or_else(|error| panic!("{error}: {}", server.errors()));
    server
}

/// Counts how often a log of librtmp has this text.
fn count(server: &Running, text: &str) -> usize {
    (server.errors() + &server.output()).matches(text).count()
}

/// rtmpsrv accepts a player, and plays nothing. It continues with type 8, because our C1 has the version of a Flash Player
/// that supports it, and refuses a C2 with a wrong signature.
#[test]
#[ignore = "needs rtmpsrv of rtmpdump and network namespaces: host-tests/run runs it"]
fn item_206_play_and_publish_agree_on_keys_with_rtmpsrv() {
    const SESSIONS: usize = 10;
    let (network, directory) = (Network::new().unwrap(), tempfile::tempdir().unwrap());
    let server = librtmp_server(&network.client, "rtmpsrv", directory.path());
    for number in 1..=SESSIONS {
        let mut command = network.client.command(env!("CARGO_BIN_EXE_play"));
        command.args(["--json", "rtmpe://127.0.0.1:1935/live/x", "/dev/null"]);
        let finished = finish_within(LIMIT, &mut command).unwrap();
        let summary: Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!(summary["attempts"][0]["outcome"], "connected", "{}", finished.stderr);
        assert!(summary["to_playing_ms"].is_number(), "{}", finished.stderr);
        wait_until("rtmpsrv understands play", LIMIT, || count(&server, "invoking <play>") == number)
            .unwrap_or_else(|error| panic!("{error}: {}", server.errors()));
    }
    // It ignores publish.
    let mut command = network.client.command(env!("CARGO_BIN_EXE_publish"));
    command.args(["--json", "--fast"]).arg(clip()).arg("rtmpe://127.0.0.1:1935/live/x");
    let finished = finish_within(LIMIT, &mut command).unwrap();
    assert!(finished.stderr.contains("the peer did not answer in time: publish"), "{}", finished.stderr);
    assert_eq!(count(&server, "invoking <publish>"), 1);
    assert_eq!(count(&server, "Genuine Adobe Flash Player"), SESSIONS + 1);
    assert_eq!(count(&server, "Type Requested : 06"), SESSIONS + 1);
}

/// rtmpsuck is a server of RTMPE for the player, and a client of RTMPE of the server that the player's `tcUrl` names. It
/// records what it passes on. It aborts if `connect` has a text that it does not know, such as `type`.
#[test]
#[ignore = "needs rtmpsuck of rtmpdump and network namespaces: host-tests/run runs it"]
fn item_206_play_receives_a_stream_of_serve_through_rtmpsuck() {
    let (network, directory) = (Network::new().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| directory.path().join(name);
    let mut command = network.server.command(env!("CARGO_BIN_EXE_serve"));
    command.args(["--listen", "0.0.0.0:1935", "--grace", "0"]).args(ALL_AT_ONCE).arg("--record").arg(directory.path());
    let serve = start(&mut command).unwrap();
    wait_until("serve listens", LIMIT, || serve.errors().contains("listening on")).unwrap();
    let proxy = librtmp_server(&network.client, "rtmpsuck", directory.path());
    // For the player, the name has the address of rtmpsuck.
    std::fs::write(file("hosts"), "127.0.0.1 media.example\n").unwrap();
    let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", file("hosts").display());
    let mut command = network.client.command("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_play"), "--json"]);
    let player = start(command.arg("rtmpe://media.example:1935/live/x").arg(file("played.flv"))).unwrap();
    let said = || format!("{}{}{}", player.errors(), serve.errors(), proxy.errors());
    wait_until("it plays", LIMIT, || serve.errors().contains(": plays live/x"))
        .unwrap_or_else(|error| panic!("{error}: {}", said()));
    let mut command = network.client.command(env!("CARGO_BIN_EXE_publish"));
    command.args(["--json", "--fast"]).arg(clip()).arg(format!("rtmpe://{SERVER}:1935/live/x"));
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    let finished = player.finish_within(LIMIT).unwrap().successful().unwrap();
    let summary: Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(summary["attempts"][0]["transport"], "RTMPE");
    let all = frame_hashes(&clip()).unwrap();
    assert!(frame_hashes(&file("played.flv")).unwrap() == all, "{}", finished.stderr);
    wait_until("rtmpsuck has closed its file", LIMIT, || count(&proxy, "done!") == 1).unwrap();
    assert!(frame_hashes(&file("x")).unwrap() == all);
    assert!(count(&proxy, "Genuine Adobe Flash Player") == 1 && count(&proxy, "Flash Media Server") == 1);
}
