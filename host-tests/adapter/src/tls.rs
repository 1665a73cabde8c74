//! TLS over a stream in memory, to a server that has the right keys and sends what each test specifies.

mod days;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{ErrorKind, Read, Write};
use embedded_rtmp_embassy::embedded_rtmp::message::MessageKind;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Target;
use embedded_rtmp_embassy::transport::tls::{
    Deferred, DialError, P256, Pin, Records, Refusal, Roots, Time, Tls, TlsError, TlsOptions, Verifier,
};
use embedded_rtmp_embassy::transport::{Connect, End, Pipe, Stream};
use embedded_rtmp_embassy::{Config, Error, Phase, Picture, StreamState, over};
use tls_peer::{
    ALERT, APPLICATION_DATA, Application, CHANGE_CIPHER_SPEC, Certificate, HANDSHAKE, HOST, Key, Server, Servers, Site,
    Step, Wire, message, plain,
};

use super::live::{TRACKS, TestRng};
use super::pipe::{Message, Peer, assert_published, messages, of_kind, publish};
use crate::clock::block_on_stepped;

fn entropy() -> [u8; 32] {
    [0x17; 32]
}

/// Connects to a server. Returns the outcome, and the wire.
fn dial_with<V: Verifier>(
    server: Server,
    verifier: V,
    host: &str,
    change: impl FnOnce(&mut Wire),
) -> (Result<(), TlsError>, Rc<RefCell<Wire>>) {
    let wire = Wire::new(server);
    change(&mut wire.borrow_mut());
    let mut records = Box::new(Records::<16_640, 1_536>::new());
    let below = Servers(|| wire.clone());
    let mut tls = Tls::new(below, &mut *records, verifier, entropy, TlsOptions::DEFAULT);
    let connected = block_on_stepped(tls.connect(host, 443));
    let result = match connected {
        Ok(_) => Ok(()),
        Err(DialError::Tls(error)) => Err(error),
        Err(DialError::Connect(error)) => panic!("{error:?}"),
    };
    (result, wire)
}

fn dial<V: Verifier>(server: Server, verifier: V) -> (Result<(), TlsError>, Rc<RefCell<Wire>>) {
    dial_with(server, verifier, HOST, |_| {})
}

/// Dials with a pin and with a chain.
fn dial_both(site: &Site, steps: &[Step]) -> [Result<(), TlsError>; 2] {
    [true, false].map(|is_in_one_record| {
        let server = || Server::new(steps).packed(is_in_one_record);
        let pins = [site.key.pin()];
        let (by_pin, wire) = dial(server(), Pin::<P256>::new(&pins));
        assert_eq!(wire.borrow().server.data, [], "no byte of RTMP");
        let anchors = [&site.root[..]];
        let (by_chain, wire) = dial(server(), Roots::<P256>::new(&anchors, Time::NoClock));
        assert_eq!(wire.borrow().server.data, [], "no byte of RTMP");
        assert_eq!(by_pin, by_chain);
        by_pin
    })
}

const BAD_SIGNATURE: Result<(), TlsError> = Err(TlsError::Refused(Refusal::BadSignature));
const UNAUTHENTICATED: Result<(), TlsError> = Err(TlsError::Unauthenticated);

#[test]
fn item_230_a_server_that_proves_nothing_is_refused() {
    let site = Site::new();
    let [certificate, verify] = [site.certificate(), site.verify()];
    let flight = |steps: &[&Step]| {
        let steps = steps.iter().map(|step| (*step).clone());
        let steps: Vec<Step> = std::iter::once(Step::Extensions).chain(steps).chain([Step::Finished]).collect();
        dial_both(&site, &steps)
    };
    assert_eq!(flight(&[&certificate, &verify]), [Ok(()); 2]);
    assert_eq!(flight(&[]), [UNAUTHENTICATED; 2], "neither");
    assert_eq!(flight(&[&certificate]), [UNAUTHENTICATED; 2], "no CertificateVerify");
    assert_eq!(flight(&[&verify]), [UNAUTHENTICATED; 2], "no Certificate");
    assert_eq!(flight(&[&verify, &certificate]), [UNAUTHENTICATED; 2], "swapped");
    assert_eq!(flight(&[&certificate, &certificate, &verify]), [UNAUTHENTICATED; 2], "two certificates");
    assert_eq!(flight(&[&certificate, &verify, &verify]), [UNAUTHENTICATED; 2], "two signatures");
    assert_eq!(flight(&[&certificate, &verify, &certificate, &verify]), [UNAUTHENTICATED; 2], "both twice");
    // A copy of the certificate does not help.
    let stolen = Step::Verify(Key::new(9));
    assert_eq!(flight(&[&certificate, &stolen]), [BAD_SIGNATURE; 2], "another key");
    assert_eq!(flight(&[&certificate, &stolen, &verify]), [UNAUTHENTICATED; 2], "another key first");
    let empty = Step::Certificate(Vec::new());
    assert_eq!(flight(&[&empty, &verify]), [Err(TlsError::Refused(Refusal::Malformed)); 2], "no certificate in it");
    // A message after Finished, in the same flight.
    for step in [&certificate, &verify, &Step::Extensions, &Step::Request, &Step::Finished] {
        let steps =
            [&[Step::Extensions, certificate.clone(), verify.clone(), Step::Finished][..], std::slice::from_ref(step)]
                .concat();
        let server = Server::new(&steps);
        let pins = [site.key.pin()];
        let (refused, _) = dial(server, Pin::<P256>::new(&pins));
        assert_eq!(refused, Err(TlsError::Record));
    }
    // A server may ask for the client's certificate, although the client has none.
    assert_eq!(flight(&[&Step::Request, &certificate, &verify]), [Ok(()); 2], "CertificateRequest");
}

#[test]
fn item_232_a_pin_is_the_hash_of_the_key() {
    let site = Site::new();
    let (right, wrong) = (site.key.pin(), Key::new(9).pin());
    let dial = |pins: &[[u8; 32]]| dial(Server::new(&site.flight()), Pin::<P256>::new(pins)).0;
    assert_eq!(dial(&[right]), Ok(()));
    assert_eq!(dial(&[wrong, right]), Ok(()));
    assert_eq!(dial(&[wrong]), Err(TlsError::Refused(Refusal::WrongKey)));
    assert_eq!(dial(&[]), Err(TlsError::Refused(Refusal::WrongKey)));
}

