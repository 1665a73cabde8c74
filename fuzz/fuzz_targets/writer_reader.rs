//! A reader reads back what a writer has written, through any windows and in any interleaving.
//!
//! The first byte chooses windows and cuts; then each 8 bytes are a message: chunk stream, kind, stream, timestamp (3),
//! length (2). MessageKind 1 sets the chunk size instead.
#![no_main]

use std::collections::VecDeque;

use embedded_rtmp::chunk::{ChunkStreamId, WriteProgress, Writer};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp_fuzz::{Cuts, Message, read};
use libfuzzer_sys::fuzz_target;

const STREAMS: usize = 4;
const CSIDS: [u32; STREAMS] = [3, 63, 64, 320];

struct Wire {
    writer: Writer<STREAMS>,
    /// Messages that are being written, and the number of written bytes of each.
    open: Vec<(Message, usize)>,
    bytes: Vec<u8>,
    windows: Cuts,
}

impl Wire {
    /// Lets the open messages put out one window each; drops those that are done.
    fn turn(&mut self) {
        let (writer, windows, bytes) = (&mut self.writer, &mut self.windows, &mut self.bytes);
        for (message, out) in &mut self.open {
            let mut window = vec![0; windows.length()];
            let rest = &message.payload[*out..];
            let lent = &rest[..rest.len().min(windows.length())];
            let WriteProgress { taken, written, .. } = writer.poll(message.csid, lent, &mut window);
            assert!(taken <= lent.len() && written <= window.len() && taken <= written);
            *out += taken;
            bytes.extend_from_slice(&window[..written]);
        }
        self.open.retain(|(message, _)| writer.left(message.csid).is_some());
    }

    /// Puts out the open messages to their ends.
    fn drain(&mut self) {
        while !self.open.is_empty() {
            self.turn();
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, script)) = data.split_first() else { return };
    let mut wire = Wire { writer: Writer::new(), open: Vec::new(), bytes: Vec::new(), windows: Cuts::new(seed) };
    let mut expected: [VecDeque<Message>; STREAMS] = Default::default();
    let mut total = 0;
    for step in script.as_chunks::<8>().0 {
        let &[lane, kind, stream, t0, t1, t2, l0, l1] = step;
        let lane = usize::from(lane) % STREAMS;
        let csid = ChunkStreamId::new(CSIDS[lane]).expect("a valid chunk stream id");
        while wire.open.iter().any(|(message, _)| message.csid == csid) {
            wire.turn();
        }
        let (kind, length) = match kind {
            1 => (MessageKind::SET_CHUNK_SIZE, 4),
            // Abort is not tested: the writer never sends one.
            2 => (MessageKind::VIDEO, 0),
            _ => (MessageKind(kind), u32::from(u16::from_be_bytes([l0, l1])) % 5000),
        };
        total += length;
        if total > 20_000 {
            break;
        }
        let timestamp = Timestamp(u32::from_be_bytes([t0, t1, t2, stream]));
        let header = MessageHeader { timestamp, length, kind, stream: StreamId(u32::from(stream % 3)) };
        let size = u32::from(u16::from_be_bytes([l0, l1])) % 5000 + 1;
        let payload = match kind {
            MessageKind::SET_CHUNK_SIZE => size.to_be_bytes().to_vec(),
            _ => (0..length).map(|at| (at as u8).wrapping_mul(7).wrapping_add(t2)).collect(),
        };
        if kind == MessageKind::SET_CHUNK_SIZE {
            // Ours changes only while no message is open.
            wire.drain();
        }
        wire.writer.begin(csid, header).expect("none is open");
        let message = Message { csid, header, payload };
        expected[lane].push_back(message.clone());
        wire.open.push((message, 0));
        wire.turn();
        if kind == MessageKind::SET_CHUNK_SIZE {
            wire.drain();
            wire.writer.set_chunk_size(size);
        }
    }
    wire.drain();
    assert!(wire.writer.is_at_boundary() && !wire.writer.has_open());
    let mut cuts = wire.windows.clone();
    let outcome = read::<STREAMS>(&wire.bytes, || cuts.length());
    assert_eq!((outcome.error, outcome.at_boundary), (None, true));
    for message in outcome.messages {
        let lane = CSIDS.iter().position(|csid| *csid == message.csid.value()).expect("the message was written");
        assert_eq!(Some(message), expected[lane].pop_front());
    }
    assert!(expected.iter().all(VecDeque::is_empty), "messages lost");
});
