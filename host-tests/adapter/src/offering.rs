//! The announcement of Enhanced RTMP, and old servers that refuse it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::Timer;
#[cfg(feature = "auth")]
use embedded_rtmp_embassy::embedded_rtmp::auth::Credentials;
use embedded_rtmp_embassy::embedded_rtmp::command::{
    Capabilities, CodecSupport, ConnectRequest, EncodedCapabilities, Extensions, PeerCapabilities,
};
use embedded_rtmp_embassy::embedded_rtmp::message::{FourCc, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Limits, Outcome, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::session::{
    self, ClientConfig, LegacyServer, ServerConfig, ServerEvent, SessionBuffers,
};
use embedded_rtmp_embassy::embedded_rtmp::time;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, DropReason, Error, Parts, Phase, Picture, PlayHandler, Player, Publisher, SendOutcome, Stopped,
    Tracks,
};

use super::live::{Bench, config_to, until};
use super::pair::{LIMITS, TestMemory, URL, targets, with_devices};
use crate::flv::{self, SCRIPT};
use crate::wire::Wire;

static OFFER: EncodedCapabilities<150> = Capabilities {
    video: &[(FourCc::HEVC, CodecSupport::ENCODE)],
    audio: &[(FourCc::OPUS, CodecSupport::ENCODE)],
    extensions: Extensions::MULTITRACK,
    has_list: true,
}
.encode()
.unwrap();

pub(crate) static OPTIONS: ClientOptions<'static> = ClientOptions {
    capabilities: OFFER.as_bytes(),
    session: {
        let mut session = ClientConfig::new();
        session.response_timeout = Some(Duration::from_secs(1));
        session
    },
    ..ClientOptions::DEFAULT
};

