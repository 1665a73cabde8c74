//! Plays a stream into an FLV file.

mod coming;
mod connection;
mod output;
mod report;
mod written;

pub use output::Output;
pub use report::{End, Report};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Error, Result};
use embedded_rtmp::command::Start;
use embedded_rtmp::handshake::Style;
use embedded_rtmp::session::ClientConfig;
use embedded_rtmp::time::Instant;

use crate::flv::{EnhancedCodecs, every_codec};
use crate::net::{
    Clock, Destination, Dialler, Leaving, Link, OrderArguments, Prepared, Route, StreamUrl, TlsArguments,
    no_other_connection, not_followed,
};
use coming::{Coming, Continuation};
use connection::{Connection, Received, ask};

/// The time limit for sending the commands that end playing.
const CLOSE: Duration = Duration::from_secs(2);

/// How often the player looks whether the user has stopped it.
const LOOK: Duration = Duration::from_millis(200);

/// How often it looks for messages of a second connection.
const SHORT: Duration = Duration::from_millis(10);

/// How to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// The order in which targets are tried.
    pub order: OrderArguments,
    /// The options for verifying a server inside TLS.
    pub tls: TlsArguments,
    /// The handshake that the client begins with.
    pub style: Style,
    /// Whether `connect` announces that every codec of Enhanced RTMP can be recorded.
    pub announces: bool,
    /// Live or recorded, and from where.
    pub start: Start,
    /// The duration in ms. With `None`, playing continues to the end.
    pub duration: Option<u32>,
    /// The longest time in which nothing is received.
    pub silence: Duration,
    /// The time without media after which playing ends. Some servers do not report that a publisher has left.
    pub media_timeout: Option<Duration>,
    /// A time without media that is reported in [`Report::pauses`].
    pub media_report: Option<Duration>,
}

/// The result of a connection.
enum Outcome {
    End(End),
    /// The player must connect again, because the destination has changed.
    Again,
}

struct Player<'o> {
    connection: Connection,
    destination: &'o mut Destination,
    output: &'o mut Output,
    options: &'o Options,
    /// The next connection, if the server has asked for one.
    prepared: Prepared<1, ()>,
    /// The same, when its server has been asked for the stream.
    coming: Option<Box<Coming>>,
    /// How the current connection has ended, while there may be a next one.
    ended: Option<Result<End>>,
    /// The previous connection.
    old: Option<Leaving<1>>,
    /// The deadline for sending the commands that end playing.
    close_until: Option<Instant>,
    outcome: Option<Outcome>,
    /// The time of the last media, if the pause since then was reported.
    reported_at: Option<Instant>,
}

/// Plays `stream` into `output`, until it ends or `stop` is set. It follows redirects and answers challenges. If the server
/// asks for it, it connects again, and continues with the messages that the last connection has not brought. Otherwise it
/// does not connect again after the stream has begun. After each step, `report` is updated and `progress` is called with it.
///
/// # Errors
/// There is no connection, the server refuses, the connection breaks before anything plays, the server is silent, or the
/// output fails.
pub fn play(
    stream: &StreamUrl,
    options: &Options,
    output: &mut Output,
    stop: &AtomicBool,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let clock = Clock::new();
    let properties = if options.announces { every_codec() } else { EnhancedCodecs::default().properties() };
    let mut destination = Destination::new(stream, properties, options.announces);
    loop {
        let target = destination.stream().clone();
        let url = target.url()?;
        let way = options.order.for_url(&url);
        let mut dialler =
            Dialler::<1>::new(url.host(), &way.targets, way.limits, options.config(), &options.tls, clock)?;
        let mut link = Link::connect(&mut dialler, &url, destination.properties(), clock, &mut report.link)?;
        ask(&mut link, &target, options.start, options.duration)?;
        let mut player = Player {
            connection: Connection::new(link, false),
            destination: &mut destination,
            output: &mut *output,
            options,
            prepared: Prepared::No,
            coming: None,
            ended: None,
            old: None,
            close_until: None,
            outcome: None,
            reported_at: None,
        };
        let outcome = player.run(stop, report, progress);
        report.link.elapsed = clock.until_now();
        match outcome? {
            Outcome::End(end) => {
                report.end = Some(end);
                return Ok(());
            }
            Outcome::Again => report.redirects = destination.redirects,
        }
    }
}

impl Options {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.handshake = self.style;
        config
    }
}

