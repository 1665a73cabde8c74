//! Players that are too slow, and messages that are too long.

use super::*;

/// Room for one key frame and three others.
const ROOM: usize = KEY.len() + 3 * INTER.len() + 4 * OVERHEAD;

fn group(ring: &mut Ring<'_>, millis: u32) {
    push(ring, MessageKind::VIDEO, millis, KEY);
    for frame in 1..4 {
        push(ring, MessageKind::VIDEO, millis + frame, INTER);
    }
}

#[test]
fn a_player_overtaken_between_messages_skips_to_a_keyframe() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut slow, mut fast) = (memory.ring(), Play::default(), Play::default());
    group(&mut ring, 0);
    slow.take(&ring, KEY.len()).unwrap();
    assert!(!slow.cursor.is_inside());
    let first = fast.all(&ring);
    group(&mut ring, 10);
    // The three inter frames are gone.
    slow.take(&ring, KEY.len() + INTER.len()).unwrap();
    assert_eq!(slow.all(&ring).matches(", ").count() + 1, 5);
    assert_eq!((slow.cursor.sent(), slow.cursor.skipped()), (5, 3));
    // The fast player has all of them.
    let second = fast.all(&ring);
    assert_eq!((first.matches('V').count(), second.matches('V').count()), (4, 4));
    assert_eq!((fast.cursor.sent(), fast.cursor.skipped()), (8, 0));
}

#[test]
fn a_player_that_would_skip_to_a_stalled_message_skips_to_the_end() {
    // Metadata, or a sequence header, of which only the first piece arrives.
    for (kind, start) in [(MessageKind::DATA, [2, 0]), (MessageKind::AUDIO, [0xAF, 0])] {
        let mut memory = Memory::new(256);
        let (mut ring, mut play) = (memory.ring(), Play::default());
        let mut hanging = [0; 100];
        hanging[..2].copy_from_slice(&start);
        let piece = fragment(kind, 0, &hanging, 0, 2);
        ring.push(NOW, &Fragment { csid: ChunkStreamId::new(9).unwrap(), ..piece });
        for frame in 1..15 {
            push(&mut ring, MessageKind::AUDIO, frame, &[0xAF, 1, frame as u8]);
            // The call returns, whatever the result is.
            let _ = ring.peek(&mut play.cursor, Instant::from_millis(0));
        }
        push(&mut ring, MessageKind::AUDIO, 99, b"\xAF\x01z");
        assert!(play.all(&ring).ends_with("z"), "{kind}");
    }
}

#[test]
fn a_player_overtaken_without_a_keyframe_waits_for_one() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    group(&mut ring, 0);
    player.take(&ring, CONFIGURATION.len() + KEY.len()).unwrap();
    player.got.clear();
    for millis in 4..10 {
        push(&mut ring, MessageKind::VIDEO, millis, INTER);
    }
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 10, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 10, KEY)]));
    assert_eq!(player.cursor.skipped(), 9);
    // A player that begins then gets the sequence header, too.
    assert_eq!(Play::default().all(&ring), shown(&[('V', 10, CONFIGURATION), ('V', 10, KEY)]));
}

#[test]
fn a_player_that_skips_over_a_new_sequence_header_gets_it() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    player.all(&ring);
    push(&mut ring, MessageKind::VIDEO, 9, b"\x17\x00other");
    group(&mut ring, 10);
    group(&mut ring, 20);
    player.take(&ring, 7).unwrap();
    let got = player.all(&ring);
    assert!(got.starts_with(&shown(&[('V', 20, b"\x17\x00other"), ('V', 20, KEY)])), "{got}");
}

#[test]
fn a_player_overtaken_inside_a_message_must_be_closed() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut slow) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    slow.take(&ring, 5).unwrap();
    assert!(slow.cursor.is_inside());
    // The ring is full. One more byte overwrites the message.
    assert_eq!(slow.take(&ring, 1), Ok(()));
    push(&mut ring, MessageKind::AUDIO, 5, AUDIO);
    assert_eq!(slow.take(&ring, 1), Err(Overtaken));
    assert_eq!(slow.take(&ring, 1), Err(Overtaken));
}

#[test]
fn bytes_are_overwritten_when_others_arrive_and_not_before() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut slow) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    slow.take(&ring, 5).unwrap();
    let long = [KEY, &[7; 40]].concat();
    // A message that has begun overwrites nothing before its bytes arrive.
    let mut small = Memory::new(ROOM + OVERHEAD + 4);
    let (mut other, mut player) = (small.ring(), Play::default());
    group(&mut other, 0);
    player.take(&other, 5).unwrap();
    other.push(NOW, &fragment(MessageKind::VIDEO, 9, &long, 0, 4));
    assert_eq!(player.take(&other, 1), Ok(()));
    other.push(NOW, &fragment(MessageKind::VIDEO, 9, &long, 4, 1));
    assert_eq!(player.take(&other, 1), Err(Overtaken));
}

#[test]
fn a_message_longer_than_the_ring_is_dropped_and_counted() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    let long = [KEY, &[7; ROOM]].concat();
    ring.push(NOW, &fragment(MessageKind::VIDEO, 5, &long, 0, 20));
    ring.push(NOW, &fragment(MessageKind::VIDEO, 5, &long, 20, long.len() - 20));
    assert_eq!(ring.counts(), Counts { too_long: 1, longest: long.len() as u32, ..Counts::default() });
    assert_eq!(player.all(&ring).matches('V').count(), 4);
    // One of exactly the length of the ring is relayed.
    let whole = [KEY, &[7; ROOM - KEY.len() - OVERHEAD]].concat();
    push(&mut ring, MessageKind::VIDEO, 6, &whole);
    assert_eq!(player.all(&ring), shown(&[('V', 6, &whole)]));
    assert_eq!((ring.counts().too_long, player.cursor.skipped()), (1, 0));
}

#[test]
fn the_oldest_of_too_many_incomplete_messages_is_given_up_and_counted() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::AUDIO, 9, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('A', 9, AUDIO)]));
    for csid in 10..15 {
        let first =
            Fragment { csid: ChunkStreamId::new(csid).unwrap(), ..fragment(MessageKind::AUDIO, csid, AUDIO, 0, 3) };
        ring.push(NOW, &first);
    }
    for csid in 10..15 {
        let second = Fragment {
            csid: ChunkStreamId::new(csid).unwrap(),
            ..fragment(MessageKind::AUDIO, csid, AUDIO, 3, AUDIO.len() - 3)
        };
        ring.push(NOW, &second);
    }
    assert_eq!(ring.counts(), Counts { too_many: 1, ..Counts::default() });
    let expected: Vec<_> = (11..15).map(|csid| ('A', csid, AUDIO)).collect();
    assert_eq!(player.all(&ring), shown(&expected));
}

#[test]
fn a_sequence_header_too_long_for_its_cache_is_relayed() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    let long = [&b"\x17\x00"[..], &[1; 144]].concat();
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 0, &long);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 0, &long), ('V', 0, KEY)]));
    assert_eq!(ring.counts(), Counts { not_kept: 1, ..Counts::default() });
    assert_eq!(Play::default().all(&ring), shown(&[('V', 0, KEY)]));
}
