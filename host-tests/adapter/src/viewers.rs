//! A server device with viewers over HTTP.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectRequest, PlayRequest};
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
use embedded_rtmp_embassy::{
    Error, Handler, LocalPublisher, Origin, Played, Rejection, SendOutcome, Server, ServerOptions, SessionId,
    StreamMemory, Viewers,
};

use super::live::TRACKS;
use super::local::{Watch, clip_frames, picture, play, publish_all, until_published, watched};
use super::pair::{NO_GRACE, TestMemory, URL, clip, with_devices};
use crate::flv::{self, AUDIO, SCRIPT, VIDEO};
use crate::wire::Wire;

/// Requires a token, and records the calls.
#[derive(Default)]
struct Access {
    lists: bool,
    opened: usize,
    closed: Vec<Error>,
    played: Vec<Played>,
}

impl Handler for Access {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn opened(&mut self, _: SessionId, from: Origin) {
        assert_eq!(from.remote.unwrap().addr, IpAddress::v4(10, 0, 0, 1));
        self.opened += 1;
    }

    fn connect(&mut self, _: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        if request.app == *"live" { Ok(()) } else { Err("no such application".into()) }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn play(
        &mut self,
        _: SessionId,
        _: StreamId,
        name: StreamName<'_>,
        request: &PlayRequest<'_>,
    ) -> Result<(), Rejection<'_>> {
        assert!(name.is(b"live/test") || name.is(b"live/other"));
        if request.name.as_bytes().ends_with(b"?token=secret") { Ok(()) } else { Err("no token".into()) }
    }

    fn is_listed(&self, name: &[u8]) -> bool {
        self.lists && name == b"live/test"
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn played(&mut self, _: SessionId, played: Played) {
        self.played.push(played);
    }

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.closed.push(*why);
    }
}

/// Sends a request on a new connection. Returns the answer up to the end of the connection, or up to a pause of `pause` ms.
async fn ask(stack: Stack<'_>, request: &str, pause: u64) -> Vec<u8> {
    ask_bytes(stack, request.as_bytes(), pause).await
}

async fn ask_bytes(stack: Stack<'_>, request: &[u8], pause: u64) -> Vec<u8> {
    let (mut rx, mut tx) = (vec![0; 4096], vec![0; 4096]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
    let mut rest = request;
    while !rest.is_empty() {
        rest = &rest[socket.write(rest).await.unwrap()..];
    }
    let answer = received(&mut socket, pause).await;
    socket.abort();
    let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
    answer
}

/// What arrives up to the end of the connection, or up to a pause of `pause` ms.
async fn received(socket: &mut TcpSocket<'_>, pause: u64) -> Vec<u8> {
    let (mut answer, mut piece) = (Vec::new(), vec![0; 2048]);
    while let Ok(Ok(length @ 1..)) = with_timeout(Duration::from_millis(pause), socket.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    answer
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: 10.0.0.2:1935\r\n\r\n")
}

/// The status, and the body.
fn parts(answer: &[u8]) -> (u16, Vec<u8>) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let status = str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end..].to_vec())
}

/// Runs `clients` on the first device while the second publishes `live/test`, and has memory for two viewers.
fn with_viewers(handler: &mut Access, clients: impl AsyncFnOnce(Stack<'_>, &LocalPublisher<'_>)) {
    with_counted(handler, &Cell::new(u32::MAX), clients);
}

/// Does the same. The server is polled only this number of times.
fn with_counted(handler: &mut Access, polls: &Cell<u32>, clients: impl AsyncFnOnce(Stack<'_>, &LocalPublisher<'_>)) {
    with_devices(&Wire::new(), async |first, second| {
        let local = [LocalPublisher::new("live/test")];
        local[0].set_tracks(TRACKS);
        let mut memory: Box<[TestMemory; 5]> = Box::new([const { TestMemory::new() }; 5]);
        let mut streams = Box::new([const { StreamMemory::<65_536>::new() }; 1]);
        let mut viewers = Box::new(Viewers::<2>::new(WebConfig::new()));
        let options = ServerOptions { relay: NO_GRACE, max_per_address: Some(5), ..Default::default() };
        let server = Server::<5, 1, 3>::relaying(second, &[1935], &mut memory, &mut streams, &options).unwrap();
        let mut server = server.with_local(&local).with_web(&mut viewers);
        let clients = async {
            until_published(&local[0]).await;
            clients(first, &local[0]).await;
        };
        let mut run = pin!(server.run(handler));
        let counted = poll_fn(|cx| {
            let Some(left) = polls.get().checked_sub(1) else { return Poll::Pending };
            polls.set(left);
            run.as_mut().poll(cx)
        });
        let Either::First(()) = select(clients, counted).await else { unreachable!() };
    });
}

