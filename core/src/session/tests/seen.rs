//! Events of sessions in a form that tests can compare.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::command::DataMessage;

/// An event without a borrow.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    HandshakeDone(handshake::HandshakeKind),
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
    User(crate::control::UserControlEvent),
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
        let MessageHeader { timestamp, kind, stream, .. } = fragment.header;
        fragment.is_last().then(|| Seen::Message(stream.0, kind.0, timestamp.0, self.0.remove(index).1))
    }
}

/// A role whose events can be compared.
pub(super) trait Watch: Role {
    fn see(event: Self::Event<'_>, collector: &mut Collector) -> Option<Seen>;
}

impl<const PLAYS: usize, const CALLS: usize> Watch for ClientRole<PLAYS, CALLS> {
    fn see(event: ClientEvent<'_>, collector: &mut Collector) -> Option<Seen> {
        let seen = see_client(event, collector)?;
        let Seen::Message(stream, 18, timestamp, payload) = &seen else { return Some(seen) };
        // Players read data messages.
        let message = DataMessage::parse(payload).filter(|_| PLAYS > 0);
        Some(message.map_or_else(
            || seen.clone(),
            |message| Seen::Data(*stream, *timestamp, message.name.to_string(), message.body.to_vec()),
        ))
    }
}

impl Watch for ServerRole {
    fn see(event: ServerEvent<'_>, collector: &mut Collector) -> Option<Seen> {
        see_server(event, collector)
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
        ClientEvent::User(event) => Seen::User(event),
    })
}

pub(super) fn see_server(event: ServerEvent<'_>, collector: &mut Collector) -> Option<Seen> {
    Some(match event {
        ServerEvent::HandshakeDone(kind) => Seen::HandshakeDone(kind),
        ServerEvent::Connect(request) => Seen::Connect(request.app.to_string(), request.tc_url.to_string()),
        ServerEvent::Publish { stream, request } => Seen::Publish(stream.0, request.key.to_string()),
        ServerEvent::Unpublished(stream) => Seen::Ended(stream.0),
        ServerEvent::Media(fragment) => return collector.add(&fragment),
        ServerEvent::Play { stream, request } => {
            let crate::command::PlayRequest { name, start, duration, reset, .. } = request;
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
