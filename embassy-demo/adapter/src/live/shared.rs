//! What the runner and the handles share. It changes in synchronous calls only, so that every future can be dropped.
//!
//! # The slots
//! There is a slot for audio and one for video. A ticket number identifies the owner of a slot.
//!
//! ```text
//!            claim()                begin(): the first byte                    the last byte
//!   free ──────────────► waiting ──────────────────────────► open ───────────────────────────────► free
//!     ▲                     │ end()                            │ end()
//!     ├─────────────────────┘                                  ▼
//!     └──────────────────────────────────────────────────── orphan
//!                  the runner has written the rest as zeros
//! ```
//!
//! [`Shared::end`] takes the ticket away from its owner: a future that was dropped, a send that took too long, a stop, a
//! connection that was lost. The message of an orphan is completed by the runner; the next send of the kind waits for that.
//!
//! # Turns
//! - A chunk that was begun is finished first, by its owner.
//! - Between chunks, audio goes before video, and headers before both.
//! - If the ring is full, all wait. Only the runner registers with the socket, and wakes the senders when there is room.

use core::task::{Context, Poll, Waker};

use embassy_time::Duration;
use embedded_rtmp::chunk::ChunkStreamId;
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::{MAX_MESSAGE_LENGTH, MessageKind, Timestamp};
use embedded_rtmp::port_plan::Target;
use embedded_rtmp::pressure::{DropLimits, DropPolicy, Goodput};
use embedded_rtmp::session::RequestError;
use embedded_rtmp::time::Instant;

use super::message::{Content, Message};
use super::status::{Counters, Phase, Status, Tally};
use super::timeline::{Lateness, Timeline};
use super::tracks::{HEADER_BUFFER, Header, Tracks};
use super::{Config, DropReason, SendOutcome};
use crate::client::connection::Connection;
use crate::clock::{clock, has_passed, later, wake_at};
use crate::error::Error;
use crate::transport::{Net, Transport};

/// Tasks that are woken when the status changes, a keyframe is wanted, or the runner stops.
const WATCHERS: usize = 4;
/// A task for which there is no room looks again after this time.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// Nothing is ever too late.
const PATIENT: DropLimits = DropLimits { disposable: u32::MAX, video: u32::MAX, audio: u32::MAX };

pub(super) const AUDIO: usize = 0;
pub(super) const VIDEO: usize = 1;

/// A message whose first byte may be out.
#[derive(Clone, Copy)]
struct Open {
    csid: ChunkStreamId,
    /// Bytes of its payload that are out.
    taken: usize,
}

/// The waker of one task. A waker that takes the place of another does not wake that one.
#[derive(Default)]
pub(super) struct TaskWaker(Option<Waker>);

impl TaskWaker {
    pub(super) fn register(&mut self, waker: &Waker) {
        match &mut self.0 {
            Some(registered) => registered.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.0 {
            waker.wake_by_ref();
        }
    }
}

/// The wakers of several tasks.
#[derive(Default)]
pub(super) struct Watchers([Option<Waker>; WATCHERS]);

impl Watchers {
    pub(super) fn register(&mut self, cx: &mut Context<'_>) {
        let waker = cx.waker();
        if self.0.iter().flatten().any(|registered| registered.will_wake(waker)) {
            return;
        }
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker.clone()),
            None => wake_at(later(clock(), WATCH_INTERVAL), cx),
        }
    }

    fn wake(&mut self) {
        self.0.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}

/// The messages of one kind.
struct Slot {
    /// The number of the send that owns the slot, or will own it next.
    ticket: u32,
    is_owned: bool,
    /// The owner waits for its turn or for room.
    is_waiting: bool,
    /// The owner waits for room: the runner is to wake it.
    is_starved: bool,
    /// The open message has no owner any longer.
    is_orphan: bool,
    /// Video waited for a keyframe before the owner came.
    awaited_keyframe: bool,
    class: FrameClass,
    /// Why the last send was ended, if it was.
    ended: DropReason,
    open: Option<Open>,
    length: u32,
    deadline: Instant,
    timestamp: Timestamp,
    waker: TaskWaker,
}

