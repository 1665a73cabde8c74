//! Replays captured publishers and players to our server, and captured servers to our client.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::command::{Code, ConnectOptions, PlayRequest};
use embedded_rtmp::session::{
    Client, ClientConfig, ClientEvent, RequestError, Server, ServerConfig, ServerEvent, SessionBuffers,
};
use embedded_rtmp::time::Instant;
use serde_json::Value;

const NOW: Instant = Instant::from_millis(1);

/// A captured session over plain TCP.
struct Capture {
    name: String,
    facts: Value,
    from_client: Vec<u8>,
    from_server: Vec<u8>,
}

/// The sessions in which a client publishes, or plays.
fn captures(direction: &str) -> Vec<Capture> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut captures = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let facts: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if facts["direction"] == direction && facts["transport"] == "rtmp" {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let bytes = |direction| fs::read(folder.join(format!("{name}.{direction}.bin"))).unwrap();
            let (from_client, from_server) = (bytes("c2s"), bytes("s2c"));
            captures.push(Capture { name, facts, from_client, from_server });
        }
    }
    assert_eq!(captures.len(), if direction == "publish" { 19 } else { 20 }, "{direction}");
    captures
}

/// A media message: stream, type, timestamp, payload.
type Message = (u32, u8, u32, Vec<u8>);

#[derive(Debug, Default, PartialEq)]
struct Seen {
    events: Vec<String>,
    messages: Vec<Message>,
    /// By chunk stream.
    unfinished: BTreeMap<u32, Vec<u8>>,
}

impl Seen {
    /// How many messages there were, by type.
    fn counts(&self) -> BTreeMap<u8, u64> {
        let mut counts = BTreeMap::new();
        for (_, kind, ..) in &self.messages {
            *counts.entry(*kind).or_default() += 1;
        }
        counts
    }

    fn media(&mut self, fragment: &Fragment<'_>) {
        let payload = self.unfinished.entry(fragment.csid.value()).or_default();
        if fragment.is_first() {
            payload.clear();
        }
        assert_eq!(payload.len(), fragment.offset as usize);
        payload.extend_from_slice(fragment.data);
        if fragment.is_last() {
            let payload = self.unfinished.remove(&fragment.csid.value()).unwrap();
            let header = fragment.header;
            self.messages.push((header.stream.0, header.kind.0, header.timestamp.0, payload));
        }
    }
}

