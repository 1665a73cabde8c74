//! TLS 1.3 over any [`Connect`]: RTMPS (feature `rtmps`).
//!
//! ```text
//!   session ── Pipe ── Tls ── embedded-tls ── check of each record ── Connect of the caller: TCP, a modem
//!                       │
//!                       └── Verifier: Pin, Roots, or one of the caller
//! ```
//!
//! [`Tls`] is a connector over another connector. It verifies the server before the first byte of RTMP is written:
//!
//! ```no_run
//! use embedded_rtmp_embassy::transport::tls::{P256, Records, Roots, Time, Tls, TlsOptions};
//! use embedded_rtmp_embassy::transport::TcpConnect;
//! use static_cell::ConstStaticCell;
//!
//! static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());
//! # static CA: [u8; 0] = [];
//! # fn entropy() -> [u8; 32] { [0; 32] }
//! # fn clock() -> u64 { 0 }
//! # fn f(tcp: TcpConnect<'static>) {
//! static ANCHORS: [&[u8]; 1] = [&CA]; // include_bytes!("ca.der")
//! let roots = Roots::<P256>::new(&ANCHORS, Time::Clock(clock));
//! let tls = Tls::new(tcp, RECORDS.take(), roots, entropy, TlsOptions::DEFAULT);
//! // `over(tls, &STATE, rng, Config::new("rtmps://…"))` publishes, and connects again when the connection is lost.
//! # }
//! ```
//!
//! # Verification
//! [`Pin`] needs the least flash and no clock. [`Roots`] validates a chain of certificates. [`P256`], [`P256Rsa`] and
//! `P256RsaP384` select the signature algorithms of both. A server that does not prove its identity is refused, even if
//! embedded-tls has accepted its handshake. [`DangerousNoVerification`] disables the verification.
//!
//! # Memory
//! [`Records`] has the memory of one connection. A read buffer of 16,640 bytes or more suffices for every server. With
//! a smaller buffer, the ClientHello asks for shorter records (`max_fragment_length`, RFC 6066). OpenSSL and programs
//! that use it respect this. The server's certificates must then fit into one such record, because embedded-tls cannot
//! read a message that is split over several records. A single P-256 certificate for [`Pin`] fits. A chain of
//! certificates rarely does.
//!
//! # Limits
//! - The cipher suite is `TLS_AES_128_GCM_SHA256`. The key exchange is on the curve P-256. A server that wants another
//!   curve asks for a second ClientHello, and is refused ([`TlsError::HelloRetry`]).
//! - KeyUpdate and [`TlsOptions::record_limit`] end the connection. The runner of a [`Live`](crate::Live) connects again,
//!   and continues with a keyframe.
//! - embedded-tls 0.19 always offers `ecdsa_secp384r1_sha384` and `ed25519`, and with RSA also PKCS #1 and SHA-512. A
//!   server that chooses one that the verifier does not support is refused ([`Refusal::Algorithm`]).
//! - When a server is refused, the connection is dropped without an alert. If the server sends `close_notify` first, no
//!   `close_notify` is sent back. The keys inside embedded-tls are not zeroized.
//!
//! # Computations
//! A handshake takes tens of millions of instructions. None of them run while the network stack is borrowed. The task
//! yields after the key pair was made, after each record of the server, and before each ECDSA signature that was put off
//! ([`Deferred`]). The client sends its Finished after all of them.
//!
//! The longest computation without a yield is one multiplication of a point, or the verification of one ECDSA signature:
//! about 11 million instructions on a Cortex-M4 for P-256, and 85 million for P-384. It cannot be split, because the
//! libraries compute it in one call. rustls-webpki verifies a path in one call, too. Only its last signature, that of the
//! server's certificate, is put off. With two or more intermediates below the trust anchor, or with RSA, the others are
//! verified together. If two certificates have the name of the issuer and different keys, none is put off. `bench_firmware
//! --secure` of the project prints the figures.
//!
//! If this delays other tasks too much, run them on an executor of a higher priority. It interrupts a computation when one
//! of its tasks can run:
//!
//! ```ignore
//! static URGENT: InterruptExecutor = InterruptExecutor::new();
//!
//! #[interrupt]
//! unsafe fn SWI0() {
//!     unsafe { URGENT.on_interrupt() }
//! }
//!
//! #[embassy_executor::main]
//! async fn main(spawner: Spawner) {
//!     interrupt::SWI0.set_priority(Priority::P6);
//!     URGENT.start(interrupt::SWI0).spawn(camera_task(frames.sender()).unwrap());
//!     // The network stack and the stream run here, with the lowest priority.
//!     spawner.spawn(network_task(network_runner).unwrap());
//!     spawner.spawn(stream_task(runner).unwrap());
//!     spawner.spawn(video_task(live, frames.receiver()).unwrap());
//! }
//! ```
//!
//! embassy-net's `Stack` and the handles of a [`Live`](crate::Live) belong to one executor. Therefore the camera passes its
//! frames through a channel of `embassy_sync` to a task beside the stream. While a signature is verified, the network stack
//! does not run either, and the driver's buffers hold what arrives.

