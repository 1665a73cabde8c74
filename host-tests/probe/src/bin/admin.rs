//! Administration over HTTP: a connection, whose calls are answered from a table of streams.
#![no_std]
#![no_main]

use embedded_rtmp::admin::{
    AdminAccess, AdminClient, AdminConnection, AdminData, AdminEvent, AdminFailure, AdminStats, AdminStream,
};
use probe::Board;

probe::entry!(run);

struct Streams(&'static str);

impl AdminData for Streams {
    fn stats(&self) -> AdminStats {
        AdminStats { uptime: Some(1), ..AdminStats::default() }
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        (index < self.0.len()).then_some(AdminStream { name: self.0.as_bytes(), publisher: None })
    }

    fn subscriber(&self, _stream: usize, _index: usize) -> Option<AdminClient> {
        None
    }
}

fn run(board: &mut Board) -> Option<()> {
    let mut connection = AdminConnection::<512>::new((board.now)());
    let mut access = AdminAccess::<16>::new(board.app, board.key);
    let data = Streams(board.url);
    while !(board.is_over)() {
        let now = (board.now)();
        let received = (board.receive)(&mut board.input);
        let mut input = board.input.get(..received)?;
        while let Some(event) = connection.next_event(now, &mut input) {
            match event {
                AdminEvent::Login(credentials) => match access.check(now, [0; 16], credentials) {
                    Ok(()) => connection.accept_login(),
                    Err(failure) => connection.reject(now, failure),
                },
                AdminEvent::Call(_) => connection.answer(now, Err(AdminFailure::Failed)),
                _ => {}
            }
        }
        let length = connection.poll_transmit(now, &mut board.output, &data);
        (board.send)(board.output.get(..length)?);
        if connection.poll_timeout().is_none_or(|deadline| now >= deadline) {
            connection.handle_timeout(now);
        }
    }
    Some(())
}
