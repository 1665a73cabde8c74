//! A clip in flash: a source for boards without a camera, and for tests.

use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp::command::SET_DATA_FRAME;
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::media::flv::{NotFlv, Tag, Tags};
use embedded_rtmp::message::{MessageKind, Timestamp};

use super::source::{Frame, Source};
use crate::fmt::impl_format;

/// The end of an AVC sequence: there is none before the last loop's end, and it holds no frame.
const AVC_END: [u8; 2] = [0x17, 2];

/// The audio and video of an FLV file, in real time or as fast as they are taken, once or several times in one stream.
///
/// Its first metadata and sequence headers are the stream's; so the file should have one of each, at its beginning.
#[derive(Debug, Clone)]
pub struct Clip<'c> {
    file: Tags<'c>,
    rest: Tags<'c>,
    headers: [Option<Tag<'c>>; 3],
    /// From one round to the next, in milliseconds.
    length: u32,
    loops: u32,
    /// When this round begins, in milliseconds. Timestamps are that modulo 2³².
    offset: u64,
    /// Frames come when they are due.
    paced: bool,
    /// When the first one was asked for.
    start: Option<Instant>,
}

impl_format!(['c] Clip<'c>, this => "Clip {{ rest: {}, loops: {} }}", this.rest, this.loops);

impl<'c> Clip<'c> {
    /// A clip that is played so many times, in real time.
    ///
    /// # Errors
    /// This is no FLV file.
    pub fn new(file: &'c [u8], loops: u32) -> Result<Self, NotFlv> {
        let file = Tags::file(file)?;
        let mut headers = [None; 3];
        // Of video and of audio: the last two timestamps.
        let mut ends = [(0_u32, 0_u32); 2];
        let mut has_frames = false;
        for tag in file.clone() {
            let place = match tag.kind {
                MessageKind::DATA => 0,
                MessageKind::VIDEO => 1,
                MessageKind::AUDIO => 2,
                _ => continue,
            };
            has_frames |= is_frame(&tag);
            if place == 0 || FrameClass::of(tag.kind, tag.data) == FrameClass::Configuration {
                if let Some(header) = headers.get_mut(place) {
                    header.get_or_insert(tag);
                }
            } else if let Some(end) = ends.get_mut(place - 1).filter(|end| tag.timestamp.0 > end.1) {
                *end = (end.1, tag.timestamp.0);
            }
        }
        // The last frame lasts as long as the one before it; and neither sound nor pictures may go back in time.
        let length = ends.map(|(before, last)| last.wrapping_add(last.wrapping_sub(before)));
        let length = length.into_iter().fold(0, u32::max);
        // Rounds without a frame would never end.
        let loops = if has_frames { loops } else { 0 };
        Ok(Self { rest: file.clone(), file, headers, length, loops, offset: 0, paced: true, start: None })
    }

    /// The same, as fast as the server takes it.
    pub fn unpaced(self) -> Self {
        Self { paced: false, ..self }
    }

    /// The next frame, and when it is due.
    fn following(&mut self) -> Option<(Tag<'c>, Duration)> {
        loop {
            match self.rest.next() {
                Some(tag) if is_frame(&tag) => {
                    let due = self.offset.wrapping_add(tag.timestamp.0.into());
                    return Some((Tag { timestamp: Timestamp(due as u32), ..tag }, Duration::from_millis(due)));
                }
                Some(_) => {}
                None if self.loops > 1 => {
                    self.loops -= 1;
                    self.offset = self.offset.wrapping_add(self.length.into());
                    self.rest = self.file.clone();
                }
                None => return None,
            }
        }
    }
}

/// Whether it is audio or video that each round has again.
fn is_frame(tag: &Tag<'_>) -> bool {
    matches!(tag.kind, MessageKind::AUDIO | MessageKind::VIDEO)
        && FrameClass::of(tag.kind, tag.data) != FrameClass::Configuration
        && !tag.data.starts_with(&AVC_END)
}

impl Source for Clip<'_> {
    fn header(&mut self, number: usize) -> Option<Frame<'_>> {
        let tag = self.headers.iter().flatten().nth(number)?;
        let before = if tag.kind == MessageKind::DATA { SET_DATA_FRAME } else { &[] };
        Some(Frame::new(tag.kind, Timestamp(0), &[before, tag.data]))
    }

    async fn next(&mut self) -> Option<Frame<'_>> {
        if self.paced {
            // What is dropped while it waits must not have taken the frame.
            let (_, due) = self.clone().following()?;
            let start = *self.start.get_or_insert_with(Instant::now);
            Timer::at(start + due).await;
        }
        let (tag, _) = self.following()?;
        Some(Frame::new(tag.kind, tag.timestamp, &[tag.data]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A file of one picture at this timestamp, or of none.
    fn file(at: Option<u32>) -> Vec<u8> {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        if let Some(at) = at {
            let [high, rest @ ..] = at.to_be_bytes();
            file.extend_from_slice(&[9, 0, 0, 2]);
            file.extend_from_slice(&rest);
            file.extend_from_slice(&[high, 0, 0, 0, 0x27, 1, 0, 0, 0, 13]);
        }
        file
    }

    #[test]
    fn what_is_due_after_seven_weeks_is_not_due_before() {
        let file = file(Some(0x6000_0000));
        let mut clip = Clip::new(&file, 2).unwrap();
        let length = u64::from(clip.length);
        assert_eq!(clip.following().map(|(_, due)| due.as_millis()), Some(0x6000_0000));
        let (tag, due) = clip.following().unwrap();
        assert_eq!((due.as_millis(), tag.timestamp.0), (length + 0x6000_0000, (length + 0x6000_0000) as u32));
        assert!(due.as_millis() > u64::from(u32::MAX) && clip.following().is_none());
    }

    #[test]
    fn a_clip_without_frames_ends_however_often_it_is_played() {
        assert!(Clip::new(&file(None), u32::MAX).unwrap().following().is_none());
    }
}
