//! A server device with administration.

use embassy_futures::join::join;
use embassy_futures::select::{Either, Either3, select, select3};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write;
use embedded_rtmp_embassy::embedded_rtmp::amf0::{Decoder, Encoder, Text, Token};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectOptions;
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time::Instant as Time;
use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
use embedded_rtmp_embassy::{
    Admin, Error, Handler, LocalPublisher, Memory, Parts, Rejection, Server, ServerOptions, SessionId, StreamMemory,
    Viewers,
};

use super::live::TRACKS;
use super::local::{Watch, picture, play, until_published};
use super::pair::{LIMITS, NO_GRACE, TestMemory, URL, connect, keyframe, targets, with_devices};
use crate::wire::Wire;

/// Knows the time, and records why sessions end.
#[derive(Default)]
struct Ended(Vec<Error>);

/// 2023-11-14 22:13:20 UTC.
const BOOT: u64 = 1_700_000_000_000;

impl Handler for Ended {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.0.push(*why);
    }

    fn unix_millis(&self) -> Option<u64> {
        Some(BOOT + Instant::now().as_millis())
    }
}

/// Runs `clients` on the first device. The second one has administration, viewers, and a stream of its own that is stopped.
fn with_admin(clients: impl AsyncFnOnce(Stack<'_>, &LocalPublisher<'_>)) -> Vec<Error> {
    with_devices(&Wire::new(), async |first, second| {
        let local = [LocalPublisher::new("live/own")];
        local[0].set_tracks(TRACKS);
        local[0].stop();
        let mut memory: Box<[TestMemory; 5]> = Box::new([const { TestMemory::new() }; 5]);
        let mut streams = Box::new([const { StreamMemory::<32_768>::new() }; 2]);
        let mut viewers = Box::new(Viewers::<2>::new(WebConfig::new()));
        // An answer does not fit in the send ring.
        let mut lent = Box::new([const { Memory::<1024, 256>::new() }; 2]);
        let mut admin = Box::new(Admin::<2>::new(second, 1111, &mut lent, "admin", "s&cret"));
        let options = ServerOptions { relay: NO_GRACE, max_per_address: Some(5), ..Default::default() };
        let server = Server::<5, 2, 3>::relaying(second, &[1935], &mut memory, &mut streams, &options).unwrap();
        let mut server = server.with_local(&local).with_web(&mut viewers).with_admin(&mut admin);
        let mut handler = Ended::default();
        let Either::First(()) = select(clients(first, &local[0]), server.run(&mut handler)).await else {
            unreachable!()
        };
        handler.0
    })
}

/// Sends a request on a new connection. Returns the answer up to the end of the connection, or up to a pause.
async fn ask(stack: Stack<'_>, port: u16, request: &str) -> String {
    let (mut rx, mut tx, mut answer, mut piece) = (vec![0; 1024], vec![0; 1024], Vec::new(), [0; 500]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), port)).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    while let Ok(Ok(length @ 1..)) = with_timeout(Duration::from_millis(300), socket.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    socket.abort();
    let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
    String::from_utf8(answer).unwrap()
}

