//! Passes bytes between embedded-tls and the stream below, and checks the headers of the records.
//!
//! ```text
//!   embedded-tls ◄── Handle ◄── input  (256 bytes) ◄── fill  ◄── reader of the stream below
//!   embedded-tls ──► Handle ──► output (512 bytes) ──► drain ──► writer of the stream below
//! ```
//!
//! embedded-tls reads and writes only memory. Its futures are polled, and when one is pending, bytes are moved to or
//! from the stream below. Therefore embedded-tls never computes inside a closure of the network stack, and a future of
//! the stream below can be dropped without losing its state.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::Poll;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use super::cipher::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, PHASE_HANDSHAKE, PHASE_OPEN, SUITE};
use super::error::TlsError;

/// The length of a record's header.
pub(super) const HEADER: usize = 5;
/// The largest number of data bytes in a record: RFC 8446, section 5.1.
pub(super) const LONGEST_DATA: usize = 1 << 14;
/// The longest encrypted record: RFC 8446, section 5.2.
pub(super) const LONGEST_RECORD: usize = 16_640;
/// The shortest encrypted record: a tag, and a content type.
const SHORTEST_RECORD: usize = 17;
/// The largest number of `change_cipher_spec` records in a handshake. A server sends one.
const MOST_CHANGES: u8 = 2;
/// The group of the key exchange: the curve P-256.
const SECP256R1: u16 = 0x0017;

/// The random number of a HelloRetryRequest: RFC 8446, section 4.1.3.
const HELLO_RETRY: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// A queue of bytes in lent memory.
struct Bytes<'m> {
    bytes: &'m mut [u8],
    start: usize,
    end: usize,
}

impl<'m> Bytes<'m> {
    const fn new(bytes: &'m mut [u8]) -> Self {
        Self { bytes, start: 0, end: 0 }
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Moves the unread bytes to the front, and returns the room after them.
    fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    fn added(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }
}

/// The received bytes.
struct Input<'m> {
    bytes: Bytes<'m>,
    /// The header of the current record, and the number of its bytes that embedded-tls has not read.
    header: [u8; HEADER],
    header_left: usize,
    /// The number of bytes of the current record that embedded-tls has not read.
    body_left: usize,
    has_hello: bool,
    /// Whether there was a record since the last yield.
    is_handled: bool,
    changes: u8,
    records: u32,
}

/// The bytes to send.
struct Output<'m> {
    bytes: Bytes<'m>,
    /// The number of bytes of the current record that embedded-tls has not written.
    left: usize,
    /// Whether the current record is discarded instead of sent.
    is_dropped: bool,
    records: u32,
}

/// The bytes of one connection, in both directions.
pub(super) struct Relay<'m> {
    input: RefCell<Input<'m>>,
    output: RefCell<Output<'m>>,
    is_open: Cell<bool>,
    failure: Cell<Option<TlsError>>,
    limit: Cell<u32>,
    /// The length of the longest record that is accepted.
    longest: Cell<usize>,
    /// What embedded-tls waits for in the handshake.
    wait: Cell<Wait>,
    /// Whether the server has proved its identity, so that the client may answer.
    is_proven: Cell<bool>,
}

/// What embedded-tls waits for in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Received bytes, or room.
    Bytes,
    /// A yield after the messages of a record, which may have taken long.
    Yield,
    /// The proof of the server's identity, before the first encrypted record of the client.
    Proof,
}

impl<'m> Relay<'m> {
    /// Creates a relay in lent memory. The input must hold a ServerHello, so it needs 256 bytes.
    pub(super) const fn new(input: &'m mut [u8], output: &'m mut [u8]) -> Self {
        let input = Input {
            bytes: Bytes::new(input),
            header: [0; HEADER],
            header_left: 0,
            body_left: 0,
            has_hello: false,
            is_handled: false,
            changes: 0,
            records: 0,
        };
        let output = Output { bytes: Bytes::new(output), left: 0, is_dropped: false, records: 0 };
        Self {
            input: RefCell::new(input),
            output: RefCell::new(output),
            is_open: Cell::new(false),
            failure: Cell::new(None),
            limit: Cell::new(0),
            longest: Cell::new(0),
            wait: Cell::new(Wait::Bytes),
            is_proven: Cell::new(false),
        }
    }

