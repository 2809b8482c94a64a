//! What the operator does to plugins' memories: like all else, through the ingress log.

use super::Gateway;
use super::lane::{Asker, Undecided};
use crate::proto::log::v1::{
    DeletePluginState, ImportPluginState, RoomState, Verdict, ingress::Request,
};
use crate::rooms::{Contents, Memory};
use crate::state::ids::{Partition, RoomId};
use crate::state::name::RoomName;

/// Why a piece of an import is not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// It is wrong, and would be the next time.
    Refused(String),
    /// It is not known what became of it: to be sent again as it is.
    Unknown(String),
}

impl Gateway {
    /// Where a plugin remembers how much; in one room, where one is named.
    ///
    /// # Errors
    /// Where it remembers nothing there, or the store fails; the text is for the operator, here and below.
    pub fn memories(&self, plugin: &str, room: Option<&str>) -> Result<Vec<Memory>, String> {
        let all = self.rooms.memories().map_err(|error| error.to_string())?;
        let parsed = room.map(RoomName::parse).transpose();
        let parsed = parsed.map_err(|error| error.to_string())?;
        let room = parsed.as_ref().map(RoomName::as_str);
        let named = |memory: &Memory| room.is_none_or(|room| memory.room == room);
        let mut found: Vec<Memory> = all
            .iter()
            .filter(|((of, _), memory)| of == plugin && named(memory))
            .map(|(_, memory)| memory.clone())
            .collect();
        found.sort_by(|a, b| a.room.cmp(&b.room));
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(room) = room {
            self.room_named(room)?;
            if all.keys().any(|(of, _)| of == plugin) {
                return Err(format!(
                    "the plugin `{plugin}` remembers nothing in #{room}"
                ));
            }
        }
        let mut names: Vec<&str> = all.keys().map(|(of, _)| &**of).collect();
        names.dedup();
        Err(format!(
            "the plugin `{plugin}` remembers nothing here; those that do: {}",
            if names.is_empty() {
                "none".into()
            } else {
                names.join(", ")
            }
        ))
    }

    /// All that a plugin remembers in a room.
    ///
    /// # Errors
    /// Where there is no such room, or the store fails.
    pub fn memory_in(&self, plugin: &str, room: &str) -> Result<(Partition, Contents), String> {
        let state = self.room_named(room)?;
        let found = self.rooms.contents(RoomId(state.room), plugin);
        let contents = found.map_err(|error| error.to_string())?;
        Ok((Partition::that_made(state.room), contents))
    }

    /// Forgets what a plugin remembers and removes its timers, in one room or in all.
    ///
    /// # Errors
    /// As [`Gateway::memories`], or where the log takes nothing now. In some partitions it may then be done.
    pub async fn forget_memories(&self, plugin: &str, room: Option<&str>) -> Result<(), String> {
        // By the name that it has, however it was typed.
        let room = room.map(|room| self.room_named(room)).transpose()?;
        let partitions: Vec<Partition> = match &room {
            Some(room) => vec![Partition::that_made(room.room)],
            None => (0..self.rooms.partitions()).map(Partition).collect(),
        };
        let room = room.map_or_else(String::new, |room| room.name);
        for partition in partitions {
            let request = Request::DeletePluginState(DeletePluginState {
                plugin: plugin.to_owned(),
                room: room.clone(),
            });
            let asked = self
                .entrance
                .ask_for(partition, &Asker::default(), request, tonic::Code::NotFound)
                .await;
            asked.map_err(|refusal| refusal.message)?;
        }
        Ok(())
    }

    /// Takes a piece of an import, once however often it is sent.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub async fn import_memory(&self, mut piece: ImportPluginState) -> Result<(), NotTaken> {
        if !crate::plugin::is_name(&piece.plugin) {
            return Err(NotTaken::Refused(format!(
                "`{}` can't be a plugin's name: it is 1 to 64 lower-case letters, digits, `-` and `_`",
                piece.plugin
            )));
        }
        let state = self.room_named(&piece.room).map_err(NotTaken::Refused)?;
        piece.room.clone_from(&state.name);
        // No client can use an id with a space.
        let id = piece.import.iter().map(|byte| format!("{byte:02x}"));
        let client_id = format!(
            "plugin state {} {} {}",
            id.collect::<String>(),
            piece.piece,
            state.room
        );
        let sent = self
            .entrance
            .send(
                Partition::that_made(state.room),
                None,
                &Asker::default(),
                &client_id,
                Request::ImportPluginState(piece),
            )
            .map_err(|refusal| NotTaken::Unknown(refusal.message))?;
        match self.entrance.decided(sent).await {
            Ok(answer) if answer.verdict == Verdict::Handled => Ok(()),
            Ok(answer) => Err(NotTaken::Refused(answer.reason)),
            Err(Undecided::NotWritten(refusal) | Undecided::Unknown(refusal)) => {
                Err(NotTaken::Unknown(refusal.message))
            }
        }
    }

    fn room_named(&self, typed: &str) -> Result<RoomState, String> {
        let name = RoomName::parse(typed).map_err(|error| error.to_string())?;
        let found = self.rooms.room(&name).map_err(|error| error.to_string())?;
        found.ok_or_else(|| {
            format!("there is no room `{typed}` on this server; who joins it makes it")
        })
    }
}