mod algorithms;
mod cipher;
mod deferred;
mod der;
mod entropy;
pub(crate) mod error;
mod relay;
mod rsa;
mod verify;

use core::cell::RefCell;
use core::future::Future;
use core::pin::{Pin as Pinned, pin};
use core::task::{Context, Poll, Waker};

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_time::Duration;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::{FlushPolicy, MaxFragmentLength, TlsConfig, TlsConnection, TlsContext};

#[cfg(feature = "rtmps-p384")]
pub use self::algorithms::P256RsaP384;
pub use self::algorithms::{Algorithms, P256, P256Rsa};
use self::cipher::Suite;
pub use self::deferred::Deferred;
pub use self::error::{Refusal, TlsError};
use self::relay::{HEADER, Handle, LONGEST_DATA, LONGEST_RECORD, Relay, Wait};
pub use self::verify::{DangerousNoVerification, Pin, Roots, Time, Verifier};
use self::verify::{Host, Progress, Provider};
use super::{Connect, Stream};
use crate::clock::{clock, later, passed};
use crate::error::Error;
use crate::fmt::impl_format;

/// The number of bytes that embedded-tls needs in a write buffer in addition to the data of a record.
const OVERHEAD: usize = 128;

/// The limits of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TlsOptions {
    /// The time limit for the handshake, from the connected stream to the verified server.
    pub handshake_limit: Duration,
    /// The largest number of records in each direction. 2²⁴ records with AES-GCM are safe (RFC 8446, section 5.5).
    pub record_limit: u32,
}

impl TlsOptions {
    /// 10 s, and 2²⁴ records.
    pub const DEFAULT: Self = Self { handshake_limit: Duration::from_secs(10), record_limit: 1 << 24 };
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The memory for the records of one connection. Put it in a static `ConstStaticCell` of the crate `static_cell`, so
/// that it is never on the stack.
///
/// `READ` is 16,640 for any server, or 640, 1,152, 2,176 or 4,224 to ask for records of 512, 1,024, 2,048 or 4,096
/// bytes. `WRITE` is 133 plus the number of data bytes in a sent record, such as the size of a chunk or of a TCP
/// segment. It must be at least 512.
pub struct Records<const READ: usize = 16_640, const WRITE: usize = 1_536> {
    read: [u8; READ],
    write: [u8; WRITE],
    /// Bytes between the stream below and the records.
    input: [u8; 256],
    output: [u8; 512],
}

impl_format!(Debug, [const READ: usize, const WRITE: usize] Records<READ, WRITE>, _ => "Records<{}, {}>", READ, WRITE);

impl<const READ: usize, const WRITE: usize> Records<READ, WRITE> {
    /// Creates memory for one connection. Sizes that are too small do not compile.
    pub const fn new() -> Self {
        const { assert!(READ >= 640 && WRITE >= 512, "READ must be 640 or more, and WRITE 512 or more") }
        Self { read: [0; READ], write: [0; WRITE], input: [0; 256], output: [0; 512] }
    }
}

impl<const READ: usize, const WRITE: usize> Default for Records<READ, WRITE> {
    fn default() -> Self {
        Self::new()
    }
}

/// TLS over the streams of another connector.
///
/// It implements [`Connect`]. The connector below makes a connection. Then TLS secures it: the server must prove to the
/// [`Verifier`] that it is `host`. Only one connection exists at a time.
pub struct Tls<'m, C, V, E> {
    below: C,
    read: &'m mut [u8],
    write: &'m mut [u8],
    verifier: V,
    entropy: E,
    options: TlsOptions,
    relay: Relay<'m>,
}

