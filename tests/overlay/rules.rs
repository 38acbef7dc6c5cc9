//! Which entry stays where several are offered.

use floe::error::DeltaError;
use floe::overlay::{Choice, Rule, merge};
use floe::{Map, Overlay};

use crate::fixture::{delta, merged, split, texts, told};

#[test]
fn the_first_wins() {
    let changes = ["a=2 c=3 -b", "c=4 d=5", "c=3 b=1"];
    let (after, counts) = merged("a=1 b=1", &changes, &Rule::FirstWins);
    assert_eq!(after, "a=1 b=1 c=3 d=5");
    // The last one gives b as the map has it, which is no change.
    assert_eq!(counts, [[1, 0, 0, 0, 2], [1, 0, 0, 0, 1], [0, 0, 0, 1, 0]]);
}

#[test]
fn the_last_wins() {
    let changes = ["a=2 c=3 -b", "c=4 b=7", "-a c=4"];
    let (after, counts) = merged("a=1 b=1", &changes, &Rule::LastWins);
    assert_eq!(after, "b=7 c=4");
    assert_eq!(counts, [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]);
}

#[test]
fn without_inputs_nothing_is_newer() {
    let (after, counts) = merged("a=1", &["a=2", "b=1", "b=2"], &Rule::Newest);
    assert_eq!(after, "a=1 b=1");
    assert_eq!(counts, [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]);
}

#[test]
fn a_closure_decides_on_what_is_there_and_what_is_offered() {
    let rule = Rule::<String, String>::by(|key, kept, offered: Option<&_>| {
        match (key.as_str(), offered) {
            ("keep", _) => Choice::Keep,
            ("take", _) => Choice::Take,
            (_, Some(offered)) => Choice::Value(format!("{kept}+{offered}")),
            (_, None) => Choice::Value(format!("{kept}-")),
        }
    });
    let changes = ["keep=2 take=2 join=2", "-keep -take -join", "take=3 join=3"];
    let (after, counts) = merged("keep=1 take=1 join=1", &changes, &rule);
    assert_eq!(after, "join=1+2-+3 keep=1 take=3");
    assert_eq!(counts, [[0, 2, 0, 0, 1], [0, 1, 1, 0, 1], [1, 1, 0, 0, 0]]);
}

#[test]
fn a_panic_refuses_its_delta_alone() {
    let rule = Rule::<String, String>::by(|_, _, offered: Option<&_>| match offered {
        Some(offered) if offered == "bad" => panic!("what is {offered}?"),
        _ => Choice::Take,
    });
    let map = texts("a=1 b=1");
    let deltas = [
        delta(&map, "c=1 a=2"),
        delta(&map, "d=1 a=bad"),
        delta(&map, "c=bad -b e=1"),
        delta(&map, "b=3"),
    ];
    let (next, report) = merge(&map, &deltas, &rule).unwrap();
    assert_eq!(told(&next), "a=2 b=3 c=1");
    let refused: Vec<_> = report.deltas.iter().map(|it| it.refused.clone()).collect();
    let panicked = Some(DeltaError::Panicked {
        message: "what is bad?".to_owned(),
    });
    assert_eq!(refused, [None, panicked.clone(), panicked, None]);
    let printed = report.to_string();
    assert!(printed.contains("delta 1: refused: the rule panicked: what is bad?"));
}

#[test]
fn deltas_of_other_caches_are_refused() {
    let map = texts("a=1");
    let other = Map::freeze("others", split("a=1")).unwrap();
    let deltas = [delta(&other, "b=1"), delta(&map, "c=1")];
    let (next, report) = merge(&map, &deltas, &Rule::LastWins).unwrap();
    assert_eq!(told(&next), "a=1 c=1");
    let got = "others".to_owned();
    assert_eq!(
        report.deltas[0].refused,
        Some(DeltaError::OtherCache { got })
    );
}

#[test]
fn what_another_owner_had_is_added_but_removes_nothing() {
    let (map, other) = (texts("a=1 b=1"), texts("a=1 b=1"));
    let (next, report) = merge(&map, &[delta(&other, "-a b=2 c=3")], &Rule::LastWins).unwrap();
    assert_eq!(told(&next), "a=1 b=2 c=3");
    assert_eq!(report.deltas[0].kept, 1);
}

#[test]
fn a_merge_that_changes_nothing_makes_no_generation() {
    let map = texts("a=1");
    for deltas in [vec![], vec![delta(&map, "")], vec![delta(&map, "a=2")]] {
        let (next, report) = merge(&map, &deltas, &Rule::FirstWins).unwrap();
        assert!(!report.changed);
        assert_eq!(next.region().generation(), 1);
    }
    // Added by one, and removed by the next.
    let over = Overlay::over(
        &merge(&map, &[delta(&map, "b=1")], &Rule::LastWins)
            .unwrap()
            .0,
    );
    let mut over = over;
    over.remove(&"b".to_owned()).unwrap();
    let deltas = [delta(&map, "b=1"), over.into_delta().unwrap()];
    let (_, report) = merge(&map, &deltas, &Rule::LastWins).unwrap();
    assert!(!report.changed);
    assert_eq!((report.deltas[0].added, report.deltas[1].removed), (1, 1));
}

#[test]
fn generations_share_the_pages_that_stay() {
    let pairs = (0..20_000).map(|n| (format!("key {n}"), "x".repeat(100)));
    let map = Map::freeze("texts", pairs).unwrap();
    let (next, _) = merge(&map, &[delta(&map, "new=1")], &Rule::FirstWins).unwrap();
    assert_eq!(next.region().as_fds().unwrap().len(), 2);
    assert_eq!((next.len(), next["new"].as_str()), (20_001, "1"));
}