/// The status and the body of the answer to a call. `method` has the parameters.
async fn call(stack: Stack<'_>, verb: &str, method: &str) -> (u16, String) {
    let login = if method.contains("auser") { "" } else { "Authorization: Basic YWRtaW46cyZjcmV0\r\n" };
    let request = format!("{verb} /admin/{method} HTTP/1.0\r\nHost: 10.0.0.2:1111\r\n{login}\r\n");
    let answer = ask(stack, 1111, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method}: {answer:?}"));
    assert!(head.contains("\r\nCache-Control: no-store"), "{head}");
    let length = format!("\r\nContent-Length: {}\r\n", body.len());
    assert!(verb == "HEAD" && body.is_empty() || head.contains(&length), "{head} {body}");
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// The data of the answer to a call, as JSON.
async fn data(stack: Stack<'_>, method: &str) -> String {
    let sign = if method.contains('?') { '&' } else { '?' };
    let (status, body) = call(stack, "GET", &format!("{method}{sign}format=json")).await;
    let start = "{\"level\":\"status\",\"code\":\"NetConnection.Call.Success\",\"timestamp\":\"2023-11-14T22:13:";
    assert!(status == 200 && body.starts_with(start), "{method}: {status} {body}");
    body.split_once("\"data\":").unwrap().1.trim_end().strip_suffix('}').unwrap().to_owned()
}

/// Runs `test` while there are a publisher of `live/test`, a player, and a viewer over HTTP. These are the clients 1, 2 and 3.
async fn while_busy<T>(stack: Stack<'_>, test: impl AsyncFnOnce() -> T) -> T {
    let (targets, mut memory, watch) = (targets([1935]), TestMemory::new(), Watch::default());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let mut publisher = connect(stack, &mut plan, &mut memory).await.unwrap();
    let Parts { mut runner, mut video, .. } = publisher.split();
    let busy = async {
        video.send(Timestamp(0), &keyframe::<1_000>()).await.unwrap();
        let viewing = async {
            Timer::after_millis(100).await;
            let (mut rx, mut tx, mut piece) = (vec![0; 1024], vec![0; 1024], [0; 500]);
            let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
            let request = b"GET /live/test.flv HTTP/1.1\r\nHost: 10.0.0.2:1935\r\n\r\n";
            socket.write_all(request).await.unwrap();
            while let Ok(1..) = socket.read(&mut piece).await {}
            core::future::pending::<()>().await
        };
        let testing = async {
            Timer::after_millis(300).await;
            test().await
        };
        let playing = async {
            let _ = play(stack, URL, &watch).await;
            core::future::pending::<()>().await
        };
        match select3(testing, viewing, playing).await {
            Either3::First(result) => result,
            _ => unreachable!("it waits for ever"),
        }
    };
    let running = async {
        let _ = runner.run().await;
        core::future::pending::<()>().await
    };
    match select(Box::pin(busy), running).await {
        Either::First(result) => result,
        Either::Second(()) => unreachable!("it waits for ever"),
    }
}

#[test]
fn item_376_a_device_tells_administrators_over_http_what_it_serves() {
    with_admin(async |stack, local| {
        assert_eq!(data(stack, "getLiveStreams").await, "[]");
        assert_eq!(data(stack, "ping").await, "{}");
        while_busy(stack, async || {
            local.start();
            until_published(local).await;
            picture(local, 0, true, 1_000);
            assert_eq!(data(stack, "getApps").await, "[\"live\"]");
            assert_eq!(data(stack, "getLiveStreams").await, "[\"live/test\",\"live/own\"]");
            assert_eq!(data(stack, "getLiveStreams?appInst=live").await, "[\"test\",\"own\"]");
            let stats = data(stack, "getServerStats").await;
            let number = |name: &str| {
                let (_, rest) = stats.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name}: {stats}"));
                rest[..rest.find(|char: char| !char.is_ascii_digit()).unwrap()].parse::<u64>().unwrap()
            };
            let counts = ["streams", "players", "connected", "total_connects", "total_disconnects"].map(number);
            assert_eq!(counts, [2, 2, 3, 3, 0], "{stats}");
            // The publisher has sent a handshake and a picture, and two others have got the picture.
            assert!((4_000..20_000).contains(&number("bytes_in")), "{stats}");
            assert!((5_000..30_000).contains(&number("bytes_out")), "{stats}");
            assert!(stats.contains("\"launchTime\":\"2023-11-14T22:13:20Z\""), "{stats}");
            assert!(data(stack, "getActiveVHostStats").await.contains("\"connected\":3,"));
            let stream = data(stack, "getLiveStreamStats?appInst=live&stream=test").await;
            for part in [
                "{\"publisher\":{\"name\":\"test\",\"time\":\"2023-11-14T22:13:2",
                "\"type\":\"publishing\",\"client\":1,\"stream_id\":1,\"publish_time\":\"2023-11-14T22:13:2",
                "{\"client\":2,\"subscribe_time\":\"2023-11-14T22:13:2",
                "{\"client\":3,\"subscribe_time\":\"2023-11-14T22:13:2",
            ] {
                assert!(stream.contains(part), "{part}: {stream}");
            }
            let own = data(stack, "getLiveStreamStats?appInst=live&stream=own").await;
            assert!(own.contains("\"client\":0,") && own.ends_with("\"subscribers\":[]}"), "{own}");
            assert_eq!(call(stack, "GET", "getLiveStreamStats?appInst=live&stream=none").await.0, 404);
            let (status, xml) = call(stack, "GET", "getApps?auser=admin&apswd=s%26cret").await;
            assert!(status == 200 && xml.ends_with("<data><_0>live</_0></data></result>"), "{xml}");
            assert_eq!(call(stack, "HEAD", "none").await.0, 404);
        })
        .await;
    });
}

