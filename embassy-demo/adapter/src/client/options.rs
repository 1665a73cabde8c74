//! How a client behaves.

#[cfg(feature = "auth")]
use embedded_rtmp::auth::Credentials;
use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::session::ClientConfig;

use crate::fmt::impl_format;
use crate::transport::KeepAlive;

/// How a client connects, to publish or to play.
#[derive(Debug, Clone, Copy)]
pub struct ClientOptions<'o> {
    /// The application. `None` means that of the URL. See [`embedded_rtmp::url`].
    pub app: Option<&'o str>,
    /// The stream key. `None` means that of the URL.
    pub key: Option<&'o str>,
    /// The user and the password for a server that asks for them. With `None`, the user and the password of the URL are
    /// used, if it has any.
    #[cfg(feature = "auth")]
    pub credentials: Option<Credentials<'o>>,
    /// The codecs and the extensions of Enhanced RTMP that `connect` announces:
    /// [`EncodedCapabilities`](embedded_rtmp::command::EncodedCapabilities). If it is empty, `connect` announces nothing.
    /// If a server refuses the announcement, the client connects again at once without it. If the server accepts that,
    /// it gets no announcement for as long as the client stays with that host.
    #[cfg(feature = "enhanced")]
    pub capabilities: &'o [u8],
    /// The name of the client. Servers take names that begin with `FMLE/` for encoders.
    pub flash_ver: &'o str,
    /// How long a silent peer is waited for.
    pub keep_alive: KeepAlive,
    /// The configuration of the session.
    pub session: ClientConfig,
}

impl_format!(
    ['o] ClientOptions<'o>,
    this => "ClientOptions {{ keep_alive: {}, session: {} }}", this.keep_alive, this.session
);

impl ClientOptions<'_> {
    /// The options of an encoder, with the default times.
    pub const DEFAULT: ClientOptions<'static> = ClientOptions {
        app: None,
        key: None,
        #[cfg(feature = "auth")]
        credentials: None,
        #[cfg(feature = "enhanced")]
        capabilities: &[],
        flash_ver: ConnectOptions::FLASH_VER,
        keep_alive: KeepAlive::DEFAULT,
        session: ClientConfig::new(),
    };
}

impl Default for ClientOptions<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}
