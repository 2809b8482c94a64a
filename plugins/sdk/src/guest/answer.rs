//! The exports: each lifts its arguments, asks the plugin, and lowers the answer.

use super::imports::chat::plugin::types as wit;
use super::{
    Component, Make, STARTED, call, commands, formatting, migration, moderation, plugin, review,
    timers,
};
use crate::{Item, Memory, Message, Remembered, RoomId};

impl<M: Make> plugin::exports::chat::plugin::plugin::Guest for Component<M> {
    fn describe() -> plugin::exports::chat::plugin::plugin::Manifest {
        M::make().describe().into()
    }

    fn start(settings: String) -> Result<(), String> {
        let mut plugin = M::make();
        plugin.start(&settings)?;
        STARTED.set(Some(plugin));
        Ok(())
    }
}

impl<M: Make> moderation::exports::chat::plugin::moderation::Guest for Component<M> {
    fn moderate(batch: Vec<wit::Message>) -> Vec<wit::Verdict> {
        let batch: Vec<Message> = batch.into_iter().map(Into::into).collect();
        let verdicts = call(|plugin| plugin.moderate(&batch));
        verdicts.into_iter().map(Into::into).collect()
    }
}

impl<M: Make> commands::exports::chat::plugin::commands::Guest for Component<M> {
    fn run(name: String, arguments: String, by: wit::Message) -> Result<Vec<wit::Effect>, String> {
        let effects = call(|plugin| plugin.run(&name, &arguments, &by.into()))?;
        Ok(effects.into_iter().map(Into::into).collect())
    }
}

impl<M: Make> formatting::exports::chat::plugin::formatting::Guest for Component<M> {
    fn format(
        batch: Vec<formatting::exports::chat::plugin::formatting::Item>,
    ) -> Vec<Option<Vec<wit::Run>>> {
        let batch: Vec<Item> = batch.into_iter().map(Into::into).collect();
        let laid_out = call(|plugin| plugin.format(&batch));
        let lower = |runs: Vec<crate::Run>| runs.into_iter().map(Into::into).collect();
        laid_out.into_iter().map(|runs| runs.map(lower)).collect()
    }
}

impl<M: Make> review::exports::chat::plugin::review::Guest for Component<M> {
    fn review(batch: Vec<review::exports::chat::plugin::review::Item>) -> Vec<wit::Verdict> {
        let batch: Vec<Item> = batch.into_iter().map(Into::into).collect();
        let judgements = call(|plugin| plugin.review(&batch));
        judgements.into_iter().map(Into::into).collect()
    }
}

impl<M: Make> timers::exports::chat::plugin::timers::Guest for Component<M> {
    fn fired(room: u64, due: wit::Timer) -> Vec<wit::Effect> {
        let effects = call(|plugin| plugin.fired(RoomId(room), &due.into()));
        effects.into_iter().map(Into::into).collect()
    }
}

impl<M: Make> migration::exports::chat::plugin::migration::Guest for Component<M> {
    fn layout() -> u32 {
        M::make().layout()
    }

    fn migrate(
        _room: u64,
        from: u32,
        entries: Vec<migration::exports::chat::plugin::migration::Entry>,
    ) -> Result<Vec<migration::exports::chat::plugin::migration::Entry>, String> {
        let lift = |entry: migration::exports::chat::plugin::migration::Entry| {
            let remembered = Remembered {
                value: entry.value,
                expires_ms: entry.expires_ms,
            };
            (entry.key, remembered)
        };
        let memory: Memory = entries.into_iter().map(lift).collect();
        let memory = call(|plugin| plugin.migrate(from, memory))?;
        let lower = |(key, entry): (String, Remembered)| {
            migration::exports::chat::plugin::migration::Entry {
                key,
                value: entry.value,
                expires_ms: entry.expires_ms,
            }
        };
        Ok(memory.into_iter().map(lower).collect())
    }
}
