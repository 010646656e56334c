//! A terminal that shows pages.

use std::time::Instant;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::page::{Cell, Page, Tone};

/// What a person has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// To end.
    Quit,
    /// To see another part of the page.
    Moved,
    /// Nothing.
    None,
}

/// The terminal, which is as it was when this is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    /// Lines of the page above the first one that is shown.
    above: usize,
    /// Lines that fit.
    height: usize,
}

impl Screen {
    /// Takes the terminal over.
    pub fn open() -> Self {
        Self { terminal: ratatui::init(), above: 0, height: 0 }
    }

    /// Shows a page, or the part of it that fits.
    pub fn draw(&mut self, page: &Page) -> anyhow::Result<()> {
        let Self { terminal, above, height } = self;
        terminal.draw(|frame| {
            let [body, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
            let lines: Vec<Line<'_>> = page.lines(usize::from(body.width)).into_iter().map(line).collect();
            *height = usize::from(body.height);
            *above = (*above).min(lines.len().saturating_sub(*height));
            let (more, below) = (*above > 0, lines.len().saturating_sub(*above + *height));
            let shown: Vec<Line<'_>> = lines.into_iter().skip(*above).take(*height).collect();
            frame.render_widget(Paragraph::new(shown), body);
            let keys = match (more, below) {
                (false, 0) => "q or Ctrl-C ends".to_owned(),
                (_, 0) => "q or Ctrl-C ends, arrows and page keys move: this is the end".to_owned(),
                _ => format!("q or Ctrl-C ends, arrows and page keys move: {below} lines below"),
            };
            frame.render_widget(Line::from(keys).style(Style::new().add_modifier(Modifier::DIM)), foot);
        })?;
        Ok(())
    }

    /// Waits for a key that means something, at most until `end`.
    pub fn key_until(&mut self, end: Instant) -> anyhow::Result<Key> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                return Ok(Key::None);
            }
            match event::read()? {
                Event::Key(key) if quits(&key) => return Ok(Key::Quit),
                Event::Key(key) => {
                    if let Some(above) = moved(self.above, self.height, key.code) {
                        self.above = above;
                        return Ok(Key::Moved);
                    }
                }
                Event::Resize(..) => return Ok(Key::Moved),
                _ => {}
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn quits(key: &KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL))
}

/// Lines above the first one that is shown, after a key; the end of the page is for whoever draws it to respect.
fn moved(above: usize, height: usize, key: KeyCode) -> Option<usize> {
    let page = height.saturating_sub(1).max(1);
    Some(match key {
        KeyCode::Up | KeyCode::Char('k') => above.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => above + 1,
        KeyCode::PageUp => above.saturating_sub(page),
        KeyCode::PageDown | KeyCode::Char(' ') => above + page,
        KeyCode::Home => 0,
        KeyCode::End => usize::MAX / 2,
        _ => return None,
    })
}

fn line(pieces: Vec<Cell>) -> Line<'static> {
    Line::from(pieces.into_iter().map(|piece| Span::styled(piece.text, style(piece.tone))).collect::<Vec<_>>())
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Title => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
        Tone::Head => Style::new().add_modifier(Modifier::DIM),
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warning => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_by_lines_and_by_pages() {
        assert_eq!(moved(3, 20, KeyCode::Down), Some(4));
        assert_eq!(moved(0, 20, KeyCode::Up), Some(0));
        assert_eq!(moved(3, 20, KeyCode::PageDown), Some(22));
        assert_eq!(moved(30, 20, KeyCode::PageUp), Some(11));
        assert_eq!((moved(30, 20, KeyCode::Home), moved(3, 20, KeyCode::Tab)), (Some(0), None));
    }
}
