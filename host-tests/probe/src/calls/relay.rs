calls! {
    relay:
    drive {
        relay::Cursor::is_inside,
        relay::Cursor::new,
        relay::Cursor::select,
        relay::Cursor::sent,
        relay::Cursor::skipped,
        relay::Player::new,
        relay::Player::pump::<8>,
        relay::Player::stop,
        relay::Player::stream,
        relay::Ring::advance,
        relay::Ring::begin_message,
        relay::Ring::behind,
        relay::Ring::counts,
        relay::Ring::end,
        relay::Ring::finish_message,
        relay::Ring::messages,
        relay::Ring::new,
        relay::Ring::peek,
        relay::Ring::push,
        <relay::Cursor as Default>::default,
        <relay::PumpError as From<relay::Overtaken>>::from,
        <relay::PumpError as From<session::RequestError>>::from,
    }
    drive_as {}
    display {
        relay::Overtaken,
        relay::PumpError,
    }
    format {
        relay::StreamBuffers,
        relay::Counts,
        relay::Cursor,
        relay::Overtaken,
        relay::Piece,
        relay::Player,
        relay::PumpError,
        relay::Ring,
    }
}