#[test]
fn item_377_wrong_passwords_for_a_devices_administration_are_limited() {
    with_admin(async |stack, _| {
        let wrong = async || call(stack, "GET", "ping?auser=admin&apswd=wrong").await;
        assert_eq!(ask(stack, 1111, "GET /admin/ping HTTP/1.0\r\n\r\n").await[9..12].parse(), Ok(401));
        for _ in 0..5 {
            let (status, body) = wrong().await;
            assert!(status == 401 && body.contains("wrong user or password"), "{body}");
        }
        assert_eq!((wrong().await.0, call(stack, "GET", "ping").await.0), (429, 429));
        Timer::after_millis(1_100).await;
        assert_eq!(call(stack, "GET", "ping").await.0, 200);
        // Right passwords have reset the count.
        assert_eq!(wrong().await.0, 401);
        // Administration is neither on the ports of the server, nor are streams on its port.
        let request = "GET /admin/ping?auser=admin&apswd=s%26cret HTTP/1.0\r\nHost: 10.0.0.2\r\n\r\n";
        assert!(ask(stack, 1935, request).await.starts_with("HTTP/1.1 404 "));
        for path in ["/", "/status.json", "/live/test.flv", "/open/1"] {
            let request = format!("POST {path} HTTP/1.0\r\nHost: 10.0.0.2\r\nContent-Length: 1\r\n\r\nx");
            assert!(ask(stack, 1111, &request).await.starts_with("HTTP/1.1 40"), "{path}");
        }
    });
}

#[test]
fn item_378_an_administrator_of_a_device_closes_sessions_of_all_kinds() {
    let ended = with_admin(async |stack, _| {
        while_busy(stack, async || {
            for (verb, method, status) in [
                ("GET", "x/closeSession?id=2", 405),
                ("POST", "x/closeSession", 400),
                ("POST", "x/closeSession?id=0", 404),
                ("POST", "x/closeSession?id=4", 404),
                ("POST", "x/restartListeners", 404),
                ("POST", "x/closeSession?id=2", 200),
                ("POST", "x/closeSession?id=2", 404),
                ("POST", "x/closeSession?id=3", 200),
            ] {
                assert_eq!(call(stack, verb, method).await.0, status, "{verb} {method}");
            }
            let stream = data(stack, "getLiveStreamStats?appInst=live&stream=test").await;
            assert!(stream.contains("\"client\":1,") && stream.ends_with("\"subscribers\":[]}"), "{stream}");
            assert_eq!(call(stack, "POST", "x/closeSession?id=1").await.0, 200);
            assert_eq!(data(stack, "getLiveStreams").await, "[]");
            assert!(data(stack, "getServerStats").await.contains("\"connected\":0,"));
        })
        .await;
    });
    assert_eq!(ended, [Error::ClosedByAdministrator; 3]);
}

/// An administrator over RTMP.
struct Session<'a> {
    socket: TcpSocket<'a>,
    client: Client<'static, 8, 1, 4>,
}

/// What the server has answered.
#[derive(Debug, PartialEq)]
enum Answered {
    Connected,
    /// The description of a refusal.
    Refused(String),
    /// Whether it succeeded, and the strings of the value.
    Call(bool, Vec<String>),
    Gone,
}

