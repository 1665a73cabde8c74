//! The state that the runner and the handles share. It changes only in synchronous calls, so that every future can be dropped.

use core::task::{Context, Poll};

use embassy_time::Duration;
#[cfg(feature = "auth")]
use embedded_rtmp::auth::AuthError;
use embedded_rtmp::port_plan::{Limits, Target};
use embedded_rtmp::pressure::{DropLimits, DropPolicy, Goodput};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

use super::retry::{Outage, Retry};
#[cfg(feature = "thumbnail")]
use super::second::SecondTrack;
#[cfg(feature = "thumbnail")]
use super::slot::THUMBNAIL;
use super::slot::{AUDIO, By, SLOTS, Slot, VIDEO};
use super::status::{Counters, Phase, Status};
use super::timeline::{Lateness, Timeline};
use super::tracks::Tracks;
use super::{Config, DropReason};
use crate::client::ClientOptions;
use crate::client::connection::Connection;
#[cfg(feature = "redirect")]
use crate::client::redirect::Address;
use crate::clock::{clock, later};
use crate::error::Error;
use crate::fmt::info;
#[cfg(feature = "rtmps")]
use crate::transport::tls::error::TlsError;
use crate::transport::{Net, Transport};
use crate::wakers::{TaskWaker, Watchers};

/// The incoming chunk streams for which there is memory besides the one that is being read. Servers send control messages and
/// commands to a publisher, on two or three chunk streams.
const CHUNK_STREAMS: usize = 4;

/// The headers of all slots.
pub(super) const ALL: u8 = (1 << SLOTS) - 1;

/// Limits with which no message is too late.
const PATIENT: DropLimits = DropLimits { disposable: u32::MAX, video: u32::MAX, audio: u32::MAX };

// The fields that are used most come first, where short load and store instructions reach them.
#[repr(C)]
pub(super) struct Shared<T = Net<'static>> {
    /// The slots whose headers are to be sent before any other message: bit n is for slot n.
    pub(super) headers_due: u8,
    /// Whether the stream is to be published.
    pub(super) is_wanted: bool,
    pub(super) is_keyframe_wanted: bool,
    /// Whether the connection ends because the server has asked us to connect again.
    #[cfg(feature = "redirect")]
    pub(super) is_moving: bool,
    /// Whether the last connection was closed in good order.
    pub(super) is_in_order: bool,
    phase: Phase,
    pub(super) runner: TaskWaker,
    /// The slots of audio, video and metadata.
    pub(super) slots: [Slot; SLOTS],
    pub(super) timeline: Timeline,
    /// The lateness of audio and of video.
    pub(super) lateness: [Lateness; 2],
    /// How long messages have waited for the connection in total, in milliseconds, modulo 2³².
    pub(super) waited: u32,
    /// How late the last message was, in milliseconds.
    pub(super) late: u32,
    pub(super) policy: DropPolicy,
    pub(super) counters: Counters,
    pub(super) watchers: Watchers,
    /// The number of changes of the status that [`Live::changed`](super::Live::changed) returns.
    pub(super) changes: u32,
    /// How often the runner has stopped.
    pub(super) stops: u32,
    /// When a stop must be over.
    pub(super) stop_by: Instant,
    pub(super) goodput: Goodput,
    /// The bytes that the server has taken, modulo 2³².
    pub(super) taken: u32,
    /// When the server last took bytes, or when no bytes waited to be sent.
    pub(super) taken_at: Instant,
    pub(super) tracks: Tracks,
    #[cfg(feature = "thumbnail")]
    pub(super) second: SecondTrack,
    pub(super) outage: Outage,
    pub(super) connection: Connection<'static, CHUNK_STREAMS, 0, T>,
    pub(super) last_error: Option<Error>,
    /// The fields of the [`Config`] that are needed after the start.
    pub(super) url: &'static str,
    pub(super) client: &'static ClientOptions<'static>,
    pub(super) ports: &'static [Target],
    pub(super) limits: &'static Limits,
    retry: Retry,
    pub(super) send_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) stop_timeout: Duration,
}

