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
    ring.push(NOW, &fragment(MessageKind::AUDIO, 30, AUDIO, 0, 1));
    let mut player = Play::default();
    assert_eq!(player.all(&ring), shown(&[('A', 30, AUDIO_CONFIGURATION)]));
    ring.push(NOW, &fragment(MessageKind::AUDIO, 30, AUDIO, 1, AUDIO.len() - 1));
    assert_eq!(player.all(&ring), shown(&[('A', 30, AUDIO)]));
}

#[test]
fn a_player_begins_while_the_frame_is_arriving() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    ring.push(NOW, &fragment(MessageKind::VIDEO, 7, KEY, 0, 1));
    let mut player = Play::default();
    assert_eq!(player.all(&ring), "", "that could still be anything");
    ring.push(NOW, &fragment(MessageKind::VIDEO, 7, KEY, 1, 1));
    assert_eq!(player.all(&ring), shown(&[('V', 7, CONFIGURATION), ('V', 7, &KEY[..2])]));
    assert!(player.cursor.is_inside());
    // Audio overtakes the frame on its way to the ring, but not to the player.
    push(&mut ring, MessageKind::AUDIO, 8, AUDIO);
    player.got.push(('V', 7, KEY[..2].to_vec()));
    for at in 2..KEY.len() {
        ring.push(NOW, &fragment(MessageKind::VIDEO, 7, KEY, at, 1));
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

/// Pushes a picture and an audio frame.
fn second(ring: &mut Ring<'_>, millis: u32, picture: &[u8]) {
    push(ring, MessageKind::VIDEO, millis, picture);
    push(ring, MessageKind::AUDIO, millis, AUDIO);
}

#[test]
fn item_123_without_keyframes_a_player_gets_audio_at_once_and_video_after_3_s() {
    // A stream with intra refresh has no keyframe at all, or only one at its start.
    for first in [INTER, KEY] {
        let mut memory = Memory::new(60);
        let (mut ring, mut player) = (memory.ring(), Play::default());
        push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
        push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
        second(&mut ring, 0, first);
        (1..10).for_each(|millis| second(&mut ring, millis, INTER));
        assert_eq!(player.all(&ring), "");
        second(&mut ring, 100, INTER);
        let expected = [('V', 100, CONFIGURATION), ('A', 100, AUDIO_CONFIGURATION), ('A', 100, AUDIO)];
        assert_eq!(player.all(&ring), shown(&expected));
        player.now = 2_990;
        second(&mut ring, 3_090, INTER);
        assert_eq!(player.all(&ring), shown(&[('A', 3_090, AUDIO)]));
        player.now = 3_001;
        second(&mut ring, 3_101, INTER);
        assert_eq!(player.all(&ring), shown(&[('V', 3_101, INTER), ('A', 3_101, AUDIO)]));
        assert_eq!(player.cursor.skipped(), 0, "the player was never late");
    }
}

#[test]
fn item_123_a_keyframe_within_3_s_is_the_first_picture() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    (0..10).for_each(|millis| second(&mut ring, millis, INTER));
    player.all(&ring);
    player.now = 2_000;
    second(&mut ring, 2_000, INTER);
    assert_eq!(player.all(&ring), shown(&[('V', 2_000, CONFIGURATION), ('A', 2_000, AUDIO)]));
    second(&mut ring, 2_500, KEY);
    second(&mut ring, 2_540, INTER);
    let expected = [('V', 2_500, KEY), ('A', 2_500, AUDIO), ('V', 2_540, INTER), ('A', 2_540, AUDIO)];
    assert_eq!(player.all(&ring), shown(&expected));
}

#[test]
fn item_123_audio_is_sent_if_the_video_of_the_stream_has_stopped() {
    // In the first case, video has a sequence header and no frame. In the second case, it also has one keyframe.
    for pictures in [&[CONFIGURATION][..], &[CONFIGURATION, KEY]] {
        let mut memory = Memory::new(100);
        let (mut ring, mut player) = (memory.ring(), Play::default());
        push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
        pictures.iter().for_each(|picture| push(&mut ring, MessageKind::VIDEO, 0, picture));
        (0..20).for_each(|millis| push(&mut ring, MessageKind::AUDIO, millis, AUDIO));
        player.all(&ring);
        push(&mut ring, MessageKind::AUDIO, 23, AUDIO);
        assert!(player.all(&ring).ends_with(&shown(&[('A', 23, AUDIO)])));
    }
}

#[test]
fn item_123_item_124_keyframes_larger_than_the_ring_are_counted_and_do_not_silence_the_stream() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    let large = [KEY, &[7; 100]].concat();
    for millis in 0..5 {
        second(&mut ring, millis, &large);
        second(&mut ring, millis, INTER);
    }
    assert_eq!((ring.counts().too_long, ring.counts().longest), (5, large.len() as u32));
    player.all(&ring);
    second(&mut ring, 5, INTER);
    assert_eq!(player.all(&ring), shown(&[('A', 5, AUDIO)]));
    player.now = 3_001;
    second(&mut ring, 6, INTER);
    assert_eq!(player.all(&ring), shown(&[('V', 6, INTER), ('A', 6, AUDIO)]));
}

