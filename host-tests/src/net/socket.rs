//! A TCP connection that never blocks, with or without TLS.

#[cfg(target_os = "linux")]
use std::ffi::c_int;
use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;
#[cfg(target_os = "linux")]
use rustix::ioctl::{Getter, Opcode, ioctl};
use rustls::Connection;

/// The most memory that an empty queue has, in bytes.
const SMALL: usize = 4096;

/// The most bytes that wait to be sent while records are still received. It bounds the memory of a peer that requests
/// answers and does not read them.
const MAX_OUTPUT: usize = 128 * 1024;

/// The approximate memory of the buffers inside TLS, in bytes. They hold a part of a handshake or of a record, and
/// plain text.
const TLS_MEMORY: usize = 96 * 1024;

/// The caller provides the buffers. The socket stores only bytes that could not be passed on.
///
/// With TLS, `input` contains plain text, and `output` contains records. The traffic counts the bytes of TCP.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) stream: TcpStream,
    tls: Option<Box<Connection>>,
    /// A read may return bytes. False after a read that emptied the system's buffer, until the next event.
    is_readable: bool,
    /// A write may succeed. False after a write that filled the system's buffer, until the next event.
    is_writable: bool,
    /// The peer has closed its side, and no further event announces that.
    is_read_closed: bool,
    has_ended: bool,
    /// Whether bytes that arrived before a reset are received even if nothing can be sent any longer.
    outlives_reset: bool,
    /// Why nothing can be sent any longer.
    broken: Option<io::Error>,
    /// Bytes that were received and not consumed.
    input: Vec<u8>,
    /// Bytes that the system has not accepted yet.
    output: Vec<u8>,
    /// The bytes received and sent since it began.
    pub(super) traffic: (u64, u64),
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            tls: None,
            is_readable: false,
            is_writable: false,
            is_read_closed: false,
            has_ended: false,
            outlives_reset: false,
            broken: None,
            input: Vec::new(),
            output: Vec::new(),
            traffic: (0, 0),
        }
    }

    /// A socket that first receives all that had arrived when the peer resets the connection. What is sent then is
    /// discarded.
    pub(crate) fn outliving_reset(stream: TcpStream) -> Self {
        let mut socket = Self::new(stream);
        socket.outlives_reset = true;
        socket
    }

    /// Puts the rest of the connection inside TLS. Bytes that were received and not consumed belong to the TLS
    /// handshake.
    ///
    /// # Errors
    /// These bytes are not the start of a handshake.
    pub(crate) fn start_tls(&mut self, tls: Connection) -> io::Result<()> {
        let (input, mut tls) = (std::mem::take(&mut self.input), Box::new(tls));
        // Written data goes to `output` at once.
        tls.set_buffer_limit(None);
        let mut rest = &input[..];
        let mut result = Ok(());
        while !rest.is_empty() && result.is_ok() {
            result =
                tls.read_tls(&mut rest).and_then(|_| tls.process_new_packets().map_err(io::Error::other)).map(|_| ());
        }
        self.flush(&mut tls)?;
        self.tls = Some(tls);
        result
    }

    /// Returns whether the connection is inside TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Stores the readiness that an event reports.
    pub(crate) fn notice(&mut self, event: &Event) {
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
        self.is_read_closed |= event.is_read_closed();
    }

    /// Lets the next calls try to read and to write, for callers that do not use events.
    pub(super) fn rearm(&mut self) {
        (self.is_readable, self.is_writable) = (true, true);
    }

    /// Returns whether the connection is established. If it is, disables Nagle's algorithm.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stream.set_nodelay(true).map(|()| true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The bytes received and sent since it began.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        self.traffic
    }

    /// Whether the address of this side is a loopback address.
    pub(crate) fn is_local(&self) -> bool {
        self.stream.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// Whether the peer has closed its side.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the peer has closed its side, even if some of its bytes are not received yet.
    pub(crate) fn is_closing(&self) -> bool {
        self.has_ended || self.is_read_closed
    }

    /// Whether the peer has closed its side, and all received bytes are consumed.
    pub(crate) fn is_ended(&self) -> bool {
        self.has_ended && self.input.is_empty()
    }

    /// The number of bytes that were received and not consumed.
    pub(super) fn waiting(&self) -> usize {
        self.input.len()
    }

    /// The memory of its queues, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.input.capacity() + self.output.capacity() + self.tls.as_ref().map_or(0, |_| TLS_MEMORY)
    }

    /// Whether bytes wait until the system accepts them.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// The number of bytes that wait until the system accepts them.
    pub(super) fn pending(&self) -> usize {
        self.output.len()
    }

    /// The number of bytes that the system has accepted and the peer's TCP has not acknowledged. `None` if the system
    /// cannot tell.
    #[cfg(target_os = "linux")]
    pub(super) fn unacknowledged(&self) -> Option<u64> {
        const SIOCOUTQ: Opcode = 0x5411;
        // SAFETY: SIOCOUTQ of a TCP socket stores an `int`.
        let queued = unsafe { ioctl(&self.stream, Getter::<SIOCOUTQ, c_int>::new()) };
        queued.ok().and_then(|queued| u64::try_from(queued).ok())
    }

    /// Other systems cannot tell.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn unacknowledged(&self) -> Option<u64> {
        None
    }

    /// The bytes that the peer has acknowledged; 0 if the system cannot tell.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.unacknowledged().map_or(0, |queued| self.traffic.1.saturating_sub(queued))
    }

    /// Reads once if `wants_input`, and passes all unconsumed bytes to `consume`, which returns how many bytes it has
    /// consumed from the front. If it changes other bytes, the changed bytes are passed again. Returns whether anything
    /// was read or consumed, and the other result of `consume`.
    pub(crate) fn receive<R>(
        &mut self,
        buffer: &mut [u8],
        wants_input: bool,
        consume: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> io::Result<(bool, R)> {
        let before = self.input.len();
        let (stored, free) = buffer.split_at_mut(before);
        stored.copy_from_slice(&self.input);
        let (room, mut length, mut has_moved) = (free.len(), 0, false);
        if wants_input && !self.has_ended && room > 0 {
            match self.tls.take() {
                Some(mut tls) => {
                    let read = self.read_records(&mut tls, free);
                    self.tls = Some(tls);
                    (length, has_moved) = read?;
                }
                None if self.is_readable => match retry(|| self.stream.read(free)) {
                    // Bytes that are not consumed yet are still passed to `consume`.
                    Err(error) if self.outlives_reset => {
                        (self.broken, self.has_ended, has_moved) = (Some(error), true, true);
                    }
                    Err(error) => return Err(error),
                    Ok(None) => self.is_readable = false,
                    Ok(Some(read)) => {
                        (length, has_moved, self.has_ended) = (read, true, read == 0);
                        // After a short read, there will be an event for the next bytes.
                        self.is_readable = read == room || self.is_read_closed;
                        self.traffic.0 += read as u64;
                    }
                },
                None => {}
            }
        }
        let filled = before + length;
        if self.has_ended
            && filled == 0
            && let Some(error) = self.broken.take()
        {
            return Err(error);
        }
        let (consumed, result) = consume(&mut buffer[..filled]);
        let rest = &buffer[consumed..filled];
        has_moved |= consumed > 0;
        self.input.clear();
        if rest.is_empty() && self.input.capacity() > SMALL {
            self.input = Vec::new();
        }
        self.input.extend_from_slice(rest);
        Ok((has_moved, result))
    }

    /// Takes plain text. If there is none, reads once from TCP. Returns the number of bytes of plain text, and whether
    /// anything was read or the peer has closed its side.
    fn read_records(&mut self, tls: &mut Connection, plain: &mut [u8]) -> io::Result<(usize, bool)> {
        for has_read in [false, true] {
            match tls.reader().read(plain) {
                // A FIN without close_notify is accepted, because RTMP has its own message for the end of a stream.
                Ok(0) => self.has_ended = true,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.has_ended = true,
                Ok(length) => return Ok((length, true)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if has_read => {}
                Err(_) => {
                    if !self.is_readable || !tls.wants_read() || self.output.len() > MAX_OUTPUT {
                        return Ok((0, false));
                    }
                    match retry(|| tls.read_tls(&mut self.stream)) {
                        Err(error) if self.outlives_reset => {
                            (self.broken, self.has_ended) = (Some(error), true);
                            break;
                        }
                        Err(error) => return Err(error),
                        Ok(None) => {
                            self.is_readable = false;
                            return Ok((0, false));
                        }
                        Ok(Some(read)) => self.traffic.0 += read as u64,
                    }
                    let processed = tls.process_new_packets();
                    // Send the answer of a handshake, or an alert.
                    self.flush(tls)?;
                    processed.map_err(io::Error::other)?;
                    continue;
                }
            }
            break;
        }
        Ok((0, true))
    }

    /// Sends the records that TLS has made. Returns whether there were any.
    fn flush(&mut self, tls: &mut Connection) -> io::Result<bool> {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records)?;
        }
        self.write(&records)?;
        Ok(!records.is_empty())
    }

    /// Sends the bytes that wait, then the bytes that `fill` writes into the slice that is passed to it. `fill` returns
    /// their number. The slice is empty while bytes wait, and until the handshake of TLS is complete. Returns whether anything
    /// was sent.
    pub(crate) fn send(&mut self, buffer: &mut [u8], fill: impl FnOnce(&mut [u8]) -> usize) -> io::Result<bool> {
        let waiting = std::mem::take(&mut self.output);
        let sent = self.write(&waiting)?;
        let mut tls = self.tls.take();
        let has_flushed = tls.as_mut().map_or(Ok(false), |tls| self.flush(tls));
        let is_ready = tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        let is_free = self.output.is_empty() && self.is_writable && is_ready;
        let filled = fill(if is_free { &mut *buffer } else { &mut [] });
        let written = match &mut tls {
            None => self.write(&buffer[..filled]).map(|_| ()),
            Some(tls) => tls.writer().write_all(&buffer[..filled]).and_then(|()| self.flush(tls)).map(|_| ()),
        };
        self.tls = tls;
        written?;
        Ok(sent > 0 || has_flushed? || filled > 0)
    }

    /// Writes as much as the system accepts, and stores the rest. Returns the number of bytes written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        if self.broken.is_some() {
            return Ok(bytes.len());
        }
        if self.is_writable && !bytes.is_empty() {
            sent = match retry(|| self.stream.write(bytes)) {
                Err(error) if self.outlives_reset => {
                    self.broken = Some(error);
                    self.is_readable = true;
                    return Ok(bytes.len());
                }
                written => written?.unwrap_or(0),
            };
            self.is_writable = sent == bytes.len();
            self.traffic.1 += sent as u64;
        }
        self.output.extend_from_slice(&bytes[sent..]);
        Ok(sent)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close_tls();
    }
}

