//! A server that asks for a user and a password, and clients that answer.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::Timer;
use embedded_io_async::Write as _;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::auth::{
    AuthError, Authenticator, Challenger, Credentials, Failures, Verdict,
};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectOptions, ConnectRequest};
use embedded_rtmp_embassy::embedded_rtmp::message::StreamId;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Outcome;
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers, Stage};
use embedded_rtmp_embassy::embedded_rtmp::time::Instant;
use embedded_rtmp_embassy::{
    ClientOptions, Error, Handler, Origin, Phase, Rejection, Server, ServerOptions, SessionId,
};

use super::live::{Bench, config_to, until};
use super::pair::{TestMemory, publish, with_devices};
use crate::wire::{Rule, Wire};

/// A handler that accepts only the user `cam` with the password `s3cret`.
struct Door {
    challenger: Challenger<8>,
    failures: Failures<4>,
    /// The address of the client of each socket.
    addresses: [[u8; 16]; 4],
    description: [u8; Challenger::<8>::DESCRIPTION],
    nonce: u64,
    counts: Rc<Cell<Counts>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    connects: usize,
    published: usize,
}

impl Door {
    fn new() -> Self {
        Self {
            challenger: Challenger::new([5; 32]),
            failures: Failures::new(),
            addresses: [[0; 16]; 4],
            description: [0; Challenger::<8>::DESCRIPTION],
            nonce: 0,
            counts: Rc::default(),
        }
    }
}

impl Handler for Door {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn opened(&mut self, session: SessionId, from: Origin) {
        let address = match from.remote.unwrap().addr.into() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        self.addresses[usize::from(session.0)] = address.octets();
    }

    fn connect(&mut self, session: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        self.nonce += 1;
        self.counts.update(|counts| Counts { connects: counts.connects + 1, ..counts });
        let now = Instant::from_micros(embassy_time::Instant::now().as_micros());
        let address = self.addresses[usize::from(session.0)];
        let may_try = self.failures.may_try(now, address);
        let password = |user: &str| (user == "cam" && may_try).then_some("s3cret");
        match self.challenger.check(now, &self.nonce.to_be_bytes(), request.app, password, &mut self.description) {
            Verdict::Accept => {
                self.failures.note_success(address);
                Ok(())
            }
            Verdict::Reject { description, is_failure } => {
                if is_failure && may_try {
                    self.failures.note_failure(now, address);
                }
                Err(description.into())
            }
        }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        self.counts.update(|counts| Counts { published: counts.published + 1, ..counts });
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}
}

/// Runs `client` on the first device, while a server with a [`Door`] serves on ports 1935 and 80 of the second.
fn with_door<T>(wire: &Wire, client: impl AsyncFnOnce(Stack<'_>) -> T) -> (T, Counts) {
    let mut door = Door::new();
    let outcome = with_devices(wire, async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut server = Server::<4>::new(second, &[1935, 80], &mut memory, &ServerOptions::default()).unwrap();
        match select(client(first), server.run(&mut door)).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => unreachable!("the server runs for ever"),
        }
    });
    (outcome, door.counts.get())
}

