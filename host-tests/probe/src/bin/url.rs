//! Parses a URL.
#![no_std]
#![no_main]

use embedded_rtmp::url::Url;
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    if let Ok(url) = Url::parse(board.url) {
        (board.show)(url.scheme() as u32, url.host().as_bytes());
        (board.show)(url.port().map_or(0, u32::from), url.app().as_bytes());
        for part in url.key_parts().into_iter().chain(url.tc_url_parts()) {
            (board.show)(0, part.as_bytes());
        }
    }
}
