//! Blocks: code between fences, quoted lines, and everything else as paragraphs.
//!
//! The newlines around a block belong to its plain neighbours, so that the texts together read as they were typed.

use chat_plugin::Style;

use crate::address::Schemes;
use crate::inline;
use crate::layout::{Layout, Leads};
use crate::steps;

const FENCE: &str = "```";

/// Lays out `text`, block by block.
pub(crate) fn lay_out(text: &str, schemes: &Schemes, layout: &mut Layout) {
    let mut rest = text;
    let mut paragraph = 0;
    let mut may_close = true;
    // `rest` begins with what is not yet laid out: `paragraph` bytes of plain lines, then the line to look at.
    while let Some(line) = rest.get(paragraph..).and_then(first_line) {
        steps::count(line.len());
        let from = rest.get(paragraph..).unwrap_or_default();
        let (block, length) = if line.starts_with('>') {
            quoted(from)
        } else if let Some(fenced) = may_close.then(|| fenced(from, &mut may_close)).flatten() {
            fenced
        } else {
            paragraph += line.len();
            continue;
        };
        let before = rest.get(..paragraph).unwrap_or_default();
        inline::lay_out(before, Style::empty(), schemes, layout);
        match block {
            Block::Quote(text) => inline::lay_out(&text, Style::QUOTE, schemes, layout),
            Block::Code(text) => layout.push(text, Style::CODE | Style::BLOCK, Leads::Nowhere),
        }
        rest = rest.get(paragraph + length..).unwrap_or_default();
        paragraph = 0;
        // The newline that ends the block begins the next paragraph; it must not end it as well.
        if rest.starts_with('\n') {
            paragraph = 1;
        }
    }
    inline::lay_out(rest, Style::empty(), schemes, layout);
}

enum Block<'a> {
    Quote(String),
    Code(&'a str),
}

/// The quoted lines that `text` begins with, without their marks, and the length with them.
fn quoted(text: &str) -> (Block<'_>, usize) {
    let mut quote = String::new();
    let mut length = 0;
    while let Some(line) = text.get(length..).and_then(first_line) {
        let Some(said) = line.strip_prefix('>') else {
            break;
        };
        steps::count(line.len());
        quote.push_str(said.strip_prefix(' ').unwrap_or(said));
        length += line.len();
    }
    // By the text, not by the quote: an empty last line leaves the quote with the newline of the line before it.
    if text
        .get(..length)
        .is_some_and(|lines| lines.ends_with('\n'))
    {
        quote.pop();
        length -= 1;
    }
    (Block::Quote(quote), length)
}

/// The fenced block that `text` begins with, if one does, and its length with the fences. Where nothing closes it,
/// nothing closes a later one either: `may_close` then keeps from looking again.
fn fenced<'a>(text: &'a str, may_close: &mut bool) -> Option<(Block<'a>, usize)> {
    let opening = first_line(text)?;
    let language = opening.strip_prefix(FENCE)?;
    if language.contains('`') || !opening.ends_with('\n') {
        return None;
    }
    let begins = opening.len();
    let mut at = begins;
    while let Some(line) = text.get(at..).and_then(first_line) {
        steps::count(line.len());
        let trimmed = line.trim_end();
        if let Some(last) = trimmed.strip_suffix(FENCE) {
            let code = text.get(begins..at + last.len()).unwrap_or_default();
            let code = code.strip_suffix('\n').unwrap_or(code);
            return Some((Block::Code(code), at + trimmed.len()));
        }
        at += line.len();
    }
    *may_close = false;
    None
}

/// The first line of `text` with its newline; none of nothing.
fn first_line(text: &str) -> Option<&str> {
    text.split_inclusive('\n').next()
}
