//! Every public call of the core. It is linked to prove that there is no panic path, and is not measured.
#![no_std]
#![no_main]

use core::fmt::Display;
use core::ops::Add;

use embedded_rtmp::*;
use probe::{Board, Drive};

/// Bytes that a session sends or consumes.
type Fill = fn(&mut [u8]) -> usize;
type Take = fn(&mut &'static [u8]) -> usize;

macro_rules! calls {
    (
        $(#[$feature:meta])?
        $module:ident:
        drive { $($(#[$attribute:meta])* $call:expr,)* }
        drive_as { $($name:expr => $closure:expr,)* }
        display { $($display:ty,)* }
        format { $($format:ty,)* }
    ) => {
        $(#[$feature])?
        fn $module(keep: fn(usize)) {
            $($(#[$attribute])* keep(Drive::address($call));)*
            $(keep(Drive::address($closure));)*
            $(keep(Drive::address(<$display as Display>::fmt));)*
            // Derived formats are only called from logs.
            $(#[cfg(feature = "defmt")] keep(Drive::address(|value: &$format| defmt::info!("{}", value)));)*
        }
    };
}

macro_rules! lists {
    ($($(#[$feature:meta])? $module:ident)*) => {
        const LISTS: &[fn(fn(usize))] = &[$($(#[$feature])? $module),*];
    };
}

include!("../calls.rs");

#[unsafe(no_mangle)]
fn _start(board: &mut Board) {
    probe::perhaps_panic(board);
    probe::set_logger();
    LISTS.iter().for_each(|drive| drive(board.keep));
}
