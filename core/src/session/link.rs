//! The chunk stream in both directions, with flow control and the queue of outgoing messages.

use core::ops::Range;

use crate::amf0::{Decoder, Encode, Token, marker};
use crate::bytes::{Output, low_u32};
use crate::chunk::{
    Assembled, Assembler, ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE, Pulled, Reader, TypeThreeDelta,
    WriteProgress, Writer,
};
use crate::command::{self, Answer, Command, PeerCapabilities, Status};
use crate::control::{self, Control, UserControlEvent};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

use super::config::{self, SessionBuffers};
use super::error::{ConfigError, RequestError, SessionError};
use super::flow::Flow;
use super::queue::{Emit, OVERHEAD, Queue};

/// The number of chunk streams for outgoing media: one each for audio, video and data.
const OUT: usize = 3;
const AUDIO: ChunkStreamId = ChunkStreamId::new(4).expect("is 2 to 65,599");
const DATA: ChunkStreamId = ChunkStreamId::new(5).expect("is 2 to 65,599");
const VIDEO: ChunkStreamId = ChunkStreamId::new(6).expect("is 2 to 65,599");
/// The chunk stream for commands of a message stream, and for data messages of the session itself.
const STREAM_COMMAND: ChunkStreamId = ChunkStreamId::new(8).expect("is 2 to 65,599");

/// The size of the scratch's end for incoming control messages: two of the longest.
const CONTROL_ROOM: usize = 2 * control::MAX_SIZE;

/// The payload that completes a message whose source has failed.
static ZEROS: [u8; 64] = [0; 64];

/// An established chunk stream.
#[derive(Debug)]
pub(super) struct Link<'b, const STREAMS: usize> {
    pub(super) reader: Reader<STREAMS>,
    pub(super) writer: Writer<OUT>,
    /// The handshake uses it first. Then it stores commands and, at its end, control messages that arrive in pieces.
    scratch: &'b mut [u8],
    assembler: Assembler,
    control_assembler: Assembler,
    /// The number of commands that found no room beside others.
    skipped: u32,
    pub(super) queue: Queue<'b>,
    flow: Flow,
}

/// The result of [`Link::pull`].
pub(super) enum Incoming<'i> {
    /// A piece of audio, video, data or an aggregate, which [`Link::lend`] lends.
    Media(StreamId, Pulled<'i>),
    Command(Received),
    /// A user control event that the link does not answer by itself.
    UserControlEvent(UserControlEvent),
}

