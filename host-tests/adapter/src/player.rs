//! A player: connecting to its server, and a handler that is not ready for media.

use std::task::{Context, Poll};
use std::time::Duration;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Outcome, Plan};
use embedded_rtmp_embassy::embedded_rtmp::session::ClientConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, End, Error, Parts, PlayHandler, Player, Publisher, Server, ServerOptions, StreamMemory,
};

use super::pair::{AcceptAll, LIMITS, NO_GRACE, TestMemory, URL, connect, keyframe, targets, with_devices};
use crate::wire::{Rule, Wire};

/// Runs `client` on the first device, while a server on the second relays.
fn with_server<T>(wire: &Wire, client: impl AsyncFnOnce(Stack<'_>) -> T) -> T {
    with_devices(wire, async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<65_536>::new() }; 1]);
        let options = ServerOptions { relay: NO_GRACE, max_per_address: Some(4), ..Default::default() };
        let server = Server::<4, 1, 2>::relaying(second, &[1935, 80], &mut memory, &mut streams, &options);
        let mut server = server.unwrap();
        match select(client(first), server.run(&mut AcceptAll::default())).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => unreachable!("the server runs for ever"),
        }
    })
}

/// Options with a short time limit for a silent server.
fn options() -> ClientOptions<'static> {
    let mut session = ClientConfig::new();
    session.response_timeout = Some(Duration::from_secs(1));
    ClientOptions { session, ..ClientOptions::default() }
}

/// Runs `test` with a publisher and a player of the same stream.
fn with_both<T>(test: impl AsyncFnOnce(Publisher<'_>, Player<'_>) -> T) -> T {
    with_server(&Wire::new(), async |stack| {
        let (targets, mut memory) = (targets([1935]), [const { TestMemory::new() }; 2]);
        let [first, second] = &mut memory;
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let publisher = connect(stack, &mut plan, first).await.unwrap();
        let (url, options, mut plan) = (Url::parse(URL).unwrap(), options(), Plan::new(&targets, LIMITS).unwrap());
        let connecting = Player::<8>::connect(stack, &url, &mut plan, &options, second, || [9; 32]);
        test(publisher, connecting.await.unwrap()).await
    })
}

#[test]
fn a_connection_that_is_cut_off_after_the_handshake_leads_to_the_next_port() {
    let wire = Wire { rules: vec![(1935, Rule::CutOff)], ..Wire::new() };
    let targets = targets([1935, 80]);
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let result = with_server(&wire, async |stack| {
        let (mut memory, url, options) = (TestMemory::new(), Url::parse(URL).unwrap(), options());
        let connecting = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [9; 32]);
        connecting.await.map(drop)
    });
    assert_eq!(result, Ok(()));
    let outcomes: Vec<_> = plan.reports().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed(Failure::CutOff), Outcome::Connected]);
}

/// A handler that is not ready for media before a given time.
struct Late {
    from: Instant,
    bytes: usize,
}

impl PlayHandler for Late {
    fn media(&mut self, fragment: &Fragment<'_>) {
        assert!(Instant::now() >= self.from, "the handler was not ready");
        self.bytes += fragment.data.len();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.from {
            return Poll::Ready(());
        }
        std::pin::pin!(Timer::at(self.from)).poll(cx)
    }
}

#[test]
fn a_handler_that_is_not_ready_holds_back_only_media() {
    const FRAMES: usize = 20;
    let (end, bytes) = with_both(async |mut publisher, mut player| {
        // Longer than the time limit of an answer.
        let mut late = Late { from: Instant::now() + embassy_time::Duration::from_secs(3), bytes: 0 };
        let publishing = async {
            let Parts { mut runner, mut video, .. } = publisher.split();
            let feed = async {
                // By then the player has sent its request and was accepted.
                Timer::after_millis(500).await;
                for time in 0..FRAMES as u32 {
                    video.send(Timestamp(time), &keyframe::<2_000>()).await?;
                }
                Timer::after_secs(4).await;
                Ok::<(), Error>(())
            };
            let Either::First(Ok(())) = select(feed, runner.run()).await else { panic!("the publisher's end") };
            publisher.close().await.unwrap();
            std::future::pending::<()>().await
        };
        match select(player.run(&mut late), publishing).await {
            Either::First(end) => (end, late.bytes),
            Either::Second(()) => unreachable!(),
        }
    });
    assert_eq!((end, bytes), (Ok(End::Unpublished), FRAMES * 2_000));
}

/// A handler that ignores the media.
struct Blind;

impl PlayHandler for Blind {
    fn media(&mut self, _: &Fragment<'_>) {}
}

#[test]
fn item_167_a_player_reports_that_a_stream_has_no_media() {
    with_both(async |mut publisher, mut player| {
        player.set_media_limit(Some(embassy_time::Duration::from_secs(2)));
        let Parts { mut runner, mut video, .. } = publisher.split();
        let playing = async {
            let start = Instant::now();
            assert_eq!(player.run(&mut Blind).await, Ok(End::NoMedia), "no media has arrived");
            assert_eq!(start.elapsed().as_secs(), 2);
            // The caller may wait again. Each media message begins the time again.
            let feed = async {
                for time in 0..5 {
                    Timer::after_millis(1_000).await;
                    video.send(Timestamp(time), &keyframe::<2_000>()).await.unwrap();
                }
                Instant::now()
            };
            let (end, last) = join(async { (player.run(&mut Blind).await, Instant::now()) }, feed).await;
            let silent = end.1 - last;
            assert!(end.0 == Ok(End::NoMedia) && (2_000..2_200).contains(&silent.as_millis()), "{end:?} {silent}");
            // Without a limit it waits for ever.
            player.set_media_limit(None);
            let Either::Second(()) = select(player.run(&mut Blind), Timer::after_secs(25)).await else {
                panic!("there is no limit")
            };
            player.close().await;
        };
        let Either::Second(()) = select(runner.run(), playing).await else { panic!("the publisher's end") };
    });
}
