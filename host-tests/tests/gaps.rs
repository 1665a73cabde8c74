//! Publishers of `serve` that leave, in good order or not, while players stay.

mod support;

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use embedded_rtmp::chunk::{ChunkStreamId, Writer};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use host_tests::flv::Tag;
use host_tests::peers::{Program, frame_hashes, start};
use support::raw::RawClient;
use support::{LIMIT, Serve, clip, tags};

/// A message as it is sent, with a chunk header of 12 bytes.
fn message(tag: &Tag) -> Vec<u8> {
    let mut writer = Writer::<1>::new();
    let csid = ChunkStreamId::new(if tag.kind == MessageKind::AUDIO { 4 } else { 6 }).unwrap();
    let (timestamp, length) = (Timestamp(tag.timestamp), tag.payload.len() as u32);
    writer.begin(csid, MessageHeader { timestamp, length, kind: tag.kind, stream: StreamId(1) }).unwrap();
    let mut out = vec![0; tag.payload.len() * 2 + 32];
    let written = writer.poll(csid, &tag.payload, &mut out).written;
    out.truncate(written);
    out
}

#[test]
fn item_121_a_recording_ends_with_its_publisher_and_the_next_one_gets_a_new_file() {
    let serve = Serve::start(&["--grace", "10"]);
    let mut player = RawClient::connected(serve.port());
    player.call(0, "createStream", &[]);
    player.call(1, "play", &["x".into()]);
    player.wait_for("NetStream.Play.Start");
    for (is_orderly, file) in [(true, "live-x.flv"), (false, "live-x-2.flv"), (true, "live-x-3.flv")] {
        let mut publisher = RawClient::publisher(serve.port(), "x");
        publisher.video(1);
        serve.wait_until_it_says(&format!("{file}\n"));
        if is_orderly {
            publisher.call(1, "closeStream", &[]);
            publisher.wait_for("NetStream.Unpublish.Success");
        }
        drop(publisher);
        let ended = Instant::now();
        let recorded = serve.recording(file);
        assert!(ended.elapsed() < Duration::from_millis(500), "{:?}", ended.elapsed());
        assert_eq!(tags(&recorded).iter().filter(|tag| tag.kind == MessageKind::VIDEO).count(), 1);
    }
    let told = player.receive().unwrap();
    assert_eq!(told.into_iter().map(|(code, _)| code).collect::<Vec<_>>(), ["NetStream.Play.PublishNotify"], "no end");
}

#[test]
fn item_122_players_are_told_the_end_at_once_after_a_message_that_was_cut() {
    // With 1 byte, the class of the message is unknown, so the player has got nothing of it. With 20 bytes it has got a
    // part.
    for cut in [1, 20] {
        let serve = Serve::start(&["--grace", "0"]);
        let mut publisher = RawClient::publisher(serve.port(), "x");
        publisher.video(1);
        let mut player = RawClient::connected(serve.port());
        player.call(0, "createStream", &[]);
        player.call(1, "play", &["x".into()]);
        player.wait_for("NetStream.Play.Start");
        let bytes = RawClient::bytes(6, 1, MessageKind::VIDEO, &[0x17, 1, 0, 0, 0].repeat(10));
        publisher.stream.write_all(&bytes[..12 + cut]).unwrap();
        sleep(Duration::from_millis(100));
        drop(publisher);
        let ended = Instant::now();
        player.wait_for("NetStream.Play.UnpublishNotify");
        assert!(ended.elapsed() < Duration::from_secs(2), "{cut}: {:?}", ended.elapsed());
    }
}

#[test]
fn item_124_messages_that_do_not_fit_in_the_ring_are_logged_once_and_counted() {
    let serve = Serve::start(&["--ring", "2000"]);
    for (key, lengths) in [("x", &[3000, 5000][..]), ("x", &[1992, 1993, 100]), ("y", &[1992])] {
        let mut publisher = RawClient::publisher(serve.port(), key);
        lengths.iter().for_each(|length| publisher.send(1, MessageKind::VIDEO, &vec![0x17; *length]));
        publisher.call(1, "closeStream", &[]);
        publisher.wait_for("NetStream.Unpublish.Success");
    }
    let said = serve.said();
    for length in [3000, 1993] {
        let line = format!("a message of {length} bytes is not relayed: the ring has 2000 bytes (--ring)");
        assert_eq!(said.matches(&line).count(), 1, "{said}");
    }
    assert_eq!(said.matches("is not relayed").count(), 2, "{said}");
    let summary = serve.stop();
    let counted = |index: usize| {
        let stream = &summary["streams"][index];
        (stream["stream"].as_str().unwrap(), stream["too_long"].as_u64(), stream["longest"].as_u64())
    };
    let expected = [("live/x", Some(2), Some(5000)), ("live/x", Some(1), Some(1993)), ("live/y", Some(0), Some(0))];
    assert_eq!([0, 1, 2].map(counted), expected);
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_121_item_122_ffmpeg_continues_when_publishers_leave_inside_a_message() {
    let serve = Serve::start(&["--grace", "10", "--idle", "2"]);
    let media: Vec<Tag> = tags(&clip()).into_iter().filter(|tag| tag.kind != MessageKind::DATA).take(100).collect();
    // The video sequence header is not a frame.
    let frames = frame_hashes(&clip()).unwrap().video;
    let count = media.iter().filter(|tag| tag.kind == MessageKind::VIDEO).count() - 1;
    let last = media.iter().find(|tag| tag.payload.starts_with(&[0x17, 1])).unwrap();
    let last = message(&Tag { timestamp: media.last().unwrap().timestamp + 40, ..last.clone() });

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("played.flv");
    let ffmpeg = start(&mut Program::Ffmpeg.player(&serve.url("live/x"), &file)).unwrap();
    serve.wait_until_it_says("plays live/x");
    // The publisher leaves in the chunk header, at the first byte, in the middle, and at the last byte. Then one stays
    // silent in the middle, and the last one leaves.
    let cuts = [3, 13, last.len() / 2, last.len() - 1].map(|cut| (cut, true));
    let cuts = cuts.into_iter().chain([(last.len() / 2, false), (last.len() / 2, true)]);
    let (mut publications, mut silent) = (0, Vec::new());
    for (cut, has_ended) in cuts {
        // If the publisher before is silent, this one takes over.
        let mut publisher = RawClient::publisher(serve.port(), "x");
        publications += 1;
        for tag in &media {
            publisher.stream.write_all(&message(tag)).unwrap();
        }
        publisher.stream.write_all(&last[..cut]).unwrap();
        sleep(Duration::from_millis(200));
        if has_ended {
            drop(publisher);
        } else {
            silent.push(publisher);
        }
    }
    let summary = serve.stop();
    assert_eq!(summary["streams"].as_array().unwrap().len(), publications);
    let cut: u64 = summary["streams"].as_array().unwrap().iter().map(|stream| stream["cut"].as_u64().unwrap()).sum();
    assert_eq!(cut, 5, "{summary}");
    let played = ffmpeg.finish_within(LIMIT).unwrap().successful().unwrap();
    let played_frames = frame_hashes(&file).unwrap().video;
    for frame in &frames[..count] {
        let times = played_frames.iter().filter(|played| *played == frame).count();
        assert_eq!(times, publications, "{frame}: {}", played.stderr);
    }
}
