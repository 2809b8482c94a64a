//! What the list finds, and what it leaves alone.

use chat_plugin::native::NativePlugin;
use chat_plugin::{Message, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::glance::Glance;
use crate::list::List;
use crate::native;
use crate::reading::Reading;
use crate::settings::Settings;

/// The plugin with these settings.
fn started(settings: &Value) -> Box<dyn NativePlugin> {
    let mut plugin = native();
    plugin.start(&settings.to_string()).expect("good settings");
    plugin
}

fn refused(settings: &Value) -> String {
    native()
        .start(&settings.to_string())
        .expect_err("bad settings")
}

fn verdict(settings: &Value, text: &str) -> Verdict {
    let mut plugin = started(settings);
    let mut verdicts = plugin.moderate(&[Message::of(text)]).expect("no failure");
    verdicts.pop().expect("one verdict a message")
}

/// What becomes of `text` where `word` is masked.
fn masked(word: &str, text: &str) -> String {
    match verdict(&json!({"entries": [{"text": word}]}), text) {
        Verdict::Allow => text.into(),
        Verdict::Revise(text) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn masks(word: &str, text: &str, expected: &str) {
    assert_eq!(masked(word, text), expected, "{word:?} in {text:?}");
}

#[track_caller]
fn leaves(word: &str, text: &str) {
    masks(word, text, text);
}

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn an_empty_list_allows_all() {
    assert_eq!(verdict(&json!({}), "hello"), Verdict::Allow);
}

#[test]
fn words_are_found_as_people_read_them() {
    masks("hello", "say Hello.", "say *****.");
    masks("hello", "ＨＥＬＬＯ!", "*****!");
    masks("hello", "h\u{e9}ll\u{f6}", "*****");
    masks("hello", "he\u{301}llo\u{308} you", "***** you");
    masks("hello", "h3ll0 w0rld", "***** w0rld");
    masks("hello", "he11o", "*****");
    masks("kill", "k1ll", "****");
    masks("hello", "heeeello", "********");
    masks("hello", "h.e.l.l.o", "*********");
    masks("hello", "oh h e l l o there", "oh * * * * * there");
    masks("hello", "he\u{200b}l\u{ad}lo", "*******");
    masks("hello", "he.llo, h-3-l-l-0", "******, *********");
    masks("H\u{c9}LLO", "hello", "*****");
    masks("ass", "a$$", "***");
}

#[test]
fn parts_of_words_are_no_words() {
    leaves("ass", "class, assess; as so");
    leaves("god", "good gods");
    leaves("ass", "as");
    leaves("hello", "helo");
    leaves("so", "50 of 50");
    leaves("bad", "ba dd b ad");
    leaves("hello", "hell, o");
    masks("1488", "in 1488.", "in ****.");
    leaves("hi", "h i");
}

#[test]
fn parts_of_words_are_found_where_asked() {
    let settings = json!({"entries": [{"text": "spam", "whole_word": false}]});
    let expected = Verdict::revise("anti*****ing");
    assert_eq!(verdict(&settings, "antispamming"), expected);
    assert_eq!(verdict(&settings, "spaam"), Verdict::Allow);
}

#[test]
fn stretched_and_doubled_letters_are_told_apart() {
    masks("god", "goood", "*****");
    masks("good", "goood", "*****");
    leaves("good", "god");
    masks("bad", "bad.dog", "***.dog");
}

#[test]
fn phrases_are_found_over_any_gap() {
    masks("buy now", "Buy   NOW!", "***   ***!");
    masks("buy now", "buy, now", "**** ***");
    masks("buy now", "b.u.y n.o.w", "***** *****");
    leaves("buy now", "buy it now");
}

#[test]
fn korean_words_are_found() {
    masks("바보", "바보", "**");
    masks("바보", "이 바보야!", "이 **야!");
    masks("바보", "바보들에게 바보ㅋㅋ", "**들에게 **ㅋㅋ");
    masks("바보", "바.보", "***");
    masks("바보", "\u{1107}\u{1161}\u{1107}\u{1169}", "**");
    masks("바보", "ㅂㅏㅂㅗ", "****");
    masks("바보", "바보보보", "****");
    masks("시발", "ㅅㅣㅂㅏㄹ", "*****");
    masks("ㅅㅂ", "ㅋㅋㅅㅂ", "ㅋㅋ**");
    masks("spam", "spam을", "****을");
    leaves("바보", "바보상자");
    leaves("바보", "밥보 바봄 개바보");
    let inside = json!({"entries": [{"text": "바보", "whole_word": false}]});
    assert_eq!(verdict(&inside, "개바보상자"), Verdict::revise("개**상자"));
}

#[test]
fn words_are_found_where_no_spaces_are_written() {
    masks("馬鹿", "お前は馬鹿だ", "お前は**だ");
    leaves("ばか", "はか");
    masks("バカ", "ﾊﾞｶ", "***".get(..2).unwrap());
}

#[test]
fn the_harshest_action_counts_and_of_reasons_the_first_listed() {
    let settings = json!({"entries": [
        {"text": "darn"},
        {"text": "buy now", "action": "withhold", "reason": "no advertising"},
        {"text": "cheap", "action": "withhold"},
        {"text": "spamword", "action": "discard", "whole_word": false},
    ], "mask": "#"});
    assert_eq!(verdict(&settings, "darn it"), Verdict::revise("#### it"));
    assert_eq!(
        verdict(&settings, "cheap, buy now, darn"),
        Verdict::withhold("no advertising")
    );
    assert_eq!(
        verdict(&settings, "cheap"),
        Verdict::withhold("it has a word that is not welcome here")
    );
    assert_eq!(verdict(&settings, "buy now xspamwords"), Verdict::Discard);
    assert_eq!(verdict(&settings, "fine"), Verdict::Allow);
}

#[test]
fn bad_settings_are_refused_with_what_is_wrong() {
    let entry = |entry: Value| refused(&json!({"entries": [{"text": "fine"}, entry]}));
    assert_eq!(
        entry(json!({"text": " "})),
        "entry 2 has an empty text; give a word or a phrase"
    );
    assert_eq!(
        entry(json!({"text": "!?"})),
        "entry 2 (`!?`) has neither letters nor digits to look for"
    );
    assert!(
        entry(json!({"text": "x".repeat(257)})).starts_with("the text of entry 2 is 257 bytes")
    );
    assert!(entry(json!({"text": "a", "action": "mask", "reason": "b"})).contains("leave it out"));
    assert!(
        entry(json!({"text": "a", "action": "withhold", "reason": ""})).contains("0 bytes long")
    );
    assert!(entry(json!({"text": "a", "action": "ban"})).contains("unknown variant `ban`"));
    assert!(entry(json!({"text": "a", "hole_word": true})).contains("unknown field `hole_word`"));
    assert!(entry(json!({})).contains("missing field `text`"));
    for mask in ["", "**", "a", "█", " "] {
        assert!(refused(&json!({"mask": mask})).contains("is not one ASCII mark"));
    }
    let many: Vec<Value> = (0..10_001)
        .map(|number| json!({"text": format!("w{number}")}))
        .collect();
    assert_eq!(
        refused(&json!({"entries": many})),
        "there are 10001 entries; list at most 10000"
    );
}

#[test]
fn ten_thousand_entries_are_searched_at_once() {
    let entries: Vec<Value> = (0..10_000)
        .map(|number| json!({"text": format!("word{number}x")}))
        .collect();
    let settings = json!({"entries": entries});
    assert_eq!(
        verdict(&settings, "a word7x b"),
        Verdict::revise("a ****** b")
    );
    assert_eq!(verdict(&settings, "a word7 b"), Verdict::Allow);
}

/// A list of every kind of word.
fn list() -> Value {
    json!({"entries": [
        {"text": "bad"}, {"text": "a b"}, {"text": "ad", "whole_word": false}, {"text": "바보"}, {"text": "ㅅㅂ"},
        {"text": "馬鹿"}, {"text": "a1"}, {"text": "bb", "whole_word": false},
        {"text": "withheld", "action": "withhold"}, {"text": "dd dd", "action": "discard"},
    ]})
}

/// Text that is nearly always close to a listed word.
fn text() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "b",
        "a",
        "d",
        "bad",
        "B",
        "4",
        "1",
        "$",
        "@",
        ".",
        " ",
        "\n",
        "바",
        "보",
        "ㅂ",
        "ㅏ",
        "ㅗ",
        "ㅅ",
        "\u{1107}",
        "\u{1161}",
        "馬",
        "鹿",
        "é",
        "\u{301}",
        "\u{200d}",
        "\u{200b}",
        "👩‍👩‍👧",
        "🇰🇷",
        "🇰",
        "ﬁ",
        "Ａ",
        "İ",
        "ß",
        "\u{600}",
        "का",
        "withheld",
        "dd",
    ]);
    prop_oneof![
        4 => prop::collection::vec(bits, 1..30).prop_map(|bits| bits.concat()),
        1 => "\\PC{1,40}",
    ]
}

