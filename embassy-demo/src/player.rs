//! Playing one stream.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_net::Stack;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::command::{Code, ConnectOptions, DataMessage, PlayRequest, Status};
use embedded_rtmp::connect::Plan;
use embedded_rtmp::message::Timestamp;
use embedded_rtmp::session::{Client, ClientEvent};
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::connection::Connection;
use crate::dial::{dial, lookup};
use crate::error::{Error, Refusal};
use crate::fmt::brief;
use crate::link::{Link, Traffic};
use crate::publisher::PublishOptions;

/// What a player's owner gets.
///
/// The methods are called while the network stack is borrowed, with data that lies in the socket's ring: they must return
/// soon, and must not touch a socket or the stack (that panics).
pub trait Viewer {
    /// A piece of audio or video, or of an aggregate of them, lent from the receive ring. `offset` 0 begins a message.
    fn media(&mut self, fragment: &Fragment<'_>);

    /// A data message, `onMetaData` for one.
    fn data(&mut self, timestamp: Timestamp, message: &DataMessage<'_>) {
        let _ = (timestamp, message);
    }

    /// What else the server says about the stream.
    fn status(&mut self, status: &Status<'_>) {
        let _ = status;
    }

    /// Whether more can be taken in. While this is pending nothing is read or answered, and the server's window closes; it
    /// must wake the task later, and before the server takes the silence for death.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

/// How a stream came to its end while the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// Its publisher has gone, and may come back: [`Player::run`] again waits for that.
    Unpublished,
    /// The server has stopped it.
    Stopped,
}

/// A connection on which a stream is played.
pub struct Player<'a, const STREAMS: usize = 8> {
    connection: Connection<'a, STREAMS, 1>,
}

brief!(['a, const STREAMS: usize] Player<'a, STREAMS>, this => "Player {{ {} }}", this.connection.link.traffic);

impl<'a, const STREAMS: usize> Player<'a, STREAMS> {
    /// Goes through the port plan, and asks the server that answers for the URL's application, and to play its stream key.
    /// What it says to that is [`Self::run`]'s. As [`Publisher::connect`](crate::Publisher::connect) otherwise.
    ///
    /// # Errors
    /// The URL has no key, no attempt succeeded, or the connection was lost.
    pub async fn connect<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        url: &Url<'a>,
        plan: &mut Plan<'_>,
        options: &PublishOptions<'_>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<Self, Error> {
        let key = url.key().ok_or(Error::NoStreamKey)?;
        let (rx, tx, buffers) = memory.split();
        // Every attempt begins with entropy of its own.
        let client = Client::new(buffers, options.session, &[0; 32])?;
        let mut connection = Connection::new(Link::new(stack, rx, tx), client, options.session);
        let addresses = lookup(stack, url.host(), plan).await?;
        dial(&mut connection, url.host(), &addresses, plan, &mut entropy).await?;
        connection.link.keep_alive(options.keep_alive);
        let tc_url = url.tc_url_parts();
        let request = ConnectOptions { app: url.app(), tc_url: &tc_url, flash_ver: options.flash_ver };
        connection.client.connect(&request)?;
        connection.client.play(&PlayRequest::new(key))?;
        Ok(Self { connection })
    }

    /// Hands on what comes, until the stream or the connection ends. The future can be dropped; a new one goes on.
    ///
    /// # Errors
    /// The server refuses to let the stream be played, it broke the protocol, or the connection is over.
    pub async fn run(&mut self, viewer: &mut dyn Viewer) -> Result<End, Error> {
        let connection = &mut self.connection;
        poll_fn(|cx| {
            let (mut end, mut refusal) = (None, None);
            if viewer.poll_ready(cx).is_pending() {
                return Poll::Pending;
            }
            let result = connection.advance(&mut |event| match event {
                ClientEvent::Media(fragment) => viewer.media(&fragment),
                ClientEvent::Data { timestamp, message, .. } => viewer.data(timestamp, &message),
                ClientEvent::Refused(stage, status) => refusal = Some(Error::Refused(Refusal::new(stage, &status))),
                ClientEvent::Closed => refusal = Some(Error::Closed),
                ClientEvent::Status(_, status) => {
                    viewer.status(&status);
                    end = match status.known() {
                        Code::PlayUnpublishNotify => Some(End::Unpublished),
                        Code::PlayStop | Code::PlayComplete => Some(End::Stopped),
                        Code::PlayPublishNotify => None,
                        _ => end,
                    };
                }
                _ => {}
            });
            if let Some(refusal) = refusal {
                return Poll::Ready(Err(refusal));
            }
            match (result, end) {
                (_, Some(end)) => Poll::Ready(Ok(end)),
                (Err(error), None) => Poll::Ready(Err(error)),
                (Ok(()), None) => {
                    connection.register(false, cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Bytes that went over the TCP connection since it was opened.
    pub fn traffic(&self) -> Traffic {
        self.connection.link.traffic
    }

    /// Ends the connection at once.
    pub async fn close(mut self) {
        self.connection.reset().await;
    }
}
