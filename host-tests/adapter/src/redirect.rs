//! A server that sends clients elsewhere, and clients that follow.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use embassy_futures::select::{Either, Either3, select, select3};
use embassy_net::Stack;
use embassy_time::{Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectRequest, MAX_REDIRECTS, PeerCapabilities};
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Outcome, Plan, PlanError};
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::session::Stage;
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
use embedded_rtmp_embassy::embedded_rtmp::url::{RedirectError, Url, UrlError};
use embedded_rtmp_embassy::transport::TcpConnect;
use embedded_rtmp_embassy::{
    ClientOptions, Config, Error, Handler, KeepAlive, Phase, Player, Publisher, Rejection, Server, ServerOptions,
    SessionId, StreamState, over,
};
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::{TunnelMemory, Tunnels};

use super::live::{Bench, TRACKS, TestRng, config_to, until};
use super::pair::{LIMITS, TestMemory, publish as publish_with, targets, with_devices};
use super::resolve::answer_queries;
use crate::wire::{Rule, Wire};

/// A handler that sends the clients of some applications elsewhere.
#[derive(Default)]
struct Signpost {
    /// An application, and the URL that its clients get.
    elsewhere: HashMap<String, String>,
    /// The `tcUrl` of each `connect`, and the names that were published.
    asked: Rc<RefCell<Vec<String>>>,
    /// Whether each `connect` announced Enhanced RTMP.
    announced: Rc<RefCell<Vec<bool>>>,
}

impl Signpost {
    fn new(elsewhere: &[(&str, &str)]) -> Self {
        let elsewhere = elsewhere.iter().map(|(app, url)| ((*app).to_owned(), (*url).to_owned())).collect();
        Self { elsewhere, ..Self::default() }
    }
}

impl Handler for Signpost {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    /// The URL "needauth" demands a password, and "old" refuses Enhanced RTMP.
    fn connect(&mut self, _: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        let is_enhanced = PeerCapabilities::new(request.values()).is_enhanced();
        self.asked.borrow_mut().push(request.tc_url.to_string());
        self.announced.borrow_mut().push(is_enhanced);
        match self.elsewhere.get(&request.app.to_string()) {
            Some(url) if url == "needauth" => {
                Err("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]".into())
            }
            Some(url) if url == "old" && is_enhanced => Err("bad value".into()),
            Some(url) if url == "old" => Ok(()),
            Some(url) => Err(Rejection::Redirect(url)),
            None => Ok(()),
        }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, name: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        let mut bytes = [0; 64];
        let name = String::from_utf8(name.emit(&mut bytes).unwrap().to_vec()).unwrap();
        self.asked.borrow_mut().push(name);
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}
}

/// Runs a server with the handler on ports 1935 and 80 for ever.
async fn serve(stack: Stack<'_>, signpost: &mut Signpost) {
    let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
    let options = ServerOptions { max_per_address: Some(4), ..ServerOptions::default() };
    #[cfg(feature = "rtmpt")]
    let mut lent = Box::new(TunnelMemory::<2>::new());
    #[cfg(feature = "rtmpt")]
    let mut tunnels = Tunnels::<2>::new(&mut lent, TunnelConfig::new());
    let mut server = Server::<4>::new(stack, &[1935, 80], &mut memory, &options).unwrap();
    #[cfg(feature = "rtmpt")]
    {
        server = server.with_tunnels(&mut tunnels).unwrap();
    }
    server.run(signpost).await;
}

