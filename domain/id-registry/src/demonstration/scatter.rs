//! Deterministic numbers: a keyed stream and a keyed permutation.
//!
//! Neither is meant to be secret; both only have to spread well and to give
//! the same result everywhere.

/// A stream of well-spread 64-bit values for one seed and one subject
/// (Steele, Lea, Flood: "SplitMix", OOPSLA 2014).
#[derive(Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream of the subject number `subject` in the world of `seed`,
    /// for one `purpose`. Streams of different purposes are independent, so a
    /// new field can be added without changing the values of the others.
    pub(crate) fn new(seed: u64, purpose: u64, subject: u64) -> Self {
        let mut stream = Self(mix(seed ^ mix(purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        stream.0 = mix(stream.0 ^ subject.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        stream
    }

    /// The next value.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A value from 0 up to but without `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u32::try_from(high).unwrap_or(0)
    }

    /// A value from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: i32, last: i32) -> i32 {
        let width = last.abs_diff(first).saturating_add(1);
        first.saturating_add(i32::try_from(self.below(width)).unwrap_or(0))
    }

    /// True in `percent` cases of a hundred.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of the given values.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let bound = u32::try_from(values.len()).unwrap_or(u32::MAX);
        values.get(self.below(bound) as usize).copied()
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Half of the bits of the permutation's domain: 2^18 is the smallest even
/// power of two that holds 100,000 values.
const HALF_BITS: u32 = 9;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
const ROUNDS: u32 = 6;

/// A permutation of `0..100_000` (a Feistel network over 18 bits that is
/// walked until it lands inside): how five digits are dealt to residents so
/// that every pair of digits appears once and neighbours do not look alike.
#[derive(Clone, Copy)]
pub(crate) struct Permutation {
    seed: u64,
    size: u32,
}

impl Permutation {
    pub(crate) const fn new(seed: u64, size: u32) -> Self {
        Self { seed, size }
    }

    /// Where `value` goes. `value` must be below the size.
    pub(crate) fn apply(self, value: u32) -> u32 {
        let mut current = value;
        loop {
            current = self.network(current, 0..ROUNDS);
            if current < self.size {
                return current;
            }
        }
    }

    /// The value that goes to `value`.
    pub(crate) fn invert(self, value: u32) -> u32 {
        let swap = |v: u32| ((v & HALF_MASK) << HALF_BITS) | (v >> HALF_BITS);
        let mut current = value;
        loop {
            current = swap(self.network(swap(current), (0..ROUNDS).rev()));
            if current < self.size {
                return current;
            }
        }
    }

    fn network(self, value: u32, rounds: impl Iterator<Item = u32>) -> u32 {
        let (mut left, mut right) = (value >> HALF_BITS, value & HALF_MASK);
        for round in rounds {
            let key = u64::from(right) | (u64::from(round) << 32);
            let scattered = mix(self.seed ^ mix(key));
            let step = u32::try_from(scattered & u64::from(HALF_MASK)).unwrap_or(0);
            (left, right) = (right, left ^ step);
        }
        (left << HALF_BITS) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutation_is_one_and_its_inverse_undoes_it() {
        let size = 100_000;
        let permutation = Permutation::new(7, size);
        let mut seen = vec![false; size as usize];
        for value in 0..size {
            let image = permutation.apply(value);
            assert!(!std::mem::replace(&mut seen[image as usize], true));
            assert_eq!(permutation.invert(image), value);
        }
    }

    #[test]
    fn values_stay_below_the_bound() {
        let mut stream = Stream::new(1, 2, 3);
        assert!((0..1000).all(|_| stream.below(7) < 7));
        assert!((0..1000).all(|_| (5..=9).contains(&stream.between(5, 9))));
        assert_eq!(stream.below(0), 0);
    }
}
