//! Streams over HTTP and WebSocket.

use super::*;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::media::flv::{Tag, Tags};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use crate::relay::{Generation, HeaderEntry, Overtaken, Player, RelayConfig, Ring, StreamBuffers};

const CONFIGURATION: &[u8] = b"\x17\x00\x00\x00\x00cfg";
const METADATA: &[u8] = b"\x02\x00\x0AonMetaData\x05";

fn ring(length: usize) -> Ring<'static> {
    let entries = vec![HeaderEntry::new(); 8].leak();
    let buffers = StreamBuffers { ring: vec![0xEE; length].leak(), headers: vec![0; 256].leak(), entries };
    Ring::new(buffers, &RelayConfig::new())
}

/// Pushes a part of a message.
fn push_part(ring: &mut Ring<'_>, kind: MessageKind, millis: u32, payload: &[u8], from: usize, to: usize) {
    let header =
        MessageHeader { timestamp: Timestamp(millis), length: payload.len() as u32, kind, stream: StreamId(1) };
    let csid = ChunkStreamId::new(u32::from(kind.0)).unwrap();
    ring.push(NOW, &Fragment { csid, header, offset: from as u32, data: &payload[from..to] });
}

fn push(ring: &mut Ring<'_>, kind: MessageKind, millis: u32, payload: &[u8]) {
    push_part(ring, kind, millis, payload, 0, payload.len());
}

/// A picture of `length` bytes.
fn picture(is_key: bool, number: u8, length: usize) -> Vec<u8> {
    let mut payload = vec![number; length];
    payload[..2].copy_from_slice(if is_key { b"\x17\x01" } else { b"\x27\x01" });
    payload
}

const PUBLISHED: Generation = Generation::ENDED.next();

/// A viewer that reads through a window.
struct Watcher {
    connection: WebConnection<256>,
    player: Player,
    received: Vec<u8>,
    window: usize,
}

impl Watcher {
    fn new(text: &str, window: usize) -> Self {
        let mut connection = WebConnection::new(NOW);
        let mut input = text.as_bytes();
        while let Some(event) = connection.next_event(NOW, &mut input, &CONFIG) {
            assert!(matches!(event, WebEvent::Request(_)), "{event:?}");
            connection.accept(NOW);
        }
        assert!(input.is_empty() && connection.is_streaming());
        let player = Player::new(StreamId(1), PUBLISHED);
        Self { connection, player, received: Vec::new(), window }
    }

    /// Reads all that there is.
    fn read(&mut self, ring: &Ring<'_>, generation: Generation) -> Result<(), Overtaken> {
        loop {
            let mut out = vec![0; self.window];
            let written = match self.connection.is_streaming() {
                true => self.connection.poll_stream(NOW, &mut out, &mut self.player, Some(ring), generation)?,
                false => self.connection.poll_transmit(NOW, &mut out),
            };
            self.received.extend_from_slice(&out[..written]);
            if written == 0 {
                return Ok(());
            }
        }
    }

    /// The body of the answer, without its framing, and whether its end is marked.
    fn body(&self) -> (Vec<u8>, bool) {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, mut rest) = self.received.split_at(end);
        let head = std::str::from_utf8(head).unwrap();
        let (mut body, mut is_ended) = (Vec::new(), false);
        if head.contains("chunked") {
            while !rest.is_empty() {
                let digits = rest.windows(2).position(|window| window == b"\r\n").unwrap();
                let length = usize::from_str_radix(std::str::from_utf8(&rest[..digits]).unwrap(), 16).unwrap();
                body.extend_from_slice(&rest[digits + 2..][..length]);
                assert!(!is_ended && rest[digits + 2 + length..].starts_with(b"\r\n"));
                rest = &rest[digits + 4 + length..];
                is_ended = length == 0;
            }
        } else if head.contains("101") {
            while let [first, second, more @ ..] = rest {
                let (length, more) = match second {
                    126 => (usize::from(u16::from_be_bytes([more[0], more[1]])), &more[2..]),
                    second => (usize::from(*second), more),
                };
                match first {
                    0x82 => body.extend_from_slice(&more[..length]),
                    0x88 => is_ended = true,
                    0x8A => assert_eq!(&more[..length], b"are you there?"),
                    first => panic!("{first:#x}"),
                }
                rest = &more[length..];
            }
        } else {
            body = rest.to_vec();
        }
        (body, is_ended)
    }

    /// The tags of the file, each with its kind, timestamp, length, and second byte of payload.
    fn tags(&self) -> Vec<(u8, u32, usize, u8)> {
        let (body, _) = self.body();
        let mut back = &body[9..];
        // Each back pointer has the length of the tag before it.
        let mut length = 0;
        while let Some((pointer, tag)) = back.split_first_chunk::<4>() {
            assert_eq!(u32::from_be_bytes(*pointer), length);
            let Some(header) = tag.get(..11) else { break };
            length = 11 + u32::from_be_bytes([0, header[1], header[2], header[3]]);
            back = tag.get(length as usize..).unwrap_or(&[]);
        }
        let describe = |Tag { kind, timestamp, data }: Tag<'_>| {
            (kind.0, timestamp.0, data.len(), data.get(2).copied().unwrap_or(0))
        };
        Tags::file(&body).unwrap().map(describe).collect()
    }
}

