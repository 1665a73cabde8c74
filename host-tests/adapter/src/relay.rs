//! A server with players: access, and the ends of sessions. The demo's `relay` tests what players receive.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectRequest, PlayRequest, code};
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::{StreamName, TakeOver};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, End, Error, Handler, Parts, PlayHandler, Played, Player, Publisher, Rejection, Server,
    ServerOptions, SessionId, StreamMemory,
};

use super::pair::{IMPATIENT, LIMITS, NO_GRACE, TestMemory, connect, keyframe, targets, with_devices};
use crate::wire::Wire;

/// Rejects streams with certain names, and accepts all others.
#[derive(Default)]
struct AccessControl {
    played: Vec<Played>,
}

impl Handler for AccessControl {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn connect(&mut self, _: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        if request.app == *"elsewhere" { Err(Rejection::Redirect("rtmp://10.0.0.9/live")) } else { Ok(()) }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, name: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        if name.is(b"live/unwanted") { Err("It is not wanted.".into()) } else { Ok(()) }
    }

    fn play(
        &mut self,
        _: SessionId,
        _: StreamId,
        name: StreamName<'_>,
        _: &PlayRequest<'_>,
    ) -> Result<(), Rejection<'_>> {
        let rejection =
            Rejection::Status { code: code::PLAY_STREAM_NOT_FOUND, description: "There is no such stream." };
        if name.is(b"live/secret") { Err(rejection) } else { Ok(()) }
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn played(&mut self, _: SessionId, played: Played) {
        self.played.push(played);
    }
}

/// Counts received messages.
#[derive(Default)]
struct Count(usize);

impl PlayHandler for Count {
    fn media(&mut self, fragment: &Fragment<'_>) {
        self.0 += fragment.data.len();
    }
}

/// Plays until the stream ends or is refused.
async fn play(stack: Stack<'_>, url: &str, count: &mut Count) -> Result<End, Error> {
    let (url, targets, mut memory) = (Url::parse(url).unwrap(), targets([1935]), TestMemory::new());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let options = ClientOptions::default();
    let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [9; 32]).await?;
    player.run(count).await
}

/// Runs `clients` on the first device. Then runs `last` while the server on the second device is shut down.
fn serve(clients: impl AsyncFnOnce(Stack<'_>), last: impl AsyncFnOnce(Stack<'_>)) -> Vec<Played> {
    let mut doorkeeper = AccessControl::default();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<8192>::new() }; 1]);
        let mut options = ServerOptions { relay: NO_GRACE, max_per_address: Some(4), ..Default::default() };
        options.relay.take_over = TakeOver::Refuse;
        let server = Server::<4, 1, 2>::relaying(second, &[1935], &mut memory, &mut streams, &options);
        let mut server = server.unwrap();
        let Either::First(()) = select(clients(first), server.run(&mut doorkeeper)).await else { unreachable!() };
        let shutdown = async {
            let pause = Timer::after(Duration::from_millis(500));
            let Either::Second(()) = select(server.run(&mut doorkeeper), pause).await else { unreachable!() };
            server.shutdown(&mut doorkeeper).await;
        };
        join(shutdown, last(first)).await;
    });
    doorkeeper.played
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let Err(Error::Refused(refusal)) = result else { panic!("{result:?}") };
    refusal.code.to_string()
}

