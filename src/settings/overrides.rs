//! Values that override the defaults: those of the settings file, then those of the environment.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::known_keys::{KeyKind, KnownKeys};
use super::problem::{Origin, Problem};

/// The start of the name of every variable that is a setting.
const VARIABLE_PREFIX: &str = "CLOAKROOM__";

/// A value of an existing setting.
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// The dotted key, such as `http.listen`.
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The valid values of the file and of the environment, and the problems with the invalid values.
#[derive(Default)]
pub(super) struct Overrides {
    /// In the order of precedence: a later value of the same key overrides an earlier one.
    pub(super) values: Vec<Override>,
    pub(super) problems: Vec<Problem>,
    /// Whether the file is not TOML, so that its values are not known.
    pub(super) file_unreadable: bool,
}

impl Overrides {
    /// Adds the values of a file, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read_file(&mut self, known: &KnownKeys, path: &Path, required: bool) -> anyhow::Result<()> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.parse_file(known, path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
            Err(error) => {
                return Err(error).with_context(|| format!("the settings file {} cannot be read", path.display()));
            }
        }
        Ok(())
    }

    fn parse_file(&mut self, known: &KnownKeys, path: &Path, text: &str) {
        let file = SettingsFile { known, path, text };
        let (spanned, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let origin = Some(file.origin(error.span().map_or(0, |span| span.start)));
            self.problems.push(Problem { origin, message: format!("this line is not TOML: {}", error.message()) });
        }
        match text.parse::<Table>() {
            Ok(values) if errors.is_empty() => self.read_section(&file, "", spanned.get_ref(), &values),
            _ => self.file_unreadable = true,
        }
    }

    /// Adds the values of one section. `spanned` has the positions and `values` the values of the same keys.
    fn read_section(&mut self, file: &SettingsFile<'_>, prefix: &str, spanned: &DeTable<'_>, values: &Table) {
        let mut keys: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = spanned.iter().collect();
        keys.sort_by_key(|(name, _)| name.span().start);
        for (name, position) in keys {
            let key = format!("{prefix}{}", name.get_ref());
            let origin = file.origin(name.span().start);
            let Some(value) = values.get(name.get_ref().as_ref()) else { continue };
            match (file.known.find(&key), position.get_ref(), value) {
                (KeyKind::Section, DeValue::Table(spanned), Value::Table(values)) => {
                    self.read_section(file, &format!("{key}."), spanned, values);
                }
                (KeyKind::Section, ..) => self.problems.push(Problem {
                    origin: Some(origin),
                    message: format!("{key} = {value}: {key} is a section; write [{key}] and its settings below"),
                }),
                (KeyKind::Setting(default), ..) => self.add(file.known, default, &key, value.clone(), origin),
                (KeyKind::Unknown, ..) => {
                    let message = describe_unknown(&key, file.known.nearest(&key).as_deref());
                    self.problems.push(Problem { origin: Some(origin), message });
                }
            }
        }
    }

    /// Adds the values of the variables that have the prefix. Also reports a variable that has single underscores in
    /// place of the double ones.
    pub(super) fn read_environment(
        &mut self,
        known: &KnownKeys,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) {
        let mut variables: Vec<(String, OsString)> =
            variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        variables.sort();
        for (name, value) in variables {
            let upper = name.to_ascii_uppercase();
            let Some(rest) = upper.strip_prefix(VARIABLE_PREFIX) else {
                // A name that is the variable of a setting with `_` in place of `__` is a mistake. Other names that
                // begin with CLOAKROOM_ are no problem: Kubernetes adds CLOAKROOM_PORT to every container beside a
                // service of this name.
                if let Some(meant) = known.all().into_iter().find(|key| upper == variable_name(key).replace("__", "_"))
                {
                    let message = format!("there is no such setting; did you mean {}?", variable_name(&meant));
                    self.problems.push(Problem { origin: Some(Origin::Variable(name)), message });
                }
                continue;
            };
            let key = rest.to_ascii_lowercase().replace("__", ".");
            let origin = Origin::Variable(name);
            match (known.find(&key), value.into_string()) {
                (KeyKind::Setting(default), Ok(text)) => {
                    self.add(known, default, &key, parse_variable(default, text), origin);
                }
                (KeyKind::Setting(_), Err(_)) => {
                    let message = format!("{key}: the value is not UTF-8");
                    self.problems.push(Problem { origin: Some(origin), message });
                }
                (KeyKind::Section, _) => {
                    let message = format!("{key} is a section; set {}__… for one of its settings", variable_name(&key));
                    self.problems.push(Problem { origin: Some(origin), message });
                }
                (KeyKind::Unknown, _) => {
                    let nearest = known.nearest(&key).map(|key| variable_name(&key));
                    self.problems
                        .push(Problem { origin: Some(origin), message: describe_unknown(&key, nearest.as_deref()) });
                }
            }
        }
    }

    /// Adds a value if its type is right.
    fn add(&mut self, known: &KnownKeys, default: &Value, key: &str, value: Value, origin: Origin) {
        match known.check_type(key, default, &value) {
            Ok(()) => self.values.push(Override { key: key.to_owned(), value, origin }),
            Err(allowed) => self.problems.push(Problem {
                origin: Some(origin),
                message: format!("{key} = {}: {allowed}", known.display_value(key, &value)),
            }),
        }
    }
}

/// A settings file that is being read.
struct SettingsFile<'a> {
    known: &'a KnownKeys,
    path: &'a Path,
    text: &'a str,
}

impl SettingsFile<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Origin::File { path: self.path.to_owned(), line }
    }
}

/// Describes an unknown key. The value is left out, because it may be a secret whose key has a typing mistake.
fn describe_unknown(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("there is no setting {key}; did you mean {nearest}?"),
        None => format!("there is no setting {key}; `cloakroom config dump --defaults` lists all settings"),
    }
}

fn variable_name(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Parses the text of a variable as the type of the default. A text that is not of this type stays a text,
/// which [`Overrides::add`] reports. A password of digits stays a text too, because the default is a text.
fn parse_variable(default: &Value, text: String) -> Value {
    let parsed = match default {
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Array(_) => Some(Value::Array(
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect(),
        )),
        _ => None,
    };
    parsed.unwrap_or(Value::String(text))
}
