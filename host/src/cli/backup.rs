//! `chat-host backup`: a consistent copy of a data folder, also of one that a host is running on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
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
        Ok(_) => {
            complain("the server answered something else; is it of another version?");
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
    must_be_data(&data)?;
    if let Some(answer) = control::ask(&data, &Request::Backup { to: to.clone() }).await? {
        return Ok(answer);
    }
    tokio::task::spawn_blocking(move || {
        let journal = EmbeddedJournal::open(&data.join("journal"), 1)?;
        Ok(control::backup(&journal, &to))
    })
    .await?
}

/// Looks before anything is opened, for that would make what is missing.
fn must_be_data(data: &Path) -> anyhow::Result<()> {
    let here = data.display();
    let judged = std::fs::metadata(data).and_then(|found| {
        let journal = found
            .is_dir()
            .then(|| std::fs::metadata(data.join("journal")));
        journal.transpose()
    });
    match judged {
        Ok(Some(journal)) if journal.is_dir() => Ok(()),
        Ok(None) => anyhow::bail!("{here} is not a folder; name the data folder with --data"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => anyhow::bail!(
            "{here} can't be read: {error}; run this as the user that the server runs as"
        ),
        Ok(Some(_)) => anyhow::bail!("{here} is no data folder of chat-host; name one with --data"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            anyhow::bail!("{here} is no data folder of chat-host; name one with --data")
        }
        Err(error) => anyhow::bail!("{here} can't be read: {error}"),
    }
}
