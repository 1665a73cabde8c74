//! FLV files on hosts: a reader and a writer, one tag at a time, around the core's headers.

mod codecs;
mod reader;
mod recorder;
mod timeline;
mod writer;

pub use codecs::{EnhancedCodecs, every_codec};
pub use reader::{Notice, ReadError, Reader};
pub use recorder::{Assembler, Recorder};
pub use timeline::{Step, Timeline};
pub use writer::Writer;

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MessageKind;

/// A tag: one audio, video or data message of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or data: the type of the RTMP message that carries it.
    pub kind: MessageKind,
    /// Milliseconds.
    pub timestamp: u32,
    /// The payload of the RTMP message.
    pub payload: Vec<u8>,
}

impl Tag {
    /// Returns `true` if this configures a decoder and has no frame: an AVC or AAC sequence header, or its equivalent in
    /// Enhanced RTMP.
    pub fn is_configuration(&self) -> bool {
        FrameClass::of(self.kind, &self.payload) == FrameClass::Configuration
    }
}

#[cfg(test)]
mod tests;
