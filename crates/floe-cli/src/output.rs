//! Where answers go, and in which form.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write, stdout};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use std::{env, fmt, fs};

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style, Styles};
use indicatif::HumanCount;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::CommandError;

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
    /// A JSON array with one object for each row; sizes in bytes
    Json,
    /// Comma-separated values after a line of titles; sizes in bytes
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

    /// Makes room for the next of several tables, where people see one at a time.
    pub(crate) fn clear(&mut self, format: Format) -> io::Result<()> {
        match self.terminal && format == Format::Table {
            true => write!(self.writer, "\x1b[H\x1b[2J"),
            false => Ok(()),
        }
    }

    /// Waits, but not for a reader that has gone.
    ///
    /// # Errors
    /// `BrokenPipe`, as writing would.
    pub(crate) fn pause(&self, duration: Duration) -> io::Result<()> {
        let mut polled = [PollFd::new(
            self.writer.get_ref().as_fd(),
            PollFlags::empty(),
        )];
        let timeout = PollTimeout::try_from(duration.max(Duration::from_millis(1)))
            .unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(0) | Err(Errno::EINTR) => Ok(()),
            Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Writes a picture to a file; `-` is the standard output.
    pub(crate) fn write_picture(&mut self, path: &Path, picture: &str) -> Result<(), CommandError> {
        if path == Path::new("-") {
            return Ok(self.write_all(picture.as_bytes())?);
        }
        fs::write(path, picture).map_err(|source| CommandError::WriteFile {
            path: path.to_owned(),
            source,
        })
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

/// Seconds on the command line.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(duration)) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a number of seconds above 0, such as 0.5".to_owned()),
    }
}

/// A number of things: `1 entry`, `1,036 entries`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", HumanCount(count)),
    }
}
