//! Sessions of the core over sockets of the operating system: TCP, TLS, or tunnels in HTTP over one of them.

mod attempt;
mod clock;
mod destination;
mod dial;
mod keys;
mod link;
mod next;
mod order;
mod pipe;
mod socket;
mod stream;
mod tls;

pub use clock::Clock;
pub use destination::Destination;
pub use dial::{DialError, Dialled, Dialler};
pub(crate) use keys::Keys;
pub use link::{Link, LinkReport};
pub(crate) use link::{is_about, refused, said};
pub(crate) use next::{Leaving, Next, Prepared, Route, no_other_connection, not_followed, run_until};
pub use order::{OrderArguments, Way, targets, transport};
pub use pipe::{Pipe, Waiter};
pub(crate) use socket::Socket;
pub use stream::{StreamArguments, StreamUrl};
use tls::TlsClient;
pub use tls::{Pin, TlsArguments, TlsServer};

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use embedded_rtmp::session::SessionBuffers;

/// Memory for a session, which is enough for every URL that can be parsed. It is never freed: use it again for other
/// sessions.
pub(crate) fn session_buffers() -> SessionBuffers<'static> {
    let memory = |length| vec![0; length].leak();
    SessionBuffers { scratch: memory(64 << 10), control: memory(8192) }
}

/// Reads a password from the first line of a file.
///
/// # Errors
/// The file cannot be read, is not UTF-8 text, or its first line is empty.
pub fn read_password(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("the password file {}", file.display()))?;
    let password = text.lines().next().filter(|line| !line.is_empty());
    Ok(password.with_context(|| format!("there is no password in {}", file.display()))?.to_owned())
}

/// Random bytes: 32 for a session, 8 for an exchange with a challenge.
///
/// # Errors
/// The system has none.
pub fn entropy<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no entropy: {error}"))?;
    Ok(bytes)
}
