//! Every captured session is replayed, whole and cut. The counts must be those of an independent parser.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use host_tests::replay::{Error, Side, replay};
use serde_json::{Value, json};

struct Capture {
    name: String,
    facts: Value,
}

/// One direction of a capture.
struct Direction<'c> {
    name: String,
    side: Side,
    bytes: Vec<u8>,
    handshake: Value,
    facts: &'c Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

fn captures() -> Vec<Capture> {
    let mut captures = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            captures.push(Capture { name, facts: serde_json::from_slice(&fs::read(path).unwrap()).unwrap() });
        }
    }
    assert_eq!(captures.len(), 39);
    captures
}

impl Capture {
    fn directions(&self) -> [Direction<'_>; 2] {
        [("c2s", Side::Server), ("s2c", Side::Client)].map(|(direction, side)| {
            let name = format!("{}.{direction}", self.name);
            let bytes = fs::read(folder().join(format!("{name}.bin"))).unwrap();
            assert_eq!(Some(bytes.len() as u64), self.facts["bytes"][direction].as_u64(), "{name}");
            let handshake =
                match self.facts["handshake"][if direction == "c2s" { "c1_digest" } else { "s1_digest" }].as_str() {
                    None => json!({"handshake": "simple"}),
                    Some("scheme0") => json!({"handshake": "digest", "scheme": 0}),
                    Some(other) => panic!("{name}: {other}"),
                };
            Direction { name, side, bytes, handshake, facts: &self.facts[direction] }
        })
    }
}

fn each_direction(mut check: impl FnMut(&Direction<'_>)) {
    for capture in captures() {
        for direction in capture.directions() {
            check(&direction);
        }
    }
}

/// Everything that the replay prints, and its result.
fn replayed(side: Side, bytes: &[u8], cut: usize) -> (Vec<Value>, Result<(), Error>) {
    let mut shown = Vec::new();
    let result = replay(side, bytes, cut, &mut |value| shown.push(value));
    (shown, result)
}

/// Counts as the JSON files have them: the keys there begin with the number.
fn counts(facts: &Value) -> BTreeMap<u64, u64> {
    let number = |key: &str| key.split(' ').next().unwrap().parse().unwrap();
    facts.as_object().unwrap().iter().map(|(key, count)| (number(key), count.as_u64().unwrap())).collect()
}

fn counted(messages: &[Value], field: &str) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message[field].as_u64().unwrap()).or_default() += 1;
    }
    counts
}

fn commands(messages: &[Value]) -> Vec<String> {
    let shown = messages.iter().filter_map(|message| {
        let name = message["values"].get(0)?.as_str()?;
        match message["type"].as_u64()? {
            15 | 18 => Some(format!("data:{name}")),
            _ => Some(name.to_owned()),
        }
    });
    shown.collect()
}

#[test]
fn every_capture_replays_to_the_counts_of_its_description() {
    each_direction(|Direction { name, side, bytes, handshake, facts }| {
        let (shown, result) = replayed(*side, bytes, usize::MAX);
        assert_eq!(&shown[0], handshake, "{name}");
        let messages = &shown[1..];
        let whole = facts["left"] == 0;
        assert_eq!(result, if whole { Ok(()) } else { Err(Error::EndsInMessage) }, "{name}");
        assert_eq!(Some(messages.len() as u64), facts["messages"].as_u64(), "{name}");
        assert_eq!(counted(messages, "type"), counts(&facts["by_type"]), "{name}");
        assert_eq!(counted(messages, "msid"), counts(&facts["msids"]), "{name}");
        let last = messages.iter().map(|message| message["timestamp"].as_u64().unwrap()).max();
        assert_eq!(last, facts["max_ts"].as_u64(), "{name}");
        let named: Vec<_> = facts["commands"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(commands(messages), named, "{name}");
        assert!(messages.iter().all(|message| message.get("values_error").is_none()), "{name}");
    });
}

#[test]
fn item_043_every_capture_replays_the_same_byte_by_byte() {
    each_direction(|Direction { name, side, bytes, .. }| {
        let whole = replayed(*side, bytes, usize::MAX);
        for cut in [1, 7, 1460] {
            assert_eq!(replayed(*side, bytes, cut), whole, "{name}, cut {cut}");
        }
    });
}

#[test]
fn item_113_a_capture_that_ends_at_any_byte_shows_what_came_before() {
    let folder = folder();
    for (name, side) in [("ff5-publish-nginx.s2c", Side::Client), ("gstlib-play-nms2.c2s", Side::Server)] {
        let bytes = fs::read(folder.join(format!("{name}.bin"))).unwrap();
        let (whole, _) = replayed(side, &bytes, usize::MAX);
        let mut ends = 0;
        for end in 0..bytes.len() {
            let (shown, result) = replayed(side, &bytes[..end], usize::MAX);
            assert_eq!(shown, whole[..shown.len()], "{name}, {end}");
            match result {
                Ok(()) => ends += 1,
                Err(Error::EndsInHandshake) => assert!(end < 3073 && shown.is_empty(), "{name}, {end}"),
                Err(error) => assert_eq!((error, end > 3073), (Error::EndsInMessage, true), "{name}, {end}"),
            }
        }
        // The end of the handshake and of each message except the last is a valid end.
        assert_eq!(ends, whole.len() - 1, "{name}");
    }
}
