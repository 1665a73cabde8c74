//! Publishes an FLV file.

mod source;

pub use source::Pace;

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use embedded_rtmp::handshake::Style;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::session::{ClientConfig, ClientEvent};
use embedded_rtmp::time::Instant;
use serde_json::{Value, json};

use crate::counts::Counts;
use crate::flv::Reader;
use crate::net::{Clock, Dialler, Link, LinkReport, StreamUrl, Way, is_about, refused, said};
use source::Source;

/// The time that the server has to acknowledge the end.
const CLOSE: Duration = Duration::from_secs(2);

/// The longest time in which the server reads nothing while bytes wait to be sent.
const STALL: Duration = Duration::from_secs(30);

/// How to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// The order in which targets are tried.
    pub way: Way,
    /// When tags are sent.
    pub pace: Pace,
    /// The handshake that the client begins with.
    pub style: Style,
    /// The size of the chunks that are sent, in bytes.
    pub chunk_size: u32,
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
    /// Whether the server has acknowledged the end.
    pub acknowledged: bool,
    /// What is wrong with the file.
    pub notices: Vec<String>,
}

impl Report {
    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let mut report = self.link.to_json("to_publishing_ms");
        report["sent"] = self.counts.to_json();
        report["last_timestamp"] = self.timestamp.into();
        report["tcp_bytes"] = json!({"received": self.traffic.0, "sent": self.traffic.1});
        report["acknowledged"] = self.acknowledged.into();
        report["notices"] = self.notices.clone().into();
        report
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The request to publish is sent.
    Asking,
    Publishing(StreamId),
    /// The end of the stream is sent. The server has until this time to acknowledge it.
    Closing(Instant),
    Done,
}

struct Publisher<'s, R> {
    link: Link,
    source: &'s mut Source<R>,
    phase: Phase,
    /// When something was last received or sent.
    moved_at: Instant,
}

/// Publishes the tags of `reader` as `stream`. `report` is kept up to date, and `progress` is called with it
/// after each step.
///
/// # Errors
/// There is no connection, the server refuses, the connection breaks, or the file has a tag that cannot be sent. The
/// report says how much was sent.
pub fn publish<R: Read>(
    reader: Reader<R>,
    stream: &StreamUrl,
    options: Options,
    report: &mut Report,
    progress: &mut dyn FnMut(&Report),
) -> Result<()> {
    let clock = Clock::new();
    let url = stream.url()?;
    let mut config = ClientConfig::new();
    (config.handshake, config.chunk_size) = (options.style, options.chunk_size);
    let mut dialler = Dialler::new(url.host(), &options.way.targets, options.way.limits, config, clock)?;
    let mut source = Source::new(reader, options.pace);
    loop {
        let mut link = Link::connect(&mut dialler, &url, clock, &mut report.link)?;
        link.session.publish(&stream.key)?;
        let source = &mut source;
        let mut publisher = Publisher { link, source, phase: Phase::Asking, moved_at: clock.now() };
        let result = publisher.run(report, progress);
        publisher.fill_in(report);
        if result.is_ok() || publisher.link.has_heard {
            result?;
            break;
        }
        // A firewall lets only the handshake through. Another port may be better.
        dialler.cut_off(publisher.link.session);
    }
    source.error().map_or(Ok(()), Err)
}

impl<R: Read> Publisher<'_, R> {
    fn run(&mut self, report: &mut Report, progress: &mut dyn FnMut(&Report)) -> Result<()> {
        while !matches!(self.phase, Phase::Done) {
            let has_moved = self.step(report)?;
            self.fill_in(report);
            progress(report);
            if has_moved {
                self.moved_at = self.link.clock.now();
            } else {
                let deadline = self.check_deadlines()?;
                self.link.wait(deadline.map_or(STALL, |deadline| self.link.clock.until(deadline)).min(STALL))?;
            }
        }
        self.link.close_tunnel();
        Ok(())
    }

    /// Does all work that is possible now. Returns whether there was any.
    fn step(&mut self, report: &mut Report) -> Result<bool> {
        let mut has_moved = self.receive(report)?;
        has_moved |= self.send()?;
        if matches!(self.phase, Phase::Publishing(_)) && self.source.is_ended() {
            self.link.session.close()?;
            self.phase = Phase::Closing(self.link.clock.now() + CLOSE);
            has_moved = true;
        }
        if self.link.is_ended() {
            match self.phase {
                // The server has seen the end and closed the connection. Or it had closed before, and resets the
                // connection when it receives the rest.
                Phase::Closing(_) if self.link.pipe.was_taken() => self.phase = Phase::Done,
                Phase::Closing(_) => bail!("the server closed the connection before it had taken everything"),
                Phase::Asking => bail!("the server closed the connection before it let anything be published"),
                _ => bail!("the server closed the connection"),
            }
        }
        Ok(has_moved)
    }

    fn receive(&mut self, report: &mut Report) -> Result<bool> {
        let (phase, clock) = (&mut self.phase, self.link.clock);
        self.link.receive(|event| {
            match event {
                ClientEvent::Publishing(stream) => {
                    report.link.to_media = Some(clock.until_now());
                    *phase = Phase::Publishing(stream);
                }
                ClientEvent::Refused(stage, status) => return Err(refused(stage, &status)),
                ClientEvent::Status(stream, status) if is_about(stream, &status, "NetStream.Publish.") => {
                    return Err(said(&status));
                }
                ClientEvent::Unpublished => {
                    report.acknowledged = true;
                    *phase = Phase::Done;
                }
                ClientEvent::Closed if !matches!(phase, Phase::Closing(_)) => bail!("the server closed the connection"),
                _ => {}
            }
            Ok(true)
        })
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
            bail!("the server has taken nothing for {} s", STALL.as_secs());
        }
        let due = match self.phase {
            Phase::Closing(deadline) if deadline <= now => {
                self.phase = Phase::Done;
                Some(now)
            }
            Phase::Closing(deadline) => Some(deadline),
            Phase::Publishing(_) if !has_output => self.source.due(),
            _ => None,
        };
        Ok([timeout, stall, due].into_iter().flatten().min())
    }

    fn fill_in(&self, report: &mut Report) {
        report.counts = self.source.counts;
        report.timestamp = self.source.timestamp;
        report.notices.clone_from(&self.source.notices);
        report.link.elapsed = self.link.clock.until_now();
        report.traffic = self.link.pipe.traffic();
    }
}
