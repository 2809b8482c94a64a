//! How things look: colours where they are wanted, otherwise weight and slant alone.

use ratatui::style::{Color, Modifier, Style};

/// Bits of a run's style, as the protocol numbers them.
pub mod bits {
    /// Strong.
    pub const STRONG: u32 = 1;
    /// Emphasis.
    pub const EMPHASIS: u32 = 2;
    /// Struck out.
    pub const STRIKE: u32 = 4;
    /// Code.
    pub const CODE: u32 = 8;
    /// On lines of its own.
    pub const BLOCK: u32 = 16;
    /// Quoted.
    pub const QUOTE: u32 = 32;
}

/// Colours of people; a name always has the same.
const PEOPLE: [Color; 6] = [
    Color::Cyan,
    Color::Magenta,
    Color::Yellow,
    Color::Blue,
    Color::LightCyan,
    Color::LightMagenta,
];

/// The looks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    colour: bool,
}

impl Look {
    /// With colours, unless `NO_COLOR` is set to anything.
    #[must_use]
    pub fn of_this_terminal() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()))
    }

    /// With or without colours.
    #[must_use]
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// What is less important.
    #[must_use]
    pub fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The top line.
    #[must_use]
    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A name; ours stands out.
    #[must_use]
    pub fn name(self, name: &str, own: bool) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if own {
            return self.fg(bold, Color::Green);
        }
        let sum = name
            .bytes()
            .fold(0usize, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
        let colour = PEOPLE.get(sum % PEOPLE.len()).copied().unwrap_or_default();
        self.fg(bold, colour)
    }

    /// What a plugin or the client says.
    #[must_use]
    pub fn notice(self) -> Style {
        self.fg(Style::new(), Color::Yellow)
    }

    /// What did not work.
    #[must_use]
    pub fn trouble(self) -> Style {
        self.fg(Style::new(), Color::Red)
    }

    /// A run of text, by its style bits.
    #[must_use]
    pub fn run(self, style: u32) -> Style {
        let mut look = Style::new();
        for (bit, modifier) in [
            (bits::STRONG, Modifier::BOLD),
            (bits::EMPHASIS, Modifier::ITALIC),
            (bits::STRIKE, Modifier::CROSSED_OUT),
            (bits::QUOTE, Modifier::DIM),
        ] {
            if style & bit != 0 {
                look = look.add_modifier(modifier);
            }
        }
        match (style & bits::CODE != 0, style & bits::BLOCK != 0) {
            (true, _) if self.colour => look.fg(Color::LightGreen),
            (true, false) => look.add_modifier(Modifier::REVERSED),
            _ => look,
        }
    }

    /// A link.
    #[must_use]
    pub fn link(self, look: Style) -> Style {
        self.fg(look.add_modifier(Modifier::UNDERLINED), Color::Blue)
    }

    /// A name that is mentioned; our own can't be overlooked.
    #[must_use]
    pub fn mention(self, look: Style, own: bool) -> Style {
        let look = self.fg(look.add_modifier(Modifier::BOLD), Color::Yellow);
        if own {
            look.add_modifier(Modifier::REVERSED)
        } else {
            look
        }
    }

    fn fg(self, look: Style, colour: Color) -> Style {
        if self.colour { look.fg(colour) } else { look }
    }
}
