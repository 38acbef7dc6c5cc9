//! The recipes of the synthetic tree.

use super::File;
use super::shared::include_name;
use super::vocabulary::{
    ADJECTIVES, CLASSES, COMMANDS, Choices, LIBRARIES, LICENSES, NOUNS, OPTIONS, PARTS, PURPOSES,
    SECTIONS, VARIABLES, recipe_name,
};

/// The recipe `index` and, for every fourth, the include file that it shares its text with.
pub(super) fn files(index: usize) -> Vec<File> {
    let choices = &mut Choices::new(index);
    let section = choices.one(&SECTIONS);
    let name = recipe_name(index);
    let version = [9, 30, 12].map(|limit| choices.below(limit).to_string());
    let group = section.split('/').next().unwrap_or(section);
    let folder = format!("meta/recipes-{group}/{name}");
    let path = format!("{folder}/{name}_{}.bb", version.join("."));
    let common = description(choices, &name, section) + &options(choices);
    let mut own = sources(choices, &name) + &packages(choices);
    own += &shell_functions(choices, &name);
    own += &python_functions(choices, &name);
    if index.is_multiple_of(4) {
        let recipe = format!("require {name}.inc\n\n{own}");
        return vec![(format!("{folder}/{name}.inc"), common), (path, recipe)];
    }
    vec![(path, common + &own)]
}

fn description(choices: &mut Choices, name: &str, section: &str) -> String {
    let (adjective, noun) = (choices.one(&ADJECTIVES), choices.one(&NOUNS));
    let (purpose, other) = (choices.one(&PURPOSES), choices.one(&PURPOSES));
    let (license, checksum) = (choices.one(&LICENSES), choices.hexadecimal(32));
    let include = include_name(section);
    let depends = choices.list(&LIBRARIES, 5..13).join(" ");
    let more = choices.one(&LIBRARIES);
    let classes = choices.list(&CLASSES, 3..7).join(" ");
    let mut text = format!(
        r#"SUMMARY = "A {adjective} {noun}"
DESCRIPTION = "{name} is a {adjective} {noun} for {purpose}, \
and for {other}."
HOMEPAGE = "https://{name}.example.org/"
LICENSE = "{license}"
LIC_FILES_CHKSUM = "file://COPYING;md5={checksum}"
require {include}
DEPENDS = "{depends}"
DEPENDS:append:class-target = " {more}"
inherit {classes}
"#
    );
    if choices.below(3) == 0 {
        text += &format!("PROVIDES = \"virtual/{}\"\n", choices.one(&OPTIONS));
    }
    if choices.below(6) == 0 {
        text += "COMPATIBLE_HOST = \"(x86_64|arm|aarch64).*-linux\"\nCOMPATIBLE_HOST:libc-musl = \"null\"\n";
    }
    text
}

fn options(choices: &mut Choices) -> String {
    let options = choices.list(&OPTIONS, 8..16);
    let (default, native) = (options[..3].join(" "), options[..2].join(" "));
    let mut text = format!(
        "PACKAGECONFIG ??= \"{default} ${{@bb.utils.filter('DISTRO_FEATURES', '{native}', d)}}\"\n\
         PACKAGECONFIG:class-native = \"{native}\"\n"
    );
    for option in options {
        let library = choices.one(&LIBRARIES);
        let switches = format!("--enable-{option},--disable-{option},{library}");
        text += &format!("PACKAGECONFIG[{option}] = \"{switches}\"\n");
    }
    text + "EXTRA_OECONF += \"--disable-static --with-system-libs\"\n"
}

fn sources(choices: &mut Choices, name: &str) -> String {
    let mut text = String::from("SRC_URI = \"https://sources.example.org/${BPN}/${BP}.tar.xz \\\n");
    for number in 1..5 + choices.below(8) {
        let adjective = choices.one(&ADJECTIVES).replace(' ', "-");
        let option = choices.one(&OPTIONS);
        text += &format!("    file://{number:04}-make-{option}-{adjective}.patch \\\n");
    }
    let checksum = choices.hexadecimal(64);
    text += &format!("    file://{name}.service \\\n\"\nSRC_URI[sha256sum] = \"{checksum}\"\n");
    match choices.below(8) {
        0 => text += &format!("UPSTREAM_CHECK_REGEX = \"{name}-(?P<pver>\\d+(\\.\\d+)+)\\.tar\"\n"),
        1 => text += "PACKAGES_DYNAMIC = \"^${PN}-plugin-.* ^${PN}-locale-.*\"\n",
        _ => text += "UPSTREAM_CHECK_REGEX = \"releases/tag/v?(?P<pver>\\d+(\\.\\d+)+)\"\n",
    }
    text + "S = \"${UNPACKDIR}/${BP}\"\n\n"
}

fn packages(choices: &mut Choices) -> String {
    let parts = choices.list(&PARTS, 6..12);
    let names: Vec<_> = parts.iter().map(|part| format!("${{PN}}-{part}")).collect();
    let mut text = format!("PACKAGES =+ \"{}\"\n", names.join(" "));
    for (part, package) in parts.iter().zip(&names) {
        let folder = choices.one(&VARIABLES);
        let needed = choices.list(&LIBRARIES, 8..15).join(" ");
        let recommended = choices.one(&LIBRARIES);
        text += &format!(
            r#"SUMMARY:{package} = "${{SUMMARY}} ({part})"
FILES:{package} = "${{{folder}}}/${{BPN}}/{part} ${{libdir}}/{part}-*"
RDEPENDS:{package} = "{needed}"
RRECOMMENDS:{package}:append:class-target = " {recommended}"
"#
        );
    }
    text + "INSANE_SKIP:${PN} += \"dev-so\"\nALLOW_EMPTY:${PN} = \"1\"\n\n"
}

fn shell_functions(choices: &mut Choices, name: &str) -> String {
    let mut text = String::new();
    let functions = "do_configure:prepend do_compile do_install do_install:append:class-target";
    for function in functions.split(' ') {
        text += &format!("{function}() {{\n\t# {name}: {function}\n");
        for _ in 0..6 + choices.below(5) {
            let (command, folder) = (choices.one(&COMMANDS), choices.one(&VARIABLES));
            let (part, other) = (choices.one(&PARTS), choices.one(&VARIABLES));
            text += &format!("\t{command} -v ${{{folder}}}/{part} \"${{{other}}}/$entry\"\n");
        }
        text += "\tif [ -e ${D}${sysconfdir} ]; then\n\t\trmdir ${D}${sysconfdir}\n\tfi\n}\n\n";
    }
    text
}

fn python_functions(choices: &mut Choices, name: &str) -> String {
    let task = format!("check_{}", choices.one(&OPTIONS));
    let mut text = format!("python do_{task}() {{\n    # {name}\n");
    for variable in choices.some(&VARIABLES, 5) {
        text += &format!("    bb.debug(1, d.getVar('{variable}'))\n");
    }
    let option = choices.one(&OPTIONS);
    text += &format!(
        "    if bb.utils.contains('PACKAGECONFIG', '{option}', True, False, d):\n        \
         bb.utils.mkdirhier(oe.path.join(d.getVar('D'), '{option}'))\n}}\n\
         addtask {task} after do_configure before do_build\n"
    );
    if choices.below(2) == 0 {
        text += "deltask do_populate_lic\n";
    }
    text
}
