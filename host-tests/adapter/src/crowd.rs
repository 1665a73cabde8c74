//! A server whose sockets are all in use, and the limit for each address.

use embassy_futures::select::{Either, select};
use embassy_net::tcp::{State, TcpSocket};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer};
use embedded_io_async::Write;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::{Error, Handler, Publisher, Rejection, Server, ServerOptions, SessionId};

use super::pair::{LIMITS, TestMemory, connect, targets, with_devices};
use crate::wire::Wire;

const SOCKETS: usize = 4;

/// Records why sessions end.
#[derive(Default)]
struct Ends {
    sessions: u8,
    closed: Vec<Error>,
}

impl Handler for Ends {
    fn entropy(&mut self) -> [u8; 32] {
        self.sessions += 1;
        [self.sessions; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.closed.push(*why);
    }
}

/// Runs `clients` on the first device while a server on the second one has this limit. Returns why its sessions ended.
fn serve(max_per_address: Option<usize>, clients: impl AsyncFnOnce(Stack<'_>)) -> Vec<Error> {
    let mut ends = Ends::default();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; SOCKETS]> = Box::new([const { TestMemory::new() }; SOCKETS]);
        let options = ServerOptions { max_per_address, ..Default::default() };
        let mut server = Server::<SOCKETS>::new(second, &[1935], &mut memory, &options).unwrap();
        let Either::First(()) = select(clients(first), server.run(&mut ends)).await else { unreachable!() };
    });
    ends.closed
}

/// Opens a connection and sends `bytes`.
async fn open<'a>(stack: Stack<'a>, memory: &'a mut [[u8; 2048]; 2], bytes: &[u8]) -> TcpSocket<'a> {
    let [rx, tx] = memory;
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket
}

/// Sends a message of a publisher.
async fn send(publisher: &mut Publisher<'_>, at: u32) -> Result<(), Error> {
    publisher.split().audio.send(Timestamp(at), &[0xAF, 1, 0]).await
}

/// Publishes a message on a new connection. Returns whether the server accepted it.
async fn publishes(stack: Stack<'_>, memory: &mut TestMemory) -> bool {
    let targets = targets([1935]);
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let Ok(mut publisher) = connect(stack, &mut plan, memory).await else { return false };
    send(&mut publisher, 0).await.is_ok() && publisher.close().await.is_ok()
}

#[test]
fn item_195_clients_that_ask_for_nothing_leave_when_no_socket_is_left() {
    // The clients send nothing, a part of the handshake, or C0, C1 and C2 without `connect`.
    let handshake = [&[3][..], &[0; 3_072]].concat();
    for bytes in [&[][..], &[3; 700], &handshake] {
        let closed = serve(Some(SOCKETS), async |stack| {
            let mut lent = [[[0; 2048]; 2]; SOCKETS];
            let mut sockets = Vec::new();
            for memory in &mut lent {
                sockets.push(open(stack, memory, bytes).await);
            }
            let mut memory = TestMemory::new();
            assert!(!publishes(stack, &mut memory).await, "each socket has a client");
            Timer::after(Duration::from_secs(3)).await;
            // One free socket is enough. When it is used, the server frees the next one.
            let left = async || {
                Timer::after(Duration::from_millis(50)).await;
                sockets.iter().filter(|socket| socket.state() == State::Established).count()
            };
            assert_eq!(left().await, SOCKETS - 1);
            let targets = targets([1935]);
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(stack, &mut plan, &mut memory).await.unwrap();
            assert_eq!(left().await, SOCKETS - 2);
            send(&mut publisher, 0).await.unwrap();
            publisher.close().await.unwrap();
        });
        assert_eq!(closed.iter().filter(|why| **why == Error::Crowded).count(), 2, "{closed:?}");
    }
}

#[test]
fn item_195_publishers_stay_when_no_socket_is_left() {
    let closed = serve(Some(SOCKETS), async |stack| {
        let targets = targets([1935]);
        let mut memory: Vec<TestMemory> = (0..SOCKETS).map(|_| TestMemory::new()).collect();
        let mut publishers = Vec::new();
        for memory in &mut memory {
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            publishers.push(connect(stack, &mut plan, memory).await.unwrap());
        }
        for second in 0..15 {
            Timer::after(Duration::from_secs(1)).await;
            for publisher in &mut publishers {
                send(publisher, second * 1_000).await.unwrap();
            }
        }
        for publisher in &mut publishers {
            publisher.close().await.unwrap();
        }
    });
    assert_eq!(closed, [Error::Closed; SOCKETS]);
}

#[test]
fn item_195_an_address_gets_half_of_the_sockets() {
    let closed = serve(None, async |stack| {
        let (targets, mut lent) = (targets([1935]), [[[0; 2048]; 2]; 2]);
        let [idle, other] = &mut lent;
        let idle = open(stack, idle, &[3]).await;
        let mut memory = [const { TestMemory::new() }; 3];
        let [one, two, three] = &mut memory;
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut first = connect(stack, &mut plan, one).await.unwrap();
        assert_eq!(idle.state(), State::Established);
        // The third connection replaces the client that asks for nothing.
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut second = connect(stack, &mut plan, two).await.unwrap();
        assert_ne!(idle.state(), State::Established);
        // Further connections are closed in any case.
        assert!(!publishes(stack, three).await);
        let other = open(stack, other, &[]).await;
        Timer::after(Duration::from_millis(100)).await;
        assert_ne!(other.state(), State::Established);
        for publisher in [&mut first, &mut second] {
            send(publisher, 0).await.unwrap();
            publisher.close().await.unwrap();
        }
        assert!(publishes(stack, three).await, "the places are free again");
    });
    assert_eq!(closed.iter().filter(|why| **why == Error::Crowded).count(), 3, "{closed:?}");
}
