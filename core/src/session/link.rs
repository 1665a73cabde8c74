//! What client and server share: the chunk stream both ways, flow control, pings, and the queue of what goes out.

use core::ops::Range;

use crate::amf0::{BufferFull, Encoder};
use crate::chunk::{Assembled, Assembler, ChunkStreamId, Fragment, Pulled, Reader, Writer};
use crate::control::{self, Control, Event};
use crate::message::{Header, Kind, StreamId, Timestamp};

use super::queue::{HEADER, Queue};
use super::{Buffers, Error, RequestError, flow::Flow};

/// Chunk streams that media goes out on.
const OUT: usize = 3;
const AUDIO: ChunkStreamId = ChunkStreamId::new(4).expect("is 2 to 65,599");
const DATA: ChunkStreamId = ChunkStreamId::new(5).expect("is 2 to 65,599");
const VIDEO: ChunkStreamId = ChunkStreamId::new(6).expect("is 2 to 65,599");
/// Commands of a message stream.
const STREAM_COMMAND: ChunkStreamId = ChunkStreamId::new(8).expect("is 2 to 65,599");

/// An established chunk stream.
#[derive(Debug)]
pub(super) struct Link<'b, const STREAMS: usize> {
    reader: Reader<STREAMS>,
    writer: Writer<OUT>,
    scratch: &'b mut [u8],
    assembler: Assembler<2>,
    queue: Queue<'b>,
    /// A control message that comes in pieces.
    control: [u8; control::MAX_SIZE],
    control_length: u8,
    control_csid: Option<ChunkStreamId>,
    flow: Flow,
    /// A ping that is not answered yet; a later one takes its place.
    pong: Option<u32>,
}