fn requests() -> [String; 3] {
    [
        get("/live/x.flv", ""),
        get("/live/x.flv", UPGRADE),
        "GET /live/x.flv HTTP/1.0\r\nHost: localhost\r\n\r\n".to_string(),
    ]
}

#[test]
fn a_late_viewer_begins_with_the_headers_and_the_last_keyframe_in_one_poll() {
    let mut ring = ring(10_000);
    push(&mut ring, MessageKind::DATA, 0, METADATA);
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::AUDIO, 0, b"\xAF\x00\x12\x10");
    for number in 0..10 {
        push(&mut ring, MessageKind::VIDEO, 40 * u32::from(number), &picture(number % 5 == 0, number, 300));
        push(&mut ring, MessageKind::AUDIO, 40 * u32::from(number) + 5, &[0xAF, 1, number, 0]);
    }
    for request in requests() {
        let mut watcher = Watcher::new(&request, 1_024);
        let mut out = [0; 4_096];
        let written =
            watcher.connection.poll_stream(NOW, &mut out, &mut watcher.player, Some(&ring), PUBLISHED).unwrap();
        watcher.received = out[..written].to_vec();
        let tags = watcher.tags();
        let expected: Vec<_> = [(18, 200, 14, 0x0A), (9, 200, 8, 0), (8, 200, 4, 0x12)]
            .into_iter()
            .chain((5..10).flat_map(|number: u8| {
                let millis = 40 * u32::from(number);
                [(9, millis, 300, number), (8, millis + 5, 4, number)]
            }))
            .collect();
        assert_eq!(tags, expected, "{request}");
        assert_eq!(watcher.player.played().sent, 13);
        let (body, _) = watcher.body();
        assert_eq!(body[4], 5, "audio and video");
    }
}

#[test]
fn a_stream_is_the_same_through_any_window_and_at_any_arrival() {
    for request in requests() {
        let mut expected = None;
        for window in [1, 2, 7, 63, 64, 65, 100, 1_460, 100_000] {
            let mut ring = ring(200_000);
            let mut watcher = Watcher::new(&request, window);
            push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
            watcher.read(&ring, PUBLISHED).unwrap();
            for number in 0..6_u8 {
                let payload = picture(number == 0, number, [2, 500, 130, 70_000, 3, 126][usize::from(number)]);
                let middle = payload.len() / 3;
                push_part(&mut ring, MessageKind::VIDEO, 40 * u32::from(number), &payload, 0, middle);
                watcher.read(&ring, PUBLISHED).unwrap();
                push_part(&mut ring, MessageKind::VIDEO, 40 * u32::from(number), &payload, middle, payload.len());
                watcher.read(&ring, PUBLISHED).unwrap();
            }
            let (body, is_ended) = watcher.body();
            assert!(!is_ended && watcher.connection.is_streaming());
            // The publisher leaves.
            ring.end();
            watcher.read(&ring, PUBLISHED.next()).unwrap();
            assert!(!watcher.connection.is_streaming());
            let (whole, is_ended) = watcher.body();
            assert_eq!(whole, body);
            assert_eq!(is_ended, !request.contains("HTTP/1.0"), "{request}");
            assert_eq!(watcher.connection.is_over(), !request.contains("8080\r\n\r\n"), "{request}");
            assert_eq!(*expected.get_or_insert(body.clone()), body, "{window}");
            assert_eq!(watcher.tags().len(), 7, "{window}");
        }
    }
}

