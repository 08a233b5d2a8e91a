//! The few facts of a certificate that certificate hashes need: its dates, and whether its key is RSA (RFC 5280
//! section 4.1). Bounded by the certificate's length, and without a panic on any bytes.

/// The longest validity that the web allows to a certificate that is known by its hash, in seconds.
pub(super) const FOURTEEN_DAYS: u64 = 14 * 86_400;

/// What a certificate says. Times are seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    pub(super) is_rsa: bool,
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// 1.2.840.113549.1.1: PKCS #1, RSA's encryption and signatures, in DER.
const PKCS1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

/// Reads a certificate in DER. `None` where it cannot be read.
pub(super) fn read(certificate: &[u8]) -> Option<Facts> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (to_be_signed, _) = element(certificate, SEQUENCE)?;
    let after_version = element(to_be_signed, VERSION).map_or(to_be_signed, |(_, rest)| rest);
    let (_serial_number, rest) = element(after_version, INTEGER)?;
    let (_signature_algorithm, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, rest) = element(rest, SEQUENCE)?;
    let (_subject, rest) = element(rest, SEQUENCE)?;
    let (key, _) = element(rest, SEQUENCE)?;

    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    let (algorithm, _) = element(key, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    let not_after = not_after.max(not_before);
    Some(Facts { not_before, not_after, is_rsa: identifier.starts_with(&PKCS1) })
}

/// The contents of the element of this type that `der` begins with, and what follows it.
fn element(der: &[u8], ty: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    if first != ty {
        return None;
    }
    let (&len, rest) = rest.split_first()?;
    let (len, rest) = match len {
        0..=0x7f => (usize::from(len), rest),
        0x81 => rest.split_first().map(|(&len, rest)| (usize::from(len), rest))?,
        0x82 => rest.split_first_chunk().map(|(&len, rest)| (usize::from(u16::from_be_bytes(len)), rest))?,
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// A time (RFC 5280 section 4.1.2.5), and what follows it.
fn time(der: &[u8]) -> Option<(u64, &[u8])> {
    let ((text, rest), year_digits) = match element(der, UTC_TIME) {
        Some(found) => (found, 2),
        None => (element(der, GENERALIZED_TIME)?, 4),
    };
    let (year, fields) = text.split_at_checked(year_digits)?;
    let year = match (number(year)?, year_digits) {
        // Two digits stand for 1950 to 2049.
        (year, 2) if year >= 50 => 1900 + year,
        (year, 2) => 2000 + year,
        (year, _) => year,
    };
    let (digits, zone) = fields.split_at_checked(10)?;
    if zone != b"Z" {
        return None;
    }
    let mut pairs = digits.as_chunks::<2>().0.iter().map(|pair| number(pair));
    let mut next = || pairs.next().flatten();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let valid = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if !valid || second > 60 {
        return None;
    }
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second, rest))
}

/// A number in decimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number * 10 + u64::from(digit))
    })
}

/// The days from 1970 to a date of the Gregorian calendar, of 1970 or later. Years are counted from March, so that the
/// leap day is a year's last.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between March 1 of the year 0 and 1970.
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn dates_are_counted_as_on_every_calendar() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(1972, 3, 1), 790);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2026, 1, 1), 20_454);
    }

    #[test]
    fn times_of_both_kinds_are_read() {
        let utc = |text: &str| time(&[&[UTC_TIME, text.len() as u8], text.as_bytes()].concat()).map(|(time, _)| time);
        assert_eq!(utc("260101000000Z"), Some(1_767_225_600));
        assert_eq!(utc("700101000001Z"), Some(1));
        for wrong in ["260101000000", "26010100000Z", "261301000000Z", "2601010000xxZ", "500101000000Z", ""] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
        let text = "20500101000000Z";
        let der: Vec<u8> = [&[GENERALIZED_TIME, text.len() as u8], text.as_bytes()].concat();
        assert_eq!(time(&der), Some((2_524_608_000, &[][..])));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut certificate = include_bytes!("../../../tests/data/localhost.der").to_vec();
            for (at, byte) in changes {
                let at = at.index(certificate.len());
                certificate[at] = byte;
            }
            if let Some(facts) = read(&certificate) {
                prop_assert!(facts.not_before <= facts.not_after);
            }
        }
    }

    #[test]
    fn every_prefix_of_a_certificate_is_refused_without_a_panic() {
        let certificate = include_bytes!("../../../tests/data/localhost.der");
        let facts = read(certificate).unwrap();
        assert!(!facts.is_rsa && facts.not_before < 1_767_225_600 && facts.not_after > 1_767_225_600);
        for len in 0..certificate.len() {
            assert_eq!(read(&certificate[..len]), None);
        }
    }
}
