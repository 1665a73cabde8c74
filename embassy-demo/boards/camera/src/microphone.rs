//! A stand-in for a microphone.

use embassy_time::{Duration, Instant, Timer};

/// Silence, in A-law.
static SILENCE: [u8; 320] = [0xD5; 320];

/// The time that one piece of sound takes.
const SOUND_INTERVAL: Duration = Duration::from_millis(40);

/// Delivers 40 ms of sound at a time: 8,000 samples a second in A-law.
pub struct Microphone {
    /// When the next piece is complete.
    next: Instant,
}

impl Microphone {
    /// A microphone that begins now.
    pub fn new() -> Self {
        Self { next: Instant::now() }
    }

    /// Waits for the next piece of sound. Returns it, and when it began, in microseconds since the device was started. The
    /// future can be dropped.
    pub async fn sound(&mut self) -> (u64, &'static [u8]) {
        let begin = self.next;
        Timer::at(begin + SOUND_INTERVAL).await;
        self.next = begin + SOUND_INTERVAL;
        (begin.as_micros(), &SILENCE)
    }
}

impl Default for Microphone {
    fn default() -> Self {
        Self::new()
    }
}
