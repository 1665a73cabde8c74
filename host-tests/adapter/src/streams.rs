//! Sessions of a server over streams that the caller has accepted, together with sessions over its sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::{End, Pipe};
use embedded_rtmp_embassy::{
    ClientOptions, Error, Memory, Parts, PlayHandler, Player, Publisher, Server, ServerOptions, StreamMemory, Streams,
};

use super::pair::{AcceptAll, LIMITS, NO_GRACE, TestMemory, URL, targets, with_devices};
use crate::wire::Wire;

/// The bytes from one end to the other.
#[derive(Default)]
pub(super) struct Channel {
    bytes: VecDeque<u8>,
    is_closed: bool,
    reader: Option<Waker>,
}

pub(super) struct Receiver(Rc<RefCell<Channel>>);
pub(super) struct Sender(Rc<RefCell<Channel>>);

pub(super) fn channel() -> (Sender, Receiver) {
    let channel = Rc::new(RefCell::new(Channel::default()));
    (Sender(channel.clone()), Receiver(channel))
}

fn wake(channel: &RefCell<Channel>) {
    let waker = channel.borrow_mut().reader.take();
    waker.into_iter().for_each(Waker::wake);
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.borrow_mut().is_closed = true;
        wake(&self.0);
    }
}

impl ErrorType for Receiver {
    type Error = ErrorKind;
}

impl ErrorType for Sender {
    type Error = ErrorKind;
}

impl Read for Receiver {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            let mut channel = self.0.borrow_mut();
            let count = buffer.len().min(channel.bytes.len());
            if count == 0 && !channel.is_closed {
                channel.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            buffer.iter_mut().zip(channel.bytes.drain(..count)).for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Sender {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.borrow_mut().bytes.extend(bytes);
        wake(&self.0);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

const PICTURES: u32 = 50;

fn picture(index: u32) -> Vec<u8> {
    let first = if index == 0 { 0x17 } else { 0x27 };
    [vec![first, 1, 0, 0, 0], vec![index as u8; 900]].concat()
}

/// Publishes pictures over a stream to the server.
async fn publish(pipe: &Pipe<'_>) -> Result<(), Error> {
    let (mut memory, url) = (Memory::<1, 1>::new(), Url::parse(URL).unwrap());
    let opening = Publisher::<8, _>::open(pipe, &url, &ClientOptions::DEFAULT, memory.session(), &[9; 32]);
    let mut publisher = opening.await?;
    let Parts { mut runner, mut video, .. } = publisher.split();
    let feed = async {
        // Wait for the player to connect.
        Timer::after_secs(1).await;
        for index in 0..PICTURES {
            Timer::after_millis(40).await;
            video.send(Timestamp(40 * index), &picture(index)).await?;
        }
        Timer::after_millis(200).await;
        Ok::<(), Error>(())
    };
    match select(runner.run(), feed).await {
        Either::First(error) => return Err(error),
        Either::Second(result) => result?,
    }
    publisher.close().await
}

#[derive(Default)]
struct Watcher(Vec<Vec<u8>>);

impl PlayHandler for Watcher {
    fn media(&mut self, fragment: &Fragment<'_>) {
        if fragment.header.kind == MessageKind::VIDEO {
            if fragment.is_first() {
                self.0.push(Vec::new());
            }
            self.0.last_mut().unwrap().extend(fragment.data);
        }
    }
}

#[test]
fn a_publisher_over_an_accepted_stream_is_relayed_to_a_player_over_tcp() {
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut relayed = Box::new([const { StreamMemory::<65_536>::new() }; 1]);
        let (mut input, mut output, mut buffers) = ([0; 300], [0; 600], Memory::<1, 1>::new());
        let accepted = Pipe::new(&mut input, &mut output);
        let mut streams = Streams::<1>::new([(&accepted, buffers.session())]).unwrap();
        let options = ServerOptions { relay: NO_GRACE, ..Default::default() };
        let server = Server::<2, 1, 1>::relaying(second, &[1935], &mut memory, &mut relayed, &options).unwrap();
        let mut server = server.with_streams(&mut streams);
        let client = async {
            // One connection follows another on the same pipe.
            for _ in 0..2 {
                let ((mut to_server, mut from_client), (mut to_client, mut from_server)) = (channel(), channel());
                let (mut input, mut output) = ([0; 300], [0; 600]);
                let pipe = Pipe::new(&mut input, &mut output);
                let publishing = async {
                    let ended = pipe.run(&mut from_server, &mut to_server, publish(&pipe)).await;
                    drop(to_server);
                    ended
                };
                let serving = accepted.serve(&mut from_client, &mut to_client);
                let playing = async {
                    Timer::after_millis(500).await;
                    let (mut memory, url, mut viewer) =
                        (TestMemory::new(), Url::parse(URL).unwrap(), Watcher::default());
                    let (targets, options) = (targets([1935]), ClientOptions::DEFAULT);
                    let mut plan = Plan::new(&targets, LIMITS).unwrap();
                    let connecting = Player::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [5; 32]);
                    let mut player = connecting.await.unwrap();
                    let _ = with_timeout(Duration::from_secs(5), player.run(&mut viewer)).await;
                    player.close().await;
                    viewer.0
                };
                let ((result, end), served, played) = join3(publishing, serving, playing).await;
                assert_eq!((result, end, served), (Ok(()), End::Closed, End::Closed));
                assert!(played == (0..PICTURES).map(picture).collect::<Vec<_>>(), "{} pictures", played.len());
            }
        };
        let mut handler = AcceptAll::default();
        let ended = with_timeout(Duration::from_secs(60), select(client, server.run(&mut handler))).await;
        assert!(matches!(ended, Ok(Either::First(()))));
    });
}

