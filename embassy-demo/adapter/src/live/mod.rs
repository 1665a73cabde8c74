//! A stream that stays live: a runner that keeps the connection, and handles for the tasks that send.
//!
//! ```text
//!   camera task ──► Video::send ─┐                       ┌──► the socket's send ring
//!   audio task ───► Audio::send ─┼──► Shared: session, ──┤
//!   button ───────► Live ────────┘    slots, status      └──◄ LiveRunner: connects, receives, keeps the time,
//!                                                             wakes the senders when there is room
//! ```

mod config;
#[cfg(feature = "enhanced")]
mod enhanced;
#[cfg(feature = "enhanced")]
mod enhanced_tracks;
mod format;
mod message;
mod over;
mod retry;
mod runner;
#[cfg(feature = "thumbnail")]
mod second;
mod sending;
mod shared;
mod slot;
#[cfg(feature = "server")]
pub(crate) mod source;
mod status;
#[cfg(feature = "thumbnail")]
mod thumbnail;
mod timeline;
mod tracks;

pub use config::Config;
pub use message::Picture;
pub use over::{StreamLive, StreamRunner, StreamState, over};
pub use retry::Retry;
pub use runner::LiveRunner;
pub use status::{Counters, Phase, Status, Tally};
#[cfg(feature = "thumbnail")]
pub use thumbnail::Thumbnail;
pub use tracks::{MAX_AAC_CONFIG, MAX_PARAMETER_SETS, Tracks};

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_net::Stack;
use embedded_rtmp::handshake;
use rand_core::CryptoRng;
use static_cell::{ConstStaticCell, StaticCell};

use self::message::{Content, Message};
use self::runner::OverNet;
use self::shared::Shared;
use self::slot::{AUDIO, VIDEO};
use crate::buffers::Memory;
use crate::client::connection::Connection;
use crate::fmt::impl_format;
use crate::transport::{Net, Transport};

/// All the memory of one stream, for a static. It is in `.bss`, and its buffers are never on a stack.
///
/// `RX` and `TX` are the sizes of TCP's receive and send rings in bytes. [`Memory`] says how large all of them should be.
///
/// ```
/// use embedded_rtmp_embassy::State;
///
/// static STATE: State<4096, 8192> = State::new();
/// ```
pub struct State<
    const RX: usize,
    const TX: usize,
    const SCRATCH: usize = { handshake::SCRATCH },
    const CONTROL: usize = 512,
    const GATHER: usize = 0,
> {
    memory: ConstStaticCell<Memory<RX, TX, SCRATCH, CONTROL, GATHER>>,
    /// Borrows the memory.
    shared: StaticCell<RefCell<Shared>>,
}

impl_format!(
    Debug,
    [
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const GATHER: usize
    ] State<RX, TX, SCRATCH, CONTROL, GATHER>,
    _ => "State<{}, {}, {}, {}, {}>", RX, TX, SCRATCH, CONTROL, GATHER
);

impl<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize>
    State<RX, TX, SCRATCH, CONTROL, GATHER>
{
    /// Memory for one stream. Sizes that cannot work do not compile.
    pub const fn new() -> Self {
        Self { memory: ConstStaticCell::new(Memory::new()), shared: StaticCell::new() }
    }
}

impl<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize> Default
    for State<RX, TX, SCRATCH, CONTROL, GATHER>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Creates a stream: its handle and its runner. The runner must run in a separate task on the executor of `stack`.
///
/// `rng` is the chip's random number generator. The runner takes 32 bytes from it for each attempt to connect, and 4 for
/// each pause.
///
/// An `rtmps` or `rtmpts` URL stops the runner with [`PlanError::Scheme`](embedded_rtmp::port_plan::PlanError::Scheme)
/// before anything is sent, because a verifier and memory for TLS are needed: use [`over`].
///
/// # Panics
/// If it is called twice with the same `state`, or if the stack has no socket left (`StackResources`).
pub fn new<
    R: CryptoRng,
    const RX: usize,
    const TX: usize,
    const SCRATCH: usize,
    const CONTROL: usize,
    const GATHER: usize,
