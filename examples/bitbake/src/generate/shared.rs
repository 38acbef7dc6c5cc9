//! What the recipes of the synthetic tree share: classes and configuration.

use super::File;
use super::vocabulary::{CLASSES, COMMANDS, Choices, OPTIONS, SECTIONS, VARIABLES};

/// The files that every tree has, whatever the number of recipes.
pub(super) fn files() -> Vec<File> {
    let classes = CLASSES
        .iter()
        .enumerate()
        .map(|(index, name)| class(index, name));
    let machines = (0..8).map(machine);
    let includes = SECTIONS
        .iter()
        .enumerate()
        .map(|(index, section)| include(index, section));
    [layer(), distribution()]
        .into_iter()
        .chain(classes)
        .chain(machines)
        .chain(includes)
        .collect()
}

/// The path of what the recipes of a section have in common, as a recipe requires it.
pub(super) fn include_name(section: &str) -> String {
    format!("conf/sections/{}.inc", section.replace('/', "-"))
}

fn layer() -> File {
    let text = "# The layer of the synthetic tree.\n\
        BBPATH .= \":${LAYERDIR}\"\n\
        BBFILES += \"${LAYERDIR}/recipes-*/*/*.bb\"\n\
        BBFILE_COLLECTIONS += \"synthetic\"\n\
        BBFILE_PATTERN_synthetic = \"^${LAYERDIR}/\"\n\
        BBFILE_PRIORITY_synthetic = \"5\"\n";
    File {
        path: "meta/conf/layer.conf".into(),
        text: text.into(),
    }
}

fn distribution() -> File {
    let mut text = String::from("DISTRO_NAME ?= \"Synthetic\"\nDISTRO_VERSION ??= \"1.0\"\n");
    for option in OPTIONS.iter() {
        text += &format!("DISTRO_FEATURES:append = \" {option}\"\n");
    }
    File {
        path: "meta/conf/distro/synthetic.conf".into(),
        text,
    }
}

fn machine(index: usize) -> File {
    let text = format!(
        "#@NAME: board {index}\nMACHINEOVERRIDES =. \"board:\"\nSERIAL_CONSOLES ?= \"115200;tty{index}\"\n\
         KERNEL_IMAGETYPE = \"zImage\"\nIMAGE_FSTYPES += \"tar.gz ext4\"\n"
    );
    File {
        path: format!("meta/conf/machine/board{index}.conf"),
        text,
    }
}

fn include(index: usize, section: &str) -> File {
    let class = CLASSES[index % 3];
    let text = format!(
        "SECTION ?= \"{section}\"\nBUGTRACKER = \"https://bugs.example.org/{section}\"\n\
         inherit {class}\nPACKAGE_ARCH ??= \"${{TUNE_PKGARCH}}\"\n"
    );
    File {
        path: format!("meta/{}", include_name(section)),
        text,
    }
}

fn class(index: usize, name: &str) -> File {
    let mut choices = Choices::new(1_000_003 + index);
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
        "}}\n\ndef {task}_flags(d):\n    flags = d.getVar('{variable}_FLAGS') or ''\n    \
         return bb.utils.contains('DISTRO_FEATURES', '{}', flags, '', d)\n\n\
         python do_{task}() {{\n    bb.note('%s' % {task}_flags(d))\n    \
         bb.utils.mkdirhier(d.getVar('WORKDIR'))\n}}\n\n\
         addtask {task} after do_compile before do_install\nEXPORT_FUNCTIONS do_install\n",
        choices.one(&OPTIONS),
    );
    File {
        path: format!("meta/classes/{name}.bbclass"),
        text,
    }
}
