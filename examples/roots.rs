//! Freezes two caches that are made from the same recipes: each in a region of its own, and as two
//! roots of one region, where the text that both have is there once.
//!
//! `cargo run --release --example roots`

use std::collections::BTreeMap;
use std::error::Error;

use floe::usage::bytes;
use floe::{Frozen, Intern, Map, Root, Roots, RootsBuilder, Schema, prefork};
use rkyv::with::Map as Each;

/// What a list of recipes shows.
#[derive(Clone, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Info {
    #[rkyv(with = Intern)]
    summary: String,
    #[rkyv(with = Intern)]
    license: String,
}

/// What a build needs to know.
#[derive(Clone, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Tasks {
    #[rkyv(with = Intern)]
    summary: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    depends: Vec<String>,
}

#[derive(Roots)]
struct Caches {
    infos: Root<Map<String, Info>>,
    tasks: Root<Map<String, Tasks>>,
    layers: Root<Vec<String>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let summary = |number: u32| format!("Recipe {number} of a distribution, summed up in a line");
    let info = |number: u32| Info {
        summary: summary(number),
        license: ["MIT", "GPL-2.0-only AND LGPL-2.1-or-later"][number as usize % 2].to_owned(),
    };
    let tasks = |number: u32| Tasks {
        summary: summary(number),
        depends: (0..number % 8)
            .map(|other| format!("virtual/recipe-{other}"))
            .collect(),
    };
    let name = |number: u32| format!("recipe-{number}");
    let infos: BTreeMap<String, Info> = (0..10_000).map(|it| (name(it), info(it))).collect();
    let tasks: BTreeMap<String, Tasks> = (0..10_000).map(|it| (name(it), tasks(it))).collect();

    let apart = [
        Map::<String, Info>::freeze("infos", &infos)?
            .region()
            .size(),
        Map::<String, Tasks>::freeze("tasks", &tasks)?
            .region()
            .size(),
    ];
    let caches: Frozen<Caches> = RootsBuilder::new("caches")?
        .map(Caches::INFOS, &infos)?
        .map(Caches::TASKS, &tasks)?
        .value(
            Caches::LAYERS,
            &vec!["core".to_owned(), "networking".to_owned()],
        )?
        .finish()?;
    println!("apart: {} and {}", bytes(apart[0]), bytes(apart[1]));
    println!("together: {}", bytes(caches.region().size()));
    println!("from {} layers", caches.layers.len());

    // Each worker reads what it needs; a program that needs one root declares that one alone.
    let answers = prefork::spawn(2, |worker| match worker.index() {
        0 => format!(
            "recipe-7 is licensed under {}",
            caches.infos["recipe-7"].license
        ),
        _ => format!(
            "recipe-7 depends on {} others",
            caches.tasks["recipe-7"].depends.len()
        ),
    })?;
    for answer in answers.join()? {
        println!("{answer}");
    }
    Ok(())
}
