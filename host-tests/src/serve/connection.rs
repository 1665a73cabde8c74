//! One client's connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use embedded_rtmp::command::code;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::session::{Server, ServerEvent};
use mio::net::TcpStream;

use super::record::Recording;
use super::{Event, Recorded, Shared, TICK};
use crate::net::{Clock, Memory, Pipe, Waiter, entropy};

/// A stream that is being published.
struct Live {
    key: Vec<u8>,
    recording: Recording,
}

pub(super) struct Connection<'b> {
    session: Server<'b>,
    pipe: Pipe,
    peer: SocketAddr,
    clock: Clock,
    shared: &'b Shared,
    app: Vec<u8>,
    live: HashMap<StreamId, Live>,
}

/// What an event asks for, when it no longer borrows the session.
enum Action {
    None,
    Connect(Vec<u8>),
    Publish(StreamId, Vec<u8>),
    Unpublished(StreamId),
}

impl<'b> Connection<'b> {
    /// Serves a client until it goes, and completes what it published.
    pub(super) fn serve(stream: TcpStream, peer: SocketAddr, shared: &'b Shared) {
        let mut memory = Memory::new();
        if let Err(error) = Connection::run(stream, peer, shared, &mut memory) {
            (shared.tell)(Event::Trouble(peer, format!("{error:#}")));
        }
    }

    fn run(stream: TcpStream, peer: SocketAddr, shared: &Shared, memory: &mut Memory) -> Result<()> {
        let mut pipe = Pipe::new(stream);
        pipe.is_connected()?;
        let mut waiter = Waiter::new()?;
        waiter.add(&mut pipe)?;
        let session = Server::new(memory.buffers(), shared.config, &entropy()?)?;
        let clock = Clock::new();
        let mut connection = Connection { session, pipe, peer, clock, shared, app: Vec::new(), live: HashMap::new() };
        let result = connection.drive(&mut waiter);
        let end = result.as_ref().map_or_else(|error| format!("{error:#}"), |end| (*end).to_owned());
        let streams: Vec<_> = connection.live.keys().copied().collect();
        for stream in streams {
            connection.finish(stream, &end);
        }
        result.map(drop)
    }

    /// Goes on until the client leaves, or is to; answers how it ended.
    fn drive(&mut self, waiter: &mut Waiter) -> Result<&'static str> {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok("this server stopped");
            }
            let mut moved = self.session.wants_input() && self.pipe.receive().context("the connection broke")?;
            moved |= self.events()?;
            let (now, session) = (self.clock.now(), &mut self.session);
            moved |= self.pipe.send(|out| session.poll_transmit(now, out)).context("the connection broke")?;
            if self.pipe.is_ended() && self.pipe.input().is_empty() {
                return Ok("the connection was closed");
            }
            if self.session.is_closed() && !self.pipe.has_output() {
                return Ok("turned away");
            }
            if moved {
                continue;
            }
            let now = self.clock.now();
            let timeout = self.session.poll_timeout();
            if timeout.is_some_and(|timeout| timeout <= now) {
                self.session.handle_timeout(now)?;
            }
            let limit = self.session.poll_timeout().map_or(TICK, |timeout| self.clock.until(timeout).min(TICK));
            waiter.wait(limit)?;
        }
    }

    /// Takes what has arrived; answers whether anything has.
    fn events(&mut self) -> Result<bool> {
        let mut moved = false;
        loop {
            let mut input = self.pipe.input();
            let event = self.session.next_event(self.clock.now(), &mut input)?;
            let none = event.is_none();
            let action = match event {
                Some(ServerEvent::Connect(request)) => Action::Connect(request.app.as_bytes().to_vec()),
                Some(ServerEvent::Publish { stream, key }) => Action::Publish(stream, key.as_bytes().to_vec()),
                Some(ServerEvent::Media(fragment)) => {
                    self.shared.recorded_bytes.fetch_add(fragment.data.len() as u64, Ordering::Relaxed);
                    if let Some(live) = self.live.get_mut(&fragment.header.stream) {
                        live.recording.take(&fragment).context("the recording failed")?;
                    }
                    Action::None
                }
                Some(ServerEvent::Unpublished(stream)) => Action::Unpublished(stream),
                _ => Action::None,
            };
            let taken = self.pipe.input().len() - input.len();
            self.pipe.consume(taken);
            match action {
                Action::None => {}
                Action::Connect(app) => {
                    self.app = app;
                    self.session.accept_connect()?;
                }
                Action::Publish(stream, key) => self.publish(stream, key)?,
                Action::Unpublished(stream) => self.finish(stream, "unpublished"),
            }
            moved |= taken > 0 || !none;
            if none {
                return Ok(moved);
            }
        }
    }

    /// Lets a client publish, or tells it why not.
    fn publish(&mut self, stream: StreamId, key: Vec<u8>) -> Result<()> {
        let shared = self.shared;
        let name = (self.app.clone(), key.clone());
        if !shared.live().insert(name.clone()) {
            self.tell_trouble(format!("turned away: {} is being published", shown(&self.app, &key)));
            return Ok(self.session.reject(stream, code::PUBLISH_BAD_NAME, "The stream is being published.")?);
        }
        match Recording::create(&shared.directory, &self.app, &key) {
            Ok(recording) => {
                let path = recording.path().to_owned();
                (shared.tell)(Event::Recording(self.peer, shown(&self.app, &key), path));
                self.live.insert(stream, Live { key, recording });
                Ok(self.session.accept(stream)?)
            }
            Err(error) => {
                shared.live().remove(&name);
                self.tell_trouble(format!("turned away: no recording of {}: {error}", shown(&self.app, &key)));
                Ok(self.session.reject(stream, code::PUBLISH_DENIED, "The stream cannot be recorded.")?)
            }
        }
    }

    fn tell_trouble(&self, what: String) {
        (self.shared.tell)(Event::Trouble(self.peer, what));
    }

    /// Completes the recording of a stream, if there is one.
    fn finish(&mut self, stream: StreamId, end: &str) {
        let Some(Live { key, recording }) = self.live.remove(&stream) else { return };
        let file = recording.path().to_owned();
        let finished = recording.finish();
        self.shared.live().remove(&(self.app.clone(), key.clone()));
        match finished {
            Ok((counts, timestamps)) => (self.shared.tell)(Event::Recorded(Recorded {
                app: String::from_utf8_lossy(&self.app).into_owned(),
                key: String::from_utf8_lossy(&key).into_owned(),
                file,
                counts,
                timestamps,
                end: end.to_owned(),
            })),
            Err(error) => self.tell_trouble(format!("{}: {error}", file.display())),
        }
    }
}

/// A stream, as a log may show it: without queries, which may hold secrets, and without control characters.
fn shown(app: &[u8], key: &[u8]) -> String {
    let public = |text: &[u8]| {
        let text = text.split(|byte| *byte == b'?').next().unwrap_or_default();
        String::from_utf8_lossy(text).chars().filter(|char| !char.is_control()).take(100).collect::<String>()
    };
    format!("{}/{}", public(app), public(key))
}
