//! Inputs that broke other decoders, and the limits of this encoder.

use super::*;
use Token::{End, Null, ObjectStart, StrictArrayStart};

#[test]
fn cve_2015_8270_an_amf3_string_with_an_odd_length() {
    for text in ["11 06", "11 06 FF", "11 06 FFFFFFFF", "11 06 8001 61", "11 06 01", "11 06 02", "11"] {
        let bytes = hex(text);
        assert_eq!(decode(&bytes), (vec![Token::Amf3(&bytes[1..])], Ok(())));
    }
}

#[test]
fn cve_2015_8271_an_amf3_class_whose_count_is_not_true() {
    let bytes = hex("03 0001 61 11 0A C0808083 01 0361 0401");
    assert_eq!(decode(&bytes), (vec![ObjectStart, key("a"), Token::Amf3(&bytes[5..]), End], Ok(())));
}

#[test]
fn librtmp_an_array_with_fewer_than_4_bytes_left() {
    for text in ["08", "08 00", "08 0000", "08 000000", "0A", "0A 00", "0A 0000", "0A 000000"] {
        assert_eq!(decode(&hex(text)), (vec![], Err(DecodeError::Truncated)));
        let inner = hex(&std::format!("03 0001 61 {text}"));
        assert_eq!(decode(&inner), (vec![ObjectStart, key("a")], Err(DecodeError::Truncated)));
    }
}

#[test]
fn androidx_3414_an_array_that_announces_more_than_it_has() {
    let bytes = hex("02 000A 6F6E4D65746144617461 08 00000010 0005 7769647468 00 4074000000000000");
    let tokens = [string(b"onMetaData"), Token::EcmaArrayStart { len: 16 }, key("width"), Token::Number(320.0), End];
    check_decode(&bytes, &tokens);
}

#[test]
fn srs_4_bytes_of_0_and_a_0_before_a_string() {
    assert_eq!(decode(&[0; 4]), (vec![], Err(DecodeError::Truncated)));
    assert_eq!(decode(&hex("00 02 0001 61")).1, Err(DecodeError::Truncated));
}

#[test]
fn shiguredo_arrays_of_references_do_not_multiply() {
    let bytes = hex("0A 00000002 07 0000 07 0000").repeat(1000);
    assert_eq!(decode(&bytes).0.len(), 4000);
}

#[test]
fn skipping_takes_one_value_wherever_it_starts() {
    let bytes = hex("05 03 0001 61 03 000009 0001 62 05 000009 0A 00000002 05 06 0101");
    let mut decoder = Decoder::new(&bytes);
    decoder.skip_value().unwrap();
    let mut inside = decoder;
    decoder.skip_value().unwrap();
    assert_eq!(decoder.next_token(), Ok(Some(StrictArrayStart { len: 2 })));
    decoder.skip_value().unwrap();
    assert_eq!(decoder.next_token(), Ok(Some(Token::Undefined)));
    decoder.skip_value().unwrap();
    assert_eq!(decoder.next_token(), Ok(Some(Token::Boolean(true))), "the array's end has been skipped");
    decoder.skip_value().unwrap();
    assert_eq!(decoder.next_token(), Ok(None));

    assert_eq!(inside.next_token(), Ok(Some(ObjectStart)));
    assert_eq!(inside.next_token(), Ok(Some(key("a"))));
    inside.skip_value().unwrap();
    inside.skip_value().unwrap();
    assert_eq!(inside.next_token(), Ok(Some(End)), "the second skip took a key and its value");
}

#[test]
fn properties_of_a_broken_map_end_with_its_error() {
    let bytes = hex("03 0001 61 03 0001 62 04");
    let mut decoder = Decoder::new(&bytes);
    decoder.next_token().unwrap();
    assert_eq!(decoder.next_property(), Err(DecodeError::UnknownMarker(4)));
    assert_eq!(decoder.next_property(), Err(DecodeError::UnknownMarker(4)));
    let amf3 = hex("03 0001 61 03 0001 62 11 04 01");
    let mut decoder = Decoder::new(&amf3);
    decoder.next_token().unwrap();
    assert_eq!(decoder.next_property(), Ok(Some(("a".into(), ObjectStart))));
    assert_eq!(decoder.next_property(), Ok(None));
    assert_eq!(decoder.next_token(), Ok(None));
}

