//! Writes an FLV file, one tag after another.

use std::io::{self, Seek, SeekFrom, Write};

use embedded_rtmp::media::flv::{BACK_POINTER, FileHeader, TagHeader};
use embedded_rtmp::message::{MAX_MESSAGE_LENGTH, MessageKind, Timestamp};

/// Writes tags. The file is valid after each one. [`Self::finish`] corrects the flags for audio and video in the header.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    header: FileHeader,
    length: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header of a file. Its flags say audio and video until [`Self::finish`].
    ///
    /// # Errors
    /// `output` fails.
    pub fn new(mut output: W) -> io::Result<Self> {
        let header = FileHeader { audio: true, video: true, length: FileHeader::SIZE as u32 };
        let bytes = header.emit();
        output.write_all(&bytes)?;
        let header = FileHeader { audio: false, video: false, ..header };
        Ok(Self { output, header, length: bytes.len() as u64 })
    }

    /// Writes a tag. `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// `output` fails, or [`io::ErrorKind::InvalidInput`] for a payload of more than 0xFF_FFFF bytes.
    pub fn write(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        let Some(length) = u32::try_from(payload.len()).ok().filter(|length| *length <= MAX_MESSAGE_LENGTH) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the payload is too long for a tag"));
        };
        let header = TagHeader { kind, filtered: false, length, timestamp: Timestamp(timestamp) };
        self.output.write_all(&header.emit())?;
        self.output.write_all(payload)?;
        self.output.write_all(&header.back_pointer())?;
        self.length += (TagHeader::SIZE + payload.len() + BACK_POINTER) as u64;
        self.header.video |= kind == MessageKind::VIDEO;
        self.header.audio |= kind == MessageKind::AUDIO;
        Ok(())
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// The output fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: Write + Seek> Writer<W> {
    /// Corrects the header and flushes.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.rewind()?;
        self.output.write_all(&self.header.emit())?;
        self.output.seek(SeekFrom::Start(self.length))?;
        self.output.flush()?;
        Ok(self.output)
    }
}