impl_format!(Debug, ['m, C, V, E] Tls<'m, C, V, E>, this => "Tls {{ {:?} }}", this.options);

impl<'m, C: Connect, V: Verifier, E: FnMut() -> [u8; 32]> Tls<'m, C, V, E> {
    /// Creates TLS over `below`.
    ///
    /// `entropy` returns 32 secret bytes from a cryptographic random number generator. It is called once for each
    /// connection. The random number of the ClientHello and the key are derived from these bytes with SHA-256.
    pub const fn new<const READ: usize, const WRITE: usize>(
        below: C,
        records: &'m mut Records<READ, WRITE>,
        verifier: V,
        entropy: E,
        options: TlsOptions,
    ) -> Self {
        let Records { read, write, input, output } = records;
        Self { below, read, write, verifier, entropy, options, relay: Relay::new(input, output) }
    }
}

/// The reason why a connection could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DialError<E> {
    /// The connector below made no connection.
    Connect(E),
    /// TLS failed.
    Tls(TlsError),
}

impl<E: core::fmt::Display> core::fmt::Display for DialError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error> core::error::Error for DialError<E> {}

impl<'m, C: Connect, V: Verifier, E: FnMut() -> [u8; 32]> Connect for Tls<'m, C, V, E> {
    const IS_TLS: bool = true;
    type Error = DialError<C::Error>;
    type Stream<'s>
        = TlsStream<'s, 'm, C::Stream<'s>>
    where
        Self: 's;

    async fn connect<'s>(&'s mut self, host: &str, port: u16) -> Result<Self::Stream<'s>, Self::Error> {
        let Self { below, read, write, verifier, entropy, options, relay } = self;
        let (fragment, write) = buffers(read, write).map_err(DialError::Tls)?;
        relay.restart(options.record_limit, read.len());
        let relay = &*relay;
        let host_name = Host::new(host).map_err(DialError::Tls)?;
        let mut config = TlsConfig::new();
        if host_name.is_dns {
            config = config.with_server_name(host_name.name);
        }
        if let Some(length) = fragment {
            config = config.with_max_fragment_length(length);
        }
        if V::OFFERS_RSA {
            config = config.enable_rsa_signatures();
        }
        let mut stream = below.connect(host, port).await.map_err(DialError::Connect)?;
        let mut tls = TlsConnection::new(Handle(relay), read, write);
        tls.set_flush_policy(FlushPolicy::Relaxed);
        let progress = RefCell::new(Progress::new());
        let mut provider = Provider::new(host_name.name, verifier, entropy(), &progress);
        // The future is not stored in a local variable, because that would need additional memory in the task.
        let opened = match select(
            open(&mut tls, &config, &mut provider, &progress, relay, &mut stream),
            passed(later(clock(), options.handshake_limit)),
        )
        .await
        {
            Either::First(opened) => opened,
            Either::Second(()) => Err(TlsError::TimedOut),
        };
        drop(provider);
        // If the verifier has refused the server, embedded-tls reports another error.
        opened.map_err(|error| DialError::Tls(progress.into_inner().refused().unwrap_or(error)))?;
        relay.open();
        Ok(TlsStream { tls, relay, below: stream })
    }

    fn reason(error: &Self::Error) -> Error {
        match error {
            DialError::Connect(error) => C::reason(error),
            DialError::Tls(error) => Error::Tls(*error),
        }
    }
}

