//! One RTMP session, and what it publishes and plays. It knows no socket.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use embedded_rtmp::command::{Capabilities, Extensions, ReconnectRequest, Status, code};
use embedded_rtmp::crypt::KeyPair;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{
    Accepted, Counts as Dropped, PeerId, Played as Counts, Player, PlayerIndex, PublishAnswer, Publisher, PumpError,
    RelayEvent, RelayRejection, StreamIndex, StreamName,
};
use embedded_rtmp::session::{Server, ServerEvent};
use embedded_rtmp::time::Instant;

use super::admin::Roles;
use super::event::shown;
use super::record::Recording;
use super::shared::{Outcome, Shared};
use super::{Event, Played, Recorded, Relayed};
use crate::net::{Keys, entropy};

/// The most bytes of an incomplete message that wait before its players get a turn. Without this limit, a large message
/// would reach them later. Without waiting, there would be a write to each player for every segment from the publisher.
const MAX_NEWS: usize = 16 * 1024;

/// The server forwards everything, and may ask its clients to connect again.
const CAPABILITIES: Capabilities<'_> = Capabilities {
    extensions: Capabilities::PASSES_ON.extensions.with(Extensions::RECONNECT),
    ..Capabilities::PASSES_ON
};

/// The end of a publication if its client publishes another name on the same message stream.
const ANOTHER: &str = "replaced by a publish of another name";

/// What a client publishes, or wants to publish.
struct Publication {
    id: StreamId,
    key: Vec<u8>,
    recording: Option<Recording>,
}

/// A stream that is being published.
struct Live {
    publication: Publication,
    stream: StreamIndex,
    since: Instant,
    /// Bytes that were received since the players had a turn.
    news: usize,
    /// The end of a message was received since then.
    is_complete: bool,
    /// The counts of the ring when it began, and the length of the longest message that did not fit since then.
    before: Dropped,
    longest: u32,
}

/// A stream that is being played, and the one that follows it when its last message is sent.
struct Playing {
    index: PlayerIndex,
    since: Instant,
    name: String,
    next: Option<(StreamId, String)>,
}

pub(super) struct Client {
    session: Server<'static>,
    keys: Keys,
    /// The time at which the client may agree on keys, if there were too many key agreements recently.
    agree_at: Option<Instant>,
    peer: SocketAddr,
    /// The index of the connection, which gets a turn when there is more to play.
    id: PeerId,
    app: Vec<u8>,
    live: Vec<Live>,
    /// A publish that the relay has not answered yet. The session reads nothing until then, so there is only one.
    waiting: Option<Publication>,
    playing: Option<Playing>,
    is_overtaken: bool,
    is_connected: bool,
    /// Whether it was asked to connect again.
    is_asked: bool,
    /// Bytes of memory for incomplete messages, as counted in [`Shared::held`].
    collected: usize,
}

impl Client {
    /// Creates a client on the connection, or in the tunnel, with this id. The connection gets a turn when there is more to
    /// play.
    pub(super) fn new(id: usize, peer: SocketAddr, shared: &mut Shared<'_>) -> Result<Self> {
        let session = Server::new(shared.buffers(), shared.options.config, &entropy()?)?;
        let (id, app, live) = (PeerId(u32::try_from(id)?), Vec::new(), Vec::new());
        Ok(Self {
            session,
            keys: Keys::default(),
            agree_at: None,
            peer,
            id,
            app,
            live,
            waiting: None,
            playing: None,
            is_overtaken: false,
            is_connected: false,
            is_asked: false,
            collected: 0,
        })
    }

    /// Whether it publishes or plays, or waits for the answer to a publish. Other clients are disconnected if the limit of
    /// connections is reached.
    pub(super) fn is_active(&self) -> bool {
        !self.live.is_empty() || self.waiting.is_some() || self.playing.is_some()
    }

