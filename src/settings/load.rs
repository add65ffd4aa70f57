//! Loads the settings: the defaults, then the file, then the environment.

use std::path::Path;

use super::known_keys::{self, KnownKeys};
use super::overrides::{Override, Overrides};
use super::problem::{Problem, SettingsError};
use super::sections::Settings;

/// The settings file to read if none is named.
const DEFAULT_FILE: &str = "cloakroom.toml";

impl Settings {
    /// Loads all settings. `file` must exist if it is given; otherwise `cloakroom.toml` is read if it exists.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown or a value is invalid. The error names every such key, where it was
    /// set, and what is allowed.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let (path, required) = (file.unwrap_or(Path::new(DEFAULT_FILE)), file.is_some());
        let known = KnownKeys::embedded()?;
        let mut overrides = Overrides::default();
        overrides.read_file(&known, path, required)?;
        overrides.read_environment(&known, std::env::vars_os());
        Self::from_overrides(&known, overrides)
    }

    fn from_overrides(known: &KnownKeys, overrides: Overrides) -> anyhow::Result<Self> {
        let Overrides { mut values, mut problems, file_unreadable } = overrides;
        loop {
            let settings = Self::with_values(known, &values)?;
            // Settings that depend on each other cannot be checked while some of them are unknown.
            let checked = if file_unreadable { Ok(()) } else { settings.check() };
            match checked {
                Ok(()) if problems.is_empty() => return Ok(settings),
                Ok(()) => return Err(SettingsError::new(problems).into()),
                Err(error) => {
                    // A check ends at the first invalid setting. It is repeated without that setting, so that all
                    // invalid settings are reported at once.
                    let message = format!("{error:#}");
                    let key = key_of(known, &message);
                    let origin = values.iter().rfind(|value| Some(&value.key) == key.as_ref());
                    problems.push(Problem { origin: origin.map(|value| value.origin.clone()), message });
                    let section = |key: &str| key.rsplit_once('.').map(|(section, _)| section.to_owned());
                    let (count_before, is_override) = (values.len(), origin.is_some());
                    values.retain(|value| match (&key, is_override) {
                        (Some(key), true) => value.key != *key,
                        // The invalid value is a default, which does not fit another setting of its section.
                        (Some(key), false) => section(&value.key) != section(key),
                        (None, _) => false,
                    });
                    if values.len() == count_before {
                        return Err(SettingsError::new(problems).into());
                    }
                }
            }
        }
    }

    /// Returns the settings: these values, and the defaults for all other settings. Staging, blobs and records get an
    /// address below the data directory if they have none.
    fn with_values(known: &KnownKeys, values: &[Override]) -> anyhow::Result<Self> {
        let mut table = known.defaults().clone();
        for Override { key, value, .. } in values {
            known_keys::set(&mut table, key, value.clone());
        }
        let mut settings: Self = table.try_into()?;
        settings.fill_default_urls()?;
        Ok(settings)
    }
}

/// Returns the key with which the message of a check begins. Every check names its setting first.
fn key_of(known: &KnownKeys, message: &str) -> Option<String> {
    known.all().into_iter().filter(|key| message.starts_with(key.as_str())).max_by_key(String::len)
}
