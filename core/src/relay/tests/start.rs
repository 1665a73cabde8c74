//! The messages that a player begins with.

use super::*;

#[test]
fn a_player_from_the_start_gets_everything_in_order() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::DATA, 0, METADATA);
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    push(&mut ring, MessageKind::AUDIO, 10, AUDIO);
    let expected = shown(&[
        ('D', 0, METADATA),
        ('A', 0, AUDIO_CONFIGURATION),
        ('V', 0, CONFIGURATION),
        ('V', 0, KEY),
        ('A', 10, AUDIO),
    ]);
    assert_eq!(player.all(&ring), expected);
    assert_eq!((player.cursor.sent(), player.cursor.skipped()), (5, 0));
}

#[test]
fn a_later_player_begins_with_cached_messages_and_the_last_keyframe() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::DATA, 0, METADATA);
    for second in 0..3 {
        push(&mut ring, MessageKind::VIDEO, second * 1000, KEY);
        push(&mut ring, MessageKind::AUDIO, second * 1000 + 10, AUDIO);
        push(&mut ring, MessageKind::VIDEO, second * 1000 + 40, INTER);
    }
    let expected = shown(&[
        ('D', 2000, METADATA),
        ('V', 2000, CONFIGURATION),
        ('A', 2000, AUDIO_CONFIGURATION),
        ('V', 2000, KEY),
        ('A', 2010, AUDIO),
        ('V', 2040, INTER),
    ]);
    let mut player = Play::default();
    assert_eq!(player.all(&ring), expected);
    assert_eq!(player.cursor.skipped(), 0, "messages before it came are not counted as skipped");
}

#[test]
fn a_player_waits_for_the_next_keyframe_if_the_last_one_is_overwritten() {
    let mut memory = Memory::new(3 * (INTER.len() + OVERHEAD));
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    let mut player = Play::default();
    for millis in 1..5 {
        push(&mut ring, MessageKind::VIDEO, millis, INTER);
    }
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 5, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 5, CONFIGURATION), ('V', 5, KEY)]));
}

#[test]
fn a_stream_without_video_is_joined_at_once() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(&mut ring, MessageKind::AUDIO, 10, AUDIO);
    let mut player = Play::default();
    // The sequence header is due with the next message.
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::AUDIO, 20, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('A', 20, AUDIO_CONFIGURATION), ('A', 20, AUDIO)]));
    // A message that is arriving is not missed.
    ring.push(&fragment(MessageKind::AUDIO, 30, AUDIO, 0, 1));
    let mut player = Play::default();
    assert_eq!(player.all(&ring), shown(&[('A', 30, AUDIO_CONFIGURATION)]));
    ring.push(&fragment(MessageKind::AUDIO, 30, AUDIO, 1, AUDIO.len() - 1));
    assert_eq!(player.all(&ring), shown(&[('A', 30, AUDIO)]));
}

#[test]
fn a_player_begins_while_the_frame_is_arriving() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    ring.push(&fragment(MessageKind::VIDEO, 7, KEY, 0, 1));
    let mut player = Play::default();
    assert_eq!(player.all(&ring), "", "that could still be anything");
    ring.push(&fragment(MessageKind::VIDEO, 7, KEY, 1, 1));
    assert_eq!(player.all(&ring), shown(&[('V', 7, CONFIGURATION), ('V', 7, &KEY[..2])]));
    assert!(player.cursor.is_inside());
    // Audio overtakes the frame on its way to the ring, but not to the player.
    push(&mut ring, MessageKind::AUDIO, 8, AUDIO);
    player.got.push(('V', 7, KEY[..2].to_vec()));
    for at in 2..KEY.len() {
        ring.push(&fragment(MessageKind::VIDEO, 7, KEY, at, 1));
        player.take(&ring, usize::MAX).unwrap();
        assert_eq!(player.got[0].2, KEY[..=at]);
    }
    assert_eq!(player.all(&ring), shown(&[('V', 7, KEY), ('A', 8, AUDIO)]));
}

#[test]
fn a_player_does_not_begin_before_a_new_sequence_header() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    // The same sequence header again changes nothing.
    push(&mut ring, MessageKind::VIDEO, 1, CONFIGURATION);
    let mut player = Play::default();
    assert_eq!(player.all(&ring), shown(&[('V', 0, CONFIGURATION), ('V', 0, KEY), ('V', 1, CONFIGURATION)]));
    push(&mut ring, MessageKind::VIDEO, 2, b"\x17\x00other");
    let mut player = Play::default();
    assert_eq!(player.all(&ring), "", "the keyframe would be decoded with the wrong one");
    push(&mut ring, MessageKind::VIDEO, 3, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 3, b"\x17\x00other"), ('V', 3, KEY)]));
}

