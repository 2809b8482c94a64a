//! `chat-host backup`: a consistent copy of a data folder, also of one that a host is running on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::{Exit, complain};
use crate::control::{self, Answer, Request};
use crate::journal::embedded::EmbeddedJournal;

/// What `chat-host backup` is given.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The data folder to copy
    #[arg(long, value_name = "DIR", env = "CHAT_HOST_DATA")]
    data: Option<PathBuf>,
    /// The folder to make; it must not exist. Serve from it with --data
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// Copies, and tells how much.
pub async fn run(args: BackupArgs) -> ExitCode {
    let Some(data) = args
        .data
        .or_else(|| crate::config::variables::Variables::of_process().data_home())
    else {
        complain("there is no home folder to find the data in; name it with --data");
        return Exit::Usage.into();
    };
    match copy(data, args.to.clone()).await {
        Ok(Answer::BackedUp { records, bytes }) => super::print(&format!(
            "{records} records ({bytes} bytes) copied to {}\n",
            args.to.display()
        )),
        Ok(Answer::Failed(reason)) => {
            complain(&reason);
            Exit::Failure.into()
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            Exit::Failure.into()
        }
    }
}

async fn copy(data: PathBuf, to: PathBuf) -> anyhow::Result<Answer> {
    // The host has a working directory of its own.
    let to = std::path::absolute(to)?;
    if !data.join("journal").is_dir() {
        anyhow::bail!(
            "{} is no data folder of chat-host; name one with --data",
            data.display()
        );
    }
    if let Some(answer) = control::ask(&data, &Request::Backup { to: to.clone() }).await? {
        return Ok(answer);
    }
    tokio::task::spawn_blocking(move || {
        let journal = EmbeddedJournal::open(&data.join("journal"), 1)?;
        Ok(control::backup(&journal, &to))
    })
    .await?
}
