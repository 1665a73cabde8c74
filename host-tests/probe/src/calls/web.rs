calls! {
    #[cfg(feature = "web")]
    web:
    drive {
        web::BitRate::add,
        web::BitRate::bits_per_second,
        web::BitRate::new,
        web::FirstRequest::<512>::new,
        web::FirstRequest::<512>::read,
        web::WebConfig::new,
        web::WebConnection::<512>::accept,
        web::WebConnection::<512>::end_stream,
        web::WebConnection::<512>::handle_timeout,
        web::WebConnection::<512>::is_over,
        web::WebConnection::<512>::is_status,
        web::WebConnection::<512>::is_streaming,
        web::WebConnection::<512>::new,
        web::WebConnection::<512>::next_event,
        web::WebConnection::<512>::poll_stream,
        web::WebConnection::<512>::poll_timeout,
        web::WebConnection::<512>::poll_transmit,
        web::WebConnection::<512>::reject,
        web::WebConnection::<512>::wants_transmit,
        web::WebCredentials::are,
        web::WebRequest::is_for_first,
        web::is_web,
        <web::WebConfig as Default>::default,
    }
    drive_as {
        web::WebConnection::poll_status => |connection: &mut web::WebConnection<512>,
                                            now,
                                            out: &mut [u8],
                                            status: &web::WebStatus<'_>,
                                            stream: fn(usize) -> Option<web::StreamStatus<'static>>| {
            connection.poll_status(now, out, status, &mut |index| stream(index))
        },
    }
    display {
        web::WebRefusal,
    }
    format {
        web::BitRate,
        web::FirstRequest<512>,
        web::StreamStatus,
        web::WebConfig,
        web::WebConnection<512>,
        web::WebCredentials,
        web::WebEvent,
        web::WebFormat,
        web::WebRefusal,
        web::WebRejection,
        web::WebRequest,
        web::WebResource,
        web::WebRoute,
        web::WebStatus,
    }
}
