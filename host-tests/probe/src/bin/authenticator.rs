//! Answers a server that asks for a user and a password.
#![no_std]
#![no_main]

use embedded_rtmp::amf0::Text;
use embedded_rtmp::auth::{Authenticator, Credentials};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    let mut authenticator = Authenticator::<384>::new();
    let credentials = Credentials { user: board.key, password: board.url };
    while !(board.is_over)() {
        let received = (board.receive)(&mut board.input);
        let description = Text::new(board.input.get(..received).unwrap_or_default());
        match authenticator.answer(description, board.app, &credentials, &[0; 8]) {
            Ok(true) => (board.show)(0, authenticator.app().unwrap_or_default().as_bytes()),
            Ok(false) => (board.show)(1, &[]),
            Err(error) => (board.show)(error as u32, &[]),
        }
    }
}
