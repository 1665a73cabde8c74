//! A server with several clients, and its ports.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_net::IpAddress;
use embassy_net::tcp::{State, TcpSocket};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Outcome, Plan};
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::session::{self, Stage};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    DEFAULT_PORTS, Error, Handler, Memory, Parts, Rejection, Server, ServerError, ServerOptions, SessionId,
};

use super::pair::{LIMITS, Recorded, TestMemory, clip, connect, targets, while_serving, with_devices};
use crate::compare::compare;
use crate::flv;
use crate::progress::Progress;
use crate::publish::publish;
use crate::wire::Wire;

#[test]
fn several_publishers_at_once_on_several_ports() {
    let recorded = Recorded::default();
    with_devices(&Wire::new(), async |first, second| {
        let client = async |url: &str| {
            let url = Url::parse(url).unwrap();
            let targets = targets([url.port().unwrap()]);
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut memory = TestMemory::new();
            publish(first, &url, &mut plan, &mut memory, &clip(), false, &Progress::default()).await.unwrap();
        };
        while_serving(
            second,
            &[1935, 80],
            &recorded,
            join3(
                client("rtmp://10.0.0.2:1935/live/one"),
                client("rtmp://10.0.0.2:80/live/two"),
                client("rtmp://10.0.0.2:80/live/three"),
            ),
        )
        .await;
    });
    let mut keys: Vec<String> = recorded.files.borrow().iter().map(|(key, _)| key.clone()).collect();
    keys.sort();
    assert_eq!(keys, ["one", "three", "two"]);
    for index in 0..3 {
        compare(&clip(), &flv::read(&recorded.file(index)).unwrap()).unwrap();
    }
}

#[test]
fn while_sockets_are_left_for_them_all_ports_are_open_and_again_after_the_last() {
    with_devices(&Wire::new(), async |first, second| {
        while_serving(second, DEFAULT_PORTS, &Recorded::default(), async {
            for ports in [[80, 80, 80], [80, 80, 1935], [1935, 1935, 80]] {
                let mut memory: Vec<TestMemory> = (0..7).map(|_| TestMemory::new()).collect();
                let mut publishers = Vec::new();
                // The server has four sockets on two ports. Whichever ports the first two clients use, both are open
                // for a third client. After the last socket is used, both ports are closed.
                let ports = ports.into_iter().chain([80, 1935, 80, 1935]);
                for (index, (port, memory)) in ports.zip(&mut memory).enumerate() {
                    let targets = targets([port]);
                    let mut plan = Plan::new(&targets, LIMITS).unwrap();
                    publishers.extend(connect(first, &mut plan, memory).await);
                    let outcome = plan.reports().next().unwrap().outcome;
                    if index < 3 {
                        assert_eq!(outcome, Outcome::Connected, "client {index} on port {port}");
                    } else if outcome != Outcome::Connected {
                        assert_eq!(outcome, Outcome::Failed(Failure::Refused), "client {index} on port {port}");
                    }
                }
                assert_eq!(publishers.len(), 4);
                for publisher in &mut publishers {
                    publisher.close().await.unwrap();
                }
            }
        })
        .await;
    });
}

#[test]
fn an_invalid_configuration_is_refused_at_once() {
    with_devices(&Wire::new(), async |first, _| {
        let mut memory = [const { TestMemory::new() }; 2];
        let mut new =
            |ports: &'static [u16]| Server::<2>::new(first, ports, &mut memory, &ServerOptions::default()).err();
        assert_eq!(new(&[]), Some(ServerError::NoPorts));
        assert_eq!(new(&[1935, 0]), Some(ServerError::Port(0)));
        assert_eq!(new(&[80, 1935, 80]), Some(ServerError::Port(80)));
        assert_eq!(new(DEFAULT_PORTS), Some(ServerError::Sockets(3)));
        assert_eq!(new(&[80]), None);
    });
}

#[test]
fn a_client_that_never_sends_anything_is_disconnected() {
    with_devices(&Wire::new(), async |first, second| {
        let mut memory = Box::new([const { TestMemory::new() }; 2]);
        let mut options = ServerOptions::default();
        options.session.connect_timeout = Some(core::time::Duration::from_millis(300));
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &options).unwrap();
        let recorded = Recorded::default();
        let mut recorder = recorded.recorder();
        let silent = async {
            let (mut rx, mut tx) = ([0; 512], [0; 512]);
            let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
            // The connection may end with FIN or RST.
            let end =
                with_timeout(Duration::from_secs(10), socket.read(&mut [0])).await.expect("the client is disconnected");
            assert!(!matches!(end, Ok(1..)), "{end:?}");
        };
        assert!(matches!(select(silent, server.run(&mut recorder)).await, Either::First(())));
    });
}

