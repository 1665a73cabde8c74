//! Streams of the device itself, which reach the relay without a session and without a socket.
//!
//! ```text
//!  camera task ──► LocalPublisher ──► Ring ◄──────────────► the server, while it polls its sessions
//!                        ▲             └ lent by the server from one turn to the next
//!  encoder ◄── keyframe_wanted ◄── a player waits for a keyframe
//! ```

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll};

use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{
    Counts, PeerId, PublishAnswer, Publisher, RelayConfig, RelayRejection, Ring, StreamBuffers, StreamName,
};
use embedded_rtmp::time::Instant;

use crate::clock::{clock, later};
use crate::fmt::{impl_format, info};
use crate::live::source::Source;
use crate::live::{DropReason, Picture, SendOutcome, Tracks};
use crate::server::relay::{Order, Relay};
use crate::wakers::{TaskWaker, Watchers};

/// After the encoder was told that a keyframe is wanted, it is told again no sooner than this.
const WISH_INTERVAL: embassy_time::Duration = embassy_time::Duration::from_secs(1);

/// Publishes the device's own stream through its own [`Server`](crate::Server), without a connection: see
/// [`Server::with_local`](crate::Server::with_local). Players get it as they get every other stream.
///
/// A frame is copied once, into the ring of the stream. The publisher never waits for a player. The times and the tracks
/// are those of [`Live`](crate::Live), and both can be used at the same time: a [`Picture`] can be copied.
///
/// The methods take `&self`, so several tasks can share one publisher. They and the server run on the same executor.
///
/// ```no_run
/// use embedded_rtmp_embassy::{Handler, Live, LocalPublisher, Picture, Server, Tracks};
/// use static_cell::StaticCell;
///
/// type Camera = LocalPublisher<'static>;
///
/// async fn serve(server: Server<'static, 5, 1, 4>, handler: &mut dyn Handler) {
///     static LOCAL: StaticCell<[Camera; 1]> = StaticCell::new();
///     let local: &'static [Camera; 1] = LOCAL.init([LocalPublisher::new("live/camera")]);
///     local[0].set_tracks(Tracks::h264_in_band());
///     spawn(video_task(&local[0]));
///     server.with_local(local).run(handler).await;
/// }
///
/// async fn video_task(local: &'static Camera) -> ! {
///     let mut encoder = Encoder;
///     loop {
///         let (pts, is_key, units) = encoder.picture().await; // with `select` also `local.keyframe_wanted()`
///         local.video(Picture::new(pts, pts, is_key, units));
///     }
/// }
///
/// /// The same to a remote server too.
/// async fn send(local: &Camera, live: &Live, picture: Picture<'_>) {
///     local.video(picture);
///     live.video().send(picture).await;
/// }
/// # struct Encoder;
/// # impl Encoder { async fn picture(&mut self) -> (u64, bool, &[&[u8]]) { (0, true, &[]) } }
/// # fn spawn<T>(_: impl Future<Output = T>) {}
/// ```
pub struct LocalPublisher<'a> {
    name: &'a str,
    state: RefCell<State<'a>>,
}

impl_format!(
    Debug, ['a] LocalPublisher<'a>, this => "LocalPublisher {{ is_published: {} }}", this.is_published()
);

struct State<'a> {
    source: Source,
    /// The place of the ring in the server's table, and the ring. The server lends it from one turn to the next while the
    /// stream is published.
    ring: Option<(usize, Ring<'a>)>,
    phase: Phase,
    is_wanted: bool,
    /// A frame was pushed since the server's last turn, and this number of bytes of payload.
    was_heard: bool,
    bytes: usize,
    wish: Wish,
    /// The task of the server.
    server: TaskWaker,
    /// The tasks that wait for the wish for a keyframe.
    watchers: Watchers,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// It waits until the publisher of the same name answers, or does not answer.
    Waiting,
    Published,
    /// It was refused in favour of another publisher, or another one has replaced it. It waits until that one has left.
    Refused,
}

/// The wish for a keyframe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    Pending,
    /// The application was told at this time.
    Told(Instant),
}

impl State<'_> {
    fn wish(&mut self, now: Instant) {
        match self.wish {
            Wish::Pending => return,
            Wish::Told(at) if now < later(at, WISH_INTERVAL) => return,
            Wish::None | Wish::Told(_) => self.wish = Wish::Pending,
        }
        self.watchers.wake();
    }
}

