//! Times of a calendar, in UTC.

use core::num::NonZeroU32;

use crate::text::Decimal;

const THOUSAND: NonZeroU32 = NonZeroU32::new(1_000).expect("is not 0");
const SIXTY: NonZeroU32 = NonZeroU32::new(60).expect("is not 0");
const HOURS: NonZeroU32 = NonZeroU32::new(24).expect("is not 0");

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A date of the Gregorian calendar, and the time of the day.
pub(super) struct Date {
    days: u32,
    year: u32,
    /// From 1 on.
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

impl Date {
    /// The date of a time in milliseconds since 1970.
    pub(super) fn of(millis: u64) -> Self {
        let (seconds, _) = divide(millis, THOUSAND);
        let (minutes, second) = divide(seconds, SIXTY);
        let (hours, minute) = divide(minutes, SIXTY);
        let (days, hour) = divide(hours, HOURS);
        let days = u32::try_from(days).unwrap_or(u32::MAX >> 1).min(u32::MAX >> 1);
        // Years begin on March 1, so that the leap day is the last day of a year. Eras have 400 years, and begin in year 0.
        let shifted = days.wrapping_add(719_468);
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let leap_days = (day / 1_460).wrapping_sub(day / 36_524).wrapping_add(day / 146_096);
        let year = day.wrapping_sub(leap_days) / 365;
        let year_begins = year.wrapping_mul(365).wrapping_add(year / 4).wrapping_sub(year / 100);
        let day = day.wrapping_sub(year_begins);
        let month = day.wrapping_mul(5).wrapping_add(2) / 153;
        let day = day.wrapping_sub(month.wrapping_mul(153).wrapping_add(2) / 5).wrapping_add(1);
        let month = if month < 10 { month.wrapping_add(3) } else { month.wrapping_sub(9) };
        let year = year.wrapping_add(era.wrapping_mul(400)).wrapping_add(u32::from(month <= 2));
        Self { days, year, month, day, hour, minute, second }
    }

    /// Writes the date as `"2007-09-23T18:16:40Z"` (RFC 3339), with the quotation marks.
    pub(super) fn put_iso(&self, put: &mut dyn FnMut(&[u8])) {
        put(b"\"");
        put(Decimal::new(self.year).as_bytes());
        for (before, number) in [(b"-", self.month), (b"-", self.day), (b"T", self.hour), (b":", self.minute)] {
            put(before);
            two_digits(number, put);
        }
        put(b":");
        two_digits(self.second, put);
        put(b"Z\"");
    }

    /// Writes the date as `Sun 23 Sep 2007 06:16:40 PM UTC`, as Adobe's server on Linux does.
    pub(super) fn put_long(&self, put: &mut dyn FnMut(&[u8])) {
        let weekday = WEEKDAYS.get((self.days % 7) as usize);
        let month = MONTHS.get(self.month.wrapping_sub(1) as usize);
        put(weekday.map_or(b"", |name| name.as_slice()));
        put(b" ");
        two_digits(self.day, put);
        put(b" ");
        put(month.map_or(b"", |name| name.as_slice()));
        put(b" ");
        put(Decimal::new(self.year).as_bytes());
        put(b" ");
        two_digits((self.hour.wrapping_add(11) % 12).wrapping_add(1), put);
        for number in [self.minute, self.second] {
            put(b":");
            two_digits(number, put);
        }
        put(if self.hour < 12 { b" AM UTC" } else { b" PM UTC" });
    }
}

fn two_digits(number: u32, put: &mut dyn FnMut(&[u8])) {
    let (tens, ones) = (number / TEN, number % TEN);
    put(Decimal::new(tens).as_bytes());
    put(Decimal::new(ones).as_bytes());
}

pub(super) const TEN: NonZeroU32 = NonZeroU32::new(10).expect("is not 0");

/// Divides by a number of at most 16 bits. Returns the quotient and the remainder. It works with digits of 16 bits, because
/// a division of 64 bits needs a library function.
pub(super) fn divide(number: u64, by: NonZeroU32) -> (u64, u32) {
    let (mut quotient, mut rest) = (0_u64, 0_u32);
    for digit in number.to_be_bytes().as_chunks::<2>().0 {
        let part = rest << 16 | u32::from(u16::from_be_bytes(*digit));
        quotient = quotient << 16 | u64::from(part / by);
        rest = part % by;
    }
    (quotient, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn shown(date: &Date) -> (String, String) {
        let mut texts = [String::new(), String::new()];
        let [iso, long] = &mut texts;
        date.put_iso(&mut |text| iso.push_str(core::str::from_utf8(text).unwrap()));
        date.put_long(&mut |text| long.push_str(core::str::from_utf8(text).unwrap()));
        let [iso, long] = texts;
        (iso, long)
    }

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        // From `date -u -d @…`.
        for (seconds, iso, long) in [
            (0_u64, "\"1970-01-01T00:00:00Z\"", "Thu 01 Jan 1970 12:00:00 AM UTC"),
            (951_782_399, "\"2000-02-28T23:59:59Z\"", "Mon 28 Feb 2000 11:59:59 PM UTC"),
            (951_868_799, "\"2000-02-29T23:59:59Z\"", "Tue 29 Feb 2000 11:59:59 PM UTC"),
            (1_190_571_400, "\"2007-09-23T18:16:40Z\"", "Sun 23 Sep 2007 06:16:40 PM UTC"),
            (1_735_689_599, "\"2024-12-31T23:59:59Z\"", "Tue 31 Dec 2024 11:59:59 PM UTC"),
            (4_107_542_400, "\"2100-03-01T00:00:00Z\"", "Mon 01 Mar 2100 12:00:00 AM UTC"),
            (1_796_000_400, "\"2026-11-30T01:00:00Z\"", "Mon 30 Nov 2026 01:00:00 AM UTC"),
        ] {
            assert_eq!(shown(&Date::of(seconds * 1_000 + 999)), (iso.into(), long.into()));
        }
        // Far in the future it is some date.
        shown(&Date::of(u64::MAX));
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut last = (1969, 12, 31);
        for day in 0..100_000_u64 {
            let Date { year, month, day, .. } = Date::of(day * 86_400_000);
            let is_next = (year, month, day) == (last.0, last.1, last.2 + 1)
                || day == 1
                    && last.2 >= 28
                    && ((year, month) == (last.0, last.1 + 1) || (year, month, last.1) == (last.0 + 1, 1, 12));
            assert!(is_next, "{year}-{month}-{day} after {last:?}");
            last = (year, month, day);
        }
    }
}
