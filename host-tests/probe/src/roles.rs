//! Code that the images of a client, and those of a server, share for every transport.

use embedded_rtmp::command::{ConnectOptions, DataMessage, code};
use embedded_rtmp::media::metadata::Metadata;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::session::{Client, Server, ServerEvent};

/// The entry of an image, which runs a function with the board until it ends or fails.
#[macro_export]
macro_rules! entry {
    ($run:ident) => {
        #[unsafe(no_mangle)]
        fn _start(board: &mut $crate::Board) {
            let _ = $run(board);
        }
    };
}

/// Lets a client ask to publish `key` to the application `app` at `url`.
pub fn ask<'b>(client: &mut Client<'b>, url: &'b str, app: &'b str, key: &'b str) -> Option<()> {
    let tc_url = ["rtmp://", url, "/", app];
    let mut options = ConnectOptions::new(app, &tc_url);
    options.flash_ver = "FMLE/3.0";
    client.connect(&options).ok()?;
    client.publish(key).ok()
}

/// The metadata that is sent.
pub fn metadata(buffer: &mut [u8]) -> Option<&[u8]> {
    Metadata { width: Some(1280), ..Metadata::new() }.emit(buffer).ok()
}

/// The request of a client, and the decision about it.
pub enum Wish {
    Nothing,
    Connect(bool),
    Publish(StreamId, bool),
}

impl Wish {
    /// Reads an event. Media and the end of a stream are used.
    pub fn of(event: &ServerEvent<'_>, app: &str, key: &str, show: fn(u32, &[u8])) -> Self {
        match event {
            ServerEvent::Connect(request) => return Self::Connect(request.app.as_bytes() == app.as_bytes()),
            ServerEvent::Publish { stream, request } => {
                return Self::Publish(*stream, request.key.as_bytes() == key.as_bytes());
            }
            ServerEvent::Media(fragment) => {
                let name = match fragment.header.kind.is_data() {
                    true => DataMessage::parse(fragment.data).map(|message| message.name),
                    false => None,
                };
                show(fragment.header.timestamp.0, name.map_or(fragment.data, |name| name.as_bytes()));
            }
            ServerEvent::Unpublished(stream) => show(stream.0, &[]),
            _ => {}
        }
        Self::Nothing
    }

    /// Sends the decision.
    pub fn answer(self, server: &mut Server<'_>) -> Option<()> {
        match self {
            Self::Nothing => Some(()),
            Self::Connect(true) => server.accept_connect().ok(),
            Self::Connect(false) => server.reject_connect("no such application").ok(),
            Self::Publish(stream, true) => server.accept(stream).ok(),
            Self::Publish(stream, false) => server.reject(stream, code::PUBLISH_DENIED, "wrong key").ok(),
        }
    }
}
