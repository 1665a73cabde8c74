//! The next connection of a publisher that the server has asked to connect again.

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Result, bail};
use embedded_rtmp::amf0::Token;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::session::{ClientConfig, ClientEvent, Stage};
use embedded_rtmp::time::Instant;

use super::{LOOK, Options};
use crate::flv::EnhancedCodecs;
use crate::net::{Clock, Destination, Dialler, Link, LinkReport};

/// A connection with a message stream on which nothing is published yet.
pub(super) struct Next {
    pub(super) link: Link,
    pub(super) destination: Destination,
    pub(super) stream: StreamId,
    pub(super) report: LinkReport,
    /// When it was ready.
    pub(super) since: Instant,
}

/// The state of the next connection.
#[derive(Default)]
pub(super) enum Prepared {
    /// There is none.
    #[default]
    No,
    UnderWay(Receiver<Result<Next>>),
    Ready(Box<Next>),
}

/// Prepares a connection in a thread: handshake, `connect` and `createStream`. Redirects and challenges are followed.
pub(super) fn prepare(destination: Destination, options: Options, config: ClientConfig, clock: Clock) -> Prepared {
    let (sender, receiver) = channel();
    // If the publisher does not wait any longer, the connection is closed.
    thread::spawn(move || _ = sender.send(connect(destination, &options, config, clock)));
    Prepared::UnderWay(receiver)
}

fn connect(mut destination: Destination, options: &Options, config: ClientConfig, clock: Clock) -> Result<Next> {
    loop {
        let target = destination.stream().clone();
        let url = target.url()?;
        let way = options.order.for_url(&url);
        let mut dialler = Dialler::new(url.host(), &way.targets, way.limits, config, &options.tls, clock)?;
        let mut report = LinkReport::default();
        let mut link = Link::connect(&mut dialler, &url, destination.properties(), clock, &mut report)?;
        if let Some(stream) = create_stream(&mut link, &mut destination, &options.codecs)? {
            return Ok(Next { link, destination, stream, report, since: clock.now() });
        }
    }
}

/// Creates a message stream. Returns `None` if the client must connect again: the server has sent it elsewhere, or may
/// accept it without the announcement of Enhanced RTMP.
fn create_stream(link: &mut Link, destination: &mut Destination, codecs: &EnhancedCodecs) -> Result<Option<StreamId>> {
    let (mut is_connected, mut call, mut created, mut is_elsewhere) = (false, None, None, false);
    while !is_elsewhere {
        let received = link.receive(|event| {
            match event {
                ClientEvent::Connected => {
                    destination.accepted();
                    codecs.all().try_for_each(|codec| destination.check(codec))?;
                    is_connected = true;
                }
                ClientEvent::Refused(Stage::Connect, status) => {
                    destination.follow(&status)?;
                    is_elsewhere = true;
                    return Ok(false);
                }
                ClientEvent::Answer { transaction, succeeded, mut values } if Some(transaction) == call => {
                    while let (true, Some(value)) = (succeeded, values.next_token()?) {
                        if let Token::Number(_) = value {
                            created = value.as_u32().map(StreamId);
                        }
                    }
                    if created.is_none() {
                        bail!("the server creates no message stream");
                    }
                }
                ClientEvent::Closed => bail!("the server closed the connection"),
                _ => {}
            }
            Ok(true)
        });
        let moved = received.and_then(|received| Ok(link.send()? | received));
        if !is_connected && link.is_cut(&moved) && destination.closed() {
            return Ok(None);
        }
        let has_moved = moved?;
        if created.is_some() {
            return Ok(created);
        }
        if is_connected && call.is_none() {
            call = Some(link.session.call("createStream", &[])?);
        }
        if !has_moved {
            if link.is_ended() {
                bail!("the server closed the connection");
            }
            link.handle_timeout()?;
            link.wait(LOOK)?;
        }
    }
    Ok(None)
}
