//! AMF0 values as JSON.
//!
//! | AMF0 | JSON |
//! |---|---|
//! | number, boolean, string, null, strict array | the same; NaN and infinities as `{"number":"NaN"}` |
//! | object, ECMA array | object; a repeated key has its last value |
//! | typed object | object, with the class under the key `""`, which no property can have |
//! | undefined, unsupported | `{"undefined":true}`, `{"unsupported":true}` |
//! | date, XML, reference | `{"date":ms,"zone":minutes}`, `{"xml":…}`, `{"reference":…}` |
//! | AMF3 | `{"amf3":"hex"}` |
//! | text that is not UTF-8 | `{"bytes":"hex"}` |

use embedded_rtmp::amf0::{DecodeError, Decoder, Text, Token};
use embedded_rtmp::message::MessageKind;
use serde_json::{Map, Number, Value, json};

/// The values of a message, and the error if they end before the payload does.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// The decoded values.
    pub values: Vec<Value>,
    /// Why the rest cannot be decoded.
    pub error: Option<DecodeError>,
}

/// The values of a command or data message. `None` for other messages and unknown formats.
pub fn values(kind: MessageKind, payload: &[u8]) -> Option<Values> {
    let amf0 = match (kind, payload) {
        (MessageKind::COMMAND | MessageKind::DATA, _) => payload,
        (MessageKind::COMMAND_AMF3 | MessageKind::DATA_AMF3, [0, amf0 @ ..]) => amf0,
        // Some senders omit the selector. Then this is the marker of a string.
        (MessageKind::COMMAND_AMF3 | MessageKind::DATA_AMF3, [2, ..]) => payload,
        _ => return None,
    };
    let mut decoder = Decoder::new(amf0);
    let mut values = Vec::new();
    let error = loop {
        match next(&mut decoder) {
            Ok(Some(value)) => values.push(value),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Some(Values { values, error })
}

fn next(decoder: &mut Decoder<'_>) -> Result<Option<Value>, DecodeError> {
    decoder.next_token()?.map(|token| value(token, decoder)).transpose()
}

/// The value that begins with `token`. The depth of its recursion is bounded by the decoder.
fn value(token: Token<'_>, decoder: &mut Decoder<'_>) -> Result<Value, DecodeError> {
    Ok(match token {
        Token::Number(number) => self::number(number),
        Token::Boolean(boolean) => Value::Bool(boolean),
        Token::String(string) => text(string),
        Token::Null => Value::Null,
        Token::Undefined => json!({"undefined": true}),
        Token::Unsupported => json!({"unsupported": true}),
        Token::Date { ms, tz } => json!({"date": self::number(ms), "zone": tz}),
        Token::Xml(xml) => json!({"xml": text(xml)}),
        Token::Reference(number) => json!({"reference": number}),
        Token::Amf3(bytes) => json!({"amf3": hex(bytes)}),
        Token::ObjectStart | Token::EcmaArrayStart { .. } => Value::Object(map(Map::new(), decoder)?),
        Token::TypedObjectStart(class) => Value::Object(map(Map::from_iter([(String::new(), text(class))]), decoder)?),
        Token::StrictArrayStart { .. } => {
            let mut array = Vec::new();
            while let Some(token) = decoder.next_token()?.filter(|token| *token != Token::End) {
                array.push(value(token, decoder)?);
            }
            Value::Array(array)
        }
        // Keys and ends occur only where `map` and the array consume them. Future tokens are shown by their `Debug` text.
        other => json!({"token": format!("{other:?}")}),
    })
}

fn map(mut map: Map<String, Value>, decoder: &mut Decoder<'_>) -> Result<Map<String, Value>, DecodeError> {
    while let Some(Token::Key(key)) = decoder.next_token()? {
        let Some(token) = decoder.next_token()? else { break };
        let value = value(token, decoder)?;
        map.insert(String::from_utf8_lossy(key.as_bytes()).into_owned(), value);
    }
    Ok(map)
}

/// A number, without a fraction if it is an integer.
fn number(number: f64) -> Value {
    const EXACT: f64 = (1_i64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or_else(|| json!({"number": number.to_string()}), Value::Number)
}

fn text(text: Text<'_>) -> Value {
    match text.to_str() {
        Ok(text) => Value::from(text),
        Err(_) => json!({"bytes": hex(text.as_bytes())}),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: MessageKind, payload: &[u8]) -> Value {
        let values = values(kind, payload).unwrap();
        assert_eq!(values.error, None);
        Value::Array(values.values)
    }

    #[test]
    fn each_marker_has_its_json() {
        let payload = b"\x02\0\x01a\x00\x3f\xf0\0\0\0\0\0\0\x01\x01\x05\x06\x0d\x07\0\x09\
            \x0b\x40\0\0\0\0\0\0\0\xff\xff\x0f\0\0\0\x01x\x0a\0\0\0\x02\x05\x01\0\
            \x03\0\x01k\x08\0\0\0\x63\0\x01i\x05\0\0\x09\0\0\x09\x10\0\x01C\0\0\x09\x02\0\x01\xff\x11\x0a\x0b";
        let expected = json!(["a", 1, true, null, {"undefined": true}, {"unsupported": true}, {"reference": 9},
            {"date": 2, "zone": -1}, {"xml": "x"}, [null, false], {"k": {"i": null}}, {"": "C"}, {"bytes": "ff"},
            {"amf3": "0a0b"}]);
        assert_eq!(shown(MessageKind::COMMAND, payload), expected);
    }

    #[test]
    fn numbers_that_json_lacks_are_text() {
        let nan = b"\0\x7f\xf8\0\0\0\0\0\0\0\xff\xf0\0\0\0\0\0\0\0\x3f\xe0\0\0\0\0\0\0";
        assert_eq!(shown(MessageKind::DATA, nan), json!([{"number": "NaN"}, {"number": "-inf"}, 0.5]));
    }

    #[test]
    fn a_format_selector_is_passed_over() {
        assert_eq!(shown(MessageKind::COMMAND_AMF3, b"\0\x05"), json!([null]));
        assert_eq!(shown(MessageKind::COMMAND_AMF3, b"\x02\0\x01a"), json!(["a"]));
        assert_eq!(values(MessageKind::DATA_AMF3, b"\x01\x05"), None);
        assert_eq!(values(MessageKind::DATA_AMF3, b""), None);
        assert_eq!(values(MessageKind::VIDEO, b"\x05"), None);
    }

    #[test]
    fn what_cannot_be_decoded_ends_the_values() {
        let values = values(MessageKind::COMMAND, b"\x05\x02\0\x09a").unwrap();
        assert_eq!((values.values, values.error), (vec![Value::Null], Some(DecodeError::Truncated)));
    }
}
