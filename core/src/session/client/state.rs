//! The state of a client.

use heapless::Vec;

use crate::fmt::impl_format;
use crate::message::StreamId;
use crate::session::error::Stage;

/// The transaction of `connect`. Those of later calls follow it.
pub(super) const CONNECT: u32 = 1;

/// The default time that a server may send nothing to a player, in ms.
const MAX_SILENCE: u32 = 60_000;

/// The default limit for the time without traffic while nothing is played, in milliseconds.
const MAX_IDLE: u32 = 90_000;

/// Room in the queue for what the client may send after an answer of the server, without the stream key, which is sent
/// twice: two control messages, `releaseStream`, `FCPublish` and `createStream`; or `FCUnpublish` and `deleteStream`.
pub(super) const MIN_RESERVE: usize = 192;
/// Room for those three calls, and for the last two, again without the key.
pub(super) const PUBLISH_ROOM: usize = 120;
pub(super) const CLOSE_ROOM: usize = 93;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    ExpectHandshake,
    ExpectConnect,
    /// Waits for the stream to publish on.
    ExpectStream,
    ExpectPublish,
    /// Waits for the stream to play on.
    ExpectPlayStream,
    ExpectPlay,
    /// The handshake is done, and the application has not asked for `connect`.
    Idle,
    /// Connected, and every request is answered.
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
    /// Whether the server has said that publishing may begin, before it told the stream's id.
    pub(super) has_started: bool,
    /// The length of the stream key, an AMF0 string at the end of the queue's stored values; 0 if there is none.
    pub(super) key: u16,
    /// The stream that is published.
    pub(super) stream: StreamId,
    pub(super) plays: Vec<Play, PLAYS, u8>,
    /// The number of bytes that had been received when traffic was last checked.
    pub(super) received: u32,
    /// The limit for the time without traffic while nothing is played and no answer is awaited, in milliseconds: see
    /// [`Client::set_idle_limit`](super::Client::set_idle_limit).
    pub(super) idle: u32,
    /// How long the server may send nothing while something is played, in ms. Only the first place is used. The array is
    /// empty for a client that does not play.
    pub(super) silence: [u32; PLAYS],
    /// The last streams that were played and have ended.
    pub(super) ended: [StreamId; PLAYS],
    /// The transaction ids of the application's calls; 0 marks a free place.
    pub(super) calls: [u32; CALLS],
    pub(super) last_transaction: u32,
    /// The transaction id of the current request.
    pub(super) awaited: u32,
    /// Room that the queue must have before a command is read, for the messages that it may cause.
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
        has_started: false,
        key: 0,
        stream: StreamId::CONNECTION,
        idle: MAX_IDLE,
        received: 0,
        plays: Vec::new(),
        silence: [MAX_SILENCE; PLAYS],
        ended: [StreamId::CONNECTION; PLAYS],
        calls: [0; CALLS],
        last_transaction: CONNECT,
        awaited: CONNECT,
        reserve: MIN_RESERVE,
    };
}

/// Room of a client for `N` streams to play, or `N` calls.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Room<const N: usize>;

/// Room for 1 to 16. A function that needs room cannot be called on a client that has none.
#[diagnostic::on_unimplemented(
    message = "this client type has no room for streams to play, or for calls",
    note = "use for example `Client<'_, 8, 1, 4>`, which has room for 1 stream to play and 4 calls"
)]
pub trait NotZero {}

macro_rules! not_zero {
    ($($number:literal)*) => { $(impl NotZero for Room<$number> {})* };
}
not_zero!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);

/// A stream that is played or was requested, in the order of the requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Play {
    /// The length of the arguments of `play`. The queue stores them until they are sent, the last request first, and
    /// the stream key after all of them.
    pub(super) length: u16,
    /// The stream on which it is played; none before `play` is sent.
    pub(super) stream: Option<StreamId>,
}

/// An event that a command causes, without what it borrows.
pub(super) enum PendingEvent {
    Connected,
    Publishing,
    Playing(StreamId),
    Refused(Stage),
    Status,
    Answer(u32, bool),
    Call,
    Unpublished,
    Closed,
}
