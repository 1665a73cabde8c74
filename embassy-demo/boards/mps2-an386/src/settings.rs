//! An HTTP server of the application, which shares a port with RTMP. A real one would be a crate such as edge-http.

use embedded_io_async::{Read, Write};
use embedded_rtmp_embassy::{Handover, HandoverStream};

/// The number of connections that are served at the same time.
pub const CONNECTIONS: usize = 2;

/// Answers one connection after another. Each of [`CONNECTIONS`] futures does this.
pub async fn serve(handover: &Handover<CONNECTIONS>) -> ! {
    loop {
        // An error ends only this connection.
        let _ = answer(handover.accept().await).await;
    }
}

/// Answers a request that has no body.
async fn answer(mut stream: HandoverStream<'_>) -> Result<(), embassy_net::tcp::Error> {
    let (mut piece, mut end) = ([0; 64], 0_u32);
    while end != u32::from_be_bytes(*b"\r\n\r\n") {
        let read = stream.read(&mut piece).await?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        for byte in bytes {
            end = if end == u32::from_be_bytes(*b"\r\n\r\n") { end } else { end << 8 | u32::from(*byte) };
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nSettings\n").await
}
