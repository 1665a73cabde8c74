//! The tool `replay`, as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)
}

fn replay(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replay")).args(arguments).arg(file).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file with these bytes, which is deleted when it is dropped.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn a_capture_is_shown_line_by_line_in_this_form() {
    let output = replay(&["server"], &capture("ff5-publish-nginx.c2s.bin"));
    assert_eq!(output.status.code(), Some(0));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(r#"{"handshake":"digest","scheme":0}"#));
    let connect = lines.next().unwrap();
    let start = r#"{"csid":3,"msid":0,"type":20,"timestamp":0,"length":"#;
    assert!(connect.starts_with(start), "{connect}");
    assert!(connect.contains(r#","values":["connect",1,{"app":"live","#), "{connect}");
    let video = lines.find(|line| line.contains(r#""type":9,"#)).unwrap();
    assert!(!video.contains("values"), "{video}");
}

#[test]
fn cut_changes_nothing() {
    let capture = capture("gst2-play-nginx.s2c.bin");
    let whole = replay(&["client"], &capture);
    let cut = replay(&["client", "--cut", "1"], &capture);
    assert_eq!((whole.status.code(), cut.status.code()), (Some(0), Some(0)));
    assert!(whole.stdout == cut.stdout && whole.stdout.len() > 1000);
}

#[test]
fn a_capture_that_ends_early_shows_what_came_before_and_fails() {
    let bytes = fs::read(capture("ff5-publish-nginx.c2s.bin")).unwrap();
    let whole = lines(&replay(&["server"], file(&bytes).path()));
    let output = replay(&["server"], file(&bytes[..20_000]).path());
    assert_eq!(output.status.code(), Some(1));
    let mut shown = lines(&output);
    assert_eq!(shown.pop().unwrap()["error"], "the stream ends within a message");
    assert!(shown.len() > 10);
    assert_eq!(shown, whole[..shown.len()]);
    let output = replay(&["server"], file(&bytes[..2000]).path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"{\"error\":\"the stream ends within the handshake\"}\n");
}

#[test]
fn bytes_that_are_not_rtmp_are_an_error() {
    let output = replay(&["client"], file(b"HTTP/1.1 400 Bad Request\r\n\r\n").path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output)[0]["error"], "the peer's first byte, 0x48, is not an RTMP version");
}

#[test]
fn wrong_usage_is_status_2() {
    let capture = capture("gst2-play-nginx.s2c.bin");
    for arguments in [&["nobody"][..], &["client", "--cut", "0"], &[]] {
        assert_eq!(replay(arguments, &capture).status.code(), Some(2), "{arguments:?}");
    }
    let output = replay(&["client"], Path::new("no-such-file"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file"));
}
