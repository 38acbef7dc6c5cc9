//! The squarified division of a rectangle, after Bruls, Huizing and van Wijk (2000).

use super::Frame;

/// Divides a rectangle into one for each weight, of areas in the ratio of the weights, filling
/// rows along the shorter side for as long as that brings them closer to squares.
///
/// The weights are above 0, in descending order.
pub(super) fn squarify(weights: &[f64], frame: Frame) -> Vec<Frame> {
    let scale = frame.area() / weights.iter().sum::<f64>();
    let areas: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
    let (mut free, mut frames) = (frame, Vec::with_capacity(areas.len()));
    let mut left = &areas[..];
    while !left.is_empty() {
        let (row, others) = left.split_at(row_length(left, free.width.min(free.height)));
        free = place_row(row, free, &mut frames);
        left = others;
    }
    frames
}

/// How many of the areas make the best row along a side.
fn row_length(areas: &[f64], side: f64) -> usize {
    let (mut sum, mut best) = (0.0, f64::INFINITY);
    for (length, area) in areas.iter().enumerate() {
        sum += area;
        let thickness = sum / side;
        // The largest comes first, so the worst ratio is that of the first or the last.
        let ratio = |area: f64| {
            let ratio = area / (thickness * thickness);
            ratio.max(1.0 / ratio)
        };
        let worst = ratio(areas[0]).max(ratio(*area));
        if worst > best {
            return length;
        }
        best = worst;
    }
    areas.len()
}

/// Places a row along the shorter side of `free`; returns what is left of it.
fn place_row(row: &[f64], free: Frame, frames: &mut Vec<Frame>) -> Frame {
    let sum: f64 = row.iter().sum();
    let upright = free.width >= free.height;
    let thickness = if upright {
        (sum / free.height).min(free.width)
    } else {
        (sum / free.width).min(free.height)
    };
    let mut start = 0.0;
    for area in row {
        let length = area / thickness;
        frames.push(if upright {
            Frame {
                x: free.x,
                y: free.y + start,
                width: thickness,
                height: length,
            }
        } else {
            Frame {
                x: free.x + start,
                y: free.y,
                width: length,
                height: thickness,
            }
        });
        start += length;
    }
    if upright {
        Frame {
            x: free.x + thickness,
            width: free.width - thickness,
            ..free
        }
    } else {
        Frame {
            y: free.y + thickness,
            height: free.height - thickness,
            ..free
        }
    }
}