/// Runs `client` on the first device, while a server with the handler serves on the second, and a name server knows each
/// name as its address. Returns what the client returned, and what it asked.
fn with_signpost<T>(wire: &Wire, mut signpost: Signpost, client: impl AsyncFnOnce(Stack<'_>) -> T) -> (T, Vec<String>) {
    let outcome = with_devices(wire, async |first, second| {
        let names = answer_queries(second, |_| Some(vec![2]));
        match select3(client(first), serve(second, &mut signpost), names).await {
            Either3::First(outcome) => outcome,
            _ => unreachable!("the servers run for ever"),
        }
    });
    (outcome, signpost.asked.take())
}

async fn publish(stack: Stack<'_>, url: &str) -> Result<(), Error> {
    publish_with(stack, url, &ClientOptions::DEFAULT).await.0
}

#[test]
fn item_097_a_publisher_follows_a_redirect_and_keeps_its_key() {
    let signpost = Signpost::new(&[("live", "rtmp://10.0.0.2:80/other/eu/")]);
    let url = "rtmp://10.0.0.2/live/x?token=1";
    let (result, asked) = with_signpost(&Wire::new(), signpost, async |stack| publish(stack, url).await);
    assert_eq!(result, Ok(()));
    assert_eq!(asked, ["rtmp://10.0.0.2/live", "rtmp://10.0.0.2:80/other/eu", "other/eu/x"]);
}

#[test]
fn item_097_a_redirect_goes_back_into_the_port_plan() {
    // Port 1935 does not answer. A redirect without a port is tried on the ports of the plan, and the plan's outcomes are
    // those of the first server.
    let wire = Wire { rules: vec![(1935, Rule::Drop)], ..Wire::new() };
    let signpost = Signpost::new(&[("live", "rtmp://10.0.0.2/other")]);
    let ((result, outcomes), asked) = with_signpost(&wire, signpost, async |stack| {
        publish_with(stack, "rtmp://10.0.0.2/live/x", &ClientOptions::DEFAULT).await
    });
    assert_eq!((result, outcomes.last()), (Ok(()), Some(&Outcome::Connected)));
    assert_eq!(asked, ["rtmp://10.0.0.2/live", "rtmp://10.0.0.2/other", "other/x"]);
    // With a port in the first URL, the plan has only that one, and a redirect without a port is tried on the usual ones.
    let signpost = Signpost::new(&[("live", "rtmp://10.0.0.2/other")]);
    let (result, _) = with_signpost(&Wire::new(), signpost, async |stack| {
        let (targets, mut memory) = (targets([80]), TestMemory::new());
        let (mut plan, url) = (Plan::new(&targets, LIMITS).unwrap(), Url::parse("rtmp://10.0.0.2:80/live/x").unwrap());
        let options = ClientOptions::DEFAULT;
        let publisher = Publisher::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [7; 32]).await;
        publisher.map(|publisher| publisher.traffic().sent > 3_073)
    });
    assert_eq!(result, Ok(true));
}

#[test]
fn item_097_a_race_and_a_player_follow_a_redirect() {
    let redirect = || Signpost::new(&[("live", "rtmp://10.0.0.2:80/other")]);
    let (result, asked) = with_signpost(&Wire::new(), redirect(), async |stack| {
        let (targets, mut memory) = (targets([1935, 80]), [const { TestMemory::new() }; 2]);
        let (mut plan, url) = (Plan::new(&targets, LIMITS).unwrap(), Url::parse("rtmp://10.0.0.2/live/x").unwrap());
        let options = ClientOptions::DEFAULT;
        Publisher::<8>::race(stack, &url, &mut plan, &options, &mut memory, || [7; 32]).await.map(drop)
    });
    assert_eq!((result, asked.last().map(String::as_str)), (Ok(()), Some("other/x")));
    let (result, asked) = with_signpost(&Wire::new(), redirect(), async |stack| {
        let (targets, mut memory) = (targets([1935, 80]), TestMemory::new());
        let (mut plan, url) = (Plan::new(&targets, LIMITS).unwrap(), Url::parse("rtmp://10.0.0.2/live/x").unwrap());
        let options = ClientOptions::DEFAULT;
        Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [7; 32]).await.map(drop)
    });
    assert_eq!(result, Ok(()));
    assert_eq!(asked, ["rtmp://10.0.0.2/live", "rtmp://10.0.0.2:80/other"]);
}

#[test]
fn item_097_a_device_follows_three_redirects_and_no_circle() {
    let hops = [("live", "rtmp://10.0.0.2/1"), ("1", "rtmp://10.0.0.2/2"), ("2", "rtmp://10.0.0.2/3")];
    let url = "rtmp://10.0.0.2/live/x";
    let (result, asked) = with_signpost(&Wire::new(), Signpost::new(&hops), async |stack| publish(stack, url).await);
    assert_eq!((result, asked.last().map(String::as_str)), (Ok(()), Some("3/x")));
    let circle = Signpost::new(&[("live", url.strip_suffix("/x").unwrap())]);
    let (result, asked) = with_signpost(&Wire::new(), circle, async |stack| publish(stack, url).await);
    assert_eq!((result, asked.len()), (Err(Error::Redirect(RedirectError::TooMany)), 1 + usize::from(MAX_REDIRECTS)));
}

#[test]
fn item_097_a_url_that_cannot_be_used_is_not_followed() {
    let cases = [
        ("http://10.0.0.2/x", RedirectError::Url(UrlError::Scheme)),
        ("rtmp://10.0.0.2:0/x", RedirectError::Url(UrlError::Port)),
    ];
    for (to, why) in cases {
        let signpost = Signpost::new(&[("live", to)]);
        let (result, asked) =
            with_signpost(&Wire::new(), signpost, async |stack| publish(stack, "rtmp://10.0.0.2/live/x").await);
        assert_eq!((result, asked.len()), (Err(Error::Redirect(why)), 1), "{to}");
    }
    // It does not fit into the memory for it. The refusal is the error.
    let long = format!("rtmp://10.0.0.2/{}", "a".repeat(240));
    let signpost = Signpost::new(&[("live", &long)]);
    let (result, _) =
        with_signpost(&Wire::new(), signpost, async |stack| publish(stack, "rtmp://10.0.0.2/live/x").await);
    let Err(Error::Refused(refusal)) = result else { panic!("{result:?}") };
    assert_eq!(refusal.stage, Stage::Connect);
}

