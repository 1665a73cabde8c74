//! Publishing one stream.

use core::cell::RefCell;
use core::future::poll_fn;
use core::slice::from_mut;
use core::task::Poll;

use embassy_net::Stack;
use embassy_sync::waitqueue::WakerRegistration;
use embedded_rtmp::message::MessageKind;
use embedded_rtmp::port_plan::Plan;
use embedded_rtmp::session::{Client, SessionBuffers};
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::client::ClientOptions;
use crate::client::connection::{Connection, Over};
use crate::client::open::{check_scheme, open_url};
use crate::client::sender::{Inner, Sender, Slot};
use crate::error::Error;
use crate::fmt::impl_format;
#[cfg(feature = "redirect")]
use crate::text::Text;
use crate::transport::{Net, Traffic, Transport};

/// A connection on which a stream is being published: [an example](crate#publishing).
///
/// If the publisher is dropped, the server is told nothing, and ends the stream after its own time limit. [`Self::close`]
/// ends the stream in good order.
///
/// `STREAMS` is the number of chunk streams that may have unfinished messages in addition to the one that is being read. 8
/// are enough for all known servers. `T` is what the session runs over: TCP of embassy-net unless it was made by
/// [`Self::open`].
pub struct Publisher<'a, const STREAMS: usize = 8, T = Net<'a>> {
    pub(crate) inner: RefCell<Inner<'a, STREAMS, T>>,
}

impl_format!(['a, const STREAMS: usize, T: Transport] Publisher<'a, STREAMS, T>, this => "Publisher {{ {} }}", this.traffic());

/// The handles of a [`Publisher`].
///
/// Use them in one task, with `join` and `select`. Handles in separate tasks borrow the publisher for ever, so that it can
/// be neither closed nor replaced.
///
/// ```no_run
/// use embassy_futures::join::join;
/// use embassy_futures::select::{Either, select};
/// use embassy_time::Timer;
/// use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
/// use embedded_rtmp_embassy::{Error, Parts, Publisher};
///
/// async fn send(publisher: &mut Publisher<'_>) -> Result<(), Error> {
///     let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
///     let sound = async {
///         for millis in (0..10_000).step_by(20) {
///             Timer::after_millis(20).await; // for the microphone
///             audio.send(Timestamp(millis), &[0x72; 161]).await?;
///         }
///         Ok::<(), Error>(())
///     };
///     let pictures = async {
///         for millis in (0..10_000).step_by(40) {
///             Timer::after_millis(40).await; // for the camera
///             video.send(Timestamp(millis), &[0x27, 1, 0, 0, 0]).await?;
///         }
///         Ok::<(), Error>(())
///     };
///     match select(runner.run(), join(sound, pictures)).await {
///         Either::First(error) => Err(error),
///         Either::Second((sound, pictures)) => sound.and(pictures).and(publisher.close().await),
///     }
/// }
/// ```
pub struct Parts<'p, 'a, const STREAMS: usize = 8, T = Net<'a>> {
    /// It must run while the senders are used. If it does not run, nothing is received, and frames that wait do not
    /// continue.
    pub runner: Runner<'p, 'a, STREAMS, T>,
    /// Sends audio, before the other kinds: audio passes between the chunks of a large video frame.
    pub audio: Sender<'p, 'a, STREAMS, T>,
    /// Sends data messages. The first one should be `@setDataFrame` with the metadata.
    pub data: Sender<'p, 'a, STREAMS, T>,
    /// Sends video.
    pub video: Sender<'p, 'a, STREAMS, T>,
}

impl_format!(
    ['p, 'a, const STREAMS: usize, T: Transport] Parts<'p, 'a, STREAMS, T>,
    this => "Parts {{ audio: {}, data: {}, video: {} }}", this.audio, this.data, this.video
);