    /// What it publishes and plays.
    pub(super) fn roles(&self, id: u32, shared: &mut Shared<'_>) -> Roles {
        let published = self.live.iter().map(|live| (live.stream, live.publication.id.0, live.since)).collect();
        let played = self.playing.as_ref().and_then(|playing| {
            let stream = shared.streams.directory().player(playing.index)?.stream?;
            Some((stream, Some(playing.since)))
        });
        Roles { id, published, played }
    }

    /// Whether it was asked to connect again, and still publishes or plays.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_asked && self.is_active()
    }

    /// Asks the client to connect again, if it handles such a request and publishes or plays. Returns whether it was asked.
    /// What it publishes is handed over to the next publisher.
    pub(super) fn ask_to_reconnect(&mut self, shared: &mut Shared<'_>) -> bool {
        let request = ReconnectRequest {
            tc_url: shared.options.reconnect_to.as_deref().map(Into::into),
            description: "The server asks its clients to connect again.".into(),
        };
        if !self.is_active() || self.session.request_reconnect(&request).is_err() {
            return false;
        }
        shared.streams.directory().hand_over(self.id);
        shared.ready.push(self.id.0 as usize);
        self.is_asked = true;
        true
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Bytes of memory for incomplete messages.
    pub(super) fn collected(&self) -> usize {
        self.collected
    }

    fn count_collected(&mut self, shared: &mut Shared<'_>) {
        let recordings = self.live.iter().filter_map(|live| live.publication.recording.as_ref());
        let collected = recordings.map(|recording| recording.recorder.collected()).sum();
        shared.held = shared.held - self.collected + collected;
        self.collected = collected;
    }

    pub(super) fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    /// Whether it waits until the relay accepts or rejects what it wants to publish.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Records that the peer's transport has acknowledged bytes.
    pub(super) fn note_acknowledged(&mut self, now: Instant) {
        self.session.note_acknowledged(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.session.poll_timeout(), self.agree_at].into_iter().flatten().min()
    }

    /// Handles timeouts. If the client must be disconnected, returns the reason. `has_output` says whether bytes of the
    /// session wait to be sent.
    pub(super) fn handle_timeout(&mut self, has_output: bool, shared: &Shared<'_>) -> Outcome {
        if self.is_overtaken {
            return Ok(Some("too slow"));
        }
        if self.session.poll_timeout().is_some_and(|timeout| timeout <= shared.now) {
            self.session.handle_timeout(shared.now)?;
        }
        Ok((self.session.is_closed() && !has_output).then_some("turned away"))
    }

    /// Handles the relay's events for this client, then takes bytes from the front of `input` while the session wants
    /// them. Returns the number of bytes that it took.
    ///
    /// # Errors
    /// The session is over.
    pub(super) fn take(&mut self, input: &mut [u8], shared: &mut Shared<'_>) -> (usize, Result<()>) {
        if let Err(error) = self.handle_relay_events(shared) {
            return (0, Err(error));
        }
        let mut keys = std::mem::take(&mut self.keys);
        let (taken, result) = keys.receive(input, |input| self.take_events(input, shared));
        self.keys = keys;
        let result = result.and_then(|()| self.agree(shared));
        self.count_collected(shared);
        if taken > 0 {
            // Any received byte counts as a sign of life.
            self.live.iter().for_each(|live| shared.streams.directory().heard(shared.now, live.stream));
            shared.poll_relay();
        }
        for live in self.live.iter_mut().filter(|live| live.is_complete || live.news >= MAX_NEWS) {
            (live.news, live.is_complete) = (0, false);
            shared.wake(live.stream);
        }
        (taken, result)
    }

    /// Agrees with a client of RTMPE on keys, unless other clients have done so too often.
    fn agree(&mut self, shared: &mut Shared<'_>) -> Result<()> {
        if !self.session.awaits_keys() {
            return Ok(());
        }
        self.agree_at = shared.agreements.try_begin(shared.now).err();
        if self.agree_at.is_none() {
            self.keys = Keys(self.session.agree(shared.now, &KeyPair::new(&entropy()?)));
        }
        Ok(())
    }

    fn take_events(&mut self, input: &mut &[u8], shared: &mut Shared<'_>) -> Result<()> {
        while let Some(event) = self.session.next_event(shared.now, input)? {
            match event {
                ServerEvent::Media(fragment) => {
                    shared.rate.add(shared.now, fragment.data.len());
                    let live = self.live.iter_mut().find(|live| live.publication.id == fragment.header.stream);
                    let Some(live) = live else { continue };
                    live.news += fragment.data.len();
                    live.is_complete |= fragment.is_last();
                    shared.streams.count(shared.now, live.stream, fragment.data.len());
                    let ring = shared.streams.ring(live.stream);
                    ring.push(shared.now, &fragment);
                    let longest = std::mem::replace(&mut live.longest, ring.counts().longest);
                    if longest == 0 && live.longest > 0 {
                        let text = format!(
                            "a message of {} bytes is not relayed: the ring has {} bytes (--ring)",
                            live.longest, shared.options.ring
                        );
                        shared.tell_trouble(self.peer, text);
                    }
                    if let Some(recording) = &mut live.publication.recording {
                        recording.recorder.take(&fragment).context("the recording failed")?;
                        for step in recording.recorder.take_steps() {
                            let text = format!("{}: {step}: the jump is removed", recording.path.display());
                            shared.tell_trouble(self.peer, text);
                        }
                    }
                }
                ServerEvent::Connect(request) => {
                    self.app = request.app.as_bytes().to_vec();
                    self.connect(shared)?;
                }
                ServerEvent::Publish { stream, request } => {
                    let key = request.key.as_bytes().to_vec();
                    self.publish(stream, key, shared)?;
                }
                ServerEvent::Unpublished(stream) => self.end_live(stream, "unpublished", shared),
                ServerEvent::Play { stream, request } => {
                    let (key, reset) = (request.name.as_bytes().to_vec(), request.reset);
                    self.play(stream, &key, reset, shared)?;
                }
                ServerEvent::Stopped(stream) => self.stop(stream, shared),
                ServerEvent::Pause { paused, .. } => self.change(shared, |player| player.pause(paused)),
                ServerEvent::Receive { kind, wanted, .. } => self.change(shared, |player| player.receive(kind, wanted)),
                ServerEvent::Seek { stream, .. } => self.refuse(stream, code::SEEK_FAILED)?,
                ServerEvent::Switch { stream, .. } => self.refuse(stream, code::PLAY_FAILED)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn refuse(&mut self, stream: StreamId, code: &'static str) -> Result<()> {
        Ok(self.session.notify(stream, &Status::error(code, "The stream is live."))?)
    }

    /// Accepts the publish, rejects it with the reason, or lets the client wait.
    fn publish(&mut self, id: StreamId, key: Vec<u8>, shared: &mut Shared<'_>) -> Result<()> {
        let (name, publisher) = (StreamName::new(&self.app, &key), Publisher { peer: self.id, stream: id });
        if let Some(first) = shared.streams.directory().published_by(name, self.id) {
            if first != id {
                self.end_live(id, ANOTHER, shared);
            }
            return Ok(self.session.accept_again(id, first)?);
        }
        match shared.streams.with_room().may_publish(name) {
            Ok(stream) if shared.streams.provide_ring(stream) => {}
            Ok(_) => {
                let limit = shared.streams.max_published();
                let text = format!("There is no memory for more than {limit} streams (--memory, --ring).");
                shared.tell_refused(self.peer, format!("turned away: {}: {text}", shown(&public_name(name))));
                return Ok(self.session.reject(id, code::PUBLISH_BAD_NAME, &text)?);
            }
            Err(error) => return self.reject(id, &key, error, shared),
        }
        let recording = shared.options.directory.as_ref();
        let recording = recording.map(|directory| Recording::create(directory, name, shared.options.keeps_timestamps));
        let recording = match recording.transpose() {
            Ok(recording) => recording,
            Err(error) => {
                let text = format!("turned away: no recording of {}: {error}", shown(&public_name(name)));
                shared.tell_refused(self.peer, text);
                return Ok(self.session.reject(id, code::PUBLISH_DENIED, "The stream cannot be recorded.")?);
            }
        };
        let answer = shared.streams.with_room().publish(shared.now, name, publisher)?;
        let publication = Publication { id, key, recording };
        match answer {
            PublishAnswer::Accept(stream) => self.accept(publication, stream, shared)?,
            PublishAnswer::Wait => self.waiting = Some(publication),
        }
        shared.poll_relay();
        self.handle_relay_events(shared)
    }

    /// Accepts the client, or asks it for a user and a password.
    fn connect(&mut self, shared: &mut Shared<'_>) -> Result<()> {
        let (now, address) = (shared.now, self.peer.ip());
        let refusal = shared.access.as_mut().map(|access| access.refusal(now, address, &self.app));
        let Some(refusal) = refusal.transpose()?.flatten() else {
            if let Some(url) = shared.options.reconnect_to.as_deref().filter(|_| shared.is_draining) {
                return Ok(self.session.redirect_connect(url)?);
            }
            self.is_connected = true;
            return Ok(self.session.accept_connect_with(&CAPABILITIES)?);
        };
        if let Some(trouble) = refusal.trouble {
            shared.tell_refused(self.peer, trouble.to_owned());
        }
        Ok(self.session.reject_connect(&refusal.description)?)
    }

    /// Lets the client publish what the relay has accepted.
    fn accept(&mut self, publication: Publication, stream: StreamIndex, shared: &mut Shared<'_>) -> Result<()> {
        self.finish_live(publication.id, ANOTHER, shared);
        shared.wake(stream);
        shared.published += 1;
        shared.streams.begin_counts(shared.now, stream);
        let Publication { id, key, recording } = &publication;
        let (id, path) = (*id, recording.as_ref().map(|recording| recording.path.clone()));
        (shared.tell)(Event::Published(self.peer, public_name(StreamName::new(&self.app, key)), path));
        let before = shared.streams.ring(stream).counts();
        self.live.push(Live {
            publication,
            stream,
            since: shared.now,
            news: 0,
            is_complete: false,
            before,
            longest: 0,
        });
        Ok(self.session.accept(id)?)
    }

    /// Tells the client why it cannot publish.
    fn reject(&mut self, id: StreamId, key: &[u8], error: RelayRejection, shared: &mut Shared<'_>) -> Result<()> {
        let name = shown(&public_name(StreamName::new(&self.app, key)));
        let text = match error {
            RelayRejection::Taken => format!("turned away: {name} is being published"),
            error => format!("turned away: {name}: {error}"),
        };
        shared.tell_refused(self.peer, text);
        Ok(self.session.reject(id, code::PUBLISH_BAD_NAME, error.description())?)
    }

    /// Handles the relay's events for this client since its last turn.
    fn handle_relay_events(&mut self, shared: &mut Shared<'_>) -> Result<()> {
        while let Some(event) = shared.next_event(self.id) {
            match event {
                RelayEvent::Accepted { stream, .. } => {
                    if let Some(publication) = self.waiting.take() {
                        self.accept(publication, stream, shared)?;
                    }
                }
                RelayEvent::Rejected(_) => {
                    if let Some(Publication { id, key, recording }) = self.waiting.take() {
                        recording.map_or(Ok(()), Recording::discard)?;
                        self.reject(id, &key, RelayRejection::Taken, shared)?;
                    }
                }
                RelayEvent::Replaced(publisher) => self.replaced(publisher.stream, shared),
                // If there is no room for a ping, the client has not read for a long time, and its answer would be too late.
                RelayEvent::Ask(_) => _ = self.session.ping(shared.now),
                _ => {}
            }
        }
        Ok(())
    }

    /// Another client publishes the stream now. A client without another stream is closed.
    fn replaced(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        self.end_live(id, "another publisher took over", shared);
        let status = Status::error(code::PUBLISH_BAD_NAME, "Another client publishes the stream now.");
        // If there is no room for this, the client is disconnected by a later time limit.
        let _ = self.session.notify(id, &status);
        if self.live.is_empty() && self.waiting.is_none() && self.playing.is_none() {
            let _ = self.session.close();
        }
    }

    /// Ends a stream that is published, and completes its recording.
    fn end_live(&mut self, id: StreamId, end: &str, shared: &mut Shared<'_>) {
        if self.live.iter().any(|live| live.publication.id == id) {
            shared.streams.directory().unpublish(shared.now, self.id, Some(id));
            shared.poll_relay();
            self.finish_live(id, end, shared);
        }
    }

    /// Reports a stream that is not published any longer, and completes its recording.
    fn finish_live(&mut self, id: StreamId, end: &str, shared: &mut Shared<'_>) {
        let Some(place) = self.live.iter().position(|live| live.publication.id == id) else { return };
        let Live { publication: Publication { key, recording, .. }, stream, before, longest, .. } =
            self.live.swap_remove(place);
        let after = shared.streams.ring(stream).counts();
        let name = public_name(StreamName::new(&self.app, &key));
        (shared.tell)(Event::Relayed(Relayed {
            peer: self.peer,
            stream: name.clone(),
            too_long: after.too_long.wrapping_sub(before.too_long),
            longest,
            cut: after.cut.wrapping_sub(before.cut),
            too_many: after.too_many.wrapping_sub(before.too_many),
            not_cached: after.not_kept.wrapping_sub(before.not_kept),
            end: end.to_owned(),
        }));
        shared.published -= 1;
        let Some(Recording { path: file, recorder }) = recording else { return };
        let counts = recorder.counts();
        if counts.audio + counts.video == 0 {
            if let Err(error) = (Recording { path: file, recorder }).discard() {
                shared.tell_trouble(self.peer, format!("cannot remove a recording without media: {error}"));
            }
            return;
        }
        let more = recorder.more_steps();
        if more > 0 {
            let text = format!("{}: {more} more jumps of the timestamps are removed", file.display());
            shared.tell_trouble(self.peer, text);
        }
        if let Err(error) = recorder.finish() {
            return shared.tell_trouble(self.peer, format!("{}: {error}", file.display()));
        }
        let (peer, end) = (self.peer, end.to_owned());
        (shared.tell)(Event::Recorded(Recorded { peer, stream: name, file, counts, end }));
    }

    /// Lets the client play. A player that comes before the publisher waits for it.
    fn play(&mut self, id: StreamId, key: &[u8], reset: bool, shared: &mut Shared<'_>) -> Result<()> {
        let name = StreamName::new(&self.app, key);
        let Accepted { player, played } = match shared.streams.with_room().play(name, self.id, id) {
            Ok(accepted) => accepted,
            Err(error) => return Ok(self.session.reject(id, code::PLAY_FAILED, error.description())?),
        };
        let name = public_name(name);
        self.session.accept_play(id, reset)?;
        self.tell_played(played, "another in its place", shared);
        (shared.tell)(Event::Playing(self.peer, name.clone()));
        match &mut self.playing {
            Some(playing) => playing.next = Some((id, name)),
            None => self.playing = Some(Playing { index: player, since: shared.now, name, next: None }),
        }
        Ok(())
    }

    /// The client has ended what it plays on one of its message streams.
    fn stop(&mut self, stream: StreamId, shared: &mut Shared<'_>) {
        let Some(playing) = &mut self.playing else { return };
        playing.next.take_if(|(id, _)| *id == stream);
        let played = shared.streams.directory().stop(playing.index, stream);
        self.settle(played, shared);
    }

    /// After the last message of the stream that it played, it plays the stream that it has asked for since, or nothing.
    fn settle(&mut self, played: Option<Counts>, shared: &mut Shared<'_>) {
        if played.is_none() {
            return;
        }
        let next = self.playing.as_mut().and_then(|playing| playing.next.take());
        self.tell_played(played, if next.is_some() { "another in its place" } else { "stopped" }, shared);
        let index = shared.streams.directory().player_of(self.id);
        self.playing = index.zip(next).map(|(index, (_, name))| Playing { index, since: shared.now, name, next: None });
    }

    /// Reports the counters of a stream that it does not play any longer.
    fn tell_played(&mut self, played: Option<Counts>, end: &str, shared: &mut Shared<'_>) {
        if let Some(Counts { sent, skipped }) = played
            && let Some(Playing { name: stream, .. }) = self.playing.take()
        {
            let end = end.to_owned();
            (shared.tell)(Event::Played(Played { peer: self.peer, stream, sent, skipped, end }));
        }
    }

    fn change(&mut self, shared: &mut Shared<'_>, change: impl FnOnce(&mut Player)) {
        if let Some(playing) = &self.playing {
            shared.streams.turn(playing.index, |player, _, _| change(player));
        }
    }

    /// Whether [`Self::fill`] has output.
    pub(super) fn wants_transmit(&self, shared: &mut Shared<'_>) -> bool {
        let now = shared.now;
        let mut has_more = |playing: &Playing| {
            let more = |player: &mut Player, ring: Option<&_>, _| ring.is_some_and(|ring| player.has_more(ring, now));
            shared.streams.turn(playing.index, more).unwrap_or(false)
        };
        self.session.wants_transmit() || self.playing.as_ref().is_some_and(&mut has_more)
    }

    /// Writes the session's output and the stream that it plays to `out`. Returns the number of bytes written.
    pub(super) fn fill(&mut self, out: &mut [u8], shared: &mut Shared<'_>) -> usize {
        let filled = self.fill_plain(out, shared);
        self.keys.send(&mut out[..filled]);
        filled
    }

    fn fill_plain(&mut self, out: &mut [u8], shared: &mut Shared<'_>) -> usize {
        let Some(index) = self.playing.as_ref().map(|playing| playing.index) else {
            return self.session.poll_transmit(shared.now, out);
        };
        let (session, now) = (&mut self.session, shared.now);
        let pumped =
            shared.streams.turn(index, |player, ring, generation| player.pump(ring, generation, session, now, out));
        // Other errors say that its message stream is gone. Then an event follows.
        self.is_overtaken |= matches!(pumped, Some(Err(PumpError::Overtaken)));
        let played = shared.streams.directory().settle(index);
        self.settle(played, shared);
        pumped.and_then(Result::ok).unwrap_or(0)
    }

    /// Tells the player that the stream has ended, if there is room for that now.
    pub(super) fn say_goodbye(&mut self, shared: &mut Shared<'_>) {
        let Some(playing) = &self.playing else { return };
        let session = &mut self.session;
        shared.streams.turn(playing.index, |player, _, _| {
            player.stop();
            let _ = session.end_play(player.stream());
        });
    }

    /// Ends all streams that the client publishes and plays.
    pub(super) fn finish(mut self, end: &str, shared: &mut Shared<'_>) {
        let dropped = self.session.dropped_media();
        if dropped > 0 {
            let text = format!("{dropped} messages on message streams that are not published were dropped");
            shared.tell_trouble(self.peer, text);
        }
        while let Some(live) = self.live.last() {
            self.end_live(live.publication.id, end, shared);
        }
        if let Some(Publication { id, recording, .. }) = self.waiting.take() {
            shared.streams.directory().unpublish(shared.now, self.id, Some(id));
            shared.poll_relay();
            recording.map(Recording::discard);
        }
        // Another client may get this id.
        while shared.next_event(self.id).is_some() {}
        let played = self.playing.as_ref().and_then(|playing| shared.streams.directory().leave(playing.index));
        self.tell_played(played, end, shared);
        shared.held -= self.collected;
        shared.spare.push(self.session.into_buffers());
    }
}

/// The public name of a stream. It has no queries, which may contain a secret.
pub(super) fn public_name(name: StreamName<'_>) -> String {
    let mut bytes = vec![0; name.len()];
    String::from_utf8_lossy(name.emit(&mut bytes).unwrap_or_default()).into_owned()
}
