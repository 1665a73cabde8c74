//! A client session on its transport, from the first byte to the end.
//!
//! ```text
//!          begin()           TCP is open         HandshakeDone        ask()        the server accepts
//!   Idle ──────────► Opening ────────────► Handshake ─────────► Greeted ─────► Asked ──────────────► Open
//!    ▲                  │                   ▲  │                   │             │                     │ close()
//!    │                  │       connected() ┘  │                   │             │                     ▼
//!    │                  └──────────────────────┴───── reset() ─────┴─────────────┤           Unpublish, Sent, Left
//!    │ RST is sent                                                               ▼                     │
//!    └──────────────────────────────────────────────────────────────────────── Reset ◄────────────────┘
//! ```
//!
//! Nothing here waits: each step is a synchronous call. [`Connection::failed`] stores why a connection is over. Functions
//! return [`Over`], which has no reason in it.

use core::task::{Context, Poll};

use embassy_time::Duration;
use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{self, Client, ClientConfig, ClientEvent, ConfigError, SessionBuffers};
use embedded_rtmp::time::Instant;
#[cfg(feature = "redirect")]
use embedded_rtmp::url::Url;

#[cfg(feature = "auth")]
use crate::client::answer::Answer;
use crate::client::attempt::Attempt;
#[cfg(feature = "enhanced")]
use crate::client::offering::Offering;
#[cfg(feature = "redirect")]
use crate::client::redirect::{Address, Redirect};
use crate::clock::{clock, wake_at};
use crate::error::{Error, Refusal};
use crate::transport::keys::Keys;
use crate::transport::{Net, Transport};

/// The stage of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// There is no connection.
    Idle,
    /// TCP's handshake is under way.
    Opening,
    /// RTMP's handshake is under way.
    Handshake,
    /// The handshake is complete. No request has been sent.
    Greeted,
    /// The server has been asked to publish or to play.
    Asked,
    /// The server has accepted the request.
    Open,
    /// The server sends the stream that is played.
    Playing,
    /// The end of the stream is to be written.
    Unpublish,
    /// The peer is to acknowledge all written bytes and our FIN.
    Sent,
    /// The peer is to close its side.
    Left,
    /// A reset is to be sent.
    Reset,
}

/// The connection is over, for the reason in [`Connection::failed`].
pub(crate) struct Over;

/// A client session and the transport that it runs on. The session runs inside the closures of the transport: it reads
/// from and writes into the transport's own memory.
// The fields that are used most come first, where short load and store instructions reach them.
#[repr(C)]
pub(crate) struct Connection<'a, const STREAMS: usize, const PLAYS: usize = 0, T = Net<'a>> {
    pub(crate) transport: T,
    pub(crate) stage: Stage,
    /// How long sent bytes may stay unacknowledged.
    pub(crate) lost_after: Duration,
    /// When the next address is tried, or when closing is given up.
    pub(crate) until: Instant,
    /// The attempt of the port plan that this connection carries out, or was made by.
    pub(crate) attempt: Attempt,
    /// Why the connection is over. `None` until it is.
    pub(crate) failed: Option<Error>,
    /// The keys of RTMPE.
    pub(crate) keys: Keys,
    pub(crate) client: Client<'a, STREAMS, PLAYS>,
    #[cfg(feature = "auth")]
    pub(crate) answer: Answer,
    #[cfg(feature = "enhanced")]
    pub(crate) offering: Offering,
    #[cfg(feature = "redirect")]
    pub(crate) redirect: Redirect,
}

impl<'a, const STREAMS: usize, const PLAYS: usize, T: Transport> Connection<'a, STREAMS, PLAYS, T> {
    /// A connection in [`Stage::Idle`].
    pub(crate) fn new(
        transport: T,
        buffers: SessionBuffers<'a>,
        session: &ClientConfig,
        entropy: &[u8; 32],
    ) -> Result<Self, ConfigError> {
        Ok(Self::over(transport, Client::new(buffers, *session, entropy)?))
    }

