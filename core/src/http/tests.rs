//! Heads whole, cut, and hostile.

use super::*;
use std::string::String;
use std::vec::Vec;

/// Parses a head in pieces of `cut` bytes. Returns its first line, its fields, and the bytes after it.
fn read(text: &[u8], cut: usize) -> Result<(String, Fields, usize), HeadError> {
    let (mut head, mut first) = (Head::<LINE>::new(), String::new());
    let mut taken = 0;
    for piece in text.chunks(cut) {
        let mut rest = piece;
        loop {
            match head.read(&mut rest, ())? {
                Progress::More => break,
                Progress::FirstLine => first = String::from_utf8_lossy(head.line().0).trim_end().into(),
                Progress::Done(fields) => return Ok((first, fields, taken + piece.len() - rest.len())),
            }
        }
        taken += piece.len();
    }
    panic!("the head does not end")
}

fn everywhere(text: &str) -> Result<(String, Fields, usize), HeadError> {
    let whole = read(text.as_bytes(), usize::MAX);
    for cut in 1..text.len() {
        assert_eq!(read(text.as_bytes(), cut), whole, "{cut}");
    }
    whole
}

#[test]
fn a_head_ends_at_its_empty_line_however_it_is_cut() {
    let text = "\r\nHTTP/1.1 200 OK\r\nContent-Length:  17 \r\nServer: x\r\n\r\nbody";
    let fields = Fields { length: Some(17), close: false, keep_alive: false };
    assert_eq!(everywhere(text), Ok(("HTTP/1.1 200 OK".into(), fields, text.len() - 4)));
}

#[test]
fn item_098_names_of_fields_ignore_case_and_lines_may_end_in_lf_alone() {
    let text = "POST /a HTTP/1.1\ncontent-LENGTH: 3\nCONNECTION: Keep-Alive , x,CLOSE\n\n";
    let fields = Fields { length: Some(3), close: true, keep_alive: true };
    assert_eq!(everywhere(text), Ok(("POST /a HTTP/1.1".into(), fields, text.len())));
}

#[test]
fn lines_that_are_too_long_are_cut_and_do_no_harm() {
    let long: String = core::iter::repeat_n('x', 5_000).collect();
    let text = std::format!("GET /{long} HTTP/1.1\r\nCookie: {long}\r\nContent-Length: 5\r\n\r\n");
    let (first, fields, _) = read(text.as_bytes(), 700).unwrap();
    assert_eq!((first.len(), fields.length), (LINE, Some(5)));
}

#[test]
fn item_098_invalid_lengths_are_refused() {
    // Includes CVE-2016-10190: -1, and 2^63.
    for (value, error) in [
        ("-1", HeadError::LengthInvalid),
        ("+1", HeadError::LengthInvalid),
        ("", HeadError::LengthInvalid),
        ("1 2", HeadError::LengthInvalid),
        ("0x10", HeadError::LengthInvalid),
        ("16777216", HeadError::LengthTooLarge),
        ("9223372036854775808", HeadError::LengthTooLarge),
        ("99999999999999999999999999", HeadError::LengthTooLarge),
        ("5\r\nContent-Length: 6", HeadError::LengthInvalid),
        ("5\r\nTransfer-Encoding: chunked", HeadError::Chunked),
    ] {
        let text = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
        assert_eq!(everywhere(&text), Err(error), "{value}");
    }
    let zeros: String = core::iter::repeat_n('0', 200).collect();
    let text = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {zeros}5\r\n\r\n");
    assert_eq!(everywhere(&text), Err(HeadError::LengthInvalid), "the number is cut");
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 0016777215\r\nContent-Length: 16777215\r\n\r\n";
    assert_eq!(everywhere(text).unwrap().1.length, Some(MAX_LENGTH));
}

#[test]
fn a_head_without_an_end_is_an_error() {
    let lines: Vec<u8> =
        b"HTTP/1.1 200 OK\r\n".iter().chain(b"x: y\r\n".iter().cycle()).copied().take(20_000).collect();
    for text in [lines, [b'\n'; 20_000].to_vec(), [b'x'; 20_000].to_vec()] {
        assert_eq!(read(&text, 1_000), Err(HeadError::TooLong));
    }
}

