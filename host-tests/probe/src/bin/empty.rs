//! The image without the core: it sends its frames over plain TCP, and does the same work as the other images around the core.
#![no_std]
#![no_main]

use probe::Board;

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let deadline = (board.now)();
    while !(board.is_over)() {
        // Received bytes.
        let received = (board.receive)(&mut board.input);
        (board.show)(0, board.input.get(..received)?);
        // Bytes to send.
        if let Some((kind, at, frame)) = (board.frame)() {
            (board.show)(u32::from(kind).wrapping_add(at), &[]);
            let mut rest = frame;
            while !rest.is_empty() {
                let length = rest.len().min(board.output.len());
                let (part, behind) = rest.split_at_checked(length)?;
                board.output.get_mut(..length)?.copy_from_slice(part);
                (board.send)(board.output.get(..length)?);
                rest = behind;
            }
        }
        if (board.now)() >= deadline {
            (board.show)(1, board.key.as_bytes());
        }
    }
    Some(())
}
