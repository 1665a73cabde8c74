//! Players that are too slow, messages that are too long.

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
fn who_is_overtaken_between_messages_skips_to_a_keyframe() {
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
    // The fast one has them all.
    let second = fast.all(&ring);
    assert_eq!((first.matches('V').count(), second.matches('V').count()), (4, 4));
    assert_eq!((fast.cursor.sent(), fast.cursor.skipped()), (8, 0));
}

#[test]
fn who_would_skip_to_a_message_that_hangs_skips_to_the_end() {
    // Metadata, or a sequence header, of which only the first piece ever comes.
    for (kind, start) in [(MessageKind::DATA, [2, 0]), (MessageKind::AUDIO, [0xAF, 0])] {
        let mut memory = Memory::new(256);
        let (mut ring, mut play) = (memory.ring(), Play::default());
        let mut hanging = [0; 100];
        hanging[..2].copy_from_slice(&start);
        let piece = fragment(kind, 0, &hanging, 0, 2);
        ring.push(&Fragment { csid: ChunkStreamId::new(9).unwrap(), ..piece });
        for frame in 1..15 {
            push(&mut ring, MessageKind::AUDIO, frame, &[0xAF, 1, frame as u8]);
            // The question comes back with an answer, whatever that is.
            let _ = ring.peek(&mut play.cursor);
        }
        push(&mut ring, MessageKind::AUDIO, 99, b"\xAF\x01z");
        assert!(play.all(&ring).ends_with("z"), "{kind}");
    }
}

#[test]
fn who_is_overtaken_without_a_keyframe_waits_for_one() {
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
    // One that begins then gets the sequence header too.
    assert_eq!(Play::default().all(&ring), shown(&[('V', 10, CONFIGURATION), ('V', 10, KEY)]));
}

#[test]
fn who_skips_over_a_new_sequence_header_gets_it() {
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
fn who_is_overtaken_within_a_message_has_to_go() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut slow) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    slow.take(&ring, 5).unwrap();
    assert!(slow.cursor.is_inside());
    // The ring is full; the first byte more takes the message away.
    assert_eq!(slow.take(&ring, 1), Ok(()));
    push(&mut ring, MessageKind::AUDIO, 5, AUDIO);
    assert_eq!(slow.take(&ring, 1), Err(Overtaken));
    assert_eq!(slow.take(&ring, 1), Err(Overtaken));
}

#[test]
fn room_is_taken_when_bytes_arrive_and_not_before() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut slow) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    slow.take(&ring, 5).unwrap();
    let long = [KEY, &[7; 40]].concat();
    // No bytes beyond the ring's end have come: what is announced takes nothing away.
    let mut small = Memory::new(ROOM + OVERHEAD + 4);
    let (mut other, mut player) = (small.ring(), Play::default());
    group(&mut other, 0);
    player.take(&other, 5).unwrap();
    other.push(&fragment(MessageKind::VIDEO, 9, &long, 0, 4));
    assert_eq!(player.take(&other, 1), Ok(()));
    other.push(&fragment(MessageKind::VIDEO, 9, &long, 4, 1));
    assert_eq!(player.take(&other, 1), Err(Overtaken));
}

#[test]
fn what_is_longer_than_the_ring_is_left_out_and_counted() {
    let mut memory = Memory::new(ROOM);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    group(&mut ring, 0);
    let long = [KEY, &[7; ROOM]].concat();
    ring.push(&fragment(MessageKind::VIDEO, 5, &long, 0, 20));
    ring.push(&fragment(MessageKind::VIDEO, 5, &long, 20, long.len() - 20));
    assert_eq!(ring.counts(), Counts { too_long: 1, ..Counts::default() });
    assert_eq!(player.all(&ring).matches('V').count(), 4);
    // One that is just as long as the ring is not.
    let whole = [KEY, &[7; ROOM - KEY.len() - OVERHEAD]].concat();
    push(&mut ring, MessageKind::VIDEO, 6, &whole);
    assert_eq!(player.all(&ring), shown(&[('V', 6, &whole)]));
    assert_eq!((ring.counts().too_long, player.cursor.skipped()), (1, 0));
}

#[test]
fn of_too_many_at_a_time_the_oldest_is_given_up_and_counted() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::AUDIO, 9, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('A', 9, AUDIO)]));
    for csid in 10..15 {
        let first =
            Fragment { csid: ChunkStreamId::new(csid).unwrap(), ..fragment(MessageKind::AUDIO, csid, AUDIO, 0, 3) };
        ring.push(&first);
    }
    for csid in 10..15 {
        let second = Fragment {
            csid: ChunkStreamId::new(csid).unwrap(),
            ..fragment(MessageKind::AUDIO, csid, AUDIO, 3, AUDIO.len() - 3)
        };
        ring.push(&second);
    }
    assert_eq!(ring.counts(), Counts { too_many: 1, ..Counts::default() });
    let expected: Vec<_> = (11..15).map(|csid| ('A', csid, AUDIO)).collect();
    assert_eq!(player.all(&ring), shown(&expected));
}

#[test]
fn what_does_not_fit_where_it_is_kept_is_relayed_all_the_same() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    let long = [&b"\x17\x00"[..], &[1; 64]].concat();
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 0, &long);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 0, &long), ('V', 0, KEY)]));
    assert_eq!(ring.counts(), Counts { not_kept: 1, ..Counts::default() });
    assert_eq!(Play::default().all(&ring), shown(&[('V', 0, KEY)]));
}
