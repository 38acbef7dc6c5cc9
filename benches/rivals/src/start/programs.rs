//! Programs that are started by exec and answer one question about a map that they inherit.
#![allow(unsafe_code)]

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};

use clap::{Args, ValueEnum};
use floe::{Live, Map, Publisher, Trust};

use crate::contenders::freeze;
use crate::data::{MapValue, Recipe, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::report::Row;
use crate::start::{Question, recipes};
use crate::statistics::{Spread, timed};

type Recipes = Map<String, Recipe>;

const NAME: &str = "map";
const EXEC: &str = "exec to first answer";
/// These take a millisecond each, so that more rounds cost little.
const TIMES: u32 = 4;

/// How a program gets to its answer.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    /// It knows it.
    Empty,
    /// It checks the map first.
    Checks,
    /// It trusts its parent.
    Trusts,
}

impl Way {
    const ALL: [Self; 3] = [Self::Empty, Self::Trusts, Self::Checks];

    fn contender(self) -> &'static str {
        match self {
            Self::Empty => "an empty program",
            Self::Checks => "floe, checking",
            Self::Trusts => "floe",
        }
    }
}

/// What a program is asked.
#[derive(Debug, Args)]
pub struct Asked {
    way: Way,
    entries: usize,
}

/// Answers, by 8 bytes on standard output.
///
/// # Errors
/// [`BenchError::Floe`] and [`BenchError::Print`].
pub fn answer(asked: &Asked) -> Result<(), BenchError> {
    let number = asked.entries as u64 / 2;
    let mut live = match asked.way {
        Way::Empty => return say(touch_of(number)),
        Way::Checks => Live::<Recipes>::inherited(NAME)?,
        Way::Trusts => {
            // SAFETY: the parent is this very program; it has frozen the map as one of these types.
            let trust = unsafe { Trust::in_owner() };
            Live::<Recipes>::inherited_trusting(NAME, trust)?
        }
    };
    let found = live.get()?.get(String::numbered(number).as_str());
    say(found.map_or(0, Touch::touch))
}

fn touch_of(number: u64) -> u64 {
    Recipe::numbered(number).touch()
}

fn say(answer: u64) -> Result<(), BenchError> {
    let mut output = io::stdout();
    output.write_all(&answer.to_le_bytes())?;
    // Not when the program ends.
    Ok(output.flush()?)
}

/// Measures all ways, in turns.
pub fn measure(entries: usize, rounds: u32) -> Result<Vec<Row>, BenchError> {
    let map = freeze(&recipes(entries))?;
    counting_allocator::trim();
    let publisher = Publisher::new(&map)?;
    let question = Question::about(entries);
    let mut taken = [const { Vec::new() }; Way::ALL.len()];
    for round in 0..TIMES as usize * rounds as usize {
        // A check of everything leaves the processor's caches cold to either of the others.
        let turns = if round % 2 == 0 { [0, 1, 2] } else { [1, 0, 2] };
        for turn in turns {
            let (way, taken) = (Way::ALL[turn], &mut taken[turn]);
            let mut command = Command::new(env::current_exe()?);
            let name = way.to_possible_value();
            let name = name.as_ref().map_or("", |it| it.get_name());
            command.args(["answer", name, &entries.to_string()]);
            command.stdout(Stdio::piped());
            // To all of them, so that they are started alike.
            publisher.pass_to(&mut command)?;
            let (asked, time) = timed(|| ask(&mut command));
            let (mut program, answer) = asked?;
            program.wait()?;
            let first = if way == Way::Empty {
                touch_of(entries as u64 / 2)
            } else {
                question.first
            };
            check_answer(way.contender(), EXEC, entries, first, answer)?;
            taken.push(time.as_nanos() as f64);
        }
    }
    let bytes = map.region().size();
    let rows = Way::ALL.into_iter().zip(&taken).map(|(way, taken)| {
        let bytes = (way != Way::Empty).then_some(bytes);
        Row::measured(entries, way.contender(), EXEC, Spread::of(taken), bytes)
    });
    Ok(rows.collect())
}

/// Starts a program and reads its answer; it may still be about to end.
fn ask(command: &mut Command) -> io::Result<(Child, u64)> {
    let mut program = command.spawn()?;
    let mut answer = [0; 8];
    if let Some(output) = &mut program.stdout {
        output.read_exact(&mut answer)?;
    }
    Ok((program, u64::from_le_bytes(answer)))
}