/// Refuses every client with a long description.
#[derive(Default)]
struct Refusing {
    asked: Rc<Cell<bool>>,
    why: Vec<Error>,
}

impl Handler for Refusing {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn connect(&mut self, _: SessionId, _: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        self.asked.set(true);
        Err(str::from_utf8(&[b'-'; 300]).unwrap().into())
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        unreachable!()
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.why.push(*why);
    }
}

#[test]
fn a_refused_client_that_does_not_read_is_disconnected() {
    const CONNECT: &[u8] =
        b"\x03\0\0\0\0\0\x1f\x14\0\0\0\0\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\0\0\0\x09";
    let mut refusing = Refusing::default();
    let asked = refusing.asked.clone();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory = Box::new([const { Memory::<4096, 512>::new() }; 2]);
        let mut options = ServerOptions::default();
        options.session.connect_timeout = Some(core::time::Duration::from_secs(2));
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &options).unwrap();
        let deaf = async {
            let (mut rx, mut tx) = ([0; 512], [0; 4096]);
            let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
            let said = [&[3], &[0; 3_072][..], CONNECT].concat();
            assert_eq!(socket.write(&said).await, Ok(said.len()));
            // By then the rest of the handshake fills the rings.
            while !asked.get() {
                socket.read(&mut [0; 8]).await.unwrap();
                Timer::after(Duration::from_millis(1)).await;
            }
            while socket.state() == State::Established {
                Timer::after(Duration::from_millis(10)).await;
            }
        };
        assert!(matches!(select(deaf, server.run(&mut refusing)).await, Either::First(())));
    });
    assert_eq!(refusing.why, [Error::Session(session::SessionError::TimedOut(Stage::Connect))]);
}

/// A handler that is not ready for media until the test allows it.
struct Slow<'s> {
    ready: &'s Cell<bool>,
    bytes: &'s Cell<usize>,
}

impl Handler for Slow<'_> {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        self.ready.set(false);
        Ok(())
    }

    fn media(&mut self, _: SessionId, fragment: &Fragment<'_>) {
        self.bytes.set(self.bytes.get() + fragment.data.len());
    }

    fn poll_ready(&mut self, _: SessionId, _: &mut Context<'_>) -> Poll<()> {
        // The test wakes the task with its timers.
        if self.ready.get() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn a_server_that_does_not_read_holds_the_publisher_back() {
    let (ready, bytes, sent) = (Cell::new(true), Cell::new(0), Cell::new(0_u32));
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let (mut memory, mut server_memory) = (TestMemory::new(), [const { TestMemory::new() }; 2]);
        let mut server = Server::<2>::new(second, &[1935], &mut server_memory, &ServerOptions::default()).unwrap();
        let mut slow = Slow { ready: &ready, bytes: &bytes };
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await?;
            let Parts { mut runner, mut video, .. } = publisher.split();
            let work = async {
                for frame in 0..100 {
                    video.send(Timestamp(frame), &[1; 1_000]).await?;
                    sent.set(sent.get() + 1);
                }
                Ok::<(), Error>(())
            };
            let release = async {
                while sent.get() < 4 {
                    Timer::after(Duration::from_millis(5)).await;
                }
                Timer::after(Duration::from_millis(200)).await;
                // Both rings are full, and a few frames fit in them.
                assert!(bytes.get() <= 4_096 && sent.get() < 16, "{} frames were sent", sent.get());
                ready.set(true);
            };
            let Either::First((result, ())) = select(join(work, release), runner.run()).await else { panic!("ended") };
            result?;
            publisher.close().await
        };
        let Either::First(result) = select(client, server.run(&mut slow)).await else { unreachable!() };
        assert_eq!(result, Ok(()));
    });
    assert_eq!((bytes.get(), sent.get()), (100_000, 100));
}

#[test]
fn a_server_without_tunnels_answers_a_browser_with_404() {
    with_devices(&Wire::new(), async |first, second| {
        let browser = async {
            let (mut rx, mut tx, mut answer) = ([0; 512], [0; 512], Vec::new());
            let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
            socket.write(b"GET / HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n").await.unwrap();
            let mut piece = [0; 100];
            // The server closes with FIN, which embassy-net also reports as a reset. The answer is complete.
            while let Ok(length @ 1..) = socket.read(&mut piece).await {
                answer.extend_from_slice(&piece[..length]);
            }
            String::from_utf8(answer).unwrap()
        };
        let answer = while_serving(second, &[80], &Recorded::default(), browser).await;
        assert_eq!(answer, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
}
