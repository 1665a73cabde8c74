//! Publishing one stream.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use embassy_net::Stack;
use embassy_sync::waitqueue::WakerRegistration;
use embedded_rtmp::command::{ConnectOptions, Status, code};
use embedded_rtmp::connect::Plan;
use embedded_rtmp::message::{Kind, StreamId};
use embedded_rtmp::session::{self, Buffers, Client, ClientConfig, ClientEvent, Stage};
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::connection::Connection;
use crate::dial::{dial, lookup, until};
use crate::error::{Error, Refusal};
use crate::fmt::brief;
use crate::link::{KeepAlive, Link, Traffic, clock};
use crate::sender::{Sender, Slot};

/// How long the server's FIN may take after it has acknowledged ours.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How to publish.
#[derive(Debug, Clone, Copy)]
pub struct PublishOptions<'o> {
    /// What the client calls itself. Servers know names that begin with `FMLE/` as encoders.
    pub flash_ver: &'o str,
    /// When a silent peer counts as gone.
    pub keep_alive: KeepAlive,
    /// How the session behaves.
    pub session: ClientConfig,
}

brief!(
    ['o] PublishOptions<'o>,
    this => "PublishOptions {{ keep_alive: {}, session: {} }}", this.keep_alive, this.session
);

impl Default for PublishOptions<'_> {
    fn default() -> Self {
        Self { flash_ver: ConnectOptions::FLASH_VER, keep_alive: KeepAlive::DEFAULT, session: ClientConfig::default() }
    }
}

/// A connection on which a stream is being published.
///
/// Dropping it takes the socket away without a word to the server, which then learns of it by its own timeouts;
/// [`Self::close`] ends the stream in good order.
pub struct Publisher<'a, const STREAMS: usize = 8> {
    pub(crate) inner: RefCell<Inner<'a, STREAMS>>,
}

brief!(['a, const STREAMS: usize] Publisher<'a, STREAMS>, this => "Publisher {{ {} }}", this.traffic());

/// What the handles share. Every change of it is made in a synchronous call.
pub(crate) struct Inner<'a, const STREAMS: usize> {
    pub(crate) connection: Connection<'a, STREAMS>,
    pub(crate) stream: StreamId,
    /// In the order of their precedence: audio, data, video.
    pub(crate) slots: [Slot; 3],
    pub(crate) runner: WakerRegistration,
    /// How long the server may leave unacknowledged what was sent to it.
    lost_after: Duration,
    /// Why the session is over, once it is.
    pub(crate) failed: Option<Error>,
}

/// The handles of a [`Publisher`]. They may be used in different tasks of one executor.
pub struct Parts<'p, 'a, const STREAMS: usize = 8> {
    /// Must run all the while: nothing is received, and no waiting frame goes on, without it.
    pub runner: Runner<'p, 'a, STREAMS>,
    /// Sends audio, before the others: it passes between the chunks of a large video frame.
    pub audio: Sender<'p, 'a, STREAMS>,
    /// Sends data messages, `@setDataFrame` with the metadata first of all.
    pub data: Sender<'p, 'a, STREAMS>,
    /// Sends video.
    pub video: Sender<'p, 'a, STREAMS>,
}

brief!(
    ['p, 'a, const STREAMS: usize] Parts<'p, 'a, STREAMS>,
    this => "Parts {{ audio: {}, data: {}, video: {} }}", this.audio, this.data, this.video
);

