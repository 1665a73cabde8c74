//! Protocol control messages (RTMP 1.0, section 5.4) and user control messages (sections 6.2 and 7.1.7).
//!
//! Each has a few bytes. It applies at once, no matter on which chunk stream and message stream it arrives. If a message is
//! longer than its fields, the rest is ignored. A message that is too short is ignored, and so are unknown user control
//! events.

use core::ops::Range;

use crate::bytes::{Cursor, copy};
use crate::message::{MessageKind, StreamId};

/// The length of the longest known control message, in bytes: Set Buffer Length.
pub const MAX_SIZE: usize = 10;

/// The types of user control events (section 7.1.7).
const STREAM_BEGIN: u8 = 0;
const STREAM_EOF: u8 = 1;
const STREAM_DRY: u8 = 2;
const SET_BUFFER_LENGTH: u8 = 3;
const STREAM_IS_RECORDED: u8 = 4;
const PING_REQUEST: u8 = 6;
const PING_RESPONSE: u8 = 7;

/// How a Set Peer Bandwidth message limits its receiver (section 5.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Limit {
    /// The window is the size in the message.
    Hard = 0,
    /// The window is the smaller one of that size and the current one.
    Soft = 1,
    /// Like `Hard` if the last limit was hard. Otherwise it is ignored.
    Dynamic = 2,
}

/// A control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Control {
    /// The sender's next chunks have this size, in bytes.
    SetChunkSize(u32),
    /// The sender will not finish the unfinished message on this chunk stream.
    Abort(u32),
    /// The sender has received this many bytes, modulo 2³².
    Acknowledgement(u32),
    /// The sender expects an acknowledgement each time it has sent this many bytes.
    WindowAckSize(u32),
    /// The receiver must not have more than this many bytes unacknowledged.
    SetPeerBandwidth {
        /// The window, in bytes.
        size: u32,
        /// How the window limits.
        limit: Limit,
    },
    /// A user control event.
    User(UserControlEvent),
}

/// A user control event (section 7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UserControlEvent {
    /// The stream is ready for use.
    StreamBegin(StreamId),
    /// The playback of the stream has ended.
    StreamEof(StreamId),
    /// The stream has no data for now.
    StreamDry(StreamId),
    /// How much the client buffers.
    SetBufferLength {
        /// The stream.
        stream: StreamId,
        /// The length of the buffer, in ms.
        millis: u32,
    },
    /// The stream is a recorded one.
    StreamIsRecorded(StreamId),
    /// The sender asks whether the receiver is alive. The number is a time of the sender's clock.
    PingRequest(u32),
    /// The answer to a ping. The number is that of the ping.
    PingResponse(u32),
}

impl Control {
    /// Parses a control message of type `kind`. Returns `None` if it must be ignored.
    pub fn parse(kind: MessageKind, payload: &[u8]) -> Option<Control> {
        let mut fields = Cursor(payload);
        // A user control event has no number here, but is not shorter.
        let number = fields.u32()?;
        Some(match kind {
            MessageKind::SET_CHUNK_SIZE => Self::SetChunkSize(number),
            MessageKind::ABORT => Self::Abort(number),
            MessageKind::ACKNOWLEDGEMENT => Self::Acknowledgement(number),
            MessageKind::WINDOW_ACK_SIZE => Self::WindowAckSize(number),
            MessageKind::SET_PEER_BANDWIDTH => {
                Self::SetPeerBandwidth { size: number, limit: Limit::parse(fields.u8()?)? }
            }
            MessageKind::USER_CONTROL => Self::User(UserControlEvent::parse(payload)?),
            _ => return None,
        })
    }

    /// Returns the type of the message, a buffer, and the number of its bytes that are the payload.
    pub fn emit(&self) -> (MessageKind, [u8; MAX_SIZE], usize) {
        let (kind, bytes, place) = self.fields();
        let mut front = [0; MAX_SIZE];
        let length = copy(bytes.get(place).unwrap_or(&[]), &mut front);
        (kind, front, length)
    }

    /// The type of the message, a buffer, and the place of the payload in it. In the buffer are the type of a user control
    /// event, then a number, then what follows it.
    #[inline]
    pub(crate) fn fields(&self) -> (MessageKind, [u8; MAX_SIZE], Range<usize>) {
        let (kind, event, number, more, place) = match *self {
            Self::SetChunkSize(size) => (MessageKind::SET_CHUNK_SIZE, 0, size, 0, 2..6),
            Self::Abort(csid) => (MessageKind::ABORT, 0, csid, 0, 2..6),
            Self::Acknowledgement(bytes) => (MessageKind::ACKNOWLEDGEMENT, 0, bytes, 0, 2..6),
            Self::WindowAckSize(size) => (MessageKind::WINDOW_ACK_SIZE, 0, size, 0, 2..6),
            Self::SetPeerBandwidth { size, limit } => {
                (MessageKind::SET_PEER_BANDWIDTH, 0, size, u32::from_be_bytes([limit as u8, 0, 0, 0]), 2..7)
            }
            Self::User(event) => {
                let (number, value, more, end) = match event {
                    UserControlEvent::StreamBegin(stream) => (STREAM_BEGIN, stream.0, 0, 6),
                    UserControlEvent::StreamEof(stream) => (STREAM_EOF, stream.0, 0, 6),
                    UserControlEvent::StreamDry(stream) => (STREAM_DRY, stream.0, 0, 6),
                    UserControlEvent::SetBufferLength { stream, millis } => (SET_BUFFER_LENGTH, stream.0, millis, 10),
                    UserControlEvent::StreamIsRecorded(stream) => (STREAM_IS_RECORDED, stream.0, 0, 6),
                    UserControlEvent::PingRequest(time) => (PING_REQUEST, time, 0, 6),
                    UserControlEvent::PingResponse(time) => (PING_RESPONSE, time, 0, 6),
                };
                (MessageKind::USER_CONTROL, number, value, more, 0..end)
            }
        };
        let ([a, b, c, d], [e, f, g, h]) = (number.to_be_bytes(), more.to_be_bytes());
        (kind, [0, event, a, b, c, d, e, f, g, h], place)
    }
}

