calls! {
    message:
    drive {
        message::MessageKind::is_command,
        message::MessageKind::is_control,
        message::MessageKind::is_data,
        message::MessageKind::is_media,
        message::MessageKind::name,
        message::Timestamp::plus,
        message::Timestamp::since,
    }
    drive_as {}
    display {
        message::MessageKind,
        message::StreamId,
    }
    format {
        message::MessageHeader,
        message::MessageKind,
        message::StreamId,
        message::Timestamp,
    }
}
