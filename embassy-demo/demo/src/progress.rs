//! The progress display of the demo: a bar on a terminal, otherwise lines.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use embassy_time::{Instant, Timer};
use embedded_rtmp_embassy::Traffic;
use indicatif::{ProgressBar, ProgressStyle};

/// The progress of the publisher. The publisher writes it, and the display reads it.
#[derive(Debug, Default)]
pub struct Progress {
    /// When the server accepted the stream.
    pub publishing: Cell<Option<Instant>>,
    /// When the first audio or video message was sent.
    pub first_media: Cell<Option<Instant>>,
    /// How much of the clip was sent.
    pub position: Cell<Duration>,
    /// The number of audio, video and data messages that were sent.
    pub messages: Cell<u32>,
    /// The bytes of the TCP connection. Set when it is closed.
    pub traffic: Cell<Traffic>,
}

impl Progress {
    /// Shows a run through a clip of this length, until it is dropped.
    pub async fn show(&self, length: Duration) {
        if std::io::stderr().is_terminal() { self.bar(length).await } else { self.lines(length).await }
    }

    async fn bar(&self, length: Duration) {
        let style = ProgressStyle::with_template("{msg:24} [{bar:40}] {percent:>3} %").expect("the template is right");
        let bar = ProgressBar::new(length.as_millis() as u64).with_style(style.progress_chars("=> "));
        bar.set_message("connecting");
        // The bar is removed when the future is dropped.
        let bar = Cleared(bar);
        loop {
            if self.publishing.get().is_some() {
                bar.0.set_message(format!("publishing, {} messages", self.messages.get()));
                bar.0.set_position(self.position.get().as_millis() as u64);
            }
            bar.0.tick();
            Timer::after_millis(50).await;
        }
    }

    async fn lines(&self, length: Duration) {
        eprintln!("connecting");
        while self.publishing.get().is_none() {
            Timer::after_millis(50).await;
        }
        loop {
            let (position, messages) = (self.position.get().as_secs_f32(), self.messages.get());
            eprintln!("publishing: {position:.1} s of {:.1} s, {messages} messages", length.as_secs_f32());
            Timer::after_secs(1).await;
        }
    }
}

struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
