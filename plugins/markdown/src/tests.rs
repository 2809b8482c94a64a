//! What the markup shows, and what it costs.

use chat_plugin::{Run, Style};
use proptest::prelude::*;

use crate::address::Schemes;
use crate::layout::{RUNS, TIMES, held};
use crate::{lay_out, native, steps};

/// The runs of `text` as operators run the plugin without settings.
fn runs(text: &str) -> Option<Vec<Run>> {
    lay_out(text, &Schemes::default())
}

fn shown(text: &str) -> String {
    match runs(text) {
        Some(runs) => runs.into_iter().map(|run| run.text).collect(),
        None => text.into(),
    }
}

#[track_caller]
fn shows<const N: usize>(text: &str, expected: [Run; N]) {
    assert_eq!(runs(text), Some(Vec::from(expected)), "{text:?}");
}

#[track_caller]
fn stays(text: &str) {
    assert_eq!(runs(text), None, "{text:?}");
}

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn text_without_markup_stays() {
    for text in [
        "hello",
        "안녕하세요, 바보야!",
        "at 5:30 and 12:30:45",
        "2 * 3 * 4",
        "snake_case_name and _private",
        "1 > 0, a -> b",
        "me@example.org",
        "a[0] = b[1] (x)",
        "~/notes ~5",
        "so: this\nand that",
        r"C:\path",
        r"ok ¯\_(ツ)_/¯",
        "****",
        "a****b****c",
        "``",
        "@",
        "@ home",
        "::",
        ":nosuchemoji:",
    ] {
        stays(text);
    }
}

#[test]
fn emphasis_is_shown() {
    shows("*a*", [Run::text("a").emphasis()]);
    shows("_a b_", [Run::text("a b").emphasis()]);
    shows("**a**", [Run::text("a").strong()]);
    shows("~~a~~", [Run::text("a").strike()]);
    shows("***a***", [Run::text("a").strong().emphasis()]);
    shows(
        "a **b *c* d** e",
        [
            Run::text("a "),
            Run::text("b ").strong(),
            Run::text("c").strong().emphasis(),
            Run::text(" d").strong(),
            Run::text(" e"),
        ],
    );
}

#[test]
fn what_is_not_closed_stays_as_typed() {
    for text in [
        "*a", "**a", "a*", "~~a", "~a~", "`a", "[a](", "[a]", "[a](b", "_a_b", "* a*",
    ] {
        stays(text);
    }
    shows("**a*", [Run::text("*"), Run::text("a").emphasis()]);
    shows("*a**", [Run::text("a").emphasis(), Run::text("*")]);
}

#[test]
fn code_is_shown_as_it_is() {
    shows("`*a*`", [Run::text("*a*").code()]);
    shows(
        "a ``b`c`` d",
        [Run::text("a "), Run::text("b`c").code(), Run::text(" d")],
    );
    shows("`` ` ``", [Run::text("`").code()]);
    shows("*`a*`", [Run::text("*"), Run::text("a*").code()]);
}

#[test]
fn a_fenced_block_is_a_paragraph_of_its_own() {
    shows(
        "see\n```rust\nlet *a* = 1;\n> b\n```\nand *so*",
        [
            Run::text("see\n"),
            Run::text("let *a* = 1;\n> b").code().block(),
            Run::text("\nand "),
            Run::text("so").emphasis(),
        ],
    );
    shows("```\na```", [Run::text("a").code().block()]);
    stays("```\na");
}

#[test]
fn quoted_lines_are_quoted() {
    shows(
        "a\n> b *c*\n>d\ne",
        [
            Run::text("a\n"),
            Run::text("b ").quote(),
            Run::text("c").quote().emphasis(),
            Run::text("\nd").quote(),
            Run::text("\ne"),
        ],
    );
    stays("> ");
    // The newline between two empty quoted lines is theirs.
    shows("a\n>\n>", [Run::text("a\n"), Run::text("\n").quote()]);
}

#[test]
fn links_lead_where_they_say() {
    shows(
        "[a](https://b.example/c_(d))",
        [Run::text("a").link("https://b.example/c_(d)")],
    );
    shows(
        "[**a** b](mailto:c@d.example)",
        [
            Run::text("a").strong().link("mailto:c@d.example"),
            Run::text(" b").link("mailto:c@d.example"),
        ],
    );
    shows(
        "*[a*](http://b.example)",
        [Run::text("*"), Run::text("a*").link("http://b.example")],
    );
}

