//! A table whose entries keep their index, and the queue of indices that are due.

use std::collections::VecDeque;

/// A table. An index is used again after its entry was removed.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Reserves an index, at which [`Self::put`] places an entry.
    pub(super) fn reserve(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        })
    }

    pub(super) fn put(&mut self, index: usize, entry: T) {
        self.entries[index] = Some(entry);
    }

    /// Takes an entry out. Its index stays reserved until [`Self::release`].
    pub(super) fn take(&mut self, index: usize) -> Option<T> {
        self.entries[index].take()
    }

    /// Gives back the index of an entry that was taken out.
    pub(super) fn release(&mut self, index: usize) {
        self.free.push(index);
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.entries.get_mut(index)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.as_ref()?)))
    }
}

/// Indices in the order in which they became due, each at most once.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: VecDeque<usize>,
    is_queued: Vec<bool>,
}

impl Ready {
    pub(super) fn push(&mut self, index: usize) {
        if self.is_queued.len() <= index {
            self.is_queued.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.is_queued[index], true) {
            self.queue.push_back(index);
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let index = self.queue.pop_front()?;
        self.is_queued[index] = false;
        Some(index)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
