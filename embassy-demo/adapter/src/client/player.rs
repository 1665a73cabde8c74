//! Playing one stream.

use core::future::poll_fn;
use core::slice::from_mut;
use core::task::{Context, Poll};

use embassy_net::Stack;
use embassy_time::Duration;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::command::{Code, PlayRequest, Status};
use embedded_rtmp::port_plan::Plan;
use embedded_rtmp::session::{ClientEvent, SessionBuffers};
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::client::ClientOptions;
use crate::client::connection::{Connection, Over, Stage};
#[cfg(feature = "redirect")]
use crate::client::open::follow;
use crate::client::open::{Request, check_scheme, open_url};
#[cfg(feature = "redirect")]
use crate::client::redirect::Address;
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::fmt::impl_format;
#[cfg(feature = "redirect")]
use crate::text::Text;
use crate::transport::{Net, Traffic, Transport};

/// Receives what a [`Player`] plays.
///
/// The methods are called while the network stack is borrowed, with data in the socket's ring. They must return soon, and must
/// not use a socket or the stack, which panics.
pub trait PlayHandler {
    /// A piece of audio or video, or of an aggregate message, lent from the receive ring. `offset` 0 begins a message.
    ///
    /// The payload is the data of an FLV tag. Its first 1 to 5 bytes are a header, which may come in two fragments:
    /// [`media::audio::AudioTagHeader::parse`](embedded_rtmp::media::audio::AudioTagHeader::parse) and
    /// [`media::video::VideoTagHeader::parse`](embedded_rtmp::media::video::VideoTagHeader::parse) read it. Sequence headers come the same way.
    fn media(&mut self, fragment: &Fragment<'_>);

    /// A piece of a data message, such as `onMetaData`. An [`Assembler`](embedded_rtmp::chunk::Assembler) puts the pieces
    /// together, and [`DataMessage`](embedded_rtmp::command::DataMessage) reads the message.
    fn data(&mut self, fragment: &Fragment<'_>) {
        let _ = fragment;
    }

    /// Another status of the stream from the server.
    fn status(&mut self, status: &Status<'_>) {
        let _ = status;
    }

    /// Returns whether more can be received. While this is pending, nothing is read after the server has begun to send the
    /// stream, so that the TCP window closes. Output is still sent, and time limits still apply. The method must wake the
    /// task later.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

/// How a stream ended if the connection stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum End {
    /// The publisher has left and may come back. Call [`Player::run`] again to wait for it.
    Unpublished,
    /// The server has stopped the stream.
    Stopped,
    /// The server has sent neither audio nor video for the time of [`Player::set_media_limit`]. Call [`Player::run`] again
    /// to wait for more.
    NoMedia,
    /// The server asks the client to connect again (E-RTMP v2). It has not ended the stream: [`Player::reconnect`] follows
    /// it, and [`Player::run`] goes on without. Each connection returns this once, and only if
    /// [`ClientOptions::capabilities`] announce `Extensions::RECONNECT`.
    #[cfg(feature = "redirect")]
    Reconnect,
}

/// A connection on which a stream is played: [an example](crate#playing).
///
/// `STREAMS` is the number of chunk streams that may have unfinished messages in addition to the one that is being read. 8
/// are enough for all known servers. `T` is what the session runs over: TCP of embassy-net unless it was made by
/// [`Self::open`].
pub struct Player<'a, const STREAMS: usize = 8, T = Net<'a>> {
    connection: Connection<'a, STREAMS, 1, T>,
    /// How long the server may send neither audio nor video.
    media_limit: Duration,
    /// When [`Self::run`] began to wait for media: at its first poll, or after the last media.
    media_at: Option<Instant>,
    #[cfg(feature = "redirect")]
    way: Way,
}

/// The application to which the connection of a player goes, and what is known about the connection.
#[cfg(feature = "redirect")]
struct Way {
    /// The application that a server has named. `None` if it is that of the caller's URL.
    application: Option<Address>,
    /// When the connection began.
    since: Instant,
    /// Whether [`End::Reconnect`] was returned.
    is_told: bool,
}

/// After a connection that lasted for this long, requests to reconnect are counted from zero.
#[cfg(feature = "redirect")]
const LASTED: Duration = Duration::from_secs(8);

impl_format!(['a, const STREAMS: usize, T: Transport] Player<'a, STREAMS, T>, this => "Player {{ {} }}", this.traffic());

impl<'a, const STREAMS: usize> Player<'a, STREAMS> {
    /// Carries out the port plan, connects to the URL's application and asks to play its stream key. [`Self::run`] returns
    /// the server's answer to the request to play. Otherwise this works as [`Publisher::connect`](crate::Publisher::connect)
    /// does. It follows redirects with the feature `redirect`, as a publisher does, and requests to reconnect with
    /// `Player::reconnect`.
    ///
    /// # Panics
    /// If the stack has no socket left (`StackResources`).
    ///
    /// # Errors
    /// No attempt succeeded, the server refused or broke the protocol, or the connection was lost. An `rtmps` or
    /// `rtmpts` URL fails with [`PlanError::Scheme`](embedded_rtmp::port_plan::PlanError::Scheme) before anything is sent:
    /// use `transport::tls::Tls` with [`Self::open`].
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
        let mut connection = Connection::over_net(stack, memory.split(), &options.session)?;
        #[cfg(feature = "redirect")]
        let mut application = None;
        open_url(
            stack,
            from_mut(&mut connection),
            (url, Self::PLAY),
            #[cfg(feature = "redirect")]
            &mut application,
            plan,
            options,
            &mut entropy,
        )
        .await?;
        let player = Self::new(connection);
        #[cfg(feature = "redirect")]
        let player = Self { way: Way::new(application), ..player };
        Ok(player)
    }

    /// Leaves the connection, and connects again with the same memory: to the application that the server has named in its
    /// [request](End::Reconnect), or to the same one if it has named none. If that fails, or if the server has not asked, it
    /// connects to `url`. Media is missing from the time when the connection is left until the server plays the stream on
    /// the new one. [`Self::run`] returns the server's answer to the request to play.
    ///
    /// `url` and `options` should be those of [`Self::connect`]: they decide which servers are followed to, and which get
    /// the user and the password. `plan` has the targets for `url` and the limits; it is not changed.
    ///
    /// At most three requests in a row are followed, if each comes in the first 8 s of a connection. A program that connects
    /// again after an error should pause before that.
    ///
    /// ```no_run
    /// use embassy_net::Stack;
    /// use embedded_rtmp_embassy::embedded_rtmp::{port_plan::Plan, url::Url};
    /// use embedded_rtmp_embassy::{ClientOptions, End, Error, PlayHandler, Player};
    ///
    /// /// Plays until the server stops the stream, on one server after another.
    /// async fn play(
    ///     player: &mut Player<'_>,
    ///     viewer: &mut dyn PlayHandler,
    ///     (stack, url, plan, options): (Stack<'_>, &Url<'_>, &Plan<'_>, &ClientOptions<'_>),
    /// ) -> Result<(), Error> {
    ///     let entropy = || [0; 32]; // from the random number generator
    ///     loop {
    ///         match player.run(viewer).await? {
    ///             End::Reconnect => match player.reconnect(stack, url, plan, options, entropy).await {
    ///                 Ok(()) | Err(Error::Redirect(_)) => {} // on the new connection, or on the old one
    ///                 Err(error) => return Err(error),
    ///             },
    ///             End::Unpublished => {} // the publisher may come back
    ///             _ => return Ok(()),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Redirect`]: the client does not follow to the URL of the request. The connection stays, and [`Self::run`]
    /// continues. After all other errors, and if a server that refuses `connect` is not followed, there is no connection.
    /// [`Self::run`] then fails.
    #[cfg(feature = "redirect")]
    pub async fn reconnect(
        &mut self,
        stack: Stack<'_>,
        url: &Url<'_>,
        plan: &Plan<'_>,
        options: &ClientOptions<'_>,
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<(), Error> {
        let Self { connection, media_at, way, .. } = self;
        if clock() >= later(way.since, LASTED) {
            connection.redirect.note_lasted();
        }
        let is_asked = connection.redirect.is_new();
        // This changes only a copy.
        if let Err(error) = connection.redirect.clone().resolve(url, way.application.as_ref()) {
            connection.redirect.forget();
            return Err(Error::Redirect(error));
        }
        connection.leave();
        poll_fn(|cx| connection.poll_closed(cx)).await;
        (connection.failed, *media_at, way.is_told) = (None, None, false);
        let (connections, request) = (from_mut(connection), (url, Self::PLAY));
        let mut result = Err(Error::Closed);
        if is_asked {
            let from = (&mut way.application, Error::Closed);
            result = follow(stack, connections, request, from, plan, options, &mut entropy).await;
            if let Err(Error::Redirect(_)) = result {
                return result.map(drop);
            }
        }
        if result.is_err() {
            for connection in &mut *connections {
                if is_asked {
                    connection.redirect.go_back();
                }
                (connection.failed, way.application) = (None, connection.begin_redirect(url));
            }
            let (application, mut plan) = (&mut way.application, plan.for_targets(plan.targets())?);
            result = open_url(stack, connections, request, application, &mut plan, options, &mut entropy).await;
        }
        way.since = clock();
        result.map(drop)
    }
}

#[cfg(feature = "redirect")]
impl Way {
    fn new(application: Option<Address>) -> Self {
        Self { application, since: clock(), is_told: false }
    }
}

impl<'a, const STREAMS: usize, T: Transport> Player<'a, STREAMS, T> {
    fn new(connection: Connection<'a, STREAMS, 1, T>) -> Self {
        Self {
            connection,
            media_limit: Duration::MAX,
            media_at: None,
            #[cfg(feature = "redirect")]
            way: Way::new(None),
        }
    }

    /// Plays over a transport that is connected to the URL's server, such as `&`[`Pipe`](crate::transport::Pipe): makes the
    /// handshake, connects to the URL's application and asks to play its stream key. [`Self::run`] returns the server's
    /// answer to the request to play.
    ///
    /// `entropy` is 32 fresh random bytes. Dropping the future drops the transport.
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
        let mut connection = Connection::connected(transport, buffers, &options.session, entropy)?;
        let asked = poll_fn(|cx| connection.poll_asked(url, options, Self::PLAY, cx)).await;
        asked.map_err(|Over| connection.why())?;
        Ok(Self::new(connection))
    }

    const PLAY: Request<'a, STREAMS, 1> = |client, key| client.play(&PlayRequest::of_parts(*key));

    /// Sets how long the server may send neither audio nor video before [`Self::run`] returns [`End::NoMedia`]. Use it for
    /// servers that do not report that the publisher has left. By default, and with `None`, there is no limit. Time in which
    /// the handler is not ready does not count.
    pub fn set_media_limit(&mut self, limit: Option<Duration>) {
        self.media_limit = limit.unwrap_or(Duration::MAX);
    }

    /// Passes received messages to the handler until the stream or the connection ends. The future can be dropped; a new one
    /// continues.
    ///
    /// # Errors
    /// The server refused to play the stream, the server broke the protocol, or the connection is over.
    pub async fn run(&mut self, viewer: &mut dyn PlayHandler) -> Result<End, Error> {
        let Self { connection, media_limit, media_at, .. } = self;
        #[cfg(feature = "redirect")]
        let is_told = &mut self.way.is_told;
        poll_fn(|cx| {
            loop {
                // Before that, nothing arrives that the handler could hold back.
                let reads = viewer.poll_ready(cx).is_ready() || connection.stage < Stage::Playing;
                let (mut end, mut is_media) = (None, !reads);
                let moved = connection.step(cx, reads, &mut |event| match event {
                    ClientEvent::Media(fragment) if fragment.header.kind.is_data() => viewer.data(&fragment),
                    ClientEvent::Media(fragment) => {
                        is_media = true;
                        viewer.media(&fragment);
                    }
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
                #[cfg(feature = "redirect")]
                if end.is_none() && connection.redirect.is_new() && !core::mem::replace(is_told, true) {
                    end = Some(End::Reconnect);
                }
                if is_media {
                    *media_at = None;
                }
                let since = *media_at.get_or_insert_with(clock);
                match (moved, end) {
                    (_, Some(end)) => return Poll::Ready(Ok(end)),
                    (Err(Over), None) => return Poll::Ready(Err(connection.why())),
                    (Ok(true), None) => {}
                    (Ok(false), None) if !has_passed(later(since, *media_limit), cx) => return Poll::Pending,
                    (Ok(false), None) => {
                        *media_at = None;
                        return Poll::Ready(Ok(End::NoMedia));
                    }
                }
            }
        })
        .await
    }

    /// Returns whether the server has asked the client to connect again, and to which URL. The text is empty if that is the
    /// same URL. [`Self::reconnect`] follows the request. Over a transport of the caller, make a URL of the text with
    /// [`Url::redirected`], which refuses a less secure one, and call [`Self::open`].
    #[cfg(feature = "redirect")]
    pub fn reconnect_request(&self) -> Option<Text<255>> {
        self.connection.redirect.requested()
    }

    /// Returns the bytes that went over the connection since it was opened. For a tunnel, these are the bytes of all its
    /// TCP connections.
    pub fn traffic(&self) -> Traffic {
        self.connection.transport.traffic()
    }

    /// Ends the connection at once. The server of a tunnel is first told that the tunnel ends. That takes one or two round
    /// trips, or 6 s if the server does not answer.
    pub async fn close(&mut self) {
        let connection = &mut self.connection;
        connection.leave();
        poll_fn(|cx| connection.poll_closed(cx)).await;
        connection.end(Error::Closed);
    }
}