    /// Prepares for another connection, whose records are at most `longest` bytes long.
    pub(super) fn restart(&mut self, limit: u32, longest: usize) {
        let (input, output) = (self.input.get_mut(), self.output.get_mut());
        input.bytes.clear();
        (input.header_left, input.body_left, input.records) = (0, 0, 0);
        (input.has_hello, input.is_handled, input.changes) = (false, false, 0);
        output.bytes.clear();
        (output.left, output.records) = (0, 0);
        self.is_open.set(false);
        self.failure.set(None);
        self.limit.set(limit);
        self.longest.set(longest.min(LONGEST_RECORD));
        self.wait.set(Wait::Bytes);
        self.is_proven.set(false);
    }

    /// Returns what embedded-tls waits for. Call it once after embedded-tls was pending.
    pub(super) fn wait(&self) -> Wait {
        self.wait.replace(Wait::Bytes)
    }

    /// Records that the server has proved its identity. Until then, the client sends nothing except its ClientHello.
    pub(super) fn prove(&self) {
        self.is_proven.set(true);
    }

    /// Records that the handshake is complete.
    pub(super) fn open(&self) {
        self.is_open.set(true);
    }

    /// Fails the connection if a future of embedded-tls was dropped inside a record. Otherwise the next record would be
    /// encrypted with the nonce of the incomplete record, or the next bytes would be read as a header.
    pub(super) fn check_whole(&self) {
        let is_reading = self.input.try_borrow().map_or(true, |input| input.header_left > 0 || input.body_left > 0);
        let is_writing = self.output.try_borrow().map_or(true, |output| output.left > 0);
        if is_reading || is_writing {
            self.fail(TlsError::Interrupted);
        }
    }

    /// Turns the record limit off, so that the record that ends the connection can be sent.
    pub(super) fn allow_last(&self) {
        self.limit.set(u32::MAX);
    }

    /// Returns why the connection failed.
    pub(super) fn failure(&self) -> Option<TlsError> {
        self.failure.get()
    }

    /// Stores why the connection failed, unless it failed before. Returns the first reason.
    pub(super) fn fail(&self, error: TlsError) -> TlsError {
        let first = self.failure.get().unwrap_or(error);
        self.failure.set(Some(first));
        first
    }

    /// Returns the reason for an error of embedded-tls.
    pub(super) fn failed(&self, error: embedded_tls::TlsError) -> TlsError {
        use embedded_tls::TlsError as Engine;
        self.fail(match error {
            // The server has closed the connection in good order, so the connection has not failed.
            Engine::MissingHandshake => return TlsError::Lost,
            Engine::Io(_) | Engine::IoError => TlsError::Lost,
            Engine::InsufficientSpace | Engine::EncodeError => TlsError::Buffers,
            Engine::CryptoError => TlsError::Record,
            // The check of each record in `cipher` replaces some plaintexts so that embedded-tls reports these errors.
            Engine::InvalidExtensionsLength => TlsError::Fragmented,
            Engine::Unimplemented if self.is_open.get() => TlsError::KeyUpdate,
            Engine::InternalError if self.is_open.get() => TlsError::Alert(None),
            Engine::InvalidRecord if !self.is_open.get() => TlsError::Alert(None),
            _ => TlsError::Handshake,
        })
    }

    /// Reads from the stream below.
    ///
    /// # Errors
    /// The stream ended or failed.
    #[allow(clippy::await_holding_refcell_ref, reason = "only one future reads")]
    pub(super) async fn fill(&self, reader: &mut impl Read) -> Result<(), TlsError> {
        let Ok(mut input) = self.input.try_borrow_mut() else { return Err(self.fail(TlsError::Interrupted)) };
        let read = reader.read(input.bytes.room()).await;
        match read {
            Ok(0) => Err(self.fail(TlsError::Truncated)),
            Ok(read) => {
                input.bytes.added(read);
                Ok(())
            }
            Err(_) => Err(self.fail(TlsError::Lost)),
        }
    }

    /// Writes to the stream below.
    ///
    /// # Errors
    /// The stream failed.
    #[allow(clippy::await_holding_refcell_ref, reason = "only one future writes")]
    pub(super) async fn drain(&self, writer: &mut impl Write) -> Result<(), TlsError> {
        let Ok(mut output) = self.output.try_borrow_mut() else { return Err(self.fail(TlsError::Interrupted)) };
        while !output.bytes.unread().is_empty() {
            match writer.write(output.bytes.unread()).await {
                Ok(written) if written > 0 => output.bytes.consume(written),
                _ => return Err(self.fail(TlsError::Lost)),
            }
        }
        Ok(())
    }

