//! Publishes an FLV file.

mod source;

pub use source::Pace;

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::handshake::{HandshakeKind, Style};
use embedded_rtmp::message::StreamId;
use embedded_rtmp::port_plan::AttemptReport;
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;
use serde_json::{Value, json};

use crate::counts::Counts;
use crate::flv::Reader;
use crate::net::{Clock, DialError, Dialled, Dialler, Memory, Pipe, Waiter, Way};
use source::Source;

/// How long the peer may take to acknowledge the close.
const CLOSE: Duration = Duration::from_secs(2);

/// How long the peer may take nothing of what is to be sent.
const STALL: Duration = Duration::from_secs(30);

/// How to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the server is looked for.
    pub way: Way,
    /// When tags are sent.
    pub pace: Pace,
    /// The handshake that the client begins with.
    pub style: Style,
    /// The size of the chunks that are sent, in bytes.
    pub chunk_size: u32,
}

/// What is known while it goes on, and in the end.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What came of each port.
    pub attempts: Vec<AttemptReport>,
    /// What the server's handshake was.
    pub handshake: HandshakeKind,
    /// What has been sent.
    pub counts: Counts,
    /// The timestamp of the last tag that was begun, in ms.
    pub timestamp: u32,
    /// From the first attempt to the server's leave to send, and to now.
    pub to_publishing: Option<Duration>,
    /// From the first attempt until now.
    pub elapsed: Duration,
    /// Bytes on the TCP connection, received and sent.
    pub traffic: (u64, u64),
    /// Whether the server said that it has seen the end.
    pub acknowledged: bool,
}

impl Report {
    /// For a summary.
    pub fn to_json(&self) -> Value {
        let millis = |duration: Duration| duration.as_millis() as u64;
        let attempt = |report: &AttemptReport| {
            json!({
                "transport": report.target.transport.to_string(), "port": report.target.port, "outcome": report.outcome.to_string(),
                "tcp_ms": report.to_tcp.map(millis), "took_ms": millis(report.took),
            })
        };
        json!({
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(),
            "handshake": self.handshake.to_string(),
            "to_publishing_ms": self.to_publishing.map(millis),
            "elapsed_ms": millis(self.elapsed),
            "sent": self.counts.to_json(),
            "last_timestamp": self.timestamp,
            "tcp_bytes": {"received": self.traffic.0, "sent": self.traffic.1},
            "acknowledged": self.acknowledged,
        })
    }
}

enum Phase {
    /// The server is asked.
    Asking,
    Publishing(StreamId),
    /// The end is said; by then the server is to acknowledge it.
    Closing(Instant),
    Done,
}

struct Publisher<'b, R> {
    session: Client<'b>,
    pipe: Pipe,
    source: Source<R>,
    phase: Phase,
    clock: Clock,
    /// When the peer last took or sent something.
    moved: Instant,
    /// Whether anything came behind the handshake.
    heard: bool,
}

/// Publishes the tags of `reader` under `url`, which has a key. `report` is kept up to date, and `progress` is called
/// with it every now and then.
///
/// # Errors
/// No connection, a refusal, a connection that breaks off, or a file that does: the report says how far it came.
pub fn publish<R: Read>(
    reader: Reader<R>,
    url: &Url<'_>,
    options: Options,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let clock = Clock::new();
    let mut memories: Vec<_> = (0..options.way.limits.max_at_once).map(|_| Memory::new()).collect();
    let key = url.key().context("the URL has no stream key")?;
    let config = ClientConfig { handshake: options.style, chunk_size: options.chunk_size, ..ClientConfig::new() };
    let mut dialler = Dialler::new(url.host(), &options.way.targets, options.way.limits, config, &mut memories, clock)?;
    let mut source = Source::new(reader, options.pace);
    loop {
        let Dialled { mut session, pipe, handshake, reports } = match dialler.dial() {
            Ok(dialled) => dialled,
            Err(error) => {
                report.elapsed = clock.until_now();
                if let Some(DialError { reports }) = error.downcast_ref() {
                    report.attempts.clone_from(reports);
                }
                return Err(error);
            }
        };
        (report.attempts, report.handshake) = (reports, handshake);
        let (parts, flash_ver) = (url.tc_url_parts(), ConnectOptions::FLASH_VER);
        session.connect(&ConnectOptions { app: url.app(), tc_url: &parts, flash_ver })?;
        session.publish(key)?;
        let phase = Phase::Asking;
        let mut publisher = Publisher { session, pipe, source, phase, clock, moved: clock.now(), heard: false };
        let result = publisher.run(report, progress);
        publisher.fill_in(report);
        if result.is_err() && !publisher.heard {
            // A firewall that lets nothing but the handshake through; another port may be better.
            dialler.cut_off(publisher.session);
            source = publisher.source;
            continue;
        }
        result?;
        return publisher.source.error().map_or(Ok(()), Err);
    }
}

