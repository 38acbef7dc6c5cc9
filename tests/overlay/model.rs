//! Workers and their owner against maps on the heap.

use std::collections::BTreeMap;
use std::fmt::Debug;

use floe::overlay::{Choice, OverlayKey, OverlayValue, Rule, merge};
use floe::{Delta, Frozen, Intern, Map, Overlay, Publisher, Schema};
use proptest::prelude::*;

/// Keys and values of a kind, by numbers.
trait Kind {
    type Key: OverlayKey<Archived: PartialEq<Self::Key>> + Ord + Debug;
    type Value: OverlayValue + PartialEq + Debug;
    fn key(number: u8) -> Self::Key;
    fn value(number: u8) -> Self::Value;
}

struct Texts;
struct Small;
struct Interning;

impl Kind for Texts {
    type Key = String;
    type Value = Vec<String>;

    fn key(number: u8) -> String {
        format!("key {number}")
    }

    fn value(number: u8) -> Vec<String> {
        vec![format!("value {number}"); usize::from(number % 3) + 1]
    }
}

impl Kind for Small {
    type Key = u32;
    type Value = [u8; 3];

    fn key(number: u8) -> u32 {
        u32::from(number)
    }

    fn value(number: u8) -> [u8; 3] {
        [number; 3]
    }
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct License {
    #[rkyv(with = Intern)]
    text: String,
    number: u8,
}

impl Kind for Interning {
    type Key = String;
    type Value = License;

    fn key(number: u8) -> String {
        format!("key {number}")
    }

    fn value(number: u8) -> License {
        License {
            text: format!("license {}", number % 4),
            number,
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, u8, u8),
    Remove(usize, u8),
    Advance(usize),
    /// Hands over what a worker has, which goes on with it.
    Contribute(usize),
    /// Replaces a worker by another.
    Drop(usize),
    /// Merges what was handed over, and publishes.
    Merge(u8),
}

const WORKERS: usize = 3;
const KEYS: u8 = 12;

fn step() -> impl Strategy<Value = Step> {
    let (worker, key) = (0..WORKERS, 0..KEYS);
    prop_oneof![
        6 => (worker.clone(), key.clone(), 0..8_u8).prop_map(|(w, k, v)| Step::Insert(w, k, v)),
        3 => (worker.clone(), key).prop_map(|(w, k)| Step::Remove(w, k)),
        2 => worker.clone().prop_map(Step::Advance),
        3 => worker.clone().prop_map(Step::Contribute),
        1 => worker.prop_map(Step::Drop),
        2 => (0..3_u8).prop_map(Step::Merge),
    ]
}

type Model = BTreeMap<u8, u8>;
/// A value that was added, or a mark.
type Changes = BTreeMap<u8, Option<u8>>;

/// What a worker says of a key.
#[derive(Clone, Copy)]
struct Said {
    value: Option<u8>,
    told: bool,
    /// Whether a delta has told something else.
    corrects: bool,
}

/// A delta, and what is in it.
type Waiting<K> = (Delta<<K as Kind>::Key, <K as Kind>::Value>, Changes);

struct Worker<K: Kind> {
    overlay: Overlay<K::Key, K::Value>,
    map: Model,
    own: BTreeMap<u8, Said>,
}

impl<K: Kind> Worker<K> {
    fn of(publisher: &Publisher, map: &Model) -> Self {
        Self {
            overlay: Overlay::following(publisher.subscribe().unwrap()),
            map: map.clone(),
            own: BTreeMap::new(),
        }
    }

    fn say(&mut self, key: u8, value: Option<u8>) {
        let corrects = self.own.get(&key).is_some_and(|before| match before.told {
            true => before.value != value,
            false => before.corrects,
        });
        let said = Said {
            value,
            told: false,
            corrects,
        };
        match corrects || value != self.map.get(&key).copied() {
            true => self.own.insert(key, said),
            false => self.own.remove(&key),
        };
    }

    fn move_over(&mut self, map: &Model) {
        self.map.clone_from(map);
        self.own
            .retain(|key, own| own.corrects && !own.told || own.value != map.get(key).copied());
    }

    fn tell(&mut self) -> Changes {
        self.own.values_mut().for_each(|own| own.told = true);
        let told = self.own.iter();
        told.map(|(key, own)| (*key, own.value)).collect()
    }

    fn all(&self) -> Model {
        let mut all = self.map.clone();
        for (key, own) in &self.own {
            match own.value {
                Some(value) => all.insert(*key, value),
                None => all.remove(key),
            };
        }
        all
    }

