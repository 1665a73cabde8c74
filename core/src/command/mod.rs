//! Parsing and writing of commands and data messages (RTMP 1.0, section 7).
//!
//! A command is a name, a transaction id, a command object or null, and arguments, all in AMF0. [`Command::parse`] reads
//! the first two and leaves the rest to a decoder; [`put`] writes a whole command into an [`Encoder`].
//!
//! The commands in the order in which the sessions send them, with the sections of the specification:
//!
//! ```text
//! Client                                                     Server
//!   │  connect                                  (7.2.1.1)      │
//!   │     Window Acknowledgement Size, Set Peer Bandwidth,     │
//!   │                                 Set Chunk Size, _result  │
//!   │  releaseStream, FCPublish                                │  as FMLE sends them; not specified
//!   │  createStream                             (7.2.1.3)      │
//!   │                          _result: the message stream     │
//!   │  publish, on that stream                  (7.2.2.6)      │
//!   │               StreamBegin (7.1.7), onStatus: Start       │
//!   │  @setDataFrame with onMetaData, then audio and video     │
//!   │  FCUnpublish, deleteStream                (7.2.2.3)      │
//!   │                                                          │
//!   │  play                                     (7.2.2.1)      │  after a createStream
//!   │    StreamBegin, onStatus: Reset, Start, sample access,   │
//!   │        onStatus: Data.Start, then data, audio and video  │
//!   │  pause, seek, play2, receiveAudio, receiveVideo          │  7.2.2.8, 7, 2, 4, 5
//! ```

mod answer;
mod capabilities;
mod codes;
mod connect;
mod data;
mod play;
mod reconnect;
mod status;

pub(crate) use answer::Answer;
pub use capabilities::{Capabilities, CodecSupport, EncodedCapabilities, Extensions, PeerCapabilities};
pub use codes::{Code, code};
pub(crate) use connect::accepted;
pub use connect::{ConnectOptions, ConnectRequest};
pub use data::{DataMessage, SET_DATA_FRAME, set_data_frame};
pub use play::{PlayRequest, PublishRequest, Start, SwitchRequest};
pub use reconnect::ReconnectRequest;
pub use status::{MAX_REDIRECTS, Status};

use crate::amf0::{BufferFull, Decoder, Encoder, Text, Token, magnitude, marker, number_to_u32};
use crate::bytes::Output;
use crate::fmt::impl_format;

/// A command, as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// The name of the procedure, or `_result` or `_error`.
    pub name: Text<'a>,
    /// The number to which an answer refers, or 0 if no answer is wanted. The sender may choose any number. An answer
    /// repeats it bit by bit.
    pub transaction: f64,
    /// The remaining values: the command object and the arguments.
    pub values: Decoder<'a>,
}

impl_format!(
    ['a] Command<'a>,
    this => "Command {{ name: {=[u8]:a}, transaction: {} }}", this.name.as_bytes(), this.transaction
);

impl<'a> Command<'a> {
    /// Parses the beginning of a command. Returns `None` if it does not begin with a name.
    ///
    /// A format selector of 0 before the name is skipped: commands of type 17 have one, but not from every sender, and some
    /// send it in type 20. A transaction id that is missing, null or undefined is 0.
    pub fn parse(payload: &'a [u8]) -> Option<Command<'a>> {
        let mut values = Decoder::new(without_selector(payload));
        let Ok(Some(Token::String(name))) = values.next_token() else { return None };
        let before = values;
        let transaction = match values.next_token().ok()? {
            Some(Token::Number(transaction)) => transaction,
            None | Some(Token::Null | Token::Undefined) => 0.0,
            Some(_) => {
                values = before;
                0.0
            }
        };
        Some(Command { name, transaction, values })
    }

    /// A command without a name.
    pub(crate) const EMPTY: Command<'static> =
        Command { name: Text::new(&[]), transaction: 0.0, values: Decoder::new(&[]) };

    /// The transaction id as an integer, or `None` if it is not one.
    pub fn transaction_id(&self) -> Option<u32> {
        number_to_u32(self.transaction)
    }

    /// Returns `true` if the sender wants an answer (section 7.1.1: id 0 means no answer).
    pub fn wants_answer(&self) -> bool {
        self.transaction_id() != Some(0)
    }

    /// The first argument, if it is a string.
    pub fn string_argument(&self) -> Option<Text<'a>> {
        self.arguments().next()?.as_text()
    }

    /// The first argument, if it is an integer, such as a stream id.
    pub fn number_argument(&self) -> Option<u32> {
        self.arguments().next()?.as_u32()
    }

    /// The first argument that is a boolean, or `false`.
    pub(crate) fn flag(&self) -> bool {
        let mut arguments = self.arguments();
        let flag = |argument| if let Token::Boolean(flag) = argument { Some(flag) } else { None };
        arguments.find_map(flag).unwrap_or(false)
    }

    /// The first argument that is a number, as whole milliseconds.
    pub(crate) fn millis(&self) -> u32 {
        let mut arguments = self.arguments();
        arguments
            .find_map(|argument| if let Token::Number(millis) = argument { Some(magnitude(millis)) } else { None })
            .unwrap_or(0)
    }

    /// Returns the arguments that are neither null nor undefined nor maps. Some senders put more than one of these before
    /// the first argument, and some leave out the command object.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments(self.values)
    }
}

