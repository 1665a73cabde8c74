//! The image without the core: what every other image does around it.
#![no_std]
#![no_main]

use probe::Board;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    while !(board.is_over)() {
        let received = (board.receive)(&mut board.input);
        (board.show)(received as u32, &board.input);
        if let Some((kind, at, payload)) = (board.frame)() {
            (board.show)(u32::from(kind).wrapping_add(at), payload);
        }
        if (board.now)() > embedded_rtmp::time::Instant::from_micros(0) {
            (board.send)(&board.output);
        }
    }
}