/// Dials a server with one certificate from a CA.
fn dial_leaf(leaf: &Certificate<'_>, host: &str, time: Time) -> Result<(), TlsError> {
    let (ca, key) = (Key::new(1), Key::new(3));
    let root = Certificate::ca("root", "root", &ca).sign(&ca);
    let steps = [Step::Extensions, Step::Certificate(vec![leaf.sign(&ca)]), Step::Verify(key), Step::Finished];
    let anchors = [&root[..]];
    dial_with(Server::new(&steps), Roots::<P256>::new(&anchors, time), host, |_| {}).0
}

#[test]
fn item_233_names_are_compared_as_in_rfc_9525() {
    let key = Key::new(3);
    let names = ["server.example", "*.wild.example", "part*.example", "*.*.deep.example", "xn--bcher-kva.example"];
    let leaf =
        Certificate { address: Some([192, 0, 2, 7]), ..Certificate::new("common.example", "root", &key, &names) };
    let dial = |host: &str| dial_leaf(&leaf, host, Time::NoClock);
    for host in
        ["server.example", "SERVER.example", "server.example.", "a.wild.example", "192.0.2.7", "xn--bcher-kva.example"]
    {
        assert_eq!(dial(host), Ok(()), "{host}");
    }
    let wrong = Err(TlsError::Refused(Refusal::WrongName));
    for host in [
        "other.example",
        "a.server.example",
        "wild.example",
        "a.b.wild.example",
        "part1.example",
        "a.b.deep.example",
        "common.example",
        "192.0.2.8",
        "2001:db8::1",
        "[2001:db8::1]",
    ] {
        assert_eq!(dial(host), wrong, "{host}");
    }
    for host in ["", "bücher.example", "a b", "a/b", &"a".repeat(254)] {
        assert_eq!(dial(host), Err(TlsError::Name), "{host}");
    }
    // An address in a dNSName entry does not count as an address. The common name is not used, even without names.
    let leaf = Certificate::new("server.example", "root", &key, &["192.0.2.7"]);
    assert_eq!(dial_leaf(&leaf, "192.0.2.7", Time::NoClock), wrong);
    let leaf = Certificate::new("server.example", "root", &key, &[]);
    assert_eq!(dial_leaf(&leaf, "server.example", Time::NoClock), wrong);
}

#[test]
fn the_client_hello_has_every_name_and_no_address() {
    let site = Site::new();
    let anchors = [&site.root[..]];
    for (host, is_sent) in [("server.example", true), ("server.example.", true), ("192.0.2.7", false), ("::1", false)] {
        let roots = Roots::<P256>::new(&anchors, Time::NoClock);
        let (_, wire) = dial_with(Server::new(&site.flight()), roots, host, |_| {});
        let hello = &wire.borrow().server.hello;
        let find = |bytes: &[u8]| hello.windows(bytes.len()).any(|window| window == bytes);
        // server_name, with one host_name.
        let extension = [&[0, 0, 0, 19, 0, 17, 0, 0, 14][..], b"server.example"].concat();
        assert_eq!(find(&extension), is_sent, "{host}");
        assert!(!find(b"192.0.2.7") && !find(b"::1") && !find(b"example."), "{host}");
    }
}

#[test]
fn item_234_the_validity_is_checked_if_there_is_a_clock() {
    let key = Key::new(3);
    let leaf =
        Certificate { from: "300101000000Z", to: "310101000000Z", ..Certificate::new("leaf", "root", &key, &[HOST]) };
    const DAY: u64 = 86_400;
    /// The first second of 2030.
    const BEGIN: u64 = 1_893_456_000;
    let at = |clock: fn() -> u64| dial_leaf(&leaf, HOST, Time::Clock(clock));
    assert_eq!(at(|| BEGIN + DAY), Ok(()));
    assert_eq!(at(|| BEGIN - 1), Err(TlsError::Refused(Refusal::NotYetValid)));
    assert_eq!(at(|| 0), Err(TlsError::Refused(Refusal::NotYetValid)), "a clock that is not set");
    assert_eq!(at(|| BEGIN + 366 * DAY), Err(TlsError::Refused(Refusal::Expired)));
    assert_eq!(dial_leaf(&leaf, HOST, Time::NoClock), Ok(()));
    // Without a clock, the newest certificate of the server says how late it is at least.
    let [root, middle] = [1, 2].map(Key::new);
    let anchor = Certificate::ca("root", "root", &root).sign(&root);
    for (from, expected) in [("250101000000Z", Ok(())), ("320101000000Z", Err(TlsError::Refused(Refusal::Expired)))] {
        let middle_bytes = Certificate { from, ..Certificate::ca("middle", "root", &middle) }.sign(&root);
        let leaf_bytes = Certificate { issuer: "middle", ..leaf.clone() }.sign(&middle);
        let chain = Step::Certificate(vec![leaf_bytes, middle_bytes]);
        let steps = [Step::Extensions, chain, Step::Verify(key.clone()), Step::Finished];
        let anchors = [&anchor[..]];
        let (result, _) = dial(Server::new(&steps), Roots::<P256>::new(&anchors, Time::NoClock));
        assert_eq!(result, expected, "{from}");
    }
}

