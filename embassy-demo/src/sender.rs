//! Sending frames, several at a time.
//!
//! Each sender writes its own frame, from where that lies straight into the socket's send ring, whenever it is polled;
//! nobody else holds a reference to it. When senders wait for each other or for room, they take turns so:
//!
//! - A chunk that is begun is finished first, by the sender that began it.
//! - Between chunks, audio goes before data, data before video: a sender gives way while one before it waits.
//! - When the ring is full, all wait, and the runner wakes them when there is room.
//!
//! Control messages of the session go out before any of them, between two chunks.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::waitqueue::WakerRegistration;
use embedded_rtmp::chunk::{ChunkStreamId, WriteError};
use embedded_rtmp::message::{Kind, Timestamp};
use embedded_rtmp::session::RequestError;

use crate::connection::Connection;
use crate::error::Error;
use crate::fmt::brief;
use crate::publisher::Inner;

/// What the senders know of each other.
pub(crate) struct Slot {
    kind: Kind,
    waker: WakerRegistration,
    /// A frame is under way, and its future is alive.
    waiting: bool,
    /// It waits for room in the ring; the runner is to wake it.
    starved: bool,
    open: Option<Open>,
}

/// A frame whose first bytes are out.
struct Open {
    csid: ChunkStreamId,
    at: Timestamp,
    length: u32,
    /// How much of its payload is out.
    taken: usize,
}

impl Slot {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, waker: WakerRegistration::new(), waiting: false, starved: false, open: None }
    }

    /// What was under way has gone with its connection.
    pub(crate) fn clear(&mut self) {
        self.open = None;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn wake(&mut self) {
        self.waker.wake();
    }
}

/// Sends the frames of one kind: audio, video or data.
pub struct Sender<'p, 'a, const STREAMS: usize = 8> {
    inner: &'p RefCell<Inner<'a, STREAMS>>,
    slot: usize,
}

brief!(
    ['p, 'a, const STREAMS: usize] Sender<'p, 'a, STREAMS>,
    this => "Sender {{ is_unfinished: {} }}", this.is_unfinished()
);

impl<'p, 'a, const STREAMS: usize> Sender<'p, 'a, STREAMS> {
    pub(crate) fn new(inner: &'p RefCell<Inner<'a, STREAMS>>, slot: usize) -> Self {
        Self { inner, slot }
    }

    /// Sends a frame, and is done when its last byte is in the socket's send ring. A full ring makes it wait.
    ///
    /// `payload` is the payload of the RTMP message: for audio and video, what an FLV tag holds.
    ///
    /// The future can be dropped. If nothing of the frame was out yet, nothing has happened; else
    /// [`Self::is_unfinished`] says so, and the next frame must be the same one, which then goes on where it stopped.
    ///
    /// # Errors
    /// [`Error::Unfinished`], and nothing else has happened, if another frame is half sent. What ended the session, if
    /// it is over.
    pub async fn send(&mut self, at: Timestamp, payload: &[u8]) -> Result<(), Error> {
        self.send_parts(at, &[payload]).await
    }

    /// The same for a frame that lies in several places: its parts are sent as one message, one after the other.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    pub async fn send_parts(&mut self, at: Timestamp, parts: &[&[u8]]) -> Result<(), Error> {
        let turn = Turn(self);
        poll_fn(|cx| turn.0.inner.borrow_mut().poll_send(turn.0.slot, at, parts, cx)).await
    }

    /// Whether a frame is half sent: the future that sent it was dropped.
    pub fn is_unfinished(&self) -> bool {
        self.inner.borrow().slots.get(self.slot).is_some_and(Slot::is_open)
    }
}

/// Nobody gives way to a sender whose future is gone.
struct Turn<'s, 'p, 'a, const STREAMS: usize>(&'s Sender<'p, 'a, STREAMS>);

impl<const STREAMS: usize> Drop for Turn<'_, '_, '_, STREAMS> {
    fn drop(&mut self) {
        let mut inner = self.0.inner.borrow_mut();
        if let Some(slot) = inner.slots.get_mut(self.0.slot) {
            (slot.waiting, slot.starved) = (false, false);
        }
        inner.wake_waiting();
    }
}

/// What is left of the part in which the byte `at` is.
fn behind<'p>(parts: &[&'p [u8]], mut at: usize) -> &'p [u8] {
    for part in parts {
        match part.get(at..) {
            Some(rest) if !rest.is_empty() => return rest,
            _ => at -= part.len(),
        }
    }
    &[]
}

