//! The runs as they are collected: neighbours of one look are one run, and the bounds of the interface hold.

use chat_plugin::{Run, Style, Target};

/// The interface's bound on runs.
pub(crate) const RUNS: usize = 256;
/// The interface's bound on what they hold, in times the message limit; a message may be that long at most.
pub(crate) const TIMES: usize = 4;

/// Where a piece of text leads. An address is borrowed until its run is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads<'a> {
    Nowhere,
    To(&'a str),
    Mention,
}

#[derive(Debug, Default)]
pub(crate) struct Layout {
    runs: Vec<Run>,
}

impl Layout {
    /// Adds text with one look. The first 255 runs keep their looks; what is more is plain text in the last one.
    pub(crate) fn push(&mut self, text: &str, style: Style, leads: Leads<'_>) {
        if text.is_empty() {
            return;
        }
        let full = self.runs.len() == RUNS;
        if let Some(last) = self.runs.last_mut()
            && (full || (last.style == style && same(&last.target, leads)))
        {
            last.text.push_str(text);
            return;
        }
        let run = Run::text(text);
        self.runs.push(match leads {
            _ if self.runs.len() + 1 == RUNS => run,
            Leads::Nowhere => run.styled(style),
            Leads::To(url) => run.styled(style).link(url),
            Leads::Mention => Run::mention(text).styled(style),
        });
    }

    /// The runs, unless they show `text` as it is, show nothing, or hold too much.
    pub(crate) fn finish(self, text: &str) -> Option<Vec<Run>> {
        if let [run] = self.runs.as_slice()
            && *run == Run::text(text)
        {
            return None;
        }
        let blank = self.runs.iter().all(|run| run.text.trim().is_empty());
        let bytes: usize = self.runs.iter().map(held).sum();
        (!blank && bytes <= TIMES * text.len()).then_some(self.runs)
    }
}

/// What a run counts against the bound.
pub(crate) fn held(run: &Run) -> usize {
    match &run.target {
        Target::Url(url) => run.text.len() + url.len(),
        Target::None | Target::Mention => run.text.len(),
    }
}

fn same(target: &Target, leads: Leads<'_>) -> bool {
    match (target, leads) {
        (Target::None, Leads::Nowhere) => true,
        (Target::Url(url), Leads::To(other)) => url == other,
        // Two names side by side are two people.
        _ => false,
    }
}
