//! Sending frames, several at a time.
//!
//! Each sender writes its own frame, from the caller's memory into the transport, whenever it is polled. Nothing else has a
//! reference to the frame. Senders that wait for each other or for room follow these rules:
//!
//! - The sender that began a chunk finishes it first.
//! - Between chunks, audio goes before data, and data before video: a sender waits while one before it waits.
//! - When the transport is full, all wait, and the runner wakes them when there is room.
//!
//! Between two chunks, control messages of the session are sent before all of these.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::waitqueue::WakerRegistration;
use embedded_rtmp::message::{MessageKind, Timestamp};

use crate::client::connection::Connection;
use crate::client::message::{Begun, Message};
use crate::error::Error;
use crate::fmt::impl_format;
use crate::transport::{Net, Transport};

/// The state of one sender, which the other senders read.
pub(crate) struct Slot {
    kind: MessageKind,
    waker: WakerRegistration,
    /// A frame is being sent, and its future is alive.
    waiting: bool,
    /// It waits for room, and the runner wakes it.
    starved: bool,
    open: Option<Begun>,
}

impl Slot {
    pub(crate) fn new(kind: MessageKind) -> Self {
        Self { kind, waker: WakerRegistration::new(), waiting: false, starved: false, open: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn wake(&mut self) {
        self.waker.wake();
    }
}

/// The state that the handles of a publisher share. It changes only in synchronous calls.
pub(crate) struct Inner<'a, const STREAMS: usize, T> {
    pub(crate) connection: Connection<'a, STREAMS, 0, T>,
    /// In the order of their priority: audio, data, video.
    pub(crate) slots: [Slot; 3],
    pub(crate) runner: WakerRegistration,
}

impl<const STREAMS: usize, T> Inner<'_, STREAMS, T> {
    /// Wakes all tasks, because the session is over.
    pub(crate) fn wake_all(&mut self) {
        self.slots.iter_mut().for_each(Slot::wake);
        self.runner.wake();
    }
}

/// Sends the frames of one kind: audio, video or data.
pub struct Sender<'p, 'a, const STREAMS: usize = 8, T = Net<'a>> {
    inner: &'p RefCell<Inner<'a, STREAMS, T>>,
    slot: usize,
}

impl_format!(
    ['p, 'a, const STREAMS: usize, T: Transport] Sender<'p, 'a, STREAMS, T>,
    this => "Sender {{ is_unfinished: {} }}", this.is_unfinished()
);

impl<'p, 'a, const STREAMS: usize, T: Transport> Sender<'p, 'a, STREAMS, T> {
    pub(crate) fn new(inner: &'p RefCell<Inner<'a, STREAMS, T>>, slot: usize) -> Self {
        Self { inner, slot }
    }

    /// Sends a frame. The future is ready when the last byte is in the socket's send ring; it waits while the ring is full.
    ///
    /// `payload` is the payload of the RTMP message: for audio and video, the data of an FLV tag.
    ///
    /// The future can be dropped. If no byte of the frame was written, the frame was not sent. Otherwise
    /// [`Self::is_unfinished`] returns `true`, and the next call must send the same frame, which continues after the last
    /// byte that was written. Until then, other messages, including answers to the server's pings, may have to wait for the
    /// end of its chunk. A future that is alive and not polled delays the frames of the kinds after its own.
    ///
    /// # Errors
    /// [`Error::Unfinished`] if another frame is half sent; nothing is written then. `Error::LegacyServer` if it is a
    /// frame of Enhanced RTMP, and the server refuses Enhanced RTMP. If the session is over, the error that ended it.
    pub async fn send(&mut self, at: Timestamp, payload: &[u8]) -> Result<(), Error> {
        self.send_parts(at, &[payload]).await
    }