impl<'a> Session<'a> {
    async fn open(stack: Stack<'a>, rings: &'a mut ([u8; 1024], [u8; 1024]), app: &str, password: &str) -> Self {
        let buffers = SessionBuffers { scratch: vec![0; 1_536].leak(), control: vec![0; 2_048].leak() };
        let mut client = Client::new(buffers, ClientConfig::new(), &[1; 32]).unwrap();
        let mut arguments = [0; 128];
        let mut encoder = Encoder::new(&mut arguments);
        encoder.put_all(&[Token::String("admin".into()), Token::String(password.into())]).unwrap();
        let url = ["rtmp://10.0.0.2:1111/admin"];
        let mut options = ConnectOptions::new(app, &url);
        options.arguments = encoder.finish();
        client.connect(&options).unwrap();
        let mut socket = TcpSocket::new(stack, &mut rings.0, &mut rings.1);
        socket.connect((IpAddress::v4(10, 0, 0, 2), 1111)).await.unwrap();
        Self { socket, client }
    }

    /// The next answer.
    async fn answer(&mut self) -> Answered {
        let Self { socket, client } = self;
        let (now, mut input, mut out) = (Time::from_micros(Instant::now().as_micros()), [0; 300], [0; 4_000]);
        loop {
            let length = client.poll_transmit(now, &mut out);
            if socket.write_all(&out[..length]).await.is_err() {
                return Answered::Gone;
            }
            let Ok(length @ 1..) = socket.read(&mut input).await else { return Answered::Gone };
            let (mut rest, mut answered) = (&input[..length], None);
            while let Some(event) = client.next_event(now, &mut rest).unwrap() {
                match event {
                    ClientEvent::Connected { .. } => answered = Some(Answered::Connected),
                    ClientEvent::Refused(_, status) => {
                        answered = Some(Answered::Refused(status.description.to_string()));
                    }
                    ClientEvent::Answer { succeeded, values, .. } => {
                        let (mut decoder, mut texts) = (Decoder::new(values.rest()), Vec::new());
                        while let Some(token) = decoder.next_token().unwrap() {
                            if let Token::String(text) = token {
                                texts.push(text.to_string());
                            }
                        }
                        answered = Some(Answered::Call(succeeded, texts));
                    }
                    _ => {}
                }
            }
            if let Some(answered) = answered {
                return answered;
            }
        }
    }
}

#[test]
fn item_379_an_administrator_of_a_device_over_rtmp_calls_and_can_neither_publish_nor_play() {
    with_admin(async |stack, local| {
        local.start();
        until_published(local).await;
        let mut rings = ([0; 1024], [0; 1024]);
        for (app, password) in [("admin", "wrong"), ("live", "s&cret")] {
            let mut session = Session::open(stack, &mut rings, app, password).await;
            let refused = Answered::Refused("wrong user or password".into());
            assert_eq!((session.answer().await, session.answer().await), (refused, Answered::Gone));
            session.socket.abort();
            let _ = with_timeout(Duration::from_millis(50), session.socket.flush()).await;
        }
        let mut session = Session::open(stack, &mut rings, "admin", "s&cret").await;
        assert_eq!(session.answer().await, Answered::Connected);
        for (name, succeeded, values) in [
            ("getLiveStreams", true, &["status", "NetConnection.Call.Success", "live/own"][..]),
            ("ping", true, &["status", "NetConnection.Call.Success"]),
            ("none", false, &["error", "NetConnection.Call.Failed", "there is no such method"]),
        ] {
            session.client.call(name, &[]).unwrap();
            let values = values.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(session.answer().await, Answered::Call(succeeded, values));
        }
        // Three calls at once, whose answers are longer than the send ring.
        for _ in 0..3 {
            session.client.call("getServerStats", &[]).unwrap();
        }
        for _ in 0..3 {
            assert!(matches!(session.answer().await, Answered::Call(true, _)));
        }
        session.client.publish("camera").unwrap();
        assert_eq!(session.answer().await, Answered::Refused("Nothing is published here.".into()));
        // Clients that do not log in keep no socket from others. One that has logged in keeps its own.
        let mut more = ([0; 1024], [0; 1024]);
        let mut stranger = TcpSocket::new(stack, &mut more.0, &mut more.1);
        stranger.connect((IpAddress::v4(10, 0, 0, 2), 1111)).await.unwrap();
        let began = Instant::now();
        assert!(stranger.read(&mut [0]).await.is_err());
        assert!((2_900..3_500).contains(&began.elapsed().as_millis()));
        let both = join(call(stack, "GET", "ping"), async {
            session.client.call("ping", &[]).unwrap();
            session.answer().await
        });
        let ((status, _), answered) = both.await;
        assert!(status == 200 && matches!(answered, Answered::Call(true, _)), "{status} {answered:?}");
    });
}

