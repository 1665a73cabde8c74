//! The same MD5 as in the image `authenticator`, with the same code around it.
#![no_std]
#![no_main]

use md5::{Digest, Md5};
use probe::Board;

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    while !(board.is_over)() {
        let received = (board.receive)(&mut board.input);
        let mut hash = Md5::new();
        hash.update(board.input.get(..received).unwrap_or_default());
        hash.update(board.key);
        (board.show)(0, &hash.finalize());
    }
}
