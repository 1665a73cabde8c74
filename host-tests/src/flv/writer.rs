//! Writes an FLV file, one tag after another.

use std::io::{self, Seek, SeekFrom, Write};

use embedded_rtmp::message::{Kind, MAX_LENGTH};

use super::TAG_HEADER;

/// Where the flags stand in the file.
const FLAGS: u64 = 4;
const HAS_VIDEO: u8 = 1;
const HAS_AUDIO: u8 = 4;

/// Writes tags. The file is valid after each one; [`Self::finish`] puts in whether there was audio and video.
#[derive(Debug)]
pub struct Writer<W: Write + Seek> {
    output: W,
    flags: u8,
    length: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Writes the header of a file, which claims both audio and video until the end shows what there was.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(mut output: W) -> io::Result<Self> {
        let header = [b'F', b'L', b'V', 1, HAS_VIDEO | HAS_AUDIO, 0, 0, 0, 9, 0, 0, 0, 0];
        output.write_all(&header)?;
        Ok(Self { output, flags: 0, length: header.len() as u64 })
    }

    /// Writes a tag; `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// Those of `output`, and [`io::ErrorKind::InvalidInput`] for a payload of more than 0xFF_FFFF bytes.
    pub fn write(&mut self, kind: Kind, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        let Some(length) = u32::try_from(payload.len()).ok().filter(|length| *length <= MAX_LENGTH) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the payload is too long for a tag"));
        };
        let [_, l1, l2, l3] = length.to_be_bytes();
        let [t0, t1, t2, t3] = timestamp.to_be_bytes();
        self.output.write_all(&[kind.0, l1, l2, l3, t1, t2, t3, t0, 0, 0, 0])?;
        self.output.write_all(payload)?;
        self.output.write_all(&(TAG_HEADER as u32 + length).to_be_bytes())?;
        self.length += TAG_HEADER as u64 + u64::from(length) + 4;
        self.flags |= match kind {
            Kind::VIDEO => HAS_VIDEO,
            Kind::AUDIO => HAS_AUDIO,
            _ => 0,
        };
        Ok(())
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Corrects the header and flushes.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.seek(SeekFrom::Start(FLAGS))?;
        self.output.write_all(&[self.flags])?;
        self.output.seek(SeekFrom::Start(self.length))?;
        self.output.flush()?;
        Ok(self.output)
    }
}
