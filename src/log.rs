//! What the program says of itself, to standard error: for people on a terminal, as JSON lines for machines.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};
use upload::InvalidSetting;

use crate::traces::TraceExporter;

/// Section `[log]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// A level, or levels by module.
    pub(crate) level: String,
    /// How it looks.
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// Coloured.
    Pretty,
    /// The same without colour.
    Plain,
    /// One JSON object a line.
    Json,
}

impl LogSettings {
    /// What is let through. The filter's own parser takes any word for a module whose events are all wanted, and
    /// "warning" would silence everything else.
    ///
    /// # Errors
    /// Where the level is none and names none.
    pub(crate) fn filter(&self) -> Result<EnvFilter, InvalidSetting> {
        let allowed = "write error, warn, info, debug, trace or off, or levels by module as in info,worker=debug";
        let wrong = || InvalidSetting::new("log.level", format_args!("\"{}\"", self.level), allowed);
        let understood = |word: &str| word.contains(['=', '[']) || word.parse::<LevelFilter>().is_ok();
        let mut words = self.level.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() || !words.all(understood) {
            return Err(wrong());
        }
        // PostgreSQL notes whatever is there already, as often as a command looks for migrations.
        let quiet = "opentelemetry_sdk=warn,h2=warn,sqlx::postgres::notice=warn";
        EnvFilter::try_new(format!("{},{quiet}", self.level)).map_err(|_| wrong())
    }
}

/// Begins to write the log, and to hand spans on. Call it once.
///
/// # Errors
/// Where the level cannot be understood.
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
