//! A publisher over RTMPE: connect, publish, metadata, media, acknowledgements, pings, timeouts, close.
#![no_std]
#![no_main]

use embedded_rtmp::crypt::{Cipher, KeyPair};
use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use probe::{Board, ask, metadata};

probe::entry!(run);

fn run(board: &mut Board) -> Option<()> {
    let buffers = SessionBuffers { scratch: &mut board.scratch, control: &mut board.control };
    let Ok(mut client) = Client::<8>::new(buffers, ClientConfig::new(), &board.entropy) else { return None };
    let pair = KeyPair::new(&board.secret);
    let mut cipher: Option<Cipher> = None;
    client.encrypt(&pair).ok()?;
    ask(&mut client, board.url, board.app, board.key)?;

    let mut stream: Option<StreamId> = None;
    while !client.is_closed() {
        // Received bytes.
        let received = (board.receive)(&mut board.input);
        let input = board.input.get_mut(..received)?;
        let lent = match &mut cipher {
            Some(cipher) => cipher.decipher(input),
            None => input,
        };
        let mut input = &*lent;
        while let Some(event) = client.next_event((board.now)(), &mut input).ok()? {
            match event {
                ClientEvent::Publishing(id) => stream = Some(id),
                ClientEvent::Refused(stage, status) => (board.show)(stage as u32, status.code.as_bytes()),
                _ => {}
            }
        }
        let consumed = lent.len().checked_sub(input.len())?;
        if let Some(cipher) = &mut cipher {
            cipher.consume(consumed);
        }
        if client.awaits_keys() {
            cipher = client.agree((board.now)(), &pair);
        }
        let written = client.poll_transmit((board.now)(), &mut board.output);
        send(board.send, &mut cipher, board.output.get_mut(..written)?);
        // Bytes to send.
        if let Some(id) = stream
            && let Some((kind, at, frame)) = (board.frame)()
        {
            let mut rest = frame;
            if kind == MessageKind::DATA.0 {
                rest = metadata(&mut board.metadata)?;
            }
            let csid = client.begin_media(MessageKind(kind), id, Timestamp(at), rest.len() as u32).ok()?;
            while client.media_left(csid).is_some() {
                let progress = client.poll_media(csid, rest, &mut board.output);
                rest = rest.get(progress.taken..)?;
                send(board.send, &mut cipher, board.output.get_mut(..progress.written)?);
            }
        }
        if (board.is_over)() {
            client.close().ok()?;
        }
        client.handle_timeout((board.now)()).ok()?;
    }
    Some(())
}

fn send(send: fn(&[u8]), cipher: &mut Option<Cipher>, bytes: &mut [u8]) {
    if let Some(cipher) = cipher {
        cipher.encipher(bytes);
    }
    send(bytes);
}
