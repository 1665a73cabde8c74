//! One client's connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use embedded_rtmp::command::{Status, code};
use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::relay::PumpError;
use embedded_rtmp::session::{Server, ServerEvent};

use super::player::Playing;
use super::record::Recording;
use super::stream::{Name, PlayerWaker, Stream, name, shown};
use super::{Event, Played, Recorded, Shared, TICK};
use crate::net::{Clock, Memory, Pipe, Waiter, entropy};

/// A stream that is being published.
struct Live {
    key: Vec<u8>,
    name: Name,
    stream: Arc<Stream>,
    recording: Option<Recording>,
}

pub(super) struct Connection<'b> {
    session: Server<'b>,
    pipe: Pipe,
    peer: SocketAddr,
    clock: Clock,
    shared: &'b Shared,
    app: Vec<u8>,
    live: HashMap<StreamId, Live>,
    /// What it plays. One player's messages must be whole before another's begin, so there is one.
    playing: Option<Playing>,
    /// The player is to go as soon as its message is whole.
    stopping: bool,
    is_overtaken: bool,
    waker: Arc<PlayerWaker>,
}

/// What an event asks for, when it no longer borrows the session.
enum Action {
    None,
    Connect(Vec<u8>),
    Publish(StreamId, Vec<u8>),
    Unpublished(StreamId),
    Play(StreamId, Vec<u8>, bool),
    Stopped(StreamId),
    Pause(bool),
    Receive(MessageKind, bool),
    Refuse(StreamId, &'static str),
}

impl<'b> Connection<'b> {
    /// Serves a client until it goes, and completes what it published.
    pub(super) fn serve(pipe: Pipe, peer: SocketAddr, shared: &'b Shared) {
        let mut memory = Memory::new();
        if let Err(error) = Connection::run(pipe, peer, shared, &mut memory) {
            (shared.tell)(Event::Trouble(peer, format!("{error:#}")));
        }
    }

    fn run(mut pipe: Pipe, peer: SocketAddr, shared: &Shared, memory: &mut Memory) -> Result<()> {
        pipe.is_connected()?;
        let mut waiter = Waiter::new()?;
        waiter.add(&mut pipe)?;
        let session = Server::new(memory.buffers(), shared.config, &entropy()?)?;
        let (clock, waker) = (Clock::new(), Arc::new(PlayerWaker::new(waiter.waker()?)));
        let (app, live, playing) = (Vec::new(), HashMap::new(), None);
        let mut connection = Connection {
            session,
            pipe,
            peer,
            clock,
            shared,
            app,
            live,
            playing,
            stopping: false,
            is_overtaken: false,
            waker,
        };
        let result = connection.drive(&mut waiter);
        let end = result.as_ref().map_or_else(|error| format!("{error:#}"), |end| (*end).to_owned());
        let streams: Vec<_> = connection.live.keys().copied().collect();
        for stream in streams {
            connection.finish(stream, &end);
        }
        connection.leave(&end);
        result.map(drop)
    }

