//! The path from a publisher to the server.

use super::*;

/// How the bytes travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// The sizes of input pieces and output windows.
    pub(super) cut: usize,
    pub(super) window: usize,
    /// Each request comes to the server on a new connection; the client keeps its own.
    pub(super) fresh: bool,
}

pub(super) const WAYS: [Way; 6] = [
    Way { cut: 1 << 20, window: 1 << 20, fresh: false },
    Way { cut: 1, window: 1, fresh: false },
    Way { cut: 7, window: 3, fresh: true },
    Way { cut: 1_460, window: 1_460, fresh: true },
    Way { cut: 64, window: 2_920, fresh: false },
    Way { cut: 1 << 20, window: 100, fresh: true },
];

/// The path from a publisher to the server.
pub(super) struct Route {
    pub(super) publisher: Publisher,
    pub(super) connection: TunnelConnection,
    way: Way,
    up: Vec<u8>,
    down: Vec<u8>,
    /// All bytes in both directions.
    pub(super) requests: Vec<u8>,
    pub(super) responses: Vec<u8>,
}

impl Route {
    pub(super) fn new(key: &'static str, frames: Vec<Frame>, way: Way) -> Self {
        let (up, down, requests, responses) = Default::default();
        let publisher = Publisher::new(key, frames);
        Self { publisher, connection: TunnelConnection::new(START), way, up, down, requests, responses }
    }

    /// Lets each part do one step. Returns whether any bytes moved.
    pub(super) fn step(&mut self, host: &mut Host, now: Instant) -> bool {
        let Way { cut, window, fresh } = self.way;
        let mut out = std::vec![0; window];
        let written = self.publisher.transmit(now, &mut out);
        self.up.extend_from_slice(&out[..written]);
        self.requests.extend_from_slice(&out[..written]);
        let taken = host.receive(&mut self.connection, now, &self.up[..cut.min(self.up.len())]);
        self.up.drain(..taken);
        let answered = host.transmit(&mut self.connection, now, &mut out);
        self.down.extend_from_slice(&out[..answered]);
        self.responses.extend_from_slice(&out[..answered]);
        let received = self.publisher.receive(now, &self.down[..cut.min(self.down.len())]).unwrap();
        self.down.drain(..received);
        if fresh && answered > 0 && self.up.is_empty() && !self.connection.wants_transmit(now, 0) {
            // Between two requests.
            if self.connection.tunnel(&host.tunnels).is_none() {
                assert_eq!(self.connection.ended(now, &mut host.tunnels), None);
                self.connection = TunnelConnection::new(now);
            }
        }
        written + taken + answered + received > 0
    }
}

pub(super) const START: Instant = Instant::from_millis(1_000);

/// Runs routes until all their tunnels are closed. Returns the time that it took in ms.
pub(super) fn run(host: &mut Host, routes: &mut [Route]) -> u64 {
    let mut now = START;
    for _ in 0..1_000_000 {
        let mut moved = false;
        for route in &mut *routes {
            moved |= route.step(host, now);
        }
        if routes.iter().all(|route| route.publisher.tunnel.is_closed()) {
            return now.as_millis() - START.as_millis();
        }
        if !moved {
            let polls = routes.iter().filter_map(|route| route.publisher.tunnel.poll_timeout());
            let held = routes.iter().filter_map(|route| route.connection.poll_timeout(&host.tunnels));
            let next = polls.chain(held).min().unwrap();
            assert!(next > now, "a deadline has passed, but nothing was done");
            now = next;
        }
        assert!(now.as_millis() < 60_000, "the tunnels were not closed in time");
    }
    panic!("the tunnels do not end")
}