/// The names of boxes and their contents.
fn boxes(mut rest: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut boxes = Vec::new();
    while let Some((length, _)) = rest.split_first_chunk() {
        let (one, others) = rest.split_at(u32::from_be_bytes(*length) as usize);
        boxes.push((&one[4..8], &one[8..]));
        rest = others;
    }
    boxes
}

#[test]
fn item_364_the_headers_and_the_last_keyframe_leave_in_the_poll_that_takes_the_request() {
    let (mut handler, polls) = (Access::default(), Cell::new(u32::MAX));
    with_counted(&mut handler, &polls, async |stack, local| {
        // The tag of a keyframe has 5 + 4 bytes before the slice.
        for (at, is_key, length) in [(0, true, 900), (40, false, 300), (80, true, 1_000), (120, false, 200)] {
            assert_eq!(picture(local, at, is_key, length), SendOutcome::Sent);
        }
        for kind in ["flv", "mp4"] {
            let (mut rx, mut tx) = (vec![0; 4096], vec![0; 4096]);
            let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
            Timer::after_millis(100).await;
            polls.set(0);
            let request = get(&format!("/live/test.{kind}?token=secret"));
            assert_eq!(socket.write(request.as_bytes()).await, Ok(request.len()));
            assert_eq!(received(&mut socket, 200).await, b"", "the server does not run");
            polls.set(1);
            let (status, body) = parts(&received(&mut socket, 200).await);
            assert_eq!((status, polls.get()), (200, 0), "{kind}");
            if kind == "flv" {
                let tags = flv::read(&body).unwrap();
                let shown: Vec<_> = tags.iter().map(|tag| (tag.kind, tag.data[0], tag.data.len())).collect();
                assert_eq!(shown[..1], [(SCRIPT, 2, tags[0].data.len())]);
                assert_eq!((tags[1].data[..2].to_vec(), tags[2].data), (vec![0x17, 0], &[0xAF, 0, 0x12, 0x10][..]));
                assert_eq!(shown[3..], [(VIDEO, 0x17, 1_009), (VIDEO, 0x27, 209)]);
            } else {
                let boxes = boxes(&body);
                let names: Vec<_> = boxes.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, [b"ftyp", b"moov", b"moof", b"mdat", b"moof", b"mdat"]);
                let [.., (_, key), _, (_, last)] = &boxes[..] else { unreachable!() };
                assert_eq!((key.len(), key[4], last.len(), last[4]), (1_004, 0x65, 204, 0x41));
            }
            polls.set(u32::MAX);
            socket.abort();
            let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
        }
    });
}

#[test]
fn item_324_viewers_over_http_get_the_frames_of_the_device_beside_a_player_over_rtmp() {
    let (clip, watch, mut handler) = (clip(), Watch::default(), Access::default());
    let mut answers = Vec::new();
    with_viewers(&mut handler, async |stack, local| {
        let publishing = async {
            Timer::after_millis(300).await;
            publish_all(local, &clip).await;
            Timer::after_millis(200).await;
            local.stop();
        };
        let viewing = async {
            let late = async {
                Timer::after_millis(2_500).await;
                ask(stack, &get("/live/test.flv?token=secret"), 5_000).await
            };
            let both = join(ask(stack, &get("/live/test.flv?token=secret"), 5_000), late).await;
            answers = vec![both.0, both.1];
        };
        let url = format!("{URL}?token=secret");
        join3(publishing, viewing, play(stack, &url, &watch)).await.2.unwrap();
        // A stream that has ended.
        assert_eq!(parts(&ask(stack, &get("/live/test.flv?token=secret"), 500).await).0, 404);
    });
    let messages = watch.0.borrow();
    for (is_late, answer) in [(false, &answers[0]), (true, &answers[1])] {
        let (status, file) = parts(answer);
        assert_eq!(status, 200);
        let tags = flv::read(&file).unwrap();
        for kind in [AUDIO, VIDEO] {
            let (expected, found) = (clip_frames(&clip, kind), clip_frames(&tags, kind));
            assert!(expected.ends_with(&found), "{} of {} frames", found.len(), expected.len());
            assert_eq!(found.len() < expected.len(), is_late);
            assert_eq!(watched(&messages, kind).len(), expected.len());
        }
    }
    assert_eq!((handler.played.len(), handler.opened), (2, 4));
    assert_eq!(handler.closed, [Error::Closed; 3], "the player did not close its connection");
}