impl<'a> LocalPublisher<'a> {
    /// Creates a publisher of the stream `name`, such as `live/camera`: the application and the key, as in a URL. It
    /// publishes as soon as a server runs that has it. [`Self::stop`] before that changes it.
    pub const fn new(name: &'a str) -> Self {
        Self {
            name,
            state: RefCell::new(State {
                source: Source::NEW,
                ring: None,
                phase: Phase::Idle,
                is_wanted: true,
                was_heard: false,
                bytes: 0,
                wish: Wish::None,
                server: TaskWaker::NONE,
                watchers: Watchers::NONE,
            }),
        }
    }

    /// Sets the tracks of the stream. Before the first call nothing is published. The metadata and the sequence headers go
    /// before the next frame.
    pub fn set_tracks(&self, tracks: Tracks) {
        self.state.borrow_mut().source.set_tracks(tracks);
    }

    /// Publishes a picture. It is dropped as [`DropReason::Offline`] while the stream is not [published](Self::is_published),
    /// and as [`DropReason::TooLarge`] if the ring of the stream is too small for it
    /// ([`Server::relay_counts`](crate::Server::relay_counts) counts that).
    pub fn video(&self, picture: Picture<'_>) -> SendOutcome {
        let bytes = picture.units.iter().fold(0, |sum: usize, unit| sum.saturating_add(unit.len()));
        let outcome = self.push(bytes, |source, ring, now| source.picture(ring, now, picture));
        let mut state = self.state.borrow_mut();
        match outcome {
            SendOutcome::Sent if picture.is_key => state.wish = Wish::None,
            SendOutcome::Dropped(DropReason::TooLarge | DropReason::Late) => state.wish(clock()),
            _ => {}
        }
        outcome
    }

    /// Publishes an audio frame: see [`Audio::send`](crate::Audio::send). Otherwise the same as [`Self::video`].
    pub fn audio(&self, pts: u64, frame: &[u8]) -> SendOutcome {
        self.push(frame.len(), |source, ring, now| source.sound(ring, now, pts, frame))
    }

    fn push(
        &self,
        length: usize,
        push: impl FnOnce(&mut Source, &mut Ring<'a>, Instant) -> SendOutcome,
    ) -> SendOutcome {
        let State { source, ring, was_heard, bytes, server, .. } = &mut *self.state.borrow_mut();
        let Some((_, ring)) = ring else { return SendOutcome::Dropped(DropReason::Offline) };
        let outcome = push(source, ring, clock());
        if outcome == SendOutcome::Sent {
            (*was_heard, *bytes) = (true, bytes.saturating_add(length));
            server.wake();
        }
        outcome
    }

    /// Waits until the encoder should make a keyframe: a player waits for one, because it has joined or was too slow and the
    /// ring has no keyframe to begin with, or a picture was dropped that others need. It returns at most once a second while
    /// no keyframe is published. A request stays pending until one task has received it. The future can be dropped.
    pub async fn keyframe_wanted(&self) {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.wish != Wish::Pending {
                state.watchers.register(cx);
                return Poll::Pending;
            }
            state.wish = Wish::Told(clock());
            Poll::Ready(())
        })
        .await;
    }

    /// Whether the stream is published, so that frames reach the players. It is not before a server runs, after
    /// [`Self::stop`], if the server has no place for the stream, or while another client publishes a stream of this name. It
    /// is published again when that client has left.
    pub fn is_published(&self) -> bool {
        self.state.borrow().ring.is_some()
    }

    /// Publishes again after [`Self::stop`]. The timestamps begin at 0. Does nothing if the stream was not stopped.
    pub fn start(&self) {
        self.want(true);
    }

    /// Ends the publication. The server tells the players when it runs next.
    pub fn stop(&self) {
        self.want(false);
    }

    fn want(&self, is_wanted: bool) {
        let mut state = self.state.borrow_mut();
        state.is_wanted = is_wanted;
        state.server.wake();
    }

    /// A turn of the server begins: it gets the ring back.
    fn begin_turn(&self, relay: &mut Relay<'_, 'a>) {
        if let Some((place, ring)) = self.state.borrow_mut().ring.take() {
            relay.put_ring(place, ring);
        }
    }

    fn poll(&self, peer: PeerId, relay: &mut Relay<'_, 'a>, cx: &mut Context<'_>) {
        let mut state = self.state.borrow_mut();
        state.server.register(cx.waker());
        if core::mem::take(&mut state.was_heard) {
            relay.heard(peer);
            let bytes = core::mem::take(&mut state.bytes);
            relay.directory.published(publisher(peer)).into_iter().for_each(|stream| relay.count(stream, bytes));
        }
        while let Some((_, order)) = relay.take_order(peer) {
            match order {
                Order::Accept => state.phase = Phase::Published,
                Order::Reject | Order::Close => state.phase = Phase::Refused,
                // A publisher without a network is never silent.
                Order::Ping => relay.heard(peer),
            }
        }
        let name = StreamName::new(b"", self.name.as_bytes());
        match state.phase {
            Phase::Waiting | Phase::Published if !state.is_wanted => {
                relay.unpublish(peer, None);
                state.phase = Phase::Idle;
            }
            Phase::Refused if !relay.directory.has_publisher(name) => state.phase = Phase::Idle,
            _ => {}
        }
        if state.is_wanted && state.phase == Phase::Idle {
            state.phase = match relay.publish(publisher(peer), name) {
                Ok(PublishAnswer::Accept(_)) => Phase::Published,
                Ok(PublishAnswer::Wait) => Phase::Waiting,
                Err(RelayRejection::Taken) => Phase::Refused,
                // It tries again when the server runs next.
                Err(_) => Phase::Idle,
            };
            if state.phase != Phase::Idle {
                info!(
                    "local publisher {}: it {}",
                    peer.0.wrapping_sub(FIRST_PEER),
                    if state.phase == Phase::Published { "publishes" } else { "waits" }
                );
                state.source.restart();
            }
        }
        if state.source.has_video()
            && let Some(stream) = relay.directory.published(publisher(peer))
            && relay.directory.awaits_keyframe(stream)
        {
            state.wish(relay.now);
        }
    }

    /// A turn of the server is over: it lends the ring, if the stream is published.
    fn end_turn(&self, peer: PeerId, relay: &mut Relay<'_, 'a>) {
        let mut state = self.state.borrow_mut();
        if state.phase == Phase::Published {
            state.ring = relay.directory.published(publisher(peer)).and_then(|stream| {
                const NONE: RelayConfig = RelayConfig::new();
                let buffers = StreamBuffers { ring: &mut [], headers: &mut [], entries: &mut [] };
                Some((stream.get(), relay.put_ring(stream.get(), Ring::new(buffers, &NONE))?))
            });
        }
    }
}

