//! A plugin that asks what its input says, and says what it was answered: `get URL`, `post URL BODY`, and so on.

use std::time::Duration;

use chat_plugin::http::{Error, Request, Response};
use chat_plugin::{Formatting, Item, Manifest, Message, Moderation, Plugin, Run, State, Verdict};

struct Asker;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Asked for at the start.
    ask: Option<String>,
}

impl Plugin for Asker {
    type Settings = Settings;

    fn manifest() -> Manifest {
        Manifest::new("asker", "1.0.0")
    }

    fn start(settings: Settings) -> Result<Self, String> {
        if let Some(url) = settings.ask {
            chat_plugin::log::info(told(&chat_plugin::http::get(url)));
        }
        Ok(Asker)
    }
}

impl Moderation for Asker {
    fn moderate(&mut self, message: &Message, _: State) -> Verdict {
        match message.text.split_once(' ') {
            Some((what, rest)) => Verdict::Revise(ask(what, rest)),
            None => Verdict::Allow,
        }
    }
}

impl Formatting for Asker {
    fn format(&mut self, item: &Item) -> Option<Vec<Run>> {
        if let chat_plugin::Body::Plain(text) = &item.body
            && let Some(url) = text.strip_prefix("format ")
        {
            return Some(vec![Run::text(told(&chat_plugin::http::get(url)))]);
        }
        None
    }
}

fn ask(what: &str, rest: &str) -> String {
    let (url, body) = rest.split_once(' ').unwrap_or((rest, ""));
    match what {
        "get" => told(&Request::get(url).send()),
        "post" => told(&Request::post(url).body(body).send()),
        "hurry" => told(&Request::get(url).timeout(Duration::from_millis(30)).send()),
        "large" => told(&Request::post(url).body(vec![b'x'; 64 * 1024 + 1]).send()),
        "own-key" => told(&Request::get(url).header("idempotency-key", body).send()),
        "host" => told(&Request::get(url).header("host", body).send()),
        "method" => told(&Request::new(body, url).send()),
        "twice" => format!(
            "{} {}",
            told(&Request::get(url).send()),
            told(&Request::get(url).send())
        ),
        "follow" => match Request::get(url).send() {
            Ok(response) => match response.header("location") {
                Some(next) => told(&Request::get(next).send()),
                None => told(&Ok(response)),
            },
            other => told(&other),
        },
        "flood" => flood(url),
        "leave" => leave(url),
        _ => "what?".into(),
    }
}

/// Asks until it is not let any more.
fn flood(url: &str) -> String {
    for asked in 0.. {
        match Request::get(url).send() {
            Err(Error::TooMany) => return format!("too many after {asked}"),
            Err(other) => return told(&Err(other)),
            Ok(_) => {}
        }
    }
    String::new()
}

/// Asks, and does not wait for the answer: it is held until the instance ends.
#[cfg(target_family = "wasm")]
fn leave(url: &str) -> String {
    use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
    let request = OutgoingRequest::new(Fields::new());
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some("/"));
    let Ok(future) = wasip2::http::outgoing_handler::handle(request, None) else {
        return "refused".into();
    };
    // Long enough to be there.
    wasip2::clocks::monotonic_clock::subscribe_duration(20_000_000).block();
    std::mem::forget(future);
    "left".into()
}

#[cfg(not(target_family = "wasm"))]
fn leave(_: &str) -> String {
    String::new()
}

fn told(answer: &Result<Response, Error>) -> String {
    match answer {
        Ok(response) => {
            let text = response.text().unwrap_or_default();
            format!("{} {}", response.status, text.get(..200).unwrap_or(text))
        }
        Err(error) => format!("{error:?}"),
    }
}

chat_plugin::export!(Asker: moderation, formatting);
