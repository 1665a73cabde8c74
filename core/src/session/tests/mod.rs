//! Tests of the sessions, with a fake clock: client and server against each other, and each against scripted peers.

mod attack;
mod calls_client;
mod calls_server;
mod capabilities;
mod flow;
mod hostile;
mod hostile_chunks;
mod long;
mod media_ends;
mod mixed;
mod odd_servers;
mod pair;
mod player_client;
mod players;
mod publish;
mod random;
mod reconnect;
mod refusals;
mod repeated;
mod script;
mod scripted_client;
mod scripted_server;
mod seen;
mod timeouts;

use pair::*;
use script::*;
use seen::*;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::chunk::{ChunkStreamId, Reader, WriteProgress, moved};
use crate::command::ConnectOptions;
use crate::handshake;
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use crate::time::Instant;

const START: Instant = Instant::from_millis(1_000);

const OPTIONS: ConnectOptions<'static> = ConnectOptions::new("live", &["rtmp://", "host", "/", "live"]);

/// Memory for a session, which a test may leave behind.
fn buffers(control: usize) -> SessionBuffers<'static> {
    SessionBuffers { scratch: vec![0; 1_536].leak(), control: vec![0; control].leak() }
}

fn client() -> Client<'static, 8> {
    Client::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap()
}

fn server() -> Server<'static, 8> {
    Server::new(buffers(512), ServerConfig::new(), &[9; 32]).unwrap()
}

/// Runs a session with `input` in pieces of `cut` bytes and output windows of `window` bytes. Returns its events, its
/// output and its result. `decide` is the application.
fn drive<'b, R: Watch, const STREAMS: usize>(
    session: &mut Connection<'b, R, STREAMS>,
    input: &[u8],
    cut: usize,
    window: usize,
    collector: &mut Collector,
    mut decide: impl FnMut(&mut Connection<'b, R, STREAMS>, &Seen),
) -> Driven {
    let (mut seen, mut output) = (Vec::new(), Vec::new());
    let mut out = vec![0xEE; window];
    for piece in input.chunks(cut).chain([&[][..]]) {
        let mut rest = piece;
        loop {
            let pending = match session.next_event(START, &mut rest) {
                Ok(pending) => pending.map(|event| R::see(event, collector)),
                Err(error) => return (seen, output, Err(error)),
            };
            if let Some(Some(event)) = &pending {
                decide(session, event);
                seen.push(event.clone());
            }
            let mut moved = pending.is_some();
            loop {
                let length = session.transmit_len();
                let written = session.poll_transmit(START, &mut out);
                assert_eq!(written, length.min(window), "transmit_len tells what can be sent");
                output.extend_from_slice(&out[..written]);
                moved |= written > 0;
                if written == 0 {
                    break;
                }
            }
            assert!(!session.wants_transmit());
            if !moved {
                break;
            }
        }
        assert!(rest.is_empty() || !session.wants_input(), "input is left that is wanted");
        if !rest.is_empty() {
            break;
        }
    }
    (seen, output, Ok(()))
}

/// The events of a session, its output, and its result.
type Driven = (Vec<Seen>, Vec<u8>, Result<(), SessionError>);

fn drive_client(
    client: &mut Client<'_, 8>,
    input: &[u8],
    cut: usize,
    window: usize,
    collector: &mut Collector,
) -> Driven {
    drive(client, input, cut, window, collector, |_, _| {})
}

/// Like [`drive_client`]. The server accepts everything.
fn drive_server(
    server: &mut Server<'_, 8>,
    input: &[u8],
    cut: usize,
    window: usize,
    collector: &mut Collector,
) -> Driven {
    drive(server, input, cut, window, collector, |server, event| match event {
        Seen::Connect(..) => server.accept_connect().unwrap(),
        Seen::Publish(stream, _) => server.accept(StreamId(*stream)).unwrap(),
        Seen::Play(stream, .., reset) => server.accept_play(StreamId(*stream), *reset).unwrap(),
        _ => {}
    })
}

/// The messages in `stream`, the output of a session after its handshake: `(csid, header, payload)`.
fn messages(stream: &[u8]) -> Vec<(u32, MessageHeader, Vec<u8>)> {
    let mut reader = Reader::<8>::new();
    let mut input = &stream[1 + 2 * 1_536..];
    let (mut messages, mut partial) = (Vec::new(), Vec::<(u32, MessageHeader, Vec<u8>)>::new());
    while let Some(fragment) = reader.next_fragment(&mut input).unwrap() {
        let (csid, last) = (fragment.csid.value(), fragment.is_last());
        if fragment.is_first() {
            partial.push((csid, fragment.header, Vec::new()));
        }
        let index = partial.iter().position(|(id, ..)| *id == csid).unwrap();
        partial[index].2.extend_from_slice(fragment.data);
        if last {
            let message = partial.remove(index);
            if message.1.kind == MessageKind::SET_CHUNK_SIZE {
                reader.set_chunk_size(u32::from_be_bytes(message.2[..4].try_into().unwrap())).unwrap();
            }
            messages.push(message);
        }
    }
    assert!(reader.is_at_boundary());
    messages
}

/// The names of the commands in `stream`, with their transaction ids, streams and chunk streams.
fn commands(stream: &[u8]) -> Vec<(String, f64, u32, u32)> {
    let commands = messages(stream).into_iter().filter(|(_, header, _)| header.kind == MessageKind::COMMAND);
    commands
        .map(|(csid, header, payload)| {
            let command = crate::command::Command::parse(&payload).unwrap();
            (command.name.to_string(), command.transaction, header.stream.0, csid)
        })
        .collect()
}
