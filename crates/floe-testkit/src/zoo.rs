//! Types that the tests freeze.
use std::collections::{BTreeMap, BTreeSet};

use floe::{Intern, Schema};
use rkyv::with::Map as Each;

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
pub struct Recipe {
    pub name: String,
    pub version: Option<String>,
    #[rkyv(with = Intern)]
    pub license: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    pub tasks: Vec<String>,
    pub depends: BTreeSet<String>,
    pub flags: BTreeMap<String, Vec<u16>>,
    pub source: Source,
    pub priority: i32,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
pub enum Source {
    None,
    Git { url: String, revision: [u8; 20] },
    Archive(String, u64),
}

/// A recipe that differs from that of every other number, and shares much with them.
pub fn recipe(number: u32) -> Recipe {
    let source = match number % 3 {
        0 => Source::None,
        1 => Source::Git {
            url: format!("git://example.org/{number}"),
            revision: [number as u8; 20],
        },
        _ => Source::Archive(format!("recipe-{number}.tar.xz"), u64::from(number) << 33),
    };
    Recipe {
        name: format!("recipe-with-a-name-{number}"),
        version: (!number.is_multiple_of(4)).then(|| format!("{}.{number}", number / 7)),
        license: ["MIT", "GPL-2.0-only AND LGPL-2.1-or-later"][number as usize % 2].to_owned(),
        tasks: (0..number % 5)
            .map(|task| format!("do_task_number_{task}"))
            .collect(),
        depends: (0..number % 6)
            .map(|other| format!("dependency-{}", other * 17))
            .collect(),
        flags: (0..number % 3)
            .map(|flag| (format!("flag{flag}"), vec![flag as u16; 3]))
            .collect(),
        source,
        priority: -(number as i32),
    }
}