/// The scalars among the values of a command.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a>(Decoder<'a>);

impl_format!(['a] Arguments<'a>, this => "Arguments({})", this.0);

impl<'a> Iterator for Arguments<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let found = self.0.next_token().ok()??;
            if found.opens_map() {
                while self.0.next_property().ok()?.is_some() {}
            } else if !matches!(found, Token::Null | Token::Undefined) {
                return Some(found);
            }
        }
    }
}

/// The payload of a command or data message without the format selector that some kinds have.
fn without_selector(payload: &[u8]) -> &[u8] {
    match payload {
        // The marker of a number is also 0, but no message begins with a number.
        [0, rest @ ..] => rest,
        _ => payload,
    }
}

/// Writes the name and the transaction id of a command.
pub(crate) fn begin<'e, 'b>(
    encoder: &'e mut Encoder<'b>,
    name: &str,
    transaction: f64,
) -> Result<&'e mut Encoder<'b>, BufferFull> {
    encoder.short_string(&[name])?.put(Token::Number(transaction))
}

/// Writes the same without a check of the room. `transaction` has the bits of the transaction id.
pub(crate) fn start(out: &mut Output<'_>, name: &str, transaction: u64) {
    out.string(&[name]);
    out.number(transaction);
}

/// Writes a command: its name, its transaction id, and `values`, of which the first one is the command object or null.
///
/// ```
/// use embedded_rtmp::amf0::{Encoder, Token};
/// use embedded_rtmp::command;
///
/// let mut buffer = [0; 64];
/// let mut encoder = Encoder::new(&mut buffer);
/// command::put(&mut encoder, "FCPublish", 3.0, &[Token::Null, "camera".into()])?;
/// assert_eq!(encoder.finish(), b"\x02\0\x09FCPublish\0\x40\x08\0\0\0\0\0\0\x05\x02\0\x06camera");
/// # Ok::<(), embedded_rtmp::amf0::BufferFull>(())
/// ```
///
/// # Errors
/// The encoder's buffer is too small.
pub fn put(encoder: &mut Encoder<'_>, name: &str, transaction: f64, values: &[Token<'_>]) -> Result<(), BufferFull> {
    begin(encoder, name, transaction)?.put_all(values)?;
    Ok(())
}

/// Writes a command whose one argument is an info object: `onStatus`, with transaction id 0, or `_error`.
///
/// # Errors
/// The encoder's buffer is too small.
pub fn put_status(
    encoder: &mut Encoder<'_>,
    name: &str,
    transaction: f64,
    status: &Status<'_>,
) -> Result<(), BufferFull> {
    encoder.write(|out| write_status(out, name, transaction.to_bits(), status))
}

/// Writes the same without a check of the room.
// Not inlined, because it has several callers.
#[inline(never)]
pub(crate) fn write_status(out: &mut Output<'_>, name: &str, transaction: u64, status: &Status<'_>) {
    start(out, name, transaction);
    out.put(&[marker::NULL, marker::OBJECT]);
    status.write_properties(out);
    out.put(END);
}

/// Writes the `_error` that redirects a client, in the form that Adobe's servers use.
pub(crate) fn write_redirect(out: &mut Output<'_>, transaction: u64, status: &Status<'_>, url: &str) {
    start(out, "_error", transaction);
    out.put(&[marker::NULL, marker::OBJECT]);
    status.write_properties(out);
    out.put(b"\0\x02ex\x03\0\x04code");
    out.integer(302);
    out.put(b"\0\x08redirect");
    out.text(url.into());
    out.put(END);
    out.put(END);
}

/// The end of an object.
const END: &[u8] = &[0, 0, marker::OBJECT_END];

#[cfg(test)]
mod tests;
