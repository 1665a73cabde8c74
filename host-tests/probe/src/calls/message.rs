calls! {
    message:
    drive {
        message::FourCc::has_composition_time,
        message::FourCc::has_configuration,
        message::FourCc::name,
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
        message::FourCc,
        message::MessageKind,
        message::StreamId,
    }
    format {
        message::FourCc,
        message::MessageHeader,
        message::MessageKind,
        message::StreamId,
        message::Timestamp,
    }
}
