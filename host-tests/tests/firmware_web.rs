//! Browsers and other viewers of the firmware in QEMU.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{Firmware, FirmwareKind, is_part_of_the_clip};
use host_tests::peers::{Program, Running, finish_within, free_port, start};
use serde_json::Value;
use support::browser::watch;
use support::{clip, url};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// Starts ffmpeg `count` times, one after the other. Each stores a stream without changing it.
///
/// Each waits until the one before it gets the stream: smoltcp has no backlog, so a connection is refused while no socket
/// listens.
fn viewers(
    firmware: &mut Firmware,
    count: usize,
    url: &str,
    directory: &Path,
    arguments: &[&str],
) -> Vec<(Running, PathBuf)> {
    let viewers = (1..=count).map(|number| {
        let file = directory.join(format!("{number}.flv"));
        let mut viewer = Command::new("ffmpeg");
        viewer.args(["-nostdin", "-v", "error", "-i", url]).args(arguments).args(["-c", "copy"]).arg(&file);
        let viewer = start(&mut viewer).unwrap();
        firmware.wait_for_times(number, "a stream is played over HTTP", LIMIT).unwrap();
        (viewer, file)
    });
    viewers.collect()
}

/// Returns the body of an answer, or fails if its status is another one.
fn get(url: &str, status: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "20", "-w", "\n%{http_code}", url]);
    let answer = finish_within(LIMIT, &mut curl).unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    let (body, found) = answer.rsplit_once('\n').unwrap();
    assert_eq!(found, status, "{body}");
    body.to_owned()
}

#[test]
#[ignore = "needs qemu-system-arm, curl and ffmpeg: host-tests/run runs it"]
fn item_326_curl_and_ffmpeg_get_the_page_and_the_clip_of_the_image() {
    let port = free_port().unwrap();
    let forward = format!("{port}:80");
    let mut firmware = Firmware::start_kind(FirmwareKind::Web, None, &["--hostfwd", &forward], &["serve"]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let (base, directory) = (format!("http://127.0.0.1:{port}"), tempfile::tempdir().unwrap());
    let page = get(&base, "200");
    assert!(page.starts_with("<!doctype html>") && !page.contains("http"), "{page}");
    get(&format!("{base}/live/nothing.flv"), "404");
    // Other requests are handed over to an HTTP server of the application.
    assert_eq!(get(&format!("{base}/settings?of=camera"), "200"), "Settings\n");
    let stream = format!("{base}/live/clip.flv");
    let viewers = viewers(&mut firmware, 2, &stream, directory.path(), &["-t", "6"]);
    let status = get(&format!("{base}/status.json"), "200");
    assert!(status.contains("\"name\":\"live/clip\"") && status.contains("\"publishers\":1"), "{status}");
    // The page shows this.
    let mut curl = Command::new("curl");
    curl.args(["-s", "--max-time", "3", &format!("{base}/live/clip.mp4")]);
    let fragments = finish_within(LIMIT, &mut curl).unwrap().stdout;
    for name in [b"ftyp", b"avc1", b"mp4a", b"moof", b"mdat"] {
        assert!(fragments.windows(4).any(|bytes| bytes == name), "{} bytes", fragments.len());
    }
    for (running, file) in viewers {
        let finished = running.finish_within(LIMIT).unwrap();
        is_part_of_the_clip(&file).unwrap_or_else(|error| panic!("{error:#}: {}", finished.stderr));
    }
}

#[test]
#[ignore = "needs qemu-system-arm, curl and xmllint: host-tests/run runs it"]
fn item_376_curl_asks_the_administration_of_the_image_and_closes_a_viewer() {
    let [web, admin] = [(); 2].map(|()| free_port().unwrap());
    let forwards = [format!("{web}:80"), format!("{admin}:1111")];
    let options = ["--hostfwd", &forwards[0], "--hostfwd", &forwards[1]];
    let arguments = ["serve", "--admin-password", "s3cret"];
    let mut firmware = Firmware::start_kind(FirmwareKind::Web, None, &options, &arguments).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let stream = format!("http://127.0.0.1:{web}/live/clip.flv");
    let viewers = viewers(&mut firmware, 1, &stream, directory.path(), &[]);
    let call = |options: &[&str], method: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "20", "-w", "\n%{http_code}"]).args(options);
        curl.arg(format!("http://127.0.0.1:{admin}/admin/{method}"));
        let answer = String::from_utf8(finish_within(LIMIT, &mut curl).unwrap().stdout).unwrap();
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    };
    let login = ["-u", "admin:s3cret"];
    assert_eq!(call(&["-u", "admin:wrong"], "ping").0, "401");
    let (status, xml) = call(&login, "getLiveStreams");
    assert!(status == "200" && xml.contains("<data><_0>live/clip</_0></data>"), "{xml}");
    let (file, mut xmllint) = (directory.path().join("answer.xml"), Command::new("xmllint"));
    std::fs::write(&file, xml).unwrap();
    finish_within(LIMIT, xmllint.arg("--noout").arg(&file)).unwrap().successful().unwrap();
    let clients = || {
        let (_, json) = call(&login, "getLiveStreamStats?appInst=live&stream=clip&format=json");
        let stats: Value = serde_json::from_str(&json).unwrap();
        stats["data"]["subscribers"].as_array().unwrap().clone()
    };
    let subscribers = clients();
    assert_eq!(subscribers.len(), 1);
    let method = format!("x/closeSession?id={}", subscribers[0]["client"]);
    assert_eq!(call(&login, &method).0, "405");
    assert_eq!(call(&["-u", "admin:s3cret", "-X", "POST"], &method).0, "200");
    assert!(clients().is_empty());
    for (viewer, _) in viewers {
        viewer.finish_within(LIMIT).unwrap();
    }
}

#[test]
#[ignore = "needs qemu-system-arm and ffmpeg: host-tests/run runs it"]
fn item_326_one_publisher_and_four_viewers_fit_in_128_kb_of_ram() {
    let [web, rtmp] = [(); 2].map(|()| free_port().unwrap());
    let forwards = [format!("{web}:80"), format!("{rtmp}:1935")];
    let options = ["--hostfwd", &forwards[0], "--hostfwd", &forwards[1]];
    let mut firmware = Firmware::start_kind(FirmwareKind::SmallWeb, None, &options, &[]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let (directory, url) = (tempfile::tempdir().unwrap(), url(rtmp, "live/x"));
    let publisher = start(&mut Program::Ffmpeg.publisher(&clip(), &url, true)).unwrap();
    firmware.wait_for("is published", LIMIT).unwrap();
    let stream = format!("http://127.0.0.1:{web}/live/x.flv");
    let viewers = viewers(&mut firmware, 4, &stream, directory.path(), &[]);
    publisher.finish_within(LIMIT).unwrap();
    for (running, file) in viewers {
        let finished = running.finish_within(LIMIT).unwrap();
        is_part_of_the_clip(&file).unwrap_or_else(|error| panic!("{error:#}: {}", finished.stderr));
    }
    let log = firmware.log();
    assert_eq!(log.matches("a stream is played over HTTP").count(), 4, "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm, chromium and python3: host-tests/run runs it"]
fn item_327_chromium_shows_the_clip_on_the_page_of_the_image() {
    let port = free_port().unwrap();
    let forward = format!("{port}:80");
    let mut firmware = Firmware::start_kind(FirmwareKind::Web, None, &["--hostfwd", &forward], &["serve"]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    watch("page-device", &format!("http://127.0.0.1:{port}/"), 8, None, 480);
}
