//! RTMPS of the adapter: handshakes with `openssl s_server`, and a publisher over a pipe to nginx.

#[path = "support/pki.rs"]
mod pki;
#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::url::Url;
use embedded_rtmp_demo::clock::block_on;
use embedded_rtmp_embassy::transport::tls::{
    Algorithms, DialError, P256, P256Rsa, P256RsaP384, Pin, Records, Refusal, Roots, Time, Tls, TlsError, TlsOptions,
    Verifier,
};
use embedded_rtmp_embassy::transport::{Connect, End, Pipe, Stream};
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, Parts, Publisher};
use host_tests::flv::Tag;
use host_tests::peers::{Nginx, NginxOptions, TlsProxy};

use pki::{Authority, Endpoint, pin};
use sockets::Loopback;
use support::{clip, media};

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
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
    let pins = [pin(&proxy.certificate().unwrap())];
    let mut records = Box::new(Records::<16_640, 2_048>::new());
    let below = Loopback(proxy.port());
    let mut tls = Tls::new(below, &mut *records, Pin::<P256>::new(&pins), entropy, TlsOptions::DEFAULT);
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

/// Connects to an endpoint, sends a line and reads it back reversed. `READ` is the size of the read buffer.
fn talk<const READ: usize>(endpoint: &Endpoint, host: &str, verifier: impl Verifier) -> Result<(), TlsError> {
    let mut records = Box::new(Records::<READ, 2_048>::new());
    let below = Loopback(endpoint.port());
    let mut tls = Tls::new(below, &mut *records, verifier, entropy, TlsOptions::DEFAULT);
    let talking = async {
        let mut stream = tls.connect(host, 443).await.map_err(|error| match error {
            DialError::Tls(error) => error,
            DialError::Connect(error) => panic!("{error}"),
        })?;
        let (mut reader, mut writer) = stream.split();
        writer.write_all(b"abc\n").await?;
        writer.flush().await?;
        let mut line = [0; 4];
        let mut end = 0;
        while end < line.len() {
            match reader.read(&mut line[end..]).await? {
                0 => return Err(TlsError::Truncated),
                read => end += read,
            }
        }
        assert_eq!(&line, b"cba\n");
        stream.close().await;
        Ok(())
    };
    block_on(async { with_timeout(Duration::from_secs(20), talking).await.expect("the conversation ends in time") })
}