#[cfg(all(feature = "rtmpe", feature = "rtmpt"))]
#[test]
fn item_097_a_redirect_to_a_less_secure_scheme_is_not_followed() {
    use embedded_rtmp_embassy::embedded_rtmp::handshake::Versions;
    use embedded_rtmp_embassy::embedded_rtmp::port_plan::RTMPE_ORDER;
    use embedded_rtmp_embassy::embedded_rtmp::url::Scheme;

    let result = with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut options = ServerOptions::default();
        options.session.handshake = Versions::Rtmpe;
        let mut server = Server::<4>::new(second, &[1935], &mut memory, &options).unwrap();
        let client = async {
            let (mut memory, url) = (TestMemory::new(), Url::parse("rtmpe://10.0.0.2/live/x").unwrap());
            let (mut plan, options) = (Plan::new(RTMPE_ORDER, LIMITS).unwrap(), ClientOptions::DEFAULT);
            Publisher::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [7; 32]).await.map(drop)
        };
        let mut signpost = Signpost::new(&[("live", "rtmp://10.0.0.2/other")]);
        let Either::First(result) = select(client, server.run(&mut signpost)).await else { unreachable!() };
        assert_eq!(signpost.asked.borrow().len(), 1);
        result
    });
    let why = RedirectError::LessSecure { from: Scheme::Rtmpe, to: Scheme::Rtmp };
    assert_eq!(result, Err(Error::Redirect(why)));
}

#[cfg(feature = "auth")]
#[test]
fn item_097_only_the_urls_own_host_gets_an_answer_to_its_challenge() {
    use embedded_rtmp_embassy::embedded_rtmp::auth::Credentials;

    let credentials = Some(Credentials { user: "cam", password: "s3cret" });
    let given = ClientOptions { credentials, ..ClientOptions::DEFAULT };
    let in_url = ("rtmp://cam:s3cret@server.test/live/x", ClientOptions::DEFAULT);
    for (url, options) in [in_url, ("rtmp://server.test/live/x", given)] {
        for (to, answers) in [("rtmp://server.test:80/ask", true), ("rtmp://other.test/ask", false)] {
            let signpost = Signpost::new(&[("live", to), ("ask", "needauth")]);
            let ((result, _), asked) =
                with_signpost(&Wire::new(), signpost, async |stack| publish_with(stack, url, &options).await);
            let has_answer = asked.iter().any(|asked| asked.contains("user=cam"));
            assert_eq!(has_answer, answers, "{url} {to}: {asked:?}");
            assert_eq!(result.is_ok(), answers, "{url} {to}: {result:?}");
            assert!(asked.iter().all(|asked| !asked.contains("s3cret")), "{asked:?}");
        }
    }
}

#[cfg(feature = "rtmpt")]
#[test]
fn item_097_a_redirect_into_a_tunnel_names_the_new_host() {
    let signpost = Signpost::new(&[("live", "rtmpt://tunnel.test:80/other")]);
    let (result, asked) =
        with_signpost(&Wire::new(), signpost, async |stack| publish(stack, "rtmp://10.0.0.2/live/x").await);
    assert_eq!(result, Ok(()));
    assert_eq!(asked, ["rtmp://10.0.0.2/live", "rtmpt://tunnel.test:80/other", "other/x"]);
}

#[test]
fn item_097_a_live_stream_follows_without_a_pause_and_begins_with_its_own_url_again() {
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config_to("rtmp://10.0.0.2:1935/live/x"));
    let mut signpost = Signpost::new(&[("live", "rtmp://10.0.0.2:80/other")]);
    let asked = signpost.asked.clone();
    let stack = bench.second;
    bench.spawn(async move { serve(stack, &mut signpost).await });
    bench.run(async move {
        for _ in 0..2 {
            let begin = Instant::now();
            until(&mut live, Phase::Live).await;
            assert!(begin.elapsed().as_millis() < 90, "{}", begin.elapsed());
            assert_eq!(asked.take(), ["rtmp://10.0.0.2:1935/live", "rtmp://10.0.0.2:80/other", "other/x"]);
            assert_eq!(live.status().port.unwrap().port, 80);
            live.stop().await;
            live.start();
        }
    });
}

