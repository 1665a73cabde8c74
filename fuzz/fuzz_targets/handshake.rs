//! Both sides of the handshake against any bytes: they take no more than 3073, answer with as many, and cuts change
//! nothing. The first byte chooses the side and how it is configured, the second the cuts.
#![no_main]

use embedded_rtmp::handshake::{
    Client, ClientConfig, HandshakeError, HandshakeKind, SCRATCH, Server, ServerConfig, Style, Versions,
};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_millis(0);
const WHOLE: usize = 1 + 2 * SCRATCH;

enum Side {
    Client(Client),
    Server(Server),
}

impl Side {
    fn new(choice: u8) -> Self {
        let mut client = ClientConfig::default();
        let mut server = ServerConfig::default();
        client.style = if choice & 2 == 0 { Style::Simple } else { Style::Digest };
        client.strict = choice & 4 != 0;
        server.versions = if choice & 2 == 0 { Versions::Offer3 } else { Versions::Only3 };
        let seed = u64::from(choice >> 3);
        if choice & 1 == 0 {
            Self::Client(Client::new(client, seed, NOW))
        } else {
            Self::Server(Server::new(server, seed))
        }
    }

    fn read(&mut self, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        match self {
            Self::Client(client) => client.read(NOW, input, scratch),
            Self::Server(server) => server.read(input, scratch),
        }
    }

    fn transmit(&mut self, scratch: &[u8], out: &mut [u8]) -> usize {
        let (announced, written) = match self {
            Self::Client(client) => (client.transmit_len(), client.transmit(scratch, out)),
            Self::Server(server) => (server.transmit_len(), server.transmit(scratch, out)),
        };
        assert_eq!(written, announced.min(out.len()));
        written
    }

    fn state(&self) -> (bool, bool, HandshakeKind) {
        match self {
            Self::Client(client) => (client.is_done(), client.wants_input(), client.kind()),
            Self::Server(server) => (server.is_done(), server.wants_input(), server.kind()),
        }
    }
}

/// What came of it: how much was taken, what was sent, and the error.
#[derive(Debug, PartialEq)]
struct Outcome {
    taken: usize,
    sent: Vec<u8>,
    done: bool,
    kind: HandshakeKind,
    error: Option<HandshakeError>,
}

fn run(choice: u8, stream: &[u8], mut cut: impl FnMut() -> usize) -> Outcome {
    let mut side = Side::new(choice);
    let mut scratch = [0; SCRATCH];
    let (mut rest, mut sent, mut error) = (stream, Vec::new(), None);
    loop {
        let mut window = vec![0; cut().min(WHOLE)];
        let written = side.transmit(&scratch, &mut window);
        sent.extend_from_slice(&window[..written]);
        let (mut piece, _) = rest.split_at(cut().min(rest.len()));
        let offered = piece.len();
        error = error.or(side.read(&mut piece, &mut scratch).err());
        let taken = offered - piece.len();
        rest = &rest[taken..];
        if taken == 0 && written == 0 && (offered > 0 || rest.is_empty()) {
            break;
        }
    }
    let (done, wants_input, kind) = side.state();
    assert!(rest.is_empty() || !wants_input || error.is_some(), "a byte that is wanted and not taken");
    Outcome { taken: stream.len() - rest.len(), sent, done, kind, error }
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, stream @ ..] = data else { return };
    let whole = run(*choice, stream, || usize::MAX);
    assert!(whole.taken <= WHOLE && whole.sent.len() <= WHOLE);
    assert!(!whole.done || (whole.taken, whole.sent.len(), whole.error) == (WHOLE, WHOLE, None));
    let mut cuts = Cuts::new(*seed);
    let cut = run(*choice, stream, || cuts.length());
    if whole.error.is_none() {
        assert_eq!(cut, whole);
    } else {
        // How much is taken and sent before an error is found depends on the cuts.
        assert_eq!(cut.error, whole.error);
    }
});
