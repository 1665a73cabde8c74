calls! {
    message:
    drive {
        message::Kind::is_command,
        message::Kind::is_control,
        message::Kind::is_data,
        message::Kind::is_media,
        message::Kind::name,
        message::Timestamp::plus,
        message::Timestamp::since,
    }
    drive_as {}
    display {
        message::Kind,
        message::StreamId,
    }
    format {
        message::Header,
        message::Kind,
        message::StreamId,
        message::Timestamp,
    }
}
