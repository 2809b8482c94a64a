//! Dead letters, as the operator asks for them: the newest of all partitions, or one.

use prost::Message as _;
use ulid::Ulid;

use super::Rooms;
use crate::proto::log::v1::DeadLetter;
use crate::state::ids::Partition;
use crate::state::keys::{self, Key, Tag};
use crate::state::store::{Direction, StoreError};

/// How a dead letter is named: `2-17`, or by its message's ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterId {
    /// The partition and its number there.
    Numbered(Partition, u64),
    /// The message's.
    Of(Ulid),
}

impl LetterId {
    /// What was typed, where it is one.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if let Some((partition, number)) = typed.split_once('-') {
            let partition = Partition(partition.parse().ok()?);
            return Some(Self::Numbered(partition, number.parse().ok()?));
        }
        Ulid::from_string(typed).ok().map(Self::Of)
    }
}

impl Rooms {
    /// How many dead letters there have ever been, kept or not.
    #[must_use]
    pub fn dead_letters_so_far(&self) -> u64 {
        (0..self.partitions())
            .filter_map(|partition| self.folded(Partition(partition)))
            .map(|folded| folded.borrow().dead_letters)
            .sum()
    }

    /// The newest dead letters, at most `limit`, newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<(Partition, DeadLetter)>, StoreError> {
        let mut found = Vec::new();
        for partition in (0..self.partitions()).map(Partition) {
            found.extend(self.dead_letters_of(partition, limit)?);
        }
        found.sort_by_key(|(partition, letter)| {
            std::cmp::Reverse((letter.time_ms, *partition, letter.number))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// One dead letter.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn dead_letter(&self, id: LetterId) -> Result<Option<(Partition, DeadLetter)>, StoreError> {
        match id {
            LetterId::Numbered(partition, number) => {
                let found = self.store().get(&keys::dead_letter(partition, number))?;
                found.map(|bytes| read(partition, bytes)).transpose()
            }
            LetterId::Of(id) => {
                let id = id.to_bytes();
                let letters = self.dead_letters(usize::MAX)?;
                Ok(letters
                    .into_iter()
                    .find(|(_, letter)| letter.id == id.as_slice()))
            }
        }
    }

    fn dead_letters_of(
        &self,
        partition: Partition,
        limit: usize,
    ) -> Result<Vec<(Partition, DeadLetter)>, StoreError> {
        let from = Key::of(partition, Tag::DeadLetter).end();
        let entries = self
            .store()
            .range(&from, &keys::after(&from), limit, Direction::Backward)?;
        entries
            .into_iter()
            .map(|(_, bytes)| read(partition, bytes))
            .collect()
    }
}

fn read(partition: Partition, bytes: bytes::Bytes) -> Result<(Partition, DeadLetter), StoreError> {
    DeadLetter::decode(bytes)
        .map(|letter| (partition, letter))
        .map_err(|error| StoreError(format!("a dead letter is broken: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_number_or_ulid() {
        let numbered = LetterId::Numbered(Partition(2), 17);
        assert_eq!(LetterId::parse("2-17"), Some(numbered));
        let id = Ulid::from_parts(1, 2);
        assert_eq!(LetterId::parse(&id.to_string()), Some(LetterId::Of(id)));
        for wrong in ["", "17", "2-", "-17", "2-x", "99999999-1", "nonsense"] {
            assert_eq!(LetterId::parse(wrong), None, "{wrong}");
        }
    }
}