impl<T: Transport> Shared<T> {
    #[inline(always)]
    pub(super) fn new(connection: Connection<'static, CHUNK_STREAMS, 0, T>, config: Config) -> Self {
        let Config {
            url,
            client,
            ports,
            limits,
            retry,
            drop_limits,
            send_timeout,
            stall_timeout,
            stop_timeout,
            starts,
        } = config;
        let drop_limits = drop_limits.unwrap_or(PATIENT);
        // What is zero at first comes one after another, because the compiler then clears it in one go.
        Self {
            slots: const { [const { Slot::NONE }; SLOTS] },
            headers_due: 0,
            is_keyframe_wanted: false,
            #[cfg(feature = "redirect")]
            is_moving: false,
            phase: Phase::Stopped,
            runner: TaskWaker::NONE,
            timeline: const { Timeline::NEW },
            lateness: const { [const { Lateness::NEW }; 2] },
            waited: 0,
            late: 0,
            counters: const { Counters::NONE },
            watchers: const { Watchers::NONE },
            changes: 0,
            stops: 0,
            stop_by: Instant::from_micros(0),
            goodput: const { Goodput::new() },
            taken: 0,
            taken_at: Instant::from_micros(0),
            tracks: const { Tracks::NONE },
            outage: const { Outage::NONE },
            last_error: None,
            is_in_order: true,
            is_wanted: starts,
            policy: DropPolicy::new(drop_limits),
            #[cfg(feature = "thumbnail")]
            second: SecondTrack::new(drop_limits),
            connection,
            url,
            client,
            ports,
            limits,
            retry,
            send_timeout,
            stall_timeout: stall_timeout.unwrap_or(Duration::MAX),
            stop_timeout,
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            phase: self.phase,
            port: self.connection.attempt.id.map(|_| self.connection.attempt.target),
            #[cfg(feature = "enhanced")]
            is_legacy: self.connection.offering.is_legacy(),
            last_error: self.last_error,
            bit_rate: self.goodput.bytes_per_second().map(|rate| rate.saturating_mul(8)),
            lateness: Duration::from_millis(self.late.into()),
            counters: self.counters,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        if phase == Phase::Stopped {
            self.stops = self.stops.wrapping_add(1);
        }
        self.note_change();
    }

    /// Records that an outage begins. Returns the URL, or `None` if it cannot work.
    pub(super) fn begin_outage(&mut self, now: Instant) -> Option<Url<'static>> {
        self.outage = Outage::new(now, &self.retry);
        #[cfg(feature = "redirect")]
        {
            self.connection.redirect.forget();
        }
        Url::parse(self.url).map_err(|error| self.give_up(error.into())).ok()
    }

    /// Returns when the next attempt to connect begins. If the time for attempts is over, or if the next attempt would fail
    /// in the same way, the stream is not wanted any longer. `random` is 32 random bits.
    pub(super) fn rest(&mut self, now: Instant, random: u32) -> Instant {
        let Some(error) = &self.last_error else { return now };
        // An error at a server to which another one has sent us says nothing about the first one.
        #[cfg(feature = "redirect")]
        let is_followed = self.connection.redirect.is_followed;
        #[cfg(not(feature = "redirect"))]
        let is_followed = false;
        let wait = self.outage.next(now, &self.retry, random).filter(|_| is_followed || may_pass(error));
        let Some(wait) = wait else {
            info!("given up: {}", error);
            self.is_wanted = false;
            return now;
        };
        info!("off the air: {}; again in {} ms", error, wait.as_millis());
        self.is_in_order = true;
        self.enter(Phase::Resting);
        later(now, wait)
    }

    /// Returns whether the next attempt begins at once, because the server has sent us to another one. `current` is the
    /// application of the last attempt.
    #[cfg(feature = "redirect")]
    pub(super) fn is_sent_elsewhere(&mut self, first: &Url<'_>, current: Option<&Address>) -> bool {
        if self.outage.conclude(clock(), &self.retry) {
            self.connection.redirect.note_lasted();
        }
        let resolved = self.connection.redirect.resolve(first, current);
        if let Err(error) = resolved {
            self.last_error = Some(Error::Redirect(error));
        }
        resolved == Ok(true)
    }

    /// The configuration cannot work.
    pub(super) fn give_up(&mut self, error: Error) {
        info!("given up: {}", error);
        (self.last_error, self.is_wanted) = (Some(error), false);
    }

