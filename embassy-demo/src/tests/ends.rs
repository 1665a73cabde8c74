//! How sessions end that nobody has closed.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectRequest;
use embedded_rtmp_embassy::embedded_rtmp::connect::Plan;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::session::Stage;
use embedded_rtmp_embassy::{Error, Handler, Parts, ServeOptions, Server, SessionId};

use super::pair::{IMPATIENT, LIMITS, TestMemory, connect, targets, with_devices};
use crate::demo::wire::Wire;

/// Takes what comes, and counts it.
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

    fn connect(&mut self, _: SessionId, request: &ConnectRequest<'_>) -> Result<(), &'static str> {
        assert_eq!(request.app.to_str(), Ok("live"));
        if self.refuses_connect { Err("No such application.") } else { Ok(()) }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, key: Text<'_>) -> Result<(), &'static str> {
        assert_eq!(key.to_str(), Ok("test"));
        if self.refuses_publish { Err("It is taken.") } else { Ok(()) }
    }

    fn media(&mut self, _: SessionId, fragment: &Fragment<'_>) {
        self.bytes += fragment.data.len();
    }

    fn unpublished(&mut self, _: SessionId, _: StreamId) {
        self.unpublished += 1;
    }

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.ended.push(why.clone());
    }
}

/// Publishes frame after frame until that fails; after the first one, the wire is cut if `cut` says so.
fn publish_until_it_fails(cut: bool, counter: &mut Counter) -> Error {
    let wire = Wire::new();
    with_devices(&wire, async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let (mut memory, mut server_memory) = (TestMemory::new(), [const { TestMemory::new() }; 2]);
        let options = ServeOptions { keep_alive: IMPATIENT, ..Default::default() };
        let mut server = Server::<2>::new(second, &[1935], &mut server_memory, options).unwrap();
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
            assert_eq!(publisher.close().await, Err(error.clone()), "what is over stays so");
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

#[test]
fn item_083_a_refused_stream_is_a_typed_error_with_the_servers_words() {
    let mut counter = Counter { refuses_publish: true, ..Default::default() };
    let Error::Refused(refusal) = publish_until_it_fails(false, &mut counter) else { panic!("it was refused") };
    assert_eq!(refusal.stage, Stage::Publish);
    assert_eq!((&refusal.code[..], &refusal.description[..]), ("NetStream.Publish.BadName", "It is taken."));
}

#[test]
fn item_083_a_refused_application_is_one_too() {
    let mut counter = Counter { refuses_connect: true, ..Default::default() };
    let Error::Refused(refusal) = publish_until_it_fails(false, &mut counter) else { panic!("it was refused") };
    assert_eq!(refusal.stage, Stage::Connect);
    assert_eq!(&refusal.description[..], "No such application.");
    assert_eq!(counter.bytes, 0);
}
