calls! {
    time:
    drive {
        time::Instant::as_micros,
        time::Instant::as_millis,
        time::Instant::from_micros,
        time::Instant::from_millis,
        time::Instant::saturating_duration_since,
        <time::Instant as Add<core::time::Duration>>::add,
    }
    drive_as {}
    display {}
    format {
        time::Instant,
    }
}
