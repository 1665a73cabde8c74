//! Commands and data messages: reading and writing them (RTMP 1.0, section 7).
//!
//! A command is a name, a transaction id, a command object or null, and arguments, all in AMF0. [`Command::parse`] reads
//! the first two and leaves the rest to a decoder; the functions of this module write whole commands into an
//! [`Encoder`].

mod connect;
mod data;
mod status;

pub(crate) use connect::accepted;
pub use connect::{ConnectOptions, ConnectRequest};
pub use data::{DataMessage, set_data_frame};
pub use status::{Status, code};

use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token, number_to_u32, u32_to_number};
use crate::message::StreamId;

/// A command as it came.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Command<'a> {
    /// The name of the procedure, or `_result` or `_error`.
    pub name: Text<'a>,
    /// What an answer refers to; 0 where none is wanted. It is the sender's, which may be any number: an answer repeats
    /// it to the bit.
    pub transaction: f64,
    /// What follows: the command object, then the arguments.
    pub values: Decoder<'a>,
}

impl<'a> Command<'a> {
    /// Reads the beginning of a command; `None` where it does not begin with a name.
    ///
    /// A format selector of 0 before the name is passed over: commands of type 17 have one, but not from every sender,
    /// and some send it in type 20. A command without a transaction id has the id 0.
    pub fn parse(payload: &'a [u8]) -> Option<Command<'a>> {
        let mut values = Decoder::new(without_selector(payload));
        let Ok(Some(Token::String(name))) = values.next_token() else { return None };
        let transaction = match values.next_token() {
            Ok(Some(Token::Number(transaction))) => transaction,
            Ok(None) => 0.0,
            _ => return None,
        };
        Some(Command { name, transaction, values })
    }

    /// The transaction id as a whole number; `None` where it is none.
    pub fn transaction_id(&self) -> Option<u32> {
        number_to_u32(self.transaction)
    }

    /// Whether the sender wants an answer (section 7.1.1: no answer where the id is 0).
    pub fn wants_answer(&self) -> bool {
        self.transaction_id() != Some(0)
    }

    /// The first argument, where it is a string.
    pub fn string_argument(&self) -> Option<Text<'a>> {
        self.first_argument()?.as_text()
    }

    /// The first argument, where it is a whole number: a stream id, say.
    pub fn number_argument(&self) -> Option<u32> {
        self.first_argument()?.as_u32()
    }

    /// The first value that is neither null nor undefined nor a map: some senders put more than one of these before it,
    /// and some leave the command object out.
    fn first_argument(&self) -> Option<Token<'a>> {
        let mut values = self.values;
        loop {
            let mut value = values;
            let found = value.next_token().ok()??;
            if !matches!(found, Token::Null | Token::Undefined) && !found.opens_map() {
                return Some(found);
            }
            values.skip_value().ok()?;
        }
    }
}

/// The texts that stand under these keys in the map whose start has been taken, as far as it can be read; empty where
/// there are none.
fn texts<'a>(values: &mut Decoder<'a>, keys: [&str; 3]) -> [Text<'a>; 3] {
    let mut found = [Text::default(); 3];
    while let Ok(Some((key, value))) = values.next_property() {
        if let Some(text) = value.as_text()
            && let Some((_, place)) = keys.iter().zip(&mut found).find(|(wanted, _)| key == **wanted)
        {
            *place = text;
        }
    }
    found
}

/// The payload of a command or data message without the format selector that some kinds have.
fn without_selector(payload: &[u8]) -> &[u8] {
    match payload {
        // No value that begins a message is a number, which the selector would be.
        [0, rest @ ..] => rest,
        _ => payload,
    }
}

/// Writes the beginning of a command: the name, the transaction id, and null for the command object.
fn begin<'e, 'b>(
    encoder: &'e mut Encoder<'b>,
    name: &str,
    transaction: u32,
) -> Result<&'e mut Encoder<'b>, BufferFull> {
    encoder.put(Token::String(name.into()))?.put(Token::Number(u32_to_number(transaction)))?.put(Token::Null)
}

/// Writes a command with these arguments.
pub(crate) fn write(
    encoder: &mut Encoder<'_>,
    name: &str,
    transaction: u32,
    strings: &[&str],
    number: Option<u32>,
) -> Result<(), BufferFull> {
    begin(encoder, name, transaction)?;
    for string in strings {
        encoder.put(Token::String((*string).into()))?;
    }
    if let Some(number) = number {
        encoder.put(Token::Number(u32_to_number(number)))?;
    }
    Ok(())
}

/// Writes a command whose one argument, if it has any, is a string: `releaseStream`, `FCPublish`, `FCUnpublish`,
/// `createStream`.
///
/// # Errors
/// The encoder's buffer is too small.
pub fn call(encoder: &mut Encoder<'_>, name: &str, transaction: u32, argument: Option<&str>) -> Result<(), BufferFull> {
    write(encoder, name, transaction, argument.as_slice(), None)
}

/// Writes `publish` for a live stream (section 7.2.2.6).
///
/// # Errors
/// The encoder's buffer is too small.
pub fn publish(encoder: &mut Encoder<'_>, transaction: u32, key: &str) -> Result<(), BufferFull> {
    write(encoder, "publish", transaction, &[key, "live"], None)
}

/// Writes `deleteStream` (section 7.2.2.3).
///
/// # Errors
/// The encoder's buffer is too small.
pub fn delete_stream(encoder: &mut Encoder<'_>, transaction: u32, stream: StreamId) -> Result<(), BufferFull> {
    write(encoder, "deleteStream", transaction, &[], Some(stream.0))
}

/// Writes `_result` with one value: undefined, or the id that answers `createStream`.
///
/// # Errors
/// The encoder's buffer is too small.
pub fn result(encoder: &mut Encoder<'_>, transaction: f64, value: Token<'_>) -> Result<(), BufferFull> {
    answer(encoder, "_result", transaction)?.put(Token::Null)?.put(value)?;
    Ok(())
}

/// Writes `_error` with an info object.
///
/// # Errors
/// The encoder's buffer is too small.
pub fn error(encoder: &mut Encoder<'_>, transaction: f64, status: &Status<'_>) -> Result<(), BufferFull> {
    status.put(answer(encoder, "_error", transaction)?.put(Token::Null)?)
}

/// Writes `onStatus` (section 7.2.2).
///
/// # Errors
/// The encoder's buffer is too small.
pub fn on_status(encoder: &mut Encoder<'_>, status: &Status<'_>) -> Result<(), BufferFull> {
    status.put(begin(encoder, "onStatus", 0)?)
}

fn answer<'e, 'b>(
    encoder: &'e mut Encoder<'b>,
    name: &str,
    transaction: f64,
) -> Result<&'e mut Encoder<'b>, BufferFull> {
    encoder.put(Token::String(name.into()))?.put(Token::Number(transaction))
}

#[cfg(test)]
mod tests;
