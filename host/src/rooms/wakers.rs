//! Readers that sleep at the end of a channel: each has one place, so that who comes and goes leaves nothing behind.
//!
//! All are woken together and at every publication, so that waking must not look for anybody: it takes the whole list
//! and begins a new round. A place counts in its own round only.

use std::task::Waker;

/// Who waits.
#[derive(Default)]
pub struct Wakers {
    round: u64,
    /// None: the reader in this place has gone.
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A reader's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    round: u64,
    index: usize,
}

impl Wakers {
    /// Waits in the place that `place` is, or in a new one where that is of an earlier round.
    pub fn wait(&mut self, place: Option<Place>, waker: &Waker) -> Place {
        if let Some(place) = place.filter(|place| place.round == self.round)
            && let Some(slot) = self.places.get_mut(place.index)
        {
            *slot = Some(waker.clone());
            return place;
        }
        let waiting = Some(waker.clone());
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(slot) = self.places.get_mut(index) {
                    *slot = waiting;
                }
                index
            }
            None => {
                self.places.push(waiting);
                self.places.len() - 1
            }
        };
        let round = self.round;
        Place { round, index }
    }

    /// Waits no more.
    pub fn leave(&mut self, place: Place) {
        if place.round == self.round
            && let Some(slot) = self.places.get_mut(place.index)
            && slot.take().is_some()
        {
            self.free.push(place.index);
        }
    }

    /// Takes all who wait, to be woken when the lock has been let go.
    pub fn take(&mut self) -> Vec<Option<Waker>> {
        self.round += 1;
        self.free.clear();
        // About as many come back.
        let places = Vec::with_capacity(self.places.len());
        std::mem::replace(&mut self.places, places)
    }

    /// How many places there are, taken or free.
    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// How many wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.places.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_an_earlier_round_is_nobodys() {
        let mut wakers = Wakers::default();
        let old = wakers.wait(None, Waker::noop());
        assert_eq!(wakers.take().len(), 1);
        let new = wakers.wait(None, Waker::noop());
        wakers.leave(old);
        assert_eq!(wakers.waiting(), 1, "another reader's place was taken");
        assert_ne!(wakers.wait(Some(old), Waker::noop()), new);
        assert_eq!(wakers.wait(Some(new), Waker::noop()), new);
        assert_eq!((wakers.waiting(), wakers.places()), (2, 2));
    }
}
