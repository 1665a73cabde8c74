//! How often payload is copied. All copies go through one function, which counts them.

use super::sessions::{Pair, player};
use super::*;
use crate::bytes::counted::{self, MARK};
use crate::relay::Player;

const PLAYERS: usize = 3;

#[test]
fn each_payload_byte_is_copied_once_in_and_once_for_each_player() {
    for (fragment_size, window) in [(1, 1), (7, 100), (1_460, 1_460), (100_000, 100_000)] {
        let mut memory = Memory::new(10_000);
        let mut ring = memory.ring();
        let mut pairs: Vec<Pair> = (0..PLAYERS).map(|_| Pair::open()).collect();
        let mut players: Vec<Player> = pairs.iter().map(|pair| player(pair.stream)).collect();
        counted::take();
        let mut payload_bytes = 0;
        for frame in 0..20 {
            let payload = [&[0x17, 1][..], &vec![MARK; 2_000]].concat();
            payload_bytes += 2_000;
            let mut offset = 0;
            while offset < payload.len() {
                let length = fragment_size.min(payload.len() - offset);
                let piece = fragment(MessageKind::VIDEO, frame, &payload, offset, length);
                // The first two bytes tell the class, and have no marks in them.
                ring.push(NOW, &piece);
                offset += length;
                for (player, pair) in players.iter_mut().zip(&mut pairs) {
                    pair.drain(player, &ring, window);
                }
            }
        }
        assert_eq!(counted::take(), payload_bytes * (1 + PLAYERS), "{fragment_size} {window}");
        for player in &players {
            assert_eq!((player.cursor.sent(), player.cursor.skipped()), (20, 0));
        }
    }
}
