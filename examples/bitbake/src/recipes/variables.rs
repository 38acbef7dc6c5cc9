//! The variables of one recipe, as far as they can be told without configuration.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::statements::{Operator, Variable, words};

/// The values assigned so far, by name; packages' variables under `NAME:package`.
#[derive(Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Value>,
}

/// A variable: what was assigned, what holds if nothing was, and what waits for the end.
#[derive(Default)]
struct Value {
    assigned: Option<String>,
    weak_default: Option<String>,
    appended: String,
    prepended: String,
    removed: Vec<String>,
}

impl Variables {
    /// Carries out one assignment. One under a condition (an override that is neither a package nor
    /// an operation) is passed over.
    pub(super) fn assign(&mut self, variable: &Variable, operator: Operator, text: String) {
        let Some((name, operation)) = unconditional(variable) else {
            return;
        };
        let value = self.values.entry(name).or_default();
        match operation {
            Some("append") => value.appended.push_str(&text),
            Some("prepend") => value.prepended.insert_str(0, &text),
            Some(_) => value.removed.extend(words(&text).map(String::from)),
            None => value.assign(operator, text),
        }
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The final value of a variable; nothing if it was never assigned.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.values.get(name)?.value()
    }

    /// The packages that have an `RDEPENDS`.
    pub(super) fn packages(&self) -> impl Iterator<Item = &str> {
        let names = self.values.keys();
        names.filter_map(|name| name.strip_prefix("RDEPENDS:"))
    }
}

impl Value {
    fn assign(&mut self, operator: Operator, text: String) {
        match operator {
            Operator::Set | Operator::SetNow => self.assigned = Some(text),
            Operator::WeakDefault => self.weak_default = Some(text),
            Operator::Default => {
                self.assigned.get_or_insert(text);
            }
            Operator::Append => self.join(|held| format!("{held} {text}")),
            Operator::AppendTight => self.join(|held| format!("{held}{text}")),
            Operator::Prepend => self.join(|held| format!("{text} {held}")),
            Operator::PrependTight => self.join(|held| format!("{text}{held}")),
        }
    }

    fn join(&mut self, joined: impl Fn(&str) -> String) {
        self.assigned = Some(joined(self.assigned.as_deref().unwrap_or_default()));
    }

    fn value(&self) -> Option<String> {
        let held = self.assigned.as_ref().or(self.weak_default.as_ref());
        if held.is_none() && self.appended.is_empty() && self.prepended.is_empty() {
            return None;
        }
        let held = held.map_or("", String::as_str);
        let value = format!("{}{held}{}", self.prepended, self.appended);
        if self.removed.is_empty() {
            return Some(value);
        }
        let kept = words(&value).filter(|word| !self.removed.iter().any(|removed| removed == word));
        Some(kept.collect::<Vec<_>>().join(" "))
    }
}

/// The name a variable is kept under and the operation that waits for the end. Nothing if it
/// depends on an override. In `RDEPENDS:x`, `x` is taken for a package unless it names a kind of
/// build.
fn unconditional(variable: &Variable) -> Option<(String, Option<&str>)> {
    let is_kind = |name: &str| name.starts_with("class-") || name.starts_with("libc-");
    let mut name = variable.name.clone();
    let mut overrides = &variable.overrides[..];
    if let [package, rest @ ..] = overrides
        && name == "RDEPENDS"
    {
        if is_operation(package) || is_kind(package) {
            return None;
        }
        name = format!("{name}:{package}");
        overrides = rest;
    }
    match overrides {
        [] => Some((name, None)),
        [operation] if is_operation(operation) => Some((name, Some(operation))),
        _ => None,
    }
}

fn is_operation(name: &str) -> bool {
    matches!(name, "append" | "prepend" | "remove")
}

/// The names that every recipe has without assigning them.
pub(crate) struct Names {
    /// `PN`
    pub name: String,
    /// `PV`
    pub version: String,
}

impl Names {
    /// The names in the path of a recipe: `folder/NAME_VERSION.bb`.
    pub(crate) fn of(path: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or(path);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let mut parts = stem.split('_');
        let name = parts.next().unwrap_or_default().into();
        let version = parts.next().unwrap_or("1.0").into();
        Self { name, version }
    }

    /// Takes over `PN` and `PV` where the recipe assigns them.
    pub(super) fn update(&mut self, variables: &Variables) {
        for (name, held) in [("PN", &mut self.name), ("PV", &mut self.version)] {
            if let Some(value) = variables.value(name) {
                *held = value;
            }
        }
    }

    /// `text` with the names in it expanded.
    pub(crate) fn expand(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.into();
        }
        let (base, version) = (self.base(), &self.version);
        let text = text.replace("${BP}", &format!("{base}-{version}"));
        let text = text.replace("${BPN}", base).replace("${PN}", &self.name);
        text.replace("${PV}", version)
    }

    pub(super) fn expand_variable<'v>(&self, variable: &'v Variable) -> Cow<'v, Variable> {
        if variable.overrides.iter().all(|name| !name.contains("${")) {
            return Cow::Borrowed(variable);
        }
        let overrides = variable.overrides.iter().map(|name| self.expand(name));
        let (name, overrides) = (variable.name.clone(), overrides.collect());
        Cow::Owned(Variable { name, overrides })
    }

    /// `BPN`: the name without what tells variants of one recipe apart.
    fn base(&self) -> &str {
        let name = self.name.strip_prefix("nativesdk-").unwrap_or(&self.name);
        let suffixes = ["-native", "-cross-canadian", "-crosssdk", "-cross"];
        let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        base.unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::{Kind, parse_file};

    #[test]
    fn operators_work_in_order_and_overrides_at_the_end() {
        for (assignments, expected) in [
            ("", None),
            ("A ?= 'x', A ?= 'y'", Some("x")),
            ("A ??= 'x', A ?= 'y'", Some("y")),
            ("A = 'x', A += 'y', A =+ 'z'", Some("z x y")),
            ("A := 'x', A .= 'y', A =. 'z'", Some("zxy")),
            ("A:append = 'x', A:prepend = 'z', A = 'y'", Some("zyx")),
            ("A:remove = 'x z', A = 'x y  z'", Some("y")),
            ("A:arm = 'x', A:append:arm = 'y'", None),
        ] {
            let mut variables = Variables::default();
            let parsed = parse_file("conf/a.conf", assignments.replace(", ", "\n"));
            for statement in parsed.statements {
                match statement.kind {
                    Kind::Assign {
                        variable,
                        operator,
                        value,
                        ..
                    } => {
                        variables.assign(&variable, operator, value);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(variables.value("A").as_deref(), expected, "{assignments}");
        }
    }

    #[test]
    fn names_come_from_the_path() {
        let names = Names::of("x/nativesdk-glow_2.1.bb");
        let expanded = names.expand("${PN} ${BPN} ${BP} ${PV} ${S}");
        assert_eq!(expanded, "nativesdk-glow glow glow-2.1 2.1 ${S}");
        assert_eq!(Names::of("glow.bb").version, "1.0");
    }
}