/// A command in the scratch. [`Link::command`] lends it.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) stream: StreamId,
    payload: Range<usize>,
}

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

    /// Checks that the buffers are large enough.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        config::check_buffers(self.scratch.len(), self.queue.size())
    }

    /// Becomes a new link in place, in the same buffers.
    pub(super) fn reset(&mut self, window: u32, type_three_delta: TypeThreeDelta) {
        self.reader.reset(type_three_delta);
        self.writer.reset();
        (self.assembler, self.control_assembler) = (Assembler::new(), Assembler::new());
        self.skipped = 0;
        self.queue.reset();
        self.flow = Flow::new(window);
    }

    pub(super) fn into_buffers(self) -> SessionBuffers<'b> {
        SessionBuffers { scratch: self.scratch, control: self.queue.into_buffer() }
    }

    /// The whole scratch, for the handshake.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        self.scratch
    }

    pub(super) const fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Whether an incoming message is unfinished.
    pub(super) fn is_inside(&self) -> bool {
        !self.reader.is_at_boundary()
    }

    /// Marks the unfinished incoming messages of the message streams that `lost` picks, so that the rest of them is
    /// skipped.
    pub(super) fn discard(&mut self, lost: impl Fn(StreamId) -> bool) {
        self.reader.discard(lost);
    }

    /// Takes bytes from the front of `input` until it has a message or a piece of media. Returns `None` if the input is
    /// empty. Handles protocol control messages and pings by itself.
    #[inline]
    pub(super) fn pull<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Incoming<'i>>, SessionError> {
        loop {
            let before = input.len();
            let pulled = self.reader.pull(input);
            self.flow.receive(before.wrapping_sub(input.len()));
            let Some(pulled) = pulled? else { return Ok(None) };
            let fragment = self.reader.fragment(pulled);
            let MessageHeader { kind, stream, .. } = fragment.header;
            if fragment.is_first() {
                // A message of another kind may have replaced an unfinished command or control message on this chunk
                // stream.
                self.assembler.abort(fragment.csid);
                self.control_assembler.abort(fragment.csid);
            }
            if kind.is_media() {
                if !self.reader.is_discarded() {
                    return Ok(Some(Incoming::Media(stream, pulled)));
                }
            } else if kind.is_command() {
                // The start of a longer message is stored: it may be a refusal with a long description.
                let (room, _) = rooms(self.scratch);
                match self.assembler.push(&fragment, room.len(), room) {
                    Assembled::Whole(payload) => return Ok(Some(Incoming::Command(Received { stream, payload }))),
                    Assembled::Skipped if fragment.is_first() => self.skipped = self.skipped.wrapping_add(1),
                    _ => {}
                }
            } else if kind.is_control() {
                // They have their own room, so that no command can keep one out.
                let (_, room) = rooms(self.scratch);
                let control = match self.control_assembler.push(&fragment, control::MAX_SIZE, room) {
                    Assembled::Whole(place) => Control::parse(kind, room.get(place).unwrap_or(&[])),
                    Assembled::Partial => None,
                    // The message may change the chunk size. Without it, the chunk stream cannot be read any further.
                    Assembled::Skipped => return Err(SessionError::InterleavedControl(fragment.csid)),
                };
                if let Some(event) = self.control(control)? {
                    return Ok(Some(Incoming::UserControlEvent(event)));
                }
            }
            // Messages of unknown kinds are skipped.
        }
    }

    /// Takes more of the message of which [`Self::pull`] found a part. Returns `None` if `pull` must handle the next
    /// bytes.
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

    /// Puts the piece of media that the last [`Self::pull`] took back into `input`, which was `before`. Returns `false` if
    /// that is not possible, because the piece is empty or is in the reader.
    pub(super) fn put_back<'i>(&mut self, pulled: Pulled<'i>, before: &'i [u8], input: &mut &'i [u8]) -> bool {
        let Some(length) = pulled.data.map(<[u8]>::len).ok().filter(|length| *length > 0) else { return false };
        let Some(start) = before.len().checked_sub(input.len().saturating_add(length)) else { return false };
        *input = before.get(start..).unwrap_or(input);
        self.reader.put_back(pulled);
        self.flow.put_back(length);
        true
    }

    /// A part of the scratch. What [`Self::pull`] put there stays until the next pull.
    fn payload(&self, place: Range<usize>) -> &[u8] {
        self.scratch.get(place).unwrap_or(&[])
    }

    /// If the last command did not fit in the scratch, returns its length and the longest length that fits. The end of the
    /// command is then missing.
    pub(super) fn cut_command(&self) -> Option<[u32; 2]> {
        let (length, room) = (self.reader.message_length(), low_u32(self.scratch.len().saturating_sub(CONTROL_ROOM)));
        (length > room).then_some([length, room])
    }

    /// The command that [`Self::pull`] found; `None` if it has no name.
    pub(super) fn command(&self, received: &Received) -> Option<Command<'_>> {
        Command::parse(self.payload(received.payload.clone()))
    }

    /// Returns the capabilities in the command for which `is_it` returns `true`, if it is one of the messages that were
    /// read last. Without such a command, the result has no capabilities.
    pub(super) fn announced(&self, is_it: &dyn Fn(&Command<'_>) -> bool) -> PeerCapabilities<'_> {
        let mut commands = self.assembler.completed().filter_map(|place| Command::parse(self.payload(place)));
        PeerCapabilities::new(
            commands.find(|command| is_it(command)).map_or(Decoder::new(&[]), |command| command.values),
        )
    }

    /// The command that [`Self::pull`] found, as the answer of a server.
    // Not inlined, because it has several callers.
    #[inline(never)]
    pub(super) fn answer(&self, received: &Received) -> Answer<'_> {
        Answer::parse(self.payload(received.payload.clone()))
    }

    /// Handles a control message. Returns the event if it is for the application.
    fn control(&mut self, control: Option<Control>) -> Result<Option<UserControlEvent>, SessionError> {
        match control {
            Some(Control::SetChunkSize(size)) => self.reader.set_chunk_size(size)?,
            Some(Control::Abort(csid)) => {
                if let Some(csid) = ChunkStreamId::new(csid) {
                    self.reader.abort(csid);
                    self.assembler.abort(csid);
                    self.control_assembler.abort(csid);
                }
            }
            Some(Control::Acknowledgement(sequence)) => self.flow.acknowledge(sequence),
            Some(Control::WindowAckSize(size)) => self.flow.set_window(size),
            Some(Control::SetPeerBandwidth { size, limit }) => self.flow.limit(size, limit),
            Some(Control::User(UserControlEvent::PingRequest(time))) => self.flow.ping(time),
            // Any received byte shows that the peer is alive, so the content does not matter.
            Some(Control::User(UserControlEvent::PingResponse(_))) | None => {}
            Some(Control::User(event)) => return Ok(Some(event)),
        }
        Ok(None)
    }
}