impl Socket {
    /// Tells the peer that nothing follows. Bytes can still be received.
    pub(crate) fn shut_down(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        // If this fails, the connection is gone, and the next read says so.
        let _ = self.send(&mut [], |_| 0);
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends TLS. Sends close_notify if no other bytes wait to be sent.
    pub(super) fn close_tls(&mut self) {
        if let Some(mut tls) = self.tls.take().filter(|_| self.output.is_empty()) {
            tls.send_close_notify();
            // If this fails, the peer sees only the end of the connection.
            let _ = self.flush(&mut tls);
        }
    }
}

/// Repeats an operation that a signal interrupted. Returns `None` if it would block.
fn retry(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match operation() {
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};
    use rustix::net::sockopt::set_socket_linger;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    /// A certificate for `localhost`, and both sides of TLS with it.
    fn sides() -> (ClientConnection, ServerConnection) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = CertificateDer::from(certificate);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        (ClientConnection::new(Arc::new(client), name).unwrap(), ServerConnection::new(Arc::new(server)).unwrap())
    }

    /// Sends `bytes`, and resets the connection when the server has sent a byte back.
    fn client(mut tcp: std::net::TcpStream, tls: Option<ClientConnection>, bytes: &[u8]) {
        match tls {
            None => {
                tcp.write_all(bytes).unwrap();
                tcp.read_exact(&mut [0]).unwrap();
            }
            Some(mut tls) => {
                let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
                stream.write_all(bytes).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            }
        }
        set_socket_linger(&tcp, Some(Duration::ZERO)).unwrap();
    }