/// Something that came in.
pub(super) enum Incoming<'i> {
    /// A piece of audio, video, data or an aggregate; lent by [`Link::lend`].
    Media(StreamId, Pulled<'i>),
    /// A whole command; lent by [`Link::payload`].
    Command(StreamId, Payload<'i>),
    /// A user control event that the link does not answer by itself.
    Event(Event),
}

/// Where the payload of a command lies.
#[derive(Clone)]
pub(super) enum Payload<'i> {
    Input(&'i [u8]),
    Scratch(Range<usize>),
}

impl<'b, const STREAMS: usize> Link<'b, STREAMS> {
    pub(super) fn new(buffers: Buffers<'b>) -> Self {
        Self {
            reader: Reader::new(),
            writer: Writer::new(),
            scratch: buffers.scratch,
            assembler: Assembler::new(),
            queue: Queue::new(buffers.control),
            control: [0; control::MAX_SIZE],
            control_length: 0,
            control_csid: None,
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
        self.queue_control(&Control::WindowAckSize(size))?;
        Ok(size)
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
            let Fragment { header, .. } = self.reader.fragment(pulled);
            if header.kind.is_media() && !self.reader.is_disowned() {
                return Ok(Some(Incoming::Media(header.stream, pulled)));
            }
            if header.kind.is_command()
                && let Some(payload) = self.command(pulled)
            {
                return Ok(Some(Incoming::Command(header.stream, payload)));
            }
            if header.kind.is_control()
                && let Some(event) = self.control(pulled)?
            {
                return Ok(Some(Incoming::Event(event)));
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

    /// The payload that [`Self::pull`] found; it stays until the next pull.
    pub(super) fn payload<'d, 'i: 'd>(&'d self, payload: Payload<'i>) -> &'d [u8] {
        match payload {
            Payload::Input(bytes) => bytes,
            Payload::Scratch(place) => self.scratch.get(place).unwrap_or(&[]),
        }
    }

    /// Collects a command; answers where it lies once it is whole.
    fn command<'i>(&mut self, pulled: Pulled<'i>) -> Option<Payload<'i>> {
        let fragment = self.reader.fragment(pulled);
        // As it lies, where it could also be collected: what becomes of a command does not depend on the pieces it comes in.
        let fits = self.assembler.is_idle() && fragment.data.len() <= self.scratch.len();
        if fragment.is_first()
            && fragment.is_last()
            && fits
            && let Some(data) = pulled.data
        {
            return Some(Payload::Input(data));
        }
        if fragment.is_first() {
            // A command that was not finished may have given way to a message of another kind.
            self.assembler.retain(|csid| self.reader.is_amid(csid));
        }
        let Assembled::Whole(place) = self.assembler.push(&fragment, self.scratch) else { return None };
        Some(Payload::Scratch(place))
    }

    /// Collects a control message, and does what it says once it is whole.
    fn control(&mut self, pulled: Pulled<'_>) -> Result<Option<Event>, Error> {
        let fragment = self.reader.fragment(pulled);
        let (csid, kind, last) = (fragment.csid, fragment.header.kind, fragment.is_last());
        match self.control_csid {
            Some(other) if other != csid => return Err(Error::InterleavedControl(csid)),
            _ => self.control_csid = Some(csid),
        }
        if fragment.is_first() {
            self.control_length = 0;
        }
        let room = self.control.get_mut(usize::from(self.control_length)..).unwrap_or(&mut []);
        self.control_length = self.control_length.saturating_add(crate::bytes::copy(fragment.data, room) as u8);
        if !last {
            return Ok(None);
        }
        self.control_csid = None;
        let payload = self.control.get(..usize::from(self.control_length)).unwrap_or(&[]);
        match Control::parse(kind, payload) {
            Some(Control::SetChunkSize(size)) => self.reader.set_chunk_size(size)?,
            Some(Control::Abort(csid)) => self.abort(csid),
            Some(Control::Acknowledgement(sequence)) => self.flow.acknowledge(sequence),
            Some(Control::WindowAckSize(size)) => self.flow.set_window(size),
            Some(Control::SetPeerBandwidth { size, limit }) => self.flow.limit(size, limit),
            Some(Control::User(Event::PingRequest(time))) => self.pong = Some(time),
            // That it came is all that counts.
            Some(Control::User(Event::PingResponse(_))) => {}
            Some(Control::User(event)) => return Ok(Some(event)),
            None => {}
        }
        Ok(None)
    }

    fn abort(&mut self, csid: u32) {
        if let Some(csid) = ChunkStreamId::new(csid) {
            self.reader.abort(csid);
            self.assembler.abort(csid);
            if self.control_csid == Some(csid) {
                self.control_csid = None;
            }
        }
    }

    /// Whether the queue has room for `bytes` of payload and overhead.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.free() >= bytes
    }

    pub(super) fn control_capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Queues a command on `stream`; `emit` writes it.
    pub(super) fn queue_command(
        &mut self,
        stream: StreamId,
        emit: &mut dyn FnMut(&mut Encoder<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), RequestError> {
        let csid = if stream == StreamId::CONNECTION { ChunkStreamId::COMMAND } else { STREAM_COMMAND };
        Ok(self.queue.push(csid, Kind::COMMAND, stream, emit)?)
    }

    /// Queues a control message.
    pub(super) fn queue_control(&mut self, control: &Control) -> Result<(), RequestError> {
        let (kind, bytes, length) = control.emit();
        let payload = bytes.get(..length).unwrap_or(&[]);
        self.queue.push_bytes(ChunkStreamId::CONTROL, kind, StreamId::CONNECTION, payload)?;
        if let Control::SetChunkSize(size) = *control {
            self.queue.set_chunk_size(size);
        }
        Ok(())
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
        self.writer.has_open()
    }

    /// Puts out what waits in the queue, as far as `out` goes; nothing within a chunk of media.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let mut written = 0_usize;
        loop {
            self.queue_due();
            if !self.writer.is_at_boundary() {
                return written;
            }
            let more = self.queue.transmit(rest_of(out, written));
            if self.queue.is_empty() {
                // Whatever was to be announced is out.
                self.writer.set_chunk_size(self.queue.chunk_size());
            }
            if more == 0 {
                return written;
            }
            written = written.saturating_add(more);
        }
    }

    /// Puts out what is open on `csid`, behind what waits in the queue.
    pub(super) fn transmit_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> (usize, usize) {
        let (mut taken, mut written) = (0, self.transmit(out));
        if !self.queue.is_empty() {
            // It waits for the end of a chunk of media, and no longer.
            let chunk = rest.get(..self.writer.chunk_left() as usize).unwrap_or(rest);
            let (more, bytes) = self.writer.poll(csid, chunk, rest_of(out, written));
            (taken, written) = (more, written.saturating_add(bytes));
            written = written.saturating_add(self.transmit(rest_of(out, written)));
            if !self.queue.is_empty() {
                return (taken, written);
            }
        }
        let (more, bytes) = self.writer.poll(csid, rest.get(taken..).unwrap_or(&[]), rest_of(out, written));
        taken = taken.saturating_add(more);
        (taken, written.saturating_add(bytes))
    }

    /// Whether [`Self::transmit`] has something to put out.
    pub(super) fn wants_transmit(&self) -> bool {
        (!self.queue.is_empty() || self.due().is_some()) && self.writer.is_at_boundary()
    }

    /// The bytes that [`Self::transmit`] can put out.
    pub(super) fn transmit_len(&self) -> usize {
        if !self.wants_transmit() {
            return 0;
        }
        let pong = if self.pong.is_some() { HEADER + 6 } else { 0 };
        self.queue.len().saturating_add(pong).saturating_add(self.flow.due_count() * (HEADER + 4))
    }

    /// What is due beside the queue.
    fn due(&self) -> Option<Control> {
        self.pong.map(|time| Control::User(Event::PingResponse(time))).or_else(|| self.flow.due())
    }

    /// Moves the next thing that is due to the queue, once that is empty: so there is always room for it, it never takes
    /// the room that answers to commands need, and a flood of pings has one answer.
    fn queue_due(&mut self) {
        if self.queue.is_empty()
            && let Some(control) = self.due()
            && self.queue_control(&control).is_ok()
        {
            match control {
                Control::User(_) => self.pong = None,
                _ => self.flow.done(&control),
            }
        }
    }
}

fn rest_of(out: &mut [u8], written: usize) -> &mut [u8] {
    out.get_mut(written..).unwrap_or(&mut [])
}
