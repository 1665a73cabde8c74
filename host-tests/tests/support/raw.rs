//! A client that sends any bytes, including those that no real client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use embedded_rtmp::amf0::{Encoder, Token};
use embedded_rtmp::chunk::{ChunkStreamId, Reader, Writer};
use embedded_rtmp::command::{Command, Status};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};

use super::LIMIT;

pub const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0, 1];

/// A connection after the handshake. It sends nothing by itself, not even answers to pings.
pub struct RawClient {
    pub stream: TcpStream,
    reader: Reader<8>,
    input: Vec<u8>,
    partial: Vec<u8>,
}

impl RawClient {
    /// Connects from 127.0.0.1 to a port of 127.0.0.1.
    pub fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap())
    }

    /// Connects from another address of the loopback interface.
    pub fn from(address: Ipv4Addr, port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((address, 0))).unwrap();
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        Self::over(socket.into())
    }

    pub fn over(mut stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&[&[3][..], &[0; 1536]].concat()).unwrap();
        stream.read_exact(&mut [0; 3073]).unwrap();
        stream.write_all(&[0; 1536]).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { stream, reader: Reader::new(), input: Vec::new(), partial: Vec::new() }
    }

    /// Opens a connection, and connects to the application `live`.
    pub fn connected(port: u16) -> Self {
        Self::connect(port).join()
    }

    /// Connects to the application `live`.
    pub fn join(self) -> Self {
        let mut client = self;
        let connect = [Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End];
        client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
        client.wait_for("NetConnection.Connect.Success");
        client
    }

    /// Opens a connection, and publishes on message stream 1.
    pub fn publisher(port: u16, key: &str) -> Self {
        let mut client = Self::connected(port);
        client.call(0, "createStream", &[]);
        client.call(1, "publish", &[key.into()]);
        client.wait_for("NetStream.Publish.Start");
        client
    }

    /// Opens a connection, and plays on message stream 1.
    pub fn player(port: u16, name: &str) -> Self {
        Self::connected(port).play(name)
    }

    pub fn play(mut self, name: &str) -> Self {
        self.call(0, "createStream", &[]);
        self.call(1, "play", &[name.into()]);
        self.wait_for("NetStream.Play.Start");
        self
    }

    /// A message of any kind on a message stream, in chunks of 128 bytes.
    pub fn bytes(csid: u32, stream: u32, kind: MessageKind, payload: &[u8]) -> Vec<u8> {
        let csid = ChunkStreamId::new(csid).unwrap();
        let length = u32::try_from(payload.len()).unwrap();
        let mut writer = Writer::<1>::new();
        writer.begin(csid, MessageHeader { timestamp: Timestamp(0), length, kind, stream: StreamId(stream) }).unwrap();
        let mut out = vec![0; payload.len() + payload.len() / 64 + 32];
        let written = writer.poll(csid, payload, &mut out).written;
        out.truncate(written);
        out
    }

    pub fn send(&mut self, stream: u32, kind: MessageKind, payload: &[u8]) {
        let csid = if kind == MessageKind::COMMAND { 3 } else { 6 };
        self.stream.write_all(&Self::bytes(csid, stream, kind, payload)).unwrap();
    }

    /// Sends a command whose command object is null.
    pub fn call(&mut self, stream: u32, name: &str, arguments: &[Token<'_>]) {
        self.send(stream, MessageKind::COMMAND, &command(name, 2.0, &[&[Token::Null], arguments].concat()));
    }

    pub fn video(&mut self, stream: u32) {
        self.send(stream, MessageKind::VIDEO, KEYFRAME);
    }

    /// Receives until a command has the name `what`, or a status has the code `what`. Returns the description of the status.
    pub fn wait_for(&mut self, what: &str) -> String {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < LIMIT, "no {what}");
            match self.receive() {
                Ok(told) => {
                    if let Some((_, text)) = told.into_iter().find(|(code, _)| code == what) {
                        return text;
                    }
                }
                Err(()) => panic!("closed before {what}"),
            }
        }
    }

    /// Receives until the server closes the connection. Returns how long that took.
    pub fn wait_until_closed(&mut self) -> Duration {
        let begin = Instant::now();
        while self.receive().is_ok() {
            assert!(begin.elapsed() < LIMIT, "the connection is open");
        }
        begin.elapsed()
    }

    /// Reads once. Returns the commands that are complete: their names or status codes, with the descriptions.
    pub fn receive(&mut self) -> Result<Vec<(String, String)>, ()> {
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(()),
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Err(()),
        }
        let (mut input, mut told) = (&self.input[..], Vec::new());
        while let Some(fragment) = self.reader.next_fragment(&mut input).unwrap() {
            if fragment.is_first() {
                self.partial.clear();
            }
            self.partial.extend_from_slice(fragment.data);
            let (kind, is_last) = (fragment.header.kind, fragment.is_last());
            if is_last && kind == MessageKind::SET_CHUNK_SIZE {
                self.reader.set_chunk_size(u32::from_be_bytes(self.partial[..4].try_into().unwrap())).unwrap();
            }
            if is_last && kind == MessageKind::COMMAND {
                let command = Command::parse(&self.partial).unwrap();
                let status = Status::parse(command.values);
                let code = status.code.to_string();
                let name = if code.is_empty() { command.name.to_string() } else { code };
                told.push((name, status.description.to_string()));
            }
        }
        let rest = input.to_vec();
        self.input = rest;
        Ok(told)
    }
}

/// The payload of a command with these values.
pub fn command(name: &str, transaction: f64, values: &[Token<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 17];
    let mut encoder = Encoder::new(&mut buffer);
    embedded_rtmp::command::put(&mut encoder, name, transaction, values).unwrap();
    let length = encoder.finish().len();
    buffer.truncate(length);
    buffer
}