#[test]
fn item_090_metadata_is_unwrapped_for_players_and_cleared_by_clear_data_frame() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    assert_eq!(player.all(&ring), "");
    let wrapped = [b"\x02\x00\x0D@setDataFrame", METADATA].concat();
    push(&mut ring, MessageKind::DATA, 0, &wrapped);
    push(&mut ring, MessageKind::DATA_AMF3, 0, &[b"\0", &wrapped[..]].concat());
    push(&mut ring, MessageKind::DATA, 1, b"\x02\x00\x09onCuePoint");
    push(&mut ring, MessageKind::DATA, 2, b"\x02\x00\x0F@clearDataFrame\x02\x00\x0AonMetaData");
    push(&mut ring, MessageKind::AUDIO, 3, AUDIO);
    let expected = [('D', 0, METADATA), ('D', 0, METADATA), ('D', 1, &b"\x02\x00\x09onCuePoint"[..]), ('A', 3, AUDIO)];
    assert_eq!(player.all(&ring), shown(&expected));
    let mut late = Play::default();
    late.all(&ring);
    push(&mut ring, MessageKind::AUDIO, 4, AUDIO);
    assert_eq!(late.all(&ring), shown(&[('A', 4, AUDIO)]));
}

#[test]
fn a_player_can_receive_no_video_for_a_while() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, KEY);
    player.take(&ring, 3).unwrap();
    player.cursor.select(true, false);
    push(&mut ring, MessageKind::VIDEO, 1, INTER);
    push(&mut ring, MessageKind::AUDIO, 2, AUDIO);
    // A message that is begun is completed.
    assert_eq!(player.all(&ring), shown(&[('V', 0, KEY), ('A', 2, AUDIO)]));
    player.cursor.select(false, true);
    push(&mut ring, MessageKind::VIDEO, 3, INTER);
    push(&mut ring, MessageKind::AUDIO, 4, AUDIO);
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 5, KEY);
    assert_eq!(player.all(&ring), shown(&[('V', 5, KEY)]));
    // Another player that never wanted video begins at once.
    let mut other = Play::default();
    other.cursor.select(true, false);
    assert_eq!(other.all(&ring), "");
    push(&mut ring, MessageKind::AUDIO, 6, AUDIO);
    assert_eq!(other.all(&ring), shown(&[('A', 6, AUDIO)]));
}

/// A stream of video and audio, each with its sequence header.
fn begin_both(ring: &mut Ring<'_>) {
    push(ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(ring, MessageKind::VIDEO, 1, KEY);
    push(ring, MessageKind::AUDIO, 1, AUDIO);
}

#[test]
fn audio_that_is_selected_again_begins_with_its_sequence_header() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    begin_both(&mut ring);
    player.cursor.select(false, true);
    assert_eq!(player.all(&ring), shown(&[('V', 1, CONFIGURATION), ('V', 1, KEY)]));
    player.cursor.select(true, true);
    push(&mut ring, MessageKind::AUDIO, 2, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('A', 2, AUDIO_CONFIGURATION), ('A', 2, AUDIO)]));
    // Inside a message, it is valid from the next one on.
    push(&mut ring, MessageKind::VIDEO, 3, INTER);
    player.take(&ring, 3).unwrap();
    player.cursor.select(false, true);
    player.cursor.select(true, true);
    push(&mut ring, MessageKind::AUDIO, 4, AUDIO);
    assert_eq!(player.all(&ring), shown(&[('V', 3, INTER), ('A', 4, AUDIO_CONFIGURATION), ('A', 4, AUDIO)]));
}

#[test]
fn video_that_is_selected_again_begins_with_the_valid_sequence_header() {
    for configuration in [CONFIGURATION, b"\x17\x00other"] {
        for at_first in [true, false] {
            let mut memory = Memory::new(1000);
            let (mut ring, mut player) = (memory.ring(), Play::default());
            begin_both(&mut ring);
            player.cursor.select(true, at_first);
            player.all(&ring);
            player.cursor.select(true, false);
            push(&mut ring, MessageKind::VIDEO, 2, configuration);
            push(&mut ring, MessageKind::AUDIO, 2, AUDIO);
            player.all(&ring);
            player.cursor.select(true, true);
            push(&mut ring, MessageKind::VIDEO, 3, KEY);
            assert_eq!(player.all(&ring), shown(&[('V', 3, configuration), ('V', 3, KEY)]));
        }
    }
}

#[test]
fn video_that_is_selected_again_before_the_first_message_begins_with_a_keyframe() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    begin_both(&mut ring);
    player.cursor.select(true, false);
    assert_eq!(player.all(&ring), "", "the player waits for a message from which it can begin");
    player.cursor.select(true, true);
    push(&mut ring, MessageKind::VIDEO, 2, INTER);
    assert_eq!(player.all(&ring), "");
    push(&mut ring, MessageKind::VIDEO, 3, KEY);
    let expected = [('V', 3, CONFIGURATION), ('A', 3, AUDIO_CONFIGURATION), ('V', 3, KEY)];
    assert_eq!(player.all(&ring), shown(&expected));
}
