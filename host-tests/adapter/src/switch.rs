//! A player that asks for another stream on its connection.

use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectOptions, PlayRequest};
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{ClientOptions, Played, Publisher, Server, ServerOptions, StreamMemory};

use super::pair::{AcceptAll, LIMITS, TestMemory, connect, keyframe, targets, with_devices};
use crate::wire::Wire;

/// A player of which the test controls each step.
struct Hand<'h> {
    socket: TcpSocket<'h>,
    client: Client<'h, 8, 3>,
    /// The streams that have begun to play, and the number of media bytes received for each.
    playing: Vec<StreamId>,
    media: Vec<(StreamId, usize)>,
    refused: usize,
}

impl<'h> Hand<'h> {
    /// Connects, and asks for a stream.
    async fn play(
        stack: Stack<'h>,
        name: &'static str,
        ([rx, tx], scratch, control): &'h mut ([[u8; 1024]; 2], [u8; 1536], [u8; 1024]),
    ) -> Self {
        let mut socket = TcpSocket::new(stack, rx, tx);
        socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
        let mut client = Client::new(SessionBuffers { scratch, control }, ClientConfig::new(), &[9; 32]).unwrap();
        let tc_url = ["rtmp://10.0.0.2/live"];
        let app = ConnectOptions::new("live", &tc_url);
        client.connect(&app).unwrap();
        client.play(&PlayRequest::new(name)).unwrap();
        Self { socket, client, playing: Vec::new(), media: Vec::new(), refused: 0 }
    }

    /// Continues until the server has sent this many answers and this many bytes of media.
    async fn go_on(&mut self, answers: usize, bytes: usize) {
        let begin = Instant::now();
        while self.playing.len() + self.refused < answers
            || self.media.iter().map(|(_, bytes)| bytes).sum::<usize>() < bytes
        {
            let (mut input, mut out, now) = ([0; 500], [0; 4096], time::Instant::from_micros(begin.as_micros()));
            let length = self.client.poll_transmit(now, &mut out);
            let mut rest = &out[..length];
            while !rest.is_empty() {
                rest = &rest[self.socket.write(rest).await.unwrap()..];
            }
            if length > 0 {
                continue;
            }
            let length = self.socket.read(&mut input).await.unwrap();
            assert!(length > 0, "the server has closed");
            let mut rest = &input[..length];
            loop {
                match self.client.next_event(now, &mut rest).unwrap() {
                    Some(ClientEvent::Playing(stream)) => self.playing.push(stream),
                    Some(ClientEvent::Refused(..)) => self.refused += 1,
                    // The server also sends data messages, such as the start of the stream's data.
                    Some(ClientEvent::Media(fragment)) if !fragment.header.kind.is_data() => {
                        let stream = fragment.header.stream;
                        match self.media.last_mut().filter(|(last, _)| *last == stream) {
                            Some((_, bytes)) => *bytes += fragment.data.len(),
                            None => self.media.push((stream, fragment.data.len())),
                        }
                    }
                    Some(_) => {}
                    None if rest.is_empty() => break,
                    None => {
                        let length = self.client.poll_transmit(now, &mut out);
                        assert_eq!(self.socket.write(&out[..length]).await, Ok(length));
                    }
                }
            }
        }
    }
}

#[test]
fn another_stream_is_played_when_the_message_of_the_first_is_whole() {
    const FRAME: usize = 40_000;
    let mut handler = AcceptAll::default();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<65_536>::new() }; 2]);
        let options = ServerOptions { max_per_address: Some(4), ..Default::default() };
        let server = Server::<4, 2, 1>::relaying(second, &[1935], &mut memory, &mut streams, &options);
        let mut server = server.unwrap();
        let clients = async {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let mut lent = ([[0; 1024]; 2], [0; 1536], [0; 1024]);
            let mut hand = Hand::play(first, "test", &mut lent).await;
            hand.go_on(1, 0).await;
            let mut parts = publisher.split();
            let publishing = async {
                parts.video.send(Timestamp(0), &keyframe::<FRAME>()).await.unwrap();
                std::future::pending::<()>().await
            };
            let playing = async {
                // A part of the frame has arrived. The player does not read the rest yet.
                hand.go_on(1, 1_000).await;
                Timer::after(Duration::from_millis(300)).await;
                hand.client.play(&PlayRequest::new("other")).unwrap();
                hand.go_on(2, FRAME).await;
                let (mut plan, mut memory) = (Plan::new(&targets, LIMITS).unwrap(), TestMemory::new());
                let (other, options) = (Url::parse("rtmp://10.0.0.2/live/other").unwrap(), ClientOptions::DEFAULT);
                let connecting = Publisher::<8>::connect(first, &other, &mut plan, &options, &mut memory, || [3; 32]);
                let mut publisher = connecting.await.unwrap();
                let mut parts = publisher.split();
                let publishing = async {
                    parts.video.send(Timestamp(0), &keyframe::<100>()).await.unwrap();
                    hand.go_on(2, FRAME + 100).await;
                };
                let Either::Second(()) = select(parts.runner.run(), publishing).await else {
                    panic!("the other publisher's end")
                };
            };
            let Either::Second(()) = select(select(parts.runner.run(), publishing), playing).await else {
                panic!("the publisher's end")
            };
            assert_eq!(hand.media, [(hand.playing[0], FRAME), (hand.playing[1], 100)]);
        };
        let Either::First(()) = select(Box::pin(clients), server.run(&mut handler)).await else { unreachable!() };
    });
    assert_eq!(handler.0, [Played { sent: 1, skipped: 0 }]);
}

#[test]
fn a_player_continues_if_there_is_no_room_for_another_stream() {
    let mut handler = AcceptAll::default();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<65_536>::new() }; 1]);
        let options = ServerOptions::default();
        let server = Server::<4, 1, 1>::relaying(second, &[1935], &mut memory, &mut streams, &options);
        let mut server = server.unwrap();
        let clients = async {
            let mut lent = ([[0; 1024]; 2], [0; 1536], [0; 1024]);
            let mut hand = Hand::play(first, "another", &mut lent).await;
            hand.go_on(1, 0).await;
            // No other player waits for that stream, so its entry is reused for the next one.
            hand.client.play(&PlayRequest::new("test")).unwrap();
            hand.go_on(2, 0).await;
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let mut parts = publisher.split();
            let playing = async {
                parts.video.send(Timestamp(0), &keyframe::<100>()).await.unwrap();
                hand.go_on(2, 100).await;
                hand.client.play(&PlayRequest::new("other")).unwrap();
                hand.go_on(3, 100).await;
                parts.video.send(Timestamp(40), &keyframe::<100>()).await.unwrap();
                hand.go_on(3, 200).await;
            };
            let Either::Second(()) = select(parts.runner.run(), playing).await else { panic!("the publisher's end") };
            assert_eq!((hand.playing.len(), hand.refused), (2, 1));
            assert_eq!(hand.media, [(hand.playing[1], 200)]);
        };
        let Either::First(()) = select(Box::pin(clients), server.run(&mut handler)).await else { unreachable!() };
    });
    assert_eq!(handler.0, [Played::default()]);
}
