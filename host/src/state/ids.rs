//! Numbers that must not be mixed up.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after it.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Where a record is in one log of one partition. Rises; may have holes.
    Offset
}
number! {
    /// Counts the claims of a partition that counted.
    Generation
}
number! {
    /// Counts the outcomes of one claim, densely from 1.
    Step
}
number! {
    /// Counts a room's events, or a person's private events in a partition, densely from 1.
    Sequence
}
number! {
    /// A room, for ever. The upper 16 bits are its partition.
    RoomId
}
number! {
    /// A person: a name for as long as it was held by one token. The upper 16 bits are the name's partition.
    PersonId
}

/// One of the chat's partitions. How many there are is fixed when the logs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

impl Partition {
    /// Which of `count` partitions a room or a name is in: FNV-1a (64 bit) of its key, modulo the count. Part of the
    /// log's format, as whoever appends must agree.
    #[must_use]
    pub fn of(key: &str, count: u16) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in key.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // FNV's low bits are weak for short keys; fold the high ones in.
        let folded = hash ^ (hash >> 32);
        Self(u16::try_from(folded % u64::from(count.max(1))).unwrap_or(0))
    }

    /// The `n`th id given out in this partition (rooms and people alike).
    #[must_use]
    pub fn id(self, n: u64) -> u64 {
        (u64::from(self.0) << 48) | (n & 0xffff_ffff_ffff)
    }

    /// The partition that gave this id out.
    #[must_use]
    pub fn that_made(id: u64) -> Self {
        Self(u16::try_from(id >> 48).unwrap_or(0))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_its_partition() {
        assert_eq!(Partition::that_made(Partition(513).id(77)), Partition(513));
    }

    #[test]
    fn keys_spread_over_the_partitions() {
        let mut counts = [0u32; 8];
        for i in 0..8000 {
            counts[usize::from(Partition::of(&format!("room-{i}"), 8).0)] += 1;
        }
        assert!(
            counts.iter().all(|&n| (800..1200).contains(&n)),
            "{counts:?}"
        );
    }
}
