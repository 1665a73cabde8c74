//! Items 59 to 75 of the conformance list, by number.

use super::*;
use Token::{Boolean, EcmaArrayStart, End, Null, Number, ObjectStart, StrictArrayStart, Undefined};

#[test]
fn item_059_numbers_survive_to_the_bit() {
    check(&hex("00 3FF0000000000000"), &[Number(1.0)]);
    check(&hex("00 FFF0000000000000"), &[Number(f64::NEG_INFINITY)]);
    for bits in [0x7FF8_0000_0000_0000_u64, 0xFFF0_0000_0000_0001, 0x8000_0000_0000_0000, 1] {
        let mut bytes = vec![0];
        bytes.extend(bits.to_be_bytes());
        let (tokens, result) = decode(&bytes);
        assert!(result.is_ok() && tokens[0].as_u32() == (bits << 1 == 0).then_some(0));
        assert!(matches!(tokens[..], [Number(number)] if number.to_bits() == bits));
        assert_eq!(encode(&tokens, &mut [0; 9]), Ok(&bytes[..]));
    }
    assert_eq!(Token::from(7).as_u32(), Some(7));
    assert_eq!(Null.as_u32(), None);
}

#[test]
fn item_060_any_byte_but_0_is_true() {
    check(&hex("01 00 01 01"), &[Boolean(false), Boolean(true)]);
    check_decode(&hex("01 02 01 80 01 FF 01 09"), &[Boolean(true); 4]);
}

#[test]
fn item_061_strings_of_any_bytes_and_up_to_65_535() {
    check(&hex("02 0000 02 0001 FF 02 0003 000009"), &[string(b""), string(b"\xFF"), string(&[0, 0, 9])]);
    let long = vec![0xC3; 65_535];
    let mut bytes = hex("02 FFFF");
    bytes.extend(&long);
    let mut buffer = vec![0; 65_540];
    assert_eq!(decode(&bytes), (vec![string(&long)], Ok(())));
    assert_eq!(encode(&[string(&long)], &mut buffer), Ok(&bytes[..]));
    assert_eq!(decode(&bytes[..65_537]), (vec![], Err(DecodeError::Truncated)));
}

#[test]
fn item_062_an_object_ends_with_an_empty_key_and_its_marker() {
    check(&hex("03 0001 61 05 000009 06"), &[ObjectStart, key("a"), Null, End, Undefined]);
    check(&hex("03 000009"), &[ObjectStart, End]);
    assert_eq!(decode(&hex("03 0000 05 000009")), (vec![ObjectStart], Err(DecodeError::EmptyKey)));
    assert_eq!(decode(&hex("03 0000")), (vec![ObjectStart], Err(DecodeError::Truncated)));
    // At the place of a value, an end marker is an unknown marker.
    assert_eq!(decode(&hex("03 0001 61 09")).1, Err(DecodeError::UnknownMarker(9)));
}

#[test]
fn item_186_a_key_in_an_ecma_array_may_be_empty() {
    let empty = [EcmaArrayStart { len: 1 }, key(""), Null, key("a"), Boolean(true), End, Undefined];
    check_decode(&hex("08 00000001 0000 05 0001 61 0101 000009 06"), &empty);
    let nested = [EcmaArrayStart { len: 2 }, key(""), ObjectStart, End, key(""), string(b"x"), End];
    check_decode(&hex("08 00000002 0000 03 000009 0000 020001 78 000009"), &nested);
    // An object inside the array has no empty keys.
    let object = vec![EcmaArrayStart { len: 1 }, key("a"), ObjectStart];
    assert_eq!(decode(&hex("08 00000001 0001 61 03 0000 05 000009 000009")), (object, Err(DecodeError::EmptyKey)));
    assert_eq!(decode(&hex("08 00000001 0000")), (vec![EcmaArrayStart { len: 1 }], Err(DecodeError::Truncated)));
}

#[test]
fn item_063_the_count_of_an_ecma_array_is_a_hint() {
    for (count, len) in [("00000000", 0), ("00000001", 1), ("00000014", 20), ("FFFFFFFF", u32::MAX)] {
        let bytes = hex(&std::format!("08 {count} 0001 61 05 0001 62 0101 000009 05"));
        check(&bytes, &[EcmaArrayStart { len }, key("a"), Null, key("b"), Boolean(true), End, Null]);
    }
}

