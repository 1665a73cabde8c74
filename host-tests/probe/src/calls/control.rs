calls! {
    control:
    drive {
        control::Control::emit,
        control::Control::parse,
    }
    drive_as {}
    display {}
    format {
        control::Control,
        control::UserControlEvent,
        control::Limit,
    }
}
