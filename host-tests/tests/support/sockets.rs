//! A TCP connection of the host as a stream of the adapter.

use std::io::{self, ErrorKind as IoErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use embassy_time::Timer;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp_embassy::transport::{Connect, Stream};

/// Connects to one port of 127.0.0.1 for every host.
pub(crate) struct Loopback(pub(crate) u16);

impl Connect for Loopback {
    type Error = io::Error;
    type Stream<'s> = Socket;

    async fn connect(&mut self, _: &str, _: u16) -> io::Result<Socket> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.0))?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Socket(socket))
    }
}

pub(crate) struct Socket(TcpStream);

impl Stream for Socket {
    type Reader<'h> = Half<'h>;
    type Writer<'h> = Half<'h>;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(&self.0), Half(&self.0))
    }

    async fn close(self) {
        let _ = self.0.shutdown(Shutdown::Write);
        while let Ok(1..) = Half(&self.0).read(&mut [0; 512]).await {}
    }
}

/// Its futures own no data, so they can be dropped at any time.
pub(crate) struct Half<'s>(&'s TcpStream);

/// Repeats the operation every millisecond while it would block.
async fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> Result<T, ErrorKind> {
    loop {
        match operation() {
            Err(error) if error.kind() == IoErrorKind::WouldBlock => Timer::after_millis(1).await,
            result => return result.map_err(|_| ErrorKind::Other),
        }
    }
}

impl ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        retry(|| (&mut &*self.0).read(buffer)).await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        retry(|| (&mut &*self.0).write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
