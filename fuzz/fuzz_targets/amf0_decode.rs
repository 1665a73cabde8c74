//! AMF0 is decoded in bounded steps. The decoded tokens are encoded, and decode to the same tokens again.
#![no_main]

use embedded_rtmp::amf0::{DecodeError, Decoder, Encoder, MAX_DEPTH, Token};
use libfuzzer_sys::fuzz_target;

fn tokens(bytes: &[u8]) -> (Vec<Token<'_>>, Option<DecodeError>) {
    let mut decoder = Decoder::new(bytes);
    let mut tokens = Vec::new();
    let error = loop {
        match decoder.next_token() {
            Ok(Some(token)) => tokens.push(token),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        assert!(tokens.len() <= bytes.len() + MAX_DEPTH, "more tokens than bytes");
    };
    assert_eq!(decoder.next_token().err(), error, "an error is final");
    (tokens, error)
}

fn encoded(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 20];
    let mut encoder = Encoder::new(&mut buffer);
    for token in tokens {
        encoder.put(*token).expect("the buffer is large enough");
        if matches!(token, Token::Amf3(_)) {
            // It is all of the rest.
            break;
        }
    }
    encoder.finish().to_vec()
}

/// Whether AMF3, which is all of the rest, is in a container. The encoder cannot repeat that: a strict array announces elements
/// that do not follow.
fn ends_in_a_container(tokens: &[Token<'_>]) -> bool {
    let before = tokens.iter().take_while(|token| !matches!(token, Token::Amf3(_)));
    let depth = before.fold(0, |depth, token| match token {
        Token::StrictArrayStart { .. } => depth + 1,
        Token::End => depth - 1,
        token if token.opens_map() => depth + 1,
        _ => depth,
    });
    depth != 0
}

fuzz_target!(|data: &[u8]| {
    let (found, error) = tokens(data);
    if error.is_none() && !ends_in_a_container(&found) {
        let bytes = encoded(&found);
        let (again, error) = tokens(&bytes);
        assert_eq!((again.len(), error), (found.len(), None));
        // By their bytes: a NaN equals nothing.
        assert_eq!(encoded(&again), bytes);
    }
    // Skipping values and searching for properties pass over the same bytes.
    let mut skipper = Decoder::new(data);
    while !skipper.is_empty() && skipper.skip_value().is_ok() {}
    let mut finder = Decoder::new(data);
    while let Ok(Some(token)) = finder.next_token() {
        while token.opens_map() && matches!(finder.next_property(), Ok(Some(_))) {}
    }
});
