//! Viewers in browsers and other programs: HTTP-FLV, WebSocket, the page and its status.

use std::net::SocketAddr;

use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{Accepted, Generation, PeerId, PlayerIndex, Ring, StreamIndex, StreamName};
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{
    StreamStatus, WebConnection, WebEvent, WebRefusal, WebRejection, WebRequest, WebResource, WebStatus,
};

use super::admin::Roles;
use super::client::public_name;
use super::shared::{Outcome, Shared};
use super::streams::seconds;
use super::{Event, Played};

/// The message stream of a viewer, which has no session.
const STREAM: StreamId = StreamId(1);

/// The longest URL, and the longest entry of a stream in the status, in bytes.
pub(super) const LINE: usize = 4096;

/// Which clients may use the web, and by which names.
#[derive(Debug, Clone, Default)]
pub struct WebOptions {
    /// Whether it is on for all connections. Otherwise it is on for connections between loopback addresses.
    pub is_public: bool,
    /// The names that `Host` may have beside `localhost`.
    pub names: Vec<String>,
    /// The origins of other sites whose pages may read the answers.
    pub origins: Vec<String>,
}

/// The client of a connection that speaks HTTP and no RTMPT.
pub(super) struct WebClient {
    connection: WebConnection<LINE>,
    /// Whether both ends of the connection have loopback addresses. Only then streams are listed.
    is_local: bool,
    playing: Option<(PlayerIndex, String)>,
    /// Whether it is too slow.
    is_too_slow: bool,
    /// The time until which the last bytes must be sent, if they are all that is left to do.
    until: Option<Instant>,
}

impl WebClient {
    pub(super) fn new(now: Instant, is_local: bool) -> Self {
        Self { connection: WebConnection::new(now), is_local, playing: None, is_too_slow: false, until: None }
    }

    /// Whether it plays a stream.
    pub(super) fn is_active(&self) -> bool {
        self.playing.is_some()
    }

    /// What it plays.
    pub(super) fn roles(&self, id: u32, shared: &mut Shared<'_>) -> Roles {
        let played = self.playing.as_ref().and_then(|(index, _)| shared.streams.directory().player(*index)?.stream);
        Roles { id, published: Vec::new(), played: played.map(|stream| (stream, None)) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.connection.is_over()
    }

    pub(super) fn poll_timeout(&self, shared: &Shared<'_>) -> Option<Instant> {
        self.connection.poll_timeout(&shared.web).or(self.until)
    }

    /// Handles requests.
    pub(super) fn take(&mut self, input: &mut &[u8], id: usize, peer: SocketAddr, shared: &mut Shared<'_>) {
        let (now, web) = (shared.now, shared.web);
        while let Some(event) = self.connection.next_event(now, input, &web) {
            let answer = match event {
                WebEvent::Request(request) => decide(&request, self.is_local, id, peer, shared),
                WebEvent::Refused(WebRefusal::NotFound) => continue,
                WebEvent::Refused(refusal) => {
                    shared.tell_refused(peer, format!("a request is refused: {refusal}"));
                    continue;
                }
                _ => continue,
            };
            match answer {
                Ok(playing) => {
                    self.playing = playing;
                    self.connection.accept(now);
                }
                Err(rejection) => self.connection.reject(now, rejection),
            }
        }
    }

    /// Writes answers, or the stream, to `out`. Returns the number of bytes written.
    pub(super) fn fill(&mut self, out: &mut [u8], peer: SocketAddr, shared: &mut Shared<'_>) -> usize {
        let (now, connection) = (shared.now, &mut self.connection);
        if connection.is_status() {
            return fill_status(connection, out, self.is_local, shared);
        }
        let Some((index, _)) = &self.playing else { return connection.poll_transmit(now, out) };
        let poll = |player: &mut _, ring: Option<&Ring<'static>>, generation: Generation| {
            connection.poll_stream(now, out, player, ring, generation)
        };
        let written = shared.streams.turn(*index, poll);
        self.is_too_slow |= matches!(written, Some(Err(_)));
        if !self.connection.is_streaming() {
            self.leave("the stream has ended", peer, shared);
        }
        written.and_then(Result::ok).unwrap_or(0)
    }