impl Slot {
    fn new(class: FrameClass) -> Self {
        Self {
            ticket: 0,
            is_owned: false,
            is_waiting: false,
            is_starved: false,
            is_orphan: false,
            awaited_keyframe: false,
            class,
            ended: DropReason::Offline,
            open: None,
            length: 0,
            deadline: Instant::from_micros(0),
            timestamp: Timestamp(0),
            waker: TaskWaker::default(),
        }
    }
}

/// Whether a sender may write.
enum Turn {
    /// So many bytes of payload.
    Now(usize),
    /// When there is room.
    WhenRoom,
    /// When another one is done, which wakes it.
    Later,
}

pub(super) struct Shared<T = Net<'static>> {
    pub(super) connection: Connection<'static, 8, 0, T>,
    slots: [Slot; 2],
    pub(super) runner: TaskWaker,
    pub(super) watchers: Watchers,
    pub(super) tracks: Tracks,
    /// The headers that are to be sent, and how much of the first of them is out.
    due: [bool; 3],
    header: Option<Open>,
    /// The tracks have changed while a header was half sent.
    is_header_orphan: bool,
    policy: DropPolicy,
    timeline: Timeline,
    lateness: Lateness,
    goodput: Goodput,
    late: u32,
    /// Whether the stream is to be published.
    pub(super) is_wanted: bool,
    pub(super) is_keyframe_wanted: bool,
    phase: Phase,
    pub(super) port: Option<Target>,
    pub(super) last_error: Option<Error>,
    counters: Counters,
    /// Changes of the status that [`Live::changed`](super::Live::changed) tells.
    pub(super) changes: u32,
    /// How often the runner has stopped, and whether it ended the stream in good order the last time.
    pub(super) stops: u32,
    pub(super) is_in_order: bool,
    /// When a stop must be over.
    pub(super) stop_by: Instant,
    pub(super) config: Config,
}

impl<T: Transport> Shared<T> {
    pub(super) fn new(connection: Connection<'static, 8, 0, T>, config: Config) -> Self {
        Self {
            connection,
            slots: [Slot::new(FrameClass::Audio), Slot::new(FrameClass::Inter)],
            runner: TaskWaker::default(),
            watchers: Watchers::default(),
            tracks: Tracks::NONE,
            due: [false; 3],
            header: None,
            is_header_orphan: false,
            policy: DropPolicy::new(config.drop_limits.unwrap_or(PATIENT)),
            timeline: Timeline::default(),
            lateness: Lateness::default(),
            goodput: Goodput::new(),
            late: 0,
            is_wanted: config.starts,
            is_keyframe_wanted: false,
            phase: Phase::Stopped,
            port: None,
            last_error: None,
            counters: Counters::default(),
            changes: 0,
            stops: 0,
            is_in_order: true,
            stop_by: Instant::from_micros(0),
            config,
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            phase: self.phase,
            port: self.port,
            last_error: self.last_error,
            bit_rate: self.goodput.bytes_per_second().map(|rate| rate.saturating_mul(8)),
            lateness: Duration::from_millis(self.late.into()),
            counters: self.counters,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        if phase == Phase::Stopped {
            self.stops = self.stops.wrapping_add(1);
        }
        self.note_change();
    }

    /// The next attempt to connect comes later.
    pub(super) fn rest(&mut self) {
        self.is_in_order = true;
        self.enter(Phase::Resting);
    }

    pub(super) fn note_change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
        self.watchers.wake();
    }

    pub(super) fn start(&mut self) {
        if !self.is_wanted {
            (self.timeline, self.lateness) = (Timeline::default(), Lateness::default());
        }
        self.is_wanted = true;
        self.runner.wake();
    }

    pub(super) fn stop(&mut self) {
        if self.is_wanted {
            self.is_wanted = false;
            self.stop_by = later(clock(), self.config.stop_timeout);
            self.runner.wake();
        }
    }

    /// The tracks that are sent from now on.
    pub(super) fn set_tracks(&mut self, tracks: Tracks) {
        self.tracks = tracks;
        self.announce();
    }

    /// All headers are to be sent again.
    fn announce(&mut self) {
        self.is_header_orphan = self.header.is_some();
        self.due = [true; 3];
        self.runner.wake();
    }

    /// The server takes frames now.
    pub(super) fn begin(&mut self) {
        self.counters.connections = self.counters.connections.wrapping_add(1);
        (self.header, self.is_header_orphan, self.due) = (None, false, [true; 3]);
        self.goodput = Goodput::new();
        self.lose_video();
        self.enter(Phase::Live);
    }

