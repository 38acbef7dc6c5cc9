//! The record that all benches measure with: made from its number alone, the same in every run.

use std::fmt::Write;

use floe::Schema;
use rkyv::{Archive, Serialize};

/// What a build server knows of one recipe: texts, lists, and lists in lists.
#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
pub struct Recipe {
    pub summary: String,
    pub license: String,
    pub priority: u32,
    pub depends: Vec<String>,
    pub packages: Vec<Package>,
    pub script: String,
}

/// One of the packages that a recipe makes.
#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
pub struct Package {
    pub name: String,
    pub files: Vec<String>,
}

const LICENSES: [&str; 6] = [
    "MIT",
    "Apache-2.0",
    "GPL-2.0-only & LGPL-2.1-or-later",
    "BSD-3-Clause",
    "MPL-2.0",
    "Zlib | MIT",
];
const LIBRARIES: [&str; 12] = [
    "zlib",
    "openssl",
    "glib-2.0",
    "libxml2-native",
    "virtual/kernel",
    "util-linux-libuuid",
    "ncurses",
    "dbus",
    "python3-setuptools-native",
    "curl",
    "expat",
    "pkgconfig-native",
];
const COMMANDS: [&str; 6] = [
    "install -d ${D}${sysconfdir}/profile.d",
    "oe_runmake -C ${S} DESTDIR=${D} install",
    "rm -rf ${D}${datadir}/locale ${D}${datadir}/info",
    "sed -i -e 's,@PREFIX@,${prefix},g' ${B}/config.mk",
    "chown -R root:root ${D}${localstatedir}/lib",
    "ln -sf ../${baselib}/firmware ${D}${nonarch_base_libdir}",
];

/// Writes the key of a recipe into a buffer.
pub fn write_key(index: u64, key: &mut String) {
    key.clear();
    // A `String` takes everything.
    let _ = write!(key, "{}-{index}", LIBRARIES[index as usize % 12]);
}

/// The recipe with a number; about 1.4 KiB when it is frozen.
pub fn recipe(index: u64) -> Recipe {
    let mut choices = Choices(index);
    let mut depends: Vec<_> = (0..4).map(|_| choices.one(&LIBRARIES)).collect();
    depends.dedup();
    let package = |number| Package {
        name: format!("recipe-{index}-{}", ["dev", "doc"][number]),
        files: vec![
            format!("/usr/lib/recipe-{index}/*.so.{number}"),
            format!("/usr/share/recipe-{index}"),
        ],
    };
    let mut script = format!("do_install_{index}() {{\n");
    for _ in 0..20 {
        script.push('\t');
        script.push_str(choices.one(&COMMANDS));
        script.push('\n');
    }
    script.push('}');
    Recipe {
        summary: format!("Recipe {index} of the tree that the benches make"),
        license: choices.one(&LICENSES).to_owned(),
        priority: choices.next() as u32,
        depends: depends.into_iter().map(str::to_owned).collect(),
        packages: (0..2).map(package).collect(),
        script,
    }
}

/// Splitmix64.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one(&mut self, texts: &[&'static str]) -> &'static str {
        texts[(self.next() % texts.len() as u64) as usize]
    }
}

/// Gives a recipe and its archived twins one digest over every byte of their content.
#[macro_export]
macro_rules! digests {
    ($($recipe:ty),*) => {$(
        impl $recipe {
            /// The same for a recipe on the heap and in a region.
            pub fn digest(&self) -> u64 {
                let mut digest = u64::from(u32::from(self.priority));
                let mut add = |text: &str| {
                    digest = digest.rotate_left(5) ^ xxhash_rust::xxh3::xxh3_64(text.as_bytes());
                };
                add(&self.summary);
                add(&self.license);
                self.depends.iter().for_each(|name| add(name));
                for package in self.packages.iter() {
                    add(&package.name);
                    package.files.iter().for_each(|file| add(file));
                }
                add(&self.script);
                digest
            }
        }
    )*};
}

digests!(Recipe, ArchivedRecipe);
