//! Logging: through defmt with the feature `defmt`, otherwise through `log` with the feature `log`, otherwise none.

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

/// Implements `defmt::Format` for a type with contents that do not belong in a log: payload, text of the peer, keys, or
/// whole buffers.
///
/// With `Debug` as the first argument, implements `Debug` in the same way.
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
