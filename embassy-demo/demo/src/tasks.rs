//! The tasks of both devices, on one thread.
//!
//! Each has a waker of its own, as in an embassy executor. In one future they would keep each other awake: every touch of
//! a socket wakes its network stack's runner.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;

use futures_util::stream::{FuturesUnordered, StreamExt};

/// A task.
pub type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

/// Runs `main` to its end, and `others` at the same time.
pub async fn run<'t, T: 't>(main: impl Future<Output = T> + 't, others: impl IntoIterator<Item = Task<'t>>) -> T {
    let outcome = std::rc::Rc::new(Cell::new(None));
    let slot = outcome.clone();
    let main: Task<'t> = Box::pin(async move { slot.set(Some(main.await)) });
    let mut tasks: FuturesUnordered<Task<'t>> = others.into_iter().chain([main]).collect();
    loop {
        let ended = tasks.next().await;
        if let Some(value) = outcome.take() {
            return value;
        }
        assert!(ended.is_some(), "the main task is among them");
    }
}
