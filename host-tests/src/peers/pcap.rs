//! Writes a conversation as a packet capture, as if it had been on a wire.

use super::tee::{Conversation, Sender};

/// Raw IPv4 packets, without a link layer.
const LINK_TYPE_RAW: u32 = 101;

const SEGMENT: usize = 1460;
const SYN: u8 = 0x02;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// The sequence number of the next byte of each side.
struct Sides {
    client: (u16, u32),
    server: (u16, u32),
}

/// The capture file.
pub(super) fn write(conversation: &Conversation, client: u16, server: u16) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&0xA1B2_C3D4_u32.to_le_bytes());
    file.extend_from_slice(&[2, 0, 4, 0]); // version 2.4
    for word in [0, 0, 0x4_0000, LINK_TYPE_RAW] {
        file.extend_from_slice(&u32::to_le_bytes(word));
    }
    let mut sides = Sides { client: (client, 1000), server: (server, 2000) };
    let mut packets = 0;
    let mut packet = |sender, flags, payload: &[u8]| {
        let bytes = sides.packet(sender, flags, payload);
        // One packet per millisecond.
        let (seconds, micros) = (packets / 1000, packets % 1000 * 1000);
        for word in [seconds, micros, bytes.len() as u32, bytes.len() as u32] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&bytes);
        packets += 1;
    };
    packet(Sender::Client, SYN, &[]);
    packet(Sender::Server, SYN | ACK, &[]);
    packet(Sender::Client, ACK, &[]);
    for (sender, bytes) in conversation.pieces() {
        for segment in bytes.chunks(SEGMENT) {
            packet(sender, PUSH | ACK, segment);
        }
    }
    file
}

impl Sides {
    /// An IPv4 packet with a TCP segment. Checksums are 0, as with checksum offloading.
    fn packet(&mut self, sender: Sender, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (from, to) = match sender {
            Sender::Client => (&mut self.client, &self.server),
            Sender::Server => (&mut self.server, &self.client),
        };
        let host = |port: u16| [10, 0, 0, if port == from.0 { 1 } else { 2 }];
        let length = (40 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        packet.extend_from_slice(&host(from.0));
        packet.extend_from_slice(&host(to.0));
        packet.extend_from_slice(&from.0.to_be_bytes());
        packet.extend_from_slice(&to.0.to_be_bytes());
        packet.extend_from_slice(&from.1.to_be_bytes());
        packet.extend_from_slice(&to.1.to_be_bytes());
        packet.extend_from_slice(&[0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0]);
        packet.extend_from_slice(payload);
        from.1 += payload.len() as u32 + u32::from(flags & SYN != 0);
        packet
    }
}
