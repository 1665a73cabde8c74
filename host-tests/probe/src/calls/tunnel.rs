calls! {
    tunnel:
    drive {
        tunnel::Client::close,
        tunnel::Client::connected,
        tunnel::Client::connection_ended,
        tunnel::Client::handle_timeout,
        tunnel::Client::hurry,
        tunnel::Client::is_closed,
        tunnel::Client::is_open,
        tunnel::Client::is_under_way,
        tunnel::Client::needs_connection,
        tunnel::Client::new,
        tunnel::Client::poll_timeout,
        tunnel::Client::wants_transmit,
        tunnel::Config::new,
        tunnel::Connection::answer_early,
        tunnel::Connection::close_after_answer,
        tunnel::Connection::ended::<8>,
        tunnel::Connection::handle_timeout::<8>,
        tunnel::Connection::is_over,
        tunnel::Connection::new,
        tunnel::Connection::next_event::<8>,
        tunnel::Connection::open::<8>,
        tunnel::Connection::poll_timeout::<8>,
        tunnel::Connection::refuse,
        tunnel::Connection::tunnel::<8>,
        tunnel::Connection::wants_transmit,
        tunnel::Protocol::of,
        tunnel::TunnelId::index,
        tunnel::Tunnels::<8>::close,
        tunnel::Tunnels::<8>::handle_timeout,
        tunnel::Tunnels::<8>::is_empty,
        tunnel::Tunnels::<8>::len,
        tunnel::Tunnels::<8>::new,
        tunnel::Tunnels::<8>::poll_timeout,
        <tunnel::Config as Default>::default,
        <tunnel::Error as From<tunnel::HeadError>>::from,
        <tunnel::Refusal as From<tunnel::HeadError>>::from,
    }
    drive_as {
        tunnel::Client::poll_transmit => |client: &mut tunnel::Client, now, waiting, out: &mut [u8], fill: Fill| {
            client.poll_transmit(now, waiting, out, fill)
        },
        tunnel::Client::receive => |client: &mut tunnel::Client, now, input: &mut &'static [u8], take: Take| {
            client.receive(now, input, take)
        },
        tunnel::Connection::poll_answer => |connection: &mut tunnel::Connection,
                                            tunnels: &mut tunnel::Tunnels<8>,
                                            now,
                                            wants,
                                            out: &mut [u8],
                                            fill: Fill| {
            connection.poll_answer(tunnels, now, wants, out, fill)
        },
        tunnel::Connection::poll_transmit => |connection: &mut tunnel::Connection,
                                              tunnels: &mut tunnel::Tunnels<8>,
                                              now,
                                              waiting,
                                              out: &mut [u8],
                                              fill: Fill| {
            connection.poll_transmit(tunnels, now, waiting, out, fill)
        },
        tunnel::Connection::receive => |connection: &mut tunnel::Connection,
                                        now,
                                        input: &mut &'static [u8],
                                        take: Take| {
            connection.receive(now, input, take)
        },
    }
    display {
        tunnel::Error,
        tunnel::HeadError,
        tunnel::Refusal,
    }
    format {
        tunnel::Client,
        tunnel::Config,
        tunnel::Connection,
        tunnel::Error,
        tunnel::Event,
        tunnel::HeadError,
        tunnel::Protocol,
        tunnel::Refusal,
        tunnel::TunnelId,
        tunnel::Tunnels<'_, 8>,
    }
}
