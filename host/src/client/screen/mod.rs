//! The full-screen view.
//!
//! One task: it waits for keys, news, an older page or the clock, changes the model, and draws it. `model`, `paint`
//! and `draw` are pure; only this file and `terminal` touch the terminal.

pub mod complete;
pub mod draw;
pub mod entry;
pub mod keys;
pub mod look;
pub mod model;
pub mod paint;
pub mod prompt;
pub mod scroll;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod wrap;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ratatui::crossterm::event::{
    Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use tonic::{Response, Status};

use super::clock::{Clock, now_ms};
use super::link::Server;
use super::live::Live;
use super::own::{Entered, LONE_SLASH, entered};
use super::plain::End;
use crate::proto::v1::{HistoryRequest, HistoryResponse};
use draw::{Drawn, draw};
pub use keys::KEYS;
use look::Look;
use model::{Model, Older};
use prompt::Prompt;
use terminal::Screen;

/// How long leaving waits for what is not yet decided.
const LEAVE: Duration = Duration::from_secs(3);
/// The largest paste; far above what any server takes as a message.
const PASTE_BYTES: usize = 256 * 1024;
/// Events in an older page.
const PAGE: u32 = 200;

type Page = Pin<Box<dyn Future<Output = Result<HistoryResponse, Status>> + Send>>;

/// What a key asks of the loop.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    Say(String),
    Leave,
    Redraw,
}

/// Runs until the person leaves or `quit` completes.
///
/// # Errors
/// When the terminal fails.
pub async fn run(
    mut live: Live,
    server: Server,
    name: &str,
    room: &str,
    quit: impl Future<Output = ()>,
) -> io::Result<End> {
    let (look, clock) = (Look::of_this_terminal(), Clock::local());
    let mut model = Model::new(name, room);
    model.untouched = true;
    let mut prompt = Prompt::default();
    let mut screen = Screen::take()?;
    let mut keys = EventStream::new();
    let mut page: Option<Page> = None;
    let mut leave_at: Option<Instant> = None;
    tokio::pin!(quit);
    loop {
        if leave_at.is_some() && live.outbox().is_empty() {
            return Ok(End::Done);
        }
        let mut drawn = None;
        screen.terminal.draw(|frame| {
            drawn = Some(draw(
                frame,
                &model,
                &mut prompt,
                look,
                &clock,
                Instant::now(),
            ));
        })?;
        let Some(drawn) = drawn else { continue };
        if let Some(before) = model.wants_older(drawn.at_top) {
            model.older = Older::Fetching;
            page = Some(fetch(server.clone(), model.room.clone(), before));
        }
        tokio::select! {
            () = &mut quit => return Ok(end(&live)),
            event = keys.next() => {
                let mut next = Some(event);
                // What was typed meanwhile is taken at once, and drawn once.
                while let Some(event) = next {
                    let Some(event) = event.transpose()? else { return Ok(end(&live)) };
                    match on_event(event, &mut model, &mut prompt, &drawn) {
                        Wish::Nothing => {}
                        Wish::Redraw => screen.terminal.clear()?,
                        Wish::Say(text) => say(&mut live, &mut model, &mut prompt, text),
                        Wish::Leave if leave_at.is_some() => return Ok(end(&live)),
                        Wish::Leave => {
                            leave_at = Some(Instant::now() + LEAVE);
                            model.leaving = true;
                        }
                    }
                    next = at_hand(&mut keys).await;
                }
            }
            changes = live.changes() => match changes {
                Ok(changes) => {
                    let now = Instant::now();
                    for change in changes {
                        model.apply(change, now, now_ms());
                    }
                }
                Err(stop) => return Ok(End::Stopped(stop)),
            },
            older = next_page(&mut page) => {
                page = None;
                match older {
                    Ok(older) => model.older(older.events, older.oldest),
                    Err(status) => {
                        model.older = Older::Failed;
                        model.hint = Some(format!("older messages can't be fetched: {}", status.message()));
                    }
                }
            }
            () = tick(&model, leave_at) => {
                if leave_at.is_some_and(|at| at <= Instant::now()) {
                    return Ok(end(&live));
                }
            }
        }
    }
}

fn end(live: &Live) -> End {
    match live.outbox().len() {
        0 => End::Done,
        unsent => End::Unsent(unsent),
    }
}

