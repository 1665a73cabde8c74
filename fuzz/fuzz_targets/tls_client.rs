//! The TLS client against a server that has valid keys, before Finished and after it. Nothing panics, the client keeps to
//! the protocol (the server checks that), and no byte of RTMP leaves before the server has proved its identity. What
//! arrives is what was sent.
//!
//! The input is [`Options`] (2), a change of the ServerHello (2), and parts: what it is (1), its length (1), its data.
//! See [`Part`].
#![no_main]

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::task::Poll;

use embedded_io_async::{Read, Write};
use embedded_rtmp_embassy::transport::tls::{P256, Pin, Records, Roots, Time, Tls, TlsOptions, TlsStream, Verifier};
use embedded_rtmp_embassy::transport::{Connect, Stream as _};
use embedded_rtmp_fuzz::{has_signed_part, poll_until_idle, spki};
use libfuzzer_sys::fuzz_target;
use tls_peer::{
    APPLICATION_DATA, Certificate, HANDSHAKE, HOST, Half, Key, Server, Servers, Site, Step, Wire, message, plain,
};

/// The site, and the hash of its key.
struct Honest {
    site: Site,
    pin: [u8; 32],
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let site = Site::new();
    let pin = site.key.pin();
    Honest { site, pin }
});

/// What the first bytes of the input choose.
#[derive(Clone, Copy)]
struct Options(u8, u8);

impl Options {
    fn is_pinned(self) -> bool {
        self.0 & 1 == 0
    }

    fn is_packed(self) -> bool {
        self.0 & 2 == 0
    }