>(
    stack: Stack<'static>,
    state: &'static State<RX, TX, SCRATCH, CONTROL, GATHER>,
    rng: R,
    config: Config,
) -> (Live, LiveRunner<R>) {
    let lent = state.memory.take().split();
    let shared: &'static RefCell<Shared> =
        state.shared.init_with(|| RefCell::new(Shared::new(Connection::idle_over_net(stack, lent), config)));
    (Live { shared, seen: 0 }, LiveRunner::new(OverNet { stack, good: None }, shared, rng))
}

/// The handle of a stream: [an example](crate#publishing). Clones are handles of the same stream for other tasks.
pub struct Live<T: 'static = Net<'static>> {
    shared: &'static RefCell<Shared<T>>,
    /// The number of the last change of the status that [`Self::changed`] has returned.
    seen: u32,
}

impl_format!(Debug, [T: Transport] Live<T>, this => "Live {{ phase: {:?} }}", this.status().phase);

impl<T: Transport> Live<T> {
    /// Sets the tracks of the stream. Before the first call nothing is sent. If the stream is live, the new headers are sent
    /// at once.
    pub fn set_tracks(&self, tracks: Tracks) {
        self.shared.borrow_mut().set_tracks(tracks);
    }

    /// The handle for pictures.
    pub fn video(&self) -> Video<T> {
        Video { shared: self.shared }
    }

    /// The handle for audio.
    pub fn audio(&self) -> Audio<T> {
        Audio { shared: self.shared }
    }

    /// The state of the stream now.
    pub fn status(&self) -> Status {
        self.shared.borrow().status()
    }

    /// Waits until the phase, the port or the last error differs from what it was at the last call of this handle, and
    /// returns the status. The first call returns after the first change. The other fields change without it: to display
    /// them, use `select` with a timer. The future can be dropped.
    pub async fn changed(&mut self) -> Status {
        let Self { shared, seen } = self;
        poll_fn(|cx| {
            let mut shared = shared.borrow_mut();
            if *seen == shared.changes {
                shared.watchers.register(cx);
                return Poll::Pending;
            }
            *seen = shared.changes;
            Poll::Ready(shared.status())
        })
        .await
    }

    /// Waits until the encoder should make a keyframe: after each connection, and after a picture was dropped that others
    /// need. A request stays pending until one task has received it. The future can be dropped. An encoder that only asks
    /// before each picture polls it once: `poll_once(live.keyframe_wanted()).is_ready()`, with `embassy_futures::poll_once`.
    pub async fn keyframe_wanted(&self) {
        poll_fn(|cx| self.shared.borrow_mut().poll_keyframe_wanted(VIDEO, cx)).await;
    }

    /// Leaves [`Phase::Stopped`], for whatever reason the stream is stopped: [`Self::stop`], [`Config::starts`], the limit of
    /// [`Retry`](crate::Retry), or a configuration that cannot work. Connects again even if the runner is still stopping. The
    /// timestamps begin at 0 again. Does nothing if the stream is not stopped.
    pub fn start(&self) {
        self.shared.borrow_mut().start();
    }

    /// Ends the stream and waits until the connection is closed, for at most [`Config::stop_timeout`]. Messages of which
    /// nothing was sent are dropped; a half sent message may finish. Returns at once if the runner has already stopped.
    ///
    /// The future can be dropped; the runner still stops.
    pub async fn stop(&self) -> Stopped {
        let stops = {
            let mut shared = self.shared.borrow_mut();
            shared.stop();
            shared.stops
        };
        poll_fn(|cx| {
            let mut shared = self.shared.borrow_mut();
            if shared.stops == stops && shared.phase() != Phase::Stopped {
                shared.watchers.register(cx);
                return Poll::Pending;
            }
            Poll::Ready(if shared.is_in_order { Stopped::InOrder } else { Stopped::Cut })
        })
        .await
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared, seen: self.seen }
    }
}

