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
    /// One sentence.
    pub help: &'static str,
    /// What it may be.
    pub rule: Rule,
    /// Puts a value in its canonical form where it belongs.
    pub put: fn(&mut PluginConfig, &str) -> Option<()>,
}

/// Every key of `[plugins.NAME]` but `settings`.
pub const SINGLE: &[SingleKey] = &[
    SingleKey {
        name: "on-failure",
        help: "What its failure means for a message; without it `withhold` where it judges, `allow` elsewhere",
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
        help: "Its place within a role, the smallest first; without it the plugin's own",
        rule: Rule::Number(-1_000_000, 1_000_000),
        put: |p, text| set(p.priority.get_or_insert_default(), text),
    },
    SingleKey {
        name: "running-ms",
        help: "As `running_ms` in [plugin], for it alone",
        rule: Rule::Number(1, 60_000),
        put: |p, text| set(p.running_ms.get_or_insert_default(), text),
    },
    SingleKey {
        name: "wall-ms",
        help: "As `wall_ms` in [plugin], for it alone",
        rule: Rule::Number(1, 60_000),
        put: |p, text| set(p.wall_ms.get_or_insert_default(), text),
    },
    SingleKey {
        name: "memory-bytes",
        help: "As `memory_bytes` in [plugin], for it alone",
        rule: Rule::Bytes(1 << 20, 4 << 30),
        put: |p, text| set(p.memory_bytes.get_or_insert_default(), text),
    },
    SingleKey {
        name: "http",
        help: "The hosts that it may reach over HTTP; without it, one that imports `wasi:http` does not load",
        rule: Rule::Hosts,
        put: |p, text| {
            let hosts = text.split(',').filter(|host| !host.is_empty());
            p.http = Some(hosts.map(|host| host.parse().ok()).collect::<Option<_>>()?);
            Some(())
        },
    },
    SingleKey {
        name: "quarantine-percent",
        help: "As `quarantine_percent` in [plugin], for it alone",
        rule: Rule::Number(0, 100),
        put: |p, text| set(p.quarantine_percent.get_or_insert_default(), text),
    },
    SingleKey {
        name: "enabled",
        help: "Whether it is loaded; without it true",
        rule: Rule::Switch,
        put: |p, text| set(p.enabled.get_or_insert_default(), text),
    },
    SingleKey {
        name: "rooms",
        help: "Rooms in which it applies, by name: `*` stands for any letters, `?` for one, and `!` before a pattern takes rooms out; without it all rooms",
        rule: Rule::Rooms,
        put: |p, text| {
            p.rooms = text.split(',').map(str::to_owned).collect();
            Some(())
        },
    },
    SingleKey {
        name: "shadow",
        help: "Runs it beside the version that serves: what it decides is compared, and discarded",
        rule: Rule::Switch,
        put: |p, text| set(&mut p.shadow, text),
    },
    SingleKey {
        name: "may-lose-roles",
        help: "Lets a version replace one that has roles which it lacks",
        rule: Rule::Switch,
        put: |p, text| set(&mut p.may_lose_roles, text),
    },
];
