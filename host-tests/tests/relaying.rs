//! `serve` with players of other programs that connect, leave and stall.

mod support;

use std::fs;
use std::path::PathBuf;

use embedded_rtmp::message::MessageKind;
use host_tests::flv::Writer;
use host_tests::peers::{FrameHashes, Program, Running, frame_hashes, start, wait_until};
use support::{LIMIT, Serve, clip, media, publish_well, publisher};
use tempfile::{NamedTempFile, TempDir};

struct Player {
    running: Running,
    directory: TempDir,
}

impl Player {
    /// Begins to play, and waits until `serve` has logged it as the `count`th player.
    fn start(serve: &Serve, program: Program, count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program.player(&serve.url("live/x"), &directory.path().join("played.flv"));
        let running = start(&mut command).unwrap();
        wait_until("it plays", LIMIT, || serve.said().matches("plays live/x").count() >= count)
            .unwrap_or_else(|error| panic!("{error}: {}{}", serve.said(), running.errors()));
        Self { running, directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("played.flv")
    }

    /// Waits until the program ends by itself. Returns its frames.
    fn frames(self) -> FrameHashes {
        let file = self.file();
        let Self { running, directory: _directory } = self;
        let finished = running.finish_within(LIMIT).unwrap();
        frame_hashes(&file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr))
    }
}

fn frames() -> FrameHashes {
    frame_hashes(&clip()).unwrap()
}

#[test]
#[ignore = "needs ffmpeg and rtmpdump: host-tests/run runs it"]
fn eight_players_get_all_frames() {
    let serve = Serve::start(&[]);
    let programs = [Program::Ffmpeg, Program::Rtmpdump].into_iter().cycle().take(8).enumerate();
    let players: Vec<_> = programs.map(|(count, program)| Player::start(&serve, program, count + 1)).collect();
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    for player in players {
        assert!(player.frames() == frames());
    }
    let summary = serve.stop();
    assert_eq!(summary["players"].as_array().unwrap().len(), 8);
}

#[test]
#[ignore = "needs ffmpeg and rtmpdump: host-tests/run runs it"]
fn a_late_player_begins_with_a_keyframe_and_others_continue_when_a_player_leaves() {
    let serve = Serve::start(&[]);
    let (first, leaves) = (Player::start(&serve, Program::Rtmpdump, 1), Player::start(&serve, Program::Ffmpeg, 2));
    let publishing = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    let has_frames = |player: &Player| fs::metadata(player.file()).is_ok_and(|file| file.len() > 60_000);
    wait_until("half of it is there", LIMIT, || has_frames(&first)).unwrap();
    let late = Player::start(&serve, Program::Rtmpdump, 3);
    drop(leaves);
    publishing.finish_within(LIMIT).unwrap().successful().unwrap();
    assert!(first.frames() == frames());
    let late = late.file();
    wait_until("the late one has its frames", LIMIT, || frame_hashes(&late).is_ok()).unwrap();
    let begins = media(&late);
    let first_picture = begins.iter().find(|tag| tag.kind == MessageKind::VIDEO && tag.payload[1] == 1).unwrap();
    assert_eq!(first_picture.payload[0], 0x17, "a keyframe");
    let (video, audio) = frames().position_of(&frame_hashes(&late).unwrap()).expect("a run without a gap");
    assert!(video > 0 && audio > 0, "the player began after the publisher");
}

#[test]
#[ignore = "needs ffmpeg and GStreamer: host-tests/run runs it"]
fn players_continue_with_a_publisher_that_comes_back() {
    let serve = Serve::start(&[]);
    // librtmp's source connects again when it is told that the stream is over; ffmpeg ends.
    let (stays, first) = (Player::start(&serve, Program::Librtmp, 1), Player::start(&serve, Program::Ffmpeg, 2));
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    assert!(first.frames() == frames());
    let second = Player::start(&serve, Program::Ffmpeg, 4);
    // This one is lost in the middle of it, and then there is a third.
    let broken = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live-x-2.flv");
    wait_until("it publishes", LIMIT, || {
        fs::metadata(serve.directory().join("live-x-2.flv")).is_ok_and(|file| file.len() > 8_000)
    })
    .unwrap();
    broken.signal("KILL").unwrap();
    serve.wait_until_it_says("live-x-2.flv: ");
    let second = second.frames();
    assert_eq!(frames().position_of(&second).map(|(video, _)| video), Some(0));
    // librtmp's player has connected three times by then.
    let third = Player::start(&serve, Program::Ffmpeg, 6);
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    assert!(third.frames() == frames());
    drop(stays);
}

/// The clip, three times in a row, each picture with 100 KB of filler in it (NAL unit type 12).
fn large_clip() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut writer = Writer::new(file.reopen().unwrap()).unwrap();
    let clip = media(&clip());
    let length = clip.last().unwrap().timestamp + 23;
    for round in 0..3 {
        for tag in &clip {
            let mut payload = tag.payload.clone();
            if tag.kind == MessageKind::VIDEO && payload[1] == 1 {
                payload.extend_from_slice(&100_000_u32.to_be_bytes());
                payload.push(0x0C);
                payload.resize(payload.len() + 99_998, 0xFF);
                payload.push(0x80);
            }
            writer.write(tag.kind, tag.timestamp + round * length, &payload).unwrap();
        }
    }
    writer.finish().unwrap();
    file
}

#[test]
#[ignore = "needs ffmpeg and rtmpdump: host-tests/run runs it"]
fn a_stopped_player_changes_nothing_for_the_others_nor_for_the_publisher() {
    let large = large_clip();
    let expected = frame_hashes(large.path()).unwrap();
    let serve = Serve::start(&["--ring", "8000000"]);
    let others = [Player::start(&serve, Program::Ffmpeg, 1), Player::start(&serve, Program::Rtmpdump, 2)];
    let stopped = Player::start(&serve, Program::Ffmpeg, 3);
    let publishing = start(&mut publisher(large.path(), &serve.url("live/x"), &[])).unwrap();
    let begun = || fs::metadata(others[1].file()).is_ok_and(|file| file.len() > 1_000_000);
    wait_until("the stream has begun", LIMIT, begun).unwrap();
    stopped.running.signal("STOP").unwrap();
    publishing.finish_within(LIMIT).unwrap().successful().unwrap();
    assert!(frame_hashes(&serve.recording("live-x.flv")).unwrap() == expected);
    for player in others {
        assert!(player.frames() == expected, "the frames of another have changed");
    }
    // 30 MB do not fit in the buffers of two sockets and the ring.
    serve.wait_until_it_says("too slow");
    drop(stopped);
    let summary = serve.stop();
    let players = summary["players"].as_array().unwrap();
    assert_eq!(players.iter().filter(|player| player["end"] == "too slow").count(), 1, "{summary}");
    assert!(
        players.iter().filter(|player| player["end"] != "too slow").all(|player| player["skipped"] == 0),
        "{summary}"
    );
}
