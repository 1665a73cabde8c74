//! Streams of Enhanced RTMP with several tracks.

use super::*;

const VIDEO: MessageKind = MessageKind::VIDEO;
const SOUND: MessageKind = MessageKind::AUDIO;

/// The first messages of FFmpeg 9 for a stream with two tracks of HEVC and two of Opus.
const START: [(MessageKind, &[u8]); 9] = [
    (MessageKind::DATA, METADATA),
    (VIDEO, b"\x90hvc1first"),
    (VIDEO, b"\x96\x00hvc1\x01second"),
    (SOUND, b"\x90OpusOpusHead"),
    (SOUND, b"\x94Opus\x01\x02\0\0\0\x03"),
    (SOUND, b"\x95\x00Opus\x01OpusHead"),
    (SOUND, b"\x95\x04Opus\x01\x01\x01\0\0\0\x04"),
    (VIDEO, b"\xD4hvc1\x02\0\x09colorInfo\x03\0\0\x09"),
    (VIDEO, b"\xD6\x04hvc1\x01\x02\0\x09colorInfo\x03\0\0\x09"),
];

/// The same messages in the order of tracks.
const ORDERED: [usize; 9] = [0, 1, 7, 3, 4, 2, 8, 5, 6];

const KEYS: [&[u8]; 2] = [b"\x91hvc1\0\0\0key 0", b"\x96\x01hvc1\x01\0\0\0key 1"];
const INTERS: [&[u8]; 2] = [b"\xA1hvc1\0\0\0inter 0", b"\xA6\x01hvc1\x01\0\0\0inter 1"];

fn start(ring: &mut Ring<'_>) {
    START.iter().for_each(|(kind, payload)| push(ring, *kind, 0, payload));
}

fn letter(kind: MessageKind) -> char {
    kind.name().and_then(|name| name.chars().next()).unwrap()
}

/// Returns what a player gets if it begins at `millis`.
fn ordered(millis: u32, then: &[(char, u32, &[u8])]) -> String {
    let first = ORDERED.map(|index| (letter(START[index].0), millis, START[index].1));
    shown(&[&first, then].concat())
}

/// Memory for these streams.
fn memory() -> Memory {
    Memory { headers: vec![0; 500], entries: vec![HeaderEntry::new(); 16], ..Memory::new(4000) }
}

#[test]
fn item_251_a_late_player_gets_all_configurations_in_the_order_of_tracks() {
    let mut memory = memory();
    let (mut ring, mut early) = (memory.ring(), Play::default());
    assert_eq!(early.all(&ring), "");
    start(&mut ring);
    assert_eq!(early.all(&ring), shown(&START.map(|(kind, payload)| (letter(kind), 0, payload))), "as published");
    push(&mut ring, VIDEO, 40, KEYS[0]);
    assert_eq!(early.all(&ring), shown(&[('V', 40, KEYS[0])]));
    assert_eq!(Play::default().all(&ring), ordered(40, &[('V', 40, KEYS[0])]));
    assert_eq!(ring.counts(), Counts::default());
}

#[test]
fn cached_messages_are_those_of_track_0_until_the_publisher_ends() {
    let mut memory = memory();
    let mut ring = memory.ring();
    start(&mut ring);
    let of_track_0 = [0, 1, 7, 3, 4].map(|index: usize| START[index]);
    let mut cached: Vec<_> = ring.cached().collect();
    cached.sort_by_key(|one| of_track_0.iter().position(|other| other == one));
    assert_eq!(cached, of_track_0);
    ring.end();
    assert_eq!(ring.cached().count(), 0);
}

#[test]
fn item_252_a_late_player_begins_with_track_0_and_other_tracks_with_their_own_keyframes() {
    let mut memory = memory();
    let mut ring = memory.ring();
    start(&mut ring);
    for millis in [0, 1000] {
        // The first picture of track 1 after the keyframe of track 0 is not a keyframe.
        push(&mut ring, VIDEO, millis, KEYS[0]);
        push(&mut ring, VIDEO, millis, INTERS[1]);
        push(&mut ring, VIDEO, millis + 40, INTERS[0]);
        push(&mut ring, VIDEO, millis + 40, KEYS[1]);
        push(&mut ring, VIDEO, millis + 80, INTERS[1]);
    }
    let expected = [('V', 1000, KEYS[0]), ('V', 1040, INTERS[0]), ('V', 1040, KEYS[1]), ('V', 1080, INTERS[1])];
    let mut late = Play::default();
    assert_eq!(late.all(&ring), ordered(1000, &expected));
    assert_eq!(late.cursor.skipped(), 0);
    // A track without keyframes begins after 3 s, as track 0 does.
    late.now = 3_100;
    push(&mut ring, VIDEO, 4000, b"\xA6\x01hvc1\x07\0\0\0inter 7");
    assert_eq!(late.all(&ring), shown(&[('V', 4000, b"\xA6\x01hvc1\x07\0\0\0inter 7")]));
}