    /// A connection of this session in [`Stage::Idle`].
    pub(crate) fn over(transport: T, client: Client<'a, STREAMS, PLAYS>) -> Self {
        Self {
            client,
            keys: Keys::None,
            transport,
            stage: Stage::Idle,
            until: Instant::from_micros(0),
            attempt: Attempt::NONE,
            lost_after: Duration::MIN,
            failed: None,
            #[cfg(feature = "auth")]
            answer: Answer::NONE,
            #[cfg(feature = "enhanced")]
            offering: Offering::NONE,
            #[cfg(feature = "redirect")]
            redirect: Redirect::NONE,
        }
    }

    /// A connection over a transport that is connected, in [`Stage::Handshake`].
    pub(crate) fn connected(
        transport: T,
        buffers: SessionBuffers<'a>,
        session: &ClientConfig,
        entropy: &[u8; 32],
    ) -> Result<Self, ConfigError> {
        let mut connection = Self::new(transport, buffers, session, entropy)?;
        connection.stage = Stage::Handshake;
        Ok(connection)
    }

    /// Restarts the session over a transport that has been connected again.
    pub(crate) fn begin_connected(&mut self, session: &ClientConfig, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        self.restart(session, entropy)?;
        (self.stage, self.failed, self.keys) = (Stage::Handshake, None, Keys::None);
        Ok(())
    }

    /// Restarts the session.
    // Not inlined, because it has several callers.
    #[inline(never)]
    pub(crate) fn restart(&mut self, session: &ClientConfig, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        #[cfg(feature = "auth")]
        self.answer.begin(entropy);
        #[cfg(feature = "enhanced")]
        {
            let goes_on = self.owns_next_attempt();
            self.offering.begin(goes_on);
        }
        self.client.restart(*session, entropy)
    }

    /// Returns the application of the connection that begins now: `None` if that is the one of the caller's URL.
    #[cfg(feature = "redirect")]
    pub(crate) fn begin_redirect(&mut self, first: &Url<'_>) -> Option<Address> {
        #[cfg(feature = "enhanced")]
        let was_elsewhere = self.redirect.is_elsewhere;
        let next = self.redirect.begin(first);
        // What is known about one host does not hold for another one.
        #[cfg(feature = "enhanced")]
        if was_elsewhere || self.redirect.is_elsewhere {
            self.offering = Offering::NONE;
        }
        next
    }

    /// Records why the connection is over, unless a reason is recorded already.
    pub(crate) fn end(&mut self, why: Error) -> Over {
        record(&mut self.failed, why);
        Over
    }

    /// Returns why the connection is over.
    pub(crate) fn why(&self) -> Error {
        self.failed.unwrap_or(Error::Closed)
    }