    /// The server does not accept frames any longer.
    pub(super) fn finish(&mut self, phase: Phase) {
        for me in [AUDIO, VIDEO] {
            self.end(me, DropReason::Offline);
        }
        self.enter(phase);
    }

    /// The connection is gone, and with it what was half sent.
    pub(super) fn forget(&mut self) {
        for slot in &mut self.slots {
            (slot.open, slot.is_orphan) = (None, false);
        }
        self.header = None;
    }

    /// Video goes on with a keyframe.
    fn lose_video(&mut self) {
        self.policy.await_keyframe();
        self.want_keyframe();
    }

    fn want_keyframe(&mut self) {
        self.is_keyframe_wanted = true;
        self.watchers.wake();
    }

    fn tally(&mut self, me: usize) -> &mut Tally {
        if me == AUDIO { &mut self.counters.audio } else { &mut self.counters.video }
    }

    fn count_dropped(&mut self, me: usize) {
        let tally = self.tally(me);
        tally.dropped = tally.dropped.wrapping_add(1);
    }

    fn slot(&mut self, me: usize) -> &mut Slot {
        let [audio, video] = &mut self.slots;
        if me == AUDIO { audio } else { video }
    }

    /// Takes back a message that was begun, if none of its bytes is out.
    fn take_back(&mut self, me: usize) {
        if let Some(open) = self.slot(me).open
            && self.connection.client.cancel_media(open.csid)
        {
            self.slot(me).open = None;
        }
    }

    /// Ends the send that owns a slot. The message, if it is open, is left to the runner.
    fn end(&mut self, me: usize, why: DropReason) {
        if !self.slot(me).is_owned {
            return;
        }
        self.take_back(me);
        let slot = self.slot(me);
        (slot.ended, slot.is_orphan) = (why, slot.open.is_some());
        if me == VIDEO && (slot.is_orphan || slot.class != FrameClass::Disposable) {
            self.lose_video();
        }
        self.count_dropped(me);
        self.slot(me).waker.wake();
        self.release(me);
    }

    /// The future of a send is gone. If nothing was out, the send has not happened.
    pub(super) fn abandon(&mut self, me: usize, ticket: u32) {
        let slot = self.slot(me);
        if !slot.is_owned || slot.ticket != ticket {
            return;
        }
        self.take_back(me);
        if self.slot(me).open.is_some() {
            return self.end(me, DropReason::Late);
        }
        if self.slot(me).awaited_keyframe {
            self.policy.await_keyframe();
        }
        self.release(me);
    }

    /// The slot is free for the next send.
    fn release(&mut self, me: usize) {
        let slot = self.slot(me);
        (slot.is_owned, slot.is_waiting, slot.is_starved) = (false, false, false);
        slot.ticket = slot.ticket.wrapping_add(1);
        self.wake_others(me);
    }

    /// Wakes those that may have waited for a sender to give way.
    fn wake_others(&mut self, me: usize) {
        let other = self.slot(1 - me);
        if other.is_waiting {
            other.waker.wake();
        }
        if !self.is_wanted || self.has_headers() || self.slots.iter().any(|slot| slot.is_orphan) {
            self.runner.wake();
        }
    }

    fn has_headers(&self) -> bool {
        self.header.is_some() || self.due.contains(&true)
    }

    /// Accepts a send, whose ticket it returns.
    fn claim(&mut self, me: usize, message: &mut Message<'_>) -> Result<u32, DropReason> {
        let (now, class) = (clock(), message.class());
        let awaited_keyframe = self.policy.awaits_keyframe();
        let (timestamp, length) = match self.admit(me, class, message, now) {
            Ok(admitted) => admitted,
            Err(why) => {
                self.count_dropped(me);
                // A keyframe that was dropped is asked for again; others once.
                let is_needed = class == FrameClass::Keyframe || (class == FrameClass::Inter && !awaited_keyframe);
                if is_needed && self.phase == Phase::Live {
                    self.lose_video();
                }
                return Err(why);
            }
        };
        let deadline = later(now, self.config.send_timeout);
        let slot = self.slot(me);
        (slot.is_owned, slot.class, slot.awaited_keyframe) = (true, class, awaited_keyframe);
        (slot.deadline, slot.timestamp, slot.length) = (deadline, timestamp, length);
        Ok(slot.ticket)
    }