    /// Reads for embedded-tls.
    fn poll_read(&self, out: &mut [u8]) -> Poll<Result<usize, TlsError>> {
        if let Some(error) = self.failure() {
            return Poll::Ready(Err(error));
        }
        let Ok(mut input) = self.input.try_borrow_mut() else { return Poll::Pending };
        let input = &mut *input;
        while input.header_left == 0 && input.body_left == 0 {
            if input.is_handled && !self.is_open.get() {
                input.is_handled = false;
                self.wait.set(Wait::Yield);
                return Poll::Pending;
            }
            match self.admit(input) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        if input.header_left > 0 {
            let left = input.header.iter().skip(HEADER.saturating_sub(input.header_left));
            let read = out.iter_mut().zip(left).map(|(to, from)| *to = *from).count();
            input.header_left = input.header_left.saturating_sub(read);
            return Poll::Ready(Ok(read));
        }
        let left = input.body_left;
        let read = out.iter_mut().zip(input.bytes.unread()).take(left).map(|(to, from)| *to = *from).count();
        input.bytes.consume(read);
        input.body_left = left.saturating_sub(read);
        if read == 0 { Poll::Pending } else { Poll::Ready(Ok(read)) }
    }

    /// Checks the header of the next record. Returns `false` if more bytes are needed. After `true`, the record may
    /// have been skipped.
    ///
    /// # Errors
    /// The record is not allowed here, or is too long.
    fn admit(&self, input: &mut Input<'_>) -> Result<bool, TlsError> {
        let Some((&[kind, major, minor, high, low], rest)) = input.bytes.unread().split_first_chunk() else {
            return Ok(false);
        };
        let length = u16::from_be_bytes([high, low]);
        let bytes = usize::from(length);
        match kind {
            // A server in compatibility mode sends one: RFC 8446, section 5. It has no meaning.
            CHANGE_CIPHER_SPEC if !self.is_open.get() && bytes == 1 && input.changes < MOST_CHANGES => {
                let Some(value) = rest.first() else { return Ok(false) };
                if *value != 1 {
                    return Err(TlsError::Record);
                }
                input.changes = input.changes.saturating_add(1);
                input.bytes.consume(HEADER.saturating_add(1));
                return Ok(true);
            }
            // An alert in plain text is not authenticated, but the server will not continue after it.
            ALERT if !self.is_open.get() && bytes == 2 => {
                let Some(description) = rest.get(1) else { return Ok(false) };
                return Err(TlsError::Alert(Some(*description)));
            }
            HANDSHAKE if !input.has_hello => {
                // A ServerHello that answers our ClientHello is never longer than this.
                if bytes > input.bytes.bytes.len().saturating_sub(HEADER) {
                    return Err(TlsError::Handshake);
                }
                let Some(hello) = rest.get(..bytes) else { return Ok(false) };
                check_hello(hello)?;
                input.has_hello = true;
                input.header = [kind, major, minor, high, low];
            }
            APPLICATION_DATA if input.has_hello => {
                if bytes > self.longest.get() {
                    return Err(TlsError::RecordTooLong { length });
                }
                if bytes < SHORTEST_RECORD || (major, minor) != (3, PHASE_HANDSHAKE) {
                    return Err(TlsError::Record);
                }
                let phase = if self.is_open.get() { PHASE_OPEN } else { PHASE_HANDSHAKE };
                input.header = [kind, major, phase, high, low];
            }
            // A server without TLS sends something else.
            _ if !input.has_hello => return Err(TlsError::Handshake),
            _ => return Err(TlsError::Record),
        }
        if input.records >= self.limit.get() {
            return Err(TlsError::RecordLimit);
        }
        input.records = input.records.saturating_add(1);
        input.is_handled = true;
        input.bytes.consume(HEADER);
        (input.header_left, input.body_left) = (HEADER, bytes);
        Ok(true)
    }

    /// Takes bytes that embedded-tls writes. embedded-tls writes whole records.
    fn poll_write(&self, bytes: &[u8]) -> Poll<Result<usize, TlsError>> {
        if let Some(error) = self.failure() {
            return Poll::Ready(Err(error));
        }
        let Ok(mut output) = self.output.try_borrow_mut() else { return Poll::Pending };
        let output = &mut *output;
        if output.left == 0 {
            let Some(&[kind, _, _, high, low]) = bytes.first_chunk() else {
                return Poll::Ready(Err(self.fail(TlsError::Lost)));
            };
            if kind == APPLICATION_DATA && !self.is_proven.get() {
                self.wait.set(Wait::Proof);
                return Poll::Pending;
            }
            if output.records >= self.limit.get() {
                return Poll::Ready(Err(self.fail(TlsError::RecordLimit)));
            }
            output.records = output.records.saturating_add(1);
            output.left = usize::from(u16::from_be_bytes([high, low])).saturating_add(HEADER);
            // If embedded-tls refuses the server, or the server has closed the connection, embedded-tls writes an alert
            // in plain text, with the wrong content type.
            output.is_dropped = kind != APPLICATION_DATA && kind != HANDSHAKE;
        }
        let left = output.left;
        let written = if output.is_dropped {
            bytes.len().min(left)
        } else {
            let room = output.bytes.room();
            let written = room.iter_mut().zip(bytes).take(left).map(|(to, from)| *to = *from).count();
            output.bytes.added(written);
            written
        };
        output.left = left.saturating_sub(written);
        if written == 0 { Poll::Pending } else { Poll::Ready(Ok(written)) }
    }
}

/// Takes a number of the given size from the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], TlsError> {
    let (first, rest) = bytes.split_first_chunk().ok_or(TlsError::Handshake)?;
    *bytes = rest;
    Ok(*first)
}

