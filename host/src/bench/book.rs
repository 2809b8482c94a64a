//! What the members of a room have agreed on: for each number a hash of the event, written by who saw it first.
//!
//! Read by every member for every delivery, so a page is plain atomics; the lock is taken once in a thousand events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Events of one page.
const PAGE: u64 = 1024;

/// What is known of one event.
#[derive(Debug, Default)]
pub struct Entry {
    /// 0: nobody has seen it.
    hash: AtomicU64,
    /// When it was to be sent, in µs of the run; 0 where it is none of ours.
    intended_us: AtomicU64,
    /// Who sent it, plus one; 0 where it is none of ours.
    sender: AtomicU32,
}

impl Entry {
    /// The agreed hash; none: nobody has seen the event.
    pub fn hash(&self) -> Option<u64> {
        // Acquire: who reads a hash also reads what was noted before it.
        Some(self.hash.load(Ordering::Acquire)).filter(|&hash| hash != 0)
    }

    /// Notes whose message it is; before [`Self::agree`], so that who finds the hash finds this too.
    pub fn note(&self, sender: usize, intended_us: u64) {
        self.intended_us.store(intended_us, Ordering::Relaxed);
        self.sender
            .store(u32::try_from(sender + 1).unwrap_or(0), Ordering::Relaxed);
    }

    /// Sets the hash, or tells the one that was set a moment earlier.
    pub fn agree(&self, hash: u64) -> Result<(), u64> {
        self.hash
            .compare_exchange(0, hash, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
    }

    /// When it was to be sent, in µs of the run.
    pub fn intended_us(&self) -> Option<u64> {
        Some(self.intended_us.load(Ordering::Relaxed)).filter(|&us| us != 0)
    }

    /// Whose it is.
    pub fn sender(&self) -> Option<usize> {
        (self.sender.load(Ordering::Relaxed) as usize).checked_sub(1)
    }
}

#[derive(Debug)]
struct Page {
    number: u64,
    entries: Box<[Entry]>,
    /// Members that went on to the next page.
    left: AtomicU32,
}

/// One room's events.
#[derive(Debug)]
pub struct Book {
    members: u32,
    // A lock, for any member may be the first to reach a page; held for a map access.
    pages: Mutex<BTreeMap<u64, Arc<Page>>>,
}

impl Book {
    /// For a room of so many members: a page is dropped when all have left it.
    pub fn new(members: usize) -> Self {
        Self {
            members: u32::try_from(members).unwrap_or(u32::MAX),
            pages: Mutex::default(),
        }
    }

    fn page(&self, number: u64) -> Arc<Page> {
        Arc::clone(self.pages.lock().entry(number).or_insert_with(|| {
            Arc::new(Page {
                number,
                entries: (0..PAGE).map(|_| Entry::default()).collect(),
                left: AtomicU32::new(0),
            })
        }))
    }
}

/// One member's place in the book.
#[derive(Debug)]
pub struct Reader {
    book: Arc<Book>,
    page: Option<Arc<Page>>,
}

impl Reader {
    /// Begins before the first page.
    pub fn new(book: Arc<Book>) -> Self {
        Self { book, page: None }
    }

    /// Gives `look` the entry of an event.
    pub fn with_entry<T>(&mut self, sequence: u64, look: impl FnOnce(&Entry) -> T) -> T {
        let (number, at) = (sequence / PAGE, (sequence % PAGE) as usize);
        match &self.page {
            Some(page) if page.number == number => look_at(page, at, look),
            Some(page) if page.number > number => look_at(&self.book.page(number), at, look), // A late one.
            _ => {
                let page = self.book.page(number);
                if let Some(old) = self.page.replace(Arc::clone(&page))
                    && old.left.fetch_add(1, Ordering::Relaxed) + 1 >= self.book.members
                {
                    self.book.pages.lock().remove(&old.number);
                }
                look_at(&page, at, look)
            }
        }
    }
}

fn look_at<T>(page: &Page, at: usize, look: impl FnOnce(&Entry) -> T) -> T {
    match page.entries.get(at) {
        Some(entry) => look(entry),
        None => look(&Entry::default()), // Not reached: `at` is a remainder of the page's length.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hash_is_what_all_are_held_against() {
        let book = Arc::new(Book::new(2));
        let (mut a, mut b) = (Reader::new(Arc::clone(&book)), Reader::new(book));
        assert_eq!(a.with_entry(5, Entry::hash), None);
        assert_eq!(
            a.with_entry(5, |entry| {
                entry.note(3, 77);
                entry.agree(11)
            }),
            Ok(())
        );
        assert_eq!(b.with_entry(5, Entry::hash), Some(11));
        assert_eq!(b.with_entry(5, |entry| entry.agree(12)), Err(11));
        assert_eq!(
            b.with_entry(5, |entry| (entry.sender(), entry.intended_us())),
            (Some(3), Some(77))
        );
    }

    #[test]
    fn a_page_is_kept_until_every_member_has_left_it() {
        let book = Arc::new(Book::new(2));
        let (mut a, mut b) = (
            Reader::new(Arc::clone(&book)),
            Reader::new(Arc::clone(&book)),
        );
        a.with_entry(0, |entry| entry.agree(9)).unwrap();
        a.with_entry(PAGE, |_| ());
        a.with_entry(2 * PAGE, |_| ());
        assert_eq!(b.with_entry(0, Entry::hash), Some(9));
        b.with_entry(PAGE, |_| ());
        assert_eq!(
            book.pages.lock().keys().copied().collect::<Vec<_>>(),
            [1, 2]
        );
    }
}
