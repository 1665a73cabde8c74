//! A client session on its socket, from the dial to the last FIN.
//!
//! ```text
//!          begin()           TCP is there         HandshakeDone        ask()          the server's yes
//!   Idle ──────────► Opening ────────────► Handshake ─────────► Greeted ─────► Asked ──────────────► Open
//!    ▲                  │                      │                   │             │                     │ close()
//!    │                  └──────────────────────┴───── reset() ─────┴─────────────┤                     ▼
//!    │ RST is out                                                                ▼      Unpublish, Hang, Sent, Left
//!    └──────────────────────────────────────────────────────────────────────── Reset ◄────────────────┘
//! ```
//!
//! Nothing here waits: each step is a synchronous call, made by whoever is polled. Why a connection is over stands in
//! [`Connection::failed`], and what is handed around is only that it is: [`Over`].

use core::task::Context;

use embassy_net::Stack;
use embassy_time::Duration;
use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{self, Client, ClientConfig, ClientEvent, ConfigError};
use embedded_rtmp::time::Instant;

use crate::buffers::Lent;
use crate::client::dial::Attempt;
use crate::client::tunnel::Tunnel;
use crate::clock::{clock, wake_at};
use crate::error::{Error, Refusal};
use crate::transport::Tcp;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing is under way.
    Idle,
    /// In TCP's handshake.
    Opening,
    /// In RTMP's handshake.
    Handshake,
    /// The peer speaks RTMP, and has been asked for nothing.
    Greeted,
    /// The server is to say yes or no.
    Asked,
    /// The server has said yes.
    Open,
    /// It sends what is played.
    Playing,
    /// The end of the stream is to go into the send ring.
    Unpublish,
    /// The tunnel is to be closed.
    Hang,
    /// All that was written, and FIN, are to be acknowledged.
    Sent,
    /// The peer is to close its side.
    Left,
    /// A reset is to be sent.
    Reset,
}

/// The connection is over; why, it says itself.
pub(crate) struct Over;