#[test]
fn links_lead_nowhere_else() {
    for text in [
        "[a](javascript:alert)",
        "[a](//b.example)",
        "[a](https://)",
        "[a](https://b .example)",
        "[](https://b.example)x",
        "[a](data:text/html,b)",
        "[a](https://bank.example@evil.example)",
    ] {
        let leads = runs(text)
            .into_iter()
            .flatten()
            .any(|run| run.text == "a" && run.target != Run::text("").target);
        assert!(!leads, "{text:?} became a link");
    }
    // The text of a link does not pose as another address.
    shows(
        "[https://bank.example](https://evil.example)",
        [
            Run::text("["),
            Run::text("https://bank.example").link("https://bank.example"),
            Run::text("]("),
            Run::text("https://evil.example").link("https://evil.example"),
            Run::text(")"),
        ],
    );
}

#[test]
fn a_bare_address_is_a_link_without_what_ends_its_sentence() {
    let link = |url: &str| Run::text(url).link(url);
    shows(
        "see https://a.example/b?c=d_e.",
        [
            Run::text("see "),
            link("https://a.example/b?c=d_e"),
            Run::text("."),
        ],
    );
    shows(
        "(http://a.example/b_(c))",
        [
            Run::text("("),
            link("http://a.example/b_(c)"),
            Run::text(")"),
        ],
    );
    shows(
        "http://a.example를 보세요",
        [link("http://a.example"), Run::text("를 보세요")],
    );
    shows("https://a.example/위키", [link("https://a.example/위키")]);
    shows("*http://a.example*", [link("http://a.example").emphasis()]);
    shows(
        "mailto:a@b.example!",
        [link("mailto:a@b.example"), Run::text("!")],
    );
    stays("xhttp://a.example");
    stays("http://");
    stays(&format!("http://a.example/{}", "b".repeat(2_048)));
}

#[test]
fn a_name_after_an_at_is_a_mention() {
    shows(
        "hi @ann.",
        [Run::text("hi @"), Run::mention("ann"), Run::text(".")],
    );
    shows(
        "@지수 @b-c_d.e",
        [
            Run::text("@"),
            Run::mention("지수"),
            Run::text(" @"),
            Run::mention("b-c_d.e"),
        ],
    );
    shows("@विक्रम", [Run::text("@"), Run::mention("विक्रम")]);
}

#[test]
fn an_emoji_s_name_is_shown_as_the_emoji() {
    shows(":tada:", [Run::text("🎉")]);
    shows("a :+1::x: b", [Run::text("a 👍❌ b")]);
}

#[test]
fn a_backslash_shows_what_follows_it() {
    shows(r"\*a\*", [Run::text("*a*")]);
    shows(
        r"\[a](https://b.example)",
        [
            Run::text("[a]("),
            Run::text("https://b.example").link("https://b.example"),
            Run::text(")"),
        ],
    );
    shows(
        r"\`*a*`",
        [Run::text("`"), Run::text("a").emphasis(), Run::text("`")],
    );
    stays(r"a\b");
}

