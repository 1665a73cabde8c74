//! Logging: through defmt with that feature, otherwise through `log` with that one, otherwise nothing.

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
///
/// With `Debug` before it, the same for that.
macro_rules! impl_format {
    (Debug, [$($generics:tt)*] $type:ty, $this:pat => $format:literal $(, $argument:expr)* $(,)?) => {
        impl_format!([$($generics)*] $type, $this => $format $(, $argument)*);

        impl<$($generics)*> ::core::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let $this = self;
                ::core::write!(f, $format $(, $argument)*)
            }
        }
    };
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

pub(crate) use {impl_format, info};