/// A client session and the socket that it runs on. The session runs inside the socket's own closures: what comes is
/// lent from the receive ring, what goes is written into the send ring.
// In this order: what is looked at most lies where short instructions reach.
#[repr(C)]
pub(crate) struct Connection<'a, const STREAMS: usize, const PLAYS: usize = 0> {
    pub(crate) link: Tcp<'a>,
    pub(crate) stage: Stage,
    /// The attempt that led here, or may.
    pub(crate) attempt: Attempt,
    /// When the stages of the end are given up.
    pub(crate) until: Instant,
    /// How long the server may leave unacknowledged what was sent to it.
    pub(crate) lost_after: Duration,
    pub(crate) tunnel: Tunnel<'a>,
    /// Why the connection is over, once it is.
    pub(crate) failed: Option<Error>,
    pub(crate) client: Client<'a, STREAMS, PLAYS>,
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// What is not connected.
    pub(crate) fn new(stack: Stack<'a>, lent: Lent<'a>, session: &ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            // Every attempt begins with entropy of its own.
            client: Client::new(lent.buffers, *session, &[0; 32])?,
            link: Tcp::new(stack, lent.rx, lent.tx),
            tunnel: Tunnel::new(lent.gather),
            stage: Stage::Idle,
            until: Instant::from_micros(0),
            attempt: Attempt::NONE,
            lost_after: Duration::MIN,
            failed: None,
        })
    }

    /// The connection is over, if it was not before.
    #[inline(never)]
    pub(crate) fn end(&mut self, why: Error) -> Over {
        self.failed.get_or_insert(why);
        Over
    }

    /// Why the connection is over.
    pub(crate) fn why(&self) -> Error {
        self.failed.unwrap_or(Error::Closed)
    }

    /// Takes in what has come, puts out what waits, and looks at the clock. Nothing is left to do then before more
    /// comes, room is made or time passes, which [`Self::register`] waits for; or the stage is another one.
    pub(crate) fn advance(&mut self) -> Result<(), Over> {
        let stage = self.stage;
        while self.step(true, &mut |_| {})? && self.stage == stage {}
        Ok(())
    }

    /// One round of that, which may leave what comes where it is; answers whether anything has moved. With memory for
    /// what is played, `on_event` is told of it.
    #[inline(never)]
    pub(crate) fn step(&mut self, reads: bool, on_event: &mut dyn FnMut(ClientEvent<'_>)) -> Result<bool, Over> {
        let now = clock();
        let Self { link, client, tunnel, stage, failed, .. } = self;
        if failed.is_some() {
            return Err(Over);
        }
        let mut moved = tunnel.step(now, link).unwrap_or_else(|error| {
            *failed = Some(error);
            false
        });
        if reads {
            let before = *stage;
            moved |= link.read(&mut |input| {
                let mut rest = &*input;
                while *stage == before {
                    let left = rest.len();
                    match tunnel.receive(now, &mut rest, |bytes| client.next_event(now, bytes)) {
                        Ok(Ok(Some(event))) => {
                            note::<PLAYS>(&event, stage, failed);
                            if PLAYS > 0 {
                                on_event(event);
                            }
                        }
                        // Where there is a tunnel, HTTP may have been taken and nothing of the session's.
                        Ok(Ok(None)) if tunnel.is_some() && rest.len() != left => {}
                        Ok(_) => break,
                        Err(error) => {
                            *failed = Some(error);
                            break;
                        }
                    }
                }
                input.len() - rest.len()
            }) > 0;
        }
        // It tells also why the session has failed.
        if let Err(error) = client.handle_timeout(now) {
            failed.get_or_insert(Error::Session(error));
        }
        if tunnel.is_some() && !client.wants_input() && client.wants_transmit() {
            tunnel.send_early();
        }
        let waiting = tunnel.count(|| client.transmit_len());
        if tunnel.wants_transmit(client.wants_transmit(), waiting) {
            let mut put = |out: &mut [u8]| tunnel.transmit(waiting, out, |room| client.poll_transmit(now, room));
            moved |= link.write(&mut put) > 0;
        }
        // What came before a reset stays unread where an answer had to go out first.
        if !moved && !tunnel.is_some() && (!link.may_receive() || reads && link.is_lost()) {
            failed.get_or_insert(link.end());
        }
        if failed.is_some() { Err(Over) } else { Ok(moved) }
    }

    /// Whether media can be put out now.
    pub(crate) fn takes_media(&self) -> bool {
        self.tunnel.takes_media(self.link.has_room())
    }

    /// Whether what is written may still arrive, on this connection or on another one of the tunnel.
    pub(crate) fn may_send(&self) -> bool {
        self.link.may_send() || self.tunnel.is_some()
    }

    /// Whether anything came behind the handshake.
    pub(crate) fn was_answered(&self) -> bool {
        self.client.bytes_received() > 0
    }

    /// Has the task woken when there is something to do: something has come, room was made where there was none, time has
    /// passed, or the connection's state has changed.
    #[inline(never)]
    pub(crate) fn register(&self, cx: &mut Context<'_>) {
        self.link.wake(cx);
        for at in [self.client.poll_timeout(), self.tunnel.poll_timeout()].into_iter().flatten() {
            wake_at(at, cx);
        }
    }
}

/// What an event means for a connection.
fn note<const PLAYS: usize>(event: &ClientEvent<'_>, stage: &mut Stage, failed: &mut Option<Error>) {
    let why = match event {
        ClientEvent::HandshakeDone(_) => return *stage = Stage::Greeted,
        // What a player asks for next may be answered long after.
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
    failed.get_or_insert(why);
}

/// Whether the server says that it takes no more: it has ended the stream, or found fault with it. Other news, bad ones
/// too, may mean anything.
fn ends_publishing(status: &Status<'_>) -> bool {
    let code = status.code.as_bytes();
    code == code::UNPUBLISH_SUCCESS.as_bytes() || (status.is_error() && code.starts_with(b"NetStream.Publish."))
}
