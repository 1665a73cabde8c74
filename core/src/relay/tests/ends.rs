//! Publishers that end, break off and return.

use super::*;

#[test]
fn players_keep_their_places_for_the_next_publisher() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 5000, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 5000, KEY);
    ring.end();
    assert_eq!(player.all(&ring), "", "a player that comes after the end waits for the next publisher");
    let mut early = player;
    let mut late = Play::default();
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    let expected = shown(&[('V', 0, CONFIGURATION), ('V', 0, KEY)]);
    assert_eq!(early.all(&ring), expected);
    assert_eq!(late.all(&ring), expected);
}

#[test]
fn messages_before_the_end_are_sent_after_it() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    push(&mut ring, MessageKind::VIDEO, 1, INTER);
    player.take(&ring, 4).unwrap();
    ring.end();
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('V', 0, KEY), ('V', 1, INTER), ('A', 0, AUDIO)]));
}

#[test]
fn a_cut_message_is_filled_with_zeros_for_players_inside_of_it() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut within, mut before) = (memory.ring(), Play::default(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    before.all(&ring);
    let long = [INTER, &[7; 200]].concat();
    ring.push(&fragment(MessageKind::VIDEO, 1, &long, 0, 10));
    within.take(&ring, KEY.len() + 4).unwrap();
    ring.end();
    let padded = [&long[..10], &vec![0; long.len() - 10]].concat();
    assert_eq!(within.all(&ring), shown(&[('V', 0, KEY), ('V', 1, &padded)]));
    assert_eq!(before.all(&ring), "");
    assert_eq!(ring.counts(), Counts { cut: 1, ..Counts::default() });
    push(&mut ring, MessageKind::VIDEO, 9, KEY);
    assert_eq!(before.all(&ring), shown(&[('V', 9, KEY)]));
    assert_eq!(within.all(&ring), shown(&[('V', 9, KEY)]));
}

#[test]
fn a_message_that_begins_cuts_the_incomplete_one_before_it() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 0, 5));
    push(&mut ring, MessageKind::VIDEO, 1, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 1, KEY)]));
    // The incomplete keyframe is cut: a player cannot begin with it any longer.
    ring.push(&fragment(MessageKind::VIDEO, 2, KEY, 0, 5));
    ring.end();
    assert_eq!(Play::default().all(&ring), "");
    assert_eq!(ring.counts().cut, 2);
}

#[test]
fn pieces_out_of_place_are_not_copied() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    // Without a beginning; with a gap; longer than announced.
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 2, 3));
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 0, 3));
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 4, 3));
    let mut long = fragment(MessageKind::VIDEO, 0, KEY, 0, KEY.len());
    long.header.length = 5;
    ring.push(&long);
    push(&mut ring, MessageKind::VIDEO, 1, KEY);
    push(&mut ring, MessageKind::SHARED_OBJECT, 1, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 1, KEY)]));
    assert_eq!((ring.counts().cut, ring.messages()), (2, 3));
}

#[test]
fn a_message_that_stalls_while_others_fill_the_ring_is_given_up() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 0, 5));
    player.take(&ring, 2).unwrap();
    for millis in 0..10 {
        push(&mut ring, MessageKind::AUDIO, millis, AUDIO);
    }
    ring.push(&fragment(MessageKind::VIDEO, 0, KEY, 5, 2));
    assert_eq!((ring.counts().cut, player.take(&ring, 1)), (1, Err(Overtaken)));
    // Newer messages were not overwritten.
    push(&mut ring, MessageKind::VIDEO, 99, KEY);
    assert_eq!(Play::default().all(&ring), shown(&[('V', 99, KEY)]));
}

#[test]
fn messages_stalled_on_as_many_chunk_streams_as_there_is_room_for_block_nothing() {
    let mut memory = Memory::new(300);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    for kind in [MessageKind::AUDIO, MessageKind::VIDEO, MessageKind::DATA, MessageKind::DATA_AMF3] {
        ring.push(&fragment(kind, 0, &[0x27; 40], 0, 10));
    }
    // The publisher continues on a fifth one.
    for millis in 1..100 {
        let csid = ChunkStreamId::new(40).unwrap();
        ring.push(&Fragment { csid, ..fragment(MessageKind::VIDEO, millis, KEY, 0, 3) });
        ring.push(&Fragment { csid, ..fragment(MessageKind::VIDEO, millis, KEY, 3, KEY.len() - 3) });
        let got = player.all(&ring);
        assert!(millis < 50 || got == shown(&[('V', millis, KEY)]), "{millis}: {got}");
    }
    assert_eq!((ring.messages(), ring.counts()), (4 + 99, Counts { too_many: 1, ..Counts::default() }));
}