#[test]
fn after_a_stream_in_chunks_the_connection_serves_further_requests() {
    let mut ring = ring(10_000);
    let text = [get("/live/x.flv", ""), get("/page.css", "")].concat();
    let (first, second) = text.split_at(get("/live/x.flv", "").len());
    let mut watcher = Watcher::new(first, 100);
    push(&mut ring, MessageKind::AUDIO, 7, b"\xAF\x01x");
    watcher.read(&ring, PUBLISHED).unwrap();
    let mut input = second.as_bytes();
    assert_eq!(watcher.connection.next_event(NOW, &mut input, &CONFIG), None);
    assert_eq!(input.len(), second.len(), "the next request waits");
    ring.end();
    watcher.read(&ring, PUBLISHED.next()).unwrap();
    watcher.received.clear();
    assert!(matches!(watcher.connection.next_event(NOW, &mut input, &CONFIG), Some(WebEvent::Request(_))));
    watcher.connection.accept(NOW);
    watcher.read(&ring, PUBLISHED.next()).unwrap();
    assert!(watcher.received.ends_with(page::STYLE.as_bytes()));
}

#[test]
fn a_websocket_answers_pings_and_closes_when_its_client_does() {
    for (frames, pongs, code) in [
        // A ping, a message and a close frame with a status; then two pings in a row.
        (&b"\x89\x8E\0\0\0\0are you there?\x82\x83\0\0\0\0abc\x88\x82\0\0\0\0\x03\xE9"[..], 1, Some(1001_u16)),
        (b"\x89\x8E\0\0\0\0are you there?\x89\x8E\0\0\0\0are you there?", 2, None),
        (b"\x88\x80\0\0\0\0", 0, Some(0)),
        // Frames must be masked.
        (b"\x89\x00", 0, Some(1002)),
        (b"\x8F\x80\0\0\0\0", 0, Some(1002)),
    ] {
        for (cut, window) in [(usize::MAX, 1_000), (1, 1), (3, 7)] {
            let mut ring = ring(10_000);
            let mut watcher = Watcher::new(&requests()[1], window);
            push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
            push(&mut ring, MessageKind::VIDEO, 0, &picture(true, 1, 500));
            let mut rest = frames;
            while !rest.is_empty() && !watcher.connection.is_over() {
                let mut piece = &rest[..cut.min(rest.len())];
                let offered = piece.len();
                assert_eq!(watcher.connection.next_event(NOW, &mut piece, &CONFIG), None);
                rest = &rest[offered - piece.len()..];
                watcher.read(&ring, PUBLISHED).unwrap();
            }
            assert_eq!(watcher.received.windows(14).filter(|window| window == b"are you there?").count(), pongs);
            assert_eq!(watcher.connection.is_over(), code.is_some(), "{frames:?}");
            let (_, is_ended) = watcher.body();
            assert_eq!(is_ended, code.is_some());
            match code {
                Some(0) => assert!(watcher.received.ends_with(b"\x88\x00")),
                Some(code) => assert_eq!(watcher.received[watcher.received.len() - 2..], code.to_be_bytes()),
                None => assert_eq!(watcher.tags().len(), 2),
            }
        }
    }
}