#[test]
fn a_key_has_one_publisher_and_names_are_refused_with_their_code() {
    let played = serve(
        async |stack| {
            let (targets, mut memory) = (targets([1935]), [const { TestMemory::new() }; 2]);
            let [first, second] = &mut memory;
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let publisher = connect(stack, &mut plan, first).await.unwrap();
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            assert_eq!(code_of(connect(stack, &mut plan, second).await.map(drop)), code::PUBLISH_BAD_NAME);
            let count = &mut Count::default();
            assert_eq!(code_of(play(stack, "rtmp://10.0.0.2/live/secret", count).await), code::PLAY_STREAM_NOT_FOUND);
            // The server has memory for one stream, and it is in use.
            assert_eq!(code_of(play(stack, "rtmp://10.0.0.2/live/other", count).await), code::PLAY_FAILED);
            let sent_on = play(stack, "rtmp://10.0.0.2/elsewhere/x", count).await;
            if cfg!(feature = "redirect") {
                assert!(matches!(sent_on, Err(Error::Exhausted)), "there is no server: {sent_on:?}");
            } else {
                assert_eq!(code_of(sent_on), code::CONNECT_REJECTED);
            }
            drop(publisher);
        },
        async |_| {},
    );
    assert_eq!(played, []);
}

#[test]
fn item_160_a_stream_is_known_by_application_and_key() {
    let played = serve(
        async |stack| {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(stack, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let publishing = async {
                video.send(Timestamp(0), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
                let count = &mut Count::default();
                // The server has memory for one stream, and this is a second one.
                assert_eq!(code_of(play(stack, "rtmp://10.0.0.2/public/test", count).await), code::PLAY_FAILED);
                let long = format!("rtmp://10.0.0.2/{}/test", "a".repeat(64));
                assert_eq!(code_of(play(stack, &long, count).await), code::CONNECT_REJECTED);
                let long = format!("rtmp://10.0.0.2/live/{}", "a".repeat(60));
                assert_eq!(code_of(play(stack, &long, count).await), code::PLAY_FAILED);
                let playing = play(stack, "rtmp://10.0.0.2/live?token=x/_definst_/flv:test.flv?token=y", count);
                let Either::Second(()) = select(playing, Timer::after(Duration::from_millis(500))).await else {
                    panic!("the player's end")
                };
                assert_eq!(count.0, 8);
            };
            let Either::Second(()) = select(runner.run(), publishing).await else { panic!("the publisher's end") };
        },
        async |_| {},
    );
    assert_eq!(played, [Played { sent: 1, skipped: 0 }]);
}

#[test]
fn item_160_access_control_decides_by_the_name_in_every_spelling() {
    for path in ["live/unwanted", "live/_definst_/unwanted?x", "live//flv:unwanted", "live?x=y/unwanted.flv"] {
        let publish = async |stack: Stack<'_>| {
            let (targets, mut memory, options) = (targets([1935]), TestMemory::new(), ClientOptions::default());
            let (url, mut plan) = (format!("rtmp://10.0.0.2/{path}"), Plan::new(&targets, LIMITS).unwrap());
            let url = Url::parse(&url).unwrap();
            let refused = Publisher::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [7; 32]);
            assert_eq!(code_of(refused.await.map(drop)), code::PUBLISH_BAD_NAME, "{path}");
        };
        assert_eq!(serve(publish, async |_| {}), []);
    }
    for path in ["live/secret", "live/_definst_/secret", "live/mp4:secret?token=1", "live/flv:secret.flv"] {
        let play = async |stack: Stack<'_>| {
            let played = play(stack, &format!("rtmp://10.0.0.2/{path}"), &mut Count::default()).await;
            assert_eq!(code_of(played), code::PLAY_STREAM_NOT_FOUND, "{path}");
        };
        assert_eq!(serve(play, async |_| {}), []);
    }
}

#[test]
fn item_160_item_161_a_client_may_send_the_whole_name_as_the_application() {
    let played = serve(
        async |stack| {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut options = ClientOptions { keep_alive: IMPATIENT, ..ClientOptions::DEFAULT };
            (options.app, options.key) = (Some("live/test?token=1"), Some(""));
            let (url, mut plan) =
                (Url::parse("rtmp://10.0.0.2/other/key").unwrap(), Plan::new(&targets, LIMITS).unwrap());
            let publisher = Publisher::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [7; 32]).await;
            let mut publisher = publisher.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let publishing = async {
                video.send(Timestamp(0), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
                let count = &mut Count::default();
                // A URL without a key.
                let playing = play(stack, "rtmp://10.0.0.2/live/test/", count);
                let played = select(playing, Timer::after(Duration::from_millis(500))).await;
                let Either::Second(()) = played else { panic!("the player's end: {played:?}") };
                assert_eq!(count.0, 8);
            };
            let Either::Second(()) = select(runner.run(), publishing).await else { panic!("the publisher's end") };
        },
        async |_| {},
    );
    assert_eq!(played, [Played { sent: 1, skipped: 0 }]);
}

