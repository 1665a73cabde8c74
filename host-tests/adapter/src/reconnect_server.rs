//! A server on a device that asks its clients to connect again, and clients that follow, stay, or do not know the request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Instant, Timer, with_deadline};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::ReconnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Order, Plan};
use embedded_rtmp_embassy::embedded_rtmp::relay::{RelayConfig, StreamName, TakeOver};
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, End, Error, Handler, Live, Memory, Parts, Phase, Player, Publisher, Rejection, SendOutcome, Server,
    ServerOptions, SessionId, StreamMemory, Tracks,
};
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::{TunnelMemory, Tunnels};

use super::live::{Bench, millis, until};
use super::pair::{LIMITS, TestMemory, targets};
use super::reconnect::{Listener, config, gaps};
use crate::wire::Wire;

/// The least memory for commands.
type SmallMemory = Memory<4096, 4096, 1536, 384>;

/// A second publisher of a name is refused, unless the first one was asked to connect again.
const REFUSE: RelayConfig = {
    let mut config = RelayConfig::new();
    (config.take_over, config.answer_limit) = (TakeOver::Refuse, Duration::from_millis(500));
    config
};

/// Publishers need a key without a query.
#[derive(Default)]
struct Guard {
    published: Rc<Cell<usize>>,
    unpublished: Rc<Cell<usize>>,
}

impl Handler for Guard {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, key: Text<'_>) -> Result<(), Rejection<'_>> {
        if key.as_bytes().contains(&b'?') {
            return Err("This key may not publish.".into());
        }
        self.published.set(self.published.get() + 1);
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn unpublished(&mut self, _: SessionId, _: StreamId) {
        self.unpublished.set(self.unpublished.get() + 1);
    }
}

/// What a test wants of the server.
#[derive(Default)]
struct Wish {
    /// The URL with which the clients are to be asked; empty text stands for the same server.
    url: Cell<Option<&'static str>>,
    /// How many clients were asked.
    asked: Cell<usize>,
    published: Rc<Cell<usize>>,
    unpublished: Rc<Cell<usize>>,
}

impl Wish {
    /// Has the clients asked, and returns how many were.
    async fn ask(&self, url: &'static str) -> usize {
        self.asked.set(usize::MAX);
        self.url.set(Some(url));
        while self.asked.get() == usize::MAX {
            Timer::after_millis(1).await;
        }
        self.asked.get()
    }
}

/// Relays on a port for ever.
async fn relay(stack: Stack<'static>, port: u16, wish: Rc<Wish>) {
    let memory: &'static mut [SmallMemory; 4] = Box::leak(Box::new([const { SmallMemory::new() }; 4]));
    let streams = Box::leak(Box::new([const { StreamMemory::<65_536>::new() }; 1]));
    let options = ServerOptions { relay: REFUSE, max_per_address: Some(4), ..Default::default() };
    let ports = vec![port].leak();
    let mut server = Server::<4, 1, 3>::relaying(stack, ports, memory, streams, &options).unwrap();
    #[cfg(feature = "rtmpt")]
    {
        let memory: &'static mut TunnelMemory<2> = Box::leak(Box::new(TunnelMemory::new()));
        let tunnels = Box::leak(Box::new(Tunnels::<2>::new(memory, TunnelConfig::new())));
        server = server.with_tunnels(tunnels).unwrap();
    }
    let mut guard = Guard { published: wish.published.clone(), unpublished: wish.unpublished.clone() };
    loop {
        let wished = async {
            loop {
                if let Some(url) = wish.url.take() {
                    return url;
                }
                Timer::after_millis(5).await;
            }
        };
        let Either::Second(url) = select(server.run(&mut guard), wished).await else { unreachable!() };
        let tc_url = Some(url.into()).filter(|_| !url.is_empty());
        wish.asked.set(server.request_reconnect(&ReconnectRequest { tc_url, description: "Bye.".into() }));
    }
}

/// A server on ports 1935 and 80 each.
fn servers() -> (Bench, Rc<Wish>) {
    let mut bench = Bench::new(Wire::new());
    let wish = Rc::new(Wish::default());
    bench.spawn(relay(bench.second, 1935, Rc::clone(&wish)));
    bench.spawn(relay(bench.second, 80, Rc::default()));
    (bench, wish)
}

const URL: &str = "rtmp://10.0.0.2:1935/live/x";

/// Plays `url` until `until`, and follows requests. Returns the numbers of the sounds, and how often it has followed.
async fn listen(stack: Stack<'static>, url: &str, until: Instant, options: &ClientOptions<'_>) -> (Vec<u32>, u32) {
    let (url, mut memory) = (Url::parse(url).unwrap(), TestMemory::new());
    let order = Order::for_url(&url);
    let (mut plan, mut listener, mut followed) = (Plan::new(order.targets(), LIMITS).unwrap(), Listener::new(), 0);
    let mut player = Player::<8>::connect(stack, &url, &mut plan, options, &mut memory, || [9; 32]).await.unwrap();
    while let Ok(end) = with_deadline(until, player.run(&mut listener)).await {
        if end == Ok(End::Reconnect) {
            player.reconnect(stack, &url, &plan, options, || [9; 32]).await.unwrap();
            followed += 1;
        } else {
            assert_eq!(end, Ok(End::Unpublished));
        }
    }
    player.close().await;
    (listener.numbers, followed)
}

/// Publishes numbered sounds until `until`. Returns the numbers of those that were sent.
async fn speak(live: &Live, until: Instant) -> Vec<u32> {
    let mut sent = Vec::new();
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        let outcome = live.audio().send(Instant::now().as_micros(), &u32::to_be_bytes(number)).await;
        sent.extend(Some(number).filter(|_| outcome == SendOutcome::Sent));
        Timer::after_millis(20).await;
    }
    sent
}

