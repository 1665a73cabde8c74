//! Sending messages: which ones are accepted, and which one is sent next.
//!
//! - A chunk that was begun is finished first, by its owner.
//! - Between chunks, audio goes before video, and headers before both.
//! - Both tracks of video use one chunk stream. A message is finished before the next one begins. Between messages, the
//!   main track goes before the thumbnail.
//! - If there is no room, all wait. Only the runner registers with the transport, and wakes the senders when there is room.

use core::task::{Context, Poll, Waker};

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MAX_MESSAGE_LENGTH;
use embedded_rtmp::session::RequestError;
use embedded_rtmp::time::Instant;

use super::message::{Content, Message};
use super::shared::{ALL, Shared};
#[cfg(feature = "thumbnail")]
use super::slot::THUMBNAIL;
use super::slot::{AUDIO, By, DATA, Open, Slot, VIDEO, kind};
use super::status::{Phase, Tally};
use super::timeline::Lateness;
use super::tracks::HEADER_BUFFER;
use super::{DropReason, SendOutcome};
use crate::client::connection::Connection;
use crate::clock::{clock, has_passed, later, wake_at};
use crate::error::Error;
use crate::transport::Transport;

/// The outcome of an attempt to write a message.
enum Progress {
    /// It is not the message's turn, there is no room, or no byte of it fits.
    Nothing,
    Some,
    /// The last byte is in the send ring.
    All,
}

/// The slots of the other senders.
#[cfg(not(feature = "thumbnail"))]
fn others(me: usize) -> [usize; 1] {
    [VIDEO - me]
}

/// The slots of the other senders.
#[cfg(feature = "thumbnail")]
fn others(me: usize) -> [usize; 2] {
    match me {
        AUDIO => [THUMBNAIL, VIDEO],
        THUMBNAIL => [AUDIO, VIDEO],
        _ => [AUDIO, THUMBNAIL],
    }
}

impl<T: Transport> Shared<T> {
    // Not inlined, because it has many callers.
    #[inline(never)]
    fn slot(&mut self, me: usize) -> &mut Slot {
        #[cfg(not(feature = "thumbnail"))]
        let [audio, video, data] = &mut self.slots;
        #[cfg(feature = "thumbnail")]
        let [audio, thumbnail, video, data] = &mut self.slots;
        match me {
            AUDIO => audio,
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => thumbnail,
            VIDEO => video,
            _ => data,
        }
    }

    fn tally(&mut self, me: usize) -> &mut Tally {
        match me {
            AUDIO => &mut self.counters.audio,
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => &mut self.counters.thumbnail,
            _ => &mut self.counters.video,
        }
    }

    fn lateness(&mut self, me: usize) -> &mut Lateness {
        let [audio, video] = &mut self.lateness;
        match me {
            AUDIO => audio,
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => &mut self.second.lateness,
            _ => video,
        }
    }

    fn count_dropped(&mut self, me: usize) {
        let tally = self.tally(me);
        tally.dropped = tally.dropped.wrapping_add(1);
    }

    /// Accepts a send, and returns its ticket.
    fn claim(&mut self, me: usize, message: &mut Message<'_>) -> Result<u32, DropReason> {
        let (now, class) = (clock(), message.class(self.tracks(me)));
        let awaited_keyframe = self.policy(me).awaits_keyframe();
        if let Err(why) = self.admit(me, class, message, now) {
            self.count_dropped(me);
            // Each dropped keyframe is requested again. A dropped inter picture requests one only if none is awaited.
            let is_needed = class == FrameClass::Keyframe || (class == FrameClass::Inter && !awaited_keyframe);
            if is_needed && self.phase() == Phase::Live {
                self.lose_video(me);
            }
            return Err(why);
        }
        // If nothing waits yet, the server's time to take bytes begins now.
        self.measure();
        let deadline = later(now, self.send_timeout);
        let slot = self.slot(me);
        (slot.is_owned, slot.class, slot.awaited_keyframe, slot.deadline) = (true, class, awaited_keyframe, deadline);
        Ok(slot.ticket)
    }

