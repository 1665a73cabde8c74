//! A server device with tunnels: publishers and players in tunnels and direct ones, on one port.

use std::cell::{Cell, RefCell};

use embassy_futures::join::{join, join_array, join4};
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Outcome, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, End, Error, Memory, Parts, PlayHandler, Player, Server, ServerError, ServerOptions, SessionId,
    StreamMemory, TunnelMemory, Tunnels, test_ports,
};

use super::pair::{IMPATIENT, LIMITS, NO_GRACE, Recorded, TestMemory, URL, clip, connect, with_devices};
use crate::compare::compare;
use crate::flv::{self, Tag};
use crate::progress::Progress;
use crate::publish::publish;
use crate::wire::Wire;

pub(super) const SOCKETS: usize = 5;
pub(super) const TUNNELS: usize = 3;

/// Runs `clients` while a server with tunnels on port 80 records and relays. Returns how its sessions ended.
pub(super) async fn while_serving<T>(
    stack: Stack<'_>,
    config: TunnelConfig<'_>,
    recorded: &Recorded,
    clients: impl Future<Output = T>,
) -> (T, Vec<(SessionId, Error)>) {
    let mut memory: Box<[Memory<4096, 4096>; SOCKETS]> = Box::new([const { Memory::new() }; SOCKETS]);
    let mut streams = Box::new([const { StreamMemory::<65_536>::new() }; 2]);
    let mut lent = Box::new(TunnelMemory::<TUNNELS>::new());
    let mut tunnels = Tunnels::<TUNNELS>::new(&mut lent, config);
    #[cfg_attr(not(feature = "rtmpe"), expect(unused_mut, reason = "only RTMPE must be turned on"))]
    let mut options =
        ServerOptions { keep_alive: IMPATIENT, relay: NO_GRACE, max_per_address: Some(SOCKETS), ..Default::default() };
    #[cfg(feature = "rtmpe")]
    {
        options.session.handshake = embedded_rtmp_embassy::embedded_rtmp::handshake::Versions::Rtmpe;
    }
    let server = Server::<SOCKETS, 2, 3>::relaying(stack, &[80], &mut memory, &mut streams, &options);
    let mut server = server.and_then(|server| server.with_tunnels(&mut tunnels)).unwrap();
    let mut recorder = recorded.recorder();
    let Either::First(outcome) = select(Box::pin(clients), server.run(&mut recorder)).await else { unreachable!() };
    (outcome, recorder.ended)
}

pub(super) async fn publishes(stack: Stack<'_>, url: &str, target: Target, clip: &[Tag<'_>], paced: bool) {
    let targets = [target];
    let (url, mut plan) = (Url::parse(url).unwrap(), Plan::new(&targets, LIMITS).unwrap());
    let mut memory = Box::new(Memory::<4096, 8192>::new());
    publish(stack, &url, &mut plan, &mut memory, clip, paced, &Progress::default()).await.unwrap();
}

/// What a player receives.
#[derive(Default)]
pub(super) struct Watch(Vec<(MessageKind, Timestamp, Vec<u8>)>);

impl PlayHandler for Watch {
    fn media(&mut self, fragment: &Fragment<'_>) {
        if fragment.is_first() {
            self.0.push((fragment.header.kind, fragment.header.timestamp, Vec::new()));
        }
        self.0.last_mut().unwrap().2.extend_from_slice(fragment.data);
    }
}

impl Watch {
    pub(super) fn tags(&self) -> Vec<Tag<'_>> {
        self.0.iter().map(|(kind, timestamp, data)| Tag { kind: *kind, timestamp: *timestamp, data }).collect()
    }
}

/// Plays until the stream ends.
pub(super) async fn plays(stack: Stack<'_>, target: Target, watch: &mut Watch) -> Result<End, Error> {
    let targets = [target];
    let (url, mut plan) = (Url::parse(URL).unwrap(), Plan::new(&targets, LIMITS).unwrap());
    let (mut memory, options) = (Box::new(TestMemory::new()), ClientOptions::default());
    let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [9; 32]).await?;
    player.run(watch).await
}

/// A target through a tunnel, and one without.
const TUNNEL: Target = Target::rtmpt(80);
const DIRECT: Target = Target::rtmp(80);

