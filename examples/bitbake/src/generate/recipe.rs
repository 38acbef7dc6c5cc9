//! The recipes of the synthetic tree.

use super::File;
use super::shared::include_name;
use super::vocabulary::{
    ADJECTIVES, CLASSES, COMMANDS, Choices, LIBRARIES, LICENSES, NOUNS, OPTIONS, PARTS, PURPOSES,
    SECTIONS, VARIABLES, recipe_name,
};

/// The recipe `index` and, for every fourth, the include file that it shares its text with.
pub(super) fn files(index: usize) -> Vec<File> {
    let mut choices = Choices::new(index);
    let section = choices.one(&SECTIONS);
    let name = recipe_name(index);
    let version = format!(
        "{}.{}.{}",
        choices.below(9),
        choices.below(30),
        choices.below(12)
    );
    let folder = format!(
        "meta/recipes-{}/{name}",
        section.split('/').next().unwrap_or(section)
    );
    let mut common = description(&mut choices, &name, section);
    common += &options(&mut choices);
    let mut own = sources(&mut choices, &name);
    own += &packages(&mut choices);
    own += &shell_functions(&mut choices, &name);
    own += &python_functions(&mut choices, &name);

    let recipe = |text| File {
        path: format!("{folder}/{name}_{version}.bb"),
        text,
    };
    if index.is_multiple_of(4) {
        let include = File {
            path: format!("{folder}/{name}.inc"),
            text: common,
        };
        vec![include, recipe(format!("require {name}.inc\n\n{own}"))]
    } else {
        vec![recipe(common + &own)]
    }
}

fn description(choices: &mut Choices, name: &str, section: &str) -> String {
    let (adjective, noun) = (choices.one(&ADJECTIVES), choices.one(&NOUNS));
    let mut text = format!(
        "SUMMARY = \"A {adjective} {noun}\"\nDESCRIPTION = \"{name} is a {adjective} {noun} for {}, \\\n\
         and for {}.\"\nHOMEPAGE = \"https://{name}.example.org/\"\nLICENSE = \"{}\"\n\
         LIC_FILES_CHKSUM = \"file://COPYING;md5={}\"\nrequire {}\n",
        choices.one(&PURPOSES),
        choices.one(&PURPOSES),
        choices.one(&LICENSES),
        choices.hexadecimal(32),
        include_name(section),
    );
    let count = 5 + choices.below(8);
    text += &format!(
        "DEPENDS = \"{}\"\n",
        choices.some(&LIBRARIES, count).join(" ")
    );
    text += &format!(
        "DEPENDS:append:class-target = \" {}\"\n",
        choices.one(&LIBRARIES)
    );
    let count = 3 + choices.below(4);
    text += &format!("inherit {}\n", choices.some(&CLASSES, count).join(" "));
    if choices.below(3) == 0 {
        text += &format!("PROVIDES = \"virtual/{}\"\n", choices.one(&OPTIONS));
    }
    if choices.below(6) == 0 {
        text += "COMPATIBLE_HOST = \"(x86_64|arm|aarch64).*-linux\"\nCOMPATIBLE_HOST:libc-musl = \"null\"\n";
    }
    text
}

fn options(choices: &mut Choices) -> String {
    let count = 8 + choices.below(8);
    let options = choices.some(&OPTIONS, count);
    let (default, native) = (options[..3].join(" "), options[..2].join(" "));
    let mut text = format!(
        "PACKAGECONFIG ??= \"{default} ${{@bb.utils.filter('DISTRO_FEATURES', '{native}', d)}}\"\n\
         PACKAGECONFIG:class-native = \"{native}\"\n"
    );
    for option in options {
        let library = choices.one(&LIBRARIES);
        text += &format!(
            "PACKAGECONFIG[{option}] = \"--enable-{option},--disable-{option},{library}\"\n"
        );
    }
    text + "EXTRA_OECONF += \"--disable-static --with-system-libs\"\n"
}

fn sources(choices: &mut Choices, name: &str) -> String {
    let mut text = String::from("SRC_URI = \"https://sources.example.org/${BPN}/${BP}.tar.xz \\\n");
    for number in 1..5 + choices.below(8) {
        let (noun, option) = (
            choices.one(&ADJECTIVES).replace(' ', "-"),
            choices.one(&OPTIONS),
        );
        text += &format!("    file://{number:04}-make-{option}-{noun}.patch \\\n");
    }
    text += &format!("    file://{name}.service \\\n\"\n");
    text += &format!("SRC_URI[sha256sum] = \"{}\"\n", choices.hexadecimal(64));
    match choices.below(8) {
        0 => text += &format!("UPSTREAM_CHECK_REGEX = \"{name}-(?P<pver>\\d+(\\.\\d+)+)\\.tar\"\n"),
        1 => text += "PACKAGES_DYNAMIC = \"^${PN}-plugin-.* ^${PN}-locale-.*\"\n",
        _ => text += "UPSTREAM_CHECK_REGEX = \"releases/tag/v?(?P<pver>\\d+(\\.\\d+)+)\"\n",
    }
    text + "S = \"${UNPACKDIR}/${BP}\"\n\n"
}

fn packages(choices: &mut Choices) -> String {
    let count = 6 + choices.below(6);
    let parts = choices.some(&PARTS, count);
    let names: Vec<_> = parts.iter().map(|part| format!("${{PN}}-{part}")).collect();
    let mut text = format!("PACKAGES =+ \"{}\"\n", names.join(" "));
    for (part, package) in parts.iter().zip(&names) {
        let folder = choices.one(&VARIABLES);
        text += &format!("SUMMARY:{package} = \"${{SUMMARY}} ({part})\"\n");
        text +=
            &format!("FILES:{package} = \"${{{folder}}}/${{BPN}}/{part} ${{libdir}}/{part}-*\"\n");
        let count = 8 + choices.below(7);
        let needed = choices.some(&LIBRARIES, count).join(" ");
        text += &format!("RDEPENDS:{package} = \"{needed}\"\n");
        text += &format!(
            "RRECOMMENDS:{package}:append:class-target = \" {}\"\n",
            choices.one(&LIBRARIES)
        );
    }
    text + "INSANE_SKIP:${PN} += \"dev-so\"\nALLOW_EMPTY:${PN} = \"1\"\n\n"
}

fn shell_functions(choices: &mut Choices, name: &str) -> String {
    let mut text = String::new();
    for function in [
        "do_configure:prepend",
        "do_compile",
        "do_install",
        "do_install:append:class-target",
    ] {
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
