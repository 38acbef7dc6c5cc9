use floe::overlay::{Rule, merge};
use floe::{Frozen, Map, Overlay, Policy, Publisher, Store};
use std::time::Instant;
type M = Map<String, String>;
fn value(n: u64) -> String {
    format!("{n:0>200}")
}
fn main() {
    let n: u64 = 1_000_000;
    let t = Instant::now();
    let map: Frozen<M> =
        Map::freeze("m", (0..n).map(|n| (format!("key number {n}"), value(n)))).unwrap();
    eprintln!("freeze {:?} size {}", t.elapsed(), map.region().size());
    // get ratio
    let overlay = Overlay::over(&map);
    let keys: Vec<String> = (0..1_000_000u64)
        .map(|i| format!("key number {}", i.wrapping_mul(0x9e3779b97f4a7c15) % n))
        .collect();
    for _ in 0..4 {
        let t = Instant::now();
        let mut s = 0;
        for k in &keys {
            s += map.get(k.as_str()).unwrap().len();
        }
        let a = t.elapsed();
        let t = Instant::now();
        for k in &keys {
            s += overlay.get(k.as_str()).unwrap().len();
        }
        let b = t.elapsed();
        eprintln!(
            "get map {a:?} overlay {b:?} ratio {:.3} {s}",
            b.as_secs_f64() / a.as_secs_f64()
        );
    }
    // deltas
    let t = Instant::now();
    let empty = Overlay::over(&map);
    drop(empty);
    let deltas: Vec<_> = (0..8u64)
        .map(|d| {
            let mut o = Overlay::over(&map);
            for i in 0..100_000 {
                let k = n + d * 100_000 + i;
                o.insert(&format!("key number {k}"), &value(k)).unwrap();
            }
            o.into_delta().unwrap()
        })
        .collect();
    eprintln!("8 deltas built {:?}", t.elapsed());
    let bytes: u64 = deltas.iter().map(|d| d.region().size()).sum();
    for _ in 0..3 {
        let t = Instant::now();
        let mut copy = Vec::with_capacity(bytes as usize);
        for d in &deltas {
            copy.extend_from_slice(d.region().bytes());
        }
        let cp = t.elapsed();
        let t = Instant::now();
        let mut idx: std::collections::HashMap<u64, u64> =
            std::collections::HashMap::with_capacity(800_000);
        for d in &deltas {
            for (i, (k, _)) in d.added().iter().enumerate() {
                idx.insert(floe::map::Key::key_hash(k), i as u64);
            }
        }
        let ix = t.elapsed();
        let t = Instant::now();
        let (next, report) = merge(&map, &deltas, &Rule::FirstWins).unwrap();
        let m = t.elapsed();
        eprintln!(
            "bulk: bytes {bytes} memcpy {cp:?} index {ix:?} merge {m:?} ratio {:.2} len {} {}",
            m.as_secs_f64() / (cp + ix).as_secs_f64(),
            next.len(),
            report.entries
        );
        std::hint::black_box((copy.len(), idx.len()));
    }
    // small
    let store = Store::new();
    let cache = store.merged::<String, String>("m", Policy::new()).unwrap();
    store.refresh().unwrap();
    let full = {
        let mut o = Overlay::over(&cache.get().unwrap());
        for (k, v) in map.iter() {
            o.insert(&k.to_string(), &v.to_string()).unwrap();
        }
        o.into_delta().unwrap()
    };
    store.merge("m", &[full], &Rule::FirstWins).unwrap();
    let publisher = store.publisher("m").unwrap();
    let _: &Publisher = &publisher;
    let mut times = Vec::new();
    for r in 0..50u64 {
        let mut o = Overlay::over(&cache.get().unwrap());
        for i in 0..10 {
            let k = 5_000_000 + r * 10 + i;
            o.insert(&format!("key number {k}"), &value(k)).unwrap();
        }
        let d = [o.into_delta().unwrap()];
        let t = Instant::now();
        store.merge("m", &d, &Rule::FirstWins).unwrap();
        times.push(t.elapsed());
    }
    times.sort();
    eprintln!(
        "small merge: min {:?} median {:?} p90 {:?}",
        times[0], times[25], times[45]
    );
}
