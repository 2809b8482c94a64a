//! What is withheld, and what is left alone.

use chat_plugin::native::NativePlugin;
use chat_plugin::{Body, Item, Judgement, Run};
use proptest::prelude::*;

use crate::host::Host;
use crate::{address, named, native};

fn started(settings: &str) -> Box<dyn NativePlugin> {
    let mut plugin = native();
    plugin.start(settings).expect("good settings");
    plugin
}

fn judged(settings: &str, body: Body) -> Judgement {
    let item = Item {
        body,
        ..Item::of("")
    };
    let mut judged = started(settings).review(&[item]).expect("no failure");
    judged.pop().expect("one answer")
}

fn plain(settings: &str, text: &str) -> Judgement {
    judged(settings, Body::Plain(text.into()))
}

fn link(text: &str, url: &str) -> Judgement {
    judged("{}", Body::Styled(vec![Run::text(text).link(url)]))
}

#[test]
fn the_cases_pass() {
    chat_plugin_kit::check(env!("CARGO_MANIFEST_DIR"), "cases.toml", native);
}

#[test]
fn settings_that_are_no_domains_are_named() {
    for wrong in [
        "https://a.example",
        "a b",
        "",
        "a/b",
        "*.example",
        "a@b.example",
    ] {
        let error = native()
            .start(&format!("{{\"deny\": [\"{wrong}\"]}}"))
            .unwrap_err();
        let expected = format!(
            "`deny` lists `{wrong}`, which is no domain; list domains such as `example.org`"
        );
        assert_eq!(error, expected);
    }
    let error = native().start(r#"{"denied": []}"#).unwrap_err();
    assert!(error.contains("unknown field `denied`"), "{error}");
}

/// All of these lead a browser to `evil.example`.
#[test]
fn a_denied_domain_is_found_however_it_is_spelt() {
    for address in [
        "https://evil.example",
        "HTTPS://EVIL.EXAMPLE/a",
        "http://evil.example.",
        "https://evil.example:8443/",
        "https://good.example@evil.example",
        "https://good.example:pw@evil.example/",
        "https://deep.below.evil.example/",
        "https://ｅｖｉｌ.example",
        "https://evil。example",
        "https://ev%69l.example/",
        "https://evil.example?q",
        "https://evil.example#f",
        "https://evil.example에서",
        "(https://evil.example)",
        "see https://evil.example, please",
        "ahttps://evil.example",
        "https://e\u{ad}vil.example",
    ] {
        let settings = r#"{"deny": ["evil.example"]}"#;
        assert!(
            matches!(plain(settings, address), Judgement::Withhold(_)),
            "{address}"
        );
        let others = plain(r#"{"deny": ["other.example"]}"#, address);
        assert_eq!(others, Judgement::Allow, "{address}");
    }
    for url in [
        r"https:\\evil.example",
        "https:/evil.example",
        "https:evil.example",
        "https://good.example\\@evil.example",
    ] {
        let body = Body::Styled(vec![Run::text("here").link(url)]);
        let settings = r#"{"allow": ["good.test"], "deny": ["evil.example"]}"#;
        assert!(
            matches!(judged(settings, body), Judgement::Withhold(_)),
            "{url}"
        );
    }
}

#[test]
fn look_alikes_of_protected_domains_are_found() {
    let settings = r#"{"protect": ["paypal.com", "google.com", "microsoft.com"]}"#;
    for host in [
        "paypa1.com",
        "paypaI.com",
        "g00gle.com",
        "rnicrosoft.com",
        "login.paypa1.com",
        "p\u{430}ypal.com",
        "xn--pypal-4ve.com",
    ] {
        let judged = plain(settings, &format!("https://{host}/"));
        assert!(
            matches!(&judged, Judgement::Withhold(why) if why.contains("looks like")),
            "{host}: {judged:?}"
        );
    }
    for host in [
        "paypal.com",
        "PayPal.com",
        "www.google.com",
        "paypal.community",
        "pay-pal.org",
    ] {
        assert_eq!(
            plain(settings, &format!("https://{host}/")),
            Judgement::Allow,
            "{host}"
        );
    }
}

#[test]
fn disguises_are_found_without_a_list() {
    for host in [
        "p\u{430}yp\u{430}l.com",
        "\u{430}\u{440}\u{440}\u{4cf}\u{435}.com",
        "xn--80ak6aa92e.com",
        "\u{3b1}pple.com",
    ] {
        let judged = plain("{}", &format!("https://{host}"));
        assert!(matches!(judged, Judgement::Withhold(_)), "{host}");
        let off = plain(r#"{"look_alikes": false}"#, &format!("https://{host}"));
        assert_eq!(off, Judgement::Allow, "{host}");
    }
    for host in [
        "caf\u{e9}.com",
        "m\u{fc}nchen.de",
        "한국.com",
        "naver한국.kr",
        "例え.jp",
        "пример.рф",
        "\u{434}\u{43e}\u{43c}.com",
        "παράδειγμα.gr",
    ] {
        assert_eq!(
            plain("{}", &format!("https://{host}")),
            Judgement::Allow,
            "{host}"
        );
    }
}

#[test]
fn a_link_that_names_another_domain_is_found() {
    for (text, url) in [
        ("paypal.com", "https://evil.example"),
        (
            "https://paypal.com/login",
            "https://evil.example/paypal.com",
        ),
        ("www.paypal.test", "https://evil.example"),
        ("go to PayPal.com now", "https://paypal.com.evil.example"),
        ("paypal。com", "https://evil.example"),
        ("ann@paypal.com", "mailto:ann@evil.example"),
        ("(paypal.com)", "https://notpaypal.com"),
        ("paypal.com에서", "https://evil.example"),
    ] {
        let judged = link(text, url);
        assert!(
            matches!(&judged, Judgement::Withhold(why) if why.contains(" and leads to ")),
            "{text} {url}: {judged:?}"
        );
    }
    for (text, url) in [
        ("here", "https://a.example"),
        ("example.com", "https://www.example.com/a"),
        ("blog.example.com", "https://example.com/blog"),
        ("README.md and main.rs, v1.2", "https://a.example/README.md"),
        ("wait... what?", "https://a.example"),
        ("e.g. this one", "https://a.example"),
        ("ann@example.com", "mailto:ann@example.com"),
        ("https://m\u{fc}nchen.de", "https://xn--mnchen-3ya.de/"),
    ] {
        assert_eq!(link(text, url), Judgement::Allow, "{text} {url}");
    }
}

#[test]
fn styles_do_not_hide_what_a_link_says() {
    let runs = vec![
        Run::text("pay").strong().link("https://evil.example"),
        Run::text("pal.com").link("https://evil.example"),
    ];
    assert_eq!(
        judged("{}", Body::Styled(runs)),
        Judgement::withhold("the link says `paypal.com` and leads to `evil.example`")
    );
    let runs = vec![Run::text("https://ev").strong(), Run::text("il.example")];
    let judged = judged(r#"{"deny": ["evil.example"]}"#, Body::Styled(runs));
    assert_eq!(
        judged,
        Judgement::withhold("links may not lead to `evil.example` here")
    );
}

#[test]
fn what_is_no_address_is_left_alone() {
    for text in [
        "hello",
        "a://b",
        "ftp://evil.example",
        "https://",
        "http:// a",
        "evil.example",
        "://",
    ] {
        let judged = plain(r#"{"allow": ["good.example"]}"#, text);
        assert_eq!(judged, Judgement::Allow, "{text}");
    }
}

proptest! {
    /// What is decoded is at most what was typed, so a text full of addresses costs no more than another.
    #[test]
    fn hosts_do_not_overlap(text in "(https?://|[a-c.@:/한%-]){0,60}") {
        let mut rest = text.as_str();
        for host in address::hosts(&text) {
            let at = rest.find(host);
            prop_assert!(at.is_some(), "{host:?} is not behind the one before");
            rest = &rest[at.unwrap() + host.len()..];
        }
        let named: usize = named::hosts(&text).map(|host| host.typed.len()).sum();
        prop_assert!(named <= text.len());
    }

    #[test]
    fn nothing_is_too_odd_to_judge(
        text in "\\PC{0,200}|(https?://|xn--|[a-z0-9.@:/\\[\\]%가а-]){0,80}",
        url in "(https://|mailto:)[^ ]{0,100}",
    ) {
        let settings = r#"{"protect": ["paypal.com"], "deny": ["evil.example"], "allow": ["good.example"]}"#;
        for body in [
            Body::Plain(text.clone()),
            Body::Styled(vec![Run::text(text.clone()).link(url.clone())]),
        ] {
            if let Judgement::Withhold(why) = judged(settings, body) {
                prop_assert!(!why.is_empty() && why.len() <= 512, "{} bytes: {why}", why.len());
            }
        }
    }
}

#[test]
fn a_host_longer_than_any_is_not_decoded() {
    let long = "xn--".repeat(200);
    assert!(
        Host::typed(&long)
            .unwrap_err()
            .starts_with("the address `xn--")
    );
    assert!(matches!(
        plain("{}", &format!("https://{long}")),
        Judgement::Withhold(_)
    ));
}