#[cfg(feature = "rtmpt")]
#[test]
fn item_378_an_administrator_of_a_device_closes_sessions_in_tunnels_and_over_streams() {
    use embassy_futures::join::join4;
    use embedded_rtmp_embassy::embedded_rtmp::port_plan::Target;
    use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
    use embedded_rtmp_embassy::embedded_rtmp::url::Url;
    use embedded_rtmp_embassy::transport::Pipe;
    use embedded_rtmp_embassy::{ClientOptions, Publisher, Streams, TunnelMemory, Tunnels};

    use super::streams::channel;

    let ended = with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<32_768>::new() }; 2]);
        let mut lent = Box::new([const { Memory::<1024, 1024>::new() }; 1]);
        let mut admin = Box::new(Admin::<1>::new(second, 1111, &mut lent, "admin", "s&cret"));
        let mut tunnel_memory = Box::new(TunnelMemory::<1>::new());
        let mut tunnels = Tunnels::<1>::new(&mut tunnel_memory, TunnelConfig::new());
        let (mut input, mut output) = ([[0; 1_000]; 2], [[0; 2_000]; 2]);
        let ([a, b], [c, d]) = (&mut input, &mut output);
        let (ours, theirs) = (Pipe::new(a, c), Pipe::new(b, d));
        let mut over_stream = TestMemory::new();
        let mut accepted = Streams::<1>::new([(&ours, over_stream.session())]).unwrap();
        let options = ServerOptions { relay: NO_GRACE, max_per_address: Some(4), ..Default::default() };
        let server = Server::<4, 2, 1>::relaying(second, &[80], &mut memory, &mut streams, &options).unwrap();
        let server = server.with_tunnels(&mut tunnels).unwrap().with_streams(&mut accepted);
        let mut server = server.with_admin(&mut admin);
        let mut handler = Ended::default();
        let (mut to_server, mut from_client) = channel();
        let (mut to_client, mut from_server) = channel();
        let stream = theirs.run(&mut from_server, &mut to_server, async {
            let (mut memory, url) = (Memory::<1, 1>::new(), Url::parse("rtmp://10.0.0.2/live/stream").unwrap());
            let options = ClientOptions::DEFAULT;
            let opening = Publisher::<8, _>::open(&theirs, &url, &options, memory.session(), &[9; 32]);
            opening.await.unwrap().split().runner.run().await
        });
        let in_tunnel = async {
            let (targets, mut memory) = ([Target::rtmpt(80)], TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            connect(first, &mut plan, &mut memory).await.unwrap().split().runner.run().await
        };
        let closing = async {
            Timer::after_secs(1).await;
            let names = data(first, "getLiveStreams").await;
            assert!(names.contains("live/test") && names.contains("live/stream"), "{names}");
            for name in ["test", "stream"] {
                let stats = data(first, &format!("getLiveStreamStats?appInst=live&stream={name}")).await;
                let (_, id) = stats.split_once("\"client\":").unwrap();
                let id = &id[..id.find(',').unwrap()];
                assert_eq!(call(first, "POST", &format!("x/closeSession?id={id}")).await.0, 200, "{name} {id}");
                assert!(!data(first, "getLiveStreams").await.contains(name));
            }
        };
        let accepting = async {
            ours.serve(&mut from_client, &mut to_client).await;
            drop(to_client);
        };
        let all = join4(accepting, stream, in_tunnel, closing);
        let Either::First(_) = select(Box::pin(all), server.run(&mut handler)).await else { unreachable!() };
        handler.0
    });
    assert_eq!(ended, [Error::ClosedByAdministrator; 2]);
}