#[test]
fn invalid_fields_are_refused() {
    for line in ["no colon", " folded", "Content-Length : 5", ": x", "a\0b: c"] {
        let text = std::format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
        assert_eq!(everywhere(&text), Err(HeadError::NotHttp), "{line}");
    }
}

/// Bytes after the stored part of a line.
fn padded(line: &str, padding: char, behind: &str) -> String {
    let padding: String = core::iter::repeat_n(padding, LINE).collect();
    std::format!("POST /a HTTP/1.1\r\n{line}{padding}{behind}\r\nContent-Length: 3\r\n\r\n")
}

#[test]
fn item_098_no_part_of_a_line_can_be_read_as_another_line() {
    for control in (0..32_u8).chain([127]).map(char::from).filter(|control| !"\t\n".contains(*control)) {
        for behind in [std::format!("{control}Content-Length: 30"), std::format!("x{control}")] {
            for text in [padded("Cookie: ", 'x', &behind), std::format!("POST /a HTTP/1.1\r\nCookie: {behind}\r\n\r\n")]
            {
                // Includes CR CR LF.
                assert_eq!(everywhere(&text), Err(HeadError::NotHttp), "{control:?}");
            }
        }
    }
    let text = padded("Cookie: ", 'x', "\tContent-Length: 30, Transfer-Encoding: chunked");
    assert_eq!(everywhere(&text).unwrap().1.length, Some(3), "a length inside a cookie is ignored");
}

#[test]
fn item_098_relevant_fields_are_within_the_stored_part_or_refused() {
    for (line, padding, behind, error) in [
        ("Content-Length: ", ' ', "30", HeadError::LengthInvalid),
        ("Content-Length: 3", ' ', "", HeadError::LengthInvalid),
        ("Content-Length: ", '0', "3", HeadError::LengthInvalid),
        ("Content-Length", ' ', ": 3", HeadError::NotHttp),
        ("X", 'x', ": 3", HeadError::NotHttp),
        (" ", 'x', "Content-Length: 3", HeadError::NotHttp),
        ("Transfer-Encoding: ", ' ', "chunked", HeadError::Chunked),
        ("Transfer-Encoding:", '\t', "identity", HeadError::Chunked),
    ] {
        assert_eq!(everywhere(&padded(line, padding, behind)), Err(error), "{line}");
    }
}

#[test]
fn item_098_two_lengths_and_a_length_beside_chunks_are_refused() {
    for (fields, error) in [
        ("Content-Length: 3\r\nContent-Length: 4", HeadError::LengthInvalid),
        ("Content-Length: 3, 3", HeadError::LengthInvalid),
        ("Content-Length: 3\r\n 0", HeadError::NotHttp),
        ("Content-Length: 3\r\n\t0", HeadError::NotHttp),
        ("Content-Length:\r\n 3", HeadError::LengthInvalid),
        ("Content-Length\t: 3", HeadError::NotHttp),
        ("Content-Length: 3\u{b}", HeadError::NotHttp),
        ("Content-Length: \u{663}", HeadError::LengthInvalid),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", HeadError::Chunked),
        ("Transfer-Encoding : chunked\r\nContent-Length: 3", HeadError::NotHttp),
        ("Transfer-Encoding: xchunked\nContent-Length: 3", HeadError::Chunked),
        ("X: y\rContent-Length: 3", HeadError::NotHttp),
        ("X: y\0\r\nContent-Length: 3", HeadError::NotHttp),
    ] {
        let text = std::format!("POST /a HTTP/1.1\r\n{fields}\r\n\r\nabc");
        assert_eq!(everywhere(&text), Err(error), "{fields:?}");
    }
    let text = "POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 03\r\n\r\n";
    assert_eq!(everywhere(text).unwrap().1.length, Some(3));
}
