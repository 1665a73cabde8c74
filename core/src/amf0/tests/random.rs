//! Random values, and random bytes.

use super::*;
use proptest::collection::vec as many;
use proptest::prelude::*;
use std::string::String;

/// A value as a tree, so that containers are nested correctly.
#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Boolean(bool),
    String(Vec<u8>),
    Null,
    Undefined,
    Unsupported,
    Reference(u16),
    Date(u64, i16),
    Xml(Vec<u8>),
    Map(Option<u32>, Option<Vec<u8>>, Vec<(String, Value)>),
    Strict(Vec<Value>),
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        many(any::<u8>(), 0..40).prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        any::<u16>().prop_map(Value::Reference),
        any::<(u64, i16)>().prop_map(|(ms, tz)| Value::Date(ms, tz)),
        many(any::<u8>(), 0..40).prop_map(Value::Xml),
    ];
    leaf.prop_recursive(MAX_DEPTH as u32, 64, 4, |inner| {
        let pairs = many(("[a-z\\x00\\t]{1,6}", inner.clone()), 0..4);
        prop_oneof![
            (any::<Option<u32>>(), any::<Option<Vec<u8>>>(), pairs)
                .prop_map(|(len, name, pairs)| Value::Map(len, name, pairs)),
            many(inner, 0..4).prop_map(Value::Strict),
        ]
    })
}

fn flatten<'a>(value: &'a Value, tokens: &mut Vec<Token<'a>>) {
    tokens.push(match value {
        Value::Number(bits) => Token::Number(f64::from_bits(*bits)),
        Value::Boolean(value) => Token::Boolean(*value),
        Value::String(bytes) => string(bytes),
        Value::Null => Token::Null,
        Value::Undefined => Token::Undefined,
        Value::Unsupported => Token::Unsupported,
        Value::Reference(number) => Token::Reference(*number),
        Value::Date(bits, tz) => Token::Date { ms: f64::from_bits(*bits), tz: *tz },
        Value::Xml(bytes) => Token::Xml(Text::new(bytes)),
        Value::Map(Some(len), _, _) => Token::EcmaArrayStart { len: *len },
        Value::Map(None, Some(name), _) => Token::TypedObjectStart(Text::new(name)),
        Value::Map(None, None, _) => Token::ObjectStart,
        Value::Strict(values) => Token::StrictArrayStart { len: values.len() as u32 },
    });
    match value {
        Value::Map(_, _, pairs) => pairs.iter().for_each(|(name, value)| {
            tokens.push(key(name));
            flatten(value, tokens);
        }),
        Value::Strict(values) => values.iter().for_each(|value| flatten(value, tokens)),
        _ => return,
    }
    tokens.push(Token::End);
}

/// Tokens with their numbers as bits, because NaN is not equal to itself.
fn comparable(tokens: &[Token<'_>]) -> Vec<String> {
    let bits = |token: &Token<'_>| match token {
        Token::Number(number) => std::format!("{:x}", number.to_bits()),
        Token::Date { ms, tz } => std::format!("{:x} {tz}", ms.to_bits()),
        other => std::format!("{other:?}"),
    };
    tokens.iter().map(bits).collect()
}

/// Bytes that are mostly markers and small lengths, so that the decoder gets beyond the first value.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(vec![3]),
        Just(vec![0, 0, 9]),
        Just(vec![0, 1, b'k']),
        (0..4u8).prop_map(|count| vec![10, 0, 0, 0, count]),
        (0..4u8).prop_map(|count| vec![8, 0, 0, 0, count]),
        (0..0x13u8).prop_map(|marker| vec![marker]),
        many(any::<u8>(), 0..4),
    ];
    many(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(values in many(value(), 0..4)) {
        let mut tokens = Vec::new();
        values.iter().for_each(|value| flatten(value, &mut tokens));
        let mut buffer = vec![0; 100_000];
        let bytes = encode(&tokens, &mut buffer).unwrap();
        let (decoded, result) = decode(bytes);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(comparable(&decoded), comparable(&tokens));
        for cut in 0..bytes.len() {
            let (_tokens, _result) = decode(&bytes[..cut]);
        }
        // Skipping moves from value to value.
        let mut decoder = Decoder::new(bytes);
        for _ in &values {
            prop_assert!(!decoder.is_empty());
            decoder.skip_value().unwrap();
        }
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn any_bytes_end_in_bounded_tokens(bytes in many(any::<u8>(), 0..300)) {
        let (_tokens, _result) = decode(&bytes);
    }

    #[test]
    fn what_decodes_encodes_to_what_decodes_the_same(bytes in plausible()) {
        let (tokens, result) = decode(&bytes);
        if result.is_ok() && !tokens.iter().any(|token| matches!(token, Token::Amf3(_))) {
            let mut buffer = vec![0; bytes.len() + 3 * MAX_DEPTH];
            let again = encode(&tokens, &mut buffer).unwrap();
            let (decoded, result) = decode(again);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(comparable(&decoded), comparable(&tokens));
        }
    }

    #[test]
    fn properties_take_a_map_whole(bytes in plausible()) {
        let bytes = [&[3], &bytes[..]].concat();
        let (mut whole, mut pairs) = (Decoder::new(&bytes), Decoder::new(&bytes));
        let skipped = whole.skip_value();
        pairs.next_token().unwrap();
        let walked = loop {
            match pairs.next_property() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        prop_assert_eq!(walked, skipped);
        prop_assert_eq!(pairs.rest(), whole.rest());
    }
}