/// Publishes and plays for some time, asks the clients to go to `url` after 1 s, and returns what was sent, and what was heard
/// by a player that follows and by one that does not know the request.
fn asked(url: &'static str) -> [Vec<u32>; 3] {
    let (mut bench, wish) = servers();
    let mut live = bench.live(config());
    live.set_tracks(Tracks::NONE.aac(&[0x12, 0x10]));
    let (stack, end) = (bench.first, Instant::now() + millis(4_000));
    let [follower, stayer] = [Rc::default(), Rc::<RefCell<_>>::default()];
    for (noted, options) in [(&follower, config().client), (&stayer, &ClientOptions::DEFAULT)] {
        let noted = Rc::clone(noted);
        bench.spawn(async move { *noted.borrow_mut() = listen(stack, URL, end, options).await });
    }
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        Timer::after_millis(300).await;
        let handle = live.clone();
        let asking = async {
            Timer::after_millis(1_000).await;
            assert_eq!(wish.ask(url).await, 2, "the third client does not know the request");
            std::future::pending::<()>().await
        };
        let Either::First(sent) = select(speak(&handle, end - millis(300)), asking).await else { unreachable!() };
        Timer::after_millis(500).await;
        assert_eq!(live.status().counters.connections, 2);
        let ((heard, followed), (stayed, 0)) = (follower.take(), stayer.take()) else { panic!("it has followed") };
        assert_eq!(followed, 1);
        [sent, heard, stayed]
    })
}

#[test]
fn item_387_clients_of_a_device_continue_on_another_device() {
    let [sent, heard, stayed] = asked("rtmp://10.0.0.2:80/live");
    // The publisher and the player leave their connections before they begin the next ones.
    assert!(gaps(&sent).iter().sum::<u32>() < 15 && gaps(&sent).len() <= 1, "{:?}", gaps(&sent));
    assert!(gaps(&heard).iter().sum::<u32>() < 30 && gaps(&heard).len() <= 2, "{:?}", gaps(&heard));
    assert!(heard.iter().all(|number| sent.contains(number)) && heard.last() == sent.last());
    assert!(stayed.len() > 30 && sent.starts_with(&stayed), "{stayed:?}");
}

