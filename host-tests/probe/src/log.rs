//! Loggers that discard everything.

#[cfg(feature = "defmt")]
mod with_defmt {
    #[defmt::global_logger]
    struct Nothing;

    // SAFETY: it has no state.
    unsafe impl defmt::Logger for Nothing {
        fn acquire() {}
        unsafe fn flush() {}
        unsafe fn release() {}
        unsafe fn write(bytes: &[u8]) {
            core::hint::black_box(bytes);
        }
    }
}

/// Formats log messages, so that the code for it is linked, and discards them.
#[cfg(feature = "log")]
struct Nothing;

#[cfg(feature = "log")]
impl log::Log for Nothing {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        struct Away;
        impl core::fmt::Write for Away {
            fn write_str(&mut self, text: &str) -> core::fmt::Result {
                core::hint::black_box(text);
                Ok(())
            }
        }
        let _ = core::fmt::write(&mut Away, *record.args());
    }

    fn flush(&self) {}
}

/// Installs the logger for `log`.
pub fn set_logger() {
    #[cfg(feature = "log")]
    if log::set_logger(&Nothing).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}