/// Connects to an application. Returns the description of the refusal, or `None` if the server accepts.
async fn refusal(stack: Stack<'_>, app: &str) -> Option<String> {
    let (mut rx, mut tx, mut scratch, mut control) = ([0; 4096], [0; 4096], [0; 1536], [0; 1024]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client: Client<'_> = Client::new(buffers, ClientConfig::new(), &[9; 32]).unwrap();
    client.connect(&ConnectOptions::new(app, &["rtmp://10.0.0.2/", app])).unwrap();
    let (now, mut input, mut out, mut answer) = (Instant::from_millis(0), [0; 4096], [0; 4096], None);
    while answer.is_none() {
        let length = client.poll_transmit(now, &mut out);
        socket.write_all(&out[..length]).await.unwrap();
        if length > 0 {
            continue;
        }
        let length = socket.read(&mut input).await.unwrap();
        assert!(length > 0, "the server has closed the connection without an answer");
        let mut rest = &input[..length];
        while let Some(event) = client.next_event(now, &mut rest).unwrap() {
            match event {
                ClientEvent::Connected => answer = Some(None),
                ClientEvent::Refused(_, status) => answer = Some(Some(status.description.to_string())),
                _ => {}
            }
        }
    }
    socket.abort();
    socket.flush().await.unwrap();
    answer.flatten()
}

/// Returns the application with the answer to a new challenge, in which `change` may change something.
async fn answered(stack: Stack<'_>, password: &str, change: impl Fn(String) -> String) -> String {
    let (mut client, mut app) = (Authenticator::<384>::new(), "live".to_owned());
    for _ in 0..2 {
        let description = change(refusal(stack, &app).await.unwrap());
        let credentials = Credentials { user: "cam", password };
        assert!(client.answer(Text::from(&*description), "live", &credentials, &[1; 8]).unwrap());
        app = client.app().unwrap().to_owned();
    }
    app
}

#[test]
fn item_095_a_device_accepts_an_answer_once_within_30_seconds_to_its_own_challenge() {
    with_door(&Wire::new(), async |stack| {
        let failed =
            async |app: &str| refusal(stack, app).await.is_some_and(|text| text.ends_with("reason=authfailed"));
        let app = answered(stack, "s3cret", |text| text).await;
        Timer::after_secs(29).await;
        assert_eq!(refusal(stack, &app).await, None);
        assert!(failed(&app).await, "on a second connection");
        let app = answered(stack, "s3cret", |text| text).await;
        Timer::after_secs(30).await;
        assert!(failed(&app).await, "too late");
        let app = answered(stack, "s3cret", |text| text.replace("opaque=", "opaque=B")).await;
        assert!(app.contains("opaque=B") && failed(&app).await, "a foreign challenge");
        // None of these was a wrong password.
        let app = answered(stack, "s3cret", |text| text).await;
        assert_eq!(refusal(stack, &app).await, None);
    });
}

#[test]
fn item_095_after_a_thousand_wrong_passwords_a_device_lets_the_address_wait() {
    with_door(&Wire::new(), async |stack| {
        for guess in 0..1_000 {
            let app = format!("live?authmod=adobe&user=cam&challenge=c&response={guess:024}&opaque=o");
            assert!(refusal(stack, &app).await.unwrap().ends_with("reason=authfailed"), "{guess}");
        }
        let app = answered(stack, "s3cret", |text| text).await;
        assert!(refusal(stack, &app).await.is_some(), "it is too early for the right password");
        Timer::after_secs(60).await;
        let app = answered(stack, "s3cret", |text| text).await;
        assert_eq!(refusal(stack, &app).await, None);
    });
}

#[test]
fn item_095_a_publisher_answers_with_the_password_of_the_url_or_of_its_options() {
    let credentials = Some(Credentials { user: "cam", password: "s3cret" });
    let given = ClientOptions { credentials, ..ClientOptions::DEFAULT };
    for (url, options) in
        [("rtmp://cam:s3cret@10.0.0.2/live/x", ClientOptions::DEFAULT), ("rtmp://cam:old@10.0.0.2/live/x", given)]
    {
        let ((result, outcomes), counts) = with_door(&Wire::new(), async |stack| publish(stack, url, &options).await);
        assert_eq!(result, Ok(()), "{url}");
        // All connections go to the first port.
        assert_eq!(outcomes, [Outcome::Connected, Outcome::NotStarted]);
        assert_eq!(counts, Counts { connects: 3, published: 1 });
    }
}

#[test]
fn item_095_the_answer_goes_to_the_port_that_asked() {
    let wire = Wire { rules: vec![(1935, Rule::Drop)], ..Wire::new() };
    let url = "rtmp://cam:s3cret@10.0.0.2/live/x";
    let ((result, outcomes), counts) =
        with_door(&wire, async |stack| publish(stack, url, &ClientOptions::DEFAULT).await);
    assert_eq!((result, outcomes.last(), counts.connects), (Ok(()), Some(&Outcome::Connected), 3));
}

#[test]
fn item_095_a_wrong_password_is_an_error_of_its_own() {
    for url in ["rtmp://cam:wrong@10.0.0.2/live/x", "rtmp://dog:s3cret@10.0.0.2/live/x"] {
        let ((result, _), counts) =
            with_door(&Wire::new(), async |stack| publish(stack, url, &ClientOptions::DEFAULT).await);
        assert_eq!((result, counts), (Err(Error::Auth(AuthError::Rejected)), Counts { connects: 3, published: 0 }));
    }
    let ((result, _), counts) =
        with_door(&Wire::new(), async |stack| publish(stack, "rtmp://10.0.0.2/live/x", &ClientOptions::DEFAULT).await);
    let Err(Error::Refused(refusal)) = result else { panic!("{result:?}") };
    assert_eq!((refusal.stage, counts.connects), (Stage::Connect, 1));
}

#[test]
fn item_095_a_live_stream_answers_without_a_pause_on_each_connection() {
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config_to("rtmp://cam:s3cret@10.0.0.2:1935/live/x"));
    let (stack, door) = (bench.second, Door::new());
    let counts = door.counts.clone();
    bench.spawn(async move {
        let (mut door, mut memory) = (door, Box::new([const { TestMemory::new() }; 4]));
        let mut server = Server::<4>::new(stack, &[1935], &mut memory, &ServerOptions::default()).unwrap();
        server.run(&mut door).await;
    });
    bench.run(async move {
        for round in 1..=2 {
            let begin = embassy_time::Instant::now();
            until(&mut live, Phase::Live).await;
            assert!(begin.elapsed().as_millis() < 90, "{}", begin.elapsed());
            assert_eq!(counts.get(), Counts { connects: 3 * round, published: round });
            live.stop().await;
            live.start();
        }
    });
}

#[test]
fn item_095_a_loss_between_challenge_and_answer_is_followed_by_the_usual_wait() {
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config_to("rtmp://cam:s3cret@10.0.0.2:1935/live/x"));
    let (stack, door) = (bench.second, Door::new());
    let counts = door.counts.clone();
    bench.spawn(async move {
        let (mut door, mut memory) = (door, Box::new([const { TestMemory::new() }; 4]));
        let mut server = Server::<4>::new(stack, &[1935], &mut memory, &ServerOptions::default()).unwrap();
        let challenged = async {
            while counts.get().connects < 2 {
                Timer::after_micros(100).await;
            }
        };
        select(server.run(&mut door), challenged).await;
    });
    bench.run(async move {
        // The port is now closed.
        Timer::after_millis(50).await;
        let mut attempts = 0;
        let count = async {
            loop {
                live.changed().await;
                attempts += u32::from(live.status().phase == Phase::Connecting);
            }
        };
        select(count, Timer::after_secs(5)).await;
        // The pauses are 0.1, 0.2, 0.4 … seconds, each minus a random part.
        assert!((3..12).contains(&attempts), "{attempts}");
    });
}
