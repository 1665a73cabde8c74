//! The demo as a program: what it prints, and its exit status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for the files of one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn demo(arguments: &[&str], output: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).arg("--output").arg(output).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn by_default_it_falls_back_to_port_80_and_the_recording_is_equal() {
    let output = folder("default").join("new/recording.flv");
    let run = demo(&[], &output);
    let printed = text(&run.stdout);
    assert!(run.status.success(), "{printed}{}", text(&run.stderr));
    for line in ["1935  dropped, no answer in time", "80    connected", "443   not needed", "equal to the clip's"] {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
    assert!(text(&run.stderr).contains("publishing"), "without a terminal, progress is printed as lines");
    assert!(fs::metadata(output).unwrap().len() > 100_000);
}

#[test]
fn with_every_port_dropped_it_fails_with_each_ports_reason() {
    let output = folder("dropped").join("recording.flv");
    fs::write(&output, "an old recording").unwrap();
    let run = demo(&["--ports", "80,443", "--drop", "443,80", "--delay", "0"], &output);
    assert_eq!(run.status.code(), Some(1));
    for line in ["80    dropped, no answer in time", "443   dropped, no answer in time"] {
        assert!(text(&run.stdout).contains(line), "{line}:\n{}", text(&run.stdout));
    }
    let reasons =
        "no port answered with RTMP: RTMP 80: dropped, no answer in time; RTMP 443: dropped, no answer in time";
    assert!(text(&run.stderr).contains(reasons), "{}", text(&run.stderr));
    assert_eq!(fs::read(output).unwrap(), b"", "no recording of an earlier run is left");
}

#[test]
fn with_two_sockets_a_dropped_port_costs_no_time() {
    let output = folder("race").join("recording.flv");
    let run = demo(&["--sockets", "2", "--delay", "1"], &output);
    assert!(run.status.success(), "{}", text(&run.stderr));
    for line in ["1935  abandoned, another was first", "80    connected"] {
        assert!(text(&run.stdout).contains(line), "{line}:\n{}", text(&run.stdout));
    }
}

#[test]
fn item_220_behind_a_firewall_that_drops_1935_and_80_it_ends_in_rtmps_on_443() {
    let output = folder("tls").join("recording.flv");
    let run = demo(&["--drop", "1935,80", "--tls", "--delay", "1"], &output);
    let printed = text(&run.stdout);
    assert!(run.status.success(), "{printed}{}", text(&run.stderr));
    let lines = [
        "1935       dropped, no answer in time",
        "80         dropped, no answer in time",
        "RTMPS 443  connected",
        "equal to the clip's",
    ];
    for line in lines {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
    // The fallback is not needed if another port answers, and it may fail, too.
    let run = demo(&["--tls", "--delay", "1"], &output);
    assert!(run.status.success() && text(&run.stdout).contains("RTMPS 443  not needed"), "{}", text(&run.stdout));
    let run = demo(&["--drop", "1935,80,443", "--tls", "--delay", "0"], &output);
    assert_eq!(run.status.code(), Some(1));
    let reason = "RTMP 80: dropped, no answer in time; RTMPS 443: dropped, no answer in time";
    assert!(text(&run.stderr).contains(reason), "{}", text(&run.stderr));
}

#[test]
fn the_port_test_reports_what_the_wire_does_to_each_port() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["ports", "--ports", "1935,80,443", "--drop", "1935", "--silence", "80", "--delay", "0"]);
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", text(&run.stderr));
    let verdicts = [
        "RTMP 1935: dropped, no answer in time",
        "RTMP 80: connected, but no RTMP handshake in time; TCP after ",
        "RTMP 443: connected; TCP after ",
        "RTMP 8080: answered, but not in RTMP; TCP after ",
        "RTMP 7070: refused",
    ];
    let printed = text(&run.stdout);
    assert_eq!(printed.lines().count(), verdicts.len(), "{printed}");
    for (line, verdict) in printed.lines().zip(verdicts) {
        assert!(line.starts_with(verdict), "{line}, not {verdict}");
    }
}

#[test]
fn a_slow_and_a_stopped_player_cost_the_one_that_keeps_up_nothing() {
    let run = Command::new(env!("CARGO_BIN_EXE_demo")).arg("relay").output().unwrap();
    let printed = text(&run.stdout);
    // The demo compares what the first player received with the clip.
    assert!(run.status.success(), "{printed}{}", text(&run.stderr));
    for line in ["keeps up         102    175    278   0 ", "is slow ", "closed by the relay: too slow"] {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
}

#[test]
fn bad_files_are_refused_with_a_reason() {
    let folder = folder("files");
    let (cut, garbage, output) = (folder.join("cut.flv"), folder.join("garbage.flv"), folder.join("recording.flv"));
    let clip = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../clip.flv")).unwrap();
    fs::write(&cut, &clip[..clip.len() - 5]).unwrap();
    fs::write(&garbage, [0xA5; 5_000]).unwrap();
    for (clip, reason) in [
        (cut.as_path(), "is cut off"),
        (&garbage, "this is not an FLV file"),
        (Path::new("no/such/file.flv"), "cannot read no/such/file.flv"),
        (&folder, "cannot read"),
    ] {
        let run = demo(&["--clip", clip.to_str().unwrap()], &output);
        assert_eq!(run.status.code(), Some(1));
        assert!(text(&run.stderr).contains(reason), "{}", text(&run.stderr));
    }
    let run = demo(&["--clip", garbage.to_str().unwrap()], &garbage);
    assert_eq!((run.status.code(), fs::metadata(&garbage).unwrap().len()), (Some(1), 5_000));
    assert_eq!(demo(&[], &folder).status.code(), Some(1));
}

#[test]
fn bad_options_end_with_status_2() {
    let output = folder("options").join("recording.flv");
    for arguments in [["--ports", "80,80"], ["--ports", "70000"], ["--drop", "x"], ["--loss", "101"], ["--speed", "2"]]
    {
        let run = demo(&arguments, &output);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(text(&run.stderr).starts_with("error: "), "{}", text(&run.stderr));
    }
    assert!(!output.exists());
}
