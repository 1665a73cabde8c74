//! Generates code for a function with unknown arguments.

/// A function to generate code for. `Arguments` is the tuple of its arguments.
pub trait Drive<Arguments>: Copy {
    /// The address of code that calls the function with arguments that the optimizer does not know, and returns its result.
    fn address(self) -> usize;
}

macro_rules! impl_drive {
    ($($argument:ident)*) => {
        impl<F, Answer, $($argument),*> Drive<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answer + Copy,
        {
            fn address(self) -> usize {
                #[allow(non_snake_case)]
                fn call<F: Fn($($argument),*) -> Answer, Answer, $($argument),*>(f: F, $($argument: $argument),*) -> Answer {
                    f($($argument),*)
                }
                call::<F, Answer, $($argument),*> as fn(F, $($argument),*) -> Answer as usize
            }
        }
    };
}

impl_drive!();
impl_drive!(A);
impl_drive!(A B);
impl_drive!(A B C);
impl_drive!(A B C D);
impl_drive!(A B C D E);
impl_drive!(A B C D E G);
impl_drive!(A B C D E G H);