#[test]
fn item_195_a_publisher_in_a_tunnel_stays_when_no_socket_is_left() {
    let (recorded, clip, evicted) = (Recorded::default(), clip(), Cell::new(0));
    with_devices(&Wire::new(), async |first, second| {
        // Idle clients take each socket that becomes free.
        let crowd = async {
            Timer::after_millis(500).await;
            let client = async |_| {
                let (mut rx, mut tx) = ([0; 256], [0; 256]);
                loop {
                    let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
                    if socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.is_ok() {
                        assert!(socket.read(&mut [0]).await.is_err());
                        evicted.set(evicted.get() + 1);
                    }
                    Timer::after_millis(50).await;
                }
            };
            join_array([0; SOCKETS].map(client)).await
        };
        let publisher = publishes(first, "rtmp://10.0.0.2/live/one", TUNNEL, &clip, true);
        while_serving(second, TunnelConfig::new(), &recorded, select(publisher, crowd)).await;
    });
    compare(&clip, &flv::read(&recorded.file(0)).unwrap()).unwrap();
    assert!(evicted.get() >= SOCKETS - 1, "{evicted:?}");
}

#[test]
fn item_098_two_tunnels_and_a_direct_publisher_on_one_port() {
    let (recorded, clip) = (Recorded::default(), clip());
    let ended = with_devices(&Wire::new(), async |first, second| {
        let clients = join(
            publishes(first, "rtmp://10.0.0.2/live/one", TUNNEL, &clip, false),
            publishes(first, "rtmp://10.0.0.2/live/two", DIRECT, &clip, false),
        );
        let clients = Box::pin(clients);
        while_serving(second, TunnelConfig::new(), &recorded, async {
            clients.await;
            Box::pin(publishes(first, "rtmp://10.0.0.2/live/three", TUNNEL, &clip, false)).await;
        })
        .await
        .1
    });
    let mut keys: Vec<String> = recorded.files.borrow().iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    assert_eq!(keys, ["one", "three", "two"]);
    for index in 0..3 {
        compare(&clip, &flv::read(&recorded.file(index)).unwrap()).unwrap();
    }
    // The sessions in tunnels have ids after those of the sockets. The connections of tunnels have no sessions of their
    // own.
    let tunnels = ended.iter().filter(|(session, _)| usize::from(session.0) >= SOCKETS);
    assert_eq!((tunnels.count(), ended.len()), (2, 3), "{ended:?}");
    assert!(ended.iter().all(|(_, why)| *why == Error::Closed), "{ended:?}");
}

#[test]
fn item_098_players_in_tunnels_and_direct_get_what_is_published_in_one() {
    let (recorded, clip) = (Recorded::default(), clip());
    for publisher in [TUNNEL, DIRECT] {
        let mut watches = [(); 3].map(|()| Watch::default());
        let [one, two, three] = &mut watches;
        with_devices(&Wire::new(), async |first, second| {
            let clients =
                join4(plays(first, TUNNEL, one), plays(first, TUNNEL, two), plays(first, DIRECT, three), async {
                    // The players connect first.
                    Timer::after(Duration::from_millis(500)).await;
                    Box::pin(publishes(first, URL, publisher, &clip, true)).await;
                });
            let ((one, two, three, ()), _) = while_serving(second, TunnelConfig::new(), &recorded, clients).await;
            assert_eq!([one, two, three], [Ok(End::Unpublished); 3]);
        });
        for watch in &watches {
            compare(&clip, &watch.tags()).unwrap();
        }
    }
}