#[test]
fn item_235_a_path_is_validated_as_in_rfc_5280() {
    let [root, middle, key, other] = [1, 2, 3, 4].map(Key::new);
    let leaf = Certificate::new("leaf", "middle", &key, &[HOST]);
    let intermediate = Certificate::ca("middle", "root", &middle);
    let [anchor, unknown] = [&root, &other].map(|key| Certificate::ca("root", "root", key).sign(key));
    let (leaf_bytes, middle_bytes) = (leaf.sign(&middle), intermediate.sign(&root));
    let dial = |chain: &[&Vec<u8>], anchors: &[&[u8]]| {
        let chain = chain.iter().map(|bytes| bytes.to_vec()).collect();
        let steps = [Step::Extensions, Step::Certificate(chain), Step::Verify(key.clone()), Step::Finished];
        dial(Server::new(&steps), Roots::<P256>::new(anchors, Time::NoClock)).0.map_err(|error| match error {
            TlsError::Refused(refusal) => refusal,
            error => panic!("{error}"),
        })
    };
    assert_eq!(dial(&[&leaf_bytes, &middle_bytes], &[&anchor]), Ok(()));
    assert_eq!(dial(&[&leaf_bytes, &middle_bytes, &anchor], &[&anchor]), Ok(()), "with the root");
    assert_eq!(dial(&[&leaf_bytes], &[&middle_bytes]), Ok(()), "the intermediate is trusted");
    assert_eq!(dial(&[&leaf_bytes, &middle_bytes], &[&unknown[..], &anchor]), Ok(()), "the second of two anchors");
    // Certificates with the name of the issuer and another key.
    let namesake = Certificate::ca("middle", "root", &other).sign(&root);
    assert_eq!(dial(&[&leaf_bytes, &namesake, &middle_bytes], &[&anchor]), Ok(()), "the second of two intermediates");
    assert_eq!(
        dial(&[&leaf_bytes], &[&namesake[..], &middle_bytes]),
        Ok(()),
        "the second of two trusted intermediates"
    );
    assert_eq!(dial(&[&leaf_bytes, &namesake], &[&anchor]), Err(Refusal::BadSignature), "only the other one");
    let extra = Certificate::ca("extra", "nobody", &other).sign(&other);
    assert_eq!(dial(&[&leaf_bytes, &extra, &middle_bytes], &[&anchor]), Ok(()), "more certificates than needed");
    let many = [&[&leaf_bytes, &middle_bytes][..], &[&extra; 3]].concat();
    assert_eq!(dial(&many, &[&anchor]), Ok(()), "five certificates");
    for more in [4, 14] {
        let many = [&[&leaf_bytes, &middle_bytes][..], &vec![&extra; more]].concat();
        assert_eq!(dial(&many, &[&anchor]), Err(Refusal::ChainTooLong), "{} certificates", 2 + more);
    }
    assert_eq!(dial(&[&leaf_bytes], &[&anchor]), Err(Refusal::UnknownIssuer), "no intermediate");
    assert_eq!(dial(&[&leaf_bytes, &middle_bytes], &[]), Err(Refusal::UnknownIssuer), "no anchor");
    assert_eq!(dial(&[&leaf_bytes, &middle_bytes], &[&unknown]), Err(Refusal::BadSignature), "a CA of the same name");
    let no_ca = Certificate { is_ca: None, ..intermediate.clone() }.sign(&root);
    assert_eq!(dial(&[&leaf_bytes, &no_ca], &[&anchor]), Err(Refusal::NotCa), "no basicConstraints");
    let no_ca = Certificate { is_ca: Some(false), ..intermediate.clone() }.sign(&root);
    assert_eq!(dial(&[&leaf_bytes, &no_ca], &[&anchor]), Err(Refusal::NotCa), "basicConstraints without the CA flag");
    let forged = leaf.sign(&other);
    assert_eq!(dial(&[&forged, &middle_bytes], &[&anchor]), Err(Refusal::BadSignature));
    let odd = Certificate { is_odd: true, ..leaf.clone() }.sign(&middle);
    assert_eq!(dial(&[&odd, &middle_bytes], &[&anchor]), Err(Refusal::Malformed), "an unknown critical extension");
    let itself = Certificate { issuer: "leaf", ..leaf.clone() }.sign(&key);
    assert_eq!(dial(&[&itself], &[&anchor]), Err(Refusal::UnknownIssuer), "signed by itself");
    let ca = Certificate { is_ca: Some(true), ..leaf.clone() }.sign(&middle);
    assert_eq!(dial(&[&ca, &middle_bytes], &[&anchor]), Err(Refusal::NotCa), "a CA as the server");
    for cut in 0..leaf_bytes.len() {
        assert!(dial(&[&leaf_bytes[..cut].to_vec(), &middle_bytes], &[&anchor]).is_err(), "cut after {cut}");
    }
}

/// A verifier that notes the number of the poll in which it is called.
struct Noting<'n, V> {
    verifier: V,
    poll: &'n Cell<usize>,
    called: &'n RefCell<Vec<usize>>,
}

impl<V: Verifier> Verifier for Noting<'_, V> {
    const OFFERS_RSA: bool = V::OFFERS_RSA;

    fn certificate(&mut self, host: &str, chain: &[&[u8]], later: &mut Deferred) -> Result<(), Refusal> {
        self.called.borrow_mut().push(self.poll.get());
        self.verifier.certificate(host, chain, later)
    }

    fn signature(&mut self, scheme: u16, message: &[u8], sent: &[u8], later: &mut Deferred) -> Result<(), Refusal> {
        self.called.borrow_mut().push(self.poll.get());
        self.verifier.signature(scheme, message, sent, later)
    }
}

#[test]
fn item_259_a_device_yields_between_the_signatures_of_a_server() {
    let site = Site::new();
    let anchors = [&site.root[..]];
    for is_in_one_record in [true, false] {
        let (poll, called) = (Cell::new(0), RefCell::default());
        let verifier = Noting { verifier: Roots::<P256>::new(&anchors, Time::NoClock), poll: &poll, called: &called };
        let wire = Wire::new(Server::new(&site.flight()).packed(is_in_one_record));
        let mut records = Box::new(Records::<16_640, 1_536>::new());
        let mut tls = Tls::new(Servers(|| wire.clone()), &mut *records, verifier, entropy, TlsOptions::DEFAULT);
        let mut connecting = pin!(tls.connect(HOST, 443));
        let last = block_on_stepped(poll_fn(|cx| {
            poll.set(poll.get() + 1);
            connecting.as_mut().poll(cx).map(|connected| {
                assert!(connected.is_ok());
                poll.get()
            })
        }));
        let called = called.borrow();
        let [certificate, signature] = called[..] else { panic!("{called:?}") };
        // The keys are made in the first poll. The ServerHello, with which the shared secret is computed, is read later.
        assert!(certificate > 2);
        assert_eq!(certificate == signature, is_in_one_record);
        // Each of the two checks that were put off has a poll of its own. Then the client answers.
        assert!(last >= signature + 3, "{last} polls, the signature in {signature}");
    }
}

