//! A transport over any `embedded_io_async::{Read, Write}`.
//!
//! ```text
//!   session ◄── input block ◄───────────── read  ◄── reader
//!   session ──► output block (filling) ─┐
//!               output block (leaving) ─┴► write ──► writer          run by `pump`, in the session's task
//! ```
//!
//! A pending read or write borrows the memory that it works on, so there are blocks and no rings: the reader gets the input
//! block when the session has consumed all of it, and the two output blocks swap when the writer is idle.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

#[cfg(feature = "rtmpt")]
use embassy_futures::join::join;
use embassy_futures::select::{Either3, select3};
use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};

#[cfg(feature = "rtmpt")]
use super::tcp::{OpenError, Opened};
#[cfg(feature = "rtmpt")]
use super::tunnel::Reopen;
use super::{End, Lend, Traffic, Transport};
use crate::fmt::impl_format;

/// Lent memory, of which `start..end` is in use.
struct Block<'b> {
    memory: RefCell<&'b mut [u8]>,
    start: Cell<usize>,
    end: Cell<usize>,
}

impl<'b> Block<'b> {
    fn new(memory: &'b mut [u8]) -> Self {
        Self { memory: RefCell::new(memory), start: Cell::new(0), end: Cell::new(0) }
    }

    fn is_empty(&self) -> bool {
        self.start.get() >= self.end.get()
    }

    fn set(&self, start: usize, end: usize) {
        self.start.set(start);
        self.end.set(end);
    }
}

/// The waker of one task. A new waker replaces it without waking it. If the previous waker were woken, a task whose wakers
/// do not compare equal would be polled again and again.
struct Slot(Cell<Option<Waker>>);

impl Slot {
    const fn new() -> Self {
        Self(Cell::new(None))
    }

    fn register(&self, cx: &Context<'_>) {
        let waker = self.0.take().filter(|waker| waker.will_wake(cx.waker()));
        self.0.set(waker.or_else(|| Some(cx.waker().clone())));
    }

    fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// A [`Transport`] over any stream that implements `embedded_io_async::{Read, Write}`, such as TLS or a modem's socket.
///
/// `&Pipe` is the transport. [`run`](Self::run) moves the bytes between it and the stream's halves, in the same task as the
/// session. It never drops a read, a write or a flush before that has completed, except when the session aborts or ends,
/// because many TLS streams lose data if a pending future is dropped. A write is flushed if the session has written nothing
/// more after one yield.
///
/// ```
/// use embedded_io_async::{Read, Write};
/// use embedded_rtmp_embassy::transport::{End, Pipe, Transport};
///
/// /// Sends `ping` over a stream, and returns how the stream ended.
/// async fn ping(reader: &mut impl Read, writer: &mut impl Write) -> End {
///     let (mut input, mut output) = ([0; 256], [0; 512]);
///     let pipe = Pipe::new(&mut input, &mut output);
///     let session = async {
///         let mut transport = &pipe;
///         let ping = &mut |room: &mut [u8]| room.iter_mut().zip(b"ping").map(|(to, from)| *to = *from).count();
///         let _ = core::future::poll_fn(|cx| transport.poll_write(cx, ping)).await;
///         transport.close();
///     };
///     pipe.run(reader, writer, session).await.1
/// }
/// ```
pub struct Pipe<'b> {
    input: Block<'b>,
    output: [Block<'b>; 2],
    /// Which output block the session fills.
    filling: Cell<bool>,
    /// The task that waits for input or for the end.
    readable: Slot,
    /// The task that waits for room.
    writable: Slot,
    /// The task of the pump.
    pump: Slot,
    /// How the input has ended. `None` until then.
    input_end: Cell<Option<End>>,
    /// How the pump has ended. `None` while it runs.
    end: Cell<Option<End>>,
    /// Counts the streams, and whether the pump runs for the last one.
    generation: Cell<u32>,
    is_running: Cell<bool>,
    is_closing: Cell<bool>,
    is_aborted: Cell<bool>,
    /// Whether the next stream of a tunnel is open.
    #[cfg(feature = "rtmpt")]
    opened: Cell<Opened>,
    /// Whether the session of a tunnel has ended, so that no other stream is needed.
    #[cfg(feature = "rtmpt")]
    is_over: Cell<bool>,
    traffic: Cell<Traffic>,
}

impl_format!(['b] Pipe<'b>, this => "Pipe {{ end: {}, {} }}", this.end.get(), this.traffic.get());

impl<'b> Pipe<'b> {
    /// Creates a pipe in lent memory. One read returns at most `input` bytes: 256 are enough for a publisher, a player needs
    /// a few segments. `output` is split in two halves: the session fills one half while the other one is written. So each
    /// half should have a segment (1,460 bytes) or more. The least sizes are 1 byte for `input` and 2 bytes for `output`.
    ///
    /// # Panics
    /// If `input` is empty or `output` has fewer than 2 bytes.
    pub fn new(input: &'b mut [u8], output: &'b mut [u8]) -> Self {
        assert!(!input.is_empty() && output.len() >= 2, "a pipe needs 1 byte of input and 2 bytes of output");
        let (first, second) = output.split_at_mut(output.len() / 2);
        Self {
            input: Block::new(input),
            output: [Block::new(first), Block::new(second)],
            filling: Cell::new(false),
            readable: Slot::new(),
            writable: Slot::new(),
            pump: Slot::new(),
            input_end: Cell::new(None),
            end: Cell::new(None),
            generation: Cell::new(0),
            is_running: Cell::new(false),
            is_closing: Cell::new(false),
            is_aborted: Cell::new(false),
            #[cfg(feature = "rtmpt")]
            opened: Cell::new(Opened::Yes),
            #[cfg(feature = "rtmpt")]
            is_over: Cell::new(false),
            traffic: Cell::new(Traffic { received: 0, sent: 0 }),
        }
    }

    /// Empties the pipe for another stream. [`run`](Self::run) begins with it.
    pub fn reset(&self) {
        [&self.input].into_iter().chain(&self.output).for_each(|block| block.set(0, 0));
        self.input_end.set(None);
        self.end.set(None);
        self.is_closing.set(false);
        self.is_aborted.set(false);
        #[cfg(feature = "rtmpt")]
        self.opened.set(Opened::Yes);
        self.traffic.set(Traffic::default());
    }

    /// Runs a session over this pipe together with the [pump](Self::pump) that carries its bytes, and returns what the session
    /// returned and how the stream ended.
    ///
    /// A session ends the stream with [`Transport::close`] or [`Transport::abort`]. If it returns without either, the pipe
    /// aborts. After `close` the pump writes and flushes the rest. The caller then closes the stream itself
    /// ([`Stream::close`](super::Stream::close)).
    pub async fn run<R: Read, W: Write, F: Future>(
        &self,
        reader: &mut R,
        writer: &mut W,
        session: F,
    ) -> (F::Output, End) {
        self.reset();
        let (mut session, mut pump) = (pin!(session), pin!(self.pump(reader, writer)));
        let (mut output, mut end) = (None, None);
        poll_fn(|cx| {
            if output.is_none()
                && let Poll::Ready(it) = session.as_mut().poll(cx)
            {
                output = Some(it);
                if !self.is_closing.get() {
                    self.abort_it();
                }
            }
            if end.is_none()
                && let Poll::Ready(it) = pump.as_mut().poll(cx)
            {
                end = Some(it);
            }
            match (output.take(), end) {
                (Some(output), Some(end)) => Poll::Ready((output, end)),
                (not_yet, _) => {
                    output = not_yet;
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Runs a session of a [`Server`](crate::Server) over a stream: see [`Streams`](crate::Streams). Returns how the stream
    /// ended, after the server has closed or aborted the session and the rest of the output is written. The server may run
    /// in another task of the same executor.
    pub async fn serve<R: Read, W: Write>(&self, reader: &mut R, writer: &mut W) -> End {
        self.run(reader, writer, self.until(|| self.is_closing.get() || self.is_aborted.get())).await.1
    }

    /// Runs the session of a tunnel over this pipe together with `carry`, which moves its bytes over one stream after
    /// another. Returns what the session returned, after `carry` has ended, too.
    #[cfg(feature = "rtmpt")]
    pub(crate) async fn run_tunnel<F: Future>(&self, session: F, carry: impl Future<Output = ()>) -> F::Output {
        self.reset();
        self.opened.set(Opened::NotYet);
        self.is_over.set(false);
        let session = async {
            let output = session.await;
            self.is_over.set(true);
            if !self.is_closing.get() {
                self.abort_it();
            }
            self.pump.wake();
            output
        };
        join(session, carry).await.0
    }

    /// Waits until the tunnel needs another stream. Returns `false` if its session has ended.
    #[cfg(feature = "rtmpt")]
    pub(crate) async fn is_stream_wanted(&self) -> bool {
        self.until(|| self.opened.get() == Opened::NotYet || self.is_over.get()).await;
        !self.is_over.get()
    }

    /// Waits until the stream that the tunnel needs is open, and returns `true`, or until it could not be opened.
    #[cfg(feature = "rtmpt")]
    pub(crate) async fn is_opened(&self) -> bool {
        self.until(|| self.opened.get() != Opened::NotYet).await;
        self.opened.get() == Opened::Yes
    }

    /// Waits until the session of the tunnel has ended.
    #[cfg(feature = "rtmpt")]
    pub(crate) async fn until_over(&self) {
        self.until(|| self.is_over.get()).await;
    }

    /// Records whether the stream that the tunnel needs is open. If it is, call [`Self::pump`] next.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn note_opened(&self, is_open: bool) {
        if is_open {
            let traffic = self.traffic.get();
            self.reset();
            self.traffic.set(traffic);
        } else {
            self.opened.set(Opened::No);
        }
        self.pump.wake();
        self.readable.wake();
        self.writable.wake();
    }

    /// The number of the last stream.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Waits for the stream after the one with this number, and returns the new number.
    pub(crate) fn poll_stream(&self, last: u32, cx: &mut Context<'_>) -> Poll<u32> {
        if self.is_running.get() && self.generation.get() != last {
            return Poll::Ready(self.generation.get());
        }
        self.readable.register(cx);
        Poll::Pending
    }

    /// Moves bytes between the pipe and the halves of a stream until the session closes or aborts the pipe or the stream
    /// fails, and returns how it ended. `Closed` means that everything was written and flushed.
    ///
    /// It must be polled together with the session, by the same task: [`run`](Self::run) does that. If the future is
    /// dropped, the pipe ends with [`End::Lost`].
    pub async fn pump<R: Read, W: Write>(&self, reader: &mut R, writer: &mut W) -> End {
        let ended = Ended(self);
        self.generation.set(self.generation.get().wrapping_add(1));
        self.is_running.set(true);
        self.readable.wake();
        let aborted = self.until(|| self.is_aborted.get());
        let end = match select3(self.read_all(reader), self.write_all(writer), aborted).await {
            Either3::First(()) | Either3::Third(()) => End::Lost,
            Either3::Second(end) => end,
        };
        self.end.set(Some(end));
        drop(ended);
        end
    }

    /// Waits until `is_ready` holds. The session wakes the pump whenever it changes something.
    async fn until(&self, is_ready: impl Fn() -> bool) {
        poll_fn(|cx| {
            self.pump.register(cx);
            if is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Reads whenever the session has consumed everything. Returns if reading fails; after the end of the input it waits.
    #[allow(clippy::await_holding_refcell_ref, reason = "the session borrows the block with `try_borrow_mut`")]
    async fn read_all<R: Read>(&self, reader: &mut R) {
        loop {
            self.until(|| self.input.is_empty()).await;
            let mut memory = self.input.memory.borrow_mut();
            let read = reader.read(&mut memory).await;
            drop(memory);
            let end = match read {
                Ok(0) => Some(End::Closed),
                Ok(read) => {
                    self.input.set(0, read);
                    None
                }
                Err(_) => Some(End::Lost),
            };
            self.input_end.set(end);
            self.readable.wake();
            match end {
                None => {}
                Some(End::Closed) => core::future::pending().await,
                Some(_) => return,
            }
        }
    }

    /// Writes the session's output, and flushes when nothing is left. Returns after [`Transport::close`], or if writing
    /// fails.
    #[allow(clippy::await_holding_refcell_ref, reason = "the session fills the other block")]
    async fn write_all<W: Write>(&self, writer: &mut W) -> End {
        let mut is_flushed = true;
        loop {
            if is_flushed {
                self.until(|| !self.filled().is_empty() || self.is_closing.get()).await;
            } else if self.filled().is_empty() {
                yield_now().await;
            }
            let block = self.filled();
            if block.is_empty() {
                if !is_flushed && writer.flush().await.is_err() {
                    return End::Lost;
                }
                is_flushed = true;
                if self.filled().is_empty() && self.is_closing.get() {
                    return End::Closed;
                }
                continue;
            }
            self.filling.set(!self.filling.get());
            self.writable.wake();
            is_flushed = false;
            let memory = block.memory.borrow();
            while let Some(rest) = memory.get(block.start.get()..block.end.get()).filter(|rest| !rest.is_empty()) {
                match writer.write(rest).await {
                    Ok(written) if written > 0 => block.start.set(block.start.get().saturating_add(written)),
                    _ => return End::Lost,
                }
            }
            drop(memory);
            block.set(0, 0);
        }
    }

    /// The block that the session fills.
    fn filled(&self) -> &Block<'b> {
        let [first, second] = &self.output;
        if self.filling.get() { second } else { first }
    }

    fn count(&self, received: usize, sent: usize) {
        let mut traffic = self.traffic.get();
        traffic.count(received, sent);
        self.traffic.set(traffic);
    }

    fn abort_it(&self) {
        self.is_aborted.set(true);
        self.pump.wake();
    }
}

/// Tells the session that the pump has ended, even if its future was dropped.
struct Ended<'p, 'b>(&'p Pipe<'b>);

impl Drop for Ended<'_, '_> {
    fn drop(&mut self) {
        let end = self.0.end.get().unwrap_or(End::Lost);
        self.0.end.set(Some(end));
        self.0.is_running.set(false);
        self.0.input_end.set(self.0.input_end.get().or(Some(end)));
        self.0.readable.wake();
        self.0.writable.wake();
    }
}

#[cfg(feature = "rtmpt")]
impl Reopen for &Pipe<'_> {
    type To = ();

    fn open(&mut self, (): ()) -> Result<(), OpenError> {
        self.opened.set(Opened::NotYet);
        self.abort_it();
        Ok(())
    }

    fn opened(&self) -> Opened {
        self.opened.get()
    }

    fn may_receive(&self) -> bool {
        self.input_end.get().is_none() || !self.input.is_empty()
    }

    fn wake(&self, cx: &mut Context<'_>) {
        self.readable.register(cx);
        self.writable.register(cx);
    }
}

impl Transport for &Pipe<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        // What is left of the previous stream of a tunnel is not read.
        #[cfg(feature = "rtmpt")]
        if self.opened.get() != Opened::Yes {
            self.readable.register(cx);
            return Poll::Pending;
        }
        let (start, end) = (self.input.start.get(), self.input.end.get());
        if let Ok(mut memory) = self.input.memory.try_borrow_mut()
            && let Some(bytes) = memory.get_mut(start..end).filter(|bytes| !bytes.is_empty())
        {
            let taken = f(bytes).min(bytes.len());
            self.input.start.set(start.saturating_add(taken));
            self.count(taken, 0);
            if self.input.is_empty() {
                self.pump.wake();
            }
            return Poll::Ready(Ok(taken));
        }
        if let Some(end) = self.input_end.get() {
            return Poll::Ready(Err(end));
        }
        self.readable.register(cx);
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        if let Some(end) = self.end.get() {
            return Poll::Ready(Err(end));
        }
        if self.is_closing.get() || self.is_aborted.get() {
            return Poll::Ready(Err(if self.is_aborted.get() { End::Lost } else { End::Closed }));
        }
        let block = self.filled();
        let end = block.end.get();
        if let Ok(mut memory) = block.memory.try_borrow_mut()
            && let Some(room) = memory.get_mut(end..).filter(|room| !room.is_empty())
        {
            let written = f(room).min(room.len());
            block.end.set(end.saturating_add(written));
            self.count(0, written);
            if written > 0 {
                self.pump.wake();
            }
            return Poll::Ready(Ok(written));
        }
        self.writable.register(cx);
        Poll::Pending
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.is_closing.get() || self.is_aborted.get() {
            // Input that the session does not read any longer must not stop the reader.
            while let Poll::Ready(Ok(1..)) = self.poll_read(cx, &mut |bytes| bytes.len()) {}
        }
        match self.end.get() {
            Some(end) => Poll::Ready(end),
            None => {
                self.readable.register(cx);
                self.writable.register(cx);
                Poll::Pending
            }
        }
    }

    fn close(&mut self) {
        self.is_closing.set(true);
        self.pump.wake();
    }

    fn abort(&mut self) {
        self.abort_it();
    }

    fn unacknowledged(&self) -> Option<usize> {
        None
    }

    fn has_room(&self) -> bool {
        let block = self.filled();
        !self.is_closing.get() && block.memory.try_borrow().is_ok_and(|memory| block.end.get() < memory.len())
    }

    fn traffic(&self) -> Traffic {
        self.traffic.get()
    }
}
