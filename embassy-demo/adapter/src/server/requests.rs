//! What a server's sessions bring, and what is answered.

use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{Server, ServerEvent};
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::server::handler::{Handler, Rejection, SessionId};
use crate::server::relay::Relay;

/// Hands on what happens in `input`, and answers requests.
pub(crate) fn take_in<const STREAMS: usize>(
    id: SessionId,
    session: &mut Server<'_, STREAMS>,
    relay: &mut Relay<'_, '_>,
    handler: &mut dyn Handler,
    now: Instant,
    input: &mut &[u8],
) -> Result<(), Error> {
    loop {
        // Matched where it lies: an event is large, and there is one for each piece of media.
        match session.next_event(now, input) {
            Ok(Some(ServerEvent::Media(fragment))) => {
                relay.push(id, &fragment);
                handler.media(id, &fragment);
            }
            Ok(Some(event)) => match event {
                ServerEvent::Connect(request) => match handler.connect(id, &request) {
                    Ok(()) => session.accept_connect()?,
                    Err(Rejection::Redirect(url)) => session.redirect_connect(url)?,
                    Err(denial) => session.reject_connect(denial.status("").1)?,
                },
                ServerEvent::Publish { stream, key } => {
                    let answer = relay.may_publish(key).map_err(Rejection::Because);
                    match answer.and_then(|()| handler.publish(id, stream, key)) {
                        Ok(()) => {
                            relay.publish(id, stream, key);
                            session.accept(stream)?;
                        }
                        Err(denial) => {
                            let (code, description) = denial.status(code::PUBLISH_BAD_NAME);
                            session.reject(stream, code, description)?;
                        }
                    }
                }
                ServerEvent::Play { stream, request } => {
                    let answer = match relay.channels.is_empty() {
                        true => Err("There is nothing to play here.".into()),
                        false => handler.play(id, stream, &request),
                    };
                    let reset = request.reset;
                    let denial = match answer {
                        // It takes the place of what is played, at once or when a message of that is whole.
                        Ok(()) => match relay.play(id, stream, request.name) {
                            Ok(played) => {
                                played.into_iter().for_each(|played| handler.played(id, played));
                                None
                            }
                            Err(why) => Some(why.into()),
                        },
                        Err(denial) => Some(denial),
                    };
                    match denial {
                        None => session.accept_play(stream, reset)?,
                        Some(denial) => {
                            let (code, description) = denial.status(code::PLAY_FAILED);
                            session.reject(stream, code, description)?;
                        }
                    }
                }
                ServerEvent::Unpublished(stream) => {
                    relay.unpublish(id, Some(stream));
                    handler.unpublished(id, stream);
                }
                ServerEvent::Stopped(stream) => {
                    relay.forget(id, stream);
                    let playing =
                        relay.player(id).map(|(playing, _)| playing).filter(|playing| playing.stream() == stream);
                    // Otherwise it goes when its message is out.
                    if playing.is_some_and(|playing| playing.stop()) {
                        left(id, relay, handler);
                    }
                }
                ServerEvent::Pause { paused, .. } => {
                    relay.player(id).into_iter().for_each(|(playing, _)| playing.pause(paused))
                }
                ServerEvent::Receive { kind, wanted, .. } => {
                    relay.player(id).into_iter().for_each(|(playing, _)| playing.receive(kind, wanted));
                }
                ServerEvent::Seek { stream, .. } => {
                    session.notify(stream, &Status::error(code::SEEK_FAILED, "The stream is live."))?;
                }
                ServerEvent::Switch { stream, .. } => {
                    session.notify(stream, &Status::error(code::PLAY_FAILED, "The stream is live."))?;
                }
                _ => {}
            },
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last message of what a player plays is out.
pub(crate) fn changed(id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
    if let Some(played) = relay.change(id) {
        handler.played(id, played);
    }
}

/// A player has gone.
pub(crate) fn left(id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
    if let Some(played) = relay.leave(id) {
        handler.played(id, played);
    }
}

/// A session is over.
pub(crate) fn over(id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, why: &Error) {
    relay.unpublish(id, None);
    left(id, relay, handler);
    handler.closed(id, why);
}
