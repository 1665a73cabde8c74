//! What the application is told.

use super::{Client, PendingEvent};
use crate::amf0::Decoder;
use crate::command::{Command, DataMessage, Status};
use crate::fmt::{info, warning};
use crate::session::ClientEvent;
use crate::session::link::Payload;

impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// What the info object of a command says.
    #[inline(never)]
    fn status(&self, payload: Payload) -> Status<'_> {
        let command = Command::parse(self.link.payload(payload));
        command.map_or_else(Status::default, |command| Status::parse(command.values))
    }

    /// What follows the transaction id of a command.
    fn values(&self, payload: Payload) -> Decoder<'_> {
        Command::parse(self.link.payload(payload)).map_or(Decoder::new(&[]), |command| command.values)
    }

    /// Lends what was found.
    pub(super) fn lend<'d, 'i: 'd>(&'d self, pending: PendingEvent<'i>) -> ClientEvent<'d> {
        match pending {
            PendingEvent::HandshakeDone(kind) => ClientEvent::HandshakeDone(kind),
            PendingEvent::Connected => {
                info!("connected");
                ClientEvent::Connected
            }
            PendingEvent::Publishing => {
                info!("publishing on message stream {}", self.stream.0);
                ClientEvent::Publishing(self.stream)
            }
            PendingEvent::Playing(stream) if PLAYS > 0 => {
                info!("playing on message stream {}", stream.0);
                ClientEvent::Playing(stream)
            }
            PendingEvent::Refused(stage, payload) => {
                let status = self.status(payload);
                warning!("refused: {}", status.code);
                ClientEvent::Refused(stage, status)
            }
            PendingEvent::Status(stream, payload) => ClientEvent::Status(stream, self.status(payload)),
            PendingEvent::Answer(transaction, succeeded, payload) if CALLS > 0 => {
                ClientEvent::Answer { transaction, succeeded, values: self.values(payload) }
            }
            PendingEvent::Call(stream, payload) if CALLS > 0 => {
                let command = Command::parse(self.link.payload(payload)).unwrap_or(Command::EMPTY);
                ClientEvent::Call { stream, command }
            }
            PendingEvent::Data(stream, timestamp, payload) if PLAYS > 0 => {
                let message = DataMessage::parse(self.link.payload(payload)).unwrap_or(DataMessage::EMPTY);
                ClientEvent::Data { stream, timestamp, message }
            }
            PendingEvent::Unpublished => ClientEvent::Unpublished,
            // The others are not found where there is no room for them.
            PendingEvent::Closed
            | PendingEvent::Playing(_)
            | PendingEvent::Answer(..)
            | PendingEvent::Call(..)
            | PendingEvent::Data(..) => ClientEvent::Closed,
            PendingEvent::Media(pulled) => ClientEvent::Media(self.link.lend(pulled)),
            PendingEvent::User(event) => ClientEvent::User(event),
        }
    }
}
