//! The log, written to standard error: formatted text on a terminal, JSON lines for machines.

use std::io::IsTerminal;

use domain::InvalidSetting;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::traces::TraceExporter;

/// Section `[log]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// A level, or levels by module.
    pub(crate) level: String,
    /// The format of the lines.
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// Formatted text with colour.
    Pretty,
    /// Formatted text without colour.
    Plain,
    /// One JSON object a line.
    Json,
}

impl LogSettings {
    /// Parses the filter of log events, and refuses unknown words. The filter's own parser takes such a word as the
    /// name of a module whose events are all logged. A level such as "warning" would therefore silence everything else.
    ///
    /// # Errors
    /// If the level is neither a level nor a list of levels by module.
    pub(crate) fn filter(&self) -> Result<EnvFilter, InvalidSetting> {
        let allowed = "write error, warn, info, debug, trace or off, or levels by module as in info,worker=debug";
        let wrong = || InvalidSetting::new("log.level", format_args!("\"{}\"", self.level), allowed);
        let understood = |word: &str| word.contains(['=', '[']) || word.parse::<LevelFilter>().is_ok();
        let mut words = self.level.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() || !words.all(understood) {
            return Err(wrong());
        }
        // PostgreSQL sends a notice for everything that exists already, each time a command looks for migrations. So its
        // notices are not logged.
        let quiet = "opentelemetry_sdk=warn,h2=warn,sqlx::postgres::notice=warn";
        EnvFilter::try_new(format!("{},{quiet}", self.level)).map_err(|_| wrong())
    }
}

/// Starts the log and the export of spans. Call it once.
///
/// # Errors
/// If the level cannot be parsed.
pub(crate) fn init(settings: &LogSettings, traces: &TraceExporter) -> anyhow::Result<()> {
    let filter = settings.filter()?;
    let log = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let terminal = std::io::stderr().is_terminal();
    let log = match settings.format {
        LogFormat::Pretty => log.with_ansi(true).compact().boxed(),
        LogFormat::Auto if terminal => log.with_ansi(std::env::var_os("NO_COLOR").is_none()).compact().boxed(),
        LogFormat::Plain => log.with_ansi(false).compact().boxed(),
        LogFormat::Auto | LogFormat::Json => log.json().flatten_event(true).with_target(true).boxed(),
    };
    registry().with(traces.layer()).with(log.with_filter(filter)).init();
    Ok(())
}
