//! `cargo xtask`: from a fresh clone to a running chat, and to every check, with one command each.
//!
//! Nothing here knows how chatting works. It knows the workspace's layout, cargo, and where tools come from.

mod args;
mod build;
mod components;
mod lint;
mod manifest;
mod process;
mod serve;
mod tally;
mod test;
mod tools;
mod wasip2;
mod workspace;

use std::process::ExitCode;

use args::Task;
use workspace::Workspace;

fn main() -> ExitCode {
    let task = match args::parse(std::env::args_os().skip(1)) {
        Ok(task) => task,
        Err(wrong) => {
            eprintln!("error: {wrong:#}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match perform(task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Help => println!("{}", args::USAGE),
        Task::Setup => build::set_up(&workspace)?,
        Task::Build => build::build(&workspace)?,
        Task::Serve { server_args } => serve::serve(&workspace, &server_args)?,
        Task::Test(selection) => return Ok(test::test(&workspace, &selection)),
        Task::Lint => lint::lint(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}
