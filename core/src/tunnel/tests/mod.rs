//! Tunnels with sessions inside, over wires that cut anywhere, with a fake clock.

mod client;
mod client_ends;
mod lengths;
mod pairs;
mod route;
mod server;
mod server_time;

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::chunk::{WriteProgress, moved};
use crate::command::ConnectOptions;
use crate::message::{MessageKind, StreamId, Timestamp};
use crate::session::{self, ClientConfig, ClientEvent, ServerConfig, ServerEvent, SessionBuffers};
use crate::time::Instant;
use route::*;

fn buffers(control: usize) -> SessionBuffers<'static> {
    SessionBuffers { scratch: std::vec![0; 1_536].leak(), control: std::vec![0; control].leak() }
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
    tunnel: TunnelClient,
    stream: Option<StreamId>,
    frames: Vec<Frame>,
    /// The frame that is being sent, and how many of its bytes were consumed.
    open: Option<(crate::chunk::ChunkStreamId, usize)>,
    next: usize,
    /// What has happened.
    seen: Vec<String>,
}

impl Publisher {
    fn new(key: &'static str, frames: Vec<Frame>) -> Self {
        let mut session = session::Client::new(buffers(512), ClientConfig::new(), &[1; 32]).unwrap();
        let tc_url = ["rtmpt://", "h", "/live"];
        session.connect(&ConnectOptions::new("live", &tc_url)).unwrap();
        session.publish(key).unwrap();
        let tunnel = TunnelClient::new("h", 80);
        Self { session, tunnel, stream: None, frames, open: None, next: 0, seen: Vec::new() }
    }

    /// Passes `input` to the session. Returns the number of bytes that it consumed.
    fn receive(&mut self, now: Instant, input: &[u8]) -> Result<usize, TunnelError> {
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
                    self.tunnel.send_early();
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
            self.open =
                Some((self.session.begin_media(MessageKind(*kind), stream, Timestamp(*at), length).unwrap(), 0));
        }
        match self.open {
            Some((csid, taken)) => self.session.media_len(csid, self.frames[self.next].2.len() - taken),
            None => self.session.transmit_len(),
        }
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let waiting = self.waiting();
        let Self { session, tunnel, frames, open, next, .. } = self;
        tunnel.poll_transmit(now, out, waiting, |room| {
            let Some((csid, taken)) = open else { return session.poll_transmit(now, room) };
            let WriteProgress { taken: more, written, .. } =
                session.poll_media(*csid, &frames[*next].2[*taken..], room);
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

/// A server with room for two tunnels, over any connections.
struct Host {
    tunnels: Tunnels<'static, 2>,
    sessions: [Option<session::Server<'static, 8>>; 2],
    /// The frames that each session has received.
    received: [Vec<Frame>; 2],
    seen: Vec<TunnelEvent>,
    entropy: u8,
    control: usize,
    /// The number of bytes that the sessions have to send is not asked.
    whole: bool,
    /// Sessions that could not continue.
    stuck: usize,
}

impl Host {
    fn new(config: TunnelConfig<'static>) -> Self {
        Self {
            tunnels: Tunnels::new(config),
            sessions: [None, None],
            received: [Vec::new(), Vec::new()],
            seen: Vec::new(),
            entropy: 0,
            control: 1_024,
            whole: false,
            stuck: 0,
        }
    }

    fn receive(&mut self, connection: &mut TunnelConnection, now: Instant, input: &[u8]) -> usize {
        let mut rest = input;
        while let Some(event) = connection.next_event(now, &mut rest, &mut self.tunnels) {
            match event {
                TunnelEvent::Open => {
                    self.entropy += 1;
                    let entropy = [self.entropy; 32];
                    if let Some(tunnel) = connection.open(now, &entropy, &mut self.tunnels) {
                        let session =
                            session::Server::new(buffers(self.control), ServerConfig::new(), &[9; 32]).unwrap();
                        self.sessions[tunnel.index()] = Some(session);
                    }
                    self.seen.push(event);
                }
                TunnelEvent::Data(tunnel) => {
                    if !self.data(connection, tunnel, now, &mut rest) {
                        break;
                    }
                }
                TunnelEvent::Closed(tunnel) => {
                    self.sessions[tunnel.index()] = None;
                    self.seen.push(event);
                }
                TunnelEvent::Refused(_) => self.seen.push(event),
            }
        }
        input.len() - rest.len()
    }

    /// Passes bytes to a session. Returns whether it consumed any.
    fn data(&mut self, connection: &mut TunnelConnection, tunnel: TunnelId, now: Instant, rest: &mut &[u8]) -> bool {
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
            let is_stuck = !connection.answer_early();
            if is_stuck {
                self.tunnels.close(tunnel);
                self.sessions[tunnel.index()] = None;
                self.stuck += 1;
            }
            return is_stuck;
        }
        moved
    }

    fn transmit(&mut self, connection: &mut TunnelConnection, now: Instant, out: &mut [u8]) -> usize {
        let session = connection.tunnel(&self.tunnels).and_then(|tunnel| self.sessions[tunnel.index()].as_mut());
        match session {
            Some(session) if self.whole => {
                let wants = session.wants_transmit();
                connection.poll_answer(now, out, &mut self.tunnels, wants, |room| session.poll_transmit(now, room))
            }
            Some(session) => {
                let waiting = session.transmit_len();
                connection.poll_transmit(now, out, &mut self.tunnels, waiting, |room| session.poll_transmit(now, room))
            }
            None => connection.poll_transmit(now, out, &mut self.tunnels, 0, |_| 0),
        }
    }
}
