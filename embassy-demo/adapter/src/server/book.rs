//! What administrators are told of a server's clients, which nothing else stores.

use core::cell::Cell;

use embedded_rtmp::time::Instant;

use crate::server::handler::SessionId;

/// A client that is connected.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) session: SessionId,
    /// No other client has or had it.
    pub(crate) id: u32,
    /// When it began to play.
    pub(crate) played_since: Option<Instant>,
}

/// The clients of a server, and counts. Without administration, there is no place for a client.
pub(crate) struct Book<'a> {
    clients: &'a [Cell<Option<Client>>],
    last: Cell<u32>,
    /// Connections so far, and their bytes.
    pub(crate) connects: Cell<u32>,
    pub(crate) received: Cell<u64>,
    pub(crate) sent: Cell<u64>,
}

impl<'a> Book<'a> {
    pub(crate) const fn new(clients: &'a [Cell<Option<Client>>]) -> Self {
        let (last, connects) = (Cell::new(0), Cell::new(0));
        Self { clients, last, connects, received: Cell::new(0), sent: Cell::new(0) }
    }

    fn place(&self, session: SessionId) -> Option<&Cell<Option<Client>>> {
        self.clients.iter().find(|place| place.get().is_some_and(|client| client.session == session))
    }

    /// The client of a session.
    pub(crate) fn client(&self, session: SessionId) -> Option<Client> {
        self.place(session)?.get()
    }

    /// The session of the client with this id.
    pub(crate) fn session(&self, id: u32) -> Option<SessionId> {
        self.clients.iter().filter_map(Cell::get).find(|client| client.id == id).map(|client| client.session)
    }

    pub(crate) fn note_opened(&self, session: SessionId) {
        if let Some(place) = self.clients.iter().find(|place| place.get().is_none()) {
            let id = self.last.get().wrapping_add(1);
            self.last.set(id);
            place.set(Some(Client { session, id, played_since: None }));
        }
    }

    pub(crate) fn note_closed(&self, session: SessionId) {
        self.place(session).into_iter().for_each(|place| place.set(None));
    }

    pub(crate) fn note_play(&self, session: SessionId, now: Instant) {
        if let Some(place) = self.place(session) {
            place.set(place.get().map(|client| Client { played_since: Some(now), ..client }));
        }
    }

    pub(crate) fn note_connect(&self) {
        self.connects.set(self.connects.get().wrapping_add(1));
    }

    pub(crate) fn note_traffic(&self, received: u32, sent: u32) {
        self.received.set(self.received.get().wrapping_add(received.into()));
        self.sent.set(self.sent.get().wrapping_add(sent.into()));
    }
}
