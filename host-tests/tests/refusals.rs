//! Servers that refuse, each in its own way.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use embedded_rtmp::message::MessageKind;
use host_tests::flv::Writer;
use host_tests::peers::{
    Application, Nginx, NginxOptions, Program, Running, finish_within, frame_hashes, start, wait_until,
};
use support::refusing::{Refusal, Refusing};
use support::{LIMIT, clip, played, player, publish, publish_well, publisher, url};

/// An FLV file with a sequence header of HEVC and a frame of H.264.
fn hevc_file(directory: &Path) -> PathBuf {
    let path = directory.join("hevc.flv");
    let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
    for payload in [&b"\x90hvc1\x01"[..], b"\x17\x01\0\0\0\0\0\0\x01e"] {
        writer.write(MessageKind::VIDEO, 0, payload).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn item_257_item_267_an_old_server_is_asked_without_enhanced_rtmp_and_gets_none() {
    let directory = tempfile::tempdir().unwrap();
    let hevc = hevc_file(directory.path());
    let (with, without) = ("connect live, and announces Enhanced RTMP".to_owned(), "connect live".to_owned());
    for closes in [false, true] {
        let server = Refusing::start(Refusal::Announcement { closes });
        let url = url(server.port, "live/x");
        let (status, summary, stderr) = publish(&hevc, &url, &[]);
        assert_eq!((status, &summary["legacy_server"], &summary["sent"]["video"]), (Some(1), &true.into(), &0.into()));
        assert!(stderr.contains("the server refuses Enhanced RTMP, which the codec hvc1 needs"), "{stderr}");
        assert_eq!(server.asked(), [&*with, &*without]);
        // A file without such codecs is announced to nobody.
        let (_, summary, _) = publish(&clip(), &url, &[]);
        assert_eq!(summary["legacy_server"], false);
        let played = |more| {
            let output = directory.path().join("played.flv");
            played(start(&mut player(&url, &output, more)).unwrap()).1["legacy_server"].clone()
        };
        assert_eq!((played(&["--enhanced"]), played(&[])), (true.into(), false.into()));
        let rest = [&*without, "publish x", &*with, &*without, "play x", &*without, "play x"];
        assert_eq!(server.asked()[2..], rest);
    }
}

#[test]
fn item_266_a_refusal_without_the_announcement_too_is_final() {
    let directory = tempfile::tempdir().unwrap();
    let server = Refusing::start(Refusal::Application);
    let (status, summary, stderr) = publish(&hevc_file(directory.path()), &url(server.port, "live/x"), &[]);
    assert_eq!((status, &summary["legacy_server"]), (Some(1), &false.into()), "{stderr}");
    assert!(stderr.contains("no such application"), "{stderr}");
    assert_eq!(server.asked(), ["connect live, and announces Enhanced RTMP", "connect live"]);
}

/// A web server that answers all requests with `status`, and records them.
fn web_server(status: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<String>>::default());
    let notes = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            notes.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..length]));
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, asked)
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn a_refusal_of_nginx_is_reported() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let denied = nginx.url(Application::Deny, "x");
    for url in [denied.clone(), denied.replace("/deny/", "/unknown/")] {
        let (status, _, stderr) = publish(&clip(), &url, &[]);
        assert_eq!(status, Some(1), "{url}: {stderr}");
        assert!(stderr.contains("publish: "), "{stderr}");
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn a_refusal_of_an_nginx_callback_with_403_is_reported() {
    let (port, asked) = web_server("403 Forbidden");
    let nginx = Nginx::start(NginxOptions { callback: port, ..NginxOptions::default() }).unwrap();
    let url = nginx.url(Application::Ask, "x?token=1");
    let (status, summary, stderr) = publish(&clip(), &url, &[]);
    assert_eq!((status, &summary["sent"]["video"]), (Some(1), &0.into()), "{stderr}");
    assert!(stderr.contains("publish: the server closed the connection before"), "{stderr}");
    let asked = || std::mem::take(&mut *asked.lock().unwrap());
    let question = asked();
    assert!(["/publish", "name=x", "token=1"].iter().all(|part| question.contains(part)), "{question}");

    let directory = tempfile::tempdir().unwrap();
    let played = played(start(&mut player(&url, &directory.path().join("played.flv"), &[])).unwrap());
    let (status, summary, stderr) = played;
    assert_eq!((status, &summary["received"]["video"]), (Some(1), &0.into()), "{stderr}");
    let question = asked();
    assert!(["/play", "name=x", "token=1"].iter().all(|part| question.contains(part)), "{question}");
}

#[test]
#[ignore = "needs nginx with its RTMP module: host-tests/run runs it"]
fn an_nginx_whose_callback_answers_200_accepts_publisher_and_player() {
    let (port, asked) = web_server("200 OK");
    let nginx = Nginx::start(NginxOptions { callback: port, ..NginxOptions::default() }).unwrap();
    let (url, directory) = (nginx.url(Application::Ask, "x"), tempfile::tempdir().unwrap());
    let output = directory.path().join("played.flv");
    let playing = start(&mut player(&url, &output, &[])).unwrap();
    nginx.wait_for_player("x").unwrap();
    publish_well(&clip(), &url, &["--fast"]);
    let (status, summary, stderr) = played(playing);
    assert_eq!(status, Some(0), "{summary}: {stderr}");
    assert!(frame_hashes(&output).unwrap() == frame_hashes(&clip()).unwrap(), "{summary}");
    let asked = asked.lock().unwrap();
    assert!(asked.contains("/publish") && asked.contains("/play"), "{asked}");
}

#[test]
#[ignore = "needs ffmpeg and rtmpdump: host-tests/run runs it"]
fn programs_report_that_a_stream_is_in_use() {
    let serve = support::Serve::start(&[]);
    let url = serve.url("live/x");
    // It publishes until it is killed.
    let mut endless = Command::new("ffmpeg");
    endless.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip()).args(["-c", "copy", "-f", "flv", &url]);
    let mut first = start(&mut endless).unwrap();
    serve.wait_until_it_says("live/x goes to");
    for program in [Program::Ffmpeg, Program::Ffmpeg9, Program::Rtmp2] {
        let finished = finish_within(LIMIT, &mut program.publisher(&clip(), &url, true)).unwrap();
        assert!(!finished.status.success(), "{}", program.name());
    }
    assert!(first.ended().unwrap().is_none(), "{}", first.errors());
    wait_until("all were told", LIMIT, || serve.said().matches("is being published").count() == 3).unwrap();
}