/// What a server does with `connect`.
#[derive(Debug, Clone, Copy)]
enum Reaction {
    Accepts,
    Refuses(&'static str),
    Closes,
    Resets,
    IsSilent,
}

use Reaction::{Accepts, Closes, IsSilent, Refuses, Resets};

/// What a client announced in its `connect`: the flags of HEVC, of Opus, and the extensions.
type Said = Option<(u32, u32, u32)>;

/// What the clients of a server announced.
type Announced = Rc<RefCell<Vec<Said>>>;

const ALL: Said = Some((3, 3, 2));

fn announced(request: &ConnectRequest<'_>) -> Said {
    let peer = PeerCapabilities::new(request.values());
    let is_any = peer.is_enhanced();
    is_any.then(|| (peer.video(FourCc::HEVC).0, peer.audio(FourCc::OPUS).0, peer.extensions().0))
}

/// Serves clients on `port`, four at the same time: those that announce something, and those that do not.
async fn serve(stack: Stack<'_>, port: u16, reactions: [Reaction; 2], log: &Announced) {
    join_array([(); 4].map(|()| serve_one(stack, port, reactions, log))).await;
}

/// A server that closes each connection with an announcement, and accepts the others.
#[cfg(feature = "thumbnail")]
pub(crate) async fn old_server(stack: Stack<'_>, port: u16) {
    serve(stack, port, [Closes, Accepts], &Announced::default()).await;
}

async fn serve_one(stack: Stack<'_>, port: u16, reactions: [Reaction; 2], log: &Announced) {
    loop {
        let (mut rx, mut tx) = (vec![0; 2048], vec![0; 4096]);
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.accept(port).await.unwrap();
        let reaction = serve_client(&mut socket, reactions, log).await;
        match reaction {
            Some(Resets) => socket.abort(),
            _ => socket.close(),
        }
        let _ = socket.flush().await;
        Timer::after_millis(1).await;
    }
}

/// Serves a client until it leaves, or until it is to be turned away.
async fn serve_client(socket: &mut TcpSocket<'_>, reactions: [Reaction; 2], log: &Announced) -> Option<Reaction> {
    let (mut scratch, mut control) = (vec![0; 1536], vec![0; 512]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut session = session::Server::<8>::new(buffers, ServerConfig::default(), &[1; 32]).unwrap();
    let (now, mut input, mut out, mut is_silent) = (time::Instant::from_millis(0), vec![0; 500], vec![0; 5_000], false);
    loop {
        let length = socket.read(&mut input).await.ok().filter(|length| *length > 0)?;
        let mut rest = &input[..length];
        while !is_silent {
            let mut leaves = None;
            while let Some(event) = session.next_event(now, &mut rest).ok()? {
                match event {
                    ServerEvent::Connect(request) => {
                        let said = announced(&request);
                        log.borrow_mut().push(said);
                        let [with, without] = reactions;
                        match if said.is_some() { with } else { without } {
                            Accepts => session.accept_connect().unwrap(),
                            Refuses(description) => session.reject_connect(description).unwrap(),
                            IsSilent => is_silent = true,
                            leaving => leaves = Some(leaving),
                        }
                    }
                    ServerEvent::Publish { stream, .. } => session.accept(stream).unwrap(),
                    ServerEvent::Play { stream, .. } => session.accept_play(stream, true).unwrap(),
                    _ => {}
                }
            }
            if leaves.is_some() {
                return leaves;
            }
            let length = session.poll_transmit(now, &mut out);
            let mut answer = &out[..length];
            while !answer.is_empty() {
                answer = &answer[socket.write(answer).await.ok()?..];
            }
            if length == 0 && rest.is_empty() {
                break;
            }
        }
    }
}

/// Runs `client` on the first device, and servers with these reactions on ports 1935 and 80 of the second one.
fn with_servers<T>(reactions: [[Reaction; 2]; 2], client: impl AsyncFnOnce(Stack<'_>) -> T) -> (T, [Vec<Said>; 2]) {
    let logs = [Announced::default(), Announced::default()];
    let outcome = with_devices(&Wire::new(), async |first, second| {
        let [one, two] = reactions;
        let servers = select(serve(second, 1935, one, &logs[0]), serve(second, 80, two, &logs[1]));
        match select(client(first), servers).await {
            Either::First(outcome) => outcome,
            Either::Second(_) => unreachable!("the servers run for ever"),
        }
    });
    (outcome, logs.map(Rc::unwrap_or_clone).map(RefCell::into_inner))
}

/// Connects a publisher, and returns whether its server is an old one, and the outcomes of the ports.
async fn publish(stack: Stack<'_>, options: &ClientOptions<'_>) -> (Result<bool, Error>, Vec<Outcome>) {
    let (targets, mut memory, url) = (targets([1935, 80]), TestMemory::new(), Url::parse(URL).unwrap());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let publisher = Publisher::<8>::connect(stack, &url, &mut plan, options, &mut memory, || [7; 32]).await;
    let result = publisher.map(|publisher| publisher.is_legacy());
    (result, plan.reports().map(|report| report.outcome).collect())
}

#[test]
fn item_265_a_publisher_announces_what_its_caller_states_and_nothing_otherwise() {
    let none = ClientOptions { capabilities: &[], ..OPTIONS };
    for (options, expected) in [(OPTIONS, ALL), (none, None)] {
        let servers = [[Accepts, Accepts]; 2];
        let ((result, outcomes), [connects, others]) =
            with_servers(servers, async |stack| publish(stack, &options).await);
        assert_eq!((result, outcomes), (Ok(false), vec![Outcome::Connected, Outcome::NotStarted]));
        assert_eq!((connects, others), (vec![expected], vec![]));
    }
}

#[test]
fn item_257_an_old_server_is_asked_again_at_once_on_the_same_port_without_the_announcement() {
    for reaction in [Refuses("invalid fourCcList"), Closes, Resets] {
        let servers = [[reaction, Accepts], [Accepts; 2]];
        let ((result, outcomes), [connects, others]) =
            with_servers(servers, async |stack| publish(stack, &OPTIONS).await);
        assert_eq!((result, outcomes), (Ok(true), vec![Outcome::Connected, Outcome::NotStarted]), "{reaction:?}");
        assert_eq!((connects, others), (vec![ALL, None], vec![]), "{reaction:?}");
    }
}

#[test]
fn item_257_a_server_that_refuses_both_is_not_an_old_one() {
    let servers = [[Refuses("no such application"); 2], [Accepts; 2]];
    let ((result, _), [connects, others]) = with_servers(servers, async |stack| publish(stack, &OPTIONS).await);
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
    assert_eq!((connects, others), (vec![ALL, None], vec![]));
    // A port that closes both connections is given up, and the next one gets the announcement.
    let ((result, outcomes), [connects, others]) =
        with_servers([[Closes; 2], [Accepts; 2]], async |stack| publish(stack, &OPTIONS).await);
    assert_eq!((result, outcomes), (Ok(false), vec![Outcome::Failed(Failure::CutOff), Outcome::Connected]));
    assert_eq!((connects, others), (vec![ALL, None], vec![ALL]));
}

#[test]
fn item_266_silence_is_no_refusal_and_neither_is_a_demand_for_a_password() {
    let ((result, outcomes), [connects, others]) =
        with_servers([[IsSilent; 2], [Accepts; 2]], async |stack| publish(stack, &OPTIONS).await);
    assert_eq!((result, outcomes), (Ok(false), vec![Outcome::Failed(Failure::CutOff), Outcome::Connected]));
    assert_eq!((connects, others), (vec![ALL], vec![ALL]));
    // A server that closes, and is then silent, may not be the same as that of the next port.
    let ((result, _), [connects, others]) =
        with_servers([[Closes, IsSilent], [Accepts; 2]], async |stack| publish(stack, &OPTIONS).await);
    assert_eq!((result, connects, others), (Ok(false), vec![ALL, None], vec![ALL]));
    let demand = Refuses("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]");
    let ((result, _), [connects, _]) = with_servers([[demand; 2]; 2], async |stack| publish(stack, &OPTIONS).await);
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
    assert_eq!(connects, [ALL]);
}

#[cfg(feature = "auth")]
#[test]
fn item_257_item_266_a_server_that_refuses_the_announcement_and_then_the_password_is_not_asked_for_ever() {
    let credentials = Some(Credentials { user: "cam", password: "s3cret" });
    let options = ClientOptions { credentials, ..OPTIONS };
    let demand = Refuses("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]");
    let servers = [[Refuses("bad value"), demand], [Accepts; 2]];
    let ((result, _), [connects, others]) = with_servers(servers, async |stack| publish(stack, &options).await);
    assert!(matches!(result, Err(Error::Auth(_))), "{result:?}");
    assert_eq!((connects, others), (vec![ALL, None, None], vec![]));
}

#[test]
fn item_267_frames_of_enhanced_rtmp_fail_at_an_old_server_and_others_do_not() {
    let servers = [[Closes, Accepts], [Accepts; 2]];
    let ((), [connects, _]) = with_servers(servers, async |stack| {
        let (targets, mut memory, url) = (targets([1935]), TestMemory::new(), Url::parse(URL).unwrap());
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let connecting = Publisher::<8>::connect(stack, &url, &mut plan, &OPTIONS, &mut memory, || [7; 32]);
        let mut publisher = connecting.await.unwrap();
        let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
        let sends = async {
            let refused = |codec| Err(Error::LegacyServer(LegacyServer(codec)));
            let at = Timestamp(0);
            // The FourCC in several parts, with several tracks, and with a modifier.
            assert_eq!(video.send_parts(at, &[b"\x91hv", b"", b"c1\0\0\0", b"xyz"]).await, refused(FourCc::HEVC));
            assert_eq!(video.send(at, b"\x96\0avc1\x01\0\0\0xyz").await, refused(FourCc::AVC));
            assert_eq!(audio.send(at, b"\x97\x02\0\0\x01\x01Opusxyz").await, refused(FourCc::OPUS));
            assert_eq!(video.send(at, b"\x17\x01\0\0\0xyz").await, Ok(()));
            assert_eq!(audio.send(at, b"\xAF\x01xyz").await, Ok(()));
        };
        select(runner.run(), sends).await;
    });
    assert_eq!(connects, [ALL, None]);
}

#[test]
fn item_265_a_player_announces_what_its_caller_states() {
    struct Ignore;
    impl PlayHandler for Ignore {
        fn media(&mut self, _: &embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment<'_>) {}
    }
    for (reaction, expected) in [(Accepts, vec![ALL]), (Closes, vec![ALL, None])] {
        let (result, [connects, _]) = with_servers([[reaction, Accepts]; 2], async |stack| {
            let (targets, mut memory, url) = (targets([1935]), TestMemory::new(), Url::parse(URL).unwrap());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            let connecting = Player::<8>::connect(stack, &url, &mut plan, &OPTIONS, &mut memory, || [7; 32]);
            let mut player = connecting.await?;
            player.set_media_limit(Some(embassy_time::Duration::from_millis(100)));
            player.run(&mut Ignore).await
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(connects, expected);
    }
}

#[test]
fn item_257_of_several_sockets_the_one_that_was_refused_asks_again() {
    let (result, [connects, others]) = with_servers([[Closes, Accepts], [Refuses(""), Accepts]], async |stack| {
        let (targets, mut memory) = ([80, 1935].map(Target::rtmp), [const { TestMemory::new() }; 2]);
        let limits = Limits { max_at_once: 2, stagger: Some(Duration::from_millis(1)), ..LIMITS };
        let (url, mut plan) = (Url::parse(URL).unwrap(), Plan::new(&targets, limits).unwrap());
        let racing = Publisher::<8>::race(stack, &url, &mut plan, &OPTIONS, &mut memory, || [7; 32]);
        racing.await.map(|publisher| publisher.is_legacy())
    });
    assert_eq!(result, Ok(true));
    assert!([(2, 0), (0, 2)].contains(&(connects.len(), others.len())), "{connects:?} {others:?}");
}

#[test]
fn item_257_a_live_stream_remembers_an_old_server_across_connections() {
    let mut bench = Bench::new(Wire::new());
    let mut config = config_to("rtmp://10.0.0.2:1935/live/x");
    config.client = &OPTIONS;
    let mut live = bench.live(config);
    let (stack, log) = (bench.second, Announced::default());
    let connects = log.clone();
    bench.spawn(async move { serve(stack, 1935, [Refuses("bad value"), Accepts], &log).await });
    bench.run(async move {
        assert!(!live.status().is_legacy);
        for round in 0..3 {
            let begin = embassy_time::Instant::now();
            until(&mut live, Phase::Live).await;
            assert!(begin.elapsed().as_millis() < 90, "{round} {} {:?}", begin.elapsed().as_millis(), live.status());
            assert!(live.status().is_legacy);
            assert_eq!(*connects.borrow(), [&[ALL, None][..], &vec![None; round]].concat());
            live.stop().await;
            live.start();
        }
    });
}

#[test]
fn item_267_at_an_old_server_a_live_stream_drops_the_tracks_that_need_enhanced_rtmp_and_sends_the_others() {
    const LEGACY: SendOutcome = SendOutcome::Dropped(DropReason::LegacyServer);
    let hevc = |key: &'static [&'static [u8]]| Picture::new(0, 0, true, key);
    for (reactions, is_old) in [([Closes, Accepts], true), ([Accepts, Accepts], false)] {
        let mut bench = Bench::new(Wire::new());
        let mut config = config_to("rtmp://10.0.0.2:1935/live/x");
        config.client = &OPTIONS;
        let mut live = bench.live(config);
        live.set_tracks(Tracks::hevc(&[0x40, 1], &[0x42, 1], &[0x44, 1]).aac(&[0x12, 0x10]));
        let stack = bench.second;
        bench.spawn(async move { serve(stack, 1935, reactions, &Announced::default()).await });
        bench.run(async move {
            until(&mut live, Phase::Live).await;
            let expected = if is_old { LEGACY } else { SendOutcome::Sent };
            assert_eq!(live.video().send(hevc(&[b"\x26\x01x"])).await, expected);
            assert_eq!(live.audio().send(0, &[0x21; 10]).await, SendOutcome::Sent);
            live.set_tracks(Tracks::h264(&[0x67, 0x42, 0, 0x1E], &[0x68, 1]).opus(&[0; 19]));
            assert_eq!(live.video().send(hevc(&[b"\x65x"])).await, SendOutcome::Sent);
            assert_eq!(live.audio().send(20_000, &[0xF8; 10]).await, expected);
            assert_eq!(live.status().is_legacy, is_old);
        });
    }
}

/// The first bytes of the messages of a stream in HEVC with Opus, whose parameter sets are in band.
#[test]
fn item_268_item_269_a_live_stream_sends_the_headers_of_its_codecs_before_the_first_frame() {
    const SETS: [&[u8]; 3] = [
        b"\x40\x01\x0C\x01\xFF\xFF\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3C\x95\x98\x09",
        b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3C\xA0\x0A\x08\x0B\x9F\x79\x65\x66\x92\x4C\xAF\x01\x68\x08\0\0\x03\0\x08\0\0\x03\0\xC8\x40",
        b"\x44\x01\xC1\x72\xB4\x62\x40",
    ];
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config_to("rtmp://10.0.0.2:1935/live/x")));
    live.set_tracks(Tracks::hevc_in_band().opus(&[7; 19]));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(live.audio().send(0, &[0xF8; 10]).await, SendOutcome::Sent);
        let no_sets: &[&[u8]] = &[b"\x26\x01x"];
        let dropped = SendOutcome::Dropped(DropReason::NoTrack);
        assert_eq!(live.video().send(Picture::new(1_000, 1_000, true, no_sets)).await, dropped);
        let key: &[&[u8]] = &[SETS[0], SETS[1], SETS[2], b"\x26\x01x"];
        assert_eq!(live.video().send(Picture::new(41_000, 41_000, true, key)).await, SendOutcome::Sent);
        assert_eq!(live.stop().await, Stopped::InOrder);
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        let media: Vec<_> = tags.iter().filter(|tag| tag.kind != SCRIPT).map(|tag| &tag.data[..5]).collect();
        assert_eq!(media.first(), Some(&&b"\x90Opus"[..]));
        let video: Vec<_> = media.iter().filter(|data| data.ends_with(b"hvc1")).collect();
        assert_eq!(video, [b"\x90hvc1", b"\x91hvc1"]);
        let record = tags.iter().find(|tag| tag.data.starts_with(b"\x90hvc1")).unwrap();
        assert!(SETS.iter().all(|set| record.data.windows(set.len()).any(|part| part == *set)));
    });
}