#[test]
fn a_stream_that_ends_ends_its_session_and_a_shutdown_closes_it() {
    with_devices(&Wire::new(), async |_, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let (mut input, mut output, mut buffers) = ([0; 300], [0; 600], Memory::<1, 1>::new());
        let accepted = Pipe::new(&mut input, &mut output);
        let mut streams = Streams::<1>::new([(&accepted, buffers.session())]).unwrap();
        let server = Server::<2>::new(second, &[1935], &mut memory, &ServerOptions::default()).unwrap();
        let mut server = server.with_streams(&mut streams);
        let mut handler = AcceptAll::default();
        // The peer closes.
        let ((to_server, mut from_client), (mut to_client, _from_server)) = (channel(), channel());
        drop(to_server);
        let serving = accepted.serve(&mut from_client, &mut to_client);
        let ended = select(serving, server.run(&mut handler)).await;
        assert!(matches!(ended, Either::First(End::Closed)));
        // The server is shut down.
        let ((_to_server, mut from_client), (mut to_client, _from_server)) = (channel(), channel());
        let serving = accepted.serve(&mut from_client, &mut to_client);
        let stopping = async {
            let _ = with_timeout(Duration::from_millis(10), server.run(&mut handler)).await;
            server.shutdown(&mut handler).await;
        };
        let (end, ()) = join(serving, stopping).await;
        assert_eq!(end, End::Closed);
    });
}

#[cfg(all(feature = "enhanced", feature = "redirect"))]
#[test]
fn item_387_a_player_over_an_accepted_stream_is_asked_once_and_may_stay() {
    use embedded_rtmp_embassy::End;
    use embedded_rtmp_embassy::embedded_rtmp::command::ReconnectRequest;

    with_devices(&Wire::new(), async |_, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut relayed = Box::new([const { StreamMemory::<65_536>::new() }; 1]);
        let (mut input, mut output, mut buffers) = ([0; 300], [0; 600], Memory::<1, 1>::new());
        let accepted = Pipe::new(&mut input, &mut output);
        let mut streams = Streams::<1>::new([(&accepted, buffers.session())]).unwrap();
        let options = ServerOptions::default();
        let server = Server::<2, 1, 1>::relaying(second, &[1935], &mut memory, &mut relayed, &options).unwrap();
        let (mut server, mut handler) = (server.with_streams(&mut streams), AcceptAll::default());
        let ((mut to_server, mut from_client), (mut to_client, mut from_server)) = (channel(), channel());
        let (mut input, mut output) = ([0; 300], [0; 600]);
        let pipe = Pipe::new(&mut input, &mut output);
        let playing = async {
            let (mut memory, url, mut viewer) = (Memory::<1, 1>::new(), Url::parse(URL).unwrap(), Watcher::default());
            let (options, session) = (super::reconnect::config().client, memory.session());
            let mut player = Player::<8, _>::open(&pipe, &url, options, session, &[9; 32]).await.unwrap();
            assert_eq!(player.reconnect_request().map(|url| url.to_string()), None);
            assert_eq!(player.run(&mut viewer).await, Ok(End::Reconnect));
            assert_eq!(player.reconnect_request().unwrap().to_string(), "/other");
            let goes_on = with_timeout(Duration::from_millis(500), player.run(&mut viewer)).await;
            assert!(goes_on.is_err(), "{goes_on:?}");
        };
        let serving = async {
            let _ = with_timeout(Duration::from_millis(500), server.run(&mut handler)).await;
            let tc_url = Some("/other".into());
            assert_eq!(server.request_reconnect(&ReconnectRequest { tc_url, description: "".into() }), 1);
            server.run(&mut handler).await;
        };
        let client = pipe.run(&mut from_server, &mut to_server, playing);
        let both = select(client, select(accepted.serve(&mut from_client, &mut to_client), serving));
        let Either::First(((), _)) = both.await else { panic!("the server has ended the session") };
    });
}
