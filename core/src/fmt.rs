//! One set of logging macros. They log through defmt or `log`, whichever feature is on; defmt has priority. Without
//! either they do nothing.

macro_rules! info {
    ($($argument:tt)*) => { $crate::fmt::emit!(info, $($argument)*) };
}

macro_rules! warning {
    ($($argument:tt)*) => { $crate::fmt::emit!(warn, $($argument)*) };
}

macro_rules! emit {
    ($level:ident, $format:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        ::defmt::$level!($format $(, $argument)*);
        #[cfg(all(feature = "log", not(feature = "defmt")))]
        ::log::$level!($format $(, $argument)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $( let _ = &$argument; )* }
    }};
}

/// `defmt::Format` of a type that contains data which must not be logged: payload, text of the peer, keys, or whole
/// buffers.
macro_rules! impl_format {
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

pub(crate) use {emit, impl_format, info, warning};