#[test]
fn settings_restrict_where_links_lead() {
    let mut plugin = native();
    plugin.start(r#"{"schemes": ["https"]}"#).unwrap();
    let items = ["https://a.example", "http://a.example"].map(chat_plugin::Item::of);
    let answers = plugin.format(&items).unwrap();
    assert_eq!(
        answers,
        [
            Some(vec![
                Run::text("https://a.example").link("https://a.example")
            ]),
            None
        ]
    );
    let error = plugin.start(r#"{"schemes": ["ftp"]}"#).unwrap_err();
    assert!(
        error.contains("unknown variant `ftp`, expected one of `http`, `https`, `mailto`"),
        "{error}"
    );
    assert!(native().start("{}").is_ok());
}

#[test]
fn more_than_the_bound_of_runs_ends_in_plain_text() {
    let text = "*a* b ".repeat(300);
    let runs = runs(&text).unwrap();
    assert_eq!(runs.len(), RUNS);
    let shown: String = runs.iter().map(|run| run.text.as_str()).collect();
    assert_eq!(shown, text.replace('*', ""));
    assert_eq!(runs.last().map(|run| run.style), Some(Style::empty()));
}

/// What a text costs a byte, at most, whatever it is and however long.
const STEPS_A_BYTE: usize = 16;

#[test]
fn no_text_costs_more_than_its_length() {
    let units = [
        "*",
        "**",
        "* ",
        "*a",
        "a*",
        "*a ",
        " a*",
        "_",
        "_a",
        "a_ ",
        "*_",
        "*a_",
        "*_~~",
        "*a**",
        "**a*",
        "***a",
        "a***",
        "~",
        "~~",
        "~~a",
        "a~~ ",
        "~~~",
        "`",
        "``a",
        "`a``",
        "```\n",
        "```a\n",
        "a```\n",
        "``` `\n",
        "> ",
        ">\n",
        "> a\n",
        ">",
        "[",
        "]",
        "[]",
        "[a",
        "[a]",
        "[a](",
        "](",
        "[a](b",
        "[a](http://b",
        "[a](http://b)",
        "](a)",
        "(",
        ")",
        "[(",
        "[](",
        "[a](()",
        "@",
        "@a",
        "@a@",
        "@.",
        "@-.",
        ":",
        ":a",
        "::a",
        ":a:",
        ":+1:",
        "\\",
        "\\*",
        "\\`",
        "http://",
        "http://a",
        "http://a ",
        "http://é",
        "http://é/",
        "http://a@b",
        "http://a.",
        "http://a)",
        "http://a((",
        "https:",
        "mailto:",
        "mailto:a@b",
        "mailto:@",
        "[http://a](http://a)",
        "[*",
        "*]",
        "*[a*](http://b)",
        "[*a*](http://b)",
        "[http://a](",
        "¯\\_(ツ)_/¯",
        "é",
        "바",
        "\n",
        " ",
    ];
    for unit in units {
        for tail in ["", "]", "*", "](http://a)", "```", "\n```", ")"] {
            let mut text = unit.repeat(65_536 / unit.len());
            text.push_str(tail);
            steps::taken();
            runs(&text);
            let steps = steps::taken();
            assert!(
                steps <= STEPS_A_BYTE * text.len(),
                "{unit:?} with {tail:?} takes {steps} steps for {} bytes",
                text.len()
            );
        }
    }
    // Openers that nothing closes, then closers that nothing opened.
    for (opening, closing) in [
        ("[", "]"),
        ("*a", "_ "),
        ("_a ", "a* "),
        ("**a ", "a* "),
        ("`a", "``a"),
        ("[a](", ")"),
        ("[a](http://b", ")"),
        ("[a](http://b(", ")]"),
    ] {
        let text = opening.repeat(16_384) + &closing.repeat(16_384);
        steps::taken();
        runs(&text);
        let steps = steps::taken();
        assert!(
            steps <= STEPS_A_BYTE * text.len(),
            "{opening:?} {closing:?} takes {steps} steps"
        );
    }
}

/// Text with much markup in it, much of it broken.
fn markup() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "*",
        "**",
        "_",
        "~~",
        "`",
        "```",
        "\n",
        "> ",
        ">",
        "[",
        "]",
        "(",
        ")",
        "](",
        "\\",
        "@",
        ":",
        ":+1:",
        "http://",
        "https://a.example",
        "mailto:b@c",
        "a",
        "b1",
        " ",
        "바보",
        "é",
        "👩‍👩‍👧",
        ".",
        "-",
    ]);
    prop::collection::vec(bits, 0..60).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn runs_stay_within_their_bounds(text in markup(), times in 1..40_usize) {
        let text = text.repeat(times);
        if let Some(runs) = runs(&text) {
            prop_assert!(runs.len() <= RUNS);
            prop_assert!(runs.iter().map(held).sum::<usize>() <= TIMES * text.len());
            prop_assert!(runs.iter().all(|run| !run.text.is_empty()));
        }
    }

    #[test]
    fn text_without_markup_is_never_touched(text in "[a-z0-9 ,.!?가-힣é\n'\"/()#+=-]{0,200}") {
        prop_assert_eq!(runs(&text), None);
    }

    #[test]
    fn only_marks_are_lost(text in "[a-z0-9 .가-힣*_~>@\\\\\\[\\]\n]{0,200}") {
        let marks = ['*', '_', '~', '>', '\\', ' '];
        prop_assert_eq!(shown(&text).replace(marks, ""), text.replace(marks, ""));
    }

    #[test]
    fn batches_cannot_be_observed(texts in prop::collection::vec(markup(), 1..12), cut in 0..12_usize) {
        let items: Vec<_> = texts.into_iter().map(chat_plugin::Item::of).collect();
        let cut = cut.min(items.len());
        let start = || {
            let mut plugin = native();
            plugin.start("{}").unwrap();
            plugin
        };
        let whole = start().format(&items).unwrap();
        let mut plugin = start();
        let mut parts = plugin.format(&items[..cut]).unwrap();
        parts.extend(plugin.format(&items[cut..]).unwrap());
        prop_assert_eq!(whole, parts);
    }
}
