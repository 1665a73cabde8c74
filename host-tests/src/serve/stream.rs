//! The streams that are relayed, by name: each with one publisher at most, and any number of players.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::relay::{Generation, RelayConfig, Ring, StreamBuffers};
use mio::Waker;

/// Application and key as one path, without queries.
pub(super) type Name = Vec<u8>;

/// Metadata and sequence headers are kept up to this length, in bytes.
const KEPT: usize = 4096;

/// A stream.
pub(super) struct Stream {
    ring: Mutex<Ring<'static>>,
    /// How often it was published, and how often that ended: odd while it is published. A player that looks too late to
    /// see it published hears of the end all the same.
    generation: Mutex<Generation>,
    players: Mutex<Vec<Arc<PlayerWaker>>>,
}

/// Wakes a player's thread, once for each time that it has looked.
#[derive(Debug)]
pub(super) struct PlayerWaker {
    waker: Waker,
    rung: AtomicBool,
}

impl PlayerWaker {
    pub(super) const fn new(waker: Waker) -> Self {
        Self { waker, rung: AtomicBool::new(false) }
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // Where that fails, the thread wakes by itself soon.
            let _ = self.waker.wake();
        }
    }

    /// From now on it rings again.
    pub(super) fn rearm(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}

impl Stream {
    /// What the publisher sent.
    pub(super) fn ring(&self) -> MutexGuard<'_, Ring<'static>> {
        lock(&self.ring)
    }

    pub(super) fn is_published(&self) -> bool {
        self.generation().is_published()
    }

    pub(super) fn generation(&self) -> Generation {
        *lock(&self.generation)
    }

    /// Takes a piece from the publisher.
    pub(super) fn push(&self, fragment: &Fragment<'_>) {
        self.ring().push(fragment);
        self.wake();
    }

    /// The publisher has gone.
    pub(super) fn end(&self) {
        self.ring().end();
        let mut generation = lock(&self.generation);
        *generation = generation.next();
        drop(generation);
        self.wake();
    }

    fn wake(&self) {
        lock(&self.players).iter().for_each(|waker| waker.ring());
    }

    /// A player wants to be woken.
    pub(super) fn join(&self, waker: &Arc<PlayerWaker>) {
        lock(&self.players).push(Arc::clone(waker));
    }

    /// It does not any more.
    pub(super) fn leave(&self, waker: &Arc<PlayerWaker>) {
        lock(&self.players).retain(|other| !Arc::ptr_eq(other, waker));
    }
}

/// All streams that somebody publishes or plays.
pub(super) struct Streams {
    room: usize,
    by_name: Mutex<HashMap<Name, Arc<Stream>>>,
    /// Rings that nobody uses. Their memory lives as long as the program, so they are used again.
    spare: Mutex<Vec<Ring<'static>>>,
}

impl Streams {
    /// Streams with rings of `room` bytes.
    pub(super) fn new(room: usize) -> Self {
        Self { room, by_name: Mutex::default(), spare: Mutex::default() }
    }

    /// How many are published.
    pub(super) fn published(&self) -> usize {
        lock(&self.by_name).values().filter(|stream| stream.is_published()).count()
    }

    /// The stream of that name, for its publisher; `None` where it has one.
    pub(super) fn publish(&self, name: &Name) -> Option<Arc<Stream>> {
        let stream = self.find(name);
        let mut generation = lock(&stream.generation);
        if generation.is_published() {
            return None;
        }
        *generation = generation.next();
        drop(generation);
        stream.wake();
        Some(stream)
    }

    /// The stream of that name.
    pub(super) fn find(&self, name: &Name) -> Arc<Stream> {
        let mut by_name = lock(&self.by_name);
        let stream = by_name.entry(name.clone()).or_insert_with(|| {
            let ring = lock(&self.spare).pop().unwrap_or_else(|| self.ring());
            Arc::new(Stream { ring: Mutex::new(ring), generation: Mutex::default(), players: Mutex::default() })
        });
        Arc::clone(stream)
    }

    /// Gives the stream back; it is forgotten when nobody else has it.
    pub(super) fn release(&self, name: &Name, stream: Arc<Stream>) {
        let mut by_name = lock(&self.by_name);
        drop(stream);
        let is_last = by_name.get(name).is_some_and(|stream| Arc::strong_count(stream) == 1);
        if is_last && let Some(stream) = by_name.remove(name).and_then(Arc::into_inner) {
            let mut ring = stream.ring.into_inner().unwrap_or_else(PoisonError::into_inner);
            ring.end();
            lock(&self.spare).push(ring);
        }
    }

    fn ring(&self) -> Ring<'static> {
        let memory = |length| vec![0; length].leak();
        let [metadata, video, audio] = [memory(KEPT), memory(KEPT), memory(KEPT)];
        Ring::new(StreamBuffers { ring: memory(self.room), metadata, video, audio }, &RelayConfig::new())
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Application and key as they name a stream: as one path, since of `rtmp://host/a/b/c` some clients make the application
/// `a/b`, some `a`, and some all of it, with a key that is empty. What stands behind a `?` is for access control.
pub(super) fn name(app: &[u8], key: &[u8]) -> Name {
    let public = |text: &[u8]| text.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec();
    let path = [public(app), public(key)].join(&b'/');
    path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join(&b'/')
}

/// A stream, as a log may show it: without queries, which may hold secrets, and without control characters.
pub(super) fn shown(name: &Name) -> String {
    String::from_utf8_lossy(name).chars().filter(|char| !char.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_name_wherever_its_path_is_parted() {
        // librtmp and FFmpeg; OBS with no stream key, and gortmplib (MediaMTX); a lone key; a slash too many.
        for (app, key) in [("a/b", "c"), ("a", "b/c"), ("a/b/c", ""), ("", "a/b/c"), ("/a/b/", "/c/")] {
            assert_eq!(name(app.as_bytes(), key.as_bytes()), b"a/b/c");
        }
        for (app, key) in [("a?x=/y", "b?z"), ("a/b?user=u&pass=p", ""), ("a", "b")] {
            assert_eq!(shown(&name(app.as_bytes(), key.as_bytes())), "a/b");
        }
        assert_ne!(name(b"a", b"b"), name(b"ab", b""));
        assert_eq!(shown(&name(b"", b"")), "");
    }
}
