//! `serve` asks `publish` to connect again (Enhanced RTMP): to the same server, to another one, to a dead one, and when it
//! stops.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MessageKind;
use host_tests::flv::{Tag, Writer};
use host_tests::peers::{Finished, Running, free_port, start, wait_until};
use serde_json::Value;
use support::refusing::{Refusal, Refusing};
use support::{LIMIT, Serve, clip, media, played, player, publish, publisher, url};

/// The frames of a file: without headers, which are repeated on each connection.
fn frames(file: &Path) -> Vec<Tag> {
    let is_frame = |tag: &Tag| FrameClass::of(tag.kind, &tag.payload) != FrameClass::Configuration;
    media(file).into_iter().filter(is_frame).collect()
}

fn payloads(tags: &[Tag]) -> Vec<&[u8]> {
    tags.iter().map(|tag| tag.payload.as_slice()).collect()
}

/// Publishes the clip at its own pace, and sends a signal to the server after half a second.
fn publish_and_signal(serve: &Serve, name: &str) -> Running {
    publish_file_and_signal(&clip(), serve, name)
}

/// Publishes a file in the same way.
fn publish_file_and_signal(file: &Path, serve: &Serve, name: &str) -> Running {
    let running = start(&mut publisher(file, &serve.url("live/cam"), &[])).unwrap();
    serve.wait_until_it_says("live/cam goes to");
    std::thread::sleep(Duration::from_millis(500));
    serve.signal(name);
    running
}

/// Returns the summary of a publisher that ended well.
fn ended(running: Running) -> Value {
    let Finished { status, stdout, stderr } = running.finish_within(LIMIT).unwrap();
    assert_eq!(status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&stdout).unwrap()
}

#[test]
fn item_107_item_277_a_publisher_continues_on_another_server_with_the_next_keyframe() {
    let other = Serve::start(&[]);
    let first = Serve::start(&["--reconnect-to", &other.url("live")]);
    let summary = ended(publish_and_signal(&first, "USR1"));
    assert_eq!((&summary["reconnects"], &summary["acknowledged"]), (&1.into(), &true.into()), "{summary}");
    assert!(first.said().contains("asked 1 of 1 clients"), "{}", first.said());
    let (before, after) = (frames(&first.recording("live-cam.flv")), frames(&other.recording("live-cam.flv")));
    assert_eq!(FrameClass::of(after[0].kind, &after[0].payload), FrameClass::Keyframe);
    assert!(
        !before.is_empty() && [before, after].concat() == frames(&clip()),
        "no frame is lost, and none comes twice"
    );
}

#[test]
fn item_107_item_275_item_277_on_the_same_server_the_next_connection_gets_the_stream_and_its_players_stay() {
    // A second publisher would otherwise be refused.
    let serve = Serve::start(&["--take-over", "refuse", "--grace", "10"]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let watching = start(&mut player(&serve.url("live/cam"), &output, &["--media-timeout", "3"])).unwrap();
    serve.wait_until_it_says("plays live/cam");
    let summary = ended(publish_and_signal(&serve, "USR1"));
    assert_eq!(summary["reconnects"], 1, "{summary}");
    let (before, after) = (frames(&serve.recording("live-cam.flv")), frames(&serve.recording("live-cam-2.flv")));
    assert!(!before.is_empty() && [before, after].concat() == frames(&clip()));
    let (status, _, errors) = played(watching);
    assert_eq!(status, Some(0), "{errors}");
    let (played, sent) = (frames(&output), frames(&clip()));
    assert!(payloads(&played) == payloads(&sent), "{} of {}", played.len(), sent.len());
    // The players see one offset of the timestamps.
    let mut offsets: Vec<_> = played.iter().zip(&sent).map(|(a, b)| a.timestamp.wrapping_sub(b.timestamp)).collect();
    offsets.dedup();
    assert!(matches!(offsets[..], [_] | [0, _]), "{offsets:?}");
}

#[test]
fn item_107_item_277_if_the_other_server_is_dead_the_publisher_stays() {
    let dead = free_port().unwrap();
    let first = Serve::start(&["--reconnect-to", &url(dead, "live")]);
    let summary = ended(publish_and_signal(&first, "USR1"));
    assert_eq!(summary["reconnects"], 0, "{summary}");
    assert!(summary["notices"].to_string().contains("there is no other connection"), "{summary}");
    assert!(frames(&first.recording("live-cam.flv")) == frames(&clip()));
}

#[test]
fn item_257_item_277_a_publisher_of_hevc_stays_if_the_other_server_refuses_enhanced_rtmp() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hevc.flv");
    let mut writer = Writer::new(std::fs::File::create(&file).unwrap()).unwrap();
    writer.write(MessageKind::VIDEO, 0, b"\x90hvc1\x01").unwrap();
    for number in 0..30 {
        writer.write(MessageKind::VIDEO, number * 100, b"\x91hvc1\0\0\0\0\0\0\x01e").unwrap();
    }
    writer.finish().unwrap();
    for closes in [false, true] {
        let old = Refusing::start(Refusal::Announcement { closes });
        let first = Serve::start(&["--reconnect-to", &url(old.port, "live")]);
        let summary = ended(publish_file_and_signal(&file, &first, "USR1"));
        assert_eq!(summary["reconnects"], 0, "{summary}");
        assert!(summary["notices"].to_string().contains("there is no other connection"), "{summary}");
        assert_eq!(old.asked(), ["connect live, and announces Enhanced RTMP", "connect live"]);
        assert_eq!(frames(&first.recording("live-cam.flv")).len(), 30);
    }
}

