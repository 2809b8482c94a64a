//! Calls without a session: send, history, rooms, members.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;

use super::lane::{Asker, acknowledged};
use super::people::{self, Person};
use super::refusal::{Admission, Refusal};
use super::{Gateway, admit, session};
use crate::proto::log::v1::{Post, ingress::Request};
use crate::proto::v1;
use crate::rooms::Source;
use crate::rooms::history::{self, Page};
use crate::state::ids::{RoomId, Sequence};
use crate::state::name::{PersonName, RoomName};

/// How long `Send` waits for an outcome.
const OUTCOME: Duration = Duration::from_secs(30);
/// The largest page.
const PAGE: u32 = 1000;

impl Gateway {
    /// `Send`.
    pub(super) async fn send_once(
        self: &Arc<Self>,
        address: IpAddr,
        request: v1::SendRequest,
    ) -> Admission<v1::SendResponse> {
        let client_id = if request.client_id.is_empty() {
            self.entrance.world().ulid().to_string()
        } else {
            admit::client_id(&request.client_id)?;
            request.client_id
        };
        let text = admit::text(&request.text, self.limits.message_bytes)?;
        let room = RoomName::parse(&request.room)?;
        let (asker, claimed) = self.asker(address, &request.name, &request.token).await?;
        let sent: Admission<_> = async {
            self.pace_of(&asker)?;
            self.make_room(room.as_str(), &asker).await?;
            let partition = self.rooms.partition_of_room(&room);
            let post = Request::Post(Post {
                room: room.as_str().to_owned(),
                text,
                dead_letter: None,
            });
            let sent = self
                .entrance
                .send(partition, None, &asker, &client_id, post)?;
            let durable = acknowledged(sent.appending, sent.at).await;
            if durable.is_err() || !request.wait {
                self.rooms.waiting().forget(sent.id);
            }
            durable?;
            self.observer.acknowledged(sent.at.elapsed());
            let acknowledged = v1::Acknowledged {
                client_id: client_id.clone(),
                id: sent.id.to_string(),
                time_ms: sent.time_ms,
            };
            let decided = if request.wait {
                let answer = timeout(OUTCOME, sent.answer).await;
                self.rooms.waiting().forget(sent.id);
                let answer = answer.ok().and_then(Result::ok).ok_or_else(|| {
                    Refusal::new(
                        Code::DeadlineExceeded,
                        "the message is durable and will be decided, but was not in time",
                    )
                })?;
                Some(session::decision(client_id, sent.id, answer))
            } else {
                None
            };
            Ok((acknowledged, decided))
        }
        .await;
        let token = claimed
            .as_ref()
            .map_or_else(String::new, |person| person.token.clone());
        if let Some(person) = claimed {
            people::detach_later(self, &person.name, person.session);
        }
        let (acknowledged, decided) = sent?;
        Ok(v1::SendResponse {
            acknowledged: Some(acknowledged),
            decided,
            token,
        })
    }

    /// Who asks: the name's holder by its token, or a new one, whose name must be let go of again.
    async fn asker(
        self: &Arc<Self>,
        address: IpAddr,
        name: &str,
        token: &str,
    ) -> Admission<(Asker, Option<Person>)> {
        let parsed = PersonName::parse(name)?;
        if let Some(state) = self.rooms.name(&parsed)?
            && !token.is_empty()
            && state.token_hash == people::token_hash(token)
        {
            let asker = Asker {
                person: crate::state::ids::PersonId(state.person),
                name: state.name,
            };
            return Ok((asker, None));
        }
        let person = self.attach(address, name, token).await?;
        let asker = Asker {
            person: person.id,
            name: person.name.clone(),
        };
        Ok((asker, Some(person)))
    }

    fn pace_of(&self, asker: &Asker) -> Admission<()> {
        self.paces
            .lock()
            .take(
                asker.person,
                f64::from(self.limits.sends_per_second),
                self.limits.send_burst,
            )
            .map_err(|wait| admit::too_fast(self.limits.sends_per_second, wait))
    }

