//! The camera's own messages for the ring of a stream that the device serves itself.

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::{MAX_MESSAGE_LENGTH, MessageHeader, StreamId};
use embedded_rtmp::relay::Ring;
use embedded_rtmp::time::Instant;

use super::message::{Content, Message, Picture};
use super::slot::{AUDIO, DATA, VIDEO, kind};
use super::timeline::Timeline;
use super::tracks::{HEADER_BUFFER, Tracks};
use super::{DropReason, SendOutcome};

/// The tracks of a stream, and its time line.
pub(crate) struct Source {
    tracks: Tracks,
    timeline: Timeline,
    /// The headers are to be pushed before the next frame.
    is_due: bool,
}

impl Source {
    /// A source without tracks.
    pub(crate) const NEW: Self = Self { tracks: Tracks::NONE, timeline: Timeline::NEW, is_due: true };

    pub(crate) fn set_tracks(&mut self, tracks: Tracks) {
        (self.tracks, self.is_due) = (tracks, true);
    }

    /// The next frame is the first one of a publication. Timestamps begin at 0 again.
    pub(crate) fn restart(&mut self) {
        (self.timeline, self.is_due) = (Timeline::NEW, true);
    }

    pub(crate) const fn has_video(&self) -> bool {
        self.tracks.has_video
    }

    /// Pushes a picture.
    pub(crate) fn picture(&mut self, ring: &mut Ring<'_>, now: Instant, picture: Picture<'_>) -> SendOutcome {
        self.is_due |= self.tracks.take_in_band(picture.units);
        self.push(ring, now, VIDEO, Message::new(Content::Picture(picture)))
    }

    /// Pushes an audio frame.
    pub(crate) fn sound(&mut self, ring: &mut Ring<'_>, now: Instant, pts: u64, frame: &[u8]) -> SendOutcome {
        self.push(ring, now, AUDIO, Message::new(Content::Sound(pts, frame)))
    }

    fn push(&mut self, ring: &mut Ring<'_>, now: Instant, slot: usize, mut message: Message<'_>) -> SendOutcome {
        if !message.make_header(&self.tracks) {
            return SendOutcome::Dropped(DropReason::NoTrack);
        }
        if message.length > MAX_MESSAGE_LENGTH {
            return SendOutcome::Dropped(DropReason::TooLarge);
        }
        let class = message.class(&self.tracks);
        let may_continue = class == FrameClass::Keyframe || (slot == AUDIO && !self.tracks.has_video);
        let timestamp = self.timeline.place(slot, message.time(), may_continue, now.as_millis() as u32);
        let Some(timestamp) = timestamp else { return SendOutcome::Dropped(DropReason::Late) };
        message.timestamp = timestamp;
        if core::mem::take(&mut self.is_due) {
            for slot in [DATA, VIDEO, AUDIO] {
                let mut buffer = HEADER_BUFFER;
                if let Some(header) = self.tracks.header(slot, &mut buffer) {
                    push(ring, now, slot, &Message::header(header, timestamp));
                }
            }
        }
        if push(ring, now, slot, &message) { SendOutcome::Sent } else { SendOutcome::Dropped(DropReason::TooLarge) }
    }
}

/// Copies a message into a ring. Returns `false` if the ring is too small for it.
fn push(ring: &mut Ring<'_>, now: Instant, slot: usize, message: &Message<'_>) -> bool {
    let Message { timestamp, length, .. } = *message;
    let header = MessageHeader { timestamp, length, kind: kind(slot), stream: StreamId::CONNECTION };
    let (before, mut offset) = (ring.counts().too_long, 0);
    while offset < length {
        let mut size = [0; 4];
        let data = message.part(offset as usize, &mut size);
        // Each message is complete before the next one begins, so one chunk stream is enough.
        ring.push(now, &Fragment { csid: ChunkStreamId::COMMAND, header, offset, data });
        if ring.counts().too_long != before {
            return false;
        }
        offset += data.len() as u32;
    }
    true
}