#[test]
fn item_252_a_keyframe_of_another_track_is_no_place_to_begin() {
    let mut memory = memory();
    let (mut ring, mut late) = (memory.ring(), Play::default());
    start(&mut ring);
    push(&mut ring, VIDEO, 0, INTERS[0]);
    push(&mut ring, VIDEO, 0, KEYS[1]);
    assert_eq!(late.all(&ring), "");
    push(&mut ring, VIDEO, 40, INTERS[0]);
    push(&mut ring, VIDEO, 40, INTERS[1]);
    assert_eq!(late.all(&ring), "", "no picture can be decoded");
    push(&mut ring, VIDEO, 80, KEYS[1]);
    assert_eq!(late.all(&ring), ordered(80, &[('V', 80, KEYS[1])]));
    push(&mut ring, VIDEO, 120, INTERS[0]);
    push(&mut ring, VIDEO, 120, INTERS[1]);
    push(&mut ring, VIDEO, 160, KEYS[0]);
    assert_eq!(late.all(&ring), shown(&[('V', 120, INTERS[1]), ('V', 160, KEYS[0])]));
}

#[test]
fn item_253_a_sequence_header_of_another_codec_replaces_all_of_its_track() {
    let mut memory = memory();
    let mut ring = memory.ring();
    start(&mut ring);
    push(&mut ring, VIDEO, 0, KEYS[0]);
    push(&mut ring, VIDEO, 10, CONFIGURATION);
    push(&mut ring, SOUND, 10, AUDIO_CONFIGURATION);
    let mut late = Play::default();
    assert_eq!(late.all(&ring), "", "the keyframe is one of HEVC");
    push(&mut ring, VIDEO, 20, KEY);
    let expected = [
        ('D', 20, METADATA),
        ('V', 20, CONFIGURATION),
        ('A', 20, AUDIO_CONFIGURATION),
        ('V', 20, START[2].1),
        ('V', 20, START[8].1),
        ('A', 20, START[5].1),
        ('A', 20, START[6].1),
        ('V', 20, KEY),
    ];
    assert_eq!(Play::default().all(&ring), shown(&expected));
    // And back.
    push(&mut ring, VIDEO, 30, START[1].1);
    push(&mut ring, VIDEO, 30, KEYS[0]);
    assert!(!Play::default().all(&ring).contains("cfg"));
}

#[test]
fn item_254_a_message_of_several_tracks_is_cached_for_each_of_them() {
    for at_wrap in [0, 3, 9, 17, 25, 40] {
        let mut memory = memory();
        let mut ring = memory.ring();
        // The message wraps around the end of the ring.
        let room = 4000 - OVERHEAD * 2 - at_wrap;
        push(&mut ring, MessageKind::DATA, 0, &vec![0; room]);
        push(&mut ring, VIDEO, 0, b"\x96\x20hvc1\x00\0\0\x03oneav01\x02\0\0\x00vp09\x01\0\0\x03two");
        push(&mut ring, VIDEO, 0, b"\x96\x10hvc1\x03\0\0\x05three\x04\0\0\x06short");
        push(&mut ring, VIDEO, 0, b"\x96\x00av01\x01again");
        push(&mut ring, VIDEO, 0, KEYS[0]);
        let expected = [
            ('V', 0, &b"\x96\x00hvc1\x00one"[..]),
            ('V', 0, b"\x96\x00av01\x01again"),
            ('V', 0, b"\x96\x00hvc1\x03three"),
            ('V', 0, KEYS[0]),
        ];
        assert_eq!(Play::default().all(&ring), shown(&expected), "{at_wrap}");
    }
}

