//! Logging: defmt where that feature is on, else `log`, else nothing.

macro_rules! info {
    ($format:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        ::defmt::info!($format $(, $argument)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        ::log::info!($format $(, $argument)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $( let _ = &$argument; )* }
    }};
}

/// `defmt::Format` of a type that holds more than belongs in a log: payload, texts of the peer's, keys, or whole buffers.
macro_rules! brief {
    ([$($generics:tt)*] $type:ty, $this:pat => $format:literal $(, $argument:expr)* $(,)?) => {
        #[cfg(feature = "defmt")]
        impl<$($generics)*> ::defmt::Format for $type {
            fn format(&self, f: ::defmt::Formatter<'_>) {
                let $this = self;
                ::defmt::write!(f, $format $(, $argument)*);
            }
        }
    };
}

pub(crate) use {brief, info};
