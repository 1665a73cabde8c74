//! Which socket listens on which port.
//!
//! An smoltcp socket listens on one port and has no backlog: a connection to a port on which no socket listens at that
//! moment is refused. So every socket without a connection listens on the port with the fewest listeners, and moves when
//! another port has lost its last one to a connection.

use core::cell::Cell;

/// The sockets of one server: for each, the index of the port that it listens on.
#[derive(Debug)]
pub(crate) struct Listeners<'p, const SOCKETS: usize> {
    ports: &'p [u16],
    on: [Cell<Option<usize>>; SOCKETS],
    generation: Cell<u32>,
}

impl<'p, const SOCKETS: usize> Listeners<'p, SOCKETS> {
    pub(crate) const fn new(ports: &'p [u16]) -> Self {
        Self { ports, on: [const { Cell::new(None) }; SOCKETS], generation: Cell::new(0) }
    }

    /// Returns the port that a socket without a connection should listen on: its own, unless another port has fewer
    /// listeners. `None` if there are no ports.
    pub(crate) fn choose(&self, socket: usize) -> Option<(usize, u16)> {
        let own = self.on.get(socket).and_then(Cell::get);
        let others = |port| {
            let listening = self.on.iter().enumerate().filter(|(other, on)| *other != socket && on.get() == Some(port));
            listening.count()
        };
        // Among equal ports, the socket's own port wins, then the first one.
        let key = |&(index, _): &(usize, u16)| (others(index), own != Some(index));
        self.ports.iter().copied().enumerate().min_by_key(key)
    }

    /// Stores the port of a socket. Returns whether it has changed, so that the others should choose again.
    pub(crate) fn note(&self, socket: usize, on: Option<usize>) -> bool {
        let is_new = self.on.get(socket).is_some_and(|cell| cell.replace(on) != on);
        self.generation.set(self.generation.get().wrapping_add(u32::from(is_new)));
        is_new
    }

    /// The number of changes. While it stays the same, the results of [`Self::choose`] stay the same.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets every idle socket choose until none moves. Returns their ports.
    fn settle<const N: usize>(listeners: &Listeners<'_, N>, busy: &[usize]) -> [Option<usize>; N] {
        for _ in 0..=N {
            let mut moved = false;
            for socket in 0..N {
                let on = listeners.choose(socket).map(|(index, _)| index).filter(|_| !busy.contains(&socket));
                moved |= listeners.note(socket, on);
            }
            if !moved {
                return core::array::from_fn(|socket| listeners.on[socket].get());
            }
        }
        panic!("sockets still change their ports")
    }

    #[test]
    fn every_port_has_a_listener_while_sockets_are_left() {
        let listeners = Listeners::<3>::new(&[1935, 80]);
        assert_eq!(settle(&listeners, &[]), [Some(0), Some(1), Some(0)]);
        // Port 80 has lost its only listener: one of the two others moves there.
        assert_eq!(settle(&listeners, &[1]), [Some(0), None, Some(1)]);
        assert_eq!(settle(&listeners, &[1, 2]), [Some(0), None, None]);
        assert_eq!(settle(&listeners, &[0, 1, 2]), [None; 3]);
        // Both sockets whose connections have ended choose a port without a listener.
        assert_eq!(settle(&listeners, &[0, 1]), [None, None, Some(0)]);
        assert_eq!(settle(&listeners, &[0]), [None, Some(1), Some(0)]);
    }

    #[test]
    fn sockets_spread_evenly_and_stay() {
        let listeners = Listeners::<7>::new(&[1935, 80, 443]);
        let places = settle(&listeners, &[]);
        for port in 0..3 {
            assert!(places.iter().filter(|on| **on == Some(port)).count() >= 2);
        }
        assert_eq!(settle(&listeners, &[]), places);
    }

    #[test]
    fn without_ports_nobody_listens() {
        assert_eq!(settle(&Listeners::<2>::new(&[]), &[]), [None, None]);
    }
}