impl<R: Read> Publisher<'_, R> {
    fn run(&mut self, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<()> {
        let mut waiter = Waiter::new()?;
        waiter.add(&mut self.pipe)?;
        while !matches!(self.phase, Phase::Done) {
            let moved = self.step(report)?;
            self.fill_in(report);
            progress(report);
            if moved {
                self.moved = self.clock.now();
            } else {
                let deadline = self.check_deadlines()?;
                waiter.wait(deadline.map_or(STALL, |deadline| self.clock.until(deadline)).min(STALL))?;
            }
        }
        self.pipe.close_tunnel(&mut waiter);
        Ok(())
    }

    /// Does what can be done now; answers whether anything was.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        let mut moved = self.session.wants_input() && self.receive()?;
        moved |= self.events(report)?;
        moved |= self.send()?;
        if matches!(self.phase, Phase::Publishing(_)) && self.source.is_ended() {
            self.session.close()?;
            self.phase = Phase::Closing(self.clock.now() + CLOSE);
            moved = true;
        }
        if self.pipe.is_ended() && self.pipe.input().is_empty() {
            match self.phase {
                // It has seen the end, and has gone; or it had gone before, and resets what still comes.
                Phase::Closing(_) if self.pipe.was_taken() => self.phase = Phase::Done,
                Phase::Closing(_) => bail!("the server closed the connection before it had taken everything"),
                Phase::Asking => bail!("the server closed the connection before it let anything be published"),
                _ => bail!("the server closed the connection"),
            }
        }
        Ok(moved)
    }

    fn receive(&mut self) -> Result<bool> {
        match self.pipe.receive() {
            Ok(moved) => Ok(moved),
            Err(error) => Err(error).context("the connection broke"),
        }
    }

    fn events(&mut self, report: &mut Report) -> Result<bool> {
        let mut moved = false;
        loop {
            let Self { session, pipe, phase, clock, heard, .. } = self;
            let mut input = pipe.input();
            let event = session.next_event(clock.now(), &mut input)?;
            let taken = pipe.input().len() - input.len();
            *heard |= taken > 0;
            let none = event.is_none();
            match event {
                Some(ClientEvent::Publishing(stream)) => {
                    report.to_publishing = Some(clock.until_now());
                    *phase = Phase::Publishing(stream);
                }
                Some(ClientEvent::Refused(stage, status)) => {
                    bail!(
                        "{stage} refused: {}: {}",
                        lossy(status.code.as_bytes()),
                        lossy(status.description.as_bytes())
                    )
                }
                Some(ClientEvent::Status(_, status)) if status.is_error() => {
                    bail!("the server says {}: {}", lossy(status.code.as_bytes()), lossy(status.description.as_bytes()))
                }
                Some(ClientEvent::Unpublished) => {
                    report.acknowledged = true;
                    *phase = Phase::Done;
                }
                Some(ClientEvent::Closed) if !matches!(phase, Phase::Closing(_)) => {
                    bail!("the server closed the connection")
                }
                _ => {}
            }
            pipe.consume(taken);
            moved |= taken > 0 || !none;
            if none {
                return Ok(moved);
            }
        }
    }

    fn send(&mut self) -> Result<bool> {
        let now = self.clock.now();
        let Self { session, pipe, source, phase, .. } = self;
        let sent = match phase {
            Phase::Publishing(stream) => pipe.send(|out| match session.poll_transmit(now, out) {
                0 => source.fill(session, *stream, now, out),
                filled => filled,
            }),
            _ => pipe.send(|out| session.poll_transmit(now, out)),
        };
        sent.context("the connection broke")
    }

    /// When there is something to do at the latest.
    fn check_deadlines(&mut self) -> Result<Option<Instant>> {
        let now = self.clock.now();
        let timeout = self.session.poll_timeout();
        if timeout.is_some_and(|timeout| timeout <= now) {
            self.session.handle_timeout(now)?;
        }
        if let Phase::Closing(deadline) = self.phase
            && deadline <= now
        {
            self.phase = Phase::Done;
        }
        let stall = self.pipe.has_output().then_some(self.moved + STALL);
        if stall.is_some_and(|stall| stall <= now) {
            bail!("the server has taken nothing for {} s", STALL.as_secs());
        }
        let (due, closing) = match self.phase {
            Phase::Publishing(_) if !self.pipe.has_output() => (self.source.due(), None),
            Phase::Closing(deadline) => (None, Some(deadline)),
            Phase::Done => (None, Some(now)),
            _ => (None, None),
        };
        Ok([timeout, stall, due, closing, self.pipe.poll_timeout()].into_iter().flatten().min())
    }

    fn fill_in(&self, report: &mut Report) {
        report.counts = self.source.counts();
        report.timestamp = self.source.timestamp();
        report.elapsed = self.clock.until_now();
        report.traffic = self.pipe.traffic();
    }
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