/// Output: the messages of the queue, and media between them.
impl<const STREAMS: usize> Link<'_, STREAMS> {
    /// Whether the queue has room for `bytes` of payload and overhead.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.free() >= bytes
    }

    /// Queues a command on `stream`, which `emit` writes.
    pub(super) fn queue(&mut self, stream: StreamId, emit: Emit<'_>) -> Result<(), RequestError> {
        let csid = if stream == StreamId::CONNECTION { ChunkStreamId::COMMAND } else { STREAM_COMMAND };
        Ok(self.queue.push(csid, MessageKind::COMMAND, stream, self.writer.chunk_size, emit)?)
    }

    /// Queues a command on `stream`, which `encode` encodes.
    pub(super) fn queue_encoded(&mut self, stream: StreamId, encode: Encode<'_>) -> Result<(), RequestError> {
        self.queue(stream, &mut |out, _| out.encode(encode))
    }

    /// Queues a command on `stream` whose command object is null, and `values` after it.
    pub(super) fn queue_command(
        &mut self,
        stream: StreamId,
        name: &str,
        transaction: f64,
        values: &[Token<'_>],
    ) -> Result<(), RequestError> {
        self.queue(stream, &mut |out, _| {
            command::start(out, name, transaction.to_bits());
            out.put(&[marker::NULL]);
            out.encode(&mut |encoder| encoder.put_all(values).map(|_| ()));
        })
    }

    /// Queues `onStatus` on `stream`.
    pub(super) fn queue_status(&mut self, stream: StreamId, status: &Status<'_>) -> Result<(), RequestError> {
        self.queue(stream, &mut |out, _| command::write_status(out, "onStatus", 0, status))
    }

    /// Queues a data message of AMF0 values on `stream`.
    pub(super) fn queue_data(&mut self, stream: StreamId, values: &[Token<'_>]) -> Result<(), RequestError> {
        let mut emit = |out: &mut Output<'_>, _: &[u8]| out.encode(&mut |encoder| encoder.put_all(values).map(|_| ()));
        Ok(self.queue.push(STREAM_COMMAND, MessageKind::DATA, stream, self.writer.chunk_size, &mut emit)?)
    }

    /// Queues a control message.
    #[inline(always)]
    pub(super) fn queue_control(&mut self, control: Control) -> Result<(), RequestError> {
        let (kind, bytes, place) = control.fields();
        self.queue_control_bytes(kind, bytes.get(place).unwrap_or(&[]))
    }

    #[inline(never)]
    fn queue_control_bytes(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), RequestError> {
        let mut emit = |out: &mut Output<'_>, _: &[u8]| out.put(payload);
        let (csid, stream) = (ChunkStreamId::CONTROL, StreamId::CONNECTION);
        Ok(self.queue.push(csid, kind, stream, self.writer.chunk_size, &mut emit)?)
    }

    /// Queues the window that we announce.
    pub(super) fn announce_window(&mut self) -> Result<(), RequestError> {
        self.queue_control(Control::WindowAckSize(self.flow.announced()))
    }

    /// Queues the size of our chunks, at least 128 bytes. What is queued or begun from now on has that size, and goes out
    /// after this. No media message may be open.
    pub(super) fn announce_chunk_size(&mut self, size: u32) -> Result<(), RequestError> {
        let size = size.clamp(DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE);
        self.queue_control(Control::SetChunkSize(size))?;
        self.writer.set_chunk_size(size);
        Ok(())
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

    /// Begins a command of `length` bytes on message stream 0, which is written like a data message.
    #[cfg(feature = "admin")]
    pub(super) fn begin_command(&mut self, length: u32) -> Result<ChunkStreamId, RequestError> {
        let header =
            MessageHeader { timestamp: Timestamp(0), length, kind: MessageKind::COMMAND, stream: StreamId::CONNECTION };
        self.writer.begin(DATA, header)?;
        Ok(DATA)
    }

    /// Writes what waits in the queue to `out`, but nothing within a chunk of media.
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

    /// Writes the message that is open on `csid` to `out`, after what waits in the queue.
    pub(super) fn transmit_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        let (mut taken, mut written) = (0_usize, 0_usize);
        loop {
            written = written.wrapping_add(self.transmit(rest_of(out, written)));
            let waiting = self.has_waiting();
            // If messages are still waiting, a chunk of media is unfinished or `out` is full.
            let end = if waiting { taken.wrapping_add(self.writer.chunk_left() as usize) } else { rest.len() };
            let part = rest.get(taken..end.min(rest.len())).unwrap_or(&[]);
            let more = self.writer.poll(csid, part, rest_of(out, written));
            (taken, written) = (taken.wrapping_add(more.taken), written.wrapping_add(more.written));
            if !waiting || !self.writer.is_at_boundary() || written == out.len() {
                return WriteProgress { taken, written, done: more.done };
            }
        }
    }

    /// Writes zeros as the rest of the message that is open on `csid`, after what waits in the queue. Returns the number
    /// of bytes written.
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

    /// Whether anything besides media is to be sent.
    fn has_waiting(&self) -> bool {
        self.queue.len() > 0 || self.flow.is_due()
    }

    /// Whether output waits for the end of a chunk of media.
    pub(super) fn is_held(&self) -> bool {
        self.has_waiting() && !self.writer.is_at_boundary()
    }

    /// Whether [`Self::transmit`] has something to write.
    pub(super) fn wants_transmit(&self) -> bool {
        self.has_waiting() && self.writer.is_at_boundary()
    }

    /// The number of bytes that [`Self::transmit`] can write.
    pub(super) fn transmit_len(&self) -> usize {
        if !self.wants_transmit() {
            return 0;
        }
        let (payload, messages) = self.flow.due();
        self.queue.len().wrapping_add(payload).wrapping_add(messages.wrapping_mul(OVERHEAD))
    }

    /// The number of bytes that [`Self::transmit_media`] can write, if it is passed `at_hand` bytes of payload.
    pub(super) fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
        let at_hand = u32::try_from(at_hand).unwrap_or(u32::MAX);
        let media = self.writer.wire_len(csid, at_hand);
        // Messages that wait for the end of the chunk are not counted.
        media.saturating_add(self.transmit_len())
    }

    /// Moves the next message that is due to the queue, if the queue is empty. So there is always room for it, the
    /// answers to commands have their room, and a flood of pings gets one answer.
    fn queue_due(&mut self) {
        if self.queue.len() > 0 {
            return;
        }
        if let Some(control) = self.flow.take_due() {
            let _ = self.queue_control(control);
        }
    }
}

fn rest_of(out: &mut [u8], written: usize) -> &mut [u8] {
    out.get_mut(written..).unwrap_or(&mut [])
}