#[test]
fn item_387_on_the_same_device_the_stream_continues_and_players_that_were_not_asked_stay() {
    let [sent, heard, stayed] = asked("");
    assert!(gaps(&sent).len() <= 1, "{:?}", gaps(&sent));
    assert_eq!(stayed, sent);
    assert!(heard.iter().all(|number| sent.contains(number)) && heard.last() == sent.last());
    assert!(gaps(&heard).iter().sum::<u32>() < 30, "{:?}", gaps(&heard));
}

/// Connects a publisher to the first server.
async fn publish<'a>(stack: Stack<'a>, url: &str, memory: &'a mut TestMemory) -> Result<Publisher<'a>, Error> {
    let (url, targets) = (Url::parse(url).unwrap(), targets([1935]));
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    Publisher::connect(stack, &url, &mut plan, config().client, memory, || [7; 32]).await
}

#[test]
fn item_387_the_next_authorised_publisher_gets_the_name_of_one_that_was_asked_and_stays() {
    let (bench, wish) = servers();
    let stack = bench.first;
    bench.run(async move {
        let mut memory = [const { TestMemory::new() }; 4];
        let [first, second, third, fourth] = &mut memory;
        let mut publisher = publish(stack, URL, first).await.unwrap();
        assert!(publish(stack, URL, second).await.is_err(), "the name is taken");
        assert_eq!(wish.ask("").await, 1);
        let Parts { mut runner, mut audio, .. } = publisher.split();
        let sending = async {
            for millis in (0..).step_by(20) {
                if audio.send(Timestamp(millis), &[0x72; 161]).await.is_err() {
                    break;
                }
                Timer::after_millis(20).await;
            }
        };
        let others = async {
            let refused = publish(stack, "rtmp://10.0.0.2:1935/live/x?token=1", third).await.map(drop);
            assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
            assert_eq!((wish.published.get(), wish.unpublished.get()), (1, 0));
            let begin = Instant::now();
            let next = publish(stack, URL, fourth).await.unwrap();
            assert!((millis(450)..millis(800)).contains(&begin.elapsed()), "{}", begin.elapsed());
            next
        };
        let running = async {
            runner.run().await;
            std::future::pending::<()>().await
        };
        let both = embassy_futures::join::join(sending, others);
        let Either::First(((), mut next)) = select(both, running).await else { unreachable!() };
        assert_eq!((wish.published.get(), wish.unpublished.get()), (2, 1));
        assert!(publisher.reconnect_request().is_some_and(|url| url.as_text().is_empty()));
        next.close().await.unwrap();
    });
}

#[cfg(feature = "rtmpt")]
#[test]
fn item_387_a_player_in_a_tunnel_is_asked_and_follows() {
    let (mut bench, wish) = servers();
    let mut live = bench.live(config());
    live.set_tracks(Tracks::NONE.aac(&[0x12, 0x10]));
    let stack = bench.first;
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let (handle, end) = (live.clone(), Instant::now() + millis(4_000));
        let asking = async {
            Timer::after_millis(1_000).await;
            assert_eq!(wish.ask("rtmp://10.0.0.2:80/live").await, 2);
        };
        let playing = listen(stack, "rtmpt://10.0.0.2:1935/live/x", end, config().client);
        let (sent, (heard, followed), ()) = embassy_futures::join::join3(speak(&handle, end), playing, asking).await;
        assert_eq!((followed, live.status().counters.connections), (1, 2));
        let (before, after) = (heard.first().unwrap(), heard.last().unwrap());
        assert!(*before < 40 && *after > 120 && heard.iter().all(|number| sent.contains(number)), "{heard:?}");
        gaps(&heard);
    });
}
