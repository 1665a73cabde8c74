//! The parts that the crates of a device provide: a network, a clock and an executor.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::sync::{LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use embassy_time::Timer;
use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};
use embassy_time_queue_utils::Queue;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_rtmp_embassy::transport::{Connect, Stream};

/// The host's network.
pub(crate) struct Network;

/// A TCP connection of the host.
pub(crate) struct Socket(TcpStream);

/// Half of it.
pub(crate) struct Half<'s>(&'s TcpStream);

impl Connect for Network {
    type Error = io::Error;
    type Stream<'s> = Socket;

    async fn connect(&mut self, host: &str, port: u16) -> io::Result<Socket> {
        let socket = TcpStream::connect((host, port))?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Socket(socket))
    }
}

impl Stream for Socket {
    type Reader<'h> = Half<'h>;
    type Writer<'h> = Half<'h>;

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(&self.0), Half(&self.0))
    }

    async fn close(self) {
        let _ = self.0.shutdown(Shutdown::Write);
        while let Ok(1..) = Half(&self.0).read(&mut [0; 512]).await {}
    }
}

impl ErrorType for Half<'_> {
    type Error = embedded_io_async::ErrorKind;
}

/// Tries again every millisecond. A driver of a device wakes the task instead.
async fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> Result<T, embedded_io_async::ErrorKind> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Timer::after_millis(1).await,
            result => return result.map_err(|_| embedded_io_async::ErrorKind::Other),
        }
    }
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        retry(|| self.0.read(buffer)).await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        retry(|| self.0.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static TIMERS: Mutex<RefCell<Queue>> = Mutex::new(RefCell::new(Queue::new()));

struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        (START.elapsed().as_nanos() * u128::from(TICK_HZ) / 1_000_000_000) as u64
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        TIMERS.lock().unwrap().borrow_mut().schedule_wake(at, waker);
    }
}

/// Polls a future every half millisecond until it is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        TIMERS.lock().unwrap().borrow_mut().next_expiration(CLOCK.now());
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
