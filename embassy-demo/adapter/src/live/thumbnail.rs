//! The second track of video: a thumbnail beside the main picture.
//!
//! Both tracks use the chunk stream of video, so only one of them has an open message. Between two messages, the main track
//! goes first. If messages are late, pictures of the thumbnail are dropped before those of the main track.

use core::cell::RefCell;
use core::future::poll_fn;

use super::message::{Content, Message, Picture};
use super::shared::Shared;
use super::slot::{THUMBNAIL, VIDEO};
use super::tracks::Tracks;
use super::{Live, Sending, second};
use crate::fmt::impl_format;
use crate::transport::{Net, Transport};

impl<T: Transport> Shared<T> {
    /// Sets the second track of video.
    fn set_thumbnail(&mut self, tracks: Tracks) {
        self.second.tracks = tracks.numbered(second::NUMBER);
        self.announce(self.headers_due | 1 << THUMBNAIL);
    }

    /// Returns how late a message of a slot is for its [`DropPolicy`], after its own lateness was measured. A thumbnail is as
    /// late as the main track if that is later.
    pub(super) fn late_for(&self, me: usize, now: u32) -> u32 {
        let [_, video] = &self.lateness;
        if me == THUMBNAIL { self.late.max(video.decayed(now)) } else { self.late }
    }

    /// Returns whether a message of the other track is open on the chunk stream of a slot.
    pub(super) fn is_other_track_open(&self, me: usize) -> bool {
        let [_, thumbnail, video, _] = &self.slots;
        match me {
            VIDEO => thumbnail.open.is_some(),
            THUMBNAIL => video.open.is_some(),
            _ => false,
        }
    }

    /// Returns whether a slot is that of the thumbnail, which has not begun, and the main picture waits.
    pub(super) fn waits_for_main_track(&self, me: usize) -> bool {
        let [_, thumbnail, video, _] = &self.slots;
        me == THUMBNAIL && thumbnail.open.is_none() && video.is_waiting && self.headers_due == 0
    }
}

/// Sends the pictures of a second track of video, such as a small version of the main picture for lists of streams:
/// [`Live::thumbnail`]. It is track 1 of Enhanced RTMP; the main picture is track 0.
///
/// ```
/// use embedded_rtmp_embassy::{Live, Picture, SendOutcome, Tracks};
///
/// async fn thumbnails(live: Live, mut encoder: impl AsyncFnMut() -> (u64, bool, &'static [u8])) {
///     let thumbnail = live.thumbnail();
///     thumbnail.set_tracks(Tracks::h264_in_band());
///     loop {
///         let (at, is_key, slice) = encoder().await;
///         let outcome = thumbnail.send(Picture::new(at, at, is_key, &[slice])).await;
///         if outcome != SendOutcome::Sent {
///             // The next keyframe may be sent.
///         }
///     }
/// }
/// ```
pub struct Thumbnail<T: 'static = Net<'static>> {
    shared: &'static RefCell<Shared<T>>,
}

impl_format!(Debug, [T: Transport] Thumbnail<T>, _ => "Thumbnail");

impl<T> Clone for Thumbnail<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared }
    }
}

impl<T: Transport> Live<T> {
    /// The handle for the pictures of a second track of video.
    pub fn thumbnail(&self) -> Thumbnail<T> {
        Thumbnail { shared: self.shared }
    }
}

impl<T: Transport> Thumbnail<T> {
    /// Sets the codec of the second track and its parameter sets. Only the video of `tracks` is used; its codec may differ
    /// from that of the main picture. Before the first call, pictures are dropped with
    /// [`NoTrack`](crate::DropReason::NoTrack). If the stream is live, the new sequence header is sent at once. It is sent
    /// again on every connection. [`Tracks::NONE`] ends the track.
    ///
    /// Announce [`Extensions::MULTITRACK`](embedded_rtmp::command::Extensions::MULTITRACK) in
    /// [`ClientOptions::capabilities`](crate::ClientOptions::capabilities).
    pub fn set_tracks(&self, tracks: Tracks) {
        self.shared.borrow_mut().set_thumbnail(tracks);
    }

    /// Sends a picture. Its times are on the clock that the main pictures also use.
    ///
    /// It begins when no main picture is being sent or waits, and the next main picture waits for its end. It is dropped if
    /// it or the last main picture is later than the limit for disposable pictures
    /// ([`Config::drop_limits`](crate::Config::drop_limits)). The pictures of this track up to its next keyframe are then
    /// dropped, too. Otherwise this is the same as [`Video::send`](crate::Video::send).
    ///
    /// If the server refuses Enhanced RTMP, the picture is dropped with
    /// [`LegacyServer`](crate::DropReason::LegacyServer), and the main track continues.
    pub fn send<'f>(&self, picture: Picture<'f>) -> Sending<'f, T> {
        Sending { shared: self.shared, slot: THUMBNAIL, ticket: None, message: Message::new(Content::Picture(picture)) }
    }

    /// The same as [`Live::keyframe_wanted`], for this track.
    pub async fn keyframe_wanted(&self) {
        poll_fn(|cx| self.shared.borrow_mut().poll_keyframe_wanted(THUMBNAIL, cx)).await;
    }
}