/// Runs a program against a server that refuses: it must fail, without having sent media.
fn is_refused(refusal: &Refusal, name: &str, asks: &str, mut command: impl FnMut(&str) -> Command) {
    let server = Refusing::start(refusal.clone());
    let mut running = start(&mut command(&url(server.port, "live/x"))).unwrap();
    // gst-launch sometimes hangs at its end after it has reported the failure.
    let has_failed = |running: &mut Running| match running.ended().unwrap() {
        Some(status) => !status.success(),
        None => running.errors().contains("ERROR: pipeline doesn't want to preroll"),
    };
    let failed = wait_until("it fails", LIMIT, || has_failed(&mut running));
    assert!(failed.is_ok(), "{name}, {refusal:?}: {}", running.errors());
    let asked = if matches!(refusal, Refusal::Stream) { &["connect live", asks][..] } else { &["connect live"] };
    assert_eq!(server.asked(), asked, "{name}, {refusal:?}: {}", running.errors());
}

#[test]
#[ignore = "needs ffmpeg, ffmpeg 9, GStreamer and rtmpdump: host-tests/run runs it"]
fn item_083_programs_that_our_server_refuses_fail_and_send_nothing() {
    let (directory, other) = (tempfile::tempdir().unwrap(), Refusing::start(Refusal::Application));
    for refusal in &[Refusal::Application, Refusal::Stream, Refusal::Elsewhere(url(other.port, "live"))] {
        let output = |name: &str| directory.path().join(format!("{name}.flv"));
        thread::scope(|scope| {
            for program in Program::PUBLISHERS {
                let command = move |url: &str| program.publisher(&clip(), url, true);
                scope.spawn(move || is_refused(refusal, program.name(), "publish x", command));
            }
            for program in Program::PLAYERS {
                let file = output(program.name());
                let command = move |url: &str| program.player(url, &file);
                scope.spawn(move || is_refused(refusal, program.name(), "play x", command));
            }
            scope.spawn(move || is_refused(refusal, "publish", "publish x", |url| publisher(&clip(), url, &[])));
            if !matches!(refusal, Refusal::Elsewhere(_)) {
                let file = output("play");
                scope.spawn(move || is_refused(refusal, "play", "play x", |url| player(url, &file, &[])));
            }
        });
        for file in fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap()) {
            // Ours begins each file with the header.
            assert!(file.metadata().unwrap().len() <= 13, "{refusal:?}: {:?}", file.path());
        }
    }
    // Only our `publish` follows the redirect, to a server that refuses it, too.
    assert_eq!(other.asked(), ["connect live"]);
}
