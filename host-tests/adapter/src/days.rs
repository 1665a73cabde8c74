//! Sessions of hours and days, across the wrap of RTMP's timestamps after 2^32 ms, which are 49.7 days.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::{Error, Handler, Parts, Rejection, Server, ServerOptions, SessionId};

use super::pair::{LIMITS, TestMemory, connect, targets, with_devices_for};
use crate::wire::Wire;

/// The time between two pictures.
const INTERVAL: Duration = Duration::from_secs(10);

/// The first picture's timestamp: one minute before the timestamps wrap.
const START: u32 = u32::MAX - 59_999;

/// Checks that each picture is whole and arrives [`INTERVAL`] after the previous one.
#[derive(Default)]
struct Checker {
    sessions: u32,
    pictures: u32,
}

impl Handler for Checker {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        self.sessions += 1;
        Ok(())
    }

    fn media(&mut self, _: SessionId, fragment: &Fragment<'_>) {
        if fragment.header.kind == MessageKind::VIDEO && fragment.is_last() {
            let expected = START.wrapping_add(self.pictures.wrapping_mul(INTERVAL.as_millis() as u32));
            assert_eq!(fragment.header.timestamp, Timestamp(expected), "picture {}", self.pictures);
            self.pictures += 1;
        }
    }
}

/// Publishes pictures for this time, in one session.
fn publish_for(time: Duration) {
    let pictures = (time.as_secs() / INTERVAL.as_secs()) as u32;
    let mut checker = Checker::default();
    with_devices_for(time + Duration::from_secs(60), &Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let mut server_memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut server = Server::<2>::new(second, &[1935], &mut server_memory, &ServerOptions::default()).unwrap();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let send = async {
                let start = Instant::now();
                for number in 0..pictures {
                    let timestamp = START.wrapping_add(number.wrapping_mul(INTERVAL.as_millis() as u32));
                    video.send(Timestamp(timestamp), &[0x17; 3_000]).await?;
                    Timer::at(start + INTERVAL * (number + 1)).await;
                }
                Ok::<(), Error>(())
            };
            let Either::First(sent) = select(send, runner.run()).await else { panic!("the session ended") };
            assert_eq!(sent, Ok(()));
            publisher.close().await.unwrap();
        };
        let Either::First(()) = select(client, server.run(&mut checker)).await else { unreachable!() };
    });
    assert_eq!((checker.sessions, checker.pictures), (1, pictures));
}

#[test]
fn timestamps_of_a_session_of_two_hours_wrap_without_a_gap() {
    publish_for(Duration::from_secs(2 * 3_600));
}

#[test]
#[ignore = "long: fifty days of simulated time; host-tests/run long runs it"]
fn long_fifty_days_of_one_session_keep_their_time_line() {
    publish_for(Duration::from_secs(50 * 24 * 3_600));
}