    /// Handles timeouts. If the client must be disconnected, returns the reason.
    pub(super) fn handle_timeout(&mut self, has_output: bool, shared: &Shared<'_>) -> Outcome {
        self.connection.handle_timeout(shared.now, &shared.web, has_output);
        if self.connection.is_over() && has_output {
            let (now, limit) = (shared.now, shared.web.head_timeout.min(shared.web.idle_timeout));
            let until = *self.until.get_or_insert(now + limit);
            self.is_too_slow |= now >= until || self.playing.is_some();
        }
        Ok(self.is_too_slow.then_some("too slow"))
    }

    /// Ends the stream that it plays, as if its publisher had left.
    pub(super) fn say_goodbye(&mut self) {
        self.connection.end_stream();
    }

    /// Ends the stream that it plays.
    pub(super) fn leave(&mut self, end: &str, peer: SocketAddr, shared: &mut Shared<'_>) {
        let Some((index, stream)) = self.playing.take() else { return };
        if let Some(played) = shared.streams.directory().leave(index) {
            let (sent, skipped, end) = (played.sent, played.skipped, end.to_owned());
            (shared.tell)(Event::Played(Played { peer, stream, sent, skipped, end }));
        }
    }
}

/// Decides about a request. Returns what is played, if it is for a stream.
fn decide(
    request: &WebRequest<'_>,
    is_local: bool,
    id: usize,
    peer: SocketAddr,
    shared: &mut Shared<'_>,
) -> Result<Option<(PlayerIndex, String)>, WebRejection> {
    let now = shared.now;
    if let Some(access) = &mut shared.access
        && let Err((rejection, trouble)) = access.check_credentials(now, peer.ip(), request.credentials)
    {
        trouble.into_iter().for_each(|trouble| shared.tell_refused(peer, trouble.to_owned()));
        return Err(rejection);
    }
    if !matches!(request.resource, WebResource::Stream(_)) {
        return Ok(None);
    }
    let name = StreamName::new(request.application.as_bytes(), request.key.as_bytes());
    let mut directory = shared.streams.with_room();
    let first = directory.published_streams().next().filter(|_| is_local && request.is_for_first());
    let Some(stream) = directory.published_as(name).or(first) else { return Err(WebRejection::NotFound) };
    if request.is_head {
        return Ok(None);
    }
    let name = directory.name(stream).to_vec();
    let name = StreamName::new(b"", &name);
    // Viewers of the web have the ids of their connections, as clients do.
    let peer_id = PeerId(u32::try_from(id).map_err(|_| WebRejection::Unavailable)?);
    let accepted = directory.play(name, peer_id, STREAM).map_err(|_| WebRejection::Unavailable)?;
    let Accepted { player, .. } = accepted;
    let name = public_name(name);
    (shared.tell)(Event::Playing(peer, name.clone()));
    Ok(Some((player, name)))
}

/// Writes the status of the server, and of all streams if the connection is local.
fn fill_status(connection: &mut WebConnection<LINE>, out: &mut [u8], is_local: bool, shared: &mut Shared<'_>) -> usize {
    let now = shared.now;
    let listed: Vec<StreamIndex> = match is_local {
        true => shared.streams.directory().published_streams().collect(),
        false => Vec::new(),
    };
    let listed: Vec<_> = listed.into_iter().map(|stream| shared.streams.report(now, stream)).collect();
    let status = WebStatus {
        uptime: seconds(now, shared.started),
        publishers: u32::try_from(shared.published).unwrap_or(u32::MAX),
        players: shared.streams.players(),
        last_error: shared.last_error.as_deref(),
    };
    connection.poll_status(now, out, &status, &mut |index| {
        listed.get(index).map(|report| StreamStatus { name: &report.name, ..report.status })
    })
}