    fn admit(
        &mut self,
        me: usize,
        class: FrameClass,
        message: &mut Message<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        if self.phase() != Phase::Live || self.is_leaving() {
            return Err(DropReason::Offline);
        }
        if self.slot(me).is_owned {
            return Err(DropReason::Busy);
        }
        #[cfg(feature = "enhanced")]
        if self.is_refused(me) {
            return Err(DropReason::LegacyServer);
        }
        if let Content::Picture(picture) = &message.content
            && self.tracks(me).take_in_band(picture.units)
        {
            self.announce(self.headers_after(me));
        }
        if !message.make_header(self.tracks(me)) {
            return Err(DropReason::NoTrack);
        }
        if message.length > MAX_MESSAGE_LENGTH {
            return Err(DropReason::TooLarge);
        }
        let millis = now.as_millis() as u32;
        let may_continue = class == FrameClass::Keyframe || (me == AUDIO && !self.tracks.has_video());
        let timestamp = self.timeline.place(me, message.time(), may_continue, millis).ok_or(DropReason::Late)?;
        message.timestamp = timestamp;
        let waited = self.waited;
        self.late = self.lateness(me).of(timestamp, millis, waited);
        #[cfg(not(feature = "thumbnail"))]
        let late = self.late;
        #[cfg(feature = "thumbnail")]
        let late = self.late_for(me, millis);
        if self.policy(me).admit(class, late) { Ok(()) } else { Err(DropReason::Late) }
    }

    /// The headers that are due after the parameter sets of a slot have changed.
    fn headers_after(&self, me: usize) -> u8 {
        match me {
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => self.headers_due | 1 << THUMBNAIL,
            _ => ALL,
        }
    }

    /// Returns whether the server refuses Enhanced RTMP, and the track of a slot needs it.
    // Not inlined, because it has two callers.
    #[cfg(feature = "enhanced")]
    #[inline(never)]
    fn is_refused(&mut self, me: usize) -> bool {
        self.connection.offering.is_legacy() && self.tracks(me).is_enhanced(me)
    }