    fn admit(
        &mut self,
        me: usize,
        class: FrameClass,
        message: &mut Message<'_>,
        now: Instant,
    ) -> Result<(Timestamp, u32), DropReason> {
        if self.phase != Phase::Live || !self.is_wanted {
            return Err(DropReason::Offline);
        }
        if self.slot(me).is_owned {
            return Err(DropReason::Busy);
        }
        if let Content::Picture(picture) = &message.content
            && self.tracks.has_video()
            && self.tracks.take_in_band(picture.units)
        {
            self.announce();
        }
        if !message.make_header(&self.tracks) {
            return Err(DropReason::NoTrack);
        }
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        if length > MAX_MESSAGE_LENGTH {
            return Err(DropReason::TooLarge);
        }
        let millis = now.as_millis() as u32;
        let may_continue = class == FrameClass::Keyframe || (me == AUDIO && !self.tracks.has_video());
        let Some(timestamp) = self.timeline.place(me, message.time(), may_continue, millis) else {
            return Err(DropReason::Late);
        };
        self.late = self.lateness.of(timestamp, millis);
        if self.policy.admit(class, self.late) { Ok((timestamp, length)) } else { Err(DropReason::Late) }
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
        if !slot.is_owned || slot.ticket != mine {
            return Poll::Ready(SendOutcome::Dropped(slot.ended));
        }
        let mut has_moved = false;
        loop {
            let turn = self.turn(me);
            if let Turn::Now(limit) = turn {
                let took_input = self.connection.client.wants_input();
                match self.put(me, message, limit) {
                    Ok(Progress::Done) => {
                        self.sent(me);
                        return Poll::Ready(SendOutcome::Sent);
                    }
                    Ok(Progress::Some) => {
                        has_moved = true;
                        if !took_input && self.connection.client.wants_input() {
                            // What the session had to send first is out, and it can read on.
                            self.runner.wake();
                        }
                        continue;
                    }
                    Ok(Progress::None) => {}
                    Err(_) => {
                        // The server has ended the stream; the runner learns of it by itself.
                        self.end(me, DropReason::Offline);
                        return Poll::Ready(SendOutcome::Dropped(DropReason::Offline));
                    }
                }
            }
            let is_starved = !matches!(turn, Turn::Later);
            let slot = self.slot(me);
            slot.waker.register(cx.waker());
            let was_starved = core::mem::replace(&mut slot.is_starved, is_starved);
            slot.is_waiting = true;
            if is_starved && !was_starved {
                self.runner.wake();
            }
            if has_moved && !is_starved {
                // The end of a chunk: another one may have waited for it.
                self.wake_others(me);
            }
            return Poll::Pending;
        }
    }

    /// The last byte of a slot's message is out.
    fn sent(&mut self, me: usize) {
        let length = self.slot(me).length;
        self.slot(me).open = None;
        let tally = self.tally(me);
        tally.sent = tally.sent.wrapping_add(1);
        self.counters.bytes = self.counters.bytes.wrapping_add(length.into());
        if self.slot(me).class == FrameClass::Keyframe {
            self.is_keyframe_wanted = false;
        }
        self.slot(me).awaited_keyframe = false;
        self.measure();
        self.release(me);
    }

    /// What arrives at the peer.
    fn measure(&mut self) {
        let transport = &self.connection.transport;
        let sent = transport.traffic().sent;
        let acknowledged = transport.unacknowledged().map(|bytes| sent.wrapping_sub(bytes as u32));
        self.goodput.update(clock(), sent, acknowledged.or(self.connection.client.acknowledged()));
    }

    fn turn(&mut self, me: usize) -> Turn {
        let room = |shared: &Self| if shared.connection.transport.has_room() { Turn::Later } else { Turn::WhenRoom };
        if self.slot(me).is_orphan {
            return Turn::Later;
        }
        if self.slot(me).open.is_none() && !self.put_headers() {
            return room(self);
        }
        let gives_way = me == VIDEO && self.slot(AUDIO).is_waiting && !self.has_headers();
        let limit = match (self.connection.client.open_chunk(), self.slot(me).open) {
            (Some((csid, left)), Some(open)) if csid == open.csid => {
                if gives_way {
                    left as usize
                } else {
                    usize::MAX
                }
            }
            (Some(_), _) => return Turn::Later,
            (None, _) if gives_way => return Turn::Later,
            (None, _) => usize::MAX,
        };
        if self.connection.transport.has_room() { Turn::Now(limit) } else { Turn::WhenRoom }
    }