#[test]
fn item_255_what_has_no_place_is_relayed_and_counted_and_track_0_stays() {
    let mut memory = Memory { entries: vec![HeaderEntry::new(); 2], ..Memory::new(16_000) };
    let (mut ring, mut early) = (memory.ring(), Play::default());
    assert_eq!(early.all(&ring), "");
    for track in (1..=255).rev() {
        push(&mut ring, VIDEO, 0, &[b"\x96\x00hvc1", &[track, 7][..]].concat());
    }
    push(&mut ring, SOUND, 0, AUDIO_CONFIGURATION);
    push(&mut ring, VIDEO, 0, b"\x90hvc1zero");
    push(&mut ring, VIDEO, 0, KEYS[0]);
    assert_eq!(early.all(&ring).matches(", ").count(), 257, "all messages were relayed");
    assert_eq!(ring.counts(), Counts { not_kept: 255, ..Counts::default() });
    let expected = [('V', 0, &b"\x90hvc1zero"[..]), ('A', 0, AUDIO_CONFIGURATION), ('V', 0, KEYS[0])];
    assert_eq!(Play::default().all(&ring), shown(&expected));
}

#[test]
fn item_256_a_player_that_is_late_loses_the_highest_track_first() {
    // A player is late if it is 400 bytes behind.
    let mut memory = Memory::new(800);
    let mut ring = memory.ring();
    let picture = |key: bool, track: u8| {
        let start: &[u8] = if key { b"\x96\x01hvc1" } else { b"\xA6\x01hvc1" };
        [start, &[track], &[b'0' + track; 12]].concat()
    };
    let all = |ring: &mut Ring<'_>, millis, key| {
        for track in [0, 1, 2] {
            push(ring, VIDEO, millis, &picture(key, track));
        }
    };
    let (mut player, mut tracks) = (Play::default(), Vec::new());
    all(&mut ring, 0, true);
    player.all(&ring);
    for millis in 1..16 {
        all(&mut ring, millis, millis % 5 == 0);
        // It falls behind gradually.
        player.take(&ring, 28).unwrap();
    }
    player.take(&ring, usize::MAX).unwrap();
    for (_, _, payload) in &player.got {
        tracks.push(payload[6]);
    }
    let count = |track| tracks.iter().filter(|of| **of == track).count();
    assert!(count(0) > count(1) && count(1) > count(2) && count(2) > 0, "{tracks:?}");
    assert_eq!(count(0), 15, "track 0 is whole: {tracks:?}");
    assert_eq!(player.cursor.skipped() as usize, 45 - tracks.len());
    // Each track continues with a keyframe.
    for track in [1, 2] {
        let mut last = 0;
        for (_, millis, payload) in player.got.iter().filter(|(_, _, payload)| payload[6] == track) {
            assert!(*millis == last + 1 || payload[0] == 0x96, "track {track} at {millis}");
            last = *millis;
        }
    }
}

#[test]
fn item_126_an_empty_configuration_of_enhanced_rtmp_does_not_replace_the_cached_one() {
    let mut memory = memory();
    let mut ring = memory.ring();
    start(&mut ring);
    push(&mut ring, VIDEO, 0, KEYS[0]);
    let empty: [(_, &[u8]); 9] = [
        (VIDEO, b"\x90hvc1"),
        (VIDEO, b"\x96\x00hvc1"),
        (VIDEO, b"\x96\x00hvc1\x01"),
        (VIDEO, b"\x96\x10hvc1\x00\0\0\0\x01\0\0\0"),
        (VIDEO, b"\x97\x00\xAA\x00av01"),
        (VIDEO, b"\x90"),
        (VIDEO, b"\xD4hvc1"),
        (SOUND, b"\x90Opus"),
        (SOUND, b"\x94Opus"),
    ];
    let mut expected = vec![('V', 0, KEYS[0])];
    for (kind, payload) in empty {
        push(&mut ring, kind, 0, payload);
        expected.push((letter(kind), 0, payload));
        assert_eq!(Play::default().all(&ring), ordered(0, &expected), "a player can still begin with the keyframe");
    }
    // A sequence header of AC-3 has no body. It ends the configuration of Opus.
    push(&mut ring, SOUND, 1, b"\x90ac-3");
    push(&mut ring, VIDEO, 2, KEYS[0]);
    let expected = [0, 1, 7].map(|index| (letter(START[index].0), 2, START[index].1));
    let expected = [&expected[..], &[('A', 2, b"\x90ac-3")]].concat();
    assert!(Play::default().all(&ring).starts_with(&shown(&expected)));
}