#[test]
fn item_260_a_client_does_not_answer_before_the_server_has_proved_its_identity() {
    let site = Site::new();
    let (pins, anchors) = ([site.key.pin()], [&site.root[..]]);
    let forged = Certificate::new("leaf", "middle", &site.key, &[HOST]).sign(&Key::new(9));
    let forged = Step::Certificate(vec![forged, site.chain[1].clone()]);
    let stolen = Step::Verify(Key::new(9));
    for is_in_one_record in [true, false] {
        for (certificate, verify) in [(site.certificate(), stolen.clone()), (forged.clone(), site.verify())] {
            let steps = [Step::Extensions, certificate, verify, Step::Finished];
            let server = || Server::new(&steps).packed(is_in_one_record);
            let (refused, wire) = dial(server(), Roots::<P256>::new(&anchors, Time::NoClock));
            assert_eq!((refused, wire.borrow().server.is_open()), (BAD_SIGNATURE, false));
            let (by_pin, wire) = dial(server(), Pin::<P256>::new(&pins));
            // A pin does not depend on the signature of the certificate.
            assert_eq!(by_pin.is_ok(), wire.borrow().server.is_open());
        }
        // Finished without any proof.
        let steps = [Step::Extensions, Step::Finished];
        let (refused, wire) = dial(Server::new(&steps).packed(is_in_one_record), Pin::<P256>::new(&pins));
        assert_eq!((refused, wire.borrow().server.is_open()), (UNAUTHENTICATED, false));
    }
}

/// Changes a ServerHello.
fn with_hello(site: &Site, change: impl FnMut(&mut Vec<u8>) + 'static) -> Server {
    Server::new(&site.flight()).with_hello(Box::new(change))
}

#[test]
fn item_236_each_other_hello_has_its_reason() {
    let site = Site::new();
    let pins = [site.key.pin()];
    let dial = |server| dial(server, Pin::<P256>::new(&pins)).0;
    // TLS 1.2, and an unknown version.
    assert_eq!(
        dial(with_hello(&site, |hello| *hello = message(2, &[&[3, 3][..], &[7; 33]].concat()))),
        Err(TlsError::Handshake)
    );
    let old = [&[3, 3][..], &[7; 32], &[0, 0xC0, 0x2B, 0]].concat();
    assert_eq!(dial(with_hello(&site, move |hello| *hello = message(2, &old))), Err(TlsError::Version));
    assert_eq!(dial(with_hello(&site, |hello| hello[49] = 3)), Err(TlsError::Version));
    // HelloRetryRequest.
    let random = [
        0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2,
        0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
    ];
    let retry = [&[3, 3][..], &random, &[0, 0x13, 1, 0, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 29]].concat();
    assert_eq!(dial(with_hello(&site, move |hello| *hello = message(2, &retry))), Err(TlsError::HelloRetry));
    // Another cipher suite, a session id, compression, another group.
    for (at, value) in [(38, 1), (39, 0x12), (40, 2), (41, 1), (55, 24), (57, 64), (3, 90)] {
        let refused = dial(with_hello(&site, move |hello| hello[at] = value));
        assert_eq!(refused, Err(TlsError::Handshake), "byte {at}");
    }
    // A point that is not on the curve.
    assert_eq!(dial(with_hello(&site, |hello| hello[60] ^= 1)), Err(TlsError::Handshake));
    // Any length.
    for length in 0..122 {
        assert!(dial(with_hello(&site, move |hello| hello.truncate(length))).is_err(), "{length}");
    }
    assert_eq!(dial(with_hello(&site, |hello| hello.push(0))), Err(TlsError::Handshake));
    assert_eq!(dial(with_hello(&site, |hello| hello.resize(300, 0))), Err(TlsError::Handshake));
    // An alert in plain text, and something that is not TLS.
    let answer = |bytes: &'static [u8]| {
        dial_with(Server::new(&[]), Pin::<P256>::new(&pins), HOST, move |wire| wire.push(bytes)).0
    };
    assert_eq!(answer(&[ALERT, 3, 3, 0, 2, 2, 70]), Err(TlsError::Alert(Some(70))));
    assert_eq!(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Err(TlsError::Handshake));
    assert_eq!(answer(&[3; 1_537]), Err(TlsError::Handshake));
}

#[test]
fn a_handshake_has_a_time_limit() {
    let site = Site::new();
    let pins = [site.key.pin()];
    let before = Instant::now();
    let (refused, _) =
        dial_with(Server::new(&site.flight()), Pin::<P256>::new(&pins), HOST, |wire| wire.is_deaf = true);
    assert_eq!(refused, Err(TlsError::TimedOut));
    let took = Instant::now() - before;
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(11), "{took:?}");
}

#[test]
fn change_cipher_spec_is_skipped_once_or_twice_and_only_during_the_handshake() {
    let site = Site::new();
    let flight = |changes: &[&[u8]]| {
        let changes = changes.iter().map(|body| Step::Plain(CHANGE_CIPHER_SPEC, body.to_vec()));
        let steps: Vec<Step> = changes.chain(site.flight()).collect();
        let pins = [site.key.pin()];
        dial(Server::new(&steps), Pin::<P256>::new(&pins)).0
    };
    assert_eq!(flight(&[&[1]]), Ok(()));
    assert_eq!(flight(&[&[1], &[1]]), Ok(()));
    assert_eq!(flight(&[&[1], &[1], &[1]]), Err(TlsError::Record));
    assert_eq!(flight(&[&[2]]), Err(TlsError::Record));
    assert_eq!(flight(&[&[1, 1]]), Err(TlsError::Record));
    assert_eq!(flight(&[&[]]), Err(TlsError::Record));
}

