//! Reads or writes one session repeatedly under an instruction counter. host-tests/bench runs it.
//!
//! `bench ROW CHUNK_SIZE COUNT` processes the session COUNT times and prints its length on the wire in bytes, once.
//! The session: 30 s of 25 frames a second at about 2 Mbit/s, and AAC, in segments of 1,460 bytes. For each fragment of a
//! message, the reader of the session adds its length, and looks at its first and last byte.

use std::hint::black_box;
use std::process::ExitCode;

use embedded_rtmp::chunk::{ChunkStreamId, Reader, WriteProgress, Writer};
use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp::time::Instant;

/// The payload of a TCP segment in bytes.
const SEGMENT: usize = 1_460;

/// A frame of video or audio, with its time in ms.
struct Frame {
    kind: MessageKind,
    at: u32,
    payload: Vec<u8>,
}

/// The frames of the session: every two seconds a keyframe of 40 to 120 KB, otherwise pictures of 4 to 12 KB, and every 23 ms
/// an AAC frame of 180 to 220 bytes.
fn frames() -> Vec<Frame> {
    let mut seed = 1_u32;
    let mut between = |low: u32, high: u32| {
        // The generator of Numerical Recipes: its high bits are good enough for lengths.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (seed >> 8) % (high - low + 1)
    };
    let mut frames = Vec::new();
    for n in 0..750 {
        let length = if n % 50 == 0 { between(40_000, 120_000) } else { between(4_000, 12_000) };
        frames.push(Frame { kind: MessageKind::VIDEO, at: n * 40, payload: vec![n as u8; length as usize] });
    }
    for n in 0..30_000 / 23 {
        let payload = vec![n as u8; between(180, 220) as usize];
        frames.push(Frame { kind: MessageKind::AUDIO, at: n * 23, payload });
    }
    frames.sort_by_key(|frame| frame.at);
    frames
}

/// What the reader of the session knows of it: the number of bytes of media, and the exclusive or of the first and last
/// byte of each fragment.
#[derive(Default)]
struct Seen {
    length: usize,
    bytes: u8,
}

impl Seen {
    fn look_at(&mut self, fragment: &[u8]) {
        self.length += fragment.len();
        if let [first, .., last] | [first @ last] = fragment {
            self.bytes ^= first ^ last;
        }
    }
}

fn csid(kind: MessageKind) -> ChunkStreamId {
    ChunkStreamId::new(if kind == MessageKind::VIDEO { 6 } else { 4 }).expect("a chunk stream id")
}

/// Writes the session, in pieces of up to `window` bytes.
fn write(frames: &[Frame], chunk_size: u32, out: &mut [u8], mut send: impl FnMut(&[u8])) {
    let mut writer = Writer::<4>::new();
    writer.set_chunk_size(chunk_size);
    let mut filled = 0;
    for frame in frames {
        let header = MessageHeader {
            timestamp: Timestamp(frame.at),
            length: frame.payload.len() as u32,
            kind: frame.kind,
            stream: StreamId(1),
        };
        writer.begin(csid(frame.kind), header).expect("a message");
        let mut rest = &frame.payload[..];
        loop {
            let WriteProgress { taken, written, done, .. } = writer.poll(csid(frame.kind), rest, &mut out[filled..]);
            rest = &rest[taken..];
            filled += written;
            if done {
                break;
            }
            send(&out[..filled]);
            filled = 0;
        }
    }
    send(&out[..filled]);
}

