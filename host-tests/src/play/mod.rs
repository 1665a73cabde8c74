//! Plays a stream into an FLV file.

mod output;
mod report;

pub use output::Output;
pub use report::{End, Report};

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use embedded_rtmp::command::{Code, ConnectOptions, MAX_REDIRECTS, PlayRequest, Start};
use embedded_rtmp::control::UserControlEvent;
use embedded_rtmp::handshake::Style;
use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, Stage};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

use crate::net::{Clock, DialError, Dialled, Dialler, Memory, OrderArguments, Pipe, Waiter};

/// How long it may take until what was said at the end is on its way.
const CLOSE: Duration = Duration::from_secs(2);

/// How long a server may take to send what is left when it has said that the stream ends: some say so ahead of their
/// queue, and send a status behind it.
const REST: Duration = Duration::from_millis(500);

/// How often is looked whether the user has had enough.
const LOOK: Duration = Duration::from_millis(200);

/// How to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// How a server is looked for.
    pub order: OrderArguments,
    /// The handshake that the client begins with.
    pub style: Style,
    /// Live or recorded, and from where.
    pub start: Start,
    /// For how long, in ms; `None` to the end.
    pub duration: Option<u32>,
    /// How long nothing may come.
    pub drop_limits: Duration,
}

/// What a connection came to.
enum Outcome {
    End(End),
    /// The server knows another one: the URL of an application.
    Elsewhere(String),
}

struct Player<'b, 'o> {
    session: Client<'b, 8, 1>,
    pipe: Pipe,
    output: &'o mut Output,
    playing: Option<StreamId>,
    /// When what is left of a stream that ends must have come.
    over: Option<Instant>,
    /// When what was said at the end must have gone.
    closing: Option<Instant>,
    outcome: Option<Outcome>,
    clock: Clock,
    /// When something came last.
    heard: Instant,
    drop_limits: Duration,
}

