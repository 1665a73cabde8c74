//! Start codes and lengths.

use std::format;
use std::vec;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::media::avc::annex_b::{NoRoom, START_CODE, Units, to_length_prefixed};
use crate::media::avc::prefixed::{self, Truncated, to_annex_b};
use crate::media::avc::{Message, TooManyUnits};

/// Units with emulation prevention, and with a zero byte and a 1 in them.
const UNITS: [&[u8]; 4] = [&[0x67, 1, 0, 0, 3, 1, 2], &[0x68], &[0x06, 0, 1, 0, 0, 3], &[0x65, 0, 0, 3, 0, 0, 3, 1]];

/// A byte stream: each unit after this many zeros and a 1.
fn stream<'a>(units: impl IntoIterator<Item = &'a [u8]>, zeros: impl IntoIterator<Item = usize>) -> Vec<u8> {
    units.into_iter().zip(zeros).flat_map(|(unit, zeros)| [&vec![0; zeros][..], &[1], unit].concat()).collect()
}

fn prefixed<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    units.into_iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat()).collect()
}

/// Converts in a buffer that has this many bytes of free room.
fn converted(stream: &[u8], room: usize) -> Result<Vec<u8>, NoRoom> {
    let mut buffer = [stream, &vec![0xEE; room]].concat();
    let before = buffer.clone();
    let length = to_length_prefixed(&mut buffer, stream.len());
    if length.is_err() {
        assert_eq!(buffer, before, "changed, though there is no room");
    }
    buffer.truncate(length?);
    Ok(buffer)
}

#[test]
fn item_111_start_codes_have_three_or_four_bytes() {
    for zeros in [[3, 3, 3, 3], [2, 2, 2, 2], [3, 2, 3, 2], [2, 3, 2, 9]] {
        let stream = stream(UNITS, zeros);
        assert!(Units::new(&stream).eq(UNITS), "{zeros:?}");
        assert!(Units::new(&[&stream[..], &[0; 5]].concat()).eq(UNITS), "{zeros:?} and zeros at the end");
    }
}

#[test]
fn item_111_bytes_that_are_not_a_unit_are_skipped() {
    for stream in
        [&b""[..], b"\0", b"\0\0", b"\0\0\x01", b"\0\0\0\x01", b"\0\0\x01\0\0\x01\0\0\0", b"abc", b"\0\x01\x65"]
    {
        assert_eq!(Units::new(stream).next(), None, "{stream:02x?}");
        assert_eq!(converted(stream, 0), Ok(vec![]));
    }
    assert!(Units::new(b"abc\0\0\x01\x65\x88").eq([b"\x65\x88"]), "bytes before the first start code");
    assert!(Units::new(b"\0\0\x01\0\0\x01\x65\0\0\x01\0\x01\0").eq([&b"\x65"[..], b"\0\x01"]), "empty units");
}

#[test]
fn item_111_start_codes_of_four_bytes_are_overwritten_in_place() {
    let stream = stream(UNITS, [3; 4]);
    assert_eq!(converted(&stream, 0), Ok(prefixed(UNITS)));
}

#[test]
fn item_111_start_codes_of_three_bytes_need_a_byte_more_each() {
    for (zeros, needed) in
        [([2, 2, 2, 2], 4), ([3, 2, 3, 2], 2), ([3, 3, 3, 2], 1), ([2, 4, 3, 3], 1), ([4, 2, 2, 2], 2)]
    {
        let stream = stream(UNITS, zeros);
        for room in 0..needed {
            let error = NoRoom { needed: stream.len() + needed };
            assert_eq!(converted(&stream, room), Err(error), "{zeros:?}");
        }
        for room in needed..needed + 4 {
            assert_eq!(converted(&stream, room), Ok(prefixed(UNITS)), "{zeros:?}");
        }
    }
    assert_eq!(to_length_prefixed(&mut [0; 3], 4), Err(NoRoom { needed: 4 }));
    assert_eq!(format!("{}", NoRoom { needed: 4 }), "no room for the lengths of NAL units: 4 bytes needed");
}

#[test]
fn item_111_lengths_of_every_size_are_read() {
    for (size, picture) in [
        (1, &[2, 0x65, 1, 0, 1, 0x41][..]),
        (2, &[0, 2, 0x65, 1, 0, 0, 0, 1, 0x41]),
        (3, &[0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 1, 0x41]),
        (4, &[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x41]),
    ] {
        let mut units = prefixed::Units::new(size, picture);
        assert!(units.by_ref().eq([&[0x65, 1][..], &[0x41]]), "{size}");
        assert!(units.rest().is_empty());
        // The last unit is truncated and skipped.
        let mut cut = prefixed::Units::new(size, &picture[..picture.len() - 1]);
        assert_eq!((cut.by_ref().count(), cut.rest().len()), (1, size));
    }
    for size in [0, 5, usize::MAX] {
        assert_eq!(prefixed::Units::new(size, &[0; 9]).next(), None);
    }
    assert_eq!(prefixed::Units::new(4, &[0xFF; 9]).next(), None, "a length beyond the end");
}

