//! The checker: holds what members saw, and what hosts keep, against the promises. Knows nothing of how either came to
//! be; what it can't explain by the log, it reports.

use std::collections::{BTreeMap, BTreeSet};

use chat_host::proto::log::v1::{PluginStateValue, RoomState, Verdict};
use chat_host::proto::v1::{self, PrivateEvent, RoomEvent, private_event, room_event};
use chat_host::state::ids::{Partition, PersonId, RoomId, Sequence};
use chat_host::state::keys::{self, HEAD, Key, Tag};
use chat_host::state::memory::MemoryStore;
use chat_host::state::store::{Direction, Store};
use prost::Message;

use crate::member::{Record, Seen};
use crate::replay::Replay;

/// After so many claims that decided nothing, what comes next is taken for what ends the owners.
const FRUITLESS_CLAIMS: u32 = 3;

/// What the checker is given.
pub struct Evidence {
    pub members: Vec<Record>,
    pub replay: Replay,
    /// Each host's store, after it has folded everything.
    pub stores: Vec<MemoryStore>,
    pub partitions: u16,
}

impl Evidence {
    /// Prints what is known of one client id.
    pub fn tell(&self, id: &str) {
        for outcome in &self.replay.outcomes {
            let is_cause = outcome.cause.as_ref().is_some_and(|c| c.client_id == id);
            if is_cause || outcome.timer.as_ref().is_some_and(|(_, key)| key == id) {
                println!(
                    "partition {}, at {}: {:?} {:?}, {:?} {:?}",
                    outcome.partition,
                    outcome.time_ms,
                    outcome.verdict,
                    outcome.reason,
                    outcome.cause,
                    outcome.timer
                );
            }
        }
        for member in &self.members {
            for seen in &member.seen {
                let text = format!("{seen:?}");
                if text.contains(id) {
                    println!("{}: {text}", member.name);
                }
            }
        }
    }
}

/// Everything that is wrong; nothing, if all promises were kept.
pub fn check(evidence: &Evidence) -> Vec<String> {
    let mut check = Check {
        evidence,
        wrong: evidence.replay.wrong.clone(),
    };
    for member in &evidence.members {
        check.sequences(member);
        check.fates(member);
        check.orders(member);
    }
    check.agreement();
    check.once();
    check.counters();
    check.timers();
    check.stores();
    check.plugin_state();
    check.wrong
}

struct Check<'a> {
    evidence: &'a Evidence,
    wrong: Vec<String>,
}