#[test]
fn item_064_a_missing_end_marker_is_made_up_at_the_end_of_the_message() {
    check_decode(&hex("08 00000001 0001 61 05"), &[EcmaArrayStart { len: 1 }, key("a"), Null, End]);
    check_decode(&hex("03 0001 61 03 0001 62 05"), &[ObjectStart, key("a"), ObjectStart, key("b"), Null, End, End]);
    check_decode(&hex("0A 00000001 03"), &[StrictArrayStart { len: 1 }, ObjectStart, End, End]);
    // The ends are only added at the place of a key, not at that of a value, and not inside one.
    assert_eq!(decode(&hex("03 0001 61")), (vec![ObjectStart, key("a")], Err(DecodeError::Truncated)));
    assert_eq!(decode(&hex("03 0001 61 02 0005 62")).1, Err(DecodeError::Truncated));
    assert_eq!(decode(&hex("0A 00000002 05 03")).1, Ok(()));
    assert_eq!(decode(&hex("0A 00000002 03 0001 61 05")).1, Err(DecodeError::Truncated));
}

#[test]
fn item_065_a_strict_array_has_as_many_values_as_it_says() {
    check(&hex("0A 00000000 05"), &[StrictArrayStart { len: 0 }, End, Null]);
    check(
        &hex("0A 00000002 0A 00000001 05 06 05"),
        &[StrictArrayStart { len: 2 }, StrictArrayStart { len: 1 }, Null, End, Undefined, End, Null],
    );
    for count in ["FFFFFFFF", "FFFFFFFE", "80000000", "00000003"] {
        assert_eq!(decode(&hex(&std::format!("0A {count} 05 05"))), (vec![], Err(DecodeError::Truncated)));
    }
    // As many bytes as values, but too few values.
    assert_eq!(decode(&hex("0A 00000002 01 01")).1, Err(DecodeError::Truncated));
}

#[test]
fn item_066_a_date_keeps_its_time_zone() {
    check(&hex("0B 4277112A7A3B5000 0000"), &[Token::Date { ms: f64::from_bits(0x4277_112A_7A3B_5000), tz: 0 }]);
    check(&hex("0B 3FF0000000000000 FFC4"), &[Token::Date { ms: 1.0, tz: -60 }]);
}

#[test]
fn item_067_a_long_string_is_no_longer_than_its_message() {
    check_decode(&hex("0C 00000002 6162 05"), &[string(b"ab"), Null]);
    for length in ["00000003", "7FFFFFFF", "80000000", "FFFFFFFF"] {
        assert_eq!(decode(&hex(&std::format!("0C {length} 6162"))), (vec![], Err(DecodeError::Truncated)));
        assert_eq!(decode(&hex(&std::format!("0F {length} 6162"))), (vec![], Err(DecodeError::Truncated)));
    }
    // 65,536 bytes need the long form.
    let long = vec![b'x'; 65_536];
    let mut bytes = hex("0C 00010000");
    bytes.extend(&long);
    let mut buffer = vec![0; 65_541];
    assert_eq!(encode(&[string(&long)], &mut buffer), Ok(&bytes[..]));
    assert_eq!(decode(&bytes), (vec![string(&long)], Ok(())));
    assert_eq!(encode(&[string(&long)], &mut buffer[..65_540]), Err(BufferFull { needed: 65_541 }));
}

#[test]
fn item_068_the_rarer_types() {
    check(&hex("0F 00000003 3C612F 0D 06 05"), &[Token::Xml("<a/".into()), Token::Unsupported, Undefined, Null]);
    check(&hex("10 0003 46 6F 6F 0001 61 05 000009"), &[Token::TypedObjectStart("Foo".into()), key("a"), Null, End]);
    for marker in [0x04, 0x09, 0x0E, 0x12, 0xFF] {
        assert_eq!(decode(&[0x05, marker, 0x05]), (vec![Null], Err(DecodeError::UnknownMarker(marker))));
    }
}

#[test]
fn item_069_references_are_handed_on_and_not_expanded() {
    check(&hex("07 0001 07 FFFF"), &[Token::Reference(1), Token::Reference(0xFFFF)]);
}

