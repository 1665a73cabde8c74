//! The bytes between a client and a server, in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp_embassy::transport::{Connect, Stream};

use crate::server::{APPLICATION_DATA, Server};

/// What the server does with the data of the client. Returns its own data.
pub type Application = Box<dyn FnMut(Vec<u8>) -> Vec<u8>>;

/// A server, and the bytes between it and the client.
pub struct Wire {
    /// The server.
    pub server: Server,
    /// The server behind TLS, if there is one.
    pub application: Option<Application>,
    to_client: VecDeque<u8>,
    /// The largest number of bytes that one read returns.
    pub piece: usize,
    reader: Option<Waker>,
    /// Whether the server has closed the stream.
    pub is_closed: bool,
    /// Whether the client has closed the stream in good order.
    pub is_ended: bool,
    /// Whether the server takes no bytes.
    pub is_deaf: bool,
    /// The number of bytes that the client has written.
    pub written: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire {{ {} bytes written }}", self.written)
    }
}

impl Wire {
    /// A wire to `server`.
    pub fn new(server: Server) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            server,
            application: None,
            to_client: VecDeque::new(),
            piece: usize::MAX,
            reader: None,
            is_closed: false,
            is_ended: false,
            is_deaf: false,
            written: 0,
        }))
    }

    /// Handles bytes that the client has written.
    fn turn(&mut self, bytes: &[u8]) {
        self.written += bytes.len();
        let answer = self.server.feed(bytes);
        self.to_client.extend(answer);
        if let Some(application) = &mut self.application {
            let bytes = application(self.server.data.drain(..).collect());
            if !bytes.is_empty() && self.server.is_open() {
                self.to_client.extend(self.server.seal(APPLICATION_DATA, &bytes));
            }
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Sends an encrypted record.
    pub fn send(&mut self, kind: u8, content: &[u8]) {
        let record = self.server.seal(kind, content);
        self.push(&record);
    }

    /// Sends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.to_client.extend(bytes);
        self.wake();
    }

    /// The number of bytes that the client has not read.
    pub fn unread(&self) -> usize {
        self.to_client.len()
    }
}

/// The client's end of the wire.
#[derive(Debug, Clone)]
pub struct Half(Rc<RefCell<Wire>>);

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            let wire = &mut *self.0.borrow_mut();
            let count = buffer.len().min(wire.piece).min(wire.to_client.len());
            if count == 0 && !wire.is_closed {
                wire.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            buffer.iter_mut().zip(wire.to_client.drain(..count)).for_each(|(to, from)| *to = from);
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if self.0.borrow().is_deaf {
            std::future::pending::<()>().await;
        }
        self.0.borrow_mut().turn(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Stream for Half {
    type Reader<'h> = Half;
    type Writer<'h> = Half;

    fn split(&mut self) -> (Half, Half) {
        (self.clone(), self.clone())
    }

    async fn close(self) {
        self.0.borrow_mut().is_ended = true;
    }
}

/// Connects to the servers that a function makes.
#[derive(Debug)]
pub struct Servers<F>(pub F);

impl<F: FnMut() -> Rc<RefCell<Wire>>> Connect for Servers<F> {
    type Error = ErrorKind;
    type Stream<'s>
        = Half
    where
        Self: 's;

    async fn connect(&mut self, _: &str, _: u16) -> Result<Half, ErrorKind> {
        Ok(Half((self.0)()))
    }
}
