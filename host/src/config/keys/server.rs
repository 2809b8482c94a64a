//! The keys of the server as a whole.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Key, set};
use crate::config::rule::{NONE, Rule, parse_names, parse_retain, show_retain};
use crate::config::{LogFormat, units};

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        placeholder: "ADDR",
        help: "Where clients connect; port 0 takes a free one",
        rule: Rule::Address,
        put: |c, text| set(&mut c.listen, text),
        get: |c| c.listen.to_string().into(),
    },
    Key {
        name: "plugins",
        placeholder: "DIR",
        help: "Where plugins are dropped in; without it there are none",
        rule: Rule::OptionalFolder,
        put: |c, text| {
            c.plugins = (text != NONE).then(|| PathBuf::from(text));
            Some(())
        },
        get: |c| {
            c.plugins
                .as_ref()
                .map_or_else(|| NONE.into(), |dir| dir.display().to_string().into())
        },
    },
    Key {
        name: "require",
        placeholder: "NAME",
        help: "Plugins without which the server does not start",
        rule: Rule::Names,
        put: |c, text| {
            c.require = parse_names(text)?;
            Some(())
        },
        get: |c| Value::from(c.require.clone()),
    },
    Key {
        name: "data",
        placeholder: "DIR",
        help: "Where the journal and the store live",
        rule: Rule::Folder,
        put: |c, text| set(&mut c.data, text),
        get: |c| c.data.display().to_string().into(),
    },
    Key {
        name: "memory",
        placeholder: "BOOL",
        help: "Keeps everything in memory instead: it is gone when the server stops",
        rule: Rule::Switch,
        put: |c, text| set(&mut c.memory, text),
        get: |c| c.memory.into(),
    },
    Key {
        name: "retain",
        placeholder: "AGE,SIZE",
        help: "How long and how much of the chat is kept",
        rule: Rule::Retain,
        put: |c, text| {
            c.retain = parse_retain(text)?;
            Some(())
        },
        get: |c| show_retain(c.retain).into(),
    },
    Key {
        name: "partitions",
        placeholder: "N",
        help: "Partitions of a new data folder; an existing one keeps its own",
        rule: Rule::Number(1, 64),
        put: |c, text| set(&mut c.partitions, text),
        get: |c| c.partitions.into(),
    },
    Key {
        name: "drain",
        placeholder: "TIME",
        help: "How long a stop may take before it is cut short",
        rule: Rule::Time(Duration::ZERO, Duration::from_secs(3600)),
        put: |c, text| {
            c.drain = units::parse_duration(text)?;
            Some(())
        },
        get: |c| units::show_duration(c.drain).into(),
    },
    Key {
        name: "log",
        placeholder: "FORMAT",
        help: "How log lines look, on stderr",
        rule: Rule::OneOf(&["human", "json"]),
        put: |c, text| {
            c.log = if text == "json" {
                LogFormat::Json
            } else {
                LogFormat::Human
            };
            Some(())
        },
        get: |c| {
            match c.log {
                LogFormat::Human => "human",
                LogFormat::Json => "json",
            }
            .into()
        },
    },
    Key {
        name: "log_level",
        placeholder: "LEVEL",
        help: "Which log lines are written; RUST_LOG is read too",
        rule: Rule::Level,
        put: |c, text| set(&mut c.log_level, text),
        get: |c| c.log_level.clone().into(),
    },
    Key {
        name: "metrics",
        placeholder: "ADDR",
        help: "Where /metrics, /healthz and /readyz are served",
        rule: Rule::OptionalAddress,
        put: |c, text| {
            c.metrics = if text == NONE {
                None
            } else {
                Some(text.parse().ok()?)
            };
            Some(())
        },
        get: |c| {
            c.metrics
                .map_or_else(|| NONE.into(), |addr| addr.to_string().into())
        },
    },
];