/// Connects with the certificate of `authority` as the only trusted one.
fn by_chain<A: Algorithms>(endpoint: &Endpoint, host: &str, authority: &Authority) -> Result<(), TlsError> {
    let root = authority.certificate();
    talk::<16_640>(endpoint, host, Roots::<A>::new(&[&root], Time::Clock(now)))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const HOST: &str = "server.example";

fn refused(refusal: Refusal) -> Result<(), TlsError> {
    Err(TlsError::Refused(refusal))
}

#[test]
#[ignore = "needs openssl"]
fn item_235_openssl_servers_are_verified() {
    let root = Authority::new("P-256");
    let server = |leaf| Endpoint::start(leaf, &["-tls1_3"]);
    let right = server(root.leaf("P-256", HOST));
    assert_eq!(by_chain::<P256>(&right, HOST, &root), Ok(()));
    assert_eq!(by_chain::<P256>(&right, "other.example", &root), refused(Refusal::WrongName));
    assert_eq!(by_chain::<P256>(&right, HOST, &Authority::new("P-256")), refused(Refusal::BadSignature));
    let anchors = [&root.certificate()[..]];
    let late = Roots::<P256>::new(&anchors, Time::Clock(|| now() + 20 * 366 * 86_400));
    assert_eq!(talk::<16_640>(&right, HOST, late), refused(Refusal::Expired));
    let early = Roots::<P256>::new(&anchors, Time::Clock(|| 0));
    assert_eq!(talk::<16_640>(&right, HOST, early), refused(Refusal::NotYetValid));
    let pins = [pin(&right.certificate())];
    assert_eq!(talk::<16_640>(&right, "any.example", Pin::<P256>::new(&pins)), Ok(()));
    assert_eq!(talk::<16_640>(&right, "192.0.2.1", Pin::<P256>::new(&pins)), Ok(()));
    assert_eq!(talk::<16_640>(&right, HOST, Pin::<P256>::new(&[[7; 32]])), refused(Refusal::WrongKey));
    // One certificate fits into small records.
    assert_eq!(talk::<1_152>(&right, HOST, Pin::<P256>::new(&pins)), Ok(()));

    let middle = root.intermediate("P-256", true);
    let chained = server(middle.leaf("P-256", HOST));
    assert_eq!(by_chain::<P256>(&chained, HOST, &root), Ok(()));
    assert_eq!(by_chain::<P256>(&chained, HOST, &middle), Ok(()), "the intermediate is trusted");
    let alone = server(middle.leaf("P-256", HOST).without_chain());
    assert_eq!(by_chain::<P256>(&alone, HOST, &root), refused(Refusal::UnknownIssuer));
    let no_ca = server(root.intermediate("P-256", false).leaf("P-256", HOST));
    assert_eq!(by_chain::<P256>(&no_ca, HOST, &root), refused(Refusal::NotCa));
    let itself = server(Authority::new("P-256").itself());
    assert!(matches!(
        by_chain::<P256>(&itself, HOST, &root),
        Err(TlsError::Refused(Refusal::UnknownIssuer | Refusal::NotCa | Refusal::BadSignature))
    ));
}

#[test]
#[ignore = "needs openssl"]
fn item_236_openssl_servers_that_speak_something_else_are_refused() {
    let root = Authority::new("P-256");
    let dial = |options: &[&str]| by_chain::<P256>(&Endpoint::start(root.leaf("P-256", HOST), options), HOST, &root);
    assert!(matches!(dial(&["-tls1_2"]), Err(TlsError::Alert(Some(40 | 70)))));
    assert_eq!(dial(&["-tls1_3", "-groups", "X25519"]), Err(TlsError::Alert(Some(40))));
    assert_eq!(dial(&["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]), Err(TlsError::Alert(Some(40))));
    // A server that asks for a second ClientHello with a cookie.
    let server = Endpoint::interactive(root.leaf("P-256", HOST), &["-tls1_3", "-stateless"]);
    assert_eq!(by_chain::<P256>(&server, HOST, &root), Err(TlsError::HelloRetry));
    // A server may ask for a client certificate.
    assert_eq!(dial(&["-tls1_3", "-verify", "1"]), Ok(()));
}

#[test]
#[ignore = "needs openssl"]
fn item_243_each_profile_verifies_its_algorithms() {
    let [p256, rsa, p384] = ["P-256", "RSA-2048", "P-384"].map(Authority::new);
    let rsa_server = Endpoint::start(rsa.leaf("RSA-2048", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256Rsa>(&rsa_server, HOST, &rsa), Ok(()));
    assert_eq!(by_chain::<P256RsaP384>(&rsa_server, HOST, &rsa), Ok(()));
    assert_eq!(by_chain::<P256>(&rsa_server, HOST, &rsa), Err(TlsError::Alert(Some(40))), "RSA is not offered");
    let pins = [pin(&rsa_server.certificate())];
    assert_eq!(talk::<16_640>(&rsa_server, HOST, Pin::<P256Rsa>::new(&pins)), Ok(()));
    for bits in ["RSA-3072", "RSA-4096"] {
        let server = Endpoint::start(rsa.leaf(bits, HOST), &["-tls1_3"]);
        assert_eq!(by_chain::<P256Rsa>(&server, HOST, &rsa), Ok(()), "{bits}");
    }
    let server = Endpoint::start(rsa.leaf("P-256", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256Rsa>(&server, HOST, &rsa), Ok(()));
    assert_eq!(by_chain::<P256>(&server, HOST, &rsa), refused(Refusal::Algorithm), "signed with RSA");
    let server = Endpoint::start(p384.leaf("P-384", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256RsaP384>(&server, HOST, &p384), Ok(()));
    // embedded-tls offers P-384 in any case.
    assert_eq!(by_chain::<P256Rsa>(&server, HOST, &p384), refused(Refusal::Algorithm));
    let server = Endpoint::start(p256.leaf("P-384", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256>(&server, HOST, &p256), refused(Refusal::Algorithm));
}

/// Chains with the same structure as those of the platforms, from the root to the server.
#[test]
#[ignore = "needs openssl"]
fn item_244_chains_of_the_platforms_have_the_profile_that_the_readme_says() {
    // YouTube: an RSA root signs a P-384 root, which signs a P-256 intermediate.
    let root = Authority::new("RSA-4096");
    let cross = root.intermediate("P-384", true);
    let middle = cross.intermediate("P-256", true);
    let server = Endpoint::start(middle.leaf("P-256", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256RsaP384>(&server, HOST, &root), Ok(()));
    assert_eq!(by_chain::<P256RsaP384>(&server, HOST, &cross), Ok(()));
    assert_eq!(by_chain::<P256>(&server, HOST, &middle), Ok(()), "the intermediate is trusted");
    assert_eq!(by_chain::<P256>(&server, HOST, &cross), refused(Refusal::Algorithm));
    // Twitch and Telegram: only RSA with 2,048 bits.
    let root = Authority::new("RSA-2048");
    let server = Endpoint::start(root.intermediate("RSA-2048", true).leaf("RSA-2048", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256Rsa>(&server, HOST, &root), Ok(()));
    // Facebook: a P-256 key below an RSA intermediate.
    let server = Endpoint::start(root.intermediate("RSA-2048", true).leaf("P-256", HOST), &["-tls1_3"]);
    assert_eq!(by_chain::<P256Rsa>(&server, HOST, &root), Ok(()));
    assert_eq!(by_chain::<P256>(&server, HOST, &root), refused(Refusal::Algorithm));
}

#[test]
#[ignore = "needs openssl"]
fn item_237_a_key_update_of_openssl_ends_the_stream() {
    let root = Authority::new("P-256");
    let endpoint = Endpoint::interactive(root.leaf("P-256", HOST), &["-tls1_3"]);
    let root = root.certificate();
    let mut records = Box::new(Records::<16_640, 2_048>::new());
    let anchors = [&root[..]];
    let roots = Roots::<P256>::new(&anchors, Time::Clock(now));
    let below = Loopback(endpoint.port());
    let mut tls = Tls::new(below, &mut *records, roots, entropy, TlsOptions::DEFAULT);
    block_on(async {
        let mut stream = tls.connect(HOST, 443).await.unwrap();
        let (mut reader, _) = stream.split();
        // Its tickets are skipped.
        endpoint.command("hello\n");
        let mut line = [0; 9];
        assert_eq!(reader.read(&mut line).await, Ok(6));
        endpoint.command("K\n");
        let read = with_timeout(Duration::from_secs(10), reader.read(&mut line)).await;
        assert_eq!(read.expect("KeyUpdate arrives"), Err(TlsError::KeyUpdate));
    });
}
