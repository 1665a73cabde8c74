//! Data messages: `onMetaData` and the like (RTMP 1.0, section 7.1.2).

use super::without_selector;
use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token};
use crate::fmt::impl_format;

/// A data message, as it was received.
#[derive(Debug, Clone, Copy)]
pub struct DataMessage<'a> {
    /// The name of the handler, for example `onMetaData`.
    pub name: Text<'a>,
    /// The bytes of `name` and of what follows, in AMF0. A recorder stores them, and a relay sends them to players.
    pub body: &'a [u8],
    /// The values after the name.
    pub values: Decoder<'a>,
}

impl_format!(
    ['a] DataMessage<'a>,
    this => "DataMessage {{ name: {=[u8]:a}, {} bytes }}", this.name.as_bytes(), this.body.len()
);

impl<'a> DataMessage<'a> {
    /// Parses the beginning of a data message. Returns `None` if it does not begin with a name.
    ///
    /// `@setDataFrame`, which tells a server to store what follows, is removed. `@clearDataFrame` is kept as the name.
    /// Its value names what the server must delete. A format selector of 0 is skipped.
    pub fn parse(payload: &'a [u8]) -> Option<DataMessage<'a>> {
        let mut body = without_selector(payload);
        let mut values = Decoder::new(body);
        let mut name = string(&mut values)?;
        if name == *"@setDataFrame" {
            body = values.rest();
            name = string(&mut values)?;
        }
        Some(DataMessage { name, body, values })
    }
}

fn string<'a>(values: &mut Decoder<'a>) -> Option<Text<'a>> {
    match values.next_token() {
        Ok(Some(Token::String(name))) => Some(name),
        _ => None,
    }
}

/// `@setDataFrame` as the first value of a data message, in AMF0: the server stores what follows for later players.
pub const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";

/// Writes the beginning of a data message that the server stores for later players: `@setDataFrame` and the name, usually
/// `onMetaData`. The value comes next.
///
/// ```
/// use embedded_rtmp::amf0::{Encoder, Token};
/// use embedded_rtmp::command::set_data_frame;
///
/// let mut buffer = [0; 128];
/// let mut encoder = Encoder::new(&mut buffer);
/// set_data_frame(&mut encoder, "onMetaData")?;
/// encoder.put(Token::EcmaArrayStart { len: 2 })?;
/// encoder.property("width", Token::Number(1280.0))?.property("height", Token::Number(720.0))?;
/// encoder.put(Token::End)?;
/// assert_eq!(encoder.finish().len(), 70);
/// # Ok::<(), embedded_rtmp::amf0::BufferFull>(())
/// ```
///
/// # Errors
/// The encoder's buffer is too small.
pub fn set_data_frame(encoder: &mut Encoder<'_>, name: &str) -> Result<(), BufferFull> {
    encoder.raw(SET_DATA_FRAME)?.short_string(&[name]).map(|_| ())
}