impl<'a, const STREAMS: usize> Publisher<'a, STREAMS> {
    /// Goes through the port plan, connects to the URL's application and asks to publish its stream key.
    ///
    /// `plan` decides which ports are tried, for how long, and knows afterwards what came of each, whether this
    /// succeeds or not: [`Plan::reports`]. It should allow one attempt at once
    /// ([`Limits::SEQUENTIAL`](embedded_rtmp::connect::Limits::SEQUENTIAL)), since there is one socket; what it starts
    /// beside that fails as `Local`. `entropy` gives 32 fresh random bytes for each attempt.
    ///
    /// Dropping the future gives up; the socket goes with it.
    ///
    /// # Errors
    /// The URL has no key, no attempt succeeded, the server refused or broke the protocol, or the connection was lost.
    pub async fn connect<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        url: &Url<'a>,
        plan: &mut Plan<'_>,
        options: &PublishOptions<'_>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<Self, Error> {
        let mut publisher = Self::new(stack, memory.split(), options.session)?;
        publisher.open(url, plan, options, &mut entropy).await?;
        Ok(publisher)
    }

    /// A publisher that is not connected.
    pub(crate) fn new(
        stack: Stack<'a>,
        (rx, tx, buffers): (&'a mut [u8], &'a mut [u8], Buffers<'a>),
        session: ClientConfig,
    ) -> Result<Self, Error> {
        // Every attempt begins with entropy of its own.
        let client = Client::new(buffers, session, &[0; 32])?;
        Ok(Self::over(Connection::new(Link::new(stack, rx, tx), client, session)))
    }

    /// A publisher over a connection, on which nothing is published.
    pub(crate) fn over(connection: Connection<'a, STREAMS>) -> Self {
        let inner = Inner {
            connection,
            stream: StreamId::CONNECTION,
            slots: [Kind::AUDIO, Kind::DATA, Kind::VIDEO].map(Slot::new),
            runner: WakerRegistration::new(),
            lost_after: Duration::ZERO,
            failed: Some(Error::Closed),
        };
        Self { inner: RefCell::new(inner) }
    }

    /// Connects a publisher that is not connected, or not any more, in its own memory.
    pub(crate) async fn open(
        &mut self,
        url: &Url<'a>,
        plan: &mut Plan<'_>,
        options: &PublishOptions<'_>,
        entropy: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<(), Error> {
        url.key().ok_or(Error::NoStreamKey)?;
        let inner = self.inner.get_mut();
        let connection = &mut inner.connection;
        let addresses = lookup(connection.link.stack, url.host(), plan).await?;
        let stream = loop {
            dial(connection, url.host(), &addresses, plan, entropy).await?;
            match connection.publish(url, options).await {
                Ok(stream) => break stream,
                Err(error) => {
                    // The socket may go now: the server is to learn of it.
                    connection.reset().await;
                    if !may_be_cut_off(&error) || connection.was_answered() {
                        return Err(error);
                    }
                    plan.report_cut_off(clock());
                }
            }
        };
        inner.begin(stream, options);
        Ok(())
    }

    /// The handles for sending, and the runner, which must run while they are used.
    pub fn split(&mut self) -> Parts<'_, 'a, STREAMS> {
        let [audio, data, video] = [0, 1, 2].map(|slot| Sender::new(&self.inner, slot));
        Parts { runner: Runner { inner: &self.inner }, audio, data, video }
    }

    /// Bytes that went over the TCP connection since it was opened.
    pub fn traffic(&self) -> Traffic {
        self.inner.borrow().connection.link.traffic
    }

    /// Ends the stream (`FCUnpublish`, `deleteStream`), then the connection, and waits until the server has acknowledged
    /// all of it, at most as long as the keep-alive's timeout, and for 2 more seconds until it has closed its side, too.
    /// Where a frame is half sent, the connection is reset instead.
    ///
    /// # Errors
    /// The session was over before, a frame is half sent, or not all that was sent is known to have arrived.
    pub async fn close(&mut self) -> Result<(), Error> {
        let Inner { connection, slots, failed, lost_after, .. } = self.inner.get_mut();
        let unfinished = slots.iter().any(Slot::is_open).then_some(Error::Unfinished);
        let result = match failed.or(unfinished) {
            None => connection.unpublish(*lost_after).await,
            Some(error) => Err(error),
        };
        let result = match result {
            Ok(()) => connection.finish(*lost_after).await,
            error => error,
        };
        connection.reset().await;
        *failed = Some(result.err().unwrap_or(Error::Closed));
        result
    }
}

impl<'a, const STREAMS: usize> Connection<'a, STREAMS> {
    /// Ends the stream, and waits until that is in the send ring.
    async fn unpublish(&mut self, lost_after: Duration) -> Result<(), Error> {
        self.client.close()?;
        let sent = until(clock() + lost_after, |cx| match self.advance(&mut |_| {}) {
            // The server may be the quicker one.
            Ok(()) | Err(Error::Closed) if !self.client.wants_transmit() && self.tunnel.is_settled() => {
                Poll::Ready(Ok(()))
            }
            Ok(()) => {
                self.register(false, cx);
                Poll::Pending
            }
            error => Poll::Ready(error),
        });
        sent.await.unwrap_or(Err(Error::Lost))
    }

    /// Closes the connection, and waits until the server has all that was sent, then for it to close its side.
    async fn finish(&mut self, lost_after: Duration) -> Result<(), Error> {
        self.tunnel.close();
        if self.tunnel.is_some() {
            until(clock() + CLOSE_LIMIT, |cx| match self.advance(&mut |_| {}) {
                Ok(()) if !self.tunnel.is_closed() => {
                    self.register(false, cx);
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            })
            .await;
        }
        self.link.close();
        let sent = until(clock() + lost_after, |cx| self.link.poll_sent(cx)).await;
        sent.unwrap_or(Err(Error::Lost))?;
        until(clock() + CLOSE_LIMIT, |cx| self.link.poll_over(cx)).await;
        Ok(())
    }

    /// Asks to publish, and waits for the server's yes or no.
    pub(crate) async fn publish(&mut self, url: &Url<'a>, options: &PublishOptions<'_>) -> Result<StreamId, Error> {
        self.link.keep_alive(options.keep_alive);
        let tc_url = url.tc_url_parts();
        let request = ConnectOptions { app: url.app(), tc_url: &tc_url, flash_ver: options.flash_ver };
        self.client.connect(&request)?;
        self.client.publish(url.key().ok_or(Error::NoStreamKey)?)?;
        self.published().await
    }

    /// Waits for the server's yes or no.
    async fn published(&mut self) -> Result<StreamId, Error> {
        let mut answer = None;
        poll_fn(|cx| {
            let result = self.advance(&mut |event| match event {
                ClientEvent::Publishing(stream) => answer = Some(Ok(stream)),
                ClientEvent::Refused(stage, status) => answer = Some(Err(Error::Refused(Refusal::new(stage, &status)))),
                ClientEvent::Closed => answer = Some(Err(Error::Closed)),
                _ => {}
            });
            match (answer.take(), result) {
                (Some(answer), _) => Poll::Ready(answer),
                (None, Err(error)) => Poll::Ready(Err(error)),
                (None, Ok(())) => {
                    self.register(false, cx);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Whether that is how a firewall which lets the handshake through and nothing else shows.
pub(crate) fn may_be_cut_off(error: &Error) -> bool {
    matches!(error, Error::Closed | Error::Lost | Error::Session(session::Error::TimedOut(_)))
}

/// Whether the server says that it takes no more: it has ended the stream, or found fault with it. Other news, bad ones
/// too, may mean anything.
fn ends_publishing(status: &Status<'_>) -> bool {
    let code = status.code.as_bytes();
    code == code::UNPUBLISH_SUCCESS.as_bytes() || (status.is_error() && code.starts_with(b"NetStream.Publish."))
}

/// Receives, answers pings, keeps the time, and wakes senders when there is room.
pub struct Runner<'p, 'a, const STREAMS: usize = 8> {
    inner: &'p RefCell<Inner<'a, STREAMS>>,
}

brief!(['p, 'a, const STREAMS: usize] Runner<'p, 'a, STREAMS>, _ => "Runner");

impl<const STREAMS: usize> Runner<'_, '_, STREAMS> {
    /// Runs until the session is over, and says why. It can be dropped and begun again.
    pub async fn run(&mut self) -> Error {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            inner.runner.register(cx.waker());
            match inner.advance() {
                Err(error) => Poll::Ready(error),
                Ok(()) => {
                    let frames_wait = inner.wake_starved();
                    inner.connection.register(frames_wait, cx);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<const STREAMS: usize> Inner<'_, STREAMS> {
    /// The server takes this stream.
    pub(crate) fn begin(&mut self, stream: StreamId, options: &PublishOptions<'_>) {
        self.stream = stream;
        self.slots.iter_mut().for_each(Slot::clear);
        self.lost_after = Duration::from_micros(options.keep_alive.timeout.as_micros());
        self.failed = None;
    }

    /// Lets the session do what there is to do.
    fn advance(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut refusal = None;
        let result = self.connection.advance(&mut |event| {
            refusal = match event {
                ClientEvent::Status(_, status) if ends_publishing(&status) => {
                    Some(Error::Refused(Refusal::new(Stage::Publish, &status)))
                }
                ClientEvent::Closed => Some(Error::Closed),
                _ => return,
            };
        });
        let result = refusal.map_or(result, Err);
        if let Err(error) = result {
            self.fail(error);
        }
        result
    }

    /// The session is over: everyone who waits is to learn of it.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.slots.iter_mut().for_each(Slot::wake);
        self.runner.wake();
    }
}
