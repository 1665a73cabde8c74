//! The errors of this crate, grouped by the side that causes them.

use core::fmt;

use embedded_rtmp::command::Status;
use embedded_rtmp::session::{ConfigError, RequestError, Stage};
use embedded_rtmp::url::UrlError;
use embedded_rtmp::{port_plan, session};

use crate::client::resolve::ResolveError;
use crate::text::Text;

/// Why a session could not begin, or why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The caller's fault: the text is not an RTMP URL.
    Url(UrlError),
    /// The caller's fault: the port plan cannot work.
    Plan(port_plan::PlanError),
    /// The caller's fault: a lent buffer is too small.
    Config(ConfigError),
    /// The caller's fault, or a buffer is too small: the session rejected a request of the caller.
    Request(RequestError),
    /// The network stack got no address of its own in time.
    NoNetwork,
    /// The host has no address. Every port of the plan reports this.
    Resolve(ResolveError),
    /// No port answered with RTMP. The plan reports the outcome of each port. The plan of a
    /// [`LiveRunner`](crate::LiveRunner) is private; [`test_ports`](crate::test_ports) reports the same outcomes.
    Exhausted,
    /// The server refused a request.
    Refused(Refusal),
    /// The server has sent the client to another server, and the client does not follow.
    #[cfg(feature = "redirect")]
    Redirect(embedded_rtmp::url::RedirectError),
    /// The server refused the user and the password, or its challenge cannot be answered.
    #[cfg(feature = "auth")]
    Auth(embedded_rtmp::auth::AuthError),
    /// The caller sends a message of Enhanced RTMP to a server that refuses it. Nothing is written.
    #[cfg(feature = "enhanced")]
    LegacyServer(session::LegacyServer),
    /// The peer broke the protocol or went silent, or a buffer was too small for what it sent.
    Session(session::SessionError),
    /// The peer closed the connection.
    Closed,
    /// A player is too slow: a frame was overwritten before all of it had been sent to the player.
    TooSlow,
    /// The connection was reset, or the peer does not answer any longer.
    Lost,
    /// The server accepted the stream, and then took no bytes for [`Config::stall_timeout`](crate::Config::stall_timeout).
    Stalled,
    /// The server disconnected the client. It needed the socket for another client and this one neither published nor
    /// played, or the address had more connections than
    /// [`ServerOptions::max_per_address`](crate::ServerOptions::max_per_address).
    Crowded,
    /// An administrator has closed the session.
    #[cfg(feature = "admin")]
    ClosedByAdministrator,
    /// The tunnel of the session has failed, because of the server or of a proxy.
    #[cfg(feature = "rtmpt")]
    Tunnel(embedded_rtmp::tunnel::TunnelError),
    /// TLS could not be set up, or it ended.
    #[cfg(feature = "rtmps")]
    Tls(crate::transport::tls::error::TlsError),
    /// The caller's fault: another frame is half sent. See [`Sender::send`](crate::Sender::send).
    Unfinished,
}

/// Small enough to be passed by value.
const _: () = assert!(size_of::<Error>() <= 128);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::NoNetwork => f.write_str("the network gave no address"),
            Self::Config(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Resolve(error) => error.fmt(f),
            Self::Exhausted => f.write_str("no port answered with RTMP"),
            Self::Refused(refusal) => refusal.fmt(f),
            #[cfg(feature = "redirect")]
            Self::Redirect(error) => error.fmt(f),
            #[cfg(feature = "auth")]
            Self::Auth(error) => error.fmt(f),
            #[cfg(feature = "enhanced")]
            Self::LegacyServer(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::TooSlow => f.write_str("the player is too slow"),
            Self::Lost => f.write_str("the connection was lost"),
            Self::Stalled => f.write_str("the server takes no bytes"),
            Self::Crowded => {
                f.write_str("the server needed the socket for another client, or the address had too many connections")
            }
            #[cfg(feature = "admin")]
            Self::ClosedByAdministrator => f.write_str("an administrator has closed the session"),
            #[cfg(feature = "rtmpt")]
            Self::Tunnel(error) => error.fmt(f),
            #[cfg(feature = "rtmps")]
            Self::Tls(error) => error.fmt(f),
            Self::Unfinished => f.write_str("another frame is half sent"),
        }
    }
}

impl core::error::Error for Error {}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<port_plan::PlanError> for Error {
    fn from(error: port_plan::PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<session::SessionError> for Error {
    fn from(error: session::SessionError) -> Self {
        Self::Session(error)
    }
}

#[cfg(feature = "rtmpt")]
impl From<embedded_rtmp::tunnel::TunnelError> for Error {
    fn from(error: embedded_rtmp::tunnel::TunnelError) -> Self {
        Self::Tunnel(error)
    }
}

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(error)
    }
}

/// A server's refusal of a request, with its code and its description, each cut to the bytes that fit.
///
/// Neither `Display` nor `Debug` nor `defmt::Format` prints the description: servers quote stream keys in it, and a key is a
/// secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the server was asked for.
    pub stage: Stage,
    /// The code of the server's answer, such as `NetStream.Publish.BadName`.
    pub code: Text<40>,
    /// The server's explanation for people.
    pub description: Text<72>,
}

impl Refusal {
    // Not inlined, because it is called in several places.
    #[inline(never)]
    pub(crate) fn new(stage: Stage, status: &Status<'_>) -> Self {
        let mut refusal = Self { stage, code: Text::EMPTY, description: Text::EMPTY };
        refusal.code.set(status.code);
        refusal.description.set(status.description);
        refusal
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {}", self.code)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal {{ stage: {:?}, code: {} }}", self.stage, self.code)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Refusal {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "refused {}: {}", self.stage, self.code);
    }
}

/// The failure of an attempt whose handshake ended with `error`.
pub(crate) fn handshake_failure(error: &Error) -> port_plan::Failure {
    match error {
        Error::Session(session::SessionError::TimedOut(_)) => port_plan::Failure::HandshakeTimedOut,
        Error::Session(_) => port_plan::Failure::NotRtmp,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(embedded_rtmp::tunnel::TunnelError::TimedOut) => port_plan::Failure::HandshakeTimedOut,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(error) if *error != embedded_rtmp::tunnel::TunnelError::Interrupted => {
            port_plan::Failure::NotRtmp
        }
        _ => port_plan::Failure::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_refusal_keeps_the_description_to_itself() {
        let refusal = Refusal::new(Stage::Publish, &Status::error("NetStream.Publish.BadName", "key is taken"));
        assert_eq!(refusal.description.to_string(), "key is taken");
        assert_eq!(Error::Refused(refusal).to_string(), "refused: NetStream.Publish.BadName");
        let debug = std::format!("{:?}", Error::Refused(refusal));
        assert_eq!(debug, "Refused(Refusal { stage: Publish, code: NetStream.Publish.BadName })");
    }
}
