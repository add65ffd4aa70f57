//! The binary: composes the roles and does nothing else. `up` runs all roles in one process; `api`, `worker` and
//! `sweep` run one role each, in as many processes as the load needs.

mod all_in_one;
mod avatars;
mod config;
mod confirm;
mod demo;
mod explain;
mod fd_limit;
mod files;
mod jobs;
mod keys;
mod log;
mod metrics_recorder;
mod migrate;
mod probes;
mod publish;
mod render;
mod resource_arg;
mod roles;
mod settings;
mod shutdown;
mod stats;
mod traces;
mod uploads;
mod users;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::settings::Settings;
use crate::traces::TraceExporter;

/// The allocator. Many threads take turns with many small buffers, and the system's allocator keeps a heap for every
/// few threads. During 200 concurrent uploads (`tests/upload_memory.rs`) the process grew by 175 MiB with the system's
/// allocator, and by 60 to 95 MiB with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// An upload service for portals. It stages, validates, renders and stores pictures and files.
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
    /// Run everything in one process: migrate, then api, worker and sweeper. The default command.
    Up,
    /// Start Cloakroom on an empty folder, upload a photograph and show each step of its processing.
    Demo(demo::DemoArgs),
    /// Serve HTTP only. Workers, which are other processes, run the jobs.
    Api,
    /// Run jobs from the queue only, and sweep.
    Worker(roles::WorkerArgs),
    /// Sweep only: expire unclaimed uploads, fail overdue ones, publish unpublished jobs, delete scheduled blobs.
    Sweep(roles::SweepArgs),
    /// List, show, retry and drop dead letters.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// List, show and delete uploads.
    #[command(subcommand)]
    Uploads(uploads::UploadsCommand),
    /// List, delete and restore files.
    #[command(subcommand)]
    Files(files::FilesCommand),
    /// Remove avatars.
    #[command(subcommand)]
    Avatars(avatars::AvatarsCommand),
    /// Show the history of one upload, and what it waits for.
    Explain(explain::ExplainArgs),
    /// Have workers read the stored bytes of uploads again, and compare them with their digests.
    Verify(verify::VerifyArgs),
    /// Add, list and change users.
    #[command(subcommand)]
    User(users::UserCommand),
    /// Issue bearer tokens.
    #[command(subcommand)]
    Token(users::TokenCommand),
    /// Rotate the keys that sign sessions and bearer tokens.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Grant a user the right to act for a resource, or revoke it.
    Grant(users::GrantArgs),
    /// Apply the migrations of the database schema, or list them.
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Render local pictures as a worker would, to try sizes or to see why a picture is rejected.
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
        Command::Uploads(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Files(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Avatars(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Explain(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Verify(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::User(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Token(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Keys(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Grant(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
        Command::Migrate(command) => run_role(with_error_log_level(settings()?), |settings| command.run(settings)),
    }
}

/// Limits the log to errors, for commands that print their result.
fn with_error_log_level(mut settings: Settings) -> Settings {
    settings.log.level = "error".to_owned();
    settings
}

/// Runs a role with the log enabled and one runtime thread for each processor.
fn run_role<F: Future<Output = anyhow::Result<()>>>(
    settings: Settings,
    role: impl FnOnce(Settings) -> F,
) -> anyhow::Result<()> {
    run_role_on(&mut Builder::new_multi_thread(), settings, role)
}

/// A runtime with one thread for every four processors. A worker does little beside rendering, and rendering has its
/// own threads. More threads than the load needs wake each other for every step of a job. Half as many threads as
/// processors were measured against as many: an avatar took 0.85 times the CPU time, and throughput was 1.14 times as
/// high. A quarter was not measured on its own; on two processors it is the same as half.
fn small_runtime() -> Builder {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = Builder::new_multi_thread();
    // Tokio's own variable takes precedence.
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
    // One TLS provider for every client in the process. It fails only if a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let traces = TraceExporter::start(&settings.traces)?;
    log::init(&settings.log, &traces)?;
    if let Err(error) = fd_limit::raise() {
        tracing::warn!(%error, "the limit of file descriptors could not be raised");
    }
    let runtime = runtime.enable_all().build()?;
    let outcome = runtime.block_on(role(settings));
    // A blocking call that hangs must not delay the end of a process that was told to stop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    traces.shutdown();
    outcome
}
