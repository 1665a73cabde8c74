//! Code for a function, whatever it is called with.

/// A function whose code is wanted. `Arguments` is a tuple of what it takes.
pub trait Drive<Arguments>: Copy {
    /// The address of code that calls the function with arguments nobody can foresee, and gives back what it answers.
    fn address(self) -> usize;
}

macro_rules! drive {
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

drive!();
drive!(A);
drive!(A B);
drive!(A B C);
drive!(A B C D);
drive!(A B C D E);
drive!(A B C D E G);
drive!(A B C D E G H);
