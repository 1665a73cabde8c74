//! The first byte of a connection, which says which part of a server serves it.

use core::task::{Context, Poll};

use embedded_rtmp::time::Instant;

use crate::clock::wake_at;
use crate::server::gateway::{FirstLook, Route};
use crate::transport::{End, Tcp};

/// Waits for the first byte, which says whether the client is a viewer. It is not consumed.
pub(crate) fn poll_first_byte<'a>(
    look: &FirstLook,
    link: &mut Tcp<'_>,
    now: Instant,
    cx: &mut Context<'_>,
) -> Poll<Route<'a>> {
    let mut first = None;
    link.read(&mut |input| {
        first = input.first().copied();
        0
    });
    Poll::Ready(match first {
        Some(first) if embedded_rtmp::web::is_web(first) => Route::Web,
        Some(_) => Route::Session,
        None if !link.may_receive() => Route::Ended(link.end()),
        None if look.until.is_some_and(|until| until <= now) => Route::Ended(End::Lost),
        None => {
            link.wake_when_readable(cx);
            look.until.into_iter().for_each(|until| wake_at(until, cx));
            return Poll::Pending;
        }
    })
}
