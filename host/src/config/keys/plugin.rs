//! The keys `[plugin]`: how plugins are run, unless their own table says otherwise.

use super::{Key, set};
use crate::config::rule::Rule;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "plugin.running_ms",
        placeholder: "N",
        help: "Milliseconds of computing a plugin has for one message",
        rule: Rule::Number(1, 60_000),
        put: |c, text| set(&mut c.plugin.running_ms, text),
        get: |c| c.plugin.running_ms.into(),
    },
    Key {
        name: "plugin.wall_ms",
        placeholder: "N",
        help: "Milliseconds on the clock around the call",
        rule: Rule::Number(1, 60_000),
        put: |c, text| set(&mut c.plugin.wall_ms, text),
        get: |c| c.plugin.wall_ms.into(),
    },
    Key {
        name: "plugin.start_ms",
        placeholder: "N",
        help: "Milliseconds a plugin has to describe itself and to start",
        rule: Rule::Number(1, 60_000),
        put: |c, text| set(&mut c.plugin.start_ms, text),
        get: |c| c.plugin.start_ms.into(),
    },
    Key {
        name: "plugin.memory_bytes",
        placeholder: "BYTES",
        help: "Memory of one instance of a plugin",
        rule: Rule::Bytes(1 << 20, 4 << 30),
        put: |c, text| set(&mut c.plugin.memory_bytes, text),
        get: |c| c.plugin.memory_bytes.into(),
    },
    Key {
        name: "plugin.batch",
        placeholder: "N",
        help: "The most messages in one batch",
        rule: Rule::Number(1, 1_024),
        put: |c, text| set(&mut c.plugin.batch, text),
        get: |c| c.plugin.batch.into(),
    },
    Key {
        name: "plugin.quarantine_failures",
        placeholder: "N",
        help: "Failures that put a plugin into quarantine; 0: none do",
        rule: Rule::Number(0, 1_000),
        put: |c, text| set(&mut c.plugin.quarantine_failures, text),
        get: |c| c.plugin.quarantine_failures.into(),
    },
    Key {
        name: "plugin.quarantine_seconds",
        placeholder: "N",
        help: "Seconds within which so many failures do",
        rule: Rule::Number(1, 86_400),
        put: |c, text| set(&mut c.plugin.quarantine_seconds, text),
        get: |c| c.plugin.quarantine_seconds.into(),
    },
    Key {
        name: "plugin.quarantine_percent",
        placeholder: "N",
        help: "Percent of a partition's time that put a plugin into quarantine if it takes more for 2 s; 0: none do",
        rule: Rule::Number(0, 100),
        put: |c, text| set(&mut c.plugin.quarantine_percent, text),
        get: |c| c.plugin.quarantine_percent.into(),
    },
];
