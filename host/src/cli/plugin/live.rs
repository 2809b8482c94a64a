//! `chat-host plugin list`, `show` and what changes a running host, over its control socket.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::exit::{Exit, complain};
use super::super::{print, wait};
use super::words::size;
use crate::control::{self, Answer, Request};
use crate::plugin::{Order, ShadowStatus, Status};

/// Which running host.
#[derive(Debug, Args)]
pub(super) struct Host {
    /// The data folder of the running host
    #[arg(long, value_name = "DIR", env = "CHAT_HOST_DATA")]
    data: Option<PathBuf>,
    /// As JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// What `chat-host plugin list` is given.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    host: Host,
}

/// What a command on one plugin is given.
#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The plugin
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    host: Host,
}

pub(super) fn list(args: &ListArgs) -> ExitCode {
    let statuses = match ask(&args.host, Order::List) {
        Ok(statuses) => statuses,
        Err(code) => return code,
    };
    if args.host.json {
        return json(&statuses);
    }
    print(&table(&statuses))
}

pub(super) fn show(args: &NamedArgs) -> ExitCode {
    let statuses = match ask(&args.host, Order::List) {
        Ok(statuses) => statuses,
        Err(code) => return code,
    };
    one(args, &statuses)
}

/// Gives an order about one plugin, and shows how it then does.
pub(super) fn order(args: &NamedArgs, order: fn(String) -> Order) -> ExitCode {
    let statuses = match ask(&args.host, order(args.name.clone())) {
        Ok(statuses) => statuses,
        Err(code) => return code,
    };
    one(args, &statuses)
}

fn one(args: &NamedArgs, statuses: &[Status]) -> ExitCode {
    let Some(status) = statuses.iter().find(|status| status.name == args.name) else {
        let names: Vec<&str> = statuses.iter().map(|status| &*status.name).collect();
        complain(&format!(
            "there is no plugin `{}`; there are: {}",
            args.name,
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        ));
        return Exit::Refused.into();
    };
    if args.host.json {
        return json(status);
    }
    print(&shown(status))
}

fn json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string(value) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => {
            complain(&error.to_string());
            Exit::Failure.into()
        }
    }
}

impl Host {
    /// Its data folder.
    pub(super) fn data(&self) -> Result<PathBuf, ExitCode> {
        let home = || crate::config::variables::Variables::of_process().data_home();
        self.data.clone().or_else(home).ok_or_else(|| {
            complain("there is no home folder to find the data in; name it with --data");
            Exit::Usage.into()
        })
    }
}

/// No host answers there.
pub(super) fn nobody(data: &Path) -> String {
    format!(
        "no host runs on {}; name its data folder with --data (one with --memory has none)",
        data.display()
    )
}

fn ask(host: &Host, order: Order) -> Result<Vec<Status>, ExitCode> {
    let data = host.data()?;
    let mut statuses = Vec::new();
    let code = wait(async {
        let (exit, words) = match control::ask(&data, &Request::Plugins(order)).await {
            Ok(Some(Answer::Plugins(found))) => {
                statuses = found;
                return Exit::Done.into();
            }
            Ok(Some(Answer::Failed(reason))) => (Exit::Refused, reason),
            Ok(Some(_)) => (Exit::Failure, "the server answered something else".into()),
            Ok(None) => (Exit::Unreachable, nobody(&data)),
            Err(error) => (Exit::Failure, format!("{error:#}")),
        };
        complain(&words);
        exit.into()
    });
    if code == ExitCode::from(Exit::Done) {
        Ok(statuses)
    } else {
        Err(code)
    }
}

fn table(statuses: &[Status]) -> String {
    if statuses.is_empty() {
        return "no plugin is in the folder\n".into();
    }
    let head = [
        "NAME", "VERSION", "STATE", "ROLES", "GRANTS", "ORDER", "MESSAGES", "FAILURES", "P50",
        "P99", "MEMORY",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(statuses.iter().map(|status| {
        [
            status.name.clone(),
            dash(&status.version),
            status.state.clone(),
            dash(&status.roles.join(",")),
            dash(&status.grants.join(", ")),
            status.priority.to_string(),
            status.messages.to_string(),
            status.failures.to_string(),
            micros(status.p50_us),
            micros(status.p99_us),
            if status.memory_bytes == 0 {
                "–".into()
            } else {
                size(status.memory_bytes)
            },
        ]
    }));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for status in statuses {
        for words in [&status.refused, &status.quarantine] {
            if !words.is_empty() {
                text.push_str(&format!("{}: {words}\n", status.name));
            }
        }
        if let Some(shadow) = &status.shadow {
            let name = &status.name;
            let words = compared(shadow);
            text.push_str(&format!(
                "{name}: in the shadow, {words}; see chat-host plugin show {name}\n"
            ));
        }
    }
    text
}

fn shown(status: &Status) -> String {
    let mut text = format!("{} {}\n", status.name, dash(&status.version));
    let mut row = |name: &str, words: String| text.push_str(&format!("  {name:<10} {words}\n"));
    row("state", status.state.clone());
    if !status.refused.is_empty() {
        row("refused", status.refused.clone());
    }
    if !status.quarantine.is_empty() {
        row("quarantine", status.quarantine.clone());
    }
    row("roles", dash(&status.roles.join(", ")));
    row("grants", dash(&status.grants.join(", ")));
    let [asked, answered, refused] = status.requests;
    if !status.grants.is_empty() {
        row(
            "requests",
            format!("{asked}, {answered} answered; {refused} refused"),
        );
    }
    row(
        "rooms",
        match status.rooms.is_empty() {
            true => "all".into(),
            false => status.rooms.join(", "),
        },
    );
    row("order", status.priority.to_string());
    row(
        "messages",
        format!("{}, {} failures", status.messages, status.failures),
    );
    row(
        "a call",
        format!(
            "p50 {}, p99 {}",
            micros(status.p50_us),
            micros(status.p99_us)
        ),
    );
    row("memory", size(status.memory_bytes));
    row("kept", dash(&status.kept.join(", ")));
    if let Some(shadow) = &status.shadow {
        row("shadow", compared(shadow));
        text.push_str(&examples(shadow));
    }
    text
}

/// `0.2.0 would have answered 3 of 120 otherwise`.
fn compared(shadow: &ShadowStatus) -> String {
    let mut words = format!(
        "{} would have answered {} of {} otherwise",
        shadow.version, shadow.otherwise, shadow.compared
    );
    if shadow.failures > 0 {
        words.push_str(&format!(", {} failures", shadow.failures));
    }
    if !shadow.quarantine.is_empty() {
        words.push_str(&format!("; in quarantine: {}", shadow.quarantine));
    }
    words
}

fn examples(shadow: &ShadowStatus) -> String {
    let mut text = format!(
        "             a call: p50 {}, p99 {}\n",
        micros(shadow.p50_us),
        micros(shadow.p99_us)
    );
    for example in &shadow.examples {
        text.push_str(&format!(
            "\n  {} in `{}`: {:?}\n    in force   {}\n    shadow     {}\n",
            example.role, example.room, example.text, example.in_force, example.shadow
        ));
    }
    text
}

fn dash(text: &str) -> String {
    if text.is_empty() { "–" } else { text }.to_owned()
}

fn micros(micros: u64) -> String {
    if micros == 0 {
        return "–".into();
    }
    super::words::time(std::time::Duration::from_micros(micros))
}
