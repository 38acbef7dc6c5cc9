//! What the recipes of the synthetic tree share: classes and configuration.

use super::File;
use super::vocabulary::{CLASSES, COMMANDS, Choices, OPTIONS, SECTIONS, VARIABLES};

/// The files that every tree has, whatever the number of recipes.
pub(super) fn files() -> Vec<File> {
    let layer = ("meta/conf/layer.conf".into(), LAYER.into());
    let classes = (0..CLASSES.len()).map(class);
    let includes = (0..SECTIONS.len()).map(include);
    let files = [layer, distribution()].into_iter().chain(classes);
    files.chain((0..8).map(machine)).chain(includes).collect()
}

/// The path of what the recipes of a section have in common, as a recipe requires it.
pub(super) fn include_name(section: &str) -> String {
    format!("conf/sections/{}.inc", section.replace('/', "-"))
}

const LAYER: &str = r#"# The layer of the synthetic tree.
BBPATH .= ":${LAYERDIR}"
BBFILES += "${LAYERDIR}/recipes-*/*/*.bb"
BBFILE_COLLECTIONS += "synthetic"
BBFILE_PATTERN_synthetic = "^${LAYERDIR}/"
BBFILE_PRIORITY_synthetic = "5"
"#;

fn distribution() -> File {
    let mut text = String::from("DISTRO_NAME ?= \"Synthetic\"\nDISTRO_VERSION ??= \"1.0\"\n");
    for option in OPTIONS.iter() {
        text += &format!("DISTRO_FEATURES:append = \" {option}\"\n");
    }
    ("meta/conf/distro/synthetic.conf".into(), text)
}

fn machine(index: usize) -> File {
    let text = format!(
        "#@NAME: board {index}\nMACHINEOVERRIDES =. \"board:\"\nSERIAL_CONSOLES ?= \"115200;tty{index}\"\n\
         KERNEL_IMAGETYPE = \"zImage\"\nIMAGE_FSTYPES += \"tar.gz ext4\"\n"
    );
    (format!("meta/conf/machine/board{index}.conf"), text)
}

fn include(index: usize) -> File {
    let (section, class) = (SECTIONS[index], CLASSES[index % 3]);
    let text = format!(
        "SECTION ?= \"{section}\"\nBUGTRACKER = \"https://bugs.example.org/{section}\"\n\
         inherit {class}\nPACKAGE_ARCH ??= \"${{TUNE_PKGARCH}}\"\n"
    );
    (format!("meta/{}", include_name(section)), text)
}

fn class(index: usize) -> File {
    let mut choices = Choices::new(1_000_003 + index);
    let name = CLASSES[index];
    let task = name.replace('-', "_");
    let variable = task.to_uppercase();
    let mut text = format!("# Builds with {name}.\n\n{variable}_FLAGS ?= \"\"\n");
    for option in choices.some(&OPTIONS, 4) {
        text += &format!("{variable}_FLAGS[{option}] = \"--with-{option},--without-{option}\"\n");
    }
    text += &format!("\n{task}_do_install() {{\n");
    for _ in 0..6 {
        let (command, folder) = (choices.one(&COMMANDS), choices.one(&VARIABLES));
        text += &format!("\t{command} ${{D}}${{{folder}}}/{task} || bbfatal \"{task}\"\n");
    }
    text += &format!(
        r#"}}

def {task}_flags(d):
    flags = d.getVar('{variable}_FLAGS') or ''
    return bb.utils.contains('DISTRO_FEATURES', '{}', flags, '', d)

python do_{task}() {{
    bb.note('%s' % {task}_flags(d))
    bb.utils.mkdirhier(d.getVar('WORKDIR'))
}}

addtask {task} after do_compile before do_install
EXPORT_FUNCTIONS do_install
"#,
        choices.one(&OPTIONS),
    );
    (format!("meta/classes/{name}.bbclass"), text)
}