    /// Sends as much of a message as there is room for.
    #[inline(never)]
    pub(super) fn poll_send(
        &mut self,
        me: usize,
        ticket: &mut Option<u32>,
        message: &mut Message<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<SendOutcome> {
        let mine = match *ticket {
            Some(mine) => mine,
            None => match self.claim(me, message) {
                Ok(mine) => *ticket.insert(mine),
                Err(why) => return Poll::Ready(SendOutcome::Dropped(why)),
            },
        };
        let slot = self.slot(me);
        if slot.ticket != mine {
            return Poll::Ready(SendOutcome::Dropped(slot.ended));
        }
        let could_read = self.can_read();
        let progress = match self.write(me, By::Owner, message) {
            Ok(Progress::All) => {
                self.sent(me, message.length);
                return Poll::Ready(SendOutcome::Sent);
            }
            Ok(progress) => progress,
            Err(_) => {
                // The server has ended the stream; the runner learns of it by itself.
                self.end(me, DropReason::Offline);
                return Poll::Ready(SendOutcome::Dropped(DropReason::Offline));
            }
        };
        let slot = self.slot(me);
        slot.waker.register(cx.waker());
        slot.is_waiting = true;
        let is_full = !self.connection.transport.has_room();
        // The session can read again after what it had to send first.
        if is_full || (!could_read && self.can_read()) {
            self.runner.wake();
        }
        if !is_full && matches!(progress, Progress::Some) {
            // The end of a chunk: another one may have waited for it.
            self.wake_others(me);
        }
        Poll::Pending
    }

    #[inline(never)]
    fn can_read(&self) -> bool {
        self.connection.client.wants_input()
    }

    /// Called when the last byte of an owner's message is in the send ring.
    fn sent(&mut self, me: usize, length: u32) {
        let tally = self.tally(me);
        tally.sent = tally.sent.wrapping_add(1);
        self.counters.bytes = self.counters.bytes.wrapping_add(length.into());
        if self.slot(me).class == FrameClass::Keyframe {
            *self.is_keyframe_wanted(me) = false;
        }
        self.measure();
        self.release(me);
    }

    /// Ends the send that owns a slot. If the message is half sent, the runner completes it.
    #[inline(never)]
    pub(super) fn end(&mut self, me: usize, why: DropReason) {
        if !self.slot(me).is_owned {
            return;
        }
        let is_cut = !self.take_back(me);
        let slot = self.slot(me);
        slot.ended = why;
        if let Some(open) = slot.open.as_mut().filter(|_| is_cut) {
            open.by = By::Nobody;
        }
        if me != AUDIO && (is_cut || slot.class != FrameClass::Disposable) {
            self.lose_video(me);
        }
        self.count_dropped(me);
        self.slot(me).waker.wake();
        self.release(me);
    }

    /// Called when the future of a send is dropped. If no byte was sent, the message was not sent.
    pub(super) fn abandon(&mut self, me: usize, ticket: u32) {
        let slot = self.slot(me);
        if slot.ticket != ticket {
            return;
        }
        if !self.take_back(me) {
            return self.end(me, DropReason::Late);
        }
        if self.slot(me).awaited_keyframe {
            self.policy(me).await_keyframe();
        }
        self.release(me);
    }

    /// Withdraws the owner's message. Returns `false` if some of its bytes are in the send ring.
    fn take_back(&mut self, me: usize) -> bool {
        match self.slot(me).open {
            Some(Open { csid, by: By::Owner }) => {
                let is_back = self.connection.client.cancel_media(csid);
                if is_back {
                    self.slot(me).open = None;
                }
                is_back
            }
            _ => true,
        }
    }

    /// The slot is free for the next send.
    #[inline(never)]
    fn release(&mut self, me: usize) {
        let slot = self.slot(me);
        (slot.is_owned, slot.is_waiting) = (false, false);
        slot.ticket = slot.ticket.wrapping_add(1);
        let now = clock().as_millis() as u32;
        self.waited = self.waited.wrapping_add(self.lateness(me).since_measured(now));
        self.wake_others(me);
    }

    /// Wakes those that may have waited for a sender to give way.
    #[inline(never)]
    fn wake_others(&mut self, me: usize) {
        for other in others(me) {
            let other = self.slot(other);
            if other.is_waiting {
                other.waker.wake();
            }
        }
        if self.is_leaving() || self.headers_due != 0 || self.slots.iter().any(|slot| slot.is_open_by(By::Nobody)) {
            self.runner.wake();
        }
    }

    /// Measures the rate at which bytes arrive at the peer, and records when the peer last took bytes.
    #[inline(never)]
    fn measure(&mut self) {
        let (now, transport) = (clock(), &self.connection.transport);
        let sent = transport.traffic().sent;
        let acknowledged = transport.unacknowledged().map(|bytes| sent.wrapping_sub(bytes as u32));
        self.goodput.update(now, sent, acknowledged.or(self.connection.client.acknowledged()));
        let taken = acknowledged.unwrap_or(sent);
        if taken != self.taken || (taken == sent && transport.has_room()) {
            (self.taken, self.taken_at) = (taken, now);
        }
    }

    /// Returns how many bytes of a slot's message may be written now, or `None` if it is another slot's turn or there is no
    /// room.
    fn turn(&mut self, me: usize) -> Option<usize> {
        let gives_way = me != AUDIO && self.slot(AUDIO).is_waiting && self.headers_due == 0;
        #[cfg(feature = "thumbnail")]
        let gives_way = gives_way || self.waits_for_main_track(me);
        let csid = self.slot(me).open.map(|open| open.csid);
        let limit = match self.connection.client.open_chunk() {
            Some((open, left)) if Some(open) == csid => {
                if gives_way {
                    left as usize
                } else {
                    usize::MAX
                }
            }
            None if !gives_way => usize::MAX,
            _ => return None,
        };
        self.connection.transport.has_room().then_some(limit)
    }

    /// Writes as much of a message as its turn and the room allow. Begins it if no message of the kind is open.
    #[inline(never)]
    fn write(&mut self, me: usize, by: By, message: &Message<'_>) -> Result<Progress, RequestError> {
        let has_headers = self.headers_due != 0;
        let mut progress = Progress::Nothing;
        while let Some(limit) = self.turn(me) {
            let open = self.slot(me).open;
            #[cfg(feature = "thumbnail")]
            if open.is_none() && self.is_other_track_open(me) {
                break;
            }
            let Connection { client, keys, transport, .. } = &mut self.connection;
            let csid = match open {
                Some(open) if open.by == by => open.csid,
                None if by != By::Owner || !has_headers => {
                    let stream = client.publishing().ok_or(RequestError::State)?;
                    let csid = client.begin_media(kind(me), stream, message.timestamp, message.length)?;
                    self.slot(me).open = Some(Open { csid, by });
                    continue;
                }
                _ => break,
            };
            let at_hand = limit.min(client.media_left(csid).unwrap_or(0) as usize);
            transport.announce(&mut || client.media_len(csid, at_hand));
            let mut limit = limit;
            let mut written = 0_usize;
            let _ = transport.poll_write(&mut Context::from_waker(Waker::noop()), &mut |room| {
                while let Some(left) = client.media_left(csid) {
                    let mut size = [0; 4];
                    let part = message.part(message.length.saturating_sub(left) as usize, &mut size);
                    let part = part.get(..limit).unwrap_or(part);
                    let more = client.poll_media(csid, part, room.get_mut(written..).unwrap_or_default());
                    limit = limit.saturating_sub(more.taken);
                    written = written.saturating_add(more.written);
                    if more.taken == 0 || limit == 0 || written == room.len() {
                        break;
                    }
                }
                keys.write(room, written)
            });
            if client.media_left(csid).is_none() {
                self.slot(me).open = None;
                return Ok(Progress::All);
            }
            if written == 0 {
                break;
            }
            progress = Progress::Some;
        }
        Ok(progress)
    }

    /// Writes the headers that are due, and the rest of messages that have lost their owner.
    fn write_without_owner(&mut self) {
        for me in (AUDIO..=DATA).rev() {
            let (open, due) = (self.slot(me).open.map(|open| open.by), 1 << me);
            let mut buffer = HEADER_BUFFER;
            let (by, message) = match open {
                Some(By::Nobody) => (By::Nobody, Message::repeating(&buffer)), // zeros
                Some(By::Owner) => continue,
                _ if self.headers_due & due == 0 => continue,
                #[cfg(feature = "enhanced")]
                _ if self.is_refused(me) => {
                    self.headers_due &= !due;
                    continue;
                }
                _ => match self.tracks(me).header(me, &mut buffer) {
                    Some(payload) => (By::Header, Message::header(payload, self.timeline.position())),
                    None => {
                        self.headers_due &= !due;
                        continue;
                    }
                },
            };
            if let (Ok(Progress::All), By::Header) = (self.write(me, by, &message), by) {
                self.headers_due &= !due;
            }
        }
    }

    /// Does the runner's work while the stream is live. Ready when the stream is not live, the connection is lost, or the
    /// stream is to be stopped.
    #[inline(never)]
    pub(super) fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase() != Phase::Live {
            return Poll::Ready(());
        }
        let now = clock();
        #[cfg(feature = "redirect")]
        if !self.is_leaving() && self.connection.redirect.is_new() {
            (self.is_moving, self.stop_by) = (true, later(now, self.stop_timeout));
        }
        for me in AUDIO..=VIDEO {
            let is_leaving = self.is_leaving();
            let slot = self.slot(me);
            if now >= slot.deadline {
                self.end(me, DropReason::Late);
            } else if is_leaving && slot.open.is_none() {
                self.end(me, DropReason::Offline);
            }
        }
        loop {
            if self.connection.advance(cx).is_err() {
                return Poll::Ready(());
            }
            let before = self.connection.transport.traffic().sent;
            self.write_without_owner();
            if self.connection.transport.traffic().sent == before {
                break;
            }
        }
        self.measure();
        let stalls_at = later(self.taken_at, self.stall_timeout);
        if now >= stalls_at {
            self.counters.stalls = self.counters.stalls.wrapping_add(1);
            self.connection.end(Error::Stalled);
            return Poll::Ready(());
        }
        if self.connection.transport.has_room() {
            self.slots.iter().filter(|slot| slot.is_waiting).for_each(|slot| slot.waker.wake());
        }
        if self.is_leaving() && (self.is_settled() || has_passed(self.stop_by, cx)) {
            return Poll::Ready(());
        }
        // The server may stall while no slot is in use, because messages that are too late are dropped without a slot.
        let deadlines = self.slots.iter().filter(|slot| slot.is_owned).map(|slot| slot.deadline);
        wake_at(deadlines.fold(stalls_at, Instant::min), cx);
        Poll::Pending
    }
}
