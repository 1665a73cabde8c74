//! FLV files on hosts: a reader and a writer, one tag at a time, around the core's headers.

mod reader;
mod recorder;
mod writer;

pub use reader::{ReadError, Reader};
pub use recorder::Recorder;
pub use writer::Writer;

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MessageKind;

/// A tag: one audio, video or data message as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or data; the type of the RTMP message that carries it.
    pub kind: MessageKind,
    /// Milliseconds.
    pub timestamp: u32,
    /// What the RTMP message carries.
    pub payload: Vec<u8>,
}

impl Tag {
    /// Whether this configures a decoder and holds no frame: an AVC or AAC sequence header, or its like in Enhanced RTMP.
    pub fn is_configuration(&self) -> bool {
        FrameClass::of(self.kind, &self.payload) == FrameClass::Configuration
    }
}

#[cfg(test)]
mod tests;