#[test]
fn a_viewer_that_does_not_read_skips_frames_or_is_disconnected() {
    for request in requests() {
        let mut ring = ring(4_000);
        push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
        let mut between = Watcher::new(&request, 100_000);
        push(&mut ring, MessageKind::VIDEO, 0, &picture(true, 0, 500));
        between.read(&ring, PUBLISHED).unwrap();
        // Another one stops inside of a picture.
        let mut inside = Watcher::new(&request, 400);
        let mut out = [0; 500];
        let _ = inside.connection.poll_stream(NOW, &mut out, &mut inside.player, Some(&ring), PUBLISHED).unwrap();
        for number in 1..20_u8 {
            push(&mut ring, MessageKind::VIDEO, 40 * u32::from(number), &picture(number % 5 == 0, number, 500));
        }
        between.read(&ring, PUBLISHED).unwrap();
        let pictures: Vec<_> = between.tags().iter().filter(|tag| tag.2 == 500).map(|tag| tag.3).collect();
        assert_eq!(pictures, [0, 15, 16, 17, 18, 19]);
        assert_eq!(between.player.played().skipped, 14);
        let result = inside.connection.poll_stream(NOW, &mut [], &mut inside.player, Some(&ring), PUBLISHED);
        assert_eq!(result, Err(Overtaken));
    }
}

#[test]
fn a_viewer_is_disconnected_if_its_output_is_stuck_but_not_if_there_is_nothing_to_send() {
    let at = |seconds: u64| Instant::from_millis(100_000 + seconds * 1_000);
    let ring = ring(4_000);
    for has_output in [false, true] {
        let mut watcher = Watcher::new(&requests()[0], 10_000);
        watcher.read(&ring, PUBLISHED).unwrap();
        for second in 0..100 {
            watcher.connection.handle_timeout(at(second), &CONFIG, has_output);
        }
        assert_eq!(watcher.connection.is_over(), has_output);
    }
}

#[test]
fn the_header_of_the_file_says_what_the_stream_has() {
    for (kinds, flags) in [(&[9_u8][..], 1), (&[8], 4), (&[8, 9], 5), (&[], 5)] {
        let mut ring = ring(4_000);
        for number in 0..20 {
            for kind in kinds {
                let payload: &[u8] = if *kind == 9 { b"\x17\x01k" } else { b"\x2F\x01a" };
                push(&mut ring, MessageKind(*kind), number, payload);
            }
        }
        let mut watcher = Watcher::new(&requests()[2], 10_000);
        watcher.read(&ring, PUBLISHED).unwrap();
        assert_eq!(watcher.body().0[..5], [b'F', b'L', b'V', 1, flags]);
    }
}

#[test]
fn media_goes_to_the_output_with_one_copy() {
    use crate::bytes::counted;
    let mut ring = ring(20_000);
    let payload = vec![counted::MARK; 10_000];
    let mut first = payload.clone();
    first[..2].copy_from_slice(b"\x17\x01");
    push(&mut ring, MessageKind::VIDEO, 0, &first);
    for request in requests() {
        let mut watcher = Watcher::new(&request, 4_096);
        counted::take();
        watcher.read(&ring, PUBLISHED).unwrap();
        assert_eq!(counted::take(), 9_998, "{request}");
    }
}

/// Sequence headers of FFmpeg 9.
const AVC: &[u8] = b"\x17\0\0\0\0\x01\x64\0\x0b\xff\xe1\0\x19\x67\x64\0\x0b\xac\xd9\x42\x8d\xf9\x30\x11\
    \0\0\x03\0\x01\0\0\x03\0\x32\x0f\x14\x29\x96\x01\0\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\0";
const AAC: &[u8] = b"\xaf\0\x11\x90\x56\xe5\0";

/// The boxes of a file: their names and lengths.
fn boxes(mut body: &[u8]) -> Vec<(String, usize)> {
    let mut boxes = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        boxes.push((String::from_utf8_lossy(&rest[..4]).into_owned(), length));
        body = &body[length..];
    }
    boxes
}

