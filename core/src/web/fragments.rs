//! A stream as fragmented MP4.

use super::tags::FlvTags;
use crate::bytes::{copy_in_line, low_u32};
use crate::chunk::WriteProgress;
use crate::media::mp4::{Configuration, Fragment, Muxer, Step};
use crate::message::MessageHeader;
use crate::relay::{Begin, Overtaken, Ring, Sink};

/// Writes the messages of a stream as fragmented MP4. The payload goes from the ring to the output.
#[derive(Debug)]
pub(super) struct Fragments {
    muxer: Muxer,
    /// The number of bytes of the initialization segment that were written, while it is being written.
    initialization: Option<u32>,
    open: Option<Open>,
    /// The configuration has changed, and a plain `<video>` continues only with another response.
    has_ended: bool,
}

/// The open message.
#[derive(Debug)]
struct Open {
    /// The length of the payload, and the number of bytes that were taken.
    length: u32,
    taken: u32,
    /// The frame in it, if there is one, and the number of bytes of its head that were written.
    fragment: Option<Fragment>,
    head: u32,
}

impl Fragments {
    pub(super) const fn new() -> Self {
        Self { muxer: Muxer::new(), initialization: None, open: None, has_ended: false }
    }
}

impl Sink for Fragments {
    type Error = Overtaken;

    fn poll_between(&mut self, ring: &Ring<'_>, out: &mut [u8]) -> Result<usize, Overtaken> {
        let Some(offset) = self.initialization else { return Ok(0) };
        let configuration = Configuration::new(ring.cached());
        if !self.muxer.is_configured_as(&configuration) {
            return Err(Overtaken);
        }
        let written = configuration.write(offset, out);
        let offset = offset.wrapping_add(low_u32(written));
        self.initialization = Some(offset).filter(|offset| *offset < configuration.length());
        Ok(written)
    }

    fn is_idle(&self) -> bool {
        self.open.is_none() && self.initialization.is_none()
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn begin(&mut self, ring: &Ring<'_>, header: MessageHeader, parts: [&[u8]; 2]) -> Result<Begin, Overtaken> {
        let fragment = match self.muxer.begin(&header, parts) {
            None => return Ok(Begin::Wait),
            Some(Step::Init) => {
                let (had_begun, configuration) = (self.muxer.has_begun(), Configuration::new(ring.cached()));
                let is_due = self.muxer.configure(&configuration);
                if is_due && had_begun {
                    self.has_ended = true;
                    return Ok(Begin::Wait);
                }
                self.initialization = is_due.then_some(0);
                return Ok(Begin::Later);
            }
            Some(Step::Fragment(fragment)) => Some(fragment),
            Some(Step::Skip(_)) => None,
        };
        self.open = Some(Open { length: header.length, taken: 0, fragment, head: 0 });
        Ok(Begin::Open)
    }

    fn poll_media(&mut self, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        let Some(open) = &mut self.open else { return WriteProgress::none(true) };
        let (mut taken, mut written) = (0_usize, 0_usize);
        let left = open.length.wrapping_sub(open.taken) as usize;
        let mut rest = rest.get(..left).unwrap_or(rest);
        if let Some(fragment) = &open.fragment {
            let mut skip = |taken_before: u32, until: u32, rest: &mut &[u8]| {
                let skipped = rest.len().min(until.saturating_sub(taken_before) as usize);
                *rest = rest.get(skipped..).unwrap_or_default();
                taken = taken.wrapping_add(skipped);
                low_u32(skipped)
            };
            open.taken = open.taken.wrapping_add(skip(open.taken, fragment.start, &mut rest));
            written = fragment.write_head(open.head, out);
            open.head = open.head.wrapping_add(low_u32(written));
            if open.head < Fragment::HEAD {
                return WriteProgress { taken, written, done: false };
            }
            let end = fragment.start.saturating_add(fragment.length);
            let frame = rest.get(..end.saturating_sub(open.taken) as usize).unwrap_or(rest);
            let copied = copy_in_line(frame, out.get_mut(written..).unwrap_or_default());
            written = written.wrapping_add(copied);
            taken = taken.wrapping_add(copied);
            open.taken = open.taken.wrapping_add(low_u32(copied));
            if open.taken < end {
                return WriteProgress { taken, written, done: false };
            }
            rest = rest.get(copied..).unwrap_or_default();
        }
        // What follows the frame, or a message without one, is dropped.
        taken = taken.wrapping_add(rest.len());
        open.taken = open.taken.wrapping_add(low_u32(rest.len()));
        let is_done = open.taken >= open.length;
        if is_done {
            self.open = None;
        }
        WriteProgress { taken, written, done: is_done }
    }

    fn media_left(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.length.wrapping_sub(open.taken))
    }
}

/// The form in which a stream is written.
#[derive(Debug)]
pub(super) enum Muxed {
    Flv(FlvTags),
    Mp4(Fragments),
}

impl Sink for Muxed {
    type Error = Overtaken;

    fn poll_between(&mut self, ring: &Ring<'_>, out: &mut [u8]) -> Result<usize, Overtaken> {
        match self {
            Self::Flv(tags) => tags.poll_between(ring, out),
            Self::Mp4(fragments) => fragments.poll_between(ring, out),
        }
    }

    fn is_idle(&self) -> bool {
        match self {
            Self::Flv(tags) => tags.is_idle(),
            Self::Mp4(fragments) => fragments.is_idle(),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Flv(tags) => tags.has_ended(),
            Self::Mp4(fragments) => fragments.has_ended(),
        }
    }

    fn begin(&mut self, ring: &Ring<'_>, header: MessageHeader, parts: [&[u8]; 2]) -> Result<Begin, Overtaken> {
        match self {
            Self::Flv(tags) => tags.begin(ring, header, parts),
            Self::Mp4(fragments) => fragments.begin(ring, header, parts),
        }
    }

    fn poll_media(&mut self, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        match self {
            Self::Flv(tags) => tags.poll_media(rest, out),
            Self::Mp4(fragments) => fragments.poll_media(rest, out),
        }
    }

    fn media_left(&self) -> Option<u32> {
        match self {
            Self::Flv(tags) => tags.media_left(),
            Self::Mp4(fragments) => fragments.media_left(),
        }
    }
}
