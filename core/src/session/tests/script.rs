//! Scripted peers: their bytes as chunks, and runs of sessions with these bytes in all pieces and windows.

use super::*;
use crate::amf0::Token;
use crate::chunk::Writer;
use crate::command::code;

/// Sizes of input pieces and output windows. A session must behave the same with each.
const PIECES: [(usize, usize); 4] = [(1 << 20, 8_192), (1, 1), (7, 3), (129, 64)];

/// A client that wants to connect and to publish.
pub(super) fn publisher() -> Client<'static, 8> {
    let mut client = client();
    client.connect(&OPTIONS).unwrap();
    client.publish("cam").unwrap();
    client
}

/// Runs a client that wants to publish with `bytes`, in all pieces.
pub(super) fn client_sees(bytes: &[u8]) -> Driven {
    everywhere(&|cut, window| {
        let (mut client, mut collector) = (publisher(), Collector::default());
        let (handshake, rest) = bytes.split_at(3_073);
        let first = drive_client(&mut client, handshake, handshake.len(), 8_192, &mut collector);
        join(first, drive_client(&mut client, rest, cut, window, &mut collector))
    })
}

/// Runs a server that accepts everything with `bytes`, in all pieces.
pub(super) fn server_sees(bytes: &[u8]) -> Driven {
    everywhere(&|cut, window| {
        let (mut server, mut collector) = (server(), Collector::default());
        let (handshake, rest) = bytes.split_at(3_073);
        let first = drive_server(&mut server, handshake, handshake.len(), 8_192, &mut collector);
        join(first, drive_server(&mut server, rest, cut, window, &mut collector))
    })
}

pub(super) fn join(first: Driven, second: Driven) -> Driven {
    assert_eq!(first.2, Ok(()));
    ([first.0, second.0].concat(), [first.1, second.1].concat(), second.2)
}

/// Runs `drive` in all pieces and windows; all must do the same.
pub(super) fn everywhere(drive: &dyn Fn(usize, usize) -> Driven) -> Driven {
    let (seen, output, result) = drive(PIECES[0].0, PIECES[0].1);
    for (cut, window) in PIECES {
        let other = drive(cut, window);
        assert_eq!(other.0, seen, "pieces of {cut}, windows of {window}");
        assert_eq!(other.2, result, "pieces of {cut}, windows of {window}");
        let (mut said, mut said_before) = (sequence(&other.1), sequence(&output));
        if result.is_err() {
            // If the fault came later, what was due when a session failed was already sent.
            said.retain(|message| !is_timely(message));
            said_before.retain(|message| !is_timely(message));
            said.truncate(said_before.len());
        }
        assert_eq!(said, said_before, "pieces of {cut}, windows of {window}");
    }
    (seen, output, result)
}

type Message = (u32, MessageHeader, Vec<u8>);

/// The messages in the output of a session. Those that are sent only when the queue is empty are last.
fn sequence(output: &[u8]) -> Vec<Message> {
    if output.len() < 3_073 {
        return Vec::new();
    }
    let mut messages = messages(output);
    messages.sort_by_key(|message| is_timely(message).then_some(message.1.kind));
    messages
}

/// Whether the position of a message depends on when others were sent: answers to pings, acknowledgements, windows.
fn is_timely((_, header, payload): &Message) -> bool {
    let is_pong = header.kind == MessageKind::USER_CONTROL && payload.starts_with(&[0, 7]);
    is_pong || matches!(header.kind, MessageKind::ACKNOWLEDGEMENT | MessageKind::WINDOW_ACK_SIZE)
}

/// A scripted peer's messages as chunks of any size.
#[derive(Clone)]
pub(super) struct Script {
    /// The size of the next chunks.
    pub(super) chunk_size: u32,
    pub(super) bytes: Vec<u8>,
}

impl Script {
    /// Begins after a handshake with a peer that sends zeros.
    pub(super) fn new() -> Script {
        let mut bytes = vec![0; 1 + 2 * 1_536];
        bytes[0] = 3;
        Script { chunk_size: 128, bytes }
    }

    /// Announces a chunk size, and uses it from now on.
    pub(super) fn chunk_size(&mut self, size: u32) -> &mut Self {
        self.control(MessageKind::SET_CHUNK_SIZE, &size.to_be_bytes());
        self.chunk_size = size;
        self
    }

    /// Adds bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Adds a message.
    pub(super) fn message(&mut self, csid: u32, kind: MessageKind, stream: u32, payload: &[u8]) -> &mut Self {
        self.message_at(0, csid, kind, stream, payload)
    }

    /// Adds a message with a timestamp.
    pub(super) fn message_at(
        &mut self,
        at: u32,
        csid: u32,
        kind: MessageKind,
        stream: u32,
        payload: &[u8],
    ) -> &mut Self {
        let csid = ChunkStreamId::new(csid).unwrap();
        let length = payload.len() as u32;
        let header = MessageHeader { timestamp: Timestamp(at), length, kind, stream: StreamId(stream) };
        let mut writer = Writer::<1>::new();
        writer.set_chunk_size(self.chunk_size);
        writer.begin(csid, header).unwrap();
        let mut out = vec![0; payload.len() * 8 + 20];
        let WriteProgress { taken, written, .. } = writer.poll(csid, payload, &mut out);
        assert_eq!(taken, payload.len());
        self.raw(&out[..written])
    }

