//! Whatever the publisher does and however slowly players read, a player gets whole messages that were published, in
//! their order.
//!
//! The first byte is the size of the ring, the second chooses how many bytes players read at once. Then each 4 bytes
//! are a step: what (a player's turn, the publisher's end, a piece of a message), chunk stream and kind, length of a
//! new message, length of the piece. The timestamp of a message is its number, and so is each of its bytes after its
//! header.
#![no_main]

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp::relay::{Cursor, HeaderEntry, RelayConfig, Ring, StreamBuffers};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

const PLAYERS: usize = 3;

/// A message that the publisher is sending.
struct Open {
    csid: ChunkStreamId,
    header: MessageHeader,
    payload: Vec<u8>,
    sent: usize,
}

/// A player, and the header and the received bytes of its current message.
#[derive(Default)]
struct Player {
    cursor: Cursor,
    inside: Option<(MessageHeader, usize)>,
    /// The number of the last message.
    last: u32,
    gone: bool,
}

impl Player {
    fn turn(&mut self, ring: &Ring<'_>, now: Instant, mut most: usize) {
        while !self.gone {
            let piece = match ring.peek(&mut self.cursor, now) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(_) => {
                    assert!(self.inside.is_some(), "the player was overtaken between two messages");
                    self.gone = true;
                    break;
                }
            };
            let (header, sent) = match (self.inside, piece.begin) {
                (Some(inside), None) => inside,
                (None, Some(_)) if most == 0 => break,
                (None, Some(header)) => {
                    assert!(header.timestamp.0 >= self.last, "back in time");
                    self.last = header.timestamp.0;
                    ring.begin_message(&mut self.cursor);
                    (header, 0)
                }
                state => panic!("{state:?}"),
            };
            assert_eq!(self.cursor.is_inside(), true);
            let mut taken = 0;
            for part in piece.parts {
                let part = &part[..part.len().min(most)];
                for (place, byte) in part.iter().enumerate().map(|(at, byte)| (sent + taken + at, *byte)) {
                    // Zeros fill up what was cut off; the first bytes, and all of what is kept, are not the number's.
                    let number = header.timestamp.0 as u8 | 1;
                    assert!(byte == number || byte == 0 || place < 21 || header.length <= 60, "{byte} in {header:?}");
                }
                taken += part.len();
                most -= part.len();
            }
            ring.advance(&mut self.cursor, taken);
            assert!(sent + taken <= header.length as usize, "the payload is longer than the header says");
            self.inside = Some((header, sent + taken));
            if sent + taken == header.length as usize {
                ring.finish_message(&mut self.cursor);
                self.inside = None;
            } else if taken == 0 {
                break;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [size, seed, script @ ..] = data else { return };
    let mut bytes = vec![0; usize::from(*size) * 8];
    let (mut headers, mut entries) = ([0; 60], [HeaderEntry::new(); 3]);
    let buffers = StreamBuffers { ring: &mut bytes, headers: &mut headers, entries: &mut entries };
    let mut ring = Ring::new(buffers, &RelayConfig::new());
    let mut players: [Player; PLAYERS] = Default::default();
    let (mut open, mut cuts, mut number): (Vec<Open>, _, _) = (Vec::new(), Cuts::new(*seed), 0_u32);
    for &[what, lane, length, piece] in script.as_chunks::<4>().0 {
        let now = Instant::from_millis(u64::from(number) * 100);
        match what % 8 {
            0..3 => {
                let most = if what & 0x80 != 0 { usize::MAX } else { cuts.length() };
                players[usize::from(lane) % PLAYERS].turn(&ring, now, most);
                continue;
            }
            3 if lane == 0 => {
                ring.end();
                open.clear();
                continue;
            }
            _ => {}
        }
        let csid = ChunkStreamId::new(u32::from(lane % 6) + 4).expect("a valid chunk stream id");
        if what & 0x40 != 0 || !open.iter().any(|open| open.csid == csid) {
            open.retain(|open| open.csid != csid);
            let kind =
                [MessageKind::VIDEO, MessageKind::AUDIO, MessageKind::DATA, MessageKind::DATA_AMF3, MessageKind(4)]
                    [usize::from(lane / 6) % 5];
            let length = usize::from(length) * if what & 0x20 != 0 { 16 } else { 1 };
            number += 1;
            let mut payload = vec![number as u8 | 1; length];
            let starts: [&[u8]; 10] = [
                &[0x17, 1],
                &[0x17, 0],
                &[0x27, 1],
                &[0xAF, 0],
                b"\x96\0hvc1\x01",
                b"\xA6\x01hvc1\x01",
                b"\x96\x10hvc1\0\0\0\x02ab\x01\0\0\x01",
                b"\x95\x20fLaC\0\0\0\x03abcOpus\x01\0\0\x05",
                b"\x94Opus",
                b"\xD4hvc1",
            ];
            let start = starts[usize::from(piece % 10)];
            payload.iter_mut().zip(start).for_each(|(byte, start)| *byte = *start);
            let (timestamp, length) = (Timestamp(number), length as u32);
            open.push(Open {
                csid,
                header: MessageHeader { timestamp, length, kind, stream: StreamId(1) },
                payload,
                sent: 0,
            });
        }
        let place = open.iter().position(|open| open.csid == csid).expect("the message is open");
        let Open { header, payload, sent, .. } = &mut open[place];
        let end = (*sent + usize::from(piece) + 1).min(payload.len());
        ring.push(now, &Fragment { csid, header: *header, offset: *sent as u32, data: &payload[*sent..end] });
        *sent = end;
        if end == payload.len() {
            open.remove(place);
        }
    }
    for player in &mut players {
        player.turn(&ring, Instant::from_millis(u64::from(number) * 100), usize::MAX);
    }
    let counts = ring.counts();
    assert!(counts.too_long + counts.too_many <= number && ring.messages() <= number);
});
