//! The notices of a summary.

/// The most notices that are listed.
const MAX: usize = 50;

/// What was not as expected. The first notices are listed, and the others are only counted.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    /// The list. If some are not in it, its last line has their number.
    pub listed: Vec<String>,
    /// The number of notices that are not listed.
    more: usize,
}

impl Notices {
    /// Adds a notice to the list, or only counts it.
    pub fn add(&mut self, notice: String) {
        if self.listed.len() < MAX {
            return self.listed.push(notice);
        }
        self.more += 1;
        self.listed.truncate(MAX);
        self.listed.push(format!("{} more are not listed", self.more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_notices_are_counted() {
        let mut notices = Notices::default();
        (0..MAX + 1000).for_each(|number| notices.add(number.to_string()));
        assert_eq!(notices.listed.len(), MAX + 1);
        assert_eq!(notices.listed[MAX - 1..], ["49", "1000 more are not listed"]);
    }
}
