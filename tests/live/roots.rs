//! Workers that follow regions of several roots, and builders of these in children.

use floe::{
    Broker, Client, Error, Frozen, Live, Map, Publisher, Root, Roots, RootsBuilder, prefork,
};

use crate::fixture::Socket;

#[derive(Roots)]
struct Caches {
    squares: Root<Map<u32, u64>>,
    numbers: Root<Vec<u32>>,
}

#[derive(Roots)]
struct Numbers {
    numbers: Root<Vec<u32>>,
}

#[derive(Roots)]
struct Other {
    #[expect(dead_code, reason = "it is never built")]
    squares: Root<u8>,
}

fn caches(last: u32) -> Frozen<Caches> {
    let squares = (0..=last).map(|number| (number, u64::from(number).pow(2)));
    RootsBuilder::new("caches")
        .unwrap()
        .map(Caches::SQUARES, squares)
        .unwrap()
        .value(Caches::NUMBERS, &vec![last])
        .unwrap()
        .finish()
        .unwrap()
}

pub(crate) fn workers_follow_all_roots() {
    let first = caches(7);
    let publisher = Publisher::new(&first).unwrap();
    let live: Live<Caches> = publisher.subscribe().unwrap();
    let workers = prefork::spawn(2, |_| {
        let mut live = live.clone();
        let seen = live.get_stale();
        (
            first.squares[&6_u32].to_native(),
            seen.squares[&7_u32].to_native(),
            seen.numbers[0].to_native(),
        )
    });
    assert_eq!(workers.unwrap().join().unwrap(), [(36, 49, 7); 2]);

    // Who asks a broker for some of the roots gets them.
    let socket = Socket::new();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let mut numbers: Live<Numbers> = Client::new(&socket.path).follow("caches").unwrap();
    assert_eq!(numbers.get_stale().numbers[0], 7);
}

pub(crate) fn a_builder_of_roots_refuses_in_a_child() {
    let builder = RootsBuilder::new("caches").unwrap();
    let builder = builder.value(Numbers::NUMBERS, &vec![1_u32]).unwrap();
    let refused = prefork::spawn(2, move |worker| {
        let refused = match worker.index() {
            0 => builder.value(Other::SQUARES, &1_u8).map(drop),
            _ => builder.finish::<Numbers>().map(drop),
        };
        matches!(refused, Err(Error::NotOwner { .. }))
    });
    assert_eq!(refused.unwrap().join().unwrap(), [true, true]);
}