/// All bytes that a publisher sends in the session.
fn published(frames: &[Frame], chunk_size: u32) -> Vec<u8> {
    let (mut scratch, mut control) = ([0; 1536], [0; 512]);
    let (mut their_scratch, mut their_control) = ([0; 1536], [0; 512]);
    let mut config = ClientConfig::new();
    config.chunk_size = chunk_size;
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client = Client::<8>::new(buffers, config, &[1; 32]).expect("a client");
    let buffers = SessionBuffers { scratch: &mut their_scratch, control: &mut their_control };
    let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[2; 32]).expect("a server");
    let options = ConnectOptions::new("live", &["rtmp://host/live"]);
    client.connect(&options).expect("connects");
    client.publish("key").expect("publishes");
    let (now, mut sent, mut out, mut answer) = (Instant::from_micros(0), Vec::new(), vec![0; 65_536], [0; 4096]);
    while client.publishing().is_none() {
        let written = client.poll_transmit(now, &mut out);
        sent.extend_from_slice(&out[..written]);
        let mut input = &out[..written];
        loop {
            serve(&mut server, &mut input, &mut Seen::default());
            // Input that is not consumed yet waits for this output.
            let answered = server.poll_transmit(now, &mut answer);
            let mut answer = &answer[..answered];
            while let Some(event) = client.next_event(now, &mut answer).expect("goes on") {
                assert!(!matches!(event, ClientEvent::Refused(..)));
            }
            if input.is_empty() && answered == 0 {
                break;
            }
        }
    }
    for frame in frames {
        let stream = client.publishing().expect("publishes");
        let length = frame.payload.len() as u32;
        let csid = client.begin_media(frame.kind, stream, Timestamp(frame.at), length).expect("a message");
        let mut rest = &frame.payload[..];
        while client.media_left(csid).is_some() {
            let WriteProgress { taken, written, .. } = client.poll_media(csid, rest, &mut out);
            rest = &rest[taken..];
            sent.extend_from_slice(&out[..written]);
        }
    }
    sent
}

/// Consumes all of `input` and accepts every request.
fn serve(server: &mut Server<'_>, input: &mut &[u8], seen: &mut Seen) {
    loop {
        let mut connects = false;
        let mut publishes = None;
        match server.next_event(Instant::from_micros(0), input).expect("goes on") {
            Some(ServerEvent::Media(fragment)) => {
                seen.look_at(fragment.data);
                continue;
            }
            Some(ServerEvent::Connect(_)) => connects = true,
            Some(ServerEvent::Publish { stream, .. }) => publishes = Some(stream),
            Some(_) => {}
            None => return,
        }
        if connects {
            server.accept_connect().expect("asked");
        }
        if let Some(stream) = publishes {
            server.accept(stream).expect("asked");
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [row, chunk_size, count] = &arguments[..] else { return usage() };
    let (Ok(chunk_size), Ok(count)) = (chunk_size.parse::<u32>(), count.parse::<u32>()) else { return usage() };
    let frames = frames();
    let payload: usize = frames.iter().map(|frame| frame.payload.len()).sum();
    let mut wire = Vec::new();
    let mut large = vec![0; 8 << 20];
    match row.as_str() {
        "server" => wire = published(&frames, chunk_size),
        _ => write(&frames, chunk_size, &mut large, |bytes| wire.extend_from_slice(bytes)),
    }
    for _ in 0..count {
        match row.as_str() {
            "decode" => {
                let (mut reader, mut seen) = (Reader::<8>::new(), Seen::default());
                reader.set_chunk_size(chunk_size).expect("a chunk size");
                for mut segment in wire.chunks(SEGMENT) {
                    while let Some(fragment) = reader.next_fragment(&mut segment).expect("goes on") {
                        seen.look_at(fragment.data);
                    }
                }
                assert_eq!(black_box(seen).length, payload);
            }
            "server" => {
                let (mut scratch, mut control, mut out) = ([0; 1536], [0; 512], [0; 4096]);
                let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
                let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[2; 32]).expect("a server");
                let mut seen = Seen::default();
                for mut segment in wire.chunks(SEGMENT) {
                    serve(&mut server, &mut segment, &mut seen);
                    while !segment.is_empty() {
                        black_box(server.poll_transmit(Instant::from_micros(0), &mut out));
                        serve(&mut server, &mut segment, &mut seen);
                    }
                }
                assert_eq!(black_box(seen).length, payload);
            }
            "encode" => {
                let mut out = [0; SEGMENT];
                write(&frames, chunk_size, black_box(&mut out), |bytes| {
                    black_box(bytes);
                });
            }
            "encode_large" => write(&frames, chunk_size, black_box(&mut large), |bytes| {
                black_box(bytes);
            }),
            _ => return usage(),
        }
    }
    println!("{}", wire.len());
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: bench decode|server|encode|encode_large CHUNK_SIZE COUNT");
    ExitCode::from(2)
}
