calls! {
    tunnel:
    drive {
        tunnel::TunnelClient::<&str>::close,
        tunnel::TunnelClient::<&str>::connected,
        tunnel::TunnelClient::<&str>::connection_ended,
        tunnel::TunnelClient::<&str>::handle_timeout,
        tunnel::TunnelClient::<&str>::send_early,
        tunnel::TunnelClient::<&str>::is_closed,
        tunnel::TunnelClient::<&str>::is_open,
        tunnel::TunnelClient::<&str>::is_under_way,
        tunnel::TunnelClient::<&str>::needs_connection,
        tunnel::TunnelClient::<&str>::new,
        tunnel::TunnelClient::<&str>::poll_timeout,
        tunnel::TunnelClient::<&str>::wants_transmit,
        tunnel::TunnelConfig::new,
        tunnel::TunnelConnection::answer_early,
        tunnel::TunnelConnection::close_after_answer,
        tunnel::TunnelConnection::ended::<8>,
        tunnel::TunnelConnection::handle_timeout::<8>,
        tunnel::TunnelConnection::is_over,
        tunnel::TunnelConnection::new,
        tunnel::TunnelConnection::next_event::<8>,
        tunnel::TunnelConnection::open::<8>,
        tunnel::TunnelConnection::poll_timeout::<8>,
        tunnel::TunnelConnection::refuse,
        tunnel::TunnelConnection::tunnel::<8>,
        tunnel::TunnelConnection::wants_transmit,
        tunnel::Protocol::of,
        tunnel::TunnelId::index,
        tunnel::Tunnels::<8>::close,
        tunnel::Tunnels::<8>::handle_timeout,
        tunnel::Tunnels::<8>::is_empty,
        tunnel::Tunnels::<8>::len,
        tunnel::Tunnels::<8>::new,
        tunnel::Tunnels::<8>::poll_timeout,
        <tunnel::TunnelConfig as Default>::default,
        <tunnel::TunnelError as From<tunnel::HeadError>>::from,
        <tunnel::TunnelRefusal as From<tunnel::HeadError>>::from,
    }
    drive_as {
        tunnel::TunnelClient::poll_transmit => |client: &mut tunnel::TunnelClient, now, waiting, out: &mut [u8], fill: Fill| {
            client.poll_transmit(now, out, waiting, fill)
        },
        tunnel::TunnelClient::receive => |client: &mut tunnel::TunnelClient, now, input: &mut &'static [u8], take: Take| {
            client.receive(now, input, take)
        },
        tunnel::TunnelClient::receive_in_place => |client: &mut tunnel::TunnelClient, now, input: &mut [u8], fill: Fill| {
            client.receive_in_place(now, input, fill)
        },
        tunnel::TunnelConnection::poll_answer => |connection: &mut tunnel::TunnelConnection,
                                            tunnels: &mut tunnel::Tunnels<8>,
                                            now,
                                            wants,
                                            out: &mut [u8],
                                            fill: Fill| {
            connection.poll_answer(now, out, tunnels, wants, fill)
        },
        tunnel::TunnelConnection::poll_transmit => |connection: &mut tunnel::TunnelConnection,
                                              tunnels: &mut tunnel::Tunnels<8>,
                                              now,
                                              waiting,
                                              out: &mut [u8],
                                              fill: Fill| {
            connection.poll_transmit(now, out, tunnels, waiting, fill)
        },
        tunnel::TunnelConnection::receive => |connection: &mut tunnel::TunnelConnection,
                                        now,
                                        input: &mut &'static [u8],
                                        take: Take| {
            connection.receive(now, input, take)
        },
        tunnel::TunnelConnection::receive_in_place => |connection: &mut tunnel::TunnelConnection,
                                                 now,
                                                 input: &mut [u8],
                                                 fill: Fill| {
            connection.receive_in_place(now, input, fill)
        },
    }
    display {
        tunnel::TunnelError,
        tunnel::HeadError,
        tunnel::TunnelRefusal,
    }
    format {
        tunnel::TunnelClient,
        tunnel::TunnelConfig,
        tunnel::TunnelConnection,
        tunnel::TunnelError,
        tunnel::TunnelEvent,
        tunnel::HeadError,
        tunnel::Protocol,
        tunnel::TunnelRefusal,
        tunnel::TunnelId,
        tunnel::Tunnels<'_, 8>,
    }
}