impl<const STREAMS: usize> Inner<'_, STREAMS> {
    /// Puts out as much of a frame as goes.
    fn poll_send(
        &mut self,
        me: usize,
        at: Timestamp,
        parts: &[&[u8]],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if let Some(error) = self.failed {
            return Poll::Ready(Err(error));
        }
        let length = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let Ok(length) = u32::try_from(length) else {
            return Poll::Ready(Err(RequestError::Write(WriteError::TooLong(u32::MAX)).into()));
        };
        let mut has_moved = false;
        loop {
            if !self.connection.may_send() {
                self.fail(self.connection.link.end());
                return Poll::Ready(self.failed.map_or(Ok(()), Err));
            }
            let limit = match self.turn(me) {
                Some(limit) if self.connection.takes_media() => limit,
                turn => {
                    self.wait(me, turn.is_some(), cx);
                    if has_moved && turn.is_none() {
                        // The end of a chunk: whoever goes first may have waited for that.
                        self.wake_waiting_but(me);
                    }
                    return Poll::Pending;
                }
            };
            match self.put(me, at, length, parts, limit) {
                Ok(false) => has_moved = true,
                Ok(true) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// How many bytes of its frame a sender may put out now; `None` while it is another one's turn.
    fn turn(&self, me: usize) -> Option<usize> {
        let before_me = self.slots.iter().take(me).any(|slot| slot.waiting);
        match (self.connection.client.open_chunk(), self.slots.get(me)?.open.as_ref()) {
            (Some((csid, left)), Some(open)) if csid == open.csid => {
                Some(if before_me { left as usize } else { usize::MAX })
            }
            (Some((csid, _)), _)
                if self.slots.iter().any(|slot| slot.open.as_ref().is_some_and(|open| open.csid == csid)) =>
            {
                None
            }
            _ => (!before_me).then_some(usize::MAX),
        }
    }

    fn wait(&mut self, me: usize, for_room: bool, cx: &mut Context<'_>) {
        let Some(slot) = self.slots.get_mut(me) else { return };
        slot.waker.register(cx.waker());
        slot.waiting = true;
        if for_room && !slot.starved {
            // It is the runner that waits for room; it needs to be told but once.
            self.runner.wake();
        }
        slot.starved = for_room;
    }

    /// Writes at most `limit` bytes of a frame's payload, of one part, into the ring, with the headers that they need. Answers whether
    /// that was the end of it.
    fn put(&mut self, me: usize, at: Timestamp, length: u32, parts: &[&[u8]], limit: usize) -> Result<bool, Error> {
        let (connection, stream) = (&mut self.connection, self.stream);
        let Some(slot) = self.slots.get_mut(me) else { return Ok(true) };
        if slot.open.is_none() {
            let csid = connection.client.begin_media(slot.kind, stream, at, length)?;
            slot.open = Some(Open { csid, at, length, taken: 0 });
        }
        let Some(open) = slot.open.as_mut().filter(|open| (open.at, open.length) == (at, length)) else {
            return Err(Error::Unfinished);
        };
        let rest = behind(parts, open.taken);
        let rest = rest.get(..limit).unwrap_or(rest);
        let Connection { client, tunnel, link, .. } = connection;
        let took_input = client.wants_input();
        // All parts are at hand, whichever is next.
        let at_hand = limit.min((length as usize).saturating_sub(open.taken));
        let waiting = tunnel.count(|| client.media_len(open.csid, at_hand));
        let mut put = |room: &mut [u8]| {
            let (taken, written) = client.poll_media(open.csid, rest, room);
            open.taken = open.taken.saturating_add(taken);
            written
        };
        if !tunnel.gather(&mut put) {
            link.write(&mut |out| tunnel.transmit(waiting, out, &mut put));
        }
        let is_done = client.media_left(open.csid).is_none();
        if is_done {
            slot.open = None;
        }
        if !took_input && client.wants_input() {
            // What the session waited to send is out: it reads on.
            self.runner.wake();
        }
        Ok(is_done)
    }

    /// Wakes the senders that waited for room, if there is some; answers whether there are any that go on waiting.
    pub(crate) fn wake_starved(&mut self) -> bool {
        let has_room = self.connection.takes_media();
        let mut any = false;
        for slot in self.slots.iter_mut().filter(|slot| slot.starved) {
            if has_room {
                slot.starved = false;
                slot.wake();
            } else {
                any = true;
            }
        }
        any
    }

    fn wake_waiting(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.waiting).for_each(Slot::wake);
    }

    fn wake_waiting_but(&mut self, me: usize) {
        let others = self.slots.iter_mut().enumerate().filter(|(index, slot)| *index != me && slot.waiting);
        others.for_each(|(_, slot)| slot.wake());
    }
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn parts_are_one_after_the_other() {
        let parts: [&[u8]; 5] = [b"", b"abc", b"", b"d", b""];
        let rests = [&b"abc"[..], b"bc", b"c", b"d", b""];
        assert_eq!(core::array::from_fn(|at| behind(&parts, at)), rests);
        assert_eq!(behind(&[], 0), b"");
    }
}