    /// Writes a part of a slot's message.
    fn put(&mut self, me: usize, message: &Message<'_>, limit: usize) -> Result<Progress, RequestError> {
        if self.slot(me).open.is_none() {
            let slot = self.slot(me);
            let (at, length) = (slot.timestamp, slot.length);
            let kind = if me == AUDIO { MessageKind::AUDIO } else { MessageKind::VIDEO };
            let client = &mut self.connection.client;
            let stream = client.publishing().ok_or(RequestError::State)?;
            let csid = client.begin_media(kind, stream, at, length)?;
            self.slot(me).open = Some(Open { csid, taken: 0 });
        }
        let [audio, video] = &mut self.slots;
        let slot = if me == AUDIO { audio } else { video };
        let Some(open) = &mut slot.open else { return Ok(Progress::Done) };
        let progress = write(&mut self.connection, open, slot.length, limit, &mut |at, client, csid, limit, room| {
            let mut length = [0; 4];
            let part = message.part(at, &mut length);
            let progress = client.poll_media(csid, part.get(..limit).unwrap_or(part), room);
            (progress.taken, progress.written)
        });
        Ok(progress)
    }

    /// Sends the headers that are due. Returns whether all are out.
    pub(super) fn put_headers(&mut self) -> bool {
        for header in Header::ALL {
            while self.header.is_some() || self.due.get(header as usize) == Some(&true) {
                if !self.put_header(header) {
                    return false;
                }
            }
        }
        true
    }

    /// Sends some of a header; false if that is not possible now.
    fn put_header(&mut self, header: Header) -> bool {
        let mut buffer = HEADER_BUFFER;
        let is_due = self.due.get_mut(header as usize);
        let payload = self.tracks.header(header, &mut buffer).unwrap_or_default();
        let kind = header.kind();
        let client = &mut self.connection.client;
        let open = match self.header {
            Some(open) => open,
            None => {
                let Some(is_due) = is_due else { return true };
                if payload.is_empty() {
                    *is_due = false;
                    return true;
                }
                let slot = if kind == MessageKind::AUDIO { AUDIO } else { VIDEO };
                let is_taken =
                    kind != MessageKind::DATA && self.slots.get(slot).is_some_and(|slot| slot.open.is_some());
                if is_taken || client.open_chunk().is_some() || !self.connection.transport.has_room() {
                    return false;
                }
                let client = &mut self.connection.client;
                let Some(stream) = client.publishing() else { return false };
                let Ok(csid) = client.begin_media(kind, stream, self.timeline.position(), payload.len() as u32) else {
                    return false;
                };
                Open { csid, taken: 0 }
            }
        };
        let mut open = open;
        let left = self.connection.client.media_left(open.csid).unwrap_or(0);
        let length = open.taken as u32 + left;
        let is_orphan = self.is_header_orphan;
        let progress =
            write(&mut self.connection, &mut open, length, usize::MAX, &mut |at, client, csid, limit, room| {
                if is_orphan {
                    return complete(client, csid, limit, room);
                }
                let progress = client.poll_media(csid, payload.get(at..).unwrap_or_default(), room);
                (progress.taken, progress.written)
            });
        self.header = Some(open);
        match progress {
            Progress::Done => {
                self.header = None;
                if !core::mem::take(&mut self.is_header_orphan)
                    && let Some(is_due) = self.due.get_mut(header as usize)
                {
                    *is_due = false;
                }
                true
            }
            Progress::Some => true,
            Progress::None => false,
        }
    }

