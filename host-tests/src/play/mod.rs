//! Plays a stream into an FLV file.

mod output;
mod report;

pub use output::Output;
pub use report::{End, Report};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use embedded_rtmp::command::{Code, DataMessage, PlayRequest, Start, code};
use embedded_rtmp::control::UserControlEvent;
use embedded_rtmp::handshake::Style;
use embedded_rtmp::message::MessageKind;
use embedded_rtmp::session::{ClientConfig, ClientEvent, Stage};
use embedded_rtmp::time::Instant;

use crate::flv::every_codec;
use crate::net::{Clock, Destination, Dialler, Link, OrderArguments, StreamUrl, TlsArguments, is_about, refused, said};

/// The time limit for sending the commands that end playing.
const CLOSE: Duration = Duration::from_secs(2);

/// The time limit for the rest of a stream after StreamEOF. Some servers send that event before their queue, and a status
/// after it.
const REST: Duration = Duration::from_millis(500);

/// How often the player looks whether the user has stopped it.
const LOOK: Duration = Duration::from_millis(200);

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
    link: Link<1>,
    destination: &'o mut Destination,
    output: &'o mut Output,
    /// The data message that is being received.
    data: Vec<u8>,
    /// Whether the server has accepted `connect`.
    is_connected: bool,
    is_playing: bool,
    /// The deadline for the rest of a stream that has ended.
    rest_until: Option<Instant>,
    /// The deadline for sending the commands that end playing.
    close_until: Option<Instant>,
    outcome: Option<Outcome>,
    silence: Duration,
    media_timeout: Option<Duration>,
    media_report: Option<Duration>,
    /// When media was last received, or when the stream was accepted; and whether the pause since then was reported.
    media_at: Option<(Instant, bool)>,
}