#[test]
fn item_231_no_record_of_the_handshake_panics() {
    let site = Site::new();
    let pins = [site.key.pin()];
    let dial = |steps: &[Step]| dial(Server::new(steps), Pin::<P256>::new(&pins)).0;
    let inner = |bytes: &[u8]| {
        let steps = [&[Step::Extensions, Step::Inner(bytes.to_vec())][..], &site.flight()[1..]].concat();
        dial(&steps)
    };
    assert_eq!(inner(&[]), Err(TlsError::Record), "no content type");
    assert_eq!(inner(&[0; 5]), Err(TlsError::Record), "only padding");
    assert_eq!(inner(&[HANDSHAKE]), Err(TlsError::Record), "no message");
    assert_eq!(inner(&[1, APPLICATION_DATA]), Err(TlsError::Record), "application data");
    assert_eq!(inner(&[1, CHANGE_CIPHER_SPEC]), Err(TlsError::Record));
    assert_eq!(inner(&[2, 40, ALERT]), Err(TlsError::Alert(None)));
    assert_eq!(inner(&[2, 255, ALERT]), Err(TlsError::Alert(None)));
    assert_eq!(inner(&[11, 0, 1, 0, 0, HANDSHAKE]), Err(TlsError::Fragmented));
    for kind in 0..=255 {
        for body in [&[][..], &[0], &[0, 0], &[0xFF; 40]] {
            let message = message(kind, body);
            assert!(dial(&[Step::Message(message), Step::Finished]).is_err(), "message {kind}");
        }
    }
    for kind in 0..=255 {
        let steps = [&[Step::Plain(kind, vec![1, 2, 3])][..], &site.flight()].concat();
        assert!(dial(&steps).is_err(), "record {kind}");
    }
}

#[test]
fn item_231_a_certificate_message_that_is_wrong_anywhere_panics_nowhere() {
    let site = Site::new();
    let pins = [site.key.pin()];
    let entry = &site.chain[0];
    let length = &(entry.len() as u32).to_be_bytes()[1..];
    let all = &(entry.len() as u32 + 5).to_be_bytes()[1..];
    let body = [&[0][..], all, length, entry, &[0, 0]].concat();
    let anchors = [&site.root[..]];
    for at in 0..body.len() {
        for value in [0, 0x80, 0xFF] {
            let mut body = body.clone();
            body[at] = value;
            let steps = [Step::Extensions, Step::Message(message(11, &body)), site.verify(), Step::Finished];
            if value == 0 {
                let _ = dial(Server::new(&steps), Pin::<P256>::new(&pins));
            }
            let (refused, _) = dial(Server::new(&steps), Roots::<P256>::new(&anchors, Time::NoClock));
            assert!(refused.is_err(), "no intermediate");
        }
    }
}

/// Runs a session over a connection to an honest server. `run` gets the halves and the wire.
fn connected<T>(
    options: TlsOptions,
    run: impl AsyncFnOnce(&mut dyn DynRead, &mut dyn DynWrite, &Rc<RefCell<Wire>>) -> T,
) -> (T, Option<Error>, Rc<RefCell<Wire>>) {
    let site = Site::new();
    let pins = [site.key.pin()];
    let wire = Wire::new(Server::new(&site.flight()));
    let mut records = Box::new(Records::<16_640, 1_536>::new());
    let below = Servers(|| wire.clone());
    let mut tls = Tls::new(below, &mut *records, Pin::<P256>::new(&pins), entropy, options);
    let (result, failure) = block_on_stepped(async {
        let mut stream = tls.connect(HOST, 443).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let result = run(&mut reader, &mut writer, &wire).await;
        drop((reader, writer));
        let failure = stream.failure();
        stream.close().await;
        (result, failure)
    });
    assert!(wire.borrow().is_ended);
    (result, failure, wire)
}

type Pinned<'f, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'f>>;

/// A reader with an erased type.
trait DynRead {
    fn read<'f>(&'f mut self, buffer: &'f mut [u8]) -> Pinned<'f, Result<usize, TlsError>>;
}

impl<R: Read<Error = TlsError>> DynRead for R {
    fn read<'f>(&'f mut self, buffer: &'f mut [u8]) -> Pinned<'f, Result<usize, TlsError>> {
        Box::pin(Read::read(self, buffer))
    }
}

trait DynWrite {
    fn write<'f>(&'f mut self, bytes: &'f [u8]) -> Pinned<'f, Result<usize, TlsError>>;
    fn flush<'f>(&'f mut self) -> Pinned<'f, Result<(), TlsError>>;
}

impl<W: Write<Error = TlsError>> DynWrite for W {
    fn write<'f>(&'f mut self, bytes: &'f [u8]) -> Pinned<'f, Result<usize, TlsError>> {
        Box::pin(Write::write(self, bytes))
    }

    fn flush<'f>(&'f mut self) -> Pinned<'f, Result<(), TlsError>> {
        Box::pin(Write::flush(self))
    }
}

#[test]
fn data_goes_both_ways_and_the_end_is_close_notify() {
    let data: Vec<u8> = (0..5_000_u32).map(|it| it as u8).collect();
    let ((), failure, wire) = connected(TlsOptions::DEFAULT, async |reader, writer, wire| {
        let mut rest = &data[..];
        while !rest.is_empty() {
            rest = &rest[writer.write(rest).await.unwrap()..];
        }
        writer.flush().await.unwrap();
        assert_eq!(wire.borrow().server.data, data);
        wire.borrow_mut().send(APPLICATION_DATA, &data);
        // Empty records and a ticket contain no data.
        wire.borrow_mut().send(APPLICATION_DATA, &[]);
        let ticket = message(4, &[0; 30]);
        wire.borrow_mut().send(HANDSHAKE, &[&ticket[..], &ticket].concat());
        wire.borrow_mut().send(APPLICATION_DATA, b"end");
        let (mut received, mut buffer) = (Vec::<u8>::new(), [0; 700]);
        while received.len() < data.len() + 3 {
            let read = reader.read(&mut buffer).await.unwrap();
            received.extend(&buffer[..read]);
        }
        assert_eq!(received, [&data[..], b"end"].concat());
        wire.borrow_mut().send(ALERT, &[1, 0]);
        assert_eq!(reader.read(&mut buffer).await, Ok(0));
        assert_eq!(reader.read(&mut buffer).await, Ok(0));
    });
    assert_eq!(failure, None);
    // The server has closed first.
    assert_eq!(wire.borrow().server.alerts, Vec::<Vec<u8>>::new());
    let ((), failure, wire) = connected(TlsOptions::DEFAULT, async |_, _, _| {});
    assert_eq!((failure, &wire.borrow().server.alerts), (None, &vec![vec![1, 0]]));
}

