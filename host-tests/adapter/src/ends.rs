//! Sessions that end without a close.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{ConfigV4, Ipv4Address, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::session::{self, ServerConfig, ServerEvent, SessionBuffers, Stage};
use embedded_rtmp_embassy::{Error, Handler, Parts, Rejection, Server, ServerOptions, SessionId};

use super::pair::{
    IMPATIENT, LIMITS, Recorded, TestMemory, connect, serve_until, targets, while_serving, with_devices,
};
use crate::wire::Wire;

/// Accepts everything, and counts it.
#[derive(Default)]
struct Counter {
    refuses_connect: bool,
    refuses_publish: bool,
    bytes: usize,
    unpublished: u32,
    ended: Vec<Error>,
}

impl Handler for Counter {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn connect(&mut self, _: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        assert_eq!(request.app.to_str(), Ok("live"));
        if self.refuses_connect { Err("No such application.".into()) } else { Ok(()) }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, key: Text<'_>) -> Result<(), Rejection<'_>> {
        assert_eq!(key.to_str(), Ok("test"));
        if self.refuses_publish { Err("It is taken.".into()) } else { Ok(()) }
    }

    fn media(&mut self, _: SessionId, fragment: &Fragment<'_>) {
        self.bytes += fragment.data.len();
    }

    fn unpublished(&mut self, _: SessionId, _: StreamId) {
        self.unpublished += 1;
    }

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.ended.push(*why);
    }
}

/// Publishes frame after frame until sending fails. If `cut`, the wire is cut after the first frame.
fn publish_until_it_fails(cut: bool, counter: &mut Counter) -> Error {
    let wire = Wire::new();
    with_devices(&wire, async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let (mut memory, mut server_memory) = (TestMemory::new(), [const { TestMemory::new() }; 2]);
        let options = ServerOptions { keep_alive: IMPATIENT, ..Default::default() };
        let mut server = Server::<2>::new(second, &[1935], &mut server_memory, &options).unwrap();
        let client = async {
            let mut publisher = match connect(first, &mut plan, &mut memory).await {
                Ok(publisher) => publisher,
                Err(error) => return error,
            };
            let Parts { mut runner, mut video, .. } = publisher.split();
            let work = async {
                for time in 0.. {
                    if let Err(error) = video.send(Timestamp(time), &[3; 10_000]).await {
                        return error;
                    }
                    wire.cut.set(cut);
                }
                unreachable!()
            };
            let error = match select(runner.run(), work).await {
                Either::First(error) | Either::Second(error) => error,
            };
            assert_eq!(publisher.close().await, Err(error), "a session that has ended returns the same error again");
            // The server needs its own time to notice.
            Timer::after(IMPATIENT.timeout + Duration::from_secs(1)).await;
            error
        };
        let Either::First(error) = select(client, server.run(counter)).await else { unreachable!() };
        error
    })
}

#[test]
fn item_113_a_peer_that_is_gone_is_noticed_on_both_sides() {
    let mut counter = Counter::default();
    assert_eq!(publish_until_it_fails(true, &mut counter), Error::Lost);
    assert!(counter.bytes > 0);
    assert_eq!((counter.ended, counter.unpublished), (vec![Error::Lost], 0));
}

/// A server that accepts everything, and closes the connection with FIN after it has received some media.
async fn close_in_the_middle(stack: Stack<'_>) {
    let (mut rx, mut tx, mut scratch, mut control) = ([0; 2048], [0; 4096], [0; 1536], [0; 512]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut session = session::Server::<8>::new(buffers, ServerConfig::default(), &[1; 32]).unwrap();
    socket.accept(1935).await.unwrap();
    serve_until(&mut socket, &mut session, |event| matches!(event, ServerEvent::Media(_))).await;
    socket.close();
    // The stack answers segments that still arrive.
    std::future::pending().await
}

#[test]
fn item_113_a_server_that_closes_is_noticed() {
    let error = with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
            // Once while a frame is being sent, once without. The runner notices the end in both cases.
            let send = async { video.send(Timestamp(0), &[1; 100_000]).await.unwrap_err() };
            let (sent, ran) = join(send, runner.run()).await;
            assert_eq!((&sent, audio.send(Timestamp(1), b"").await), (&ran, Err(ran)));
            ran
        };
        match select(client, close_in_the_middle(second)).await {
            Either::First(error) => error,
            Either::Second(()) => unreachable!(),
        }
    });
    assert_eq!(error, Error::Closed);
}

#[test]
fn item_113_a_server_that_is_switched_off_and_on_is_noticed() {
    let recorded = Recorded::default();
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let mut publisher =
            while_serving(second, &[1935], &recorded, connect(first, &mut plan, &mut memory)).await.unwrap();
        // The server and its sockets were dropped. Its stack sends RST.
        let Parts { mut runner, mut video, .. } = publisher.split();
        let send = async { video.send(Timestamp(0), &[1; 100_000]).await.unwrap_err() };
        assert_eq!(join(send, runner.run()).await, (Error::Lost, Error::Lost));
    });
}

#[test]
fn a_close_after_the_address_was_removed_returns_an_error() {
    let (recorded, wire) = (Recorded::default(), Wire::new());
    let result = with_devices(&wire, async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            wire.cut.set(true);
            publisher.split().video.send(Timestamp(5), &[1; 2_000]).await.unwrap();
            let change = async {
                Timer::after(Duration::from_millis(300)).await;
                let address = Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 77), 24);
                let config = StaticConfigV4 { address, gateway: None, dns_servers: Default::default() };
                first.set_config_v4(ConfigV4::Static(config));
            };
            join(publisher.close(), change).await.0
        };
        while_serving(second, &[1935], &recorded, client).await
    });
    assert_eq!((result, recorded.kinds(0).len()), (Err(Error::Lost), 0));
}

#[test]
fn item_083_a_refused_stream_is_a_typed_error_with_the_servers_words() {
    let mut counter = Counter { refuses_publish: true, ..Default::default() };
    let Error::Refused(refusal) = publish_until_it_fails(false, &mut counter) else { panic!("it was refused") };
    assert_eq!(refusal.stage, Stage::Publish);
    assert_eq!(
        (refusal.code.as_text(), refusal.description.as_text()),
        ("NetStream.Publish.BadName".into(), "It is taken.".into())
    );
}

#[test]
fn item_083_a_refused_application_is_one_too() {
    let mut counter = Counter { refuses_connect: true, ..Default::default() };
    let Error::Refused(refusal) = publish_until_it_fails(false, &mut counter) else { panic!("it was refused") };
    assert_eq!(refusal.stage, Stage::Connect);
    assert_eq!(refusal.description.as_text(), "No such application.");
    assert_eq!(counter.bytes, 0);
}
