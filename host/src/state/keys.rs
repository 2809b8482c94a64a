//! Where each thing is in the store: keys that sort as they are scanned.
//!
//! Every key begins with its partition (two bytes, big-endian) and a tag. Knows nothing of the values.

use super::ids::{Offset, Partition, PersonId, RoomId, Sequence};

/// What a key is about. The numbers are the format on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The partition's own position: one entry.
    Position = 1,
    /// Room name to room.
    RoomByName = 2,
    /// Room to its state.
    Room = 3,
    /// A person's name to its state.
    Name = 4,
    /// Person to name.
    Person = 5,
    /// Lane to its last number.
    Lane = 6,
    /// Lanes by time.
    LaneAge = 7,
    /// Client id to what became of it.
    Retry = 8,
    /// Client ids by time.
    RetryAge = 9,
    /// Who may not speak where.
    Mute = 10,
    /// Timers by plugin and key.
    Timer = 11,
    /// Timers by the time they are due.
    TimerDue = 12,
    /// What plugins remember.
    Plugin = 13,
    /// What plugins remember, by the time it expires.
    PluginExpiry = 14,
    /// How much each plugin remembers in each room.
    PluginSize = 15,
    /// A person's last private number.
    PrivateHead = 16,
    /// Mutes by the time they end.
    MuteExpiry = 17,
    /// Entries of imports whose last piece is missing.
    Staged = 18,
    /// Imports whose last piece is missing.
    StagedImport = 19,
    /// A room's events. From here on: history, which is no part of a checkpoint.
    Event = 32,
    /// A person's private events.
    Private = 33,
    /// What each outcome put into the history.
    Kept = 34,
    /// Messages at which plugins failed.
    DeadLetter = 35,
}

/// The first tag that is history and not state.
pub const HISTORY: u8 = Tag::Event as u8;

/// A key under construction.
pub struct Key(Vec<u8>);

impl Key {
    /// The beginning of all keys of this kind.
    #[must_use]
    pub fn of(partition: Partition, tag: Tag) -> Self {
        let mut key = Vec::with_capacity(32);
        key.extend_from_slice(&partition.0.to_be_bytes());
        key.push(tag as u8);
        Self(key)
    }

    /// Appends a number; numbers sort by size.
    #[must_use]
    pub fn number(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// Appends text that is followed by more; it must not hold a zero byte (names and ids never do).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    /// Appends bytes: the last part.
    #[must_use]
    pub fn rest(mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        self.0
    }

    /// The key.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        self.0
    }
}

/// The first key after all that begin with `prefix`.
#[must_use]
pub fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; prefix.len() + 1]
}

/// The number that begins after `skip` bytes of `key`; 0 where it is too short.
#[must_use]
pub fn number_at(key: &[u8], skip: usize) -> u64 {
    key.get(skip..skip + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

/// Length of partition and tag.
pub const HEAD: usize = 3;

/// A room's event.
#[must_use]
pub fn event(room: RoomId, sequence: Sequence) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Event)
        .number(room.0)
        .number(sequence.0)
        .end()
}

/// A person's private event in a partition.
#[must_use]
pub fn private(partition: Partition, person: PersonId, number: Sequence) -> Vec<u8> {
    Key::of(partition, Tag::Private)
        .number(person.0)
        .number(number.0)
        .end()
}

/// What the outcome at `offset` put into the history.
#[must_use]
pub fn kept(partition: Partition, offset: Offset) -> Vec<u8> {
    Key::of(partition, Tag::Kept).number(offset.0).end()
}

/// A dead letter.
#[must_use]
pub fn dead_letter(partition: Partition, number: u64) -> Vec<u8> {
    Key::of(partition, Tag::DeadLetter).number(number).end()
}

/// A lane.
#[must_use]
pub fn lane(partition: Partition, lane: &[u8]) -> Vec<u8> {
    Key::of(partition, Tag::Lane).rest(lane)
}

/// A client id of a person.
#[must_use]
pub fn retry(partition: Partition, person: PersonId, client_id: &str) -> Vec<u8> {
    Key::of(partition, Tag::Retry)
        .number(person.0)
        .rest(client_id.as_bytes())
}

/// A room by name.
#[must_use]
pub fn room_by_name(partition: Partition, name: &str) -> Vec<u8> {
    Key::of(partition, Tag::RoomByName).rest(name.as_bytes())
}

/// A room's state.
#[must_use]
pub fn room(room: RoomId) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Room)
        .number(room.0)
        .end()
}

