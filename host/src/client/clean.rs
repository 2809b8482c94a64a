//! Text of others, made safe for a terminal.
//!
//! What somebody writes must never move the cursor, change a colour, ring, set a title or turn the reading direction
//! of what stands beside it. Line breaks stay; a tab becomes spaces; other control characters become `�`; marks that
//! override or embed a direction are left out, since no terminal isolates them.

/// `text` without anything that a terminal would act on. Keeps line breaks.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => {}
            c if c.is_control() => out.push('\u{fffd}'),
            // Line and paragraph separator: a break that the layout would not see.
            '\u{2028}' | '\u{2029}' => out.push(' '),
            c if turns(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Like [`clean`], on one line: a line break is shown as `⏎`.
#[must_use]
pub fn clean_line(text: &str) -> String {
    clean(text.trim_end_matches('\n')).replace('\n', " ⏎ ")
}

/// What a person at a keyboard means to send: no control characters but newline and tab, no blank end.
#[must_use]
pub fn sendable(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text
        .chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect();
    text.trim_end().trim_start_matches('\n').to_owned()
}

/// Marks that override, embed or isolate a direction, and interlinear annotations.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_others_are_shown_and_not_acted_on() {
        assert_eq!(clean("\u{1b}[2J\u{7}ha\u{9b}31m"), "�[2J�ha�31m");
        assert_eq!(clean("a\r\nb\tc"), "a\nb    c");
    }

    #[test]
    fn a_direction_can_not_be_turned() {
        assert_eq!(
            clean("pay \u{202e}ecila\u{202c} \u{2066}x\u{2069}"),
            "pay ecila x"
        );
        // Right-to-left text itself stays as it is.
        assert_eq!(clean("שלום"), "שלום");
    }

    #[test]
    fn a_message_can_not_pretend_to_be_two() {
        assert_eq!(
            clean_line("hi\n✓ [00:00:00] You: pay\n"),
            "hi ⏎ ✓ [00:00:00] You: pay"
        );
    }

    #[test]
    fn korean_emoji_and_joiners_stay() {
        let text = "안녕 👨‍👩‍👧‍👦 é";
        assert_eq!(clean(text), text);
    }

    #[test]
    fn what_is_sent_has_only_newlines_and_tabs() {
        assert_eq!(sendable("a\r\nb\u{1b}\tc  \n"), "a\nb\tc");
        assert_eq!(sendable("  \n "), "");
    }
}