#[test]
fn item_097_a_live_stream_that_is_sent_in_circles_pauses_and_begins_again() {
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config_to("rtmp://10.0.0.2:1935/live/x"));
    let mut signpost = Signpost::new(&[("live", "rtmp://10.0.0.2:80/live")]);
    let asked = signpost.asked.clone();
    let stack = bench.second;
    bench.spawn(async move { serve(stack, &mut signpost).await });
    bench.run(async move {
        until(&mut live, Phase::Resting).await;
        assert_eq!(live.status().last_error, Some(Error::Redirect(RedirectError::TooMany)));
        let asked_before = asked.take();
        assert_eq!(asked_before.len(), 1 + usize::from(MAX_REDIRECTS), "{asked_before:?}");
        Timer::after_secs(5).await;
        // The pauses are 0.1, 0.2, 0.4 … seconds, each minus a random part.
        let count = asked.borrow().iter().filter(|url| url.contains(":1935")).count();
        assert!((3..12).contains(&count), "{count}");
    });
}

#[test]
fn item_097_a_redirect_to_a_scheme_that_the_client_cannot_carry_does_not_stop_a_live_stream() {
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config_to("rtmp://10.0.0.2:1935/live/x"));
    let mut signpost = Signpost::new(&[("live", "rtmps://10.0.0.2/other")]);
    let asked = signpost.asked.clone();
    let stack = bench.second;
    bench.spawn(async move { serve(stack, &mut signpost).await });
    bench.run(async move {
        for _ in 0..2 {
            until(&mut live, Phase::Resting).await;
            assert_eq!(live.status().last_error, Some(Error::Plan(PlanError::Scheme)));
            assert_eq!(asked.take(), ["rtmp://10.0.0.2:1935/live"]);
            while live.status().phase == Phase::Resting {
                live.changed().await;
            }
        }
    });
}

/// Announces an extension: several tracks.
#[cfg(feature = "enhanced")]
static ANNOUNCES: ClientOptions<'_> =
    ClientOptions { capabilities: b"\0\x06capsEx\0\x40\0\0\0\0\0\0\0", ..ClientOptions::DEFAULT };

#[cfg(feature = "enhanced")]
#[test]
fn item_097_item_257_what_is_known_about_one_host_does_not_hold_for_another_one() {
    let mut bench = Bench::new(Wire::new());
    let mut config = config_to("rtmp://10.0.0.2:1935/live/x");
    config.client = &ANNOUNCES;
    let mut live = bench.live(config);
    let mut signpost = Signpost::new(&[("live", "rtmp://other.test:80/other"), ("other", "old")]);
    let (announced, stack) = (signpost.announced.clone(), bench.second);
    bench.spawn(async move { serve(stack, &mut signpost).await });
    bench.spawn(async move { answer_queries(stack, |_| Some(vec![2])).await });
    bench.run(async move {
        for _ in 0..2 {
            until(&mut live, Phase::Live).await;
            assert_eq!(announced.take(), [true, true, false]);
            live.stop().await;
            live.start();
        }
    });
}

/// Publishes a live stream over a connector. Returns what the server was asked until the stream is live.
fn over_a_connector(mut signpost: Signpost, config: Config) -> Vec<String> {
    let mut bench = Bench::new(Wire::new());
    let (asked, stack) = (signpost.asked.clone(), bench.second);
    bench.spawn(async move { serve(stack, &mut signpost).await });
    bench.spawn(async move { answer_queries(stack, |_| Some(vec![2])).await });
    let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
    let [rx, tx]: [&'static mut [u8]; 2] = [vec![0; 2048].leak(), vec![0; 2048].leak()];
    let connector = TcpConnect::new(bench.first, rx, tx, KeepAlive::DEFAULT);
    let (mut live, runner) = over(connector, state, TestRng::new(), config);
    live.set_tracks(TRACKS);
    bench.spawn(async { runner.run().await });
    bench.run(async move {
        while live.status().phase != Phase::Live {
            live.changed().await;
        }
        asked.take()
    })
}

#[test]
fn item_097_a_live_stream_over_a_connector_follows() {
    let signpost = Signpost::new(&[("live", "rtmp://10.0.0.2:80/other")]);
    let asked = over_a_connector(signpost, config_to("rtmp://10.0.0.2:1935/live/x"));
    assert_eq!(asked, ["rtmp://10.0.0.2:1935/live", "rtmp://10.0.0.2:80/other", "other/x"]);
}

#[cfg(feature = "enhanced")]
#[test]
fn item_097_item_257_an_old_server_to_which_a_client_was_sent_is_asked_again_at_once() {
    for host in ["10.0.0.2", "other.test"] {
        let url = format!("rtmp://{host}:80/other");
        let signpost = Signpost::new(&[("live", &url), ("other", "old")]);
        let mut config = config_to("rtmp://10.0.0.2:1935/live/x");
        config.client = &ANNOUNCES;
        let asked = over_a_connector(signpost, config);
        assert_eq!(asked, ["rtmp://10.0.0.2:1935/live", &url, &url, "other/x"]);
    }
}