    /// `History`.
    pub(super) async fn history(
        &self,
        request: v1::HistoryRequest,
    ) -> Admission<v1::HistoryResponse> {
        let mut room = self.existing_room(&request.room)?;
        let page = match (request.after, request.before) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid("give `after` or `before`, not both"));
            }
            (Some(after), None) => Page::After(Sequence(after)),
            (None, Some(before)) => Page::Before(Sequence(before)),
            (None, None) => Page::Newest,
        };
        if request
            .after
            .or(request.before)
            .is_some_and(|number| number > room.head)
        {
            let name = RoomName::parse(&request.room)?;
            self.fold_to_the_end(self.rooms.partition_of_room(&name))
                .await?;
            room = self.existing_room(&request.room)?;
        }
        let out_of_range = match page {
            Page::After(after) => after.0 > room.head || after.0 + 1 < room.oldest,
            Page::Before(before) => {
                before.0 > room.head.saturating_add(1)
                    || (room.oldest > 1 && before.0 <= room.oldest)
            }
            Page::Newest => false,
        };
        if out_of_range {
            let mut refusal = Refusal::new(
                Code::OutOfRange,
                format!(
                    "the room holds {} to {}; ask for a page within",
                    room.oldest, room.head
                ),
            );
            refusal.oldest = room.oldest;
            return Err(refusal);
        }
        let limit = usize::try_from(limit(request.limit)?).unwrap_or(100);
        let events = history::events(self.rooms.store(), RoomId(room.room), page, limit).await?;
        Ok(v1::HistoryResponse {
            events,
            oldest: room.oldest,
            head: room.head,
        })
    }

    /// `ListRooms`.
    pub(super) fn list_rooms(
        &self,
        request: &v1::ListRoomsRequest,
    ) -> Admission<v1::ListRoomsResponse> {
        let limit = usize::try_from(limit(request.limit)?).unwrap_or(100);
        let rooms = self.rooms.list(&request.after, limit)?;
        Ok(v1::ListRoomsResponse { rooms })
    }

    /// `CreateRoom`.
    pub(super) async fn create_room(
        self: &Arc<Self>,
        address: IpAddr,
        request: v1::CreateRoomRequest,
    ) -> Admission<v1::CreateRoomResponse> {
        RoomName::parse(&request.room)?;
        let (asker, claimed) = self.asker(address, &request.name, &request.token).await?;
        let made = self.make_room(&request.room, &asker).await;
        let token = claimed
            .as_ref()
            .map_or_else(String::new, |person| person.token.clone());
        if let Some(person) = claimed {
            people::detach_later(self, &person.name, person.session);
        }
        let (room, new) = made?;
        if !new {
            return Err(Refusal::new(
                Code::AlreadyExists,
                format!("there is a room `{}` already", room.name),
            ));
        }
        Ok(v1::CreateRoomResponse {
            room: Some(self.rooms.shown(room)),
            token,
        })
    }

    /// `ListMembers`.
    pub(super) fn list_members(
        &self,
        request: &v1::ListMembersRequest,
    ) -> Admission<v1::ListMembersResponse> {
        let room = self.existing_room(&request.room)?;
        let limit = usize::try_from(limit(request.limit)?).unwrap_or(100);
        let (members, count) = self
            .rooms
            .open_channel(Source::Room(RoomId(room.room)))
            .map_or_else(Default::default, |channel| {
                channel.members(&request.after, limit)
            });
        Ok(v1::ListMembersResponse {
            names: members.into_iter().map(|(name, _)| name).collect(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
        })
    }
}

fn limit(asked: u32) -> Admission<u32> {
    match asked {
        0 => Ok(100),
        1..=PAGE => Ok(asked),
        _ => Err(Refusal::invalid(format!(
            "`limit` is {asked}; at most {PAGE} are given at once"
        ))),
    }
}