fn say(live: &mut Live, model: &mut Model, prompt: &mut Prompt, text: String) {
    if text.len() > model.message_bytes {
        model.hint = Some(format!(
            "too long: {} bytes, and the server takes {}; shorten it or send it in parts",
            text.len(),
            model.message_bytes
        ));
        return;
    }
    match live.say(text.clone()) {
        Ok(()) => {
            prompt.sent(text);
            model.to_bottom();
        }
        Err(full) => model.hint = Some(full.to_string()),
    }
}

fn on_event(event: Event, model: &mut Model, prompt: &mut Prompt, drawn: &Drawn) -> Wish {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => on_key(key, model, prompt, drawn),
        Event::Paste(text) => {
            if text.len() > PASTE_BYTES {
                model.hint = Some(format!(
                    "too much to paste: {} bytes; send a file with chat-host send -",
                    text.len()
                ));
            } else {
                prompt.paste(&text);
            }
            Wish::Nothing
        }
        _ => Wish::Nothing,
    }
}

fn on_key(key: KeyEvent, model: &mut Model, prompt: &mut Prompt, drawn: &Drawn) -> Wish {
    model.hint = None;
    model.untouched = false;
    let showed_keys = std::mem::take(&mut model.shows_keys);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let page = drawn.rows.saturating_sub(1).max(1);
    match key.code {
        KeyCode::Char('c') if control => return Wish::Leave,
        KeyCode::Char('d') if control && prompt.is_empty() => return Wish::Leave,
        KeyCode::Char('l') if control => return Wish::Redraw,
        KeyCode::Char('o') if control => toggle_panel(model, drawn),
        KeyCode::F(2) => toggle_panel(model, drawn),
        KeyCode::Char('g') if control => model.shows_keys = !showed_keys,
        KeyCode::F(1) => model.shows_keys = !showed_keys,
        KeyCode::Esc if showed_keys => {}
        KeyCode::PageUp => {
            if model.older == Older::Failed {
                model.older = Older::More;
            }
            model.scroll_up(&drawn.painter, drawn.rows, page);
        }
        KeyCode::PageDown => model.scroll_down(&drawn.painter, page),
        KeyCode::Home if control => model.to_top(&drawn.painter, drawn.rows),
        KeyCode::End if control => model.to_bottom(),
        KeyCode::Esc => model.to_bottom(),
        KeyCode::Tab => prompt.tab(&model.commands, &model.members),
        KeyCode::Char('j') if control => prompt.new_line(),
        KeyCode::Enter if !key.modifiers.is_empty() => prompt.new_line(),
        KeyCode::Enter => {
            let text = prompt.text();
            match entered(&text) {
                // What can't be read isn't sent.
                _ if drawn.too_small => {}
                Entered::Nothing => {}
                Entered::Quit => return Wish::Leave,
                Entered::Keys => {
                    prompt.sent(text);
                    model.shows_keys = true;
                }
                Entered::LoneSlash => model.hint = Some(LONE_SLASH.to_owned()),
                Entered::Message => return Wish::Say(text),
            }
        }
        _ => prompt.key(key),
    }
    Wish::Nothing
}

fn toggle_panel(model: &mut Model, drawn: &Drawn) {
    model.panel = Some(!model.shows_panel(drawn.columns));
}

fn fetch(server: Server, room: String, before: u64) -> Page {
    let request = HistoryRequest {
        room,
        after: None,
        before: Some(before),
        limit: PAGE,
    };
    Box::pin(async move {
        let mut client = server.client();
        let page = client.history(request);
        match tokio::time::timeout(Duration::from_secs(10), page).await {
            Ok(page) => page
                .map(Response::into_inner)
                .map_err(|status| server.explained(status)),
            Err(_) => Err(Status::deadline_exceeded(
                "the server did not answer in time",
            )),
        }
    })
}

async fn next_page(page: &mut Option<Page>) -> Result<HistoryResponse, Status> {
    match page {
        Some(page) => page.await,
        None => std::future::pending().await,
    }
}

/// The next event, if it is there already. Polled with this task's own waker: the stream remembers only the first one
/// that it was polled with, so a poll with another (as by `now_or_never`) would lose the next wake.
async fn at_hand(keys: &mut EventStream) -> Option<Option<io::Result<Event>>> {
    std::future::poll_fn(|context| {
        Poll::Ready(match keys.poll_next_unpin(context) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

/// The clock, where something on the screen or leaving depends on it.
async fn tick(model: &Model, leave_at: Option<Instant>) {
    match (leave_at, model.again) {
        (Some(at), _) => tokio::time::sleep_until(at.into()).await,
        (None, Some(_)) => tokio::time::sleep(Duration::from_millis(500)).await,
        (None, None) => std::future::pending().await,
    }
}