/// A name's state, by the name's key (see [`super::name::PersonName::key`]).
#[must_use]
pub fn name(partition: Partition, key: &str) -> Vec<u8> {
    Key::of(partition, Tag::Name).rest(key.as_bytes())
}

/// A person's name.
#[must_use]
pub fn person(person: PersonId) -> Vec<u8> {
    Key::of(Partition::that_made(person.0), Tag::Person)
        .number(person.0)
        .end()
}

/// A mute.
#[must_use]
pub fn mute(room: RoomId, person: PersonId) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Mute)
        .number(room.0)
        .number(person.0)
        .end()
}

/// A timer.
#[must_use]
pub fn timer(room: RoomId, plugin: &str, key: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Timer)
        .number(room.0)
        .text(plugin)
        .rest(key.as_bytes())
}

/// A timer by its due time.
#[must_use]
pub fn timer_due(due_ms: u64, room: RoomId, plugin: &str, key: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::TimerDue)
        .number(due_ms)
        .number(room.0)
        .text(plugin)
        .rest(key.as_bytes())
}

/// An entry of a plugin's memory.
#[must_use]
pub fn plugin(room: RoomId, plugin: &str, key: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Plugin)
        .number(room.0)
        .text(plugin)
        .rest(key.as_bytes())
}

/// How much a plugin remembers in a room.
#[must_use]
pub fn plugin_size(room: RoomId, plugin: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::PluginSize)
        .number(room.0)
        .rest(plugin.as_bytes())
}

/// All that a plugin remembers in a room begins with this.
#[must_use]
pub fn plugin_entries(room: RoomId, name: &str) -> Vec<u8> {
    plugin(room, name, "")
}

/// All timers of a plugin in a room begin with this.
#[must_use]
pub fn timers_of(room: RoomId, plugin: &str) -> Vec<u8> {
    timer(room, plugin, "")
}

/// An entry of an import whose last piece is missing; without a key, what all of them begin with.
#[must_use]
pub fn staged(room: RoomId, plugin: &str, key: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::Staged)
        .number(room.0)
        .text(plugin)
        .rest(key.as_bytes())
}

/// An import whose last piece is missing.
#[must_use]
pub fn staged_import(room: RoomId, plugin: &str) -> Vec<u8> {
    Key::of(Partition::that_made(room.0), Tag::StagedImport)
        .number(room.0)
        .rest(plugin.as_bytes())
}

/// The plugin and the last part of a key that has room, plugin and more after its tag.
#[must_use]
pub fn plugin_and_rest(key: &[u8]) -> (String, String) {
    let tail = key.get(HEAD + 8..).unwrap_or_default();
    let (plugin, rest) = match tail.iter().position(|b| *b == 0) {
        Some(end) => tail.split_at(end),
        None => (tail, Default::default()),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(plugin), text(rest.get(1..).unwrap_or_default()))
}

/// A person's last private number in a partition.
#[must_use]
pub fn private_head(partition: Partition, person: PersonId) -> Vec<u8> {
    Key::of(partition, Tag::PrivateHead).number(person.0).end()
}

/// An entry of an index by time: `tag`, the time, then the key it is about (without partition and tag).
#[must_use]
pub fn by_time(partition: Partition, tag: Tag, time_ms: u64, key: &[u8]) -> Vec<u8> {
    Key::of(partition, tag)
        .number(time_ms)
        .rest(key.get(HEAD..).unwrap_or_default())
}

/// What an entry made by [`by_time`] is about, as a key of `tag`.
#[must_use]
pub fn from_by_time(partition: Partition, tag: Tag, entry: &[u8]) -> Vec<u8> {
    Key::of(partition, tag).rest(entry.get(HEAD + 8..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_sort_by_their_number() {
        let room = RoomId(Partition(2).id(5));
        assert!(event(room, Sequence(255)) < event(room, Sequence(256)));
        assert!(event(room, Sequence(u64::MAX)) < event(room.next(), Sequence(0)));
    }

    #[test]
    fn after_is_the_first_key_without_the_prefix() {
        assert_eq!(after(&[1, 2]), vec![1, 3]);
        assert_eq!(after(&[1, 255]), vec![2]);
        assert!(after(&[255, 255]) > vec![255, 255, 255].split_off(1));
    }

    #[test]
    fn an_index_leads_back_to_its_key() {
        let partition = Partition(3);
        let key = retry(partition, PersonId(9), "id");
        let entry = by_time(partition, Tag::RetryAge, 77, &key);
        assert_eq!(number_at(&entry, HEAD), 77);
        assert_eq!(from_by_time(partition, Tag::Retry, &entry), key);
    }
}
