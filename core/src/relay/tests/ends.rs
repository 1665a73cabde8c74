//! Publishers that end, break off and return.

use core::time::Duration;

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
fn players_get_nothing_of_the_stream_whose_memory_their_ring_gets() {
    let (mut memory, mut other_memory) = (Memory::new(1000), Memory::new(1000));
    let (mut ring, mut other) = (memory.ring(), other_memory.ring());
    // One player has waited from the start, one has played, and one is inside of a message.
    let (mut early, mut played, mut within) = (Play::default(), Play::default(), Play::default());
    assert_eq!(early.all(&ring), "");
    for millis in 0..20 {
        push(&mut other, MessageKind::DATA, millis, METADATA);
        push(&mut other, MessageKind::VIDEO, millis, CONFIGURATION);
        push(&mut other, MessageKind::VIDEO, millis, KEY);
    }
    played.all(&other);
    within.take(&other, METADATA.len() + 2).unwrap();
    other.end();
    ring.swap_memory(&mut other);
    for player in [&mut early, &mut Play::default()] {
        assert_eq!(player.all(&ring), "");
    }
    assert_eq!(played.all(&other), "");
    assert_eq!(within.take(&other, 100), Err(Overtaken));
    // The next publishers write more than there was before their players have a turn.
    for ring in [&mut ring, &mut other] {
        for millis in 100..150 {
            push(ring, MessageKind::AUDIO, millis, AUDIO);
        }
        push(ring, MessageKind::VIDEO, 200, KEY);
    }
    let expected = shown(&[('V', 200, KEY)]);
    assert_eq!([early.all(&ring), Play::default().all(&ring)], [&expected[..]; 2]);
    assert_eq!([played.all(&other), Play::default().all(&other)], [&expected[..]; 2]);
    assert_eq!((early.cursor.skipped(), played.cursor.skipped()), (50, 50));
}

#[test]
fn a_cut_message_is_filled_with_zeros_for_players_inside_of_it() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut within, mut before) = (memory.ring(), Play::default(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    before.all(&ring);
    let long = [INTER, &[7; 200]].concat();
    ring.push(NOW, &fragment(MessageKind::VIDEO, 1, &long, 0, 10));
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
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 0, 5));
    push(&mut ring, MessageKind::VIDEO, 1, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 1, KEY)]));
    // The incomplete keyframe is cut: a player cannot begin with it any longer.
    ring.push(NOW, &fragment(MessageKind::VIDEO, 2, KEY, 0, 5));
    ring.end();
    assert_eq!(Play::default().all(&ring), "");
    assert_eq!(ring.counts().cut, 2);
}

#[test]
fn pieces_out_of_place_are_not_copied() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    // Without a beginning; with a gap; longer than announced.
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 2, 3));
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 0, 3));
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 4, 3));
    let mut long = fragment(MessageKind::VIDEO, 0, KEY, 0, KEY.len());
    long.header.length = 5;
    ring.push(NOW, &long);
    push(&mut ring, MessageKind::VIDEO, 1, KEY);
    push(&mut ring, MessageKind::SHARED_OBJECT, 1, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 1, KEY)]));
    assert_eq!((ring.counts().cut, ring.messages()), (2, 3));
}

#[test]
fn a_message_that_stalls_while_others_fill_the_ring_is_given_up() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 0, 5));
    player.take(&ring, 2).unwrap();
    for millis in 0..10 {
        push(&mut ring, MessageKind::AUDIO, millis, AUDIO);
    }
    ring.push(NOW, &fragment(MessageKind::VIDEO, 0, KEY, 5, 2));
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
        ring.push(NOW, &fragment(kind, 0, &[0x27; 40], 0, 10));
    }
    // The publisher continues on a fifth one.
    for millis in 1..100 {
        let csid = ChunkStreamId::new(40).unwrap();
        ring.push(NOW, &Fragment { csid, ..fragment(MessageKind::VIDEO, millis, KEY, 0, 3) });
        ring.push(NOW, &Fragment { csid, ..fragment(MessageKind::VIDEO, millis, KEY, 3, KEY.len() - 3) });
        let got = player.all(&ring);
        assert!(millis < 50 || got == shown(&[('V', millis, KEY)]), "{millis}: {got}");
    }
    assert_eq!((ring.messages(), ring.counts()), (4 + 99, Counts { too_many: 1, ..Counts::default() }));
}

