//! The tool `play`: with our own server, and with other programs, which `host-tests/run` installs.

mod support;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use embedded_rtmp::message::MessageKind;
use host_tests::flv::Reader;
use host_tests::peers::{Application, Nginx, NginxOptions, finish_within, frame_hashes, free_port, start, wait_until};
use support::refusing::{Refusal, Refusing};
use support::{LIMIT, Serve, clip, listens, media, played, player, publish_well, publisher, tags, url};

#[test]
fn what_serve_relays_is_what_was_published() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let url = serve.url("live/cam");
    // The player must wait for the publisher, because the publisher does not wait for players.
    let player = start(&mut player(&url, &output, &["--handshake", "digest"])).unwrap();
    serve.wait_until_it_says("plays");
    publish_well(&clip(), &url, &[]);
    let (status, summary, errors) = played(player);
    assert_eq!((status, &summary["end"]), (Some(0), &"Ended".into()), "{errors}");
    assert!(media(&output) == media(&clip()), "{summary}");
    serve.stop();
}

#[test]
fn ctrl_c_completes_the_file() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let url = serve.url("live/cam");
    let player = start(&mut player(&url, &output, &[])).unwrap();
    serve.wait_until_it_says("plays");
    let publisher = start(&mut publisher(&clip(), &url, &[])).unwrap();
    wait_until("something is written", LIMIT, || std::fs::metadata(&output).is_ok_and(|file| file.len() > 20_000))
        .unwrap();
    player.interrupt().unwrap();
    let (status, summary, errors) = played(player);
    assert_eq!((status, &summary["end"], &summary["error"]), (Some(0), &"Stopped".into(), &().into()), "{errors}");
    let (found, whole) = (media(&output), media(&clip()));
    assert!(found.len() > 5 && found.len() < whole.len() && whole.starts_with(&found), "{summary}");
    drop(publisher);
}

#[test]
fn item_165_two_signals_at_once_complete_the_file() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let url = serve.url("live/cam");
    let outputs = ["TERM", "INT"].map(|name| (name, directory.path().join(format!("{name}.flv"))));
    let players = outputs.each_ref().map(|(_, output)| start(&mut player(&url, output, &[])).unwrap());
    wait_until("both play", LIMIT, || serve.said().matches("plays").count() == 2).unwrap();
    let publisher = start(&mut publisher(&clip(), &url, &[])).unwrap();
    for ((name, output), player) in outputs.iter().zip(players) {
        wait_until("something is written", LIMIT, || std::fs::metadata(output).is_ok_and(|file| file.len() > 20_000))
            .unwrap();
        let kill = format!("kill -{name} {0}; kill -{name} {0}", player.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let (status, summary, errors) = played(player);
        assert_eq!((status, &summary["end"]), (Some(0), &"Stopped".into()), "{name}: {errors}");
        let found = media(output);
        assert!(found.len() > 5 && media(&clip()).starts_with(&found), "{name}: {summary}");
    }
    drop(publisher);
}

#[test]
fn item_167_a_stream_without_media_ends_or_is_reported() {
    let serve = Serve::start(&["--grace", "60"]);
    let directory = tempfile::tempdir().unwrap();
    let url = serve.url("live/cam");
    let start_player = |name: &str, arguments: &[&str]| {
        let output = directory.path().join(name);
        (start(&mut player(&url, &output, arguments)).unwrap(), output)
    };
    let (ends, output) = start_player("ends.flv", &["--media-timeout", "2"]);
    let (reports, _) = start_player("reports.flv", &["--media-report", "1", "--media-timeout", "4.5"]);
    wait_until("both play", LIMIT, || serve.said().matches("plays").count() == 2).unwrap();
    // The server tells players nothing when the publisher leaves.
    publish_well(&clip(), &url, &["--fast"]);
    let (status, summary, errors) = played(ends);
    assert_eq!((status, &summary["end"], &summary["pauses"]), (Some(0), &"NoMedia".into(), &0.into()), "{errors}");
    assert!(media(&output) == media(&clip()), "{summary}");
    let (status, summary, errors) = played(reports);
    assert_eq!((status, &summary["end"], &summary["pauses"]), (Some(0), &"NoMedia".into(), &1.into()), "{errors}");
    assert!(errors.contains("no audio and no video for 1 s"), "{errors}");
}

