//! The port test, and the orders of `publish`, on loopback.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;

use host_tests::peers::{Finished, finish_within, free_port};
use serde_json::Value;
use support::{LIMIT, Serve, clip, publish};

fn ports(arguments: &[&str]) -> Finished {
    finish_within(LIMIT, Command::new(env!("CARGO_BIN_EXE_ports")).args(arguments)).unwrap()
}

/// Answers every connection as a web server answers a bad request, or sends nothing.
fn other(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(answer);
            open.push(stream);
        }
    });
    port
}

#[test]
fn every_port_and_transport_gets_a_result() {
    let serve = Serve::start(&[]);
    let (web, silent, nothing) = (other(b"HTTP/1.1 400 Bad Request\r\n\r\n"), other(b""), free_port().unwrap());
    let list = format!("{},{web},{silent},rtmp:{nothing}", serve.port());
    let finished = ports(&["rtmp://127.0.0.1/live/x", "--list", &list, "--json", "--timeout", "1500"]);
    let rows: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let shown = |row: &Value| format!("{} {} {} {}", row["transport"], row["port"], row["outcome"], row["answer"]);
    let shown: Vec<_> = rows.as_array().unwrap().iter().map(|row| shown(row).replace('"', "")).collect();
    let port = serve.port();
    let bad = "not RTMP HTTP/1.1 400 Bad Request";
    let expected = [
        format!("RTMP {port} connected RTMP, handshake: simple"),
        format!("RTMPT {port} connected RTMPT, handshake: simple"),
        format!("RTMP {web} {bad}"),
        format!("RTMPT {web} {bad}"),
        format!("RTMP {silent} silent null"),
        format!("RTMPT {silent} silent null"),
        format!("RTMP {nothing} refused null"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(finished.status.code(), Some(0));
    for row in rows.as_array().unwrap().iter().filter(|row| row["outcome"] == "connected") {
        assert!(row["tcp_ms"].as_f64().unwrap() <= row["handshake_ms"].as_f64().unwrap());
    }
    // The server received no command.
    assert_eq!(serve.stop()["recordings"], Value::Array(vec![]));
}

#[test]
fn the_table_lists_the_targets_and_a_port_in_the_url_is_the_only_one() {
    let nothing = free_port().unwrap();
    let finished = ports(&[&format!("rtmp://127.0.0.1:{nothing}")]);
    let table = String::from_utf8(finished.stdout).unwrap();
    let words: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let nothing = nothing.to_string();
    let row = |transport| vec![transport, nothing.as_str(), "refused", "-", "-", "-"];
    assert_eq!(words, [row("RTMP"), row("RTMPT")]);
    assert_eq!(finished.status.code(), Some(1), "no port completed a handshake");
}

#[test]
fn invalid_ports_and_transports_are_status_2() {
    for (url, list, why) in [
        ("http://127.0.0.1", "80", "no RTMP URL"),
        ("rtmp://127.0.0.1", "0", "'0' is no port"),
        ("rtmp://127.0.0.1", "80,", "'' is no port"),
        ("rtmp://127.0.0.1", "https:443", "'https' is not a transport"),
    ] {
        let finished = ports(&[url, "--list", list]);
        assert_eq!(finished.status.code(), Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(why), "{}", finished.stderr);
    }
    for arguments in [["--order", "80,0"], ["--order", "smartest"], ["--stagger", "101"], ["--sockets", "9"]] {
        let (status, _, stderr) = publish(&clip(), "rtmp://127.0.0.1/live/x", &arguments);
        assert_eq!(status, Some(2), "{stderr}");
    }
}

#[test]
fn item_093_a_list_is_tried_as_it_is_given_and_every_failure_is_named() {
    let serve = Serve::start(&[]);
    let (web, nothing) = (other(b"HTTP/1.1 400 Bad Request\r\n\r\n"), free_port().unwrap());
    let list = format!("{nothing},{web},rtmpt:{nothing},{}", serve.port());
    for sockets in ["1", "4"] {
        let arguments = ["--fast", "--order", &list, "--sockets", sockets];
        let (status, summary, stderr) = publish(&clip(), "rtmp://127.0.0.1/live/x", &arguments);
        assert_eq!(status, Some(0), "{stderr}");
        let outcomes: Vec<_> =
            summary["attempts"].as_array().unwrap().iter().map(|it| it["outcome"].as_str()).collect();
        // With several attempts at the same time, the web server may answer too late.
        let late = sockets == "4" && outcomes[1] == Some("abandoned, another was first");
        assert!(late || outcomes[1] == Some("answered, but not in RTMP"), "{outcomes:?}");
        assert_eq!((outcomes[0], &outcomes[2..]), (Some("refused"), &[Some("refused"), Some("connected")][..]));
    }
}