#[test]
fn a_key_that_is_published_in_a_tunnel_is_refused_to_every_other_client() {
    with_devices(&Wire::new(), async |first, second| {
        let refused = async |target| {
            let (targets, mut memory) = ([target], TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            match connect(first, &mut plan, &mut memory).await.map(drop) {
                Err(Error::Refused(refusal)) => refusal.code.to_string(),
                other => panic!("{other:?}"),
            }
        };
        while_serving(second, TunnelConfig::new(), &Recorded::default(), async {
            let (targets, mut memory) = ([TUNNEL], TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let mut parts = publisher.split();
            let others = async {
                for target in [TUNNEL, DIRECT] {
                    assert_eq!(refused(target).await, "NetStream.Publish.BadName");
                }
            };
            assert!(matches!(select(parts.runner.run(), others).await, Either::Second(())));
        })
        .await;
    });
}

#[test]
fn a_silent_tunnel_ends_at_its_time_limit_and_frees_its_place() {
    let (recorded, limit) = (Recorded::default(), Duration::from_millis(700));
    let config = TunnelConfig { idle_timeout: limit.into(), ..TunnelConfig::new() };
    let ended = with_devices(&Wire::new(), async |first, second| {
        while_serving(second, config, &recorded, async {
            for _ in 0..TUNNELS + 1 {
                let (targets, mut memory) = ([TUNNEL], TestMemory::new());
                let mut plan = Plan::new(&targets, LIMITS).unwrap();
                let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
                let Parts { mut runner, mut video, .. } = publisher.split();
                let frame = join(video.send(Timestamp(0), &[0x17, 1, 0, 0, 0, 1, 2, 3]), async {
                    let _ = with_timeout(Duration::from_millis(300), runner.run()).await;
                });
                frame.await.0.unwrap();
                // The client does not run any longer.
                Timer::after(limit * 2).await;
            }
        })
        .await
        .1
    });
    assert_eq!(ended, [(SessionId(SOCKETS as u8), Error::Lost); TUNNELS + 1]);
    assert_eq!(recorded.kinds(TUNNELS), [MessageKind::VIDEO]);
}

#[test]
fn players_and_port_tests_leave_no_tunnel_behind() {
    let ended = with_devices(&Wire::new(), async |first, second| {
        while_serving(second, TunnelConfig::new(), &Recorded::default(), async {
            let (targets, url, options) = ([TUNNEL], Url::parse(URL).unwrap(), ClientOptions::default());
            for _ in 0..2 * TUNNELS {
                let (mut plan, mut memory) = (Plan::new(&targets, LIMITS).unwrap(), TestMemory::new());
                let connecting = Player::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [9; 32]);
                let mut player = connecting.await.unwrap();
                // The player waits for a publisher, or has sent its request and has no answer yet.
                let mut watch = Watch::default();
                let waiting = with_timeout(Duration::from_millis(200), player.run(&mut watch));
                assert_eq!(waiting.await.ok(), None);
                with_timeout(Duration::from_secs(1), player.close()).await.unwrap();
                assert_eq!(player.run(&mut watch).await, Err(Error::Closed));
            }
            let (mut memory, mut outcome) = (TestMemory::new(), None);
            let test = test_ports(
                first,
                "10.0.0.2",
                &targets,
                LIMITS,
                &options,
                &mut memory,
                || [7; 32],
                |report| {
                    outcome = Some(report.outcome);
                },
            );
            test.await.unwrap();
            assert_eq!(outcome, Some(Outcome::Connected));
            Timer::after(Duration::from_millis(100)).await;
        })
        .await
        .1
    });
    assert_eq!(ended, [(SessionId(SOCKETS as u8), Error::Closed); 2 * TUNNELS + 1]);
}

#[test]
fn a_shutdown_ends_the_tunnels() {
    let (recorded, ended) = (Recorded::default(), RefCell::new(Vec::new()));
    with_devices(&Wire::new(), async |first, second| {
        let mut memory = Box::new([const { TestMemory::new() }; 3]);
        let mut lent = Box::new(TunnelMemory::<1>::new());
        let mut tunnels = Tunnels::<1>::new(&mut lent, TunnelConfig::new());
        let server = Server::<3>::new(second, &[80], &mut memory, &ServerOptions::default());
        let mut server = server.and_then(|server| server.with_tunnels(&mut tunnels)).unwrap();
        let mut recorder = recorded.recorder();
        for _ in 0..2 {
            let (targets, mut memory) = ([TUNNEL], TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let publisher = select(connect(first, &mut plan, &mut memory), server.run(&mut recorder)).await;
            let Either::First(Ok(mut publisher)) = publisher else { panic!("the publisher did not connect") };
            let mut parts = publisher.split();
            // The publisher notices that its tunnel has ended, or finds no server to connect to.
            join(parts.runner.run(), server.shutdown(&mut recorder)).await;
        }
        ended.replace(recorder.ended);
    });
    assert_eq!(ended.take(), [(SessionId(3), Error::Closed); 2]);
}

#[test]
fn rings_without_room_for_answers_are_refused() {
    with_devices(&Wire::new(), async |first, _| {
        for (is_enough, error) in [(false, Some(ServerError::SendRing(256))), (true, None)] {
            let mut lent = TunnelMemory::<1>::new();
            let mut tunnels = Tunnels::<1>::new(&mut lent, TunnelConfig::new());
            let (mut small, mut large) =
                ([const { Memory::<512, 255>::new() }; 2], [const { Memory::<512, 256>::new() }; 2]);
            let options = ServerOptions::default();
            let server = match is_enough {
                false => Server::<2>::new(first, &[80], &mut small, &options),
                true => Server::<2>::new(first, &[80], &mut large, &options),
            };
            assert_eq!(server.unwrap().with_tunnels(&mut tunnels).err(), error);
        }
    });
}
