//! tshark's RTMP dissector parses what we send.

mod support;

use std::collections::BTreeMap;

use host_tests::peers::{Application, Conversation, Nginx, NginxOptions, Sender, Tee, dissect};
use serde_json::Value;
use support::{Serve, clip, publish_well, replayed, url};

/// The name of a message in tshark's list, without the text after it.
fn name(message: &Value) -> String {
    match message["type"].as_u64().unwrap() {
        1 => "Set Chunk Size".into(),
        3 => "Acknowledgement".into(),
        4 => "User Control".into(),
        5 => "Window Acknowledgement Size".into(),
        6 => "Set Peer Bandwidth".into(),
        8 => "Audio Data".into(),
        9 => "Video Data".into(),
        _ => message["values"][0].as_str().unwrap().into(),
    }
}

/// tshark's name for a message, as [`name`] has it.
fn plain(name: &str) -> String {
    match name.trim_end_matches(|char: char| !char.is_alphabetic()) {
        "Stream Begin" | "Ping Request" | "Ping Response" => "User Control".into(),
        "Set Peer Bandwidth 2500000,Dynamic" => "Set Peer Bandwidth".into(),
        plain => plain.into(),
    }
}

/// Checks that tshark finds nothing malformed in the messages of `sender`, and counts as many as we do.
fn check(conversation: &Conversation, sender: Sender) -> BTreeMap<String, usize> {
    let dissection = dissect(conversation, sender).unwrap();
    assert!(dissection.malformed.is_empty(), "{:?}", dissection.malformed);
    let (mut seen, mut expected) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    for (name, count) in dissection.messages.iter().filter(|(name, _)| !name.starts_with("Handshake")) {
        *seen.entry(plain(name)).or_default() += count;
    }
    for message in &replayed(conversation, sender)[1..] {
        *expected.entry(name(message)).or_default() += 1;
    }
    assert_eq!(seen, expected);
    seen
}

/// Checks the messages of a publisher of the clip.
fn check_publisher(conversation: &Conversation) -> BTreeMap<String, usize> {
    let counts = check(conversation, Sender::Client);
    for (name, count) in [
        ("Audio Data", 175),
        ("Video Data", 102),
        ("@setDataFrame", 1),
        ("connect", 1),
        ("releaseStream", 1),
        ("FCPublish", 1),
        ("createStream", 1),
        ("publish", 1),
        ("FCUnpublish", 1),
        ("deleteStream", 1),
        ("Set Chunk Size", 1),
    ] {
        assert_eq!(counts.get(name), Some(&count), "{name}");
    }
    counts
}

#[test]
#[ignore = "needs tshark: host-tests/run runs it"]
fn tshark_finds_nothing_malformed_in_what_publish_and_serve_send() {
    for (chunk_size, handshake) in [("128", "digest"), ("4096", "simple"), ("60000", "simple")] {
        let serve = Serve::start(&["--chunk-size", chunk_size]);
        let tee = Tee::start(serve.port()).unwrap();
        let arguments = ["--fast", "--chunk-size", chunk_size, "--handshake", handshake];
        publish_well(&clip(), &url(tee.port(), "live/x"), &arguments);
        let conversation = tee.finish().unwrap();
        check_publisher(&conversation);
        let counts = check(&conversation, Sender::Server);
        for (name, count) in [("_result", 5), ("onStatus", 2), ("User Control", 1), ("Set Chunk Size", 1)] {
            assert_eq!(counts.get(name), Some(&count), "{name}");
        }
    }
}

#[test]
#[ignore = "needs tshark and nginx with its RTMP module: host-tests/run runs it"]
fn tshark_finds_nothing_malformed_in_what_publish_sends_to_nginx() {
    // A small window causes acknowledgements.
    let nginx = Nginx::start(NginxOptions { ack_window: 100, ..NginxOptions::default() }).unwrap();
    let tee = Tee::start(nginx.port()).unwrap();
    let path = nginx.url(Application::Live, "x").replace(&nginx.port().to_string(), &tee.port().to_string());
    publish_well(&clip(), &path, &["--fast"]);
    let counts = check_publisher(&tee.finish().unwrap());
    assert!(counts.contains_key("Acknowledgement"), "{counts:?}");
}