    /// Reads input, writes output and checks time limits until nothing is left to do or the stage changes. If the stage has
    /// not changed, the task is woken when there is more to do.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        let stage = self.stage;
        while self.step(cx, true, &mut |_| {})? && self.stage == stage {}
        Ok(())
    }

    /// Reads, writes and checks time limits once. Leaves input unread if `reads` is false. A session that can play passes
    /// its events to `on_event`. Returns whether any byte was read or written; if not, the task is woken when there is more
    /// to do.
    #[inline(never)]
    pub(crate) fn step(
        &mut self,
        cx: &mut Context<'_>,
        reads: bool,
        on_event: &mut dyn FnMut(ClientEvent<'_>),
    ) -> Result<bool, Over> {
        let now = clock();
        let Self { transport, client, keys, stage, failed, .. } = self;
        #[cfg(feature = "auth")]
        let answer = &mut self.answer;
        #[cfg(feature = "enhanced")]
        let offering = &mut self.offering;
        #[cfg(feature = "redirect")]
        let redirect = &mut self.redirect;
        if failed.is_some() {
            return Err(Over);
        }
        let (mut moved, mut end) = (false, None);
        if reads {
            let before = *stage;
            let read = transport.poll_read(cx, &mut |input| {
                keys.read(input, |rest| {
                    while *stage == before
                        && let Ok(Some(event)) = client.next_event(now, rest)
                    {
                        #[cfg(feature = "auth")]
                        if let ClientEvent::Refused(session::Stage::Connect, status) = &event {
                            answer.note_refusal(status);
                        }
                        #[cfg(feature = "redirect")]
                        match &event {
                            ClientEvent::Refused(session::Stage::Connect, status) => redirect.note_refusal(status),
                            ClientEvent::Status(_, status) => redirect.note_status(status),
                            _ => {}
                        }
                        #[cfg(feature = "enhanced")]
                        offering.note(&event);
                        note::<PLAYS>(&event, stage, failed);
                        if PLAYS > 0 {
                            on_event(event);
                        }
                    }
                })
            });
            match read {
                Poll::Ready(Ok(consumed)) => moved = consumed > 0,
                Poll::Ready(Err(why)) => end = Some(why),
                Poll::Pending => {}
            }
        }
        // This is not done in the transport's closure, because the closure borrows the network stack.
        #[cfg(feature = "rtmpe")]
        keys.agree(client, now);
        // This also returns why the session has failed.
        if let Err(error) = client.handle_timeout(now) {
            record(failed, Error::Session(error));
        }
        if client.wants_transmit() {
            transport.announce(&mut || client.transmit_len());
            let written = transport.poll_write(cx, &mut |out| {
                let written = client.poll_transmit(now, out);
                keys.write(out, written)
            });
            moved |= matches!(written, Poll::Ready(Ok(1..)));
        }
        if !moved {
            // Bytes that came before a reset stay unread if an answer has to be written first.
            if let Poll::Ready(gone) = transport.poll_gone(cx)
                && reads
            {
                end = end.or(Some(gone));
            }
            if let Some(end) = end {
                record(failed, end.into());
            }
            if let Some(at) = client.poll_timeout() {
                wake_at(at, cx);
            }
        }
        if failed.is_some() { Err(Over) } else { Ok(moved) }
    }

    /// Returns whether anything came after the handshake.
    pub(crate) fn was_answered(&self) -> bool {
        self.client.bytes_received() > 0
    }
}

/// Records why a connection is over, unless a reason is recorded already.
// Not inlined, because it has many callers.
#[inline(never)]
fn record(failed: &mut Option<Error>, why: Error) {
    failed.get_or_insert(why);
}

/// Records what an event means for a connection.
fn note<const PLAYS: usize>(event: &ClientEvent<'_>, stage: &mut Stage, failed: &mut Option<Error>) {
    let why = match event {
        ClientEvent::HandshakeDone(_) => return *stage = Stage::Greeted,
        // The server may answer long after a request to play.
        ClientEvent::Connected if PLAYS > 0 => return *stage = Stage::Open,
        ClientEvent::Playing(_) if PLAYS > 0 && *stage == Stage::Open => return *stage = Stage::Playing,
        ClientEvent::Publishing(_) => return *stage = Stage::Open,
        ClientEvent::Refused(stage, status) => Error::Refused(Refusal::new(*stage, status)),
        ClientEvent::Status(_, status) if PLAYS == 0 && ends_publishing(status) => {
            Error::Refused(Refusal::new(session::Stage::Publish, status))
        }
        ClientEvent::Closed => Error::Closed,
        _ => return,
    };
    record(failed, why);
}

/// Returns whether the status says that the server does not accept the stream any longer, because it has ended or rejected
/// the stream. Other statuses, including errors, do not reliably say so.
fn ends_publishing(status: &Status<'_>) -> bool {
    let code = status.code.as_bytes();
    code == code::UNPUBLISH_SUCCESS.as_bytes() || (status.is_error() && code.starts_with(b"NetStream.Publish."))
}
