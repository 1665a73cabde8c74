//! What goes out over a link: the queue first, and media between its messages.

use super::RequestError;
use super::link::Link;
use super::queue::{Emit, OVERHEAD};
use crate::amf0::{Encoder, Token};
use crate::chunk::{ChunkStreamId, WriteProgress};
use crate::command::{self, Status};
use crate::control;
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

const AUDIO: ChunkStreamId = ChunkStreamId::new(4).expect("is 2 to 65,599");
const DATA: ChunkStreamId = ChunkStreamId::new(5).expect("is 2 to 65,599");
const VIDEO: ChunkStreamId = ChunkStreamId::new(6).expect("is 2 to 65,599");
/// Commands of a message stream, and what data the session itself says there.
const STREAM_COMMAND: ChunkStreamId = ChunkStreamId::new(8).expect("is 2 to 65,599");

/// The payload that takes the place of what does not come any more.
static ZEROS: [u8; 64] = [0; 64];

impl<const STREAMS: usize> Link<'_, STREAMS> {
    /// Whether the queue has room for `bytes` of payload and overhead.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.free() >= bytes
    }

    /// Queues a command on `stream`; `emit` writes it.
    pub(super) fn queue(&mut self, stream: StreamId, emit: Emit<'_>) -> Result<(), RequestError> {
        let csid = if stream == StreamId::CONNECTION { ChunkStreamId::COMMAND } else { STREAM_COMMAND };
        Ok(self.queue.push(csid, MessageKind::COMMAND, stream, self.writer.chunk_size, emit)?)
    }

    /// Queues `onStatus` on `stream`.
    pub(super) fn queue_status(&mut self, stream: StreamId, status: &Status<'_>) -> Result<(), RequestError> {
        self.queue(stream, &mut |encoder, _| command::put_status(encoder, "onStatus", 0.0, status))
    }

    /// Queues a message of AMF0 values on `stream`.
    pub(super) fn queue_values(
        &mut self,
        kind: MessageKind,
        stream: StreamId,
        values: &[Token<'_>],
    ) -> Result<(), RequestError> {
        let mut emit = |encoder: &mut Encoder<'_>, _: &[u8]| encoder.put_all(values).map(|_| ());
        Ok(self.queue.push(STREAM_COMMAND, kind, stream, self.writer.chunk_size, &mut emit)?)
    }

    /// Queues a control message. Its few bytes are made where it is queued: that takes less flash than
    /// [`Control::emit`](control::Control::emit), which knows them all.
    pub(super) fn queue_control(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), RequestError> {
        let mut emit = |encoder: &mut Encoder<'_>, _: &[u8]| encoder.raw(payload).map(|_| ());
        let (csid, stream) = (ChunkStreamId::CONTROL, StreamId::CONNECTION);
        Ok(self.queue.push(csid, kind, stream, self.writer.chunk_size, &mut emit)?)
    }

    /// Queues a user control event with its one number.
    pub(super) fn queue_event(&mut self, event: u8, value: u32) -> Result<(), RequestError> {
        let [a, b, c, d] = value.to_be_bytes();
        self.queue_control(MessageKind::USER_CONTROL, &[0, event, a, b, c, d])
    }

    /// Begins an audio, video or data message.
    pub(super) fn begin_media(
        &mut self,
        kind: MessageKind,
        stream: StreamId,
        timestamp: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        let csid = match kind {
            MessageKind::AUDIO => AUDIO,
            MessageKind::VIDEO => VIDEO,
            MessageKind::DATA => DATA,
            _ => return Err(RequestError::MessageKind),
        };
        self.writer.begin(csid, MessageHeader { timestamp, length, kind, stream })?;
        Ok(csid)
    }

    /// Payload bytes that the message on `csid` lacks; `None` where none is open.
    pub(super) fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.writer.left(csid)
    }

    /// The chunk stream whose chunk is unfinished, and the payload bytes that the chunk lacks.
    pub(super) fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        self.writer.open_chunk()
    }

    /// Whether an audio, video or data message is begun and not finished.
    pub(super) fn has_open_media(&self) -> bool {
        self.writer.has_open()
    }

    /// Puts out what waits in the queue, as far as `out` goes; nothing within a chunk of media.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let mut written = 0_usize;
        while self.wants_transmit() {
            self.queue_due();
            let more = self.queue.transmit(rest_of(out, written));
            if more == 0 {
                break;
            }
            written = written.wrapping_add(more);
        }
        written
    }

    /// Puts out what is open on `csid`, behind what waits in the queue.
    pub(super) fn transmit_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        let (mut taken, mut written) = (0_usize, 0_usize);
        loop {
            written = written.wrapping_add(self.transmit(rest_of(out, written)));
            let waiting = self.has_waiting();
            // What waits does so for the end of a chunk of media, and no longer; or for more room than there is.
            let end = if waiting { taken.wrapping_add(self.writer.chunk_left() as usize) } else { rest.len() };
            let part = rest.get(taken..end.min(rest.len())).unwrap_or(&[]);
            let more = self.writer.poll(csid, part, rest_of(out, written));
            (taken, written) = (taken.wrapping_add(more.taken), written.wrapping_add(more.written));
            if !waiting || !self.writer.is_at_boundary() || written == out.len() {
                return WriteProgress { taken, written, done: more.done };
            }
        }
    }

    /// Writes zeros as the rest of the message that is open on `csid`, behind what waits in the queue. Returns the number
    /// of bytes that it wrote to `out`.
    pub(super) fn complete_media(&mut self, csid: ChunkStreamId, out: &mut [u8]) -> usize {
        let mut written = 0_usize;
        while let Some(left) = self.writer.left(csid) {
            let zeros = ZEROS.get(..left as usize).unwrap_or(&ZEROS);
            let more = self.transmit_media(csid, zeros, rest_of(out, written));
            if more.written == 0 {
                break;
            }
            written = written.wrapping_add(more.written);
        }
        written
    }

    /// Whether anything but media is to be sent.
    fn has_waiting(&self) -> bool {
        self.queue.len() > 0 || self.flow.is_due()
    }

    /// Whether [`Self::transmit`] has something to put out.
    pub(super) fn wants_transmit(&self) -> bool {
        self.has_waiting() && self.writer.is_at_boundary()
    }

    /// The bytes that [`Self::transmit`] can put out.
    pub(super) fn transmit_len(&self) -> usize {
        if !self.wants_transmit() {
            return 0;
        }
        let (payload, messages) = self.flow.due();
        self.queue.len().wrapping_add(payload).wrapping_add(messages.wrapping_mul(OVERHEAD))
    }

    /// The bytes that [`Self::transmit_media`] can put out, where it is passed `at_hand` bytes of payload.
    pub(super) fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
        let at_hand = u32::try_from(at_hand).unwrap_or(u32::MAX);
        let media = self.writer.wire_len(csid, at_hand);
        // What waits for the end of a chunk is not counted: it comes on top, if it comes.
        media.saturating_add(self.transmit_len())
    }

    /// Moves the next thing that is due to the queue, once that is empty: so there is always room for it, it never takes
    /// the room that answers to commands need, and a flood of pings has one answer.
    fn queue_due(&mut self) {
        if self.queue.len() > 0 {
            return;
        }
        let Some((kind, value)) = self.flow.take_due() else { return };
        let _ = match kind {
            MessageKind::USER_CONTROL => self.queue_event(control::PING_RESPONSE, value),
            _ => self.queue_control(kind, &value.to_be_bytes()),
        };
    }
}

#[inline(never)]
fn rest_of(out: &mut [u8], written: usize) -> &mut [u8] {
    out.get_mut(written..).unwrap_or(&mut [])
}
