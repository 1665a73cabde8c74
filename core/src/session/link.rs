//! What client and server share: the chunk stream both ways, flow control, pings, and the queue of what goes out.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::amf0::{BufferFull, Encoder, Token};
use crate::bytes::{Aligned, Cursor};
use crate::chunk::{
    Assembled, Assembler, ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE, Pulled, Reader, Writer,
};
use crate::command::{self, Status};
use crate::control::{self, Event, Limit};
use crate::message::{Header, Kind, StreamId, Timestamp};

use super::queue::Queue;
use super::{Buffers, Error, RequestError, flow::Flow};

/// Chunk streams that media goes out on; one more is for control and command messages.
const OUT: usize = 4;
const AUDIO: ChunkStreamId = ChunkStreamId::new(4).expect("is 2 to 65,599");
const DATA: ChunkStreamId = ChunkStreamId::new(5).expect("is 2 to 65,599");
const VIDEO: ChunkStreamId = ChunkStreamId::new(6).expect("is 2 to 65,599");
/// Commands of a message stream.
const STREAM_COMMAND: ChunkStreamId = ChunkStreamId::new(8).expect("is 2 to 65,599");

/// The chunk header before a queued message: type 0, one byte of chunk stream id.
const QUEUED_HEADER: usize = 12;

/// Room for incoming control messages: two of the longest that have a meaning.
const CONTROL_ROOM: usize = 2 * control::MAX_SIZE;

/// An established chunk stream.
#[derive(Debug)]
pub(super) struct Link<'b, const STREAMS: usize> {
    reader: Reader<STREAMS>,
    writer: Writer<OUT>,
    scratch: &'b mut [u8],
    assembler: Assembler,
    queue: Queue<'b>,
    /// The first message of the queue is begun.
    sending: bool,
    /// Control messages that come in pieces.
    control: Aligned<CONTROL_ROOM>,
    control_assembler: Assembler,
    flow: Flow,
    /// A ping that is not answered yet; a later one takes its place.
    pong: Option<u32>,
}

/// Something that came in.
pub(super) enum Incoming<'i> {
    /// A piece of audio, video, data or an aggregate; lent by [`Link::lend`].
    Media(StreamId, Pulled<'i>),
    /// A whole command; lent by [`Link::payload`].
    Command(StreamId, Payload),
    /// A user control event that the link does not answer by itself.
    Event(Event),
}

/// Where in the scratch the payload of a command lies.
pub(super) type Payload = Range<usize>;

impl<'b, const STREAMS: usize> Link<'b, STREAMS> {
    pub(super) fn new(buffers: Buffers<'b>) -> Self {
        Self {
            reader: Reader::new(),
            writer: Writer::new(),
            scratch: buffers.scratch,
            assembler: Assembler::new(),
            queue: Queue::new(buffers.control),
            sending: false,
            control: Aligned([0; CONTROL_ROOM]),
            control_assembler: Assembler::new(),
            flow: Flow::new(),
            pong: None,
        }
    }

