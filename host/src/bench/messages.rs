//! gRPC's length-prefixed messages, out of a byte stream that is cut anywhere.
//!
//! A message that lies whole in one piece is lent from it; only one that a cut goes through is copied. Knows nothing
//! of what a message means.

use super::broken::Broken;

/// More than any frame of the protocol: beyond it the stream is not what we think it is.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// One flag, four bytes of length.
const PREFIX_BYTES: usize = 5;

/// The state between two pieces.
#[derive(Debug, Default)]
pub struct Messages {
    /// Prefix and body so far of a message that a cut goes through.
    carry: Vec<u8>,
    /// `carry` was lent by the last call.
    lent: bool,
}

impl Messages {
    /// The next whole message, taken off the front of `input`; none: `input` is used up.
    ///
    /// # Errors
    /// A compressed or oversized message: the stream can't be followed after it.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'a [u8]>, Broken> {
        if self.lent {
            self.carry.clear();
            self.lent = false;
        }
        if self.carry.is_empty()
            && let Some((prefix, rest)) = input.split_first_chunk::<PREFIX_BYTES>()
        {
            let length = body_bytes(*prefix)?;
            if let Some((body, rest)) = rest.split_at_checked(length) {
                *input = rest;
                return Ok(Some(body));
            }
        }
        if !self.fill(PREFIX_BYTES, input) {
            return Ok(None);
        }
        let Some((prefix, _)) = self.carry.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = body_bytes(*prefix)?;
        if !self.fill(PREFIX_BYTES + length, input) {
            return Ok(None);
        }
        self.lent = true;
        Ok(self.carry.get(PREFIX_BYTES..))
    }

    /// Moves bytes over until `carry` has `target`; false: `input` ended before.
    fn fill(&mut self, target: usize, input: &mut &[u8]) -> bool {
        let wanted = target.saturating_sub(self.carry.len()).min(input.len());
        let (part, rest) = input.split_at(wanted);
        self.carry.extend_from_slice(part);
        *input = rest;
        self.carry.len() >= target
    }
}

fn body_bytes([compressed, length @ ..]: [u8; PREFIX_BYTES]) -> Result<usize, Broken> {
    let length = u32::from_be_bytes(length) as usize;
    if compressed != 0 {
        return Err(Broken::Compressed);
    }
    if length > MESSAGE_BYTES {
        return Err(Broken::MessageTooLarge(length));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
        let mut messages = Messages::default();
        let mut read = Vec::new();
        let mut from = 0;
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        for end in ends {
            let mut piece = &stream[from..end];
            while let Some(message) = messages.next(&mut piece).unwrap() {
                read.push(message.to_vec());
            }
            from = end;
        }
        read
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_messages(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in prop::collection::vec(any::<usize>(), 0..30),
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.push(0);
                stream.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(body);
            }
            prop_assert_eq!(read_in_pieces(&stream, &cuts), bodies);
        }
    }

    #[test]
    fn a_compressed_message_is_refused() {
        let mut input: &[u8] = &[1, 0, 0, 0, 0];
        assert!(Messages::default().next(&mut input).is_err());
    }
}
