//! Clients that misuse TLS with `serve`. The tests need only loopback.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_tests::peers::{finish_within, start, wait_until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use support::certificates::{Authority, Dates, NAME};
use support::{LIMIT, Serve, clip, media, played, player, publish_well};
use tempfile::TempDir;

/// `serve` with TLS, and a client's configuration that trusts it.
struct Bench {
    serve: Serve,
    config: Arc<ClientConfig>,
    directory: TempDir,
    ca: String,
    /// The number of open files of the process without connections.
    idle_files: usize,
}

impl Bench {
    fn new(arguments: &[&str]) -> Self {
        let (authority, directory) = (Authority::new("root"), tempfile::tempdir().unwrap());
        let (identity, ca) = (authority.identity(NAME, Dates::Valid, &[]), authority.file(&directory));
        let tls = identity.arguments();
        let serve = Serve::start(&[arguments, &tls.each_ref().map(String::as_str)].concat());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(Path::new(&ca)).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let mut bench = Self { serve, config, directory, ca, idle_files: 0 };
        // `serve` says that it listens before it has opened all its files. Now it has.
        let connected = bench.connected();
        bench.idle_files = bench.files() - 1;
        drop(connected);
        bench
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.serve.port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn client(&self) -> ClientConnection {
        ClientConnection::new(self.config.clone(), ServerName::try_from(NAME).unwrap()).unwrap()
    }

    /// Returns the first bytes of a client.
    fn hello(&self) -> Vec<u8> {
        let (mut client, mut hello) = (self.client(), Vec::new());
        client.write_tls(&mut hello).unwrap();
        hello
    }

    /// A connection whose TLS handshake is complete.
    fn connected(&self) -> (TcpStream, ClientConnection) {
        let (mut stream, mut client) = (self.tcp(), self.client());
        while client.is_handshaking() || client.wants_write() {
            client.complete_io(&mut stream).unwrap();
        }
        (stream, client)
    }

    fn url(&self, path: &str) -> String {
        format!("rtmps://{NAME}:{}/{path}", self.serve.port())
    }

    /// Publishes the clip and plays it at the same time, inside TLS. The whole clip must arrive.
    fn serves_others(&self, name: &str) {
        let (url, file) = (self.url(&format!("live/{name}")), self.directory.path().join(name));
        let running = start(&mut player(&url, &file, &["--tls-ca", &self.ca])).unwrap();
        self.serve.wait_until_it_says(&format!("plays live/{name}"));
        publish_well(&clip(), &url, &["--fast", "--tls-ca", &self.ca]);
        let (status, _, errors) = played(running);
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!(media(&file), media(&clip()));
        assert_eq!(media(&self.serve.recording(&format!("live-{name}.flv"))), media(&clip()));
    }

    /// Returns the number of open files of the process.
    fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.serve.id())).unwrap().count()
    }

    /// Returns the processor time of the process so far.
    fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.serve.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|place| fields[*place].parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serve.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Waits until the server closes the connection. Returns whether it did.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn item_225_handshakes_that_stop_or_dribble_end_by_the_deadline_and_cost_nothing() {
    let bench = Bench::new(&[]);
    let hello = bench.hello();
    let began = Instant::now();
    // The clients stop anywhere in the ClientHello, after it, or after the handshake.
    let mut stopped: Vec<_> = (1..=40)
        .map(|part| part * hello.len() / 40)
        .map(|length| {
            let mut stream = bench.tcp();
            stream.write_all(&hello[..length]).unwrap();
            stream
        })
        .collect();
    let (silent, _client) = bench.connected();
    stopped.push(silent);
    // One client sends a byte every 100 ms.
    let mut slow = bench.tcp();
    let mut dribble = hello.iter();
    bench.serves_others("among");
    let used = bench.processor_time();
    let idle = Instant::now();
    while began.elapsed() < Duration::from_secs(9) {
        slow.write_all(&[*dribble.next().unwrap()]).unwrap();
        sleep(Duration::from_millis(100));
    }
    let used = bench.processor_time() - used;
    assert!(used < Duration::from_millis(100) + idle.elapsed() / 20, "{used:?} in {:?}", idle.elapsed());
    for (number, stream) in stopped.iter_mut().chain([&mut slow]).enumerate() {
        assert!(is_closed(stream), "{number}");
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(14), "{took:?}");
    wait_until("all are closed", LIMIT, || bench.files() == bench.idle_files).unwrap();
    let late = || bench.serve.said().matches("did not answer in time: handshake").count();
    wait_until("all are reported", LIMIT, || late() == 42).unwrap_or_else(|_| panic!("{}", late()));
    bench.serves_others("after");
}

