//! One set of logging macros: defmt where that feature is on, else `log`, else nothing.

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

pub(crate) use {emit, info, warning};