impl<'a, const STREAMS: usize> Publisher<'a, STREAMS> {
    /// Carries out the port plan, connects to the URL's application and asks to publish its stream key.
    ///
    /// `plan` decides which ports are tried and for how long. Afterwards [`Plan::reports`] returns the outcome of each,
    /// whether this call succeeds or fails. The plan should allow one attempt at a time
    /// ([`Limits::SEQUENTIAL`](embedded_rtmp::port_plan::Limits::SEQUENTIAL)), because there is one socket. A second attempt
    /// at the same time fails as `Local`. `entropy` returns 32 fresh random bytes for each attempt.
    ///
    /// With the feature `redirect`, this follows a server that redirects the client. The targets of the new URL are tried
    /// within the limits of `plan`, whose outcomes stay those of the first server.
    ///
    /// Dropping the future also drops the socket.
    ///
    /// # Panics
    /// If the stack has no socket left (`StackResources`).
    ///
    /// # Errors
    /// No attempt succeeded, the server refused or broke the protocol, or the connection was lost. An `rtmps` or
    /// `rtmpts` URL fails with [`PlanError::Scheme`](embedded_rtmp::port_plan::PlanError::Scheme) before anything is sent,
    /// because a verifier and memory for TLS are needed: use `transport::tls::Tls` with [`Self::open`] or
    /// [`over`](crate::over).
    pub async fn connect<
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const GATHER: usize,
    >(
        stack: Stack<'a>,
        url: &Url<'_>,
        plan: &mut Plan<'_>,
        options: &ClientOptions<'_>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL, GATHER>,
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<Self, Error> {
        let mut publisher = Self::over(Connection::over_net(stack, memory.split(), &options.session)?);
        let connection = from_mut(&mut publisher.inner.get_mut().connection);
        open_url(
            stack,
            connection,
            (url, Client::publish_parts),
            #[cfg(feature = "redirect")]
            &mut None,
            plan,
            options,
            &mut entropy,
        )
        .await?;
        Ok(publisher)
    }
}

impl<'a, const STREAMS: usize, T: Transport> Publisher<'a, STREAMS, T> {
    /// Publishes over a transport that is connected to the URL's server, such as `&`[`Pipe`](crate::transport::Pipe): makes the
    /// handshake, connects to the URL's application and asks to publish its stream key.
    ///
    /// `entropy` is 32 fresh random bytes. The keep-alive of `options` is not used, except for its time-out: [`Self::close`]
    /// waits that long at most until the peer has acknowledged what was sent. Dropping the future drops the transport.
    ///
    /// If the server refuses the announcement of Enhanced RTMP, this call fails: call it again over another transport,
    /// with options without `capabilities`.
    ///
    /// # Errors
    /// The URL requires RTMPE, a buffer is too small, the server refused the request or broke the protocol, or the
    /// transport ended.
    pub async fn open(
        transport: T,
        url: &Url<'_>,
        options: &ClientOptions<'_>,
        buffers: SessionBuffers<'a>,
        entropy: &[u8; 32],
    ) -> Result<Self, Error> {
        // Only attempts of a port plan support RTMPE.
        check_scheme(url, |transport| !transport.is_rtmpe())?;
        let mut publisher = Self::over(Connection::connected(transport, buffers, &options.session, entropy)?);
        let connection = &mut publisher.inner.get_mut().connection;
        let asked = poll_fn(|cx| connection.poll_asked(url, options, Client::publish_parts, cx)).await;
        asked.map_err(|Over| connection.why())?;
        Ok(publisher)
    }

    /// A publisher over a connection.
    pub(crate) fn over(connection: Connection<'a, STREAMS, 0, T>) -> Self {
        let slots = [MessageKind::AUDIO, MessageKind::DATA, MessageKind::VIDEO].map(Slot::new);
        Self { inner: RefCell::new(Inner { connection, slots, runner: WakerRegistration::new() }) }
    }

    /// The handles for sending, and the runner, which must run while they are used.
    pub fn split(&mut self) -> Parts<'_, 'a, STREAMS, T> {
        let [audio, data, video] = [0, 1, 2].map(|slot| Sender::new(&self.inner, slot));
        Parts { runner: Runner { inner: &self.inner }, audio, data, video }
    }

    /// Returns whether the server has asked the client to connect again (E-RTMP v2), and to which URL. The text is empty if
    /// that is the same URL. [`Url::redirected`] makes a URL of the text. The connection stays usable until either side
    /// closes it: end it at a time that suits the stream, such as before a keyframe, and connect again. A server asks only
    /// clients that announce `Extensions::RECONNECT` in [`ClientOptions::capabilities`].
    #[cfg(feature = "redirect")]
    pub fn reconnect_request(&self) -> Option<Text<255>> {
        self.inner.borrow().connection.redirect.requested()
    }

    /// Returns the bytes that went over the connection since it was opened. For a tunnel, these are the bytes of all its
    /// TCP connections.
    pub fn traffic(&self) -> Traffic {
        self.inner.borrow().connection.transport.traffic()
    }

    /// Returns whether the server refuses the announcement of Enhanced RTMP
    /// ([`ClientOptions::capabilities`](crate::ClientOptions::capabilities)), and was asked again without it.
    #[cfg(feature = "enhanced")]
    pub fn is_legacy(&self) -> bool {
        self.inner.borrow().connection.offering.is_legacy()
    }

    /// Ends the stream (`FCUnpublish`, `deleteStream`), then the connection. Waits until the server has acknowledged
    /// everything, at most the time-out of the keep-alive. Then waits until the server has closed its side, at most 2 s. If
    /// a frame is half sent, the connection is reset instead.
    ///
    /// # Errors
    /// The session was already over, a frame is half sent, or some sent bytes may not have arrived.
    pub async fn close(&mut self) -> Result<(), Error> {
        let Inner { connection, slots, .. } = self.inner.get_mut();
        if slots.iter().any(Slot::is_open) {
            connection.end(Error::Unfinished);
        }
        connection.close();
        poll_fn(|cx| connection.poll_closed(cx)).await;
        let result = connection.failed.map_or(Ok(()), Err);
        connection.end(Error::Closed);
        result
    }
}

/// Receives, answers pings, handles time limits, and wakes senders when there is room.
pub struct Runner<'p, 'a, const STREAMS: usize = 8, T = Net<'a>> {
    inner: &'p RefCell<Inner<'a, STREAMS, T>>,
}

impl_format!(['p, 'a, const STREAMS: usize, T: Transport] Runner<'p, 'a, STREAMS, T>, _ => "Runner");

impl<const STREAMS: usize, T: Transport> Runner<'_, '_, STREAMS, T> {
    /// Runs until the session is over, and returns why. The future can be dropped; a new one continues.
    pub async fn run(&mut self) -> Error {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            inner.runner.register(cx.waker());
            if let Err(Over) = inner.connection.advance(cx) {
                inner.wake_all();
                return Poll::Ready(inner.connection.why());
            }
            inner.wake_starved();
            Poll::Pending
        })
        .await
    }
}
