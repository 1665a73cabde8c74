//! Tunnels with sessions inside, over wires that cut anywhere, with a fake clock.

mod client;
mod client_ends;
mod lengths;
mod pairs;
mod server;
mod server_time;

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::command::ConnectOptions;
use crate::message::{Kind, StreamId, Timestamp};
use crate::session::{self, Buffers, ClientConfig, ClientEvent, ServerConfig, ServerEvent};
use crate::time::Instant;

fn buffers(control: usize) -> Buffers<'static> {
    Buffers { scratch: std::vec![0; 1_536].leak(), control: std::vec![0; control].leak() }
}

/// A media message: kind, timestamp, payload.
type Frame = (u8, u32, Vec<u8>);

/// Frames of many lengths.
fn frames(count: u32) -> Vec<Frame> {
    let make = |number: u32| {
        let length = [0, 1, 127, 128, 700, 4_096, 4_097, 20_000, 70_000][number as usize % 9];
        let payload = (0..length).map(|place| (place * 7 + number) as u8).collect();
        ([9, 8, 9, 18][number as usize % 4], number * 40, payload)
    };
    (0..count).map(make).collect()
}

/// A client that publishes frames through a tunnel.
struct Publisher {
    session: session::Client<'static, 8>,
    tunnel: Client<'static>,
    stream: Option<StreamId>,
    frames: Vec<Frame>,
    /// The frame that is under way, and how much of it was taken.
    open: Option<(crate::chunk::ChunkStreamId, usize)>,
    next: usize,
    /// What has happened.
    seen: Vec<String>,
}

impl Publisher {
    fn new(key: &'static str, frames: Vec<Frame>) -> Self {
        let mut session = session::Client::new(buffers(512), ClientConfig::new(), &[1; 32]).unwrap();
        let tc_url = ["rtmpt://", "h", "/live"];
        session.connect(&ConnectOptions { app: "live", tc_url: &tc_url, flash_ver: "x" }).unwrap();
        session.publish(key).unwrap();
        let tunnel = Client::new("h", 80);
        Self { session, tunnel, stream: None, frames, open: None, next: 0, seen: Vec::new() }
    }

    /// Takes what it can of `input`; answers how much that was.
    fn receive(&mut self, now: Instant, input: &[u8]) -> Result<usize, Error> {
        let mut rest = input;
        loop {
            let before = rest.len();
            let Self { session, tunnel, .. } = self;
            let event = tunnel.receive(now, &mut rest, |bytes| session.next_event(now, bytes))?.unwrap();
            let done = event.is_none();
            match event {
                Some(ClientEvent::Publishing(stream)) => self.stream = Some(stream),
                Some(ClientEvent::Refused(stage, _)) => self.seen.push(stage.to_string()),
                Some(ClientEvent::Unpublished) => {
                    self.seen.push("unpublished".into());
                    self.tunnel.close();
                }
                _ => {}
            }
            if done && rest.len() == before {
                if !self.session.wants_input() && self.session.wants_transmit() {
                    self.tunnel.hurry();
                }
                return Ok(input.len() - rest.len());
            }
        }
    }

    /// Bytes that the session has to send.
    fn waiting(&mut self) -> usize {
        if let Some(stream) = self.stream
            && self.open.is_none()
            && let Some((kind, at, payload)) = self.frames.get(self.next)
        {
            let length = payload.len() as u32;
            self.open = Some((self.session.begin_media(Kind(*kind), stream, Timestamp(*at), length).unwrap(), 0));
        }
        match self.open {
            Some((csid, taken)) => self.session.media_len(csid, self.frames[self.next].2.len() - taken),
            None => self.session.transmit_len(),
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let waiting = self.waiting();
        let Self { session, tunnel, frames, open, next, .. } = self;
        tunnel.poll_transmit(now, waiting, out, |room| {
            let Some((csid, taken)) = open else { return session.poll_transmit(now, room) };
            let (more, written) = session.poll_media(*csid, &frames[*next].2[*taken..], room);
            *taken += more;
            if session.media_left(*csid).is_none() {
                (*open, *next) = (None, *next + 1);
                if *next == frames.len() {
                    session.close().unwrap();
                }
            }
            written
        })
    }
}

/// A server with room for two tunnels, whatever connections they come over.
struct Host {
    tunnels: Tunnels<'static, 2>,
    sessions: [Option<session::Server<'static, 8>>; 2],
    /// The frames that each session has received.
    received: [Vec<Frame>; 2],
    seen: Vec<Event>,
    entropy: u8,
    control: usize,
}

impl Host {
    fn new(config: Config<'static>) -> Self {
        Self {
            tunnels: Tunnels::new(config),
            sessions: [None, None],
            received: [Vec::new(), Vec::new()],
            seen: Vec::new(),
            entropy: 0,
            control: 1_024,
        }
    }

    fn receive(&mut self, connection: &mut Connection, now: Instant, input: &[u8]) -> usize {
        let mut rest = input;
        while let Some(event) = connection.next_event(&mut self.tunnels, now, &mut rest) {
            match event {
                Event::Open => {
                    self.entropy += 1;
                    let entropy = [self.entropy; 32];
                    if let Some(tunnel) = connection.open(&mut self.tunnels, now, &entropy) {
                        let session =
                            session::Server::new(buffers(self.control), ServerConfig::new(), &[9; 32]).unwrap();
                        self.sessions[tunnel.index()] = Some(session);
                    }
                    self.seen.push(event);
                }
                Event::Data(tunnel) => {
                    if !self.data(connection, tunnel, now, &mut rest) {
                        break;
                    }
                }
                Event::Closed(tunnel) => {
                    self.sessions[tunnel.index()] = None;
                    self.seen.push(event);
                }
                Event::Refused(_) => self.seen.push(event),
            }
        }
        input.len() - rest.len()
    }

