//! The messages of one kind, or of one track of video: which send may write, and which message is open.
//!
//! ```text
//!            claim()                the first byte              the last byte
//!   free ──────────────► waiting ──────────────────► open ───────────────────► free
//!     ▲                     │ end()                    │ end()
//!     ├─────────────────────┘                          ▼
//!     └──────────────────────────────────────────── orphan
//!                  the runner has written the rest as zeros
//! ```
//!
//! A ticket number identifies the owner of a slot. A new ticket ends the ownership. That happens when the owner's future was
//! dropped, the send took too long, the stream was stopped, or the connection was lost. The runner completes a half sent
//! message without an owner, and the next send of the kind waits for that.

use embedded_rtmp::chunk::ChunkStreamId;
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MessageKind;
use embedded_rtmp::time::Instant;

use super::DropReason;
use crate::wakers::TaskWaker;

pub(super) const AUDIO: usize = 0;
/// The second track of video, which uses the chunk stream of the first one. Only one of the two has an open message.
#[cfg(feature = "thumbnail")]
pub(super) const THUMBNAIL: usize = 1;
pub(super) const VIDEO: usize = AUDIO + 1 + cfg!(feature = "thumbnail") as usize;
/// The metadata, which has no owner.
pub(super) const DATA: usize = VIDEO + 1;
pub(super) const SLOTS: usize = DATA + 1;

pub(super) const fn kind(slot: usize) -> MessageKind {
    match slot {
        AUDIO => MessageKind::AUDIO,
        DATA => MessageKind::DATA,
        _ => MessageKind::VIDEO,
    }
}

/// The writer of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The owner of the slot. Its number is 1, so that `None` of an `Option<Open>` is 0.
    Owner = 1,
    /// The runner, because the message is the header of the kind.
    Header,
    /// The runner, which writes zeros: the owner of the message is gone, or the message is a header that is not valid any
    /// longer.
    Nobody,
}

/// A message that was begun.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) csid: ChunkStreamId,
    pub(super) by: By,
}

pub(super) struct Slot {
    pub(super) open: Option<Open>,
    pub(super) is_owned: bool,
    /// The owner waits for its turn or for room.
    pub(super) is_waiting: bool,
    /// Video waited for a keyframe before the owner came.
    pub(super) awaited_keyframe: bool,
    pub(super) class: FrameClass,
    /// Why the last send was ended, if it was.
    pub(super) ended: DropReason,
    /// The number of the send that owns the slot, or will own it next.
    pub(super) ticket: u32,
    /// When the owner's time limit expires.
    pub(super) deadline: Instant,
    pub(super) waker: TaskWaker,
}

impl Slot {
    pub(super) const NONE: Self = Self {
        open: None,
        is_owned: false,
        is_waiting: false,
        awaited_keyframe: false,
        class: FrameClass::Configuration,
        ended: DropReason::Offline,
        ticket: 0,
        deadline: Instant::from_micros(0),
        waker: TaskWaker::NONE,
    };

    /// Returns whether `by` writes the open message.
    pub(super) fn is_open_by(&self, by: By) -> bool {
        self.open.is_some_and(|open| open.by == by)
    }
}
