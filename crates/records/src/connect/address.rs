//! The address of the records: its known forms and parameters, and their conversion for the driver.

use address::{param, parse_params, read_ca_file, with_param};
use domain::InvalidSetting;
use sea_orm::{SqlxPostgresConnector, SqlxSqliteConnector};

use crate::settings::RecordsSettings;

/// The parameters that sqlx takes for PostgreSQL. For others sqlx only logs a warning, so they are refused here.
const POSTGRES_PARAMS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "options[",
];

/// The parameters that sqlx takes for SQLite.
const SQLITE_PARAMS: [&str; 4] = ["mode", "cache", "immutable", "vfs"];

/// The spellings of PostgreSQL's parameter that names a file with certificate authorities.
const CA_FILE_PARAMS: [&str; 3] = ["sslrootcert", "ssl-root-cert", "ssl-ca"];
/// The spellings of PostgreSQL's parameter that says whether the server's certificate is verified.
const SSL_MODE_PARAMS: [&str; 2] = ["sslmode", "ssl-mode"];

impl RecordsSettings {
    /// Converts the address to the form that the driver and the migrations take.
    ///
    /// # Errors
    /// If no driver would take it, or if it has an unknown parameter.
    pub fn database_url(&self) -> Result<String, InvalidSetting> {
        let url = self.url.expose();
        let invalid = |why: String| InvalidSetting::new("records.url", format_args!("\"{}\"", self.url), why);
        if let Some(rest) = after_postgres_scheme(url) {
            let found = parse_params(url, &POSTGRES_PARAMS).map_err(invalid)?;
            let of = |names: &[&str]| names.iter().find_map(|name| param(&found, name));
            if let Some(file) = of(&CA_FILE_PARAMS) {
                if !verifies_certificate(of(&SSL_MODE_PARAMS)) {
                    let why = "sslrootcert is used with sslmode=verify-full or sslmode=verify-ca only; add one of them";
                    return Err(invalid(why.to_owned()));
                }
                read_ca_file(file).map_err(invalid)?;
            }
            let address = with_empty_host(rest);
            let is_accepted = SqlxPostgresConnector::accepts(&address);
            let remedy =
                "write postgres://user:password@host/database or postgres://user@/database?host=/socket/folder";
            return if is_accepted { Ok(address) } else { Err(invalid(remedy.to_owned())) };
        }
        if url.starts_with("sqlite:") {
            parse_params(url, &SQLITE_PARAMS).map_err(invalid)?;
        }
        if SqlxSqliteConnector::accepts(url) {
            return Ok(url.to_owned());
        }
        Err(invalid("write sqlite:///a/file.db or postgres://user:password@host/database".to_owned()))
    }

    /// Adds this file of certificate authorities to the address. An address is changed only if it asks for verification
    /// of the server's certificate and names no such file itself.
    pub fn trust_ca_file(&mut self, ca_file: &str) {
        let url = self.url.expose();
        // An invalid address is left to `database_url`, which reports it.
        let Some(Ok(found)) = after_postgres_scheme(url).map(|_| parse_params(url, &POSTGRES_PARAMS)) else {
            return;
        };
        let of = |names: &[&str]| names.iter().find_map(|name| param(&found, name));
        if of(&CA_FILE_PARAMS).is_none() && verifies_certificate(of(&SSL_MODE_PARAMS)) {
            self.url = domain::Secret::new(with_param(url, "sslrootcert", ca_file));
        }
    }
}

/// The part of a PostgreSQL address after the scheme.
fn after_postgres_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))
}

fn verifies_certificate(mode: Option<&str>) -> bool {
    mode.is_some_and(|mode| ["verify-full", "verify-ca"].iter().any(|one| mode.eq_ignore_ascii_case(one)))
}

/// Converts an address of PostgreSQL to a valid URL. PostgreSQL's own form may have a user and no
/// host (`postgres://user:password@/database?host=/socket/folder`), which is no URL. In this case
/// the user and the password become parameters.
fn with_empty_host(rest: &str) -> String {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let Some(user_info) = authority.strip_suffix('@') else { return format!("postgres://{rest}") };
    let mut address = format!("postgres://{}", &rest[authority.len()..]);
    let (user, password) = user_info.split_once(':').map_or((user_info, None), |(user, word)| (user, Some(word)));
    for (name, value) in [("user", Some(user)), ("password", password)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let separator = if address.contains('?') { '&' } else { '?' };
            // The value is percent-encoded already, except for characters that have a meaning only
            // among parameters.
            let value = value.replace('+', "%2B").replace('&', "%26");
            address.push_str(&format!("{separator}{name}={value}"));
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Secret;

    fn address(url: &str) -> Result<String, String> {
        let settings = RecordsSettings::new(Secret::new(url), 1);
        settings.database_url().map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_of_an_address_is_converted_for_the_driver() {
        for (url, taken) in [
            ("postgres://u:p@db:5433/cloakroom", "postgres://u:p@db:5433/cloakroom"),
            ("postgresql://db/cloakroom?sslmode=require", "postgres://db/cloakroom?sslmode=require"),
            ("postgres:///cloakroom?host=/run/postgresql", "postgres:///cloakroom?host=/run/postgresql"),
            ("postgres://u:p%40+&@/db?host=/dir", "postgres:///db?host=/dir&user=u&password=p%40%2B%26"),
            ("postgresql://u@/db", "postgres:///db?user=u"),
            ("sqlite:///a/file.db?mode=rw", "sqlite:///a/file.db?mode=rw"),
        ] {
            assert_eq!(address(url).as_deref(), Ok(taken));
        }
    }

    #[test]
    fn an_address_that_no_driver_takes_is_refused() {
        for (url, words) in [
            ("mysql://db/cloakroom", "write sqlite:///a/file.db or postgres://"),
            ("postgres://u@db:port/cloakroom", "write postgres://user:password@host/database"),
            ("postgres://db/cloakroom?sslmod=require", "unknown parameter \"sslmod\"; the known ones are sslmode,"),
            ("sqlite:///a/file.db?sslmode=require", "unknown parameter \"sslmode\"; the known ones are mode, cache,"),
            ("postgres://db/cloakroom?sslrootcert=/ca.pem", "sslrootcert is used with sslmode=verify-full"),
            ("postgres://db/c?sslmode=verify-full&sslrootcert=/no/ca.pem", "the file /no/ca.pem cannot be read"),
        ] {
            let said = address(url).unwrap_err();
            assert!(said.starts_with("records.url = ") && said.contains(words), "{url}: {said}");
        }
    }

    #[test]
    fn a_ca_file_is_added_only_if_certificates_are_verified() {
        let trusted = |url: &str| {
            let mut settings = RecordsSettings::new(Secret::new(url), 1);
            settings.trust_ca_file("/our/ca.pem");
            settings.url.expose().to_owned()
        };
        let verified = "postgres://u:p@/db?host=/dir&sslmode=verify-full";
        assert_eq!(trusted(verified), format!("{verified}&sslrootcert=/our/ca.pem"));
        for same in [
            "postgres://db/cloakroom",
            "postgres://db/cloakroom?sslmode=require",
            "postgres://db/cloakroom?sslmode=verify-ca&ssl-ca=/its/own.pem",
            "sqlite:///a/file.db",
        ] {
            assert_eq!(trusted(same), same);
        }
    }
}