    /// Goes on until the client leaves, or is to; answers how it ended.
    fn drive(&mut self, waiter: &mut Waiter) -> Result<&'static str> {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                self.playing.iter_mut().for_each(|playing| playing.say_goodbye(&mut self.session));
                let _ = self.send();
                return Ok("this server stopped");
            }
            let mut moved = self.session.wants_input() && self.pipe.receive().context("the connection broke")?;
            moved |= self.events()?;
            let sent = self.send()?;
            if self.is_overtaken {
                return Ok("too slow");
            }
            moved |= sent;
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
                        live.stream.push(&fragment);
                        if let Some(recording) = &mut live.recording {
                            recording.take(&fragment).context("the recording failed")?;
                        }
                    }
                    Action::None
                }
                Some(ServerEvent::Unpublished(stream)) => Action::Unpublished(stream),
                Some(ServerEvent::Play { stream, request }) => {
                    Action::Play(stream, request.name.as_bytes().to_vec(), request.reset)
                }
                Some(ServerEvent::Stopped(stream)) => Action::Stopped(stream),
                Some(ServerEvent::Pause { paused, .. }) => Action::Pause(paused),
                Some(ServerEvent::Receive { kind, wanted, .. }) => Action::Receive(kind, wanted),
                Some(ServerEvent::Seek { stream, .. }) => Action::Refuse(stream, code::SEEK_FAILED),
                Some(ServerEvent::Switch { stream, .. }) => Action::Refuse(stream, code::PLAY_FAILED),
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
                Action::Play(stream, key, reset) => self.play(stream, &key, reset)?,
                Action::Stopped(stream) => self.stopped(stream),
                Action::Pause(is_paused) => self.playing.iter_mut().for_each(|playing| playing.pause(is_paused)),
                Action::Receive(kind, wanted) => {
                    self.playing.iter_mut().for_each(|playing| playing.receive(kind, wanted));
                }
                Action::Refuse(stream, code) => {
                    self.session.notify(stream, &Status::error(code, "The stream is live."))?;
                }
            }
            moved |= taken > 0 || !none;
            if none {
                return Ok(moved);
            }
        }
    }

    /// Sends what there is.
    fn send(&mut self) -> Result<bool> {
        let (clock, session, is_overtaken) = (self.clock, &mut self.session, &mut self.is_overtaken);
        let Some(playing) = &mut self.playing else {
            return self.pipe.send(|out| session.poll_transmit(clock.now(), out)).context("the connection broke");
        };
        let sent = self.pipe.send(|out| match playing.pump(session, clock.now(), out) {
            Ok(length) => length,
            Err(PumpError::Overtaken) => {
                *is_overtaken = true;
                0
            }
            // Its message stream has gone, and the event that says so comes.
            Err(_) => 0,
        });
        if self.stopping && playing.stop() {
            self.leave("stopped");
        }
        sent.context("the connection broke")
    }

    /// Lets a client publish, or tells it why not.
    fn publish(&mut self, stream: StreamId, key: Vec<u8>) -> Result<()> {
        let (shared, name) = (self.shared, name(&self.app, &key));
        let Some(live) = shared.streams.publish(&name) else {
            self.tell_trouble(format!("turned away: {} is being published", shown(&name)));
            return Ok(self.session.reject(stream, code::PUBLISH_BAD_NAME, "The stream is being published.")?);
        };
        let recording = shared.directory.as_ref().map(|directory| Recording::create(directory, &self.app, &key));
        match recording.transpose() {
            Ok(recording) => {
                let path = recording.as_ref().map(|recording| recording.path().to_owned());
                (shared.tell)(Event::Published(self.peer, shown(&name), path));
                self.live.insert(stream, Live { key, name, stream: live, recording });
                Ok(self.session.accept(stream)?)
            }
            Err(error) => {
                live.end();
                shared.streams.release(&name, live);
                self.tell_trouble(format!("turned away: no recording of {}: {error}", shown(&name)));
                Ok(self.session.reject(stream, code::PUBLISH_DENIED, "The stream cannot be recorded.")?)
            }
        }
    }

    /// Lets a client play. Who comes before the publisher waits for it.
    fn play(&mut self, stream: StreamId, key: &[u8], reset: bool) -> Result<()> {
        if self.playing.as_mut().is_some_and(|playing| !playing.stop()) {
            return Ok(self.session.reject(stream, code::PLAY_FAILED, "One player for each connection.")?);
        }
        self.leave("another in its place");
        let name = name(&self.app, key);
        let found = self.shared.streams.find(&name);
        self.session.accept_play(stream, reset)?;
        (self.shared.tell)(Event::Playing(self.peer, shown(&name)));
        self.playing = Some(Playing::new(stream, name, found, Arc::clone(&self.waker)));
        self.stopping = false;
        Ok(())
    }

    fn stopped(&mut self, stream: StreamId) {
        let Some(playing) = self.playing.as_mut().filter(|playing| playing.id() == stream) else { return };
        self.stopping = true;
        if playing.stop() {
            self.leave("stopped");
        }
    }

    /// Ends what is played.
    fn leave(&mut self, end: &str) {
        let Some(playing) = self.playing.take() else { return };
        let ((sent, skipped), stream) = (playing.counts(), shown(&playing.name));
        playing.stream.leave(&playing.waker);
        self.shared.streams.release(&playing.name, playing.stream);
        (self.shared.tell)(Event::Played(Played { peer: self.peer, stream, sent, skipped, end: end.to_owned() }));
    }

    fn tell_trouble(&self, what: String) {
        (self.shared.tell)(Event::Trouble(self.peer, what));
    }

    /// Completes the recording of a stream, if there is one.
    fn finish(&mut self, stream: StreamId, end: &str) {
        let Some(Live { key, name, stream, recording }) = self.live.remove(&stream) else { return };
        stream.end();
        self.shared.streams.release(&name, stream);
        let Some(recording) = recording else { return };
        let file = recording.path().to_owned();
        let finished = recording.finish();
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