proptest! {
    #[test]
    fn a_mask_keeps_the_length(text in text()) {
        if let Verdict::Revise(masked) = verdict(&list(), &text) {
            prop_assert_eq!(masked.graphemes(true).count(), text.graphemes(true).count());
            prop_assert!(masked.len() <= text.len());
            prop_assert_ne!(masked, text);
        }
    }

    #[test]
    fn a_glance_sees_what_is_read(text in text()) {
        let mut glance = Glance::default();
        let (mut plain, mut again) = (Reading::default(), Reading::default());
        plain.read(&text);
        again.read_again(&plain);
        if glance.at(&text).is_ok() {
            let texts = [&glance.plain, &plain.text, &glance.again, &again.text];
            let [glanced, read, glanced_again, read_again] = texts.map(|text| String::from_utf8_lossy(text));
            prop_assert_eq!(glanced, read);
            prop_assert_eq!(glanced_again.trim_end(), read_again.trim_end());
        }
    }

    #[test]
    fn batches_cannot_be_observed(texts in prop::collection::vec(text(), 1..8), cut in 0..8_usize) {
        let batch: Vec<Message> = texts.into_iter().map(Message::of).collect();
        let cut = cut.min(batch.len());
        let whole = started(&list()).moderate(&batch).unwrap();
        let mut plugin = started(&list());
        let mut parts = plugin.moderate(&batch[..cut]).unwrap();
        parts.extend(plugin.moderate(&batch[cut..]).unwrap());
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn a_glance_changes_no_answer(text in text()) {
        let settings: Settings = serde_json::from_value(list()).unwrap();
        let mut list = List::of(&settings.check().unwrap().words).unwrap();
        let found = list.find(&text).to_vec();
        prop_assert_eq!(found, list.search(&text));
    }

    #[test]
    fn a_listed_word_is_found_however_it_is_cased(word in "[a-z]{1,12}", upper: bool) {
        let text = if upper { word.to_uppercase() } else { word.clone() };
        prop_assert_eq!(masked(&word, &text), "*".repeat(word.len()));
    }

    #[test]
    fn a_listed_word_is_found_whatever_it_is(word in "\\PC{1,20}") {
        let settings = json!({"entries": [{"text": word}]});
        if native().start(&settings.to_string()).is_ok() {
            prop_assert_ne!(verdict(&settings, &word), Verdict::Allow);
        }
    }
}
