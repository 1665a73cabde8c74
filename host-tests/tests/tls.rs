//! The adapter over TLS: a publisher over a pipe, over embedded-tls, to nginx. The certificate is not verified.

mod support;

use std::io::{self, ErrorKind as IoErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::url::Url;
use embedded_rtmp_demo::clock::block_on;
use embedded_rtmp_embassy::transport::{Connect, End, Pipe, Stream};
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, Parts, Publisher};
use embedded_tls::{Aes128GcmSha256, TlsConfig, TlsConnection, TlsContext, TlsReader, TlsWriter, UnsecureProvider};
use host_tests::flv::Tag;
use host_tests::peers::{Nginx, NginxOptions, TlsProxy};
use rand_core::{CryptoRng, RngCore};

use support::{clip, media};

/// A TCP connection of the host. Its futures hold nothing, so its halves can be clones.
#[derive(Clone)]
struct Socket(Rc<TcpStream>);

impl Socket {
    /// Repeats the operation every millisecond while it would block.
    async fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> Result<T, ErrorKind> {
        loop {
            match operation() {
                Err(error) if error.kind() == IoErrorKind::WouldBlock => Timer::after_millis(1).await,
                result => return result.map_err(|_| ErrorKind::Other),
            }
        }
    }
}

impl ErrorType for Socket {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Self::retry(|| (&*self.0).read(buffer)).await
    }
}

impl Write for Socket {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Self::retry(|| (&*self.0).write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Random numbers of the host.
struct Random;

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        getrandom::u32().unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        getrandom::u64().unwrap()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}

/// TLS over the host's TCP to one port, with the memory for its records.
struct Tls {
    port: u16,
    read: Vec<u8>,
    write: Vec<u8>,
}

struct TlsStream<'s> {
    tls: TlsConnection<'s, Socket, Aes128GcmSha256>,
    socket: Socket,
}

impl Connect for Tls {
    type Error = embedded_tls::TlsError;
    type Stream<'s> = TlsStream<'s>;

    async fn connect<'s>(&'s mut self, host: &str, _: u16) -> Result<TlsStream<'s>, Self::Error> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let socket = Socket(Rc::new(stream));
        let mut tls = TlsConnection::new(socket.clone(), &mut self.read, &mut self.write);
        let config = TlsConfig::new().with_server_name(host);
        tls.open(TlsContext::new(&config, UnsecureProvider::new::<Aes128GcmSha256>(Random))).await?;
        Ok(TlsStream { tls, socket })
    }
}

impl Stream for TlsStream<'_> {
    type Reader<'h>
        = TlsReader<'h, Socket, Aes128GcmSha256>
    where
        Self: 'h;
    type Writer<'h>
        = TlsWriter<'h, Socket, Aes128GcmSha256>
    where
        Self: 'h;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        self.tls.split()
    }

    async fn close(self) {
        let Self { tls, mut socket } = self;
        let _ = tls.close().await;
        let _ = socket.0.shutdown(Shutdown::Write);
        while let Ok(1..) = socket.read(&mut [0; 512]).await {}
    }
}

/// Publishes messages when they are due, and closes the stream.
async fn publish(pipe: &Pipe<'_>, url: &Url<'_>, messages: &[Tag]) -> Result<(), Error> {
    let (mut memory, options) = (Memory::<1, 1>::new(), ClientOptions::DEFAULT);
    let mut publisher = Publisher::<8, _>::open(pipe, url, &options, memory.session(), &[9; 32]).await?;
    let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
    let start = Instant::now();
    let feed = async {
        for tag in messages {
            Timer::at(start + Duration::from_millis(tag.timestamp.into())).await;
            let sender = if tag.kind == MessageKind::AUDIO { &mut audio } else { &mut video };
            sender.send(Timestamp(tag.timestamp), &tag.payload).await?;
        }
        Ok::<(), Error>(())
    };
    match select(runner.run(), feed).await {
        Either::First(error) => return Err(error),
        Either::Second(result) => result?,
    }
    publisher.close().await
}

#[test]
#[ignore = "needs nginx"]
fn a_stream_that_is_published_over_tls_arrives_whole() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let proxy = TlsProxy::start(nginx.port()).unwrap();
    let clip = media(&clip());
    let url = "rtmp://server.example/rec/over-tls";
    let mut tls = Tls { port: proxy.port(), read: vec![0; 16_640], write: vec![0; 2_048] };
    let (mut input, mut output) = ([0; 256], [0; 2 * 1_460]);
    let pipe = Pipe::new(&mut input, &mut output);
    // The second stream uses the same memory.
    for _ in 0..2 {
        block_on(async {
            let url = Url::parse(url).unwrap();
            let mut stream = tls.connect(url.host(), 443).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            let running = pipe.run(&mut reader, &mut writer, publish(&pipe, &url, &clip));
            let ended = with_timeout(Duration::from_secs(60), running).await.expect("the session ends in time");
            assert_eq!(ended, (Ok(()), End::Closed));
            with_timeout(Duration::from_secs(5), stream.close()).await.expect("nginx closes its side");
        });
    }
    let recordings = nginx.recordings("over-tls").unwrap();
    assert_eq!(recordings.len(), 2);
    for recording in recordings {
        for kind in [MessageKind::AUDIO, MessageKind::VIDEO] {
            // nginx repeats the sequence headers at the start of a recording.
            let payloads = |tags: Vec<Tag>| -> Vec<Vec<u8>> {
                let frames = tags.into_iter().filter(|tag| tag.kind == kind && !tag.is_configuration());
                frames.map(|tag| tag.payload).collect()
            };
            assert!(payloads(media(&recording)) == payloads(clip.clone()), "other payloads of {kind:?}");
        }
    }
}
