//! What client and server share: the chunk stream both ways, flow control, pings, and the queue of what goes out.

use core::ops::Range;

use crate::bytes::Cursor;
use crate::chunk::{
    Assembled, Assembler, ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE, Pulled, Reader, TypeThreeDelta,
    Writer,
};
use crate::control::{self, Limit, UserControlEvent};
use crate::message::{MessageHeader, MessageKind, StreamId};

use super::queue::Queue;
use super::{RequestError, SessionBuffers, SessionError, flow::Flow};

/// Chunk streams that media goes out on: one each for audio, video and data.
const OUT: usize = 3;
/// Room for incoming control messages: two of the longest that have a meaning.
const CONTROL_ROOM: usize = 2 * control::MAX_SIZE;

/// An established chunk stream.
#[derive(Debug)]
pub(super) struct Link<'b, const STREAMS: usize> {
    pub(super) reader: Reader<STREAMS>,
    pub(super) writer: Writer<OUT>,
    /// The handshake's; then commands and, at its end, control messages that come in pieces.
    scratch: &'b mut [u8],
    assembler: Assembler,
    control_assembler: Assembler,
    /// Commands and data messages that had no room beside others.
    skipped: u32,
    pub(super) queue: Queue<'b>,
    pub(super) flow: Flow,
}

/// Something that came in.
pub(super) enum Incoming<'i> {
    /// A piece of audio, video, data or an aggregate; lent by [`Link::lend`].
    Media(StreamId, Pulled<'i>),
    /// A whole command; lent by [`Link::payload`].
    Command(StreamId, Payload),
    /// A whole data message, likewise, where they are collected.
    Data(MessageHeader, Payload),
    /// A user control event that the link does not answer by itself.
    UserControlEvent(UserControlEvent),
}

/// Where in the scratch the payload of a command lies.
pub(super) type Payload = Range<usize>;

/// The parts of the scratch for commands and for control messages.
fn rooms(scratch: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let commands = scratch.len().saturating_sub(CONTROL_ROOM);
    scratch.split_at_mut_checked(commands).unwrap_or_default()
}

impl<'b, const STREAMS: usize> Link<'b, STREAMS> {
    pub(super) fn new(buffers: SessionBuffers<'b>, window: u32, type_three_delta: TypeThreeDelta) -> Self {
        Self {
            reader: Reader::with(type_three_delta),
            writer: Writer::new(),
            scratch: buffers.scratch,
            assembler: Assembler::new(),
            control_assembler: Assembler::new(),
            skipped: 0,
            queue: Queue::new(buffers.control),
            flow: Flow::new(window),
        }
    }

