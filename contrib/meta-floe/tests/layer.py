"""A small layer of its own: about 50 recipes over a few classes, with shell tasks."""

from pathlib import Path

COUNT = 50

BITBAKE_CONF = """\
TMPDIR = "${TOPDIR}/tmp"
CACHE = "${TMPDIR}/cache"
PERSISTENT_DIR = "${TOPDIR}/cache"
DL_DIR = "${TOPDIR}/downloads"
STAMPS_DIR = "${TMPDIR}/stamps"
FILE_DIRNAME = "${@os.path.dirname(d.getVar('FILE', False) or '')}"
PN = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[0] or 'none'}"
PV = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[1] or '1.0'}"
PR = "r0"
PF = "${PN}-${PV}-${PR}"
WORKDIR = "${TMPDIR}/work/${PF}"
T = "${WORKDIR}/temp"
B = "${WORKDIR}/build"
S = "${WORKDIR}/source"
STAMP = "${STAMPS_DIR}/${PF}"
STAMPCLEAN = "${STAMPS_DIR}/${PN}-*"
OVERRIDES = "local"
PROVIDES = ""
DEPENDS = ""
RDEPENDS = ""
PACKAGES = "${PN}-dev ${PN}"
PACKAGES_DYNAMIC = "^${PN}-locale-.*"
BB_SIGNATURE_HANDLER = "basichash"
BB_HASHSERVE = ""
BB_NUMBER_PARSE_THREADS = "2"
BB_NUMBER_THREADS = "2"
BB_HASHCONFIG_IGNORE_VARS = "BB_HASHSERVE BB_ORIGENV DATE TIME BBINCLUDED"
BB_BASEHASH_IGNORE_VARS = "TMPDIR FILE PATH BB_TASKHASH BB_UNIHASH TOPDIR BB_HASHSERVE"
require conf/local.conf
include conf/multiconfig/${BB_CURRENT_MC}.conf
"""

BASE_CLASS = """\
addtask prepare
addtask compile after do_prepare
addtask install after do_compile
addtask build after do_install
do_prepare[dirs] = "${S}"
do_compile[dirs] = "${B}"
do_install[dirs] = "${B}"
do_compile[depends] = "${@' '.join(n + ':do_install' for n in d.getVar('DEPENDS').split())}"
do_compile[file-checksums] = "${FILE_DIRNAME}/files/${PN}.txt:${@os.path.exists('%s/files/%s.txt' % (d.getVar('FILE_DIRNAME'), d.getVar('PN')))} ${FILE_DIRNAME}/absent/${PN}.txt:${@os.path.exists('%s/absent/%s.txt' % (d.getVar('FILE_DIRNAME'), d.getVar('PN')))}"

BB_DEFAULT_TASK = "build"
FLAVOUR ?= "plain"

do_prepare() {
    echo "prepare ${PN}" > ${S}/source
}
do_compile() {
    cat ${S}/source > ${B}/object
    echo "compile ${PN} ${FLAVOUR}" >> ${B}/object
}
do_install() {
    cp ${B}/object ${B}/installed
}
do_build() {
    :
}
do_build[noexec] = "1"
python () {
    if d.getVar("UNWANTED"):
        raise bb.parse.SkipRecipe("nobody wants it")
}
"""

VARIANT_CLASS = """\
python variant_virtclass_handler () {
    pn = d.getVar("PN")
    if not pn.endswith("-native"):
        d.setVar("PN", pn + "-native")
        d.setVar("DEPENDS", "")
    d.setVar("STAMP", d.getVar("STAMP") + "-native")
}
addhandler variant_virtclass_handler
variant_virtclass_handler[eventmask] = "bb.event.RecipePreFinalise"
"""

EXTRA_CLASS = """\
do_package() {
    echo "package ${PN}" > ${B}/package
}
do_package[dirs] = "${B}"
addtask package after do_install before do_build
"""


def wanted(number: int) -> str:
    """The name of a recipe, or of the one before it if that is skipped."""
    return f"part{number - (number % 25 == 7)}"


def recipe(number: int) -> str:
    """The text of one recipe."""
    lines = [f'SUMMARY = "Recipe number {number}"', f"include maybe-{number % 5}.inc"]
    if number:
        half, third = wanted(number // 2), wanted(number // 3)
        lines.append(f'DEPENDS = "{half} {third}"' if number > 3 else "")
        lines.append(f'PROVIDES += "virtual/thing{number}"' if number % 7 == 3 else "")
        lines.append(f'RDEPENDS:${{PN}} = "{half}"')
    lines.append(f'RPROVIDES:${{PN}} = "role{number % 4}"')
    if number % 6 == 0:
        lines.append("inherit extra")
    if number % 10 == 4:
        lines.append('BBCLASSEXTEND = "variant"')
    if number % 25 == 7:
        lines.append('UNWANTED = "1"')
    if number % 20 == 9:
        lines.append('EXCLUDE_FROM_WORLD = "1"')
    lines.append(f'FLAVOUR = "flavour {number % 3}"')
    return "\n".join(lines) + "\n"


def write(top: Path, count: int = COUNT) -> Path:
    """Writes the layer below `top`, and returns its folder."""
    layer = top / "meta-small"
    for folder in ("conf", "classes", "recipes/files"):
        (layer / folder).mkdir(parents=True, exist_ok=True)
    (layer / "conf/layer.conf").write_text(
        'BBPATH .= ":${LAYERDIR}"\n'
        'BBFILES += "${LAYERDIR}/recipes/*.bb ${LAYERDIR}/recipes/*.bbappend"\n'
        'BBFILE_COLLECTIONS += "small"\n'
        'BBFILE_PATTERN_small = "^${LAYERDIR}/"\n'
        'BBFILE_PRIORITY_small = "5"\n'
        'LAYERSERIES_CORENAMES = "wrynose"\n'
        'LAYERSERIES_COMPAT_small = "wrynose"\n'
    )
    (layer / "conf/bitbake.conf").write_text(BITBAKE_CONF)
    (layer / "classes/base.bbclass").write_text(BASE_CLASS)
    (layer / "classes/extra.bbclass").write_text(EXTRA_CLASS)
    (layer / "classes/variant.bbclass").write_text(VARIANT_CLASS)
    for number in range(count):
        (layer / f"recipes/part{number}_1.{number % 4}.bb").write_text(recipe(number))
        if number % 3 == 0:
            (layer / f"recipes/files/part{number}.txt").write_text(f"file of {number}\n")
        if number % 11 == 5:
            (layer / f"recipes/part{number}_%.bbappend").write_text('FLAVOUR .= " appended"\n')
    return layer