#[test]
fn item_121_the_next_publisher_continues_the_timestamps_with_its_first_frame() {
    // The metadata and sequence headers have the timestamp 0, even if that of the frames is larger.
    for base in [0, 24_549_835, u32::MAX - 10] {
        for is_audio_first in [false, true] {
            let mut memory = Memory::new(1000);
            let (mut ring, mut player) = (memory.ring(), Play::default());
            push(&mut ring, MessageKind::VIDEO, 5_000, KEY);
            push(&mut ring, MessageKind::AUDIO, 5_010, AUDIO);
            player.all(&ring);
            ring.end();
            ring.resume(before(2_000));
            push(&mut ring, MessageKind::DATA, 0, METADATA);
            push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
            push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
            let mut frames = [(MessageKind::VIDEO, 'V', KEY), (MessageKind::AUDIO, 'A', AUDIO)];
            if is_audio_first {
                frames.reverse();
            }
            for (index, (kind, _, payload)) in frames.iter().enumerate() {
                push(&mut ring, *kind, base.wrapping_add(21 * index as u32), payload);
            }
            let expected = [
                ('D', 7_010, METADATA),
                ('V', 7_010, CONFIGURATION),
                ('A', 7_010, AUDIO_CONFIGURATION),
                (frames[0].1, 7_010, frames[0].2),
                (frames[1].1, 7_031, frames[1].2),
            ];
            assert_eq!(player.all(&ring), shown(&expected), "{base}");
        }
    }
}

#[test]
fn item_121_the_time_until_the_first_frame_counts_even_if_the_next_publisher_hesitates() {
    for (configured, begun) in [(2_000, 2_000), (2_000, 9_500), (0, 1), (0, 0)] {
        let mut memory = Memory::new(1000);
        let (mut ring, mut player) = (memory.ring(), Play::default());
        push(&mut ring, MessageKind::VIDEO, 5_000, KEY);
        player.all(&ring);
        ring.end();
        ring.resume(NOW);
        let after = |millis| NOW + Duration::from_millis(millis);
        ring.push(after(configured), &fragment(MessageKind::VIDEO, 0, CONFIGURATION, 0, CONFIGURATION.len()));
        // The class of the frame is known only with its second byte.
        ring.push(after(begun), &fragment(MessageKind::VIDEO, 700, KEY, 0, 1));
        ring.push(after(begun + 40), &fragment(MessageKind::VIDEO, 700, KEY, 1, KEY.len() - 1));
        ring.push(after(begun + 80), &fragment(MessageKind::AUDIO, 710, AUDIO, 0, AUDIO.len()));
        let [configured, begun] = [configured, begun].map(|millis| 5_000 + millis.max(1) as u32);
        let expected = [('V', configured, CONFIGURATION), ('V', begun, KEY), ('A', begun + 10, AUDIO)];
        assert_eq!(player.all(&ring), shown(&expected));
    }
}

#[test]
fn item_121_a_publisher_that_comes_back_at_once_continues_1_ms_later_each_time() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::AUDIO, 900, AUDIO);
    for expected in [901, 902, 903] {
        player.all(&ring);
        ring.end();
        ring.resume(NOW);
        push(&mut ring, MessageKind::AUDIO, 7, AUDIO);
        assert_eq!(player.all(&ring), shown(&[('A', expected, AUDIO)]));
    }
    // Without a grace time, the timestamps are those of the publisher.
    ring.end();
    push(&mut ring, MessageKind::AUDIO, 7, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('A', 7, AUDIO)]));
}

#[test]
fn item_121_timestamps_do_not_go_back_after_a_publisher_that_sent_no_frame() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::AUDIO, 900, AUDIO);
    player.all(&ring);
    for (gap, kind, payload, expected) in
        [(5_000, MessageKind::AUDIO, AUDIO_CONFIGURATION, 5_900), (2_000, MessageKind::AUDIO, AUDIO, 7_900)]
    {
        ring.end();
        ring.resume(before(gap));
        push(&mut ring, kind, 0, payload);
        assert_eq!(player.all(&ring), shown(&[('A', expected, payload)]));
    }
}