impl Limit {
    fn parse(byte: u8) -> Option<Limit> {
        Some(match byte {
            0 => Self::Hard,
            1 => Self::Soft,
            2 => Self::Dynamic,
            _ => return None,
        })
    }
}

impl UserControlEvent {
    fn parse(payload: &[u8]) -> Option<UserControlEvent> {
        let mut fields = Cursor(payload);
        let (event, argument) = (u8::try_from(fields.u16()?).ok()?, fields.u32()?);
        Some(match event {
            STREAM_BEGIN => Self::StreamBegin(StreamId(argument)),
            STREAM_EOF => Self::StreamEof(StreamId(argument)),
            STREAM_DRY => Self::StreamDry(StreamId(argument)),
            SET_BUFFER_LENGTH => Self::SetBufferLength { stream: StreamId(argument), millis: fields.u32()? },
            STREAM_IS_RECORDED => Self::StreamIsRecorded(StreamId(argument)),
            PING_REQUEST => Self::PingRequest(argument),
            PING_RESPONSE => Self::PingResponse(argument),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of every kind: its type, its bytes, and the value.
    const VECTORS: [(MessageKind, &[u8], Control); 14] = [
        (MessageKind::SET_CHUNK_SIZE, &[0, 0, 0x10, 0], Control::SetChunkSize(4_096)),
        (MessageKind::ABORT, &[0, 0, 0, 4], Control::Abort(4)),
        (MessageKind::ACKNOWLEDGEMENT, &[0xF0, 0, 0, 0], Control::Acknowledgement(0xF000_0000)),
        (MessageKind::WINDOW_ACK_SIZE, &[0, 0x26, 0x25, 0xA0], Control::WindowAckSize(2_500_000)),
        (MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0, 9, 0], Control::SetPeerBandwidth { size: 9, limit: Limit::Hard }),
        (MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0, 9, 1], Control::SetPeerBandwidth { size: 9, limit: Limit::Soft }),
        (
            MessageKind::SET_PEER_BANDWIDTH,
            &[0, 0, 0, 9, 2],
            Control::SetPeerBandwidth { size: 9, limit: Limit::Dynamic },
        ),
        (MessageKind::USER_CONTROL, &[0, 0, 0, 0, 0, 1], Control::User(UserControlEvent::StreamBegin(StreamId(1)))),
        (MessageKind::USER_CONTROL, &[0, 1, 0, 0, 0, 1], Control::User(UserControlEvent::StreamEof(StreamId(1)))),
        (MessageKind::USER_CONTROL, &[0, 2, 0, 0, 0, 1], Control::User(UserControlEvent::StreamDry(StreamId(1)))),
        (
            MessageKind::USER_CONTROL,
            &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8],
            Control::User(UserControlEvent::SetBufferLength { stream: StreamId(1), millis: 3_000 }),
        ),
        (
            MessageKind::USER_CONTROL,
            &[0, 4, 0, 0, 0, 1],
            Control::User(UserControlEvent::StreamIsRecorded(StreamId(1))),
        ),
        (MessageKind::USER_CONTROL, &[0, 6, 1, 2, 3, 4], Control::User(UserControlEvent::PingRequest(0x0102_0304))),
        (MessageKind::USER_CONTROL, &[0, 7, 1, 2, 3, 4], Control::User(UserControlEvent::PingResponse(0x0102_0304))),
    ];

    #[test]
    fn item_055_item_056_every_message_is_read_and_written() {
        for (kind, bytes, control) in VECTORS {
            assert_eq!(Control::parse(kind, bytes), Some(control));
            let (emitted, out, length) = control.emit();
            assert_eq!((emitted, &out[..length]), (kind, bytes));
        }
    }

    #[test]
    fn item_040_shorter_is_ignored_and_longer_tolerated() {
        for (kind, bytes, control) in VECTORS {
            for length in 0..bytes.len() {
                assert_eq!(Control::parse(kind, &bytes[..length]), None, "{control:?} in {length} bytes");
            }
            assert_eq!(Control::parse(kind, &[bytes, &[0xFF; 3]].concat()), Some(control));
        }
    }

    #[test]
    fn item_057_unknown_events_are_ignored() {
        for event in [5_u8, 8, 0x1A, 0x1B, 0x29, 31, 32, 33, 255] {
            assert_eq!(Control::parse(MessageKind::USER_CONTROL, &[0, event, 0, 0, 0, 1]), None);
        }
        assert_eq!(Control::parse(MessageKind::USER_CONTROL, &[0, 0x1A, 0]), None);
        assert_eq!(Control::parse(MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0, 9, 3]), None);
        assert_eq!(Control::parse(MessageKind::VIDEO, &[0; 10]), None);
    }
}
