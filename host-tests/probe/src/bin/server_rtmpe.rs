//! A server that accepts one publisher, with or without RTMPE.
#![no_std]
#![no_main]

use embedded_rtmp::crypt::{AgreementLimit, Cipher, KeyPair};
use embedded_rtmp::handshake::Versions;
use embedded_rtmp::session::{Server, SessionBuffers};
use probe::{Board, Wish};

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let buffers = SessionBuffers { scratch: &mut board.scratch, control: &mut board.control };
    board.server.handshake = Versions::Rtmpe;
    let mut server = Server::<8>::new(buffers, board.server, &board.entropy).ok()?;
    let (mut cipher, mut limit): (Option<Cipher>, _) = (None, AgreementLimit::DEFAULT);
    while !server.is_closed() {
        let received = (board.receive)(&mut board.input);
        let input = board.input.get_mut(..received)?;
        let lent = match &mut cipher {
            Some(cipher) => cipher.decipher(input),
            None => input,
        };
        let mut input = &*lent;
        loop {
            let Some(event) = server.next_event((board.now)(), &mut input).ok()? else { break };
            Wish::of(&event, board.app, board.key, board.show).answer(&mut server)?;
        }
        let consumed = lent.len().checked_sub(input.len())?;
        if let Some(cipher) = &mut cipher {
            cipher.consume(consumed);
        }
        if server.awaits_keys() && limit.try_begin((board.now)()).is_ok() {
            cipher = server.agree((board.now)(), &KeyPair::new(&board.secret));
        }
        let written = server.poll_transmit((board.now)(), &mut board.output);
        let output = board.output.get_mut(..written)?;
        if let Some(cipher) = &mut cipher {
            cipher.encipher(output);
        }
        (board.send)(output);
        if server.poll_timeout().is_some_and(|deadline| (board.now)() >= deadline) {
            server.handle_timeout((board.now)()).ok()?;
        }
    }
    Some(())
}