impl<T> Clone for Video<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared }
    }
}

impl<T> Clone for Audio<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared }
    }
}

/// How a stream ended: [`Live::stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stopped {
    /// There was no connection, or the server has acknowledged all sent messages and the end of the stream.
    InOrder,
    /// The connection was reset, or was lost before the server had acknowledged all of that.
    Cut,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SendOutcome {
    /// Its last byte is in the socket's send ring.
    Sent,
    /// It was not sent, or only a part of it was sent.
    Dropped(DropReason),
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DropReason {
    /// There is no connection, or it was lost or ended.
    Offline,
    /// The server is slower than the source, or a picture needs others that were dropped, or the send took too long.
    Late,
    /// Another message of the kind is being sent.
    Busy,
    /// The tracks have no such content, or their parameter sets are not known.
    NoTrack,
    /// It has 16 MiB or more.
    TooLarge,
    /// The codec of the track needs Enhanced RTMP, which the server refuses.
    #[cfg(feature = "enhanced")]
    LegacyServer,
}

/// Sends pictures.
pub struct Video<T: 'static = Net<'static>> {
    shared: &'static RefCell<Shared<T>>,
}

impl_format!(Debug, [T: Transport] Video<T>, _ => "Video");

impl<T: Transport> Video<T> {
    /// Sends a picture, which is lent until the future is ready or dropped. One picture can be sent to several
    /// destinations at the same time: `join` the futures of their streams. Each has its own outcome. The picture is
    /// lent until the slowest destination has sent or dropped it. A short [`Config::send_timeout`] limits how long a
    /// stalled destination keeps it.
    ///
    /// The future ends within [`Config::send_timeout`]. If it is dropped before the first byte is in the send ring, the
    /// picture is not sent and not counted; send it again, or make a keyframe. If it is dropped later, the rest of the
    /// message is sent as zeros, and video continues with the next keyframe.
    pub fn send<'f>(&self, picture: Picture<'f>) -> Sending<'f, T> {
        Sending { shared: self.shared, slot: VIDEO, ticket: None, message: Message::new(Content::Picture(picture)) }
    }
}

/// Sends audio, which passes between the chunks of a picture.
pub struct Audio<T: 'static = Net<'static>> {
    shared: &'static RefCell<Shared<T>>,
}

impl_format!(Debug, [T: Transport] Audio<T>, _ => "Audio");

impl<T: Transport> Audio<T> {
    /// Sends an audio frame, which is lent until the future is ready or dropped: one raw AAC frame without an ADTS header,
    /// one packet of Opus, one frame of FLAC or AC-3, or samples of another format. `pts` is in microseconds on the clock that the pictures also use.
    ///
    /// Otherwise the same as [`Video::send`].
    pub fn send<'f>(&self, pts: u64, frame: &'f [u8]) -> Sending<'f, T> {
        Sending { shared: self.shared, slot: AUDIO, ticket: None, message: Message::new(Content::Sound(pts, frame)) }
    }
}

/// The future of [`Video::send`] and [`Audio::send`]. It does nothing before it is polled.
#[must_use = "futures do nothing unless they are polled"]
pub struct Sending<'f, T: Transport + 'static = Net<'static>> {
    shared: &'static RefCell<Shared<T>>,
    slot: usize,
    /// The ticket with which it owns its slot.
    ticket: Option<u32>,
    message: Message<'f>,
}

impl_format!(Debug, ['f, T: Transport] Sending<'f, T>, _ => "Sending");

impl<T: Transport> Future for Sending<'_, T> {
    type Output = SendOutcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SendOutcome> {
        let Self { shared, slot, ticket, message } = self.get_mut();
        shared.borrow_mut().poll_send(*slot, ticket, message, cx)
    }
}

impl<T: Transport> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.borrow_mut().abandon(self.slot, ticket);
        }
    }
}