/// Plays what `url` names, which has a key, into `output`, until it ends or `stop` is set. It does not connect again, but
/// follows a server that sends it elsewhere.
///
/// # Errors
/// No connection, a refusal, a connection that breaks off before anything plays, silence, or an output that fails.
pub fn play(
    url: &str,
    options: &Options,
    output: &mut Output,
    stop: &AtomicBool,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let clock = Clock::new();
    let mut target = url.to_owned();
    loop {
        let url = Url::parse(&target).with_context(|| format!("{target} is no RTMP URL"))?;
        let key = url.key().context("the URL has no stream key")?.to_owned();
        let outcome = play_from(&url, &key, options, output, stop, clock, report, progress);
        report.elapsed = clock.until_now();
        match outcome? {
            Outcome::End(end) => {
                report.end = Some(end);
                return Ok(());
            }
            Outcome::Elsewhere(application) => {
                if report.redirects == MAX_REDIRECTS {
                    bail!("more than {MAX_REDIRECTS} servers sent us elsewhere");
                }
                report.redirects += 1;
                target = format!("{}/{key}", application.trim_end_matches('/'));
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "it is the body of the loop above")]
fn play_from(
    url: &Url<'_>,
    key: &str,
    options: &Options,
    output: &mut Output,
    stop: &AtomicBool,
    clock: Clock,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<Outcome> {
    let way = options.order.for_url(url)?;
    let mut memories: Vec<_> = (0..way.limits.max_at_once).map(|_| Memory::new()).collect();
    let config = ClientConfig { handshake: options.style, ..ClientConfig::new() };
    let mut dialler = Dialler::<1>::new(url.host(), &way.targets, way.limits, config, &mut memories, clock)?;
    let Dialled { mut session, pipe, handshake, reports } = dialler.dial().inspect_err(|error| {
        if let Some(DialError { reports }) = error.downcast_ref() {
            report.attempts.clone_from(reports);
        }
    })?;
    (report.attempts, report.handshake) = (reports, handshake);
    let (parts, flash_ver) = (url.tc_url_parts(), ConnectOptions::FLASH_VER);
    session.connect(&ConnectOptions { app: url.app(), tc_url: &parts, flash_ver })?;
    let Options { start, duration, drop_limits, .. } = *options;
    session.play(&PlayRequest { start, duration, ..PlayRequest::new(key) })?;
    let heard = clock.now();
    let mut player = Player {
        session,
        pipe,
        output,
        playing: None,
        over: None,
        closing: None,
        outcome: None,
        clock,
        heard,
        drop_limits,
    };
    player.run(stop, report, progress)
}

impl Player<'_, '_> {
    fn run(&mut self, stop: &AtomicBool, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<Outcome> {
        let mut waiter = Waiter::new()?;
        waiter.add(&mut self.pipe)?;
        loop {
            let moved = self.step(report)?;
            (report.counts, report.timestamps) = (self.output.counts(), self.output.timestamps());
            report.elapsed = self.clock.until_now();
            progress(report);
            if stop.load(Ordering::Relaxed) && self.outcome.is_none() {
                self.end(End::Stopped);
            }
            let now = self.clock.now();
            if self.over.is_some_and(|by| by <= now) {
                self.end(End::Ended);
            }
            let done = self.session.is_closed() && !self.pipe.has_output();
            if self.outcome.is_some() && (done || self.pipe.is_ended() || self.closing.is_none_or(|by| by <= now)) {
                self.output.flush().or_else(|error| if output::is_closed(&error) { Ok(()) } else { Err(error) })?;
                return Ok(self.outcome.take().unwrap_or(Outcome::End(End::Ended)));
            }
            if !moved {
                self.check_deadlines(now)?;
                waiter.wait(LOOK)?;
            }
        }
    }

    /// Does what can be done now; answers whether anything was.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        let mut moved = false;
        if self.session.wants_input() && self.pipe.receive().context("the connection broke")? {
            (moved, self.heard) = (true, self.clock.now());
        }
        moved |= self.events(report)?;
        let (now, session) = (self.clock.now(), &mut self.session);
        moved |= self.pipe.send(|out| session.poll_transmit(now, out)).context("the connection broke")?;
        if self.pipe.is_ended() && self.pipe.input().is_empty() && self.outcome.is_none() {
            match self.playing {
                Some(_) if self.output.timestamps().is_some() => self.end(End::Closed),
                _ => bail!("the server closed the connection before anything was played"),
            }
        }
        Ok(moved)
    }

    fn events(&mut self, report: &mut Report) -> Result<bool> {
        let mut moved = false;
        loop {
            let (mut found, mut end) = (None, None);
            let mut input = self.pipe.input();
            let event = self.session.next_event(self.clock.now(), &mut input)?;
            let taken = self.pipe.input().len() - input.len();
            let none = event.is_none();
            match event {
                Some(ClientEvent::Playing(stream)) => {
                    report.to_playing = Some(self.clock.until_now());
                    self.playing = Some(stream);
                }
                Some(ClientEvent::Refused(Stage::Connect, status)) if status.redirect().is_some() => {
                    found = status.redirect().map(|url| Outcome::Elsewhere(url.to_string()));
                }
                Some(ClientEvent::Refused(stage, status)) => {
                    bail!("{stage} refused: {}: {}", lossy(status.code), lossy(status.description))
                }
                Some(ClientEvent::Status(_, status)) => match status.known() {
                    Code::PlayStop | Code::PlayComplete | Code::PlayUnpublishNotify => end = Some(End::Ended),
                    _ if status.is_error() => {
                        bail!("the server says {}: {}", lossy(status.code), lossy(status.description))
                    }
                    _ => {}
                },
                Some(ClientEvent::User(UserControlEvent::StreamEof(_))) if self.playing.is_some() => {
                    self.over.get_or_insert(self.clock.now() + REST);
                }
                Some(ClientEvent::Closed) => end = Some(End::Closed),
                // What is not for the file but for the player.
                Some(ClientEvent::Data { message, .. })
                    if ["onStatus", "onPlayStatus", "|RtmpSampleAccess"].iter().any(|name| message.name == **name) => {}
                Some(ClientEvent::Data { timestamp, message, .. }) => {
                    end = written(self.output.write(MessageKind::DATA, timestamp.0, message.body))?;
                }
                Some(ClientEvent::Media(fragment)) => end = written(self.output.take(&fragment))?,
                _ => {}
            }
            self.pipe.consume(taken);
            moved |= taken > 0 || !none;
            if let Some(outcome) = found {
                self.outcome.get_or_insert(outcome);
            }
            if let Some(end) = end {
                self.end(end);
            }
            if none || self.outcome.is_some() {
                return Ok(moved);
            }
        }
    }

    /// Says that this is the end, where there is someone to hear it.
    fn end(&mut self, end: End) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(Outcome::End(end));
        if self.session.close().is_ok() && !self.pipe.is_ended() {
            self.closing = Some(self.clock.now() + CLOSE);
        }
    }

    fn check_deadlines(&mut self, now: Instant) -> Result<()> {
        if self.session.poll_timeout().is_some_and(|timeout| timeout <= now) {
            self.session.handle_timeout(now)?;
        }
        if self.outcome.is_none() && now >= self.heard + self.drop_limits {
            bail!("nothing has come for {} s", self.drop_limits.as_secs());
        }
        Ok(())
    }
}

/// An output that nobody reads any more is an end, not a failure.
fn written(result: std::io::Result<()>) -> Result<Option<End>> {
    match result {
        Ok(()) => Ok(None),
        Err(error) if output::is_closed(&error) => Ok(Some(End::OutputClosed)),
        Err(error) => Err(error).context("the output cannot be written"),
    }
}

fn lossy(text: embedded_rtmp::amf0::Text<'_>) -> Cow<'_, str> {
    String::from_utf8_lossy(text.as_bytes())
}
