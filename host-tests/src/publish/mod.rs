//! Publishes an FLV file.

mod source;

pub use source::Pace;

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use embedded_rtmp::amf0::Token;
use embedded_rtmp::command::ReconnectRequest;
use embedded_rtmp::handshake::Style;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::session::{ClientConfig, ClientEvent, Stage};
use embedded_rtmp::time::Instant;
use serde_json::{Value, json};

use crate::counts::Counts;
use crate::flv::{EnhancedCodecs, Reader};
use crate::net::{
    Clock, Destination, Dialler, Leaving, Link, LinkReport, Next, OrderArguments, Prepared, Route, StreamUrl,
    TlsArguments, is_about, no_other_connection, not_followed, refused, run_until, said,
};
use source::Source;

/// The time that the server has to acknowledge the end with a status. After that, it is enough that TCP has acknowledged
/// everything.
const CLOSE: Duration = Duration::from_secs(2);

/// The longest time for which the server may read nothing while bytes wait to be sent. Also the time after the end in which
/// TCP must acknowledge everything.
const STALL: Duration = Duration::from_secs(10);

/// How often the user's wish to stop and the acknowledgements of TCP are checked.
const LOOK: Duration = Duration::from_millis(100);

/// How long a publisher that was asked to connect again waits for a keyframe after the next connection is ready. After that,
/// it continues there with the next tag.
const KEYFRAME: Duration = Duration::from_secs(10);

/// How to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// The order in which targets are tried.
    pub order: OrderArguments,
    /// The options for verifying a server inside TLS.
    pub tls: TlsArguments,
    /// When tags are sent.
    pub pace: Pace,
    /// The handshake that the client begins with.
    pub style: Style,
    /// The size of the chunks that are sent, in bytes.
    pub chunk_size: u32,
    /// What `connect` announces of Enhanced RTMP.
    pub codecs: EnhancedCodecs,
}

/// The state while publishing, and at the end.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The connection.
    pub link: LinkReport,
    /// What has been sent.
    pub counts: Counts,
    /// The timestamp of the last tag that was begun, in ms.
    pub timestamp: u32,
    /// The bytes received and sent on the TCP connection.
    pub traffic: (u64, u64),
    /// How often it has continued on another connection, because the server has asked for it.
    pub reconnects: u32,
    /// Whether the server refuses the announcement of Enhanced RTMP.
    pub is_legacy: bool,
    /// Whether the server has acknowledged the end with a status.
    pub acknowledged: bool,
    /// Whether the server has acknowledged the end with a status, or has closed the connection after the end.
    pub confirmed: bool,
    /// The sent bytes that TCP has acknowledged. `None` in a tunnel, or if the system cannot tell.
    pub tcp_acknowledged: Option<u64>,
    /// The sent bytes that RTMP has acknowledged, modulo 2^32. `None` if the server has acknowledged nothing.
    pub rtmp_acknowledged: Option<u32>,
    /// The faults of the file, and the gaps of its timestamps.
    pub notices: Vec<String>,
}

impl Report {
    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let mut report = self.link.to_json("to_publishing_ms");
        report["sent"] = self.counts.to_json();
        report["last_timestamp"] = self.timestamp.into();
        report["tcp_bytes"] = json!({"received": self.traffic.0, "sent": self.traffic.1});
        report["reconnects"] = self.reconnects.into();
        report["legacy_server"] = self.is_legacy.into();
        report["acknowledged"] = self.acknowledged.into();
        report["confirmed"] = self.confirmed.into();
        report["tcp_acknowledged"] = self.tcp_acknowledged.into();
        report["rtmp_acknowledged"] = self.rtmp_acknowledged.into();
        report["notices"] = self.notices.clone().into();
        report
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The request to publish is sent.
    Asking,
    Publishing(StreamId),
    /// The end of the stream is sent, because it continues on the next connection when everything is written, or at this
    /// time.
    Leaving(Instant),
    /// The end of the stream is sent. `by` is the deadline for its acknowledgement by a status. `media` is the number of
    /// bytes before it.
    Closing {
        by: Instant,
        media: u64,
    },
    Done,
    /// The publisher must connect again, because the destination or the announcement has changed.
    Again,
}

struct Publisher<'s, R> {
    link: Link,
    destination: &'s mut Destination,
    source: &'s mut Source<R>,
    options: &'s Options,
    config: ClientConfig,
    /// The next connection, if the server has asked for one, with a message stream on which nothing is published yet.
    prepared: Prepared<0, StreamId>,
    /// The previous connection.
    old: Option<Leaving<0>>,
    /// Whether this connection continues the stream of another one.
    is_continued: bool,
    /// Whether the server has accepted `connect`.
    is_connected: bool,
    phase: Phase,
    /// When something was last received or sent.
    moved_at: Instant,
}