impl Player<'_> {
    fn run(&mut self, stop: &AtomicBool, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<Outcome> {
        let clock = self.connection.link.clock;
        loop {
            let mut has_moved = self.advance_next(report)?;
            if self.ended.is_none() {
                has_moved |= self.step(report)?;
            }
            report.counts = self.output.counts();
            report.link.elapsed = clock.until_now();
            if let Some(gap) = self.output.before.gap.take() {
                report.notices.add(format!("continued on another connection {gap} ms later in the stream"));
            }
            progress(report);
            if stop.load(Ordering::Relaxed) {
                self.end(End::Stopped);
            }
            let now = clock.now();
            if self.connection.rest_until.is_some_and(|until| until <= now) {
                self.finish(Ok(End::Ended))?;
            }
            self.check_media(report);
            let link = &self.connection.link;
            let is_said = link.session.is_closed() && !link.pipe.has_output();
            let is_over = is_said || link.pipe.is_ended() || self.close_until.is_none_or(|until| until <= now);
            if let Some(outcome) = self.outcome.take_if(|_| is_over) {
                self.output.flush()?;
                return Ok(outcome);
            }
            if !has_moved {
                self.wait(report)?;
            }
        }
    }

    fn wait(&mut self, report: &mut Report) -> Result<()> {
        let limit = if self.old.is_some() || self.coming.is_some() || self.ended.is_some() { SHORT } else { LOOK };
        if self.ended.is_none()
            && let Err(error) = self.connection.link.handle_timeout()
        {
            return self.finish(Err(error));
        }
        let link = match &mut self.coming {
            Some(coming) if self.ended.is_some() => &mut coming.connection.link,
            _ => &mut self.connection.link,
        };
        // A connection that is being prepared has time limits of its own.
        let is_prepared = matches!(self.prepared, Prepared::UnderWay(_));
        let is_silent = link.clock.now() >= link.received_at + self.options.silence;
        if is_silent && self.outcome.is_none() && !(self.ended.is_some() && is_prepared) {
            let error = Error::msg(format!("nothing has come for {} s", self.options.silence.as_secs()));
            return match self.ended {
                None => self.finish(Err(error)),
                Some(_) => self.lose_next(&error, report),
            };
        }
        link.wait(limit)
    }

    /// Reports a pause without media, and ends playing if it is too long.
    fn check_media(&mut self, report: &mut Report) {
        let Some(at) = self.connection.media_at else { return };
        let pause = self.connection.link.clock.now().saturating_duration_since(at);
        if self.reported_at != Some(at) && self.options.media_report.is_some_and(|limit| pause >= limit) {
            self.reported_at = Some(at);
            report.pauses += 1;
        }
        if self.options.media_timeout.is_some_and(|limit| pause >= limit) {
            self.end(End::NoMedia);
        }
    }

    /// Does all work of the current connection that is possible now. Returns whether there was any.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        let (mut end, mut asked) = (None, None);
        let Self { connection, destination, output, outcome, .. } = self;
        let (clock, is_over) = (connection.link.clock, outcome.is_some());
        let moved = connection.step(&mut |received| {
            match received {
                Received::Connected => report.is_legacy = destination.accepted(),
                Received::Playing => report.link.to_media = Some(clock.until_now()),
                Received::Refused(status) => {
                    destination.follow(status)?;
                    *outcome = Some(Outcome::Again);
                }
                Received::Message(kind, timestamp, payload) if !is_over => {
                    end = output.write(kind, timestamp, payload)?;
                }
                Received::Message(..) => {}
                Received::Reconnect(url) => asked = Some(url),
                Received::Ended => end = Some(End::Ended),
                Received::Closed => end = Some(End::Closed),
            }
            Ok(end.is_none() && outcome.is_none())
        });
        if let Some(url) = asked {
            self.reconnect(url.as_deref(), report);
        }
        let may_omit_announcement = self.outcome.is_none() && !self.connection.is_connected;
        if may_omit_announcement && self.connection.link.is_cut(&moved) && self.destination.closed() {
            self.outcome = Some(Outcome::Again);
            return Ok(true);
        }
        let has_moved = match moved {
            Ok(has_moved) => has_moved,
            Err(error) => {
                self.finish(Err(error))?;
                true
            }
        };
        if let Some(end) = end {
            self.finish(Ok(end))?;
        }
        if self.connection.link.is_ended() && self.outcome.is_none() && self.ended.is_none() {
            let is_empty = !self.connection.is_playing || self.output.counts().timestamps.is_none();
            let before = "the server closed the connection before anything was played";
            self.finish(if is_empty { Err(Error::msg(before)) } else { Ok(End::Closed) })?;
        }
        Ok(has_moved)
    }

    /// Prepares a connection to the application that the server names.
    fn reconnect(&mut self, url: Option<&str>, report: &mut Report) {
        let has_next = self.coming.is_some() || !matches!(self.prepared, Prepared::No);
        if has_next || self.outcome.is_some() {
            return;
        }
        let destination = match self.destination.reconnect(url) {
            Ok(destination) => destination,
            Err(error) => return report.notices.add(not_followed(&error)),
        };
        let Options { order, tls, start, duration, .. } = self.options.clone();
        let route = Route { order, tls, config: self.options.config(), codecs: Vec::new() };
        let (mut start, mut duration) = (start, duration);
        if let (Start::Recorded(from), Some((first, last))) = (start, self.output.counts().timestamps) {
            start = Start::Recorded(last.max(from));
            duration = duration.map(|duration| duration.saturating_sub(last.saturating_sub(first)).max(1));
        }
        let clock = self.connection.link.clock;
        self.prepared = Prepared::begin(destination, route, clock, move |link, destination| {
            ask(link, destination.stream(), start, duration)
        });
    }

    /// Lets the next connection receive, if the server has asked for one. When the stream can continue on it, leaves the
    /// current one. Returns whether anything was done.
    fn advance_next(&mut self, report: &mut Report) -> Result<bool> {
        self.old.take_if(|old| old.is_over());
        if let Err(error) = self.prepared.poll() {
            self.lose_next(&error, report)?;
        }
        if let Prepared::Ready(_) = self.prepared
            && let Prepared::Ready(next) = std::mem::take(&mut self.prepared)
        {
            self.coming = Some(Box::new(Coming::new(*next)));
        }
        let Some(coming) = self.coming.as_mut().filter(|_| self.outcome.is_none()) else { return Ok(false) };
        let before = &self.output.before;
        let moved = match coming.step(before) {
            Ok(moved) => moved,
            Err(error) => {
                self.lose_next(&error, report)?;
                return Ok(true);
            }
        };
        let current = self.connection.media_at.filter(|_| self.ended.is_none());
        let now = coming.connection.link.clock.now();
        let is_live = self.options.start == Start::Live;
        let Some(continuation) = coming.continues(before, now, current, is_live) else { return Ok(moved) };
        let Some(coming) = self.coming.take() else { return Ok(moved) };
        self.change_over(*coming, continuation, report)?;
        Ok(true)
    }

    /// The next connection is lost. The current one goes on, if it has not ended.
    fn lose_next(&mut self, error: &Error, report: &mut Report) -> Result<()> {
        self.coming = None;
        report.notices.add(no_other_connection(error));
        self.ended.take().map_or(Ok(()), |ended| self.finish(ended))
    }

    fn change_over(&mut self, coming: Coming, continuation: Continuation, report: &mut Report) -> Result<()> {
        let Coming { connection, destination, report: link_report, messages, asked, over, .. } = coming;
        let old = std::mem::replace(&mut self.connection, connection);
        self.old = Some(Leaving::new(old.link));
        (*self.destination, report.link, self.ended) = (destination, link_report, None);
        report.reconnects += 1;
        report.redirects = self.destination.redirects;
        report.is_legacy = self.destination.accepted();
        self.output.before.join(continuation == Continuation::Seamless);
        for (kind, timestamp, payload) in messages {
            if let Some(end) = self.output.write(kind, timestamp, &payload)? {
                self.end(end);
            }
        }
        if let Some(url) = asked {
            self.reconnect(url.as_deref(), report);
        }
        over.map_or(Ok(()), |end| self.finish(Ok(end)))
    }

    /// The current connection has ended. If there may be a next one, that decides.
    fn finish(&mut self, ended: Result<End>) -> Result<()> {
        let has_next = self.coming.is_some() || !matches!(self.prepared, Prepared::No);
        let is_output = matches!(ended, Ok(End::OutputClosed));
        if has_next && !is_output && self.outcome.is_none() {
            self.ended = Some(ended);
            return Ok(());
        }
        self.end(ended?);
        Ok(())
    }

    /// Ends playing, and tells the server if the connection is still open.
    fn end(&mut self, end: End) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(Outcome::End(end));
        let link = &mut self.connection.link;
        if link.session.close().is_ok() && !link.pipe.is_ended() {
            self.close_until = Some(link.clock.now() + CLOSE);
        }
    }
}