impl Check<'_> {
    fn says(&mut self, who: &str, what: String) {
        self.wrong.push(format!("{who}: {what}"));
    }

    /// Dense numbers across sessions, up to the newest, and every event as the log has it.
    fn sequences(&mut self, member: &Record) {
        let who = member.name.as_str();
        let mut rooms: BTreeMap<&str, u64> = BTreeMap::new();
        let mut private: BTreeMap<u32, u64> = BTreeMap::new();
        let person = member.person;
        for seen in &member.seen {
            match seen {
                Seen::Welcome(welcome, asked) => {
                    if welcome.person != person {
                        self.says(
                            who,
                            format!("was person {}, and is {person}", welcome.person),
                        );
                    }
                    for position in &welcome.private_positions {
                        let last = private.get(&position.partition).copied();
                        let wanted = asked.get(&position.partition).copied();
                        if last != wanted {
                            self.says(who, format!("asked for {wanted:?}, and saw {last:?}"));
                        }
                        if last.is_some_and(|last| {
                            position.number < last
                                || (position.number > last
                                    && self.keeps_private(
                                        position.partition,
                                        person,
                                        position.number,
                                    ))
                        }) {
                            let (number, partition) = (position.number, position.partition);
                            self.says(who, format!("private events of partition {partition} after {last:?} were asked for, and begin after {number}"));
                        }
                        private.insert(position.partition, position.number);
                    }
                }
                Seen::Joined(joined, asked) => {
                    let last = rooms.get(joined.room.as_str()).copied();
                    if last.is_some() && (*asked != last || joined.after != last.unwrap_or(0)) {
                        self.says(
                            who,
                            format!(
                                "{}: had {last:?}, asked for {asked:?}, and it begins after {}",
                                joined.room, joined.after
                            ),
                        );
                    }
                    rooms.insert(&joined.room, joined.after);
                }
                Seen::Forgotten(room, up_to) => {
                    if self.oldest(room) <= *up_to {
                        self.says(
                            who,
                            format!("{room}: {up_to} is said to be forgotten, and is kept"),
                        );
                    }
                    rooms.insert(room, *up_to);
                }
                Seen::Room(event) => {
                    let last = rooms.get(event.room.as_str()).copied().unwrap_or(0);
                    if event.sequence != last + 1 {
                        self.says(
                            who,
                            format!("{}: saw {} after {last}", event.room, event.sequence),
                        );
                    }
                    rooms.insert(&event.room, event.sequence);
                    let logged = self.evidence.replay.rooms.get(&event.room);
                    if logged.and_then(|room| room.get(&event.sequence)) != Some(event) {
                        self.says(
                            who,
                            format!(
                                "{}: event {} is not what the log has",
                                event.room, event.sequence
                            ),
                        );
                    }
                }
                Seen::Private(event) => {
                    let last = private.get(&event.partition).copied().unwrap_or(0);
                    if event.number != last + 1 {
                        let (number, partition) = (event.number, event.partition);
                        self.says(
                            who,
                            format!(
                                "partition {partition}: saw private event {number} after {last}"
                            ),
                        );
                    }
                    private.insert(event.partition, event.number);
                    if self.private(person, event.partition, event.number) != Some(event) {
                        self.says(
                            who,
                            format!("private event {} is not what the log has", event.number),
                        );
                    }
                }
                _ => {}
            }
        }
        for (room, last) in &rooms {
            let head = self.head(room);
            if head != *last {
                self.says(
                    who,
                    format!("{room}: saw up to {last}, and the newest is {head}"),
                );
            }
        }
        let logged = self.evidence.replay.private.get(&person);
        for (partition, events) in logged.into_iter().flatten() {
            let (head, last) = (events.len() as u64, private.get(partition).copied());
            if last != Some(head) {
                self.says(who, format!("partition {partition}: saw private events up to {last:?}, and the newest is {head}"));
            }
        }
    }

    fn head(&self, room: &str) -> u64 {
        self.evidence.replay.rooms.get(room).map_or(0, |events| {
            events.last_key_value().map_or(0, |(number, _)| *number)
        })
    }

    fn private(&self, person: u64, partition: u32, number: u64) -> Option<&PrivateEvent> {
        let of = self.evidence.replay.private.get(&person)?;
        of.get(&partition)?.get(&number)
    }

    fn keeps_private(&self, partition: u32, person: u64, number: u64) -> bool {
        let partition = Partition(u16::try_from(partition).unwrap());
        let key = keys::private(partition, PersonId(person), Sequence(number));
        self.evidence.replay.store.get(&key).unwrap().is_some()
    }

    fn room_state(&self, room: &str) -> Option<RoomState> {
        let store = &self.evidence.replay.store;
        let partition = Partition::of(room, self.evidence.partitions);
        let id = store.get(&keys::room_by_name(partition, room)).unwrap()?;
        let state = store
            .get(&keys::room(RoomId(keys::number_at(&id, 0))))
            .unwrap()?;
        RoomState::decode(state).ok()
    }

    fn oldest(&self, room: &str) -> u64 {
        self.room_state(room).map_or(1, |state| state.oldest)
    }

    /// All that was said is decided, once; what its sender was told is what became of it.
    fn fates(&mut self, member: &Record) {
        let who = member.name.as_str();
        if !member.is_done {
            self.says(who, format!("is not done: {:?}", member.open));
        }
        let person = member.person;
        let answered: BTreeSet<String> = self
            .evidence
            .replay
            .outcomes
            .iter()
            .filter_map(|outcome| {
                let id = outcome.cause.as_ref()?.id.as_ref().try_into().ok()?;
                Some(ulid::Ulid::from_bytes(id).to_string())
            })
            .collect();
        let mut verdicts: BTreeMap<&str, Vec<(Verdict, u64, &str)>> = BTreeMap::new();
        for outcome in &self.evidence.replay.outcomes {
            let Some(cause) = &outcome.cause else {
                continue;
            };
            let counts = matches!(
                outcome.verdict,
                Verdict::Delivered | Verdict::Withheld | Verdict::Discarded | Verdict::Handled
            );
            if counts && cause.person == person && !cause.client_id.is_empty() {
                verdicts.entry(&cause.client_id).or_default().push((
                    outcome.verdict,
                    outcome.sequence,
                    &outcome.reason,
                ));
            }
        }
        let (mut shown, mut withheld) = (BTreeMap::new(), BTreeMap::new());
        let mut acknowledged = BTreeSet::new();
        for seen in &member.seen {
            match seen {
                Seen::Room(event) if event.person == person => {
                    *shown.entry(event.client_id.as_str()).or_insert(0) += 1;
                }
                Seen::Private(event) => {
                    if let Some(private_event::Event::Withheld(event)) = &event.event {
                        *withheld.entry(event.client_id.as_str()).or_insert(0) += 1;
                        if event.reason.is_empty() {
                            self.says(
                                who,
                                format!("{} is withheld for no reason", event.client_id),
                            );
                        }
                    }
                }
                Seen::Acknowledged(id, ulid) => {
                    acknowledged.insert(id.as_str());
                    if !answered.contains(ulid) {
                        self.says(
                            who,
                            format!("{id} was acknowledged as {ulid}, which nothing answers"),
                        );
                    }
                }
                Seen::Decided(told) => self.told(who, told, verdicts.get(told.client_id.as_str())),
                _ => {}
            }
        }
        let forgot = member
            .seen
            .iter()
            .any(|seen| matches!(seen, Seen::Forgotten(..)));
        for said in &member.said {
            let id = said.client_id.as_str();
            let found = verdicts.get(id).map_or(&[][..], Vec::as_slice);
            let shown = shown.get(id).copied().unwrap_or(0);
            let withheld = withheld.get(id).copied().unwrap_or(0);
            let is_acknowledged = acknowledged.contains(id);
            let [(verdict, ..)] = found else {
                self.says(
                    who,
                    format!(
                        "{id} (acknowledged: {is_acknowledged}) was decided {} times: {found:?}",
                        found.len()
                    ),
                );
                continue;
            };
            let is_right = match verdict {
                Verdict::Delivered => shown == 1 && withheld == 0,
                Verdict::Withheld => shown == 0 && withheld == 1,
                Verdict::Discarded => shown == 0 && withheld == 0,
                _ => shown <= 1 && withheld == 0,
            };
            // What retention took before it was seen can't be seen.
            if !is_right && !forgot && !self.may_have_missed(member) {
                self.says(who, format!("{id} is {verdict:?}, and was seen {shown} times in the room and {withheld} times as withheld"));
            }
        }
    }

    /// Whether private events were forgotten before this member saw them.
    fn may_have_missed(&self, member: &Record) -> bool {
        member.seen.iter().any(|seen| match seen {
            Seen::Welcome(welcome, asked) => welcome.private_positions.iter().any(|position| {
                asked
                    .get(&position.partition)
                    .is_some_and(|asked| position.number > *asked)
            }),
            _ => false,
        })
    }

    fn told(&mut self, who: &str, told: &v1::Decided, found: Option<&Vec<(Verdict, u64, &str)>>) {
        let result = told.result();
        if result == v1::Result::SendAgain {
            return;
        }
        let matches = found
            .into_iter()
            .flatten()
            .any(|(verdict, sequence, reason)| {
                let said = match verdict {
                    Verdict::Delivered => v1::Result::Delivered,
                    Verdict::Withheld => v1::Result::Withheld,
                    _ => v1::Result::Handled,
                };
                said == result && *sequence == told.sequence && *reason == told.reason
            });
        if !matches {
            self.says(who, format!("was told {told:?}, and the log has {found:?}"));
        }
    }

    /// What one person says in a room appears in the order in which it was said.
    fn orders(&mut self, member: &Record) {
        let person = member.person;
        // A gateway that wants less took its message out of the order: it was said again later.
        let refused: BTreeSet<&str> = member
            .seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Refused(error) if error.code != tonic::Code::Unavailable as u32 => {
                    Some(error.client_id.as_str())
                }
                _ => None,
            })
            .collect();
        let mut out_of_order = Vec::new();
        for (room, events) in &self.evidence.replay.rooms {
            let own = events.values().filter(|event| {
                event.person == person
                    && !event.client_id.is_empty()
                    && !refused.contains(event.client_id.as_str())
            });
            let ids: Vec<&str> = own.map(|event| event.client_id.as_str()).collect();
            for pair in ids.windows(2).filter(|pair| pair[0] >= pair[1]) {
                out_of_order.push(format!("{room}: {} came before {}", pair[0], pair[1]));
            }
        }
        for what in out_of_order {
            self.says(&member.name, what);
        }
    }

    /// Members of a room saw the same.
    fn agreement(&mut self) {
        let mut seen_first: BTreeMap<(&str, u64), (&str, &RoomEvent)> = BTreeMap::new();
        for member in &self.evidence.members {
            for seen in &member.seen {
                let Seen::Room(event) = seen else {
                    continue;
                };
                let first = seen_first
                    .entry((&event.room, event.sequence))
                    .or_insert((&member.name, event));
                if first.1 != event {
                    self.wrong.push(format!(
                        "{}: {} and {} saw another event {}",
                        event.room, first.0, member.name, event.sequence
                    ));
                }
            }
        }
    }

    /// No message is in a room twice.
    fn once(&mut self) {
        for (room, events) in &self.evidence.replay.rooms {
            let mut seen = BTreeSet::new();
            for event in events.values() {
                if !event.client_id.is_empty() && !seen.insert((event.person, &event.client_id)) {
                    self.wrong
                        .push(format!("{room}: {} is there twice", event.client_id));
                }
            }
        }
    }

    /// The counter's numbers, as members see them, are dense: its state was neither lost nor changed twice.
    fn counters(&mut self) {
        let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let number_of = |text: &str| text.rsplit_once('#')?.1.parse::<u64>().ok();
        let mut ids_to_rooms = BTreeMap::new();
        for member in &self.evidence.members {
            for said in &member.said {
                ids_to_rooms.insert(said.client_id.as_str(), said.room.as_str());
            }
        }
        for (room, events) in &self.evidence.replay.rooms {
            for event in events.values() {
                if let Some(room_event::Event::Message(body)) = &event.event
                    && let Some(number) = number_of(&body.text)
                {
                    numbers.entry(room).or_default().push(number);
                }
            }
        }
        for outcome in &self.evidence.replay.outcomes {
            if outcome.verdict == Verdict::Withheld
                && let Some(number) = number_of(&outcome.reason)
                && let Some(cause) = &outcome.cause
                && let Some(room) = ids_to_rooms.get(cause.client_id.as_str())
            {
                numbers.entry(room).or_default().push(number);
            }
        }
        for (room, mut numbers) in numbers {
            numbers.sort_unstable();
            let dense = numbers.iter().copied().eq(1..=numbers.len() as u64);
            if !dense {
                self.wrong
                    .push(format!("{room}: the counter gave {numbers:?}"));
            }
        }
    }

    /// Each timer that was set fired once, or was given up for good reason.
    fn timers(&mut self) {
        let mut set = BTreeSet::new();
        for member in &self.evidence.members {
            let person = member.person;
            for said in &member.said {
                let Some(key) = said.text.strip_prefix("/later ") else {
                    continue;
                };
                let handled = self.evidence.replay.outcomes.iter().any(|outcome| {
                    outcome.verdict == Verdict::Handled
                        && outcome.cause.as_ref().is_some_and(|cause| {
                            cause.person == person && cause.client_id == said.client_id
                        })
                });
                if handled {
                    set.insert((said.room.clone(), key.to_owned()));
                }
            }
        }
        let mut fired: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (room, events) in &self.evidence.replay.rooms {
            for event in events.values() {
                if let Some(room_event::Event::Notice(body)) = &event.event
                    && let Some(key) = body.text.strip_prefix("later ")
                {
                    *fired.entry((room.clone(), key.to_owned())).or_default() += 1;
                }
            }
        }
        for outcome in &self.evidence.replay.outcomes {
            let Some((_, key)) = &outcome.timer else {
                continue;
            };
            if !outcome.reason.contains("again and again") {
                continue;
            }
            let fruitless = outcome.fruitless;
            if fruitless <= FRUITLESS_CLAIMS {
                self.wrong.push(format!(
                    "the timer {key} was given up after {fruitless} claims"
                ));
            }
            set.retain(|(_, set)| set != key);
        }
        for timer in &set {
            let times = fired.remove(timer).unwrap_or(0);
            if times != 1 {
                self.wrong
                    .push(format!("the timer {timer:?} fired {times} times"));
            }
        }
        for timer in fired.keys() {
            self.wrong
                .push(format!("the timer {timer:?} fired, and was not set"));
        }
    }

    /// Every host keeps what a fresh fold of the log keeps.
    fn stores(&mut self) {
        let all = |store: &MemoryStore| {
            Store::range(store, &[], &[u8::MAX; 4], usize::MAX, Direction::Forward).unwrap()
        };
        let truth: BTreeMap<_, _> = all(&self.evidence.replay.store).into_iter().collect();
        for (host, store) in self.evidence.stores.iter().enumerate() {
            let kept: BTreeMap<_, _> = all(store).into_iter().collect();
            let keys: BTreeSet<_> = truth.keys().chain(kept.keys()).collect();
            let other: Vec<_> = keys
                .into_iter()
                .filter(|key| truth.get(*key) != kept.get(*key))
                .collect();
            if let Some(key) = other.first() {
                self.wrong.push(format!(
                    "host {host}: {} entries differ from the log's, the first of tag {} ({:02x?}): {:?}, and the log makes {:?}",
                    other.len(),
                    key.get(2).copied().unwrap_or(0),
                    &key[..],
                    kept.get(*key),
                    truth.get(*key)
                ));
            }
        }
    }

    /// What plugins remember is what the recorded changes make, one after the other.
    fn plugin_state(&mut self) {
        for (host, store) in self.evidence.stores.iter().enumerate() {
            let mut kept = BTreeMap::new();
            for partition in (0..self.evidence.partitions).map(Partition) {
                let from = Key::of(partition, Tag::Plugin).end();
                let entries = Store::range(
                    store,
                    &from,
                    &keys::after(&from),
                    usize::MAX,
                    Direction::Forward,
                )
                .unwrap();
                for (key, value) in entries {
                    kept.insert(key.to_vec(), PluginStateValue::decode(value).unwrap());
                }
            }
            for ((room, plugin, key), (value, expires_ms)) in &self.evidence.replay.plugins {
                let found = kept.remove(&keys::plugin(RoomId(*room), plugin, key));
                let is_right = match (&found, value) {
                    (Some(found), Some(value)) => {
                        found.value == value && found.expires_ms == *expires_ms
                    }
                    (None, None) => true,
                    // It may have expired.
                    (None, Some(_)) => *expires_ms > 0,
                    (Some(_), None) => false,
                };
                if !is_right {
                    self.wrong.push(format!("host {host}: {plugin} remembers {found:?} under {key}, and the log says {value:?}"));
                }
            }
            for key in kept.keys() {
                let rest = String::from_utf8_lossy(&key[HEAD + 8..]).into_owned();
                self.wrong.push(format!(
                    "host {host}: a plugin remembers {rest}, which nothing wrote"
                ));
            }
        }
    }
}