/// The device's own publishers have numbers that no session has.
const FIRST_PEER: u32 = 256;

/// A local publisher has one publication.
const fn publisher(peer: PeerId) -> Publisher {
    Publisher { peer, stream: StreamId::CONNECTION }
}

/// The local publishers of a server, any number of them.
// A trait object, so that an image without local publishers does not contain their code.
pub(crate) trait Locals<'a> {
    /// The server gets the rings back.
    fn begin_turn(&self, relay: &mut Relay<'_, 'a>);

    /// Does everything that can be done now. Call it after the sessions were polled.
    fn poll(&self, relay: &mut Relay<'_, 'a>, cx: &mut Context<'_>);

    /// The server lends the rings.
    fn end_turn(&self, relay: &mut Relay<'_, 'a>);

    /// Ends all publications until the server runs again.
    fn shutdown(&self, relay: &mut Relay<'_, 'a>);

    /// Writes the counts of the rings that are lent.
    fn count(&self, counts: &mut [Counts]);
}

impl<'a, const N: usize> Locals<'a> for [LocalPublisher<'a>; N] {
    fn begin_turn(&self, relay: &mut Relay<'_, 'a>) {
        self.iter().for_each(|local| local.begin_turn(relay));
    }

    fn poll(&self, relay: &mut Relay<'_, 'a>, cx: &mut Context<'_>) {
        (FIRST_PEER..).zip(self).for_each(|(peer, local)| local.poll(PeerId(peer), relay, cx));
    }

    fn end_turn(&self, relay: &mut Relay<'_, 'a>) {
        (FIRST_PEER..).zip(self).for_each(|(peer, local)| local.end_turn(PeerId(peer), relay));
    }

    fn shutdown(&self, relay: &mut Relay<'_, 'a>) {
        for (peer, local) in (FIRST_PEER..).zip(self) {
            relay.unpublish(PeerId(peer), None);
            while relay.take_order(PeerId(peer)).is_some() {}
            local.state.borrow_mut().phase = Phase::Idle;
        }
    }

    fn count(&self, counts: &mut [Counts]) {
        for local in self {
            if let Some((place, ring)) = &local.state.borrow().ring
                && let Some(counts) = counts.get_mut(*place)
            {
                *counts = ring.counts();
            }
        }
    }
}
