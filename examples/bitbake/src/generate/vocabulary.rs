//! The words of the synthetic tree, and the order in which they come.

use std::ops::Range;
use std::sync::LazyLock;

/// A sequence of choices that depends on its seed alone (splitmix64).
pub(super) struct Choices(u64);

impl Choices {
    pub(super) fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    /// A number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// One of `words`, which are not empty.
    pub(super) fn one<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len())]
    }

    /// `count` different ones of `words`, in their order; early words are taken more often than
    /// late ones, as some libraries are needed by almost everything.
    pub(super) fn some<'w>(&mut self, words: &[&'w str], count: usize) -> Vec<&'w str> {
        let mut chosen: Vec<usize> = vec![];
        while chosen.len() < count.min(words.len()) {
            let limit = 1 + self.below(words.len());
            let index = self.below(limit);
            if !chosen.contains(&index) {
                chosen.push(index);
            }
        }
        chosen.sort_unstable();
        chosen.into_iter().map(|index| words[index]).collect()
    }

    /// As many of `words` as one number of `counts` says.
    pub(super) fn list<'w>(&mut self, words: &[&'w str], counts: Range<usize>) -> Vec<&'w str> {
        let count = counts.start + self.below(counts.len());
        self.some(words, count)
    }

    pub(super) fn hexadecimal(&mut self, digits: usize) -> String {
        let digits = (0..digits).map(|_| format!("{:x}", self.below(16)));
        digits.collect()
    }
}

/// The name of the recipe `index`; no two have the same.
pub(super) fn recipe_name(index: usize) -> String {
    let (stem, rest) = (STEMS[index % STEMS.len()], index / STEMS.len());
    let (ending, round) = (ENDINGS[rest % ENDINGS.len()], rest / ENDINGS.len());
    match round {
        0 => format!("{stem}{ending}"),
        _ => format!("{stem}{round}{ending}"),
    }
}

/// Declares lists of words, each written as one text with commas between.
macro_rules! words {
    ($($visibility:vis $name:ident: $text:literal;)+) => {
        $($visibility static $name: Words = LazyLock::new(|| $text.split(", ").collect());)+
    };
}

type Words = LazyLock<Vec<&'static str>>;

words! {
    STEMS:
        "amber, basalt, cedar, delta, ember, fjord, garnet, harbor, indigo, juniper, kelp, \
         lagoon, maple, nimbus, opal, pebble, quartz, raven, saffron, tundra, umber, velvet, \
         willow, xenon, yarrow, zephyr, acorn, birch, cobalt, drift, elm, flint, glacier, \
         heron, iris, jade, kite, larch, moss, north";
    ENDINGS:
        ", -tools, -utils, lib, -daemon, -client, -codec, -parser, -fonts, -proto, -shell, \
         -bindings, -tests, -firmware";
    pub(super) SECTIONS: "base, console/utils, devel, graphics, libs, multimedia, net, x11";
    pub(super) LICENSES:
        "MIT, Apache-2.0, BSD-3-Clause, GPL-2.0-only, GPL-2.0-or-later & LGPL-2.1-or-later, \
         ISC, Zlib";
    pub(super) LIBRARIES:
        "pebblelib, quartzlib, cedarlib, emberlib, flint-native, mosslib, opal-native, \
         irislib, ravenlib, tundra-native, virtual/light, virtual/crypt, amberlib, kelplib, \
         jade-native, heronlib, willowlib, northlib, drift-native, basaltlib, birchlib, \
         larchlib, elm-proto, kite-proto, cobalt-codec, umber-codec, zephyrlib, yarrowlib, \
         velvetlib, xenonlib, saffronlib, nimbuslib, maplelib, lagoonlib, juniperlib, \
         indigolib, harborlib, garnetlib, fjordlib, deltalib";
    pub(super) CLASSES:
        "configure-make, pkgdata, translations, system-service, test-suite, weaver, \
         cross-build, icon-cache, schema-store, kernel-parts, user-accounts, alternatives, \
         manual-pages, python-wheel, bindings-gen, font-cache, header-merge, split-locales, \
         image-parts, license-report, mirror-list, archive-sources, build-notes, state-cache";
    pub(super) OPTIONS:
        "docs, tests, ipv6, crypt, threads, static, tools, light, sound, bluetooth, journal, \
         audit, python, zlib, locale, gui, usb, cache, trace, examples";
    pub(super) PARTS: "dev, doc, dbg, locale, tools, tests, plugins, daemon, client, data, examples, bash";
    pub(super) VARIABLES:
        "D, S, B, bindir, sysconfdir, libdir, datadir, includedir, sbindir, localstatedir, \
         UNPACKDIR, PN, PV, systemd_unitdir, nonarch_libdir, base_sbindir, mandir, \
         libexecdir, HOST_PREFIX, CFLAGS, LDFLAGS, STAGING_DIR_HOST, WORKDIR, TARGET_ARCH";
    pub(super) COMMANDS:
        "install, rm, ln, sed, mkdir, cp, mv, touch, chmod, oe_runmake, find, chown, cat, \
         rmdir, awk, gzip";
    pub(super) ADJECTIVES:
        "small, fast, portable, simple, modern, embeddable, reliable, modular, lean, \
         flexible, secure, scriptable, well tested, network aware, interactive, minimal";
    pub(super) NOUNS:
        "message queue, font renderer, image decoder, configuration parser, task scheduler, \
         network monitor, sound mixer, text editor, archive reader, clock synchroniser, \
         logging service, key store, window manager, device manager, test runner, \
         protocol library";
    pub(super) PURPOSES:
        "boards with little memory, long running services, the early stages of the boot, \
         desktop sessions, measuring instruments, gateways and routers, unattended updates, \
         continuous testing, building other packages, devices without a display, \
         industrial controllers, media players";
}