/// Returns what the client reads if `send` makes the server send something.
fn reading(send: impl FnOnce(&mut Wire)) -> (Result<usize, TlsError>, Option<Error>) {
    let (read, failure, _) = connected(TlsOptions::DEFAULT, async |reader, writer, wire| {
        send(&mut wire.borrow_mut());
        let read = reader.read(&mut [0; 100]).await;
        if read.is_err() {
            // The client writes nothing with the same keys any longer.
            assert_eq!(writer.write(&[1]).await, read);
            assert_eq!(reader.read(&mut [0; 100]).await, read);
        }
        read
    });
    (read, failure)
}

#[test]
fn item_237_each_end_has_its_reason() {
    let fails = |expected: TlsError, send: &dyn Fn(&mut Wire)| {
        assert_eq!(reading(|wire| send(wire)), (Err(expected), Some(Error::Tls(expected))));
    };
    fails(TlsError::KeyUpdate, &|wire| wire.send(HANDSHAKE, &[24, 0, 0, 1, 0]));
    fails(TlsError::KeyUpdate, &|wire| wire.send(HANDSHAKE, &[4, 0, 0, 0, 24, 0, 0, 1, 1]));
    fails(TlsError::Alert(None), &|wire| wire.send(ALERT, &[2, 80]));
    fails(TlsError::Alert(None), &|wire| wire.send(ALERT, &[2, 255]));
    fails(TlsError::Truncated, &|wire| wire.is_closed = true);
    fails(TlsError::Record, &|wire| {
        let mut record = wire.server.seal(APPLICATION_DATA, b"changed on its way");
        record[9] ^= 1;
        wire.push(&record);
    });
    fails(TlsError::RecordTooLong { length: 16_641 }, &|wire| wire.push(&[23, 3, 3, 0x41, 0x01]));
    fails(TlsError::Record, &|wire| wire.push(&plain(APPLICATION_DATA, &[0; 16])));
    fails(TlsError::Record, &|wire| wire.push(&plain(ALERT, &[1, 0])));
    fails(TlsError::Record, &|wire| wire.push(&plain(CHANGE_CIPHER_SPEC, &[1])));
    fails(TlsError::Record, &|wire| wire.push(&plain(HANDSHAKE, &message(24, &[0]))));
    assert_eq!(reading(|wire| wire.send(ALERT, &[1, 0])), (Ok(0), None));
}

#[test]
fn item_231_no_record_after_the_handshake_panics() {
    let fails = |inner: Vec<u8>, expected: Option<TlsError>| {
        let sent = inner.clone();
        let read = catch_unwind(AssertUnwindSafe(|| {
            reading(|wire| {
                let record = wire.server.seal_inner(&sent);
                wire.push(&record);
                wire.send(ALERT, &[1, 0]);
            })
        }));
        let (read, _) = read.unwrap_or_else(|_| panic!("panic after {inner:02x?}"));
        assert_eq!(read.err(), expected, "{inner:02x?}");
    };
    fails(vec![], Some(TlsError::Record));
    fails(vec![0; 9], Some(TlsError::Record));
    for kind in 0..=255 {
        for body in [&[][..], &[0], &[0xFF; 40]] {
            let expected = match kind {
                4 => None,
                24 => Some(TlsError::KeyUpdate),
                _ => Some(TlsError::Record),
            };
            fails([&message(kind, body)[..], &[HANDSHAKE]].concat(), expected);
        }
        if ![ALERT, APPLICATION_DATA, 0].contains(&kind) {
            fails(vec![1, 2, 3, kind], Some(TlsError::Record));
        }
    }
    fails(vec![4, 0, 0, 9, HANDSHAKE], Some(TlsError::Fragmented));
    fails(vec![1, ALERT], Some(TlsError::Record));
}

#[test]
fn item_238_records_are_counted_in_each_direction() {
    let options = TlsOptions { record_limit: 10, ..TlsOptions::DEFAULT };
    // The ClientHello and Finished are two records of the client.
    let (written, failure, _) = connected(options, async |_, writer, _| {
        let mut written = 0;
        while writer.write(&[1]).await.is_ok() && writer.flush().await.is_ok() {
            written += 1;
        }
        written
    });
    assert_eq!((written, failure), (8, Some(Error::Tls(TlsError::RecordLimit))));
    // The ServerHello and the flight are two records of the server.
    let (read, failure, _) = connected(options, async |reader, _, wire| {
        for _ in 0..20 {
            wire.borrow_mut().send(APPLICATION_DATA, &[1]);
        }
        let mut read = 0;
        while reader.read(&mut [0; 9]).await.is_ok() {
            read += 1;
        }
        read
    });
    assert_eq!((read, failure), (8, Some(Error::Tls(TlsError::RecordLimit))));
}

#[test]
fn item_239_a_dropped_future_ends_the_stream_with_a_reason() {
    let (read, failure, _) = connected(TlsOptions::DEFAULT, async |reader, _, wire| {
        let record = wire.borrow_mut().server.seal(APPLICATION_DATA, b"ping");
        wire.borrow_mut().push(&record[..9]);
        let _ = select(reader.read(&mut [0; 9]), Timer::after_millis(1)).await;
        wire.borrow_mut().push(&record[9..]);
        reader.read(&mut [0; 9]).await
    });
    assert_eq!((read, failure), (Err(TlsError::Interrupted), Some(Error::Tls(TlsError::Interrupted))));
    let (written, failure, wire) = connected(TlsOptions::DEFAULT, async |_, writer, wire| {
        writer.write(b"ping").await.unwrap();
        wire.borrow_mut().is_deaf = true;
        let _ = select(writer.flush(), Timer::after_millis(1)).await;
        wire.borrow_mut().is_deaf = false;
        // A second record with the same nonce would reveal both.
        writer.write(b"pong").await
    });
    assert_eq!((written, failure), (Err(TlsError::Interrupted), Some(Error::Tls(TlsError::Interrupted))));
    assert_eq!(wire.borrow().server.records, 0);
}

