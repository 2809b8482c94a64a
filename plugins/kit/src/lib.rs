//! Golden cases: a file says what a plugin is given and what it must answer, and this runs it.
//!
//! The same file serves the plugin in an ordinary `#[test]`, without a sandbox, and the component built from it: what runs
//! is a [`Subject`]. Each case is played under every [`cut`] into batches, on a host in memory ([`World`]) whose clock
//! stands still; all of them must answer as the file says, so a plugin that can tell batches apart does not pass. The
//! format is described in `plugins/README.md`.
//!
//! ```no_run
//! # mod my_plugin { pub fn native() -> Box<dyn chat_plugin::native::NativePlugin> { unimplemented!() } }
//! // In a `#[test]`:
//! chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", my_plugin::native);
//! ```

// Plugins build for the sandbox, and their cases run beside it.
#![cfg(not(target_family = "wasm"))]

mod answer;
mod case;
mod contract;
mod cut;
mod file;
mod play;
mod report;
mod span;
mod subject;
#[cfg(test)]
mod tests;
mod world;

use std::path::Path;

use chat_plugin::native::NativePlugin;

pub use case::CaseFile;
pub use file::FileError;
pub use report::{Failed, Report};
pub use subject::{Native, Subject};
pub use world::World;

/// Runs the cases of `file` in `folder` over the plugin, for a `#[test]`.
///
/// # Panics
/// Where the file can't be used or a case fails, with the whole report.
#[track_caller]
#[allow(clippy::panic, reason = "a test fails by panicking")]
pub fn check(folder: &str, file: &str, native: fn() -> Box<dyn NativePlugin>) {
    let path = Path::new(folder).join(file);
    match CaseFile::read(&path) {
        Err(error) => panic!("{error}"),
        Ok(cases) => {
            let report = run(&cases, &Native(native));
            assert!(report.failed.is_empty(), "{file}: {report}");
        }
    }
}

/// Runs every case, under every cut.
#[must_use]
pub fn run(cases: &CaseFile, subject: &dyn Subject) -> Report {
    let mut report = Report::default();
    for case in &cases.cases {
        match report::judge(case, subject) {
            failed if failed.is_empty() => report.passed += 1,
            failed => report.failed.push(Failed {
                case: case.name.clone(),
                line: case.line,
                why: failed,
            }),
        }
    }
    report
}
