//! Decides whether `connect` offers Enhanced RTMP to a server that may refuse the offer.

use core::fmt;

use crate::command::Status;
use crate::message::FourCc;

/// Decides whether the next `connect` has the properties of Enhanced RTMP
/// ([`Capabilities`](crate::command::Capabilities)). Some old servers refuse a `connect` that has them.
///
/// ```text
///                  refused, or closed without an answer           accepted
///  ┌─────────┐ ─────────────────────────────────────► ┌─────────┐ ────────► ┌────────┐
///  │ offered │                                        │ without │           │ legacy │
///  └─────────┘ ◄───────────────────────────────────── └─────────┘           └────────┘
///                  also refused: not because of them
/// ```
/// Keep it as long as the publisher exists. A refusal that demands authentication or redirects the client does not
/// change the state. If `connect` timed out, call neither [`Self::refused`] nor [`Self::accepted`], because silence is
/// not a refusal.
///
/// ```
/// use embedded_rtmp::command::Status;
/// use embedded_rtmp::message::FourCc;
/// use embedded_rtmp::session::Offer;
///
/// let mut offer = Offer::new();
/// assert!(offer.is_made());
/// let retries = offer.refused(Some(&Status::error("NetConnection.Connect.Rejected", "invalid fourCcList")));
/// assert!(retries && !offer.is_made(), "the next connect has no properties");
/// assert!(offer.accepted(), "the server does not know Enhanced RTMP");
/// assert!(offer.check(FourCc::HEVC).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Offer(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    #[default]
    Offered,
    Without,
    Legacy,
}

impl Offer {
    /// Creates the first state: the next `connect` has the properties.
    pub const fn new() -> Self {
        Self(State::Offered)
    }

    /// Returns whether the next `connect` must have the properties.
    pub const fn is_made(&self) -> bool {
        matches!(self.0, State::Offered)
    }

    /// Returns whether the server is known to refuse the properties.
    pub const fn is_legacy(&self) -> bool {
        matches!(self.0, State::Legacy)
    }

    /// Records that the server refused `connect` with this status. `None` means that the server closed the connection
    /// after the handshake, before any answer. Returns whether to retry at once without the properties.
    pub fn refused(&mut self, status: Option<&Status<'_>>) -> bool {
        if status.is_some_and(is_about_something_else) {
            return false;
        }
        let retries = self.0 == State::Offered;
        match self.0 {
            State::Offered => self.0 = State::Without,
            State::Without => self.0 = State::Offered,
            State::Legacy => {}
        }
        retries
    }

    /// Records that the server accepted `connect`. Returns `true` once if the server accepts it only without the
    /// properties.
    pub fn accepted(&mut self) -> bool {
        let is_found = self.0 == State::Without;
        if is_found {
            self.0 = State::Legacy;
        }
        is_found
    }

    /// Checks that a track of Enhanced RTMP may be sent.
    ///
    /// # Errors
    /// The server is known to refuse the properties.
    pub const fn check(&self, codec: FourCc) -> Result<(), LegacyServer> {
        if self.is_legacy() { Err(LegacyServer(codec)) } else { Ok(()) }
    }
}

/// The server refuses Enhanced RTMP, which this codec needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LegacyServer(pub FourCc);

impl fmt::Display for LegacyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refuses Enhanced RTMP, which the codec {} needs", self.0)
    }
}

impl core::error::Error for LegacyServer {}

/// Returns whether a refusal demands authentication or redirects the client.
fn is_about_something_else(status: &Status<'_>) -> bool {
    let description = status.description.as_bytes();
    // A key and the marker of a string: with `Status::redirect`, a publisher takes 1,000 bytes of flash more.
    contains(status.values, b"redirect\x02") || contains(description, b"authmod=") || contains(description, b"code=403")
}

// Not inlined, because it has several callers.
#[inline(never)]
fn contains(values: &[u8], text: &[u8]) -> bool {
    values.windows(text.len()).any(|part| part == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::Decoder;

    fn refusal(description: &str) -> Status<'_> {
        Status::error("NetConnection.Connect.Rejected", description)
    }

    #[test]
    fn item_257_a_refusal_or_an_end_without_an_answer_leaves_the_properties_out_of_the_next_connect() {
        for status in [None, Some(refusal("bad parameter")), Some(refusal(""))] {
            let mut offer = Offer::new();
            assert!(offer.is_made() && offer.check(FourCc::AV1).is_ok());
            assert!(offer.refused(status.as_ref()) && !offer.is_made() && !offer.is_legacy());
            assert!(offer.accepted() && offer.is_legacy(), "it is remembered, and told once");
            assert!(!offer.accepted() && !offer.refused(None) && offer.is_legacy() && !offer.is_made());
            assert_eq!(offer.check(FourCc::HEVC), Err(LegacyServer(FourCc::HEVC)));
        }
    }

    #[test]
    fn item_257_a_server_that_refuses_both_ways_is_offered_again() {
        let mut offer = Offer::new();
        assert!(offer.refused(Some(&refusal("no such application"))));
        assert!(!offer.refused(Some(&refusal("no such application"))), "it does not try for ever");
        assert!(offer.is_made() && !offer.accepted() && offer.check(FourCc::HEVC).is_ok());
    }

    #[test]
    fn item_257_authentication_and_redirects_are_not_about_the_properties() {
        let redirect = b"\x03\0\x04code\x02\0\x01c\0\x02ex\x03\0\x08redirect\x02\0\x0Drtmp://h/other\0\0\x09\0\0\x09";
        for status in [
            refusal("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]"),
            refusal("authmod=llnw"),
            Status::parse(Decoder::new(redirect)),
        ] {
            let mut offer = Offer::new();
            assert!(!offer.refused(Some(&status)) && offer.is_made());
        }
    }
}
