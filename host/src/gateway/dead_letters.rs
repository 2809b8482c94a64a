//! Dead letters that the operator sends again or has seen: like all else, through the ingress log.

use std::time::Duration;

use tokio::time::timeout;
use ulid::Ulid;

use super::Gateway;
use super::lane::{Asker, acknowledged};
use super::refusal::{Admission, Refusal};
use crate::proto::log::v1::{ClearDeadLetters, DeadLetter, Post, Verdict, ingress::Request};
use crate::rooms::LetterId;
use crate::state::ids::{Partition, PersonId};

/// How long a message that is sent again may take to be decided.
const OUTCOME: Duration = Duration::from_secs(30);

/// What became of a dead letter that was sent again.
#[derive(Debug, Clone)]
pub struct Retried {
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// It had been sent again before, and this is what became of it then.
    pub before: bool,
}

impl Gateway {
    /// The newest dead letters, newest first.
    ///
    /// # Errors
    /// Where the store fails; the text is for the operator, here and below.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<(Partition, DeadLetter)>, String> {
        let found = self.rooms.dead_letters(limit);
        found.map_err(|error| error.to_string())
    }

    /// One dead letter.
    ///
    /// # Errors
    /// Where there is none of that name, or the store fails.
    pub fn dead_letter(&self, typed: &str) -> Result<(Partition, DeadLetter), String> {
        let id = LetterId::parse(typed).ok_or_else(|| {
            format!(
                "`{typed}` is no dead letter's id; it is like `0-17`, or the ULID of the message"
            )
        })?;
        let found = self.rooms.dead_letter(id).map_err(|e| e.to_string())?;
        found.ok_or_else(|| {
            format!(
                "there is no dead letter `{typed}`; it may have been cleared, or is older than what is kept: `chat-host dead-letters list` shows those there are"
            )
        })
    }

    /// Sends a dead letter's message again, as a new one of its sender. Once: a second time is answered with what became
    /// of the first.
    ///
    /// # Errors
    /// Where there is no such letter, its message had passed, or the log takes nothing now.
    pub async fn retry_dead_letter(&self, typed: &str) -> Result<Retried, String> {
        let (partition, letter) = self.dead_letter(typed)?;
        if let Some(first) = &letter.retried {
            return Ok(Retried {
                verdict: first.verdict(),
                reason: first.reason.clone(),
                before: true,
            });
        }
        if !matches!(letter.verdict(), Verdict::Withheld | Verdict::Discarded) {
            return Err(format!(
                "the message of the dead letter `{typed}` had passed all the same (its plugin's `on-failure` is \"allow\"); sent again it would be there twice"
            ));
        }
        let sent = self.send_again(partition, letter).await;
        sent.map_err(|refusal| refusal.message)
    }

    async fn send_again(&self, partition: Partition, letter: DeadLetter) -> Admission<Retried> {
        // No client can use an id with a space. It covers two retries at once; later ones meet the letter's own mark.
        let client_id = format!("dead letter {partition}-{}", letter.number);
        let asker = Asker {
            person: PersonId(letter.person),
            name: letter.name,
        };
        let post = Request::Post(Post {
            room: letter.room_name,
            text: letter.text,
            dead_letter: Some(letter.number),
        });
        let sent = self
            .entrance
            .send(partition, None, &asker, &client_id, post)?;
        let id: Ulid = sent.id;
        let decided = async {
            acknowledged(sent.appending, sent.at).await?;
            timeout(OUTCOME, sent.answer)
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or_else(|| {
                    Refusal::unavailable(
                        "the message is durable and will be decided, but was not in time; `chat-host dead-letters show` tells later what became of it",
                    )
                })
        };
        let decided = decided.await;
        self.rooms.waiting().forget(id);
        let answer = decided?;
        Ok(Retried {
            verdict: answer.verdict,
            reason: answer.reason,
            before: answer.repeats.is_some(),
        })
    }

    /// Forgets every dead letter there is now; tells how many.
    ///
    /// # Errors
    /// Where the store fails, or the log takes nothing now.
    pub async fn clear_dead_letters(&self) -> Result<usize, String> {
        let letters = self.dead_letters(usize::MAX)?;
        for partition in (0..self.rooms.partitions()).map(Partition) {
            let of_partition = letters.iter().filter(|(p, _)| *p == partition);
            let Some(up_to) = of_partition.map(|(_, letter)| letter.number).max() else {
                continue;
            };
            let request = Request::ClearDeadLetters(ClearDeadLetters { up_to });
            let asked = self
                .entrance
                .ask(partition, &Asker::default(), request)
                .await;
            asked.map_err(|refusal| refusal.message)?;
        }
        Ok(letters.len())
    }
}
