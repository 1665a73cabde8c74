//! RTMPE with other programs. `host-tests/run` installs these programs and runs the tests.

mod support;

use std::path::PathBuf;

use host_tests::peers::{Program, Running, frame_hashes, start, wait_until};
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
