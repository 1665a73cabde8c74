calls! {
    pressure:
    drive {
        pressure::DropPolicy::admit,
        pressure::DropPolicy::await_keyframe,
        pressure::DropPolicy::awaits_keyframe,
        pressure::DropPolicy::dropped,
        pressure::DropPolicy::new,
        pressure::Goodput::bytes_per_second,
        pressure::Goodput::delay_millis,
        pressure::Goodput::in_flight,
        pressure::Goodput::new,
        pressure::Goodput::update,
        <pressure::DropLimits as Default>::default,
    }
    drive_as {}
    display {}
    format {
        pressure::DropLimits,
        pressure::DropPolicy,
        pressure::Dropped,
        pressure::Goodput,
    }
}