/// Returns the fragment length to ask for, and the write buffer that is used with it.
///
/// # Errors
/// A buffer is too small.
fn buffers<'w>(read: &[u8], write: &'w mut [u8]) -> Result<(Option<MaxFragmentLength>, &'w mut [u8]), TlsError> {
    const LENGTHS: [(usize, MaxFragmentLength); 4] = [
        (4096, MaxFragmentLength::Bits12),
        (2048, MaxFragmentLength::Bits11),
        (1024, MaxFragmentLength::Bits10),
        (512, MaxFragmentLength::Bits9),
    ];
    // A record may have at most 2¹⁴ bytes of data.
    let mut longest = LONGEST_DATA.saturating_add(OVERHEAD).saturating_add(HEADER);
    let mut fragment = None;
    if read.len() < LONGEST_RECORD {
        let fits = |length: usize| length.saturating_add(OVERHEAD) <= read.len();
        let (length, code) = LENGTHS.into_iter().find(|(length, _)| fits(*length)).ok_or(TlsError::Buffers)?;
        (longest, fragment) = (length.saturating_add(OVERHEAD), Some(code));
    }
    let longest = write.len().min(longest);
    Ok((fragment, write.get_mut(..longest).ok_or(TlsError::Buffers)?))
}

/// Runs the handshake, up to the client's Finished, which is sent after the server has proved its identity.
async fn open<S: Stream, V: Verifier>(
    tls: &mut TlsConnection<'_, Handle<'_, '_>, Suite>,
    config: &TlsConfig<'_>,
    provider: &mut Provider<'_, V>,
    progress: &RefCell<Progress>,
    relay: &Relay<'_>,
    stream: &mut S,
) -> Result<(), TlsError> {
    let (mut reader, mut writer) = stream.split();
    let mut opening = pin!(tls.open(TlsContext::new(config, provider)));
    loop {
        let opened = poll_once(opening.as_mut());
        relay.drain(&mut writer).await?;
        match opened {
            Poll::Ready(Ok(())) => return writer.flush().await.map_err(|_| relay.fail(TlsError::Lost)),
            Poll::Ready(Err(error)) => return Err(relay.failed(error)),
            Poll::Pending => {}
        }
        writer.flush().await.map_err(|_| relay.fail(TlsError::Lost))?;
        // The computation may have taken long.
        yield_now().await;
        match relay.wait() {
            Wait::Bytes => relay.fill(&mut reader).await?,
            Wait::Yield => {}
            Wait::Proof => {
                while progress.borrow_mut().step()? {
                    yield_now().await;
                }
                relay.prove();
            }
        }
    }
}

/// Polls a future of embedded-tls, which waits only for the relay.
fn poll_once<F: Future>(future: Pinned<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Writes `close_notify` into the relay, which has room for it because everything else has been sent.
// Not inlined, so that the future of embedded-tls is on the stack only here.
#[inline(never)]
fn notify_close(tls: TlsConnection<'_, Handle<'_, '_>, Suite>) {
    let _ = poll_once(pin!(tls.close()));
}

/// A TLS connection over a stream of another connector.
pub struct TlsStream<'s, 'm, S> {
    tls: TlsConnection<'s, Handle<'s, 'm>, Suite>,
    relay: &'s Relay<'m>,
    below: S,
}

impl_format!(Debug, ['s, 'm, S] TlsStream<'s, 'm, S>, this => "TlsStream {{ failure: {:?} }}", this.relay.failure());

impl<'s, 'm, S: Stream> Stream for TlsStream<'s, 'm, S> {
    type Reader<'h>
        = TlsReader<'h, 's, 'm, S::Reader<'h>>
    where
        Self: 'h;
    type Writer<'h>
        = TlsWriter<'h, 's, 'm, S::Writer<'h>>
    where
        Self: 'h;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        self.relay.check_whole();
        let ((reader, writer), (below_reader, below_writer)) = (self.tls.split(), self.below.split());
        let relay = self.relay;
        (
            TlsReader { tls: reader, below: below_reader, relay, is_busy: false, is_closed: false },
            TlsWriter { tls: writer, below: below_writer, relay, is_busy: false },
        )
    }

    #[allow(clippy::manual_async_fn, reason = "an `async fn` would store the connection twice")]
    fn close(mut self) -> impl Future<Output = ()> {
        async move {
            self.relay.check_whole();
            self.relay.allow_last();
            if self.relay.failure().is_none() {
                let ((_, mut tls), (_, mut below)) = (self.tls.split(), self.below.split());
                let _ = drained(self.relay, &mut below, pin!(tls.flush())).await;
            }
            if self.relay.failure().is_none() {
                notify_close(self.tls);
                let (_, mut below) = self.below.split();
                let _ = self.relay.drain(&mut below).await;
                let _ = below.flush().await;
            }
            self.below.close().await;
        }
    }

    fn failure(&self) -> Option<Error> {
        self.relay.failure().map(Error::Tls)
    }
}