    pub(super) fn note_change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
        self.watchers.wake();
    }

    pub(super) fn start(&mut self) {
        if !self.is_wanted {
            (self.timeline, self.lateness) = (Timeline::NEW, [const { Lateness::NEW }; 2]);
            #[cfg(feature = "thumbnail")]
            {
                self.second.lateness = Lateness::NEW;
            }
        }
        self.is_wanted = true;
        self.runner.wake();
    }

    pub(super) fn stop(&mut self) {
        if self.is_wanted {
            self.is_wanted = false;
            self.stop_by = later(clock(), self.stop_timeout);
            self.runner.wake();
        }
    }

    /// Sets the tracks that are sent from now on.
    pub(super) fn set_tracks(&mut self, tracks: Tracks) {
        self.tracks = tracks;
        self.announce(ALL);
    }

    /// The headers of these slots are to be sent, or sent again: bit n is for slot n. Those that are due already are among
    /// them.
    pub(super) fn announce(&mut self, slots: u8) {
        self.headers_due = slots;
        for slot in &mut self.slots {
            if let Some(open) = slot.open.as_mut().filter(|open| open.by == By::Header) {
                open.by = By::Nobody;
            }
        }
        self.runner.wake();
    }

    /// The server takes frames now.
    pub(super) fn begin(&mut self) {
        self.counters.connections = self.counters.connections.wrapping_add(1);
        self.goodput = Goodput::new();
        self.taken_at = clock();
        self.outage.interrupt(self.taken_at, &self.retry);
        self.announce(ALL);
        self.lose_video(VIDEO);
        #[cfg(feature = "thumbnail")]
        self.lose_video(THUMBNAIL);
        self.enter(Phase::Live);
    }

    /// Begins to end the connection: the server does not accept frames any longer, and what was half sent is lost. Returns
    /// whether that is because the stream was stopped.
    pub(super) fn begin_end(&mut self) -> bool {
        let is_stopped = self.is_leaving() && self.connection.failed.is_none();
        if is_stopped && !self.is_settled() {
            self.connection.end(Error::Unfinished);
        }
        for me in AUDIO..=VIDEO {
            self.end(me, DropReason::Offline);
        }
        self.slots.iter_mut().for_each(|slot| slot.open = None);
        self.enter(if is_stopped { Phase::Stopping } else { self.phase });
        self.connection.close();
        is_stopped
    }

    /// The connection has ended. Returns whether the stream is still wanted; the error is then stored.
    pub(super) fn finish_end(&mut self) -> bool {
        self.is_in_order = self.connection.failed.is_none();
        #[cfg(feature = "redirect")]
        if core::mem::take(&mut self.is_moving) && self.is_in_order {
            return self.is_wanted;
        }
        if self.is_wanted {
            self.connection.end(Error::Closed);
            self.last_error = self.connection.failed;
        }
        self.connection.failed = None;
        self.is_wanted
    }

    /// Drops the video of a slot until its next keyframe, and requests one.
    pub(super) fn lose_video(&mut self, me: usize) {
        self.policy(me).await_keyframe();
        *self.is_keyframe_wanted(me) = true;
        self.watchers.wake();
    }

    /// Takes the request for a keyframe of a slot's track, or waits for one.
    pub(super) fn poll_keyframe_wanted(&mut self, me: usize, cx: &mut Context<'_>) -> Poll<()> {
        if !core::mem::take(self.is_keyframe_wanted(me)) {
            self.watchers.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    pub(super) fn is_keyframe_wanted(&mut self, me: usize) -> &mut bool {
        match me {
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => &mut self.second.is_keyframe_wanted,
            _ => &mut self.is_keyframe_wanted,
        }
    }

    /// The policy that drops frames of a slot.
    pub(super) fn policy(&mut self, me: usize) -> &mut DropPolicy {
        match me {
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => &mut self.second.policy,
            _ => &mut self.policy,
        }
    }

    /// The tracks that contain that of a slot.
    pub(super) fn tracks(&mut self, me: usize) -> &mut Tracks {
        match me {
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => &mut self.second.tracks,
            _ => &mut self.tracks,
        }
    }

    /// Returns whether the runner ends the connection in good order: the stream is stopped, or the server has asked us to
    /// connect again.
    #[inline(always)]
    pub(super) fn is_leaving(&self) -> bool {
        #[cfg(feature = "redirect")]
        if self.is_moving {
            return true;
        }
        !self.is_wanted
    }

    /// Returns whether no message is half sent.
    pub(super) fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| slot.open.is_none())
    }
}

/// Whether trying again may help.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Url(_) | Error::Plan(_) | Error::Config(_) | Error::Request(_) => false,
        Error::Unfinished | Error::TooSlow => false,
        Error::Resolve(_) | Error::NoNetwork | Error::Exhausted | Error::Refused(_) => true,
        #[cfg(feature = "redirect")]
        Error::Redirect(_) => true,
        // A server may also answer this because of too many wrong passwords from the address.
        #[cfg(feature = "auth")]
        Error::Auth(error) => *error == AuthError::Rejected,
        #[cfg(feature = "enhanced")]
        Error::LegacyServer(_) => false,
        Error::Lost | Error::Stalled | Error::Closed | Error::Crowded | Error::Session(_) => true,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(_) => true,
        #[cfg(feature = "rtmps")]
        Error::Tls(TlsError::Buffers | TlsError::Name) => false,
        #[cfg(feature = "rtmps")]
        Error::Tls(_) => true,
        #[cfg(feature = "admin")]
        Error::ClosedByAdministrator => true,
    }
}
