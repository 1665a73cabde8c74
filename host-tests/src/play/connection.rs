//! A connection on which a stream is played.

use std::time::Duration;

use anyhow::Result;
use embedded_rtmp::command::{Code, DataMessage, PlayRequest, ReconnectRequest, Start, Status, code};
use embedded_rtmp::control::UserControlEvent;
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::session::{ClientEvent, Stage};
use embedded_rtmp::time::Instant;

use crate::flv::Assembler;
use crate::net::{Link, StreamUrl, is_about, refused, said};

/// The time limit for the rest of a stream after StreamEOF. Some servers send that event before their queue, and a status
/// after it.
const REST: Duration = Duration::from_millis(500);

/// What a server sends.
pub(super) enum Received<'r> {
    /// It has accepted `connect`.
    Connected,
    /// It plays the stream.
    Playing,
    /// It has refused `connect`.
    Refused(&'r Status<'r>),
    /// A whole message, with its timestamp.
    Message(MessageKind, u32, &'r [u8]),
    /// The client should connect again, to this application or to the same one.
    Reconnect(Option<String>),
    /// The stream has ended.
    Ended,
    /// The server closes the connection.
    Closed,
}

/// A connection, and the messages that are being received.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link<1>,
    messages: Assembler,
    has_message: bool,
    /// Whether the server has accepted `connect`.
    pub(super) is_connected: bool,
    pub(super) is_playing: bool,
    /// When media was last received, or when the stream was accepted.
    pub(super) media_at: Option<Instant>,
    /// The deadline for the rest of a stream that has ended.
    pub(super) rest_until: Option<Instant>,
}

impl Connection {
    /// A connection with nothing received yet.
    pub(super) fn new(link: Link<1>, is_connected: bool) -> Self {
        Self {
            link,
            messages: Assembler::default(),
            has_message: false,
            is_connected,
            is_playing: false,
            media_at: None,
            rest_until: None,
        }
    }

    /// Receives, and passes what the server sends to `handle`, until it returns `false`. Then sends. Returns whether anything
    /// was received or sent.
    ///
    /// # Errors
    /// The connection or the session failed, the server does not play the stream, or `handle` failed.
    pub(super) fn step(&mut self, handle: &mut dyn FnMut(Received<'_>) -> Result<bool>) -> Result<bool> {
        let Self { link, messages, has_message, is_connected, is_playing, media_at, rest_until } = self;
        let clock = link.clock;
        let received = link.receive(|event| {
            match event {
                ClientEvent::Connected => {
                    *is_connected = true;
                    return handle(Received::Connected);
                }
                ClientEvent::Playing(_) => {
                    *is_playing = true;
                    media_at.get_or_insert(clock.now());
                    return handle(Received::Playing);
                }
                ClientEvent::Refused(Stage::Connect, status) => return handle(Received::Refused(&status)),
                ClientEvent::Refused(stage, status) => return Err(refused(stage, &status)),
                ClientEvent::Status(stream, status) => match status.known() {
                    // Some servers stop what was played before.
                    Code::PlayStop if !*has_message => {}
                    Code::PlayStop | Code::PlayComplete | Code::PlayUnpublishNotify => return handle(Received::Ended),
                    _ if is_about(stream, &status, "NetStream.Play.") => return Err(said(&status)),
                    _ => {
                        if let Some(request) = ReconnectRequest::of(&status) {
                            return handle(Received::Reconnect(request.tc_url.map(|url| url.to_string())));
                        }
                    }
                },
                ClientEvent::User(UserControlEvent::StreamEof(_)) if *is_playing => {
                    rest_until.get_or_insert(clock.now() + REST);
                }
                ClientEvent::Closed => return handle(Received::Closed),
                ClientEvent::Media(fragment) => {
                    let kind = fragment.header.kind;
                    if !kind.is_data() {
                        *media_at = Some(clock.now());
                    }
                    let Some(payload) = messages.take(&fragment)? else { return Ok(true) };
                    let timestamp = fragment.header.timestamp.0;
                    if kind == MessageKind::AGGREGATE {
                        *has_message = true;
                        let mut tags = Tags::aggregate(Timestamp(timestamp), &payload)
                            .map(|tag| handle(Received::Message(tag.kind, tag.timestamp.0, tag.data)));
                        return tags.find(|result| !matches!(result, Ok(true))).unwrap_or(Ok(true));
                    }
                    if !kind.is_data() {
                        *has_message = true;
                        return handle(Received::Message(kind, timestamp, &payload));
                    }
                    // These data messages are for the player, and do not belong in the file.
                    let names = ["onStatus", "onPlayStatus", "|RtmpSampleAccess"];
                    let Some(message) = DataMessage::parse(&payload) else { return Ok(true) };
                    // Servers of recorded streams send this message at the end. Some do not send a status after it.
                    let complete = code::PLAY_COMPLETE.as_bytes();
                    let mut parts = message.body.windows(complete.len());
                    if message.name == *"onPlayStatus" && parts.any(|part| part == complete) {
                        return handle(Received::Ended);
                    }
                    if names.iter().all(|name| message.name != **name) {
                        *has_message = true;
                        return handle(Received::Message(MessageKind::DATA, timestamp, message.body));
                    }
                }
                _ => {}
            }
            Ok(true)
        });
        received.and_then(|received| Ok(received | link.send()?))
    }
}

/// Asks for a stream, from `start` on, for `duration` ms.
pub(super) fn ask(link: &mut Link<1>, stream: &StreamUrl, start: Start, duration: Option<u32>) -> Result<()> {
    let mut request = PlayRequest::new(&stream.key);
    (request.start, request.duration) = (start, duration);
    Ok(link.session.play(&request)?)
}
