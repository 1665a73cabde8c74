//! The tags of a file as the messages of a session, each when it is due.

use std::collections::VecDeque;
use std::io::Read;
use std::time::Duration;

use anyhow::Error;
use embedded_rtmp::amf0::Encoder;
use embedded_rtmp::chunk::{ChunkStreamId, WriteProgress};
use embedded_rtmp::command::{DataMessage, set_data_frame};
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;

use crate::counts::Counts;
use crate::flv::{Reader, Tag, Timeline};
use crate::notices::Notices;

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
    /// Tags that are sent before the rest of the file, each with its time and whether it is a repeated header.
    ahead: VecDeque<(Tag, u32, bool)>,
    /// Whether `tag` is a repeated header, which is not counted.
    is_repeated: bool,
    /// The metadata and the configurations of decoders that were sent. They are repeated on another connection.
    headers: Vec<Tag>,
    has_video: bool,
    /// Whether no tag is sent that could be the first one on another connection, and whether any tag could.
    holds: (bool, bool),
    ended: bool,
    error: Option<Error>,
    /// The faults of the file, and the gaps of its timestamps.
    pub(super) notices: Notices,
    /// What was sent.
    pub(super) counts: Counts,
    /// The timestamp of the last tag that was begun.
    pub(super) timestamp: u32,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: Reader<R>, pace: Pace) -> Self {
        Self {
            reader,
            pace,
            start: None,
            timeline: Timeline::new(MAX_GAP),
            tag: None,
            open: None,
            ahead: VecDeque::new(),
            is_repeated: false,
            headers: Vec::new(),
            has_video: false,
            holds: (false, false),
            ended: false,
            error: None,
            notices: Notices::default(),
            counts: Counts::default(),
            timestamp: 0,
        }
    }

    /// Whether all tags were sent, or the file cannot be read any further.
    pub(super) fn is_ended(&self) -> bool {
        self.ended && self.tag.is_none() && self.ahead.is_empty()
    }

    /// Sends no tags any longer, except the one that is being sent.
    pub(super) fn stop(&mut self) {
        self.ended = true;
        self.ahead.clear();
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

    /// Sets whether to stop before the next keyframe, or, if `at_any` is set, before the next tag. A file without video can
    /// stop before each tag.
    pub(super) fn hold(&mut self, holds: bool, at_any: bool) {
        self.holds = (holds, at_any);
    }

    /// Whether the next tag is due and could be the first one on another connection.
    pub(super) fn is_held(&mut self, now: Instant) -> bool {
        self.load(now);
        self.may_switch() && self.due().is_some_and(|due| due <= now)
    }

    fn may_switch(&self) -> bool {
        let (holds, at_any) = self.holds;
        let is_first = |tag: &Tag| at_any || !self.has_video || class(tag) == FrameClass::Keyframe;
        holds && self.open.is_none() && self.tag.as_ref().is_some_and(|(tag, _)| is_first(tag))
    }

    /// A connection begins: the headers that were sent before are sent again.
    pub(super) fn resume(&mut self) {
        self.open = None;
        let next = self.tag.take();
        let (timestamp, time) = next.as_ref().map_or((self.timestamp, 0), |(tag, time)| (tag.timestamp, *time));
        if let Some((tag, time)) = next {
            self.ahead.push_front((tag, time, self.is_repeated));
        }
        for header in self.headers.iter().rev() {
            self.ahead.push_front((Tag { timestamp, ..header.clone() }, time, true));
        }
    }

    /// Stores a header, instead of an earlier one of the same kind and codec.
    fn keep(&mut self, tag: &Tag) {
        if matches!(class(tag), FrameClass::Configuration | FrameClass::Metadata(_)) {
            let beginning = |tag: &Tag| tag.payload.iter().take(7).copied().collect::<Vec<_>>();
            self.headers.retain(|header| header.kind != tag.kind || beginning(header) != beginning(tag));
            self.headers.push(tag.clone());
        }
    }

    /// Writes the tags that are due to `out`, until it is full. Returns the number of bytes.
    pub(super) fn fill(
        &mut self,
        session: &mut Client<'_, 8, 0, 1>,
        stream: StreamId,
        now: Instant,
        out: &mut [u8],
    ) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            self.load(now);
            let Some((tag, _)) = &self.tag else { break };
            let (csid, taken) = match self.open {
                Some(open) => open,
                None if self.due().is_some_and(|due| due > now) || self.may_switch() => break,
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
                if !self.is_repeated {
                    self.counts.count(tag.kind, tag.timestamp, tag.payload.len());
                }
                self.open = None;
                if let Some((tag, _)) = self.tag.take() {
                    self.keep(&tag);
                }
            } else if written == 0 {
                break;
            }
        }
        filled
    }

    /// Reads the next tag, unless one waits.
    fn load(&mut self, now: Instant) {
        if self.tag.is_none()
            && let Some((tag, time, is_repeated)) = self.ahead.pop_front()
        {
            (self.tag, self.is_repeated) = (Some((tag, time)), is_repeated);
        }
        while self.tag.is_none() && !self.ended {
            self.is_repeated = false;
            match self.reader.next() {
                Some(Ok(tag)) if matches!(tag.kind, MessageKind::AUDIO | MessageKind::VIDEO | MessageKind::DATA) => {
                    self.start.get_or_insert(now);
                    self.has_video |= tag.kind == MessageKind::VIDEO;
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
    pub(super) fn note(&mut self, notice: String) {
        self.notices.add(notice);
    }

    fn fail(&mut self, error: Error) {
        (self.tag, self.open, self.ended, self.error) = (None, None, true, Some(error));
    }
}

fn class(tag: &Tag) -> FrameClass {
    FrameClass::of(tag.kind, &tag.payload)
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
