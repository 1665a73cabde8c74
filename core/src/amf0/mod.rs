//! AMF0, the encoding of command and data messages: a pull decoder and an encoder into a slice.
//!
//! ```text
//!  bytes ── Decoder ──> Token, Token, …        Token, Token, … ──> Encoder ── bytes
//!           next_token  (borrow the bytes)      (borrowed)         put
//! ```
//!
//! A value is a sequence of [`Token`]s. A scalar is one token. A container is its start token, its content, and
//! [`Token::End`]. The content of an object, a typed object or an ECMA array is pairs of a [`Token::Key`] and a value:
//!
//! ```
//! use embedded_rtmp::amf0::{Decoder, Encoder, Token};
//!
//! let mut buffer = [0; 64];
//! let mut encoder = Encoder::new(&mut buffer);
//! encoder.put("connect".into())?.put(1.into())?;
//! encoder.put(Token::ObjectStart)?.property("app", "live".into())?.put(Token::End)?;
//!
//! let mut decoder = Decoder::new(encoder.finish());
//! assert_eq!(decoder.next_token()?, Some(Token::String("connect".into())));
//! assert_eq!(decoder.next_token()?, Some(Token::Number(1.0)));
//! assert!(decoder.next_token()?.is_some_and(|token| token.opens_map()));
//! while let Some((key, value)) = decoder.next_property()? {
//!     assert!(key == "app" && value.as_text().is_some_and(|app| app == "live"));
//! }
//! assert_eq!(decoder.next_token()?, None);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Section numbers are those of the "Action Message Format -- AMF 0" specification. Decisions of this implementation:
//!
//! - The count of an ECMA array is a hint (2.10). The end marker ends the array. If a map has no end marker,
//!   the decoder returns the missing [`Token::End`]s, because some encoders never send end markers.
//! - References (2.9) are returned and never expanded. To expand them would let a short message cause unbounded work.
//! - The marker that switches to AMF3 (3.1) ends the decoding of its message: see [`Token::Amf3`].
//! - Numbers are moved as bits, without float arithmetic. [`number_to_u32`] and [`u32_to_number`] convert integers.

mod decode;
mod encode;
mod number;
mod token;

pub use decode::{DecodeError, Decoder, MAX_DEPTH};
pub use encode::{BufferFull, Encoder};
pub(crate) use encode::{Encode, parts_len};
#[cfg(feature = "admin")]
pub(crate) use number::u64_to_bits;
pub(crate) use number::{bits_to_u32, magnitude, u32_to_bits};
pub use number::{number_to_u32, u32_to_number};
pub use token::{Text, Token};

#[cfg(test)]
mod tests;

/// The marker before each value (section 2.1).
pub(crate) mod marker {
    pub(crate) const NUMBER: u8 = 0x00;
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const OBJECT: u8 = 0x03;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const UNDEFINED: u8 = 0x06;
    pub(crate) const REFERENCE: u8 = 0x07;
    pub(crate) const ECMA_ARRAY: u8 = 0x08;
    pub(crate) const OBJECT_END: u8 = 0x09;
    pub(crate) const STRICT_ARRAY: u8 = 0x0A;
    pub(crate) const DATE: u8 = 0x0B;
    pub(crate) const LONG_STRING: u8 = 0x0C;
    pub(crate) const UNSUPPORTED: u8 = 0x0D;
    pub(crate) const XML: u8 = 0x0F;
    pub(crate) const TYPED_OBJECT: u8 = 0x10;
    pub(crate) const AMF3: u8 = 0x11;
}