    /// Completes the messages without an owner, as far as there is room.
    fn complete_orphans(&mut self) {
        for me in [AUDIO, VIDEO] {
            while self.slot(me).is_orphan && self.connection.transport.has_room() {
                let Some(mut open) = self.slot(me).open else { break };
                let gives_way = me == VIDEO && self.slot(AUDIO).is_waiting;
                let limit = match self.connection.client.open_chunk() {
                    Some((csid, left)) if csid == open.csid && gives_way => left as usize,
                    Some((csid, _)) if csid == open.csid => usize::MAX,
                    None if !gives_way => usize::MAX,
                    _ => break,
                };
                let length = self.slot(me).length;
                let give =
                    &mut |_, client: &mut Client, csid, limit, room: &mut [u8]| complete(client, csid, limit, room);
                let progress = write(&mut self.connection, &mut open, length, limit, give);
                let slot = self.slot(me);
                slot.open = Some(open);
                match progress {
                    Progress::None => break,
                    Progress::Some => {}
                    Progress::Done => {
                        (slot.open, slot.is_orphan) = (None, false);
                        if slot.is_waiting {
                            slot.waker.wake();
                        }
                    }
                }
                // The end of a chunk, or of the message: audio may go on.
                self.wake_others(me);
            }
        }
    }

    /// The runner's part while the stream is live. Ready when the connection is over or the stream is to be ended.
    #[inline(never)]
    pub(super) fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = clock();
        for me in [AUDIO, VIDEO] {
            let is_wanted = self.is_wanted;
            let slot = self.slot(me);
            if now >= slot.deadline {
                self.end(me, DropReason::Late);
            } else if !is_wanted && slot.open.is_none() {
                self.end(me, DropReason::Offline);
            }
        }
        loop {
            if self.connection.advance(cx).is_err() {
                return Poll::Ready(());
            }
            let before = self.connection.transport.traffic().sent;
            if self.has_headers() && self.put_headers() {
                self.slots.iter().filter(|slot| slot.is_waiting).for_each(|slot| slot.waker.wake());
            }
            self.complete_orphans();
            if self.connection.transport.traffic().sent == before {
                break;
            }
        }
        self.measure();
        if self.connection.transport.has_room() {
            for slot in self.slots.iter_mut().filter(|slot| slot.is_starved) {
                slot.is_starved = false;
                slot.waker.wake();
            }
        }
        if !self.is_wanted && (self.is_settled() || has_passed(self.stop_by, cx)) {
            return Poll::Ready(());
        }
        for slot in self.slots.iter().filter(|slot| slot.is_owned) {
            wake_at(slot.deadline, cx);
        }
        Poll::Pending
    }

    /// Whether no message is half sent.
    pub(super) fn is_settled(&self) -> bool {
        self.header.is_none() && self.slots.iter().all(|slot| slot.open.is_none())
    }
}

enum Progress {
    None,
    Some,
    Done,
}

type Client = embedded_rtmp::session::Client<'static, 8>;
/// Gives the session a part of a payload: from an offset on, at most so many bytes, into this room. Returns how much it took
/// and how much it filled.
type Give<'g> = dyn FnMut(usize, &mut Client, ChunkStreamId, usize, &mut [u8]) -> (usize, usize) + 'g;

/// Gives zeros.
fn complete(client: &mut Client, csid: ChunkStreamId, limit: usize, room: &mut [u8]) -> (usize, usize) {
    let length = room.len().min(limit);
    let written = client.complete_media(csid, room.get_mut(..length).unwrap_or_default());
    (written, written)
}

/// Writes at most `limit` bytes of an open message into the transport. Call it only if there is room.
fn write<T: Transport>(
    connection: &mut Connection<'static, 8, 0, T>,
    open: &mut Open,
    length: u32,
    mut limit: usize,
    give: &mut Give<'_>,
) -> Progress {
    let Connection { client, transport, .. } = connection;
    let csid = open.csid;
    let at_hand = limit.min((length as usize).saturating_sub(open.taken));
    transport.announce(&mut || client.media_len(csid, at_hand));
    let mut written = 0_usize;
    let _ = transport.poll_write(&mut Context::from_waker(Waker::noop()), &mut |room| {
        loop {
            let (taken, more) = give(open.taken, client, csid, limit, room.get_mut(written..).unwrap_or_default());
            open.taken = open.taken.saturating_add(taken);
            limit = limit.saturating_sub(taken);
            written = written.saturating_add(more);
            if taken == 0 || limit == 0 || written == room.len() {
                return written;
            }
        }
    });
    match (client.media_left(csid), written) {
        (None, _) => Progress::Done,
        (Some(_), 0) => Progress::None,
        (Some(_), _) => Progress::Some,
    }
}
