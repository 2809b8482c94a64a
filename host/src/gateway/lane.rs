//! What a gateway appends: stamped records, numbered densely within a lane, so that the fold can tell a repeat from a
//! gap.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use ulid::Ulid;

use super::refusal::{Admission, Refusal};
use crate::journal::{AppendError, Appending, Journal, Log};
use crate::proto::log::v1::{Ingress, Verdict, ingress::Request};
use crate::rooms::Rooms;
use crate::state::fold::{Answer, ENCODING};
use crate::state::ids::{Partition, PersonId};
use crate::world::World;

/// A lane that rested so long is given up for a new one: the fold forgets old ones.
const REST: Duration = Duration::from_secs(30 * 60);
/// An acknowledgement later than this after the stamp is not given: the record may be taken for too late.
pub const ACKNOWLEDGE: Duration = Duration::from_secs(60);
/// How long a request other than a message may take until it is decided.
const DECIDE: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// 0 where nobody does.
    pub person: PersonId,
    /// Their name.
    pub name: String,
}

/// A record that was handed to the journal.
pub struct Sent {
    /// Its ULID.
    pub id: Ulid,
    /// Its stamp, in milliseconds.
    pub time_ms: u64,
    /// When it was handed over.
    pub at: Instant,
    /// Tells when it is durable.
    pub appending: Appending,
    /// Tells what became of it.
    pub answer: oneshot::Receiver<Answer>,
}

/// The way into the ingress log.
#[derive(Clone)]
pub struct Entrance {
    journal: Arc<dyn Journal>,
    rooms: Arc<Rooms>,
    world: World,
}

/// One session's numbering in one partition.
#[derive(Debug, Clone)]
pub struct Lane {
    id: [u8; 16],
    last: u64,
    used: Instant,
}

impl Entrance {
    /// Into this journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, rooms: Arc<Rooms>, world: World) -> Self {
        Self {
            journal,
            rooms,
            world,
        }
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Clock and dice.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// A new lane.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane {
            id: self.world.nonce(),
            last: 0,
            used: Instant::now(),
        }
    }

    /// Stamps a request and hands it to the journal, in the lane where there is one.
    ///
    /// # Errors
    /// Where the journal takes nothing now: nothing was written, and the lane goes on.
    pub fn send(
        &self,
        partition: Partition,
        lane: Option<&mut Lane>,
        asker: &Asker,
        client_id: &str,
        request: Request,
    ) -> Admission<Sent> {
        let id = self.world.ulid();
        let time_ms = self.world.now_ms();
        let mut record = Ingress {
            version: ENCODING,
            id: Bytes::copy_from_slice(&id.to_bytes()),
            time_ms,
            person: asker.person.0,
            name: asker.name.clone(),
            client_id: client_id.to_owned(),
            request: Some(request),
            ..Ingress::default()
        };
        let lane = lane.map(|lane| {
            if lane.used.elapsed() > REST {
                *lane = self.lane();
            }
            lane
        });
        if let Some(lane) = &lane {
            record.lane = Bytes::copy_from_slice(&lane.id);
            record.lane_number = lane.last + 1;
        }
        let answer = self.rooms.waiting().expect(id);
        let appended =
            self.journal
                .append(partition, Log::Ingress, vec![record.encode_to_vec().into()]);
        match appended {
            Ok(appending) => {
                if let Some(lane) = lane {
                    lane.last += 1;
                    lane.used = Instant::now();
                }
                Ok(Sent {
                    id,
                    time_ms,
                    at: Instant::now(),
                    appending,
                    answer,
                })
            }
            Err(error) => {
                self.rooms.waiting().forget(id);
                Err(refused(&error))
            }
        }
    }

    /// Sends a request and waits until it is decided.
    ///
    /// # Errors
    /// `UNAVAILABLE` where it can't be; the request may still be decided.
    pub async fn ask(
        &self,
        partition: Partition,
        asker: &Asker,
        request: Request,
    ) -> Admission<Answer> {
        let sent = self.send(partition, None, asker, "", request)?;
        self.decided(sent)
            .await
            .map_err(|undecided| match undecided {
                Undecided::NotWritten(refusal) | Undecided::Unknown(refusal) => refusal,
            })
    }

    /// Waits until what was sent is decided.
    ///
    /// # Errors
    /// See [`Undecided`].
    pub async fn decided(&self, sent: Sent) -> Result<Answer, Undecided> {
        let decided = async {
            durable(sent.appending, sent.at).await?;
            sent.answer
                .await
                .map_err(|_| Undecided::Unknown(Refusal::unavailable("the server is going down")))
        };
        let answer = timeout(DECIDE, decided).await.unwrap_or_else(|_| {
            Err(Undecided::Unknown(Refusal::unavailable(
                "the server did not decide in time; try again",
            )))
        });
        if answer.is_err() {
            self.rooms.waiting().forget(sent.id);
        }
        answer
    }

    /// As [`Entrance::ask`], where a refusal by the log is a refusal.
    ///
    /// # Errors
    /// As above, and with `code` what the log refused.
    pub async fn ask_for(
        &self,
        partition: Partition,
        asker: &Asker,
        request: Request,
        code: tonic::Code,
    ) -> Admission<Answer> {
        let answer = self.ask(partition, asker, request).await?;
        if answer.verdict == Verdict::Handled {
            Ok(answer)
        } else {
            Err(Refusal::new(code, answer.reason))
        }
    }
}

/// What was sent has no answer.
pub enum Undecided {
    /// Nothing was written: nothing will come of it.
    NotWritten(Refusal),
    /// It may be there, and may be decided.
    Unknown(Refusal),
}

/// Waits for durability.
///
/// # Errors
/// Where it is unknown whether the record is there, or where it came too late to rely on it.
pub async fn acknowledged(appending: Appending, since: Instant) -> Admission<()> {
    durable(appending, since)
        .await
        .map_err(|undecided| match undecided {
            Undecided::NotWritten(refusal) | Undecided::Unknown(refusal) => refusal,
        })
}

async fn durable(appending: Appending, since: Instant) -> Result<(), Undecided> {
    let appended = appending
        .await
        .unwrap_or_else(|_| Err(AppendError::Unknown("the journal is closed".into())));
    appended.map_err(|error| match error {
        AppendError::Refused(_) => Undecided::NotWritten(refused(&error)),
        AppendError::Unknown(_) => Undecided::Unknown(refused(&error)),
    })?;
    if since.elapsed() > ACKNOWLEDGE {
        return Err(Undecided::Unknown(Refusal::unavailable(
            "the journal took too long; send it again under the same client id",
        )));
    }
    Ok(())
}

fn refused(error: &AppendError) -> Refusal {
    Refusal::unavailable(match error {
        AppendError::Refused(reason) => {
            format!(
                "the message was not taken, for the journal takes no records now ({reason}); try again"
            )
        }
        AppendError::Unknown(reason) => format!(
            "it is not known whether the message was taken ({reason}); send it again under the same client id"
        ),
    })
}