#[test]
fn a_pipe_receives_the_same_and_may_be_closed() {
    let serve = Serve::start(&[]);
    let url = serve.url("live/cam");
    for leaves in [false, true] {
        let mut command = player(&url, Path::new("-"), &["--quiet"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let count = serve.said().matches("plays").count();
        wait_until("it plays", LIMIT, || serve.said().matches("plays").count() > count || count > usize::from(leaves))
            .unwrap();
        let publisher = start(&mut publisher(&clip(), &url, &["--fast"])).unwrap();
        let mut output = child.stdout.take().unwrap();
        if leaves {
            output.read_exact(&mut [0; 1_000]).unwrap();
            drop(output);
        } else {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).unwrap();
            let mut tags = Reader::new(&bytes[..]).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            tags.retain(|tag| tag.kind != MessageKind::DATA);
            assert!(tags == media(&clip()));
        }
        assert_eq!(child.wait().unwrap().code(), Some(0), "the reader leaves: {leaves}");
        publisher.finish_within(LIMIT).unwrap().successful().unwrap();
    }
}

/// The port of a server that redirects every client to `to`.
fn redirecting(to: String) -> u16 {
    Refusing::start(Refusal::Elsewhere(to)).port
}

#[test]
fn item_097_play_follows_a_redirect_and_not_in_circles() {
    let serve = Serve::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let first = redirecting(serve.url("live"));
    let player = start(&mut self::player(&url(first, "live/cam"), &output, &[])).unwrap();
    serve.wait_until_it_says("plays");
    publish_well(&clip(), &serve.url("live/cam"), &["--fast"]);
    let (status, summary, errors) = played(player);
    assert_eq!((status, &summary["redirects"]), (Some(0), &1.into()), "{errors}");
    assert!(media(&output) == media(&clip()));
    // Four in a row.
    let mut port = serve.port();
    for _ in 0..4 {
        port = redirecting(url(port, "live"));
    }
    let (status, _, errors) = played(start(&mut self::player(&url(port, "live/cam"), &output, &[])).unwrap());
    assert_eq!(status, Some(1));
    assert!(errors.contains("more than 3 servers"), "{errors}");
}

#[test]
fn item_086_media_after_stream_eof_is_played_until_the_status() {
    // As node-rtsp-rtmp-server sends it: StreamEOF overtakes what is queued.
    const EOF: &[u8] = b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\x01\0\0\0\x01";
    const AUDIO: &[u8] = b"\x04\0\0\x17\0\0\x03\x08\x01\0\0\0\xaf\x01\x21";
    const LATER: &[u8] = b"\x44\0\0\x17\0\0\x03\x08\xaf\x01\x22";
    const COMPLETE: &[u8] = b"\x04\0\0\0\0\0\x2e\x12\x01\0\0\0\x02\0\x0conPlayStatus\x03\0\x04code\
        \x02\0\x12NetStream.Play.End\0\0\x09";
    const STOP: &[u8] = b"\x04\0\0\0\0\0\x35\x14\x01\0\0\0\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\
        \x03\0\x04code\x02\0\x13NetStream.Play.Stop\0\0\x09";
    let directory = tempfile::tempdir().unwrap();
    // Adobe's servers end a recorded stream in this way. Some send no status after it.
    const LAST: &[u8] = b"\x04\0\0\0\0\0\x33\x12\x01\0\0\0\x02\0\x0conPlayStatus\x03\0\x04code\
        \x02\0\x17NetStream.Play.Complete\0\0\x09";
    for (name, eof, end) in [("status", EOF, STOP), ("silence", EOF, &[]), ("complete", &[], LAST)] {
        let script = [AUDIO, eof, LATER, COMPLETE, end].concat().leak();
        let output = directory.path().join(name);
        let (port, before) = (Refusing::start(Refusal::Play(script)).port, std::time::Instant::now());
        let (status, summary, errors) = played(start(&mut player(&url(port, "live/x"), &output, &[])).unwrap());
        assert_eq!((status, &summary["end"]), (Some(0), &"Ended".into()), "{name}: {errors}");
        let found: Vec<_> = tags(&output).into_iter().map(|tag| (tag.kind, tag.payload)).collect();
        assert_eq!(
            found,
            [(MessageKind::AUDIO, vec![0xAF, 1, 0x21]), (MessageKind::AUDIO, vec![0xAF, 1, 0x22])],
            "{name}"
        );
        assert!(before.elapsed() < LIMIT / 2, "{name}: it does not wait for as long as for a server that is slow");
    }
}

#[test]
fn invalid_arguments_are_status_2_and_no_server_is_status_1() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let port = free_port().unwrap();
    for (url, status) in [("http://x/y/z", 2), ("rtmp://127.0.0.1//app", 2), (&url(port, "live/cam"), 1)] {
        let (found, _, errors) = played(start(&mut player(url, &output, &[])).unwrap());
        assert_eq!(found, Some(status), "{url}: {errors}");
    }
    let missing = directory.path().join("none/played.flv");
    assert_eq!(played(start(&mut player(&url(port, "live/cam"), &missing, &[])).unwrap()).0, Some(2));
    assert_eq!(played(start(&mut player(&url(port, "live/cam"), &output, &["--start", "-1"])).unwrap()).0, Some(2));
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn item_086_live_from_nginx_frame_by_frame() {
    for (chunk_size, handshake) in [(128, "digest"), (4_096, "simple"), (60_000, "simple")] {
        let nginx = Nginx::start(NginxOptions { chunk_size, ..NginxOptions::default() }).unwrap();
        let url = nginx.url(Application::Live, "x");
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("played.flv");
        let player = start(&mut player(&url, &output, &["--live", "--handshake", handshake])).unwrap();
        nginx.wait_for_player("x").unwrap();
        publish_well(&clip(), &url, &[]);
        let (status, summary, errors) = played(player);
        assert_eq!((status, &summary["end"]), (Some(0), &"Ended".into()), "{errors}");
        assert!(frame_hashes(&output).unwrap() == frame_hashes(&clip()).unwrap(), "chunks of {chunk_size}: {summary}");
        let metadata = tags(&output).into_iter().find(|tag| tag.kind == MessageKind::DATA).unwrap();
        assert!(metadata.payload.starts_with(b"\x02\0\x0aonMetaData"));
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn item_086_recorded_from_nginx_whole_and_from_the_middle() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // nginx needs an index to start anywhere else.
    let indexed = directory.path().join("indexed.flv");
    let mut index = Command::new("ffmpeg");
    index.args(["-nostdin", "-v", "error", "-i"]).arg(clip());
    index.args(["-c", "copy", "-flvflags", "add_keyframe_index"]).arg(&indexed);
    finish_within(LIMIT, &mut index).unwrap().successful().unwrap();
    nginx.store(&indexed, "clip").unwrap();
    let url = nginx.url(Application::Recorded, "clip");
    let output = directory.path().join("played.flv");
    let run = |arguments: &[&str]| {
        let (status, summary, errors) = played(start(&mut player(&url, &output, arguments)).unwrap());
        assert_eq!((status, &summary["end"]), (Some(0), &"Ended".into()), "{errors}");
        summary
    };
    let summary = run(&[]);
    assert!(frame_hashes(&output).unwrap() == frame_hashes(&clip()).unwrap(), "{summary}");
    // nginx does not send the sequence headers then, so the messages are compared.
    let summary = run(&["--start", "2"]);
    let (rest, whole) = (media(&output), media(&indexed));
    assert!(!rest.is_empty() && rest.len() < whole.len() && whole.ends_with(&rest), "{summary}");
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_086_from_a_listening_ffmpeg_frame_by_frame() {
    let port = free_port().unwrap();
    let url = url(port, "live/x");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-i"]).arg(clip());
    command.args(["-c", "copy", "-f", "flv", "-listen", "1", &url]);
    let ffmpeg = start(&mut command).unwrap();
    wait_until("ffmpeg listens", LIMIT, || listens(port)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    let (status, summary, errors) = played(start(&mut player(&url, &output, &[])).unwrap());
    assert_eq!(status, Some(0), "{errors} {}", ffmpeg.errors());
    assert!(frame_hashes(&output).unwrap() == frame_hashes(&clip()).unwrap(), "{summary}");
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn item_083_an_nginx_that_denies_is_a_failure() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("played.flv");
    for (application, key) in [(Application::Deny, "x"), (Application::Recorded, "nothing")] {
        let (status, summary, errors) = played(start(&mut player(&nginx.url(application, key), &output, &[])).unwrap());
        assert_eq!(status, Some(1), "{summary} {errors}");
    }
}
