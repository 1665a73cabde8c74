//! Accepts publishers on ports 1935 and 80, checks what they send, and relays it to players. With the feature `rtmpt`, the
//! same in tunnels, and a page for browsers. With the feature `rtmpe`, also encrypted. With `--clip` it publishes the clip
//! itself, as `live/clip`. With the feature `web`, it also serves browsers, and shows the clip in any case. With the feature
//! `handover`, other HTTP requests are answered by `settings.rs`. With the feature `auth`, clients may be asked for a user and
//! a password. With the feature `admin` and a password, there is administration on port 1111.

use core::cell::Cell;

use embassy_futures::join::join;
use embassy_futures::select::select3;
use embassy_net::Stack;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Timer};
#[cfg(feature = "admin")]
use embedded_rtmp_embassy::Admin;
#[cfg(feature = "handover")]
use embedded_rtmp_embassy::Handover;
#[cfg(feature = "web")]
use embedded_rtmp_embassy::Viewers;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
#[cfg(feature = "auth")]
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::{
    DEFAULT_PORTS, Error, Handler, LocalPublisher, Memory, Origin, Played, Rejection, Server, ServerOptions, SessionId,
    StreamMemory,
};
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::{TunnelMemory, Tunnels, embedded_rtmp::tunnel::TunnelConfig};
use mps2_an386::arguments::Serve;
use mps2_an386::board::{host, network};
use mps2_an386::check::{Stream, Track};
#[cfg(feature = "auth")]
use mps2_an386::door::Door;
use static_cell::{ConstStaticCell, StaticCell};

use crate::clip;

const SOCKETS: usize = if cfg!(feature = "web") { network::SOCKETS } else { 4 };

/// The receive ring has 8 KiB, because more would not fit into the Ethernet controller's FIFO.
static MEMORY: ConstStaticCell<[Memory<8192, 4096>; SOCKETS]> =
    ConstStaticCell::new([const { Memory::new() }; SOCKETS]);

/// Tunnels in addition to the sockets.
#[cfg(feature = "rtmpt")]
static TUNNEL_MEMORY: ConstStaticCell<TunnelMemory<2>> = ConstStaticCell::new(TunnelMemory::new());
#[cfg(feature = "rtmpt")]
static TUNNELS: StaticCell<Tunnels<'static, 2>> = StaticCell::new();

/// Sessions of both kinds.
const SESSIONS: usize = SOCKETS + if cfg!(feature = "rtmpt") { 2 } else { 0 };

/// Streams at a time, and players of all of them.
const PUBLISHERS: usize = 2;
const PLAYERS: usize = if cfg!(feature = "web") { 5 } else { 3 };

/// Viewers over HTTP.
#[cfg(feature = "web")]
static VIEWERS: StaticCell<Viewers<'static, 5>> = StaticCell::new();

/// Connections of the application.
#[cfg(feature = "handover")]
static HANDOVER: StaticCell<Handover<{ mps2_an386::settings::CONNECTIONS }>> = StaticCell::new();

/// Administration.
#[cfg(feature = "admin")]
static ADMIN: StaticCell<Admin<'static, 1>> = StaticCell::new();
#[cfg(feature = "admin")]
static ADMIN_MEMORY: ConstStaticCell<[Memory<1024, 2048>; 1]> = ConstStaticCell::new([Memory::new()]);

/// The ring has two seconds of the clip, for players that are slow. The headers are those of two tracks of video and two of
/// audio.
static STREAMS: ConstStaticCell<[StreamMemory<65_536, 1_280, 10>; PUBLISHERS]> =
    ConstStaticCell::new([const { StreamMemory::new() }; PUBLISHERS]);