#[test]
fn item_225_what_follows_a_client_hello_and_is_no_tls_ends_the_connection_at_once() {
    let bench = Bench::new(&[]);
    let hello = bench.hello();
    let mut noise = 0x9E37_79B9_u32;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise as u8
    };
    let mut cases: Vec<Vec<u8>> = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[3; 1537],
        // Records of an unknown type, of another version, and longer than is allowed.
        &[0x63, 3, 3, 0, 1, 0],
        &[0x17, 9, 9, 0, 1, 0],
        &[0x17, 3, 3, 0xFF, 0xFF],
        // An alert, an empty alert, and a second ClientHello.
        &[0x15, 3, 3, 0, 2, 2, 40],
        &[0x15, 3, 3, 0, 0],
        &hello,
        // An unexpected change_cipher_spec, and unencrypted application data.
        &[0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5],
    ]
    .map(<[u8]>::to_vec)
    .into();
    cases.extend((0..40).map(|length| (0..20 + 10 * length).map(|_| random()).collect()));
    let began = Instant::now();
    for (number, case) in cases.iter().enumerate() {
        let mut stream = bench.tcp();
        stream.write_all(&[&hello[..], case].concat()).unwrap();
        // Random bytes may be the start of a longer record, so the client also closes its side.
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(&mut stream), "{number}: {case:02x?}");
    }
    // A ClientHello with one changed byte.
    for place in 0..hello.len() {
        let mut changed = hello.clone();
        changed[place] ^= 0xFF;
        let mut stream = bench.tcp();
        let _ = stream.write_all(&changed);
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(&mut stream), "{place}");
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    wait_until("all are closed", LIMIT, || bench.files() == bench.idle_files).unwrap();
    bench.serves_others("after");
}

#[test]
fn item_225_an_end_at_any_point_closes_the_connection() {
    let bench = Bench::new(&[]);
    let hello = bench.hello();
    let began = Instant::now();
    for length in (1..=hello.len()).step_by(7) {
        for reset in [false, true] {
            let mut stream = bench.tcp();
            stream.write_all(&hello[..length]).unwrap();
            if reset {
                // Unread bytes of the server make the system send a reset.
                sleep(Duration::from_millis(1));
            } else {
                stream.shutdown(Shutdown::Write).unwrap();
                assert!(is_closed(&mut stream), "{length}");
            }
        }
    }
    // close_notify: inside the TLS handshake, directly after it, after a part of the RTMP handshake, and after all of
    // it.
    let mut stream = bench.tcp();
    let mut client = bench.client();
    client.send_close_notify();
    while client.wants_write() {
        client.write_tls(&mut stream).unwrap();
    }
    assert!(is_closed(&mut stream));
    for length in [0, 1, 700, 1537, 1537 + 1536] {
        for notifies in [true, false] {
            let (mut stream, mut client) = bench.connected();
            let bytes: Vec<_> = [3].into_iter().chain([0; 2 * 1536]).take(length).collect();
            client.writer().write_all(&bytes).unwrap();
            if notifies {
                client.send_close_notify();
            }
            while client.wants_write() {
                client.write_tls(&mut stream).unwrap();
            }
            if !notifies {
                // A FIN without close_notify.
                stream.shutdown(Shutdown::Write).unwrap();
            }
            assert!(is_closed(&mut stream), "{length}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    wait_until("all are closed", LIMIT, || bench.files() == bench.idle_files).unwrap();
    bench.serves_others("after");
}

#[test]
fn item_225_a_thousand_handshakes_at_once_do_not_stop_others() {
    let bench = Bench::new(&["--max-connections", "600", "--max-per-address", "600", "--memory", "200"]);
    let hello = bench.hello();
    let mut held = Vec::new();
    for number in 0..1000 {
        let mut stream = bench.tcp();
        // The server closes the oldest ones.
        let _ = stream.write_all(if number % 2 == 0 { &hello } else { &hello[..100] });
        held.push(stream);
        if number == 500 {
            bench.serves_others("among");
        }
    }
    bench.serves_others("after");
    assert!(bench.memory() < 200_000, "{} KB", bench.memory());
    drop(held);
}

#[test]
fn item_225_a_client_that_asks_for_new_keys_and_reads_nothing_gets_little_memory() {
    let bench = Bench::new(&["--idle", "5"]);
    let (mut stream, mut client) = bench.connected();
    client.writer().write_all(&[3]).unwrap();
    let before = bench.memory();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let began = Instant::now();
    'flood: for _ in 0..200_000 {
        client.refresh_traffic_keys().unwrap();
        while client.wants_write() {
            if client.write_tls(&mut stream).is_err() || began.elapsed() > Duration::from_secs(8) {
                break 'flood;
            }
        }
    }
    let grown = bench.memory().saturating_sub(before);
    assert!(grown < 8_000, "{grown} KB");
    bench.serves_others("after");
}

#[test]
#[ignore = "needs openssl: host-tests/run runs it"]
fn item_225_renegotiation_is_refused() {
    let bench = Bench::new(&[]);
    let script = format!(
        "(sleep 1; echo R; sleep 1; echo Q) | openssl s_client -connect 127.0.0.1:{} -tls1_2 -CAfile {} 2>&1",
        bench.serve.port(),
        bench.ca
    );
    let finished = finish_within(LIMIT, Command::new("sh").args(["-c", &script])).unwrap();
    let said = String::from_utf8_lossy(&finished.stdout);
    assert!(said.contains("Verify return code: 0 (ok)") && said.contains("renegotiation"), "{said}");
    bench.serves_others("after");
}