    /// Whether the client asks for records of 512 bytes.
    fn is_small(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the client drops a read before the last record of the server is there.
    fn drops_a_read(self) -> bool {
        self.0 & 8 != 0
    }

    fn limit(self) -> u32 {
        if self.0 & 16 == 0 { 1 << 24 } else { 10 }
    }

    /// The largest number of bytes that one read below TLS returns.
    fn piece(self) -> usize {
        if self.1 == 0 { usize::MAX } else { self.1.into() }
    }
}

/// A part of the input. Parts up to the first [`Part::Open`] are sent by the server before the client's Finished.
enum Part<'d> {
    /// A step of the flight.
    Step(Step),
    /// The four messages of an honest flight.
    Flight,
    /// The handshake ends here.
    Open,
    /// The client writes these bytes, and flushes them if there is an even number of them.
    Write(&'d [u8]),
}

impl<'d> Part<'d> {
    fn new(what: u8, data: &'d [u8]) -> Self {
        let (first, rest) = data.split_first().unwrap_or((&0, &[]));
        let site = &HONEST.site;
        // A long message, a long record, or long padding.
        let long = |bytes: &[u8]| if what & 0x80 == 0 { bytes.to_vec() } else { bytes.repeat(64) };
        Self::Step(match what & 15 {
            0 => return Self::Flight,
            1 => Step::Extensions,
            2 => site.certificate(),
            3 => site.verify(),
            4 => Step::Finished,
            5 => Step::Request,
            6 => Step::Message(message(*first, &long(rest))),
            7 => Step::Message(long(data)),
            8 => Step::Inner(long(data)),
            9 => Step::Plain(*first, long(rest)),
            10 => Step::Verify(Key::new(first & 0x7F | 4)),
            11 => Step::Certificate(changed(data)),
            12 => return Self::Open,
            13 => return Self::Write(data),
            14 => Step::Inner([&long(rest), &[*first][..]].concat()),
            _ => Step::Inner([&message(*first, &long(rest)), &[HANDSHAKE][..]].concat()),
        })
    }
}

/// The chain of the site with a change: a certificate, a position (2), and a value. It may also be the chain of another
/// site, or have more certificates.
fn changed(data: &[u8]) -> Vec<Vec<u8>> {
    let site = &HONEST.site;
    let mut chain = site.chain.clone();
    if let [which, high, low, value, ..] = *data {
        let certificate = &mut chain[usize::from(which & 1)];
        let at = usize::from(u16::from_be_bytes([high, low])) % certificate.len();
        certificate[at] ^= value;
        if which & 2 != 0 {
            chain.extend(vec![site.root.clone(); usize::from(which >> 4)]);
        }
        if which & 4 != 0 {
            let (key, ca) = (Key::new(9), Key::new(8));
            chain[0] = Certificate::new("leaf", "middle", &key, &[HOST]).sign(&ca);
        }
    }
    chain
}

/// Whether a step is a Certificate or CertificateVerify, and whether it is right.
fn proof(step: &Step, options: Options) -> Option<(u8, bool)> {
    let site = &HONEST.site;
    match step {
        Step::Certificate(chain) if options.is_pinned() => {
            let key = spki(&site.chain[0]);
            Some((11, chain[0].windows(key.len()).any(|window| window == key)))
        }
        Step::Certificate(chain) => {
            let is_same = chain.iter().zip(&site.chain).all(|(sent, right)| has_signed_part(sent, right));
            Some((11, is_same))
        }
        Step::Verify(key) => Some((15, key.pin() == HONEST.pin)),
        // These were not made by the site.
        Step::Message(bytes) | Step::Inner(bytes) if matches!(bytes.first(), Some(11 | 15)) => Some((bytes[0], false)),
        _ => None,
    }
}

/// Runs one connection.
fn run<V: Verifier, const READ: usize, const WRITE: usize>(
    verifier: V,
    options: Options,
    hello: [u8; 2],
    flight: &[Step],
    later: &[Part<'_>],
) {
    let change = Box::new(move |bytes: &mut Vec<u8>| {
        let at = usize::from(hello[0]) % bytes.len();
        bytes[at] ^= hello[1];
    });
    let wire = Wire::new(Server::new(flight).packed(options.is_packed()).with_hello(change));
    // When the client has read everything, the stream ends.
    (wire.borrow_mut().piece, wire.borrow_mut().is_closed) = (options.piece(), true);
    let mut records = Box::new(Records::<READ, WRITE>::new());
    let limits = TlsOptions { record_limit: options.limit(), ..TlsOptions::DEFAULT };
    let mut tls = Tls::new(Servers(|| wire.clone()), &mut *records, verifier, || [0x17; 32], limits);
    let connected = poll_until_idle(pin!(tls.connect(HOST, 443)));
    let Poll::Ready(connected) = connected else { panic!("a connection waits, although the stream has ended") };
    assert!(wire.borrow().server.data.is_empty() && wire.borrow().server.records == 0, "data before the proof");
    // The client does not read what follows Finished with the same keys.
    let steps = flight.iter().take_while(|step| !matches!(step, Step::Finished));
    let proofs: Vec<(u8, bool)> = steps.filter_map(|step| proof(step, options)).collect();
    let is_proven = proofs == [(11, true), (15, true)];
    assert!(is_proven || connected.is_err(), "the server has proved nothing: {proofs:?}");
    if let Ok(stream) = connected {
        talk(stream, &wire, options, later);
    }
    let wire = wire.borrow();
    assert!(is_proven || wire.server.data.is_empty(), "data for a server that has proved nothing");
}

/// Uses a connection until the stream has ended.
fn talk(mut stream: TlsStream<'_, '_, Half>, wire: &Rc<RefCell<Wire>>, options: Options, later: &[Part<'_>]) {
    let (mut reader, mut writer) = stream.split();
    let (mut sent, mut received, mut written) = (Vec::new(), Vec::new(), Vec::new());
    let mut buffer = [0; 600];
    for (number, part) in later.iter().enumerate() {
        if options.drops_a_read() && number + 1 == later.len() {
            wire.borrow_mut().is_closed = false;
            let polled = poll_until_idle(pin!(reader.read(&mut buffer)));
            if let Poll::Ready(Ok(read)) = polled {
                received.extend_from_slice(&buffer[..read]);
            }
            wire.borrow_mut().is_closed = true;
        }
        match part {
            Part::Step(Step::Inner(inner)) => {
                let record = wire.borrow_mut().server.seal_inner(inner);
                wire.borrow_mut().push(&record);
                let end = inner.iter().rposition(|byte| *byte != 0).unwrap_or_default();
                if inner.get(end) == Some(&APPLICATION_DATA) {
                    sent.extend_from_slice(&inner[..end]);
                }
            }
            Part::Step(Step::Message(message)) => wire.borrow_mut().send(HANDSHAKE, message),
            Part::Step(Step::Plain(kind, body)) => wire.borrow_mut().push(&plain(*kind, body)),
            Part::Write(data) => {
                let all = poll_until_idle(pin!(writer.write_all(data)));
                written.extend_from_slice(data);
                if all == Poll::Ready(Ok(())) && data.len().is_multiple_of(2) {
                    let flushed = poll_until_idle(pin!(writer.flush()));
                    assert!(flushed != Poll::Ready(Ok(())) || wire.borrow().server.data == written, "flushed data");
                }
                assert!(written.starts_with(&wire.borrow().server.data), "other data than was written");
            }
            Part::Step(_) | Part::Flight | Part::Open => {}
        }
    }
    let end = loop {
        let polled = poll_until_idle(pin!(reader.read(&mut buffer)));
        match polled {
            Poll::Ready(Ok(0)) => break None,
            Poll::Ready(Ok(read)) => received.extend_from_slice(&buffer[..read]),
            Poll::Ready(Err(error)) => break Some(error),
            Poll::Pending => panic!("a read waits, although the stream has ended"),
        }
    };
    assert!(sent.starts_with(&received), "other data than the server has sent");
    let again = poll_until_idle(pin!(reader.read(&mut buffer)));
    assert_eq!(again, Poll::Ready(end.map_or(Ok(0), Err)), "the end is final");
    drop((reader, writer));
    assert!(poll_until_idle(pin!(stream.close())).is_ready());
    let wire = wire.borrow();
    assert!(wire.is_ended && wire.server.alerts.len() <= 1);
    assert!(written.starts_with(&wire.server.data), "other data than was written");
}

fuzz_target!(|data: &[u8]| {
    let [first, second, at, change, rest @ ..] = data else { return };
    let (options, hello) = (Options(*first, *second), [*at, *change]);
    let mut parts = Vec::new();
    let mut rest = rest;
    while let [what, length, after @ ..] = rest {
        let (data, after) = after.split_at(after.len().min(usize::from(*length)));
        parts.push(Part::new(*what, data));
        rest = after;
    }
    let open = parts.iter().position(|part| matches!(part, Part::Open)).unwrap_or(parts.len());
    let later = parts.split_off(open);
    let flight: Vec<Step> = parts
        .into_iter()
        .flat_map(|part| match part {
            Part::Step(step) => vec![step],
            Part::Flight => HONEST.site.flight(),
            Part::Open | Part::Write(_) => Vec::new(),
        })
        .collect();
    let pins = [HONEST.pin];
    let anchors = [&HONEST.site.root[..]];
    match (options.is_pinned(), options.is_small()) {
        (true, true) => run::<_, 640, 640>(Pin::<P256>::new(&pins), options, hello, &flight, &later),
        (true, false) => run::<_, 16_640, 1_536>(Pin::<P256>::new(&pins), options, hello, &flight, &later),
        (false, true) => {
            run::<_, 640, 640>(Roots::<P256>::new(&anchors, Time::NoClock), options, hello, &flight, &later)
        }
        (false, false) => {
            run::<_, 16_640, 1_536>(Roots::<P256>::new(&anchors, Time::NoClock), options, hello, &flight, &later);
        }
    }
});
