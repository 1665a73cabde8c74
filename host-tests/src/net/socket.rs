//! Calls on a socket that do not wait.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

/// Whether a connection is established. Turns Nagle's algorithm off then.
pub(super) fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => stream.set_nodelay(true).map(|()| true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads what has arrived. Returns `None` if nothing has.
pub(super) fn read(stream: &mut TcpStream, to: &mut [u8]) -> io::Result<Option<usize>> {
    retry(|| stream.read(to))
}

/// Writes as much as the system takes. Returns `None` if that is nothing.
pub(super) fn write(stream: &mut TcpStream, from: &[u8]) -> io::Result<Option<usize>> {
    retry(|| stream.write(from))
}

/// Repeats an operation that a signal interrupted. Returns `None` if it would block.
pub(crate) fn retry(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match operation() {
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
