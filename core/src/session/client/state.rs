//! The state of a client.

use heapless::Vec;

use crate::chunk::Pulled;
use crate::control::UserControlEvent;
use crate::fmt::impl_format;
use crate::handshake::HandshakeKind;
use crate::message::StreamId;
use crate::session::error::Stage;
use crate::session::link::Received;

/// The transaction of `connect`. Those of later calls follow it.
pub(super) const CONNECT: u32 = 1;

/// Room in the queue for what an answer of the server may bring about, without the stream key, which is there twice: two
/// control messages, `releaseStream`, `FCPublish` and `createStream`; or `FCUnpublish` and `deleteStream`.
pub(super) const MIN_RESERVE: usize = 192;
/// Room for those three calls, and for the last two, again without the key.
pub(super) const PUBLISH_ROOM: usize = 120;
pub(super) const CLOSE_ROOM: usize = 93;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    ExpectHandshake,
    ExpectConnect,
    /// For what is published.
    ExpectStream,
    ExpectPublish,
    /// For what is played.
    ExpectPlayStream,
    ExpectPlay,
    /// The handshake is done, and the application has not asked for `connect`.
    Idle,
    /// Nothing is awaited.
    Open,
    Closing,
    Closed,
}

/// The state of a [`Client`](super::Client).
#[derive(Debug)]
pub struct ClientRole<const PLAYS: usize, const CALLS: usize> {
    pub(super) state: State,
    pub(super) connect_asked: bool,
    pub(super) publishing: bool,
    /// The length of the stream key, an AMF0 string at the end of what the queue keeps; 0 if there is none.
    pub(super) key: u16,
    /// The stream that is published.
    pub(super) stream: StreamId,
    pub(super) plays: Vec<Play, PLAYS, u8>,
    /// The transactions of the application's calls; 0 if there is room for one.
    pub(super) calls: [u32; CALLS],
    pub(super) last_transaction: u32,
    /// The transaction whose answer decides what comes next.
    pub(super) awaited: u32,
    /// Room that the queue must have before a command is read, for what it brings about.
    pub(super) reserve: usize,
}

impl_format!(
    [const PLAYS: usize, const CALLS: usize] ClientRole<PLAYS, CALLS>,
    this => "ClientRole {{ state: {} }}", this.state
);

impl<const PLAYS: usize, const CALLS: usize> ClientRole<PLAYS, CALLS> {
    pub(super) const NEW: Self = Self {
        state: State::ExpectHandshake,
        connect_asked: false,
        publishing: false,
        key: 0,
        stream: StreamId::CONNECTION,
        plays: Vec::new(),
        calls: [0; CALLS],
        last_transaction: CONNECT,
        awaited: CONNECT,
        reserve: MIN_RESERVE,
    };
}

/// What a client has room for: `N` streams that are played, or calls.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Room<const N: usize>;

/// Room for at least one, and at most 16. So what needs it cannot be called on a client that has none.
#[diagnostic::on_unimplemented(
    message = "this client has no room for that",
    note = "`Client<'_, 8, 1, 4>` has room for 1 stream that is played and for 4 calls"
)]
pub trait NotZero {}

macro_rules! not_zero {
    ($($number:literal)*) => { $(impl NotZero for Room<$number> {})* };
}
not_zero!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);

/// A stream that is played, or will be. They are in the order of the requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Play {
    /// The length of the arguments of `play`. The queue keeps them until they are sent, the last request first, and the
    /// stream key after all of them.
    pub(super) length: u16,
    /// The stream on which it is played; none before `play` is sent.
    pub(super) stream: Option<StreamId>,
}

/// What the client found, without borrowing from it.
pub(super) enum PendingEvent<'i> {
    HandshakeDone(HandshakeKind),
    Connected,
    Publishing,
    Playing(StreamId),
    Refused(Stage, Received),
    Status(Received),
    Answer(u32, bool, Received),
    Call(Received),
    Unpublished,
    Closed,
    Media(Pulled<'i>),
    User(UserControlEvent),
}
