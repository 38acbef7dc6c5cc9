//! How fast recipes become a frozen map: on one thread and on two, with and without interning.

use floe_testkit::{digests, mode, record as recipe};
use std::hint::black_box;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use floe::{Frozen, Intern, Map, MapBuilder, Schema, Value};
use rkyv::{Archive, Serialize, with};

use mode::is_test;
use recipe::{Package, recipe, write_key};

/// A recipe that shares what recipes have in common.
#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct InternedRecipe {
    summary: String,
    #[rkyv(with = Intern)]
    license: String,
    priority: u32,
    #[rkyv(with = Intern<with::Map<Intern>>)]
    depends: Vec<String>,
    packages: Vec<Package>,
    script: String,
}

digests!(ArchivedInternedRecipe);

impl From<recipe::Recipe> for InternedRecipe {
    fn from(plain: recipe::Recipe) -> Self {
        Self {
            summary: plain.summary,
            license: plain.license,
            priority: plain.priority,
            depends: plain.depends,
            packages: plain.packages,
            script: plain.script,
        }
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .configure_from_args();
    let entries = if is_test() { 500 } else { 50_000 };
    let plain = || (0..entries).map(recipe);
    let expected = plain().map(|recipe| recipe.digest());
    let expected = expected.fold(0, u64::wrapping_add);
    measure(&mut criterion, "plain", plain().collect(), |map| {
        let digests = map.values().map(|recipe| recipe.digest());
        assert_eq!(digests.fold(0, u64::wrapping_add), expected);
    });
    let interned: Vec<InternedRecipe> = plain().map(Into::into).collect();
    measure(&mut criterion, "interned", interned, |map| {
        let digests = map.values().map(|recipe| recipe.digest());
        assert_eq!(digests.fold(0, u64::wrapping_add), expected);
    });
    criterion.final_summary();
}

/// Freezes the recipes on one thread and on two; both maps are checked before they are timed.
fn measure<V: Value + Sync>(
    criterion: &mut Criterion,
    name: &str,
    recipes: Vec<V>,
    check: impl Fn(&Frozen<Map<String, V>>),
) {
    let mut key = String::new();
    let entries: Vec<(String, V)> = (0..)
        .zip(recipes)
        .map(|(index, recipe)| {
            write_key(index, &mut key);
            (key.clone(), recipe)
        })
        .collect();
    let one = || {
        fill(&entries, 0..entries.len())
            .finish()
            .expect("the keys differ")
    };
    let two = || freeze_on_two(&entries);

    let mut group = criterion.benchmark_group("freeze");
    for (threads, freeze) in [
        ("one thread", &one as &dyn Fn() -> _),
        ("two threads", &two),
    ] {
        let map = freeze();
        check(&map);
        group.throughput(Throughput::ElementsAndBytes {
            elements: entries.len() as u64,
            bytes: map.region().size(),
        });
        drop(map);
        group.bench_function(format!("{name}/{threads}"), |bencher| {
            bencher.iter(|| assert_eq!(black_box(freeze()).len(), entries.len()));
        });
    }
}

fn freeze_on_two<V: Value + Sync>(entries: &[(String, V)]) -> Frozen<Map<String, V>> {
    let half = entries.len() / 2;
    thread::scope(|scope| {
        let second = scope.spawn(|| fill(entries, half..entries.len()));
        let mut first = fill(entries, 0..half);
        let second = second.join().expect("the second half was built");
        first.merge(second).expect("the memfd has room");
        first.finish().expect("the keys differ")
    })
}

fn fill<V: Value>(entries: &[(String, V)], range: Range<usize>) -> MapBuilder<String, V> {
    let mut builder = MapBuilder::new("freeze").expect("a memfd can be made");
    for (key, value) in &entries[range] {
        builder.insert(key, value).expect("the memfd has room");
    }
    builder
}
