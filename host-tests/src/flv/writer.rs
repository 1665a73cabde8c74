//! Writes an FLV file, one tag after another.

use std::io::{self, Seek, SeekFrom, Write};

use embedded_rtmp::amf0::{Decoder, Token};
use embedded_rtmp::command::DataMessage;
use embedded_rtmp::media::flv::{BACK_POINTER, FileHeader, TagHeader};
use embedded_rtmp::message::{MAX_MESSAGE_LENGTH, MessageKind, Timestamp};

/// The length of a number in AMF0, without its marker.
const NUMBER: usize = 8;

/// The most positions of each kind. Later numbers in metadata stay as they came.
const MAX_PLACES: usize = 64;

/// Writes tags. The file is valid after each one. [`Self::finish`] corrects the flags for audio and video in the header, and
/// sets the numbers in the metadata that are only known at the end.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    header: FileHeader,
    length: u64,
    /// The positions of the AMF0 numbers for the length of the file, and of those for its duration.
    filesizes: Vec<u64>,
    durations: Vec<u64>,
    /// The largest timestamp of audio and video.
    duration: u32,
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
        let (filesizes, durations) = (Vec::new(), Vec::new());
        Ok(Self { output, header, length: bytes.len() as u64, filesizes, durations, duration: 0 })
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
        if matches!(kind, MessageKind::AUDIO | MessageKind::VIDEO) {
            self.duration = self.duration.max(timestamp);
        }
        self.header.video |= kind == MessageKind::VIDEO;
        self.header.audio |= kind == MessageKind::AUDIO;
        Ok(())
    }

    /// Writes metadata. [`Self::finish`] stores the length of the file and its duration in the properties `filesize` and
    /// `duration`, which are added if they are missing. Metadata that is not AMF0 is written as it is, and so is metadata
    /// after the first 64.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_metadata(&mut self, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        let at = self.length + TagHeader::SIZE as u64;
        let has_room = self.filesizes.len().max(self.durations.len()) < MAX_PLACES;
        match Metadata::of(payload).filter(|_| has_room) {
            Some(Metadata { payload, filesizes, durations }) => {
                for (places, found) in [(&mut self.filesizes, filesizes), (&mut self.durations, durations)] {
                    let room = MAX_PLACES - places.len();
                    places.extend(found.into_iter().take(room).map(|place| at + place as u64));
                }
                self.write(MessageKind::DATA, timestamp, &payload)
            }
            None => self.write(MessageKind::DATA, timestamp, payload),
        }
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
    /// Corrects the header and the metadata, and flushes.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.rewind()?;
        self.output.write_all(&self.header.emit())?;
        let (length, seconds) = (self.length as f64, f64::from(self.duration) / 1000.0);
        for (places, number) in [(&self.filesizes, length), (&self.durations, seconds)] {
            for place in places {
                self.output.seek(SeekFrom::Start(*place))?;
                self.output.write_all(&number.to_be_bytes())?;
            }
        }
        self.output.seek(SeekFrom::Start(self.length))?;
        self.output.flush()?;
        Ok(self.output)
    }
}

/// `onMetaData` with the properties `filesize` and `duration`.
struct Metadata {
    payload: Vec<u8>,
    /// The positions of the values.
    filesizes: Vec<usize>,
    durations: Vec<usize>,
}

impl Metadata {
    fn of(payload: &[u8]) -> Option<Self> {
        let mut values = DataMessage::parse(payload).filter(|message| message.name == *"onMetaData")?.values;
        let map = values.next_token().ok()?.filter(Token::opens_map)?;
        let behind = |values: &Decoder<'_>| payload.len() - values.rest().len();
        let start = behind(&values);
        let (mut filesizes, mut durations) = (Vec::new(), Vec::new());
        while let Some((key, value)) = values.next_property().ok()? {
            let places = match key.as_bytes() {
                b"filesize" => &mut filesizes,
                b"duration" => &mut durations,
                _ => continue,
            };
            if let Token::Number(_) = value {
                places.push(behind(&values) - NUMBER);
            }
        }
        // Missing ones become the first properties.
        let missing = [("filesize", filesizes.is_empty()), ("duration", durations.is_empty())];
        let added: Vec<_> = missing.into_iter().filter_map(|(key, is_missing)| is_missing.then_some(key)).collect();
        let mut properties = Vec::new();
        for key in &added {
            properties.extend([0, key.len() as u8]);
            properties.extend(key.as_bytes());
            properties.extend([0; 1 + NUMBER]);
        }
        let shift = |place: &mut usize| *place += properties.len();
        filesizes.iter_mut().chain(&mut durations).for_each(shift);
        for (index, key) in added.iter().enumerate() {
            let place = start + (index + 1) * properties.len() / added.len() - NUMBER;
            if *key == "filesize" { &mut filesizes } else { &mut durations }.push(place);
        }
        let mut payload = [&payload[..start], &properties, &payload[start..]].concat();
        if let Token::EcmaArrayStart { len } = map {
            payload[start - 4..start].copy_from_slice(&len.saturating_add(added.len() as u32).to_be_bytes());
        }
        Some(Self { payload, filesizes, durations })
    }
}