#[test]
fn item_097_item_278_a_server_that_stops_sends_its_clients_to_another_one() {
    let other = Serve::start(&[]);
    let first = Serve::start(&["--reconnect-to", &other.url("live"), "--drain", "20"]);
    let running = publish_and_signal(&first, "TERM");
    first.wait_until_it_says("asked 1 of 1 clients");
    // While it waits for the publisher, new clients are redirected.
    let (status, summary, errors) = publish(&clip(), &first.url("live/late"), &["--fast"]);
    assert_eq!(status, Some(0), "{errors}: {summary}");
    assert_eq!(ended(running)["reconnects"], 1);
    wait_until("the first server has stopped", LIMIT, || !support::listens(first.port())).unwrap();
    assert!(frames(&other.recording("live-late.flv")) == frames(&clip()));
    let (before, after) = (frames(&first.directory().join("live-cam.flv")), frames(&other.recording("live-cam.flv")));
    assert!(!before.is_empty() && [before, after].concat() == frames(&clip()));
}

/// Starts a player, publishes the clip at its own pace, and sends a signal to the server after half a second. Returns the
/// summaries of the publisher and of the player. The player writes into `output`.
fn play_and_signal(serve: &Serve, output: &Path, arguments: &[&str]) -> [Value; 2] {
    let watching = start(&mut player(&serve.url("live/cam"), output, arguments)).unwrap();
    serve.wait_until_it_says("plays live/cam");
    let published = ended(publish_and_signal(serve, "USR1"));
    let (status, played, errors) = played(watching);
    assert_eq!(status, Some(0), "{errors}");
    [published, played]
}

/// The payloads of all tags of a file except metadata. Configurations that are repeated count.
fn all_payloads(file: &Path) -> Vec<Vec<u8>> {
    media(file).into_iter().map(|tag| tag.payload).collect()
}