    fn check(&self) {
        let all = self.all();
        assert_eq!(self.overlay.len(), all.len());
        assert_eq!(self.overlay.changes().count(), self.own.len());
        for number in 0..KEYS {
            let found = self.overlay.get(&K::key(number));
            let found = found.map(|value| floe::thaw::<K::Value>(value).unwrap());
            assert_eq!(found, all.get(&number).map(|value| K::value(*value)));
        }
        let pairs = self.overlay.iter();
        let pairs = pairs.map(|(key, value)| {
            let (key, value) = (floe::thaw::<K::Key>(key), floe::thaw::<K::Value>(value));
            (key.unwrap(), value.unwrap())
        });
        assert_eq!(pairs.collect::<BTreeMap<_, _>>(), owned::<K>(&all));
    }
}

fn owned<K: Kind>(model: &Model) -> BTreeMap<K::Key, K::Value> {
    let pairs = model.iter();
    pairs
        .map(|(key, value)| (K::key(*key), K::value(*value)))
        .collect()
}

/// What the rule makes of a key.
fn decide(rule: u8, there: Option<u8>, offered: Option<u8>) -> Option<u8> {
    match (rule, there, offered) {
        (_, None, offered) => offered,
        (0, there, _) => there,
        (1, _, offered) => offered,
        (_, there, None) => there,
        // The value that the closure makes where both differ.
        (_, Some(there), Some(offered)) if there != offered => Some(7),
        (_, there, _) => there,
    }
}

fn rule<K: Kind>(rule: u8) -> Rule<K::Key, K::Value> {
    match rule {
        0 => Rule::FirstWins,
        1 => Rule::LastWins,
        _ => Rule::by(|_, _, offered: Option<&_>| match offered {
            Some(_) => Choice::Value(K::value(7)),
            None => Choice::Keep,
        }),
    }
}

fn agree<K: Kind>(steps: &[Step]) {
    let mut model: Model = (0..KEYS / 2).map(|key| (key, key % 8)).collect();
    let mut newest: Frozen<Map<K::Key, K::Value>> =
        Map::freeze("model", owned::<K>(&model)).unwrap();
    let publisher = Publisher::new(&newest).unwrap();
    let mut workers: Vec<Worker<K>> = (0..WORKERS)
        .map(|_| Worker::of(&publisher, &model))
        .collect();
    let mut waiting: Vec<Waiting<K>> = Vec::new();
    for step in steps {
        match *step {
            Step::Insert(worker, key, value) => {
                let worker = &mut workers[worker];
                worker
                    .overlay
                    .insert(&K::key(key), &K::value(value))
                    .unwrap();
                worker.say(key, Some(value));
                worker.check();
            }
            Step::Remove(worker, key) => {
                let worker = &mut workers[worker];
                let removed = worker.overlay.remove(&K::key(key)).unwrap();
                assert_eq!(removed, worker.all().contains_key(&key));
                worker.say(key, None);
                worker.check();
            }
            Step::Advance(worker) => {
                let worker = &mut workers[worker];
                if worker.overlay.advance() {
                    worker.move_over(&model);
                }
                worker.check();
            }
            Step::Contribute(worker) => {
                let delta = workers[worker].overlay.to_delta().unwrap();
                let opened = Delta::from_fds(delta.try_clone_fds().unwrap()).unwrap();
                waiting.push((opened, workers[worker].tell()));
            }
            Step::Drop(worker) => workers[worker] = Worker::of(&publisher, &model),
            Step::Merge(number) => {
                let (deltas, changes): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
                let (next, report) = merge(&newest, &deltas, &rule::<K>(number)).unwrap();
                for (key, offered) in changes.into_iter().flatten() {
                    match decide(number, model.get(&key).copied(), offered) {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                assert_eq!(thawed::<K>(&next), owned::<K>(&model));
                let copy = Frozen::<Map<K::Key, K::Value>>::from_fds(
                    next.region().try_clone_fds().unwrap(),
                );
                assert_eq!(copy.unwrap().len(), model.len());
                if report.changed {
                    publisher.publish(&next).unwrap();
                }
                newest = next;
            }
        }
        workers.iter().for_each(Worker::check);
    }
}

fn thawed<K: Kind>(map: &Frozen<Map<K::Key, K::Value>>) -> BTreeMap<K::Key, K::Value> {
    let pairs = map.iter().map(|(key, value)| {
        let (key, value) = (floe::thaw::<K::Key>(key), floe::thaw::<K::Value>(value));
        (key.unwrap(), value.unwrap())
    });
    pairs.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn texts_agree(steps in prop::collection::vec(step(), 1..60)) {
        agree::<Texts>(&steps);
    }

    #[test]
    fn small_entries_agree(steps in prop::collection::vec(step(), 1..60)) {
        agree::<Small>(&steps);
    }

    #[test]
    fn interned_values_agree(steps in prop::collection::vec(step(), 1..60)) {
        agree::<Interning>(&steps);
    }
}
