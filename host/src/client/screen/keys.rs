//! Which keys there are, for the screen and for `chat --help`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Paragraph, Wrap};

/// All of them, with the client's own commands.
pub const KEYS: &str = "Keys of the full screen:
  Enter          sends; Alt+Enter or Ctrl+J makes a new line
  Tab            completes commands and names
  Up, Down       call back what you wrote
  PgUp, PgDn     scroll; Ctrl+Home goes to the top, Esc to the end
  F1, Ctrl+G     show and hide the keys
  F2, Ctrl+O     show and hide the members
  Ctrl+L         draws the screen anew
  Ctrl+C         leaves; Ctrl+D too where nothing is written

Commands of the client (others are the plugins'):
  /keys          shows the keys
  /quit          leaves
  //text         sends /text";

/// Shows them in place of the conversation.
pub fn draw(frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(KEYS).wrap(Wrap { trim: false }), area);
}
