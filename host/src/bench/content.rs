//! The text of each message: what was said can be told from who said it and its number, so nothing is remembered.
//!
//! Letters without vowels only: no word list withholds them, and no markup hides in them.

/// Three bits a letter.
const LETTERS: &[u8; 8] = b"gjnpqrwz";

/// Which message: a sender of this run, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageKey {
    /// Index of the sender.
    pub sender: usize,
    /// Counted from 0.
    pub number: u64,
}

impl MessageKey {
    /// As it stands in `Send.client_id` and `RoomEvent.client_id`.
    pub fn client_id(self) -> String {
        format!("{}.{}", self.sender, self.number)
    }

    /// The reverse of [`Self::client_id`].
    pub fn parse(client_id: &str) -> Option<Self> {
        let (sender, number) = client_id.split_once('.')?;
        Some(Self {
            sender: sender.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// What all messages of a run are made by.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Differs from run to run.
    pub seed: u64,
    /// Length of each text.
    pub size_bytes: usize,
}

impl Content {
    /// The whole text of one message.
    pub fn text(self, key: MessageKey) -> String {
        let mut state = self.seed ^ (key.sender as u64).rotate_left(40) ^ key.number;
        let mut bits = 0;
        (0..self.size_bytes)
            .map(|at| {
                if at % 21 == 0 {
                    bits = split_mix(&mut state);
                }
                let letter = bits & 7;
                bits >>= 3;
                // A message of one long word would be no ordinary line for who formats it.
                if at % 9 == 8 && at + 1 < self.size_bytes {
                    return ' ';
                }
                LETTERS
                    .get(letter as usize)
                    .copied()
                    .map_or('g', char::from)
            })
            .collect()
    }
}

/// `SplitMix64`: neighbouring seeds give unrelated bits.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_size_and_differs_by_message() {
        let content = Content {
            seed: 7,
            size_bytes: 200,
        };
        let text = |sender, number| content.text(MessageKey { sender, number });
        assert_eq!(text(0, 0).len(), 200);
        assert_eq!(text(0, 0), text(0, 0));
        assert_ne!(text(0, 0), text(0, 1));
        assert_ne!(text(0, 0), text(1, 0));
        assert!(!text(3, 9).ends_with(' ') && !text(3, 9).starts_with(' '));
    }

    #[test]
    fn a_client_id_leads_back_to_its_message() {
        let key = MessageKey {
            sender: 12,
            number: 3456,
        };
        assert_eq!(MessageKey::parse(&key.client_id()), Some(key));
        assert_eq!(MessageKey::parse("12"), None);
    }
}
