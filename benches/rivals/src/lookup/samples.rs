//! Measurements of all rounds.

use crate::statistics::Spread;

/// Nanoseconds of each contender and operation, one for each round.
#[derive(Debug, Default)]
pub struct Samples(Vec<Series>);

#[derive(Debug)]
struct Series {
    contender: &'static str,
    operation: &'static str,
    nanoseconds: Vec<f64>,
}

impl Samples {
    /// Adds a measurement.
    pub fn add(&mut self, contender: &'static str, operation: &'static str, nanoseconds: f64) {
        let known = self
            .0
            .iter_mut()
            .find(|series| series.contender == contender && series.operation == operation);
        match known {
            Some(series) => series.nanoseconds.push(nanoseconds),
            None => {
                self.0.push(Series {
                    contender,
                    operation,
                    nanoseconds: vec![nanoseconds],
                });
            }
        }
    }

    /// The operations of a contender, in the order in which they were first measured.
    pub fn of(&self, contender: &str) -> impl Iterator<Item = (&'static str, Option<Spread>)> {
        let series = self
            .0
            .iter()
            .filter(move |series| series.contender == contender);
        series.map(|series| (series.operation, Spread::of(&series.nanoseconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_of_an_operation_come_together() {
        let mut samples = Samples::default();
        samples.add("floe", "get", 3.0);
        samples.add("std", "get", 9.0);
        samples.add("floe", "miss", 1.0);
        samples.add("floe", "get", 5.0);
        let of_floe: Vec<_> = samples.of("floe").collect();
        assert_eq!(
            of_floe,
            [
                ("get", Spread::of(&[3.0, 5.0])),
                ("miss", Spread::of(&[1.0]))
            ]
        );
    }
}
