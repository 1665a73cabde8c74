//! The bytes that a session has written for the next request of its tunnel.

/// Bytes that wait in lent memory while a request is in progress, so that the next request carries more than one message. A
/// message for which there is no room is sent with the next request, directly from the caller's memory.
pub(super) struct Gathered<'a> {
    bytes: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a> Gathered<'a> {
    pub(super) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, start: 0, end: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len() == self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Lends the free room to `fill`, and returns how many bytes it wrote.
    pub(super) fn gather(&mut self, fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.len());
        let room = self.bytes.get_mut(self.end..).unwrap_or(&mut []);
        let filled = if room.is_empty() { 0 } else { fill(room).min(room.len()) };
        self.end = self.end.saturating_add(filled);
        filled
    }

    /// Moves bytes that wait to `room`, until either ends. Returns the number of bytes moved.
    pub(super) fn move_to(&mut self, room: &mut [u8]) -> usize {
        let length = room.len().min(self.len());
        let bytes = self.bytes.get(self.start..self.start.saturating_add(length));
        if let (Some(bytes), Some(room)) = (bytes, room.get_mut(..length)) {
            room.copy_from_slice(bytes);
            self.start = self.start.saturating_add(length);
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_comes_out_in_order_through_any_room() {
        for room in 1..12 {
            let (mut bytes, mut next, mut out) = ([0; 10], 0_u8, std::vec::Vec::new());
            let mut gathered = Gathered::new(&mut bytes);
            while out.len() < 100 {
                gathered.gather(|free| {
                    let count = free.len().min(3);
                    free[..count].fill_with(|| {
                        next += 1;
                        next
                    });
                    count
                });
                let mut piece = [0; 12];
                let moved = gathered.move_to(&mut piece[..room]);
                out.extend_from_slice(&piece[..moved]);
            }
            assert!(out.iter().zip(1..).all(|(byte, expected)| *byte == expected), "{room}");
        }
    }

    #[test]
    fn without_memory_nothing_is_gathered() {
        let mut gathered = Gathered::new(&mut []);
        assert!(gathered.is_full());
        gathered.gather(|_| panic!("there is no room"));
        assert_eq!((gathered.len(), gathered.move_to(&mut [0; 4])), (0, 0));
    }
}