    /// Gives the lent memory back.
    pub(super) fn into_buffers(self) -> Buffers<'b> {
        Buffers { scratch: self.scratch, control: self.queue.into_buffer() }
    }

    /// The lent scratch, which is the handshake's until that is done.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        self.scratch
    }

    pub(super) fn reader(&mut self) -> &mut Reader<STREAMS> {
        &mut self.reader
    }

    pub(super) const fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Queues the window that we announce, in bytes; answers what it is. A size of 0 or less must not be announced:
    /// FFmpeg closes the connection over it.
    pub(super) fn announce_window(&mut self, size: u32) -> Result<u32, RequestError> {
        let size = size.clamp(1, i32::MAX as u32);
        self.flow.announce(size);
        self.queue_control(Kind::WINDOW_ACK_SIZE, &size.to_be_bytes())?;
        Ok(size)
    }

    /// Queues the size of our chunks, in bytes; never less than 128, which some servers insist on.
    pub(super) fn announce_chunk_size(&mut self, size: u32) -> Result<(), RequestError> {
        self.queue_control(Kind::SET_CHUNK_SIZE, &size.clamp(DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE).to_be_bytes())
    }

    /// Command messages left out because they did not fit in the scratch.
    pub(super) const fn skipped(&self) -> u32 {
        self.assembler.skipped()
    }

    /// Takes bytes from the front of `input` until something has come; `None` once it is empty. Protocol control
    /// messages and pings are dealt with on the way.
    pub(super) fn pull<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Incoming<'i>>, Error> {
        loop {
            let before = input.len();
            let pulled = self.reader.pull(input);
            self.flow.receive(before.wrapping_sub(input.len()));
            let Some(pulled) = pulled? else { return Ok(None) };
            let fragment = self.reader.fragment(pulled);
            let Header { kind, stream, .. } = fragment.header;
            if fragment.is_first() {
                // A command that was not finished may have given way to a message of another kind.
                self.assembler.abort(fragment.csid);
            }
            if kind.is_media() {
                if !self.reader.is_disowned() {
                    return Ok(Some(Incoming::Media(stream, pulled)));
                }
            } else if kind.is_command() || kind.is_control() {
                // Each has its own room, so that no command can keep a control message out.
                let (assembler, longest, room) = if kind.is_command() {
                    (&mut self.assembler, usize::MAX, &mut *self.scratch)
                } else {
                    (&mut self.control_assembler, control::MAX_SIZE, &mut self.control.0[..])
                };
                match (assembler.push(&fragment, longest, room), kind.is_command()) {
                    (Assembled::Whole(place), true) => return Ok(Some(Incoming::Command(stream, place))),
                    (Assembled::Whole(place), false) => {
                        if let Some(event) = self.control(kind, place)? {
                            return Ok(Some(Incoming::Event(event)));
                        }
                    }
                    // The chunk stream cannot be read on without knowing what it said.
                    (Assembled::Skipped, false) => return Err(Error::InterleavedControl(fragment.csid)),
                    _ => {}
                }
            }
            // Kinds that nobody knows pass by, and what belongs to nobody.
        }
    }

    /// Takes more of the message that [`Self::pull`] found a part of; `None` where that must look at what comes.
    #[inline]
    pub(super) fn resume<'i>(&mut self, input: &mut &'i [u8]) -> Option<Pulled<'i>> {
        let before = input.len();
        let pulled = self.reader.resume(input);
        self.flow.receive(before.wrapping_sub(input.len()));
        pulled
    }

    /// The fragment that [`Self::pull`] found.
    #[inline]
    pub(super) fn lend<'d, 'i: 'd>(&'d self, pulled: Pulled<'i>) -> Fragment<'d> {
        self.reader.fragment(pulled)
    }

    /// The payload of the command that [`Self::pull`] found; it stays until the next pull.
    pub(super) fn payload(&self, place: Payload) -> &[u8] {
        self.scratch.get(place).unwrap_or(&[])
    }

    /// Does what a control message says; answers the event that it is, where that is for others.
    fn control(&mut self, kind: Kind, place: Range<usize>) -> Result<Option<Event>, Error> {
        let payload = self.control.0.get(place).unwrap_or(&[]);
        // All of them begin with a number, but for user control, which is no shorter.
        let Some(value) = Cursor(payload).u32() else { return Ok(None) };
        match kind {
            Kind::SET_CHUNK_SIZE => self.reader.set_chunk_size(value)?,
            Kind::ABORT => {
                if let Some(csid) = ChunkStreamId::new(value) {
                    self.reader.abort(csid);
                    self.assembler.abort(csid);
                    self.control_assembler.abort(csid);
                }
            }
            Kind::ACKNOWLEDGEMENT => self.flow.acknowledge(value),
            Kind::WINDOW_ACK_SIZE => self.flow.set_window(value),
            Kind::SET_PEER_BANDWIDTH => {
                if let Some(limit) = payload.get(4).and_then(|byte| Limit::parse(*byte)) {
                    self.flow.limit(value, limit);
                }
            }
            _ => match Event::parse(payload) {
                Some(Event::PingRequest(time)) => self.pong = Some(time),
                // That it came is all that counts.
                Some(Event::PingResponse(_)) => {}
                event => return Ok(event),
            },
        }
        Ok(None)
    }

    /// Whether the queue has room for `bytes` of payload and overhead.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.free() >= bytes
    }

    pub(super) fn control_capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Queues a command on `stream`; `emit` writes it.
    pub(super) fn queue(
        &mut self,
        stream: StreamId,
        emit: &mut dyn FnMut(&mut Encoder<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), RequestError> {
        let csid = if stream == StreamId::CONNECTION { ChunkStreamId::COMMAND } else { STREAM_COMMAND };
        Ok(self.queue.push(csid, Kind::COMMAND, stream, emit)?)
    }

    /// Queues a command on `stream`: its name, its transaction id, and what follows.
    pub(super) fn queue_command(
        &mut self,
        stream: StreamId,
        name: &str,
        transaction: f64,
        values: &[Token<'_>],
    ) -> Result<(), RequestError> {
        self.queue(stream, &mut |encoder| command::put(encoder, name, transaction, values))
    }

    /// Queues `onStatus` on `stream`.
    pub(super) fn queue_status(&mut self, stream: StreamId, status: &Status<'_>) -> Result<(), RequestError> {
        self.queue(stream, &mut |encoder| command::put_status(encoder, "onStatus", 0.0, status))
    }

    /// Queues a control message. Its few bytes are made where it is queued: that takes less flash than
    /// [`Control::emit`](control::Control::emit), which knows them all.
    pub(super) fn queue_control(&mut self, kind: Kind, payload: &[u8]) -> Result<(), RequestError> {
        Ok(self.queue.push_bytes(ChunkStreamId::CONTROL, kind, StreamId::CONNECTION, payload)?)
    }

    /// Begins an audio, video or data message.
    pub(super) fn begin_media(
        &mut self,
        kind: Kind,
        stream: StreamId,
        timestamp: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        let csid = match kind {
            Kind::AUDIO => AUDIO,
            Kind::VIDEO => VIDEO,
            Kind::DATA => DATA,
            _ => return Err(RequestError::Kind),
        };
        self.writer.begin(csid, Header { timestamp, length, kind, stream })?;
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
        self.writer.has_remembered()
    }

    /// Puts out what waits in the queue, as far as `out` goes; nothing within a chunk of media.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let mut written = 0_usize;
        loop {
            self.queue_due();
            let Some(queued) = self.queue.first() else { break };
            if !self.sending {
                if !self.writer.is_at_boundary() || self.writer.begin_full(queued.csid, queued.header).is_err() {
                    break;
                }
                self.sending = true;
            }
            let left = self.writer.left(queued.csid).unwrap_or(0) as usize;
            let rest = queued.payload.get(queued.payload.len().wrapping_sub(left)..).unwrap_or(&[]);
            written = written.wrapping_add(self.writer.poll(queued.csid, rest, rest_of(out, written)).1);
            if self.writer.left(queued.csid).is_some() {
                break;
            }
            if let Some(size) = queued.chunk_size() {
                self.writer.set_chunk_size(size);
            }
            self.sending = false;
            self.queue.pop();
        }
        written
    }

    /// Puts out what is open on `csid`, behind what waits in the queue.
    pub(super) fn transmit_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> (usize, usize) {
        let (mut taken, mut written) = (0, self.transmit(out));
        if !self.queue.is_empty() {
            // It waits for the end of a chunk of media, and no longer.
            let chunk = rest.get(..self.writer.chunk_left() as usize).unwrap_or(rest);
            let (more, bytes) = self.writer.poll(csid, chunk, rest_of(out, written));
            (taken, written) = (more, written.wrapping_add(bytes));
            written = written.wrapping_add(self.transmit(rest_of(out, written)));
            if !self.queue.is_empty() {
                return (taken, written);
            }
        }
        let (more, bytes) = self.writer.poll(csid, rest.get(taken..).unwrap_or(&[]), rest_of(out, written));
        taken = taken.wrapping_add(more);
        (taken, written.wrapping_add(bytes))
    }

    /// Whether [`Self::transmit`] has something to put out.
    pub(super) fn wants_transmit(&self) -> bool {
        (!self.queue.is_empty() || self.pong.is_some() || self.flow.due_count() > 0)
            && (self.sending || self.writer.is_at_boundary())
    }

    /// The bytes that [`Self::transmit`] can put out.
    pub(super) fn transmit_len(&self) -> usize {
        if !self.wants_transmit() {
            return 0;
        }
        let mut chunk_size = NonZeroU32::new(self.writer.chunk_size()).unwrap_or(NonZeroU32::MIN);
        let mut length = self.flow.due_count() * (QUEUED_HEADER + 4);
        if self.pong.is_some() {
            length = length.wrapping_add(QUEUED_HEADER + 6);
        }
        for (place, queued) in self.queue.iter().enumerate() {
            let size = if place == 0 && self.sending {
                self.writer.wire_left(queued.csid)
            } else {
                let continued = queued.header.length.saturating_sub(1) / chunk_size;
                QUEUED_HEADER + queued.payload.len() + continued as usize
            };
            length = length.wrapping_add(size);
            chunk_size = queued.chunk_size().and_then(NonZeroU32::new).unwrap_or(chunk_size);
        }
        length
    }

    /// Moves the next thing that is due to the queue, once that is empty: so there is always room for it, it never takes
    /// the room that answers to commands need, and a flood of pings has one answer.
    fn queue_due(&mut self) {
        if !self.queue.is_empty() {
            return;
        }
        let _ = if let Some(time) = self.pong.take() {
            let [a, b, c, d] = time.to_be_bytes();
            self.queue_control(Kind::USER_CONTROL, &[0, 7, a, b, c, d])
        } else if let Some((kind, value)) = self.flow.take_due() {
            self.queue_control(kind, &value.to_be_bytes())
        } else {
            Ok(())
        };
    }
}

fn rest_of(out: &mut [u8], written: usize) -> &mut [u8] {
    out.get_mut(written..).unwrap_or(&mut [])
}