/// The publisher of the clip.
static LOCAL: StaticCell<[LocalPublisher<'static>; 1]> = StaticCell::new();

/// The time limit for closing the last connection.
const GRACE: Duration = Duration::from_millis(500);

pub(crate) async fn serve(stack: Stack<'static>, arguments: Serve<'static>) -> bool {
    let over = Signal::new();
    let is_good = Cell::new(true);
    let mut checker = Checker {
        streams: [None; SESSIONS],
        left: arguments.publishers,
        over: &over,
        is_good: &is_good,
        #[cfg(feature = "auth")]
        door: arguments.credentials.map(|credentials| Door::new(credentials, host::random())),
    };
    stack.wait_config_up().await;
    let mut options = ServerOptions::default();
    // No publisher is expected to come back.
    options.relay.grace = core::time::Duration::ZERO;
    // QEMU gives all clients one address.
    options.max_per_address = Some(SOCKETS);
    #[cfg(feature = "rtmpe")]
    {
        options.session.handshake = embedded_rtmp_embassy::embedded_rtmp::handshake::Versions::Rtmpe;
    }
    let (memory, streams) = (MEMORY.take(), STREAMS.take());
    let server = Server::<SOCKETS, PUBLISHERS, PLAYERS>::relaying(stack, DEFAULT_PORTS, memory, streams, &options);
    #[cfg(feature = "rtmpt")]
    let config = TunnelConfig { page: Some("RTMP and RTMPT are served here.\n"), ..TunnelConfig::new() };
    #[cfg(feature = "rtmpt")]
    let tunnels = TUNNELS.init(Tunnels::new(TUNNEL_MEMORY.take(), config));
    #[cfg(feature = "rtmpt")]
    let server = server.and_then(|server| server.with_tunnels(tunnels));
    let mut server = match server {
        Ok(server) => server,
        Err(why) => {
            defmt::error!("cannot serve: {}", why);
            return false;
        }
    };
    #[cfg(feature = "web")]
    {
        use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
        server = server.with_web(VIEWERS.init_with(|| Viewers::new(WebConfig::new())));
    }
    #[cfg(feature = "handover")]
    let handover = &*HANDOVER.init_with(|| Handover::new(core::time::Duration::from_secs(30)));
    #[cfg(feature = "handover")]
    {
        server = server.with_handover(handover);
    }
    #[cfg(feature = "admin")]
    if let Some(password) = arguments.admin_password {
        server = server.with_admin(ADMIN.init(Admin::new(stack, 1111, ADMIN_MEMORY.take(), "admin", password)));
    }
    let settings = async {
        #[cfg(feature = "handover")]
        {
            use mps2_an386::settings;
            join(settings::serve(handover), settings::serve(handover)).await;
        }
        core::future::pending::<()>().await
    };
    let local = &*LOCAL.init([LocalPublisher::new("live/clip")]);
    if arguments.clip {
        server = server.with_local(local);
    }
    let publishing = async {
        if arguments.clip {
            join(clip::publish(&local[0]), clip::log_wishes(&local[0])).await;
        }
        core::future::pending::<()>().await
    };
    defmt::info!("serving on ports {}", DEFAULT_PORTS);
    let ended = async {
        over.wait().await;
        Timer::after(GRACE).await;
    };
    select3(server.run(&mut checker), join(publishing, settings), ended).await;
    is_good.get()
}

/// The streams in progress, one for each session.
struct Checker<'c> {
    streams: [Option<Stream>; SESSIONS],
    /// Publishers until the end.
    left: Option<u32>,
    over: &'c Signal<NoopRawMutex, ()>,
    is_good: &'c Cell<bool>,
    #[cfg(feature = "auth")]
    door: Option<Door<'c, SESSIONS>>,
}

impl Checker<'_> {
    fn stream(&mut self, session: SessionId) -> Option<&mut Option<Stream>> {
        self.streams.get_mut(usize::from(session.0))
    }
}

impl Handler for Checker<'_> {
    fn entropy(&mut self) -> [u8; 32] {
        host::random()
    }

    fn opened(&mut self, session: SessionId, from: Origin) {
        if let Some(stream) = self.stream(session) {
            *stream = None;
        }
        #[cfg(feature = "auth")]
        if let Some(door) = &mut self.door {
            door.opened(session, from);
        }
        #[cfg(not(feature = "auth"))]
        let _ = from;
    }

    #[cfg(feature = "auth")]
    fn connect(&mut self, session: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        let Some(door) = &mut self.door else { return Ok(()) };
        let [a, b, c, d, e, f, g, h, ..] = host::random();
        door.connect(session, request, [a, b, c, d, e, f, g, h])
    }

    fn publish(
        &mut self,
        session: SessionId,
        _: StreamId,
        _: StreamName<'_>,
        _: Text<'_>,
    ) -> Result<(), Rejection<'_>> {
        if let Some(stream) = self.stream(session) {
            stream.get_or_insert_default();
        }
        Ok(())
    }

    #[cfg(feature = "web")]
    fn is_listed(&self, _: &[u8]) -> bool {
        true
    }

    fn media(&mut self, session: SessionId, fragment: &Fragment<'_>) {
        if let Some(Some(stream)) = self.stream(session) {
            stream.take(fragment);
        }
    }

    fn played(&mut self, session: SessionId, played: Played) {
        defmt::info!("session {}: played, {} messages sent, {} left out", session.0, played.sent, played.skipped);
    }

    fn closed(&mut self, session: SessionId, why: &Error) {
        let Some(stream) = self.stream(session).and_then(Option::take) else { return };
        print("audio", session, &stream.audio);
        print("video", session, &stream.video);
        // FFmpeg closes without having read the last answers, which resets the connection.
        let is_good = stream.is_good() && matches!(why, Error::Closed | Error::Lost);
        defmt::info!("session {}: {} data messages; {}", session.0, stream.data, if is_good { "good" } else { "bad" });
        self.is_good.set(self.is_good.get() && is_good);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.over.signal(());
            }
        }
    }
}

fn print(kind: &str, session: SessionId, track: &Track) {
    let (first, last) = track.span.unwrap_or_default();
    defmt::info!(
        "session {}: {} frames of {}, {} bytes, {} to {} ms, digest {:08x}, {} headers, {} backwards, {} torn",
        session.0,
        track.frames,
        kind,
        track.bytes,
        first,
        last,
        track.digest.0,
        track.headers,
        track.backwards,
        track.torn
    );
}