#[test]
fn item_121_the_pictures_of_the_next_publisher_begin_with_a_keyframe() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    player.all(&ring);
    for first in [INTER, AUDIO] {
        ring.end();
        ring.resume(before(100));
        let kind = if first == AUDIO { MessageKind::AUDIO } else { MessageKind::VIDEO };
        push(&mut ring, kind, 0, first);
        push(&mut ring, MessageKind::VIDEO, 10, INTER);
        push(&mut ring, MessageKind::VIDEO, 20, CONFIGURATION);
        push(&mut ring, MessageKind::VIDEO, 30, INTER);
        let got = player.all(&ring);
        assert!(got.ends_with("cfg") && !got.contains("inter"), "{got}");
        push(&mut ring, MessageKind::VIDEO, 40, KEY);
        push(&mut ring, MessageKind::VIDEO, 50, INTER);
        let got = player.all(&ring);
        assert!(got.contains("key frame") && got.ends_with("inter"), "{got}");
    }
    // The time limit begins with the first picture of the new publisher, not with the end of the previous one.
    ring.end();
    player.now = 9_000;
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 0, INTER);
    assert_eq!(player.all(&ring), "");
    player.now = 12_001;
    push(&mut ring, MessageKind::VIDEO, 0, INTER);
    assert_eq!(player.all(&ring), shown(&[('V', 0, INTER)]));
}

#[test]
fn item_122_after_a_message_that_was_cut_video_continues_with_a_keyframe() {
    // The message is cut after any number of bytes. One player has begun it, and one has not.
    let long = [INTER, &[7; 60]].concat();
    for cut in 1..long.len() {
        for is_abort in [false, true] {
            let mut memory = Memory::new(1000);
            let (mut ring, mut within, mut before) = (memory.ring(), Play::default(), Play::default());
            push(&mut ring, MessageKind::VIDEO, 0, KEY);
            within.all(&ring);
            before.all(&ring);
            ring.push(NOW, &fragment(MessageKind::VIDEO, 1, &long, 0, cut));
            within.take(&ring, usize::MAX).unwrap();
            let has_begun = within.cursor.is_inside();
            assert_eq!(has_begun, cut >= 10, "a player begins it when its class is known");
            // Another message begins on the same chunk stream, or the publisher leaves.
            if is_abort {
                push(&mut ring, MessageKind::VIDEO, 2, INTER);
            } else {
                ring.end();
                push(&mut ring, MessageKind::VIDEO, 2, INTER);
            }
            push(&mut ring, MessageKind::AUDIO, 3, AUDIO);
            push(&mut ring, MessageKind::VIDEO, 4, KEY);
            push(&mut ring, MessageKind::VIDEO, 5, INTER);
            let rest = [('A', 3, AUDIO), ('V', 4, KEY), ('V', 5, INTER)];
            let filled = [&long[..cut], &vec![0; long.len() - cut]].concat();
            let with_filled = [&[('V', 1, &filled[..])][..], &rest].concat();
            assert_eq!(within.all(&ring), shown(if has_begun { &with_filled } else { &rest }), "{cut}");
            assert_eq!((before.all(&ring), ring.counts().cut), (shown(&rest), 1), "{cut}");
        }
    }
}

#[test]
fn item_122_a_message_that_was_cut_is_filled_up_to_256_kb() {
    for (missing, is_filled) in [(262_144, true), (262_145, false)] {
        let mut memory = Memory::new(300_000);
        let (mut ring, mut player) = (memory.ring(), Play::default());
        let long = [KEY, &vec![7; missing]].concat();
        ring.push(NOW, &fragment(MessageKind::VIDEO, 0, &long, 0, KEY.len()));
        player.take(&ring, usize::MAX).unwrap();
        ring.end();
        let taken = player.take(&ring, usize::MAX);
        assert_eq!(taken, if is_filled { Ok(()) } else { Err(Overtaken) });
        assert_eq!(player.got[0].2.len(), if is_filled { long.len() } else { KEY.len() });
    }
}
