//! Tests of the sessions, with a fake clock: client and server against each other, and each against scripted peers.

mod attack;
mod flow;
mod hostile;
mod hostile_chunks;
mod long;
mod mixed;
mod player_client;
mod players;
mod publish;
mod random;
mod script;
mod scripted_client;
mod scripted_server;
mod timeouts;

use script::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::chunk::{ChunkStreamId, Reader};
use crate::command::ConnectOptions;
use crate::message::{Header, Kind, StreamId, Timestamp};
use crate::time::Instant;

pub(super) const START: Instant = Instant::from_millis(1_000);

pub(super) const OPTIONS: ConnectOptions<'static> =
    ConnectOptions { app: "live", tc_url: &["rtmp://", "host", "/", "live"], flash_ver: ConnectOptions::FLASH_VER };

/// What happened, without borrowing anything.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    HandshakeDone(handshake::Kind),
    Connected,
    Publishing(u32),
    Playing(u32),
    /// Transaction, whether it succeeded, the second value.
    Answer(u32, bool, String),
    /// Stream, timestamp, name, body.
    Data(u32, u32, String, Vec<u8>),
    Refused(Stage, String, String),
    Status(u32, String),
    Unpublished,
    Closed,
    Connect(String, String),
    Publish(u32, String),
    Ended(u32),
    /// Stream, name, start, duration, reset.
    Play(u32, String, crate::command::Start, Option<u32>, bool),
    Stopped(u32),
    Pause(u32, bool, u32),
    Seek(u32, u32),
    Receive(u32, u8, bool),
    Switch(u32, String, String),
    StreamLength(String),
    /// Stream, name, the bits of the transaction.
    Call(u32, String, u64),
    User(crate::control::Event),
    /// Stream, kind, timestamp, payload; fragments are put together.
    Message(u32, u8, u32, Vec<u8>),
}

/// Puts the fragments of media messages together.
#[derive(Default)]
pub(super) struct Collector(Vec<(ChunkStreamId, Vec<u8>)>);

impl Collector {
    fn add(&mut self, fragment: &crate::chunk::Fragment<'_>) -> Option<Seen> {
        if fragment.is_first() {
            self.0.retain(|(csid, _)| *csid != fragment.csid);
            self.0.push((fragment.csid, Vec::new()));
        }
        let index = self.0.iter().position(|(csid, _)| *csid == fragment.csid).expect("begins with offset 0");
        assert_eq!(self.0[index].1.len(), fragment.offset as usize);
        self.0[index].1.extend_from_slice(fragment.data);
        let Header { timestamp, kind, stream, .. } = fragment.header;
        fragment.is_last().then(|| Seen::Message(stream.0, kind.0, timestamp.0, self.0.remove(index).1))
    }
}

pub(super) fn see_client(event: ClientEvent<'_>, collector: &mut Collector) -> Option<Seen> {
    Some(match event {
        ClientEvent::HandshakeDone(kind) => Seen::HandshakeDone(kind),
        ClientEvent::Connected => Seen::Connected,
        ClientEvent::Publishing(stream) => Seen::Publishing(stream.0),
        ClientEvent::Refused(stage, status) => {
            Seen::Refused(stage, status.code.to_string(), status.description.to_string())
        }
        ClientEvent::Status(stream, status) => Seen::Status(stream.0, status.code.to_string()),
        ClientEvent::Unpublished => Seen::Unpublished,
        ClientEvent::Closed => Seen::Closed,
        ClientEvent::Media(fragment) => return collector.add(&fragment),
        ClientEvent::Playing(stream) => Seen::Playing(stream.0),
        ClientEvent::Answer { transaction, succeeded, mut values } => {
            let _ = values.next_token();
            Seen::Answer(transaction, succeeded, std::format!("{:?}", values.next_token()))
        }
        ClientEvent::Call { stream, command } => {
            Seen::Call(stream.0, command.name.to_string(), command.transaction.to_bits())
        }
        ClientEvent::Data { stream, timestamp, message } => {
            Seen::Data(stream.0, timestamp.0, message.name.to_string(), message.body.to_vec())
        }
        ClientEvent::User(event) => Seen::User(event),
    })
}