    #[test]
    fn item_287_bytes_that_arrived_before_a_reset_are_received() {
        let sent: Vec<u8> = (0..40_000_u32).map(|number| (number % 251) as u8).collect();
        for is_tls in [false, true] {
            let (inside, tls) = sides();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (address, bytes) = (listener.local_addr().unwrap(), sent.clone());
            let peer = thread::spawn(move || {
                client(std::net::TcpStream::connect(address).unwrap(), is_tls.then_some(inside), &bytes);
            });
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut socket = Socket::outliving_reset(TcpStream::from_std(stream));
            if is_tls {
                socket.start_tls(tls.into()).unwrap();
            }
            // A session that waits takes nothing until the reset has arrived.
            let (mut buffer, mut received, mut has_sent) = (vec![0; 65_536], Vec::new(), false);
            let error = loop {
                socket.rearm();
                let takes = socket.has_ended();
                let moved = socket.receive(&mut buffer, true, |input| {
                    let length = if takes { input.len().min(1000) } else { 0 };
                    received.extend_from_slice(&input[..length]);
                    (length, input.len())
                });
                let Ok((_, waiting)) = moved else { break moved.unwrap_err() };
                if waiting == sent.len() && !has_sent {
                    has_sent = socket.send(&mut [0; 16], |out| usize::from(!out.is_empty())).unwrap();
                } else {
                    socket.send(&mut [], |_| 0).unwrap();
                }
                thread::sleep(Duration::from_millis(1));
            };
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(received == sent, "{} bytes, TLS: {is_tls}", received.len());
            peer.join().unwrap();
        }
    }
}