/// The events of our server, which accepts everything, for a client's bytes.
fn served(bytes: &[u8], cut: usize) -> Seen {
    let (mut scratch, mut control) = ([0; 1_536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[1; 32]).unwrap();
    let mut seen = Seen::default();
    for mut piece in bytes.chunks(cut) {
        while !piece.is_empty() {
            match server.next_event(NOW, &mut piece).unwrap() {
                Some(ServerEvent::Connect(request)) => {
                    seen.events.push(format!("connect {}", request.app));
                    server.accept_connect().unwrap();
                }
                Some(ServerEvent::Publish { stream, request }) => {
                    seen.events.push(format!("publish {} {}", stream.0, request.key));
                    server.accept(stream).unwrap();
                }
                Some(ServerEvent::Play { stream, request }) => {
                    let reset = request.reset;
                    seen.events.push(format!("play {} {} {:?}", stream.0, request.name, request.start));
                    server.accept_play(stream, reset).unwrap();
                }
                Some(ServerEvent::Stopped(stream)) => seen.events.push(format!("stopped {}", stream.0)),
                Some(ServerEvent::Seek { stream, to }) => seen.events.push(format!("seek {} {to}", stream.0)),
                Some(ServerEvent::StreamLength { name }) => seen.events.push(format!("length of {name}")),
                Some(ServerEvent::Unpublished(stream)) => seen.events.push(format!("unpublished {}", stream.0)),
                Some(ServerEvent::Media(fragment)) => seen.media(&fragment),
                Some(_) => {}
                None => while server.poll_transmit(NOW, &mut [0; 1_460]) > 0 {},
            }
        }
    }
    assert_eq!(server.skipped(), 0);
    seen
}

/// The events of our client for a server's bytes, after the requests of `ask`.
fn seen_by_client<const PLAYS: usize>(
    bytes: &[u8],
    cut: usize,
    ask: impl FnOnce(&mut Client<'_, 8, PLAYS>) -> Result<(), RequestError>,
) -> Seen {
    let (mut scratch, mut control) = ([0; 1_536], [0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client = Client::<8, PLAYS>::new(buffers, ClientConfig::new(), &[1; 32]).unwrap();
    let flash_ver = ConnectOptions::FLASH_VER;
    let mut options = ConnectOptions::new("live", &["rtmp://host/live"]);
    options.flash_ver = flash_ver;
    client.connect(&options).unwrap();
    ask(&mut client).unwrap();
    let mut seen = Seen::default();
    for mut piece in bytes.chunks(cut) {
        loop {
            while client.poll_transmit(NOW, &mut [0; 1_460]) > 0 {}
            match client.next_event(NOW, &mut piece).unwrap() {
                Some(ClientEvent::Connected) => seen.events.push("connected".into()),
                Some(ClientEvent::Publishing(stream)) => seen.events.push(format!("publishing {}", stream.0)),
                Some(ClientEvent::Playing(stream)) => seen.events.push(format!("playing {}", stream.0)),
                Some(ClientEvent::Refused(stage, status)) => seen.events.push(format!("{stage}: {}", status.code)),
                Some(ClientEvent::Status(_, status)) => {
                    assert!(!matches!(status.known(), Code::Other(_)), "{}", status.code);
                    seen.events.push(status.code.to_string());
                }
                Some(ClientEvent::Media(fragment)) => seen.media(&fragment),
                Some(_) => {}
                None if piece.is_empty() => break,
                None => {}
            }
        }
    }
    assert_eq!(client.skipped(), 0);
    seen
}

/// The events of our client that publishes.
fn connected(bytes: &[u8], cut: usize) -> Seen {
    seen_by_client::<0>(bytes, cut, |client| client.publish("cam"))
}

/// The events of our client that plays.
fn played(bytes: &[u8], cut: usize) -> Seen {
    seen_by_client::<1>(bytes, cut, |client| client.play(&PlayRequest::new("cam")))
}

/// How many messages of media a description counts, by type.
fn counted(facts: &Value) -> BTreeMap<u8, u64> {
    let number = |key: &str| key.split(' ').next().unwrap().parse().unwrap();
    let counts =
        facts["by_type"].as_object().unwrap().iter().map(|(key, count)| (number(key), count.as_u64().unwrap()));
    counts.filter(|(kind, _)| [8, 9, 15, 18, 22].contains(kind)).collect()
}

#[test]
fn our_server_receives_all_media_of_every_captured_publisher() {
    for Capture { name, facts, from_client, .. } in captures("publish") {
        let seen = served(&from_client, usize::MAX);
        assert_eq!(seen.counts(), counted(&facts["c2s"]), "{name}");
        let last = seen.messages.iter().map(|(_, _, timestamp, _)| u64::from(*timestamp)).max();
        assert_eq!(last, facts["c2s"]["max_ts"].as_u64(), "{name}");
        let deletes = facts["c2s"]["commands"].as_array().unwrap().contains(&Value::from("deleteStream"));
        let [connect, publish, rest @ ..] = &seen.events[..] else { panic!("{name}: {:?}", seen.events) };
        assert!(connect == "connect live" && publish.starts_with("publish 1 "), "{name}: {:?}", seen.events);
        assert_eq!(rest, if deletes { &["unpublished 1"][..] } else { &[] }, "{name}");
    }
}

#[test]
fn item_043_our_server_sees_the_same_of_them_in_all_pieces() {
    for Capture { name, from_client, .. } in captures("publish") {
        let whole = served(&from_client, usize::MAX);
        for cut in [1, 2, 7, 128, 1_460, 3_073] {
            assert!(served(&from_client, cut) == whole, "{name}, pieces of {cut}");
        }
    }
}

#[test]
fn our_client_publishes_to_every_captured_server() {
    for Capture { name, facts, from_server, .. } in captures("publish") {
        let whole = connected(&from_server, usize::MAX);
        let ends = facts["s2c"]["commands"].as_array().unwrap().iter().filter(|name| *name == "onStatus").count() > 1;
        // GStreamer's client uses another transaction id for createStream. The stream's id in the answer is enough.
        let expected = ["connected", "publishing 1", "NetStream.Unpublish.Success"];
        assert_eq!(whole.events, expected[..if ends { 3 } else { 2 }], "{name}");
        assert_eq!(whole.messages, [], "{name}");
        for cut in [1, 2, 7, 128, 1_460, 3_073] {
            assert_eq!(connected(&from_server, cut), whole, "{name}, pieces of {cut}");
        }
    }
}

#[test]
fn item_086_our_server_accepts_every_captured_player() {
    for Capture { name, facts, from_client, .. } in captures("play") {
        let seen = served(&from_client, usize::MAX);
        let says = |command: &str| facts["c2s"]["commands"].as_array().unwrap().contains(&Value::from(command));
        let mut events = seen.events.iter();
        assert!(events.next().unwrap().starts_with("connect "), "{name}: {:?}", seen.events);
        if says("getStreamLength") {
            assert!(events.next().unwrap().starts_with("length of "), "{name}: {:?}", seen.events);
        }
        assert!(events.next().unwrap().starts_with("play 1 "), "{name}: {:?}", seen.events);
        let rest: Vec<_> = events.map(|event| event.split(' ').next().unwrap()).collect();
        let expected = [("seek", "seek"), ("deleteStream", "stopped")];
        let expected: Vec<_> = expected.iter().filter(|(command, _)| says(command)).map(|(_, event)| *event).collect();
        assert_eq!(rest, expected, "{name}");
        for cut in [1, 7, 128, 1_460] {
            assert!(served(&from_client, cut) == seen, "{name}, pieces of {cut}");
        }
    }
}

#[test]
fn item_086_our_client_plays_from_every_captured_server() {
    for Capture { name, facts, from_server, .. } in captures("play") {
        let seen = played(&from_server, usize::MAX);
        assert_eq!(seen.counts(), counted(&facts["s2c"]), "{name}");
        assert_eq!(seen.events[0], "connected", "{name}");
        assert!(seen.events.contains(&"playing 1".to_owned()), "{name}: {:?}", seen.events);
        for cut in [1, 7, 128, 1_460] {
            assert!(played(&from_server, cut) == seen, "{name}, pieces of {cut}");
        }
    }
}
