//! The tags of a file as the messages of a session, each when it is due.

use std::io::Read;
use std::time::Duration;

use anyhow::Error;
use embedded_rtmp::amf0::Encoder;
use embedded_rtmp::chunk::{ChunkStreamId, WriteProgress};
use embedded_rtmp::command::{DataMessage, set_data_frame};
use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;

use crate::counts::Counts;
use crate::flv::{Reader, Tag, Timeline};

/// The longest pause between two tags, in ms.
const MAX_GAP: u32 = 10_000;

/// When tags are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each at its timestamp, relative to the first frame. A pause lasts for at most 10 s.
    Timestamps,
    /// As fast as the peer reads them.
    Fast,
}

pub(super) struct Source<R> {
    reader: Reader<R>,
    pace: Pace,
    /// When the first tag was sent.
    start: Option<Instant>,
    /// The times of the tags.
    timeline: Timeline,
    /// The tag that is sent next, or is being sent, and its time in ms since the start.
    tag: Option<(Tag, u32)>,
    /// The chunk stream of the message of `tag`, and the number of its bytes that were sent.
    open: Option<(ChunkStreamId, usize)>,
    ended: bool,
    error: Option<Error>,
    /// The faults of the file, and the gaps of its timestamps.
    pub(super) notices: Vec<String>,
    /// The number of notices that are counted and not listed.
    unlisted: usize,
    /// What was sent.
    pub(super) counts: Counts,
    /// The timestamp of the last tag that was begun.
    pub(super) timestamp: u32,
}

/// The largest number of faults and gaps that are listed. A file may have one for each tag.
const MAX_NOTICES: usize = 50;

impl<R: Read> Source<R> {
    pub(super) fn new(reader: Reader<R>, pace: Pace) -> Self {
        Self {
            reader,
            pace,
            start: None,
            timeline: Timeline::new(MAX_GAP),
            tag: None,
            open: None,
            ended: false,
            error: None,
            notices: Vec::new(),
            unlisted: 0,
            counts: Counts::default(),
            timestamp: 0,
        }
    }

    /// Whether all tags were sent, or the file cannot be read any further.
    pub(super) fn is_ended(&self) -> bool {
        self.ended && self.tag.is_none()
    }

    /// Sends no tags any longer, except the one that is being sent.
    pub(super) fn stop(&mut self) {
        self.ended = true;
        self.tag.take_if(|_| self.open.is_none());
    }

    /// Why reading ended before the end of the file.
    pub(super) fn error(self) -> Option<Error> {
        self.error
    }

    /// When the next tag is due. `None` while a tag is being sent, and at the end.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, time) = self.tag.as_ref().filter(|_| self.open.is_none())?;
        let start = self.start?;
        Some(match self.pace {
            Pace::Fast => start,
            Pace::Timestamps => start + Duration::from_millis((*time).into()),
        })
    }

    /// Writes the tags that are due to `out`, until it is full. Returns the number of bytes.
    pub(super) fn fill(&mut self, session: &mut Client<'_>, stream: StreamId, now: Instant, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            self.load(now);
            let Some((tag, _)) = &self.tag else { break };
            let (csid, taken) = match self.open {
                Some(open) => open,
                None if self.due().is_some_and(|due| due > now) => break,
                None => {
                    let length = tag.payload.len() as u32;
                    match session.begin_media(tag.kind, stream, Timestamp(tag.timestamp), length) {
                        Ok(csid) => (csid, 0),
                        Err(error) => {
                            self.fail(Error::from(error).context("a tag cannot be sent"));
                            break;
                        }
                    }
                }
            };
            self.timestamp = tag.timestamp;
            let rest = tag.payload.get(taken..).unwrap_or_default();
            let WriteProgress { taken: more, written, done, .. } = session.poll_media(csid, rest, &mut out[filled..]);
            filled += written;
            self.open = Some((csid, taken + more));
            if done {
                self.counts.count(tag.kind, tag.timestamp, tag.payload.len());
                (self.tag, self.open) = (None, None);
            } else if written == 0 {
                break;
            }
        }
        filled
    }

    /// Reads the next tag, unless one waits.
    fn load(&mut self, now: Instant) {
        while self.tag.is_none() && !self.ended {
            match self.reader.next() {
                Some(Ok(tag)) if matches!(tag.kind, MessageKind::AUDIO | MessageKind::VIDEO | MessageKind::DATA) => {
                    self.start.get_or_insert(now);
                    let (time, step) = self.timeline.place(tag.kind, tag.timestamp, &tag.payload);
                    if let Some(step) = step.filter(|_| self.pace == Pace::Timestamps) {
                        let wait = if step.is_forward() { MAX_GAP / 1000 } else { 0 };
                        self.note(format!("{step}: the next tag is sent after {wait} s"));
                    }
                    self.tag = Some((prepared(tag), time));
                }
                // Tags of other types are not messages.
                Some(Ok(_)) => {}
                Some(Err(error)) => self.fail(error.into()),
                None => self.ended = true,
            }
            self.reader.take_notices().iter().for_each(|notice| self.note(notice.to_string()));
        }
    }

    /// Stores a notice, or only counts it if there are already many.
    fn note(&mut self, notice: String) {
        if self.notices.len() < MAX_NOTICES {
            return self.notices.push(notice);
        }
        self.unlisted += 1;
        self.notices.truncate(MAX_NOTICES);
        self.notices.push(format!("{} more are not listed", self.unlisted));
    }

    fn fail(&mut self, error: Error) {
        (self.tag, self.open, self.ended, self.error) = (None, None, true, Some(error));
    }
}

/// Puts `@setDataFrame` before metadata, so that the server stores it for players that come later.
fn prepared(mut tag: Tag) -> Tag {
    const NAME: &str = "onMetaData";
    let bare = tag.kind == MessageKind::DATA && tag.payload.starts_with(b"\x02\0\x0aonMetaData");
    let Some(message) = DataMessage::parse(&tag.payload).filter(|_| bare) else { return tag };
    let mut buffer = [0; 64];
    let mut encoder = Encoder::new(&mut buffer);
    if set_data_frame(&mut encoder, NAME).is_ok() {
        tag.payload = [encoder.finish(), message.values.rest()].concat();
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_090_metadata_is_sent_as_a_data_frame() {
        let tag = |kind, payload: &[u8]| Tag { kind, timestamp: 7, payload: payload.to_vec() };
        let metadata = tag(MessageKind::DATA, b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09");
        let expected = b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09";
        assert_eq!(prepared(metadata), tag(MessageKind::DATA, expected));
        for (kind, payload) in [
            (MessageKind::DATA, &expected[..]),
            (MessageKind::DATA, b"\x02\0\x0aonTextData\x05"),
            (MessageKind::DATA, b""),
            (MessageKind::VIDEO, b"\x02\0\x0aonMetaData\x05"),
        ] {
            assert_eq!(prepared(tag(kind, payload)), tag(kind, payload));
        }
    }
}
