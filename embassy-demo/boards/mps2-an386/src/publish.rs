//! Publishes the clip.

use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::media::flv::{Tag, Tags};
use embedded_rtmp_embassy::{Config, DropReason, Phase, Picture, SendOutcome, Stopped};
use mps2_an386::CLIP;
use mps2_an386::arguments::Publish;

use self::connection::{Handle, Runner};
use crate::clip::{Frame, PERIOD, tracks};

/// The number of bytes that can wait for the next request of a tunnel.
const GATHER: usize = if cfg!(feature = "rtmpt") { 4096 } else { 0 };

#[cfg(not(feature = "rtmps"))]
mod connection {
    //! Over embassy-net's TCP.

    use embassy_net::Stack;
    use embedded_rtmp_embassy::{Config, Live, LiveRunner, State, new};
    use mps2_an386::arguments::Publish;
    use mps2_an386::board::host::HostRng;

    static STATE: State<4096, 4096, 1536, 512, { super::GATHER }> = State::new();

    pub(super) type Handle = Live;
    pub(super) type Runner = LiveRunner<HostRng>;

    pub(super) fn start(stack: Stack<'static>, _: &Publish<'static>, config: Config) -> (Handle, Runner) {
        new(stack, &STATE, HostRng, config)
    }
}

#[cfg(feature = "rtmps")]
mod connection {
    //! Over TLS, to a server with the key of `--pin`.

    use embassy_net::Stack;
    use embedded_rtmp_embassy::transport::tls::{P256, Pin, Records, Tls, TlsOptions};
    use embedded_rtmp_embassy::transport::{KeepAlive, TcpConnect};
    use embedded_rtmp_embassy::{Config, StreamLive, StreamRunner, StreamState, over};
    use mps2_an386::arguments::Publish;
    use mps2_an386::board::host::{HostRng, random};
    use static_cell::{ConstStaticCell, StaticCell};

    static STATE: StreamState<256, 2920, 1536, 512, { super::GATHER }> = StreamState::new();

    type Connector = Tls<'static, TcpConnect<'static>, Pin<'static, P256>, fn() -> [u8; 32]>;
    pub(super) type Handle = StreamLive;
    pub(super) type Runner = StreamRunner<HostRng, Connector>;

    pub(super) fn start(stack: Stack<'static>, arguments: &Publish<'static>, config: Config) -> (Handle, Runner) {
        static RINGS: ConstStaticCell<[[u8; 4096]; 2]> = ConstStaticCell::new([[0; 4096]; 2]);
        static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());
        static PINS: StaticCell<[[u8; 32]; 1]> = StaticCell::new();
        let [rx, tx] = RINGS.take();
        let tcp = TcpConnect::new(stack, rx, tx, KeepAlive::DEFAULT);
        let verifier = Pin::new(PINS.init([arguments.pin.unwrap_or_default()]));
        over(Tls::new(tcp, RECORDS.take(), verifier, random, TlsOptions::DEFAULT), &STATE, HostRng, config)
    }
}

#[embassy_executor::task]
pub(crate) async fn network_task(runner: Runner) -> ! {
    runner.run().await
}

pub(crate) async fn publish(
    spawner: embassy_executor::Spawner,
    stack: Stack<'static>,
    arguments: Publish<'static>,
) -> bool {
    let mut config = Config::new(arguments.url);
    config.retry.limit = Some(Duration::from_secs(60));
    if arguments.fast {
        (config.drop_limits, config.send_timeout) = (None, Duration::MAX);
    }
    let (mut live, runner) = connection::start(stack, &arguments, config);
    let (Some(tracks), Ok(tags), Ok(task)) = (tracks(), Tags::file(CLIP), network_task(runner)) else {
        defmt::error!("the clip cannot be published");
        return false;
    };
    live.set_tracks(tracks);
    spawner.spawn(task);
    let is_published = is_live(&mut live).await && rounds(&mut live, &tags, &arguments).await;
    let is_published = live.stop().await == Stopped::InOrder && is_published;
    let status = live.status();
    let (audio, video) = (status.counters.audio, status.counters.video);
    defmt::info!(
        "audio: {} sent, {} dropped; video: {} sent, {} dropped; {} bytes; {} connections",
        audio.sent,
        audio.dropped,
        video.sent,
        video.dropped,
        status.counters.bytes,
        status.counters.connections
    );
    if is_published {
        defmt::info!("published");
    } else {
        defmt::error!("not published: {}", status.last_error);
    }
    is_published
}

/// Waits until the stream is live. Returns `false` if the first attempt fails, or the runner gives up.
async fn is_live(live: &mut Handle) -> bool {
    loop {
        let status = live.status();
        match status.phase {
            Phase::Live => return true,
            Phase::Resting if status.counters.connections == 0 => return false,
            Phase::Stopped if status.last_error.is_some() => return false,
            _ => live.changed().await,
        };
    }
}

/// Sends the clip the requested number of times. Returns `false` if the runner gives up.
async fn rounds(live: &mut Handle, tags: &Tags<'_>, arguments: &Publish<'_>) -> bool {
    let start = Instant::now();
    for round in 0..u64::from(arguments.loops) {
        for tag in tags.clone() {
            let at = round * PERIOD + u64::from(tag.timestamp.0) * 1_000;
            if !arguments.fast {
                Timer::at(start + Duration::from_micros(at)).await;
            }
            // A source that can wait sends a dropped message again.
            while send(live, &tag, at).await == Some(SendOutcome::Dropped(DropReason::Offline)) {
                let has_given_up = live.status().phase == Phase::Stopped;
                if has_given_up || (arguments.fast && !is_live(live).await) {
                    return false;
                }
                if !arguments.fast {
                    break;
                }
            }
        }
    }
    true
}

/// Sends a tag of the clip. Returns `None` if it is not a frame.
async fn send(live: &Handle, tag: &Tag<'_>, at: u64) -> Option<SendOutcome> {
    Some(match Frame::of(tag, at)? {
        Frame::Sound(frame) => live.audio().send(at, frame).await,
        Frame::Picture { pts, is_key, units } => live.video().send(Picture::new(pts, at, is_key, &units)).await,
    })
}
