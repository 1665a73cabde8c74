//! Tests of the relay, with publishers and players in memory.

mod copies;
mod directory;
mod ends;
mod model;
mod sessions;
mod slow;
mod start;
mod tracks;

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::{Counts, Cursor, HeaderEntry, OVERHEAD, Overtaken, RelayConfig, Ring, StreamBuffers};
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use crate::time::Instant;

pub(super) const CONFIGURATION: &[u8] = b"\x17\x00\x00\x00\x00cfg";
pub(super) const KEY: &[u8] = b"\x17\x01key frame";
pub(super) const INTER: &[u8] = b"\x27\x01inter";
pub(super) const AUDIO: &[u8] = b"\xAF\x01audio";
pub(super) const AUDIO_CONFIGURATION: &[u8] = b"\xAF\x00\x12\x10";
pub(super) const METADATA: &[u8] = b"\x02\x00\x0AonMetaData\x05";

/// The memory of a ring.
pub(super) struct Memory {
    ring: Vec<u8>,
    headers: Vec<u8>,
    entries: Vec<HeaderEntry>,
}

impl Memory {
    pub(super) fn new(ring: usize) -> Self {
        Self { ring: vec![0xEE; ring], headers: vec![0; 144], entries: vec![HeaderEntry::new(); 8] }
    }

    pub(super) fn ring(&mut self) -> Ring<'_> {
        let Self { ring, headers, entries } = self;
        Ring::new(StreamBuffers { ring, headers, entries }, &RelayConfig::new())
    }
}

/// A piece of the publisher's message, on a chunk stream for its kind.
pub(super) fn fragment(kind: MessageKind, millis: u32, payload: &[u8], offset: usize, length: usize) -> Fragment<'_> {
    let header =
        MessageHeader { timestamp: Timestamp(millis), length: payload.len() as u32, kind, stream: StreamId(1) };
    let csid = ChunkStreamId::new(u32::from(kind.0)).expect("is one");
    Fragment { csid, header, offset: offset as u32, data: &payload[offset..offset + length] }
}

/// When the tests push messages into the rings.
pub(super) const NOW: Instant = Instant::from_millis(100_000);

/// The time `millis` milliseconds before [`NOW`].
pub(super) fn before(millis: u64) -> Instant {
    Instant::from_millis(100_000 - millis)
}

/// Pushes a whole message.
pub(super) fn push(ring: &mut Ring<'_>, kind: MessageKind, millis: u32, payload: &[u8]) {
    ring.push(NOW, &fragment(kind, millis, payload, 0, payload.len()));
}

/// A message as a player gets it: the first letter of its kind, its timestamp, its payload.
pub(super) type Got = (char, u32, Vec<u8>);

/// A player, and the messages that it has received.
#[derive(Default)]
pub(super) struct Play {
    pub(super) cursor: Cursor,
    /// The current time in ms.
    pub(super) now: u64,
    pub(super) got: Vec<Got>,
    left: Option<usize>,
}

impl Play {
    /// Reads at most `most` bytes of payload, and begins no message after them.
    pub(super) fn take(&mut self, ring: &Ring<'_>, mut most: usize) -> Result<(), Overtaken> {
        while let Some(piece) = ring.peek(&mut self.cursor, Instant::from_millis(self.now))? {
            let left = match (self.left, piece.begin) {
                (Some(left), None) => left,
                (None, Some(header)) => {
                    if most == 0 {
                        break;
                    }
                    let name = header.kind.name().and_then(|name| name.chars().next()).expect("has one");
                    self.got.push((name, header.timestamp.0, Vec::new()));
                    ring.begin_message(&mut self.cursor);
                    header.length as usize
                }
                state => panic!("{state:?}"),
            };
            let bytes = [piece.parts[0], piece.parts[1]].concat();
            let bytes = &bytes[..bytes.len().min(most)];
            most -= bytes.len();
            self.got.last_mut().expect("is begun").2.extend_from_slice(bytes);
            ring.advance(&mut self.cursor, bytes.len());
            self.left = Some(left - bytes.len());
            if self.left == Some(0) {
                ring.finish_message(&mut self.cursor);
                self.left = None;
            } else if bytes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Reads everything that is available. Returns the messages since the last call, as text.
    pub(super) fn all(&mut self, ring: &Ring<'_>) -> String {
        self.take(ring, usize::MAX).expect("is not overtaken");
        let show = |(kind, millis, payload): Got| format!("{kind}{millis} {}", String::from_utf8_lossy(&payload));
        core::mem::take(&mut self.got).into_iter().map(show).collect::<Vec<_>>().join(", ")
    }
}

/// The text of [`Play::all`] for these messages.
pub(super) fn shown(messages: &[(char, u32, &[u8])]) -> String {
    let show =
        |(kind, millis, payload): &(char, u32, &[u8])| format!("{kind}{millis} {}", String::from_utf8_lossy(payload));
    messages.iter().map(show).collect::<Vec<_>>().join(", ")
}