#[test]
fn item_239_after_a_write_that_was_dropped_inside_a_record_nothing_more_is_encrypted() {
    let before = Cell::new(0);
    let ((), _, wire) = connected(TlsOptions::DEFAULT, async |_, writer, wire| {
        // The record is longer than the memory below, so embedded-tls has not counted it yet.
        wire.borrow_mut().is_deaf = true;
        let _ = select(writer.write(&[0x55; 1_400]), Timer::after_millis(1)).await;
        let _ = select(writer.flush(), Timer::after_millis(1)).await;
        wire.borrow_mut().is_deaf = false;
        before.set(wire.borrow().written);
    });
    // `close` would send close_notify with the nonce of that record.
    assert_eq!(wire.borrow().written, before.get());
}

#[test]
fn a_message_that_is_cut_at_every_byte_of_its_record_arrives() {
    connected(TlsOptions::DEFAULT, async |reader, writer, wire| {
        for cut in 1..30 {
            let record = wire.borrow_mut().server.seal(APPLICATION_DATA, b"pinged");
            assert_eq!(record.len(), 28);
            let cut = cut.min(27);
            wire.borrow_mut().push(&record[..cut]);
            let mut buffer = [0; 9];
            let later = async {
                Timer::after_millis(20).await;
                // Writing continues inside a record.
                writer.write(b"written").await.unwrap();
                writer.flush().await.unwrap();
                wire.borrow_mut().push(&record[cut..]);
            };
            let (read, ()) = embassy_futures::join::join(reader.read(&mut buffer), later).await;
            assert_eq!((read, &buffer[..6]), (Ok(6), &b"pinged"[..]));
        }
        assert_eq!(wire.borrow().server.data, b"written".repeat(29));
    });
}

/// Buffers for records of 512 bytes.
fn small(server: Server, anchors: &[&[u8]]) -> (Result<(), DialError<ErrorKind>>, Vec<u8>) {
    let wire = Wire::new(server);
    let mut records = Box::new(Records::<640, 640>::new());
    let below = Servers(|| wire.clone());
    let roots = Roots::<P256>::new(anchors, Time::NoClock);
    let mut tls = Tls::new(below, &mut *records, roots, entropy, TlsOptions::DEFAULT);
    let result = block_on_stepped(tls.connect(HOST, 443)).map(drop);
    let hello = wire.borrow().server.hello.clone();
    (result, hello)
}

#[test]
fn item_240_small_buffers_ask_for_small_records() {
    let (ca, key) = (Key::new(1), Key::new(3));
    let root = Certificate::ca("r", "r", &ca).sign(&ca);
    let flight = |chain: Vec<Vec<u8>>| {
        let steps = [Step::Extensions, Step::Certificate(chain), Step::Verify(key.clone()), Step::Finished];
        Server::new(&steps).packed(false)
    };
    let leaf = Certificate::new("l", "r", &key, &[HOST]).sign(&ca);
    let (connected, hello) = small(flight(vec![leaf.clone()]), &[&root]);
    assert!(connected.is_ok());
    // max_fragment_length of 2^9.
    assert!(hello.windows(5).any(|window| window == [0, 1, 0, 1, 1]));
    // A server that ignores it.
    let (refused, _) = small(flight(vec![leaf, root.clone(), root.clone()]), &[&root]);
    let Err(DialError::Tls(TlsError::RecordTooLong { length })) = refused else { panic!("{refused:?}") };
    assert!(length > 640);
    // A server that respects it, and splits its certificates over several records.
    let body = message(11, &[&[0, 0, 4, 0][..], &[7; 400]].concat());
    let cut = Step::Inner([&body[..], &[HANDSHAKE]].concat());
    let steps = [Step::Extensions, Step::Inner([&message(11, &[0; 900])[..500], &[HANDSHAKE]].concat()), cut];
    let (refused, _) = small(Server::new(&steps), &[&root]);
    assert_eq!(refused, Err(DialError::Tls(TlsError::Fragmented)));
}

/// An RTMP server as the application of a TLS server.
fn behind_tls(peer: Rc<RefCell<Peer>>) -> Application {
    Box::new(move |bytes| {
        let peer = &mut *peer.borrow_mut();
        peer.from_client.extend(bytes);
        peer.turn();
        peer.to_client.drain(..).collect()
    })
}

