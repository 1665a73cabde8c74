//! Tunnels with other programs: clients that publish and play through them, also behind a proxy. `host-tests/run`
//! installs these, and runs the tests.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use host_tests::flv::{Tag, Writer};
use host_tests::peers::{Delay, HttpProxy, Running, finish_within, frame_hashes, start};
use support::{LIMIT, Serve, clip, media, publish_well, tags};

fn rtmpt(port: u16) -> String {
    format!("rtmpt://127.0.0.1:{port}/live/x")
}

/// A command line of ffmpeg, rtmpdump or GStreamer.
fn command(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    command
}

fn ffmpeg_publisher(url: &str) -> Command {
    command("ffmpeg", &format!("-nostdin -v error -i {} -c copy -f flv {url}", clip().display()))
}

/// GStreamer's rtmpsink is librtmp.
fn librtmp_publisher(url: &str) -> Command {
    let clip = clip();
    let (file, sink) = (clip.display(), format!("flvmux name=m streamable=true ! rtmpsink location={url}"));
    let streams = "d.video ! queue ! h264parse ! m. d.audio ! queue ! aacparse ! m.";
    command("gst-launch-1.0", &format!("-q filesrc location={file} ! flvdemux name=d {sink} {streams}"))
}

/// Repeats the clip until it has at least this many seconds.
fn long_clip(file: &Path, seconds: u32) {
    let mut writer = Writer::new(File::create(file).unwrap()).unwrap();
    let tags = tags(&clip());
    for round in 0..seconds.div_ceil(4) {
        for Tag { kind, timestamp, payload } in &tags {
            writer.write(*kind, timestamp + 4_000 * round, payload).unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_098_ffmpeg_publishes_through_a_tunnel() {
    let serve = Serve::start(&[]);
    finish_within(LIMIT, &mut ffmpeg_publisher(&rtmpt(serve.port()))).unwrap().successful().unwrap();
    let (recorded, all) = (frame_hashes(&serve.recording("live-x.flv")).unwrap(), frame_hashes(&clip()).unwrap());
    // When it closes a tunnel, ffmpeg drops what it has not sent yet: a few frames of audio.
    assert!(recorded.video.len() >= 95 && recorded.audio.len() >= 150, "{recorded:?}");
    assert_eq!(recorded.video, all.video[..recorded.video.len()]);
    assert_eq!(recorded.audio, all.audio[..recorded.audio.len()]);
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: host-tests/run runs it"]
fn item_098_librtmp_publishes_through_a_tunnel() {
    let serve = Serve::start(&["--idle", "6"]);
    finish_within(LIMIT, &mut librtmp_publisher(&rtmpt(serve.port()))).unwrap().successful().unwrap();
    // The client leaves without closing the tunnel, which is then closed by its time limit.
    assert_eq!(frame_hashes(&serve.recording("live-x.flv")).unwrap(), frame_hashes(&clip()).unwrap());
}

#[test]
#[ignore = "needs ffmpeg and GStreamer: host-tests/run runs it"]
fn ffmpeg_and_librtmp_publish_in_rtmp_and_rtmpt_at_one_listener_at_once() {
    let serve = Serve::start(&["--idle", "6"]);
    let url = |scheme: &str, key: &str| format!("{scheme}://127.0.0.1:{}/live/{key}", serve.port());
    let running = [
        ffmpeg_publisher(&url("rtmp", "a")),
        ffmpeg_publisher(&url("rtmpt", "b")),
        librtmp_publisher(&url("rtmp", "c")),
        librtmp_publisher(&url("rtmpt", "d")),
    ]
    .map(|mut command| start(&mut command).unwrap());
    for running in running {
        running.finish_within(LIMIT).unwrap().successful().unwrap();
    }
    let all = frame_hashes(&clip()).unwrap();
    for key in ["a", "b", "c", "d"] {
        let recorded = frame_hashes(&serve.recording(&format!("live-{key}.flv"))).unwrap();
        let count = recorded.video.len();
        assert!(all.video.starts_with(&recorded.video) && count >= 95, "{key}: {count} pictures: {}", serve.said());
    }
}

/// Lets both programs play a stream that is published through a tunnel. Both must receive all of it.
fn played(port: u16, serve: &Serve) {
    let directory = tempfile::tempdir().unwrap();
    let files = ["rtmpdump.flv", "ffmpeg.flv"].map(|name| directory.path().join(name));
    let url = rtmpt(port);
    let [one, two] = [
        command("rtmpdump", &format!("-q --live -r {url} -o {}", files[0].display())),
        command(
            "ffmpeg",
            &format!("-nostdin -v error -analyzeduration 1500000 -i {url} -c copy {}", files[1].display()),
        ),
    ]
    .map(|mut command| start(&mut command).unwrap());
    host_tests::peers::wait_until("both play", LIMIT, || serve.said().matches(": plays live/x").count() == 2)
        .unwrap_or_else(|error| panic!("{error}: {}", serve.said()));
    publish_well(&clip(), &url, &[]);
    for (running, file) in [one, two].into_iter().zip(&files) {
        let finished = Running::finish_within(running, LIMIT).unwrap();
        let found = frame_hashes(file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        assert!(found == frame_hashes(&clip()).unwrap(), "{}", file.display());
    }
}

#[test]
#[ignore = "needs rtmpdump and ffmpeg: host-tests/run runs it"]
fn item_098_rtmpdump_and_ffmpeg_play_through_tunnels() {
    let serve = Serve::start(&[]);
    played(serve.port(), &serve);
}

#[test]
#[ignore = "needs nginx, rtmpdump and ffmpeg: host-tests/run runs it"]
fn rtmpdump_and_ffmpeg_play_through_a_proxy_and_pause_between_polls() {
    let serve = Serve::start(&[]);
    // librtmp has one connection for all requests.
    let proxy = HttpProxy::start(serve.port(), 100_000).unwrap();
    played(proxy.port(), &serve);
    let requests = proxy.requests().unwrap();
    // nginx logs 499 when the client has gone. rtmpdump closes the connection during its last request.
    let bad: Vec<_> = requests.iter().filter(|request| !matches!(request.status, 200 | 499)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let (first, last) = (requests.first().unwrap().at, requests.last().unwrap().at);
    let rate =
        requests.iter().filter(|request| request.line.starts_with("POST /idle/")).count() as f64 / (last - first);
    println!("rtmpdump and ffmpeg: {rate:.0} polls a second");
    assert!(rate < 300.0, "{rate} polls a second");
}

#[test]
#[ignore = "needs nginx and ffmpeg: host-tests/run runs it"]
fn item_098_behind_a_proxy_a_clip_arrives_equal_at_2_mbit_with_50_ms_round_trip() {
    let serve = Serve::start(&[]);
    let proxy = HttpProxy::start(serve.port(), 20).unwrap();
    let delay = Delay::start(proxy.port(), Duration::from_millis(25)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long.flv");
    long_clip(&file, 60);
    let summary = publish_well(&file, &rtmpt(delay.port()), &["--fast"]);
    let (recorded, all) = (frame_hashes(&serve.recording("live-x.flv")).unwrap(), frame_hashes(&file).unwrap());
    assert!(recorded == all && all.video.len() == 1_500, "{}", recorded.video.len());
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let millis = number(&summary["elapsed_ms"]) - number(&summary["to_publishing_ms"]);
    let rate = number(&summary["sent"]["bytes"]) * 8.0 / millis / 1000.0;
    let requests = proxy.requests().unwrap();
    println!(
        "RTMPT through nginx, 50 ms round trip: {rate:.1} Mbit/s in {} requests on {} connections; publishing after {} ms",
        requests.len(),
        delay.connections(),
        summary["to_publishing_ms"]
    );
    let bad: Vec<_> = requests.iter().filter(|request| request.status != 200).collect();
    assert!(bad.is_empty(), "{bad:?}");
    // The proxy ends each connection after 20 requests.
    assert!(delay.connections() >= requests.len() / 20, "{} connections", delay.connections());
    assert!(rate >= 2.0, "{rate} Mbit/s");
}

#[test]
#[ignore = "needs nginx: host-tests/run runs it"]
fn an_idle_tunnel_polls_at_most_four_times_a_second_and_outlives_its_connections() {
    let serve = Serve::start(&[]);
    let proxy = HttpProxy::start(serve.port(), 20).unwrap();
    // Two frames, eight seconds apart. The headers come before them.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pause.flv");
    let mut writer = Writer::new(File::create(&file).unwrap()).unwrap();
    let all = media(&clip());
    let (first, second) = (&all[..3], &all[3]);
    for tag in first {
        writer.write(tag.kind, 0, &tag.payload).unwrap();
    }
    writer.write(second.kind, 8_000, &second.payload).unwrap();
    writer.finish().unwrap();
    publish_well(&file, &rtmpt(proxy.port()), &[]);
    let requests = proxy.requests().unwrap();
    let polls: Vec<f64> =
        requests.iter().filter(|request| request.line.starts_with("POST /idle/")).map(|request| request.at).collect();
    let (from, to) = (polls[0] + 1.0, polls[polls.len() - 1] - 1.0);
    let idle = polls.iter().filter(|at| (from..to).contains(at)).count() as f64;
    let rate = idle / (to - from);
    println!("an idle tunnel: {rate:.2} requests a second over {:.1} s", to - from);
    assert!(to - from > 4.0 && rate > 0.5 && rate <= 4.0, "{polls:?}");
    assert!(requests.iter().filter(|request| request.on_connection == 1).count() >= 2, "one connection");
    assert_eq!(media(&serve.recording("live-x.flv")).len(), 4);
}