#[test]
fn item_123_a_slow_player_of_a_stream_without_keyframes_continues() {
    let mut memory = Memory::new(100);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    second(&mut ring, 0, KEY);
    player.all(&ring);
    (1..10).for_each(|millis| second(&mut ring, millis, INTER));
    assert_eq!(player.all(&ring), "", "the messages that it missed are gone");
    let skipped = player.cursor.skipped();
    assert_eq!(skipped, 18);
    second(&mut ring, 10, INTER);
    assert_eq!((player.all(&ring), player.cursor.skipped()), (shown(&[('A', 10, AUDIO)]), skipped + 1));
    player.now = 3_001;
    second(&mut ring, 11, INTER);
    assert_eq!(player.all(&ring), shown(&[('V', 11, INTER), ('A', 11, AUDIO)]));
}

#[test]
fn item_123_audio_continues_while_video_that_is_selected_again_awaits_a_keyframe() {
    let mut memory = Memory::new(1000);
    let (mut ring, mut player) = (memory.ring(), Play::default());
    begin_both(&mut ring);
    player.cursor.select(true, false);
    player.all(&ring);
    player.now = 60_000;
    player.cursor.select(true, true);
    second(&mut ring, 60_000, INTER);
    let expected = [('V', 60_000, CONFIGURATION), ('A', 60_000, AUDIO_CONFIGURATION), ('A', 60_000, AUDIO)];
    assert_eq!(player.all(&ring), shown(&expected));
    player.now = 63_001;
    second(&mut ring, 63_000, INTER);
    assert_eq!(player.all(&ring), shown(&[('V', 63_000, INTER), ('A', 63_000, AUDIO)]));
}

#[test]
fn item_125_a_later_player_gets_the_configurations_of_hevc_and_opus() {
    for (video, picture) in
        [(0x1C, [0x1C, 1, 0, 0, 0, 9]), (0x1D, [0x1D, 1, 0, 0, 0, 9]), (0x1E, [0x1E, 1, 0, 0, 0, 9])]
    {
        let mut memory = Memory::new(1000);
        let (mut ring, mut player) = (memory.ring(), Play::default());
        let (video, opus) = ([video, 0, 0, 0, 0, 1], b"\xDF\x00OpusHead");
        push(&mut ring, MessageKind::VIDEO, 0, &video);
        push(&mut ring, MessageKind::AUDIO, 0, opus);
        push(&mut ring, MessageKind::VIDEO, 40, &picture);
        assert_eq!(player.all(&ring), shown(&[('V', 40, &video), ('A', 40, opus), ('V', 40, &picture)]));
    }
}

#[test]
fn item_126_an_empty_configuration_does_not_replace_the_cached_one() {
    let mut memory = Memory::new(1000);
    let mut ring = memory.ring();
    push(&mut ring, MessageKind::DATA, 0, METADATA);
    push(&mut ring, MessageKind::AUDIO, 0, AUDIO_CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
    push(&mut ring, MessageKind::VIDEO, 1, KEY);
    let empty: [(_, &[u8]); 6] = [
        (MessageKind::VIDEO, &[0x17, 0, 0, 0, 0]),
        (MessageKind::VIDEO, &[0x17, 0]),
        (MessageKind::AUDIO, &[0xAF, 0]),
        (MessageKind::VIDEO, b"\x90avc1"),
        (MessageKind::AUDIO, b"\x90mp4a"),
        (MessageKind::DATA, b"\x02\x00\x0AonMetaData"),
    ];
    let mut expected = vec![('D', 1, METADATA), ('V', 1, CONFIGURATION), ('A', 1, AUDIO_CONFIGURATION), ('V', 1, KEY)];
    for (kind, payload) in empty {
        push(&mut ring, kind, 2, payload);
        let letter = kind.name().and_then(|name| name.chars().next()).unwrap();
        expected.push((letter, 2, payload));
        assert_eq!(Play::default().all(&ring), shown(&expected), "a player can still begin with the keyframe");
    }
}

#[test]
fn item_187_a_cursor_from_another_ring_starts_as_a_new_one() {
    for (has_video, inside) in [(false, false), (true, false), (true, true)] {
        let (mut before, mut after) = (Memory::new(1000), Memory::new(1000));
        let (mut ring, mut player) = (before.ring(), Play::default());
        for millis in 0..100 {
            push(&mut ring, MessageKind::AUDIO, millis, AUDIO);
        }
        player.all(&ring);
        push(&mut ring, MessageKind::AUDIO, 100, AUDIO);
        if inside {
            player.take(&ring, 3).unwrap();
        }
        // The position of the player is beyond the end of the new ring.
        let mut ring = after.ring();
        if has_video {
            push(&mut ring, MessageKind::VIDEO, 0, CONFIGURATION);
            push(&mut ring, MessageKind::VIDEO, 0, KEY);
        }
        if inside {
            assert_eq!(player.take(&ring, 100), Err(Overtaken));
            continue;
        }
        let (config, key) = (('V', 0, CONFIGURATION), ('V', 0, KEY));
        assert_eq!(player.all(&ring), if has_video { shown(&[config, key]) } else { String::new() });
        push(&mut ring, MessageKind::AUDIO, 9, AUDIO);
        assert_eq!(player.all(&ring), shown(&[('A', 9, AUDIO)]), "{has_video}");
    }
}