#[test]
fn item_325_the_handler_decides_about_viewers_as_about_players() {
    for lists in [false, true] {
        let mut handler = Access { lists, ..Default::default() };
        with_viewers(&mut handler, async |stack, local| {
            assert_eq!(picture(local, 0, true, 1_000), SendOutcome::Sent);
            let asked = async |path: &str| parts(&ask(stack, &get(path), 300).await);
            for (path, status) in [
                ("/live/test.flv", 403),
                ("/live/test.flv?token=wrong", 403),
                ("/other/test.flv?token=secret", 403),
                // A client without a token does not learn which streams there are.
                ("/live/other.flv", 403),
                ("/live/other.flv?token=secret", 404),
                ("/live/test.flv?token=secret", 200),
                ("/stream.flv?token=secret", if lists { 200 } else { 403 }),
                ("/stream.flv", 403),
                ("/nothing", 404),
                ("/", 200),
            ] {
                assert_eq!(asked(path).await.0, status, "{path}");
            }
            let (status, body) = asked("/status.json").await;
            let body = String::from_utf8(body).unwrap();
            assert!(
                status == 200 && body.contains("\"publishers\":1") && body.contains("\"last_error\":null"),
                "{body}"
            );
            assert_eq!(body.contains("live/test"), lists, "{body}");
            assert!(!body.contains("secret"));
            let foreign = "GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n";
            assert_eq!(parts(&ask(stack, foreign, 300).await).0, 421);
            // There is memory for two viewers.
            let stream = get("/live/test.flv?token=secret");
            let three = join3(ask(stack, &stream, 300), ask(stack, &stream, 300), async {
                Timer::after_millis(200).await;
                ask(stack, &get("/"), 100).await
            });
            let (first, second, third) = three.await;
            assert_eq!([first, second, third].map(|answer| parts(&answer).0), [200, 200, 503]);
        });
    }
}

#[test]
fn item_374_a_head_request_to_a_device_is_answered_without_a_body_and_without_a_player() {
    let mut handler = Access { lists: true, ..Default::default() };
    with_viewers(&mut handler, async |stack, local| {
        assert_eq!(picture(local, 0, true, 1_000), SendOutcome::Sent);
        for (path, status) in [
            ("/", 200),
            ("/page.js", 200),
            ("/status.json", 200),
            ("/live/test.flv?token=secret", 200),
            ("/live/test.mp4?token=secret", 200),
            ("/live/test.flv", 403),
            ("/live/other.flv?token=secret", 404),
        ] {
            let request = get(path).replacen("GET", "HEAD", 1);
            let answer = ask(stack, &request, 300).await;
            assert_eq!(parts(&answer), (status, Vec::new()), "{path}");
            // The fields are those of the answer to a GET. That to a GET of MP4 also names the codecs, which a player learns.
            let asked = ask(stack, &get(path), 300).await;
            assert!(asked.starts_with(&answer) || path.contains("mp4"), "{path}");
        }
    });
    // The two of GET.
    assert_eq!(handler.played.len(), 2);
}

/// The opcodes and the payloads of the whole frames that a server has sent.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!((first & 0xF0, second & 0x80), (0x80, 0), "one frame for each message, and no mask");
        let (length, rest) = match (second, rest) {
            (126, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]).into(), rest),
            (127, _) => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            (length, rest) => (usize::from(*length), rest),
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push((first & 0xF, payload));
        bytes = rest;
    }
    frames
}

#[test]
fn item_375_a_stream_of_a_device_over_websocket_is_the_same() {
    let (clip, mut handler) = (clip(), Access::default());
    let mut answers = (Vec::new(), Vec::new());
    let upgrade = |path: &str, origin: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: 10.0.0.2:1935\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n"
        )
    };
    with_viewers(&mut handler, async |stack, local| {
        let path = "/live/test.flv?token=secret";
        for (path, origin, status) in [
            (path, "Origin: http://other.example\r\n", 403),
            ("/live/test.flv?token=wrong", "", 403),
            ("/live/other.flv?token=secret", "", 404),
        ] {
            assert_eq!(parts(&ask(stack, &upgrade(path, origin), 300).await).0, status, "{path} {origin}");
        }
        let publishing = async {
            Timer::after_millis(300).await;
            publish_all(local, &clip).await;
            Timer::after_millis(200).await;
            local.stop();
        };
        // A ping with the payload `hi` follows the request.
        let mut request = upgrade(path, "Origin: http://10.0.0.2:1935\r\n").into_bytes();
        request.extend_from_slice(b"\x89\x82\0\0\0\0hi");
        let get = get(path);
        let both = join(ask_bytes(stack, &request, 5_000), ask(stack, &get, 5_000));
        answers = join(publishing, both).await.1;
    });
    let (status, bytes) = parts(&answers.0);
    assert!(status == 101 && answers.0.windows(28).any(|part| part == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let frames = frames(&bytes);
    let of = |opcode: u8| frames.iter().filter(|frame| frame.0 == opcode).map(|frame| frame.1).collect::<Vec<_>>();
    assert!(of(2).concat() == parts(&answers.1).1, "the messages are not the file");
    assert_eq!((of(0xA), frames.last()), (vec![&b"hi"[..]], Some(&(8, &1000_u16.to_be_bytes()[..]))));
    assert!(clip_frames(&flv::read(&of(2).concat()).unwrap(), VIDEO) == clip_frames(&clip, VIDEO));
}