    /// Adds messages whose chunks take turns.
    pub(super) fn interleave(&mut self, messages: &[(u32, MessageKind, u32, &[u8])]) -> &mut Self {
        let mut writer = Writer::<8>::new();
        writer.set_chunk_size(self.chunk_size);
        let mut left: Vec<(ChunkStreamId, &[u8])> = Vec::new();
        for (csid, kind, stream, payload) in messages {
            let csid = ChunkStreamId::new(*csid).unwrap();
            let (timestamp, length) = (Timestamp(0), payload.len() as u32);
            writer.begin(csid, MessageHeader { timestamp, length, kind: *kind, stream: StreamId(*stream) }).unwrap();
            left.push((csid, payload));
        }
        while writer.has_open() {
            for (csid, rest) in &mut left {
                let mut out = vec![0; self.chunk_size as usize + 20];
                let chunk = &rest[..rest.len().min(self.chunk_size as usize)];
                let WriteProgress { taken, written, .. } = writer.poll(*csid, chunk, &mut out);
                *rest = &rest[taken..];
                self.bytes.extend_from_slice(&out[..written]);
            }
        }
        self
    }

    /// Adds a control message.
    pub(super) fn control(&mut self, kind: MessageKind, payload: &[u8]) -> &mut Self {
        self.message(2, kind, 0, payload)
    }

    /// Adds a command of AMF0 values.
    pub(super) fn command(&mut self, stream: u32, tokens: &[Token<'_>]) -> &mut Self {
        self.message(3, MessageKind::COMMAND, stream, &encode(tokens))
    }

    /// A server's answer: null, and `value`.
    pub(super) fn result(&mut self, transaction: f64, value: Token<'_>) -> &mut Self {
        self.command(0, &["_result".into(), transaction.into(), Token::Null, value])
    }

    /// A server's `_error`.
    pub(super) fn error(&mut self, transaction: f64, code: &str, description: &str) -> &mut Self {
        let mut tokens = vec!["_error".into(), transaction.into(), Token::Null];
        tokens.extend(info("error", code, description));
        self.command(0, &tokens)
    }

    /// A server's `onStatus`.
    pub(super) fn status(&mut self, stream: u32, level: &str, code: &str) -> &mut Self {
        let mut tokens = vec!["onStatus".into(), 0.0.into(), Token::Null];
        tokens.extend(info(level, code, ""));
        self.command(stream, &tokens)
    }

    /// A server accepts `connect`.
    pub(super) fn connected(&mut self) -> &mut Self {
        let mut tokens = vec!["_result".into(), 1.0.into(), Token::ObjectStart, Token::End];
        tokens.extend(info("status", code::CONNECT_SUCCESS, ""));
        self.command(0, &tokens)
    }

    /// A server accepts a publisher in the usual way.
    pub(super) fn publishing() -> Script {
        let mut script = Script::new();
        script.connected().result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START);
        script
    }

    /// A client's `connect`, and the handshake before it.
    pub(super) fn connect() -> Script {
        let mut script = Script::new();
        let (app, url) = (Token::Key("app".into()), Token::Key("tcUrl".into()));
        let start = ["connect".into(), 1.0.into(), Token::ObjectStart];
        let object = [app, "live".into(), url, "rtmp://host/live".into(), Token::End];
        script.command(0, &[&start[..], &object].concat());
        script
    }

    /// A client's command that has one argument.
    pub(super) fn call(&mut self, stream: u32, name: &str, transaction: f64, argument: Token<'_>) -> &mut Self {
        self.command(stream, &[name.into(), transaction.into(), Token::Null, argument])
    }

    /// A client's `createStream`.
    pub(super) fn create_stream(&mut self, transaction: f64) -> &mut Self {
        self.command(0, &["createStream".into(), transaction.into(), Token::Null])
    }

    /// A client's `publish`.
    pub(super) fn publish(&mut self, stream: u32, key: &str) -> &mut Self {
        self.command(stream, &["publish".into(), 5.0.into(), Token::Null, key.into(), "live".into()])
    }

    /// A client publishes on stream 1.
    pub(super) fn publisher() -> Script {
        let mut script = Script::connect();
        script.create_stream(2.0).publish(1, "cam");
        script
    }
}

/// An info object.
pub(super) fn info<'a>(level: &'a str, code: &'a str, description: &'a str) -> [Token<'a>; 8] {
    let [a, b, c] = ["level", "code", "description"].map(|key| Token::Key(key.into()));
    [Token::ObjectStart, a, level.into(), b, code.into(), c, description.into(), Token::End]
}

pub(super) fn encode(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 17];
    let mut encoder = crate::amf0::Encoder::new(&mut buffer);
    for token in tokens {
        encoder.put(*token).unwrap();
    }
    encoder.finish().to_vec()
}