/// Plays `stream` into `output`, until it ends or `stop` is set. It follows redirects and answers challenges, but it
/// does not connect again after the stream has begun. After each step, `report` is updated and `progress` is called with
/// it.
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
    let properties = if options.announces { every_codec() } else { Vec::new() };
    let mut destination = Destination::new(stream, properties, options.announces);
    loop {
        let target = destination.stream().clone();
        let url = target.url()?;
        let way = options.order.for_url(&url);
        let mut config = ClientConfig::new();
        config.handshake = options.style;
        let mut dialler = Dialler::<1>::new(url.host(), &way.targets, way.limits, config, &options.tls, clock)?;
        let mut link = Link::connect(&mut dialler, &url, destination.properties(), clock, &mut report.link)?;
        let Options { start, duration, silence, media_timeout, media_report, .. } = *options;
        let mut request = PlayRequest::new(&target.key);
        (request.start, request.duration) = (start, duration);
        link.session.play(&request)?;
        let (is_connected, is_playing, rest_until, close_until, outcome) = (false, false, None, None, None);
        let output = &mut *output;
        let data = Vec::new();
        let mut player = Player {
            link,
            destination: &mut destination,
            output,
            data,
            is_connected,
            is_playing,
            rest_until,
            close_until,
            outcome,
            silence,
            media_timeout,
            media_report,
            media_at: None,
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

impl Player<'_> {
    fn run(&mut self, stop: &AtomicBool, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<Outcome> {
        loop {
            let has_moved = self.step(report)?;
            report.counts = self.output.counts();
            report.link.elapsed = self.link.clock.until_now();
            progress(report);
            if stop.load(Ordering::Relaxed) {
                self.end(End::Stopped);
            }
            let now = self.link.clock.now();
            if self.rest_until.is_some_and(|until| until <= now) {
                self.end(End::Ended);
            }
            self.check_media(report);
            let is_said = self.link.session.is_closed() && !self.link.pipe.has_output();
            let is_over = is_said || self.link.pipe.is_ended() || self.close_until.is_none_or(|until| until <= now);
            if let Some(outcome) = self.outcome.take_if(|_| is_over) {
                self.output.flush()?;
                return Ok(outcome);
            }
            if !has_moved {
                self.link.handle_timeout()?;
                if self.outcome.is_none() && now >= self.link.received_at + self.silence {
                    bail!("nothing has come for {} s", self.silence.as_secs());
                }
                self.link.wait(LOOK)?;
            }
        }
    }

    /// Reports a pause without media, and ends playing if it is too long.
    fn check_media(&mut self, report: &mut Report) {
        let Some((at, is_reported)) = &mut self.media_at else { return };
        let pause = self.link.clock.now().saturating_duration_since(*at);
        if !*is_reported && self.media_report.is_some_and(|limit| pause >= limit) {
            *is_reported = true;
            report.pauses += 1;
        }
        if self.media_timeout.is_some_and(|limit| pause >= limit) {
            self.end(End::NoMedia);
        }
    }

    /// Does all work that is possible now. Returns whether there was any.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        let moved = self.receive(report).and_then(|received| Ok(received | self.link.send()?));
        let may_omit_announcement = self.outcome.is_none() && !self.is_connected;
        if may_omit_announcement && self.link.is_cut(&moved) && self.destination.closed() {
            self.outcome = Some(Outcome::Again);
            return Ok(true);
        }
        let has_moved = moved?;
        if self.link.is_ended() && self.outcome.is_none() {
            if !self.is_playing || self.output.counts().timestamps.is_none() {
                bail!("the server closed the connection before anything was played");
            }
            self.end(End::Closed);
        }
        Ok(has_moved)
    }

    fn receive(&mut self, report: &mut Report) -> Result<bool> {
        let Self { link, destination, output, data, is_connected, is_playing, rest_until, outcome, media_at, .. } =
            self;
        let (clock, mut end) = (link.clock, None);
        let has_moved = link.receive(|event| {
            match event {
                ClientEvent::Connected => {
                    *is_connected = true;
                    report.is_legacy = destination.accepted();
                }
                ClientEvent::Playing(_) => {
                    report.link.to_media = Some(clock.until_now());
                    *is_playing = true;
                    media_at.get_or_insert((clock.now(), false));
                }
                ClientEvent::Refused(Stage::Connect, status) => {
                    destination.follow(&status)?;
                    *outcome = Some(Outcome::Again);
                }
                ClientEvent::Refused(stage, status) => return Err(refused(stage, &status)),
                ClientEvent::Status(stream, status) => match status.known() {
                    // Some servers stop what was played before.
                    Code::PlayStop if output.counts().timestamps.is_none() => {}
                    Code::PlayStop | Code::PlayComplete | Code::PlayUnpublishNotify => end = Some(End::Ended),
                    _ if is_about(stream, &status, "NetStream.Play.") => return Err(said(&status)),
                    _ => {}
                },
                ClientEvent::User(UserControlEvent::StreamEof(_)) if *is_playing => {
                    rest_until.get_or_insert(clock.now() + REST);
                }
                ClientEvent::Closed => end = Some(End::Closed),
                ClientEvent::Media(fragment) if fragment.header.kind.is_data() => {
                    if fragment.is_first() {
                        data.clear();
                    }
                    data.extend_from_slice(fragment.data);
                    // These data messages are for the player, and do not belong in the file.
                    let names = ["onStatus", "onPlayStatus", "|RtmpSampleAccess"];
                    let message = DataMessage::parse(data).filter(|_| fragment.is_last());
                    // Servers of recorded streams send this message at the end. Some do not send a status after it.
                    let complete = code::PLAY_COMPLETE.as_bytes();
                    let completes = |message: &DataMessage<'_>| {
                        message.name == "onPlayStatus"
                            && message.body.windows(complete.len()).any(|part| part == complete)
                    };
                    if message.as_ref().is_some_and(completes) {
                        end = Some(End::Ended);
                    }
                    if let Some(message) = message.filter(|message| names.iter().all(|name| message.name != **name)) {
                        end = output.write(MessageKind::DATA, fragment.header.timestamp.0, message.body)?;
                    }
                }
                ClientEvent::Media(fragment) => {
                    *media_at = Some((clock.now(), false));
                    end = output.take(&fragment)?;
                }
                _ => {}
            }
            Ok(end.is_none() && outcome.is_none())
        })?;
        end.into_iter().for_each(|end| self.end(end));
        Ok(has_moved)
    }

    /// Ends playing, and tells the server if the connection is still open.
    fn end(&mut self, end: End) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(Outcome::End(end));
        if self.link.session.close().is_ok() && !self.link.pipe.is_ended() {
            self.close_until = Some(self.link.clock.now() + CLOSE);
        }
    }
}