    /// The same as [`Self::send`] for a frame in several parts, which are sent as one message.
    ///
    /// # Errors
    /// Those of [`Self::send`].
    pub async fn send_parts(&mut self, at: Timestamp, parts: &[&[u8]]) -> Result<(), Error> {
        let turn = Turn(self);
        poll_fn(|cx| turn.0.inner.borrow_mut().poll_send(turn.0.slot, at, parts, cx)).await
    }

    /// Returns whether a frame is half sent because its future was dropped.
    pub fn is_unfinished(&self) -> bool {
        self.inner.borrow().slots.get(self.slot).is_some_and(Slot::is_open)
    }
}

/// Ends the sender's turn when its future is dropped.
struct Turn<'s, 'p, 'a, const STREAMS: usize, T: Transport>(&'s Sender<'p, 'a, STREAMS, T>);

impl<const STREAMS: usize, T: Transport> Drop for Turn<'_, '_, '_, STREAMS, T> {
    fn drop(&mut self) {
        let mut inner = self.0.inner.borrow_mut();
        if let Some(slot) = inner.slots.get_mut(self.0.slot) {
            (slot.waiting, slot.starved) = (false, false);
        }
        inner.wake_waiting();
    }
}

impl<const STREAMS: usize, T: Transport> Inner<'_, STREAMS, T> {
    /// Writes as much of a frame as there is room for.
    fn poll_send(
        &mut self,
        me: usize,
        at: Timestamp,
        parts: &[&[u8]],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if let Some(error) = self.connection.failed {
            return Poll::Ready(Err(error));
        }
        let Some(slot) = self.slots.get(me) else { return Poll::Ready(Ok(())) };
        let message = Message::new(slot.kind, at, parts)?;
        if slot.open.as_ref().is_some_and(|open| !message.is(open)) {
            return Poll::Ready(Err(Error::Unfinished));
        }
        #[cfg(feature = "enhanced")]
        if slot.open.is_none() {
            self.connection.offering.check(message.kind, parts).map_err(Error::LegacyServer)?;
        }
        let mut has_moved = false;
        loop {
            let limit = match self.turn(me) {
                Some(limit) if self.connection.transport.has_room() => limit,
                turn => {
                    self.wait(me, turn.is_some(), cx);
                    if has_moved && turn.is_none() {
                        // A sender with a higher priority may have waited for the end of the chunk.
                        self.wake_waiting_but(me);
                    }
                    return Poll::Pending;
                }
            };
            if self.put(me, &message, limit)? {
                return Poll::Ready(Ok(()));
            }
            has_moved = true;
        }
    }

    /// Returns how many bytes of its frame a sender may write now, or `None` if it is another sender's turn.
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
            // The runner waits for room. It needs to be told once.
            self.runner.wake();
        }
        slot.starved = for_room;
    }

    /// Writes at most `limit` bytes of a frame. Returns whether the frame is complete.
    fn put(&mut self, me: usize, message: &Message<'_>, limit: usize) -> Result<bool, Error> {
        let Some(slot) = self.slots.get_mut(me) else { return Ok(true) };
        let took_input = self.connection.client.wants_input();
        let is_done = self.connection.put(&mut slot.open, message, limit)?;
        if !took_input && self.connection.client.wants_input() {
            // The session has written what it had to write first, and can read again.
            self.runner.wake();
        }
        Ok(is_done)
    }

    /// Wakes the senders that wait for room, if there is room.
    pub(crate) fn wake_starved(&mut self) {
        if self.connection.transport.has_room() {
            for slot in self.slots.iter_mut().filter(|slot| slot.starved) {
                slot.starved = false;
                slot.wake();
            }
        }
    }

    fn wake_waiting(&mut self) {
        self.slots.iter_mut().filter(|slot| slot.waiting).for_each(Slot::wake);
    }

    fn wake_waiting_but(&mut self, me: usize) {
        let others = self.slots.iter_mut().enumerate().filter(|(index, slot)| *index != me && slot.waiting);
        others.for_each(|(_, slot)| slot.wake());
    }
}
