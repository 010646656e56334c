//! A terminal that shows pages.

use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table as Grid};

use super::page::{Cell, Page, Table, Tone};

/// What a person has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// To end.
    Quit,
    /// Nothing.
    None,
}

/// The terminal, which is as it was when this is dropped.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal over.
    pub fn open() -> Self {
        Self { terminal: ratatui::init() }
    }

    /// Shows a page; what does not fit is cut off at the end.
    pub fn draw(&mut self, page: &Page) -> anyhow::Result<()> {
        self.terminal.draw(|frame| {
            let heights = page.tables.iter().map(|table| Constraint::Length(u16::try_from(table.rows.len() + 3).unwrap_or(u16::MAX)));
            let areas = Layout::vertical(heights.chain([Constraint::Min(1)])).split(frame.area());
            for (table, area) in page.tables.iter().zip(areas.iter()) {
                let [title, rows] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(*area);
                frame.render_widget(Line::from(table.title).style(Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)), title);
                frame.render_widget(grid(table), rows);
            }
            if let Some(rest) = areas.last() {
                frame.render_widget(Line::from("q or Ctrl-C ends").style(Style::new().add_modifier(Modifier::DIM)), *rest);
            }
        })?;
        Ok(())
    }

    /// Waits for a key, at most for `limit`.
    pub fn key_within(&mut self, limit: Duration) -> anyhow::Result<Key> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                return Ok(Key::None);
            }
            match event::read()? {
                Event::Key(key) if quits(&key) => return Ok(Key::Quit),
                Event::Resize(..) => return Ok(Key::None),
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

fn grid(table: &Table) -> Grid<'static> {
    let mut widths: Vec<Constraint> =
        table.widths().into_iter().map(|width| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))).collect();
    if let Some(last) = widths.last_mut() {
        *last = Constraint::Fill(1);
    }
    let head = Row::new(table.head.clone()).style(Style::new().add_modifier(Modifier::DIM));
    let rows = table.rows.iter().map(|row| Row::new(row.iter().map(cell)));
    Grid::new(rows, widths).header(head).column_spacing(2)
}

fn cell(cell: &Cell) -> ratatui::widgets::Cell<'static> {
    let style = match cell.tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warning => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    };
    ratatui::widgets::Cell::new(cell.text.clone()).style(style)
}
