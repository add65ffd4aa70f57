//! The settings that exist. The embedded defaults name every setting, so they are the list of known keys, and their
//! values show what each setting looks like.

use bytesize::ByteSize;
use domain::Secret;
use jiff::SignedDuration;
use toml::{Table, Value};

use super::sections::{Settings, defaults};

/// The sections and keys of the embedded defaults.
pub(super) struct KnownKeys {
    defaults: Table,
}

/// What a key in a file or in the environment means.
pub(super) enum KeyKind<'a> {
    /// A setting, with its default.
    Setting(&'a Value),
    /// A section, which contains settings.
    Section,
    /// Neither a setting nor a section.
    Unknown,
}

impl KnownKeys {
    /// Reads the embedded defaults.
    ///
    /// # Errors
    /// If they are not TOML, which is a mistake in this program.
    pub(super) fn embedded() -> anyhow::Result<Self> {
        Ok(Self { defaults: defaults().parse()? })
    }

    /// The default of every setting.
    pub(super) fn defaults(&self) -> &Table {
        &self.defaults
    }

    /// Looks up a dotted key, such as `realm.oidc.jwks`.
    pub(super) fn find(&self, key: &str) -> KeyKind<'_> {
        match get(&self.defaults, key) {
            Some(Value::Table(_)) => KeyKind::Section,
            Some(default) => KeyKind::Setting(default),
            None => KeyKind::Unknown,
        }
    }

    /// The dotted keys of all settings and sections.
    pub(super) fn all(&self) -> Vec<String> {
        fn collect(table: &Table, prefix: &str, keys: &mut Vec<String>) {
            for (name, value) in table {
                let key = format!("{prefix}{name}");
                if let Value::Table(section) = value {
                    collect(section, &format!("{key}."), keys);
                }
                keys.push(key);
            }
        }
        let mut keys = Vec::new();
        collect(&self.defaults, "", &mut keys);
        keys
    }

    /// Returns the known key that is most like an unknown key: the same key but for a few letters, the same name in
    /// another section, or a longer key that begins like the unknown key.
    pub(super) fn nearest(&self, unknown: &str) -> Option<String> {
        let name = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let unknown_name = name(unknown);
        let length = unknown_name.chars().count();
        let max_distance = (length / 3).max(if length > 3 { 2 } else { 1 });
        let distance = |known: &str| {
            let by_key = strsim::damerau_levenshtein(unknown, known);
            // A setting in another section must have nearly the same name.
            let by_name = strsim::damerau_levenshtein(&unknown_name, &name(known)) + 1;
            let by_start = if known.starts_with(unknown) { 1 } else { usize::MAX };
            by_key.min(by_name).min(by_start)
        };
        let nearest = self.all().into_iter().min_by_key(|known| distance(known))?;
        (distance(&nearest) <= max_distance).then_some(nearest)
    }

    /// Returns the defaults with only `key` changed, to find out whether this value alone is allowed.
    fn with_only(&self, key: &str, value: Value) -> Result<Settings, toml::de::Error> {
        let mut table = self.defaults.clone();
        set(&mut table, key, value);
        table.try_into()
    }

    /// Checks the type of a value.
    ///
    /// # Errors
    /// What is allowed, in words for an operator.
    pub(super) fn check_type(&self, key: &str, default: &Value, value: &Value) -> Result<(), String> {
        match self.with_only(key, value.clone()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.describe_allowed(key, default, error.message())),
        }
    }

    /// Describes the allowed values of a setting. serde's own messages name Rust types, so only their lists of words
    /// are used.
    fn describe_allowed(&self, key: &str, default: &Value, message: &str) -> String {
        let expected =
            message.split_once(", expected ").map(|(_, expected)| expected.lines().next().unwrap_or(expected));
        let words = expected.filter(|expected| expected.contains(['`', '"']));
        match (default, words) {
            (Value::Array(_), Some(words)) => format!("write a list, each entry {words}"),
            (_, Some(words)) => format!("write {words}"),
            (Value::Boolean(_), None) => "write true or false".to_owned(),
            (Value::Integer(_), None) => {
                let bounds = [i64::MAX, u32::MAX.into(), u16::MAX.into(), u8::MAX.into()];
                let max = bounds.into_iter().find(|max| self.with_only(key, Value::Integer(*max)).is_ok());
                format!("write a whole number from 0 to {}", max.unwrap_or_default())
            }
            (Value::Float(_), None) => "write a number, such as 0.5".to_owned(),
            (Value::Array(_), None) => format!("write a list, such as {default}"),
            (Value::String(text), None) if text.parse::<SignedDuration>().is_ok() => {
                "write a time with its unit, such as 30s, 10m or 24h".to_owned()
            }
            (Value::String(text), None) if text.parse::<ByteSize>().is_ok() => {
                "write a size with its unit, such as 64 KiB, 4 MiB or 2 GiB".to_owned()
            }
            _ => "write text in quotation marks".to_owned(),
        }
    }

    /// Returns a value in the form in which it is displayed. Secrets are redacted.
    pub(super) fn display_value(&self, key: &str, value: &Value) -> String {
        const SAMPLE: &str = "sample";
        // A secret is not serialized as its text. So the setting is a secret if a sample text comes out changed.
        let reserialized = self.with_only(key, SAMPLE.into()).ok().and_then(|settings| Table::try_from(settings).ok());
        let is_secret = reserialized.is_some_and(|table| {
            get(&table, key).and_then(Value::as_str).is_some_and(|shown| !shown.is_empty() && shown != SAMPLE)
        });
        match value {
            Value::String(text) if is_secret => format!("\"{}\"", Secret::new(text.as_str())),
            _ if is_secret => "…".to_owned(),
            value => value.to_string(),
        }
    }
}

fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((section, rest)) => get(table.get(section)?.as_table()?, rest),
        None => table.get(key),
    }
}

/// Sets the value of a key. Does nothing if a section of the key does not exist.
pub(super) fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((section, rest)) => {
            if let Some(Value::Table(section)) = table.get_mut(section) {
                set(section, rest, value);
            }
        }
        None => drop(table.insert(key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_has_a_suggestion_only_if_a_similar_key_exists() {
        let known = KnownKeys::embedded().unwrap();
        for (unknown, nearest) in [
            ("http.listenn", Some("http.listen")),
            ("htpp.listen", Some("http.listen")),
            ("htpp", Some("http")),
            ("uploads.max_conections", Some("http.max_connections")),
            ("worker.max_atempts", Some("worker.max_attempts")),
            ("realm.oidc.isuer", Some("realm.oidc.issuer")),
            ("datadir", Some("data_dir")),
            ("sweep.batch", Some("sweep.batch_size")),
            ("http.colour_of_the_sky", None),
            ("foo", None),
        ] {
            assert_eq!(known.nearest(unknown).as_deref(), nearest, "{unknown}");
        }
    }

    #[test]
    fn the_description_of_allowed_values_names_no_rust_type() {
        let known = KnownKeys::embedded().unwrap();
        for (key, value, allowed) in [
            ("http.metrics", "maybe".into(), "write true or false"),
            ("worker.max_attempts", "many".into(), "write a whole number from 0 to 4294967295"),
            ("worker.max_attempts", (-1).into(), "write a whole number from 0 to 4294967295"),
            ("sweep.batch_size", 1.5.into(), "write a whole number from 0 to 9223372036854775807"),
            ("traces.sample_ratio", "all".into(), "write a number, such as 0.5"),
            ("uploads.retention", 36.into(), "write a time with its unit, such as 30s, 10m or 24h"),
            ("uploads.max_bytes", "big".into(), "write a size with its unit, such as 64 KiB, 4 MiB or 2 GiB"),
            ("log.format", "xml".into(), "write one of `auto`, `pretty`, `plain`, `json`"),
            ("realm.secure_cookies", "maybe".into(), "write \"auto\", true or false"),
            ("records.pooler", "both".into(), "write `none` or `transaction`"),
            ("realm.admin_password", 12345.into(), "write text in quotation marks"),
        ] {
            let KeyKind::Setting(default) = known.find(key) else { panic!("{key}") };
            assert_eq!(known.check_type(key, default, &value), Err(allowed.to_owned()), "{key}");
        }
        let queues = Value::Array(vec!["pictures".into(), "renderings".into()]);
        let KeyKind::Setting(default) = known.find("worker.queues") else { panic!() };
        let allowed = known.check_type("worker.queues", default, &queues).unwrap_err();
        assert!(allowed.starts_with("write a list, each entry one of `pictures`"), "{allowed}");
    }

    #[test]
    fn secrets_are_not_displayed() {
        let known = KnownKeys::embedded().unwrap();
        assert_eq!(known.display_value("realm.admin_password", &"hunter2".into()), "\"…\"");
        assert_eq!(known.display_value("realm.admin_password", &12345.into()), "…");
        assert_eq!(known.display_value("records.url", &"postgres://a:b@db/c".into()), "\"postgres://…@db/c\"");
        assert_eq!(known.display_value("http.listen", &"here".into()), "\"here\"");
        assert_eq!(known.display_value("worker.lease", &"soon".into()), "\"soon\"");
    }
}
