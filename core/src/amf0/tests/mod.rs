//! Helpers for the tests of both directions.

mod captured;
mod conformance;
mod hostile;
mod random;

use super::*;
use std::vec;
use std::vec::Vec;

/// Returns all tokens of a message, and the error that ended it, if any. Checks what is true for any bytes.
fn decode(input: &[u8]) -> (Vec<Token<'_>>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(input);
    let mut tokens = Vec::new();
    let mut open = 0;
    let result = loop {
        match decoder.next_token() {
            Ok(Some(token)) => {
                open = match token {
                    Token::StrictArrayStart { .. } => open + 1,
                    _ if token.opens_map() => open + 1,
                    Token::End => open - 1,
                    _ => open,
                };
                assert!((0..=MAX_DEPTH as i32).contains(&open), "each End has its start");
                tokens.push(token);
                assert!(tokens.len() <= input.len() + MAX_DEPTH, "bounded tokens");
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(result.is_err() || (open == 0 && decoder.is_empty()), "balanced at the end");
    assert!(!(result.is_err() && decoder.is_empty()));
    for _ in 0..3 {
        assert_eq!(decoder.next_token().map(|token| token.is_some()), result.map(|()| false), "the end stays");
        assert_eq!(decoder.skip_value(), result);
    }
    (tokens, result)
}

/// Encodes into `buffer`.
fn encode<'b>(tokens: &[Token<'_>], buffer: &'b mut [u8]) -> Result<&'b [u8], BufferFull> {
    let mut encoder = Encoder::new(buffer);
    for token in tokens {
        encoder.put(*token)?;
    }
    Ok(encoder.finish())
}

/// Checks that these bytes are these tokens, in both directions, whole and cut at every byte.
#[track_caller]
fn check(bytes: &[u8], tokens: &[Token<'_>]) {
    check_decode(bytes, tokens);
    check_encode(bytes, tokens);
}

#[track_caller]
fn check_decode(bytes: &[u8], tokens: &[Token<'_>]) {
    assert_eq!(decode(bytes), (tokens.to_vec(), Ok(())));
    for cut in 0..bytes.len() {
        let (some, _) = decode(&bytes[..cut]);
        // The tokens before the cut are the same. Only the ends of open containers follow them.
        let same = some.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        assert!(
            some[same..].iter().all(|token| *token == Token::End || matches!(token, Token::Amf3(_))),
            "cut at {cut}"
        );
    }
}

#[track_caller]
fn check_encode(bytes: &[u8], tokens: &[Token<'_>]) {
    let mut buffer = vec![0xEE; bytes.len() + 20];
    for size in bytes.len()..buffer.len() {
        assert_eq!(encode(tokens, &mut buffer[..size]), Ok(bytes));
    }
    for short in 0..bytes.len() {
        let BufferFull { needed } = encode(tokens, &mut buffer[..short]).unwrap_err();
        assert!(needed > short && needed <= bytes.len());
    }
}

/// Bytes from hexadecimal text. Spaces are ignored.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A string token of these bytes.
fn string(bytes: &[u8]) -> Token<'_> {
    Token::String(Text::new(bytes))
}

/// A key token.
fn key(name: &str) -> Token<'_> {
    Token::Key(name.into())
}

#[test]
fn a_decoder_stays_small() {
    assert!(size_of::<Decoder<'_>>() <= 24 + 4 * MAX_DEPTH + 8);
    assert!(size_of::<Result<Option<Token<'_>>, DecodeError>>() <= 3 * size_of::<u64>());
}