/// Runs a session over a connection to an RTMP server behind TLS.
fn over_tls<T>(
    peer: &Rc<RefCell<Peer>>,
    piece: usize,
    session: impl AsyncFnOnce(&Pipe<'_>) -> T,
) -> (T, End, Option<Error>) {
    let site = Site::new();
    let wire = Wire::new(Server::new(&site.flight()));
    wire.borrow_mut().application = Some(behind_tls(peer.clone()));
    wire.borrow_mut().piece = piece;
    let anchors = [&site.root[..]];
    let mut records = Box::new(Records::<16_640, 1_536>::new());
    let below = Servers(|| wire.clone());
    let roots = Roots::<P256>::new(&anchors, Time::NoClock);
    let mut tls = Tls::new(below, &mut *records, roots, entropy, TlsOptions::DEFAULT);
    let (mut input, mut output) = ([0; 256], [0; 2 * 1_460]);
    let pipe = Pipe::new(&mut input, &mut output);
    block_on_stepped(async {
        let mut stream = tls.connect(HOST, 443).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let (result, end) = pipe.run(&mut reader, &mut writer, session(&pipe)).await;
        drop((reader, writer));
        let failure = stream.failure();
        stream.close().await;
        assert_eq!(wire.borrow().server.alerts, [[1, 0]], "close_notify");
        (result, end, failure)
    })
}

#[test]
fn a_stream_over_tls_arrives_whole_in_pieces_of_any_size() {
    let sent: Vec<Message> = messages(3);
    for piece in [1, 7, 100, usize::MAX] {
        let peer = Peer::new();
        let (late, end, failure) = over_tls(&peer, piece, async |pipe| publish(pipe, &sent).await);
        assert_eq!((end, failure), (End::Closed, None));
        assert!(late.unwrap() < Duration::from_millis(20));
        assert_published(&peer, &sent);
    }
}

#[test]
fn item_241_a_server_that_never_sends_again_receives_a_minute_of_media() {
    let (peer, sent) = (Peer::new(), messages(60));
    peer.borrow_mut().falls_silent = true;
    let (late, end, failure) = over_tls(&peer, usize::MAX, async |pipe| publish(pipe, &sent).await);
    assert_eq!((end, failure), (End::Closed, None));
    assert!(late.unwrap() < Duration::from_millis(20));
    assert_published(&peer, &sent);
}

/// Publishes with a live stream to servers that `change` ends. Returns the reasons, the video of each server, and the target
/// of the last connection.
fn live_over(
    options: TlsOptions,
    mut verifies: impl FnMut(usize) -> bool + 'static,
    mut change: impl FnMut(usize, &mut Wire),
    seconds: u64,
) -> (Vec<Error>, Vec<Rc<RefCell<Peer>>>, Option<Target>) {
    let site = Site::new();
    let flight = site.flight();
    let root: &'static [u8] = site.root.leak();
    let anchors: &'static [&'static [u8]] = vec![root].leak();
    let peers: Rc<RefCell<Vec<Rc<RefCell<Peer>>>>> = Rc::default();
    let wires: Rc<RefCell<Vec<Rc<RefCell<Wire>>>>> = Rc::default();
    let below = Servers({
        let (peers, wires) = (peers.clone(), wires.clone());
        move || {
            let mut steps = flight.clone();
            if !verifies(wires.borrow().len()) {
                steps[2] = Step::Verify(Key::new(9));
            }
            let wire = Wire::new(Server::new(&steps));
            let peer = Peer::new();
            wire.borrow_mut().application = Some(behind_tls(peer.clone()));
            peers.borrow_mut().push(peer);
            wires.borrow_mut().push(wire.clone());
            wire
        }
    });
    let records: &'static mut Records = Box::leak(Box::new(Records::new()));
    let tls = Tls::new(below, records, Roots::<P256>::new(anchors, Time::NoClock), entropy, options);
    let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
    let mut config = Config::new("rtmps://server.example/live/test");
    config.ports = &const { [Target::rtmps(443), Target::rtmps(8443)] };
    let (live, runner) = over(tls, state, TestRng::new(), config);
    live.set_tracks(TRACKS);
    let camera = async {
        let (mut reasons, mut ticks) = (Vec::new(), 0);
        let mut was_live = false;
        while ticks < seconds * 25 {
            Timer::after_millis(40).await;
            let is_key = ticks.is_multiple_of(10);
            let unit: &[u8] = if is_key { &[0x65; 2_000] } else { &[0x41; 800] };
            let _ = live.video().send(Picture::new(ticks * 40_000, ticks * 40_000, is_key, &[unit])).await;
            let is_live = live.status().phase == Phase::Live;
            if !is_live && (was_live || live.status().last_error != reasons.last().copied()) {
                reasons.extend(live.status().last_error);
            }
            was_live = is_live;
            ticks += 1;
            let wire = wires.borrow().last().cloned();
            if let Some(wire) = wire.filter(|_| is_live) {
                change(wires.borrow().len(), &mut wire.borrow_mut());
            }
        }
        reasons.dedup();
        reasons
    };
    let Either::Second(reasons) = block_on_stepped(select(runner.run(), camera));
    (reasons, peers.take(), live.status().port)
}

#[test]
fn item_242_a_live_stream_connects_again_at_a_keyframe_whatever_ends_tls() {
    // Each server is ended in its own way after two seconds.
    let began = RefCell::new((0, 0));
    let end = |number: usize, wire: &mut Wire| {
        let mut began = began.borrow_mut();
        if began.0 != number {
            *began = (number, 0);
        }
        began.1 += 1;
        if began.1 != 50 {
            return;
        }
        match number {
            1 => wire.send(HANDSHAKE, &[24, 0, 0, 1, 1]),
            2 => wire.send(ALERT, &[2, 80]),
            3 => {
                wire.is_closed = true;
                wire.push(&[]);
            }
            4 => wire.send(ALERT, &[1, 0]),
            _ => {}
        }
    };
    let (reasons, peers, _) = live_over(TlsOptions::DEFAULT, |_| true, end, 30);
    let expected = [
        Error::Tls(TlsError::KeyUpdate),
        Error::Tls(TlsError::Alert(None)),
        Error::Tls(TlsError::Truncated),
        Error::Closed,
    ];
    assert_eq!(reasons, expected);
    assert_eq!(peers.len(), 5);
    for peer in peers {
        let peer = peer.borrow();
        let video = of_kind(&peer.published, MessageKind::VIDEO);
        assert_eq!((&video[0].2[..2], &video[1].2[..2]), (&[0x17, 0][..], &[0x17, 1][..]), "headers, then a keyframe");
        assert!(video.len() > 40);
    }
}

#[test]
fn item_242_the_record_limit_makes_a_live_stream_connect_again() {
    let options = TlsOptions { record_limit: 100, ..TlsOptions::DEFAULT };
    let (reasons, peers, _) = live_over(options, |_| true, |_, _| {}, 20);
    assert_eq!(reasons, [Error::Tls(TlsError::RecordLimit)]);
    assert!(peers.len() > 3, "{}", peers.len());
    for peer in peers {
        let peer = peer.borrow();
        let video = of_kind(&peer.published, MessageKind::VIDEO);
        assert_eq!((&video[0].2[..2], &video[1].2[..2]), (&[0x17, 0][..], &[0x17, 1][..]), "headers, then a keyframe");
    }
}

#[test]
fn item_221_a_live_stream_tells_why_a_server_is_refused_and_tries_no_other_port() {
    let (reasons, peers, target) = live_over(TlsOptions::DEFAULT, |number| number >= 2, |_, _| {}, 10);
    assert_eq!(reasons, [Error::Tls(TlsError::Refused(Refusal::BadSignature))]);
    assert_eq!((peers.len(), target), (3, Some(Target::rtmps(443))));
    assert!(peers[0].borrow().published.is_empty() && peers[1].borrow().published.is_empty());
    assert!(peers[2].borrow().published.len() > 100);
}
