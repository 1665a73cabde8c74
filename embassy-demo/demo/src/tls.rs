//! RTMPS in the demo: the last target of the publisher, and the server's side of TLS.
//!
//! The publisher device verifies the server by the pin of its key. The server device represents a server on a host, so
//! it uses rustls, over a socket of the device.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use anyhow::{Context, Result};
use embassy_net::Stack;
use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
use embassy_time::{Duration, Instant, with_timeout};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Plan, PlanEvent};
use embedded_rtmp_embassy::embedded_rtmp::time;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::tls::{DialError, P256, Pin, Records, Tls, TlsError, TlsOptions};
use embedded_rtmp_embassy::transport::{Connect, Pipe, Stream, TcpConnect};
use embedded_rtmp_embassy::{ClientOptions, Error, KeepAlive, Memory, Publisher};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::ServerConnection;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use super::flv::Tag;
use super::progress::Progress;
use super::publish::feed;
use super::wire::Random;

/// The port on which the server device accepts only TLS.
pub const PORT: u16 = 443;
/// The time limit for the server to close its side.
const CLOSE: Duration = Duration::from_secs(5);

/// The server's certificate, which is made for this run, and the pin that the publisher knows.
pub struct Identity {
    config: Arc<rustls::ServerConfig>,
    /// The SHA-256 of the key's SubjectPublicKeyInfo.
    pin: [u8; 32],
}

impl Identity {
    /// Makes a key and a self-signed certificate of it.
    ///
    /// # Errors
    /// There is no entropy.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("no key")?;
        let certificate = CertificateParams::new(["10.0.0.2".to_owned()])?.self_signed(&key)?;
        let pin = Sha256::digest(key.subject_public_key_info()).into();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { config: Arc::new(config), pin })
    }
}

/// Tries the targets of a plan, all inside TLS, and publishes the clip.
///
/// # Errors
/// No target could be reached, the key of the server does not match the pin, or publishing failed.
pub async fn publish(
    stack: Stack<'_>,
    url: &Url<'_>,
    plan: &mut Plan<'_>,
    identity: &Identity,
    clip: &[Tag<'_>],
    progress: &Progress,
) -> Result<(), Error> {
    let mut random = Random(0x0123_4567_89AB_CDEF);
    let pins = [identity.pin];
    let (mut rx, mut tx, mut records) = ([0; 4096], [0; 4096], Box::new(Records::<16_640, 1_536>::new()));
    let (mut input, mut output, mut memory) = ([0; 1024], [0; 2 * 1_460], Memory::<1, 1>::new());
    let entropy = [random.bytes(), random.bytes()];
    let tcp = TcpConnect::new(stack, &mut rx, &mut tx, KeepAlive::DEFAULT);
    let mut tls = Tls::new(tcp, &mut *records, Pin::<P256>::new(&pins), || random.bytes(), TlsOptions::DEFAULT);
    let (pipe, options) = (Pipe::new(&mut input, &mut output), ClientOptions::default());
    while let Some(PlanEvent::Dial { id, target, .. }) = plan.poll_event(now()) {
        let mut stream = match tls.connect(url.host(), target.port).await {
            Ok(stream) => stream,
            Err(DialError::Tls(TlsError::Refused(_) | TlsError::Unauthenticated)) => {
                plan.report_untrusted(id, now());
                continue;
            }
            Err(error) => {
                let is_tls = matches!(error, DialError::Tls(_));
                plan.report_failed(id, now(), if is_tls { Failure::Tls } else { Failure::TimedOut });
                continue;
            }
        };
        plan.report_tcp(id, now());
        let session = async {
            let buffers = memory.session();
            let mut publisher = Publisher::<8, _>::open(&pipe, url, &options, buffers, &entropy[0]).await?;
            plan.report_connected(id, now());
            feed(&mut publisher, clip, true, progress).await
        };
        let (mut reader, mut writer) = stream.split();
        let (result, _) = pipe.run(&mut reader, &mut writer, session).await;
        // The result is ignored, because the recording shows whether everything has arrived.
        let _ = with_timeout(CLOSE, stream.close()).await;
        return result;
    }
    Err(Error::Exhausted)
}

fn now() -> time::Instant {
    time::Instant::from_micros(Instant::now().as_micros())
}

/// Accepts connections on [`PORT`], one after another, and connects the bytes inside TLS to the session over `pipe`.
pub async fn serve(stack: Stack<'_>, identity: &Identity, pipe: &Pipe<'_>) {
    let (mut rx, mut tx) = ([0; 4096], [0; 4096]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.set_nagle_enabled(false);
        let Ok(tls) = ServerConnection::new(identity.config.clone()) else { return };
        if socket.accept(PORT).await.is_err() {
            continue;
        }
        let tls = RefCell::new(tls);
        let (reader, writer) = socket.split();
        let (mut reader, mut writer) = (Reader { tls: &tls, tcp: reader }, Writer { tls: &tls, tcp: writer });
        if shake_hands(&mut reader, &mut writer).await.is_ok() {
            pipe.serve(&mut reader, &mut writer).await;
            tls.borrow_mut().send_close_notify();
            let _ = writer.send().await;
        }
        socket.close();
        let _ = with_timeout(CLOSE, socket.flush()).await;
    }
}

async fn shake_hands(reader: &mut Reader<'_, '_>, writer: &mut Writer<'_, '_>) -> Result<(), ErrorKind> {
    while reader.tls.borrow().is_handshaking() {
        reader.receive().await?;
        writer.send().await?;
    }
    Ok(())
}

/// The reader of the bytes that the client sends inside TLS.
struct Reader<'t, 's> {
    tls: &'t RefCell<ServerConnection>,
    tcp: TcpReader<'s>,
}

/// The writer of the bytes that the server sends inside TLS.
struct Writer<'t, 's> {
    tls: &'t RefCell<ServerConnection>,
    tcp: TcpWriter<'s>,
}

impl Reader<'_, '_> {
    /// Receives some records.
    async fn receive(&mut self) -> Result<(), ErrorKind> {
        let mut records = [0; 2048];
        let length = self.tcp.read(&mut records).await.map_err(|_| ErrorKind::ConnectionReset)?;
        if length == 0 {
            return Err(ErrorKind::ConnectionAborted);
        }
        let (mut tls, mut rest) = (self.tls.borrow_mut(), &records[..length]);
        while !rest.is_empty() {
            tls.read_tls(&mut rest).map_err(|_| ErrorKind::InvalidData)?;
            tls.process_new_packets().map_err(|_| ErrorKind::InvalidData)?;
        }
        Ok(())
    }
}

impl Writer<'_, '_> {
    /// Sends the records that TLS has made.
    async fn send(&mut self) -> Result<(), ErrorKind> {
        let mut records = Vec::new();
        while self.tls.borrow().wants_write() {
            self.tls.borrow_mut().write_tls(&mut records).map_err(|_| ErrorKind::Other)?;
        }
        self.tcp.write_all(&records).await.map_err(|_| ErrorKind::ConnectionReset)
    }
}

impl ErrorType for Reader<'_, '_> {
    type Error = ErrorKind;
}

impl ErrorType for Writer<'_, '_> {
    type Error = ErrorKind;
}

impl Read for Reader<'_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            match self.tls.borrow_mut().reader().read(buffer) {
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(ErrorKind::ConnectionAborted),
            }
            self.receive().await?;
        }
    }
}

impl Write for Writer<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.tls.borrow_mut().writer().write_all(bytes).map_err(|_| ErrorKind::Other)?;
        self.send().await?;
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
