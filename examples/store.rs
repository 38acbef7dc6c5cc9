//! Keeps a cache of files fresh: it counts the words of each file of a folder, and after an edit
//! those of the edited file alone.
//!
//! `cargo run --release --example store`

use std::error::Error;
use std::fs;

use floe::{Policy, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    for (name, text) in [("a.txt", "one two"), ("b.txt", "three"), ("c.txt", "")] {
        fs::write(path.join(name), text)?;
    }

    let store = Store::new();
    let (pattern, edited) = (format!("{}/*.txt", path.display()), path.join("b.txt"));
    let words = store.keyed(
        "words",
        Policy::new().revalidate_inputs(),
        // What is read through `inputs` is recorded, and looked at again at each refresh.
        move |inputs| {
            let paths = inputs.glob(&pattern)?.into_iter();
            Ok(paths.map(|path| path.display().to_string()).collect())
        },
        |path: &String, inputs| {
            let text = inputs.read_to_string(path)?.unwrap_or_default();
            Ok(text.split_whitespace().count() as u64)
        },
    )?;
    println!("{}", store.refresh()?);

    fs::write(&edited, "three four five")?;
    println!("{}", store.refresh()?);
    let count = words.get()?[edited.to_string_lossy().as_ref()].to_native();
    println!("b.txt has {count} words");
    Ok(())
}
