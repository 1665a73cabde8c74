calls! {
    #[cfg(feature = "admin")]
    admin:
    drive {
        admin::AdminAccess::<16>::check,
        admin::AdminAccess::<16>::new,
        admin::AdminConnection::<512>::accept_login,
        admin::AdminConnection::<512>::answer,
        admin::AdminConnection::<512>::handle_timeout,
        admin::AdminConnection::<512>::is_over,
        admin::AdminConnection::<512>::new,
        admin::AdminConnection::<512>::next_event,
        admin::AdminConnection::<512>::poll_timeout,
        admin::AdminConnection::<512>::poll_transmit,
        admin::AdminConnection::<512>::reject,
        admin::AdminConnection::<512>::wants_transmit,
        admin::AdminSession::<256, 2>::accept_login,
        admin::AdminSession::<256, 2>::answer,
        admin::AdminSession::<256, 2>::handle_timeout,
        admin::AdminSession::<256, 2>::into_buffers,
        admin::AdminSession::<256, 2>::is_answering,
        admin::AdminSession::<256, 2>::is_closed,
        admin::AdminSession::<256, 2>::new,
        admin::AdminSession::<256, 2>::next_event,
        admin::AdminSession::<256, 2>::poll_timeout,
        admin::AdminSession::<256, 2>::poll_transmit,
        admin::AdminSession::<256, 2>::reject,
        admin::AdminSession::<256, 2>::wants_input,
        admin::AdminSession::<256, 2>::wants_transmit,
    }
    drive_as {
        admin::AdminData::stats => |data: &dyn admin::AdminData| data.stats(),
        admin::AdminData::stream => |data: &dyn admin::AdminData, index| data.stream(index).is_some(),
        admin::AdminData::subscriber => |data: &dyn admin::AdminData, stream, index| data.subscriber(stream, index),
    }
    display {
        admin::AdminFailure,
    }
    format {
        admin::AdminAccess<'_, 16>,
        admin::AdminCall,
        admin::AdminClient,
        admin::AdminConnection<512>,
        admin::AdminCredentials,
        admin::AdminEvent,
        admin::AdminFailure,
        admin::AdminMethod,
        admin::AdminPublisher,
        admin::AdminSession<'_, 256, 2>,
        admin::AdminStats,
        admin::AdminStream,
    }
}
calls! {
    #[cfg(all(feature = "admin", feature = "rtmpe"))]
    admin_keys:
    drive {
        admin::AdminSession::<256, 2>::agree,
        admin::AdminSession::<256, 2>::awaits_keys,
    }
    drive_as {}
    display {
        admin::AdminFailure,
    }
    format {}
}
