//! What the tests count instead of time: each look at a byte, a delimiter or a piece. Costs nothing outside of tests.

#[cfg(test)]
thread_local! {
    static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts so many looks.
#[inline]
pub(crate) fn count(looks: usize) {
    #[cfg(test)]
    TAKEN.set(TAKEN.get() + looks);
    #[cfg(not(test))]
    let _ = looks;
}

/// The looks since it was last asked.
#[cfg(test)]
pub(crate) fn taken() -> usize {
    TAKEN.take()
}