pub(super) fn see_server(event: ServerEvent<'_>, collector: &mut Collector) -> Option<Seen> {
    Some(match event {
        ServerEvent::HandshakeDone(kind) => Seen::HandshakeDone(kind),
        ServerEvent::Connect(request) => Seen::Connect(request.app.to_string(), request.tc_url.to_string()),
        ServerEvent::Publish { stream, key } => Seen::Publish(stream.0, key.to_string()),
        ServerEvent::Unpublished(stream) => Seen::Ended(stream.0),
        ServerEvent::Media(fragment) => return collector.add(&fragment),
        ServerEvent::Play { stream, request } => {
            let crate::command::PlayRequest { name, start, duration, reset } = request;
            Seen::Play(stream.0, name.to_string(), start, duration, reset)
        }
        ServerEvent::Stopped(stream) => Seen::Stopped(stream.0),
        ServerEvent::Pause { stream, paused, at } => Seen::Pause(stream.0, paused, at),
        ServerEvent::Seek { stream, to } => Seen::Seek(stream.0, to),
        ServerEvent::Receive { stream, kind, wanted } => Seen::Receive(stream.0, kind.0, wanted),
        ServerEvent::Switch { stream, request } => {
            Seen::Switch(stream.0, request.old.to_string(), request.new.to_string())
        }
        ServerEvent::StreamLength { name } => Seen::StreamLength(name.to_string()),
        ServerEvent::Call { stream, command } => {
            Seen::Call(stream.0, command.name.to_string(), command.transaction.to_bits())
        }
        ServerEvent::User(event) => Seen::User(event),
    })
}

/// Memory for a session, which a test may leave behind.
pub(super) fn buffers(control: usize) -> Buffers<'static> {
    Buffers { scratch: vec![0; 1_536].leak(), control: vec![0; control].leak() }
}

pub(super) fn client() -> Client<'static, 8> {
    Client::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap()
}

pub(super) fn server() -> Server<'static, 8> {
    Server::new(buffers(512), ServerConfig::new(), &[9; 32]).unwrap()
}

/// What a session does with `input`, in pieces of `cut` bytes: what it sees, what is left, and what it puts out into
/// windows of `window` bytes. A macro, since the two sessions have the same verbs and no common trait.
macro_rules! drive {
    ($session:expr, $input:expr, $cut:expr, $window:expr, $collector:expr, $see:path, $decide:expr) => {{
        let (mut seen, mut output) = (Vec::new(), Vec::new());
        let input: &[u8] = $input;
        let mut result = Ok(());
        let mut out = vec![0xEE; $window];
        for piece in input.chunks($cut).chain([&[][..]]) {
            let mut rest = piece;
            loop {
                let found = match $session.next_event(START, &mut rest) {
                    Ok(found) => found.map(|event| $see(event, $collector)),
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                };
                if let Some(Some(event)) = &found {
                    #[allow(clippy::redundant_closure_call)]
                    ($decide)(&mut *$session, event);
                    seen.push(event.clone());
                }
                let mut moved = found.is_some();
                loop {
                    let length = $session.transmit_len();
                    let written = $session.poll_transmit(START, &mut out);
                    assert_eq!(written, length.min($window), "transmit_len tells what can be sent");
                    output.extend_from_slice(&out[..written]);
                    moved |= written > 0;
                    if written == 0 {
                        break;
                    }
                }
                assert_eq!(length_hint(&$session.wants_transmit()), 0);
                if !moved {
                    break;
                }
            }
            if result.is_err() {
                break;
            }
            assert!(rest.is_empty() || !$session.wants_input(), "input is left that is wanted");
            if !rest.is_empty() {
                break;
            }
        }
        (seen, output, result)
    }};
}
pub(super) use drive;

pub(super) fn length_hint(wants: &bool) -> usize {
    usize::from(*wants)
}

/// What a session saw, what it put out, and whether it failed.
pub(super) type Driven = (Vec<Seen>, Vec<u8>, Result<(), Error>);

pub(super) fn drive_client(
    client: &mut Client<'_, 8>,
    input: &[u8],
    cut: usize,
    window: usize,
    collector: &mut Collector,
) -> Driven {
    drive!(client, input, cut, window, collector, see_client, |_: &mut Client<'_, 8>, _: &Seen| {})
}

/// As [`drive_client`]; the server accepts whatever comes.
pub(super) fn drive_server(
    server: &mut Server<'_, 8>,
    input: &[u8],
    cut: usize,
    window: usize,
    collector: &mut Collector,
) -> Driven {
    drive!(server, input, cut, window, collector, see_server, |server: &mut Server<'_, 8>, event: &Seen| match event {
        Seen::Connect(..) => server.accept_connect().unwrap(),
        Seen::Publish(stream, _) => server.accept(StreamId(*stream)).unwrap(),
        Seen::Play(stream, .., reset) => server.accept_play(StreamId(*stream), *reset).unwrap(),
        _ => {}
    })
}

