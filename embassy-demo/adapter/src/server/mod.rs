//! Serving on a list of ports.

mod gateway;
pub(crate) mod handler;
mod listen;
pub(crate) mod relay;
mod requests;
mod serving;
mod slot;
#[cfg(feature = "rtmpt")]
pub(crate) mod tunnels;

use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use embassy_net::Stack;
use embedded_rtmp::relay::{Directory, DirectoryState, Played, PlayerEntry, RelayConfig, Ring, StreamEntry};
use embedded_rtmp::session::ServerConfig;

use crate::buffers::Memory;
use crate::fmt::impl_format;
use crate::server::gateway::Gateway;
use crate::server::handler::{Handler, SessionId};
use crate::server::listen::Listeners;
use crate::server::relay::{Relay, StreamMemory, Woken, peer};
use crate::server::slot::{Acceptor, Slot};
use crate::transport::{KeepAlive, Traffic};

/// The ports that a server listens on where nothing else is wanted: 1935 and 80, RTMP's own and the one that firewalls let
/// through. Clients here also try 443: `&[1935, 80, 443]` needs one more socket.
pub const DEFAULT_PORTS: &[u16] = &[1935, 80];

/// How to serve.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// When a silent peer counts as gone.
    pub keep_alive: KeepAlive,
    /// How the sessions behave.
    pub session: ServerConfig,
}

impl_format!([] ServerOptions, this => "ServerOptions {{ keep_alive: {}, session: {} }}", this.keep_alive, this.session);

impl ServerOptions {
    /// With the default times.
    pub const DEFAULT: ServerOptions = ServerOptions { keep_alive: KeepAlive::DEFAULT, session: ServerConfig::new() };
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a server cannot work; the fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServerError {
    /// There is no port to listen on.
    NoPorts,
    /// This port cannot be listened on, since it is 0 or given twice. (Any other can: the device has them all.)
    Port(u16),
    /// There must be at least so many sockets: one for each port, and one more, so that no port is deaf as soon as
    /// somebody is connected.
    Sockets(usize),
    /// For answers in tunnels, the send ring of each socket must have so many bytes.
    SendRing(usize),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPorts => f.write_str("there is no port to listen on"),
            Self::Port(port) => write!(f, "port {port} cannot be listened on, or not twice"),
            Self::Sockets(needed) => write!(f, "{needed} sockets are needed"),
            Self::SendRing(needed) => write!(f, "send rings of {needed} bytes are needed"),
        }
    }
}

impl core::error::Error for ServerError {}

/// A server with `SOCKETS` sockets, which is how many clients it can have at once, on a list of ports. It relays
/// `PUBLISHERS` streams to `PLAYERS` players; with 0 of them it takes publishers alone.
///
/// An smoltcp socket listens on one port and has no backlog. Every socket without a connection listens where listeners
/// are fewest, so all ports stay open as long as there is a socket for each; after that, connections are refused.
///
/// A stream is known by its [application and key](embedded_rtmp::relay::StreamName). It has one publisher; a second one is
/// told `NetStream.Publish.BadName`. [An example](crate#serving).
///
/// `STREAMS` is how many chunk streams of a client may come in beside the one that is read; 8 do for all clients known.
pub struct Server<
    'a,
    const SOCKETS: usize,
    const PUBLISHERS: usize = 0,
    const PLAYERS: usize = 0,
    const STREAMS: usize = 8,
