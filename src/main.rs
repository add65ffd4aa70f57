//! The binary: composes roles, nothing else. `up` is all of them in one process; `api`, `worker` and `sweep` are each
//! one of them, to be run as many times as the load asks for.

mod all_in_one;
mod config;
mod demo;
mod explain;
mod fd_limit;
mod jobs;
mod keys;
mod log;
mod metrics;
mod migrate;
mod probes;
mod render;
mod roles;
mod settings;
mod shutdown;
mod stats;
mod traces;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::settings::Settings;
use crate::traces::TraceExporter;

/// Many threads take turns with many small buffers, and the system's allocator keeps a heap for every few of them: two
/// hundred uploads at once (`tests/memory.rs`) grew the process by 175 MiB with it, by 60 to 95 MiB with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// An upload service for portals: hand a picture in, get a number, claim it later.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// Read this settings file instead of cloakroom.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Everything in one process: migrate, then api, worker and sweeper. What a bare `cloakroom` does.
    Up,
    /// See it work: start it on a fresh folder and follow a photograph through it.
    Demo(demo::DemoArgs),
    /// Serve HTTP only. Jobs go to the queue, for workers.
    Api,
    /// Run jobs only, from the queue.
    Worker(roles::WorkerArgs),
    /// Repair and clean: expire, fail what is overdue, publish what was forgotten, delete what is condemned.
    Sweep(roles::SweepArgs),
    /// Look after jobs: list dead letters, show one, try it again or give it up.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Tell the way of one upload, hop by hop, and what it waits for now.
    Explain(explain::ExplainArgs),
    /// Add, list and change users.
    #[command(subcommand)]
    User(users::UserCommand),
    /// Issue tokens.
    #[command(subcommand)]
    Token(users::TokenCommand),
    /// Change the keys that sign sessions.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Let a user act for a resource, or no longer.
    Grant(users::GrantArgs),
    /// Bring the records' schema up to date, or show where it stands.
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Render pictures as a worker would, without a server: try sizes, see verdicts.
    Render(render::RenderArgs),
    /// Show and check the settings.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Cli { config, command }: Cli) -> anyhow::Result<()> {
    let settings = || Settings::load(config.as_deref());
    match command.unwrap_or(Command::Up) {
        Command::Config(command) => command.run(settings),
        Command::Render(command) => command.run(&settings()?.pictures.limits()),
        Command::Demo(demo) => run_role(demo::with_warn_log_level(settings()?), |settings| demo.run(settings)),
        Command::Up => run_role(settings()?, all_in_one::run),
        Command::Api => run_role(settings()?, roles::api),
        Command::Worker(args) => {
            run_role_on(&mut small_runtime(), settings()?, |settings| roles::worker(settings, args))
        }
        Command::Sweep(args) => run_role(settings()?, |settings| roles::sweep(settings, args)),
        Command::Jobs(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Explain(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::User(command) => run_role(settings()?, |settings| command.run(settings)),
        Command::Token(command) => run_role(settings()?, |settings| command.run(settings)),
        Command::Keys(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Grant(command) => run_role(settings()?, |settings| command.run(settings)),
        Command::Migrate(command) => run_role(settings()?, |settings| command.run(settings)),
    }
}

/// For commands whose output is what they say: only what goes wrong is logged.
fn with_error_log_level(mut settings: Settings) -> Settings {
    settings.log.level = "error".to_owned();
    settings
}

/// Runs a role with the log on, and as many threads as there are processors.
fn run_role<F: Future<Output = anyhow::Result<()>>>(
    settings: Settings,
    role: impl FnOnce(Settings) -> F,
) -> anyhow::Result<()> {
    run_role_on(&mut Builder::new_multi_thread(), settings, role)
}

/// What a worker does beside rendering, for which it has threads of its own, is little. More threads than that keeps busy
/// wake each other for every step of a job: an avatar cost 0.85 of the time and went 1.14 times as fast with half of them.
fn small_runtime() -> Builder {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = Builder::new_multi_thread();
    // Tokio's own variable still has the last word.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(processors.div_ceil(4));
    }
    runtime
}

fn run_role_on<F: Future<Output = anyhow::Result<()>>>(
    runtime: &mut Builder,
    settings: Settings,
    role: impl FnOnce(Settings) -> F,
) -> anyhow::Result<()> {
    // One provider of TLS for every client in the process; nobody has chosen before us.
    rustls::crypto::ring::default_provider().install_default().ok();
    let traces = TraceExporter::start(&settings.traces)?;
    log::init(&settings.log, &traces)?;
    if let Err(error) = fd_limit::raise() {
        tracing::warn!(%error, "the limit of file descriptors could not be raised: {error}");
    }
    let runtime = runtime.enable_all().build()?;
    let outcome = runtime.block_on(role(settings));
    // A blocking call that hangs must not keep a process that has been told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    traces.shutdown();
    outcome
}
