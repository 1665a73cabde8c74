calls! {
    command:
    drive {
        command::Code::of,
        command::Command::arguments,
        command::Command::number_argument,
        command::Command::parse,
        command::Command::string_argument,
        command::Command::transaction_id,
        command::Command::wants_answer,
        command::ConnectOptions::emit,
        command::ConnectRequest::parse,
        command::DataMessage::parse,
        command::PlayRequest::emit,
        command::PlayRequest::new,
        command::PlayRequest::parse,
        command::Status::error,
        command::Status::is_error,
        command::Status::known,
        command::Status::ok,
        command::Status::parse,
        command::Status::redirect,
        command::SwitchRequest::bit_rate,
        command::SwitchRequest::emit,
        command::SwitchRequest::parse,
        command::put,
        command::put_status,
        command::set_data_frame,
        <command::Arguments as Iterator>::next,
        <command::PlayRequest as Default>::default,
        <command::Status as PartialEq>::eq,
    }
    drive_as {}
    display {}
    format {
        command::Arguments,
        command::Code,
        command::Command,
        command::ConnectOptions,
        command::ConnectRequest,
        command::DataMessage,
        command::PlayRequest,
        command::Start,
        command::Status,
        command::SwitchRequest,
    }
}
