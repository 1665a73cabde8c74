//! FLV files on hosts: a reader and a writer, one tag at a time (Video File Format Specification 10.1, annex E).

mod aggregate;
mod parse;
mod reader;
mod writer;

pub use aggregate::aggregated;
pub use reader::{ReadError, Reader};
pub use writer::Writer;

use embedded_rtmp::message::Kind;

/// The bytes that a tag's header has, before its payload.
pub const TAG_HEADER: usize = 11;

/// A tag: one audio, video or data message as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or data; the type of the RTMP message that carries it.
    pub kind: Kind,
    /// Milliseconds.
    pub timestamp: u32,
    /// What the RTMP message carries.
    pub payload: Vec<u8>,
}

impl Tag {
    /// Whether this configures a decoder and holds no frame: an AVC or AAC sequence header, or its like in Enhanced RTMP.
    pub fn is_configuration(&self) -> bool {
        match (self.kind, self.payload.as_slice()) {
            (Kind::VIDEO, [first, ..]) if first & 0x80 != 0 => first & 0x0F == 0,
            (Kind::VIDEO, [first, kind, ..]) => first & 0x0F == 7 && *kind == 0,
            (Kind::AUDIO, [first, ..]) if first >> 4 == 9 => first & 0x0F == 0,
            (Kind::AUDIO, [first, kind, ..]) => first >> 4 == 10 && *kind == 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
