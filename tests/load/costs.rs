//! Reads processor time from `/proc`. Cloakroom's processes are found by their process ids, and the engines by their
//! program names. The time that workers spend in the picture engine is measured separately, by the picture threads.

use std::time::Duration;

use test_support::process::ServerProcess;

/// Clock ticks per second (USER_HZ), which is 100 on every Linux machine that runs this benchmark.
const TICKS_PER_SECOND: f64 = 100.0;

/// Clock ticks spent so far, by component.
pub struct CpuCosts([(&'static str, u64); 6]);

impl CpuCosts {
    pub fn measure(api: &ServerProcess, workers: &[ServerProcess]) -> Self {
        let ours = |process: &ServerProcess| cpu_ticks(&process.id().to_string());
        let pictures = workers.iter().map(picture_thread_ticks).sum();
        Self([
            ("api", ours(api)),
            ("pictures", pictures),
            ("workers around them", workers.iter().map(ours).sum::<u64>().saturating_sub(pictures)),
            ("broker", ticks_of_programs(&["beam.smp"])),
            ("database", ticks_of_programs(&["postgres"])),
            ("store", ticks_of_programs(&["radosgw", "ceph-osd", "ceph-mon"])),
        ])
    }

    pub fn since(mut self, before: &Self) -> Self {
        for (now, then) in self.0.iter_mut().zip(&before.0) {
            now.1 = now.1.saturating_sub(then.1);
        }
        self
    }

    /// Formats the processor time per upload, in milliseconds.
    pub fn per_upload(&self, uploads: usize) -> String {
        let ms = |ticks: u64| ticks as f64 / TICKS_PER_SECOND * 1000.0 / uploads as f64;
        let each = self.0.iter().map(|(who, ticks)| format!("{who} {:.2}", ms(*ticks))).collect::<Vec<_>>().join(" + ");
        let all: u64 = self.0.iter().map(|(_, ticks)| ticks).sum();
        let of = |name| self.0.iter().filter(|(who, _)| *who == name).map(|(_, ticks)| ticks).sum::<u64>();
        let store = of("store");
        let around = ms(all - store - of("pictures"));
        format!(
            "{each} = {:.2} ms, {:.2} without the store, of which {around:.2} around the picture",
            ms(all),
            ms(all - store)
        )
    }
}

fn ticks_of_programs(names: &[&str]) -> u64 {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| names.contains(&process_name(id).as_str())).map(|id| cpu_ticks(&id)).sum()
}

/// The ticks of the threads that belong to a worker's picture pool, found by their names.
fn picture_thread_ticks(worker: &ServerProcess) -> u64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", worker.id())) else { return 0 };
    let threads = threads.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    threads
        .map(|id| format!("{}/task/{id}", worker.id()))
        .filter(|thread| process_name(thread).starts_with("picture-"))
        .map(|thread| cpu_ticks(&thread))
        .sum()
}

fn process_name(id: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default().trim().to_owned()
}

/// Ticks in user and system mode, of all threads and of children that have ended. A database server starts such a child
/// for each connection.
fn cpu_ticks(id: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(") ") else { return 0 };
    rest.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

pub fn percentiles(mut latencies: Vec<Duration>) -> String {
    latencies.sort();
    let at = |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)].as_millis();
    format!("p50 {} ms, p95 {} ms, p99 {} ms", at(50), at(95), at(99))
}