#[test]
fn a_shutdown_tells_the_players() {
    let count = &mut Count::default();
    let played = serve(
        async |_| {},
        async |stack| {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(stack, &mut plan, &mut memory).await.unwrap();
            let Parts { runner, mut video, .. } = publisher.split();
            let mut runner = runner;
            let publishing = async {
                select(runner.run(), async {
                    video.send(Timestamp(0), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
                    core::future::pending::<()>().await
                })
                .await
            };
            let (_, end) = join(publishing, play(stack, "rtmp://10.0.0.2/live/test", count)).await;
            assert_eq!(end, Ok(End::Stopped));
        },
    );
    assert_eq!((count.0, played), (8, vec![Played { sent: 1, skipped: 0 }]));
}

#[test]
fn a_player_that_waits_for_another_stream_does_not_block_a_publisher() {
    let played = serve(
        async |stack| {
            let count = &mut Count::default();
            let waiting = play(stack, "rtmp://10.0.0.2/live/nobody", count);
            let publishing = async {
                let (targets, mut memory) = (targets([1935]), TestMemory::new());
                Timer::after(Duration::from_millis(300)).await;
                let unwanted = Url::parse("rtmp://10.0.0.2/live/unwanted").unwrap();
                let (mut plan, options) = (Plan::new(&targets, LIMITS).unwrap(), ClientOptions::default());
                let refused = Publisher::<8>::connect(stack, &unwanted, &mut plan, &options, &mut memory, || [7; 32]);
                assert_eq!(code_of(refused.await.map(drop)), code::PUBLISH_BAD_NAME);
                Timer::after(Duration::from_millis(300)).await;
                // The server has memory for one stream.
                let start = Instant::now();
                let mut plan = Plan::new(&targets, LIMITS).unwrap();
                let publisher = connect(stack, &mut plan, &mut memory).await.unwrap();
                Timer::after(Duration::from_millis(300)).await;
                drop(publisher);
                start
            };
            let waiting = async {
                let end = waiting.await;
                assert_eq!(end, Ok(End::Stopped));
                Instant::now()
            };
            let (ended, start) = join(waiting, publishing).await;
            assert!(ended >= start, "a refused client does not replace another one");
        },
        async |_| {},
    );
    assert_eq!(played, [Played::default()]);
}

#[test]
fn item_124_messages_that_do_not_fit_in_the_ring_are_counted() {
    let mut handler = AccessControl::default();
    let counts = with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut streams = Box::new([const { StreamMemory::<2048>::new() }; 2]);
        let options = ServerOptions::default();
        let server = Server::<2, 2, 1>::relaying(second, &[1935], &mut memory, &mut streams, &options);
        let mut server = server.unwrap();
        let client = async {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let sending = async {
                for length in [2_040, 2_041, 9_000] {
                    video.send(Timestamp(0), &keyframe::<9_000>()[..length]).await.unwrap();
                }
                Timer::after_millis(500).await;
            };
            let Either::Second(()) = select(runner.run(), sending).await else { panic!("the publisher's end") };
        };
        let Either::First(()) = select(client, server.run(&mut handler)).await else { unreachable!() };
        server.relay_counts().map(|counts| (counts.too_long, counts.longest))
    });
    assert_eq!(counts, [(2, 9_000), (0, 0)]);
}