    /// Hands bytes to a session; answers whether it took any.
    fn data(&mut self, connection: &mut Connection, tunnel: TunnelId, now: Instant, rest: &mut &[u8]) -> bool {
        let session = self.sessions[tunnel.index()].as_mut().unwrap();
        let before = rest.len();
        let (mut connect, mut publish) = (false, None);
        match connection.receive(now, rest, |bytes| session.next_event(now, bytes)).unwrap() {
            Some(ServerEvent::Connect(_)) => connect = true,
            Some(ServerEvent::Publish { stream, .. }) => publish = Some(stream),
            Some(ServerEvent::Media(fragment)) => {
                let received = &mut self.received[tunnel.index()];
                if fragment.is_first() {
                    received.push((fragment.header.kind.0, fragment.header.timestamp.0, Vec::new()));
                }
                received.last_mut().unwrap().2.extend_from_slice(fragment.data);
            }
            _ => {}
        }
        if connect {
            session.accept_connect().unwrap();
        }
        if let Some(stream) = publish {
            session.accept(stream).unwrap();
        }
        let moved = rest.len() < before || connect || publish.is_some();
        if !moved && !session.wants_input() && session.wants_transmit() {
            connection.answer_early();
        }
        moved
    }

    fn transmit(&mut self, connection: &mut Connection, now: Instant, out: &mut [u8]) -> usize {
        let session = connection.tunnel(&self.tunnels).and_then(|tunnel| self.sessions[tunnel.index()].as_mut());
        match session {
            Some(session) => {
                let waiting = session.transmit_len();
                connection.poll_transmit(&mut self.tunnels, now, waiting, out, |room| session.poll_transmit(now, room))
            }
            None => connection.poll_transmit(&mut self.tunnels, now, 0, out, |_| 0),
        }
    }
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// How much is taken in and put out at a time.
    cut: usize,
    window: usize,
    /// Each request comes to the server on a new connection; the client keeps its own.
    fresh: bool,
}

const WAYS: [Way; 6] = [
    Way { cut: 1 << 20, window: 1 << 20, fresh: false },
    Way { cut: 1, window: 1, fresh: false },
    Way { cut: 7, window: 3, fresh: true },
    Way { cut: 1_460, window: 1_460, fresh: true },
    Way { cut: 64, window: 2_920, fresh: false },
    Way { cut: 1 << 20, window: 100, fresh: true },
];

/// A publisher's way to the host.
struct Route {
    publisher: Publisher,
    connection: Connection,
    way: Way,
    up: Vec<u8>,
    down: Vec<u8>,
    /// All that went up and down.
    requests: Vec<u8>,
    responses: Vec<u8>,
}

impl Route {
    fn new(key: &'static str, frames: Vec<Frame>, way: Way) -> Self {
        let (up, down, requests, responses) = Default::default();
        let publisher = Publisher::new(key, frames);
        Self { publisher, connection: Connection::new(START), way, up, down, requests, responses }
    }

    /// One step of all; answers whether anything moved.
    fn step(&mut self, host: &mut Host, now: Instant) -> bool {
        let Way { cut, window, fresh } = self.way;
        let mut out = std::vec![0; window];
        let written = self.publisher.transmit(now, &mut out);
        self.up.extend_from_slice(&out[..written]);
        self.requests.extend_from_slice(&out[..written]);
        let taken = host.receive(&mut self.connection, now, &self.up[..cut.min(self.up.len())]);
        self.up.drain(..taken);
        let answered = host.transmit(&mut self.connection, now, &mut out);
        self.down.extend_from_slice(&out[..answered]);
        self.responses.extend_from_slice(&out[..answered]);
        let received = self.publisher.receive(now, &self.down[..cut.min(self.down.len())]).unwrap();
        self.down.drain(..received);
        if fresh && answered > 0 && self.up.is_empty() && !self.connection.wants_transmit(now, 0) {
            // Between two requests.
            if self.connection.tunnel(&host.tunnels).is_none() {
                assert_eq!(self.connection.ended(&mut host.tunnels, now), None);
                self.connection = Connection::new(now);
            }
        }
        written + taken + answered + received > 0
    }
}

const START: Instant = Instant::from_millis(1_000);

/// Runs routes until all their tunnels are closed; answers how long that took, in ms.
fn run(host: &mut Host, routes: &mut [Route]) -> u64 {
    let mut now = START;
    for _ in 0..1_000_000 {
        let mut moved = false;
        for route in &mut *routes {
            moved |= route.step(host, now);
        }
        if routes.iter().all(|route| route.publisher.tunnel.is_closed()) {
            return now.as_millis() - START.as_millis();
        }
        if !moved {
            let polls = routes.iter().filter_map(|route| route.publisher.tunnel.poll_timeout());
            let held = routes.iter().map(|route| route.connection.poll_timeout(&host.tunnels));
            let next = polls.chain(held).min().unwrap();
            assert!(next > now, "it spins");
            now = next;
        }
        assert!(now.as_millis() < 60_000, "it hangs");
    }
    panic!("it does not end")
}