/// Publishes the tags of `reader` as `stream`, until they end or `stop` is set. It follows redirects and answers challenges. If
/// the server asks for it, it connects again, and continues on the new connection with the next keyframe.
/// After each step, `report` is updated and `progress` is called with it.
///
/// # Errors
/// There is no connection, the server refuses, the connection breaks, or the file has a tag that cannot be sent. The
/// report says how much was sent.
pub fn publish<R: Read>(
    reader: Reader<R>,
    stream: &StreamUrl,
    options: Options,
    stop: &AtomicBool,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let clock = Clock::new();
    let mut config = ClientConfig::new();
    (config.handshake, config.chunk_size) = (options.style, options.chunk_size);
    let mut source = Source::new(reader, options.pace);
    let first = stream;
    let codecs = &options.codecs;
    let announced = |stream: &StreamUrl| Destination::new(stream, codecs.properties(), !codecs.is_empty());
    let mut destination = announced(first);
    'destinations: loop {
        let stream = destination.stream().clone();
        let url = stream.url()?;
        let way = options.order.for_url(&url);
        let mut dialler = Dialler::new(url.host(), &way.targets, way.limits, config, &options.tls, clock)?;
        loop {
            let mut link = Link::connect(&mut dialler, &url, destination.properties(), clock, &mut report.link)?;
            link.session.publish(&stream.key)?;
            let mut publisher = Publisher {
                link,
                destination: &mut destination,
                source: &mut source,
                options: &options,
                config,
                prepared: Prepared::No,
                old: None,
                is_continued: false,
                is_connected: false,
                phase: Phase::Asking,
                moved_at: clock.now(),
            };
            let result = publisher.run(stop, report, progress);
            publisher.fill_in(report);
            if matches!(publisher.phase, Phase::Again) {
                continue 'destinations;
            }
            if publisher.is_continued
                && matches!(publisher.phase, Phase::Asking)
                && let Err(error) = &result
            {
                source.note(format!("the next server does not let us publish, so we connect again: {error:#}"));
                destination = announced(first);
                continue 'destinations;
            }
            if result.is_ok() || publisher.link.has_heard {
                result?;
                break 'destinations;
            }
            // A firewall passes only the handshake. Another port may pass more.
            dialler.cut_off(publisher.link.session);
            destination.use_other_port();
        }
    }
    source.error().map_or(Ok(()), Err)
}

