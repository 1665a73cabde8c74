//! The events of a server's sessions, and their answers.

use embedded_rtmp::command::{Status, code};
use embedded_rtmp::session::{Server, ServerEvent};
use embedded_rtmp::time::Instant;

use crate::clock::clock;
use crate::error::Error;
use crate::server::handler::{Handler, Rejection, SessionId};
use crate::server::relay::{Application, Relay};

/// Handles the events in `input`, and answers requests.
pub(crate) fn take_in<const STREAMS: usize>(
    id: SessionId,
    session: &mut Server<'_, STREAMS>,
    application: &mut Application,
    relay: &mut Relay<'_, '_>,
    handler: &mut dyn Handler,
    now: Instant,
    input: &mut &[u8],
) -> Result<(), Error> {
    loop {
        // Matched in place: an event is large, and there is one for each piece of media.
        match session.next_event(now, input) {
            Ok(Some(ServerEvent::Media(fragment))) => {
                relay.push(now, id, &fragment);
                handler.media(id, &fragment);
            }
            Ok(Some(event)) => match event {
                ServerEvent::Connect(request) => match handler.connect(id, &request) {
                    Ok(()) => match application.set(request.app.as_bytes()) {
                        Err(why) if relay.is_on() => session.reject_connect(why.description())?,
                        _ => session.accept_connect()?,
                    },
                    Err(Rejection::Redirect(url)) => session.redirect_connect(url)?,
                    Err(denial) => session.reject_connect(denial.status("").1)?,
                },
                ServerEvent::Publish { stream, request } => {
                    let key = request.key;
                    let name = application.stream(key.as_bytes());
                    let answer = relay.may_publish(name).map_err(|why| Rejection::Because(why.description()));
                    match answer.and_then(|()| handler.publish(id, stream, key)) {
                        Ok(()) => {
                            relay.publish(now, id, stream, name);
                            session.accept(stream)?;
                        }
                        Err(denial) => {
                            let (code, description) = denial.status(code::PUBLISH_BAD_NAME);
                            session.reject(stream, code, description)?;
                        }
                    }
                }
                ServerEvent::Play { stream, request } => {
                    let answer = match relay.is_on() {
                        true => handler.play(id, stream, &request),
                        false => Err("There is nothing to play here.".into()),
                    };
                    let reset = request.reset;
                    let denial = match answer {
                        // It replaces the stream that is played, at once or when a message of that is complete.
                        Ok(()) => match relay.play(id, stream, application.stream(request.name.as_bytes())) {
                            Ok(played) => {
                                played.into_iter().for_each(|played| handler.played(id, played));
                                None
                            }
                            Err(why) => Some(Rejection::Because(why.description())),
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
                    relay.unpublish(now, id, Some(stream));
                    handler.unpublished(id, stream);
                }
                ServerEvent::Stopped(stream) => {
                    // If a message is unfinished, the player leaves when it is sent.
                    relay.stop(id, stream).into_iter().for_each(|played| handler.played(id, played));
                }
                ServerEvent::Pause { paused, .. } => {
                    relay.turn(id).into_iter().for_each(|turn| turn.player.pause(paused));
                }
                ServerEvent::Receive { kind, wanted, .. } => {
                    relay.turn(id).into_iter().for_each(|turn| turn.player.receive(kind, wanted));
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

/// A session is over.
pub(crate) fn over(id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, why: &Error) {
    relay.unpublish(clock(), id, None);
    relay.leave(id).into_iter().for_each(|played| handler.played(id, played));
    handler.closed(id, why);
}