/// A client and a server, with the bytes on their way between them.
pub(super) struct Pair {
    pub(super) client: Client<'static, 8>,
    pub(super) server: Server<'static, 8>,
    collectors: [Collector; 2],
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    pub(super) client_saw: Vec<Seen>,
    pub(super) server_saw: Vec<Seen>,
    /// All that either side has sent.
    pub(super) sent: [Vec<u8>; 2],
    pub(super) cut: usize,
    pub(super) window: usize,
}

impl Pair {
    pub(super) fn new(client: Client<'static, 8>, server: Server<'static, 8>, cut: usize, window: usize) -> Pair {
        Pair {
            client,
            server,
            collectors: Default::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_saw: Vec::new(),
            server_saw: Vec::new(),
            sent: Default::default(),
            cut,
            window,
        }
    }

    /// A pair in which the client publishes under `key`.
    pub(super) fn publishing(key: &'static str, cut: usize, window: usize) -> Pair {
        let mut pair = Pair::new(client(), server(), cut, window);
        pair.client.connect(&OPTIONS).unwrap();
        pair.client.publish(key).unwrap();
        pair.run();
        assert_eq!(pair.client.publishing(), Some(StreamId(1)));
        pair
    }

    /// Lets bytes flow until nothing moves any more.
    pub(super) fn run(&mut self) {
        loop {
            let input = core::mem::take(&mut self.to_client);
            let (seen, output, result) =
                drive_client(&mut self.client, &input, self.cut, self.window, &mut self.collectors[0]);
            result.unwrap();
            self.client_saw.extend(seen);
            self.sent[0].extend_from_slice(&output);
            self.to_server.extend_from_slice(&output);
            if self.to_server.is_empty() {
                return;
            }
            let input = core::mem::take(&mut self.to_server);
            let (seen, output, result) =
                drive_server(&mut self.server, &input, self.cut, self.window, &mut self.collectors[1]);
            result.unwrap();
            self.server_saw.extend(seen);
            self.sent[1].extend_from_slice(&output);
            self.to_client.extend_from_slice(&output);
        }
    }

    /// Sends a message through the client's windows.
    pub(super) fn send(&mut self, kind: Kind, timestamp: u32, mut payload: &[u8]) {
        let length = payload.len() as u32;
        let csid = self.client.begin_media(kind, StreamId(1), Timestamp(timestamp), length).unwrap();
        while self.client.media_left(csid).is_some() {
            let mut out = vec![0; self.window];
            let (taken, written) = self.client.poll_media(csid, payload, &mut out);
            assert!(written > 0, "no progress");
            payload = &payload[taken..];
            self.sent[0].extend_from_slice(&out[..written]);
            self.to_server.extend_from_slice(&out[..written]);
        }
    }
}

/// The messages in `stream`, which a session has put out after its handshake: `(csid, header, payload)`.
pub(super) fn messages(stream: &[u8]) -> Vec<(u32, Header, Vec<u8>)> {
    let mut reader = Reader::<8>::new();
    let mut input = &stream[1 + 2 * 1_536..];
    let (mut messages, mut partial) = (Vec::new(), Vec::<(u32, Header, Vec<u8>)>::new());
    while let Some(fragment) = reader.next_fragment(&mut input).unwrap() {
        let (csid, last) = (fragment.csid.value(), fragment.is_last());
        if fragment.is_first() {
            partial.push((csid, fragment.header, Vec::new()));
        }
        let index = partial.iter().position(|(id, ..)| *id == csid).unwrap();
        partial[index].2.extend_from_slice(fragment.data);
        if last {
            let message = partial.remove(index);
            if message.1.kind == Kind::SET_CHUNK_SIZE {
                reader.set_chunk_size(u32::from_be_bytes(message.2[..4].try_into().unwrap())).unwrap();
            }
            messages.push(message);
        }
    }
    assert!(reader.is_at_boundary());
    messages
}

/// The names of the commands in `stream`, with their transaction ids, streams and chunk streams.
pub(super) fn commands(stream: &[u8]) -> Vec<(String, f64, u32, u32)> {
    let commands = messages(stream).into_iter().filter(|(_, header, _)| header.kind == Kind::COMMAND);
    commands
        .map(|(csid, header, payload)| {
            let command = crate::command::Command::parse(&payload).unwrap();
            (command.name.to_string(), command.transaction, header.stream.0, csid)
        })
        .collect()
}