#[test]
fn item_107_item_385_a_player_continues_on_another_connection_to_the_same_server() {
    let serve = Serve::start(&["--take-over", "refuse", "--grace", "10"]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let [published, played] = play_and_signal(&serve, &output, &["--media-timeout", "3"]);
    assert_eq!((&published["reconnects"], &played["reconnects"]), (&1.into(), &1.into()), "{played}");
    assert!(serve.said().contains("asked 2 of 2 clients"), "{}", serve.said());
    // The headers that the publisher sends again on its new connection are relayed.
    let (found, sent) = (frames(&output), frames(&clip()));
    assert!(payloads(&found) == payloads(&sent), "no frame is lost, and none comes twice: {played}");
}

#[test]
fn item_107_item_385_a_player_continues_on_another_server() {
    let other = Serve::start(&[]);
    let first = Serve::start(&["--reconnect-to", &other.url("live")]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let [published, played] = play_and_signal(&first, &output, &[]);
    assert_eq!((&published["reconnects"], &played["reconnects"]), (&1.into(), &1.into()), "{played}");
    assert_eq!(played["end"], "Ended");
    assert!(frames(&output) == frames(&clip()), "no frame is lost, and none comes twice");
    assert!(all_payloads(&output) == all_payloads(&clip()), "no header is repeated");
}

#[test]
fn item_385_a_stream_that_soon_ends_on_the_other_server_is_played_to_its_end() {
    let other = Serve::start(&["--grace", "0"]);
    // The players of the first server wait for another publisher.
    let first = Serve::start(&["--reconnect-to", &other.url("live"), "--grace", "10"]);
    let directory = tempfile::tempdir().unwrap();
    let (file, output) = (directory.path().join("short.flv"), directory.path().join("played.flv"));
    let mut writer = Writer::new(std::fs::File::create(&file).unwrap()).unwrap();
    writer.write(MessageKind::VIDEO, 0, b"\x17\0\0\0\0avc").unwrap();
    for number in 0..14 {
        let payload = [&[if number % 10 == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0, number as u8][..], b"frame"].concat();
        writer.write(MessageKind::VIDEO, number * 100, &payload).unwrap();
    }
    writer.finish().unwrap();
    let watching = start(&mut player(&first.url("live/cam"), &output, &["--media-timeout", "5"])).unwrap();
    first.wait_until_it_says("plays live/cam");
    assert_eq!(ended(publish_file_and_signal(&file, &first, "USR1"))["reconnects"], 1);
    let (status, summary, errors) = played(watching);
    assert_eq!((status, &summary["end"]), (Some(0), &"Ended".into()), "{errors}");
    assert!(frames(&output) == frames(&file), "{summary}");
}

#[test]
fn item_385_if_the_other_server_is_dead_or_refuses_the_player_stays() {
    let refusing = Refusing::start(Refusal::Stream);
    for port in [free_port().unwrap(), refusing.port] {
        let first = Serve::start(&["--reconnect-to", &url(port, "live")]);
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("played.flv");
        let watching = start(&mut player(&first.url("live/cam"), &output, &[])).unwrap();
        first.wait_until_it_says("plays live/cam");
        // The other server also refuses the publisher, which has left by then.
        let _ = publish_and_signal(&first, "USR1").finish_within(LIMIT).unwrap();
        let (status, played, errors) = played(watching);
        let expected = (Some(0), &0.into(), &"Ended".into());
        assert_eq!((status, &played["reconnects"], &played["end"]), expected, "{errors}");
        assert!(played["notices"].to_string().contains("there is no other connection"), "{played}");
        let (found, whole) = (media(&output), media(&clip()));
        assert!(found.len() > 5 && whole.starts_with(&found), "{played}");
    }
    assert!(refusing.asked().contains(&"play cam".into()), "{:?}", refusing.asked());
}

#[test]
fn item_385_a_player_stays_while_the_other_server_has_no_such_stream() {
    // The publisher is not sent elsewhere: the other server lets only players in.
    let other = Refusing::start(Refusal::Play(b""));
    let first = Serve::start(&["--reconnect-to", &url(other.port, "live")]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let watching = start(&mut player(&first.url("live/cam"), &output, &["--media-timeout", "2"])).unwrap();
    first.wait_until_it_says("plays live/cam");
    let refused = publish_and_signal(&first, "USR1").finish_within(LIMIT).unwrap();
    let (status, summary, errors) = played(watching);
    assert_eq!(status, Some(0), "{errors} {}", refused.stderr);
    assert!(other.asked().contains(&"play cam".into()), "{:?}", other.asked());
    let (found, whole) = (media(&output), media(&clip()));
    assert!(found.len() > 5 && whole.starts_with(&found), "{summary}");
}

#[test]
fn item_278_item_385_a_player_leaves_a_server_that_stops() {
    let other = Serve::start(&[]);
    let first = Serve::start(&["--reconnect-to", &other.url("live"), "--drain", "20"]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let watching = start(&mut player(&first.url("live/cam"), &output, &[])).unwrap();
    first.wait_until_it_says("plays live/cam");
    let published = ended(publish_and_signal(&first, "TERM"));
    let (status, played, errors) = played(watching);
    assert_eq!((status, &published["reconnects"], &played["reconnects"]), (Some(0), &1.into(), &1.into()), "{errors}");
    wait_until("the first server has stopped", LIMIT, || !support::listens(first.port())).unwrap();
    assert!(all_payloads(&output) == all_payloads(&clip()));
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_385_a_player_changes_over_while_ffmpeg_publishes() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let watching = start(&mut player(&serve.url("live/cam"), &output, &[])).unwrap();
    serve.wait_until_it_says("plays live/cam");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i"]).arg(clip());
    let ffmpeg = start(command.args(["-c", "copy", "-f", "flv", &serve.url("live/cam")])).unwrap();
    serve.wait_until_it_says("live/cam goes to");
    for _ in 0..2 {
        std::thread::sleep(Duration::from_secs(1));
        serve.signal("USR1");
    }
    ffmpeg.finish_within(LIMIT).unwrap().successful().unwrap();
    let (status, summary, errors) = played(watching);
    assert_eq!(
        (status, &summary["reconnects"], &summary["notices"]),
        (Some(0), &2.into(), &Value::Array(vec![])),
        "{errors}"
    );
    assert!(serve.said().contains("asked 1 of 2 clients"), "{}", serve.said());
    let sent = serve.recording("live-cam.flv");
    assert!(frames(&output) == frames(&sent), "no frame is lost, and none comes twice");
    assert!(all_payloads(&output) == all_payloads(&sent), "no header is repeated");
}