/// Takes that many bytes from the front.
fn split<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], TlsError> {
    let (first, rest) = bytes.split_at_checked(length).ok_or(TlsError::Handshake)?;
    *bytes = rest;
    Ok(first)
}

/// Takes a length of two bytes, and that many bytes.
fn block<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], TlsError> {
    let length = u16::from_be_bytes(take(bytes)?);
    split(bytes, length.into())
}

/// Checks the ServerHello: RFC 8446, section 4.1.3. embedded-tls checks neither the version nor the cipher suite.
///
/// # Errors
/// The ServerHello does not answer our ClientHello.
fn check_hello(mut hello: &[u8]) -> Result<(), TlsError> {
    const SERVER_HELLO: u8 = 2;
    const SUPPORTED_VERSIONS: u16 = 43;
    const KEY_SHARE: u16 = 51;
    const TLS_1_3: [u8; 2] = [3, 4];
    let hello = &mut hello;
    let [kind, a, b, c] = take(hello)?;
    let (length, length_of_body) = (u32::from_be_bytes([0, a, b, c]), hello.len());
    if kind != SERVER_HELLO {
        return Err(TlsError::Handshake);
    }
    let _legacy_version: [u8; 2] = take(hello)?;
    let random: [u8; 32] = take(hello)?;
    let [session] = take(hello)?;
    split(hello, session.into())?;
    let suite = u16::from_be_bytes(take(hello)?);
    let [compression] = take(hello)?;
    let (mut is_1_3, mut has_key) = (false, false);
    // A ServerHello of TLS 1.2 may have no extensions, or other messages after it.
    if !hello.is_empty() {
        let mut extensions = block(hello)?;
        let extensions = &mut extensions;
        while !extensions.is_empty() {
            let kind = u16::from_be_bytes(take(extensions)?);
            let mut data = block(extensions)?;
            match kind {
                SUPPORTED_VERSIONS => is_1_3 = data == TLS_1_3,
                KEY_SHARE if !has_key && random != HELLO_RETRY => {
                    let group = u16::from_be_bytes(take(&mut data)?);
                    let length = u16::from_be_bytes(take(&mut data)?);
                    has_key = group == SECP256R1 && usize::from(length) == data.len() && data.len() == 65;
                }
                // Other extensions are refused below if the version is TLS 1.3.
                _ => has_key = false,
            }
        }
    }
    match (is_1_3, random == HELLO_RETRY) {
        (false, _) => Err(TlsError::Version),
        (true, true) => Err(TlsError::HelloRetry),
        (true, false) => {
            let is_whole = hello.is_empty() && length_of_body == usize::try_from(length).unwrap_or_default();
            let is_valid = is_whole && has_key && session == 0 && suite == SUITE && compression == 0;
            if is_valid { Ok(()) } else { Err(TlsError::Handshake) }
        }
    }
}

/// The stream that embedded-tls reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Handle<'r, 'm>(pub(super) &'r Relay<'m>);

impl ErrorType for Handle<'_, '_> {
    type Error = ErrorKind;
}

impl Read for Handle<'_, '_> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0.poll_read(out)).await.map_err(|_| ErrorKind::Other)
    }
}

impl Write for Handle<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0.poll_write(bytes)).await.map_err(|_| ErrorKind::Other)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
