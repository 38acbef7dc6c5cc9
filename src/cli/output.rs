//! Where answers go, and in which form.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write, stdout};
use std::{env, fmt};

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style, Styles};
use indicatif::HumanCount;

pub(crate) const TITLE: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// The looks of `--help`.
pub(crate) const HELP: Styles = Styles::plain()
    .header(TITLE)
    .usage(TITLE)
    .literal(NAME)
    .error(BAD)
    .invalid(BAD)
    .valid(GOOD);

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns with units, for people
    #[default]
    Table,
    /// An array with an object for each row, numbers in bytes
    Json,
    /// Comma-separated values under a line of titles, numbers in bytes
    Csv,
}

/// The standard output, buffered.
pub(crate) struct Output {
    writer: BufWriter<Stdout>,
    terminal: bool,
    colours: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let terminal = stdout().is_terminal();
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            writer: BufWriter::new(stdout()),
            terminal,
            colours: terminal && wanted,
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes `text` in a style, where there are colours.
    pub(crate) fn styled(&mut self, style: Style, text: impl fmt::Display) -> io::Result<()> {
        if self.colours {
            write!(self.writer, "{style}{text}{style:#}")
        } else {
            write!(self.writer, "{text}")
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Text of others, harmless: a terminal obeys control characters, and a message is one line.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// A number of things: `1 entry`, `1,036 entries`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", HumanCount(count)),
    }
}
