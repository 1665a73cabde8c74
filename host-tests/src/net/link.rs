//! A client session and its connection, for publishing and for playing.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use embedded_rtmp::command::{ConnectOptions, Status};
use embedded_rtmp::handshake::HandshakeKind;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::port_plan::{AttemptId, AttemptReport};
use embedded_rtmp::session::{Client, ClientEvent, Stage};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;
use serde_json::{Value, json};

use super::{Clock, Dialled, Dialler, Pipe, Waiter};

/// The state of a connection, for summaries.
#[derive(Debug, Clone, Default)]
pub struct LinkReport {
    /// The result of each attempt of the port plan.
    pub attempts: Vec<AttemptReport>,
    /// The reason why TLS failed in an attempt, or why the server's certificate was refused.
    pub reasons: BTreeMap<AttemptId, String>,
    /// The server's kind of handshake.
    pub handshake: HandshakeKind,
    /// The time from the first attempt until the server accepted the publish or the play.
    pub to_media: Option<Duration>,
    /// The time from the first attempt until now.
    pub elapsed: Duration,
}

/// A client session over a connection. The caller calls [`Self::receive`] and the pipe's [`send`](Pipe::send) until neither
/// moves any bytes, then [`Self::wait`].
#[derive(Debug)]
pub struct Link<const PLAYS: usize = 0> {
    /// The session.
    pub session: Client<'static, 8, PLAYS, 1>,
    /// The connection.
    pub pipe: Pipe,
    /// The clock of both.
    pub clock: Clock,
    /// When bytes were last received. At first, when the connection began.
    pub received_at: Instant,
    /// Whether anything was received after the handshake.
    pub has_heard: bool,
    waiter: Waiter,
}

impl<const PLAYS: usize> Link<PLAYS> {
    /// Carries out the port plan, and asks for the application of `url`. `properties` are more properties of `connect`.
    ///
    /// # Errors
    /// No attempt led to a handshake, or the system fails.
    pub fn connect(
        dialler: &mut Dialler<'_, PLAYS>,
        url: &Url<'_>,
        properties: &[u8],
        clock: Clock,
        report: &mut LinkReport,
    ) -> Result<Self> {
        let dialled = dialler.dial();
        (report.attempts, report.elapsed) = (dialler.reports(), clock.until_now());
        report.reasons.clone_from(dialler.reasons());
        let Dialled { mut session, mut pipe, handshake } = dialled?;
        report.handshake = handshake;
        let tc_url = url.tc_url_parts();
        let mut options = ConnectOptions::new(url.app(), &tc_url);
        options.properties = properties;
        session.connect(&options)?;
        let waiter = Waiter::new()?;
        waiter.add(&mut pipe)?;
        Ok(Self { session, pipe, clock, received_at: clock.now(), has_heard: false, waiter })
    }

    /// Receives bytes, if the session wants any, and passes events of the session to `handle`, until there are none or
    /// `handle` returns `false`. Returns whether there were bytes or events.
    ///
    /// # Errors
    /// The connection broke, the session failed, or `handle` did.
    pub fn receive(&mut self, mut handle: impl FnMut(ClientEvent<'_>) -> Result<bool>) -> Result<bool> {
        let Self { session, pipe, clock, has_heard, .. } = self;
        let (now, mut goes_on, mut has_event) = (clock.now(), Ok(true), false);
        let received = pipe.receive(session.wants_input(), |input| {
            let before = input.len();
            while let Ok(true) = goes_on {
                goes_on = match session.next_event(now, input) {
                    Ok(Some(event)) => {
                        has_event = true;
                        handle(event)
                    }
                    Ok(None) => break,
                    Err(error) => Err(error.into()),
                };
            }
            *has_heard |= input.len() < before;
        });
        goes_on?;
        let has_received = received.context("the connection broke")?;
        if has_received {
            self.received_at = now;
        }
        Ok(has_received || has_event)
    }

    /// Sends the output of the session. Returns whether anything was sent.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self) -> Result<bool> {
        let (session, now) = (&mut self.session, self.clock.now());
        self.pipe.send(|out| session.poll_transmit(now, out)).context("the connection broke")
    }

    /// Whether the server has closed the connection, and all received bytes are consumed.
    pub fn is_ended(&self) -> bool {
        self.pipe.is_ended() && !self.pipe.has_input()
    }

    /// Returns whether the connection has ended, if `moved` is the result of the last [`Self::receive`] and
    /// [`Self::send`]. An error of the session or of its handler is something else.
    pub fn is_cut(&self, moved: &Result<bool>) -> bool {
        match moved {
            Err(error) => error.is::<io::Error>(),
            Ok(_) => self.is_ended(),
        }
    }

    /// Handles the timeouts of the session. Returns when it must be called again at the latest.
    ///
    /// # Errors
    /// The server did not answer in time.
    pub fn handle_timeout(&mut self) -> Result<Option<Instant>> {
        let now = self.clock.now();
        let timeout = self.session.poll_timeout();
        if timeout.is_some_and(|timeout| timeout <= now) {
            self.session.handle_timeout(now)?;
        }
        Ok([timeout, self.pipe.poll_timeout()].into_iter().flatten().min())
    }

    /// Waits until something can be received or sent, at most for `limit`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(&mut self, limit: Duration) -> Result<()> {
        Ok(self.waiter.wait(limit)?)
    }

    /// Ends a tunnel, and waits a little until the server knows. Does nothing to other connections.
    pub fn close_tunnel(&mut self) {
        self.pipe.close_tunnel(&mut self.waiter);
    }
}

impl LinkReport {
    /// The report as JSON. `to_media` is the name of the member that has [`Self::to_media`].
    pub fn to_json(&self, to_media: &str) -> Value {
        let millis = |duration: Duration| duration.as_millis() as u64;
        let attempt = |report: &AttemptReport| {
            json!({
                "transport": report.target.transport.to_string(), "port": report.target.port,
                "outcome": report.outcome.to_string(), "reason": self.reasons.get(&report.id), "tcp_ms": report.to_tcp.map(millis),
                "took_ms": millis(report.took),
            })
        };
        json!({
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(), "handshake": self.handshake.to_string(),
            to_media: self.to_media.map(millis), "elapsed_ms": millis(self.elapsed),
        })
    }
}

/// The error for a refusal.
pub(crate) fn refused(stage: Stage, status: &Status<'_>) -> Error {
    anyhow!("{stage} refused: {}", shown(status))
}

/// Whether a status says that a stream failed. On the message stream of the connection, only codes of `family` do: an
/// error there may be about a request that does not matter, such as `releaseStream`.
pub(crate) fn is_about(stream: StreamId, status: &Status<'_>, family: &str) -> bool {
    let is_own = stream != StreamId::CONNECTION || status.code.as_bytes().starts_with(family.as_bytes());
    status.is_error() && is_own
}

/// The error for another status.
pub(crate) fn said(status: &Status<'_>) -> Error {
    anyhow!("the server says {}", shown(status))
}

fn shown(status: &Status<'_>) -> String {
    let [code, description] = [status.code, status.description].map(|text| String::from_utf8_lossy(text.as_bytes()));
    // The server must not control the terminal.
    format!("{code}: {description}").replace(char::is_control, "")
}