impl<R: Read> Publisher<'_, R> {
    fn run(&mut self, stop: &AtomicBool, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<()> {
        while !matches!(self.phase, Phase::Done | Phase::Again) {
            if stop.load(Ordering::Relaxed) {
                match self.phase {
                    Phase::Asking if !self.is_continued => bail!("stopped before anything was published"),
                    _ => self.source.stop(),
                }
            }
            let has_moved = self.step(report)?;
            self.fill_in(report);
            progress(report);
            if has_moved {
                self.moved_at = self.link.clock.now();
            } else {
                let deadline = self.check_deadlines()?;
                self.link.wait(deadline.map_or(LOOK, |deadline| self.link.clock.until(deadline)).min(LOOK))?;
            }
        }
        self.link.close_tunnel();
        Ok(())
    }

    /// Does all work that is possible now. Returns whether there was any.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        self.old.take_if(|old| old.is_over());
        if let Phase::Leaving(until) = self.phase {
            return self.leave(until, report);
        }
        if self.advance_next() {
            return Ok(true);
        }
        let moved = self.receive(report).and_then(|received| Ok(received | self.send()?));
        if matches!(self.phase, Phase::Asking) && self.link.is_cut(&moved) && self.may_omit_announcement() {
            self.phase = Phase::Again;
            return Ok(true);
        }
        let mut has_moved = match (moved, self.phase) {
            // The server has reset the connection instead of closing it, but everything had arrived.
            (Err(_), Phase::Closing { media, .. }) if self.link.pipe.acknowledged() >= Some(media) => {
                self.phase = Phase::Done;
                return Ok(true);
            }
            (moved, _) => moved?,
        };
        if matches!(self.phase, Phase::Publishing(_)) && self.source.is_ended() {
            let media = self.link.pipe.written();
            self.link.session.close()?;
            self.phase = Phase::Closing { by: self.link.clock.now() + CLOSE, media };
            has_moved = true;
        }
        if self.link.is_ended() {
            match self.phase {
                // The server has seen the end and closed the connection. Or it had closed before, and resets the
                // connection when it receives the rest.
                Phase::Closing { .. } if self.link.pipe.was_taken() => {
                    (self.phase, report.confirmed) = (Phase::Done, true);
                }
                Phase::Closing { .. } => bail!("the server closed the connection before it had taken everything"),
                Phase::Asking => bail!("the server closed the connection before it let anything be published"),
                _ => bail!("the server closed the connection"),
            }
        }
        Ok(has_moved)
    }

    /// Prepares the next connection, if the server has asked for one. When the next keyframe is due, ends the stream on this
    /// connection. Returns whether it has ended it.
    fn advance_next(&mut self) -> bool {
        let now = self.link.clock.now();
        let mut polled = self.prepared.poll();
        match &mut self.prepared {
            Prepared::No if polled.is_ok() => return false,
            Prepared::UnderWay(_) => return false,
            Prepared::Ready(next) => polled = polled.and_then(|()| keep(&mut next.link)),
            Prepared::No => {}
        }
        if let Err(error) = polled {
            self.source.note(no_other_connection(&error));
            self.prepared = Prepared::No;
        }
        let since = if let Prepared::Ready(next) = &self.prepared { Some(next.since) } else { None };
        self.source.hold(since.is_some(), since.is_some_and(|since| now >= since + KEYFRAME));
        if !matches!(self.phase, Phase::Publishing(_))
            || !self.source.is_held(now)
            || self.link.session.close().is_err()
        {
            return false;
        }
        self.phase = Phase::Leaving(now + STALL);
        true
    }

    /// Sends the rest of the old connection, then asks to publish on the next one.
    fn leave(&mut self, until: Instant, report: &mut Report) -> Result<bool> {
        let now = self.link.clock.now();
        let moved = self.link.receive(|_| Ok(true)).and_then(|received| Ok(self.link.send()? | received));
        let is_written = !self.link.session.wants_transmit() && !self.link.pipe.has_output();
        let is_over = moved.is_err() || self.link.is_ended() || now >= until;
        if !is_written && !is_over {
            return Ok(moved.unwrap_or(false));
        }
        let Prepared::Ready(next) = std::mem::take(&mut self.prepared) else { bail!("the next connection is gone") };
        let Next { link, destination, prepared: stream, report: link_report, .. } = *next;
        self.old = Some(Leaving::new(std::mem::replace(&mut self.link, link)));
        (*self.destination, report.link, self.phase) = (destination, link_report, Phase::Asking);
        (self.is_connected, self.is_continued) = (true, true);
        report.reconnects += 1;
        self.source.hold(false, false);
        self.link.session.publish_on(stream, &["", &self.destination.stream().key, ""])?;
        Ok(true)
    }

    /// Prepares a connection to the application that the server names.
    fn reconnect(&mut self, url: Option<&str>) {
        if !matches!((&self.prepared, self.phase), (Prepared::No, Phase::Publishing(_))) {
            return;
        }
        match self.destination.reconnect(url) {
            Ok(destination) => {
                let Options { order, tls, codecs, .. } = self.options.clone();
                let route = Route { order, tls, config: self.config, codecs: codecs.all().collect() };
                let clock = self.link.clock;
                self.prepared = Prepared::begin(destination, route, clock, |link, _| create_stream(link));
            }
            Err(error) => self.source.note(not_followed(&error)),
        }
    }

    /// Whether the server may have closed the connection because of the announcement of Enhanced RTMP.
    fn may_omit_announcement(&mut self) -> bool {
        !self.is_connected && self.destination.closed()
    }

    fn receive(&mut self, report: &mut Report) -> Result<bool> {
        let (phase, destination, clock) = (&mut self.phase, &mut self.destination, self.link.clock);
        let (is_connected, codecs) = (&mut self.is_connected, &self.options.codecs);
        let mut asked = None;
        let source = &mut *self.source;
        let received = self.link.receive(|event| {
            match event {
                ClientEvent::Connected => {
                    (*is_connected, report.is_legacy) = (true, destination.accepted());
                    codecs.all().try_for_each(|codec| destination.check(codec))?;
                }
                ClientEvent::Publishing(stream) => {
                    report.link.to_media = Some(clock.until_now());
                    source.resume();
                    *phase = Phase::Publishing(stream);
                }
                ClientEvent::Refused(Stage::Connect, status) => {
                    destination.follow(&status)?;
                    *phase = Phase::Again;
                    return Ok(false);
                }
                ClientEvent::Refused(stage, status) => return Err(refused(stage, &status)),
                ClientEvent::Status(stream, status) if is_about(stream, &status, "NetStream.Publish.") => {
                    return Err(said(&status));
                }
                ClientEvent::Status(_, status) => {
                    if let Some(request) = ReconnectRequest::of(&status) {
                        asked = Some(request.tc_url.map(|url| url.to_string()));
                    }
                }
                ClientEvent::Unpublished => {
                    (report.acknowledged, report.confirmed) = (true, true);
                    *phase = Phase::Done;
                }
                ClientEvent::Closed if !matches!(phase, Phase::Closing { .. }) => {
                    bail!("the server closed the connection")
                }
                _ => {}
            }
            Ok(true)
        });
        if let Some(url) = asked {
            self.reconnect(url.as_deref());
        }
        received
    }

    fn send(&mut self) -> Result<bool> {
        let Phase::Publishing(stream) = self.phase else { return self.link.send() };
        let (now, source, Link { session, pipe, .. }) = (self.link.clock.now(), &mut *self.source, &mut self.link);
        let sent = pipe.send(|out| match session.poll_transmit(now, out) {
            0 => source.fill(session, stream, now, out),
            filled => filled,
        });
        sent.context("the connection broke")
    }

    /// Ends the connection if a time limit has expired. Returns when to check again at the latest.
    fn check_deadlines(&mut self) -> Result<Option<Instant>> {
        let (now, has_output) = (self.link.clock.now(), self.link.pipe.has_output());
        let timeout = self.link.handle_timeout()?;
        let stall = has_output.then_some(self.moved_at + STALL);
        if stall.is_some_and(|stall| stall <= now) {
            bail!("the server has read nothing for {} s: {}", STALL.as_secs(), self.acknowledgements());
        }
        let due = match self.phase {
            Phase::Closing { by, .. } if by <= now => {
                let pipe = &self.link.pipe;
                if !has_output && pipe.acknowledged().is_none_or(|acknowledged| acknowledged == pipe.traffic().1) {
                    self.phase = Phase::Done;
                    return Ok(Some(now));
                }
                let limit = by + (STALL - CLOSE);
                if limit <= now {
                    bail!(
                        "TCP has not acknowledged everything after {} s: {}",
                        STALL.as_secs(),
                        self.acknowledgements()
                    );
                }
                Some(limit)
            }
            Phase::Closing { by, .. } => Some(by),
            Phase::Publishing(_) if !has_output => self.source.due(),
            _ => None,
        };
        Ok([timeout, stall, due].into_iter().flatten().min())
    }

    /// The figures for an error message.
    fn acknowledgements(&self) -> String {
        let Link { session, pipe, .. } = &self.link;
        let text = |number: Option<u64>| number.map_or("an unknown number".into(), |number| number.to_string());
        let (tcp, rtmp) = (text(pipe.acknowledged()), text(session.acknowledged().map(u64::from)));
        format!("of {} bytes, TCP has acknowledged {tcp} and RTMP {rtmp}", pipe.written())
    }

    fn fill_in(&self, report: &mut Report) {
        report.tcp_acknowledged = self.link.pipe.acknowledged();
        report.rtmp_acknowledged = self.link.session.acknowledged();
        report.counts = self.source.counts;
        report.timestamp = self.source.timestamp;
        report.notices.clone_from(&self.source.notices.listed);
        report.link.elapsed = self.link.clock.until_now();
        report.traffic = self.link.pipe.traffic();
    }
}

/// Keeps a connection on which nothing is published.
fn keep(link: &mut Link) -> Result<()> {
    link.receive(|event| match event {
        ClientEvent::Closed => bail!("the server closed the connection"),
        _ => Ok(true),
    })?;
    link.send()?;
    link.handle_timeout()?;
    if link.is_ended() {
        bail!("the server closed the connection");
    }
    Ok(())
}

/// Creates a message stream.
fn create_stream(link: &mut Link) -> Result<StreamId> {
    let call = link.session.call("createStream", &[])?;
    run_until(link, |event| {
        let ClientEvent::Answer { transaction, succeeded, mut values } = event else { return Ok(None) };
        if transaction != call {
            return Ok(None);
        }
        let mut created = None;
        while let (true, Some(value)) = (succeeded, values.next_token()?) {
            if let Token::Number(_) = value {
                created = value.as_u32().map(StreamId);
            }
        }
        created.map(Some).ok_or_else(|| anyhow!("the server creates no message stream"))
    })
}
