//! What the application is told.

use super::{PendingEvent, Server};
use crate::command::{Command, ConnectRequest, PlayRequest, SwitchRequest};
use crate::fmt::info;
use crate::session::ServerEvent;
use crate::session::link::Payload;

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// What the application is told of a command.
    pub(super) fn lend<'d, 'i: 'd>(&'d self, pending: PendingEvent, payload: Payload) -> ServerEvent<'d> {
        let Some(command) = Command::parse(self.link.payload(payload)) else {
            // It has been parsed before.
            return ServerEvent::Connect(ConnectRequest::default());
        };
        let text = || command.string_argument().unwrap_or_default();
        match pending {
            PendingEvent::Connect => ServerEvent::Connect(ConnectRequest::parse(&command)),
            PendingEvent::Publish(stream) => ServerEvent::Publish { stream, key: text() },
            PendingEvent::Unpublished(stream) => {
                info!("message stream {} is not published any more", stream.0);
                ServerEvent::Unpublished(stream)
            }
            PendingEvent::Play(stream) => {
                let request = PlayRequest::parse(&command).unwrap_or_default();
                ServerEvent::Play { stream, request }
            }
            PendingEvent::Stopped(stream) => {
                info!("message stream {} is not played any more", stream.0);
                ServerEvent::Stopped(stream)
            }
            PendingEvent::Pause(stream, paused) => ServerEvent::Pause { stream, paused, at: command.millis() },
            PendingEvent::Seek(stream) => ServerEvent::Seek { stream, to: command.millis() },
            PendingEvent::Receive(stream, kind, wanted) => ServerEvent::Receive { stream, kind, wanted },
            PendingEvent::Switch(stream) => ServerEvent::Switch { stream, request: SwitchRequest::parse(&command) },
            PendingEvent::StreamLength => ServerEvent::StreamLength { name: text() },
            PendingEvent::Call(stream) => ServerEvent::Call { stream, command },
        }
    }
}