/// A picture as a message: its payload has 5 bytes before the frame.
fn avc_picture(is_key: bool, number: u8, length: usize) -> Vec<u8> {
    let mut payload = vec![number; length];
    payload[..5].copy_from_slice(if is_key { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" });
    payload
}

#[test]
fn a_stream_as_mp4_is_the_same_through_any_window_and_at_any_arrival() {
    for request in requests().map(|request| request.replace(".flv", ".mp4")) {
        let mut expected = None;
        for window in [1, 2, 7, 63, 64, 65, 300, 1_460, 100_000] {
            let mut ring = ring(200_000);
            let mut watcher = Watcher::new(&request, window);
            push(&mut ring, MessageKind::VIDEO, 0, AVC);
            push(&mut ring, MessageKind::AUDIO, 0, AAC);
            watcher.read(&ring, PUBLISHED).unwrap();
            for number in 0..6_u8 {
                let millis = 40 * u32::from(number);
                let payload = avc_picture(number == 0, number, [9, 500, 130, 70_000, 6, 126][usize::from(number)]);
                for (from, to) in [(0, 3), (3, payload.len() / 2), (payload.len() / 2, payload.len())] {
                    push_part(&mut ring, MessageKind::VIDEO, millis, &payload, from, to);
                    watcher.read(&ring, PUBLISHED).unwrap();
                }
                push(&mut ring, MessageKind::AUDIO, millis, b"\xaf\x01audio");
                watcher.read(&ring, PUBLISHED).unwrap();
            }
            ring.end();
            watcher.read(&ring, PUBLISHED.next()).unwrap();
            let (body, is_ended) = watcher.body();
            assert_eq!(is_ended, !request.contains("HTTP/1.0"), "{request}");
            let names: Vec<_> = boxes(&body).into_iter().map(|(name, _)| name).collect();
            let frames = ["moof", "mdat"].repeat(12);
            assert_eq!(names, [&["ftyp", "moov"][..], &frames].concat(), "{window}");
            let lengths: usize =
                boxes(&body).iter().filter(|(name, _)| name == "mdat").map(|(_, length)| length - 8).sum();
            assert_eq!(lengths, 4 + 495 + 125 + 69_995 + 1 + 121 + 6 * 5);
            assert_eq!(*expected.get_or_insert(body.clone()), body, "{window}");
        }
    }
}

#[test]
fn a_late_viewer_of_mp4_gets_the_codecs_the_segment_and_the_last_keyframe_in_one_poll() {
    let mut ring = ring(10_000);
    push(&mut ring, MessageKind::VIDEO, 0, AVC);
    push(&mut ring, MessageKind::AUDIO, 0, AAC);
    for number in 0..10 {
        push(&mut ring, MessageKind::VIDEO, 40 * u32::from(number), &avc_picture(number % 5 == 0, number, 300));
    }
    let mut watcher = Watcher::new(&get("/live/x.mp4", ""), 1_024);
    let mut out = [0; 4_096];
    let written = watcher.connection.poll_stream(NOW, &mut out, &mut watcher.player, Some(&ring), PUBLISHED).unwrap();
    watcher.received = out[..written].to_vec();
    let head = String::from_utf8_lossy(&watcher.received);
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: video/mp4; codecs=\"avc1.64000b,mp4a.40.2\"\r\n"),
        "{head}"
    );
    let names: Vec<_> = boxes(&watcher.body().0).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&["ftyp", "moov"][..], &["moof", "mdat"].repeat(5)].concat());
}

#[test]
fn a_response_with_mp4_ends_when_the_configuration_changes() {
    for window in [1, 100, 10_000] {
        let mut ring = ring(10_000);
        push(&mut ring, MessageKind::VIDEO, 0, AVC);
        push(&mut ring, MessageKind::VIDEO, 0, &avc_picture(true, 0, 300));
        let mut watcher = Watcher::new(&get("/live/x.mp4", ""), window);
        watcher.read(&ring, PUBLISHED).unwrap();
        assert!(watcher.connection.is_streaming());
        push(&mut ring, MessageKind::AUDIO, 0, AAC);
        push(&mut ring, MessageKind::VIDEO, 40, &avc_picture(false, 1, 300));
        watcher.read(&ring, PUBLISHED).unwrap();
        assert!(watcher.connection.is_streaming(), "without a frame of it, another track changes nothing");
        push(&mut ring, MessageKind::AUDIO, 40, b"\xaf\x01audio");
        push(&mut ring, MessageKind::VIDEO, 80, &avc_picture(false, 2, 300));
        watcher.read(&ring, PUBLISHED).unwrap();
        let (body, is_ended) = watcher.body();
        assert!(is_ended && !watcher.connection.is_streaming() && !watcher.connection.is_over());
        assert_eq!(boxes(&body).len(), 2 + 2 * 2, "{window}");
    }
}
