//! What processes cost, as the kernel counts it.

use floe::usage::{Row, Table, Usage};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::OrRaise;

/// The rows of a table, its text, and the regions that each process maps.
#[pyfunction]
pub(crate) fn _memory<'py>(
    py: Python<'py>,
    pids: Vec<u32>,
) -> PyResult<(Bound<'py, PyList>, String)> {
    let rows = PyList::empty(py);
    let mut shown = Vec::new();
    for pid in pids {
        let (row, (_, regions)) = py
            .detach(|| Ok((Row::of(pid)?, Usage::with_regions(pid)?)))
            .or_raise(py)?;
        let dict = numbers(py, &row.memory)?;
        dict.set_item("pid", pid)?;
        dict.set_item("name", &row.name)?;
        let list = PyList::empty(py);
        for region in regions {
            let dict = numbers(py, &region.memory)?;
            dict.set_item("name", &region.name)?;
            dict.set_item("generation", region.generation)?;
            list.append(dict)?;
        }
        dict.set_item("regions", list)?;
        rows.append(dict)?;
        shown.push(row);
    }
    let mut table = Table::of([]).or_raise(py)?;
    table.rows = shown;
    Ok((rows, table.to_string()))
}

fn numbers<'py>(py: Python<'py>, usage: &Usage) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, bytes) in [
        ("uss", usage.uss),
        ("pss", usage.pss),
        ("rss", usage.rss),
        ("anonymous", usage.anonymous),
        ("private_clean", usage.private_clean),
        ("private_dirty", usage.private_dirty),
        ("shared_clean", usage.shared_clean),
        ("shared_dirty", usage.shared_dirty),
    ] {
        dict.set_item(name, bytes)?;
    }
    Ok(dict)
}