/// The half of a [`TlsStream`] that reads. It fails with [`TlsError::Interrupted`] after one of its futures was dropped.
pub struct TlsReader<'h, 's, 'm, R> {
    tls: embedded_tls::TlsReader<'h, Handle<'s, 'm>, Suite>,
    below: R,
    relay: &'s Relay<'m>,
    is_busy: bool,
    is_closed: bool,
}

impl_format!(Debug, ['h, 's, 'm, R] TlsReader<'h, 's, 'm, R>, _ => "TlsReader");

impl<R> ErrorType for TlsReader<'_, '_, '_, R> {
    type Error = TlsError;
}

impl<'h, 's: 'h, 'm: 's, R: Read> Read for TlsReader<'h, 's, 'm, R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TlsError> {
        let Self { tls, below, relay, is_busy, is_closed } = self;
        begin(relay, is_busy)?;
        let read = {
            let mut reading = pin!(tls.read(buffer));
            loop {
                match poll_once(reading.as_mut()) {
                    _ if *is_closed => break Ok(0),
                    Poll::Ready(Ok(read)) => break Ok(read),
                    Poll::Ready(Err(embedded_tls::TlsError::ConnectionClosed)) => {
                        *is_closed = true;
                        break Ok(0);
                    }
                    Poll::Ready(Err(error)) => break Err(relay.failed(error)),
                    Poll::Pending => relay.fill(below).await?,
                }
            }
        };
        *is_busy = false;
        read
    }
}

/// The half of a [`TlsStream`] that writes. It fails with [`TlsError::Interrupted`] after one of its futures was dropped.
pub struct TlsWriter<'h, 's, 'm, W> {
    tls: embedded_tls::TlsWriter<'h, Handle<'s, 'm>, Suite>,
    below: W,
    relay: &'s Relay<'m>,
    is_busy: bool,
}

impl_format!(Debug, ['h, 's, 'm, W] TlsWriter<'h, 's, 'm, W>, _ => "TlsWriter");

impl<W> ErrorType for TlsWriter<'_, '_, '_, W> {
    type Error = TlsError;
}

impl<'h, 's: 'h, 'm: 's, W: Write> Write for TlsWriter<'h, 's, 'm, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, TlsError> {
        let Self { tls, below, relay, is_busy } = self;
        begin(relay, is_busy)?;
        let written = drained(relay, below, pin!(tls.write(bytes))).await;
        *is_busy = false;
        written
    }

    async fn flush(&mut self) -> Result<(), TlsError> {
        let Self { tls, below, relay, is_busy } = self;
        begin(relay, is_busy)?;
        let mut flushed = drained(relay, below, pin!(tls.flush())).await;
        if flushed.is_ok() {
            flushed = below.flush().await.map_err(|_| relay.fail(TlsError::Lost));
        }
        *is_busy = false;
        flushed
    }
}

/// Begins an operation. Fails if the previous operation was dropped or the connection has failed.
fn begin(relay: &Relay<'_>, is_busy: &mut bool) -> Result<(), TlsError> {
    if let Some(failure) = relay.failure() {
        return Err(failure);
    }
    if *is_busy {
        return Err(relay.fail(TlsError::Interrupted));
    }
    *is_busy = true;
    Ok(())
}

/// Runs a future of embedded-tls, and sends its output to the stream below.
async fn drained<T>(
    relay: &Relay<'_>,
    below: &mut impl Write,
    mut writing: Pinned<&mut impl Future<Output = Result<T, embedded_tls::TlsError>>>,
) -> Result<T, TlsError> {
    loop {
        let written = poll_once(writing.as_mut());
        relay.drain(below).await?;
        if let Poll::Ready(written) = written {
            return written.map_err(|error| relay.failed(error));
        }
    }
}
