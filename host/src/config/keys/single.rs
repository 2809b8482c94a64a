//! The keys of one plugin's table, `[plugins.NAME]`. Only a file has them; `settings` beside them is the plugin's own.

use super::set;
use crate::config::PluginConfig;
use crate::config::rule::Rule;
use crate::plugin::Policy;

/// One setting of a single plugin.
#[derive(Debug)]
pub struct SingleKey {
    /// As in the file.
    pub name: &'static str,
    /// What it may be.
    pub rule: Rule,
    /// Puts a value in its canonical form where it belongs.
    pub put: fn(&mut PluginConfig, &str) -> Option<()>,
}

/// Every key of `[plugins.NAME]` but `settings`.
pub const SINGLE: &[SingleKey] = &[
    SingleKey {
        name: "on-failure",
        rule: Rule::OneOf(&["allow", "withhold"]),
        put: |p, text| {
            p.on_failure = Some(if text == "withhold" {
                Policy::Withhold
            } else {
                Policy::Allow
            });
            Some(())
        },
    },
    SingleKey {
        name: "priority",
        rule: Rule::Number(-1_000_000, 1_000_000),
        put: |p, text| set(p.priority.get_or_insert_default(), text),
    },
    SingleKey {
        name: "running-ms",
        rule: Rule::Number(1, 60_000),
        put: |p, text| set(p.running_ms.get_or_insert_default(), text),
    },
    SingleKey {
        name: "wall-ms",
        rule: Rule::Number(1, 60_000),
        put: |p, text| set(p.wall_ms.get_or_insert_default(), text),
    },
    SingleKey {
        name: "memory-bytes",
        rule: Rule::Bytes(1 << 20, 4 << 30),
        put: |p, text| set(p.memory_bytes.get_or_insert_default(), text),
    },
    SingleKey {
        name: "may-lose-roles",
        rule: Rule::Switch,
        put: |p, text| set(&mut p.may_lose_roles, text),
    },
];