#[test]
fn item_111_lengths_are_replaced_by_start_codes_in_place() {
    let mut picture = prefixed(UNITS);
    to_annex_b(&mut picture).unwrap();
    assert_eq!(picture, stream(UNITS, [3; 4]));
    // An empty unit becomes zeros before the next start code.
    let mut picture = prefixed([&[0x65, 1][..], &[], &[0x41], &[]]);
    to_annex_b(&mut picture).unwrap();
    assert!(Units::new(&picture).eq([&[0x65, 1][..], &[0x41]]));
    let whole = prefixed(UNITS);
    for length in (0..whole.len()).filter(|length| ![0, 11, 16, 26].contains(length)) {
        let mut cut = whole[..length].to_vec();
        assert_eq!(to_annex_b(&mut cut), Err(Truncated), "{length} bytes");
        assert_eq!(cut, whole[..length], "{length} bytes");
    }
    assert_eq!(format!("{Truncated}"), "the last NAL unit is truncated");
}

#[test]
fn item_111_a_picture_is_sent_in_parts_without_a_copy() {
    let stream = stream(UNITS, [3, 2, 2, 3]);
    let message = Message::<4>::new(Units::new(&stream), -40).unwrap();
    let payload = [&[0x17, 1, 0xFF, 0xFF, 0xD8][..], &prefixed(UNITS)].concat();
    assert!(message.is_keyframe());
    assert_eq!(
        (message.length() as usize, message.parts().collect::<Vec<_>>().concat()),
        (payload.len(), payload.clone())
    );
    for left in 0..=payload.len() {
        let (rest, expected) = (message.rest(left as u32), &payload[payload.len() - left..]);
        assert!(expected.starts_with(rest) && rest.is_empty() == expected.is_empty(), "{left} bytes left");
    }
    assert!(message.rest(u32::MAX).starts_with(&[0x17]));
    let mut list = [&[][..]; 10];
    assert_eq!(message.list(&mut list[..8]), None);
    assert!(message.list(&mut list).unwrap().iter().copied().eq(message.parts()));
    // The parts of a unit are lent, not copied.
    assert!(message.parts().filter(|part| stream.as_ptr_range().contains(&part.as_ptr())).eq(UNITS));

    let inter = Message::<4>::new(UNITS.into_iter().take(3), 0).unwrap();
    assert_eq!((inter.is_keyframe(), inter.rest(inter.length())), (false, &[0x27, 1, 0, 0, 0][..]));
    let error = Message::<3>::new(UNITS, 0).unwrap_err();
    assert_eq!(error, TooManyUnits { units: 4 });
    assert_eq!(format!("{error}"), "4 NAL units are more than there is room for");
}

/// A unit as an encoder makes it: no start code in it, no zero at its end.
fn unit() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0_u8), Just(1), Just(3), any::<u8>()], 0..30).prop_map(|bytes| {
        let (mut unit, mut zeros) = (vec![0x65], 0);
        for byte in bytes.into_iter().chain([0x80]) {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    })
}

proptest! {
    #[test]
    fn item_111_any_units_come_through_both_ways(units in vec((unit(), 2..6_usize), 0..8), tail in 0..4_usize) {
        let all: Vec<&[u8]> = units.iter().map(|(unit, _)| unit.as_slice()).collect();
        let bytes = [stream(all.iter().copied(), units.iter().map(|(_, zeros)| *zeros)), vec![0; tail]].concat();
        prop_assert!(Units::new(&bytes).eq(all.iter().copied()));
        let mut picture = converted(&bytes, units.len()).unwrap();
        prop_assert_eq!(&picture, &prefixed(all.iter().copied()));
        prop_assert!(prefixed::Units::new(4, &picture).eq(all.iter().copied()));
        let message = Message::<8>::new(Units::new(&bytes), 0).unwrap();
        prop_assert_eq!(&message.parts().skip(1).collect::<Vec<_>>().concat(), &picture);
        to_annex_b(&mut picture).unwrap();
        prop_assert!(Units::new(&picture).eq(all));
    }

    #[test]
    fn item_111_any_bytes_give_the_same_units_by_both_ways(
        bytes in vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200),
    ) {
        let units: Vec<&[u8]> = Units::new(&bytes).collect();
        prop_assert!(units.iter().all(|unit| !unit.is_empty() && !unit.ends_with(&[0])));
        prop_assert!(units.iter().all(|unit| !unit.windows(3).any(|three| three == &START_CODE[1..])));
        let longest = units.len();
        prop_assert_eq!(converted(&bytes, longest).unwrap(), prefixed(units));
    }
}