#[test]
fn a_full_buffer_keeps_what_was_written() {
    let mut buffer = [0xEE; 10];
    let mut encoder = Encoder::new(&mut buffer);
    assert!(encoder.is_empty());
    encoder.put("ab".into()).unwrap().put(Token::StrictArrayStart { len: 0 }).unwrap();
    assert_eq!(encoder.put(Token::ObjectStart).unwrap_err(), BufferFull { needed: 11 });
    assert_eq!(encoder.property("k", Null).unwrap_err(), BufferFull { needed: 13 });
    assert_eq!(encoder.len(), 10);
    assert_eq!(encoder.put_string_parts(&["x"]).unwrap_err(), BufferFull { needed: 14 });
    encoder.put(End).unwrap();
    assert_eq!((encoder.len(), encoder.finish()), (10, &hex("02 0002 6162 0A 00000000")[..]));
}

#[test]
fn a_property_is_a_key_and_a_value() {
    for size in 0..9 {
        let mut buffer = [0; 9];
        let mut encoder = Encoder::new(&mut buffer[..size]);
        let full = encoder.property("key", "v".into()).map(|encoder| encoder.len());
        assert_eq!(full, Err(BufferFull { needed: if size < 5 { 5 } else { 9 } }));
    }
    let mut buffer = [0; 9];
    assert_eq!(Encoder::new(&mut buffer).property("key", "v".into()).unwrap().len(), 9);
    assert_eq!(buffer, *hex("0003 6B6579 02 0001 76"));
}

#[test]
fn a_string_of_parts_is_one_string() {
    let parts = ["rtmp://", "host", "", ":1935/live"];
    let whole = string(b"rtmp://host:1935/live");
    let mut buffer = [0; 24];
    let mut encoder = Encoder::new(&mut buffer);
    encoder.put_string_parts(&parts).unwrap();
    assert_eq!(decode(encoder.finish()), (vec![whole], Ok(())));
    for size in 0..24 {
        let mut encoder = Encoder::new(&mut buffer[..size]);
        assert_eq!(encoder.put_string_parts(&parts).unwrap_err(), BufferFull { needed: 24 });
        assert!(encoder.is_empty());
    }
    let half = "h".repeat(32_768);
    for (last, expected) in [(32_767, 65_538), (32_768, 65_541)] {
        let mut buffer = vec![0; 65_541];
        let mut encoder = Encoder::new(&mut buffer);
        encoder.put_string_parts(&[&half, &half[..last]]).unwrap();
        let bytes = encoder.finish();
        assert_eq!(bytes.len(), expected);
        assert_eq!(decode(bytes), (vec![string([&half[..], &half[..last]].concat().as_bytes())], Ok(())));
    }
}

#[test]
fn what_amf0_has_no_form_for_fits_no_buffer() {
    let name = "n".repeat(65_536);
    let mut buffer = vec![0; 70_000];
    let mut encoder = Encoder::new(&mut buffer);
    let no_buffer = BufferFull { needed: usize::MAX };
    assert_eq!(encoder.put(key(&name)).unwrap_err(), no_buffer);
    assert_eq!(encoder.put(Token::TypedObjectStart(Text::from(&name[..]))).unwrap_err(), no_buffer);
    assert_eq!(encoder.property(&name, Null).unwrap_err(), no_buffer);
    encoder.put(key(&name[1..])).unwrap();
    assert_eq!(encoder.len(), 65_537);
}

#[test]
fn errors_say_what_is_wrong() {
    use std::string::ToString;
    assert_eq!(DecodeError::UnknownMarker(4).to_string(), "unknown AMF0 marker 0x04");
    assert_eq!(BufferFull { needed: 9 }.to_string(), "AMF0 buffer too small: 9 bytes needed");
    for error in [DecodeError::Truncated, DecodeError::TooDeep, DecodeError::EmptyKey] {
        assert!(error.to_string().starts_with("AMF0 "));
    }
}
