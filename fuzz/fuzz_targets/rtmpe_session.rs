//! The ciphers around a session: a server deciphers a client's bytes in place, in any pieces, and none twice. The events
//! are those of the same session without encryption, and its output is what the client deciphers. The input is that of
//! `server_session`: the application's answers (1), cuts (1), chunks of a client.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use embedded_rtmp::crypt::{Cipher, KeyPair};
use embedded_rtmp::handshake::{Handshake, HandshakeConfig, SCRATCH, Versions};
use embedded_rtmp::session::{Server, ServerConfig, ServerRole, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::{Application, Cuts, Entry, Happened, Side, WHOLE, handshake, run, serving};
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_millis(1);
/// The handshake of one direction.

static SERVER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::new(&[0x11; 32]));
static CLIENT: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::new(&[0x22; 32]));

fn config() -> ServerConfig {
    let mut config = ServerConfig::new();
    config.handshake = Versions::Rtmpe;
    config
}

/// A client that has read S0, S1 and the beginning of S2.
struct Client {
    cipher: Cipher,
    /// C0, C1 and C2.
    handshake: Vec<u8>,
}

/// Returns the client of a handshake with the session that `choice` selects.
fn client(choice: u8) -> Client {
    let (mut client, mut scratch) = (Handshake::new(HandshakeConfig::CLIENT, 3), [0; SCRATCH]);
    assert!(client.encrypt(&CLIENT, &mut scratch));
    let mut handshake = vec![0; WHOLE];
    let mut end = client.poll_transmit(NOW, &mut handshake, &mut scratch);
    let mut answer = vec![0; WHOLE];
    serving(choice, config(), |mut side| {
        let session = side.session();
        session.next_event(NOW, &mut &handshake[..end]).expect("a right C1");
        session.agree(NOW, &SERVER).expect("a right digest");
        assert_eq!(session.poll_transmit(NOW, &mut answer), WHOLE);
    });
    let mut input = &answer[..];
    client.next_event(NOW, &mut input, &mut scratch).expect("a right S1");
    assert_eq!(input.len(), SCRATCH, "the client waits for the keys");
    let mut cipher = client.agree(NOW, &CLIENT, &mut scratch).expect("the keys of a client");
    client.next_event(NOW, &mut input, &mut scratch).expect("a right S2");
    cipher.consume(SCRATCH);
    end += client.poll_transmit(NOW, &mut handshake[end..], &mut scratch);
    assert_eq!(end, WHOLE);
    Client { cipher, handshake }
}

/// The output of the server, before and after it was enciphered.
#[derive(Default)]
struct Output {
    plain: Vec<u8>,
    enciphered: Vec<u8>,
}

/// The session inside its ciphers.
struct Encrypted<'b, 'o> {
    application: Application<'b>,
    cipher: Option<Cipher>,
    /// Bytes that the session has not consumed. The cipher may have deciphered the first of them.
    received: Vec<u8>,
    output: &'o RefCell<Output>,
}

impl<'b> Side<'b> for Encrypted<'b, '_> {
    type Role = ServerRole;

    fn session(&mut self) -> &mut Server<'b, 4> {
        self.application.session()
    }

    fn next(&mut self, now: Instant, input: &mut &[u8], log: &mut Vec<Entry>) -> Result<bool, SessionError> {
        self.received.extend_from_slice(input);
        *input = &[];
        let lent = match &mut self.cipher {
            None => &mut self.received[..],
            Some(cipher) => cipher.decipher(&mut self.received),
        };
        let (mut rest, length) = (&*lent, lent.len());
        let happened = self.application.next(now, &mut rest, log);
        let consumed = length - rest.len();
        if let Some(cipher) = &mut self.cipher {
            cipher.consume(consumed);
        }
        self.received.drain(..consumed);
        if self.application.session().awaits_keys() {
            assert!(self.cipher.is_none(), "one agreement");
            self.cipher = self.application.session().agree(now, &SERVER);
            assert!(self.cipher.is_some());
            return Ok(true);
        }
        let is_idle = happened == Ok(false) && consumed == 0;
        let session = self.application.session();
        assert!(!is_idle || self.received.is_empty() || !session.wants_input(), "the session does not read");
        // What is left is read in the next calls.
        happened.map(|happened| happened || consumed > 0)
    }

    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let written = self.application.transmit(now, out);
        let output = &mut *self.output.borrow_mut();
        output.plain.extend_from_slice(&out[..written]);
        if let Some(cipher) = &mut self.cipher {
            cipher.encipher(&mut out[..written]);
        }
        output.enciphered.extend_from_slice(&out[..written]);
        written
    }
}

fn happened_encrypted(choice: u8, stream: &[u8], cut: impl FnMut() -> usize) -> (Happened, Output) {
    let output = RefCell::default();
    let happened = serving(choice, config(), |application| {
        let side = Encrypted { application, cipher: None, received: Vec::new(), output: &output };
        run(side, stream, cut)
    });
    (happened, output.into_inner())
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, chunks @ ..] = data else { return };
    let plain = [&handshake(), chunks].concat();
    let mut expected = serving(*choice, ServerConfig::new(), |application| run(application, &plain, || usize::MAX));
    let mut client = client(*choice);
    let mut stream = [&client.handshake, chunks].concat();
    client.cipher.encipher(&mut stream[1 + SCRATCH..]);
    assert_eq!(stream[..WHOLE], client.handshake, "the handshake is not enciphered");
    let mut cuts = Cuts::new(*seed);
    let (happened, mut output) = happened_encrypted(*choice, &stream, || cuts.length());
    // Only the kind of the handshake differs.
    let kind = expected.log.first_mut().expect("a handshake");
    assert_eq!(*kind, Entry::Other("HandshakeDone(Simple)".to_owned()));
    *kind = Entry::Other("HandshakeDone(Digest(Scheme1))".to_owned());
    assert_eq!(happened, expected);
    assert_eq!(output.plain[..WHOLE], output.enciphered[..WHOLE]);
    client.cipher.decipher(&mut output.enciphered[WHOLE..]);
    assert!(output.plain == output.enciphered, "the client deciphers the output of the session");
});