> {
    slots: [Slot<'a, STREAMS>; SOCKETS],
    rings: [Ring<'a>; PUBLISHERS],
    streams: [StreamEntry<'a>; PUBLISHERS],
    players: [PlayerEntry; PLAYERS],
    directory: DirectoryState,
    listeners: Listeners<'a, SOCKETS>,
    options: ServerOptions,
    gateway: Gateway<'a>,
}

impl_format!(
    [
        'a,
        const SOCKETS: usize,
        const PUBLISHERS: usize,
        const PLAYERS: usize,
        const STREAMS: usize
    ] Server<'a, SOCKETS, PUBLISHERS, PLAYERS, STREAMS>,
    this => "Server {{ options: {} }}", this.options
);

impl<'a, const SOCKETS: usize, const STREAMS: usize> Server<'a, SOCKETS, 0, 0, STREAMS> {
    /// A server on `ports`, such as [`DEFAULT_PORTS`], that takes publishers alone. It begins to listen when it
    /// [runs](Self::run).
    ///
    /// # Panics
    /// Where the stack has fewer sockets left than the server has (`StackResources`).
    ///
    /// # Errors
    /// The ports or the number of sockets make no sense.
    pub fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Self::over(stack, ports, memory, ([], []), options)
    }
}

impl<'a, const SOCKETS: usize, const PUBLISHERS: usize, const PLAYERS: usize, const STREAMS: usize>
    Server<'a, SOCKETS, PUBLISHERS, PLAYERS, STREAMS>
{
    /// Bytes of RAM that each session takes, beside its [`Memory`].
    pub const SESSION_SIZE: usize = size_of::<Slot<'_, STREAMS>>();
    /// Bytes of RAM that each stream takes which is relayed, beside its [`StreamMemory`].
    pub const STREAM_SIZE: usize = size_of::<Ring<'_>>() + size_of::<StreamEntry<'_>>();
    /// Bytes of RAM that each player takes, beside its session.
    pub const PLAYER_SIZE: usize = size_of::<PlayerEntry>();

    /// A server that relays what is published to players, through `streams`.
    ///
    /// # Panics
    /// Where the stack has fewer sockets left than the server has (`StackResources`).
    ///
    /// # Errors
    /// The ports or the number of sockets make no sense.
    pub fn relaying<
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const RING: usize,
        const METADATA: usize,
        const VIDEO: usize,
        const AUDIO: usize,
        const NAME: usize,
    >(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        streams: &'a mut [StreamMemory<RING, METADATA, VIDEO, AUDIO, NAME>; PUBLISHERS],
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Self::over(stack, ports, memory, StreamMemory::tables(streams), options)
    }

    fn over<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        (rings, streams): ([Ring<'a>; PUBLISHERS], [StreamEntry<'a>; PUBLISHERS]),
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        const { assert!(SOCKETS <= 256, "sessions have ids of one byte") };
        let is_bad =
            |(index, port): &(usize, &u16)| **port == 0 || ports.iter().take(*index).any(|other| other == *port);
        if let Some((_, port)) = ports.iter().enumerate().find(is_bad) {
            return Err(ServerError::Port(*port));
        }
        if ports.is_empty() {
            return Err(ServerError::NoPorts);
        }
        if SOCKETS <= ports.len() {
            return Err(ServerError::Sockets(ports.len() + 1));
        }
        let slots = memory.each_mut().map(|memory| Slot::new(stack, memory, options.keep_alive));
        let (players, directory) = ([const { PlayerEntry::new() }; PLAYERS], DirectoryState::new(&RelayConfig::new()));
        let (listeners, gateway) = (Listeners::new(ports), Gateway::NONE);
        Ok(Self { slots, rings, streams, players, directory, listeners, options: *options, gateway })
    }

    /// Takes tunnels (RTMPT) beside direct connections, on all ports: a connection's first byte tells them apart. Who asks for
    /// anything else in HTTP gets a page, or 404. Sessions in tunnels have the ids after those of the sockets, `SOCKETS` and
    /// up. While a handler holds one of them back, its client waits no longer than the tunnels'
    /// [`idle_timeout`](embedded_rtmp::tunnel::TunnelConfig::idle_timeout).
    ///
    /// # Errors
    /// The sockets' send rings are too small for answers.
    #[cfg(feature = "rtmpt")]
    pub fn with_tunnels<const TUNNELS: usize, const EACH: usize>(
        mut self,
        tunnels: &'a mut crate::Tunnels<'_, TUNNELS, EACH>,
    ) -> Result<Self, ServerError> {
        use embedded_rtmp::tunnel::MIN_ANSWER;
        const { assert!(SOCKETS + TUNNELS <= 256, "sessions have ids of one byte") };
        if self.slots.iter().any(|slot| slot.send_capacity() < MIN_ANSWER) {
            return Err(ServerError::SendRing(MIN_ANSWER));
        }
        tunnels.join(SOCKETS as u8, self.options.session);
        self.gateway = Gateway::new(tunnels);
        Ok(self)
    }

    /// Listens, and serves who comes. The future can be dropped; when there is a new one, everything goes on.
    pub async fn run(&mut self, handler: &mut dyn Handler) {
        poll_fn(|cx| {
            let Self { slots, rings, streams, players, directory, listeners, options, gateway } = self;
            let directory = Directory::new(directory, streams, players);
            let mut relay = Relay { directory, rings, woken: Woken::all(SOCKETS) };
            let mut entrance = Acceptor { listeners, options, gateway };
            // What one session receives, others may have to send: they are polled again.
            while relay.woken.is_any() {
                let all = core::mem::take(&mut relay.woken.all);
                for (index, slot) in slots.iter_mut().enumerate() {
                    let id = SessionId(index as u8);
                    if relay.woken.take(id) || all {
                        slot.poll(id, &mut entrance, &mut relay, handler, cx);
                    }
                }
                entrance.gateway.tick(&mut relay, handler, cx);
            }
            Poll::Pending
        })
        .await
    }

    /// Ends all sessions in good order, as far as that goes within two seconds, and listens no more. [`Self::run`] begins
    /// anew.
    pub async fn shutdown(&mut self, handler: &mut dyn Handler) {
        poll_fn(|cx| {
            let Self { slots, rings, streams, players, directory, listeners, gateway, .. } = self;
            let directory = Directory::new(directory, streams, players);
            let mut relay = Relay { directory, rings, woken: Woken::all(SOCKETS) };
            let mut all = Poll::Ready(());
            for (index, slot) in slots.iter_mut().enumerate() {
                let over = slot.poll_shutdown(SessionId(index as u8), listeners, &mut relay, handler, cx);
                all = if over.is_pending() { over } else { all };
            }
            gateway.shutdown(&mut relay, handler);
            all
        })
        .await
    }

    /// What a player has had until now; `None` for sessions that play nothing.
    pub fn played(&self, session: SessionId) -> Option<Played> {
        self.players
            .iter()
            .filter_map(PlayerEntry::played)
            .find(|(by, _)| *by == peer(session))
            .map(|(_, played)| played)
    }

    /// Bytes that went over a session's TCP connection: of the last one, where there is none now. `None` for sessions in
    /// tunnels, which have none of their own.
    pub fn traffic(&self, session: SessionId) -> Option<Traffic> {
        self.slots.get(usize::from(session.0)).map(Slot::traffic)
    }
}