#[test]
fn item_070_amf3_ends_the_decoding_of_its_message() {
    check_decode(&hex("05 11 0A 0B 01 00"), &[Null, Token::Amf3(&[0x0A, 0x0B, 0x01, 0x00])]);
    check(&hex("11 06 05 61 62"), &[Token::Amf3(&[0x06, 0x05, 0x61, 0x62])]);
    // Within containers: the ends follow, and no byte after AMF3 is decoded as AMF0.
    let bytes = hex("0A 00000003 03 0001 61 11 04 01 000009 05 05");
    let rest = [0x04, 0x01, 0, 0, 9, 5, 5];
    check_decode(&bytes, &[StrictArrayStart { len: 3 }, ObjectStart, key("a"), Token::Amf3(&rest), End, End]);
}

#[test]
fn item_071_nesting_is_bounded() {
    let deep = [0x03, 0x00, 0x01, 0x61].repeat(10_000);
    let (tokens, result) = decode(&deep);
    assert_eq!((tokens.len(), result), (2 * MAX_DEPTH, Err(DecodeError::TooDeep)));
    assert_eq!(Decoder::new(&deep).skip_value(), Err(DecodeError::TooDeep));
    let arrays = hex("0A 00000001").repeat(10_000);
    assert_eq!(decode(&arrays).1, Err(DecodeError::TooDeep));
    // At the largest depth, many times.
    let mut bytes = hex("03 0001 61").repeat(MAX_DEPTH - 1);
    bytes.extend(hex("03 000009").repeat(1));
    bytes.extend(hex("000009").repeat(MAX_DEPTH - 1));
    assert_eq!(decode(&bytes.repeat(5)).1, Ok(()));
}

#[test]
fn item_072_a_9_within_a_string_is_no_end() {
    let bytes = hex("03 0003 090909 02 0003 000009 0002 0009 00 0000090000090909 000009 05");
    let tokens =
        [ObjectStart, key("\t\t\t"), string(&[0, 0, 9]), key("\0\t"), Number(f64::from_bits(0x0000_0900_0009_0909))];
    check(&bytes, &[&tokens[..], &[End, Null]].concat());
}

#[test]
fn item_073_bytes_behind_the_last_value_do_not_disturb_it() {
    let bytes = hex("02 0001 61 03 0001 62 05 000009 FF FF FF");
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next_token(), Ok(Some(string(b"a"))));
    assert_eq!(decoder.skip_value(), Ok(()));
    assert_eq!(decoder.rest(), [0xFF; 3]);
    assert!(!decoder.is_empty());
}

#[test]
fn item_074_a_key_that_comes_twice_is_handed_on_twice() {
    let bytes = hex("03 0001 61 02 0001 78 0001 61 02 0001 79 000009");
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next_token(), Ok(Some(ObjectStart)));
    assert_eq!(decoder.next_property(), Ok(Some(("a".into(), "x".into()))));
    assert_eq!(decoder.next_property(), Ok(Some(("a".into(), "y".into()))));
    assert_eq!(decoder.next_property(), Ok(None));
}

#[test]
fn item_075_any_kind_of_map_gives_its_properties() {
    let pairs = "0001 61 05 0001 62 03 0001 63 0A 00000001 05 000009 0001 64 0101 000009 06";
    for start in ["03", "08 00000000", "10 0001 54"] {
        let bytes = hex(&std::format!("{start} {pairs}"));
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.next_property(), Ok(None), "no map is open yet");
        assert!(decoder.next_token().unwrap().is_some_and(|token| token.opens_map()));
        assert_eq!(decoder.next_property(), Ok(Some(("a".into(), Null))));
        // Nested content is skipped.
        assert_eq!(decoder.next_property(), Ok(Some(("b".into(), ObjectStart))));
        assert_eq!(decoder.next_property(), Ok(Some(("d".into(), Boolean(true)))));
        assert_eq!(decoder.next_property(), Ok(None));
        assert_eq!(decoder.next_property(), Ok(None), "the map is closed");
        assert_eq!(decoder.next_token(), Ok(Some(Undefined)));
    }
    for other in [Null, StrictArrayStart { len: 0 }, End, Token::Reference(0)] {
        assert!(!other.opens_map());
    }
}
