//! The offer of Enhanced RTMP in `connect`. A server that refuses it is asked again without it, on a new connection.

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::media::enhanced::TrackReader;
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::{ClientEvent, LegacyServer, Offer, Stage};

use crate::error::Error;

/// The state of the offer. It outlives the connections to a server.
pub(crate) struct Offering {
    offer: Offer,
    /// Whether the caller has capabilities, and the server has not answered `connect` yet.
    is_open: bool,
    /// Whether the last connection was refused because of the offer.
    is_new: bool,
    /// Whether the next connection is made at once, to find out whether the server accepts it without the offer.
    is_due: bool,
}

impl Offering {
    pub(crate) const NONE: Self = Self { offer: Offer::new(), is_open: false, is_new: false, is_due: false };

    /// Records that a connection begins. `goes_on` says whether it continues the last attempt: it omits the offer, or
    /// has the answer to a challenge. A connection that is made later, or to another port, has the offer again: the server
    /// may have closed the last one for another reason.
    pub(crate) fn begin(&mut self, goes_on: bool) {
        self.is_due = false;
        if !goes_on && !self.is_legacy() {
            *self = Self::NONE;
        }
    }

    /// Returns the properties for `connect`. They are empty if the server refuses them.
    pub(crate) fn properties<'o>(&mut self, capabilities: &'o [u8]) -> &'o [u8] {
        self.is_open = !capabilities.is_empty();
        if self.offer.is_made() { capabilities } else { &[] }
    }

    /// Records what an event says about the offer.
    pub(crate) fn note(&mut self, event: &ClientEvent<'_>) {
        if !self.is_open {
            return;
        }
        match event {
            ClientEvent::Connected => _ = self.offer.accepted(),
            ClientEvent::Refused(Stage::Connect, status) => self.is_new = self.offer.refused(Some(status)),
            _ => return,
        }
        self.is_open = false;
    }

    /// Records that the connection has ended. If the server closed it without an answer to `connect`, that is a refusal.
    pub(crate) fn conclude(&mut self, why: Option<Error>) {
        if core::mem::take(&mut self.is_open) && matches!(why, Some(Error::Closed | Error::Lost)) {
            self.is_new = self.offer.refused(None);
        }
    }

    /// Returns whether the next connection should be made at once, because the last one was refused with the offer.
    /// Returns `true` once for each refusal.
    pub(crate) fn take_new(&mut self) -> bool {
        self.is_due = core::mem::take(&mut self.is_new);
        self.is_due
    }

    /// Returns whether the next connection omits the offer to find out whether the server accepts that.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Returns whether the server refuses Enhanced RTMP.
    pub(crate) fn is_legacy(&self) -> bool {
        self.offer.is_legacy()
    }

    /// Checks that the server accepts a message.
    ///
    /// # Errors
    /// The message needs Enhanced RTMP, which the server refuses.
    pub(crate) fn check(&self, kind: MessageKind, parts: &[&[u8]]) -> Result<(), LegacyServer> {
        if !self.is_legacy() {
            return Ok(());
        }
        let mut tracks = TrackReader::new();
        let (mut offset, length) = (0_u32, u32::MAX);
        for data in parts {
            let header = MessageHeader { kind, stream: StreamId(1), timestamp: Timestamp(0), length };
            let mut fragment = Fragment { csid: ChunkStreamId::CONTROL, header, offset, data };
            match tracks.next_piece(&mut fragment) {
                Ok(Some(piece)) => return self.offer.check(piece.header.codec),
                Ok(None) => offset = offset.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX)),
                Err(_) => break,
            }
        }
        Ok(())
    }
}
