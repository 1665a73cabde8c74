//! Assembles the messages of a chunk stream, independent of the pieces in which they arrive.

use embedded_rtmp::chunk::{ChunkStreamId, ReadError, Reader};
use embedded_rtmp::message::{MessageHeader, MessageKind};

/// A message, or the part of it that arrived before it was aborted, restarted or cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its chunk stream.
    pub csid: ChunkStreamId,
    /// Its header.
    pub header: MessageHeader,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Message {
    /// Whether all of the payload is there.
    pub fn is_whole(&self) -> bool {
        self.payload.len() == self.header.length as usize
    }
}

/// The result of reading a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In the order in which they began.
    pub messages: Vec<Message>,
    /// Whether the stream ends between two messages, and without an error.
    pub at_boundary: bool,
    /// What ended it.
    pub error: Option<ReadError>,
}

/// Reads a stream whose pieces are cut by `cut`, and does what its Set Chunk Size and Abort messages say.
pub fn read<const STREAMS: usize>(mut bytes: &[u8], mut cut: impl FnMut() -> usize) -> Outcome {
    let mut reader = Reader::<STREAMS>::new();
    let mut outcome = Outcome { messages: Vec::new(), at_boundary: true, error: None };
    while !bytes.is_empty() && outcome.error.is_none() {
        let (piece, rest) = bytes.split_at(cut().min(bytes.len()));
        bytes = rest;
        outcome.error = feed(&mut reader, piece, &mut outcome.messages).err();
    }
    if let Some(error) = outcome.error {
        assert_eq!(reader.next_fragment(&mut &[0; 20][..]), Err(error), "an error is final");
    }
    outcome.at_boundary = outcome.error.is_none() && reader.is_at_boundary();
    outcome
}

fn feed<const STREAMS: usize>(
    reader: &mut Reader<STREAMS>,
    mut piece: &[u8],
    messages: &mut Vec<Message>,
) -> Result<(), ReadError> {
    loop {
        let before = piece.len();
        let Some(fragment) = reader.next_fragment(&mut piece)? else {
            assert!(piece.is_empty(), "there is no fragment, although input is left");
            return Ok(());
        };
        let taken = before - piece.len();
        assert!(fragment.data.len() <= taken + 4, "there is payload without input");
        assert!(taken > 0 || !fragment.data.is_empty(), "no byte was consumed, and there is no payload");
        if fragment.is_first() {
            messages.push(Message { csid: fragment.csid, header: fragment.header, payload: Vec::new() });
        }
        let message =
            messages.iter_mut().rev().find(|message| message.csid == fragment.csid).expect("the message began");
        assert_eq!(message.header, fragment.header);
        assert_eq!(message.payload.len(), fragment.offset as usize, "the fragments have a gap");
        message.payload.extend_from_slice(fragment.data);
        assert!(message.payload.len() <= message.header.length as usize, "the payload is longer than the header says");
        assert_eq!(fragment.is_last(), message.is_whole());
        if message.is_whole()
            && let Some(number) = message.payload.first_chunk().copied().map(u32::from_be_bytes)
        {
            match (message.header.kind, ChunkStreamId::new(number)) {
                (MessageKind::SET_CHUNK_SIZE, _) => reader.set_chunk_size(number)?,
                (MessageKind::ABORT, Some(csid)) => reader.abort(csid),
                _ => {}
            }
        }
    }
}
