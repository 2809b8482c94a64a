//! Cuts into batches: the ways in which a host could call a plugin for the same steps.

use std::fmt;
use std::mem::discriminant;

use crate::case::{Action, Step};

/// How steps are cut into calls. Commands and timers are always calls of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    AllAtOnce,
    OneByOne,
    TwoHalves,
    /// One by one, each on an instance that has seen nothing before.
    FreshInstances,
}

impl Cut {
    /// The first is the one that the others are compared to.
    pub(crate) const ALL: [Cut; 4] = [
        Cut::AllAtOnce,
        Cut::OneByOne,
        Cut::TwoHalves,
        Cut::FreshInstances,
    ];

    /// The steps of each call.
    pub(crate) fn calls(self, steps: &[Step]) -> Vec<&[Step]> {
        let alike = steps.chunk_by(|one, next| {
            discriminant(&one.action) == discriminant(&next.action) && may_be_batched(one)
        });
        match self {
            Cut::AllAtOnce => alike.collect(),
            Cut::OneByOne | Cut::FreshInstances => steps.chunks(1).collect(),
            Cut::TwoHalves => alike
                .flat_map(|batch| batch.chunks(batch.len().div_ceil(2).max(1)))
                .collect(),
        }
    }
}

fn may_be_batched(step: &Step) -> bool {
    match step.action {
        Action::Send(_) | Action::Format(_) | Action::Review(_) => true,
        Action::Command { .. } | Action::Timer(_) => false,
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cut::AllAtOnce => "all at once",
            Cut::OneByOne => "one by one",
            Cut::TwoHalves => "in two halves",
            Cut::FreshInstances => "each on a fresh instance",
        })
    }
}