    /// Gives the lent memory back.
    pub(super) fn into_buffers(self) -> SessionBuffers<'b> {
        SessionBuffers { scratch: self.scratch, control: self.queue.into_buffer() }
    }

    /// Becomes a new link in place, with the same memory.
    pub(super) fn reset(&mut self, window: u32, type_three_delta: TypeThreeDelta) {
        self.reader.reset(type_three_delta);
        self.writer.reset();
        (self.assembler, self.control_assembler) = (Assembler::new(), Assembler::new());
        self.skipped = 0;
        self.queue.reset();
        self.flow = Flow::new(window);
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

    /// Queues the window that we announce, in bytes.
    pub(super) fn announce_window(&mut self) -> Result<(), RequestError> {
        self.queue_control(MessageKind::WINDOW_ACK_SIZE, &self.flow.announced().to_be_bytes())
    }

    /// Queues the size of our chunks, in bytes; never less than 128, which some servers insist on. What is queued or
    /// begun from now on has that size, and goes out behind this; no media message is open.
    pub(super) fn announce_chunk_size(&mut self, size: u32) -> Result<(), RequestError> {
        let size = size.clamp(DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE);
        self.queue_control(MessageKind::SET_CHUNK_SIZE, &size.to_be_bytes())?;
        self.writer.set_chunk_size(size);
        Ok(())
    }

    /// Commands, and data messages where they are collected, that were left out: the scratch had no room for them beside
    /// others.
    pub(super) const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Takes bytes from the front of `input` until something has come; `None` once it is empty. Protocol control
    /// messages and pings are dealt with on the way. Data messages are collected where `data` says so, and media else.
    #[inline]
    pub(super) fn pull<'i>(&mut self, input: &mut &'i [u8], data: bool) -> Result<Option<Incoming<'i>>, SessionError> {
        loop {
            let before = input.len();
            let pulled = self.reader.pull(input);
            self.flow.receive(before.wrapping_sub(input.len()));
            let Some(pulled) = pulled? else { return Ok(None) };
            let fragment = self.reader.fragment(pulled);
            let MessageHeader { kind, stream, .. } = fragment.header;
            if fragment.is_first() {
                // A command or a control message that was not finished may have given way to a message of another kind.
                self.assembler.abort(fragment.csid);
                self.control_assembler.abort(fragment.csid);
            }
            let is_collected = kind.is_command() || (data && kind.is_data());
            if kind.is_media() && !is_collected {
                if !self.reader.is_discarded() {
                    return Ok(Some(Incoming::Media(stream, pulled)));
                }
            } else if is_collected || kind.is_control() {
                // Each has its own room, so that no command can keep a control message out.
                let (commands, controls) = rooms(self.scratch);
                let (assembler, longest, room) = if is_collected {
                    // Of a longer one there is what comes first: that may be a refusal with a long description.
                    (&mut self.assembler, commands.len(), commands)
                } else {
                    (&mut self.control_assembler, control::MAX_SIZE, controls)
                };
                match (assembler.push(&fragment, longest, room), is_collected) {
                    (Assembled::Whole(place), true) if data && kind.is_data() => {
                        return Ok(Some(Incoming::Data(fragment.header, place)));
                    }
                    (Assembled::Whole(place), true) => return Ok(Some(Incoming::Command(stream, place))),
                    (Assembled::Whole(place), false) => {
                        if let Some(event) = self.control(kind, place)? {
                            return Ok(Some(Incoming::UserControlEvent(event)));
                        }
                    }
                    // The chunk stream cannot be read on without knowing what it said.
                    (Assembled::Skipped, false) => return Err(SessionError::InterleavedControl(fragment.csid)),
                    (Assembled::Skipped, true) if fragment.is_first() => self.skipped = self.skipped.wrapping_add(1),
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
    fn control(&mut self, kind: MessageKind, place: Range<usize>) -> Result<Option<UserControlEvent>, SessionError> {
        let payload = rooms(self.scratch).1.get(place).unwrap_or(&[]);
        // All of them begin with a number, but for user control, which is no shorter.
        let Some(value) = Cursor(payload).u32() else { return Ok(None) };
        match kind {
            MessageKind::SET_CHUNK_SIZE => self.reader.set_chunk_size(value)?,
            MessageKind::ABORT => {
                if let Some(csid) = ChunkStreamId::new(value) {
                    self.reader.abort(csid);
                    self.assembler.abort(csid);
                    self.control_assembler.abort(csid);
                }
            }
            MessageKind::ACKNOWLEDGEMENT => self.flow.acknowledge(value),
            MessageKind::WINDOW_ACK_SIZE => self.flow.set_window(value),
            MessageKind::SET_PEER_BANDWIDTH => {
                if let Some(limit) = payload.get(4).and_then(|byte| Limit::parse(*byte)) {
                    self.flow.limit(value, limit);
                }
            }
            _ => match UserControlEvent::parse(payload) {
                Some(UserControlEvent::PingRequest(time)) => self.flow.ping(time),
                // That it came is all that counts.
                Some(UserControlEvent::PingResponse(_)) => {}
                event => return Ok(event),
            },
        }
        Ok(None)
    }
}
