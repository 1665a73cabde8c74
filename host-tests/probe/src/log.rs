//! Loggers that look at nothing they are given, where the core logs.

#[cfg(feature = "defmt")]
mod with_defmt {
    #[defmt::global_logger]
    struct Nothing;

    // SAFETY: there is nothing that two of them could get at.
    unsafe impl defmt::Logger for Nothing {
        fn acquire() {}
        unsafe fn flush() {}
        unsafe fn release() {}
        unsafe fn write(bytes: &[u8]) {
            core::hint::black_box(bytes);
        }
    }
}

/// Formats what is logged, so that the code for it is there, and throws it away.
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

/// Has what is logged through `log` formatted.
pub fn set_logger() {
    #[cfg(feature = "log")]
    if log::set_logger(&Nothing).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}
