//! `chat-host plugin logs`: what plugins of a running host say, and what happens to them.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::super::exit::{Exit, complain};
use super::super::{print, wait};
use super::live::{Host, nobody};
use crate::client::clock::{Clock, rfc3339};
use crate::control::{self, Answer, Request};
use crate::telemetry::diary::Line;

/// How often new lines are asked for.
const ASK: Duration = Duration::from_millis(250);

/// What `chat-host plugin logs` is given.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The plugin; without it all
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Go on with new lines, until Ctrl+C or the host ends
    #[arg(short, long)]
    follow: bool,
    /// The newest so many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(0..=1000))]
    lines: u16,
    #[command(flatten)]
    host: Host,
}

pub(super) fn run(args: &LogsArgs) -> ExitCode {
    let data = match args.host.data() {
        Ok(data) => data,
        Err(code) => return code,
    };
    wait(tell(args, &data))
}

async fn tell(args: &LogsArgs, data: &Path) -> ExitCode {
    let (mut after, mut limit) = (0, usize::from(args.lines));
    let clock = Clock::local().dated();
    let mut told = false;
    loop {
        let (lines, last) = match ask(args, data, after, limit).await {
            Ok(found) => found,
            // It told what there was.
            Err((Exit::Unreachable, _)) if told => return Exit::Done.into(),
            Err((exit, words)) => {
                complain(&words);
                return exit.into();
            }
        };
        if let Some(name) = args
            .name
            .as_ref()
            .filter(|_| lines.is_empty() && !args.follow)
        {
            complain(&format!("the log has nothing about a plugin `{name}`"));
            return Exit::Refused.into();
        }
        let text: String = lines
            .iter()
            .map(|line| written(line, &clock, args.host.json))
            .collect();
        let code = print(&text);
        if !args.follow || code != Exit::Done.into() {
            return code;
        }
        (after, told) = (last, true);
        limit = usize::MAX;
        tokio::time::sleep(ASK).await;
    }
}

async fn ask(
    args: &LogsArgs,
    data: &Path,
    after: u64,
    limit: usize,
) -> Result<(Vec<Line>, u64), (Exit, String)> {
    let request = Request::Logs {
        plugin: args.name.clone(),
        after,
        limit,
    };
    match control::ask(data, &request).await {
        Ok(Some(Answer::Logs { lines, last })) => Ok((lines, last)),
        Ok(Some(Answer::Failed(reason))) => Err((Exit::Refused, reason)),
        Ok(Some(_)) => Err((
            Exit::Failure,
            "the server answered something else; is it of another version?".into(),
        )),
        Ok(None) => Err((Exit::Unreachable, nobody(data))),
        Err(error) => Err((
            Exit::Failure,
            format!("the server does not answer: {error}"),
        )),
    }
}

fn written(line: &Line, clock: &Clock, json: bool) -> String {
    if json {
        let mut object = serde_json::to_value(line).unwrap_or_default();
        if let Some(object) = object.as_object_mut() {
            object.insert("time".into(), rfc3339(line.time_ms).into());
        }
        return format!("{object}\n");
    }
    let time = clock.seconds(line.time_ms);
    let level = line.level.to_uppercase();
    format!("{time} {level:<5} {}: {}\n", line.plugin, line.text)
}
